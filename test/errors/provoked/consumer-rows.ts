/** Rows of the families consumer and group. */
import { gzipSync } from 'node:zlib'
import { fault } from '../../../lib/broker/index.js'
import { BufferQueue, ByteChannel } from '../../../lib/channel/index.js'
import { createCompressionCodec, json, MessageUtils, type MQ, type MQError } from '../../../lib/index.js'
import { batchBytes } from '../../support/batch-bytes.js'
import { type Row, refusalOf, type Scene } from './scene.js'

const ORDERS = { topic: 'orders', partition: 0 }
const LZ4 = 3
const GZIP = 1

type Broker = Awaited<ReturnType<Scene['broker']>>

async function filled(scene: Scene, values: readonly string[] = ['a', 'b', 'c']): Promise<Broker> {
  const broker = await scene.broker()
  const mq = scene.sender(broker, { compression: 'none' })
  for (const value of values) await mq.sendSync('orders', value)
  return broker
}

/** The error of a partition that cannot be read. */
async function failureOfReading(scene: Scene, broker: Broker): Promise<unknown> {
  const mq = scene.reader(broker)
  const told = scene.told(mq)
  await mq.consumer.assign(['orders'], () => {})
  return told
}

/** Joined, with everything assigned. */
async function joined(scene: Scene, broker: Broker, config: object = {}): Promise<MQ> {
  const mq = scene.reader(broker, config)
  await mq.subscribe('orders', () => {})
  return mq
}

/** Why a consumer's group took its partitions away. */
function reasonOfLoss({ consumer }: MQ): Promise<MQError> {
  return new Promise((resolve) => consumer.on('lost', ({ reason }) => resolve(reason)))
}

