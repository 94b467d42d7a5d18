/** Fetch: what is served, how long it waits, sessions, epochs; and ListOffsets. */
import { describe, expect, it } from 'vitest'
import { Fetch, Metadata } from '../../lib/protocol/index.js'
import { makeBatch, NOW } from './batches.js'
import { bench, type FetchSpec, turn } from './support.js'

const T = { topic: 't', partition: 0 }

describe('fetch', () => {
  const b = bench()

  async function filled(values: string[][] = [['a', 'b'], ['c'], ['d']]) {
    const client = await b.start()
    b.broker.createTopic('t', { partitions: 3 })
    for (const batch of values) await b.produce(client, { values: batch })
    return client
  }

  async function recordsBytes(client: Awaited<ReturnType<typeof filled>>, spec: FetchSpec) {
    const answer = await b.fetch(client, spec)
    return answer.responses[0]?.partitions[0]?.records?.length
  }

  const size = (values: string[]) => makeBatch({ values }).length

  it('answers from the batch that holds the offset; later batches are cut at the limit, the first one never', async () => {
    const client = await filled()
    const whole = size(['a', 'b']) + size(['c']) + size(['d'])
    expect(await recordsBytes(client, { offset: 1 })).toBe(whole)
    expect(await recordsBytes(client, { offset: 2 })).toBe(size(['c']) + size(['d']))
    expect(await recordsBytes(client, { offset: 0, partitionMaxBytes: 1 })).toBe(size(['a', 'b']))
    expect(await recordsBytes(client, { offset: 0, maxBytes: whole - 5 })).toBe(whole - 5)
    expect(await recordsBytes(client, { offset: 4 })).toBe(0)
  })

  it('only the first partition with records gets a batch that exceeds maxBytes', async () => {
    const client = await filled()
    await b.produce(client, { values: ['z'] }, { partition: 1 })
    const body = b.fetchBody({ maxBytes: 1 })
    const [topic] = body.topics
    const partitions = [0, 1].map((partition) => ({ ...topic?.partitions[0], partition }))
    const answer = await client.request(Fetch, 12, { ...body, topics: [{ ...topic, partitions } as never] })
    expect(answer.responses[0]?.partitions.map(({ records }) => records?.length)).toEqual([size(['a', 'b']), 0])
  })

  it('1 outside the log, with marks of -1', async () => {
    const client = await filled()
    b.broker.deleteRecords(T, 2)
    for (const offset of [0, 5]) {
      const [partition] = (await b.fetch(client, { offset })).responses[0]?.partitions ?? []
      expect(partition).toMatchObject({ errorCode: 1, highWatermark: -1, logStartOffset: -1 })
    }
    const [partition] = (await b.fetch(client, { offset: 2 })).responses[0]?.partitions ?? []
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 4, logStartOffset: 2 })
  })

  it('waits for minBytes, at most maxWaitMs, and wakes on an append', async () => {
    const client = await filled([])
    const producer = await b.connect(1)
    client.send(Fetch, 12, b.fetchBody({ maxWaitMs: 500 }))
    await b.broker.saw({ api: 'Fetch' })
    await b.produce(producer, { values: ['x'] })
    const woken = await client.receive(Fetch, 12)
    expect(woken.responses[0]?.partitions[0]?.records?.length).toBe(size(['x']))
    client.send(Fetch, 12, b.fetchBody({ maxWaitMs: 500, minBytes: 100_000 }))
    await b.broker.saw({ api: 'Fetch', count: 2 })
    await turn()
    b.clock.advance(500)
    expect((await client.receive(Fetch, 12)).responses[0]?.partitions[0]?.records?.length).toBe(size(['x']))
    expect(b.clock.pendingTimers).toBe(2) // the checks of producer and of offset ages
  })

  it('serves nothing above the high watermark', async () => {
    const client = await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[1, 2]] })
    b.broker.holdReplication(T)
    await b.produce(client, { values: ['a'] }, { acks: 1 })
    const [partition] = (await b.fetch(client)).responses[0]?.partitions ?? []
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 0, lastStableOffset: 0 })
    expect(partition?.records?.length).toBe(0)
  })

  it('leader epochs: 74 behind, 75 ahead, and where a log diverges', async () => {
    const client = await b.start({ nodes: 2 })
    b.broker.createTopic('t', { assignments: [[1, 2]] })
    await b.produce(client, { values: ['a', 'b'] })
    b.broker.moveLeader(T, 2)
    b.broker.moveLeader(T, 1)
    await b.produce(client, { values: ['c'] })
    const code = async (spec: FetchSpec) => (await b.fetch(client, spec)).responses[0]?.partitions[0]?.errorCode
    expect(await code({ currentLeaderEpoch: 1 })).toBe(74)
    expect(await code({ currentLeaderEpoch: 3 })).toBe(75)
    expect(await code({ currentLeaderEpoch: 2 })).toBe(0)
    const [same] = (await b.fetch(client, { offset: 2, lastFetchedEpoch: 0 })).responses[0]?.partitions ?? []
    expect(same).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: -1, endOffset: -1 } })
    const [gone] = (await b.fetch(client, { offset: 3, lastFetchedEpoch: 0 })).responses[0]?.partitions ?? []
    expect(gone).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: 0, endOffset: 2 } })
    expect(gone?.records?.length).toBe(0)
  })

  it('by topic id: 100 for an id nobody has', async () => {
    const client = await filled()
    const metadata = await client.request(Metadata, 12, { topics: [{ name: 't' }] })
    const topicId = metadata.topics[0]?.topicId as string
    const body = b.fetchBody({})
    const ask = async (id: string) => {
      const topics = body.topics.map((topic) => ({ ...topic, topicId: id }))
      return (await client.request(Fetch, 17, { ...body, topics })).responses[0]
    }
    expect((await ask(topicId))?.partitions[0]?.errorCode).toBe(0)
    b.broker.recreateTopic('t')
    expect((await ask(topicId))?.partitions[0]?.errorCode).toBe(100)
    expect((await ask(topicId))?.topicId).toBe(topicId)
  })

  describe('sessions (KIP-227)', () => {
    it('opens, answers news only, changes, forgets, closes', async () => {
      const client = await filled([['a']])
      const opened = await b.fetch(client, { sessionEpoch: 0 })
      expect(opened.sessionId).toBeGreaterThan(0)
      expect(opened.responses).toHaveLength(1)
      const session = opened.sessionId
      const nothing = { sessionId: session, topics: [], maxWaitMs: 0, minBytes: 1 }
      // The partition is still wanted from offset 0, so its record is news again.
      expect((await client.request(Fetch, 12, { ...nothing, sessionEpoch: 1 })).responses).toHaveLength(1)
      const moved = await b.fetch(client, { sessionId: session, sessionEpoch: 2, offset: 1 })
      expect(moved.responses).toEqual([])
      await b.produce(client, { values: ['b'] })
      const news = await client.request(Fetch, 12, { ...nothing, sessionEpoch: 3 })
      expect(news.responses[0]?.partitions[0]).toMatchObject({ partitionIndex: 0, highWatermark: 2 })
      const forgottenTopicsData = [{ topic: 't', partitions: [0] }]
      const forgotten = await client.request(Fetch, 12, { ...nothing, sessionEpoch: 4, forgottenTopicsData })
      expect(forgotten.responses).toEqual([])
      await client.request(Fetch, 12, { ...nothing, sessionEpoch: -1 })
      expect((await client.request(Fetch, 12, { ...nothing, sessionEpoch: 5 })).errorCode).toBe(70)
    })

    it('70 for an evicted session, 71 for a wrong epoch', async () => {
      const client = await filled([['a']])
      const { sessionId } = await b.fetch(client, { sessionEpoch: 0 })
      const ask = async (sessionEpoch: number) => (await b.fetch(client, { sessionId, sessionEpoch })).errorCode
      expect(await ask(2)).toBe(71)
      expect(await ask(1)).toBe(0)
      b.broker.evictSessions()
      expect(await ask(2)).toBe(70)
    })

    it('without a free slot the answer is full and carries session 0; an old session gives up its slot', async () => {
      const client = await b.start({ config: { 'max.incremental.fetch.session.cache.slots': 1 } })
      b.broker.createTopic('t')
      const first = await b.fetch(client, { sessionEpoch: 0 })
      expect(first.sessionId).toBeGreaterThan(0)
      expect((await b.fetch(client, { sessionEpoch: 0 })).sessionId).toBe(0)
      b.clock.advance(120_001)
      expect((await b.fetch(client, { sessionEpoch: 0 })).sessionId).toBeGreaterThan(0)
    })
  })

  it('ListOffsets: ends, times, the newest time', async () => {
    const client = await b.start()
    b.broker.createTopic('t')
    await b.produce(client, { values: ['a', 'b', 'c'], timestamps: [NOW - 30, NOW - 10, NOW - 20] })
    await b.produce(client, { values: ['d'], timestamp: NOW })
    expect(await b.listOffset(client, -1)).toMatchObject({ errorCode: 0, offset: 4, timestamp: -1 })
    expect(await b.listOffset(client, -2)).toMatchObject({ errorCode: 0, offset: 0 })
    expect(await b.listOffset(client, -3)).toMatchObject({ offset: 3, timestamp: NOW })
    expect(await b.listOffset(client, NOW - 15)).toMatchObject({ offset: 1, timestamp: NOW - 10, leaderEpoch: 0 })
    expect(await b.listOffset(client, NOW + 1)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
    b.broker.deleteRecords(T, 2)
    expect(await b.listOffset(client, -2)).toMatchObject({ offset: 2 })
    expect(await b.listOffset(client, NOW - 15)).toMatchObject({ offset: 3 })
    expect(await b.listOffset(client, -1, 7)).toMatchObject({ errorCode: 3 })
  })
})
