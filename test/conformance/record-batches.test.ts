/** Batches written by Apache Kafka 4.1.1 read as Kafka reads them, and written again give its bytes. */
import { createHash } from 'node:crypto'
import { decompressWithin } from 'tandem-mq/codec'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  type HeaderPairs,
  headersBytes,
  RecordCursor,
  readBatchHeader,
  readControlRecord,
  recordBodyBytes,
  recordsOf,
  varintBytes,
  writeBatchCrc,
  writeBatchHeader,
  writeIdentity,
  writeRecord,
} from 'tandem-mq/protocol'
import { crc32c } from 'tandem-mq/util'
import { describe, expect, it } from 'vitest'
import { bytesOf, type HexParts } from '../support/batch-bytes.js'
import { hasVectors, hex, vectors } from '../support/vectors.js'

type LongHex = string | { repeatHex: string; length: number; sha256: string }

interface RecordVector {
  offset: string
  timestamp: string
  sequence?: number
  key: LongHex | null
  value: LongHex | null
  headers?: [string, string | null][]
  controlRecord?: { type: string; coordinatorEpoch: number }
}

interface BatchVector {
  position: number
  sizeInBytes: number
  magic: 0 | 1 | 2
  baseOffset: string
  lastOffset: string
  batchLength: number
  partitionLeaderEpoch: number
  crc: number
  attributes: number
  lastOffsetDelta: number
  baseTimestamp: string
  maxTimestamp: string
  producerId: string
  producerEpoch: number
  baseSequence: number
  count: number
  transactional: boolean
  control: boolean
  deleteHorizonMs: string | null
  compression: string
  timestampType: string
  records: RecordVector[]
}

interface Case {
  name: string
  size: number
  sha256: string
  encodeExact: boolean
  bytes: HexParts
  batches: BatchVector[]
}

const cases: Case[] = vectors('record-batches.json')?.cases ?? []
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
/** Offsets are safe integers (W-4): this one is refused, which a test of its own says. */
const UNSAFE_OFFSET = 'high-offset'
/** Its timestamp delta is no safe integer, and callers cannot give us such a timestamp. */
const UNSAFE_DELTA = 'large-ts-delta'

const decompress = decompressWithin()

function headersIn(bytes: Uint8Array): BatchHeader[] {
  const headers: BatchHeader[] = []
  for (let at = 0; ; ) {
    const header = readBatchHeader(bytes, at)
    if (header === 'partial') return headers
    headers.push(header)
    at += header.sizeInBytes
  }
}

