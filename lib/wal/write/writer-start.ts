/** What recovery hands to the writer. */
import type { Manifest } from '../format/manifest.js'
import type { LogTables } from '../state/tables.js'

/** A segment on the disk that is live or a leftover; ascending. */
export interface StartSegment {
  readonly number: number
  readonly salt: Uint8Array
}

export interface WriterStart {
  readonly manifest: Manifest
  readonly tables: LogTables
  /** Ascending. Those below the oldest live one are recycled first. */
  readonly segments: readonly StartSegment[]
  /** Names of spares in the directory. */
  readonly spares: readonly string[]
  /**
   * Where appending goes on: a sector boundary. null: no segment can be appended to; the highest one of `segments`, if
   * it holds nothing (`isEmptyLast`), is used again with a new salt, else the next number begins.
   */
  readonly end: {
    readonly segment: number
    readonly at: number
    readonly lastLsn: number
    readonly lastBodyCrc: number
    /** The highest LSN that a frame says to be synced; not given: none. */
    readonly attestedLsn?: number
  } | null
  /** Only with `end` null: the last LSN and its body's CRC, for the cut of the new segment. */
  readonly cut?: { readonly lastLsn: number; readonly lastBodyCrc: number }
  /** The highest of `segments` holds no data. */
  readonly isEmptyLast?: boolean
  readonly incarnation: number
  /** 16 hex digits. */
  readonly incarnationId: string
  /** Frames synced before `start` resolves: HOLE, OPEN. */
  readonly first: readonly { readonly type: number; readonly body: Uint8Array }[]
}
