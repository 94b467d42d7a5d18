/** Fetching against the in-process broker: sessions, prefetch, leaders, corruption, truncation. */
import { describe, expect, it } from 'vitest'
import { type ArrivedRequest, fault } from '../../../lib/broker/index.js'
import type { MQError } from '../../../lib/errors/index.js'
import type { DecodedRequestOf, Fetch } from '../../../lib/protocol/index.js'
import { bench, expected, Seen } from '../support.js'

const on = bench()

type FetchBody = DecodedRequestOf<typeof Fetch>
const bodyOf = (request: ArrivedRequest) => request.body as FetchBody
const partitionsOf = (body: FetchBody) => (body.topics ?? []).flatMap((topic) => topic.partitions ?? [])

function fetches(node?: number): FetchBody[] {
  return on.broker.requests({ api: 'Fetch', ...(node === undefined ? {} : { node }) }).map(bodyOf)
}

describe('sessions', () => {
  it('C-1: one full request opens, then only partitions that moved are named', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 5 })
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    for (let round = 0; round < 5; round++) {
      await on.produceNumbers('t', 2, round * 10, 10)
      await seen.count((round + 1) * 10)
    }
    const [first, ...later] = fetches()
    expect([first?.sessionId, first?.sessionEpoch, partitionsOf(first as FetchBody).length]).toEqual([0, 0, 5])
    expect(later.length).toBeGreaterThanOrEqual(4)
    expect(later.map(({ sessionEpoch }) => sessionEpoch)).toEqual(later.map((_, index) => index + 1))
    for (const body of later) expect(partitionsOf(body).every(({ partition }) => partition === 2)).toBe(true)
    expect(consumer.getMetrics().fullSessions).toBe(1)
  })
  it('K-21, CO-7: a paused partition is forgotten once and comes back without a rewind', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 10)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    await seen.count(10)
    consumer.pause([{ topic: 't', partition: 0 }])
    await broker.saw({ api: 'Fetch', where: (request) => (bodyOf(request).forgottenTopicsData ?? []).length > 0 })
    await on.produceNumbers('t', 0, 10, 5)
    await on.produceNumbers('t', 1, 0, 5)
    await seen.until(() => seen.of('t', 1).length === 5)
    consumer.resume(['t'])
    await seen.until(() => seen.of('t', 0).length === 15)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 0, 15))
    const forgotten = fetches().filter((body) => (body.forgottenTopicsData ?? []).length > 0)
    expect(forgotten).toHaveLength(1)
    expect(consumer.getMetrics().fullSessions).toBe(1)
  })
  it.each([
    ['an eviction (70)', () => on.broker.evictSessions()],
    ['a broken connection', () => on.broker.disconnect()],
  ])('C-2: after %s a new full session goes on without loss or repetition', async (_name, disturb) => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 3 })
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    for (let round = 0; round < 4; round++) {
      for (let partition = 0; partition < 3; partition++) await on.produceNumbers('t', partition, round * 5, 5)
      if (round < 3) disturb()
    }
    await seen.count(60)
    for (let partition = 0; partition < 3; partition++) {
      expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 20))
    }
    expect(consumer.getMetrics().fullSessions).toBeGreaterThan(1)
  })
  it('C-1: a broker without session slots is asked in full each time', async () => {
    const broker = await on.start({ config: { 'max.incremental.fetch.session.cache.slots': 0 } })
    broker.createTopic('t', { partitions: 2 })
    const seen = new Seen()
    await on.consumer().assign(['t'], seen.take)
    for (let round = 0; round < 3; round++) await on.produceNumbers('t', 0, round * 5, 5)
    await seen.count(15)
    expect(seen.records).toEqual(expected('t', 0, 0, 15))
    expect(fetches().every(({ sessionId, sessionEpoch }) => sessionId === 0 && sessionEpoch === 0)).toBe(true)
  })
  it.each(['2.8', '4.1'] as const)('CL-7: reads from a %s broker, by name or by topic id', async (profile) => {
    const broker = await on.start({ profile })
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 1, 0, 5)
    const seen = new Seen()
    await on.consumer().assign(['t'], seen.take)
    await seen.count(5)
    expect(seen.records).toEqual(expected('t', 1, 0, 5))
  })
})

