import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { kafkaProtocol } from '../../../lib/net/server/protocols/kafka.js'
import { lengthPrefixedProtocol } from '../../../lib/net/server/protocols/length-prefixed.js'
import { lineProtocol } from '../../../lib/net/server/protocols/line.js'
import { protobufProtocol } from '../../../lib/net/server/protocols/protobuf.js'
import { rawProtocol } from '../../../lib/net/server/protocols/raw.js'
import { RingBuffer } from '../../../lib/net/server/ring-buffer.js'
import type { Protocol } from '../../../lib/net/server/types.js'
import { bytesOf, connectionFor, cutAt, unpackAll } from './support.js'

const MAX = 70_000
interface Case {
  readonly name: string
  readonly protocol: Protocol<unknown, unknown, never>
  /** Something to send, and what must come of it. */
  readonly message: fc.Arbitrary<{ readonly sent: unknown; readonly ctx: unknown; readonly data: unknown }>
}

const data = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 255 }).map((bytes) => Buffer.alloc(bytes.length * 250, bytes)) },
)
const shortData = fc.uint8Array({ maxLength: 120 })
const asBytes = (bytes: Uint8Array) => ({ sent: bytes, ctx: undefined, data: Buffer.from(bytes) })
const lineText = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''))
const noDelimiter = shortData.map((bytes) => bytes.map((byte) => (byte === 0x7c ? 0x2d : byte)))
const type = fc.string({ unit: 'grapheme', maxLength: 12 })

const CASES: readonly Case[] = [
  {
    name: 'lines of text',
    protocol: lineProtocol(),
    message: lineText.map((text) => ({ sent: text, ctx: undefined, data: text })),
  },
  {
    name: 'lines of bytes that end with ||',
    protocol: lineProtocol({ delimiter: '||', encoding: 'bytes' }),
    message: noDelimiter.map(asBytes),
  },
  { name: 'length-prefixed', protocol: lengthPrefixedProtocol({ maxFrameBytes: MAX }), message: data.map(asBytes) },
  ...([1, 2, 4] as const).flatMap((lengthBytes) =>
    (['big', 'little'] as const).flatMap((byteOrder) =>
      (['data', 'frame'] as const).map((lengthIncludes) => ({
        name: `length-prefixed ${lengthBytes} ${byteOrder} ${lengthIncludes}`,
        protocol: lengthPrefixedProtocol({ lengthBytes, byteOrder, lengthIncludes }),
        message: (lengthBytes === 1 ? shortData : data).map(asBytes),
      })),
    ),
  ),
  { name: 'kafka', protocol: kafkaProtocol({ maxFrameBytes: MAX }), message: data.map(asBytes) },
  {
    name: 'protobuf',
    protocol: protobufProtocol({ maxFrameBytes: MAX }),
    message: fc.tuple(type, data).map(([type, data]) => ({ sent: { type, data }, ctx: type, data: Buffer.from(data) })),
  },
  {
    name: 'protobuf with codecs',
    protocol: protobufProtocol({
      codecs: {
        json: {
          encode: (value: unknown) => Buffer.from(JSON.stringify(value)),
          decode: (bytes) => JSON.parse(bytes.toString()) as never,
        },
      },
    }),
    message: fc.jsonValue().map((value) => ({
      sent: { type: 'json', data: value },
      ctx: 'json',
      data: JSON.parse(JSON.stringify(value)) as unknown,
    })),
  },
] as Case[]

describe.each(CASES)('$name', ({ protocol, message }) => {
  const pack = (sent: unknown): Buffer => bytesOf(protocol.pack(connectionFor(), sent as never))

  it('NT-4 NT-5: any cut of a stream gives the same messages, empty ones too (trap 21)', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(4000), { maxLength: 12 }), (messages, cuts) => {
        const stream = Buffer.concat(messages.map(({ sent }) => pack(sent)))
        const ring = new RingBuffer()
        const got = unpackAll(protocol, cutAt(stream, cuts), ring)
        expect(got).toEqual(messages.map(({ ctx, data }) => ({ ctx, data })))
        expect([ring.length, ring.capacity]).toEqual([0, 0])
      }),
      { numRuns: 60, seed: 20_260 },
    )
  })

  it('NT-4 NT-5: a stream cut between any two bytes, and into single bytes, gives the same messages', () => {
    const [first, second, third] = fc.sample(message, { numRuns: 3, seed: 7 })
    const messages = [first, second, third].filter((one) => one !== undefined && pack(one.sent).length < 300)
    const stream = Buffer.concat(messages.map((one) => pack(one?.sent)))
    const expected = messages.map((one) => ({ ctx: one?.ctx, data: one?.data }))
    for (let at = 0; at <= stream.length; at++)
      expect(unpackAll(protocol, cutAt(stream, [at])), `cut at ${at}`).toEqual(expected)
    expect(unpackAll(protocol, cutAt(stream, [...stream.keys()]))).toEqual(expected)
  })

  it('NT-4 NT-5: random bytes give messages or an MQError, and never more memory than came', () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc
        .array(fc.constantFrom(0, 0, 0, 1, 2, 10, 13, 0x7c, 255), { maxLength: 200 })
        .map((bytes) => Uint8Array.from(bytes)),
    )
    fc.assert(
      fc.property(garbage, fc.array(fc.nat(400), { maxLength: 8 }), (bytes, cuts) => {
        const ring = new RingBuffer(0, 1 << 20)
        try {
          unpackAll(protocol, cutAt(bytes, cuts), ring)
        } catch (error) {
          if (!(error instanceof MQError)) throw error
          expect(error.message).toMatch(/\d/)
        }
        expect(ring.capacity).toBeLessThanOrEqual(2 * 1024)
      }),
      { numRuns: 300, seed: 91_734 },
    )
  })
})

describe('raw', () => {
  it('NT-4: the messages are the stream, whatever the cuts, and one message is one chunk', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.array(fc.nat(500), { maxLength: 8 }), (bytes, cuts) => {
        const chunks = cutAt(bytes, cuts)
        const got = unpackAll(rawProtocol(), chunks)
        expect(got.map(({ data }) => data)).toEqual(
          chunks.filter((chunk) => chunk.length > 0).map((chunk) => Buffer.from(chunk)),
        )
      }),
      { seed: 1 },
    )
    expect(bytesOf(rawProtocol().pack(connectionFor(), 'é')).toString('hex')).toBe('c3a9')
  })
})
