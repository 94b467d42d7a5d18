/** Rows of the families connection, config, auth and timeout. */
import { expect } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { ByteChannel } from '../../../lib/channel/index.js'
import { createAdminClient, createConsumer, MQ, MQManager } from '../../../lib/index.js'
import { PASSWORD, type Row, refusalOf, type Scene, USER } from './scene.js'

/** Port 1 of this machine: nobody listens there. */
const NOBODY = '127.0.0.1:1'
const ONCE = { connection: { maxRetries: 0 } }
/** One connection can be lent; three belong to produce, fetch and control. */
const ONE_TO_LEND = { pool: { maxConnections: 4, minIdle: 0, maxIdle: 1 } }

/** A producer whose broker has stopped to read, and whose memory is full. */
async function fullProducer(scene: Scene, onFull: 'block' | 'reject') {
  const broker = await scene.broker()
  const small = { maxBatchBytes: 10_240, batchBytes: 10_240, bufferMemoryBytes: 65_536, compression: 'none' } as const
  const { producer } = scene.sender(broker, { ...small, onFull, maxBlockMs: 200 })
  await producer.sendSync('orders', 'opens')
  broker.pause(1)
  for (let n = 0; n < 40; n++) producer.sendAsync('orders', 'x'.repeat(5_000))
  return producer
}

/** One of two replicas is out of sync, and the topic wants both. */
async function twoReplicas(scene: Scene) {
  const configs = { 'min.insync.replicas': 2 }
  const broker = await scene.broker({ nodes: 2 }, { orders: { replicationFactor: 2, configs } })
  broker.setIsr({ topic: 'orders', partition: 0 }, [broker.log('orders', 0).leader])
  return broker
}

