/** F-3, F-6: a foreign client works against the broker, and a broker leaves nothing behind. */
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, createBroker, fault } from '../../lib/broker/index.js'
import { RawClient } from './raw-client.js'

let broker: Broker

afterEach(() => broker.close())

function kafka(): Kafka {
  return new Kafka({ clientId: 'foreign', brokers: broker.bootstrap.split(','), logLevel: logLevel.NOTHING })
}

describe('kafkajs', () => {
  it('F-3: admin and producer: create, write with and without compression, ask for offsets', async () => {
    broker = await createBroker({ nodes: 2 })
    const admin = kafka().admin()
    const producer = kafka().producer({ allowAutoTopicCreation: false, retry: { retries: 1 } })
    await Promise.all([admin.connect(), producer.connect()])
    try {
      await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 3, replicationFactor: 2 }] })
      expect(await admin.listTopics()).toEqual(['orders'])
      const plain = await producer.send({
        topic: 'orders',
        messages: [{ partition: 1, key: 'k', value: 'plain', headers: { h: 'v' } }],
      })
      expect(plain[0]).toMatchObject({ errorCode: 0, baseOffset: '0' })
      await producer.send({
        topic: 'orders',
        compression: CompressionTypes.GZIP,
        messages: Array.from({ length: 100 }, (_, index) => ({ partition: 1, value: `zipped ${index}` })),
      })
      const records = await broker.records('orders', 1)
      expect(records).toHaveLength(101)
      expect(records[0]).toMatchObject({ key: Buffer.from('k'), headers: [['h', Buffer.from('v')]] })
      expect(records[100]?.value?.toString()).toBe('zipped 99')
      const offsets = await admin.fetchTopicOffsets('orders')
      expect(offsets.find(({ partition }) => partition === 1)).toMatchObject({ high: '101', low: '0' })
      await admin.createPartitions({ topicPartitions: [{ topic: 'orders', count: 4 }] })
      await admin.deleteTopicRecords({ topic: 'orders', partitions: [{ partition: 1, offset: '100' }] })
      expect((await admin.fetchTopicOffsets('orders')).find(({ partition }) => partition === 1)?.low).toBe('100')
      await admin.deleteTopics({ topics: ['orders'] })
      expect(await admin.listTopics()).toEqual([])
    } finally {
      await Promise.all([admin.disconnect(), producer.disconnect()])
    }
  })

  it('F-3: an idempotent producer is deduplicated when an answer was lost', async () => {
    broker = await createBroker()
    broker.createTopic('t')
    const producer = kafka().producer({ idempotent: true, maxInFlightRequests: 1, retry: { initialRetryTime: 10 } })
    await producer.connect()
    try {
      broker.on({ api: 'Produce', nth: 1 }, fault.drop('after'))
      await producer.send({ topic: 't', messages: [{ value: 'once' }] })
      expect(broker.count({ api: 'Produce' })).toBe(2)
      expect((await broker.records('t', 0)).map(({ value }) => value?.toString())).toEqual(['once'])
    } finally {
      await producer.disconnect()
    }
  })
})

describe('life', () => {
  const resources = () => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).length

  it('F-6: closes without leaks, with clients connected, faults held and polls waiting', async () => {
    const before = resources()
    for (let round = 0; round < 20; round++) {
      broker = await createBroker({ nodes: 3 })
      broker.createTopic('t')
      const client = await RawClient.connect(broker.bootstrap.split(',')[0] as string)
      expect(broker.connections).toBe(1)
      await broker.close()
      await client.closed
      expect(broker.connections).toBe(0)
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(resources()).toBeLessThanOrEqual(before)
  })

  it('F-6: starts in less than 50 ms', async () => {
    const durations: number[] = []
    for (let round = 0; round < 5; round++) {
      const started = performance.now()
      broker = await createBroker({ nodes: 3 })
      durations.push(performance.now() - started)
      await broker.close()
    }
    expect(Math.min(...durations)).toBeLessThan(50) // the best one: the machine may be busy with other things
  })

  it('a taken port is CONNECTION_FAILED, and what was started is stopped', async () => {
    broker = await createBroker()
    const port = Number(broker.bootstrap.split(':')[1])
    await expect(createBroker({ port })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
  })
})
