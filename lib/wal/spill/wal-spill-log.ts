/**
 * The log behind a channel that spills: payloads in at the end, out at the head, over the write-ahead log.
 *
 *   push ─> items of the log's one stream ─> read (from the head, they stay) ─> shift (settled as delivered)
 *
 * Invariants: what `push` took is given by `read` in that order until `shift` has settled it, in this life or the next; only
 * what `read` gave is shifted; a frame that cannot be read stays, and nothing behind it is given before it.
 * A shift that a crash comes too soon for is forgotten: such payloads are given again (at least once, wal.md 1.1).
 * Source: CH-17, wal.md 1.1, 3.
 */
import type { SpillLog } from '../../channel/index.js'
import { MQError } from '../../errors/index.js'
import { assert, consoleLogger, type Logger, systemClock } from '../../util/index.js'
import { walError } from '../errors.js'
import { BATCH_PREFIX_BYTES, Outcome } from '../format/constants.js'
import { walParts } from '../fs/host-facts.js'
import type { Entry, WalOptions, WalParts } from '../types.js'
import { WriteAheadLog } from '../write-ahead-log.js'
import { EntryItems, ITEM_LENGTH_BYTES } from './entry-items.js'
import { type SpillLogOptions, spillWalOptions } from './options.js'

/** Topic of the only stream: a queue's log is told from ours by it. */
const STREAM_TOPIC = 'spill'

/**
 * Opens the log of a directory, or makes one, for a channel with `onFull: 'spill'`.
 * @throws MQError INVALID_CONFIG (a field, WAL_LOCKED, WAL_PERMISSION, a directory of somebody else ...), WAL_CORRUPT,
 * WAL_FULL, WAL_FAILED, as `WriteAheadLog.open`; nothing is held then.
 *
 * ```ts
 * const spillLog = await openSpillLog({ dir: './overflow', maxBytes: 1024 ** 3 })
 * const channel = new ByteChannel({ bufferMemoryBytes: 64 * 1024 ** 2, onFull: 'spill', spillLog })
 * ```
 * Close the channel first, then the log.
 */
export async function openSpillLog(options: SpillLogOptions): Promise<SpillLog> {
  const walOptions = spillWalOptions(options)
  const { clock = systemClock, logger = consoleLogger('warn') } = options
  return WalSpillLog.open(walOptions, walParts(clock, logger))
}

/** One payload that `read` gave. */
interface Lent {
  readonly position: number
  readonly payload: Uint8Array
}

export class WalSpillLog implements SpillLog {
  onRoom: (() => void) | null = null
  readonly #wal: WriteAheadLog
  readonly #stream: number
  #records = 0
  #bytes = 0
  /** What the last `read` gave and no `shift` has dropped, oldest first. */
  #lent: readonly Lent[] = []
  /** The frame the last `read` ended in the middle of, and where. */
  #open: { readonly lsn: number; readonly items: EntryItems } | null = null
  #reading: Promise<readonly Lent[]> | null = null
  #closing: Promise<void> | null = null

  private constructor(wal: WriteAheadLog, stream: number) {
    this.#wal = wal
    this.#stream = stream
    for (const { bodyBytes, count, unsettled } of wal.entriesOf(stream)) {
      this.#records += unsettled
      this.#bytes += Math.round(((bodyBytes - BATCH_PREFIX_BYTES) * unsettled) / count)
    }
    wal.onRoom = () => this.onRoom?.()
  }

  /** @throws MQError as `openSpillLog` */
  static async open(options: WalOptions, parts: WalParts): Promise<WalSpillLog> {
    let log: WalSpillLog | null = null
    const { logger } = parts
    const wal = await WriteAheadLog.open(options, parts, {
      degraded: (error) => logger.warn('the spill log gave up a file; nothing was lost', { cause: error }),
      failed: (error) => {
        logger.error('the spill log has failed and takes nothing any more', { cause: error })
        log?.onRoom?.() // Who waits for room learns it from `push`.
      },
      slowSync: () => {},
      full: () => {},
      room: () => {},
      progress: () => {},
    })
    log = new WalSpillLog(wal, await streamOf(wal, logger))
    return log
  }

  get records(): number {
    return this.#records
  }

  get bytes(): number {
    return this.#bytes
  }

