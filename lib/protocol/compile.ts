/**
 * Turns a declaration and a version into `{size, write, read}`.
 * Why: a message has up to 18 versions; what differs is decided once, here, and cached, so that a request costs a
 * walk over closures and no look at a version range.
 * Invariant: objects read have every field of the declaration, in declaration order, whatever the version was.
 * Source: kafka.md W-2 to W-5 (defaults, ignorable, null, unknown tags).
 */
import { MQError } from '../errors/index.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { DecodedOf, Field, Fields, InputOf, Kind, Message } from './schema.js'
import { type StructPlan, structCodec } from './struct-codec.js'
import { ZERO_UUID } from './uuid.js'
import { lengthForm, readNull, refuse, type ValueCodec, type ValueForm, valueCodec, writeNull } from './value-codec.js'
import { formatRange, inRange } from './version-range.js'

/** Reader and writer of one message in one version. */
export interface MessageCodec<In, Out> {
  readonly version: number
  /** Bytes that `write` will write. */
  size(value: In): number
  write(writer: ByteWriter, value: In): void
  read(reader: ByteReader): Out
}

export interface CompileOptions {
  /** Every int64 as bigint, also those that are numbers otherwise: for tests with extreme values. */
  readonly int64?: 'bigint'
}

type AnyCodec = MessageCodec<never, unknown>
const cache = new WeakMap<Message, AnyCodec[]>()
const bigCache = new WeakMap<Message, AnyCodec[]>()

/** The codec of `message` in `version`; made at first use. Throws UNSUPPORTED_VERSION outside the schema's range. */
export function compile<Fs extends Fields>(
  message: Message<Fs>,
  version: number,
  options?: CompileOptions,
): MessageCodec<InputOf<Fs>, DecodedOf<Fs>> {
  const isBig = options?.int64 === 'bigint'
  const caches = isBig ? bigCache : cache
  let codecs = caches.get(message)
  if (codecs === undefined) {
    codecs = []
    caches.set(message, codecs)
  }
  codecs[version] ??= make(message, version, isBig)
  return codecs[version] as unknown as MessageCodec<InputOf<Fs>, DecodedOf<Fs>>
}

interface Scope {
  readonly version: number
  readonly isFlexible: boolean
  readonly isBig: boolean
}

function make(message: Message, version: number, isBig: boolean): AnyCodec {
  if (!inRange(message.versions, version)) throw unsupported(message, version)
  const scope = { version, isFlexible: inRange(message.flexible, version), isBig }
  const path = `${message.name} v${version} `
  const { size, write, read } = structCodec(planOf(message.fields, scope, path), NOT_NULL)
  return { version, size, write, read } as AnyCodec
}

const NOT_NULL: ValueForm = { path: '', isNullable: false, isCompact: false, isBig: false }

function unsupported({ apiName, apiKey, versions }: Message, version: number): MQError {
  return new MQError(
    'CONNECTION_FAILED',
    `${apiName} has no version ${version}: expected ${formatRange(versions)}`,
    { reason: 'UNSUPPORTED_VERSION', apiKey, apiName, version },
    { retryable: false },
  )
}

function planOf(fields: Fields, scope: Scope, path: string): StructPlan {
  const plan: StructPlan = { isFlexible: scope.isFlexible, defaults: {}, plain: [], tagged: [], absent: [] }
  for (const [name, field] of Object.entries(fields)) {
    const fallback = defaultOf(field, scope)
    const codec = codecOf(field, fallback, scope, path + name)
    const isPresent = inRange(field.versions, scope.version)
    plan.defaults[name] = fallback
    const entry = { name, path: path + name, codec, fallback: mayBeLeftOut(field) ? fallback : undefined }
    if (!isPresent) {
      if (!field.ignorable) plan.absent.push(entry)
    } else if (scope.isFlexible && inRange(field.tagged, scope.version)) {
      plan.tagged.push({ ...entry, fallback, tag: field.tag })
    } else plan.plain.push(entry)
  }
  plan.tagged.sort((a, b) => a.tag - b.tag)
  return plan
}

/** The same rule as in the types: default, ignorable, or not in every version. All others must be given. */
function mayBeLeftOut({ default: declared, ignorable, versions }: Field): boolean {
  return declared !== undefined || ignorable || versions.min > 0 || versions.max !== Number.POSITIVE_INFINITY
}

const NO_ELEMENTS: readonly never[] = Object.freeze([])
const NO_BYTES = new Uint8Array(0)

function defaultOf(field: Field, scope: Scope): unknown {
  if (field.kind === 'struct' && field.default !== null) {
    return Object.freeze(planOf(field.element as Fields, scope, '').defaults)
  }
  const value = field.default === undefined ? implicitDefault(field.kind) : field.default
  const isInt64 = field.kind === 'int64' || (field.kind === 'n64' && scope.isBig)
  return isInt64 ? BigInt(value as number | bigint) : value
}

function implicitDefault(kind: Field['kind']): unknown {
  switch (kind) {
    case 'bool':
      return false
    case 'string':
      return ''
    case 'uuid':
      return ZERO_UUID
    case 'bytes':
      return NO_BYTES
    case 'records':
      return null
    case 'array':
      return NO_ELEMENTS
    default:
      return 0
  }
}

function codecOf(field: Field, fallback: unknown, scope: Scope, path: string): ValueCodec {
  const form: ValueForm = {
    path,
    isNullable: inRange(field.nullable, scope.version),
    isCompact: scope.isFlexible,
    isBig: scope.isBig,
  }
  if (field.kind === 'struct') {
    return structCodec(planOf(field.element as Fields, scope, `${path}.`), form, fallback === null)
  }
  if (field.kind === 'array') return arrayCodec(elementCodec(field, scope, `${path}[]`), form, fallback === null)
  return valueCodec(field.kind, form, fallback)
}

function elementCodec(field: Field, scope: Scope, path: string): ValueCodec {
  if (typeof field.element !== 'string') {
    return structCodec(planOf(field.element as Fields, scope, `${path}.`), NOT_NULL)
  }
  const form = { path, isNullable: false, isCompact: scope.isFlexible, isBig: scope.isBig }
  return valueCodec(field.element satisfies Kind, form, undefined)
}

type List = readonly unknown[] | null

function arrayCodec(element: ValueCodec, form: ValueForm, isNullDefault: boolean): ValueCodec {
  const length = lengthForm(form.isCompact, true)
  const codec: ValueCodec<List> = {
    minBytes: length.bytes,
    size: (list) => {
      if (list === null) return length.size(-1)
      let bytes = length.size(list.length)
      for (const value of list) bytes += element.size(value)
      return bytes
    },
    write: (writer, list) => {
      if (list === null) return writeNull(form, length, writer)
      if (!Array.isArray(list)) refuse(form.path, 'an array', list)
      length.write(writer, list.length)
      for (let i = 0; i < list.length; i++) element.write(writer, list[i])
    },
    read: (reader) => {
      const claimed = length.read(reader)
      if (claimed === -1) return readNull(form, reader)
      const count = reader.count(claimed, Math.max(1, element.minBytes))
      const list: unknown[] = []
      for (let i = 0; i < count; i++) list.push(element.read(reader))
      return list
    },
    isDefault: (list) => (list === null ? isNullDefault : !isNullDefault && list.length === 0),
  }
  return codec as ValueCodec
}
