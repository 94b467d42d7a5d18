/** Rows of the families producer and topic. */
import Module from 'node:module'
import { onTestFinished } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { ByteChannel } from '../../../lib/channel/index.js'
import { createCompressionCodec, json, registerCodec } from '../../../lib/index.js'
import { makeBatch } from '../../broker/batches.js'
import { type Row, refusalOf, type Scene } from './scene.js'

/** Sends under the identity of a producer that is at work, as a process would that was given the same one. */
async function sendAs(scene: Scene, broker: Awaited<ReturnType<Scene['broker']>>, values: readonly string[]) {
  const stored = broker.log('orders', 0).batches.at(-1)
  if (stored === undefined) throw new Error('nobody has sent yet')
  const { producerId, producerEpoch, baseSequence, count } = stored
  const batch = makeBatch({ values, producerId, producerEpoch, baseSequence: baseSequence + count })
  const connection = await scene.mq(broker).pool.getConnection()
  const partitionData = [{ index: 0, records: batch }]
  const topicData = [{ name: 'orders', partitionData }]
  const answer = await connection.request('Produce', { acks: -1, timeoutMs: 1_000, topicData }, { maxVersion: 11 })
  connection.release()
  return answer.responses[0]?.partitionResponses[0]?.errorCode
}

/** The package is not installed on this machine: what `require` says then. */
function withoutPackage(name: string): void {
  const loader = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string }
  const resolve = loader._resolveFilename
  loader._resolveFilename = (request, ...rest) => {
    if (request !== name) return resolve.call(loader, request, ...rest)
    throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' })
  }
  onTestFinished(() => {
    loader._resolveFilename = resolve
  })
}

