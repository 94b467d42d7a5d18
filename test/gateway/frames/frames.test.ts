/** Frames of the gateway: what is read, what is refused by name, and what protobufjs makes of ours with docs/gateway.proto. */
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { FeedBlock } from '../../../lib/gateway/frames/block.js'
import { decodeFrame, formatOf } from '../../../lib/gateway/frames/decode.js'
import { decodeJsonFrame } from '../../../lib/gateway/frames/json-decode.js'
import { decodeProtoFrame } from '../../../lib/gateway/frames/proto-decode.js'
import { frameBytes, wireOf } from '../../../lib/gateway/frames/wire.js'
import type { FeedRecord, ServerFrame } from '../../../lib/gateway/types.js'
import { randomInt, seededRandom } from '../../../lib/util/index.js'

const schema = protobuf.loadSync(fileURLToPath(new URL('../../../docs/gateway.proto', import.meta.url)))
const ClientFrame = schema.lookupType('tandemmq.gateway.v1.ClientFrame')
const ServerFrameType = schema.lookupType('tandemmq.gateway.v1.ServerFrame')
const AS_NUMBERS = { longs: Number, bytes: Buffer, defaults: false } as const

const proto = (frame: Record<string, unknown>) =>
  Buffer.from(ClientFrame.encode(ClientFrame.fromObject(frame)).finish())
const wires = (['websocket', 'tcp'] as const).flatMap((transport) =>
  (['json', 'protobuf'] as const).map((format) => wireOf(transport, format)),
)

/** Payloads of the frames in `bytes`, cut by hand as RFC 6455 5.2 and the length prefix say. */
function payloads(bytes: Buffer, transport: string): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    let length = bytes.readUInt32BE(at)
    let start = at + 4
    if (transport === 'websocket') {
      length = bytes.readUInt8(at + 1)
      start = at + 2
      if (length === 126) {
        length = bytes.readUInt16BE(at + 2)
        start = at + 4
      } else if (length === 127) {
        length = Number(bytes.readBigUInt64BE(at + 2))
        start = at + 10
      }
    }
    found.push(bytes.subarray(start, start + length))
    at = start + length
  }
  return found
}

