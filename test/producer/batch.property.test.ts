/** A batch as it is built, read back by the reader: two pieces of code that share nothing but the format. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Arena } from '../../lib/channel/index.js'
import { Batch } from '../../lib/producer/batch.js'
import { RecordTime } from '../../lib/producer/record-clock.js'
import {
  BATCH_HEADER_BYTES,
  bytesLength,
  type HeaderPairs,
  headersBytes,
  RecordCursor,
  readBatchHeader,
  recordsOf,
  varintBytes,
} from '../../lib/protocol/index.js'

interface Sample {
  readonly key: Uint8Array | string | null
  readonly value: Uint8Array | string | null
  readonly headers: HeaderPairs | null
  readonly timestamp: number
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.constant('x'.repeat(63)),
  fc.constant('é'.repeat(40)),
)
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constant(new Uint8Array(8191)),
  fc.constant(new Uint8Array(8192)),
)
const data = fc.oneof(fc.constant(null), text, bytes)
const headers = fc.oneof(fc.constant(null), fc.array(fc.tuple(text, data), { minLength: 1, maxLength: 4 }))
const timestamp = fc.oneof(
  fc.constant(1_700_000_000_000),
  fc.integer({ min: 1_699_999_999_000, max: 1_700_000_001_000 }),
  fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
)
const sample: fc.Arbitrary<Sample> = fc.record({ key: data, value: data, headers, timestamp })

function at(ms: number): RecordTime {
  const time = new RecordTime()
  time.ms = ms
  return time
}

function appendTo(batch: Batch, { key, value, headers, timestamp }: Sample): number {
  const [keyLength, valueLength, headerBytes] = [bytesLength(key), bytesLength(value), headersBytes(headers)]
  const body = batch.bodyBytesOf(at(timestamp), keyLength, valueLength, headerBytes)
  const before = batch.bytes
  batch.append(body, at(timestamp), key, keyLength, value, valueLength, headers)
  expect(batch.bytes - before, 'R-1: the size said before is the size written').toBe(varintBytes(body) + body)
  return batch.bytes
}

/** As text, which the test runner compares quickly. */
const asBytes = (data: Uint8Array | string | null) =>
  data === null ? null : Buffer.from(data as string).toString('latin1')

function readBack(batch: Batch) {
  const wire = Buffer.concat(batch.wire())
  const header = readBatchHeader(wire, 0)
  if (header === 'partial') throw new Error('the batch is cut')
  expect(header.sizeInBytes).toBe(wire.length)
  const cursor = new RecordCursor()
  const records = recordsOf(wire, header, () => {
    throw new Error('not compressed')
  }) as Uint8Array
  cursor.open(header, records)
  const found: object[] = []
  while (cursor.next()) {
    const headers = cursor.headers().map(([name, value]) => [name, asBytes(value)])
    found.push({
      offset: cursor.offset,
      timestamp: cursor.timestamp,
      key: asBytes(cursor.key()),
      value: asBytes(cursor.value()),
      headers,
    })
  }
  return { header, found }
}

function newBatch(capacity = 1 << 20): Batch {
  const batch = new Batch()
  batch.moveInto(new Arena(capacity))
  return batch
}

describe('batch in place', () => {
  it('P-1, R-1, R-2: what is appended is read back: null and empty, unicode, headers in order with duplicates, any time', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), (samples) => {
        const batch = newBatch()
        for (const one of samples) appendTo(batch, one)
        batch.finish(0, null)
        batch.stamp(4711n, 3, 2147483645)
        const { header, found } = readBack(batch)
        expect(header).toMatchObject({ baseOffset: 0, count: samples.length, lastOffsetDelta: samples.length - 1 })
        expect(header).toMatchObject({ producerId: 4711n, producerEpoch: 3, baseSequence: 2147483645, codecId: 0 })
        expect(header.baseTimestamp).toBe(samples[0]?.timestamp)
        expect(header.maxTimestamp).toBe(Math.max(...samples.map((one) => one.timestamp)))
        expect(found).toEqual(
          samples.map((one, offset) => ({
            offset,
            timestamp: one.timestamp,
            key: asBytes(one.key),
            value: asBytes(one.value),
            headers: (one.headers ?? []).map(([name, value]) => [Buffer.from(name).toString(), asBytes(value)]),
          })),
        )
      }),
      { numRuns: 300 },
    )
  })

  it('R-1: lengths 63/64 and 8191/8192 and offset deltas 127/128 take the bytes they should', () => {
    const sizeOf = (length: number) =>
      appendTo(newBatch(), { key: null, value: new Uint8Array(length), headers: null, timestamp: 5 }) -
      BATCH_HEADER_BYTES
    expect(sizeOf(64) - sizeOf(63)).toBe(2)
    expect(sizeOf(8192) - sizeOf(8191)).toBe(2)
    const batch = newBatch()
    const sizes: number[] = []
    for (let record = 0; record < 130; record++) {
      const before = Math.max(batch.bytes, BATCH_HEADER_BYTES)
      sizes.push(appendTo(batch, { key: null, value: null, headers: null, timestamp: 5 }) - before)
    }
    expect(sizes[63]).toBe(7)
    expect(sizes[64]).toBe(8)
    expect(sizes[128]).toBe(8)
  })

  it('P-2: a batch refuses the byte that is too many and takes the last that fits', () => {
    const batch = newBatch()
    batch.limitTo(BATCH_HEADER_BYTES + 100)
    const bodyOf = (length: number) => batch.bodyBytesOf(at(5), -1, length, 1)
    const exact = [...Array(100).keys()].find(
      (length) => varintBytes(bodyOf(length)) + bodyOf(length) === 100,
    ) as number
    expect(batch.hasRoomFor(bodyOf(exact))).toBe(true)
    expect(batch.hasRoomFor(bodyOf(exact + 1))).toBe(false)
  })

  it('R-3, P-24: another identity changes header and CRC only, and the CRC is right for small and large batches', () => {
    for (const records of [1, 200]) {
      const batch = newBatch()
      for (let at = 0; at < records; at++)
        appendTo(batch, { key: null, value: 'v'.repeat(100), headers: null, timestamp: 5 })
      batch.finish(0, null)
      batch.stamp(1n, 0, 0)
      const before = Buffer.concat(batch.wire())
      batch.unstamp()
      batch.stamp(2n, 1, 77)
      const after = Buffer.concat(batch.wire())
      expect(after.subarray(BATCH_HEADER_BYTES).equals(before.subarray(BATCH_HEADER_BYTES))).toBe(true)
      expect(readBack(batch).header).toMatchObject({ producerId: 2n, producerEpoch: 1, baseSequence: 77 })
    }
  })

  it('CH-3: an arena that is exchanged for a larger one keeps what was written', () => {
    const batch = newBatch(16_384)
    appendTo(batch, { key: 'k', value: 'first', headers: null, timestamp: 5 })
    batch.moveInto(new Arena(65_536))
    appendTo(batch, { key: 'k', value: 'second', headers: null, timestamp: 6 })
    batch.finish(0, null)
    expect(readBack(batch).found.map((one) => (one as { value: string }).value)).toEqual(['first', 'second'])
  })

  it('P-34: a batch knows when its bytes were changed under it', () => {
    const batch = newBatch()
    appendTo(batch, { key: null, value: 'v', headers: null, timestamp: 5 })
    batch.finish(0, null)
    expect(batch.isIntact()).toBe(true)
    ;(batch.wire()[0] as Uint8Array)[BATCH_HEADER_BYTES + 7] = 0xff
    expect(batch.isIntact()).toBe(false)
  })
})
