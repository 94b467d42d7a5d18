/**
 * Making a log: segment 1 first, complete and synced, then MANIFEST. A crash between any two calls leaves a directory
 * from which making starts again, and MANIFEST without segments can only mean that segments were lost.
 * Source: wal.md 2.1.
 */
import { dirname } from 'node:path'
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { encodeCheckpoint } from '../format/bodies/checkpoint.js'
import {
  FORMAT_MAJOR,
  FORMAT_MINOR,
  FRAME_HEADER_BYTES,
  FrameType,
  SECTOR_BYTES,
  SEGMENT_HEADER_BYTES,
} from '../format/constants.js'
import { FrameHeader, frameBytes, readFrameHeader, saltCrcOf, sealFrame } from '../format/frame.js'
import {
  encodeManifest,
  MANIFEST_NAME,
  type Manifest,
  segmentName,
  segmentNumberOf,
  spareIndexOf,
} from '../format/manifest.js'
import { decodeSegmentHeader, encodeSegmentHeader } from '../format/segment-header.js'
import type { LockMethod } from '../fs.js'
import type { WalOptions, WalParts } from '../types.js'
import { type Disk, orNull } from './disk.js'

const FIRST_SEGMENT = 1
/** What is there before the first opening has written anything. */
const NO_LSN = 0
const NO_INCARNATION = 0
const CHUNK_BYTES = 1 << 20

/** Makes the log of a directory that has no MANIFEST. @throws MQError WAL_MANIFEST_MISSING: there are records in it */
export async function createLog(
  disk: Disk,
  parts: WalParts,
  options: WalOptions,
  lock: LockMethod,
  names: readonly string[],
): Promise<void> {
  const { dir } = options
  await refuseData(disk, dir, names)
  await syncName(disk, parts, dir)
  for (const name of names) if (isRemains(name)) await disk.unlink(`${dir}/${name}`)
  const manifest = newManifest(parts, options, lock)
  await disk.replaceFile(dir, segmentName(FIRST_SEGMENT), (fd, draft) => fillSegment(disk, parts, manifest, fd, draft))
  const text = encodeManifest(manifest)
  await disk.replaceFile(dir, MANIFEST_NAME, (fd, draft) => disk.write(fd, draft, text, 0))
}

/** Whoever made the directory may have died before its name was on the disk. A parent we may not read stays as it is. */
async function syncName(disk: Disk, parts: WalParts, dir: string): Promise<void> {
  const parent = dirname(dir)
  if (
    (await orNull(
      disk.fsyncDir(parent).then(() => true),
      'EACCES',
    )) === null
  ) {
    parts.logger.warn('the name of the new directory of the log could not be synced', { path: parent })
  }
}

/** Of an interrupted making, or spares of a size that nobody knows any more. */
function isRemains(name: string): boolean {
  return name.endsWith('.tmp') || spareIndexOf(name) !== null
}

function newManifest(parts: WalParts, options: WalOptions, lock: LockMethod): Manifest {
  const walId = new Uint8Array(16)
  parts.randomBytes(walId)
  return {
    format: 'tandem-mq-wal',
    major: FORMAT_MAJOR,
    minor: FORMAT_MINOR,
    walId: Buffer.from(walId).toString('hex'),
    owner: options.owner,
    segmentBytes: options.segmentBytes,
    sectorBytes: SECTOR_BYTES,
    lock,
    createdAtMs: Math.max(0, Math.floor(parts.clock.now())),
  }
}

/** Header, an empty CHECKPOINT, zeros to the end. */
async function fillSegment(disk: Disk, parts: WalParts, manifest: Manifest, fd: number, path: string): Promise<void> {
  const { segmentBytes } = manifest
  const chunk = new Uint8Array(Math.min(segmentBytes, CHUNK_BYTES))
  putStart(chunk, parts, manifest)
  await disk.write(fd, path, chunk, 0)
  chunk.fill(0)
  for (let at = chunk.length; at < segmentBytes; at += chunk.length) {
    await disk.write(fd, path, chunk.subarray(0, Math.min(chunk.length, segmentBytes - at)), at)
  }
}

