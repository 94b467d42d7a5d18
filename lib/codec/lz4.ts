/**
 * lz4: frames around native raw blocks. Hot path, once per batch.
 * Writes one frame of independent 64 KiB blocks, reads any legal sequence of frames.
 * Invariant: a block is given a target of at most its frame's block maximum, what its bytes can expand to, and what
 * is left below the ceiling. The native package trusts the size we put in front of a block, never one from the wire.
 */
import { type CompressionCodec, EMPTY, type ResultMemory } from './codec.js'
import { broken, compressionFailed, tooLarge } from './failures.js'
import { BLOCK_TOO_LONG, decodeLz4Block } from './lz4-block.js'
import { BLOCK_BYTES, FRAME_HEADER, type FrameHeader, type FrameVisitor, STORED, visitFrames } from './lz4-frame.js'
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
    decompress: (bytes, ceilingBytes, isLegacy = false, memory = Buffer.allocUnsafe) =>
      readFrames(lz4('DECOMPRESSION_FAILED'), bytes, ceilingBytes, isLegacy, memory),
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

function readFrames(
  lz4: Lz4Package,
  bytes: Uint8Array,
  ceilingBytes: number,
  isLegacy: boolean,
  memory: ResultMemory,
): Uint8Array {
  const plan = new Plan(ceilingBytes)
  visitFrames(bytes, isLegacy, plan)
  if (plan.blocks === 0) return EMPTY
  const decoder = new Decoder(lz4, bytes, ceilingBytes, plan, memory)
  visitFrames(bytes, isLegacy, decoder)
  return decoder.result()
}

/** The longest a block can decode to, whatever it holds. */
function longest(header: FrameHeader, length: number, isStored: boolean): number {
  return isStored ? length : Math.min(header.maxBlockBytes, MAX_EXPANSION * length)
}

/**
 * First pass: how much memory the second one needs. For what honest writers send, all blocks but the last full, the
 * bound exceeds the result by less than a block.
 */
class Plan implements FrameVisitor {
  blocks = 0
  /** Never exceeded by the result. */
  boundBytes = 0
  #claimedBytes = 0
  readonly #ceilingBytes: number

  constructor(ceilingBytes: number) {
    this.#ceilingBytes = ceilingBytes
  }

  frame(header: FrameHeader): void {
    this.#claimedBytes += Math.max(0, header.contentBytes)
    if (this.#claimedBytes > this.#ceilingBytes) throw tooLarge('lz4', this.#claimedBytes, this.#ceilingBytes)
  }

  block(header: FrameHeader, _start: number, length: number, isStored: boolean): void {
    this.blocks++
    this.boundBytes += longest(header, length, isStored)
  }

  end(): void {}
}

/** Size prefix and block for the native decoder. Grows to the largest block seen, at most 4 MiB. */
let scratch = Buffer.allocUnsafeSlow(SIZE_BYTES + BLOCK_BYTES)

/** Second pass: one block after the other into one target; a stream of a single block is its native result. */
class Decoder implements FrameVisitor {
  readonly #lz4: Lz4Package
  readonly #bytes: Uint8Array
  readonly #ceilingBytes: number
  readonly #isSingle: boolean
  #out: Uint8Array = EMPTY
  #at = 0 // decoded bytes in #out
  #frameAt = 0 // of these, before the present frame

  constructor(lz4: Lz4Package, bytes: Uint8Array, ceilingBytes: number, plan: Plan, memory: ResultMemory) {
    this.#lz4 = lz4
    this.#bytes = bytes
    this.#ceilingBytes = ceilingBytes
    this.#isSingle = plan.blocks === 1 && plan.boundBytes <= ceilingBytes
    if (!this.#isSingle) this.#out = memory(Math.min(plan.boundBytes, ceilingBytes))
  }

  result(): Uint8Array {
    return this.#out.subarray(0, this.#at)
  }

  frame(): void {
    this.#frameAt = this.#at
  }

  block(header: FrameHeader, start: number, length: number, isStored: boolean): void {
    const block = this.#bytes.subarray(start, start + length)
    const room = this.#ceilingBytes - this.#at
    const limit = longest(header, length, isStored)
    if (isStored) {
      if (length > room) this.#tooLarge()
      this.#take(block)
    } else if (limit > room || !header.isIndependent) {
      this.#decodeHere(header, block, Math.min(limit, room), limit > room)
    } else {
      this.#take(this.#decodeNative(block, limit))
    }
  }

  end(header: FrameHeader, checksum: number): void {
    const length = this.#at - this.#frameAt
    if (header.contentBytes >= 0 && header.contentBytes !== length) {
      throw broken('lz4', `a frame claims ${header.contentBytes} B and holds ${length} B`)
    }
    if (checksum >= 0 && checksum !== xxh32(this.#out.subarray(this.#frameAt, this.#at))) {
      throw broken('lz4', 'the content has a wrong checksum')
    }
  }

  #take(piece: Uint8Array): void {
    if (this.#isSingle) this.#out = piece
    else this.#out.set(piece, this.#at)
    this.#at += piece.length
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

  /**
   * Linked blocks copy from the blocks before them in their frame; and the native decoder cannot tell "too long" from
   * "broken", which matters for the last block below the ceiling.
   */
  #decodeHere(header: FrameHeader, block: Uint8Array, limit: number, isCeiling: boolean): void {
    if (this.#isSingle) this.#out = Buffer.allocUnsafe(limit)
    const start = header.isIndependent ? this.#at : this.#frameAt
    const end = decodeLz4Block(block, this.#out, start, this.#at, this.#at + limit)
    if (end === BLOCK_TOO_LONG && isCeiling) this.#tooLarge()
    if (end < 0) throw broken('lz4', 'a block is malformed')
    this.#at = end
  }

  #tooLarge(): never {
    throw tooLarge('lz4', this.#ceilingBytes + 1, this.#ceilingBytes)
  }
}
