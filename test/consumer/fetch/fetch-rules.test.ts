/**
 * Rules of fetching that other tests only touch: what is asked for, how often, of whom, and how damage on the way ends.
 * Why counts and virtual time: "fast enough" says nothing; requests, offsets and milliseconds of a clock of our own do.
 * Source: kafka.md 5.1 (C-9, C-11, C-12, C-17, C-18), 5.6 (K-15, K-17, K-19, K-21..K-23).
 */
import { describe, expect, it } from 'vitest'
import { type ArrivedRequest, type Fault, fault } from '../../../lib/broker/index.js'
import type { DecodedRequestOf, Fetch, ListOffsets } from '../../../lib/protocol/index.js'
import { Fetch as FetchApi } from '../../../lib/protocol/index.js'
import { RawClient } from '../../broker/raw-client.js'
import { drivenClock } from '../../support/driven-clock.js'
import { emptiedBatch } from '../batches.js'
import { bench, expected, Seen } from '../support.js'

const on = bench()

type FetchBody = DecodedRequestOf<typeof Fetch>
const bodyOf = (request: ArrivedRequest) => request.body as FetchBody
const partitionsOf = (body: FetchBody) => (body.topics ?? []).flatMap((topic) => topic.partitions ?? [])
const forgottenOf = (body: FetchBody) => (body.forgottenTopicsData ?? []).flatMap(({ partitions }) => partitions ?? [])

function fetches(node?: number): FetchBody[] {
  return on.broker.requests({ api: 'Fetch', ...(node === undefined ? {} : { node }) }).map(bodyOf)
}

/** Offsets that were asked for of a partition, each once, in order. */
function offsetsAsked(partition = 0): number[] {
  const all = fetches().flatMap((body) => partitionsOf(body).filter((one) => one.partition === partition))
  return [...new Set(all.map(({ fetchOffset }) => fetchOffset))]
}

describe('damage on the way', () => {
  const damages: [string, Fault][] = [
    ['is cut by 1 byte', fault.truncate(1)],
    ['is cut by 40 bytes', fault.truncate(40)],
    ['has a wrong correlation id', fault.wrongCorrelation()],
    ['claims another size', fault.corrupt({ offset: 0 })],
    ['claims more partitions than it has bytes', fault.corrupt({ offset: 19 })],
    ['is no answer at all', fault.garbage(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))],
    ['ends in the middle', fault.disconnect({ afterBytes: 60 })],
  ]
  it.each(damages)('C-9: an answer that %s costs its connection, no record', async (_what, damage) => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    const seen = new Seen()
    const consumer = on.consumer({ connection: { readTimeoutMs: 200 } })
    const errors: unknown[] = []
    consumer.on('error', (error) => errors.push(error))
    await consumer.assign(['t'], seen.take)
    for (const nth of [1, 3]) {
      const from = nth === 1 ? 0 : 20
      const handle = broker.on({ api: 'Fetch', nth, times: 1 }, damage)
      for (const partition of [0, 1]) await on.produceNumbers('t', partition, from, 20)
      await broker.hit(handle)
      await seen.count(2 * (from + 20))
    }
    for (const partition of [0, 1]) expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 40))
    expect(new Set(broker.requests({ api: 'Fetch' }).map(({ connection }) => connection)).size).toBeGreaterThan(1)
    expect(errors).toEqual([])
  })

  it('C-9: fields that nobody knows are stepped over', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    broker.on({ api: 'Fetch' }, fault.extraTags())
    await on.produceNumbers('t', 0, 0, 20)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    await seen.count(20)
    expect([seen.records, consumer.getMetrics().fetchErrors]).toEqual([expected('t', 0, 0, 20), 0])
  })
})

