/**
 * docs/gateway.md against the code: every frame it shows is decoded and encoded by the gateway, in both formats, and both must
 * say the same; defaults, series and codes are the real ones.
 * Why protobufjs for the second format: examples written by hand must be held against somebody else's reading of gateway.proto.
 * That its blocks compile, run and print what they promise is checked with those of the other documents.
 */
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { resolveGatewayOptions } from '../../lib/config/index.js'
import { decodeFrame, FeedBlock, formatOf, frameBytes, type ServerFrame, wireOf } from '../../lib/gateway/index.js'
import { ERROR_CODES, ERROR_REASONS } from '../../lib/index.js'
import { SERIES } from '../../lib/metrics/index.js'
import { ROOT, read, tableRows } from './markdown.js'

const guide = read('docs/gateway.md')
const schema = protobuf.loadSync(join(ROOT, 'docs/gateway.proto'))
const ClientFrame = schema.lookupType('tandemmq.gateway.v1.ClientFrame')
const ServerFrameType = schema.lookupType('tandemmq.gateway.v1.ServerFrame')
/** What is not there is its default, as proto3 has it. */
const AS_SHOWN = { longs: Number, defaults: true }
const unquoted = (cell = '') => cell.replace(/^`|`$/g, '')

describe('docs/gateway.md', () => {
  const client = tableRows(guide, 'client frame').map(([what, json, text]) => [what, unquoted(json), unquoted(text)])
  const server = tableRows(guide, 'server frame').map(([what, json, text]) => [what, unquoted(json), unquoted(text)])

  it('GW-1: shows every frame', () => {
    const shown = (rows: readonly (readonly (string | undefined)[])[]) =>
      new Set(rows.map(([, json = '']) => (JSON.parse(json) as { type: string }).type))
    expect(shown(client)).toEqual(new Set(['auth', 'publish', 'subscribe', 'unsubscribe', 'ping', 'stats']))
    const told = ['welcome', 'ack', 'subscribed', 'unsubscribed', 'gap', 'error', 'pong', 'record']
    expect(shown(server)).toEqual(new Set(told))
  })

  it.each(client)('GW-1: client frame "%s" is the same in JSON and protobuf', (_what, json = '', text = '') => {
    const bytes = ClientFrame.encode(parseText(text, ClientFrame)).finish()
    expect(decodeFrame(Buffer.from(bytes), 'protobuf')).toEqual(decodeFrame(Buffer.from(json), 'json'))
  })

  it.each(server)(
    'GW-1: server frame "%s" is what the gateway writes in both formats',
    (_what, json = '', text = '') => {
      const [asJson, asProtobuf] = (['json', 'protobuf'] as const).map((format) => payloadOf(json, format))
      expect(asJson?.toString()).toBe(json)
      const expected = ServerFrameType.toObject(ServerFrameType.create(parseText(text, ServerFrameType)), AS_SHOWN)
      expect(ServerFrameType.toObject(ServerFrameType.decode(asProtobuf as Buffer), AS_SHOWN)).toEqual(expected)
    },
  )

  it('GW-1: the bytes of the TCP example are a whole frame', () => {
    const [, hex = '', text = ''] = /^((?:[0-9a-f]{2} +)+)(\{.*\})$/m.exec(guide) ?? []
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    expect(bytes.readUInt32BE()).toBe(bytes.length - 4)
    expect(bytes.subarray(4).toString()).toBe(text)
    expect(decodeFrame(bytes.subarray(4), formatOf(bytes.subarray(4)))).toEqual({ type: 'ping' })
  })

  it('GW-3, GW-4: gives the real defaults', () => {
    const settings = resolveGatewayOptions({ websocket: ':0' }) as unknown as Record<string, unknown>
    const rows = tableRows(guide, 'option')
    expect(rows.length).toBeGreaterThanOrEqual(10)
    for (const [names = '', value] of rows) {
      for (const [, name = ''] of names.matchAll(/`(\w+)`/g))
        expect([name, value]).toEqual([name, shown(settings[name])])
    }
    const policies = tableRows(guide, '`slowClient`').map(([name]) => name)
    expect(policies).toEqual(["`'pause'` (default)", "`'drop'`", "`'disconnect'`"])
    expect(settings.slowClient).toBe('pause')
    expect(settings.path).toBe('/mq')
  })

  it('lists the series of gateways, all and no other', () => {
    const names = SERIES.filter(({ name }) => name.startsWith('gateway_')).map(
      ({ name, labels }) => `\`${name}${labels.length > 0 ? `{${labels.join(',')}}` : ''}\``,
    )
    expect(tableRows(guide, 'series').map(([name]) => name)).toEqual(names)
  })

  it('names only codes and reasons that exist', () => {
    const capitals = [...guide.replace(/```[\s\S]*?```/g, '').matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(
      ([, name = '']) => name,
    )
    const known: readonly string[] = [...ERROR_CODES, ...ERROR_REASONS, 'TANDEM_GATEWAY_KEY_PASSWORD']
    expect(capitals.length).toBeGreaterThan(5)
    expect(capitals.filter((name) => !known.includes(name))).toEqual([])
  })
})

const numbers = (value: number) => value.toLocaleString('en-US')

/** A default as the table of limits writes it. */
function shown(value: unknown): string {
  if (typeof value !== 'number') return String(value)
  if (value === 0) return '0 = off'
  return value % 1024 ** 2 === 0 ? `${value / 1024 ** 2} MiB` : numbers(value)
}

/** What the gateway writes for the frame that a JSON example shows, without its length. */
function payloadOf(json: string, format: 'json' | 'protobuf'): Buffer {
  const wire = wireOf('tcp', format)
  const shownFrame = JSON.parse(json) as { type: string } & Record<string, unknown>
  if (shownFrame.type !== 'record') return frameBytes(wire, frameOf(shownFrame)).subarray(4)
  const { topic, partition, offset, timestamp, key, value, headers } = shownFrame as unknown as ShownRecord
  const pairs = headers.map(([name, text]) => [name, Buffer.from(text)] as const)
  const record = { offset, timestamp, key: Buffer.from(key), value: Buffer.from(value), headers: pairs }
  return new FeedBlock(topic, partition, [record]).frames(wire, 0, 1).subarray(4)
}

interface ShownRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string
  readonly value: string
  readonly headers: readonly (readonly [name: string, text: string])[]
}

