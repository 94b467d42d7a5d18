/** From an attempt to an outcome: retries, deadlines, versions, topics that change, and what the counters say. */
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { ZERO_UUID } from '../../lib/protocol/index.js'
import { codeOf, errorOf, logOf, newProducer, stage, startBroker, turns, until } from './support.js'

interface ProduceBody {
  readonly topicData: readonly {
    readonly name: string
    readonly topicId: string
    readonly partitionData: readonly { readonly index: number; readonly records: Uint8Array | null }[]
  }[]
}

function produced(broker: Broker): { version: number; node: number; body: ProduceBody }[] {
  return broker
    .requests({ api: 'Produce' })
    .map(({ version, node, body }) => ({ version, node, body: body as ProduceBody }))
}

/**
 * A partition's batch in each request that carried one, from its magic on: offset and leader epoch before it are the
 * broker's, which writes them into what it stores.
 */
function attemptsOf(broker: Broker, partition = 0): string[] {
  return produced(broker).flatMap(({ body }) =>
    body.topicData.flatMap(({ partitionData }) =>
      partitionData
        .filter(({ index }) => index === partition)
        .map(({ records }) => Buffer.from(records ?? []).toString('hex', 16)),
    ),
  )
}

describe('PR-16: retries and deadlines', () => {
  it('PR-16, P-28: every attempt after an unsure one carries the same identity and the same bytes', async () => {
    const { broker, producer } = await stage()
    const handle = broker.on({ api: 'Produce', times: 4 }, fault.drop('after'))
    await producer.sendSync('orders', 'once')
    expect(handle.hits).toBe(4)
    const attempts = attemptsOf(broker)
    expect(attempts).toHaveLength(5)
    expect(new Set(attempts).size).toBe(1)
    expect(await logOf(broker, 'orders')).toHaveLength(1)
    expect(producer.getMetrics().retries).toBe(4)
  })

  it('PR-16, P-29: deliveryTimeoutMs counts from the append; never sent is not-persisted', async () => {
    const { broker, producer, clock } = await stage({ deliveryTimeoutMs: 3000, requestTimeoutMs: 1000 })
    await broker.stop(1)
    const startMs = clock.monotonicMs()
    const error = await errorOf(producer.sendSync('orders', 'x', { partition: 0 }))
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { persistence: 'not-persisted' } })
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(2900)
    await broker.start(1)
    expect(await codeOf(producer.sendSync('orders', 'later'))).toBe('fulfilled')
  }, 30_000)

  it('PR-16, P-29: expired while in doubt it is possibly-persisted, and later records go on', async () => {
    const { broker, producer } = await stage({
      deliveryTimeoutMs: 1500,
      requestTimeoutMs: 300,
      connection: { readTimeoutMs: 100 },
    })
    await producer.sendSync('orders', 'opens')
    const handle = broker.on({ api: 'Produce' }, fault.drop('after'))
    const error = await errorOf(producer.sendSync('orders', 'in doubt'))
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { persistence: 'possibly-persisted' } })
    handle.remove()
    await producer.sendSync('orders', 'later')
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['opens', 'in doubt', 'later'])
  })

  it('PR-16: maxRetries used up is RETRY_EXHAUSTED with the last error as cause', async () => {
    const { broker, producer } = await stage({ maxRetries: 2 })
    broker.on({ api: 'Produce' }, fault.error(19))
    const error = await errorOf(producer.sendSync('orders', 'x'))
    expect(error).toMatchObject({
      code: 'RETRY_EXHAUSTED',
      retryable: false,
      context: { persistence: 'not-persisted' },
      cause: { context: { kafkaCode: 19 } },
    })
    expect(broker.count({ api: 'Produce' })).toBe(3)
  })

  it('PR-16, P-31, P-40: back-off between attempts, none when the answer names the new leader', async () => {
    const options = { partitions: 1, replicationFactor: 2 }
    const { broker, producer, clock } = await stage({ retryBackoffMs: 2000, retryBackoffMaxMs: 2000 }, options, {
      nodes: 2,
    })
    await producer.sendSync('orders', 'opens')
    const { leader } = broker.log('orders', 0)
    const metadata = broker.count({ api: 'Metadata' })
    broker.moveLeader({ topic: 'orders', partition: 0 }, leader === 1 ? 2 : 1)
    const startMs = clock.monotonicMs()
    await producer.sendSync('orders', 'moved')
    expect(clock.monotonicMs() - startMs).toBeLessThan(500)
    expect(broker.count({ api: 'Metadata' }) - metadata).toBeLessThanOrEqual(1)
    broker.on({ api: 'Produce', nth: 1 }, fault.error(19))
    const retried = clock.monotonicMs()
    await producer.sendSync('orders', 'later')
    expect(clock.monotonicMs() - retried).toBeGreaterThan(1)
  })

  it('P-23: nothing goes to a new leader before every request of the lane at the old one has ended', async () => {
    const { broker, producer, clock } = await stage(
      { lingerMs: 0 },
      { partitions: 1, replicationFactor: 2 },
      { nodes: 2 },
    )
    await producer.sendSync('orders', 'opens')
    const { leader } = broker.log('orders', 0)
    const other = leader === 1 ? 2 : 1
    const held = broker.on({ api: 'Produce', node: leader, nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held at the old leader')
    await broker.hit(held)
    broker.moveLeader({ topic: 'orders', partition: 0 }, other)
    producer.sendAsync('orders', 'second')
    // Time enough for news of the leader to come in by a refresh.
    const untilMs = clock.monotonicMs() + 2000
    while (clock.monotonicMs() < untilMs) await turns(1)
    expect(produced(broker).filter(({ node }) => node === other)).toHaveLength(0)
    held.release()
    await producer.flush()
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual([
      'opens',
      'held at the old leader',
      'second',
    ])
  })
})

