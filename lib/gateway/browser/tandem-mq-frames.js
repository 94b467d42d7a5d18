/**
 * The frames of a gateway as a browser reads and writes them: checked when they come in, text where bytes are text. GW-1.
 * Plain JavaScript without imports from elsewhere: a gateway serves this very file, and no build step stands between.
 * Invariant: what `frameOf` returns has the fields that its type promises; everything else is a GatewayError.
 */

/** @typedef {'not-persisted' | 'possibly-persisted'} Persistence May the record be in the topic although it failed? */
/** @typedef {string | Uint8Array | null} Payload Text when the bytes are valid UTF-8; null is a tombstone. */
/** @typedef {readonly (readonly [name: string, value: Payload])[]} Headers Order and doubles are kept. */

/**
 * A record as a subscription gets it.
 * @typedef {object} GatewayRecord
 * @property {string} topic
 * @property {number} partition
 * @property {number} offset
 * @property {number} timestamp Milliseconds since 1970.
 * @property {Payload} key
 * @property {Payload} value
 * @property {Headers} headers
 */

/**
 * Records `from` to `to`, both inclusive, will not come: skipped because this client is slow, or deleted before it asked.
 * Of a subscription with a key, others' records are counted too.
 * @typedef {{ topic: string, partition: number, from: number, to: number, reason: string }} Gap
 */

/** @typedef {Map<string, Map<number, number>>} Offsets Next offsets by topic and partition. */

/**
 * @typedef {{ type: 'welcome', name: string, limits: Record<string, number> }
 *   | { type: 'ack', id: number, topic: string, partition: number, offset: number, timestamp: number }
 *   | { type: 'subscribed', id: number, topics: Offsets }
 *   | { type: 'unsubscribed', id: number }
 *   | { type: 'record', record: GatewayRecord }
 *   | { type: 'gap', gap: Gap }
 *   | { type: 'error', id: number | undefined, topic: string | undefined, error: GatewayError }
 *   | { type: 'pong' }
 *   | { type: 'stats', id: number, stats: unknown }} ServerFrame
 */

/** What fails: `code` as in the errors of tandem-mq. */
export class GatewayError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ reason?: string, persisted?: Persistence }} [more]
   */
  constructor(code, message, { reason = '', persisted = 'not-persisted' } = {}) {
    super(message)
    this.name = 'GatewayError'
    this.code = code
    /** The finer reason; '' when there is none. */
    this.reason = reason
    /** Of a publish that failed: 'possibly-persisted' records may be there; sending again may store them twice. */
    this.persisted = persisted
  }
}

/** Publishes refused with these were never given to Kafka; of others it is said, or in doubt. */
const REFUSALS = [
  'AUTHENTICATION_FAILED',
  'AUTHORIZATION_FAILED',
  'DESERIALIZATION_FAILED',
  'INVALID_PARTITION',
  'INVALID_TOPIC',
  'MESSAGE_TOO_LARGE',
  'PARTITION_NOT_FOUND',
  'SERIALIZATION_FAILED',
  'TOPIC_NOT_FOUND',
]

/**
 * A message of the gateway, checked. Throws DESERIALIZATION_FAILED.
 * @param {unknown} data
 * @returns {ServerFrame}
 */
export function frameOf(data) {
  if (typeof data !== 'string') throw malformed('a message that is no text')
  let fields
  try {
    fields = JSON.parse(data)
  } catch {
    throw malformed('a message that is no JSON')
  }
  if (typeof fields !== 'object' || fields === null) throw malformed('a message that is no object')
  switch (fields.type) {
    case 'welcome':
      if (fields.version !== 1) throw malformed(`version ${String(fields.version)}: this client speaks 1`)
      return { type: 'welcome', name: text(fields, 'name'), limits: fields.limits ?? {} }
    case 'ack':
      return { type: 'ack', ...placeOf(fields), id: count(fields, 'id'), timestamp: time(fields) }
    case 'subscribed':
      return { type: 'subscribed', id: count(fields, 'id'), topics: offsetsOf(fields.topics) }
    case 'unsubscribed':
      return { type: 'unsubscribed', id: count(fields, 'id') }
    case 'record':
      return { type: 'record', record: recordOf(fields) }
    case 'gap':
      return { type: 'gap', gap: gapOf(fields) }
    case 'error':
      return errorOf(fields)
    case 'pong':
      return { type: 'pong' }
    case 'stats':
      return { type: 'stats', id: count(fields, 'id'), stats: fields.stats }
    default:
      throw malformed(`a frame of type ${String(fields.type).slice(0, 32)}`)
  }
}

/**
 * A publish frame as text. Throws SERIALIZATION_FAILED for what is neither text nor bytes nor null.
 * @param {number} id
 * @param {string} topic
 * @param {Payload} value
 * @param {{ key?: Payload, headers?: Headers | Readonly<Record<string, Payload>>, partition?: number, timestamp?: number }} options
 */
