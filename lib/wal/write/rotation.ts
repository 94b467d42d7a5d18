/**
 * From one segment to the next: ROLL in the old one, CHECKPOINT in the new one and one small sync of it, before any
 * data follows there. The old one's last sync runs beside later writes.
 * Why LOCK and segment are looked at again here: whoever removed or replaced them may own the directory by now.
 * Source: wal.md 2.2, 2.5, 2.7.
 */
import { join } from 'node:path'
import { walError } from '../errors.js'
import { encodeRoll, ROLL_BYTES } from '../format/bodies/small.js'
import { FRAME_HEADER_BYTES, FrameType } from '../format/constants.js'
import { LOCK_NAME } from '../format/manifest.js'
import type { FileFacts } from '../fs.js'
import type { LogTables } from '../state/tables.js'
import { putCheckpoint } from './checkpoint.js'
import { padBytes, putDraft, sealGroup } from './draft.js'
import { codeOf, type FileCalls } from './file-calls.js'
import { Group } from './group.js'
import type { Limits } from './limits.js'
import type { Progress } from './progress.js'
import type { SegmentFile } from './segment-file.js'

const SMALL_BYTES = 4096

/** A group outside the queue: its frames repeat `lastLsn`. */
export function controlGroup(lastLsn: number): Group {
  const group = new Group(SMALL_BYTES)
  group.lastLsn = lastLsn
  return group
}

export function putRoll(group: Group, next: number): void {
  group.reserve(FRAME_HEADER_BYTES + ROLL_BYTES)
  encodeRoll(group.bytes, group.view, group.length + FRAME_HEADER_BYTES, next)
  group.length = putDraft(group.bytes, group.view, group.length, ROLL_BYTES, FrameType.roll, 0, group.lastLsn)
}

/** Fills up to a sector when the group is written at `at`. */
export function padTo(group: Group, at: number, sectorBytes: number): void {
  const bytes = padBytes(at + group.length, sectorBytes)
  if (bytes === 0) return
  group.reserve(bytes)
  group.bytes.fill(0, group.length, group.length + bytes)
  const body = bytes - FRAME_HEADER_BYTES
  group.length = putDraft(group.bytes, group.view, group.length, body, FrameType.pad, 0, group.lastLsn)
}

/** Seals and writes a control group at the end of a file. */
export async function writeControl(
  calls: FileCalls,
  group: Group,
  file: SegmentFile,
  incarnation: number,
  durableLsn: number,
): Promise<void> {
  sealGroup(group, file.saltCrc, incarnation, durableLsn)
  const at = file.at
  file.at += group.length
  await calls.writeAll(file.fd, group.bytes.subarray(0, group.length), at)
}

export interface RotationParts {
  readonly calls: FileCalls
  readonly dir: string
  readonly limits: Limits
  readonly tables: LogTables
  readonly progress: Progress
  readonly incarnation: number
  readonly lock: FileFacts | null
  readonly oldestSegment: number
  /** Groups in memory: behind the cut. */
  readonly later: readonly Group[]
}

/** `file` null: it is not the disk, somebody else changed the directory. */
export interface Rotated {
  readonly failed: { readonly file: SegmentFile | null; readonly call: string; readonly error: unknown } | null
  readonly checkpointBytes: number
}

/** Ends `old` and begins `next`; the three go beside each other. */
export async function rotate(parts: RotationParts, old: SegmentFile, next: SegmentFile): Promise<Rotated> {
  const { calls, dir, limits, tables, progress, incarnation, lock, oldestSegment, later } = parts
  const { writtenLsn: lastLsn, writtenBodyCrc: lastBodyCrc, attestableLsn } = progress
  const roll = controlGroup(lastLsn)
  putRoll(roll, next.number)
  padTo(roll, old.at, limits.sectorBytes)
  const checkpoint = controlGroup(lastLsn)
  putCheckpoint(checkpoint, tables, limits, { lastLsn, lastBodyCrc, oldestSegment }, later)
  const checkpointBytes = checkpoint.length
  padTo(checkpoint, next.at, limits.sectorBytes)
  const begin = async () => {
    await writeControl(calls, checkpoint, next, incarnation, attestableLsn)
    await calls.fdatasync(next.fd)
  }
  const [ended, begun, owned] = await Promise.allSettled([
    writeControl(calls, roll, old, incarnation, attestableLsn),
    begin(),
    checkOwnership(calls, dir, lock, old),
  ])
  const failed = failedOf(owned, null, 'stat') ?? failedOf(ended, old, 'write') ?? failedOf(begun, next, 'begin')
  if (failed === null) {
    progress.writtenBytes += roll.length
    progress.attestedLsn = Math.max(progress.attestedLsn, attestableLsn)
    old.endBytes = progress.writtenBytes
    old.endLsn = lastLsn
    old.endBodyCrc = lastBodyCrc
  }
  return { failed, checkpointBytes }
}

function failedOf(result: PromiseSettledResult<void>, file: SegmentFile | null, call: string): Rotated['failed'] {
  return result.status === 'fulfilled' ? null : { file, call, error: result.reason }
}

/** LOCK as it was when the log was opened; null: this method of locking has no such file. */
export async function lockFacts(calls: FileCalls, dir: string): Promise<FileFacts | null> {
  try {
    return await calls.stat(join(dir, LOCK_NAME))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

/** @throws MQError WAL_FAILED: LOCK or the segment is not the file it was */
export async function checkOwnership(
  calls: FileCalls,
  dir: string,
  lock: FileFacts | null,
  current: SegmentFile,
): Promise<void> {
  await same(calls, current.path, current)
  if (lock !== null) await same(calls, join(dir, LOCK_NAME), lock)
}

async function same(
  calls: FileCalls,
  path: string,
  was: { readonly device: number; readonly inode: number },
): Promise<void> {
  let found: FileFacts | null = null
  try {
    found = await calls.stat(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  if (found !== null && found.device === was.device && found.inode === was.inode) return
  const what = found === null ? 'is gone' : 'is another file now'
  const text = `${path} ${what}: somebody else changed the directory of an open log, which writes nothing more there`
  throw walError('WAL_FAILED', text, { path })
}