/** Long values compare by their digest, as the vector has them. */
function shown(bytes: Uint8Array | null, expected: LongHex | null): LongHex | null {
  if (bytes === null || expected === null || typeof expected === 'string') return bytes === null ? null : hex(bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { repeatHex: expected.repeatHex, length: bytes.length, sha256 }
}

function exact(number: number, bigint: bigint | null): string {
  return String(bigint ?? number)
}

function expectHeader(header: BatchHeader, expected: BatchVector): void {
  expect(header).toMatchObject({
    position: expected.position,
    sizeInBytes: expected.sizeInBytes,
    magic: expected.magic,
    crc: expected.crc,
    attributes: expected.attributes,
  })
  expect(CODECS[header.codecId]).toBe(expected.compression)
  expect(String(header.nextOffset - 1)).toBe(expected.lastOffset)
  expect(exact(header.maxTimestamp, header.exactMaxTimestamp)).toBe(expected.maxTimestamp)
  expect(header.isLogAppendTime).toBe(expected.timestampType === 'LogAppendTime')
  if (expected.magic === 2) expectHeaderV2(header, expected)
}

function expectHeaderV2(header: BatchHeader, expected: BatchVector): void {
  expect(header).toMatchObject({
    partitionLeaderEpoch: expected.partitionLeaderEpoch,
    lastOffsetDelta: expected.lastOffsetDelta,
    producerId: BigInt(expected.producerId),
    producerEpoch: expected.producerEpoch,
    baseSequence: expected.baseSequence,
    count: expected.count,
    isTransactional: expected.transactional,
    isControl: expected.control,
    hasDeleteHorizon: expected.deleteHorizonMs !== null,
  })
  expect(String(header.baseOffset)).toBe(expected.baseOffset)
  expect(exact(header.baseTimestamp, header.exactBaseTimestamp)).toBe(expected.baseTimestamp)
}

async function expectRecords(bytes: Uint8Array, header: BatchHeader, expected: BatchVector): Promise<void> {
  const cursor = new RecordCursor()
  cursor.open(header, await recordsOf(bytes, header, decompress))
  for (const record of expected.records) {
    expect(cursor.next(), `record ${record.offset} is there`).toBe(true)
    expect(String(cursor.offset)).toBe(record.offset)
    expect(String(cursor.exactTimestamp())).toBe(record.timestamp)
    expect(cursor.timestamp).toBe(Number(record.timestamp))
    expect(shown(cursor.key(), record.key)).toEqual(record.key)
    expect(shown(cursor.value(), record.value)).toEqual(record.value)
    const headers = cursor.headers().map(([name, value]) => [name, value === null ? null : hex(value)])
    expect(headers).toEqual(record.headers ?? [])
    if (record.sequence !== undefined && record.sequence >= 0) {
      expect((header.baseSequence + cursor.offsetDelta) % 2 ** 31).toBe(record.sequence)
    }
    if (record.controlRecord !== undefined) {
      const control = readControlRecord(cursor.key(), cursor.value())
      expect({ type: control.type.toUpperCase(), coordinatorEpoch: control.coordinatorEpoch }).toEqual(
        record.controlRecord,
      )
    }
  }
  expect(cursor.next(), 'no further record').toBe(false)
}

describe.skipIf(!hasVectors)('R-10 record batches of Apache Kafka', () => {
  it('there are cases of all magics and codecs', () => {
    expect(cases.length).toBeGreaterThan(60)
    const kinds = new Set(cases.flatMap((one) => one.batches.map((batch) => `${batch.magic} ${batch.compression}`)))
    expect(kinds.size).toBe(13)
  })

  it.each(cases.filter((one) => one.name !== UNSAFE_OFFSET))('$name reads as Kafka reads it', async (one) => {
    const bytes = bytesOf(one.bytes)
    expect(createHash('sha256').update(bytes).digest('hex'), 'the vector itself').toBe(one.sha256)
    const headers = headersIn(bytes)
    expect(headers.length).toBe(one.batches.length)
    for (const [index, header] of headers.entries()) {
      const expected = one.batches[index] as BatchVector
      expectHeader(header, expected)
      await expectRecords(bytes, header, expected)
    }
  })

  it('W-4: an offset that is no safe integer is refused, never rounded', () => {
    const bytes = bytesOf((cases.find((one) => one.name === UNSAFE_OFFSET) as Case).bytes)
    expect(() => readBatchHeader(bytes, 0)).toThrowError(/offset is no safe integer/)
  })

  it.each(cases)('R-6: any cut of $name is a partial batch or whole batches, never an error', (one) => {
    if (one.name === UNSAFE_OFFSET) return
    const bytes = bytesOf(one.bytes)
    const ends = one.batches.map((batch) => batch.position + batch.sizeInBytes)
    const step = Math.max(1, Math.floor(bytes.length / 300))
    for (let length = 0; length < bytes.length; length += step) {
      const whole = ends.filter((end) => end <= length).length
      expect(headersIn(bytes.subarray(0, length)).length, `${length} B`).toBe(whole)
    }
  })
})

/** Writes a batch from decoded fields; what we never write ourselves is patched in before the CRC. */
function encode(batch: BatchVector): Buffer {
  const records = batch.records.map((record) => encodeRecord(batch, record))
  const body = Buffer.concat(records)
  const bytes = Buffer.alloc(BATCH_HEADER_BYTES + body.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  bytes.set(body, BATCH_HEADER_BYTES)
  writeBatchHeader(view, {
    bytes: bytes.length,
    count: batch.count,
    attributes: batch.attributes,
    baseTimestamp: Number(batch.baseTimestamp),
    maxTimestamp: Number(batch.maxTimestamp),
  })
  writeIdentity(view, BigInt(batch.producerId), batch.producerEpoch, batch.baseSequence)
  view.setBigInt64(0, BigInt(batch.baseOffset))
  view.setInt32(12, batch.partitionLeaderEpoch)
  view.setInt32(23, batch.lastOffsetDelta)
  writeBatchCrc(bytes, view, body, crc32c(body))
  return bytes
}

function encodeRecord(batch: BatchVector, record: RecordVector): Buffer {
  const key = record.key === null ? null : bytesOf(record.key)
  const value = record.value === null ? null : bytesOf(record.value)
  const pairs: HeaderPairs = (record.headers ?? []).map(([name, text]) => [name, text === null ? null : bytesOf(text)])
  const headers = pairs.length === 0 ? null : pairs
  const timestampDelta = Number(BigInt(record.timestamp) - BigInt(batch.baseTimestamp))
  const offsetDelta = Number(BigInt(record.offset) - BigInt(batch.baseOffset))
  const [keyLength, valueLength] = [key?.length ?? -1, value?.length ?? -1]
  const size = recordBodyBytes(timestampDelta, offsetDelta, keyLength, valueLength, headersBytes(headers))
  const target = Buffer.alloc(varintBytes(size) + size)
  const end = writeRecord(target, 0, size, timestampDelta, offsetDelta, key, keyLength, value, valueLength, headers)
  expect(end, 'recordBodyBytes and writeRecord agree').toBe(target.length)
  return target
}

const encodable = cases.filter(
  (one) =>
    one.encodeExact &&
    one.name !== UNSAFE_DELTA &&
    // Log-append time hides the deltas that were written; magic 0 and 1 are never written.
    one.batches.every((batch) => batch.magic === 2 && (batch.timestampType !== 'LogAppendTime' || batch.count === 0)),
)

describe.skipIf(!hasVectors)('R-10 record batches written by us', () => {
  it('there are cases to compare', () => {
    expect(encodable.length).toBeGreaterThan(25)
  })

  it.each(encodable)('$name has exactly the bytes Kafka writes', (one) => {
    const written = Buffer.concat(one.batches.map(encode))
    const expected = bytesOf(one.bytes)
    if (!written.equals(expected)) expect(hex(written)).toBe(hex(expected))
    expect(written.length).toBe(one.size)
  })
})
