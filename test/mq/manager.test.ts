/** Instances by name, and factories. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import {
  createAdminClient,
  createConnectionPool,
  createConsumer,
  createMQ,
  createProducer,
  MQError,
  MQManager,
} from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

async function setUp() {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  return { broker, config: { brokers: broker.bootstrap, logger: silentLogger } }
}

describe('MQManager', () => {
  it('FA-5: keeps instances by name, tells their health and figures, and closes them', async () => {
    const { config } = await setUp()
    const manager = new MQManager()
    const eu = manager.createInstance('eu', config)
    const us = manager.createInstance('us', config)
    expect(manager.listInstances()).toEqual(['eu', 'us'])
    expect(manager.getInstance('eu')).toBe(eu)
    expect(manager.getInstance('asia')).toBeUndefined()
    expect(() => manager.createInstance('eu', config)).toThrow(MQError)
    expect(() => manager.createInstance('')).toThrow(/instance name/)
    await eu.sendSync('orders', 'x')
    const health = await manager.healthCheck()
    expect(health.overall).toBe(true)
    expect(Object.keys(health.instances)).toEqual(['eu', 'us'])
    expect(manager.getStats()['eu']?.producer.successMessages).toBe(1)
    expect(manager.getStats()['us']?.producer.successMessages).toBe(0)
    expect(await manager.removeInstance('eu')).toBe(true)
    expect(eu.state).toBe('closed')
    expect(await manager.removeInstance('eu')).toBe(false)
    await manager.closeAll()
    expect(us.state).toBe('closed')
    expect(manager.listInstances()).toEqual([])
  })

  it('FA-5: one unhealthy instance makes the whole unhealthy, and is named', async () => {
    const { broker, config } = await setUp()
    const manager = new MQManager()
    onTestFinished(async () => void (await manager.close()))
    manager.createInstance('good', config)
    const bad = manager.createInstance('bad', config)
    bad.registerCheck('disk', () => Promise.reject(new Error('full')))
    const { overall, instances } = await manager.healthCheck()
    expect(overall).toBe(false)
    expect([instances['good']?.overall, instances['bad']?.overall]).toEqual([true, false])
    expect(broker.bootstrap).toBeDefined()
  })
})

describe('factories', () => {
  it('FA-3: make every part, merged with the defaults', async () => {
    const { config } = await setUp()
    const mq = createMQ({ ...config, producer: { linger: 1 } })
    const producer = createProducer({ ...config, acks: 1 })
    const consumer = createConsumer(config)
    const pool = createConnectionPool(config)
    const admin = createAdminClient(config)
    expect(mq.config.producer).toMatchObject({ lingerMs: 1, batchBytes: 16_384 })
    expect(await producer.sendSync('orders', 'x')).toMatchObject({ offset: 0 })
    expect((await pool.ping()).rttMs).toBeGreaterThan(0)
    expect(await admin.topicExists('orders')).toBe(true)
    for (const part of [mq, producer, consumer, pool, admin]) await part.close()
  })

  it('FA-3: all of them validate', () => {
    const makers: ((config: object) => unknown)[] = [createMQ, createProducer, createConsumer]
    for (const make of [...makers, createConnectionPool, createAdminClient]) {
      expect(() => make({ brokers: 'a:0' })).toThrow(/brokers/)
      expect(() => make({ clintId: 'x' } as object)).toThrow(/clientId/)
    }
  })
})