describe('what is not there', () => {
  it('C-12, K-17: a compacted log is asked for where batches end, never per offset', async () => {
    const broker = await on.start()
    broker.createTopic('t', { configs: { 'cleanup.policy': 'compact' } })
    for (let round = 0; round < 50; round++) await on.produce('t', 0, { values: [String(round)], keys: ['same'] })
    await broker.compact({ topic: 't', partition: 0 })
    const seen = new Seen()
    await on.consumer().assign(['t'], seen.take)
    await seen.until(() => seen.records.includes('t/0@49=49'))
    await broker.saw({ api: 'Fetch', where: (request) => partitionsOf(bodyOf(request))[0]?.fetchOffset === 50 })
    expect(offsetsAsked()).toEqual([0, 50])
  })

  it('C-12, K-17: an emptied batch at the end of the log is passed with one fetch, and the lag is 0', async () => {
    const broker = await on.start({ clock: drivenClock() })
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 5)
    broker.appendRaw({ topic: 't', partition: 0 }, emptiedBatch(5, 1_004))
    const seen = new Seen()
    const consumer = on.consumer({ fetchMaxWaitMs: 1_000 })
    await consumer.assign(['t'], seen.take)
    await seen.count(5)
    await broker.saw({ api: 'Fetch', count: 5 })
    expect(offsetsAsked()).toEqual([0, 1_005])
    expect(consumer.getMetrics()).toMatchObject({ lag: 0, currentOffset: { 't-0': 1_005 } })
    const atMs = broker.requests({ api: 'Fetch' }).map(({ atMs: at }) => at)
    const waits = atMs.slice(3).map((at, index) => at - (atMs[index + 2] as number))
    expect(Math.min(...waits), 'no hot loop: each poll waits its time').toBeGreaterThanOrEqual(1_000)
  })

  it('C-11, C-22: with read_committed the end is the last stable offset, asked for as such', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const consumer = on.consumer({ isolationLevel: 'read_committed', autoOffsetReset: 'latest' })
    await consumer.assign(['t'], () => {})
    await broker.saw({ api: 'Fetch' })
    await consumer.seekToEnd(['t'])
    await consumer.seekToBeginning(['t'])
    const asked = broker
      .requests({ api: 'ListOffsets' })
      .map(({ body }) => body as DecodedRequestOf<typeof ListOffsets>)
    expect(asked.map(({ isolationLevel }) => isolationLevel)).toEqual([1, 1, 1])
    const [latest, earliest] = [-1, -2]
    const timestamps = asked.map(({ topics }) => Number(topics?.[0]?.partitions?.[0]?.timestamp))
    expect(timestamps).toEqual([latest, latest, earliest])
    expect(fetches().every(({ isolationLevel }) => isolationLevel === 1)).toBe(true)
  })
})

describe('reading from a follower', () => {
  /** Broker 1 (rack a) leads, 2 (rack b) follows; the consumer is in rack b. */
  async function inRackB() {
    const broker = await on.start({ nodes: 2, racks: ['a', 'b'] })
    broker.createTopic('t', { assignments: [[1, 2]] })
    await on.produceNumbers('t', 0, 0, 10)
    const seen = new Seen()
    const resets: unknown[] = []
    const consumer = on.consumer({ rackId: 'b' })
    consumer.on('reset', (event) => resets.push(event))
    await consumer.assign(['t'], seen.take)
    await seen.count(10)
    return { broker, seen, consumer, resets }
  }

  it('C-17: records come from the replica of our rack, the leader is asked once', async () => {
    const { broker, seen } = await inRackB()
    for (let from = 10; from < 50; from += 10) {
      await on.produceNumbers('t', 0, from, 10)
      await seen.count(from + 10)
    }
    expect(seen.records).toEqual(expected('t', 0, 0, 50))
    expect(fetches(1).filter((body) => partitionsOf(body).length > 0)).toHaveLength(1)
    expect(broker.count({ api: 'Fetch', node: 2 })).toBeGreaterThan(4)
  })

  it('C-17, K-19: the replica dies: the leader serves, no gap and no repetition; it comes back and serves again', async () => {
    const { broker, seen, resets } = await inRackB()
    await broker.kill(2)
    await on.produceNumbers('t', 0, 10, 10)
    await seen.count(20)
    await broker.start(2)
    broker.forgetRequests()
    await broker.saw({ api: 'Fetch', node: 2 })
    await on.produceNumbers('t', 0, 20, 10)
    await seen.count(30)
    expect([seen.records, resets]).toEqual([expected('t', 0, 0, 30), []])
  })

  it('C-18, K-19: a replica that does not have the offset yet (1) is no reason for a reset: the leader has it', async () => {
    const { broker, seen, consumer, resets } = await inRackB()
    const goOn = broker.holdReplication({ topic: 't', partition: 0 })
    broker.setIsr({ topic: 't', partition: 0 }, [1])
    await on.produceNumbers('t', 0, 10, 10) // The follower's log still ends at 10.
    consumer.seek({ topic: 't', partition: 0 }, 15)
    await seen.count(15)
    goOn()
    expect([seen.records.slice(10), resets]).toEqual([expected('t', 0, 15, 5), []])
    expect(broker.count({ api: 'ListOffsets' })).toBe(1) // The one at the start.
  })
})