export function publishFrame(id, topic, value, { key = null, headers, partition, timestamp }) {
  const pairs = headers === undefined || Array.isArray(headers) ? headers : Object.entries(headers)
  return JSON.stringify({
    type: 'publish',
    id,
    topic,
    ...field('key', key),
    ...field('value', value),
    headers: pairs?.map(([name, header]) => [name, header instanceof Uint8Array ? { base64: base64(header) } : header]),
    partition,
    timestamp,
  })
}

/**
 * Next offsets as a `from` of a subscribe frame.
 * @param {Offsets} offsets
 */
export function fromOf(offsets) {
  return Object.fromEntries([...offsets].map(([topic, partitions]) => [topic, Object.fromEntries(partitions)]))
}

/**
 * @param {string} name
 * @param {unknown} payload
 */
function field(name, payload) {
  if (payload instanceof Uint8Array) return { [`${name}64`]: base64(payload) }
  if (typeof payload === 'string' || payload === null) return { [name]: payload }
  throw new GatewayError('SERIALIZATION_FAILED', `${name} must be a text, a Uint8Array or null: serialise it first`)
}

/**
 * @param {any} fields
 * @returns {GatewayRecord}
 */
function recordOf(fields) {
  const headers = fields.headers ?? []
  if (!Array.isArray(headers)) throw malformed('headers that are no list')
  return {
    ...placeOf(fields),
    timestamp: time(fields),
    key: payload(fields, 'key'),
    value: payload(fields, 'value'),
    headers: headers.map(([name, value]) => [String(name), value?.base64 === undefined ? value : bytes(value.base64)]),
  }
}

/**
 * @param {any} fields
 * @returns {Gap}
 */
function gapOf(fields) {
  const [from, to] = [count(fields, 'from'), count(fields, 'to')]
  if (to < from) throw malformed(`a gap from ${from} to ${to}`)
  const partition = count(fields, 'partition')
  return { topic: text(fields, 'topic'), partition, from, to, reason: text(fields, 'reason') }
}

/**
 * @param {any} fields
 * @returns {ServerFrame}
 */
function errorOf(fields) {
  const code = text(fields, 'code')
  const error = new GatewayError(code, text(fields, 'message'), {
    reason: typeof fields.reason === 'string' ? fields.reason : '',
    persisted: doubtOf(code, fields.persistence),
  })
  const id = typeof fields.id === 'number' ? fields.id : undefined
  return { type: 'error', id, topic: typeof fields.topic === 'string' ? fields.topic : undefined, error }
}

/**
 * @param {string} code
 * @param {unknown} persistence
 * @returns {Persistence}
 */
function doubtOf(code, persistence) {
  if (persistence === 'not-persisted' || persistence === 'possibly-persisted') return persistence
  return REFUSALS.includes(code) ? 'not-persisted' : 'possibly-persisted'
}

/** @param {any} fields */
function placeOf(fields) {
  return { topic: text(fields, 'topic'), partition: count(fields, 'partition'), offset: count(fields, 'offset') }
}

/**
 * @param {any} topics
 * @returns {Offsets}
 */
function offsetsOf(topics) {
  if (typeof topics !== 'object' || topics === null) throw malformed('subscribed without topics')
  const partitionsOf = (/** @type {any} */ next) =>
    new Map(Object.keys(next).map((partition) => [Number(partition), count(next, partition)]))
  return new Map(Object.entries(topics).map(([topic, next]) => [topic, partitionsOf(next)]))
}

/**
 * @param {any} fields
 * @param {string} name
 * @returns {number}
 */
function count(fields, name) {
  const value = fields[name]
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw malformed(`${name} ${String(value).slice(0, 32)} in a ${fields.type} frame`)
}

/**
 * Brokers give -1 for records without a timestamp.
 * @param {any} fields
 * @returns {number}
 */
function time({ timestamp }) {
  if (Number.isSafeInteger(timestamp)) return timestamp
  throw malformed(`timestamp ${String(timestamp).slice(0, 32)}`)
}

/**
 * @param {any} fields
 * @param {string} name
 * @returns {string}
 */
function text(fields, name) {
  if (typeof fields[name] === 'string') return fields[name]
  throw malformed(`${name} that is no text in a ${fields.type} frame`)
}

/**
 * @param {any} fields
 * @param {'key' | 'value'} name
 * @returns {Payload}
 */
function payload(fields, name) {
  const encoded = fields[`${name}64`]
  if (encoded !== undefined) return bytes(encoded)
  return fields[name] === null ? null : text(fields, name)
}

/**
 * @param {unknown} encoded
 * @returns {Uint8Array}
 */
function bytes(encoded) {
  try {
    return Uint8Array.from(atob(String(encoded)), (character) => character.charCodeAt(0))
  } catch {
    throw malformed('bytes that are no base64')
  }
}

/** @param {Uint8Array} from */
function base64(from) {
  let binary = ''
  for (const byte of from) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** @param {string} what */
export function malformed(what) {
  return new GatewayError('DESERIALIZATION_FAILED', `the gateway sent ${what}`, { reason: 'MALFORMED_FRAME' })
}