/** Positions are Maps inside. */
function frameOf(frame: Record<string, unknown>): ServerFrame {
  if (frame.type !== 'subscribed') return frame as unknown as ServerFrame
  const topics = Object.entries(frame.topics as Record<string, Record<string, number>>).map(
    ([topic, offsets]) =>
      [topic, new Map(Object.entries(offsets).map(([at, offset]) => [Number(at), offset]))] as const,
  )
  return { ...frame, topics: new Map(topics) } as unknown as ServerFrame
}

/** The text format of protobuf, as far as the guide uses it: `name { ... }`, `name: "text"`, numbers and names of enums. */
function parseText(text: string, type: protobuf.Type): Record<string, unknown> {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}]|[\w.]+:?/g) ?? []
  const fields = fieldsOf(tokens, type)
  expect(tokens, text).toEqual([])
  return fields
}

function fieldsOf(tokens: string[], type: protobuf.Type): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  while (tokens.length > 0 && tokens[0] !== '}') {
    const name = (tokens.shift() as string).replace(/:$/, '')
    const field = type.fields[name]?.resolve()
    if (field === undefined) throw new Error(`${type.name} has no field ${name}`)
    put(fields, field, fieldValue(tokens, field))
  }
  return fields
}

function put(fields: Record<string, unknown>, field: protobuf.Field, value: unknown): void {
  if (field instanceof protobuf.MapField) {
    const { key, value: entry } = value as { key: string; value: unknown }
    fields[field.name] = { ...(fields[field.name] as object), [key]: entry }
  } else if (field.repeated) fields[field.name] = [...((fields[field.name] as unknown[]) ?? []), value]
  else fields[field.name] = value
}

function fieldValue(tokens: string[], field: protobuf.Field): unknown {
  const token = tokens.shift() as string
  if (token === '{') {
    const inner = field instanceof protobuf.MapField ? MAP_ENTRY : (field.resolvedType as protobuf.Type)
    const fields = fieldsOf(tokens, inner)
    expect(tokens.shift()).toBe('}')
    return fields
  }
  if (token.startsWith('"')) {
    const bytes = Buffer.from(
      token.slice(1, -1).replace(/\\x([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    )
    return field.type === 'bytes' ? bytes : bytes.toString()
  }
  if (field.resolvedType instanceof protobuf.Enum) return field.resolvedType.values[token]
  return Number(token)
}

/** An entry of a map, which protobufjs has no type for. */
const MAP_ENTRY = new protobuf.Type('Entry')
  .add(new protobuf.Field('key', 1, 'string'))
  .add(new protobuf.Field('value', 2, 'uint64'))
