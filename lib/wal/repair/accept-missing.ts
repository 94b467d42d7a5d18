/**
 * Going on without a segment that is lost for good: an empty one takes its place, so that the numbers have no gap; what
 * it held is then missed by LSN, like any other damage, and recorded by the opening that follows under
 * `onCorruption: 'quarantine'`.
 * Why a file and not a note that skips it: the next reader would need the note, and there is no mutable file (wal.md 2.1).
 * Source: wal.md 4.1 step 2, 5.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { decodeManifest, MANIFEST_MAX_BYTES, MANIFEST_NAME, type Manifest, segmentName } from '../format/manifest.js'
import { encodeSegmentHeader, type SegmentHeader } from '../format/segment-header.js'
import { Disk, orNull } from '../open/disk.js'
import { acquireLock } from '../open/lock.js'
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
  const steps = [`make an empty ${name} in the place of segment ${segment}`]
  const warnings =
    segment > highest.segment
      ? ['it would be the last segment: how many records it held cannot be told, they are lost without a count']
      : ['every record that only this segment held is lost for good, and told as lost by the opening that follows']
  return {
    steps,
    warnings,
    copies: [],
    apply: async () => {
      const { release } = await acquireLock(disk, parts.fs, dir, manifest.lock, undefined)
      try {
        const copies = await copyAside(disk, dir, [], parts.clock.now(), { repair: 'accept-missing', steps })
        await disk.replaceFile(dir, name, (fd, draft) => fill(disk, parts, manifest, segment, highest, fd, draft))
        return { copies }
      } finally {
        release()
      }
    },
  }
}

/** A header, and nothing behind it. */
async function fill(
  disk: Disk,
  parts: WalParts,
  manifest: Manifest,
  segment: number,
  { incarnation }: SegmentHeader,
  fd: number,
  path: string,
): Promise<void> {
  const { major, minor, segmentBytes, sectorBytes } = manifest
  const walId = Buffer.from(manifest.walId, 'hex')
  const salt = new Uint8Array(8)
  parts.randomBytes(salt)
  const createdAtMs = Math.max(0, Math.floor(parts.clock.now()))
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
  const chunk = new Uint8Array(Math.max(SEGMENT_HEADER_BYTES, Math.min(segmentBytes, CHUNK_BYTES)))
  encodeSegmentHeader(header, chunk)
  await disk.write(fd, path, chunk, 0)
  chunk.fill(0)
  for (let at = chunk.length; at < segmentBytes; at += chunk.length) {
    await disk.write(fd, path, chunk.subarray(0, Math.min(chunk.length, segmentBytes - at)), at)
  }
}

function beyond(dir: string, segment: number, highest: number): MQError {
  const text = `${dir} ends with segment ${highest}: segment ${segment} was never part of it`
  return walError('WAL_SEGMENT_MISSING', text, { path: dir, segment, highest })
}
