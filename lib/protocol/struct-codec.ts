/**
 * Codecs of structs: fields in order, then the tagged ones.
 * Why a template: each object read begins as a copy of the same defaults, so that all have one hidden class, absent
 * fields are there already, and reading assigns what the version has.
 * Invariant: `plain` is in wire order, `tagged` ascends by tag; unknown tags are skipped, never an error.
 * Source: kafka.md 1.1 (tagged fields), W-3.
 */
import { MQError } from '../errors/index.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import { refuse, uvarintBytes, type ValueCodec, type ValueForm } from './value-codec.js'

type Struct = Record<string, unknown>

interface PlannedField {
  readonly name: string
  readonly path: string
  readonly codec: ValueCodec
  /** Written when the caller leaves the field out; undefined: it must be given. */
  readonly fallback: unknown
}
interface TaggedField extends PlannedField {
  readonly tag: number
}

/** What one version makes of a list of fields. */
export interface StructPlan {
  readonly isFlexible: boolean
  /** Of every field, present or not. */
  readonly defaults: Struct
  readonly plain: PlannedField[]
  readonly tagged: TaggedField[]
  /** Fields this version lacks and that are not ignorable: a value other than the default is refused. */
  readonly absent: PlannedField[]
}

export function structCodec(plan: StructPlan, form: ValueForm, isNullDefault = false): ValueCodec {
  const { read, write, size, minBytes } = bodyOf(plan)
  const isDefault = (value: Struct | null): boolean =>
    value === null ? isNullDefault : !isNullDefault && allDefault(plan, value)
  if (!form.isNullable) {
    const strict = (writer: ByteWriter, value: Struct): void => {
      if (typeof value !== 'object' || value === null) refuse(form.path || 'an element', 'an object', value)
      write(writer, value)
    }
    return { minBytes, size, write: strict, read, isDefault }
  }
  const nullable: ValueCodec<Struct | null> = {
    minBytes: 1,
    size: (value) => (value === null ? 1 : 1 + size(value)),
    write: (writer, value) => {
      writer.int8(value === null ? -1 : 1)
      if (value !== null) write(writer, value)
    },
    read: (reader) => (reader.int8() < 0 ? null : read(reader)),
    isDefault,
  }
  return nullable as ValueCodec
}

interface Body {
  readonly minBytes: number
  size(value: Struct): number
  write(writer: ByteWriter, value: Struct): void
  read(reader: ByteReader): Struct
}

function bodyOf(plan: StructPlan): Body {
  const { plain, absent, defaults } = plan
  const tags = plan.isFlexible ? tagSection(plan.tagged) : null
  return {
    minBytes: plain.reduce((sum, { codec }) => sum + codec.minBytes, tags === null ? 0 : 1),
    size: (value) => {
      let bytes = tags === null ? 0 : tags.size(value)
      for (const field of plain) bytes += field.codec.size(given(field, value))
      return bytes
    },
    write: (writer, value) => {
      for (let i = 0; i < absent.length; i++) refuseAbsent(absent[i] as PlannedField, value)
      for (let i = 0; i < plain.length; i++) {
        const field = plain[i] as PlannedField
        field.codec.write(writer, given(field, value))
      }
      if (tags !== null) tags.write(writer, value)
    },
    read: (reader) => {
      const value: Struct = { ...defaults }
      for (let i = 0; i < plain.length; i++) {
        const field = plain[i] as PlannedField
        value[field.name] = field.codec.read(reader)
      }
      if (tags !== null) tags.read(reader, value)
      return value
    },
  }
}

/** The caller's value, else the default, else it is missing. */
function given(field: PlannedField, value: Struct): unknown {
  const own = value[field.name]
  if (own !== undefined) return own
  return field.fallback === undefined ? refuse(field.path, 'a value', undefined) : field.fallback
}

function refuseAbsent({ name, path, codec }: PlannedField, value: Struct): void {
  const own = value[name]
  if (own === undefined || codec.isDefault(own)) return
  throw new MQError('SERIALIZATION_FAILED', `${path} does not exist in this version: leave it out`, {
    reason: 'UNSUPPORTED_VERSION',
    field: path,
  })
}

function allDefault({ plain, tagged, absent }: StructPlan, value: Struct): boolean {
  const isUnset = ({ name, codec }: PlannedField): boolean => {
    const own = value[name]
    return own === undefined || codec.isDefault(own)
  }
  return plain.every(isUnset) && tagged.every(isUnset) && absent.every(isUnset)
}

function tagSection(tagged: readonly TaggedField[]): Omit<Body, 'minBytes' | 'read'> & {
  read(reader: ByteReader, into: Struct): void
} {
  const byTag = new Map(tagged.map((field) => [field.tag, field]))
  const setOf = (value: Struct): readonly TaggedField[] =>
    tagged.filter(({ name, codec }) => value[name] !== undefined && !codec.isDefault(value[name]))
  return {
    size: (value) => {
      if (tagged.length === 0) return 1
      const set = setOf(value)
      let bytes = uvarintBytes(set.length)
      for (const { name, codec, tag } of set) {
        const own = codec.size(value[name])
        bytes += uvarintBytes(tag) + uvarintBytes(own) + own
      }
      return bytes
    },
    write: (writer, value) => {
      const set = tagged.length === 0 ? tagged : setOf(value)
      writer.uvarint(set.length)
      for (const { name, codec, tag } of set) {
        writer.uvarint(tag)
        writer.uvarint(codec.size(value[name]))
        codec.write(writer, value[name])
      }
    },
    read: (reader, into) => readTags(reader, into, byTag),
  }
}

/** A tag section costs two bytes per field at least, and its tags ascend. */
function readTags(reader: ByteReader, into: Struct, byTag: ReadonlyMap<number, TaggedField>): void {
  const claimed = reader.uvarint()
  if (claimed === 0) return
  const count = reader.count(claimed, 2)
  for (let i = 0, before = -1; i < count; i++) {
    const tag = reader.uvarint()
    if (tag <= before) reader.malformed('ascending tags', `${tag} after ${before}`)
    before = tag
    const field = byTag.get(tag)
    const size = reader.uvarint()
    if (field === undefined) reader.skip(size)
    else {
      const end = reader.narrow(size)
      into[field.name] = field.codec.read(reader)
      reader.widen(end)
    }
  }
}

/** Skips a tag section of which nothing is known: those of headers. */
export function skipTags(reader: ByteReader): void {
  readTags(reader, {}, NO_TAGS)
}

const NO_TAGS: ReadonlyMap<number, TaggedField> = new Map()