export const PRODUCER_ROWS: readonly Row[] = [
  {
    code: 'PRODUCER_CLOSED',
    how: 'sends through an instance that was closed',
    provoke: async (scene) => {
      const mq = scene.sender(await scene.broker())
      await mq.sendSync('orders', 'x')
      await mq.close()
      return refusalOf(() => mq.sendSync('orders', 'late'))
    },
    says: ['the producer is closed', 'create a new one'],
  },
  {
    code: 'PRODUCER_CLOSED',
    reason: 'CHANNEL_CLOSED',
    how: 'writes into a byte channel that was closed',
    provoke: async () => {
      const channel = new ByteChannel()
      await channel.close()
      return refusalOf(() => channel.write(Buffer.from('late')))
    },
    says: ['the channel is closed', 'make a new one'],
  },
  {
    code: 'PRODUCE_FAILED',
    how: 'sends a record without a key to a compacted topic',
    provoke: async (scene) => {
      const broker = await scene.broker({}, { orders: { configs: { 'cleanup.policy': 'compact' } } })
      return refusalOf(() => scene.sender(broker).sendSync('orders', 'x'))
    },
    context: {
      kafkaCode: 87,
      kafkaName: 'INVALID_RECORD',
      topic: 'orders',
      partition: 0,
      persistence: 'not-persisted',
    },
    says: ['87 INVALID_RECORD', /orders/, /key/],
  },
  {
    code: 'PRODUCE_FAILED',
    how: 'sends to a broker that finds its bytes damaged, twice',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'Produce' }, fault.error(2))
      return refusalOf(() => scene.sender(broker).sendSync('orders', 'x'))
    },
    context: {
      kafkaCode: 2,
      kafkaName: 'CORRUPT_MESSAGE',
      topic: 'orders',
      partition: 0,
      persistence: 'not-persisted',
    },
    says: ['2 CORRUPT_MESSAGE', 'orders'],
    verdict: { retryable: true, why: 'part 4: 2 ends as PRODUCE_FAILED, retryable' },
  },
  {
    code: 'PRODUCE_FAILED',
    reason: 'DROPPED',
    how: "goes on sending with onFull: 'dropOldest' while the broker stands still",
    provoke: async (scene) => {
      const broker = await scene.broker()
      const small = {
        maxBatchBytes: 10_240,
        batchBytes: 10_240,
        bufferMemoryBytes: 65_536,
        compression: 'none',
      } as const
      const { producer } = scene.sender(broker, { ...small, onFull: 'dropOldest' })
      await producer.sendSync('orders', 'opens')
      broker.pause(1)
      return new Promise((resolve) => {
        const told = (error: unknown) => (error === null ? undefined : resolve(error))
        for (let n = 0; n < 40; n++) producer.sendAsync('orders', 'x'.repeat(5_000), null, told)
      })
    },
    context: { topic: 'orders', partition: 0, persistence: 'not-persisted' },
    says: [/\d record/, 'orders-0', 'buffer memory is full', 'bufferMemoryBytes'],
  },
  {
    code: 'PRODUCE_FAILED',
    reason: 'IDENTITY_REUSED',
    how: 'shares a producer id with another process',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const { producer } = scene.sender(broker)
      await producer.sendSync('orders', 'ours')
      if ((await sendAs(scene, broker, ['theirs', 'theirs'])) !== 0) throw new Error('the other process was refused')
      return refusalOf(() => producer.sendSync('orders', 'ours too'))
    },
    context: { topic: 'orders', partition: 0, persistence: 'possibly-persisted' },
    says: ['orders', 'producer id', /new producer|create/],
    verdict: { retryable: false, fatal: true, why: 'part 4: IDENTITY_REUSED is fatal' },
  },
  {
    code: 'PRODUCE_FAILED',
    reason: 'CALLBACK',
    how: 'throws in the callback of a send',
    provoke: async (scene) => {
      const mq = scene.sender(await scene.broker())
      const told = scene.told(mq)
      mq.sendAsync('orders', 'x', null, () => {
        throw new Error('of the user')
      })
      return told
    },
    context: { topic: 'orders' },
    says: ['a send callback threw', 'of the user'],
    cause: { message: 'of the user' },
  },
  {
    code: 'MESSAGE_TOO_LARGE',
    how: 'sends more than maxBatchBytes',
    provoke: async (scene) => {
      const mq = scene.sender(await scene.broker(), { maxBatchBytes: 2_048, batchBytes: 2_048 })
      return refusalOf(() => mq.sendSync('orders', 'x'.repeat(3_000)))
    },
    context: { bytes: 3_070, maxBatchBytes: 2_048, persistence: 'not-persisted' },
    says: ['3070', 'maxBatchBytes is 2048', 'split'],
  },
  {
    code: 'MESSAGE_TOO_LARGE',
    how: 'sends more than max.message.bytes of the topic',
    provoke: async (scene) => {
      const broker = await scene.broker({}, { orders: { configs: { 'max.message.bytes': 2_000 } } })
      return refusalOf(() => scene.sender(broker, { compression: 'none' }).sendSync('orders', 'x'.repeat(3_000)))
    },
    context: { kafkaCode: 10, kafkaName: 'MESSAGE_TOO_LARGE', topic: 'orders', partition: 0, bytes: 3_070, records: 1 },
    says: ['10 MESSAGE_TOO_LARGE', 'orders', 'max.message.bytes'],
  },
  {
    code: 'SERIALIZATION_FAILED',
    how: 'sends a value that JSON cannot hold',
    provoke: async (scene) => {
      const mq = scene.sender(await scene.broker(), { valueSerializer: json() as never })
      return refusalOf(() => mq.sendSync('orders', { id: 7n } as never))
    },
    context: { topic: 'orders', persistence: 'not-persisted' },
    says: ['orders', /BigInt/i],
    cause: { name: 'TypeError' },
  },
  {
    code: 'COMPRESSION_FAILED',
    how: 'has registered a codec that fails',
    provoke: async (scene) => {
      const compress = () => {
        throw new Error('out of tables')
      }
      const real = createCompressionCodec('gzip')
      registerCodec({ ...real, compress })
      onTestFinished(() => registerCodec(real))
      const sender = scene.sender(await scene.broker(), { compression: 'gzip' })
      return refusalOf(() => sender.sendSync('orders', 'x'.repeat(5_000)))
    },
    context: { codec: 'gzip', topic: 'orders', partition: 0, persistence: 'not-persisted' },
    says: ['codec gzip', 'out of tables'],
    cause: { message: 'out of tables' },
  },
  {
    code: 'COMPRESSION_FAILED',
    reason: 'CODEC_UNAVAILABLE',
    how: 'compresses with a codec whose package is not installed',
    provoke: async (scene) => {
      withoutPackage('snappy')
      const sender = scene.sender(await scene.broker(), { compression: 'snappy' })
      return refusalOf(() => sender.sendSync('orders', 'x'.repeat(5_000)))
    },
    context: { codec: 'snappy', package: 'snappy', topic: 'orders', partition: 0, persistence: 'not-persisted' },
    says: ['codec snappy', 'install it'],
    cause: { code: 'MODULE_NOT_FOUND' },
  },
]

