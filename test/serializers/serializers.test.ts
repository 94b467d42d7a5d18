/** Values as bytes: each format both ways, and what it refuses. */
import fc from 'fast-check'
import protobufjs from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { bytes, json, protobuf, string } from '../../lib/serializers/index.js'

interface Order {
  readonly id: number
  readonly text: string
}

function thrownBy(task: () => unknown): unknown {
  try {
    task()
  } catch (error) {
    return error
  }
  throw new Error('it did not throw')
}

const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

describe('CD-3 json', () => {
  it('writes what JSON.stringify writes, and reads it back', () => {
    const serializer = json<Order>()
    const data = serializer.serialize({ id: 7, text: 'zwölf €' }, 'orders')
    expect(data.toString()).toBe('{"id":7,"text":"zwölf €"}')
    expect(serializer.deserialize(data, 'orders')).toEqual({ id: 7, text: 'zwölf €' })
    expect(serializer.contentType).toBe('application/json')
  })

  it('CD-3: decode(encode(x)) = x for every JSON value', () => {
    fc.assert(
      fc.property(
        fc.jsonValue().filter((value) => value !== null),
        (value) => {
          const wanted = JSON.parse(JSON.stringify(value)) // JSON itself knows no -0.
          expect(json<unknown>().deserialize(json<unknown>().serialize(value))).toEqual(wanted)
        },
      ),
    )
  })

  it.each([
    ['undefined', undefined, /undefined/],
    ['a function', () => {}, /function/],
    ['a symbol', Symbol('s'), /symbol/],
    ['a BigInt', 5n, /BigInt: make it a string or a number/],
    ['a BigInt inside', { id: 5n }, /BigInt: make it a string or a number/],
    ['an object that contains itself', cyclic, /contains itself/],
  ])('refuses %s and says why', (_name, value, words) => {
    expect(() => json<unknown>().serialize(value, 'orders')).toThrowError(
      expect.objectContaining({
        code: 'SERIALIZATION_FAILED',
        context: { topic: 'orders' },
        message: expect.stringMatching(words),
      }),
    )
  })

  it('keeps what toJSON throws as the cause, without its words', () => {
    const cause = new Error('secret of the record')
    const failing = {
      toJSON() {
        throw cause
      },
    }
    expect(thrownBy(() => json<unknown>().serialize(failing, 't'))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
      cause,
      message: 'a value for t cannot be written as JSON',
    })
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half of it', Buffer.from('{"id":')],
    ['no UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22])],
    ['text', Buffer.from('secret of the record')],
  ])('refuses to read %s, without showing the data', (_name, data) => {
    const error = thrownBy(() => json<Order>().deserialize(data, 'orders')) as Error
    expect(error).toMatchObject({ code: 'DESERIALIZATION_FAILED', context: { topic: 'orders' } })
    expect(error.message).not.toContain('secret')
  })

  it('reads JSON behind a byte order mark', () => {
    expect(json<number>().deserialize(Buffer.from('\ufeff12'))).toBe(12)
  })

  it('reads a view in the middle of other bytes', () => {
    const all = new TextEncoder().encode('xx[1,2]yy')
    expect(json<number[]>().deserialize(all.subarray(2, 7))).toEqual([1, 2])
  })
})

describe('CD-3 string', () => {
  it('CD-3: decode(encode(x)) = x for every well-formed text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(string().deserialize(string().serialize(text))).toBe(text)
      }),
    )
  })

  it('keeps a byte order mark: it is a character', () => {
    expect(string().deserialize(string().serialize('\ufeffa'))).toBe('\ufeffa')
  })

  it.each([
    ['half a character at the end', 'cut \ud83d'],
    ['half a character at the start', '\ude00 cut'],
    ['halves in the wrong order', '\ude00\ud83d'],
    ['a number', 7],
    ['an object', { text: 'a' }],
  ])('refuses %s', (_name, value) => {
    expect(() => string().serialize(value as string, 't')).toThrowError(
      expect.objectContaining({ code: 'SERIALIZATION_FAILED', context: { topic: 't' } }),
    )
  })

  it('refuses bytes that are no UTF-8 instead of putting U+FFFD in', () => {
    expect(() => string().deserialize(Buffer.from([0x61, 0xff]), 't')).toThrowError(
      expect.objectContaining({ code: 'DESERIALIZATION_FAILED', context: { topic: 't' } }),
    )
  })
})

describe('CD-3 bytes', () => {
  it('gives the same memory as a Buffer', () => {
    const data = new Uint8Array([0, 1, 2, 3]).subarray(1, 3)
    const written = bytes().serialize(data)
    expect(Buffer.isBuffer(written)).toBe(true)
    expect([...written]).toEqual([1, 2])
    data[0] = 9
    expect([...bytes().deserialize(written)]).toEqual([9, 2])
  })

  it.each([['text'], [12], [new ArrayBuffer(3)]])('refuses %s', (value) => {
    expect(thrownBy(() => bytes().serialize(value as never, 't'))).toMatchObject({ code: 'SERIALIZATION_FAILED' })
    expect(thrownBy(() => bytes().deserialize(value as never, 't'))).toMatchObject({ code: 'DESERIALIZATION_FAILED' })
  })
})

const PROTO = 'syntax = "proto3"; message Order { int32 id = 1; string text = 2; }'
const orderType = protobufjs.parse(PROTO).root.lookupType('Order')
/** The wire form of {id: 7, text: "ab"}, by hand: field 1 varint 7, field 2 of 2 bytes. */
const WIRE = [0x08, 0x07, 0x12, 0x02, 0x61, 0x62]

