/**
 * kafkajs as an independent reader and as the administrator of test topics.
 * Its codecs for snappy, lz4 and zstd come straight from the packages, not through our codec room: our framing must not be
 * what reads our framing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { compress as zstdCompress, decompress as zstdDecompress } from '@mongodb-js/zstd'
import kafkajs, { type Admin, type IHeaders, type Kafka as KafkaClient } from 'kafkajs'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { compressSync, uncompressSync } from 'snappy'
import { inLogOrder, type ReadHeader, type ReadRecord } from './interop-records.js'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16
const XERIAL_BLOCK_BYTES = 32 * 1024
const READ_LIMIT_MS = 60_000
const LEADERS_LIMIT_MS = 20_000
/** A consumer that is told to disconnect first waits for its outstanding fetch. */
const FETCH_WAIT_MS = 100
/** The first group of a fresh cluster meets a coordinator that is still loading. */
const RETRY = { initialRetryTime: 100, retries: 10 }

interface Encoder {
  readonly buffer: Buffer
}

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async ({ buffer }: Encoder) => xerial(buffer),
  decompress: async (buffer: Buffer) => fromXerial(buffer),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }: Encoder) => compressFrameSync(buffer),
  decompress: async (buffer: Buffer) => decompressFrameSync(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: Encoder) => zstdCompress(buffer),
  decompress: async (buffer: Buffer) => zstdDecompress(buffer),
})

export const COMPRESSION_OF = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
} as const

export function kafkajsClient(brokers: readonly string[], clientId = 'interop'): KafkaClient {
  return new Kafka({ clientId, brokers: [...brokers], logLevel: logLevel.NOTHING })
}

/** Runs `task` with a connected administrator. */
export async function withAdmin<T>(brokers: readonly string[], task: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkajsClient(brokers, 'interop-admin').admin()
  await admin.connect()
  try {
    return await task(admin)
  } finally {
    await admin.disconnect()
  }
}

/**
 * Creates a topic and waits until each partition has a leader. kafkajs' own `waitForLeaders` fails now and then: a broker that
 * has not yet heard of the new topic calls it unknown.
 */
export async function createTopicNamed(
  brokers: readonly string[],
  topic: string,
  numPartitions: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  await withAdmin(brokers, async (admin) => {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions, configEntries }] })
    const deadlineMs = Date.now() + LEADERS_LIMIT_MS
    while (!(await hasLeaders(admin, topic, numPartitions))) {
      if (Date.now() > deadlineMs) throw new Error(`${topic} has no leaders ${LEADERS_LIMIT_MS} ms after its creation`)
      await sleep(20)
    }
  })
}

async function hasLeaders(admin: Admin, topic: string, partitions: number): Promise<boolean> {
  try {
    const found = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? []
    if (found.length !== partitions || found.some(({ leader }) => leader < 0)) return false
    return (await admin.fetchTopicOffsets(topic)).length === partitions // a leader may be named before it leads
  } catch {
    return false // not known yet; the caller's deadline speaks if it stays so
  }
}

/** High watermark of each partition, index = partition. */
export async function endOffsets(brokers: readonly string[], topic: string): Promise<number[]> {
  const offsets = await withAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic))
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
}

/** Everything the topic holds now, read by a kafkajs consumer in a group of its own. */
export async function readWithKafkajs(brokers: readonly string[], topic: string): Promise<ReadRecord[]> {
  const ends = await endOffsets(brokers, topic)
  const left = new Set(ends.flatMap((end, partition) => (end > 0 ? [partition] : [])))
  const records: ReadRecord[] = []
  const next: number[] = []
  const consumer = kafkajsClient(brokers).consumer({
    groupId: `reader-${topic}-${Date.now()}`,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    retry: RETRY,
  })
  let crash: Error | undefined
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) crash = payload.error // otherwise it joins again by itself, as while a coordinator loads
  })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        const { key, value, headers } = message
        const offset = Number(message.offset)
        if (offset < (next[partition] ?? 0)) return // a consumer that joined again repeats what it has read
        next[partition] = offset + 1
        records.push({
          partition,
          offset,
          timestamp: Number(message.timestamp),
          key,
          value,
          headers: headerList(headers),
        })
        if (offset + 1 >= (ends[partition] ?? 0)) left.delete(partition)
      },
    })
    const deadlineMs = Date.now() + READ_LIMIT_MS
    while (left.size > 0) {
      if (crash !== undefined) throw new Error(`kafkajs could not read ${topic}: ${crash.message}`, { cause: crash })
      if (Date.now() > deadlineMs)
        throw new Error(`kafkajs read ${records.length} records of ${topic}, ends are ${ends}`)
      await sleep(20)
    }
  } finally {
    await consumer.disconnect()
  }
  return inLogOrder(records)
}

function headerList(headers: IHeaders | undefined): ReadHeader[] {
  return Object.entries(headers ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => [name, bytesOf(one)] as const),
  )
}

const bytesOf = (value: Buffer | string | undefined | null): Buffer | null =>
  value === undefined || value === null ? null : Buffer.from(value)

function xerial(input: Buffer): Buffer {
  const parts = [XERIAL_MAGIC, int32(1), int32(1)]
  for (let at = 0; at < input.length; at += XERIAL_BLOCK_BYTES) {
    const block = compressSync(input.subarray(at, at + XERIAL_BLOCK_BYTES))
    parts.push(int32(block.length), block)
  }
  return Buffer.concat(parts)
}

function fromXerial(input: Buffer): Buffer {
  if (!input.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return uncompressed(input)
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEADER_BYTES; at < input.length; ) {
    const end = at + 4 + input.readInt32BE(at)
    blocks.push(uncompressed(input.subarray(at + 4, end)))
    at = end
  }
  return Buffer.concat(blocks)
}

const uncompressed = (block: Buffer): Buffer => uncompressSync(block, { asBuffer: true }) as Buffer

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