function putStart(into: Uint8Array, parts: WalParts, manifest: Manifest): void {
  const salt = new Uint8Array(8)
  parts.randomBytes(salt)
  const { major, minor, segmentBytes, sectorBytes, createdAtMs } = manifest
  const walId = Buffer.from(manifest.walId, 'hex')
  const sizes = { segmentBytes, sectorBytes, incarnation: NO_INCARNATION, createdAtMs, features: 0 }
  encodeSegmentHeader({ major, minor, walId, segment: FIRST_SEGMENT, salt, ...sizes }, into)
  const view = new DataView(into.buffer)
  const bodyAt = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES
  const bodyEnd = encodeCheckpoint(into, view, bodyAt, EMPTY_CHECKPOINT)
  const { checkpoint } = FrameType
  const saltCrc = saltCrcOf(salt)
  sealFrame(into, view, SEGMENT_HEADER_BYTES, bodyEnd - bodyAt, checkpoint, 0, NO_LSN, 0, NO_INCARNATION, saltCrc)
}

const EMPTY_CHECKPOINT = {
  part: 0,
  parts: 1,
  previousLastLsn: NO_LSN,
  previousLastBodyCrc: 0,
  oldestLiveSegment: FIRST_SEGMENT,
  clusterId: '',
  identities: [],
  incarnations: [],
  streams: [],
  settled: [],
  lastOpen: null,
}

/** Segments without a MANIFEST may be made anew only where an interrupted making left them. */
async function refuseData(disk: Disk, dir: string, names: readonly string[]): Promise<void> {
  const segments = names.filter((name) => segmentNumberOf(name) !== null)
  if (segments.length === 0) return
  const [first = ''] = segments
  if (segments.length > 1 || segmentNumberOf(first) !== FIRST_SEGMENT) throw manifestMissing(dir, segments)
  if (!(await isUntouched(disk, `${dir}/${first}`))) throw manifestMissing(dir, segments)
}

/** As `fillSegment` leaves it: nothing but zeros behind the first CHECKPOINT. */
async function isUntouched(disk: Disk, path: string): Promise<boolean> {
  const { bytes: fileBytes } = await disk.stat(path)
  const chunk = new Uint8Array(Math.max(SEGMENT_HEADER_BYTES * 2, CHUNK_BYTES))
  const fd = await disk.open(path, 'read')
  return disk.closing(fd, path, async () => {
    for (let at = 0; at < fileBytes; at += chunk.length) {
      const read = await disk.read(fd, path, chunk, at)
      const from = at === 0 ? startEndOf(chunk.subarray(0, read)) : 0
      if (from < 0 || !isZero(chunk, from, read)) return false
    }
    return true
  })
}

/** Where the zeros begin; -1: it does not begin as a new segment does. */
function startEndOf(bytes: Uint8Array): number {
  const decoded = decodeSegmentHeader(bytes)
  if (decoded === null || bytes.length < SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES) return -1
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frame = new FrameHeader()
  if (!readFrameHeader(bytes, view, SEGMENT_HEADER_BYTES, saltCrcOf(decoded.header.salt), frame)) return -1
  if (frame.type !== FrameType.checkpoint || frame.lsn !== NO_LSN) return -1
  return SEGMENT_HEADER_BYTES + frameBytes(frame.bodyLength)
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false
  return true
}

function manifestMissing(dir: string, segments: readonly string[]): MQError {
  return walError(
    'WAL_MANIFEST_MISSING',
    `${dir} holds ${segments.length} segments (${segments.slice(0, 3).join(', ')}${segments.length > 3 ? ' ...' : ''}) and no MANIFEST: nothing was changed; restore the file, or rebuild it with "wal repair --rebuild-manifest"`,
    { path: dir, segments: segments.length },
  )
}
