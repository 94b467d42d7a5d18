import { describe, expect, it } from 'vitest'
import { Connection } from '../../lib/cluster/connection.js'
import { ApiRanges, type BrokerLink, RING_SLOTS } from '../../lib/cluster/index.js'
import { resolveSettings } from '../../lib/cluster/settings.js'
import { MQError } from '../../lib/errors/index.js'
import {
  decodeRequestHeader,
  encodeResponse,
  Fetch,
  Heartbeat,
  InitProducerId,
  Produce,
} from '../../lib/protocol/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { MemoryTransport, settle } from './memory-net.js'
import { failureOf, pass, type Scene, scene } from './support.js'

const heartbeat = { groupId: 'g', generationId: 1, memberId: 'm' }
const alive = { errorCode: 0 }

interface Linked extends Scene {
  readonly link: BrokerLink
  readonly transport: MemoryTransport
}

/** A produce link to broker 1 that is ready; it never answers Heartbeat by itself. */
async function linked(options = {}): Promise<Linked> {
  const made = scene(1, options)
  await made.cluster.connect()
  const link = made.cluster.link(1, 'produce')
  link.connect()
  await settle()
  expect(link.isReady).toBe(true)
  return { ...made, link, transport: made.net.opened.at(-1) as MemoryTransport }
}

