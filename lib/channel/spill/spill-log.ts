/**
 * Where payloads wait that memory has no room for: what a channel with `onFull: 'spill'` asks of a log. CH-17.
 * Why an interface: a channel knows no files; `tandem-mq/wal` makes one over segments (`openSpillLog`).
 * One channel uses a log. It reads again only when its last read has settled; one that was closed may have left a read on
 * its way, which is answered before the next one's.
 * Invariants: first in, first out; what `push` took is given by `read` until `shift` has dropped it, also after the process
 * ended and the log was opened again.
 */
export interface SpillLog {
  /** Payloads inside, those of an earlier life included. */
  readonly records: number
  /** Their bytes, with the few that the log puts in front of each; of an earlier life's about so many. */
  readonly bytes: number
  /** Called, never inside a call of ours, when `push` may take something again after it had refused. One owner sets it. */
  onRoom: (() => void) | null
  /**
   * Takes a copy of one payload at the end. False: there is no room now, nothing was taken.
   * Throws PRODUCE_FAILED/WAL_FAILED when the log is broken, MESSAGE_TOO_LARGE/WAL_FRAME_TOO_LARGE for what can never fit.
   */
  push(payload: Uint8Array): boolean
  /**
   * The oldest payloads, in order: at least one if there is any, else none; together at most `maxBytes` unless the first
   * alone is larger. They stay inside until `shift`, so reading again gives them again; their bytes do not change. Rejects
   * when the disk cannot be read or its bytes are damaged (DECOMPRESSION_FAILED/WAL_CORRUPT); nothing is lost then.
   */
  read(maxBytes: number): Promise<readonly Uint8Array[]>
  /** Drops the `count` oldest payloads for good; the last `read` gave them. */
  shift(count: number): void
  /** Writes what is open; what is inside stays for the next opening. Idempotent. */
  close(options?: { readonly timeoutMs?: number }): Promise<void>
}
