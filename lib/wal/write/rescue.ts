/**
 * After a failed write or sync: everything that is not known to be durable is written again, in another segment.
 * Why whole before it has a name: the process may die in the middle; until the rename the old segment still is the end
 * of the log, behind it the new one says with its cut what of the old one counts.
 * Why not the same descriptor: after a failed fdatasync a later one may succeed although the pages are lost.
 * Source: wal.md 3.7.
 */
import { join } from 'node:path'
import { FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { segmentName } from '../format/manifest.js'
import type { LogTables } from '../state/tables.js'
import { putCheckpoint } from './checkpoint.js'
import type { CommitLine } from './commit-line.js'
import { draftEnd, draftLsn, draftType, entryLsnOf, holdsEntry, sealGroup } from './draft.js'
import { type FileCalls, NO_ROOM_CODES } from './file-calls.js'
import type { Group } from './group.js'
import type { Limits } from './limits.js'
import type { Progress } from './progress.js'
import { controlGroup, padTo } from './rotation.js'
import { SegmentFile } from './segment-file.js'
import type { Shelf } from './shelf.js'

export interface RescueParts {
  readonly dir: string
  readonly calls: FileCalls
  readonly tables: LogTables
  readonly limits: Limits
  readonly progress: Progress
  readonly shelf: Shelf
  readonly line: CommitLine
  readonly incarnation: number
}

/** @throws what a call of the file system answered, or that there is no room for another segment */
export async function rescue(parts: RescueParts): Promise<SegmentFile> {
  const { calls, dir, incarnation, limits, line, progress, shelf, tables } = parts
  await line.quiet()
  const number = shelf.nextNumber
  const name = await shelf.takeForRescue()
  if (name === null) throw noFile(limits)
  const group = composed(parts)
  padTo(group, SEGMENT_HEADER_BYTES, limits.sectorBytes)
  if (SEGMENT_HEADER_BYTES + group.length + limits.tailBytes > limits.segmentBytes) throw noFile(limits)
  const salt = shelf.newSalt()
  const path = join(dir, segmentName(number))
  const fd = await calls.open(join(dir, name), 'write')
  const draft = new SegmentFile(number, path, fd, salt, SEGMENT_HEADER_BYTES, { device: 0, inode: 0 })
  sealGroup(group, draft.saltCrc, incarnation, progress.attestableLsn)
  const lastBodyCrc = group.sealedLsn > 0 ? group.lastBodyCrc : progress.durableBodyCrc
  await calls.writeAll(fd, shelf.headerOf(number, salt), 0)
  await calls.writeAll(fd, group.bytes.subarray(0, group.length), SEGMENT_HEADER_BYTES)
  await calls.fdatasync(fd)
  await calls.rename(join(dir, name), path)
  await calls.fsyncDir(dir)
  const facts = await calls.stat(path)
  const file = new SegmentFile(number, path, fd, salt, SEGMENT_HEADER_BYTES + group.length, facts)
  shelf.named(name)
  shelf.live.set(number, salt)
  relocate(group, number, tables)
  for (const waiting of line.unwritten) adopt(waiting, number, tables)
  file.endLsn = group.lastLsn
  file.endBodyCrc = lastBodyCrc
  return file
}

/** CHECKPOINT with the cut, then every frame behind it with its LSN. */
function composed(parts: RescueParts): Group {
  const { limits, line, progress, tables } = parts
  const { durableLsn, durableBodyCrc, oldestSegment } = progress
  const group = controlGroup(durableLsn)
  const place = { lastLsn: durableLsn, lastBodyCrc: durableBodyCrc, oldestSegment }
  putCheckpoint(group, tables, limits, place, [...line.retained, ...line.unwritten])
  for (const { group: from, at, end } of line.undurableFrames()) {
    group.reserve(end - at)
    group.bytes.set(from.bytes.subarray(at, end), group.length)
    group.length += end - at
    group.lastLsn = draftLsn(from.view, at)
  }
  return group
}

function relocate(group: Group, segment: number, tables: LogTables): void {
  const { bytes, view, length } = group
  for (let at = 0; at < length; ) {
    if (holdsEntry(draftType(bytes, at))) {
      tables.relocated(entryLsnOf(bytes, view, at), segment, SEGMENT_HEADER_BYTES + at)
    }
    at = draftEnd(view, at)
  }
}

/**
 * What waits to be written is counted with the new segment from now on. Otherwise a segment that is given up as a whole
 * (its CHECKPOINT is behind the cut) could be called the oldest that is needed, and no reader can begin there.
 */
function adopt(waiting: Group, segment: number, tables: LogTables): void {
  const { bytes, view, length } = waiting
  for (let at = 0; at < length; at = draftEnd(view, at)) {
    if (draftType(bytes, at) === FrameType.batch) tables.relocated(draftLsn(view, at), segment, -1)
  }
}

function noFile(limits: Limits): NodeJS.ErrnoException {
  const text = `no other segment of ${limits.segmentBytes} B can be had within wal.maxBytes`
  return Object.assign(new Error(text), { code: NO_ROOM_CODES[0] as string })
}
