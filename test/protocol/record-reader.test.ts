import fc from 'fast-check'
import {
  type BatchHeader,
  type HeaderPairs,
  headersBytes,
  RecordCursor,
  readBatches,
  readBatchHeader,
  readHeaders,
  recordBodyBytes,
  varintBytes,
  writeRecord,
} from 'tandem-mq/protocol'
import { describe, expect, it } from 'vitest'
import { type BatchFields, batchBytes } from '../support/batch-bytes.js'
import { hasVectors, vectors } from '../support/vectors.js'

interface Written {
  readonly timestampDelta: number
  readonly offsetDelta: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: HeaderPairs
}

function encode(record: Written): Buffer {
  const { timestampDelta, offsetDelta, key, value } = record
  const headers = record.headers.length === 0 ? null : record.headers
  const [keyLength, valueLength] = [key?.length ?? -1, value?.length ?? -1]
  const size = recordBodyBytes(timestampDelta, offsetDelta, keyLength, valueLength, headersBytes(headers))
  const target = Buffer.alloc(varintBytes(size) + size)
  writeRecord(target, 0, size, timestampDelta, offsetDelta, key, keyLength, value, valueLength, headers)
  return target
}

function open(fields: BatchFields): RecordCursor {
  const batch = batchBytes(fields)
  const header = readBatchHeader(batch, 0) as BatchHeader
  const cursor = new RecordCursor()
  cursor.open(header, batch.subarray(header.payloadAt, header.payloadEnd))
  return cursor
}

const plain = (bytes: Uint8Array | null): number[] | null => (bytes === null ? null : [...bytes])
const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 60, maxLength: 70 }),
)
const record: fc.Arbitrary<Written> = fc.record({
  timestampDelta: fc.oneof(fc.integer({ min: -200, max: 20_000 }), fc.integer(), fc.maxSafeInteger()),
  offsetDelta: fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 31 - 1 })),
  key: bytes,
  value: bytes,
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 12 }), bytes), { maxLength: 5 }),
})