describe('Connection', () => {
  it('W-9: answers belong to requests in order; correlation ids count up', async () => {
    const { link, brokers } = await linked()
    const answers = [1, 2, 3].map((generationId) => link.request(Heartbeat, { ...heartbeat, generationId }))
    await brokers[0]?.saw(Heartbeat, 3)
    const arrived = brokers[0]?.of(Heartbeat) ?? []
    for (const [index, request] of arrived.entries()) request.reply({ errorCode: index })
    expect((await Promise.all(answers)).map(({ errorCode }) => errorCode)).toEqual([0, 1, 2])
    expect(arrived.map(({ correlationId }) => correlationId)).toEqual([1, 2, 3])
  })

  it('W-9: the answer to another request destroys the connection; all requests on it are unsure', async () => {
    const { link, brokers, transport } = await linked()
    const answers = [link.request(Heartbeat, heartbeat), link.request(Heartbeat, heartbeat)]
    await settle()
    brokers[0]?.of(Heartbeat)[1]?.reply(alive)
    for (const answer of answers) {
      expect((await failureOf(answer)).context).toMatchObject({
        wasSent: 'possibly',
        brokerId: 1,
        reason: 'MALFORMED_FRAME',
      })
    }
    expect(transport.isOpen).toBe(false)
  })

  it('W-9: an answer that nobody asked for destroys the connection', async () => {
    const { transport, brokers } = await linked()
    for (const server of brokers[0]?.transports ?? []) server.write([Buffer.from([0, 0, 0, 4, 0, 0, 0, 0])])
    await settle()
    expect(transport.isOpen).toBe(false)
  })

  it('W-9, W-10: 32 requests are outstanding at most, and the next has room when the head is answered', async () => {
    const { link, brokers } = await linked()
    const answers = Array.from({ length: RING_SLOTS }, () => link.request(Heartbeat, heartbeat))
    expect([link.inFlight, link.hasRoom]).toEqual([32, false])
    const refused = await failureOf(link.request(Heartbeat, heartbeat))
    expect(refused.context).toMatchObject({ wasSent: 'no', reason: 'NO_CONNECTION' })
    await settle()
    let rooms = 0
    link.onRoom = () => rooms++
    brokers[0]?.of(Heartbeat)[0]?.reply(alive)
    await answers[0]
    expect([link.inFlight, link.hasRoom, rooms]).toEqual([31, true, 1])
    for (const request of brokers[0]?.of(Heartbeat).slice(1) ?? []) request.reply(alive)
    await Promise.all(answers)
    expect(link.inFlight).toBe(0)
  })

  it('W-15: an answer that cannot be decoded destroys the connection, and nothing on it counts as answered', async () => {
    const { link, brokers, transport } = await linked()
    const answers = [link.request(Heartbeat, heartbeat), link.request(Heartbeat, heartbeat)]
    await settle()
    const [first, second] = brokers[0]?.of(Heartbeat) ?? []
    const whole = first?.encode(alive) as Buffer
    const cut = Buffer.concat([Buffer.from([0, 0, 0, whole.length - 5]), whole.subarray(4, -1)])
    first?.raw(cut)
    second?.reply(alive)
    for (const answer of answers) {
      const error = await failureOf(answer)
      expect(error.context).toMatchObject({ wasSent: 'possibly', api: 'Heartbeat', host: 'broker' })
      expect(error.code).toBe('CONNECTION_FAILED')
    }
    expect(transport.isOpen).toBe(false)
  })

  it('W-15: bytes behind a complete answer are ignored and counted', async () => {
    const { link, brokers, cluster } = await linked()
    const answer = link.request(Heartbeat, heartbeat)
    await settle()
    const whole = brokers[0]?.of(Heartbeat)[0]?.encode(alive) as Buffer
    const longer = Buffer.concat([whole, Buffer.from('xyz')])
    longer.writeInt32BE(longer.length - 4)
    brokers[0]?.of(Heartbeat)[0]?.raw(longer)
    await answer
    expect(cluster.stats().trailingBytes).toBe(3)
  })

  it('W-11: a silent broker is given up readTimeoutMs after the request’s own limit', async () => {
    const { link, clock, transport } = await linked({ readTimeoutMs: 1000 })
    const failed = failureOf(link.request(Heartbeat, heartbeat, { limitMs: 5000 }))
    await pass(clock, 5990)
    expect(transport.isOpen).toBe(true)
    await pass(clock, 20)
    expect(transport.isOpen).toBe(false)
    const error = await failed
    expect([error.code, error.context['wasSent']]).toEqual(['CONNECTION_TIMEOUT', 'possibly'])
    expect(error.message).toContain('Heartbeat')
  })

  it('W-11: the clock runs for the head only, from the answer before it', async () => {
    const { link, clock, brokers, transport } = await linked({ readTimeoutMs: 1000 })
    const first = link.request(Heartbeat, heartbeat)
    const second = link.request(Heartbeat, heartbeat)
    await pass(clock, 900)
    brokers[0]?.of(Heartbeat)[0]?.reply(alive)
    await settle()
    await first
    // 1800 ms after it was written, but only 900 after it became the head.
    await pass(clock, 900)
    expect(transport.isOpen).toBe(true)
    brokers[0]?.of(Heartbeat)[1]?.reply(alive)
    await second
  })

  it('W-11: a short limit behind a long one is not forgotten', async () => {
    const { link, clock, brokers, transport } = await linked({ readTimeoutMs: 1000 })
    const long = link.request(Heartbeat, heartbeat, { limitMs: 60_000 })
    const short = failureOf(link.request(Heartbeat, heartbeat))
    await settle()
    brokers[0]?.of(Heartbeat)[0]?.reply(alive)
    await long
    await pass(clock, 1010)
    expect(transport.isOpen).toBe(false)
    expect((await short).code).toBe('CONNECTION_TIMEOUT')
  })

  it('W-11: an event loop that stood still reads what has come before it judges', async () => {
    const { link, clock, brokers } = await linked({ readTimeoutMs: 1000 })
    const answer = link.request(Heartbeat, heartbeat)
    await settle()
    // The clock jumps in one step; the answer comes in the same turn, after the timer.
    const judged = clock.defer.bind(clock)
    clock.defer = (task) => setImmediate(() => judged(task))
    clock.advance(5000)
    brokers[0]?.of(Heartbeat)[0]?.reply(alive)
    await settle()
    clock.runDeferred()
    expect((await answer).errorCode).toBe(0)
    expect(link.isReady).toBe(true)
  })

  it('W-13: a request is rejected only when the socket holds none of its bytes any more', async () => {
    const { link, transport } = await linked()
    transport.holdsClosed = true
    let isRejected = false
    const answer = link.request(Heartbeat, heartbeat)
    answer.catch(() => {
      isRejected = true
    })
    link.abort(new MQError('CONNECTION_CLOSED', 'enough'))
    await settle()
    expect([isRejected, link.isReady, link.hasRoom]).toEqual([false, false, false])
    transport.tellClosed()
    await settle()
    expect(isRejected).toBe(true)
  })

  it('W-12: a full socket has no room until it drained', async () => {
    const { link, transport } = await linked()
    transport.isStuck = true
    link.request(Heartbeat, heartbeat).catch(() => {})
    expect(link.hasRoom).toBe(false)
    let rooms = 0
    link.onRoom = () => rooms++
    transport.release()
    expect([rooms, link.hasRoom]).toEqual([1, true])
  })

  it('W-23, P-46: a throttled socket is silent for that long, and counted; others go on', async () => {
    const { link, clock, brokers, cluster } = await linked()
    const other = cluster.link(1, 'control')
    other.connect()
    const answer = link.request(Heartbeat, heartbeat)
    await settle()
    brokers[0]?.of(Heartbeat)[0]?.reply({ errorCode: 0, throttleTimeMs: 500 })
    await answer
    let rooms = 0
    link.onRoom = () => rooms++
    expect([link.isReady, link.hasRoom, other.hasRoom]).toEqual([true, false, true])
    await pass(clock, 490)
    expect([link.hasRoom, rooms]).toEqual([false, 0])
    await pass(clock, 10)
    expect([link.hasRoom, rooms]).toEqual([true, 1])
    expect(cluster.stats().throttledMs).toBe(500)
  })

  it('acks 0: a send takes no slot and resolves when the socket took the bytes', async () => {
    const { link, transport, brokers } = await linked()
    transport.isStuck = true
    let isTaken = false
    const body = { transactionalId: null, acks: 0, timeoutMs: 1000, topicData: [] }
    const sent = link.send(Produce, body).then(() => {
      isTaken = true
    })
    await settle()
    expect([link.inFlight, isTaken]).toEqual([0, false])
    transport.release()
    await sent
    await brokers[0]?.saw(Produce)
    expect(brokers[0]?.of(Produce)[0]?.body.acks).toBe(0)
  })

  it('acks 0: a send whose socket goes first is rejected as possibly sent', async () => {
    const { link, transport } = await linked()
    transport.isStuck = true
    const sent = link.send(Produce, { transactionalId: null, acks: 0, timeoutMs: 1000, topicData: [] })
    link.abort(new MQError('CONNECTION_CLOSED', 'enough'))
    expect((await failureOf(sent)).context['wasSent']).toBe('possibly')
  })

  it('W-14: an idle connection is closed; one with a request outstanding is not idle', async () => {
    const { link, clock, transport, brokers } = await linked({ connectionMaxIdleMs: 5000, readTimeoutMs: 20_000 })
    const answer = link.request(Heartbeat, heartbeat)
    await pass(clock, 8000, 100)
    expect(transport.isOpen).toBe(true)
    brokers[0]?.of(Heartbeat)[0]?.reply(alive)
    await answer
  })

  it('W-14: idle begins with the last answer, ends quietly, and the next demand opens anew', async () => {
    const { link, clock, transport, brokers, cluster } = await linked({ connectionMaxIdleMs: 5000 })
    const answer = link.request(Heartbeat, heartbeat)
    await pass(clock, 1000, 100)
    brokers[0]?.of(Heartbeat)[0]?.reply(alive)
    await answer
    await pass(clock, 4900, 100)
    expect(transport.isOpen).toBe(true)
    await pass(clock, 200, 100)
    expect(transport.isOpen).toBe(false)
    await pass(clock, 3000, 100)
    expect([link.isReady, cluster.stats().connectionErrors]).toEqual([false, 0])
    link.connect()
    await pass(clock, 200)
    expect(link.isReady).toBe(true)
  })

  it('K-23: a connection has one timer at most, however many requests there are', async () => {
    const { link, clock, brokers } = await linked()
    const before = clock.pendingTimers
    for (let round = 0; round < 50; round++) {
      const answer = link.request(Heartbeat, heartbeat)
      await settle()
      brokers[0]?.of(Heartbeat).at(-1)?.reply(alive)
      await answer
      clock.advance(1)
    }
    expect(clock.pendingTimers).toBeLessThanOrEqual(before)
  })

  it('W-18: versions are the highest common one; an api or version that is missing is -1 and refused unsent', async () => {
    const { brokers, cluster } = scene(1)
    brokers[0]?.ranges.set(Produce.key, { min: 3, max: 9 })
    brokers[0]?.ranges.set(Fetch.key, { min: 0, max: 4 })
    brokers[0]?.ranges.delete(InitProducerId.key)
    await cluster.connect()
    const produce = cluster.link(1, 'produce')
    expect(produce.versionOf(Produce)).toBe(-1)
    await produce.whenReady(1000)
    expect([produce.versionOf(Produce), produce.versionOf(Fetch), produce.versionOf(InitProducerId)]).toEqual([
      9, -1, -1,
    ])
    const error = await failureOf(produce.request(InitProducerId, { transactionalId: null, transactionTimeoutMs: 0 }))
    expect(error.context).toMatchObject({ reason: 'UNSUPPORTED_VERSION', wasSent: 'no' })
    expect(error.retryable).toBe(false)
  })

  it('W-9: correlation ids wrap from 2^31 - 1 to 0', async () => {
    const [near, far] = MemoryTransport.pair('broker')
    const ids: number[] = []
    far.onFrame = (frame) => {
      const { correlationId } = decodeRequestHeader(frame)
      ids.push(correlationId)
      far.write(encodeResponse(Heartbeat, 4, correlationId, alive))
    }
    const apis = new ApiRanges(noVersions)
    const address = { brokerId: 1, host: 'broker', port: 1, rack: null }
    const settings = resolveSettings({ brokers: [] })
    const connection = new Connection(near, apis, address, settings, new FakeClock(), 2 ** 31 - 2)
    for (let round = 0; round < 4; round++) await connection.request(Heartbeat, 4, heartbeat, 0)
    expect(ids).toEqual([2 ** 31 - 2, 2 ** 31 - 1, 0, 1])
  })
})

const noVersions = {
  errorCode: 0,
  apiKeys: [],
  throttleTimeMs: 0,
  supportedFeatures: [],
  finalizedFeaturesEpoch: -1,
  finalizedFeatures: [],
  zkMigrationReady: false,
}