describe('one request at a time, bounded', () => {
  it('CO-12: the fields of the configuration reach the request', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const config = {
      fetchMinBytes: 7,
      fetchMaxBytes: 30_000,
      maxPartitionFetchBytes: 20_000,
      fetchMaxWaitMs: 33,
      rackId: 'r1',
    }
    await on.consumer({ ...config, isolationLevel: 'read_committed' }).assign(['t'], () => {})
    await broker.saw({ api: 'Fetch' })
    const body = fetches()[0] as FetchBody
    expect([body.minBytes, body.maxBytes, body.maxWaitMs, body.rackId, body.isolationLevel]).toEqual([
      7,
      20_000,
      33,
      'r1',
      1,
    ])
    expect(partitionsOf(body)[0]?.partitionMaxBytes).toBe(20_000)
  })
  it('C-15: buffered and outstanding bytes over all brokers never exceed prefetchBytes', async () => {
    const broker = await on.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 6 })
    const value = 'x'.repeat(1_000)
    for (let partition = 0; partition < 6; partition++) {
      for (let round = 0; round < 10; round++)
        await on.produce(
          't',
          partition,
          Array.from({ length: 10 }, () => value),
        )
    }
    const limits = { prefetchBytes: 200_000, maxPartitionFetchBytes: 25_000 }
    const seen = new Seen()
    const consumer = on.consumer({ ...limits, maxPollRecords: 5 })
    let most = 0
    await consumer.assign(['t'], async (record) => {
      most = Math.max(most, consumer.getMetrics().prefetchBytes)
      await Promise.resolve()
      seen.take(record)
    })
    await seen.count(600)
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(200_000)
    await consumer.close()
    for (const body of fetches()) expect(body.maxBytes).toBeLessThanOrEqual(200_000)
  })
  it('C-16: a hanging callback stops the fetching of its partition within its share', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    const value = 'x'.repeat(1_000)
    for (let round = 0; round < 60; round++)
      await on.produce(
        't',
        0,
        Array.from({ length: 10 }, () => value),
      )
    const seen = new Seen()
    const consumer = on.consumer({ prefetchBytes: 262_144, maxPartitionFetchBytes: 40_000, concurrency: 2 })
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    await consumer.assign(['t'], (record) => {
      seen.take(record)
      return record.partition === 0 ? hanging : undefined
    })
    for (let round = 0; round < 20; round++) await on.produceNumbers('t', 1, round, 1)
    await seen.until(() => seen.of('t', 1).length === 20)
    expect(consumer.getMetrics().prefetchBytes).toBeLessThanOrEqual(262_144)
    const asked = Math.max(
      ...fetches().flatMap((body) =>
        partitionsOf(body)
          .filter((p) => p.partition === 0)
          .map((p) => p.fetchOffset),
      ),
    )
    expect(asked).toBeLessThan(300)
    release()
    await seen.until(() => seen.of('t', 0).length === 600)
  })
  it('C-6: a first batch above every limit is still delivered', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produce('t', 0, ['a'.repeat(200_000)])
    await on.produce('t', 1, ['b'.repeat(200_000)])
    await on.produceNumbers('t', 0, 1, 1)
    const limits = { fetchMaxBytes: 1_000, maxPartitionFetchBytes: 500, prefetchBytes: 1_000 }
    const sizes: number[] = []
    const seen = new Seen()
    await on.consumer(limits).assign(['t'], (record) => {
      sizes.push(record.value?.length ?? -1)
      seen.take(record)
    })
    await seen.count(3)
    expect(sizes.sort((a, b) => a - b)).toEqual([1, 200_000, 200_000])
  })
  it('C-14: a hot partition does not starve the others of its broker', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 3 })
    const value = 'x'.repeat(900)
    for (let round = 0; round < 40; round++)
      await on.produce(
        't',
        0,
        Array.from({ length: 10 }, () => value),
      )
    await on.produce('t', 1, ['one'])
    await on.produce('t', 2, ['two'])
    const limits = { fetchMaxBytes: 10_000, maxPartitionFetchBytes: 10_000, prefetchBytes: 400_000 }
    const order: number[] = []
    const seen = new Seen()
    await on.consumer(limits).assign(['t'], (record) => {
      order.push(record.partition)
      seen.take(record)
    })
    await seen.count(402)
    expect(Math.max(order.indexOf(1), order.indexOf(2))).toBeLessThan(60)
  })
})

