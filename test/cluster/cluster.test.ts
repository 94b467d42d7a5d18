import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { DescribeCluster, FindCoordinator, InitProducerId, Metadata } from '../../lib/protocol/index.js'
import { settle } from './memory-net.js'
import { failureOf, pass, passUntil, scene } from './support.js'

const wanted = { transactionalId: null, transactionTimeoutMs: 0 }
const given = { errorCode: 0, producerId: 4711n, producerEpoch: 0 }

describe('Cluster.request', () => {
  it('P-38: asks any broker, and finds the cluster first if need be', async () => {
    const { cluster, brokers, clock } = scene(2)
    for (const broker of brokers) broker.on(InitProducerId, (request) => request.reply(given))
    const answer = await passUntil(clock, cluster.request(InitProducerId, wanted))
    expect(answer.producerId).toBe(4711n)
  })

  it('asks the broker that was named', async () => {
    const { cluster, brokers } = scene(3)
    await cluster.connect()
    for (const [index, broker] of brokers.entries()) {
      broker.on(InitProducerId, (request) => request.reply({ ...given, producerEpoch: index + 1 }))
    }
    for (const brokerId of [2, 3, 1]) {
      expect((await cluster.request(InitProducerId, wanted, { brokerId })).producerEpoch).toBe(brokerId)
    }
  })

  it('a broker that cannot be reached is passed over for the next', async () => {
    const { cluster, brokers, net, state, clock } = scene(3)
    await cluster.connect()
    for (const broker of brokers) broker.on(InitProducerId, (request) => request.reply(given))
    net.refuse(state.brokers[0]?.port as number)
    net.refuse(state.brokers[1]?.port as number)
    await passUntil(clock, cluster.request(InitProducerId, wanted))
    expect(brokers[2]?.count(InitProducerId)).toBe(1)
  })

  it('connection errors are retried with back-off until the deadline, then the last one is told', async () => {
    const { cluster, brokers, clock } = scene(1)
    await cluster.connect()
    let asked = 0
    brokers[0]?.on(InitProducerId, (request) => {
      asked++
      request.transport.destroy(new MQError('CONNECTION_CLOSED', 'oops'))
    })
    const startMs = clock.monotonicMs()
    const failed = failureOf(cluster.request(InitProducerId, wanted, { deadlineMs: startMs + 5000 }))
    const error = await passUntil(clock, failed)
    expect(asked).toBeGreaterThan(2)
    expect(clock.monotonicMs() - startMs).toBeLessThanOrEqual(5010)
    expect(error.family).toBe('connection')
  })

  it('a deadline ends a call whose broker is silent; without one maxRetries rounds do', async () => {
    const { cluster, brokers, clock } = scene(1, { readTimeoutMs: 1000, maxRetries: 1 })
    await cluster.connect()
    brokers[0]?.on(InitProducerId, () => {})
    const deadlineMs = clock.monotonicMs() + 300
    const late = await failureOf(passUntil(clock, cluster.request(InitProducerId, wanted, { deadlineMs })))
    expect([late.code, late.context['wasSent']]).toEqual(['CONNECTION_TIMEOUT', 'possibly'])
    expect(clock.monotonicMs()).toBeLessThan(1000)
    const given = await failureOf(passUntil(clock, cluster.request(InitProducerId, wanted)))
    expect(given.code).toBe('CONNECTION_TIMEOUT')
  })

  it('what the broker answers is the caller’s to judge: error codes come back as answers', async () => {
    const { cluster, brokers } = scene(1)
    await cluster.connect()
    brokers[0]?.on(InitProducerId, (request) => request.reply({ ...given, errorCode: 51 }))
    expect((await cluster.request(InitProducerId, wanted)).errorCode).toBe(51)
    expect(brokers[0]?.count(InitProducerId)).toBe(1)
  })

  it('W-18: an api that no broker has is told at once, unsent and not retryable', async () => {
    const { cluster, brokers } = scene(2)
    for (const broker of brokers) broker.ranges.delete(DescribeCluster.key)
    await cluster.connect()
    const error = await failureOf(cluster.request(DescribeCluster, { includeClusterAuthorizedOperations: false }))
    expect(error.context).toMatchObject({ reason: 'UNSUPPORTED_VERSION', wasSent: 'no' })
    expect(error.retryable).toBe(false)
  })

  it('W-18: mixed versions: the broker that has the api is found', async () => {
    const { cluster, brokers, clock } = scene(3)
    for (const broker of brokers.slice(0, 2)) broker.ranges.delete(InitProducerId.key)
    brokers[2]?.on(InitProducerId, (request) => request.reply(given))
    await cluster.connect()
    for (let round = 0; round < 5; round++) await passUntil(clock, cluster.request(InitProducerId, wanted))
  })

  it('maxVersion caps what both sides could', async () => {
    const { cluster, brokers } = scene(1)
    await cluster.connect()
    brokers[0]?.on(InitProducerId, (request) => request.reply(given))
    await cluster.request(InitProducerId, wanted, { maxVersion: 2 })
    await cluster.request(InitProducerId, wanted)
    expect(brokers[0]?.of(InitProducerId).map(({ version }) => version)).toEqual([2, 5])
  })

  it('W-20: error 35 later: the connection is negotiated anew and the request sent once more', async () => {
    const { cluster, brokers, clock } = scene(1)
    const [broker] = brokers
    await cluster.connect()
    broker?.ranges.set(FindCoordinator.key, { min: 0, max: 3 })
    broker?.on(FindCoordinator, (request) => {
      const isDowngraded = broker.ranges.get(FindCoordinator.key)?.max === 2
      broker.ranges.set(FindCoordinator.key, { min: 0, max: 2 })
      request.reply({ errorCode: isDowngraded ? 0 : 35, nodeId: 1, host: 'h', port: 1 })
    })
    const answer = await passUntil(clock, cluster.request(FindCoordinator, { key: 'g', keyType: 0 }))
    expect(answer.errorCode).toBe(0)
    expect(broker?.of(FindCoordinator).map(({ version }) => version)).toEqual([3, 2])
  })

  it('a throttled broker is waited for, not pushed', async () => {
    const { cluster, brokers, clock } = scene(1)
    await cluster.connect()
    brokers[0]?.on(InitProducerId, (request) => request.reply({ ...given, throttleTimeMs: 700 }))
    await cluster.request(InitProducerId, wanted)
    const startMs = clock.monotonicMs()
    await passUntil(clock, cluster.request(InitProducerId, wanted))
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(700)
  })
})

