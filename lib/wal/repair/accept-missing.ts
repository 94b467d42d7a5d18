/**
 * Going on without a segment that is lost for good: an empty one takes its place, so that the numbers have no gap; what
 * it held is then missed by LSN, like any other damage, and recorded by the opening that follows under
 * `onCorruption: 'quarantine'`.
 * Why a file and not a note that skips it: the next reader would need the note, and there is no mutable file (wal.md 2.1).
 * Source: wal.md 4.1 step 2, 5.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { encodeCheckpoint } from '../format/bodies/checkpoint.js'
import { FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { saltCrcOf, sealFrame } from '../format/frame.js'
import { decodeManifest, MANIFEST_MAX_BYTES, MANIFEST_NAME, type Manifest, segmentName } from '../format/manifest.js'
import { encodeSegmentHeader, type SegmentHeader } from '../format/segment-header.js'
import { Disk, orNull } from '../open/disk.js'
import { acquireLock } from '../open/lock.js'
import { type FrameView, readFrames } from '../read/frames.js'
import type { WalParts } from '../types.js'
import { copyAside } from './copy-aside.js'
import { nothingToDo, type RepairPlan } from './plan.js'
import { readSegmentHeaders } from './segment-headers.js'

const CHUNK_BYTES = 1 << 20

/** @throws MQError WAL_MANIFEST_MISSING, WAL_SEGMENT_MISSING: a number that this log never reached */
export async function planAcceptMissing(parts: WalParts, dir: string, segment: number): Promise<RepairPlan> {
  const disk = new Disk(parts.fs)
  const bytes = await disk.readFile(`${dir}/${MANIFEST_NAME}`, MANIFEST_MAX_BYTES)
  if (bytes === null) {
    const text = `${dir} has no MANIFEST: rebuild it first, with --rebuild-manifest`
    throw walError('WAL_MANIFEST_MISSING', text, { path: dir })
  }
  const manifest = decodeManifest(bytes)
  const name = segmentName(segment)
  if ((await orNull(disk.stat(`${dir}/${name}`), 'ENOENT')) !== null) {
    return nothingToDo(`segment ${segment} (${name}) is there: if it is damaged, see --quarantine`)
  }
  const headers = await readSegmentHeaders(disk, dir)
  const highest = headers.at(-1) as SegmentHeader
  if (segment > highest.segment + 1) throw beyond(dir, segment, highest.segment)
  const neighbours = await neighboursOf(disk, parts, dir, headers, segment)
  const steps = [`make an empty ${name} in the place of segment ${segment}`]
  return {
    steps,
    warnings: [neighbours.isFollowed ? TOLD : UNTOLD],
    copies: [],
    apply: async () => {
      const { release } = await acquireLock(disk, parts.fs, dir, manifest.lock, undefined)
      try {
        const copies = await copyAside(disk, dir, [], parts.clock.now(), { repair: 'accept-missing', steps })
        const start = startOf(parts, manifest, segment, highest, neighbours)
        await disk.replaceFile(dir, name, (fd, draft) => fill(disk, manifest, start, fd, draft))
        return { copies }
      } finally {
        release()
      }
    },
  }
}

const TOLD = 'every record that only this segment held is lost for good; the opening that follows tells which'
const UNTOLD =
  'no frame follows it: how many records it held cannot be told, they are lost for good and without a count'

/** Where the log stood before the segment, and whether it went on behind it. */
interface Neighbours {
  /** null: it is the first one. */
  readonly before: { readonly lsn: number; readonly bodyCrc: number; readonly incarnation: number } | null
  readonly oldest: number
  readonly isFollowed: boolean
}