describe('leaders', () => {
  it('C-20, K-16: the leader moves while records flow: no gap, no repetition', async () => {
    const broker = await on.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 2, replicationFactor: 3 })
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    for (let round = 0; round < 12; round++) {
      await on.produceNumbers('t', 0, round * 10, 10)
      await on.produceNumbers('t', 1, round * 10, 10)
      if (round % 3 === 1) {
        const next = 1 + (broker.log('t', 0).leader % 3)
        broker.moveLeader({ topic: 't', partition: 0 }, next)
      }
    }
    await seen.count(240)
    for (const partition of [0, 1]) expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 120))
  })
  it('C-20: the leader dies: fetching goes on at the new one', async () => {
    const broker = await on.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 3, replicationFactor: 3 })
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    for (let partition = 0; partition < 3; partition++) await on.produceNumbers('t', partition, 0, 10)
    await seen.count(30)
    await broker.kill(2)
    for (let partition = 0; partition < 3; partition++) await on.produceNumbers('t', partition, 10, 10)
    await seen.count(60)
    for (let partition = 0; partition < 3; partition++)
      expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 20))
  })
  it('C-2, K-8: broken connections, lost and late answers cost nothing but time', async () => {
    const broker = await on.start({ nodes: 2 })
    broker.createTopic('t', { partitions: 2 })
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    broker.on({ api: 'Fetch', nth: 3, times: 1 }, fault.drop('after'))
    broker.on({ api: 'Fetch', nth: 6, times: 1 }, fault.disconnect({ afterBytes: 20 }))
    broker.on({ api: 'Fetch', nth: 9, times: 1 }, fault.error(-1))
    for (let round = 0; round < 20; round++) {
      await on.produceNumbers('t', 0, round * 5, 5)
      await on.produceNumbers('t', 1, round * 5, 5)
      await seen.until(() => seen.records.length >= (round + 1) * 5)
    }
    await seen.count(200)
    for (const partition of [0, 1]) expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 100))
  })
  it('C-3: a topic made anew under its name is read from where autoOffsetReset says', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 5)
    const seen = new Seen()
    const consumer = on.consumer({ metadataMaxAgeMs: 1_000 })
    await consumer.assign(['t'], seen.take)
    await seen.count(5)
    broker.recreateTopic('t')
    await on.produce('t', 0, ['a', 'b'])
    await seen.count(7)
    expect(seen.records.slice(5)).toEqual(['t/0@0=a', 't/0@1=b'])
  })
  it('C-19: an unclean election that loses records is told and reading goes on where the logs part', async () => {
    const broker = await on.start({ nodes: 2 })
    broker.createTopic('t', { replicationFactor: 2, configs: { 'min.insync.replicas': 1 } })
    const tp = { topic: 't', partition: 0 }
    const leader = broker.log('t', 0).leader
    const other = leader === 1 ? 2 : 1
    await on.produceNumbers('t', 0, 0, 10)
    broker.setIsr(tp, [leader])
    await on.produceNumbers('t', 0, 10, 5)
    const seen = new Seen()
    const consumer = on.consumer()
    const truncations: unknown[] = []
    consumer.on('truncation', (event) => {
      truncations.push(event)
      seen.check()
    })
    await consumer.assign(['t'], seen.take)
    await seen.count(15)
    broker.uncleanElection(tp, other)
    await seen.until(() => truncations.length > 0)
    await on.produce('t', 0, ['new'])
    await seen.count(16)
    expect(truncations).toEqual([{ topic: 't', partition: 0, position: 15, divergence: 10 }])
    expect(seen.records.at(-1)).toBe('t/0@10=new')
  })
})