describe('P-63: each partition of an answer for itself', () => {
  it('P-63, K-7: of a request that half succeeded only the failed half is sent again', async () => {
    const { broker, producer } = await stage({ lingerMs: 0 }, { partitions: 4 })
    for (let partition = 0; partition < 4; partition++) await producer.sendSync('orders', 'opens', { partition })
    broker.forgetRequests()
    broker.on({ api: 'Produce', topic: 'orders', partition: 2, nth: 1 }, fault.error(19))
    const all = [0, 1, 2, 3].map((partition) => producer.sendSync('orders', 'x', { partition }))
    expect((await Promise.all(all)).map(({ offset }) => offset)).toEqual([1, 1, 1, 1])
    expect([0, 1, 2, 3].map((partition) => attemptsOf(broker, partition).length)).toEqual([1, 1, 2, 1])
  })

  it('P-63, K-7: a partition that fails for good hides neither success nor failure of the others', async () => {
    const { broker, producer } = await stage({}, { partitions: 3 })
    for (let partition = 0; partition < 3; partition++) await producer.sendSync('orders', 'opens', { partition })
    broker.on({ api: 'Produce', topic: 'orders', partition: 0, nth: 1 }, fault.error(43))
    const codes = await Promise.all(
      [0, 1, 2].map((partition) => codeOf(producer.sendSync('orders', 'x', { partition }))),
    )
    expect(codes).toEqual(['PRODUCE_FAILED', 'fulfilled', 'fulfilled'])
  })
})

describe('topics that change', () => {
  it('P-18: partitions that are added are used for new records; buffered keyed ones stay where they are', async () => {
    const { broker, producer } = await stage({ metadataMaxAgeMs: 1000 })
    await producer.sendSync('orders', 'opens')
    broker.pause(1)
    for (let n = 0; n < 50; n++) producer.sendAsync('orders', 'old', { key: `k${n}` })
    broker.addPartitions('orders', 4)
    broker.resume(1)
    await producer.flush()
    await until(() => broker.count({ api: 'Metadata' }) > 2, 'a refresh')
    await turns(20)
    for (let n = 0; n < 50; n++) producer.sendAsync('orders', 'new', { key: `k${n}` })
    await producer.flush()
    const values = await Promise.all(
      [0, 1, 2, 3].map(async (at) => (await logOf(broker, 'orders', at)).map(({ value }) => value)),
    )
    expect(values[0]?.filter((value) => value === 'old')).toHaveLength(50)
    for (const partition of [1, 2, 3]) {
      expect(values[partition]?.length).toBeGreaterThan(0)
      expect(new Set(values[partition])).toEqual(new Set(['new']))
    }
  })

  it('P-41: what was made for a topic that was recreated fails, and is never written to the new one', async () => {
    const { broker, producer } = await stage({ metadataMaxAgeMs: 1000 })
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.error(7))
    const outcome = errorOf(producer.sendSync('orders', 'for the old topic'))
    await broker.hit(held)
    broker.recreateTopic('orders')
    const error = await outcome
    expect(error.code).toBe('TOPIC_NOT_FOUND')
    await producer.sendSync('orders', 'for the new topic')
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['for the new topic'])
  })

  it('P-35: a record that the broker names fails alone; the others of its batch are stored, in order', async () => {
    const { broker, producer } = await stage({}, { configs: { 'cleanup.policy': 'compact' } })
    await producer.sendSync('orders', 'opens', { key: 'k' })
    const fates: (MQError | null)[] = []
    for (let n = 0; n < 5; n++) {
      producer.sendAsync('orders', `${n}`, { key: n === 2 ? null : `k${n}`, partition: 0 }, (error) =>
        fates.push(error),
      )
    }
    await producer.flush()
    await until(() => fates.length === 5, 'five outcomes')
    expect(fates.map((error) => error?.context.kafkaCode ?? 0)).toEqual([0, 0, 87, 0, 0])
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['opens', '0', '1', '3', '4'])
  })
})