describe('R-7 records', () => {
  it('decode(encode(x)) = x for any records', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), fc.nat(1e6), (records, baseOffset) => {
        const cursor = open({
          baseOffset,
          baseTimestamp: 0,
          count: records.length,
          records: Buffer.concat(records.map(encode)),
        })
        for (const expected of records) {
          expect(cursor.next()).toBe(true)
          expect(cursor.offset).toBe(baseOffset + expected.offsetDelta)
          expect(cursor.offsetDelta).toBe(expected.offsetDelta)
          expect(cursor.timestamp).toBe(expected.timestampDelta)
          expect(cursor.exactTimestamp()).toBe(BigInt(expected.timestampDelta))
          expect(plain(cursor.key())).toEqual(plain(expected.key))
          expect(plain(cursor.value())).toEqual(plain(expected.value))
          expect(cursor.headers().map(([name, value]) => [name, plain(value)])).toEqual(
            expected.headers.map(([name, value]) => [name, plain(value as Uint8Array | null)]),
          )
        }
        expect(cursor.next()).toBe(false)
        expect(cursor.next(), 'and stays at the end').toBe(false)
      }),
      { numRuns: 300, seed: 91_734 },
    )
  })

  it('any cut of the records is corrupt, never read past the end', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (records, where) => {
          const whole = Buffer.concat(records.map(encode))
          const cut = whole.subarray(0, Math.floor(where * whole.length * 0.999))
          const cursor = new RecordCursor()
          const header = readBatchHeader(batchBytes({ count: records.length, records: cut }), 0) as BatchHeader
          const read = (): void => {
            cursor.open(header, cut)
            while (cursor.next()) expect(cursor.headersStart).toBeLessThanOrEqual(cut.length)
          }
          if (cut.length < whole.length) {
            expect(read).toThrowError(expect.objectContaining({ code: 'CONSUME_FAILED' }))
          }
        },
      ),
      { numRuns: 300, seed: 4711 },
    )
  })

  it('R-7: log-append time gives every record the time of the batch, a delete horizon changes nothing', () => {
    const records = Buffer.concat([
      encode({ timestampDelta: -500, offsetDelta: 0, key: null, value: null, headers: [] }),
      encode({ timestampDelta: 3e10, offsetDelta: 1, key: null, value: null, headers: [] }),
    ])
    const appended = open({ attributes: 8, baseTimestamp: 1000, maxTimestamp: 7000, count: 2, records })
    while (appended.next()) expect([appended.timestamp, appended.exactTimestamp()]).toEqual([7000, 7000n])
    const horizon = open({ attributes: 64, baseTimestamp: 1000, maxTimestamp: 7000, count: 2, records })
    horizon.next()
    expect(horizon.timestamp).toBe(500)
  })

  it('W-4: timestamps beyond 2^53 are read, exactly on demand', () => {
    const nanoseconds = 1_700_000_000_123_456_789n
    const one = encode({ timestampDelta: 5, offsetDelta: 0, key: null, value: null, headers: [] })
    const cursor = open({ baseTimestamp: nanoseconds, records: one })
    cursor.next()
    expect(cursor.exactTimestamp()).toBe(nanoseconds + 5n)
    expect(cursor.timestamp).toBe(Number(nanoseconds))
    // Base and delta are both far outside, their sum is small: it must not suffer from rounding either of them.
    const delta = Buffer.of(0xf3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)
    const back = open({
      baseTimestamp: 2n ** 63n - 1n,
      records: Buffer.concat([Buffer.of(30, 0), delta, Buffer.of(0, 1, 1, 0)]),
    })
    back.next()
    expect(back.exactTimestamp()).toBe(5n)
    expect(back.timestamp).toBe(5)
  })

  it('R-7: a batch of 250,000 records is a loop, not a spread', async () => {
    const count = 250_000
    const one = encode({ timestampDelta: 0, offsetDelta: 0, key: null, value: null, headers: [] })
    const batch = batchBytes({ count, records: Buffer.alloc(one.length * count, one) })
    const [read] = await readBatches(batch, () => new Uint8Array(0))
    expect(read?.records.length).toBe(count)
  })

  it('a cursor is reused, and a failed batch leaves nothing behind for the next', () => {
    const good = batchBytes({
      records: encode({ timestampDelta: 0, offsetDelta: 0, key: null, value: null, headers: [['a', null]] }),
    })
    const header = readBatchHeader(good, 0) as BatchHeader
    const records = good.subarray(61)
    const cursor = new RecordCursor()
    for (let round = 0; round < 3; round++) {
      cursor.open(header, records)
      expect(cursor.next()).toBe(true)
      expect(cursor.headers()).toEqual([['a', null]])
      cursor.open(header, Buffer.alloc(records.length))
      expect(() => cursor.next()).toThrowError()
    }
  })

  it('headers can be read later from the numbers alone', () => {
    const cursor = open({
      count: 2,
      records: Buffer.concat([
        encode({ timestampDelta: 0, offsetDelta: 0, key: null, value: null, headers: [['é', Buffer.from('x')]] }),
        encode({ timestampDelta: 0, offsetDelta: 1, key: null, value: null, headers: [] }),
      ]),
    })
    cursor.next()
    const { headersStart, headerCount } = cursor
    cursor.next()
    expect(cursor.headers()).toEqual([])
    expect(readHeaders(cursor.bytes, headersStart, headerCount)).toEqual([['é', Buffer.from('x')]])
  })
})

