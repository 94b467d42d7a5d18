/**
 * How many bytes a zstd stream can decompress to, from its headers alone.
 * Why: the package decompresses without a limit of its own, and a frame of 20 bytes can say "128 KiB of zeros" as
 * often as it likes. Frames and blocks are walked before anything is decoded.
 *
 *   28 B5 2F FD | descriptor | window? | dictionary id 0,1,2,4 | content size 0,1,2,4,8 | { 3 bytes: last, type, size | bytes } | xxh64 low 4?
 *
 * Source: RFC 8878 section 3.
 */
import { broken } from './failures.js'

export interface ZstdBound {
  /** Certainly reached by a correct stream: what stored and repeated blocks and content sizes say. */
  readonly atLeast: number
  /** Never exceeded: a compressed block holds at most 128 KiB and at most one window. */
  readonly atMost: number
  /** The frames without the skippable ones between them. */
  readonly frames: readonly Uint8Array[]
}

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
/** Largest content of one block. */
export const MAX_BLOCK_BYTES = 128 * 1024
/** Largest window a reader of Kafka data accepts. */
const MAX_WINDOW_BYTES = 128 * 1024 * 1024
/** Writers send one frame, some a few. A list of frames of 9 bytes each would be far larger than their stream. */
const MAX_FRAMES = 4096
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]

/** Throws DECOMPRESSION_FAILED when the structure is broken; says nothing about the compressed blocks themselves. */
export function zstdBound(bytes: Uint8Array): ZstdBound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  let atLeast = 0
  let atMost = 0
  const frames: Uint8Array[] = []
  if (bytes.length === 0) throw broken('zstd', 'there is no frame')
  while (at < bytes.length) {
    need(bytes, at, 5)
    const magic = view.getUint32(at, true)
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      need(bytes, at, 8)
      const size = view.getUint32(at + 4, true)
      need(bytes, at + 8, size)
      at += 8 + size
      continue
    }
    if (magic !== FRAME_MAGIC) throw broken('zstd', `no frame starts with ${magic.toString(16)}`)
    const frameAt = at
    const header = readHeader(bytes, view, frameAt)
    const blocks = walkBlocks(bytes, header.bodyAt, header.maxBlockBytes)
    atLeast += Math.max(blocks.known, header.contentBytes)
    atMost += blocks.known + blocks.unknown
    at = blocks.end + (header.hasChecksum ? 4 : 0)
    if (at > bytes.length) throw broken('zstd', 'the stream ends inside a checksum')
    if (frames.length === MAX_FRAMES) throw broken('zstd', `there are more than ${MAX_FRAMES} frames`)
    frames.push(bytes.subarray(frameAt, at))
  }
  return { atLeast, atMost, frames }
}

interface ZstdHeader {
  /** Claimed content, 0 when not stated. */
  readonly contentBytes: number
  readonly maxBlockBytes: number
  readonly hasChecksum: boolean
  readonly bodyAt: number
}

function readHeader(bytes: Uint8Array, view: DataView, frameAt: number): ZstdHeader {
  const descriptor = bytes[frameAt + 4] as number
  const isSingleSegment = (descriptor & 0x20) !== 0
  let at = frameAt + 5
  let windowBytes = 0
  if (!isSingleSegment) {
    need(bytes, at, 1)
    const window = bytes[at++] as number
    const base = 2 ** (10 + (window >>> 3))
    windowBytes = base + (base / 8) * (window & 7)
  }
  at += DICTIONARY_ID_BYTES[descriptor & 3] as number
  const sizeKind = descriptor >>> 6
  const sizeBytes = sizeKind === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeKind
  need(bytes, at, sizeBytes)
  const contentBytes = contentSize(view, at, sizeBytes)
  if (isSingleSegment) windowBytes = contentBytes
  if (windowBytes > MAX_WINDOW_BYTES) throw broken('zstd', `a window of ${windowBytes} B exceeds ${MAX_WINDOW_BYTES} B`)
  const maxBlockBytes = Math.min(MAX_BLOCK_BYTES, windowBytes)
  return { contentBytes, maxBlockBytes, hasChecksum: (descriptor & 4) !== 0, bodyAt: at + sizeBytes }
}

function contentSize(view: DataView, at: number, sizeBytes: number): number {
  if (sizeBytes === 0) return 0
  if (sizeBytes === 1) return view.getUint8(at)
  if (sizeBytes === 2) return view.getUint16(at, true) + 256
  if (sizeBytes === 4) return view.getUint32(at, true)
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}

function walkBlocks(
  bytes: Uint8Array,
  bodyAt: number,
  maxBlockBytes: number,
): { known: number; unknown: number; end: number } {
  let at = bodyAt
  let known = 0
  let unknown = 0
  for (let isLast = false; !isLast; ) {
    need(bytes, at, 3)
    const header = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
    at += 3
    isLast = (header & 1) === 1
    const type = (header >>> 1) & 3
    const size = header >>> 3
    if (size > MAX_BLOCK_BYTES || type === 3) throw broken('zstd', 'a block header is illegal')
    const stored = type === 1 ? 1 : size
    need(bytes, at, stored)
    at += stored
    if (type === 2) unknown += maxBlockBytes
    else known += size
  }
  return { known, unknown, end: at }
}

function need(bytes: Uint8Array, at: number, count: number): void {
  if (count > bytes.length - at) throw broken('zstd', 'the stream ends inside a frame')
}
