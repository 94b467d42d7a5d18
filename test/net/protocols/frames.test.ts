import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { kafkaProtocol } from '../../../lib/net/server/protocols/kafka.js'
import {
  type LengthPrefixedOptions,
  lengthPrefixedProtocol,
} from '../../../lib/net/server/protocols/length-prefixed.js'
import { type LineOptions, lineProtocol } from '../../../lib/net/server/protocols/line.js'
import { protobufProtocol } from '../../../lib/net/server/protocols/protobuf.js'
import { RingBuffer } from '../../../lib/net/server/ring-buffer.js'
import { bytesOf, connectionFor, unpackAll } from './support.js'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

function errorOf(call: () => unknown): MQError {
  try {
    call()
  } catch (error) {
    if (error instanceof MQError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('length-prefixed frames', () => {
  it.each([
    [{}, '00000002 6869'],
    [{ byteOrder: 'little' }, '02000000 6869'],
    [{ lengthBytes: 2 }, '0002 6869'],
    [{ lengthBytes: 2, byteOrder: 'little' }, '0200 6869'],
    [{ lengthBytes: 1 }, '02 6869'],
    [{ lengthBytes: 4, lengthIncludes: 'frame' }, '00000006 6869'],
    [{ lengthBytes: 2, byteOrder: 'little', lengthIncludes: 'frame' }, '0400 6869'],
  ] as const)('NT-5: %o writes hi as %s, and reads it', (options: LengthPrefixedOptions, wire) => {
    const protocol = lengthPrefixedProtocol(options)
    expect(bytesOf(protocol.pack(connectionFor(), 'hi'))).toEqual(hex(wire))
    expect(bytesOf(protocol.pack(connectionFor(), Buffer.from('hi')))).toEqual(hex(wire))
    expect(unpackAll(protocol, [hex(wire)])).toEqual([{ ctx: undefined, data: Buffer.from('hi') }])
  })

  it('NT-5: data is not copied to be sent', () => {
    const data = Buffer.alloc(100_000, 1)
    const packed = lengthPrefixedProtocol().pack(connectionFor(), data) as Uint8Array[]
    expect(packed.length).toBe(2)
    expect(packed[1]).toBe(data)
  })

  it('NT-4 NT-5: a claimed length above maxFrameBytes is refused on sight, the longest allowed is not', () => {
    const protocol = lengthPrefixedProtocol({ maxFrameBytes: 5 })
    const ring = new RingBuffer()
    const error = errorOf(() => unpackAll(protocol, [hex('00000006')], ring))
    expect([error.code, error.context.reason]).toEqual(['CONNECTION_FAILED', 'TOO_LARGE'])
    expect(error.message).toContain('a frame of 6 bytes came, maxFrameBytes is 5')
    expect(ring.capacity).toBeLessThan(10)
    expect(unpackAll(protocol, [hex('00000005 0102030405')]).length).toBe(1)
    const sending = errorOf(() => protocol.pack(connectionFor(), 'sixsix'))
    expect([sending.code, sending.message]).toEqual([
      'MESSAGE_TOO_LARGE',
      'a message of 6 bytes exceeds maxFrameBytes 5: split it',
    ])
    expect(errorOf(() => unpackAll(lengthPrefixedProtocol(), [hex('ffffffff')])).message).toContain('4294967295')
  })

  it('NT-5: a length that counts itself and is smaller than itself lies', () => {
    const error = errorOf(() => unpackAll(lengthPrefixedProtocol({ lengthIncludes: 'frame' }), [hex('00000003')]))
    expect(error.context).toMatchObject({ reason: 'MALFORMED_FRAME', length: 3, lengthBytes: 4 })
    expect(unpackAll(lengthPrefixedProtocol({ lengthIncludes: 'frame' }), [hex('00000004')])[0]?.data.length).toBe(0)
  })

  it.each([
    [{ lengthBytes: 3 }, 'lengthBytes is one of 1, 2, 4, got 3'],
    [{ byteOrder: 'middle' }, 'byteOrder is one of big, little, got middle'],
    [{ lengthIncludes: 'nothing' }, 'lengthIncludes is one of data, frame, got nothing'],
    [{ maxFrameBytes: 0 }, 'maxFrameBytes is a whole number from 1 to 4294967295, got 0'],
    [{ lengthBytes: 1, maxFrameBytes: 256 }, 'from 1 to 255, got 256'],
  ])('NT-5: refuses the options %o', (options, message) => {
    const error = errorOf(() => lengthPrefixedProtocol(options as LengthPrefixedOptions))
    expect(error.code).toBe('INVALID_CONFIG')
    expect(error.message).toContain(message)
  })
})

describe('Kafka framing', () => {
  it('NT-5: int32 sizes; a negative one is refused', () => {
    expect(unpackAll(kafkaProtocol(), [hex('00000003 010203 00000000')]).map(({ data }) => data.length)).toEqual([3, 0])
    expect(errorOf(() => unpackAll(kafkaProtocol(), [hex('ffffffff')])).context.reason).toBe('TOO_LARGE')
    expect(errorOf(() => unpackAll(kafkaProtocol({ maxFrameBytes: 10 }), [hex('0000000b')])).message).toContain(
      '11 bytes',
    )
    expect(errorOf(() => kafkaProtocol({ maxFrameBytes: 2 ** 31 })).message).toContain('2147483648')
  })
})

describe('lines', () => {
  const lines = (stream: string, options?: LineOptions): string[] =>
    unpackAll(lineProtocol(options), [Buffer.from(stream)]).map(({ data }) => data)

  it('NT-4: a line feed ends a line, a carriage return before it goes, empty lines are messages', () => {
    expect(lines('one\r\ntwo\n\n\r\nthr\ree\r\r\nhalf')).toEqual(['one', 'two', '', '', 'thr\ree\r'])
    expect(lines('one\r\n', { stripCarriageReturn: false })).toEqual(['one\r'])
    expect(lines('one\r\ntwo\n\r\n', { delimiter: '\r\n' })).toEqual(['one', 'two\n'])
    expect(lines('ab--c---d--', { delimiter: '--' })).toEqual(['ab', 'c', '-d'])
    expect(bytesOf(lineProtocol().pack(connectionFor(), 'é'))).toEqual(Buffer.from('é\n'))
  })

  it('NT-4: a line above maxFrameBytes is refused before it ends, its carriage return does not count', () => {
    expect(lines('12345\r\n', { maxFrameBytes: 5 })).toEqual(['12345'])
    expect(
      unpackAll(
        lineProtocol({ maxFrameBytes: 5 }),
        ['12345', '\r', '\n'].map((s) => Buffer.from(s)),
      ).length,
    ).toBe(1)
    const twoBytes = lineProtocol({ maxFrameBytes: 5, delimiter: '--' })
    expect(
      unpackAll(
        twoBytes,
        ['12345-', '-'].map((s) => Buffer.from(s)),
      ).length,
    ).toBe(1)
    for (const stream of ['123456', '123456\n', '12345\r\r\n', '1\n123456']) {
      const error = errorOf(() => lines(stream, { maxFrameBytes: 5 }))
      expect([error.code, error.context.reason], stream).toEqual(['CONNECTION_FAILED', 'TOO_LARGE'])
      expect(error.message).toContain('maxFrameBytes is 5')
    }
  })

  it('NT-4: bytes that are no UTF-8 are refused as text, and pass as bytes', () => {
    const stream = hex('61ff0a')
    expect(errorOf(() => unpackAll(lineProtocol(), [stream])).context).toMatchObject({
      reason: 'MALFORMED_FRAME',
      bytes: 2,
    })
    expect(unpackAll(lineProtocol({ encoding: 'bytes' }), [stream])).toEqual([{ ctx: undefined, data: hex('61ff') }])
  })

  it('NT-4: what waits for its end is not searched again', () => {
    const searches: number[] = []
    class Watched extends RingBuffer {
      override indexOf(byte: number, from = 0): number {
        searches.push(from)
        return super.indexOf(byte, from)
      }
    }
    unpackAll(
      lineProtocol(),
      ['abc', 'def', 'g\nh'].map((s) => Buffer.from(s)),
      new Watched(),
    )
    expect(searches).toEqual([0, 3, 6, 0])
  })

  it('NT-4: refuses to send what would arrive otherwise, and options that are none', () => {
    expect(errorOf(() => lineProtocol().pack(connectionFor(), 'a\nb')).code).toBe('SERIALIZATION_FAILED')
    expect(errorOf(() => lineProtocol({ maxFrameBytes: 1 }).pack(connectionFor(), 'ab')).code).toBe('MESSAGE_TOO_LARGE')
    expect(errorOf(() => lineProtocol({ delimiter: '' })).message).toContain('0 bytes')
    expect(errorOf(() => lineProtocol({ maxFrameBytes: -1 })).message).toContain('got -1')
    expect(errorOf(() => lineProtocol({ encoding: 'utf16' as 'utf8' })).message).toContain('got utf16')
  })
})

describe('typed frames', () => {
  const wire = hex('00000009 0003 616263 01020304')

  it('NT-5: u32 length = 2 + type + data, u16 type length, type, data; ctx is the type', () => {
    const protocol = protobufProtocol()
    expect(bytesOf(protocol.pack(connectionFor(), { type: 'abc', data: hex('01020304') }))).toEqual(wire)
    expect(unpackAll(protocol, [wire, hex('00000002 0000')])).toEqual([
      { ctx: 'abc', data: hex('01020304') },
      { ctx: '', data: Buffer.alloc(0) },
    ])
  })

  it.each([
    ['00000001', 'MALFORMED_FRAME', 'a frame of 1 bytes cannot hold the 2'],
    ['00000003 0002', 'MALFORMED_FRAME', 'a frame of 3 bytes cannot hold the 4'],
    ['0000ffff ffff', 'MALFORMED_FRAME', 'a frame of 65535 bytes cannot hold the 65537'],
    ['06400001', 'TOO_LARGE', 'a frame of 104857601 bytes came, maxFrameBytes is 104857600'],
    ['00000003 0001 ff', 'MALFORMED_FRAME', 'a type of 1 bytes is not UTF-8'],
  ])('NT-5: lengths that lie close, as soon as they are seen: %s', (bytes, reason, message) => {
    const error = errorOf(() => unpackAll(protobufProtocol(), [hex(bytes)]))
    expect([error.code, error.context.reason]).toEqual(['CONNECTION_FAILED', reason])
    expect(error.message).toContain(message)
  })

  it('NT-5: a type or a message that is too long is refused when it is sent', () => {
    const protocol = protobufProtocol({ maxFrameBytes: 10 })
    const tooLong = errorOf(() => protocol.pack(connectionFor(), { type: 'abc', data: Buffer.alloc(6) }))
    expect([tooLong.code, tooLong.context.bytes]).toEqual(['MESSAGE_TOO_LARGE', 11])
    const type = 'x'.repeat(65_536)
    const longType = errorOf(() => protobufProtocol().pack(connectionFor(), { type, data: '' }))
    expect(longType.message).toContain('65536 bytes exceeds maxTypeBytes 65535')
    expect(errorOf(() => protobufProtocol({ maxFrameBytes: 1 })).code).toBe('INVALID_CONFIG')
  })

  it('NT-5: codecs encode and decode by type; unknown types and codecs that throw are told apart', () => {
    const Point = {
      encode: (point: { x: number }) => ({ finish: () => Uint8Array.of(point.x) }),
      decode(bytes: Buffer): { x: number } {
        if (bytes.length !== 1) throw new RangeError('index out of range')
        return { x: bytes[0] as number }
      },
    }
    const protocol = protobufProtocol({ codecs: { Point } })
    const bytes = bytesOf(protocol.pack(connectionFor(), { type: 'Point', data: { x: 7 } }))
    expect(unpackAll(protocol, [bytes])).toEqual([{ ctx: 'Point', data: { x: 7 } }])
    const plain = protobufProtocol()
    const frame = (type: string): Buffer => bytesOf(plain.pack(connectionFor(), { type, data: 'no' }))
    expect(errorOf(() => unpackAll(protocol, [frame('Circle')])).message).toContain('type "Circle": 1 types are known')
    expect(errorOf(() => unpackAll(protocol, [frame('constructor')])).context.reason).toBe('MALFORMED_FRAME')
    const broken = errorOf(() => unpackAll(protocol, [frame('Point')]))
    expect([broken.code, (broken.cause as Error).message]).toEqual(['DESERIALIZATION_FAILED', 'index out of range'])
    expect(errorOf(() => protocol.pack(connectionFor(), { type: 'Circle', data: 1 })).code).toBe('SERIALIZATION_FAILED')
    expect(errorOf(() => protocol.pack(connectionFor(), { type: 'Point', data: null })).code).toBe(
      'SERIALIZATION_FAILED',
    )
  })
})