/** As ts-proto generates: no verify, a writer that is finished. */
const tsProtoStyle = {
  encode: (order: Order) => ({ finish: () => orderType.encode(order).finish() }),
  decode(data: Uint8Array): Order {
    const { id, text } = orderType.decode(data) as unknown as Order
    return { id, text }
  },
}

/** As two functions of one's own. */
const pairOfFunctions = {
  encode: (order: Order): Uint8Array => orderType.encode(order).finish(),
  decode: tsProtoStyle.decode,
}

describe('CD-3 protobuf', () => {
  it.each([
    ['reflection of protobufjs', protobuf<Order>(orderType)],
    ['ts-proto', protobuf(tsProtoStyle)],
    ['two functions', protobuf(pairOfFunctions)],
  ])('%s: writes the wire form and reads it back', (_name, serializer) => {
    const data = serializer.serialize({ id: 7, text: 'ab' }, 't')
    expect([...data]).toEqual(WIRE)
    expect({ ...serializer.deserialize(Uint8Array.from(WIRE), 't') }).toEqual({ id: 7, text: 'ab' })
    expect(serializer.contentType).toBe('application/x-protobuf')
  })

  it('CD-3: decode(encode(x)) = x', () => {
    const serializer = protobuf(tsProtoStyle)
    fc.assert(
      fc.property(fc.record({ id: fc.integer(), text: fc.string({ unit: 'grapheme' }) }), (order) => {
        expect(serializer.deserialize(serializer.serialize(order))).toEqual(order)
      }),
    )
  })

  it('static code works as a class: encode, decode and verify are called on it', () => {
    // biome-ignore lint/complexity/noStaticOnlyClass: protobufjs writes such classes, that is the point.
    class Static {
      static readonly #type = orderType
      static encode(order: Order) {
        return Static.#type.encode(order)
      }
      static decode(data: Uint8Array): Order {
        return Static.#type.decode(data) as unknown as Order
      }
      static verify(order: object) {
        return Static.#type.verify(order as Record<string, unknown>)
      }
    }
    expect([...protobuf(Static).serialize({ id: 7, text: 'ab' })]).toEqual(WIRE)
  })

  it('a value of another type is refused with the words of verify, where encode would write something else', () => {
    const wrong = { id: 'seven', text: 'ab' }
    expect([...orderType.encode(wrong).finish()]).not.toEqual(WIRE)
    expect(thrownBy(() => protobuf<object>(orderType).serialize(wrong, 't'))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
      message: expect.stringContaining('id: integer expected'),
    })
  })

  it.each([['text'], [7], [undefined]])('%s is no message', (value) => {
    expect(thrownBy(() => protobuf(tsProtoStyle).serialize(value as never))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
    })
  })

  it('every cut of a message is an error or a shorter message, never another exception', () => {
    const data = protobuf(tsProtoStyle).serialize({ id: 300, text: 'abcdef' }, 't')
    for (let length = 0; length < data.length; length++) {
      let failure: unknown = null
      try {
        protobuf(tsProtoStyle).deserialize(data.subarray(0, length), 't')
      } catch (error) {
        failure = error
      }
      if (failure !== null) expect(failure).toMatchObject({ code: 'DESERIALIZATION_FAILED', context: { topic: 't' } })
    }
    expect(() => protobuf(tsProtoStyle).deserialize(data.subarray(0, data.length - 1))).toThrowError()
  })

  it('an encode that gives no bytes is refused', () => {
    const broken = { encode: () => ({ finish: () => 'text' as never }), decode: () => ({}) }
    expect(thrownBy(() => protobuf<object>(broken).serialize({}))).toMatchObject({ code: 'SERIALIZATION_FAILED' })
  })
})

describe('CD-3 all serializers', () => {
  const all = [
    ['json', json<unknown>()],
    ['string', string()],
    ['bytes', bytes()],
    ['protobuf', protobuf(tsProtoStyle)],
  ] as const

  it.each(all)('%s lets null, a tombstone, pass both ways', (_name, serializer) => {
    expect(serializer.serialize(null as never, 't')).toBeNull()
    expect(serializer.deserialize(null as never, 't')).toBeNull()
  })

  it.each(all)('%s: without a topic the context has none', (_name, serializer) => {
    expect(thrownBy(() => serializer.serialize(undefined as never))).toMatchObject({ context: {} })
    expect(thrownBy(() => serializer.deserialize('no bytes' as never))).toMatchObject({
      code: 'DESERIALIZATION_FAILED',
      context: {},
      message: expect.stringContaining('expected bytes'),
    })
  })

  it('trap 25: an error that says SERIALIZATION_FAILED already is not wrapped again', () => {
    const inner = json<unknown>()
    const outer = protobuf({
      encode: (value: { data: unknown }) => inner.serialize(value.data, 'inner'),
      decode: (data: Uint8Array) => ({ data: inner.deserialize(data, 'inner') }),
    })
    expect(thrownBy(() => outer.serialize({ data: 5n }, 'outer'))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
      context: { topic: 'inner' },
      message: expect.stringContaining('BigInt'),
    })
    expect(thrownBy(() => outer.deserialize(Buffer.from('{'), 'outer'))).toMatchObject({ context: { topic: 'inner' } })
  })
})
