/**
 * A run of records of one partition, encoded once per wire and shared by every client that reads it. Hot path: `encoded`.
 * Why blocks: a thousand subscribers get the same bytes; what is done per client is one write per block, whatever is in it.
 *
 *   records   [ 100 ][ 101 ][ 103 ]            offsets may be missing (compaction)
 *   bytes     [ frame ][ frame ][ frame ]      starts: 0, 120, 240, 360
 *
 * Invariant: records, offsets ascending, and encoded bytes never change.
 */
import type { FeedRecord } from '../types.js'
import { jsonRecord, jsonRecordPrefix } from './json-encode.js'
import { protoRecord } from './proto-encode.js'
import { ProtoWriter } from './proto-wire.js'
import { headerBytes, WIRE_COUNT, type Wire, writeHeader } from './wire.js'

export interface EncodedBlock {
  readonly bytes: Buffer
  /** Where each record's frame begins; one more for the end. */
  readonly starts: Uint32Array
}

/** A record costs us more than its payload. Bytes. */
const RECORD_OVERHEAD_BYTES = 200

const writer = new ProtoWriter()

export class FeedBlock {
  readonly topic: string
  readonly partition: number
  readonly records: readonly FeedRecord[]
  readonly #encoded: (EncodedBlock | null)[] = new Array(WIRE_COUNT).fill(null)
  /** Memory that it takes, encodings so far included. */
  memoryBytes: number

  /** At least one record. */
  constructor(topic: string, partition: number, records: readonly FeedRecord[]) {
    this.topic = topic
    this.partition = partition
    this.records = records
    this.memoryBytes = records.reduce((sum, record) => sum + payloadBytes(record) + RECORD_OVERHEAD_BYTES, 0)
  }

  get firstOffset(): number {
    return (this.records[0] as FeedRecord).offset
  }

  get lastOffset(): number {
    return (this.records[this.records.length - 1] as FeedRecord).offset
  }

  /** Index of the first record at or behind `offset`; the count of records when there is none. */
  indexAt(offset: number): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.records[middle] as FeedRecord).offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  encoded(wire: Wire): EncodedBlock {
    const known = this.#encoded[wire.index]
    if (known !== null && known !== undefined) return known
    const encoded = wire.format === 'json' ? this.#asJson(wire) : this.#asProto(wire)
    this.#encoded[wire.index] = encoded
    this.memoryBytes += encoded.bytes.length
    return encoded
  }

  /** The frames of records `from` up to, not including, `to`. */
  frames(wire: Wire, from: number, to: number): Buffer {
    const { bytes, starts } = this.encoded(wire)
    return bytes.subarray(starts[from], starts[to])
  }

  #asJson(wire: Wire): EncodedBlock {
    const prefix = jsonRecordPrefix(this.topic, this.partition)
    const texts = this.records.map((record) => jsonRecord(prefix, record))
    const lengths = texts.map((text) => Buffer.byteLength(text))
    return pack(wire, lengths, (bytes, at, index) => bytes.write(texts[index] as string, at))
  }

  #asProto(wire: Wire): EncodedBlock {
    writer.reset()
    const ends = this.records.map((record) => {
      protoRecord(writer, this.topic, this.partition, record)
      return writer.length
    })
    const payloads = writer.bytes()
    const startOf = (index: number) => (index === 0 ? 0 : (ends[index - 1] as number))
    const lengths = ends.map((end, index) => end - startOf(index))
    return pack(wire, lengths, (bytes, at, index) => payloads.copy(bytes, at, startOf(index), ends[index]))
  }
}

function pack(wire: Wire, lengths: readonly number[], write: (bytes: Buffer, at: number, index: number) => void) {
  const starts = new Uint32Array(lengths.length + 1)
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] as number
    starts[index + 1] = (starts[index] as number) + headerBytes(wire, length) + length
  }
  const bytes = Buffer.allocUnsafeSlow(starts[lengths.length] as number)
  for (let index = 0; index < lengths.length; index++) {
    write(bytes, writeHeader(wire, bytes, starts[index] as number, lengths[index] as number), index)
  }
  return { bytes, starts }
}

function payloadBytes({ key, value, headers }: FeedRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, header] of headers) bytes += name.length + (header?.length ?? 0)
  return bytes
}
