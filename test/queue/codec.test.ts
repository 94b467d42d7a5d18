/** What codecs take, and what they refuse. QU-1: the type of items is checked. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Encoder } from '../../lib/queue/encoder.js'
import { bytesCodec, type ItemCodec, jsonCodec } from '../../lib/queue/index.js'
import { refusalOf, Stage } from './support/stage.js'

const circle: { self?: unknown } = {}
circle.self = circle

describe('jsonCodec', () => {
  it.each([
    ['undefined', undefined],
    ['a function', () => {}],
    ['a symbol', Symbol('x')],
    ['a bigint', 1n],
    ['a bigint inside', { a: [1n] }],
    ['a cycle', circle],
    ['NaN', Number.NaN],
    ['infinity inside', { a: { b: Number.POSITIVE_INFINITY } }],
    ['undefined in a list', [1, undefined]],
    ['a function in a list', { a: [() => {}] }],
    ['a map', new Map([[1, 2]])],
    ['a set inside', { a: new Set([1]) }],
    ['an invalid date', { at: new Date(Number.NaN) }],
  ])('QU-1: refuses %s with SERIALIZATION_FAILED that names the item', async (_name, item) => {
    const stage = new Stage<unknown>({ durability: 'os' })
    await stage.queue.start()
    const error = await refusalOf(stage.queue.enqueue(item))
    expect(error).toMatchObject({ code: 'SERIALIZATION_FAILED', context: { item: expect.any(String) } })
    expect(() => stage.queue.tryEnqueue(item)).toThrow('the codec cannot represent the item')
    expect(stage.queue.metrics()).toMatchObject({ enqueuedTotal: 0, pending: 0 })
    await stage.queue.close()
  })

  it('QU-1: what it takes comes back the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const codec = jsonCodec<unknown>()
        const encoder = new Encoder(codec, 1_000_000)
        const length = encoder.encode(value)
        expect(codec.decode(encoder.bytes.subarray(0, length))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('QU-1: null, an empty object and dates are JSON', () => {
    const encoder = new Encoder(jsonCodec<unknown>(), 1_000)
    for (const item of [null, {}, { a: null, b: {} }, new Date(0), [null], Object.create(null)]) {
      const length = encoder.encode(item)
      expect(Buffer.from(encoder.bytes).toString('utf8', 0, length)).toBe(JSON.stringify(item))
    }
  })
})

describe('bytesCodec', () => {
  it('QU-1: takes bytes, copies them, and refuses everything else', () => {
    const encoder = new Encoder(bytesCodec(), 100_000)
    const large = new Uint8Array(70_000).fill(7)
    expect(encoder.encode(large)).toBe(70_000)
    const decoded = bytesCodec().decode(encoder.bytes.subarray(0, 70_000))
    encoder.bytes.fill(0)
    expect(decoded).toEqual(large)
    expect(() => encoder.encode('text' as never)).toThrow('expected bytes (a Uint8Array), got string')
  })
})

describe('Encoder', () => {
  it('QU-1: an item above the largest frame is MESSAGE_TOO_LARGE/WAL_FRAME_TOO_LARGE with both numbers', () => {
    const encoder = new Encoder(jsonCodec<string>(), 10)
    expect(encoder.encode('12345678')).toBe(10)
    expect(() => encoder.encode('123456789')).toThrow(
      expect.objectContaining({
        code: 'MESSAGE_TOO_LARGE',
        context: { reason: 'WAL_FRAME_TOO_LARGE', bytes: 11, maxBytes: 10 },
      }),
    )
  })

  it('QU-1: a codec that lies about lengths is told so', () => {
    const lying = (length: number): ItemCodec<number> => ({ encode: () => length, decode: () => 0 })
    expect(() => new Encoder(lying(-1), 10).encode(1)).toThrow('instead of a length')
    expect(() => new Encoder(lying(1.5), 10).encode(1)).toThrow('instead of a length')
    const greedy: ItemCodec<number> = { encode: (_item, into) => into.length + 1, decode: () => 0 }
    expect(() => new Encoder(greedy, Number.MAX_SAFE_INTEGER).encode(1)).toThrow('asks for ever more room')
  })
})
