/**
 * A client's binary frame, read and checked. The schema is docs/gateway.proto. GW-1.
 * Invariant: as for JSON, what passes is legal for Kafka; of a field that is given twice the last one counts, as everywhere
 * in Protocol Buffers.
 */
import type { ClientFrame, FrameId, StartAt } from '../types.js'
import { checkId, checkOffset, checkPartition, checkTimestamp, checkTopic, identified, malformed } from './fields.js'
import { ProtoReader } from './proto-wire.js'

type Id = { readonly id?: FrameId }

/** Throws as `decodeJsonFrame`. */
export function decodeProtoFrame(bytes: Buffer): ClientFrame {
  const reader = new ProtoReader(bytes, 'ClientFrame')
  let body: ProtoReader | null = null
  let kind = 0
  let id: FrameId | undefined
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field >= 1 && field <= 6) {
      kind = field
      body = reader.nested(NAMES[field] as string)
    } else if (field === 14) id = checkId(reader.integer('id'))
    else if (field === 15) id = checkId(reader.text('id'))
    else reader.skip()
  }
  if (body === null) throw malformed('a ClientFrame without a frame', { field: 'frame' })
  try {
    return frameOf(kind, body, id === undefined ? {} : { id })
  } catch (error) {
    throw identified(error, id)
  }
}

const NAMES = ['', 'auth', 'publish', 'subscribe', 'unsubscribe', 'ping', 'stats'] as const

function frameOf(kind: number, body: ProtoReader, id: Id): ClientFrame {
  switch (kind) {
    case 1:
      return authOf(body, id)
    case 2:
      return publishOf(body, id)
    case 3:
      return subscribeOf(body, id)
    case 4:
      return unsubscribeOf(body, id)
    case 5:
      skipAll(body)
      return { type: 'ping', ...id }
    default:
      return statsOf(body, id)
  }
}

function authOf(body: ProtoReader, id: Id): ClientFrame {
  let token = ''
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) token = body.text('token')
    else body.skip()
  }
  return { type: 'auth', ...id, token }
}

function publishOf(body: ProtoReader, id: Id): ClientFrame {
  let topic = ''
  let key: Buffer | null = null
  let value: Buffer | null = null
  const headers: [string, Buffer | null][] = []
  let partition: number | undefined
  let timestamp: number | undefined
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) topic = body.text('topic')
    else if (field === 2) key = body.data('key')
    else if (field === 3) value = body.data('value')
    else if (field === 4) headers.push(headerOf(body.nested('headers')))
    else if (field === 5) partition = checkPartition(body.integer('partition'))
    else if (field === 6) timestamp = checkTimestamp(body.integer('timestamp'))
    else body.skip()
  }
  return {
    type: 'publish',
    ...id,
    topic: checkTopic(topic),
    key,
    value,
    headers,
    ...(partition === undefined ? {} : { partition }),
    ...(timestamp === undefined ? {} : { timestamp }),
  }
}

function headerOf(body: ProtoReader): [string, Buffer | null] {
  let name = ''
  let value: Buffer | null = null
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) name = body.text('header name')
    else if (field === 2) value = body.data('header value')
    else body.skip()
  }
  return [name, value]
}

function subscribeOf(body: ProtoReader, id: Id): ClientFrame {
  const topics: string[] = []
  let key: Buffer | undefined
  let start: StartAt = 'latest'
  const positions = new Map<string, Map<number, number>>()
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) topics.push(checkTopic(body.text('topics')))
    else if (field === 2) key = body.data('key')
    else if (field === 3) start = startOf(body.integer('start'))
    else if (field === 4) putPosition(positions, body.nested('positions'))
    else body.skip()
  }
  const from = positions.size > 0 ? positions : start
  return { type: 'subscribe', ...id, topics, ...(key === undefined ? {} : { key }), from }
}

function startOf(value: number): 'latest' | 'earliest' {
  if (value > 1) throw malformed(`start ${value}: expected LATEST (0) or EARLIEST (1)`, { field: 'start' })
  return value === 0 ? 'latest' : 'earliest'
}

function putPosition(positions: Map<string, Map<number, number>>, body: ProtoReader): void {
  let topic = ''
  let partition = 0
  let offset = 0
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) topic = body.text('topic')
    else if (field === 2) partition = checkPartition(body.integer('partition'))
    else if (field === 3) offset = checkOffset(body.integer('offset'))
    else body.skip()
  }
  const offsets = positions.get(checkTopic(topic)) ?? new Map<number, number>()
  positions.set(topic, offsets.set(partition, offset))
}

function unsubscribeOf(body: ProtoReader, id: Id): ClientFrame {
  const topics: string[] = []
  let key: Buffer | undefined
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) topics.push(checkTopic(body.text('topics')))
    else if (field === 2) key = body.data('key')
    else body.skip()
  }
  return { type: 'unsubscribe', ...id, topics, ...(key === undefined ? {} : { key }) }
}

function statsOf(body: ProtoReader, id: Id): ClientFrame {
  let isOn = true
  for (let field = body.next(); field !== 0; field = body.next()) {
    if (field === 1) isOn = body.integer('off') === 0
    else body.skip()
  }
  return { type: 'stats', ...id, isOn }
}

function skipAll(body: ProtoReader): void {
  while (body.next() !== 0) body.skip()
}
