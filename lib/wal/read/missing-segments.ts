/**
 * Segments that the log must have and the directory does not: nothing is opened without them, and nothing changed.
 * Source: wal.md 4.1 step 2.
 */
import { walError } from '../errors.js'
import type { KeptRun } from './chain.js'
import type { SegmentFile } from './directory-listing.js'
import type { SegmentSet } from './segment-set.js'

/** A ROLL names a segment: it was durable by then. @throws MQError WAL_SEGMENT_MISSING */
export function requireSegment({ heads }: SegmentSet, number: number): void {
  if (heads.some((file) => file.number >= number)) return
  const text = `segment ${number} is missing: the log says that it was begun; restore it, or accept the loss with "wal repair --accept-missing ${number}"`
  throw walError('WAL_SEGMENT_MISSING', text, { segment: number })
}

/** @throws MQError WAL_SEGMENT_MISSING when files between the oldest live and the last one are missing */
export function requireAll({ missing, live }: SegmentSet, kept: readonly KeptRun[]): void {
  if (missing.length === 0) return
  const first = missing[0] as number
  const before = kept.filter(({ run }) => (live[run.segment] as SegmentFile).number < first)
  const behind = kept.find(({ run }) => (live[run.segment] as SegmentFile).number > first)
  const fromLsn = Math.max(0, ...before.map(({ last }) => last)) + 1
  const toLsn = behind?.run.after
  const lsns = toLsn === undefined ? `LSNs from ${fromLsn} on` : `LSNs ${fromLsn}..${toLsn}`
  const text = `segments ${missing.join(', ')} are missing (${lsns}): restore them, or accept the loss with "wal repair --accept-missing ${first}"`
  throw walError('WAL_SEGMENT_MISSING', text, { segments: missing.join(','), fromLsn, toLsn })
}