describe('Cluster.ping', () => {
  it('CL-5: a real round trip, with the broker that answered', async () => {
    const { cluster, brokers, clock } = scene(1)
    await cluster.connect()
    const { rttMs, brokerId } = await passUntil(clock, cluster.ping())
    expect([rttMs, brokerId]).toEqual([0, 1])
    expect(brokers[0]?.requests.at(-1)?.api.name).toBe('ApiVersions')
  })

  it('K-26: fails after the death of the broker, refused or silent', async () => {
    const { cluster, brokers, net, state, clock } = scene(1, { dialTimeoutMs: 500 })
    await cluster.connect()
    await passUntil(clock, cluster.ping())
    const port = state.brokers[0]?.port as number
    net.refuse(port)
    brokers[0]?.hangUp()
    await settle()
    expect((await failureOf(passUntil(clock, cluster.ping({ timeoutMs: 1000 })))).code).toBe('CONNECTION_FAILED')
    net.listenAt(port, () => {})
    await pass(clock, 2000)
    expect((await failureOf(passUntil(clock, cluster.ping({ timeoutMs: 300 })))).code).toBe('CONNECTION_TIMEOUT')
  })
})

describe('Cluster.close', () => {
  it('K-23: an idle client has a handful of timers, and asks nothing', async () => {
    const { cluster, brokers, clock } = scene(1, { metadataMaxAgeMs: 300_000 })
    await cluster.connect()
    await cluster.link(1, 'produce').whenReady(1000)
    const before = brokers[0]?.requests.length
    await pass(clock, 60_000, 1000)
    expect(brokers[0]?.requests.length).toBe(before)
    expect(clock.pendingTimers).toBeLessThanOrEqual(3)
  })

  it('ends everything: no timer, no socket, every promise told', async () => {
    const { cluster, brokers, net, state, clock } = scene(2)
    await cluster.connect()
    cluster.useTopic('orders')
    await passUntil(clock, cluster.refresh('test'))
    for (const id of [1, 2])
      for (const purpose of ['produce', 'fetch', 'control'] as const) await cluster.link(id, purpose).whenReady(1000)
    net.refuse(state.brokers[1]?.port as number)
    brokers[1]?.hangUp()
    for (const purpose of ['produce', 'fetch'] as const) cluster.link(2, purpose).connect()
    brokers[0]?.on(InitProducerId, () => {})
    brokers[0]?.on(Metadata, () => {})
    await pass(clock, 150)
    const waiting = [
      cluster.request(InitProducerId, wanted, { brokerId: 1 }),
      cluster.request(InitProducerId, wanted, { brokerId: 2 }),
      cluster.refresh('test'),
      cluster.waitForTopic('nowhere', { timeoutMs: 60_000 }),
      cluster.link(2, 'fetch').whenReady(60_000),
    ].map(failureOf)
    await pass(clock, 150)
    const closed = cluster.close()
    expect(cluster.close()).toBe(closed)
    await passUntil(clock, closed, 100)
    for (const error of await Promise.all(waiting)) expect(error.family).toBe('connection')
    await settle()
    expect([clock.pendingTimers, net.openConnections]).toEqual([0, 0])
    await pass(clock, 10_000, 100)
    expect([clock.pendingTimers, net.openConnections]).toEqual([0, 0])
  })

  it('calls after it are refused', async () => {
    const { cluster } = scene(1)
    await cluster.connect()
    await cluster.close()
    for (const call of [
      cluster.request(InitProducerId, wanted),
      cluster.refresh('late'),
      cluster.waitForTopic('x', { timeoutMs: 10 }),
      cluster.ping(),
    ]) {
      expect((await failureOf(call)).code).toBe('CONNECTION_CLOSED')
    }
    expect(() => cluster.link(1, 'produce')).toThrow('closed by this client')
  })
})

describe('Cluster.stats', () => {
  it('CL-3: created - closed = open, also after close; closing by ourselves is no error and no event', async () => {
    const { cluster, events } = scene(2)
    await cluster.connect()
    await cluster.ping()
    const before = cluster.stats()
    expect(before.connectionsCreated - before.connectionsClosed).toBe(before.totalConnections)
    expect(before.totalConnections).toBeGreaterThan(0)
    await cluster.close()
    const { totalConnections, connectionsCreated, connectionsClosed, connectionErrors } = cluster.stats()
    expect([totalConnections, connectionsCreated - connectionsClosed, connectionErrors]).toEqual([0, 0, 0])
    expect(events.filter(({ name }) => name === 'brokerDown')).toEqual([])
  })
})
