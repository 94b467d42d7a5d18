/**
 * Segments that the log must have and the directory does not: nothing is opened without them, and nothing changed.
 * Source: wal.md 4.1 step 2.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import type { KeptRun } from './chain.js'
import type { SegmentFile } from './directory-listing.js'
import type { SegmentSet } from './segment-set.js'
import type { ByteRange } from './segment-source.js'

/** A ROLL names a segment: it was durable by then. @throws MQError WAL_SEGMENT_MISSING */
export function requireSegment({ heads }: SegmentSet, number: number): void {
  if (heads.some((file) => file.number >= number)) return
  const text = `segment ${number} is missing: the log says that it was begun; restore it, or accept the loss with "wal repair --accept-missing ${number}"`
  throw walError('WAL_SEGMENT_MISSING', text, { segment: number })
}

/** @throws MQError WAL_CORRUPT when a file cannot be read; WAL_SEGMENT_MISSING when files between the oldest live and the last one are missing */
export function requireAll({ missing, live, heads }: SegmentSet, kept: readonly KeptRun[]): void {
  if (missing.length === 0) return
  const silent = heads.find(({ source }) => source.unreadable.length > 0)
  if (silent !== undefined) throw unreadable(silent)
  const first = missing[0] as number
  const before = kept.filter(({ run }) => (live[run.segment] as SegmentFile).number < first)
  const behind = kept.find(({ run }) => (live[run.segment] as SegmentFile).number > first)
  const fromLsn = Math.max(0, ...before.map(({ last }) => last)) + 1
  const toLsn = behind?.run.after
  const lsns = toLsn === undefined ? `LSNs from ${fromLsn} on` : `LSNs ${fromLsn}..${toLsn}`
  const text = `segments ${missing.join(', ')} are missing (${lsns}): restore them, or accept the loss with "wal repair --accept-missing ${first}"`
  throw walError('WAL_SEGMENT_MISSING', text, { segments: missing.join(','), fromLsn, toLsn })
}

/** Which segments are needed stands in segments: while one cannot be read, none of the others may be called missing. */
function unreadable({ name, number, source }: SegmentFile): MQError {
  const { from, to } = source.unreadable[0] as ByteRange
  const errno = source.unreadableErrno
  const text = `bytes ${from}..${to} of ${name} cannot be read (${errno}): look at the disk, nothing was changed`
  const cause: NodeJS.ErrnoException = Object.assign(new Error(`${errno}: read ${name}`), { code: errno })
  return walError('WAL_CORRUPT', text, { segment: number, file: name, fromByte: from, toByte: to, errno }, cause)
}
