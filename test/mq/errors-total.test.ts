/** `errors_total`: every MQError that an instance raises to the outside, once, under the part that raised it. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { MQ, type MQConfig, MQError } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

async function setUp(config: MQConfig = {}) {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  const mq = new MQ({
    brokers: broker.bootstrap,
    logger: silentLogger,
    connection: { maxRetries: 0 },
    monitoring: { intervalMs: 0, healthTimeoutMs: 300 },
    ...config,
  })
  onTestFinished(async () => void (await mq.close()))
  return { broker, mq }
}

async function errorsOf(mq: MQ): Promise<Record<string, number>> {
  const lines = (await mq.metrics.text()).split('\n').filter((line) => line.startsWith('tandem_mq_errors_total{'))
  return Object.fromEntries(
    lines.map((line) => {
      const [, component, code, count] = /component="(.*)",code="(.*)"\} (.*)$/.exec(line) ?? []
      return [`${component} ${code}`, Number(count)]
    }),
  )
}

const refused = async (promise: Promise<unknown>) =>
  expect(await promise.catch((error) => error)).toBeInstanceOf(MQError)

describe('ME-2: errors_total', () => {
  it('counts what producer and consumer raise', async () => {
    const { mq } = await setUp()
    await refused(mq.sendSync('orders', 5 as never))
    await refused(mq.subscribe('orders', () => {}))
    expect(await errorsOf(mq)).toEqual({ 'producer SERIALIZATION_FAILED': 1, 'consumer MISSING_CONFIG': 1 })
  })

  it('counts what the admin client rejects with, also of a call with one item', async () => {
    const { mq } = await setUp()
    await refused(mq.admin.deleteTopic('nowhere'))
    await refused(mq.admin.listTopics({ timeoutMs: -1 }))
    await mq.admin.deleteTopics(['nowhere'])
    await mq.admin.topicExists('orders')
    expect(await errorsOf(mq)).toEqual({ 'admin TOPIC_NOT_FOUND': 1, 'admin INVALID_CONFIG': 1 })
  })

  it('counts what the pool and its connections reject with, and refused releases', async () => {
    const { mq } = await setUp({ pool: { maxConnections: 4, minIdle: 0, maxIdle: 1 } })
    const connection = await mq.pool.getConnection(null as never)
    await refused(mq.pool.getConnection({ timeoutMs: 0 }))
    await refused(connection.request('Nothing' as never, {} as never))
    connection.release()
    await refused(connection.request('Metadata', { topics: [] }))
    expect(() => mq.pool.releaseConnection(undefined as never)).toThrow(MQError)
    expect(await errorsOf(mq)).toEqual({
      'pool POOL_EXHAUSTED': 1,
      'pool INVALID_CONFIG': 2,
      'pool CONNECTION_CLOSED': 1,
    })
  })

  it('counts a ping once, whoever asked for it: a call, or the check of the brokers', async () => {
    const { broker, mq } = await setUp()
    await mq.ping()
    await broker.close()
    await refused(mq.ping())
    expect(await errorsOf(mq)).toEqual({ 'pool CONNECTION_FAILED': 1 })
    await mq.health()
    expect(await errorsOf(mq)).toMatchObject({ 'pool CONNECTION_FAILED': 2 })
  })

  it('counts checks that fail with an MQError, and no others', async () => {
    const { mq } = await setUp()
    mq.registerCheck('slow', () => new Promise(() => {}))
    mq.registerCheck('foreign', () => Promise.reject(new Error('no route')))
    expect((await mq.health()).overall).toBe(false)
    expect(await errorsOf(mq)).toEqual({ 'health TIMEOUT': 1 })
  })

  it('counts wrong arguments of the instance itself, and of its metrics', async () => {
    const { mq } = await setUp()
    expect(() => mq.createProducer({ lingerMs: -1 })).toThrow(MQError)
    expect(() => mq.createConsumer({ lingerMs: 1 } as object)).toThrow(MQError)
    expect(() => mq.createProducer({ wal: { durability: 'os', dir: './log', syncIntervalMs: -1 } })).toThrow(MQError)
    expect(() => mq.registerCheck('', () => {})).toThrow(MQError)
    expect(() => mq.recordLatency('op', Number.NaN)).toThrow(MQError)
    expect(() => mq.updateConfig({ lingerMs: -1 })).toThrow(MQError)
    await refused(mq.close({ timeoutMs: -1 }))
    await refused(mq.metrics.listen())
    expect(await errorsOf(mq)).toEqual({
      'mq INVALID_CONFIG': 6,
      'producer INVALID_CONFIG': 1,
      'metrics MISSING_CONFIG': 1,
    })
  })

  it('refuses what is no signal before anything is begun', async () => {
    const { mq } = await setUp()
    const connection = await mq.pool.getConnection()
    const signal = 5 as never
    await refused(mq.ping({ signal }))
    await refused(mq.pool.getConnection({ signal }))
    await refused(connection.request('Metadata', { topics: [] }, { signal }))
    await refused(mq.admin.listTopics({ signal }))
    expect(await errorsOf(mq)).toEqual({ 'pool INVALID_CONFIG': 3, 'admin INVALID_CONFIG': 1 })
  })

  it('does not count an aborted call: it rejects with the reason of the caller', async () => {
    const { mq } = await setUp()
    const signal = AbortSignal.abort(new Error('mine'))
    for (const call of [mq.ping({ signal }), mq.pool.getConnection({ signal }), mq.admin.listTopics({ signal })]) {
      await expect(call).rejects.toThrow('mine')
    }
    expect(await errorsOf(mq)).toEqual({})
  })

  it('counts refused credentials once', async () => {
    const broker = await createBroker({ sasl: { mechanisms: ['PLAIN'], users: { me: 'right' } } })
    onTestFinished(() => broker.close())
    const sasl = { mechanism: 'PLAIN', username: 'me', password: 'wrong' } as const
    const { mq } = await setUp({ brokers: broker.bootstrap, sasl })
    await refused(mq.pool.getConnection())
    expect(await errorsOf(mq)).toEqual({ 'pool AUTHENTICATION_FAILED': 1 })
  })
})