export const CONSUMER_ROWS: readonly Row[] = [
  {
    code: 'CONSUMER_CLOSED',
    how: 'subscribes through an instance that was closed',
    provoke: async (scene) => {
      const mq = await joined(scene, await scene.broker())
      await mq.close()
      return refusalOf(() => mq.subscribe('orders', () => {}))
    },
    context: { state: 'closed' },
    says: ['closed', /make another|create a new/],
  },
  {
    code: 'CONSUMER_CLOSED',
    reason: 'CHANNEL_CLOSED',
    how: 'reads from a byte channel that was closed',
    provoke: async () => {
      const channel = new ByteChannel()
      await channel.close()
      return refusalOf(() => channel.read())
    },
    says: ['closed and drained'],
  },
  {
    code: 'CONSUMER_CLOSED',
    reason: 'QUEUE_CLOSED',
    how: 'picks from a queue of buffers that was closed',
    provoke: () => {
      const queue = new BufferQueue()
      queue.close()
      return refusalOf(() => queue.pick())
    },
    says: ['the queue is closed', 'make a new one'],
  },
  {
    code: 'CONSUME_FAILED',
    reason: 'QUEUE_EMPTY',
    how: 'picks from a queue of buffers that is empty',
    provoke: () => refusalOf(() => new BufferQueue().pick()),
    says: ['the queue is empty', 'after a push'],
  },
  {
    code: 'CONSUME_FAILED',
    reason: 'CALLBACK',
    how: "throws in the callback of a record, with onError: 'stop'",
    provoke: async (scene) => {
      const mq = scene.reader(await filled(scene), { onError: 'stop' })
      await mq.consumer.assign(['orders'], () => {
        throw new Error('of the user')
      })
      return refusalOf(() => mq.consumer.run())
    },
    context: { ...ORDERS, offset: 0, action: 'stop' },
    says: ['orders', 'the callback failed', /offset 0|@0|orders\/0/],
    cause: { message: 'of the user' },
  },
  {
    code: 'CONSUME_FAILED',
    reason: 'CORRUPT_BATCH',
    how: 'reads a batch that lies damaged on the disk of the broker',
    provoke: async (scene) => {
      const broker = await filled(scene)
      broker.corruptLog(ORDERS, 1, { at: 65 })
      return failureOfReading(scene, broker)
    },
    context: { ...ORDERS, offset: 1 },
    says: ['orders/0', 'offset 1', /CRC/i, 'seek'],
  },
  {
    code: 'CONSUME_FAILED',
    how: 'reads from a broker that calls the request invalid',
    provoke: async (scene) => {
      const broker = await filled(scene)
      broker.on({ api: 'Fetch' }, fault.error(42))
      return failureOfReading(scene, broker)
    },
    context: { ...ORDERS, offset: 0, kafkaCode: 42, kafkaName: 'INVALID_REQUEST' },
    says: ['42 INVALID_REQUEST', 'orders'],
  },
  {
    code: 'CONSUME_FAILED',
    how: 'reads a partition whose disk the broker cannot read, again and again',
    isDriven: true,
    provoke: async (scene) => {
      const broker = await filled(scene)
      broker.on({ api: 'Fetch' }, fault.error(56))
      return failureOfReading(scene, broker)
    },
    context: { ...ORDERS, kafkaCode: 56, kafkaName: 'KAFKA_STORAGE_ERROR' },
    says: ['56 KAFKA_STORAGE_ERROR', 'orders'],
    verdict: { retryable: true, why: 'part 4: 56 ends as CONSUME_FAILED, retryable; it is tried on' },
  },
  {
    code: 'CONSUME_FAILED',
    how: 'reads from a broker with an error number of the future',
    provoke: async (scene) => {
      const broker = await filled(scene)
      broker.on({ api: 'Fetch' }, fault.error(4_242))
      return failureOfReading(scene, broker)
    },
    context: { ...ORDERS, kafkaCode: 4_242, kafkaName: 'UNKNOWN_4242' },
    says: ['4242', 'orders'],
  },
  {
    code: 'OFFSET_COMMIT_FAILED',
    how: 'commits with more metadata than the broker stores',
    provoke: async (scene) => {
      const { consumer } = await joined(scene, await scene.broker())
      return refusalOf(() => consumer.commitOffsets([{ ...ORDERS, offset: 0, metadata: 'x'.repeat(5_000) }]))
    },
    context: { ...ORDERS, partitions: [{ ...ORDERS, offset: 0, code: 'OFFSET_COMMIT_FAILED', kafkaCode: 12 }] },
    says: ['orders', '5000 B', '4096', 'shorten it'],
    cause: { context: { kafkaName: 'OFFSET_METADATA_TOO_LARGE' } },
  },
  {
    code: 'OFFSET_COMMIT_FAILED',
    how: 'commits a partition that is not its own',
    provoke: async (scene) => {
      const broker = await scene.broker({}, { orders: {}, other: {} })
      const { consumer } = await joined(scene, broker)
      return refusalOf(() => consumer.commitOffset({ topic: 'other', partition: 0 }, 5))
    },
    context: { topic: 'other', partition: 0, partitions: [{ topic: 'other', partition: 0, offset: 5 }] },
    says: ['other/0', 'not assigned'],
  },
  {
    code: 'OFFSET_COMMIT_FAILED',
    how: 'commits, as a standalone reader, for a group that has members',
    provoke: async (scene) => {
      const broker = await filled(scene)
      await joined(scene, broker)
      const { consumer } = scene.reader(broker)
      await consumer.assign(['orders'], () => {})
      return refusalOf(() => consumer.commitOffset(ORDERS, 1))
    },
    context: { ...ORDERS, partitions: [{ ...ORDERS, offset: 1, code: 'UNKNOWN_MEMBER_ID', kafkaCode: 25 }] },
    says: ['orders/0', 'billing', 'only they may commit'],
    cause: { code: 'UNKNOWN_MEMBER_ID', context: { groupId: 'billing' } },
  },
  {
    code: 'REBALANCE_IN_PROGRESS',
    how: 'cannot give a partition back within rebalanceTimeoutMs, because the commit is not answered',
    isDriven: true,
    provoke: async (scene) => {
      const broker = await filled(scene)
      const settings = { rebalanceTimeoutMs: 2_000, heartbeatIntervalMs: 500, assignors: ['range'] } as const
      const mq = scene.reader(broker, settings)
      const lost = reasonOfLoss(mq)
      await new Promise<void>((begun) => void mq.subscribe('orders', () => begun()))
      broker.on({ api: 'OffsetCommit' }, fault.hold())
      broker.rebalance('billing')
      return lost
    },
    context: { groupId: 'billing', timeoutMs: 2_000 },
    says: ['billing', 'rebalanceTimeoutMs', '2000'],
  },
  {
    code: 'REBALANCE_IN_PROGRESS',
    reason: 'POLL_INTERVAL',
    how: 'keeps a callback longer than maxPollIntervalMs',
    isDriven: true,
    provoke: async (scene) => {
      const broker = await filled(scene)
      const mq = scene.reader(broker, { maxPollIntervalMs: 30_000, sessionTimeoutMs: 10_000 })
      const told = scene.told(mq)
      let end = () => {}
      const hang = () =>
        new Promise<void>((resolve) => {
          end = resolve
        })
      await mq.subscribe('orders', hang)
      return told.finally(() => end())
    },
    context: { ...ORDERS },
    says: ['maxPollIntervalMs', '30000'],
  },
  {
    code: 'DESERIALIZATION_FAILED',
    how: 'reads as JSON what is none',
    provoke: async (scene) => {
      const mq = scene.reader(await filled(scene, ['{"id":']), { valueDeserializer: json() })
      await mq.consumer.assign(['orders'])
      const record = await mq.consumer.read()
      return refusalOf(() => record?.value)
    },
    context: { ...ORDERS, offset: 0, part: 'value' },
    says: ['the value of orders/0 offset 0', 'JSON'],
    cause: { name: 'SyntaxError' },
  },
  {
    code: 'DECOMPRESSION_FAILED',
    reason: 'CORRUPT_BATCH',
    how: 'reads a batch whose compressed bytes are no such thing',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.appendRaw(ORDERS, batchBytes({ attributes: LZ4, records: Buffer.from('this is no lz4 frame') }))
      return failureOfReading(scene, broker)
    },
    context: { ...ORDERS, offset: 0 },
    says: ['orders', 'lz4', 'seek'],
    cause: { code: 'DECOMPRESSION_FAILED', context: { codec: 'lz4' } },
  },
  {
    code: 'DECOMPRESSION_FAILED',
    reason: 'TOO_LARGE',
    how: 'reads a batch that unfolds to more than any batch may have',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const bomb = gzipSync(Buffer.alloc(130 * 1024 * 1024), { level: 1 })
      broker.appendRaw(ORDERS, batchBytes({ attributes: GZIP, records: bomb }))
      return failureOfReading(scene, broker)
    },
    context: { ...ORDERS, offset: 0 },
    says: ['orders', 'gzip', '134217728'],
    cause: { context: { codec: 'gzip', ceilingBytes: 134_217_728 } },
  },
  {
    code: 'DECOMPRESSION_FAILED',
    reason: 'TOO_LARGE',
    how: 'decompresses with a ceiling below what comes out',
    provoke: async () => {
      const gzip = createCompressionCodec('gzip')
      return refusalOf(async () => gzip.decompress(gzipSync(Buffer.alloc(1_000)), 100))
    },
    context: { codec: 'gzip', ceilingBytes: 100 },
    says: ['gzip', '100 B', 'raise it'],
  },
  {
    code: 'DECOMPRESSION_FAILED',
    how: 'unpacks a message that was cut',
    provoke: async () => {
      const utils = new MessageUtils(json(), 'gzip')
      const packed = await utils.serializeAndCompress({ text: 'x'.repeat(5_000) }, 'orders')
      return refusalOf(() => utils.decompressAndDeserialize(packed.subarray(0, 10), 'orders'))
    },
    says: ['gzip'],
  },
]

