import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createCompressionCodec, registerCodec } from '../../../lib/codec/index.js'
import { BatchMemory } from '../../../lib/consumer/records/batch-memory.js'
import { PartitionReader } from '../../../lib/consumer/records/partition-reader.js'
import type { RecordView } from '../../../lib/consumer/records/record-view.js'
import { withCrc } from '../../support/batch-bytes.js'
import { storedBatch } from '../batches.js'

const KIB = 1024
const MIB = 1024 * KIB
const lz4 = createCompressionCodec('lz4')
const settings = { copies: true, checkCrcs: true, keyDeserializer: undefined, valueDeserializer: undefined }
type AnyView = RecordView<never, never>

afterEach(() => registerCodec(lz4))

/** Where each decompression put its result. */
function watched(): ArrayBufferLike[] {
  const results: ArrayBufferLike[] = []
  registerCodec({
    ...lz4,
    decompress(...args) {
      const result = lz4.decompress(...args) as Uint8Array
      results.push(result.buffer)
      return result
    },
  })
  return results
}

/** An lz4 batch of more than one block, every value naming its offset. */
function packed(baseOffset: number, count: number, valueBytes = 100): Buffer {
  const values = Array.from({ length: count }, (_, index) => textAt(baseOffset + index, valueBytes))
  const plain = storedBatch({ baseOffset, values })
  const batch = Buffer.concat([plain.subarray(0, 61), lz4.compress(plain.subarray(61)) as Uint8Array])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(lz4.id, 21)
  return withCrc(batch)
}

const textAt = (offset: number, bytes = 100): string => `${offset} `.repeat(bytes).slice(0, bytes)

function readerOf(batches: readonly Buffer[], more: object = {}): PartitionReader {
  const reader = new PartitionReader('t', 0, { ...settings, ...more }, () => {})
  reader.position = 0
  const bytes = Buffer.concat(batches)
  reader.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
  return reader
}

function drain(reader: PartitionReader, each: (record: AnyView) => void): void {
  for (;;) {
    const record = reader.next()
    if (record !== null) each(record)
    else if (reader.openNext() === 'end') return
  }
}

const text = (record: AnyView | undefined) => String(record?.value)

describe('BatchMemory', () => {
  it('gives the youngest spare memory that is large enough', () => {
    const memory = new BatchMemory()
    const [large, small, young] = [memory.take(MIB), memory.take(10), memory.take(MIB - 5)]
    for (const one of [large, young, small]) memory.giveBack(one as Buffer)
    expect([memory.take(MIB) === young, memory.take(64 * KIB) === small, memory.take(64 * KIB) === large]).toEqual([
      true,
      true,
      true,
    ])
    expect(memory.spareBytes).toBe(0)
  })

  it('spare memory is bounded: the oldest goes, and what is larger than the bound never stays', () => {
    const memory = new BatchMemory()
    for (const one of Array.from({ length: 40 }, () => memory.take(MIB))) memory.giveBack(one)
    expect(memory.spareBytes).toBe(8 * MIB)
    memory.giveBack(memory.take(9 * MIB))
    expect(memory.spareBytes).toBe(8 * MIB)
  })
})

describe('batches that leave their memory to others', () => {
  it('one after the other uses the same memory while nobody needs the old content', () => {
    const results = watched()
    const values: string[] = []
    drain(readerOf([packed(0, 1_000), packed(1_000, 1_000), packed(2_000, 900)]), (record) => values.push(text(record)))
    expect(new Set(results).size).toBe(1)
    expect(values).toEqual(Array.from({ length: 2_900 }, (_, offset) => textAt(offset)))
  })

  it('a record touched long after its batch has its own bytes; the reader then keeps memory apart', () => {
    const results = watched()
    const kept: AnyView[] = []
    const reader = readerOf(Array.from({ length: 6 }, (_, index) => packed(index * 1_000, 1_000)))
    for (let offset = 0; offset < 2_500; ) {
      const record = reader.next()
      if (record === null) expect(reader.openNext()).toBe('records')
      else if (offset++ % 700 === 0) kept.push(record)
    }
    expect(kept.map(text)).toEqual([0, 700, 1_400, 2_100].map((offset) => textAt(offset)))
    const before = results.length
    drain(reader, (record) => kept.push(record))
    expect(new Set(results.slice(before)).size).toBe(results.length - before) // Each has its own from now on.
    for (const record of kept) expect(text(record)).toBe(textAt(record.offset))
  })

  it('CH-11: values that are views of the batch keep it from being reused', () => {
    const results = watched()
    const values: Buffer[] = []
    drain(readerOf([packed(0, 100, 2_000), packed(100, 100, 2_000)]), (record) => values.push(record.value as never))
    expect(results[0]).not.toBe(results[1])
    expect(values.map(String)).toEqual(Array.from({ length: 200 }, (_, offset) => textAt(offset, 2_000)))
  })

  it('zeroCopy never reuses', () => {
    const results = watched()
    const values: Buffer[] = []
    const reader = readerOf([packed(0, 1_000), packed(1_000, 1_000)], { copies: false })
    drain(reader, (record) => values.push(record.value as never))
    expect(results[0]).not.toBe(results[1])
    expect(values.map(String)).toEqual(Array.from({ length: 2_000 }, (_, offset) => textAt(offset)))
  })

  it('a seek in the middle of a batch leaves its memory to the records that are out', () => {
    const reader = readerOf([packed(0, 1_000)])
    expect(reader.openNext()).toBe('records')
    const first = reader.next() as AnyView
    reader.clear(5_000)
    const other = readerOf([packed(5_000, 1_000), packed(6_000, 1_000)])
    drain(other, () => {})
    expect(text(first)).toBe(textAt(0))
  })

  it('whatever is kept and whenever it is touched, every record has its own value', () => {
    const plan = fc.array(fc.record({ isKept: fc.boolean(), isTouchedNow: fc.boolean() }), {
      minLength: 7,
      maxLength: 31,
    })
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 700, max: 1_500 }), { minLength: 1, maxLength: 5 }),
        plan,
        (counts, plans) => {
          let base = 0
          const batches = counts.map((count) => {
            base += count
            return packed(base - count, count)
          })
          const kept: AnyView[] = []
          drain(readerOf(batches), (record) => {
            const { isKept, isTouchedNow } = plans[record.offset % plans.length] as {
              isKept: boolean
              isTouchedNow: boolean
            }
            if (isTouchedNow) expect(text(record)).toBe(textAt(record.offset))
            if (isKept) kept.push(record)
          })
          for (const record of kept.reverse()) expect(text(record)).toBe(textAt(record.offset))
        },
      ),
      { numRuns: 30 },
    )
  })
})
