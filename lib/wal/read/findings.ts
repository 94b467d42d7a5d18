/**
 * What a reader of a log can find, and what it gives back. Shapes only.
 * Source: wal.md 2.8, 4.1.
 */
import type { OpenBody } from '../format/bodies/open.js'
import type { Manifest } from '../format/manifest.js'
import type { LogTables } from '../state/tables.js'
import type { HoleFacts, HoleVerdict } from '../types.js'

/**
 * torn: the ordinary end after a crash | corrupt: promised data is damaged | reordered: unsynced pages lost in a power
 * loss | discarded: never accepted, cut off | badHeaderCopy: one of two | badCheckpoint: rebuilt from the frames before
 * it | unknownOptional: frames of a later minor version, skipped | covered: a loss that a HOLE frame already records | refusedRead: read, but
 * only when asked again: the disk is not well.
 */
export type FindingKind =
  | 'torn'
  | 'corrupt'
  | 'reordered'
  | 'discarded'
  | 'badHeaderCopy'
  | 'badCheckpoint'
  | 'unknownOptional'
  | 'covered'
  | 'refusedRead'

export interface Finding {
  readonly kind: FindingKind
  /** 0: of the directory, not of one segment. */
  readonly segment: number
  /** The file, without the directory. */
  readonly file: string
  readonly fromByte: number
  /** Exclusive. */
  readonly toByte: number
  /** 0 and -1 (an empty range): no LSN is missing. */
  readonly fromLsn: number
  /** Inclusive. */
  readonly toLsn: number
  /** Lost positions as far as later frames tell them. */
  readonly ranges: HoleFacts['ranges']
  /** One sentence: what is wrong and where. */
  readonly text: string
}

export interface SegmentSurvey {
  readonly number: number
  readonly name: string
  /** Of the file. */
  readonly bytes: number
  readonly salt: Uint8Array
  /** Behind the last frame that counts. */
  readonly end: number
  /** The last LSN up to here that counts (of the segment before it, when it has none of its own). */
  readonly lastLsn: number
  /** `bodyCrc` of the frame that carries `lastLsn` first: frames that repeat an LSN do not count. */
  readonly lastBodyCrc: number
  /** Below the oldest live segment: to be recycled. */
  readonly isLeftover: boolean
  /** Holds no frame yet: to be used with a new salt. */
  readonly isSpareLike: boolean
}

export interface SurveyEnd {
  readonly segment: number
  /** Appending goes on here: a sector boundary. */
  readonly at: number
  readonly lastLsn: number
  readonly lastBodyCrc: number
  /** The highest LSN that a frame attests to be synced. */
  readonly attestedLsn: number
}

export interface Survey {
  readonly manifest: Manifest
  readonly tables: LogTables
  /** In order of the log. Verdicts of losses are those of HOLE frames, see `holeOf`. */
  readonly findings: readonly Finding[]
  /** Ascending. */
  readonly segments: readonly SegmentSurvey[]
  readonly spares: readonly string[]
  /** `*.tmp`, left by a crash: may be deleted. */
  readonly temporaries: readonly string[]
  /** null: no segment can be appended to, a new one has to begin behind the last. */
  readonly end: SurveyEnd | null
  /** The last LSN of the log, also when `end` is null: the cut a new segment names. */
  readonly lastLsn: number
  readonly lastBodyCrc: number
  /** In any header that verifies, torn regions included. */
  readonly highestIncarnation: number
  /** null: nobody opened it yet. */
  readonly lastOpen: OpenBody | null
  /** The last frame is a CLOSE. */
  readonly isClean: boolean
  readonly tornBytes: number
  /** Frames cut off because they were never accepted. */
  readonly discardedUnaccepted: number
  /** Losses that HOLE frames of the log record. */
  readonly holes: readonly HoleFacts[]
  readonly scannedBytes: number
  readonly frames: number
  /** Of the data frames read, settled ones included. */
  readonly records: number
}

const VERDICTS: Partial<Record<FindingKind, HoleVerdict>> = {
  corrupt: 'corrupt',
  reordered: 'reordered',
  discarded: 'unaccepted',
}

/** The HOLE frame that records a finding; null: it is no loss of frames. */
export function holeOf(finding: Finding): HoleFacts | null {
  const verdict = VERDICTS[finding.kind]
  if (verdict === undefined) return null
  const { fromLsn, toLsn, segment, fromByte, toByte, ranges } = finding
  return { fromLsn, toLsn: Math.max(toLsn, 0), segment, fromByte, toByte, verdict, ranges }
}
