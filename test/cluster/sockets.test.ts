/** The same client over real sockets: against hostile raw servers, and against the in-process broker. */
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createBroker, fault } from '../../lib/broker/index.js'
import { Cluster, type ClusterOptions } from '../../lib/cluster/index.js'
import { MQError } from '../../lib/errors/index.js'
import { listen } from '../../lib/net/index.js'
import { InitProducerId, Metadata, Produce } from '../../lib/protocol/index.js'
import { ScriptedBroker, scriptedState } from './scripted-broker.js'
import { atEnd, failureOf } from './support.js'

const wanted = { transactionalId: null, transactionTimeoutMs: 0 }

function clusterAt(port: number, options: Partial<ClusterOptions> = {}, host = '127.0.0.1'): Cluster {
  const cluster = new Cluster({ brokers: [{ host, port }], ...options })
  atEnd(() => cluster.close())
  return cluster
}

/** A scripted broker on a real port. */
async function scripted(host = '127.0.0.1') {
  const state = scriptedState()
  const broker = new ScriptedBroker(state)
  const listener = await listen({ host, port: 0, maxFrameBytes: 1024 * 1024 }, broker.accept)
  atEnd(() => listener.close())
  state.brokers.push({ nodeId: 1, host, port: listener.port })
  state.topics.set('orders', { partitions: [{ leaderId: 1, leaderEpoch: 0 }] })
  return { broker, port: listener.port, state, listener }
}

/** A server that does with a connection what it likes. */
async function hostile(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as { port: number }).port
}

describe('hostile servers', () => {
  it.each<[string, (socket: Socket) => void]>([
    ['closes at once', (socket) => socket.destroy()],
    ['resets when spoken to', (socket) => void socket.on('data', () => socket.resetAndDestroy())],
    ['claims a frame of 2 GiB', (socket) => void socket.write(Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3]))],
    ['claims a negative size', (socket) => void socket.write(Buffer.from([0xff, 0xff, 0xff, 0xfe]))],
    ['speaks HTTP', (socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['says nothing', () => {}],
    ['drips one byte of a frame', (socket) => void socket.write(Buffer.from([0, 0, 1, 0, 9]))],
    [
      'sends endless varints',
      (socket) =>
        void socket.on('data', () =>
          socket.write(Buffer.concat([Buffer.from([0, 0, 0, 200, 0, 0, 0, 0, 0, 0]), Buffer.alloc(194, 0xff)])),
        ),
    ],
  ])('W-15: one that %s: CONNECTION_FAILED or CONNECTION_TIMEOUT within the limits', async (_what, script) => {
    const port = await hostile(script)
    const cluster = clusterAt(port, { dialTimeoutMs: 150, maxRetries: 0 })
    const error = await failureOf(cluster.connect())
    expect(error.family).toBe('connection')
    await cluster.close()
  })

  it('W-15: a peer that breaks each answer in another place never hangs or crashes the client', async () => {
    const { broker, port } = await scripted()
    const cluster = clusterAt(port, {
      readTimeoutMs: 100,
      retryBackoffMs: 1,
      retryBackoffMaxMs: 2,
      reconnectBackoffMs: 1,
      reconnectBackoffMaxMs: 1,
      maxRetries: 0,
    })
    await cluster.connect()
    const good = { errorCode: 0, producerId: 4711n, producerEpoch: 0 }
    for (let damage = 4; damage < 24; damage++) {
      broker.on(InitProducerId, (request) => {
        const bytes = request.encode(good)
        bytes[damage % bytes.length] = (bytes[damage % bytes.length] as number) ^ 0xff
        request.raw(bytes)
      })
      const outcome = await cluster
        .request(InitProducerId, wanted, { brokerId: 1, deadlineMs: performance.now() + 250 })
        .then(
          () => 'answered',
          (error: { family?: string }) => error.family,
        )
      expect(['answered', 'connection']).toContain(outcome)
      // A damaged throttle time would keep this connection silent for the rest of the test.
      cluster.link(1, 'control').abort(new MQError('CONNECTION_CLOSED', 'next'))
    }
    broker.on(InitProducerId, (request) => request.reply(good))
    const deadlineMs = performance.now() + 5000
    expect((await cluster.request(InitProducerId, wanted, { brokerId: 1, deadlineMs })).producerId).toBe(4711n)
  })

  it('K-8: a half-open socket times out; a new one takes over', async () => {
    const { broker, port } = await scripted()
    const cluster = clusterAt(port, { readTimeoutMs: 100, reconnectBackoffMs: 1 })
    await cluster.connect()
    let isDeaf = true
    broker.on(InitProducerId, (request) => {
      if (!isDeaf) request.reply({ errorCode: 0, producerId: 1n, producerEpoch: 0 })
    })
    const link = cluster.link(1, 'produce')
    await link.whenReady(2000)
    const error = await failureOf(link.request(InitProducerId, wanted))
    expect([error.code, error.context['wasSent']]).toEqual(['CONNECTION_TIMEOUT', 'possibly'])
    isDeaf = false
    await link.whenReady(2000)
    expect((await link.request(InitProducerId, wanted)).producerId).toBe(1n)
  })

  it('W-12, W-13: a peer that stops reading: the link says full, and the bytes stay ours until the socket is gone', async () => {
    const { broker, port } = await scripted()
    const cluster = clusterAt(port, { writeTimeoutMs: 200 })
    await cluster.connect()
    const link = cluster.link(1, 'produce')
    await link.whenReady(2000)
    for (const transport of broker.transports) transport.pause()
    const arena = Buffer.alloc(1024 * 1024, 'a')
    const body = () => ({
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: arena }] }],
    })
    const failures: Promise<unknown>[] = []
    for (let turn = 0; turn < 50 && failures.length < 32; turn++) {
      if (link.hasRoom) failures.push(failureOf(link.request(Produce, body(), { version: 9 })))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(failures.length).toBeGreaterThan(1)
    expect(failures.length).toBeLessThan(32)
    for (const error of await Promise.all(failures)) {
      expect(error).toMatchObject({ code: 'CONNECTION_TIMEOUT', context: { wasSent: 'possibly' } })
      expect(String(error)).toContain('took no byte')
    }
  })

  it('K-26: an IPv6 bootstrap', async () => {
    const { port } = await scripted('::1')
    const cluster = clusterAt(port, {}, '::1')
    await cluster.connect()
    await cluster.ping()
    expect(cluster.brokers()[0]).toMatchObject({ host: '::1', port })
  })
})

