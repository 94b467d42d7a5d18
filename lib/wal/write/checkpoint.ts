/**
 * CHECKPOINT frames for a place in the log.
 * Why the tables are turned back for a moment: they hold what was appended, also what comes behind this place and may
 * be lost; a checkpoint that counted it would leave a gap of positions nobody ever had.
 * Source: wal.md 2.5, 3.7.
 */
import { BATCH_PREFIX_BYTES, FRAME_HEADER_BYTES, FrameType } from '../format/constants.js'
import { getU64 } from '../format/integers.js'
import type { LogTables } from '../state/tables.js'
import { draftBodyBytes, draftEnd, draftLsn, draftType, putDraft } from './draft.js'
import type { Group } from './group.js'
import type { Limits } from './limits.js'

export interface CheckpointPlace {
  /** Last LSN before it, and the CRC of that frame's body. */
  readonly lastLsn: number
  readonly lastBodyCrc: number
  readonly oldestSegment: number
}

/** Puts the parts at the end of `group`. `later` are all groups in memory that hold frames behind `place`. */
export function putCheckpoint(
  group: Group,
  tables: LogTables,
  limits: Limits,
  place: CheckpointPlace,
  later: readonly Group[],
): void {
  const mostBody = limits.maxFrameBytes - FRAME_HEADER_BYTES
  const bodies = turnedBack(tables, place.lastLsn, later, () =>
    tables.checkpoint(place.lastLsn, place.lastBodyCrc, place.oldestSegment, mostBody),
  )
  for (const body of bodies) {
    group.reserve(FRAME_HEADER_BYTES + body.length + 8)
    group.bytes.set(body, group.length + FRAME_HEADER_BYTES)
    group.length = putDraft(group.bytes, group.view, group.length, body.length, FrameType.checkpoint, 0, place.lastLsn)
  }
}

function turnedBack<T>(tables: LogTables, lastLsn: number, later: readonly Group[], task: () => T): T {
  const positions = new Map<number, number>()
  for (const group of later) notePositions(group, lastLsn, positions)
  const kept = [...positions].map(([stream, position]) => {
    const facts = tables.streams.get(stream)!
    const { nextPosition, settledThrough } = facts
    facts.nextPosition = position
    facts.settledThrough = Math.min(settledThrough, position)
    return { facts, nextPosition, settledThrough }
  })
  try {
    return task()
  } finally {
    for (const { facts, nextPosition, settledThrough } of kept) {
      facts.nextPosition = nextPosition
      facts.settledThrough = settledThrough
    }
  }
}

/** First position per stream among the BATCH frames behind an LSN; parts of a split take positions that exist. */
function notePositions(group: Group, lastLsn: number, into: Map<number, number>): void {
  const { bytes, view, length } = group
  for (let at = 0; at < length; at = draftEnd(view, at)) {
    if (draftType(bytes, at) !== FrameType.batch || draftLsn(view, at) <= lastLsn) continue
    if (draftBodyBytes(view, at) < BATCH_PREFIX_BYTES || (bytes[at + FRAME_HEADER_BYTES + 35] as number) > 1) continue
    const stream = view.getUint32(at + FRAME_HEADER_BYTES, true)
    if (!into.has(stream)) into.set(stream, getU64(view, at + FRAME_HEADER_BYTES + 8))
  }
}
