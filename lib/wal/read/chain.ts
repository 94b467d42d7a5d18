/**
 * From runs of frames to one log: which of them count, and where LSNs are missing between those that do.
 * Why: a crash leaves remains. A later incarnation goes on at the LSN where recovery cut the log, so a run that begins
 * at an LSN which an earlier one holds already takes its place.
 * Invariant: the kept runs are ascending in LSN, and no LSN is in two of them.
 * Source: wal.md 2.8.
 */
import { SEGMENT_HEADER_BYTES } from '../format/constants.js'
import type { PositionRange } from './frame-applier.js'
import type { Run } from './segment-walk.js'

/** Missing LSNs before a kept run. */
export interface Gap {
  readonly fromLsn: number
  readonly toLsn: number
  /** Index of the segment where they are missed. */
  readonly segment: number
  readonly fromByte: number
  readonly toByte: number
  /** Positions that are known to be lost here, as later frames tell them. */
  readonly ranges: PositionRange[]
}

export interface KeptRun {
  readonly run: Run
  /** Frames above this LSN do not count. */
  limit: number
  /** The highest LSN that counts. */
  last: number
  gap: Gap | null
}

/** `startLsn`: the LSN before the first one the log must have; -1 = not known. */
export function chain(runs: readonly Run[], startLsn: number, segmentBytes: number): KeptRun[] {
  const kept: KeptRun[] = []
  for (const run of runs) {
    supersede(kept, run)
    kept.push({ run, limit: Number.POSITIVE_INFINITY, last: run.last, gap: null })
  }
  let lsn = startLsn
  let before: KeptRun | null = null
  for (const next of kept) {
    const { after, segment, from } = next.run
    if (lsn >= 0 && after > lsn) next.gap = gapBefore(before, lsn, after, segment, from, segmentBytes)
    lsn = Math.max(lsn, next.last)
    before = next
  }
  return kept
}

/** Everything of `kept` above the LSN that `run` goes on from is a remain. */
function supersede(kept: KeptRun[], run: Run): void {
  for (let top = kept[kept.length - 1]; top !== undefined && top.last > run.after; top = kept[kept.length - 1]) {
    if (top.run.after < run.after || (top.run.after === run.after && top.run.firstRepeats)) {
      top.limit = run.after
      top.last = run.after
      return
    }
    kept.pop()
  }
}

function gapBefore(
  before: KeptRun | null,
  last: number,
  after: number,
  segment: number,
  from: number,
  segmentBytes: number,
): Gap {
  const missing = { fromLsn: last + 1, toLsn: after, ranges: [] }
  if (before === null || before.run.segment === segment) {
    return { ...missing, segment, fromByte: before === null ? SEGMENT_HEADER_BYTES : before.run.to, toByte: from }
  }
  return { ...missing, segment: before.run.segment, fromByte: before.run.to, toByte: segmentBytes }
}