describe('R-6 what a record may not say', () => {
  const read = (records: Uint8Array, count = 1): void => {
    const cursor = open({ records, count })
    while (cursor.next());
  }
  const record = (...body: number[]): Buffer => Buffer.of(body.length << 1, ...body)

  it.each([
    ['fewer bytes than the least of its records', record(0, 0, 0, 1, 1, 0), 2, /cannot hold/],
    ['no records but bytes', record(0, 0, 0, 1, 1, 0), 0, /claims no records/],
    ['bytes behind the last record', Buffer.concat([record(0, 0, 0, 1, 1, 0), Buffer.of(0)]), 1, /left behind/],
    ['a record length of 0', Buffer.alloc(9), 1, /past the end/],
    ['a negative record length', Buffer.of(11, 0, 0, 0, 1, 1, 0, 0), 1, /past the end/],
    ['a key beyond the record', record(0, 0, 0, 20, 1, 0), 1, /key of a record/],
    ['a value beyond the record', record(0, 0, 0, 1, 20, 0), 1, /value of a record/],
    ['no room for a header count', record(0, 0, 0, 1, 2, 0), 1, /value of a record/],
    ['a negative header count', record(0, 0, 0, 1, 1, 1), 1, /-1 headers/],
    ['more headers than fit', record(0, 0, 0, 1, 1, 8, 0, 1), 1, /4 headers/],
    ['a negative header name', record(0, 0, 0, 1, 1, 2, 1, 1), 1, /name of a header/],
    ['a header name beyond the record', record(0, 0, 0, 1, 1, 2, 8, 1), 1, /name of a header/],
    ['a header value beyond the record', record(0, 0, 0, 1, 1, 2, 0, 4), 1, /value of a header/],
    ['a byte behind its headers', record(0, 0, 0, 1, 1, 0, 0), 1, /longer or shorter/],
    ['an endless record length', Buffer.alloc(9, 255), 1, /never ends/],
    ['an endless offset delta', record(0, 0, 255, 255, 255, 255, 255, 1, 1, 0), 1, /never ends/],
    ['an endless timestamp', record(0, ...new Array(11).fill(255), 0, 1, 1, 0), 1, /never ends/],
  ])('%s', (_what, records, count, text) => {
    expect(() => read(records as Buffer, count as number)).toThrowError(
      expect.objectContaining({
        code: 'CONSUME_FAILED',
        message: expect.stringMatching(text as RegExp),
        context: expect.objectContaining({ reason: 'CORRUPT_BATCH', baseOffset: 0, position: 0 }),
      }),
    )
  })

  it('lengths below -1 are null, as Kafka reads them', () => {
    const cursor = open({ records: record(0, 0, 0, 3, 5, 2, 0, 3) })
    cursor.next()
    expect([cursor.key(), cursor.value(), cursor.headers()]).toEqual([null, null, [['', null]]])
  })
})

describe.skipIf(!hasVectors)('numbers inside records read as Kafka reads them', () => {
  interface Odd {
    hex: string
    varint: { value?: string; exception?: string }
    varlong: { value?: string; exception?: string }
  }
  const file = vectors('varint.json')
  const filler = Buffer.alloc(32)

  /** A record whose timestamp delta and offset delta are these bytes; its end is filled up by the value. */
  function readWith(timestamp: Buffer, offset: Buffer): RecordCursor {
    const numbers = Buffer.concat([timestamp, offset])
    const body = Buffer.concat([Buffer.of(0), numbers, Buffer.of(1, filler.length << 1), filler, Buffer.of(0)])
    const cursor = open({
      baseTimestamp: 0,
      records: Buffer.concat([Buffer.of(((body.length << 1) & 127) | 128, body.length >> 6), body]),
    })
    cursor.next()
    return cursor
  }

  it.each((file?.varint ?? []) as [string, string][])('offset delta %s is %s', (value, hex) => {
    expect(readWith(Buffer.of(0), Buffer.from(hex, 'hex')).offsetDelta).toBe(Number(value))
  })

  it.each((file?.varlong ?? []) as [string, string][])('timestamp delta %s is %s', (value, hex) => {
    const cursor = readWith(Buffer.from(hex, 'hex'), Buffer.of(0))
    expect(cursor.exactTimestamp()).toBe(BigInt(value))
    expect(cursor.timestamp).toBe(Number(value))
  })

  /** Odd input that is not cut off; what follows a cut number in a record would be taken for its rest. */
  const odd = ((file?.read ?? []) as Odd[]).filter((one) => one.hex !== '')
  it.each(odd)('odd $hex', ({ hex, varint, varlong }) => {
    const given = Buffer.from(hex, 'hex')
    if (varint.value !== undefined) expect(readWith(Buffer.of(0), given).offsetDelta).toBe(Number(varint.value))
    else if (varint.exception?.includes('IllegalArgument'))
      expect(() => readWith(Buffer.of(0), given)).toThrowError(/never ends/)
    if (varlong.value !== undefined) expect(readWith(given, Buffer.of(0)).exactTimestamp()).toBe(BigInt(varlong.value))
    else if (varlong.exception?.includes('IllegalArgument'))
      expect(() => readWith(given, Buffer.of(0))).toThrowError(/never ends/)
  })
})
