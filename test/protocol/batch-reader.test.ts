import { MQError } from 'tandem-mq/errors'
import { type BatchHeader, RecordCursor, readBatches, readBatchHeader, recordsOf } from 'tandem-mq/protocol'
import { describe, expect, it } from 'vitest'
import { type BatchFields, batchBytes, withCrc } from '../support/batch-bytes.js'

/** One record without key, value or headers. */
const RECORD = Buffer.of(12, 0, 0, 0, 1, 1, 0)
const noCodec = (): never => {
  throw new Error('nothing to decompress was expected')
}

function headerOf(fields: BatchFields = {}): BatchHeader {
  const header = readBatchHeader(batchBytes({ records: RECORD, ...fields }), 0)
  if (header === 'partial') throw new Error('the batch is whole')
  return header
}

const corrupt = (text: RegExp) =>
  expect.objectContaining({
    code: 'CONSUME_FAILED',
    retryable: false,
    message: expect.stringMatching(text),
    context: expect.objectContaining({ reason: 'CORRUPT_BATCH' }),
  })

describe('R-6 the end of fetched bytes', () => {
  const two = Buffer.concat([batchBytes({ records: RECORD }), batchBytes({ baseOffset: 1, records: RECORD })])

  it('nothing, less than 17 bytes, and less than the batch claims are partial', () => {
    for (const length of [0, 1, 12, 16, 17, 60, 67]) {
      expect(readBatchHeader(two.subarray(0, length), 0), `${length} B`).toBe('partial')
      expect(readBatchHeader(two.subarray(0, 68 + length), 68), `${length} B behind a batch`).toBe('partial')
    }
    expect(readBatchHeader(two, 68)).toMatchObject({ baseOffset: 1, position: 68, sizeInBytes: 68 })
    expect(readBatchHeader(two, two.length)).toBe('partial')
  })

  it('readBatches leaves the partial batch out', async () => {
    const batches = await readBatches(two.subarray(0, 130), noCodec)
    expect(batches.map((batch) => [batch.header.baseOffset, batch.records.length])).toEqual([[0, 1]])
  })

  it.each([0, -1, 13, -2_147_483_648, 2_147_483_647, 2_147_483_636])(
    'a length field of %i is corrupt however few bytes are there, or a reader would ask for more for ever',
    (length) => {
      const batch = batchBytes({ records: RECORD })
      batch.writeInt32BE(length, 8)
      expect(() => readBatchHeader(batch.subarray(0, 20), 0)).toThrowError(corrupt(/length field/))
    },
  )

  it.each([-1, 3, 127])('magic %i is corrupt', (magic) => {
    const batch = batchBytes({ magic, records: RECORD })
    expect(() => readBatchHeader(batch, 0)).toThrowError(corrupt(/magic/))
  })

  it('a magic 2 length below 49 is corrupt', () => {
    const batch = batchBytes({ records: RECORD })
    batch.writeInt32BE(48, 8)
    expect(() => readBatchHeader(batch, 0)).toThrowError(corrupt(/below a header/))
  })
})

