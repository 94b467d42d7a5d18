/**
 * kafkajs in its best fair configuration: idempotent, acks all, `sendBatch` of 5,000 messages per call, two calls at once.
 * An idempotent kafkajs producer lets one Produce request per broker out at a time, so calls in parallel only keep that one
 * request slot busy while the next chunk is encoded. Measured, 100 B, lz4, 6 partitions, medians of 3, chunk x calls:
 * 1,000 x 1 88 k/s; 1,000 x 4 94 k/s; 3,000 x 2 90 k/s; 5,000 x 1 and x 4 100 k/s; 500 x 8 100 k/s.
 * lz4 is the same native library that our own codec uses.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compress as zstdCompress, decompress as zstdDecompress } from '@mongodb-js/zstd'
import kafkajs from 'kafkajs'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { inChunks, type PeerFactory } from '../harness/peer.js'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs
const CHUNK_RECORDS = Number(process.env.KAFKAJS_CHUNK ?? 5_000)
const CONCURRENT_CALLS = Number(process.env.KAFKAJS_CALLS ?? 2)

interface Encoder {
  readonly buffer: Buffer
}

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }: Encoder) => compressFrameSync(buffer),
  decompress: async (buffer: Buffer) => decompressFrameSync(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: Encoder) => zstdCompress(buffer),
  decompress: async (buffer: Buffer) => zstdDecompress(buffer),
})

const COMPRESSION = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

export const createPeer: PeerFactory = async ({ brokers, compression }) => {
  const client = new Kafka({ clientId: 'bench-kafkajs', brokers: [...brokers], logLevel: logLevel.ERROR })
  const producer = client.producer({ idempotent: true, allowAutoTopicCreation: false })
  await producer.connect()
  return {
    version: installedVersion(),
    settings: {
      idempotent: true,
      acks: -1,
      compression,
      chunkRecords: CHUNK_RECORDS,
      concurrentCalls: CONCURRENT_CALLS,
    },
    produce: (topic, values, records) =>
      inChunks(records, CHUNK_RECORDS, CONCURRENT_CALLS, (from, count) => {
        const messages = Array.from({ length: count }, (_, index) => ({
          value: values[(from + index) % values.length] as Buffer,
        }))
        return producer.sendBatch({
          acks: -1,
          compression: COMPRESSION[compression],
          topicMessages: [{ topic, messages }],
        })
      }),
    batches: () => null,
    close: () => producer.disconnect(),
  }
}

function installedVersion(): string {
  const path = createRequire(import.meta.url).resolve('kafkajs/package.json')
  return JSON.parse(readFileSync(path, 'utf8')).version
}
