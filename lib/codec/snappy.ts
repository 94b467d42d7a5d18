/**
 * snappy, written in xerial framing (what Java's snappy-java reads), read in both of its forms:
 *
 *   82 'SNAPPY' 00 | int32 version 1 | int32 compatible 1 | { int32 length | raw snappy block } ...
 *
 * where the header may be repeated between blocks, or without that magic one raw snappy block.
 * Invariant: a raw block says its size first; all sizes are summed and checked before the first byte is allocated.
 */
import { type CompressionCodec, EMPTY } from './codec.js'
import { broken, compressionFailed, tooLarge } from './failures.js'
import { type Loader, lazyPackage, type Require } from './native.js'

interface SnappyPackage {
  compressSync(input: Uint8Array, options: { copyOutputData: boolean }): Uint8Array
  uncompressSync(input: Uint8Array, options: { copyOutputData: boolean }): Uint8Array
}

const HEADER = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)
const MAGIC_BYTES = 8

/** Input of one block. Java's reader takes any size up to its own maximum; 64 KiB is what snappy itself works in. */
const BLOCK_BYTES = 64 * 1024

/** A copy element of 3 bytes yields at most 64: nothing legal expands further, so a larger claim is a lie. */
const MAX_EXPANSION = 22

/** Results are copied into memory of V8: external buffers cost five times the decompression itself (2.6 / 0.45 ms). */
const COPY = { copyOutputData: true }

export function makeSnappyCodec(load?: Require): CompressionCodec {
  const snappy = lazyPackage<SnappyPackage>('snappy', 'snappy', load)
  return {
    type: 'snappy',
    id: 2,
    compress: (bytes) => writeXerial(snappy('COMPRESSION_FAILED'), bytes),
    decompress: (bytes, ceilingBytes) =>
      isXerial(bytes, 0) ? readXerial(snappy, bytes, ceilingBytes) : readRaw(snappy, bytes, ceilingBytes),
  }
}

function writeXerial(snappy: SnappyPackage, bytes: Uint8Array): Uint8Array {
  try {
    const blocks: Uint8Array[] = []
    let total = HEADER.length
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const block = snappy.compressSync(bytes.subarray(at, at + BLOCK_BYTES), COPY)
      blocks.push(block)
      total += 4 + block.length
    }
    return joinXerial(blocks, total)
  } catch (error) {
    throw compressionFailed('snappy', error)
  }
}

function joinXerial(blocks: readonly Uint8Array[], total: number): Uint8Array {
  const out = Buffer.allocUnsafe(total)
  out.set(HEADER, 0)
  let at = HEADER.length
  for (const block of blocks) {
    out.writeInt32BE(block.length, at)
    out.set(block, at + 4)
    at += 4 + block.length
  }
  return out
}

function isXerial(bytes: Uint8Array, at: number): boolean {
  if (bytes.length < at + MAGIC_BYTES) return false
  for (let i = 0; i < MAGIC_BYTES; i++) if (bytes[at + i] !== HEADER[i]) return false
  return true
}

function readRaw(load: Loader<SnappyPackage>, bytes: Uint8Array, ceilingBytes: number): Uint8Array {
  const size = claimedSize(bytes)
  if (size > ceilingBytes) throw tooLarge('snappy', size, ceilingBytes)
  return readBlock(load('DECOMPRESSION_FAILED'), bytes, size)
}

function readXerial(load: Loader<SnappyPackage>, bytes: Uint8Array, ceilingBytes: number): Uint8Array {
  let total = 0
  let blocks = 0
  forEachBlock(bytes, (block) => {
    blocks++
    total += claimedSize(block)
    if (total > ceilingBytes) throw tooLarge('snappy', total, ceilingBytes)
  })
  if (blocks === 0) return EMPTY
  const snappy = load('DECOMPRESSION_FAILED')
  let out: Uint8Array = blocks === 1 ? EMPTY : Buffer.allocUnsafe(total)
  let at = 0
  forEachBlock(bytes, (block) => {
    const part = readBlock(snappy, block, claimedSize(block))
    if (blocks === 1) out = part
    else out.set(part, at)
    at += part.length
  })
  return out
}

/**
 * Visits the raw blocks of a xerial stream; a list of them could be far larger than the stream. A header between them
 * starts with 0x82, which no legal length does.
 */
function forEachBlock(bytes: Uint8Array, visit: (block: Uint8Array) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  while (at < bytes.length) {
    if (isXerial(bytes, at)) {
      at += HEADER.length
      if (at > bytes.length) throw broken('snappy', 'the stream ends inside a header')
      continue
    }
    if (at + 4 > bytes.length) throw broken('snappy', 'the stream ends inside a block length')
    const length = view.getInt32(at)
    at += 4
    if (length < 0 || length > bytes.length - at) {
      throw broken('snappy', `a block claims ${length} B and ${bytes.length - at} B are left`)
    }
    if (length > 0) visit(bytes.subarray(at, at + length))
    at += length
  }
}

/** The uncompressed length at the head of a raw block: an unsigned varint of at most 32 bits. */
function claimedSize(block: Uint8Array): number {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    size += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) {
      if (size > MAX_EXPANSION * block.length) {
        throw broken('snappy', `${block.length} B cannot hold the ${size} B they claim`)
      }
      return size
    }
  }
  throw broken('snappy', 'a block does not start with its uncompressed length')
}

function readBlock(snappy: SnappyPackage, block: Uint8Array, size: number): Uint8Array {
  let result: Uint8Array
  try {
    result = snappy.uncompressSync(block, COPY)
  } catch (error) {
    throw broken('snappy', error instanceof Error ? error.message : String(error), error)
  }
  if (result.length !== size) throw broken('snappy', `a block claims ${size} B and holds ${result.length} B`)
  return result
}