describe('the in-process broker', () => {
  it.each(['2.1', '2.4', '2.8', '3.9', '4.1', '4.5'] as const)(
    'P-42: opens and reads metadata of profile %s',
    async (profile) => {
      const broker = await createBroker({ nodes: 3, profile })
      atEnd(() => broker.close())
      broker.createTopic('t', { partitions: 6, replicationFactor: 3 })
      const cluster = clusterAt(Number(broker.bootstrap.split(',')[0]?.split(':')[1]))
      const topic = await cluster.waitForTopic('t', { timeoutMs: 5000 })
      expect(topic.partitions.map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 4, 5])
      expect(cluster.brokers().length).toBe(3)
      const link = cluster.link(topic.partitions[0]?.leaderId as number, 'produce')
      await link.whenReady(5000)
      expect(link.versionOf(Produce)).toBeGreaterThanOrEqual(7)
      expect((await cluster.request(InitProducerId, wanted)).errorCode).toBe(0)
      expect((await cluster.ping()).rttMs).toBeGreaterThan(0)
    },
  )

  it('P-44: a broker that dies and returns: other brokers answer meanwhile, the link comes back by itself', async () => {
    const broker = await createBroker({ nodes: 3 })
    atEnd(() => broker.close())
    broker.createTopic('t', { partitions: 3, replicationFactor: 3 })
    const cluster = clusterAt(Number(broker.bootstrap.split(',')[0]?.split(':')[1]))
    const topic = await cluster.waitForTopic('t', { timeoutMs: 5000 })
    const leaderId = topic.partitions[0]?.leaderId as number
    const link = cluster.link(leaderId, 'produce')
    await link.whenReady(5000)
    const down = new Promise((resolve) => {
      link.onDown = resolve
    })
    const moved = new Promise<number>((resolve) => {
      cluster.onTopic(({ partitions }) => {
        const now = partitions[0]?.leaderId as number
        if (now >= 0 && now !== leaderId) resolve(now)
      })
    })
    await broker.kill(leaderId)
    await down
    expect(await moved).not.toBe(leaderId)
    expect((await cluster.request(InitProducerId, wanted)).errorCode).toBe(0)
    link.connect()
    await broker.start(leaderId)
    await cluster.refresh('the broker is back')
    await link.whenReady(10_000)
  })

  it('K-23: nothing is left after close: the process could end', async () => {
    const broker = await createBroker({ nodes: 3 })
    broker.createTopic('t', { partitions: 3 })
    await until(() => resources().sockets === 0) // Those of the tests before.
    const before = resources()
    const cluster = clusterAt(Number(broker.bootstrap.split(',')[0]?.split(':')[1]))
    await cluster.waitForTopic('t', { timeoutMs: 5000 })
    for (const id of [1, 2, 3])
      for (const purpose of ['produce', 'fetch'] as const) await cluster.link(id, purpose).whenReady(5000)
    await cluster.request(InitProducerId, wanted)
    expect(resources().sockets).toBeGreaterThan(before.sockets)
    await cluster.close()
    expect(resources().timers).toBeLessThanOrEqual(before.timers)
    // The broker lives in this process too: its ends of the sockets go when they hear of it.
    await until(() => resources().sockets === 0)
    expect(resources().sockets).toBe(0)
    await broker.close()
  })

  it('a delayed answer within the limit is waited for', async () => {
    const broker = await createBroker()
    atEnd(() => broker.close())
    broker.on({ api: 'Metadata', times: 1 }, fault.delay(150))
    const cluster = clusterAt(Number(broker.bootstrap.split(':')[1]))
    await cluster.connect()
    expect(broker.requests({ api: 'Metadata' }).length).toBeGreaterThan(0)
    expect(Metadata.key).toBe(3)
  })
})

function resources() {
  const all = process.getActiveResourcesInfo()
  const count = (name: string) => all.filter((one) => one === name).length
  return { sockets: count('TCPSocketWrap'), timers: count('Timeout') }
}

/** Some turns of the event loop, until the fact is there. */
async function until(fact: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !fact(); turn++) await new Promise((resolve) => setImmediate(resolve))
}
