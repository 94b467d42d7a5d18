/**
 * Reads Kafka's primitive types from one frame. Hot path.
 * Why: bytes come from a peer, so each read proves first that the bytes are there, and nothing is ever allocated on
 * behalf of a number that the peer merely claims.
 * Invariant: 0 <= at <= end; every failure is an MQError CONNECTION_FAILED / MALFORMED_FRAME, never a RangeError.
 * Values are put together from single bytes: that is as fast as a DataView and needs no second object per frame.
 * Source: kafka.md 1.1 (types), W-4, W-15.
 */
import { isUtf8 } from 'node:buffer'
import { MQError } from '../errors/index.js'

const TWO_32 = 0x1_0000_0000
/** Bytes beyond which one native call beats the loop that builds an ASCII text character by character. */
const SHORT_TEXT = 24

export class ByteReader {
  readonly #bytes: Buffer
  #at: number
  #end: number

  /** Reads `bytes` without copying: views handed out live as long as the frame. */
  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = at
    this.#end = end
    if (!(at >= 0 && at <= end && end <= bytes.length)) this.malformed('a range inside the frame', `${at}..${end}`)
  }

  /** Index of the next byte. */
  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  /** Takes `length` bytes away from the end of what may be read; returns the former end for `widen`. */
  narrow(length: number): number {
    this.#need(length)
    const before = this.#end
    this.#end = this.#at + length
    return before
  }

  /** Ends a `narrow`: whoever read that part must have read all of it. */
  widen(end: number): void {
    if (this.#at !== this.#end) this.malformed('a field of the length it claims', `${this.#end - this.#at} bytes over`)
    this.#end = end
  }

  skip(length: number): void {
    this.#need(length)
    this.#at += length
  }

  int8(): number {
    return (this.uint8() << 24) >> 24
  }

  uint8(): number {
    const at = this.#at
    if (at >= this.#end) this.#short(1)
    this.#at = at + 1
    return this.#bytes[at] as number
  }

  bool(): boolean {
    return this.uint8() !== 0
  }

  int16(): number {
    return (this.uint16() << 16) >> 16
  }

  uint16(): number {
    const at = this.#at
    if (at + 2 > this.#end) this.#short(2)
    this.#at = at + 2
    const bytes = this.#bytes
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  }

  int32(): number {
    const at = this.#at
    if (at + 4 > this.#end) this.#short(4)
    this.#at = at + 4
    const bytes = this.#bytes
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    )
  }

  uint32(): number {
    return this.int32() >>> 0
  }

  /** int64 as bigint: producer ids, and everything in the vector tests. */
  int64(): bigint {
    const at = this.#at
    if (at + 8 > this.#end) this.#short(8)
    this.#at = at + 8
    return this.#bytes.readBigInt64BE(at)
  }

  /** int64 as a number: offsets, timestamps, sizes. Outside the safe range it is an error, never rounded. */
  n64(): number {
    if (this.#at + 8 > this.#end) this.#short(8)
    const value = this.int32() * TWO_32 + this.uint32()
    if (!Number.isSafeInteger(value)) this.malformed('an int64 within 2^53', `about ${value}`)
    return value
  }

  float64(): number {
    const at = this.#at
    if (at + 8 > this.#end) this.#short(8)
    this.#at = at + 8
    return this.#bytes.readDoubleBE(at)
  }

  /** Unsigned varint, not zigzag: at most 5 bytes; bits beyond the 32nd are dropped, as Kafka's reader does. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    return this.malformed('an unsigned varint of at most 5 bytes', 'a longer one')
  }

  /** Zigzag varint, 32 bits. */
  varint(): number {
    const value = this.uvarint()
    return (value >>> 1) ^ -(value & 1)
  }

  /** Zigzag varint, 64 bits, as a number: outside the safe range it is an error. */
  varlong(): number {
    const low = this.#sevens(4)
    const middle = low.more ? this.#sevens(4) : NOTHING
    const high = middle.more ? this.#lastOfTen() : 0
    const magnitude = Math.floor(low.value / 2) + middle.value * 0x800_0000 + high * 2 ** 55
    const value = low.value % 2 === 1 ? -magnitude - 1 : magnitude
    if (!Number.isSafeInteger(value)) this.malformed('a varlong within 2^53', `about ${value}`)
    return value
  }

  /** Zigzag varint, 64 bits, all values. */
  varlongBig(): bigint {
    const value = this.uvarlongBig()
    return (value >> 1n) ^ -(value & 1n)
  }

  uvarlongBig(): bigint {
    let value = 0n
    for (let shift = 0n; shift <= 63n; shift += 7n) {
      const byte = this.uint8()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    return this.malformed('a varlong of at most 10 bytes', 'a longer one')
  }

  /** The next `length` bytes as a view of the frame. */
  bytes(length: number): Uint8Array {
    this.#need(length)
    const at = this.#at
    this.#at = at + length
    return this.#bytes.subarray(at, at + length)
  }

  /** The next `length` bytes as text. Wrong UTF-8 is an error: a replaced character would be another topic. */
  text(length: number): string {
    this.#need(length)
    const at = this.#at
    const end = at + length
    this.#at = end
    const bytes = this.#bytes
    for (let i = at; i < end; i++) if ((bytes[i] as number) >= 0x80) return this.#utf8(at, end)
    if (length > SHORT_TEXT) return bytes.toString('latin1', at, end)
    let text = ''
    for (let i = at; i < end; i++) text += String.fromCharCode(bytes[i] as number)
    return text
  }

  /** 16 bytes as 22 characters of base64url. */
  uuid(): string {
    const at = this.#at
    if (at + 16 > this.#end) this.#short(16)
    this.#at = at + 16
    return this.#bytes.toString('base64url', at, at + 16)
  }

  /** How many elements follow. Refused when the remaining bytes cannot hold that many of `minBytes` each. */
  count(count: number, minBytes: number): number {
    if (count * minBytes > this.#end - this.#at || count < 0) {
      this.malformed('a count that fits into the remaining bytes', `${count} elements, ${this.remaining} bytes`)
    }
    return count
  }

  /** Throws what every bad input ends in. `expected` and `found` may be templates: this is not the hot path. */
  malformed(expected: string, found: string): never {
    throw new MQError(
      'CONNECTION_FAILED',
      `malformed frame at byte ${this.#at}: expected ${expected}, found ${found}. The connection is given up`,
      { reason: 'MALFORMED_FRAME', at: this.#at },
    )
  }

  #need(length: number): void {
    if (!(length >= 0 && length <= this.#end - this.#at)) this.#short(length)
  }

  #short(length: number): never {
    return this.malformed(`${length} more bytes`, `${this.remaining}`)
  }

  #utf8(at: number, end: number): string {
    if (!isUtf8(this.#bytes.subarray(at, end))) this.malformed('UTF-8 text', 'other bytes')
    return this.#bytes.toString('utf8', at, end)
  }

  #sevens(most: number): { value: number; more: boolean } {
    let value = 0
    for (let shift = 0; shift < most * 7; shift += 7) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return { value, more: false }
    }
    return { value, more: true }
  }

  /** Bytes 9 and 10 of a varlong: eight bits count, an eleventh byte is an error. */
  #lastOfTen(): number {
    const ninth = this.uint8()
    if (ninth < 0x80) return ninth
    const tenth = this.uint8()
    if (tenth >= 0x80) this.malformed('a varlong of at most 10 bytes', 'a longer one')
    return (ninth & 0x7f) | ((tenth & 1) << 7)
  }
}

const NOTHING = Object.freeze({ value: 0, more: false })