export const TOPIC_ROWS: readonly Row[] = [
  {
    code: 'INVALID_TOPIC',
    how: 'sends to a name that is none',
    provoke: async (scene) => refusalOf(async () => scene.sender(await scene.broker()).sendSync('no spaces', 'x')),
    context: { topic: 'no spaces', persistence: 'not-persisted' },
    says: ['"no spaces"', '1..249'],
  },
  {
    code: 'INVALID_TOPIC',
    how: 'sends to a topic that the broker calls invalid',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'Produce' }, fault.error(17))
      return refusalOf(() => scene.sender(broker).sendSync('orders', 'x'))
    },
    context: { kafkaCode: 17, topic: 'orders', persistence: 'not-persisted' },
    says: ['17 INVALID_TOPIC_EXCEPTION', 'orders'],
  },
  {
    code: 'INVALID_PARTITION',
    how: 'sends to a partition that the topic has not',
    provoke: async (scene) => {
      const broker = await scene.broker({}, { orders: { partitions: 3 } })
      return refusalOf(() => scene.sender(broker).sendSync('orders', 'x', { partition: 99 }))
    },
    context: { topic: 'orders', partition: 99, partitions: 3, persistence: 'not-persisted' },
    says: ['partition 99 of orders', '0..2'],
  },
  {
    code: 'INVALID_PARTITION',
    how: 'assigns a partition that the topic has not',
    provoke: async (scene) => {
      const { consumer } = scene.reader(await scene.broker())
      return refusalOf(() => consumer.assign([{ topic: 'orders', partition: 7 }], () => {}))
    },
    context: { topic: 'orders', partition: 7, partitions: 1 },
    says: ['orders', '7', /0\.\.0|1 partition/],
  },
  {
    code: 'INVALID_PARTITION',
    how: 'seeks in a partition that is not assigned',
    provoke: async (scene) => {
      const { consumer } = scene.reader(await scene.broker())
      return refusalOf(() => consumer.seek({ topic: 'orders', partition: 0 }, 0))
    },
    context: { topic: 'orders', partition: 0 },
    says: ['orders', 'assigned'],
  },
  {
    code: 'INVALID_OFFSET',
    how: 'seeks to a negative offset',
    provoke: async (scene) => {
      const { consumer } = scene.reader(await scene.broker())
      await consumer.assign(['orders'], () => {})
      return refusalOf(() => consumer.seek({ topic: 'orders', partition: 0 }, -5))
    },
    context: { topic: 'orders', partition: 0, offset: -5 },
    says: ['-5', 'safe integer'],
  },
  {
    code: 'INVALID_OFFSET',
    reason: 'OFFSET_OUT_OF_RANGE',
    how: "has no position and autoOffsetReset: 'none'",
    provoke: async (scene) => {
      const { consumer } = scene.reader(await scene.broker(), { autoOffsetReset: 'none' })
      return refusalOf(() => consumer.assign(['orders'], () => {}))
    },
    context: { topic: 'orders', partition: 0 },
    says: ['orders', 'autoOffsetReset'],
  },
  {
    code: 'INVALID_OFFSET',
    reason: 'OFFSET_OUT_OF_RANGE',
    how: "reads what retention has deleted, with autoOffsetReset: 'none'",
    provoke: async (scene) => {
      const broker = await scene.broker()
      for (const value of 'abc') await scene.sender(broker).sendSync('orders', value)
      broker.deleteRecords({ topic: 'orders', partition: 0 }, 2)
      const mq = scene.reader(broker, { autoOffsetReset: 'none' })
      const told = scene.told(mq)
      await mq.consumer.assign([{ topic: 'orders', partition: 0, offset: 1 }], () => {})
      return told
    },
    context: { topic: 'orders', partition: 0, offset: 1 },
    says: ['orders', 'offset 1', 'seek'],
  },
  {
    code: 'INVALID_OFFSET',
    reason: 'OFFSET_OUT_OF_RANGE',
    how: 'resets a group beyond the end of the log',
    provoke: async (scene) => {
      const { admin } = scene.mq(await scene.broker())
      return refusalOf(() => admin.resetOffsets('billing', 'orders', { to: { offset: 5 } }))
    },
    context: { topic: 'orders', partition: 0, logStart: 0, logEnd: 0 },
    says: ['offset 5', 'orders/0', '0..0'],
  },
  {
    code: 'TOPIC_NOT_FOUND',
    how: 'sends to a topic that nobody made, and that may not be made by sending',
    provoke: async (scene) => {
      const sender = scene.sender(await scene.broker(), { allowAutoTopicCreation: false, unknownTopicRetries: 1 })
      return refusalOf(() => sender.sendSync('nobody-made-this', 'x'))
    },
    context: {
      topic: 'nobody-made-this',
      kafkaCode: 3,
      kafkaName: 'UNKNOWN_TOPIC_OR_PARTITION',
      persistence: 'not-persisted',
    },
    says: ['nobody-made-this', /create|name/],
  },
  {
    code: 'TOPIC_NOT_FOUND',
    how: 'subscribes to a topic that nobody made',
    provoke: async (scene) => {
      const { consumer } = scene.reader(await scene.broker())
      return refusalOf(() => consumer.subscribe('nobody-made-this', () => {}, { timeoutMs: 100 }))
    },
    context: { topic: 'nobody-made-this' },
    says: ['nobody-made-this'],
  },
  {
    code: 'PARTITION_NOT_FOUND',
    how: 'resets a partition that the topic has not',
    provoke: async (scene) => {
      const { admin } = scene.mq(await scene.broker({}, { orders: { partitions: 3 } }))
      return refusalOf(() => admin.resetOffsets('billing', 'orders', { partitions: [7], to: 'earliest' }))
    },
    context: { topic: 'orders', partition: 7 },
    says: ['orders', '7', '3'],
  },
]