describe('brokers of every age', () => {
  it.each(['2.1', '2.4', '2.8', '3.9', '4.1', '4.5'] as const)(
    'P-43, CL-7: delivers to a broker of %s, with faults on the way',
    async (profile) => {
      const { broker, producer } = await stage({}, { partitions: 3 }, { profile })
      broker.on({ api: 'Produce', nth: 2 }, fault.drop('after'))
      broker.on({ api: 'Produce', nth: 4 }, fault.error(7, { when: 'after' }))
      for (let n = 0; n < 30; n++) await producer.sendSync('orders', `${n}`, { partition: n % 3 })
      for (const partition of [0, 1, 2]) {
        const values = (await logOf(broker, 'orders', partition)).map(({ value }) => Number(value))
        expect(values).toEqual(Array.from({ length: 10 }, (_, at) => at * 3 + partition))
      }
    },
  )

  it('P-43: brokers of one cluster may differ, and each is spoken to in its own version', async () => {
    const { broker, producer } = await stage({}, { assignments: [[1], [2]] }, { nodes: 2 })
    await producer.sendSync('orders', 'a', { partition: 0 })
    await producer.sendSync('orders', 'b', { partition: 1 })
    broker.setVersions('Produce', 3, 8)
    broker.disconnect(2)
    await producer.sendSync('orders', 'c', { partition: 1 })
    await producer.sendSync('orders', 'd', { partition: 0 })
    const versions = produced(broker).map(({ node, version }) => `${node}:${version}`)
    expect(versions.slice(0, 2)).toEqual(['1:13', '2:13'])
    expect(versions).toContain('2:8')
  })

  it('W-19: Produce 13 carries topic ids; without an id it is 12, by name', async () => {
    const { broker, producer } = await stage()
    await producer.sendSync('orders', 'by id')
    const topicId =
      broker.requests({ api: 'Produce' }).length === 1 ? produced(broker)[0]?.body.topicData[0]?.topicId : ''
    expect(produced(broker)[0]?.version).toBe(13)
    expect(topicId).not.toBe(ZERO_UUID)
    const older = await startBroker()
    older.createTopic('orders')
    older.setVersions('Metadata', 0, 9) // Names only: ids came with version 10.
    const byName = newProducer(older)
    await byName.sendSync('orders', 'by name')
    expect(produced(older)[0]).toMatchObject({ version: 12, body: { topicData: [{ name: 'orders' }] } })
  })

  it('CL-4: all brokers gone and back on their ports: queued records survive, in order', async () => {
    const { broker, producer } = await stage({}, { partitions: 2, replicationFactor: 2 }, { nodes: 2 })
    await producer.sendSync('orders', 'opens', { partition: 0 })
    for (const id of broker.brokerIds) await broker.kill(id)
    const outcomes = Array.from({ length: 20 }, (_, n) => codeOf(producer.sendSync('orders', `${n}`, { partition: 0 })))
    await turns(3000)
    for (const id of broker.brokerIds) await broker.start(id)
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['fulfilled']))
    const values = (await logOf(broker, 'orders', 0)).map(({ value }) => value)
    expect(values).toEqual(['opens', ...Array.from({ length: 20 }, (_, n) => `${n}`)])
  })

  const wrong = {
    'wrong correlation id': fault.wrongCorrelation(),
    'half a frame': fault.disconnect({ afterBytes: 7 }),
    silence: fault.blackhole(),
  }
  it.each(Object.entries(wrong))(
    'P-45, BR-2: %s ends the connection, and the record is stored once',
    async (_name, what) => {
      const { broker, producer } = await stage({ requestTimeoutMs: 200, connection: { readTimeoutMs: 100 } })
      await producer.sendSync('orders', 'opens')
      broker.on({ api: 'Produce', nth: 1 }, what)
      await producer.sendSync('orders', 'x')
      const connections = broker.requests({ api: 'Produce' }).map(({ connection }) => connection)
      expect(new Set(connections).size).toBeGreaterThan(1)
      expect(await logOf(broker, 'orders')).toHaveLength(2)
    },
  )

  it('BR-2: faults hit the api, the partition and the n-th request they name, and no other', async () => {
    const { broker, producer } = await stage({ maxRetries: 0 }, { partitions: 2 })
    for (const partition of [0, 1]) await producer.sendSync('orders', 'opens', { partition })
    const handle = broker.on({ api: 'Produce', topic: 'orders', partition: 1, nth: 2, times: 2 }, fault.error(43))
    const outcomes: string[] = []
    for (let n = 0; n < 5; n++) {
      for (const partition of [0, 1]) outcomes.push(await codeOf(producer.sendSync('orders', `${n}`, { partition })))
    }
    const failed = outcomes.flatMap((outcome, at) => (outcome === 'fulfilled' ? [] : [at]))
    expect([failed, handle.hits]).toEqual([[3, 5], 2])
  })
})

