/**
 * The file that appending goes on in, when a log is opened.
 * What the process before left in the page cache is synced first: the frames that follow will say that it is durable.
 * Source: wal.md 4.1.
 */
import { join } from 'node:path'
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { segmentName } from '../format/manifest.js'
import type { LogTables } from '../state/tables.js'
import { putCheckpoint } from './checkpoint.js'
import type { FileCalls } from './file-calls.js'
import type { Limits } from './limits.js'
import type { Progress } from './progress.js'
import { controlGroup, padTo, writeControl } from './rotation.js'
import { SegmentFile } from './segment-file.js'
import type { Shelf } from './shelf.js'
import type { StartSegment, WriterStart } from './writer-start.js'

export interface BeginParts {
  readonly dir: string
  readonly calls: FileCalls
  readonly limits: Limits
  readonly tables: LogTables
  readonly progress: Progress
  readonly shelf: Shelf
}

export async function beginSegment(parts: BeginParts, start: WriterStart): Promise<SegmentFile> {
  const { calls, dir, progress, shelf } = parts
  const kept = contiguous(start.segments)
  for (const { number, salt } of start.segments) shelf.live.set(number, salt)
  const last = kept.at(-1)
  progress.oldestSegment = kept[0]?.number ?? 1
  await shelf.adopt(start.spares)
  const { end } = start
  if (end !== null) {
    await syncOld(calls, dir, end.segment - 1, shelf)
    return reopened(parts, end)
  }
  if (last !== undefined) await syncOld(calls, dir, start.isEmptyLast ? last.number - 1 : last.number, shelf)
  const file = start.isEmptyLast && last !== undefined ? await reused(parts, last) : await added(parts, last)
  shelf.live.set(file.number, file.salt)
  return file
}

/** Segments below a gap are leftovers: recovery has made sure that nothing in them is needed. */
function contiguous(segments: readonly StartSegment[]): readonly StartSegment[] {
  let from = segments.length - 1
  while (from > 0 && segments[from - 1]?.number === (segments[from] as StartSegment).number - 1) from--
  return from < 0 ? [] : segments.slice(from)
}

async function syncOld(calls: FileCalls, dir: string, number: number, shelf: Shelf): Promise<void> {
  if (!shelf.live.has(number)) return
  const fd = await calls.open(join(dir, segmentName(number)), 'write')
  try {
    await calls.fdatasync(fd)
  } finally {
    await calls.close(fd)
  }
}

async function reopened(parts: BeginParts, end: NonNullable<WriterStart['end']>): Promise<SegmentFile> {
  const { calls, dir, shelf } = parts
  const path = join(dir, segmentName(end.segment))
  const salt = shelf.live.get(end.segment)
  if (salt === undefined)
    throw walError('WAL_SEGMENT_MISSING', `${path} is the end of the log and is not there`, { path })
  const facts = await calls.stat(path)
  const fd = await calls.open(path, 'write')
  return closing(calls, fd, async () => {
    await calls.fdatasync(fd)
    return new SegmentFile(end.segment, path, fd, salt, end.at, facts)
  })
}

/** The last segment holds nothing: it begins again with another salt. */
async function reused(parts: BeginParts, last: StartSegment): Promise<SegmentFile> {
  const { calls, dir, shelf } = parts
  const path = join(dir, segmentName(last.number))
  const fd = await calls.open(path, 'write')
  return closing(calls, fd, async () => {
    const file = await filled(parts, last.number, path, fd, shelf.newSalt())
    return file
  })
}

async function added(parts: BeginParts, last: StartSegment | undefined): Promise<SegmentFile> {
  const { calls, dir, shelf } = parts
  const number = (last?.number ?? 0) + 1
  const name = await fileFor(parts)
  const path = join(dir, segmentName(number))
  const fd = await calls.open(join(dir, name), 'write')
  return closing(calls, fd, async () => {
    const { salt, at } = await filled(parts, number, join(dir, name), fd, shelf.newSalt())
    await calls.rename(join(dir, name), path)
    await calls.fsyncDir(dir)
    shelf.named(name)
    return new SegmentFile(number, path, fd, salt, at, await calls.stat(path))
  })
}

/** A spare, or a new file. @throws MQError WAL_FULL */
export async function fileFor({ dir, shelf, limits }: BeginParts): Promise<string> {
  const name = shelf.take() ?? (shelf.canMakeFiles && (await shelf.make()) ? shelf.take() : null)
  if (name !== null) return name
  throw noRoom(dir, limits)
}

export function noRoom(dir: string, { segmentBytes }: Limits): MQError {
  return walError(
    'WAL_FULL',
    `${dir}: no room for another segment of ${segmentBytes} B: free space (wal.minFreeBytes) or raise wal.maxBytes`,
    { path: dir, bytes: segmentBytes },
  )
}

/** Header and CHECKPOINT, synced. */
async function filled(
  parts: BeginParts,
  number: number,
  path: string,
  fd: number,
  salt: Uint8Array,
): Promise<SegmentFile> {
  const { calls, limits, progress, shelf, tables } = parts
  const file = new SegmentFile(number, path, fd, salt, SEGMENT_HEADER_BYTES, await calls.stat(path))
  const group = controlGroup(progress.writtenLsn)
  const oldestSegment = Math.min(progress.oldestSegment, number)
  const { writtenLsn, writtenBodyCrc, attestableLsn } = progress
  putCheckpoint(group, tables, limits, { lastLsn: writtenLsn, lastBodyCrc: writtenBodyCrc, oldestSegment }, [])
  padTo(group, file.at, limits.sectorBytes)
  await calls.writeAll(fd, shelf.headerOf(number, salt), 0)
  await writeControl(calls, group, file, shelf.incarnation, attestableLsn)
  await calls.fdatasync(fd)
  return file
}

async function closing(calls: FileCalls, fd: number, task: () => Promise<SegmentFile>): Promise<SegmentFile> {
  try {
    return await task()
  } catch (error) {
    await calls.close(fd)
    throw error
  }
}
