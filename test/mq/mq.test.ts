/** The facade on the in-process broker: wiring, lifetimes, and that nothing stays behind. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker, fault } from '../../lib/broker/index.js'
import { json, MQ, MQError } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

async function aBroker(): Promise<Broker> {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  return broker
}

function anMQ(broker: Broker, config: object = {}): MQ {
  const mq = new MQ({ brokers: broker.bootstrap, logger: silentLogger, ...config })
  onTestFinished(async () => void (await mq.close().catch(() => {})))
  return mq
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof MQError ? error.code : `not an MQError: ${String(error)}`),
  )

describe('MQ', () => {
  it('FA-1: sends, subscribes, commits and tells its figures through the shortcuts', async () => {
    const broker = await aBroker()
    broker.createTopic('orders', { partitions: 1 })
    const mq = anMQ(broker, { consumer: { groupId: 'billing', autoOffsetReset: 'earliest' } })
    expect(await mq.sendSync('orders', 'one', { key: 'k' })).toMatchObject({ topic: 'orders', partition: 0, offset: 0 })
    const told = new Promise((resolve) =>
      mq.sendAsync('orders', 'two', null, (error, record) => resolve([error, record?.offset])),
    )
    expect(await told).toEqual([null, 1])
    const results = await mq.sendBatchSync({ topic: 'orders', messages: [{ value: 'three' }, { value: 'four' }] })
    expect(results.map(({ offset }) => offset)).toEqual([2, 3])
    await new Promise<void>((resolve) =>
      mq.sendBatchAsync({ topic: 'orders', messages: [{ value: 'five' }] }, () => resolve()),
    )

    const seen: string[] = []
    await new Promise<void>((resolve) => {
      void mq.subscribe('orders', (record) => {
        seen.push(String(record.value))
        if (seen.length === 5) resolve()
      })
    })
    expect(seen).toEqual(['one', 'two', 'three', 'four', 'five'])
    await mq.commitOffset({ topic: 'orders', partition: 0 }, 5)
    const { nodeId, rttMs } = await mq.ping()
    expect(broker.brokerIds).toContain(nodeId)
    expect(rttMs).toBeGreaterThan(0)
    await mq.unsubscribe('orders')
    const figures = mq.getMetrics()
    expect(figures.producer).toMatchObject({
      totalMessages: 5,
      successMessages: 5,
      failedMessages: 0,
      pendingMessages: 0,
    })
    expect(figures.consumer.totalMessages).toBe(5)
    expect(figures.connectionPool.maxConnections).toBe(10)
    expect(figures.channel).toMatchObject({ activeRecords: 0, activeBytes: 0 })
  })

  it('FA-1: makes the parts when they are asked for, each once', async () => {
    const mq = anMQ(await aBroker())
    expect(mq.producer).toBe(mq.producer)
    expect(mq.consumer).toBe(mq.consumer)
    expect(mq.admin).toBe(mq.admin)
    expect(mq.pool).toBe(mq.pool)
    expect(mq.pool.getStats().totalConnections).toBe(0)
  })

  it('FA-1: a configuration that is not used opens no connection and keeps no process alive', async () => {
    const broker = await aBroker()
    const mq = anMQ(broker)
    mq.getMetrics()
    await mq.close()
    expect(broker.requests({ api: 'ApiVersions' })).toEqual([])
  })

  it('FA-1: after close the calls of every accessor reject, also of parts that were never used', async () => {
    const mq = anMQ(await aBroker(), { consumer: { groupId: 'g' } })
    await mq.close()
    expect(mq.state).toBe('closed')
    expect(await codeOf(mq.sendSync('orders', 'x'))).toBe('PRODUCER_CLOSED')
    expect(await codeOf(mq.subscribe('orders', () => {}))).toBe('CONSUMER_CLOSED')
    expect(await codeOf(mq.admin.listTopics())).toBe('CONNECTION_CLOSED')
    expect(await codeOf(mq.pool.getConnection())).toBe('CONNECTION_CLOSED')
    expect(await codeOf(mq.ping())).toBe('CONNECTION_CLOSED')
    expect((await mq.health()).overall).toBe(false)
  })

  it('FA-1: a missing groupId is told by subscribe, not by the constructor', async () => {
    const mq = anMQ(await aBroker())
    expect(mq.config.consumer.groupId).toBeUndefined()
    expect(await codeOf(mq.subscribe('orders', () => {}))).toBe('MISSING_CONFIG')
  })

  it('FA-1: ten senders of a hundred records each, all stored, each once', async () => {
    const broker = await aBroker()
    broker.createTopic('orders', { partitions: 3 })
    const mq = anMQ(broker)
    const sends = Array.from({ length: 1_000 }, (_, n) => mq.sendSync('orders', String(n), { key: `k${n % 10}` }))
    await Promise.all(sends)
    const stored = await Promise.all([0, 1, 2].map((partition) => broker.records('orders', partition)))
    const values = stored.flat().map(({ value }) => Number(String(value)))
    expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, n) => n))
  })

  it('FA-4: close ends consumer, producer, admin and pool, in that order, and what was accepted is stored', async () => {
    const broker = await aBroker()
    broker.createTopic('in', { partitions: 1 })
    broker.createTopic('out', { partitions: 1 })
    const mq = anMQ(broker, { consumer: { groupId: 'g', autoOffsetReset: 'earliest' } })
    await mq.sendSync('in', 'one')
    await new Promise<void>((resolve) => {
      void mq.subscribe('in', async () => {
        resolve()
        // Longer than the start of close: the producer must still be open when this goes on.
        await new Promise((later) => setImmediate(later))
        mq.sendAsync('out', 'answer')
      })
    })
    await mq.close()
    expect((await broker.records('out', 0)).map(({ value }) => String(value))).toEqual(['answer'])
    expect(broker.group('g')?.offsets).toBeDefined()
    await expect(mq.close()).resolves.toEqual({ unsentRecords: 0, inWalRecords: 0 })
    expect(mq.pool.getStats().totalConnections).toBe(0)
  })

  it('FA-4: every part is closed although one of them fails; the first error is thrown, the others in its context', async () => {
    const broker = await aBroker()
    const mq = anMQ(broker)
    broker.createTopic('orders', { partitions: 1 })
    await mq.sendSync('orders', 'x')
    await mq.pool.ping()
    const broken = (name: string) => () => Promise.reject(new MQError('TIMEOUT', `${name} did not close`))
    const { close } = mq.pool
    mq.consumer.close = broken('consumer')
    mq.pool.close = async () => {
      await close.call(mq.pool)
      return broken('pool')()
    }
    const error = await mq.close().then(
      () => null,
      (thrown: unknown) => thrown as MQError,
    )
    expect(error?.message).toContain('consumer did not close')
    expect(error?.context['others']).toEqual([expect.stringContaining('pool did not close')])
    expect(mq.producer.state).toBe('closed')
    delete (mq.consumer as { close?: unknown }).close
    await mq.consumer.close()
  })

  it('PR-11: updateConfig changes linger and batch size while it runs', async () => {
    const mq = anMQ(await aBroker())
    mq.updateConfig({ lingerMs: 50, batchBytes: 1_000 })
    expect(mq.producer.config).toMatchObject({ lingerMs: 50, batchBytes: 1_000 })
    expect(() => mq.updateConfig({ lingerMs: -1 })).toThrow(MQError)
    expect(mq.producer.config.lingerMs).toBe(50)
  })

  it('ME-5: health runs the built-in checks and those that were registered, and names the one that failed', async () => {
    const broker = await aBroker()
    const mq = anMQ(broker, { monitoring: { healthTimeoutMs: 500 }, connection: { maxRetries: 0 } })
    mq.registerCheck('database', () => {
      throw new Error('no route')
    })
    const { overall, checks } = await mq.health()
    expect(overall).toBe(false)
    expect(Object.keys(checks).sort()).toEqual(['brokers', 'consumer', 'database', 'pool', 'producer', 'wal'])
    expect(checks['database']?.error).toContain('no route')
    mq.unregisterCheck('database')
    expect((await mq.health()).overall).toBe(true)
    await broker.close()
    const after = await mq.health()
    expect(after.checks['brokers']?.healthy).toBe(false)
  })

  it('ME-5: health looks at further producers and consumers too, and says what is in their way', async () => {
    const broker = await aBroker()
    broker.createTopic('orders', { partitions: 1 })
    const mq = anMQ(broker, { monitoring: { intervalMs: 0 } })
    const [producer, shortLived] = [
      mq.createProducer({ circuitBreaker: { enabled: true, failures: 1 } }),
      mq.createProducer(),
    ]
    await shortLived.close()
    expect((await mq.health()).checks['producer']?.healthy).toBe(true)
    await mq.sendSync('orders', 'x')
    broker.on({ api: 'Produce' }, fault.disconnect({ afterBytes: 3 }))
    const isOpen = new Promise((resolve) => producer.on('circuit', resolve))
    producer.sendAsync('orders', 'x', null, () => {})
    await isOpen
    const consumer = mq.createConsumer({ autoOffsetReset: 'earliest' })
    await consumer.assign(['orders'], () => false)
    await consumer.run()
    const { checks } = await mq.health()
    expect(checks['producer']?.error).toMatch(/^\[CONNECTION_FAILED\] degraded: the circuit of broker/)
    expect(checks['consumer']?.error).toContain('delivery has ended')
    await producer.close({ timeoutMs: 0 })
    await consumer.close()
    const after = (await mq.health()).checks
    expect([after['producer']?.healthy, after['consumer']?.healthy]).toEqual([true, true])
  })

  it('ME-1: two instances never mix their figures', async () => {
    const broker = await aBroker()
    broker.createTopic('orders', { partitions: 1 })
    const [one, other] = [anMQ(broker), anMQ(broker)]
    await one.sendSync('orders', 'x')
    expect(await one.metrics.text()).toMatch(/producer_records_total\{state="acknowledged"\} 1\n/)
    expect(await other.metrics.text()).not.toMatch(/producer_records_total\{state="acknowledged"\} 1\n/)
  })

  it('CD-3: typed values by serializer, sent and read', async () => {
    interface Order {
      id: number
    }
    const broker = await aBroker()
    broker.createTopic('orders', { partitions: 1 })
    const orders = json<Order>()
    const mq = new MQ<Order, string>({
      brokers: broker.bootstrap,
      logger: silentLogger,
      producer: { valueSerializer: orders },
      consumer: { groupId: 'g', autoOffsetReset: 'earliest', valueDeserializer: orders },
    })
    onTestFinished(async () => void (await mq.close()))
    await mq.sendSync('orders', { id: 7 }, { key: 'k' })
    const id = await new Promise((resolve) => void mq.subscribe('orders', ({ value }) => resolve(value?.id)))
    expect(id).toBe(7)

    const producer = MQ.producer<Order>({ brokers: broker.bootstrap, logger: silentLogger })
    await producer.sendSync('orders', { id: 8 })
    await producer.close()
    const consumer = MQ.consumer<Order>({ brokers: broker.bootstrap, logger: silentLogger })
    onTestFinished(() => consumer.close())
    await consumer.assign([{ topic: 'orders', partition: 0, offset: 1 }])
    expect((await consumer.read())?.value).toEqual({ id: 8 })
  })

  it('CF-1: a further producer inherits the settings of the instance, and its own win, also under other names', async () => {
    const mq = anMQ(await aBroker(), { clientId: 'shop', producer: { linger: 7, batchBytes: 1_000 } })
    const { config } = mq.createProducer({ lingerMs: 9 })
    expect(config).toMatchObject({ clientId: 'shop', lingerMs: 9, batchBytes: 1_000 })
    expect(mq.createConsumer({ groupId: 'other' }).config).toMatchObject({ clientId: 'shop', groupId: 'other' })
  })

  it('CL-6: settings that are legal and unsafe are told once, to the logger and as an event', async () => {
    const lines: string[] = []
    const logger = { ...silentLogger, warn: (line: string) => void lines.push(line) }
    const mq = anMQ(await aBroker(), { logger, sasl: { mechanism: 'PLAIN', username: 'me', password: 'hush' } })
    const events = new Promise((resolve) => mq.on('warning', resolve))
    expect(await events).toMatchObject({ context: { path: 'sasl.mechanism' } })
    expect(lines.filter((line) => line.includes('PLAIN'))).toHaveLength(1)
    expect(lines.join()).not.toContain('hush')
  })

  it('ME-8: a plain object is a logger for all parts; without one the console speaks from logLevel on', async () => {
    const lines: string[] = []
    const say = (level: string) => (line: string) => void lines.push(`${level} ${line}`)
    const logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
    const mq = new MQ({ brokers: '127.0.0.1:1', logger, connection: { maxRetries: 0, retryBackoffMs: 1 } })
    onTestFinished(async () => void (await mq.close()))
    expect(mq.producer.config.logger).toBe(logger)
    expect(await codeOf(mq.ping({ timeoutMs: 500 }))).toBe('CONNECTION_FAILED')
    mq.on('error', () => {
      throw new Error('a bad listener')
    })
    mq.sendAsync('orders', 'x', null, () => {
      throw new Error('a bad callback')
    })
    await mq.producer.close({ timeoutMs: 0 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines).toContain('error a listener of the instance threw')
    expect(typeof new MQ({ logLevel: 'silent' }).config.logger.error).toBe('function')
  })

  it('CO-15: dead letters of every consumer of the instance go out through its producer', async () => {
    const broker = await aBroker()
    for (const name of ['orders', 'orders.dlq']) broker.createTopic(name, { partitions: 1 })
    const mq = anMQ(broker, { consumer: { groupId: 'g', autoOffsetReset: 'earliest', onError: 'dlq' } })
    await mq.sendSync('orders', 'bad')
    await mq.subscribe('orders', () => {
      throw new Error('no')
    })
    await broker.appended('orders.dlq', 0, 1)
    expect(String((await broker.records('orders.dlq', 0))[0]?.value)).toBe('bad')
  })
})
