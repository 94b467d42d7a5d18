/**
 * Writing without a reader: by reference as the original did, with a copy, and as records of Kafka with CRC and lz4.
 * Method of the original: one payload buffer for all writes, 20,971,520 slots, 100 MiB, 80 %, 5 s.
 * Without a reader the budget's oldest buffers are dropped, so that memory stays bounded; dropping is in the time.
 */
import {
  ArenaPool,
  ByteChannel,
  type ChannelBuffer,
  channelSettings,
  DoubleBufferChannel,
} from '../../lib/channel/index.js'
import { createCompressionCodec, decompressWithin } from '../../lib/codec/index.js'
import {
  BATCH_HEADER_BYTES,
  readBatches,
  recordBodyBytes,
  writeBatchCrc,
  writeBatchHeader,
  writeRecord,
} from '../../lib/protocol/index.js'
import { crc32c } from '../../lib/util/index.js'
import type { CaseOf, ChannelWork } from './channel-job.js'
import { makeValues } from './payloads.js'

const KIB = 1024
const MIB = 1024 * KIB
const ORIGINAL = { maxRecords: 20_971_520, maxBytes: 100 * MIB, fillPercent: 80, windowMs: 5000 } as const

export function writeOnly({ payloadBytes, copies }: CaseOf<'write'>): ChannelWork {
  const channel = new ByteChannel({
    ...ORIGINAL,
    switchStrategy: 'size',
    copyOnWrite: copies,
    readMode: 'zeroCopy', // also large copies go into arenas
    onFull: 'dropOldest',
    bufferMemoryBytes: 256 * MIB,
    maxSpares: 4,
    arenas: new ArenaPool({ maxRetainedBytes: 256 * MIB }),
  })
  const bytes = Buffer.alloc(payloadBytes, 'x')
  return {
    warmUpCalls: Math.ceil((5 * ORIGINAL.maxBytes) / payloadBytes), // the active buffer and all spares, once around
    run: (count) => {
      for (let index = 0; index < count; index++) channel.write(bytes)
    },
    verified: () => 0,
    end: () => {
      const { writtenRecords, droppedRecords, refusedWrites } = channel.counters()
      if (refusedWrites > 0 || writtenRecords !== droppedRecords + channel.pendingRecords)
        throw new Error(`${writtenRecords} written, ${droppedRecords} dropped, ${channel.pendingRecords} pending`)
      return channel.close({ drain: false }).then(() => {})
    },
  }
}

/** What a lane pays beside encoding, sealing and recycling every 160 records included. */
export function mechanism(): ChannelWork {
  const channel: DoubleBufferChannel<ChannelBuffer> = new DoubleBufferChannel<ChannelBuffer>(
    {
      createBuffer: () => ({ records: 0, bytes: 0, sequence: -1, firstAtMs: -1 }),
      onSealed: () => channel.recycle(channel.take() as ChannelBuffer),
    },
    channelSettings({ maxBytes: 16 * KIB, windowMs: 5 }),
  )
  return {
    run: (count) => {
      for (let index = 0; index < count; index++) {
        const { active } = channel
        active.records++
        active.bytes += 100
        channel.wrote()
      }
    },
    verified: () => 0,
  }
}

const BATCH_BYTES = 64 * KIB
/** Length prefix, deltas and empty key and headers of a record, at most. */
const RECORD_OVERHEAD = 32

/** A batch in wire form; the double buffer's view of it beside its memory. */
class WireBatch implements ChannelBuffer {
  records = 0
  bytes = 0
  sequence = -1
  firstAtMs = -1
  readonly memory: Buffer
  readonly view: DataView
  constructor(bytes: number) {
    this.memory = Buffer.alloc(bytes)
    this.view = new DataView(this.memory.buffer, this.memory.byteOffset, bytes)
  }
}

/** Each payload becomes a record of RecordBatch v2; a full batch gets its header and CRC, and lz4 if asked. */
export function encode({ payloadBytes, codec: name }: CaseOf<'encode'>): ChannelWork {
  const values = makeValues(payloadBytes)
  const codec = createCompressionCodec(name)
  let sealedRecords = 0
  let last: Uint8Array[] = []
  const capacity = BATCH_BYTES + payloadBytes + RECORD_OVERHEAD
  const channel: DoubleBufferChannel<WireBatch> = new DoubleBufferChannel<WireBatch>(
    {
      createBuffer: () => new WireBatch(capacity),
      onSealed: () => {
        const batch = channel.take() as WireBatch
        sealedRecords += batch.records
        last = sealBatch(batch)
        channel.recycle(batch)
      },
    },
    channelSettings({ maxBytes: BATCH_BYTES - BATCH_HEADER_BYTES, windowMs: 5000, switchStrategy: 'size' }),
  )
  function sealBatch(batch: WireBatch): Uint8Array[] {
    const plain = batch.memory.subarray(BATCH_HEADER_BYTES, BATCH_HEADER_BYTES + batch.bytes)
    const records = name === 'none' ? plain : (codec.compress(plain) as Uint8Array)
    const header = batch.memory.subarray(0, BATCH_HEADER_BYTES)
    const facts = { bytes: BATCH_HEADER_BYTES + records.length, count: batch.records, attributes: codec.id }
    writeBatchHeader(batch.view, { ...facts, baseTimestamp: 0, maxTimestamp: 0 })
    writeBatchCrc(header, batch.view, records, crc32c(records))
    return [header, records]
  }
  let next = 0
  return {
    run: (count) => {
      for (let index = 0; index < count; index++) {
        const value = valueAt(values, next++)
        const batch = channel.active
        const at = BATCH_HEADER_BYTES + batch.bytes
        const body = recordBodyBytes(0, batch.records, -1, value.length, 1)
        const end = writeRecord(batch.memory, at, body, 0, batch.records, null, -1, value, value.length, null)
        batch.records++
        batch.bytes = end - BATCH_HEADER_BYTES
        channel.wrote()
      }
    },
    verified: () => 0,
    end: () => {
      const inBatches = sealedRecords + channel.active.records
      if (next !== inBatches) throw new Error(`${next} records written, ${inBatches} in batches`)
      return checkLast(Buffer.concat(last), values, next, sealedRecords)
    },
  }
}

/** The last batch must be one that a broker takes, with the values that were written, and no record may be missing. */
async function checkLast(batch: Buffer, values: readonly Buffer[], written: number, sealed: number): Promise<void> {
  if (batch.length === 0) return
  const read = await readBatches(batch, decompressWithin())
  const records = read[0]?.records ?? []
  const from = sealed - records.length
  const isRight = records.every(({ value }, at) => value !== null && valueAt(values, from + at).equals(value))
  if (records.length === 0 || !isRight)
    throw new Error(`the last of ${written} records do not read as they were written`)
}

function valueAt(values: readonly Buffer[], number: number): Buffer {
  return values[number & (values.length - 1)] as Buffer
}
