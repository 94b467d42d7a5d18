/**
 * The names and the heads of a log's files: everything that can be known without walking frames.
 * Invariant: nothing is changed. Files that are none of the log's are left out, files that only look like the log's are
 * damage.
 * Source: wal.md 2.1, 2.8, 4.1.1.
 */
import { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { FORMAT_MAJOR, FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, readFrameHeader, saltCrcOf } from '../format/frame.js'
import {
  decodeManifest,
  MANIFEST_MAX_BYTES,
  MANIFEST_NAME,
  type Manifest,
  segmentNumberOf,
  spareIndexOf,
} from '../format/manifest.js'
import { decodeSegmentHeader, type SegmentHeader } from '../format/segment-header.js'
import type { WalFs } from '../fs.js'
import { closeFile, listDirectory, openFile, readAt } from './disk-calls.js'
import type { SegmentSource } from './segment-source.js'
import { WindowBuffer } from './window-buffer.js'

export interface LogFiles {
  readonly segments: readonly { readonly number: number; readonly name: string }[]
  readonly spares: readonly string[]
  readonly temporaries: readonly string[]
  readonly misnamed: readonly string[]
}

/** A segment and what its head says. */
export interface SegmentFile {
  readonly number: number
  readonly name: string
  readonly source: SegmentSource
  /** null: why it cannot be read is in `problem`. */
  readonly header: SegmentHeader | null
  readonly badCopies: number
  readonly problem: string | null
  readonly saltCrc: number
  /** LSN of the CHECKPOINT it begins with: frames of earlier segments above it do not count. Infinity: none. */
  readonly firstLsn: number
}

/** @throws MQError WAL_MANIFEST_MISSING, WAL_CORRUPT, WAL_VERSION, WAL_PERMISSION */
export async function readManifest(fs: WalFs, dir: string): Promise<Manifest> {
  const path = `${dir}/${MANIFEST_NAME}`
  const buffer = WindowBuffer.lease(MANIFEST_MAX_BYTES)
  try {
    const fd = await openFile(fs, path)
    let length: number
    try {
      length = await readAt(fs, fd, buffer.bytes.subarray(0, MANIFEST_MAX_BYTES), 0)
    } finally {
      await closeFile(fs, fd)
    }
    return decoded(buffer.bytes.subarray(0, length))
  } catch (error) {
    throw error instanceof MQError ? error : unreadable(path, error as NodeJS.ErrnoException)
  } finally {
    buffer.release()
  }
}

/** The last one decoded: a MANIFEST never changes, and whoever reads a directory once often reads it again. */
let known: { readonly bytes: Uint8Array; readonly manifest: Manifest } | null = null

function decoded(bytes: Uint8Array): Manifest {
  if (known !== null && Buffer.compare(known.bytes, bytes) === 0) return known.manifest
  const manifest = decodeManifest(bytes)
  known = { bytes: bytes.slice(), manifest }
  return manifest
}

function unreadable(path: string, error: NodeJS.ErrnoException): Error {
  const context = { path, errno: error.code }
  if (error.code === 'ENOENT') {
    return walError(
      'WAL_MANIFEST_MISSING',
      `${path} is missing: rebuild it with "wal repair --rebuild-manifest"`,
      context,
      error,
    )
  }
  if (error.code === 'EACCES' || error.code === 'EPERM' || error.code === 'ELOOP') {
    return walError('WAL_PERMISSION', `${path} may not be read: give this process the rights`, context, error)
  }
  return walError(
    'WAL_CORRUPT',
    `${path} cannot be read (${error.code}): rebuild it with "wal repair --rebuild-manifest"`,
    context,
    error,
  )
}

export async function listFiles(fs: WalFs, dir: string): Promise<LogFiles> {
  let names: string[]
  try {
    names = await listDirectory(fs, dir)
  } catch (error) {
    throw unreadable(dir, error as NodeJS.ErrnoException)
  }
  const segments: { number: number; name: string }[] = []
  const spares: string[] = []
  const temporaries: string[] = []
  const misnamed: string[] = []
  for (const name of names) {
    const number = segmentNumberOf(name)
    if (number !== null) segments.push({ number, name })
    else if (spareIndexOf(name) !== null) spares.push(name)
    else if (name.endsWith('.tmp')) temporaries.push(name)
    else if (name.endsWith('.wal')) misnamed.push(name)
  }
  segments.sort((one, other) => one.number - other.number)
  return { segments, spares: spares.sort(), temporaries: temporaries.sort(), misnamed: misnamed.sort() }
}

const frame = new FrameHeader()

/**
 * Reads the head of a segment into the window of `source`.
 * @throws MQError WAL_VERSION: of a major this release does not read, or with features it does not know
 */
export async function readHead(
  manifest: Manifest,
  walId: Uint8Array,
  number: number,
  name: string,
  source: SegmentSource,
  headBytes: number,
): Promise<SegmentFile> {
  await source.fill(0, Math.min(headBytes, source.end))
  const index = -source.origin
  const head = source.bytes.subarray(index, index + Math.min(source.filledTo, SEGMENT_HEADER_BYTES))
  const decoded = decodeSegmentHeader(head)
  const problem =
    decoded === null ? 'neither copy of its header is readable' : problemOf(decoded.header, manifest, walId, number)
  if (decoded === null || problem !== null) {
    return { number, name, source, header: null, badCopies: 2, problem, saltCrc: 0, firstLsn: Number.POSITIVE_INFINITY }
  }
  const saltCrc = saltCrcOf(decoded.header.salt)
  const at = index + SEGMENT_HEADER_BYTES
  const isThere = source.filledTo >= SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES
  const isCheckpoint =
    isThere && readFrameHeader(source.bytes, source.view, at, saltCrc, frame) && frame.type === FrameType.checkpoint
  const firstLsn = isCheckpoint ? frame.lsn : Number.POSITIVE_INFINITY
  return { number, name, source, header: decoded.header, badCopies: decoded.badCopies, problem, saltCrc, firstLsn }
}

function problemOf(header: SegmentHeader, manifest: Manifest, walId: Uint8Array, number: number): string | null {
  if (header.major !== FORMAT_MAJOR || header.features !== 0) {
    const what =
      header.major !== FORMAT_MAJOR
        ? `format version ${header.major}.${header.minor}`
        : `feature flags ${header.features.toString(16)}`
    const text = `segment ${number} has ${what}, which this release does not know: use the release that wrote it`
    throw walError('WAL_VERSION', text, { segment: number, found: header.major, expected: FORMAT_MAJOR })
  }
  if (header.segment !== number) return `its header says that it is segment ${header.segment}`
  if (Buffer.compare(header.walId, walId) !== 0) {
    return `it belongs to the log ${Buffer.from(header.walId).toString('hex')}`
  }
  if (header.segmentBytes !== manifest.segmentBytes) return `its header says ${header.segmentBytes} B per segment`
  return null
}