describe('P-55: the counters', () => {
  it('P-55, PR-22: move as the traffic does', async () => {
    const { broker, producer, clock } = await stage({ compression: 'lz4', maxRetries: 1 })
    expect(producer.getMetrics()).toMatchObject({
      totalMessages: 0,
      minLatencyMs: 0,
      compressionRatio: 1,
      meanBatchBytes: 0,
    })
    await producer.sendSync('orders', 'x'.repeat(10_000))
    for (let n = 0; n < 9; n++) producer.sendAsync('orders', 'x'.repeat(1000))
    const { pendingMessages, bufferUsedBytes } = producer.getMetrics()
    expect([pendingMessages, bufferUsedBytes > 0]).toEqual([9, true])
    await producer.flush()
    expect(producer.getMetrics()).toMatchObject({
      totalMessages: 10,
      successMessages: 10,
      pendingMessages: 0,
      batches: 2,
      requests: 2,
      retries: 0,
      bufferUsedBytes: 0,
      inFlightRequests: 0,
    })
    expect(producer.getMetrics().totalBytes).toBeGreaterThanOrEqual(19_000)
    expect(producer.getMetrics().compressionRatio).toBeLessThan(0.2)
    expect(producer.getMetrics().meanBatchRecords).toBe(5)
    broker.on({ api: 'Produce', times: 2 }, fault.error(19))
    expect(await codeOf(producer.sendSync('orders', 'fails'))).toBe('RETRY_EXHAUSTED')
    const refused = new Promise((resolve) => producer.sendAsync('orders', 'x'.repeat(2_000_000), resolve))
    expect(await refused).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    const { minLatencyMs, p50LatencyMs, p99LatencyMs, maxLatencyMs, averageLatencyMs, ...rest } = producer.getMetrics()
    expect(rest).toMatchObject({
      totalMessages: 11,
      failedMessages: 1,
      refusedMessages: 1,
      retries: 1,
      pendingMessages: 0,
    })
    expect(minLatencyMs).toBeLessThanOrEqual(averageLatencyMs)
    expect(p50LatencyMs).toBeLessThanOrEqual(p99LatencyMs)
    expect(p99LatencyMs).toBeLessThanOrEqual(maxLatencyMs * 1.07)
    expect(rest.messagesPerSecond).toBeGreaterThan(0)
    const untilMs = clock.monotonicMs() + 12_000
    clock.stepMs = 50
    while (clock.monotonicMs() < untilMs) await turns(1)
    expect(producer.getMetrics().messagesPerSecond).toBe(0)
  })
})