describe('partition errors', () => {
  function watch(consumer: { on(event: 'error', listener: (error: MQError) => void): unknown }, seen: Seen): MQError[] {
    const errors: MQError[] = []
    consumer.on('error', (error) => {
      errors.push(error)
      seen.check()
    })
    return errors
  }

  it('C-8, K-18: a flipped byte is fetched once more, then told with its place; others go on; seek passes it', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    for (let from = 0; from < 30; from += 10) await on.produceNumbers('t', 0, from, 10)
    await on.produceNumbers('t', 1, 0, 5)
    broker.corruptLog({ topic: 't', partition: 0 }, 10, { at: 70 })
    const seen = new Seen()
    const consumer = on.consumer()
    const errors = watch(consumer, seen)
    await consumer.assign(['t'], seen.take)
    await seen.until(() => errors.length > 0 && seen.of('t', 1).length === 5)
    expect(
      errors.map(({ code, context }) => [code, context.reason, context.topic, context.partition, context.offset]),
    ).toEqual([['CONSUME_FAILED', 'CORRUPT_BATCH', 't', 0, 10]])
    expect(consumer.getMetrics().corruptBatches).toBe(2)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 0, 10))
    await on.produceNumbers('t', 1, 5, 5)
    await seen.until(() => seen.of('t', 1).length === 10)
    consumer.seek({ topic: 't', partition: 0 }, 20)
    await seen.until(() => seen.of('t', 0).length === 20)
    expect(seen.of('t', 0).slice(10)).toEqual(expected('t', 0, 20, 10))
  })
  it('C-8: a byte flipped on the way is healed by the second fetch, without an error', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 10)
    broker.on({ api: 'Fetch', times: 1 }, fault.corrupt({ offset: -8 }))
    const seen = new Seen()
    const consumer = on.consumer()
    const errors = watch(consumer, seen)
    await consumer.assign(['t'], seen.take)
    await seen.count(10)
    expect([seen.records, errors]).toEqual([expected('t', 0, 0, 10), []])
    expect(consumer.getMetrics().corruptBatches).toBe(1)
  })
  it('C-41: a refused partition (29) is told once and asked again; the others go on', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 5)
    await on.produceNumbers('t', 1, 0, 5)
    const denial = broker.on({ api: 'Fetch', topic: 't', partition: 0 }, fault.error(29))
    const seen = new Seen()
    const consumer = on.consumer({ metadataMaxAgeMs: 1_000 })
    const errors = watch(consumer, seen)
    await consumer.assign(['t'], seen.take)
    await seen.until(() => errors.length > 0 && seen.of('t', 1).length === 5)
    expect(errors.map(({ code, context }) => [code, context.partition, context.kafkaCode])).toEqual([
      ['AUTHORIZATION_FAILED', 0, 29],
    ])
    denial.remove()
    await seen.until(() => seen.of('t', 0).length === 5)
    expect(errors).toHaveLength(1)
  })
  it.each([3, 5, 6, 9, 56, 74, 75, 78, 103, 109, -1, 7, 8, 55])(
    'C-41: %i is retried until it passes, nothing lost',
    async (code) => {
      const broker = await on.start()
      broker.createTopic('t', { partitions: 2 })
      await on.produceNumbers('t', 0, 0, 5)
      await on.produceNumbers('t', 1, 0, 5)
      broker.on({ api: 'Fetch', topic: 't', partition: 0, nth: 1, times: 2 }, fault.error(code))
      const seen = new Seen()
      const consumer = on.consumer()
      const errors = watch(consumer, seen)
      await consumer.assign(['t'], seen.take)
      await seen.count(10)
      for (const partition of [0, 1]) expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 5))
      expect(errors).toEqual([])
    },
  )
  it('C-41: any other code fails its partition with CONSUME_FAILED, with number and name', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 1, 0, 5)
    broker.on({ api: 'Fetch', topic: 't', partition: 0 }, fault.error(76))
    const seen = new Seen()
    const consumer = on.consumer()
    const errors = watch(consumer, seen)
    await consumer.assign(['t'], seen.take)
    await seen.until(() => errors.length > 0 && seen.of('t', 1).length === 5)
    expect(errors[0]?.context).toMatchObject({
      topic: 't',
      partition: 0,
      kafkaCode: 76,
      kafkaName: 'UNSUPPORTED_COMPRESSION_TYPE',
    })
    expect(consumer.getMetrics().failedPartitions).toEqual(['t-0'])
  })
  it('C-22: ListOffsets that is not available yet (78) is asked again', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 3)
    broker.on({ api: 'ListOffsets', nth: 1, times: 2 }, fault.error(78))
    const seen = new Seen()
    await on.consumer().assign(['t'], seen.take)
    await seen.count(3)
    expect(broker.count({ api: 'ListOffsets' })).toBe(3)
  })
  it('C-12: emptied batches and gaps cost a fetch, not one per offset', async () => {
    const broker = await on.start()
    broker.createTopic('t', { configs: { 'cleanup.policy': 'compact' } })
    for (let round = 0; round < 50; round++) await on.produce('t', 0, { values: [String(round)], keys: ['same'] })
    await broker.compact({ topic: 't', partition: 0 })
    const seen = new Seen()
    await on.consumer().assign(['t'], seen.take)
    await seen.until(() => seen.records.includes('t/0@49=49'))
    expect(fetches().length).toBeLessThan(10)
  })
})
