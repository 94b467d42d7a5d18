/**
 * lz4: frames around native raw blocks. Hot path, once per batch.
 * Writes one frame of independent 64 KiB blocks, reads any legal sequence of frames.
 * Invariant: a block is given a target of at most its frame's block maximum, what its bytes can expand to, and what
 * is left below the ceiling. The native package trusts the size we put in front of a block, never one from the wire.
 */
import { type CompressionCodec, EMPTY } from './codec.js'
import { broken, compressionFailed, tooLarge } from './failures.js'
import { BLOCK_TOO_LONG, decodeLz4Block } from './lz4-block.js'
import { BLOCK_BYTES, FRAME_HEADER, type FrameHeader, readFrameHeader, STORED, skipSkippable } from './lz4-frame.js'
import { lazyPackage, type Require } from './native.js'
import { xxh32 } from './xxh32.js'

/** Both directions carry the uncompressed size as a little-endian int32 in front of the raw block. */
interface Lz4Package {
  compressSync(block: Uint8Array): Uint8Array
  uncompressSync(block: Uint8Array): Uint8Array
}

const SIZE_BYTES = 4
const END_MARK = new Uint8Array(4)

/** Blocks stored without trying after one that did not shrink: random data costs 4.5 ns/B to try, 0.1 to store. */
const SKIP_BLOCKS = 7

/** A block must shrink by 1/32 to be worth decoding again. */
const WORTH_SHIFT = 5

/** One length byte adds at most 255 bytes of copy, so n bytes never decode to more than this. */
const MAX_EXPANSION = 255

export function makeLz4Codec(load?: Require): CompressionCodec {
  const lz4 = lazyPackage<Lz4Package>('lz4', 'lz4-napi', load)
  return {
    type: 'lz4',
    id: 3,
    compress: (bytes) => writeFrame(lz4('COMPRESSION_FAILED'), bytes),
    decompress: (bytes, ceilingBytes, isLegacy = false) =>
      new FrameReader(lz4('DECOMPRESSION_FAILED'), bytes, ceilingBytes, isLegacy).readAll(),
  }
}

function writeFrame(lz4: Lz4Package, bytes: Uint8Array): Uint8Array {
  try {
    const pieces: Uint8Array[] = [FRAME_HEADER]
    let total = FRAME_HEADER.length + END_MARK.length
    let skip = 0
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const block = bytes.subarray(at, at + BLOCK_BYTES)
      const packed = skip > 0 ? undefined : tryBlock(lz4, block)
      skip = packed !== undefined ? 0 : skip > 0 ? skip - 1 : SKIP_BLOCKS
      if (packed === undefined) pieces.push(storedSize(block.length), block)
      else pieces.push(packed)
      total += packed?.length ?? SIZE_BYTES + block.length
    }
    pieces.push(END_MARK)
    return join(pieces, total)
  } catch (error) {
    throw compressionFailed('lz4', error)
  }
}

/** A block with its frame size in front, written over the package's own prefix; undefined when not worth it. */
function tryBlock(lz4: Lz4Package, block: Uint8Array): Uint8Array | undefined {
  const packed = lz4.compressSync(block)
  const size = packed.length - SIZE_BYTES
  if (size > block.length - (block.length >>> WORTH_SHIFT)) return undefined
  writeUint32(packed, 0, size)
  return packed
}

function storedSize(size: number): Uint8Array {
  const prefix = new Uint8Array(SIZE_BYTES)
  writeUint32(prefix, 0, (size | STORED) >>> 0)
  return prefix
}

