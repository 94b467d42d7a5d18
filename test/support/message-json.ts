/**
 * Kafka's JSON form of a message (decimal strings, hex) to and from the objects our codecs take and give.
 * Used with `int64: 'bigint'` only: the vectors hold the extremes of int64.
 */
import { type Field, type Fields, inRange } from '../../lib/protocol/index.js'
import { hex, unhex } from './vectors.js'

type Json = Record<string, unknown>

/** An input object: what the JSON leaves out stays left out. A name that the schema lacks is an error. */
export function fromJson(fields: Fields, json: Json): Json {
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const field = fields[name]
      if (field === undefined) throw new Error(`the schema has no field ${name}`)
      return [name, value === null ? null : valueFrom(field.kind, field.element, value)]
    }),
  )
}

function valueFrom(kind: Field['kind'], element: Field['element'], value: unknown): unknown {
  if (value === null) return null
  switch (kind) {
    case 'array':
      return (value as unknown[]).map((one) =>
        typeof element === 'string' ? valueFrom(element, null, one) : fromJson(element as Fields, one as Json),
      )
    case 'struct':
      return fromJson(element as Fields, value as Json)
    case 'int64':
    case 'n64':
      return BigInt(value as string)
    case 'bytes':
    case 'records':
      return unhex(value as string)
    default:
      return value
  }
}

/** A decoded object as Kafka prints it in `version`: without fields the version lacks, without default tagged ones. */
export function toJson(fields: Fields, version: number, object: Json): Json {
  const entries = Object.entries(fields).flatMap(([name, field]) => {
    if (!(name in object)) throw new Error(`${name} was not filled in`)
    if (!inRange(field.versions, version)) return []
    const json = valueTo(field.kind, field.element, version, object[name])
    return inRange(field.tagged, version) && isDefault(field, version, json) ? [] : [[name, json] as const]
  })
  return Object.fromEntries(entries)
}

function valueTo(kind: Field['kind'], element: Field['element'], version: number, value: unknown): unknown {
  if (value === null) return null
  switch (kind) {
    case 'array':
      return (value as unknown[]).map((one) =>
        typeof element === 'string'
          ? valueTo(element, null, version, one)
          : toJson(element as Fields, version, one as Json),
      )
    case 'struct':
      return toJson(element as Fields, version, value as Json)
    case 'int64':
    case 'n64':
      return String(value)
    case 'bytes':
    case 'records':
      return hex(value as Uint8Array)
    default:
      return value
  }
}

function isDefault(field: Field, version: number, json: unknown): boolean {
  if (json === null) return field.default === null
  if (field.kind === 'array') return (json as unknown[]).length === 0
  if (field.kind === 'struct') {
    return Object.entries(field.element as Fields).every(
      ([name, inner]) => !inRange(inner.versions, version) || isDefault(inner, version, (json as Json)[name]),
    )
  }
  return json === jsonDefault(field)
}

function jsonDefault(field: Field): unknown {
  switch (field.kind) {
    case 'string':
    case 'bytes':
      return field.default ?? ''
    case 'uuid':
      return field.default ?? 'AAAAAAAAAAAAAAAAAAAAAA'
    case 'bool':
      return field.default ?? false
    case 'int64':
    case 'n64':
      return String(field.default ?? 0)
    default:
      return field.default ?? 0
  }
}
