/**
 * A client's JSON frame, read and checked. GW-1.
 * Invariants: unknown types and fields are refused by name, so that a misspelt field is not a field left out; bytes come as
 * text (`value`) or as base64 (`value64`), never both.
 */
import type { ClientFrame, HeaderList, StartAt } from '../types.js'
import { checkId, checkOffset, checkPartition, checkTimestamp, checkTopic, identified, malformed } from './fields.js'

type Fields = Readonly<Record<string, unknown>>

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  auth: ['token'],
  publish: ['topic', 'key', 'key64', 'value', 'value64', 'headers', 'partition', 'timestamp'],
  subscribe: ['topics', 'key', 'key64', 'from'],
  unsubscribe: ['topics', 'key', 'key64'],
  ping: [],
  stats: ['on'],
}
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Throws DESERIALIZATION_FAILED/MALFORMED_FRAME, INVALID_TOPIC, INVALID_PARTITION, INVALID_OFFSET; `idOf` tells whose it was. */
export function decodeJsonFrame(text: string): ClientFrame {
  const fields = parse(text)
  const id = checkId(fields.id)
  try {
    return frameOf(fields, id === undefined ? {} : { id })
  } catch (error) {
    throw identified(error, id)
  }
}

function parse(text: string): Fields {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw malformed(`the frame is no JSON: ${(cause as Error).message}`)
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Fields
  throw malformed('a frame is a JSON object with a type')
}

function frameOf(fields: Fields, id: { readonly id?: number | string }): ClientFrame {
  const { type } = fields
  const known = typeof type === 'string' && Object.hasOwn(FIELDS, type) ? FIELDS[type] : undefined
  if (known === undefined) {
    throw malformed(`type ${String(type).slice(0, 32)}: expected one of ${Object.keys(FIELDS).join(', ')}`, {
      field: 'type',
    })
  }
  for (const field of Object.keys(fields)) {
    if (field === 'type' || field === 'id' || known.includes(field)) continue
    const expected = known.length === 0 ? 'none but id' : known.join(', ')
    throw malformed(`a ${String(type)} frame has no field ${field.slice(0, 32)}: expected ${expected}`, { field })
  }
  switch (type) {
    case 'auth':
      return { type, ...id, token: textOf(fields.token, 'token') }
    case 'publish':
      return publishOf(fields, id)
    case 'subscribe':
      return { type, ...id, topics: topicsOf(fields.topics), ...keyOf(fields), from: startOf(fields.from) }
    case 'unsubscribe':
      return { type, ...id, topics: topicsOf(fields.topics), ...keyOf(fields) }
    case 'stats':
      return { type, ...id, isOn: fields.on !== false }
    default:
      return { type: 'ping', ...id }
  }
}

function publishOf(fields: Fields, id: { readonly id?: number | string }): ClientFrame {
  const value = bytesOf(fields, 'value')
  if (value === undefined)
    throw malformed('a publish frame needs value or value64 (null for a tombstone)', { field: 'value' })
  return {
    type: 'publish',
    ...id,
    topic: checkTopic(fields.topic),
    key: bytesOf(fields, 'key') ?? null,
    value,
    headers: headersOf(fields.headers),
    ...(fields.partition === undefined ? {} : { partition: checkPartition(fields.partition) }),
    ...(fields.timestamp === undefined ? {} : { timestamp: checkTimestamp(fields.timestamp) }),
  }
}

function textOf(value: unknown, field: string): string {
  if (typeof value === 'string') return value
  throw malformed(`${field} must be a text`, { field })
}

/** `name` as text or `name64` as base64; undefined: neither is there. */
function bytesOf(fields: Fields, name: 'key' | 'value'): Buffer | null | undefined {
  const plain = fields[name]
  const encoded = fields[`${name}64`]
  if (encoded === undefined) {
    if (plain === undefined || plain === null) return plain
    return Buffer.from(textOf(plain, name))
  }
  if (plain !== undefined) throw malformed(`${name} and ${name}64 cannot both be given`, { field: `${name}64` })
  return base64Of(encoded, `${name}64`)
}

function base64Of(value: unknown, field: string): Buffer {
  if (typeof value === 'string' && BASE64.test(value)) return Buffer.from(value, 'base64')
  throw malformed(`${field} must be base64 with padding (RFC 4648)`, { field })
}

function keyOf(fields: Fields): { readonly key?: Buffer } {
  const key = bytesOf(fields, 'key')
  return key === undefined || key === null ? {} : { key }
}

function topicsOf(topics: unknown): string[] {
  if (topics === undefined) return []
  if (!Array.isArray(topics)) throw malformed('topics must be a list of names', { field: 'topics' })
  return topics.map(checkTopic)
}

/** A list of pairs, which keeps order and doubles, or an object. */
function headersOf(headers: unknown): HeaderList {
  if (headers === undefined || headers === null) return []
  if (typeof headers !== 'object')
    throw malformed('headers must be a list of pairs, or an object', { field: 'headers' })
  const pairs: readonly unknown[] = Array.isArray(headers) ? headers : Object.entries(headers)
  return pairs.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') {
      throw malformed('a header is a pair of name and value', { field: 'headers' })
    }
    return [pair[0], headerValue(pair[1])] as const
  })
}

function headerValue(value: unknown): Buffer | null {
  if (value === null) return null
  if (typeof value === 'string') return Buffer.from(value)
  if (typeof value === 'object' && 'base64' in value) return base64Of(value.base64, 'headers')
  throw malformed('the value of a header is a text, null, or {base64}', { field: 'headers' })
}

function startOf(from: unknown): StartAt {
  if (from === undefined || from === 'latest') return 'latest'
  if (from === 'earliest') return from
  if (typeof from !== 'object' || from === null || Array.isArray(from)) {
    throw malformed("from must be 'latest', 'earliest', or {topic: {partition: offset}}", { field: 'from' })
  }
  return new Map(Object.entries(from).map(([topic, offsets]) => [checkTopic(topic), offsetsOf(offsets)]))
}

function offsetsOf(offsets: unknown): ReadonlyMap<number, number> {
  if (typeof offsets !== 'object' || offsets === null || Array.isArray(offsets)) {
    throw malformed('from has {partition: offset} for each topic', { field: 'from' })
  }
  return new Map(
    Object.entries(offsets).map(([partition, offset]) => [
      checkPartition(/^\d{1,10}$/.test(partition) ? Number(partition) : partition),
      checkOffset(offset),
    ]),
  )
}
