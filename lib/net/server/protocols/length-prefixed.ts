/**
 * Frames behind their length. Hot path. NT-4, NT-5.
 * Why so many options: every binary protocol of the kind differs in these four only, and a framing that almost fits is none.
 * Invariant: a frame is judged by its length before it is waited for; an empty one is a message like any other (trap 21).
 *
 *   [ length: 1, 2 or 4 bytes ][ data ]      lengthIncludes 'data' (default) or 'frame' (the length field counts, too)
 */
import type { RingBuffer } from '../ring-buffer.js'
import type { Packed, Protocol, Unpacked } from '../types.js'
import { checkWhole, MAX_FRAME_BYTES, malformedFrame, tooLargeFrame, tooLargeMessage, unknownOption } from './frames.js'

export interface LengthPrefixedOptions {
  /** Width of the length: 1, 2 or 4. Default 4. */
  readonly lengthBytes?: 1 | 2 | 4
  /** Default `big`, network order. */
  readonly byteOrder?: 'big' | 'little'
  /** What the length counts: the data alone (default), or the whole frame with the length itself. */
  readonly lengthIncludes?: 'data' | 'frame'
  /** Longest data, in bytes; a peer that claims more is cut off. Default 100 MiB, or what the length can say if that is less. */
  readonly maxFrameBytes?: number
}

/**
 * Unsigned length, then data. `data` belongs to the handler; strings are sent as UTF-8.
 * Throws INVALID_CONFIG for options that are none. A wrong length closes the connection: CONNECTION_FAILED with reason
 * TOO_LARGE or MALFORMED_FRAME. Sending too much throws MESSAGE_TOO_LARGE.
 */
export function lengthPrefixedProtocol(
  options: LengthPrefixedOptions = {},
): Protocol<undefined, Buffer, Uint8Array | string> {
  return new LengthPrefixed(options)
}

class LengthPrefixed implements Protocol<undefined, Buffer, Uint8Array | string> {
  readonly #lengthBytes: number
  readonly #isLittle: boolean
  /** What the length counts besides the data. */
  readonly #extraBytes: number
  readonly #maxFrameBytes: number

  constructor({ lengthBytes = 4, byteOrder = 'big', lengthIncludes = 'data', maxFrameBytes }: LengthPrefixedOptions) {
    if (![1, 2, 4].includes(lengthBytes)) throw unknownOption('lengthBytes', lengthBytes, [1, 2, 4])
    if (!['big', 'little'].includes(byteOrder)) throw unknownOption('byteOrder', byteOrder, ['big', 'little'])
    if (!['data', 'frame'].includes(lengthIncludes))
      throw unknownOption('lengthIncludes', lengthIncludes, ['data', 'frame'])
    this.#lengthBytes = lengthBytes
    this.#isLittle = byteOrder === 'little'
    this.#extraBytes = lengthIncludes === 'frame' ? lengthBytes : 0
    const longest = 256 ** lengthBytes - 1 - this.#extraBytes
    this.#maxFrameBytes = checkWhole('maxFrameBytes', maxFrameBytes ?? Math.min(MAX_FRAME_BYTES, longest), 1, longest)
  }

  unpack(_: unknown, ring: RingBuffer): Unpacked<undefined, Buffer> | undefined {
    const length = this.#readLength(ring)
    if (length === undefined) return undefined
    const bytes = length - this.#extraBytes
    if (bytes < 0 || bytes > this.#maxFrameBytes) throw this.#wrongLength(length)
    if (ring.length < this.#lengthBytes + bytes) return undefined
    ring.retrieve(this.#lengthBytes)
    return { ctx: undefined, data: ring.take(bytes) }
  }

  pack(_: unknown, data: Uint8Array | string): Packed {
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length
    if (bytes > this.#maxFrameBytes) throw tooLargeMessage(bytes, this.#maxFrameBytes)
    const isText = typeof data === 'string'
    const frame = Buffer.allocUnsafe(this.#lengthBytes + (isText ? bytes : 0))
    if (this.#isLittle) frame.writeUIntLE(bytes + this.#extraBytes, 0, this.#lengthBytes)
    else frame.writeUIntBE(bytes + this.#extraBytes, 0, this.#lengthBytes)
    if (!isText) return [frame, data]
    frame.write(data, this.#lengthBytes)
    return frame
  }

  #readLength(ring: RingBuffer): number | undefined {
    if (this.#lengthBytes === 4) {
      const length = ring.peekUint32()
      return length === undefined || !this.#isLittle ? length : swapped(length)
    }
    if (this.#lengthBytes === 1) return ring.peekUint8()
    const length = ring.peekUint16()
    return length === undefined || !this.#isLittle ? length : (length >>> 8) | ((length & 0xff) << 8)
  }

  #wrongLength(length: number): Error {
    if (length >= this.#extraBytes) return tooLargeFrame(length - this.#extraBytes, this.#maxFrameBytes)
    const text = `a length that counts itself is at least ${this.#extraBytes}, got ${length}: does the peer count the data alone?`
    return malformedFrame(text, { length, lengthBytes: this.#lengthBytes })
  }
}

function swapped(value: number): number {
  return ((value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24)) >>> 0
}