describe('sessions', () => {
  it('K-21: sessions of others outlive any amount of pausing: ours takes one place, and no other', async () => {
    const broker = await on.start({ config: { 'max.incremental.fetch.session.cache.slots': 2 } })
    broker.createTopic('t', { partitions: 4 })
    const other = await RawClient.connect(broker.bootstrap)
    const ask = (sessionId: number, sessionEpoch: number, isFull: boolean) => {
      const partitions = [{ partition: 3, fetchOffset: 0, partitionMaxBytes: 1_000 }]
      const limits = { maxWaitMs: 0, minBytes: 0, maxBytes: 1_000 }
      return other.request(FetchApi, 12, {
        ...limits,
        sessionId,
        sessionEpoch,
        topics: isFull ? [{ topic: 't', partitions }] : [],
      })
    }
    const { sessionId } = await ask(0, 0, true)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    await broker.saw({ api: 'Fetch', clientId: 'reader' })
    let produced = 0
    for (let round = 0; round < 200; round++) {
      const what = [{ topic: 't', partition: round % 3 }]
      consumer.pause(what)
      if (round % 10 === 0) {
        await broker.saw({ api: 'Fetch', where: (request) => forgottenOf(bodyOf(request)).includes(round % 3) })
        broker.forgetRequests()
        await on.produceNumbers('t', round % 3, Math.floor(produced / 3), 1)
        produced++
      }
      consumer.resume(what)
    }
    await seen.count(produced)
    for (const partition of [0, 1, 2])
      expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, Math.ceil((produced - partition) / 3)))
    expect(consumer.getMetrics().fullSessions).toBe(1)
    expect(await ask(sessionId, 1, false)).toMatchObject({ errorCode: 0, sessionId })
    other.close()
  })
})

describe('waits', () => {
  const MAX_WAIT_MS = 5_000

  it.each(['resumed', 'newly assigned', 'sought'])(
    'K-15: a partition that is %s while a fetch waits is read within fetchMaxWaitMs and a round trip',
    async (how) => {
      const clock = drivenClock()
      const broker = await on.start({ clock })
      broker.createTopic('t', { partitions: 2 })
      broker.createTopic('u')
      await on.produceNumbers('u', 0, 0, 1)
      const seen = new Seen()
      const consumer = on.consumer({ fetchMaxWaitMs: MAX_WAIT_MS })
      await consumer.assign(['t'], seen.take)
      const tp = { topic: 't', partition: 0 }
      await on.produceNumbers('t', 0, 0, 1)
      await seen.count(1)
      if (how === 'resumed') {
        consumer.pause([tp])
        await broker.saw({ api: 'Fetch', where: (request) => forgottenOf(bodyOf(request)).includes(0) })
        await on.produceNumbers('t', 0, 1, 1)
      }
      await broker.saw({ api: 'Fetch', count: broker.count({ api: 'Fetch' }) + 1 }) // It waits from now on.
      const startMs = clock.monotonicMs()
      if (how === 'resumed') consumer.resume([tp])
      else if (how === 'sought') consumer.seek(tp, 0)
      else await consumer.assign(['u'], seen.take)
      await seen.count(2)
      expect(clock.monotonicMs() - startMs).toBeLessThan(MAX_WAIT_MS + 100)
    },
  )

  it('K-23: an hour of idleness is polls and nothing else', async () => {
    const clock = drivenClock()
    clock.stepMs = 20
    const broker = await on.start({ clock })
    broker.createTopic('t', { partitions: 50 })
    const consumer = on.consumer({ fetchMaxWaitMs: 5_000 })
    await consumer.assign(['t'], () => {})
    await broker.saw({ api: 'Fetch', count: 2 })
    broker.forgetRequests()
    const untilMs = clock.monotonicMs() + 3_600_000
    while (clock.monotonicMs() < untilMs) await new Promise((resolve) => setImmediate(resolve))
    const counts = new Map<string, number>()
    for (const { api } of broker.requests({ clientId: 'reader' })) counts.set(api, (counts.get(api) ?? 0) + 1)
    const polls = counts.get('Fetch') ?? 0
    expect(polls).toBeGreaterThan(600)
    expect(polls).toBeLessThanOrEqual(720)
    for (const body of fetches())
      expect([partitionsOf(body), forgottenOf(body)], 'a poll names nothing').toEqual([[], []])
    counts.delete('Fetch')
    expect([...counts.keys()].filter((api) => api !== 'Metadata')).toEqual([])
    expect(counts.get('Metadata') ?? 0, 'every 5 minutes').toBeLessThanOrEqual(13)
  }, 60_000)
})
