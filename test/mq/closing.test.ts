/** The end of instances: what a limit means, what was not sent, who is waited for, and what is made too late. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker, fault } from '../../lib/broker/index.js'
import { configureDefault, defaultMQ, MQ, type MQConfig, MQError, MQManager } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

async function setUp(...topics: string[]) {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  for (const topic of topics) broker.createTopic(topic, { partitions: 1 })
  const config = { brokers: broker.bootstrap, logger: silentLogger }
  return { broker, config }
}

function anMQ(config: MQConfig): MQ {
  const mq = new MQ(config)
  onTestFinished(async () => void (await mq.close({ timeoutMs: 0 }).catch(() => {})))
  return mq
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof MQError ? error.code : `not an MQError: ${String(error)}`),
  )

const storedIn = async (broker: Broker, topic: string) =>
  (await broker.records(topic, 0)).map(({ value }) => `${value}`)

describe('closing an instance', () => {
  it('FA-4: a limit that is no number of milliseconds closes nothing', async () => {
    const { broker, config } = await setUp('orders')
    const mq = anMQ({ ...config, consumer: { groupId: 'g' } })
    expect(mq.consumer.state).toBe('open')
    mq.sendAsync('orders', 'one')
    for (const timeoutMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5' as never, 2 ** 31]) {
      expect(await codeOf(mq.close({ timeoutMs }))).toBe('INVALID_CONFIG')
      expect(mq.state).toBe('open')
    }
    expect(await mq.close(null as never)).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    expect([mq.state, mq.consumer.state]).toEqual(['closed', 'closed'])
    expect(await storedIn(broker, 'orders')).toEqual(['one'])
  })

  it('FA-4, PR-21: tells how many records could not be sent in time, of all producers together', async () => {
    const { broker, config } = await setUp('orders')
    const mq = anMQ({ ...config, monitoring: { intervalMs: 0 } })
    const other = mq.createProducer()
    await Promise.all([mq.sendSync('orders', 'x'), other.sendSync('orders', 'y')])
    broker.on({ api: 'Produce' }, fault.blackhole())
    for (let n = 0; n < 3; n++) mq.sendAsync('orders', 'lost', null, () => {})
    other.sendAsync('orders', 'lost', null, () => {})
    expect(await mq.close({ timeoutMs: 50 })).toEqual({ unsentRecords: 4, inWalRecords: 0 })
  })

  it('FA-4: a callback that close waits for may send through a producer it is the first to use', async () => {
    const { broker, config } = await setUp('in', 'out')
    const source = anMQ(config)
    await source.sendSync('in', 'one')
    const consumer = { groupId: 'g', autoOffsetReset: 'earliest' } as const
    // Without reports nobody has made the producer before.
    const mq = anMQ({ ...config, consumer, monitoring: { intervalMs: 0 } })
    let answer = Promise.resolve('never called')
    await new Promise<void>((resolve) => {
      void mq.subscribe('in', async () => {
        resolve()
        await new Promise((later) => setImmediate(later))
        expect(mq.state).toBe('closing')
        answer = codeOf(mq.sendSync('out', 'answer'))
        await answer
      })
    })
    await mq.close()
    expect(await answer).toBe('resolved')
    expect(await storedIn(broker, 'out')).toEqual(['answer'])
    expect(await codeOf(mq.createProducer().sendSync('out', 'late'))).toBe('PRODUCER_CLOSED')
  })

  it('FA-4, ME-1: a sink that hangs does not hold close up for long', async () => {
    const { config } = await setUp('orders')
    const sink = { counter() {}, gauge() {}, histogram() {}, flush: () => new Promise<void>(() => {}) }
    const mq = anMQ({ ...config, metrics: { sink } })
    await mq.sendSync('orders', 'x')
    const fromMs = performance.now()
    await mq.close({ timeoutMs: 100 })
    expect(performance.now() - fromMs).toBeLessThan(3_000)
  })

  it('ME-5: after close no check is asked, so that none can hang', async () => {
    const { config } = await setUp()
    const mq = anMQ(config)
    let asked = 0
    mq.registerCheck('mine', () => {
      asked++
      return new Promise(() => {})
    })
    await mq.close()
    const { overall, checks } = await mq.health()
    expect([overall, asked]).toEqual([false, 0])
    expect(checks['mine']?.error).toContain('[CONNECTION_CLOSED]')
  })
})

describe('closing several instances', () => {
  it('FA-5: who closes all waits for what somebody else is closing or removing already', async () => {
    const { broker, config } = await setUp('orders')
    const manager = new MQManager()
    for (const close of [() => manager.closeAll(), () => manager.removeInstance('a')]) {
      const mq = manager.createInstance('a', config)
      await mq.sendSync('orders', 'first')
      for (let n = 0; n < 1_000; n++) mq.sendAsync('orders', 'x')
      const first = close()
      expect(manager.listInstances()).toEqual([])
      expect(await manager.closeAll()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
      expect(mq.state).toBe('closed')
      await first
    }
    expect(await storedIn(broker, 'orders')).toHaveLength(2_002)
  })

  it('FA-5: a wrong limit closes and forgets nothing', async () => {
    const { config } = await setUp()
    const manager = new MQManager()
    const mq = manager.createInstance('a', config)
    const wrong = { timeoutMs: Number.NaN }
    expect(await codeOf(manager.closeAll(wrong))).toBe('INVALID_CONFIG')
    expect(await codeOf(manager.removeInstance('a', wrong))).toBe('INVALID_CONFIG')
    expect([manager.getInstance('a'), mq.state]).toEqual([mq, 'open'])
    await manager.closeAll()
  })

  it('FA-2: the default instance is not exchanged while it closes, and keeps what it was told', async () => {
    const { config } = await setUp('orders')
    const given = { ...config, clientId: 'first', consumer: { autoOffsetReset: 'earliest' as 'earliest' | 'latest' } }
    configureDefault(given)
    given.clientId = 'second'
    given.consumer.autoOffsetReset = 'latest'
    expect(defaultMQ().config).toMatchObject({ clientId: 'first', consumer: { autoOffsetReset: 'earliest' } })
    await defaultMQ().sendSync('orders', 'x')
    const closing = defaultMQ().close()
    expect(() => configureDefault(config)).toThrow(/closing/)
    await closing
    configureDefault(config)
    expect(defaultMQ().config).toMatchObject({ clientId: 'tandem-mq', consumer: { groupId: 'tandem-mq-default' } })
    await defaultMQ().close()
  })
})

describe('the configuration of an instance', () => {
  it('CF-1: changing what was passed changes nothing, also for parts that are made later', async () => {
    const { config } = await setUp()
    const given = { ...config, clientId: 'one', producer: { lingerMs: 7 }, consumer: { groupId: 'g' } }
    const mq = anMQ(given)
    given.clientId = 'two'
    given.producer.lingerMs = -4
    given.consumer.groupId = 'other'
    expect(mq.producer.config).toMatchObject({ clientId: 'one', lingerMs: 7 })
    expect(mq.consumer.config).toMatchObject({ clientId: 'one', groupId: 'g' })
    expect(mq.createProducer({ batchBytes: 1_000 }).config).toMatchObject({ lingerMs: 7, batchBytes: 1_000 })
  })
})
