/**
 * Reads the fields of one body, each checked against the end of it.
 * Why a class: bodies of variable length (CHECKPOINT, OPEN, STREAM ...) are rare; there, safety beats speed. What a
 * later minor version appends behind the known fields is never looked at.
 * Invariant: nothing outside at..at+length is read, no count is believed before the bytes for it are there.
 */
import { walError } from '../../errors.js'
import { getI64, getU64 } from '../integers.js'

/** Longest text of the format: its length is a u16. Bytes of UTF-8. */
const TEXT_MAX_BYTES = 0xffff

export class BodyReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #end: number
  readonly #what: string
  #at: number

  constructor(bytes: Uint8Array, view: DataView, at: number, length: number, what: string) {
    this.#bytes = bytes
    this.#view = view
    this.#at = at
    this.#end = at + length
    this.#what = what
  }

  /** Where the next field begins. */
  get at(): number {
    return this.#at
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true)
  }

  /** Unsigned 64 bits as a safe integer. */
  u64(): number {
    const value = getU64(this.#view, this.#take(8))
    if (value < 0) throw this.damaged('a number exceeds 2^53')
    return value
  }

  /** Signed 64 bits as a safe integer. */
  i64(): number {
    const value = getI64(this.#view, this.#take(8))
    if (!Number.isSafeInteger(value)) throw this.damaged('a number exceeds 2^53')
    return value
  }

  big(): bigint {
    return this.#view.getBigInt64(this.#take(8), true)
  }

  hex(bytes: number): string {
    const at = this.#take(bytes)
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, bytes).toString('hex')
  }

  text(): string {
    const length = this.u16()
    const at = this.#take(length)
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length).toString('utf8')
  }

  /** A number of things of at least `minBytes` each that still fits into the body. */
  count(minBytes: number): number {
    const count = this.u32()
    if (count * minBytes > this.#end - this.#at) throw this.damaged(`a count of ${count} exceeds its bytes`)
    return count
  }

  skip(bytes: number): void {
    this.#take(bytes)
  }

  damaged(how: string): Error {
    return walError('WAL_CORRUPT', `The body of a ${this.#what} frame is malformed: ${how}`, { frame: this.#what })
  }

  #take(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#end) throw this.damaged(`it ends ${at + bytes - this.#end} B too early`)
    this.#at = at + bytes
    return at
  }
}

/** Bytes `putText` will take. */
export function textBytes(text: string): number {
  return 2 + Buffer.byteLength(text)
}

/** u16 length and UTF-8; gives the end. @throws MQError WAL_FRAME_TOO_LARGE above 65,535 bytes */
export function putText(into: Uint8Array, view: DataView, at: number, text: string): number {
  const length = Buffer.byteLength(text)
  if (length > TEXT_MAX_BYTES) {
    throw walError('WAL_FRAME_TOO_LARGE', `A name of ${length} B exceeds ${TEXT_MAX_BYTES} B`, { bytes: length })
  }
  view.setUint16(at, length, true)
  Buffer.from(into.buffer, into.byteOffset + at + 2, length).write(text)
  return at + 2 + length
}

/** 2n hex digits as n bytes; gives the end. */
export function putHex(into: Uint8Array, at: number, hex: string): number {
  const bytes = Buffer.from(hex, 'hex')
  into.set(bytes, at)
  return at + bytes.length
}