describe('GW-1: frames of clients', () => {
  it('JSON: every type with all its fields', () => {
    expect(decodeJsonFrame('{"type":"auth","id":1,"token":"t"}')).toEqual({ type: 'auth', id: 1, token: 't' })
    expect(
      decodeJsonFrame(
        '{"type":"publish","id":"a","topic":"t","key":"k","value64":"/w==","headers":{"h":"1"},"partition":2,"timestamp":5}',
      ),
    ).toEqual({
      type: 'publish',
      id: 'a',
      topic: 't',
      key: Buffer.from('k'),
      value: Buffer.from([255]),
      headers: [['h', Buffer.from('1')]],
      partition: 2,
      timestamp: 5,
    })
    expect(
      decodeJsonFrame(
        '{"type":"publish","topic":"t","value":null,"headers":[["h","1"],["h",null],["g",{"base64":"AAE="}]]}',
      ),
    ).toEqual({
      type: 'publish',
      topic: 't',
      key: null,
      value: null,
      headers: [
        ['h', Buffer.from('1')],
        ['h', null],
        ['g', Buffer.from([0, 1])],
      ],
    })
    expect(decodeJsonFrame('{"type":"subscribe","topics":["a","b"],"from":{"a":{"0":5,"1":0}}}')).toEqual({
      type: 'subscribe',
      topics: ['a', 'b'],
      from: new Map([
        [
          'a',
          new Map([
            [0, 5],
            [1, 0],
          ]),
        ],
      ]),
    })
    expect(decodeJsonFrame('{"type":"subscribe","key":"ann"}')).toEqual({
      type: 'subscribe',
      topics: [],
      key: Buffer.from('ann'),
      from: 'latest',
    })
    expect(decodeJsonFrame('{"type":"unsubscribe","topics":["a"]}')).toEqual({ type: 'unsubscribe', topics: ['a'] })
    expect(decodeJsonFrame('{"type":"ping","id":0}')).toEqual({ type: 'ping', id: 0 })
    expect(decodeJsonFrame('{"type":"stats","on":false}')).toEqual({ type: 'stats', isOn: false })
  })

  it.each([
    ['no JSON', 'nope', { code: 'DESERIALIZATION_FAILED', context: { reason: 'MALFORMED_FRAME' } }],
    ['a list', '[]', { code: 'DESERIALIZATION_FAILED' }],
    ['null', 'null', { code: 'DESERIALIZATION_FAILED' }],
    ['no type', '{}', { context: { field: 'type' } }],
    ['a type of the prototype', '{"type":"constructor"}', { context: { field: 'type' } }],
    ['a misspelt field', '{"type":"publish","topic":"t","vaule":"x"}', { context: { field: 'vaule' } }],
    ['no value', '{"type":"publish","topic":"t","id":7}', { context: { field: 'value', id: 7 } }],
    ['two values', '{"type":"publish","topic":"t","value":"","value64":""}', { context: { field: 'value64' } }],
    ['bad base64', '{"type":"publish","topic":"t","value64":"a"}', { context: { field: 'value64' } }],
    ['a number as value', '{"type":"publish","topic":"t","value":5}', { context: { field: 'value' } }],
    ['an illegal topic', '{"type":"publish","topic":"a/b","value":""}', { code: 'INVALID_TOPIC' }],
    ['the topic ..', '{"type":"subscribe","topics":[".."]}', { code: 'INVALID_TOPIC' }],
    ['a partition below 0', '{"type":"publish","topic":"t","value":"","partition":-1}', { code: 'INVALID_PARTITION' }],
    ['a partition 1.5', '{"type":"publish","topic":"t","value":"","partition":1.5}', { code: 'INVALID_PARTITION' }],
    ['an offset below 0', '{"type":"subscribe","topics":["t"],"from":{"t":{"0":-1}}}', { code: 'INVALID_OFFSET' }],
    ['a partition by name', '{"type":"subscribe","topics":["t"],"from":{"t":{"x":1}}}', { code: 'INVALID_PARTITION' }],
    ['from of nowhere', '{"type":"subscribe","topics":["t"],"from":"middle"}', { context: { field: 'from' } }],
    [
      'a header without pair',
      '{"type":"publish","topic":"t","value":"","headers":[["a"]]}',
      { context: { field: 'headers' } },
    ],
    ['a huge id', `{"type":"ping","id":"${'x'.repeat(65)}"}`, { context: { field: 'id' } }],
    ['an id 1e300', '{"type":"ping","id":1e300}', { context: { field: 'id' } }],
  ])('JSON: refuses %s by name', (_name, text, expected) => {
    let error: unknown
    try {
      decodeJsonFrame(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(MQError)
    expect(error).toMatchObject(expected)
  })

  it('protobuf: what protobufjs writes, we read', () => {
    const frames: [Record<string, unknown>, unknown][] = [
      [
        { auth: { token: 'ä' }, number: 1 },
        { type: 'auth', id: 1, token: 'ä' },
      ],
      [
        {
          publish: {
            topic: 't',
            key: Buffer.from('k'),
            value: Buffer.alloc(300, 7),
            headers: [{ name: 'h', value: Buffer.from('1') }, { name: 'n' }],
            partition: 3,
            timestamp: 1_700_000_000_000,
          },
          text: 'id',
        },
        {
          type: 'publish',
          id: 'id',
          topic: 't',
          key: Buffer.from('k'),
          value: Buffer.alloc(300, 7),
          headers: [
            ['h', Buffer.from('1')],
            ['n', null],
          ],
          partition: 3,
          timestamp: 1_700_000_000_000,
        },
      ],
      [
        { publish: { topic: 't', value: Buffer.alloc(0) } },
        { type: 'publish', topic: 't', key: null, value: Buffer.alloc(0), headers: [] },
      ],
      [{ subscribe: { topics: ['a', 'b'], start: 1 } }, { type: 'subscribe', topics: ['a', 'b'], from: 'earliest' }],
      [
        {
          subscribe: {
            topics: ['a'],
            key: Buffer.from('k'),
            positions: [{ topic: 'a', partition: 1, offset: 2 ** 40 }],
          },
        },
        { type: 'subscribe', topics: ['a'], key: Buffer.from('k'), from: new Map([['a', new Map([[1, 2 ** 40]])]]) },
      ],
      [
        { unsubscribe: { topics: ['a'] }, number: 300 },
        { type: 'unsubscribe', id: 300, topics: ['a'] },
      ],
      [{ ping: {} }, { type: 'ping' }],
      [{ stats: { off: true } }, { type: 'stats', isOn: false }],
    ]
    for (const [written, read] of frames) expect(decodeProtoFrame(proto(written))).toEqual(read)
  })

  it('protobuf: random damage ends in a frame or an MQError, never in anything else', () => {
    const random = seededRandom(7)
    const sample = proto({
      publish: {
        topic: 'topic',
        key: Buffer.from('key'),
        value: Buffer.alloc(50),
        headers: [{ name: 'a', value: Buffer.alloc(3) }],
      },
      number: 5,
    })
    let refused = 0
    for (let run = 0; run < 20_000; run++) {
      const bytes = Buffer.from(sample.subarray(0, randomInt(random, sample.length + 1)))
      for (let flips = randomInt(random, 4); flips > 0 && bytes.length > 0; flips--) {
        bytes[randomInt(random, bytes.length)] = randomInt(random, 256)
      }
      try {
        decodeFrame(bytes, 'protobuf')
      } catch (error) {
        if (!(error instanceof MQError)) throw error
        refused++
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })

  it('the first byte of a TCP payload tells JSON from protobuf; JSON that is no UTF-8 is refused', () => {
    expect(formatOf(Buffer.from('{"type":"ping"}'))).toBe('json')
    for (const frame of [{ ping: {} }, { auth: { token: 't' } }, { stats: {} }, { publish: {}, number: 1 }]) {
      expect(formatOf(proto(frame))).toBe('protobuf')
    }
    expect(() => decodeFrame(Buffer.from([0x7b, 0xff]), 'json')).toThrow(/UTF-8/)
  })
})

const SERVER_FRAMES: [ServerFrame, Record<string, unknown>, unknown][] = [
  [
    { type: 'welcome', name: 'ann', version: 1, limits: { maxFrameBytes: 1_048_576 } },
    { type: 'welcome', name: 'ann', version: 1, limits: { maxFrameBytes: 1_048_576 } },
    { welcome: { name: 'ann', version: 1, limits: { maxFrameBytes: 1_048_576 } } },
  ],
  [
    { type: 'ack', id: 4, topic: 't', partition: 0, offset: 2 ** 40, timestamp: 9 },
    { type: 'ack', id: 4, topic: 't', partition: 0, offset: 2 ** 40, timestamp: 9 },
    { ack: { topic: 't', offset: 2 ** 40, timestamp: 9 }, number: 4 },
  ],
  [
    {
      type: 'subscribed',
      id: 'x',
      topics: new Map([
        [
          't',
          new Map([
            [0, 1],
            [2, 300],
          ]),
        ],
      ]),
    },
    { type: 'subscribed', id: 'x', topics: { t: { 0: 1, 2: 300 } } },
    {
      subscribed: {
        positions: [
          { topic: 't', offset: 1 },
          { topic: 't', partition: 2, offset: 300 },
        ],
      },
      text: 'x',
    },
  ],
  [{ type: 'unsubscribed', id: undefined }, { type: 'unsubscribed' }, { unsubscribed: {} }],
  [
    { type: 'gap', topic: 't', partition: 1, from: 5, to: 9, reason: 'deleted' },
    { type: 'gap', topic: 't', partition: 1, from: 5, to: 9, reason: 'deleted' },
    { gap: { topic: 't', partition: 1, from: 5, to: 9, reason: 1 } },
  ],
  [
    { type: 'error', id: 0, code: 'INVALID_TOPIC', reason: undefined, message: 'm' },
    { type: 'error', id: 0, code: 'INVALID_TOPIC', message: 'm' },
    { error: { code: 'INVALID_TOPIC', message: 'm' }, number: 0 },
  ],
  [
    { type: 'pong', id: 1 },
    { type: 'pong', id: 1 },
    { pong: {}, number: 1 },
  ],
  [
    { type: 'stats', id: undefined, stats: { a: 1 } },
    { type: 'stats', stats: { a: 1 } },
    { stats: { json: '{"a":1}' } },
  ],
]

describe('GW-1: frames of the gateway', () => {
  it.each(wires)('$transport, $format: every frame, also after frames of another size', (wire) => {
    for (const [frame, json, protobufObject] of SERVER_FRAMES) {
      const [payload, ...rest] = payloads(frameBytes(wire, frame), wire.transport)
      expect(rest).toEqual([])
      if (wire.format === 'json') expect(JSON.parse(String(payload))).toEqual(json)
      else
        expect(ServerFrameType.toObject(ServerFrameType.decode(payload as Buffer), AS_NUMBERS)).toEqual(protobufObject)
    }
  })

  const RECORDS: FeedRecord[] = [
    { offset: 0, timestamp: 1, key: null, value: Buffer.from('plain "text" \u0000 ä 😀'), headers: [] },
    {
      offset: 1,
      timestamp: 0,
      key: Buffer.from('k'),
      value: null,
      headers: [
        ['h', Buffer.from('v')],
        ['h', null],
        ['b', Buffer.from([0xff])],
      ],
    },
    { offset: 5, timestamp: 1_700_000_000_000, key: Buffer.from([0xc3]), value: Buffer.alloc(130, 0x61), headers: [] },
    { offset: 2 ** 40, timestamp: 3, key: Buffer.alloc(0), value: Buffer.alloc(70_000, 0x62), headers: [] },
  ]

  it.each(wires)('$transport, $format: records of a block, whole or in part, come out as they went in', (wire) => {
    const block = new FeedBlock('topic', 3, RECORDS)
    for (const [from, to] of [
      [0, 4],
      [1, 3],
      [3, 4],
      [2, 2],
    ] as const) {
      const found = payloads(block.frames(wire, from, to), wire.transport)
      const expected = RECORDS.slice(from, to).map((record) =>
        wire.format === 'json' ? asJson(record) : asProto(record),
      )
      const read = found.map((payload) =>
        wire.format === 'json'
          ? JSON.parse(String(payload))
          : ServerFrameType.toObject(ServerFrameType.decode(payload), AS_NUMBERS).record,
      )
      expect(read).toEqual(expected)
    }
    expect(block.encoded(wire)).toBe(block.encoded(wire))
    expect([block.firstOffset, block.lastOffset]).toEqual([0, 2 ** 40])
    expect([0, 1, 2, 5, 6, 2 ** 41].map((offset) => block.indexAt(offset))).toEqual([0, 1, 2, 2, 3, 4])
  })

  const text = (name: string, bytes: Uint8Array | null) => {
    if (bytes === null) return { [name]: null }
    const plain = Buffer.from(bytes).toString()
    return Buffer.from(plain).equals(bytes)
      ? { [name]: plain }
      : { [`${name}64`]: Buffer.from(bytes).toString('base64') }
  }
  const asJson = ({ offset, timestamp, key, value, headers }: FeedRecord) => ({
    type: 'record',
    topic: 'topic',
    partition: 3,
    offset,
    timestamp,
    ...text('key', key),
    ...text('value', value),
    ...(headers.length === 0
      ? {}
      : {
          headers: [
            ['h', 'v'],
            ['h', null],
            ['b', { base64: '/w==' }],
          ],
        }),
  })
  const asProto = ({ offset, timestamp, key, value, headers }: FeedRecord) => ({
    topic: 'topic',
    partition: 3,
    ...(offset === 0 ? {} : { offset }),
    ...(timestamp === 0 ? {} : { timestamp }),
    ...(key === null ? {} : { key: Buffer.from(key) }),
    ...(value === null ? {} : { value: Buffer.from(value) }),
    ...(headers.length === 0
      ? {}
      : {
          headers: headers.map(([name, header]) => ({
            name,
            ...(header === null ? {} : { value: Buffer.from(header) }),
          })),
        }),
  })
})