export const CONNECTION_ROWS: readonly Row[] = [
  {
    code: 'CONNECTION_FAILED',
    how: 'pings an address where nobody listens',
    provoke: (scene) => refusalOf(() => scene.mq(NOBODY, ONCE).ping()),
    context: { addresses: [NOBODY] },
    says: [NOBODY, 'ECONNREFUSED'],
    cause: { code: 'CONNECTION_FAILED' },
  },
  {
    code: 'CONNECTION_FAILED',
    reason: 'CIRCUIT_OPEN',
    how: 'sends on while the circuit of a broker is open and failFast is set',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const circuitBreaker = { enabled: true, failures: 1, failFast: true }
      const { producer } = scene.sender(broker, { circuitBreaker })
      await producer.sendSync('orders', 'opens')
      const opened = new Promise<void>((resolve) => {
        producer.on('circuit', ({ to }) => (to === 'open' ? resolve() : undefined))
      })
      broker.on({ api: 'Produce' }, fault.drop('before'))
      producer.sendAsync('orders', 'lost with its connection')
      await opened
      return refusalOf(() => producer.sendSync('orders', 'refused'))
    },
    context: { brokerId: 1, topic: 'orders', partition: 0, persistence: 'not-persisted' },
    says: ['circuit', 'broker 1', /circuitBreaker\.timeoutMs/],
  },
  {
    code: 'CONNECTION_FAILED',
    reason: 'UNSUPPORTED_VERSION',
    how: "joins with groupProtocol 'consumer' at brokers that are too old for it",
    provoke: async (scene) => {
      const { consumer } = scene.reader(await scene.broker({ profile: '2.8' }), { groupProtocol: 'consumer' })
      return refusalOf(() => consumer.subscribe('orders', () => {}))
    },
    says: ['ConsumerGroupHeartbeat', /groupProtocol/],
    verdict: { retryable: false, why: 'the same broker will not become newer by asking again' },
  },
  {
    code: 'CONNECTION_FAILED',
    reason: 'MALFORMED_FRAME',
    how: 'takes a web server for a broker',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'ApiVersions' }, fault.garbage(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')))
      const error = (await refusalOf(() => scene.mq(broker, ONCE).ping())) as Error
      return error.cause
    },
    context: { size: 0x48545450, maxFrameBytes: 104_857_600 },
    says: ['1213486160', '104857600', /HTTP|another protocol|Kafka/],
    verdict: { retryable: true, why: 'as the column says; the connection is made anew' },
  },
  {
    code: 'CONNECTION_CLOSED',
    how: 'pings through an instance that was closed',
    provoke: async (scene) => {
      const mq = scene.mq(await scene.broker())
      await mq.ping()
      await mq.close()
      return refusalOf(() => mq.ping())
    },
    says: ['closed by this client'],
  },
  {
    code: 'CONNECTION_CLOSED',
    how: 'loses a lent connection while it waits for an answer',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const connection = await scene.mq(broker, ONE_TO_LEND).pool.getConnection()
      broker.on({ api: 'ListGroups' }, fault.drop('after'))
      return refusalOf(() => connection.request('ListGroups', {}))
    },
    context: { brokerId: 1, api: 'ListGroups', wasSent: 'possibly' },
    says: ['ListGroups', '127.0.0.1:'],
  },
  {
    code: 'CONNECTION_CLOSED',
    how: 'asks an admin client that was closed',
    provoke: async () => {
      const admin = createAdminClient({ brokers: NOBODY })
      await admin.close()
      return refusalOf(() => admin.listTopics())
    },
    says: ['closed', 'make a new one'],
  },
  {
    code: 'CONNECTION_TIMEOUT',
    how: 'pings a broker that stands still',
    provoke: async (scene) => {
      const broker = await scene.broker()
      const mq = scene.mq(broker, ONCE)
      await mq.ping()
      broker.pause(1)
      return refusalOf(() => mq.ping({ timeoutMs: 80 }))
    },
    says: ['80 ms'],
  },
  {
    code: 'POOL_EXHAUSTED',
    reason: 'NO_CONNECTION',
    how: 'wants a second connection while the only one is lent',
    provoke: async (scene) => {
      const { pool } = scene.mq(await scene.broker(), ONE_TO_LEND)
      await pool.getConnection()
      return refusalOf(() => pool.getConnection({ timeoutMs: 30 }))
    },
    context: { limit: 1, wasSent: 'no' },
    says: ['pool.maxConnections', 'release'],
  },
  {
    code: 'POOL_EXHAUSTED',
    reason: 'BUFFER_FULL',
    how: "sends into full memory with onFull: 'reject'",
    provoke: async (scene) => {
      const producer = await fullProducer(scene, 'reject')
      return refusalOf(() => producer.sendSync('orders', 'x'.repeat(5_000)))
    },
    context: { limitBytes: 65_536, persistence: 'not-persisted' },
    says: ['65536', 'ready()'],
  },
  {
    code: 'POOL_EXHAUSTED',
    reason: 'BUFFER_FULL',
    how: 'writes into a byte channel that nobody reads',
    provoke: () => {
      const channel = new ByteChannel({ bufferMemoryBytes: 4_096, onFull: 'reject' })
      return refusalOf(() => {
        for (let n = 0; n < 100; n++) channel.write(Buffer.alloc(512))
      }).finally(() => channel.close({ drain: false }))
    },
    context: { bytes: 512, limitBytes: 4_096 },
    says: ['512 B', 'bufferMemoryBytes'],
  },
]

export const CONFIG_ROWS: readonly Row[] = [
  {
    code: 'INVALID_CONFIG',
    how: 'writes a field wrong, gives one a bad value, and clashes a third',
    provoke: () =>
      refusalOf(
        () =>
          new MQ({
            sasl: { mechanism: 'PLAIN', username: USER, password: PASSWORD },
            securityProtocol: 'SSL',
            producer: { lingerMS: 5, batchBytes: -1 } as never,
          }),
      ),
    context: {
      issues: expect.arrayContaining([
        expect.objectContaining({ path: 'producer.lingerMS' }),
        expect.objectContaining({ path: 'producer.batchBytes', value: -1 }),
        expect.objectContaining({ path: 'securityProtocol' }),
      ]),
    },
    says: ['lingerMs', 'batchBytes', 'securityProtocol'],
  },
  {
    code: 'INVALID_CONFIG',
    how: 'gives a second instance the name of a first',
    provoke: async () => {
      const manager = new MQManager()
      manager.createInstance('billing', {})
      return refusalOf(() => manager.createInstance('billing', {})).finally(() => manager.closeAll())
    },
    context: { name: 'billing' },
    says: ['billing', 'remove it first'],
  },
  {
    code: 'MISSING_CONFIG',
    how: 'names a user without a password',
    provoke: () => refusalOf(() => new MQ({ sasl: { mechanism: 'PLAIN', username: USER } as never })),
    context: { issues: [expect.objectContaining({ path: 'sasl.password' })] },
    says: ['sasl.password'],
  },
  {
    code: 'MISSING_CONFIG',
    how: 'subscribes without a group',
    provoke: () => {
      const consumer = createConsumer({ brokers: NOBODY })
      return refusalOf(() => consumer.subscribe('orders', () => {})).finally(() => consumer.close())
    },
    says: ['groupId', 'assign'],
  },
]

