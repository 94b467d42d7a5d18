/** Life and limits of the admin client: lazy, bounded, closed once; and what kafkajs throws, as errors by code. */
import { describe, expect, it, vi } from 'vitest'
import { AdminClient } from '../../lib/admin/index.js'
import { fault } from '../../lib/broker/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { adminStage, failure } from './stage.js'

describe('life of the admin client', () => {
  const stage = adminStage()

  it('AD-2: connects with the first call, and under its own client id', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker, { clientId: 'shop' })
    expect([admin.clientId, admin.state, broker.connections]).toEqual(['shop-admin', 'open', 0])
    await admin.describeCluster()
    await admin.createTopic({ name: 'a' })
    const ids = new Set(broker.requests().map(({ clientId }) => clientId))
    expect([...ids]).toEqual(['shop-admin'])
  })

  it('AD-2: describeCluster names brokers and controller', async () => {
    const broker = await stage.broker({ nodes: 3 })
    const told = await stage.admin(broker).describeCluster()
    expect(told.clusterId).toBe(broker.clusterId)
    expect(told.brokers.map(({ brokerId, host, port }) => `${brokerId} ${host}:${port}`)).toEqual(
      broker.bootstrap.split(',').map((address, at) => `${at + 1} ${address}`),
    )
    expect([1, 2, 3]).toContain(told.controller)
  })

  it('AD-2: close is idempotent, ends calls under way, leaves no socket; later calls reject', async () => {
    const broker = await stage.broker()
    broker.createTopic('a')
    const admin = stage.admin(broker)
    await admin.describeCluster()
    broker.on({ api: 'CreateTopics' }, fault.blackhole())
    const waiting = failure(admin.createTopic({ name: 'b' }))
    await broker.saw({ api: 'CreateTopics' })
    const closing = admin.close()
    expect(admin.close()).toBe(closing)
    await closing
    expect((await waiting).code).toBe('CONNECTION_CLOSED')
    expect(admin.state).toBe('closed')
    await vi.waitFor(() => expect(broker.connections).toBe(0))
    const calls = [admin.listTopics(), admin.createTopic({ name: 'c' }), admin.listGroups(), admin.topicExists('a')]
    const errors = await Promise.all(calls.map(failure))
    expect(errors.map(({ code }) => code)).toEqual(errors.map(() => 'CONNECTION_CLOSED'))
  })

  it('AD-2: a client that was never used closes at once, and disposes', async () => {
    const broker = await stage.broker()
    const admin = new AdminClient({ brokers: broker.bootstrap })
    await admin[Symbol.asyncDispose]()
    expect(admin.state).toBe('closed')
    expect(broker.connections).toBe(0)
  })

  it('AD-2: every call ends at timeoutMs, or with its signal', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker, { connection: { readTimeoutMs: 100 } })
    await admin.listTopics()
    for (const api of ['CreateTopics', 'Metadata']) broker.on({ api }, fault.blackhole())
    const late = await failure(admin.createTopic({ name: 'a' }, { timeoutMs: 30 }))
    expect([late.code, late.context.operation]).toEqual(['TIMEOUT', 'createTopics'])
    expect((await failure(admin.listTopics({ timeoutMs: 30 }))).code).toBe('TIMEOUT')
    const reason = new Error('enough')
    const stop = new AbortController()
    const call = admin.createTopic({ name: 'b' }, { signal: stop.signal })
    stop.abort(reason)
    await expect(call).rejects.toBe(reason)
    await expect(admin.listTopics({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('AD-2: no broker is CONNECTION_FAILED, both ways, and the client works once there is one', async () => {
    const broker = await stage.broker()
    const { bootstrap } = broker
    const port = Number(bootstrap.split(':')[1])
    const admin = stage.admin(broker, { connection: { maxRetries: 1, dialTimeoutMs: 500 } })
    await broker.close()
    const reading = await failure(admin.listTopics())
    const writing = await failure(admin.createTopic({ name: 'a' }))
    expect([reading.code, reading.retryable]).toEqual(['CONNECTION_FAILED', true])
    expect([writing.code, writing.retryable]).toEqual(['CONNECTION_FAILED', true])
    const again = await stage.broker({ port })
    expect(again.bootstrap).toBe(bootstrap)
    expect(await admin.createTopic({ name: 'a' })).toEqual({ created: true })
    expect(await admin.listTopics()).toEqual(['a'])
  })

  it('AD-2: a wrong configuration is refused at once', () => {
    expect(() => new AdminClient({ brokers: 'a:0' })).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('AD-1: an IPv6 literal as bootstrap address, which kafkajs cannot read, is no obstacle', async () => {
    const broker = await stage.broker()
    const port = Number(broker.bootstrap.split(':')[1])
    // ::ffff:127.0.0.1 leads to the same socket, and the broker tells its own address.
    const admin = stage.admin(broker, { brokers: `[::ffff:127.0.0.1]:${port}` })
    await admin.createTopic({ name: 'a' })
    expect(await admin.listTopics()).toEqual(['a'])
  })

  it('AD-2: lets the connections of kafkajs go when it rests, and takes new ones', async () => {
    const clock = new FakeClock()
    const broker = await stage.broker()
    broker.createTopic('a')
    const admin = stage.admin(broker, {}, { clock })
    await admin.listTopics()
    clock.advance(4_999)
    expect(await admin.listTopics()).toEqual(['a'])
    expect(broker.connections).toBeGreaterThan(0)
    clock.advance(5_000)
    await vi.waitFor(() => expect(broker.connections).toBe(0))
    expect(await admin.listTopics()).toEqual(['a'])
  })

  it('AD-2: errors of reads come by number too', async () => {
    const broker = await stage.broker()
    broker.createTopic('a')
    const admin = stage.admin(broker)
    broker.on({ api: 'DescribeConfigs', times: 1 }, fault.error(29))
    const refused = await failure(admin.describeConfigs({ type: 'topic', name: 'a' }))
    expect([refused.code, refused.context.kafkaName]).toEqual(['AUTHORIZATION_FAILED', 'TOPIC_AUTHORIZATION_FAILED'])
  })
})
