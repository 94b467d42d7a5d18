/**
 * kafkajs in its best fair configuration for reading: a call per batch (2.6 us CPU per record of 100 B; its callback per
 * record, KAFKAJS_EACH=message, 4.2).
 * lz4 is the same native library that our own codec uses. It only reads in groups.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { decompress as zstdDecompress } from '@mongodb-js/zstd'
import kafkajs, { type EachBatchPayload, type EachMessagePayload } from 'kafkajs'
import { decompressFrameSync } from 'lz4-napi'
import type { ConsumerPeerFactory, Tally, Use } from '../harness/consume-peer.js'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs
const EACH = process.env.KAFKAJS_EACH ?? 'batch'
/** As ours: its default, a commit after each batch, is slower. */
const COMMIT_INTERVAL_MS = 5_000
const never = (): never => {
  throw new Error('this benchmark only reads')
}

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: never,
  decompress: async (buffer: Buffer) => decompressFrameSync(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: never,
  decompress: async (buffer: Buffer) => zstdDecompress(buffer),
})

export const createConsumerPeer: ConsumerPeerFactory = async ({ brokers }) => {
  const client = new Kafka({ clientId: 'bench-kafkajs', brokers: [...brokers], logLevel: logLevel.ERROR })
  const open: kafkajs.Consumer[] = []
  return {
    version: installedVersion(),
    settings: { each: EACH, autoCommitInterval: COMMIT_INTERVAL_MS },
    async read(topic, group, tally, use) {
      const consumer = client.consumer({ groupId: group })
      open.push(consumer)
      consumer.on(consumer.events.GROUP_JOIN, () => tally.begin())
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      const task = EACH === 'message' ? { eachMessage: messageTask(tally, use) } : { eachBatch: batchTask(tally, use) }
      await consumer.run({ autoCommitInterval: COMMIT_INTERVAL_MS, ...task })
    },
    async close() {
      for (const consumer of open) await consumer.disconnect()
    },
  }
}

/** The cheapest form it offers: one call per batch, which resolves its offsets when the call returns. */
function batchTask(tally: Tally, use: Use): (payload: EachBatchPayload) => Promise<void> {
  return async ({ batch: { partition, messages } }) => {
    for (const { offset, value } of messages) {
      if (use === 'content') tally.addContent(partition, Number(offset), value)
      else tally.add(partition, Number(offset), use === 'untouched' ? 0 : (value?.length ?? 0))
    }
  }
}

function messageTask(tally: Tally, use: Use): (payload: EachMessagePayload) => Promise<void> {
  return async ({ partition, message: { offset, value } }) => {
    if (use === 'content') tally.addContent(partition, Number(offset), value)
    else tally.add(partition, Number(offset), use === 'untouched' ? 0 : (value?.length ?? 0))
  }
}

function installedVersion(): string {
  const path = createRequire(import.meta.url).resolve('kafkajs/package.json')
  return JSON.parse(readFileSync(path, 'utf8')).version
}