async function neighboursOf(
  disk: Disk,
  { fs }: WalParts,
  dir: string,
  headers: readonly SegmentHeader[],
  segment: number,
): Promise<Neighbours> {
  let isFollowed = false
  for (const later of headers.filter((header) => header.segment > segment)) {
    isFollowed ||= (await readFrames(fs, dir, later.segment, () => {})).frames > 0
  }
  const oldest = (headers[0] as SegmentHeader).segment
  if (!headers.some((header) => header.segment === segment - 1)) return { before: null, oldest, isFollowed }
  let last: FrameView | null = null
  await readFrames(fs, dir, segment - 1, (frame) => {
    // CHECKPOINT, PAD and ROLL repeat the LSN before them.
    if (!REPEATING.includes(frame.type)) last = frame
  })
  if (last === null) return { before: null, oldest, isFollowed }
  const { at, lsn, incarnation } = last as FrameView
  return { before: { lsn, incarnation, bodyCrc: await bodyCrcAt(disk, dir, segment - 1, at) }, oldest, isFollowed }
}

const REPEATING: readonly number[] = [FrameType.checkpoint, FrameType.pad, FrameType.roll]

/** The first field of a frame's header (wal.md 2.4). */
async function bodyCrcAt(disk: Disk, dir: string, segment: number, at: number): Promise<number> {
  const path = `${dir}/${segmentName(segment)}`
  const fd = await disk.open(path, 'read')
  const bytes = new Uint8Array(4)
  await disk.closing(fd, path, () => disk.read(fd, path, bytes, at))
  return new DataView(bytes.buffer).getUint32(0, true)
}

/**
 * A header; between two others also the CHECKPOINT that every segment begins with: its cut is where the log stood before,
 * and it knows nothing that the frames before it did not say. Where it would be the first, nobody knows what was before;
 * where it is the last, a segment that holds nothing is used again.
 */
function startOf(
  parts: WalParts,
  manifest: Manifest,
  segment: number,
  { incarnation }: SegmentHeader,
  { before, oldest, isFollowed }: Neighbours,
): Uint8Array {
  const { major, minor, segmentBytes, sectorBytes } = manifest
  const walId = Buffer.from(manifest.walId, 'hex')
  const salt = new Uint8Array(8)
  parts.randomBytes(salt)
  const createdAtMs = Math.max(0, Math.floor(parts.clock.now()))
  const start = new Uint8Array(2 * SEGMENT_HEADER_BYTES)
  const header = {
    major,
    minor,
    walId,
    segment,
    salt,
    segmentBytes,
    sectorBytes,
    incarnation,
    createdAtMs,
    features: 0,
  }
  encodeSegmentHeader(header, start)
  if (before === null || !isFollowed) return start
  const view = new DataView(start.buffer)
  const bodyAt = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES
  const bodyEnd = encodeCheckpoint(start, view, bodyAt, {
    ...NOTHING_NEW,
    previousLastLsn: before.lsn,
    previousLastBodyCrc: before.bodyCrc,
    oldestLiveSegment: oldest,
  })
  const { checkpoint } = FrameType
  const [from, saltCrc] = [SEGMENT_HEADER_BYTES, saltCrcOf(salt)]
  sealFrame(
    start,
    view,
    from,
    bodyEnd - bodyAt,
    checkpoint,
    0,
    before.lsn,
    ATTESTS_NOTHING,
    before.incarnation,
    saltCrc,
  )
  return start
}

const NOTHING_NEW = {
  ...{ part: 0, parts: 1, clusterId: '', identities: [], incarnations: [], streams: [], settled: [] },
  lastOpen: null,
}
/** `durableLag` of a frame that does not know what was synced before it. */
const ATTESTS_NOTHING = 0xffff_ffff

/** What it begins with, and zeros. */
async function fill(
  disk: Disk,
  { segmentBytes }: Manifest,
  start: Uint8Array,
  fd: number,
  path: string,
): Promise<void> {
  await disk.write(fd, path, start, 0)
  const zeros = new Uint8Array(Math.min(segmentBytes, CHUNK_BYTES))
  for (let at = start.length; at < segmentBytes; at += zeros.length) {
    await disk.write(fd, path, zeros.subarray(0, Math.min(zeros.length, segmentBytes - at)), at)
  }
}

function beyond(dir: string, segment: number, highest: number): MQError {
  const text = `${dir} ends with segment ${highest}: segment ${segment} was never part of it`
  return walError('WAL_SEGMENT_MISSING', text, { path: dir, segment, highest })
}