  push(payload: Uint8Array): boolean {
    const { failure, maxBodyBytes } = this.#wal
    if (failure !== null) throw refusedBy(failure)
    this.#checkOpen()
    const { length } = payload
    if (length > maxBodyBytes - ITEM_LENGTH_BYTES) throw tooLarge(length, maxBodyBytes - ITEM_LENGTH_BYTES)
    if (!this.#wal.admits(length + ITEM_LENGTH_BYTES)) return false
    this.#wal.appendItem(this.#stream, payload, length)
    this.#records++
    this.#bytes += framed(length)
    return true
  }

  async read(maxBytes: number): Promise<readonly Uint8Array[]> {
    // A channel that was closed may have left its last one on its way.
    while (this.#reading !== null) await this.#reading.catch(() => {}) // Told by its own call.
    this.#checkOpen()
    this.#lent = []
    this.#reading = this.#collect(maxBytes)
    try {
      this.#lent = await this.#reading
    } finally {
      this.#reading = null
    }
    return this.#lent.map(({ payload }) => payload)
  }

  shift(count: number): void {
    this.#checkOpen()
    assert(this.#reading === null && count <= this.#lent.length, 'only what was read leaves a spill log')
    for (let index = 0; index < count; ) index = this.#settleRun(index, count)
    this.#lent = this.#lent.slice(count)
    this.#records -= count
    if (this.#records === 0) this.#bytes = 0 // What was recovered of a frame that was begun is only estimated.
  }

  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#wal.close(options)
    this.#wal.onRoom = null
    this.#open = null
    return this.#closing
  }

  /** Reads frame by frame from the head; stops before the payload that would be too much. */
  async #collect(maxBytes: number): Promise<readonly Lent[]> {
    const lent: Lent[] = []
    const inside = this.#records
    let bytes = 0
    for (let index = 0; lent.length < inside; index++) {
      const items = await this.#itemsAt(index, lent.length > 0)
      if (items === null) break
      for (; !items.isRead; items.next()) {
        const payload = items.peek()
        bytes += payload.length
        if (bytes > maxBytes && lent.length > 0) return lent
        lent.push({ position: items.position, payload })
      }
      this.#open = null
    }
    return lent
  }

  /** What is unsettled of the entry at `index` from the head; null: it cannot be read, and something was read before it. */
  async #itemsAt(index: number, hasRead: boolean): Promise<EntryItems | null> {
    const wal = this.#wal
    // Beyond the last entry stands the frame that is still growing: reading it ends it.
    const lsn = wal.entriesOf(this.#stream)[index]?.lsn ?? wal.lastLsn
    const open = this.#open
    this.#open = null
    if (index === 0 && open?.lsn === lsn && wal.unsettledOf(lsn)[0]?.[0] === open.items.position) {
      this.#open = open
      return open.items
    }
    try {
      const body = await wal.read(lsn)
      const { firstPosition, count } = wal.entry(lsn) as Entry
      const items = new EntryItems(body, firstPosition, count, wal.unsettledOf(lsn))
      this.#open = { lsn, items }
      return items
    } catch (error) {
      // What was read is given first: the next call begins with what cannot be read, and says so.
      if (hasRead) return null
      throw error
    }
  }

  /** Settles what was lent from `index` on as far as positions follow each other; gives the next index. */
  #settleRun(index: number, count: number): number {
    const first = (this.#lent[index] as Lent).position
    let next = index
    for (; next < count && (this.#lent[next] as Lent).position === first + next - index; next++) {
      this.#bytes = Math.max(0, this.#bytes - framed((this.#lent[next] as Lent).payload.length))
    }
    this.#wal.settle(this.#stream, first, first + next - index - 1, Outcome.delivered, -1)
    return next
  }

  #checkOpen(): void {
    if (this.#closing === null) return
    throw walError('WAL_FAILED', `the spill log ${this.#wal.dir} is closed: open it again`, { path: this.#wal.dir })
  }
}

/** The only stream of the log. Closes the log and throws when it holds what a queue wrote. */
async function streamOf(wal: WriteAheadLog, logger: Logger): Promise<number> {
  for (const { id, topic } of wal.streams) {
    if (topic === STREAM_TOPIC) return id
    await wal.close().catch((error: unknown) => logger.warn('the log of a queue was not closed well', { cause: error }))
    const text = `${wal.dir} is the log of a ${topic}, not of a channel that spills: choose another dir`
    throw new MQError('INVALID_CONFIG', text, { field: 'dir', value: wal.dir })
  }
  return wal.streamOf(STREAM_TOPIC, '', 0)
}

/** Bytes of a payload with its length in front. */
function framed(length: number): number {
  let bytes = length + 1
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}

function tooLarge(bytes: number, maxBytes: number): MQError {
  const text = `a payload of ${bytes} B is larger than a frame of the log may be (${maxBytes} B): raise segmentBytes or maxBytes, or split it`
  return walError('WAL_FRAME_TOO_LARGE', text, { bytes, maxBytes })
}

function refusedBy(failure: MQError): MQError {
  if (failure.context.reason === 'WAL_FAILED') return failure
  return walError('WAL_FAILED', `the spill log takes nothing any more: ${failure.message}`, {}, failure)
}
