/**
 * Codecs of single values: one small set of closures per kind, nullability and length form.
 * Why: every decision a version implies (compact or not, nullable or not, bigint or number) is taken when the codec
 * is made, so that reading and writing only call closures.
 * Invariant: `write` writes exactly `size` bytes; what a kind cannot hold is refused, never wrapped around.
 * Source: kafka.md 1.1 (table of types), W-3, W-4, W-5.
 */
import { MQError } from '../errors/index.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { Kind, RecordSegments } from './schema.js'

export interface ValueCodec<T = unknown> {
  /** The fewest bytes a value takes: what a claimed count is checked against. */
  readonly minBytes: number
  size(value: T): number
  write(writer: ByteWriter, value: T): void
  read(reader: ByteReader): T
  isDefault(value: T): boolean
}

/** What a version decides about one value. */
export interface ValueForm {
  /** For messages: `ProduceRequest v9 topicData[].name`. */
  readonly path: string
  readonly isNullable: boolean
  readonly isCompact: boolean
  /** `n64` as bigint: the vector tests hold the extremes of int64. */
  readonly isBig: boolean
}

export function uvarintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

/** A value that the message cannot carry. Mistakes of the caller, so it names the field. */
export function refuse(path: string, expected: string, value: unknown): never {
  const found = typeof value === 'bigint' ? `${value}n` : typeof value === 'object' ? String(value) : `'${value}'`
  throw new MQError('SERIALIZATION_FAILED', `${path}: expected ${expected}, got ${found}`, { field: path })
}

type Make = (form: ValueForm, fallback: unknown) => ValueCodec

function integer(
  kind: 'int8' | 'int16' | 'int32' | 'uint16' | 'uint32',
  bytes: number,
  min: number,
  max: number,
): Make {
  const method = kind === 'uint16' ? 'int16' : kind === 'uint32' ? 'int32' : kind
  return ({ path }, fallback) => ({
    minBytes: bytes,
    size: () => bytes,
    write: (writer: ByteWriter, value: number) => {
      if (!(value >= min && value <= max && Math.trunc(value) === value)) refuse(path, kind, value)
      writer[method](value)
    },
    read: (reader: ByteReader) => reader[kind](),
    isDefault: (value: number) => value === fallback,
  })
}

const bigInteger: Make = ({ path }, fallback) => ({
  minBytes: 8,
  size: () => 8,
  write: (writer: ByteWriter, value: bigint) => {
    if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) refuse(path, 'an int64 as bigint', value)
    writer.int64(value)
  },
  read: (reader: ByteReader) => reader.int64(),
  isDefault: (value: bigint) => value === fallback,
})

const safeInteger: Make = ({ path }, fallback) => ({
  minBytes: 8,
  size: () => 8,
  write: (writer: ByteWriter, value: number) => {
    if (!Number.isSafeInteger(value)) refuse(path, 'a safe integer', value)
    writer.n64(value)
  },
  read: (reader: ByteReader) => reader.n64(),
  isDefault: (value: number) => value === fallback,
})

const float: Make = ({ path }, fallback) => ({
  minBytes: 8,
  size: () => 8,
  write: (writer: ByteWriter, value: number) => {
    if (typeof value !== 'number') refuse(path, 'a number', value)
    writer.float64(value)
  },
  read: (reader: ByteReader) => reader.float64(),
  isDefault: (value: number) => value === fallback,
})

const boolean: Make = ({ path }, fallback) => ({
  minBytes: 1,
  size: () => 1,
  write: (writer: ByteWriter, value: boolean) => {
    if (typeof value !== 'boolean') refuse(path, 'a boolean', value)
    writer.int8(value ? 1 : 0)
  },
  read: (reader: ByteReader) => reader.bool(),
  isDefault: (value: boolean) => value === fallback,
})

const uuidText: Make = ({ path }, fallback) => ({
  minBytes: 16,
  size: () => 16,
  write: (writer: ByteWriter, value: string) => {
    if (typeof value !== 'string') refuse(path, 'a uuid of 22 base64url characters', value)
    writer.uuid(value)
  },
  read: (reader: ByteReader) => reader.uuid(),
  isDefault: (value: string) => value === fallback,
})

/** How a length or count is put in front of a value. `wide`: int32 rather than int16 in the ordinary form. */
export interface LengthForm {
  readonly bytes: number
  write(writer: ByteWriter, length: number): void
  /** -1 is null; anything below is malformed. */
  read(reader: ByteReader): number
  size(length: number): number
}

const COMPACT: LengthForm = {
  bytes: 1,
  write: (writer, length) => writer.uvarint(length + 1),
  read: (reader) => reader.uvarint() - 1,
  size: (length) => uvarintBytes(length + 1),
}
const WIDE: LengthForm = {
  bytes: 4,
  write: (writer, length) => writer.int32(length),
  read: (reader) => reader.int32(),
  size: () => 4,
}
const NARROW: LengthForm = {
  bytes: 2,
  write: (writer, length) => writer.int16(length),
  read: (reader) => reader.int16(),
  size: () => 2,
}