export const GROUP_ROWS: readonly Row[] = [
  {
    code: 'GROUP_COORDINATOR_NOT_FOUND',
    how: 'asks for the offsets of a group that no broker coordinates',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'FindCoordinator' }, fault.error(15))
      return refusalOf(() => scene.mq(broker, { connection: { maxRetries: 1 } }).admin.fetchOffsets('billing'))
    },
    context: { groupId: 'billing', kafkaCode: 15, kafkaName: 'COORDINATOR_NOT_AVAILABLE' },
    says: ['billing', '15 COORDINATOR_NOT_AVAILABLE'],
    verdict: { retryable: true, why: 'part 4: 14, 15, 16 are retryable' },
  },
  {
    code: 'UNKNOWN_MEMBER_ID',
    how: 'gives two processes one groupInstanceId',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const config = { groupInstanceId: 'one', heartbeatIntervalMs: 20 }
      const first = await joined(scene, broker, config)
      const ended = refusalOf(() => first.consumer.run())
      await joined(scene, broker, config)
      return ended
    },
    context: { groupId: 'billing', kafkaCode: 82, kafkaName: 'FENCED_INSTANCE_ID' },
    says: ['billing', 'groupInstanceId', 'its own'],
  },
  {
    code: 'UNKNOWN_MEMBER_ID',
    how: 'is put out by its group, because it was silent',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const mq = await joined(scene, broker, { heartbeatIntervalMs: 20 })
      const lost = reasonOfLoss(mq)
      const [member] = broker.group('billing')?.members ?? []
      broker.fence('billing', member?.memberId ?? '')
      return lost
    },
    context: { groupId: 'billing', kafkaCode: 25, kafkaName: 'UNKNOWN_MEMBER_ID' },
    says: ['billing', 'removed this member'],
  },
  {
    code: 'ILLEGAL_GENERATION',
    how: 'is left behind by its group',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const mq = await joined(scene, broker, { heartbeatIntervalMs: 20 })
      const lost = reasonOfLoss(mq)
      broker.on({ api: 'Heartbeat', nth: 1 }, fault.error(22))
      return lost
    },
    context: { groupId: 'billing', kafkaCode: 22, kafkaName: 'ILLEGAL_GENERATION' },
    says: ['billing', 'without this member'],
  },
  {
    code: 'INCONSISTENT_GROUP_PROTOCOL',
    how: 'joins a group without an assignor in common',
    provoke: async (scene) => {
      const broker = await scene.broker()
      await joined(scene, broker, { assignors: ['range'] })
      return refusalOf(() => joined(scene, broker, { assignors: ['sticky'] }))
    },
    context: { groupId: 'billing', kafkaCode: 23, kafkaName: 'INCONSISTENT_GROUP_PROTOCOL' },
    says: ['billing', 'assignors'],
  },
  {
    code: 'INVALID_SESSION_TIMEOUT',
    how: 'wants a shorter session than the broker allows',
    provoke: async (scene) =>
      refusalOf(async () => joined(scene, await scene.broker(), { sessionTimeoutMs: 2_000, heartbeatIntervalMs: 500 })),
    context: { groupId: 'billing', kafkaCode: 26, kafkaName: 'INVALID_SESSION_TIMEOUT' },
    says: ['billing', 'sessionTimeoutMs', 'group.min.session.timeout.ms'],
  },
]