function join(pieces: readonly Uint8Array[], total: number): Uint8Array {
  const out = Buffer.allocUnsafe(total)
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Size prefix and block for the native decoder. Grows to the largest block seen, at most 4 MiB. */
let scratch = Buffer.allocUnsafeSlow(SIZE_BYTES + BLOCK_BYTES)

class FrameReader {
  readonly #lz4: Lz4Package
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #ceilingBytes: number
  readonly #isLegacy: boolean
  readonly #pieces: Uint8Array[] = []
  #total = 0 // bytes in #pieces

  constructor(lz4: Lz4Package, bytes: Uint8Array, ceilingBytes: number, isLegacy: boolean) {
    this.#lz4 = lz4
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#ceilingBytes = ceilingBytes
    this.#isLegacy = isLegacy
  }

  readAll(): Uint8Array {
    if (this.#bytes.length === 0) throw broken('lz4', 'there is no frame')
    let at = skipSkippable(this.#bytes, this.#view, 0)
    while (at < this.#bytes.length) {
      at = skipSkippable(this.#bytes, this.#view, this.#readFrame(at))
    }
    const [first] = this.#pieces
    if (first === undefined) return EMPTY
    return this.#pieces.length === 1 ? first : join(this.#pieces, this.#total)
  }

  #readFrame(start: number): number {
    const header = readFrameHeader(this.#bytes, this.#view, start, this.#isLegacy)
    if (header.contentBytes > this.#ceilingBytes - this.#total) this.#tooLarge(this.#total + header.contentBytes)
    const piecesBefore = this.#pieces.length
    const totalBefore = this.#total
    let at = header.bodyAt
    for (;;) {
      const size = this.#uint32(at)
      at += SIZE_BYTES
      if (size === 0) break
      const length = size & ~STORED
      if (length > header.maxBlockBytes) throw broken('lz4', 'a block exceeds the maximum its frame names')
      if (length > this.#bytes.length - at) throw broken('lz4', 'the stream ends inside a block')
      const block = this.#bytes.subarray(at, at + length)
      at += length
      if (header.hasBlockChecksum) {
        if (this.#uint32(at) !== xxh32(block)) throw broken('lz4', 'a block has a wrong checksum')
        at += SIZE_BYTES
      }
      this.#readBlock(header, block, size >= STORED, piecesBefore)
    }
    if (header.contentBytes >= 0 && header.contentBytes !== this.#total - totalBefore) {
      throw broken('lz4', 'the frame does not hold as many bytes as it claims')
    }
    if (!header.hasContentChecksum) return at
    if (this.#uint32(at) !== xxh32(join(this.#pieces.slice(piecesBefore), this.#total - totalBefore))) {
      throw broken('lz4', 'the content has a wrong checksum')
    }
    return at + SIZE_BYTES
  }

  #readBlock(header: FrameHeader, block: Uint8Array, isStored: boolean, piecesBefore: number): void {
    const room = this.#ceilingBytes - this.#total
    if (isStored) {
      if (block.length > room) this.#tooLarge(this.#total + block.length)
      this.#push(block)
      return
    }
    const limit = Math.min(header.maxBlockBytes, MAX_EXPANSION * block.length)
    // The native decoder cannot tell "too long" from "broken", so the last block below a ceiling is decoded here.
    if (!header.isIndependent) this.#push(this.#decodeLinked(block, Math.min(limit, room), limit > room, piecesBefore))
    else if (limit > room) this.#push(this.#decodeHere(block, EMPTY, room, true))
    else this.#push(this.#decodeNative(block, limit))
  }

  /** A size larger than the block decodes to is legal for the package: it cuts its result. A smaller one is an error. */
  #decodeNative(block: Uint8Array, limit: number): Uint8Array {
    const needed = SIZE_BYTES + block.length
    if (scratch.length < needed) scratch = Buffer.allocUnsafeSlow(needed)
    writeUint32(scratch, 0, limit)
    scratch.set(block, SIZE_BYTES)
    try {
      return this.#lz4.uncompressSync(scratch.subarray(0, needed))
    } catch (error) {
      throw broken('lz4', error instanceof Error ? error.message : String(error), error)
    }
  }

  /** Linked blocks copy from up to 64 KiB before themselves, so those bytes go in front of the target. */
  #decodeLinked(block: Uint8Array, limit: number, isCeiling: boolean, piecesBefore: number): Uint8Array {
    return this.#decodeHere(block, this.#lastBytes(piecesBefore, 64 * 1024), limit, isCeiling)
  }

  #decodeHere(block: Uint8Array, dictionary: Uint8Array, limit: number, isCeiling: boolean): Uint8Array {
    const out = Buffer.allocUnsafe(dictionary.length + limit)
    out.set(dictionary, 0)
    const end = decodeLz4Block(block, out, 0, dictionary.length, out.length)
    if (end === BLOCK_TOO_LONG && isCeiling) this.#tooLarge(this.#ceilingBytes + 1)
    if (end < 0) throw broken('lz4', 'a block is malformed')
    // Copied, because a small block must not keep a target of 4 MiB alive.
    return Uint8Array.prototype.slice.call(out, dictionary.length, end)
  }

  #lastBytes(piecesBefore: number, wanted: number): Uint8Array {
    let from = this.#pieces.length
    let have = 0
    while (from > piecesBefore && have < wanted) have += (this.#pieces[--from] as Uint8Array).length
    const all = join(this.#pieces.slice(from), have)
    return all.subarray(Math.max(0, have - wanted))
  }

  #push(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.#total += piece.length
  }

  #uint32(at: number): number {
    if (at + SIZE_BYTES > this.#bytes.length) throw broken('lz4', 'the stream ends before its end mark')
    return this.#view.getUint32(at, true)
  }

  #tooLarge(bytes: number): never {
    throw tooLarge('lz4', bytes, this.#ceilingBytes)
  }
}