export function lengthForm(isCompact: boolean, isWide: boolean): LengthForm {
  if (isCompact) return COMPACT
  return isWide ? WIDE : NARROW
}

/** What a reader gives for a null on the wire: null where allowed, else it is malformed. */
export function readNull(form: ValueForm, reader: ByteReader): null {
  return form.isNullable ? null : reader.malformed(`a value in ${form.path}`, 'null')
}

/** Writes a null where allowed. */
export function writeNull(form: ValueForm, length: LengthForm, writer: ByteWriter): void {
  if (!form.isNullable) refuse(form.path, 'a value in this version', null)
  length.write(writer, -1)
}

const text: Make = (form, fallback) => {
  const length = lengthForm(form.isCompact, false)
  const method = form.isCompact ? 'compactText' : 'text16'
  return {
    minBytes: length.bytes,
    size: (value: string | null) => {
      if (value === null) return length.size(-1)
      const bytes = Buffer.byteLength(value)
      return length.size(bytes) + bytes
    },
    write: (writer: ByteWriter, value: string | null) => {
      if (value === null) return writeNull(form, length, writer)
      if (typeof value !== 'string') refuse(form.path, 'a string', value)
      writer[method](value)
    },
    read: (reader: ByteReader) => {
      const bytes = length.read(reader)
      return bytes === -1 ? readNull(form, reader) : reader.text(bytes)
    },
    isDefault: (value: string | null) => value === fallback,
  }
}

const byteString: Make = (form, fallback) => {
  const length = lengthForm(form.isCompact, true)
  return {
    minBytes: length.bytes,
    size: (value: Uint8Array | null) => (value === null ? length.size(-1) : length.size(value.length) + value.length),
    write: (writer: ByteWriter, value: Uint8Array | null) => {
      if (value === null) return writeNull(form, length, writer)
      if (!(value instanceof Uint8Array)) refuse(form.path, 'a Uint8Array', value)
      length.write(writer, value.length)
      writer.bytes(value)
    },
    read: (reader: ByteReader) => {
      const bytes = length.read(reader)
      return bytes === -1 ? readNull(form, reader) : reader.bytes(bytes)
    },
    isDefault: (value: Uint8Array | null) => (value === null ? fallback === null : isEmptyDefault(value, fallback)),
  }
}

/** Hot path: segments are hung into the output, and what is read is a view of the frame. */
const recordBytes: Make = (form, fallback) => {
  const length = lengthForm(form.isCompact, true)
  return {
    minBytes: length.bytes,
    size: (value: RecordSegments | null) => {
      if (value === null) return length.size(-1)
      const bytes = segmentBytes(value)
      return length.size(bytes) + bytes
    },
    write: (writer: ByteWriter, value: RecordSegments | null) => {
      if (value === null) return writeNull(form, length, writer)
      if (value instanceof Uint8Array) {
        length.write(writer, value.length)
        writer.foreign(value)
        return
      }
      if (!Array.isArray(value)) refuse(form.path, 'a Uint8Array or a list of them', value)
      length.write(writer, segmentBytes(value))
      for (const segment of value) writer.foreign(segment)
    },
    read: (reader: ByteReader) => {
      const bytes = length.read(reader)
      return bytes === -1 ? readNull(form, reader) : reader.bytes(bytes)
    },
    isDefault: (value: RecordSegments | null) =>
      value === null ? fallback === null : fallback !== null && segmentBytes(value) === 0,
  }
}

function segmentBytes(value: RecordSegments): number {
  if (value instanceof Uint8Array) return value.length
  let bytes = 0
  for (const segment of value) bytes += segment.length
  return bytes
}

function isEmptyDefault(value: Uint8Array, fallback: unknown): boolean {
  return value.length === 0 && fallback instanceof Uint8Array && fallback.length === 0
}

const MAKERS: Readonly<Record<Kind, Make>> = {
  bool: boolean,
  int8: integer('int8', 1, -0x80, 0x7f),
  int16: integer('int16', 2, -0x8000, 0x7fff),
  int32: integer('int32', 4, -0x8000_0000, 0x7fff_ffff),
  uint16: integer('uint16', 2, 0, 0xffff),
  uint32: integer('uint32', 4, 0, 0xffff_ffff),
  int64: bigInteger,
  n64: (form, fallback) => (form.isBig ? bigInteger : safeInteger)(form, fallback),
  float64: float,
  string: text,
  uuid: uuidText,
  bytes: byteString,
  records: recordBytes,
}

/** The codec of one value of `kind`. `fallback` is its default: what counts as "not set". */
export function valueCodec(kind: Kind, form: ValueForm, fallback: unknown): ValueCodec {
  return MAKERS[kind](form, fallback)
}
