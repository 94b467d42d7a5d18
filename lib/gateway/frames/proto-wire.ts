/**
 * The wire format of Protocol Buffers, as far as our frames need it. Hot path: `ProtoWriter`, once per record and format.
 * Why our own: the dependency would be larger than what it does here; tests hold it against protobufjs and gateway.proto.
 * Invariants: no length is trusted before it is compared with what is there; numbers beyond 2^53 - 1 are refused.
 * Source: protobuf.dev, "Encoding".
 */
import { malformed } from './fields.js'

export const VARINT = 0
export const BYTES = 2
const FIXED64 = 1
const FIXED32 = 5

/** Grows; `bytes()` is valid until the next `reset`. */
export class ProtoWriter {
  #buffer = Buffer.allocUnsafeSlow(4096)
  #length = 0

  get length(): number {
    return this.#length
  }

  reset(): void {
    this.#length = 0
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  varint(field: number, value: number): void {
    this.#room(16)
    this.#raw(field * 8 + VARINT)
    this.#raw(value)
  }

  data(field: number, value: Uint8Array): void {
    this.#room(value.length + 16)
    this.#raw(field * 8 + BYTES)
    this.#raw(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
  }

  text(field: number, value: string): void {
    const length = Buffer.byteLength(value)
    this.#room(length + 16)
    this.#raw(field * 8 + BYTES)
    this.#raw(length)
    this.#length += this.#buffer.write(value, this.#length)
  }

  /** A nested message, whose length is known only when it is written: it is moved up by the bytes its length takes. */
  message(field: number, write: () => void): void {
    this.#room(16)
    this.#raw(field * 8 + BYTES)
    const start = this.#length
    write()
    const length = this.#length - start
    const sizeBytes = varintBytes(length)
    this.#room(sizeBytes)
    this.#buffer.copyWithin(start + sizeBytes, start, this.#length)
    this.#length = start
    this.#raw(length)
    this.#length = start + sizeBytes + length
  }

  #raw(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#length++] = rest
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/** Reads fields one after the other; a wrong wire type is refused by the field's name. */
export class ProtoReader {
  readonly #bytes: Buffer
  readonly #what: string
  #at = 0
  #wireType = 0

  /** `what` names the message in errors. */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  /** The number of the next field; 0 at the end. Read it, or `skip()` it, before the next one. */
  next(): number {
    if (this.#at >= this.#bytes.length) return 0
    const tag = this.#varint('tag')
    const field = Math.floor(tag / 8)
    this.#wireType = tag % 8
    if (field === 0) throw this.#broken('field number 0')
    return field
  }

  /** 0..2^53-1. */
  integer(name: string): number {
    this.#expect(VARINT, name)
    return this.#varint(name)
  }

  /** A copy: it is kept beyond the frame. */
  data(name: string): Buffer {
    return Buffer.from(this.#view(name))
  }

  text(name: string): string {
    return this.#view(name).toString('utf8')
  }

  /** The bytes of a nested message, valid as long as the frame. */
  nested(name: string): ProtoReader {
    return new ProtoReader(this.#view(name), name)
  }

  /** A field that this version does not know: legal, and left out. */
  skip(): void {
    if (this.#wireType === VARINT) this.#varint('unknown field')
    else if (this.#wireType === BYTES) this.#slice('unknown field')
    else if (this.#wireType === FIXED64) this.#forward(8)
    else if (this.#wireType === FIXED32) this.#forward(4)
    else throw this.#broken(`wire type ${this.#wireType}`)
  }

  #view(name: string): Buffer {
    this.#expect(BYTES, name)
    return this.#slice(name)
  }

  #slice(name: string): Buffer {
    const length = this.#varint(name)
    const start = this.#at
    if (length > this.#bytes.length - start) {
      throw this.#broken(`${name} claims ${length} B, ${this.#bytes.length - start} B are left`)
    }
    this.#at += length
    return this.#bytes.subarray(start, this.#at)
  }

  #forward(bytes: number): void {
    if (bytes > this.#bytes.length - this.#at) throw this.#broken('it ends within a field')
    this.#at += bytes
  }

  #varint(name: string): number {
    let value = 0
    let scale = 1
    for (let read = 0; read < 10; read++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw this.#broken(`it ends within ${name}`)
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw this.#broken(`${name} is beyond 2^53 - 1`)
        return value
      }
      scale *= 128
    }
    throw this.#broken(`${name} is a varint of more than 10 bytes`)
  }

  #expect(wireType: number, name: string): void {
    if (this.#wireType !== wireType) throw this.#broken(`${name} has wire type ${this.#wireType}, expected ${wireType}`)
  }

  #broken(why: string): Error {
    return malformed(`broken protobuf in ${this.#what} at byte ${this.#at}: ${why}`, { field: this.#what })
  }
}