describe('R-6 what a header says', () => {
  it('a wrong CRC is found before anything else, and only when asked for', () => {
    const batch = batchBytes({ records: RECORD, count: -1, attributes: 7 })
    batch.writeInt8(1, 20)
    expect(() => readBatchHeader(batch, 0)).toThrowError(corrupt(/CRC-32C/))
    expect(() => readBatchHeader(batch, 0, false)).toThrowError(corrupt(/codec 7/))
    expect((readBatchHeader(batchBytes({ records: RECORD }), 0, false) as BatchHeader).isCrcChecked).toBe(false)
  })

  it.each([5, 6, 7])('codec %i is corrupt', (codec) => {
    expect(() => headerOf({ attributes: codec })).toThrowError(corrupt(/codec/))
  })

  it('a negative count, a negative offset, an unsafe offset and a negative offset delta are corrupt', () => {
    expect(() => headerOf({ count: -1 })).toThrowError(corrupt(/claims -1 records/))
    expect(() => headerOf({ baseOffset: -1 })).toThrowError(corrupt(/safe integer/))
    expect(() => headerOf({ baseOffset: 2n ** 53n })).toThrowError(corrupt(/safe integer/))
    expect(() => headerOf({ lastOffsetDelta: -1 })).toThrowError(corrupt(/ends before it starts/))
    expect(headerOf({ baseOffset: 2n ** 53n - 2n ** 31n - 1n }).nextOffset).toBe(2 ** 53 - 2 ** 31)
  })

  it('attribute bits', () => {
    const all = headerOf({ attributes: 0x78 })
    expect(all).toMatchObject({ isLogAppendTime: true, isTransactional: true, isControl: true, hasDeleteHorizon: true })
    const none = headerOf({ attributes: 4 })
    expect(none).toMatchObject({
      codecId: 4,
      isLogAppendTime: false,
      isTransactional: false,
      isControl: false,
      hasDeleteHorizon: false,
    })
  })

  it('producer ids of any size are exact', () => {
    for (const producerId of [-1n, 0n, 7n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(headerOf({ producerId }).producerId).toBe(producerId)
    }
  })

  it('timestamps are numbers, and exact beside them where numbers are not', () => {
    const nanoseconds = 1_700_000_000_123_456_789n
    const header = headerOf({ baseTimestamp: nanoseconds, maxTimestamp: -5 })
    expect(header).toMatchObject({ baseTimestamp: Number(nanoseconds), exactBaseTimestamp: nanoseconds })
    expect(header).toMatchObject({ maxTimestamp: -5, exactMaxTimestamp: null })
  })

  it('R-7: the position behind a batch follows from its last offset, also when it is empty', () => {
    const emptied = headerOf({ baseOffset: 40, lastOffsetDelta: 4, count: 0, records: new Uint8Array(0) })
    expect(emptied.nextOffset).toBe(45)
    expect(headerOf({ baseOffset: 10, lastOffsetDelta: 10, count: 1 }).nextOffset).toBe(21)
  })

  it('one shape for every header', () => {
    const keys = Object.keys(headerOf())
    expect(keys.length).toBeGreaterThan(20)
    expect(Object.keys(headerOf({ attributes: 0x78 }))).toEqual(keys)
  })

  it('works on a view in the middle of a buffer', () => {
    const batch = batchBytes({ baseOffset: 9, records: RECORD })
    const around = new Uint8Array(batch.length + 20)
    around.set(batch, 11)
    expect(readBatchHeader(around.subarray(11), 0)).toMatchObject({ baseOffset: 9, count: 1 })
    expect(readBatchHeader(around, 11)).toMatchObject({ baseOffset: 9, position: 11 })
  })
})

describe('recordsOf', () => {
  it('gives a view of an uncompressed batch, at once', () => {
    const batch = batchBytes({ records: RECORD })
    const records = recordsOf(batch, readBatchHeader(batch, 0) as BatchHeader, noCodec) as Uint8Array
    expect(records.buffer).toBe(batch.buffer)
    expect(Buffer.compare(records, RECORD)).toBe(0)
  })

  it('hands codec, payload and magic to the decompressor, and its promise on', async () => {
    const batch = batchBytes({ attributes: 3, records: Buffer.from('packed') })
    const seen: unknown[] = []
    const records = recordsOf(batch, readBatchHeader(batch, 0) as BatchHeader, async (codec, payload, magic) => {
      seen.push(codec, String(payload), magic)
      return RECORD
    })
    expect(records).toBeInstanceOf(Promise)
    expect(await records).toBe(RECORD)
    expect(seen).toEqual([3, 'packed', 2])
  })

  it('R-7: decompresses nothing in an emptied batch that still has its codec bits', () => {
    const batch = batchBytes({ attributes: 4, count: 0, lastOffsetDelta: 3 })
    const header = readBatchHeader(batch, 0) as BatchHeader
    const cursor = new RecordCursor()
    cursor.open(header, recordsOf(batch, header, noCodec) as Uint8Array)
    expect(cursor.next()).toBe(false)
  })

  it('lets an error of the decompressor through as it is', async () => {
    const batch = batchBytes({ attributes: 1, records: RECORD })
    const failure = new MQError('DECOMPRESSION_FAILED', 'no')
    await expect(readBatches(batch, () => Promise.reject(failure))).rejects.toBe(failure)
  })
})

it('withCrc mends what a test has changed', () => {
  const batch = batchBytes({ records: RECORD })
  batch.writeInt32BE(5, 23)
  expect(() => readBatchHeader(batch, 0)).toThrowError(corrupt(/CRC/))
  expect(readBatchHeader(withCrc(batch), 0)).toMatchObject({ lastOffsetDelta: 5 })
})
