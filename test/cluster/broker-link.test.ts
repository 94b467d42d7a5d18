import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { ApiVersions, Heartbeat } from '../../lib/protocol/index.js'
import { settle } from './memory-net.js'
import { failureOf, pass, passUntil, scene } from './support.js'

const heartbeat = { groupId: 'g', generationId: 1, memberId: 'm' }
/** Always the whole back-off. */
const longest = { next: () => 0.999999 }

describe('BrokerLink', () => {
  it('CL-1: the same object for the same broker and purpose, one socket each', async () => {
    const { cluster, net } = scene(1)
    await cluster.connect()
    const before = net.opened.length
    const links = (['produce', 'fetch', 'control'] as const).map((purpose) => cluster.link(1, purpose))
    expect(cluster.link(1, 'fetch')).toBe(links[1])
    for (const link of links) {
      link.connect()
      link.connect()
    }
    await settle()
    expect(net.opened.length - before).toBe(3)
    expect(cluster.stats()).toMatchObject({
      totalConnections: 3,
      activeConnections: 0,
      connectionsCreated: net.opened.length, // Also the one that found the broker.
    })
  })

  it('opens nothing by itself', async () => {
    const { cluster, net } = scene(1)
    await cluster.connect()
    const before = net.opened.length
    cluster.link(1, 'produce')
    await settle()
    expect(net.opened.length).toBe(before)
  })

  it('a request without a connection is rejected at once, unsent, with host, port and brokerId', async () => {
    const { cluster } = scene(1)
    await cluster.connect()
    const error = await failureOf(cluster.link(1, 'produce').request(Heartbeat, heartbeat))
    expect(error.code).toBe('CONNECTION_FAILED')
    expect(error.context).toMatchObject({ wasSent: 'no', brokerId: 1, host: 'broker', port: 9001, api: 'Heartbeat' })
  })

  it('W-14: reconnects with growing back-off, 50 ms to 1 s, and an answer clears the count', async () => {
    const { cluster, net, clock, brokers, state } = scene(1, {}, longest)
    await cluster.connect()
    const { port } = state.brokers[0] as { port: number }
    net.refuse(port)
    const link = cluster.link(1, 'produce')
    const attempts: number[] = []
    let seen = net.dialled.length
    link.connect()
    for (let passed = 0; passed < 5000; passed += 10) {
      await settle()
      if (net.dialled.length > seen) attempts.push(clock.monotonicMs())
      seen = net.dialled.length
      clock.advance(10)
    }
    const gaps = attempts.slice(1).map((at, index) => at - (attempts[index] as number))
    expect(gaps.slice(0, 7)).toEqual([50, 100, 200, 400, 800, 1000, 1000])
    net.listenAt(port, brokers[0]!.accept)
    await pass(clock, 1000)
    expect(link.isReady).toBe(true)
  })

  it('PR-19: its owner hears of each failed attempt; a link that rests makes none until somebody wants it', async () => {
    const { cluster, net, clock, brokers, state } = scene(1, {}, longest)
    await cluster.connect()
    const { port } = state.brokers[0] as { port: number }
    net.refuse(port)
    const link = cluster.link(1, 'produce')
    const failures: string[] = []
    link.onFailed = ({ code }) => {
      failures.push(code)
      if (failures.length === 3) link.rest()
    }
    const before = net.dialled.length
    link.connect()
    await pass(clock, 5000)
    expect(failures).toEqual(['CONNECTION_FAILED', 'CONNECTION_FAILED', 'CONNECTION_FAILED'])
    expect(net.dialled.length - before).toBe(3)
    net.listenAt(port, brokers[0]!.accept)
    await pass(clock, 5000)
    expect(link.isReady, 'it rests').toBe(false)
    link.connect()
    await pass(clock, 1000)
    expect(link.isReady).toBe(true)
    expect(failures).toHaveLength(3)
  })

  it('PR-19: rest takes nobody the attempt he waits for', async () => {
    const { cluster, net, clock, brokers, state } = scene(1, {}, longest)
    await cluster.connect()
    const { port } = state.brokers[0] as { port: number }
    net.refuse(port)
    const link = cluster.link(1, 'produce')
    const ready = link.whenReady(5000)
    await pass(clock, 10)
    link.rest()
    net.listenAt(port, brokers[0]!.accept)
    await pass(clock, 1000)
    await expect(ready).resolves.toBeUndefined()
  })

  it('W-14: a broker that accepts and breaks at once is not dialled in a tight loop', async () => {
    const { cluster, net, clock, brokers } = scene(1, {}, longest)
    await cluster.connect()
    brokers[0]?.on(Heartbeat, (request) => request.transport.destroy(new MQError('CONNECTION_CLOSED', 'oops')))
    const link = cluster.link(1, 'produce')
    const before = net.dialled.length
    for (let passed = 0; passed < 3000; passed += 10) {
      link.connect()
      if (link.hasRoom) link.request(Heartbeat, heartbeat).catch(() => {})
      await pass(clock, 10)
    }
    expect(net.dialled.length - before).toBeLessThan(9)
  })

  it('onDown comes after its requests were rejected; the owner may connect again at once', async () => {
    const { cluster, clock, brokers } = scene(1)
    await cluster.connect()
    const link = cluster.link(1, 'produce')
    await link.whenReady(1000)
    const told: string[] = []
    link.onDown = (reason) => {
      told.push(`down ${reason.code}`)
      link.connect()
    }
    link.onRoom = () => told.push(`room ${link.isReady}`)
    const failed = failureOf(link.request(Heartbeat, heartbeat)).then((error) => told.push(`rejected ${error.code}`))
    await brokers[0]?.saw(Heartbeat)
    brokers[0]?.hangUp()
    await failed
    await pass(clock, 100)
    expect(told).toEqual(['down CONNECTION_CLOSED', 'room false', 'rejected CONNECTION_CLOSED', 'room true'])
  })

  it('events tell of each connection, with its reason', async () => {
    const { cluster, brokers, events } = scene(1)
    await cluster.connect()
    await cluster.link(1, 'fetch').whenReady(1000)
    brokers[0]?.hangUp()
    await settle()
    const told = events.filter(({ name }) => name !== 'warning')
    expect(told.map(({ name }) => name)).toEqual(['brokerUp', 'brokerDown'])
    expect(told[1]?.event).toMatchObject({
      brokerId: 1,
      purpose: 'fetch',
      port: 9001,
      reason: { code: 'CONNECTION_CLOSED' },
    })
  })

  it('whenReady waits over failed attempts and ends with CONNECTION_TIMEOUT and the last error as cause', async () => {
    const { cluster, net, clock, state } = scene(1)
    await cluster.connect()
    net.refuse(state.brokers[0]?.port as number)
    const failed = failureOf(cluster.link(1, 'produce').whenReady(3000))
    await pass(clock, 3010)
    const error = await failed
    expect([error.code, error.context['wasSent']]).toEqual(['CONNECTION_TIMEOUT', 'no'])
    expect((error.cause as MQError).message).toContain('refused')
  })

  it('a broker that left the cluster is not dialled; when it returns elsewhere, the link goes on there', async () => {
    const { cluster, net, clock, state, brokers } = scene(2)
    await cluster.connect()
    const second = state.brokers.pop() as { nodeId: number; host: string; port: number }
    net.refuse(second.port)
    await passUntil(clock, cluster.refresh('test'))
    const link = cluster.link(2, 'produce')
    const before = net.dialled.length
    const ready = link.whenReady(60_000)
    await pass(clock, 3000)
    expect(net.dialled.length).toBe(before)
    state.brokers.push({ ...second, port: net.listen(brokers[1]!.accept) })
    await passUntil(clock, cluster.refresh('test'))
    await passUntil(clock, ready)
    expect(link.isReady).toBe(true)
  })

  it('a link that is closed while it opens leaves no socket', async () => {
    const { cluster, brokers, net } = scene(1)
    await cluster.connect()
    brokers[0]?.on(ApiVersions, () => {})
    const link = cluster.link(1, 'produce')
    link.connect()
    await settle()
    expect(net.openConnections).toBe(1)
    await link.close()
    expect(net.openConnections).toBe(0)
    link.connect()
    await settle()
    expect(net.openConnections).toBe(0)
  })
})