export const AUTH_ROWS: readonly Row[] = [
  {
    code: 'AUTHENTICATION_FAILED',
    how: 'connects with a wrong password',
    provoke: async (scene) => {
      const broker = await scene.broker({ sasl: { mechanisms: ['PLAIN'], users: { [USER]: 'another one' } } })
      return refusalOf(() => scene.mq(broker, ONCE).ping())
    },
    context: { kafkaCode: 58, kafkaName: 'SASL_AUTHENTICATION_FAILED', mechanism: 'PLAIN' },
    says: ['PLAIN', 'SASL_AUTHENTICATION_FAILED'],
  },
  {
    code: 'AUTHENTICATION_FAILED',
    how: 'asks for a mechanism that the broker does not offer',
    provoke: async (scene) => {
      const broker = await scene.broker({ sasl: { mechanisms: ['SCRAM-SHA-512'], users: { [USER]: PASSWORD } } })
      return refusalOf(() => scene.mq(broker, ONCE).ping())
    },
    context: { kafkaCode: 33, kafkaName: 'UNSUPPORTED_SASL_MECHANISM', mechanism: 'PLAIN' },
    says: ['PLAIN', 'SCRAM-SHA-512', 'sasl.mechanism'],
  },
  {
    code: 'AUTHORIZATION_FAILED',
    how: 'sends to a topic without the permission to write',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'Produce' }, fault.error(29))
      return refusalOf(() => scene.sender(broker).sendSync('orders', 'x'))
    },
    context: {
      kafkaCode: 29,
      kafkaName: 'TOPIC_AUTHORIZATION_FAILED',
      topic: 'orders',
      resource: 'topic orders',
      operation: 'WRITE',
      persistence: 'not-persisted',
    },
    says: ['orders', 'WRITE', '29 TOPIC_AUTHORIZATION_FAILED'],
  },
  {
    code: 'AUTHORIZATION_FAILED',
    how: 'reads a topic without the permission to read',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'Fetch' }, fault.error(29))
      const mq = scene.reader(broker)
      const told = scene.told(mq)
      await mq.consumer.assign(['orders'], () => {})
      return told
    },
    context: { kafkaCode: 29, topic: 'orders', partition: 0, resource: 'topic orders', operation: 'READ' },
    says: ['orders', 'READ', '29 TOPIC_AUTHORIZATION_FAILED'],
  },
  {
    code: 'AUTHORIZATION_FAILED',
    how: 'joins a group without the permission',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'JoinGroup' }, fault.error(30))
      return refusalOf(() => scene.reader(broker).consumer.subscribe('orders', () => {}))
    },
    context: { kafkaCode: 30, groupId: 'billing', resource: 'group billing', operation: 'READ' },
    says: ['billing', 'READ', '30 GROUP_AUTHORIZATION_FAILED'],
  },
  {
    code: 'AUTHORIZATION_FAILED',
    how: 'creates a topic without the permission',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'CreateTopics' }, fault.error(29))
      return refusalOf(() => scene.mq(broker).admin.createTopic({ name: 'new' }))
    },
    context: { kafkaCode: 29, topic: 'new', resource: 'topic new', operation: 'CREATE' },
    says: ['new', '29 TOPIC_AUTHORIZATION_FAILED'],
  },
]

