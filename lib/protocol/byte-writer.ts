/**
 * Writes Kafka's primitive types into segments for one gathered write. Hot path (produce requests).
 * Why: a produce request is a few dozen bytes of our own between batches that nobody should copy, so the writer
 * keeps small pieces in one buffer and hangs foreign bytes in between, in order.
 * Invariant: pieces already handed to `segments` are never moved or written again, apart from the frame size that
 * `finishFrame` puts into the first one. Source: kafka.md W-5, W-12.
 *
 *   segments  [ own 0..31 ][ records (foreign) ][ own 31..58 ][ records ] ...   #from = start of the open piece
 */
import { MQError } from '../errors/index.js'

const TWO_32 = 0x1_0000_0000
/** First buffer: taken from Node's pool, so that an ordinary request costs no allocation of its own. */
const FIRST_BYTES = 512
/** Characters up to which ASCII text is copied by a loop; a native call costs more than that. */
const SHORT_TEXT = 32

export class ByteWriter {
  #bytes: Buffer
  #capacity: number
  #at = 0
  #from = 0
  #before = 0 // bytes in #segments
  readonly #segments: Uint8Array[] = []

  constructor(capacity = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(capacity)
    this.#capacity = capacity
  }

  /** Bytes written so far, foreign ones included. */
  get length(): number {
    return this.#before + this.#at - this.#from
  }

  int8(value: number): void {
    this.#room(1)
    this.#bytes[this.#at++] = value
  }

  int16(value: number): void {
    this.#room(2)
    const bytes = this.#bytes
    const at = this.#at
    bytes[at] = value >>> 8
    bytes[at + 1] = value
    this.#at = at + 2
  }

  int32(value: number): void {
    this.#room(4)
    putInt32(this.#bytes, this.#at, value)
    this.#at += 4
  }

  int64(value: bigint): void {
    this.#room(8)
    this.#at = this.#bytes.writeBigInt64BE(value, this.#at)
  }

  /** An int64 given as a safe integer (the caller checked it). */
  n64(value: number): void {
    this.#room(8)
    putInt32(this.#bytes, this.#at, Math.floor(value / TWO_32))
    putInt32(this.#bytes, this.#at + 4, value >>> 0)
    this.#at += 8
  }

  float64(value: number): void {
    this.#room(8)
    this.#at = this.#bytes.writeDoubleBE(value, this.#at)
  }

  /** Unsigned varint of a value below 2^32. */
  uvarint(value: number): void {
    this.#room(5)
    const bytes = this.#bytes
    let at = this.#at
    value >>>= 0
    while (value >= 0x80) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.#at = at
  }

  /** Zigzag varint, 32 bits. */
  varint(value: number): void {
    this.uvarint((value << 1) ^ (value >> 31))
  }

  /** Zigzag varint of a safe integer. The lowest group is made apart: twice the value would leave the safe range. */
  varlong(value: number): void {
    this.#room(10)
    const bytes = this.#bytes
    let at = this.#at
    const magnitude = value < 0 ? -value - 1 : value
    const first = (magnitude % 64) * 2 + (value < 0 ? 1 : 0)
    let rest = Math.floor(magnitude / 64)
    bytes[at++] = rest === 0 ? first : first | 0x80
    while (rest > 0) {
      const group = rest % 128
      rest = Math.floor(rest / 128)
      bytes[at++] = rest === 0 ? group : group | 0x80
    }
    this.#at = at
  }

  /** Zigzag varint, 64 bits, all values. */
  varlongBig(value: bigint): void {
    this.uvarlongBig((value << 1n) ^ (value >> 63n))
  }

  uvarlongBig(value: bigint): void {
    let rest = BigInt.asUintN(64, value)
    for (; rest >= 0x80n; rest >>= 7n) this.int8(Number(rest & 0x7fn) | 0x80)
    this.int8(Number(rest))
  }

  /** 22 characters of base64url as 16 bytes. */
  uuid(text: string): void {
    this.#room(16)
    if (text.length !== 22 || this.#bytes.write(text, this.#at, 16, 'base64url') !== 16) {
      throw new MQError('SERIALIZATION_FAILED', `expected a uuid of 22 base64url characters, got '${text}'`)
    }
    this.#at += 16
  }

  /** A string behind an int16 length. */
  text16(text: string): void {
    this.#room(2 + text.length * 3)
    const length = this.#utf8(text, this.#at + 2)
    if (length > 0x7fff) {
      throw new MQError('SERIALIZATION_FAILED', `a string of ${length} bytes exceeds the 32767 that Kafka allows here`)
    }
    this.int16(length)
    this.#at += length
  }

  /** A string behind an unsigned varint of its length plus one. */
  compactText(text: string): void {
    this.#room(5 + text.length * 3)
    // For up to 42 characters the prefix surely takes one byte, so that the text can be written in place at once.
    if (text.length <= 42) {
      const length = this.#utf8(text, this.#at + 1)
      this.#bytes[this.#at] = length + 1
      this.#at += 1 + length
      return
    }
    const length = Buffer.byteLength(text)
    this.uvarint(length + 1)
    this.#at += this.#utf8(text, this.#at)
  }

  /** Copies `bytes`. */
  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** Hangs `bytes` into the output without copying. They must stay unchanged until the socket is done with them. */
  foreign(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#cut()
    this.#segments.push(bytes)
    this.#before += bytes.length
  }

  /** All segments in order. The writer is used up afterwards. */
  finish(): Uint8Array[] {
    this.#cut()
    return this.#segments
  }

  /** As `finish`, for a writer that began with an int32 of any value: that becomes the size of what follows. */
  finishFrame(): Uint8Array[] {
    const segments = this.finish()
    putInt32(segments[0] as Uint8Array, 0, this.#before - 4)
    return segments
  }

  #cut(): void {
    if (this.#at === this.#from) return
    this.#segments.push(this.#bytes.subarray(this.#from, this.#at))
    this.#before += this.#at - this.#from
    this.#from = this.#at
  }

  #room(bytes: number): void {
    if (this.#at + bytes > this.#capacity) this.#grow(bytes)
  }

  /** Only the piece being written moves; pieces already cut keep their old memory. */
  #grow(bytes: number): void {
    const piece = this.#bytes.subarray(this.#from, this.#at)
    const capacity = Math.max(this.#capacity * 2, piece.length + bytes)
    this.#bytes = Buffer.allocUnsafe(capacity)
    this.#bytes.set(piece, 0)
    this.#capacity = capacity
    this.#at = piece.length
    this.#from = 0
  }

  /** Writes text at `at`, where there is room for three bytes per character; returns the bytes written. */
  #utf8(text: string, at: number): number {
    const bytes = this.#bytes
    if (text.length > SHORT_TEXT) return bytes.write(text, at)
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) return bytes.write(text, at)
      bytes[at + i] = code
    }
    return text.length
  }
}

function putInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