export const TIMEOUT_ROWS: readonly Row[] = [
  {
    code: 'TIMEOUT',
    how: 'waits no longer than timeoutMs for an acknowledgement',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'Produce' }, fault.hold())
      return refusalOf(() => scene.sender(broker).sendSync('orders', 'x', { timeoutMs: 60 }))
    },
    context: { topic: 'orders', timeoutMs: 60, persistence: 'possibly-persisted' },
    says: ['orders', '60'],
  },
  {
    code: 'TIMEOUT',
    how: 'has a record that no broker took before deliveryTimeoutMs',
    provoke: async (scene) => {
      const broker = await twoReplicas(scene)
      const sender = scene.sender(broker, { requestTimeoutMs: 100, deliveryTimeoutMs: 150 })
      return refusalOf(() => sender.sendSync('orders', 'x'))
    },
    context: { topic: 'orders', partition: 0, persistence: 'not-persisted' },
    says: ['orders', 'deliveryTimeoutMs 150'],
    cause: { context: { kafkaCode: 19 } },
  },
  {
    code: 'TIMEOUT',
    reason: 'BUFFER_FULL',
    how: "sends into full memory with onFull: 'block', past maxBlockMs",
    provoke: async (scene) => {
      const producer = await fullProducer(scene, 'block')
      return refusalOf(() => producer.sendSync('orders', 'x'.repeat(5_000)))
    },
    context: { limitBytes: 65_536, persistence: 'not-persisted' },
    says: ['maxBlockMs', '200'],
  },
  ...(['classic', 'consumer'] as const).map((groupProtocol): Row => {
    const api = groupProtocol === 'classic' ? 'JoinGroup' : 'ConsumerGroupHeartbeat'
    return {
      code: 'TIMEOUT',
      how: `subscribes (${groupProtocol}) while the coordinator loads for longer than timeoutMs`,
      provoke: async (scene) => {
        const broker = await scene.broker()
        broker.on({ api }, fault.error(14))
        const { consumer } = scene.reader(broker, { groupProtocol })
        return refusalOf(() => consumer.subscribe('orders', () => {}, { timeoutMs: 150 }))
      },
      context: { groupId: 'billing', timeoutMs: 150 },
      says: ['billing', '150 ms', '14 COORDINATOR_LOAD_IN_PROGRESS'],
      cause: { code: 'GROUP_COORDINATOR_NOT_FOUND', retryable: true, context: { kafkaCode: 14 } },
    }
  }),
  {
    code: 'TIMEOUT',
    how: 'reads from a byte channel into which nobody writes',
    provoke: () => {
      const channel = new ByteChannel()
      return refusalOf(() => channel.read({ timeoutMs: 20 })).finally(() => channel.close())
    },
    context: { timeoutMs: 20 },
    says: ['20 ms'],
  },
  {
    code: 'TIMEOUT',
    how: 'flushes with less time than the broker needs',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'Produce' }, fault.hold())
      const { producer } = scene.sender(broker)
      producer.sendAsync('orders', 'x')
      return refusalOf(() => producer.flush({ timeoutMs: 40 }))
    },
    context: { pendingRecords: 1, timeoutMs: 40 },
    says: ['1 record', '40'],
  },
  {
    code: 'RETRY_EXHAUSTED',
    how: 'sends with maxRetries 2 while too few replicas are in sync',
    provoke: async (scene) => {
      const broker = await twoReplicas(scene)
      return refusalOf(() => scene.sender(broker, { maxRetries: 2 }).sendSync('orders', 'x'))
    },
    context: { topic: 'orders', partition: 0, attempts: 3, persistence: 'not-persisted' },
    says: ['orders', '3', 'maxRetries', /19 NOT_ENOUGH_REPLICAS|cause/],
    cause: { code: 'PRODUCE_FAILED', retryable: true, context: { kafkaCode: 19, kafkaName: 'NOT_ENOUGH_REPLICAS' } },
  },
  {
    code: 'RETRY_EXHAUSTED',
    how: 'asks, as admin, a broker that goes on answering that it is not the controller',
    provoke: async (scene) => {
      const broker = await scene.broker()
      broker.on({ api: 'CreateTopics' }, fault.error(41))
      return refusalOf(() => scene.mq(broker, { connection: { maxRetries: 1 } }).admin.createTopic({ name: 'new' }))
    },
    context: { attempts: 2, kafkaCode: 41 },
    says: ['2', '41 NOT_CONTROLLER'],
  },
]
