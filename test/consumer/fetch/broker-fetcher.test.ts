/** Fetching step by step: the test holds each request and decides what happens before it is answered. */
import { describe, expect, it } from 'vitest'
import { deferred, randomInt, seededRandom } from '../../../lib/util/index.js'
import { numbered, storedBatch } from '../batches.js'
import { HeldFetch, ScriptedCluster } from '../scripted-cluster.js'

const asText = (record: { partition: number; value: unknown }) => `${record.partition}:${String(record.value)}`

/** The one timer of a consumer that reads: it looks for stalls. */
const STALL_WATCH = 1

describe('BrokerFetcher', () => {
  it('C-1: one Fetch outstanding per broker; the next leaves when the answer arrived, not when it was processed', async () => {
    const cluster = new ScriptedCluster([1, 2])
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    const seen: string[] = []
    await cluster.consumer((record) => {
      seen.push(asText(record))
      return hanging
    })
    await cluster.advance(10)
    expect(cluster.held.map(({ brokerId }) => brokerId)).toEqual([1, 2])
    cluster.held[0]?.answer({ 0: { records: numbered(0, 2) } })
    await cluster.turn()
    expect(cluster.held).toHaveLength(3)
    expect([cluster.last.brokerId, cluster.last.session, cluster.last.asked]).toEqual([1, '7/1', ['0@2']])
    expect(seen).toEqual(['0:0'])
    release()
    await cluster.turn()
    expect(seen).toEqual(['0:0', '0:1'])
  })
  it('C-13: an answer to an older position is dropped, and the position it seeks to is fetched', async () => {
    const cluster = new ScriptedCluster([1])
    const seen: string[] = []
    const consumer = await cluster.consumer((record) => void seen.push(asText(record)))
    consumer.seek({ topic: 't', partition: 0 }, 50)
    cluster.last.answer({ 0: { records: numbered(0, 5) } })
    await cluster.turn()
    expect([seen, cluster.last.asked, consumer.getMetrics().staleAnswers]).toEqual([[], ['0@50'], 1])
    cluster.last.answer({ 0: { records: numbered(50, 1) } })
    await cluster.turn()
    expect(seen).toEqual(['0:50'])
  })
  it('C-13: an answer for a partition that was given up meanwhile is dropped', async () => {
    const cluster = new ScriptedCluster([1, 1])
    const seen: string[] = []
    const consumer = await cluster.consumer((record) => void seen.push(asText(record)))
    consumer.unassign([{ topic: 't', partition: 0 }])
    cluster.last.answer({ 0: { records: numbered(0, 2) }, 1: { records: numbered(0, 2) } })
    await cluster.turn()
    expect(seen).toEqual(['1:0', '1:1'])
    expect(cluster.last.body.forgottenTopicsData?.map(({ partitions }) => partitions)).toEqual([[0]])
  })
  it('CO-7, C-13: data of a partition paused during the fetch is kept, and delivered when resumed', async () => {
    const cluster = new ScriptedCluster([1])
    const seen: string[] = []
    const consumer = await cluster.consumer((record) => void seen.push(asText(record)))
    consumer.pause(['t'])
    cluster.last.answer({ 0: { records: numbered(0, 3) } })
    await cluster.turn()
    expect([seen, cluster.held.length]).toEqual([[], 1])
    consumer.resume(['t'])
    await cluster.turn()
    expect([seen, cluster.last.asked]).toEqual([['0:0', '0:1', '0:2'], ['0@3']])
  })
  it.each([
    [70, '0/0'],
    [71, '7/0'],
    [106, '7/0'],
  ])(
    'C-2, C-4: %i over the whole answer starts a full session at once, no position moves',
    async (errorCode, session) => {
      const cluster = new ScriptedCluster([1, 1])
      await cluster.consumer(() => {})
      cluster.last.answer({ 0: { records: numbered(0, 4) } })
      await cluster.turn()
      cluster.last.answer({}, { errorCode, sessionId: 0 })
      await cluster.turn()
      expect([cluster.held.length, cluster.last.session, [...cluster.last.asked].sort()]).toEqual([
        3,
        session,
        ['0@4', '1@0'],
      ])
    },
  )
  it('C-4: an empty answer with throttle time is no error, the session goes on', async () => {
    const cluster = new ScriptedCluster([1])
    await cluster.consumer(() => {})
    cluster.last.answer({}, { throttleTimeMs: 500 })
    await cluster.turn()
    expect(cluster.last.session).toBe('7/1')
  })
  it('C-2: after a broken connection the next request waits, is full, and its credit is given back once', async () => {
    const cluster = new ScriptedCluster([1])
    const consumer = await cluster.consumer(() => {})
    cluster.last.answer()
    await cluster.turn()
    cluster.last.fail()
    await cluster.turn()
    expect([cluster.held.length, consumer.getMetrics().prefetchBytes, cluster.refreshes]).toEqual([2, 0, 1])
    await cluster.advance(100)
    expect([cluster.held.length, cluster.last.session, cluster.last.asked]).toEqual([3, '7/0', ['0@0']])
  })
  it('C-14: a served partition is named last by the next full request', async () => {
    const cluster = new ScriptedCluster([1, 1, 1])
    await cluster.consumer(() => {})
    expect(cluster.last.asked).toEqual(['0@0', '1@0', '2@0'])
    cluster.last.answer({ 0: { records: numbered(0, 1) } }, { sessionId: 0 })
    await cluster.turn()
    expect(cluster.last.asked).toEqual(['1@0', '2@0', '0@1'])
    cluster.last.answer({ 1: { records: numbered(0, 1) } }, { sessionId: 0 })
    await cluster.turn()
    expect(cluster.last.asked).toEqual(['2@0', '0@1', '1@1'])
  })
  it('C-15: brokers share one sum; who finds too little is asked when bytes were processed', async () => {
    const cluster = new ScriptedCluster([1, 2])
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    const limits = { prefetchBytes: 100_000, maxPartitionFetchBytes: 100_000 }
    const consumer = await cluster.consumer(() => hanging, limits)
    expect(cluster.held.map(({ brokerId }) => brokerId)).toEqual([1])
    expect(consumer.getMetrics().prefetchBytes).toBeLessThanOrEqual(100_000)
    cluster.last.answer({ 0: { records: numbered(0, 2) } })
    await cluster.turn()
    expect(consumer.getMetrics().prefetchBytes).toBeLessThanOrEqual(100_000)
    expect(cluster.held.some(({ brokerId }) => brokerId === 2)).toBe(true)
    release()
  })
  it.each([1, 2, 3])(
    'C-15: four brokers, answers and callbacks in the order of seed %i: what is asked for and not processed stays below',
    async (seed) => {
      const random = seededRandom(seed)
      const limit = 300_000
      const cluster = new ScriptedCluster([1, 2, 3, 4, 1, 2, 3, 4])
      const running: (() => void)[] = []
      let unprocessed = 0
      const limits = { prefetchBytes: limit, maxPartitionFetchBytes: 50_000, concurrency: 8 }
      await cluster.consumer((record) => {
        const { promise, resolve } = deferred<void>()
        running.push(() => {
          unprocessed -= record.value?.length ?? 0
          resolve()
        })
        return promise
      }, limits)
      const answered = new Set<HeldFetch>()
      const open = () => cluster.held.filter((one) => !answered.has(one))
      const positions = new Map<number, number>()
      let most = 0
      let got = 0
      const judge = () => {
        const asked = open().reduce((sum, { body }) => sum + (body.maxBytes ?? 0), 0)
        most = Math.max(most, asked + unprocessed)
      }
      for (let step = 0; step < 400; step++) {
        const requests = open()
        const request = requests[randomInt(random, Math.max(1, requests.length))]
        if (request !== undefined && randomInt(random, 2) === 0) {
          answered.add(request)
          const partition = request.brokerId - 1 + 4 * randomInt(random, 2)
          const from = positions.get(partition) ?? 0
          const value = 'x'.repeat(Math.min(request.body.maxBytes ?? 0, 45_000) - 200)
          const records = storedBatch({ baseOffset: from, values: [value] })
          const isWanted = request.asked.includes(`${partition}@${from}`)
          request.answer(isWanted ? { [partition]: { records, highWatermark: 1_000 } } : {}, { sessionId: 0 })
          if (isWanted) {
            positions.set(partition, from + 1)
            unprocessed += value.length
            got += value.length
          }
        } else running.splice(randomInt(random, Math.max(1, running.length)), 1)[0]?.()
        await cluster.turn()
        judge()
      }
      expect(most).toBeLessThanOrEqual(limit)
      expect(most, 'and it is made use of').toBeGreaterThan(limit * 0.8)
      expect(got).toBeGreaterThan(10 * limit)
    },
  )
  it('C-5: a batch that was cut at the end of an answer is asked for again where it begins, and comes once', async () => {
    const cluster = new ScriptedCluster([1])
    const seen: string[] = []
    await cluster.consumer((record) => void seen.push(asText(record)))
    const cut = numbered(2, 3)
    for (const bytes of [1, 11, 60, 61, cut.length - 1]) {
      const whole = bytes === 1 ? numbered(0, 2) : Buffer.alloc(0)
      cluster.last.answer({ 0: { records: Buffer.concat([whole, cut.subarray(0, bytes)]) } })
      await cluster.advance(1_000)
      expect(seen).toEqual(['0:0', '0:1'])
      expect(
        cluster.last.asked.filter((place) => place !== '0@2'),
        'it need not be named again',
      ).toEqual([])
    }
    cluster.last.answer({ 0: { records: cut } })
    await cluster.turn()
    expect([seen, cluster.last.asked]).toEqual([['0:0', '0:1', '0:2', '0:3', '0:4'], ['0@5']])
  })
  it('C-6, C-15: what comes above every limit is delivered, and counts as what it is until it was processed', async () => {
    const cluster = new ScriptedCluster([1])
    const { promise, resolve } = deferred<void>()
    const sizes: number[] = []
    const limits = { prefetchBytes: 20_000, fetchMaxBytes: 5_000, maxPartitionFetchBytes: 5_000 }
    const consumer = await cluster.consumer((record) => {
      sizes.push(record.value?.length ?? -1)
      return promise
    }, limits)
    const records = storedBatch({ baseOffset: 0, values: ['x'.repeat(100_000)] })
    cluster.last.answer({ 0: { records } })
    await cluster.turn()
    expect([sizes, cluster.held.length]).toEqual([[100_000], 1])
    expect(consumer.getMetrics().prefetchBytes).toBe(records.length)
    resolve()
    await cluster.turn()
    expect(cluster.held.length).toBe(2)
    expect(consumer.getMetrics().prefetchBytes).toBe(cluster.last.body.maxBytes)
  })
  it('C-20, W-26: a leader hint moves the partition at once, without back-off; what is buffered is kept', async () => {
    const cluster = new ScriptedCluster([1])
    const seen: string[] = []
    await cluster.consumer((record) => void seen.push(asText(record)))
    cluster.last.answer({ 0: { records: numbered(0, 2) } })
    await cluster.turn()
    cluster.last.answer({ 0: { errorCode: 6, currentLeader: { leaderId: 2, leaderEpoch: 5 } } })
    await cluster.turn()
    expect([cluster.last.brokerId, cluster.last.asked, cluster.refreshes]).toEqual([2, ['0@2'], 0])
    expect(cluster.last.body.topics[0]?.partitions[0]?.currentLeaderEpoch).toBe(5)
    expect(seen).toEqual(['0:0', '0:1'])
  })
  it('C-20: an answer of the old leader that comes after the move is used once', async () => {
    const cluster = new ScriptedCluster([1])
    const seen: string[] = []
    await cluster.consumer((record) => void seen.push(asText(record)))
    const old = cluster.last
    cluster.move([2], 1)
    await cluster.turn()
    expect(cluster.last.brokerId).toBe(2)
    const fresh = cluster.last
    old.answer({ 0: { records: numbered(0, 2) } })
    await cluster.turn()
    fresh.answer({ 0: { records: numbered(0, 2) } })
    await cluster.turn()
    expect([seen, cluster.last.asked]).toEqual([['0:0', '0:1'], ['0@2']])
  })
  it('C-17: the replica a leader names is asked for metadataMaxAgeMs, then the leader again', async () => {
    const cluster = new ScriptedCluster([1])
    const seen: string[] = []
    await cluster.consumer((record) => void seen.push(asText(record)), { rackId: 'r2', metadataMaxAgeMs: 5_000 })
    cluster.last.answer({ 0: { preferredReadReplica: 3 } })
    await cluster.turn()
    expect([cluster.last.brokerId, cluster.last.asked]).toEqual([3, ['0@0']])
    cluster.last.answer({ 0: { records: numbered(0, 1) } })
    await cluster.turn()
    expect(seen).toEqual(['0:0'])
    await cluster.advance(5_000)
    cluster.last.answer({ 0: {} })
    await cluster.turn()
    expect([cluster.last.brokerId, cluster.last.asked]).toEqual([1, ['0@1']])
  })
  it.each([1, 6, 9])(
    'C-18, K-19: error %i of a follower leads back to the leader, never to a reset',
    async (errorCode) => {
      const cluster = new ScriptedCluster([1])
      const resets: unknown[] = []
      const consumer = await cluster.consumer(() => {}, { rackId: 'r2' })
      consumer.on('reset', (event) => resets.push(event))
      cluster.last.answer({ 0: { preferredReadReplica: 3 } })
      await cluster.turn()
      cluster.last.answer({ 0: { errorCode } })
      await cluster.turn()
      // The session with the leader never forgot the partition, so it need not be named again.
      expect([cluster.last.brokerId, cluster.last.asked, resets, cluster.listOffsets]).toEqual([1, [], [], 0])
    },
  )
  it('C-17: a replica that cannot be reached is left for the leader', async () => {
    const cluster = new ScriptedCluster([1])
    cluster.link(3).isReady = false
    await cluster.consumer(() => {}, { rackId: 'r2', connection: { dialTimeoutMs: 700 } })
    cluster.last.answer({ 0: { preferredReadReplica: 3 } })
    await cluster.turn()
    const requests = cluster.held.length
    expect(cluster.link(3).connects).toBeGreaterThan(0)
    await cluster.advance(700)
    expect([cluster.held.length, cluster.last.brokerId]).toEqual([requests + 1, 1])
  })
  it('CO-12: a partition that waits for room and makes progress shortens the wait of the others', async () => {
    const cluster = new ScriptedCluster([1, 1])
    const limits = { prefetchBytes: 262_144, maxPartitionFetchBytes: 65_536, fetchMaxWaitMs: 500 }
    const releases: (() => void)[] = []
    await cluster.consumer(
      (record) => (record.partition === 0 ? new Promise<void>((go) => releases.push(go)) : undefined),
      limits,
    )
    const large = Buffer.concat(Array.from({ length: 8 }, (_, index) => numbered(index * 1_000, 1_000)))
    cluster.last.answer({ 0: { records: large } })
    await cluster.turn()
    const waits = [cluster.last.limitMs]
    for (const isProcessed of [false, true, false]) {
      if (isProcessed) releases.shift()?.()
      await cluster.turn()
      cluster.last.answer()
      await cluster.turn()
      waits.push(cluster.last.limitMs)
    }
    expect(waits, 'without progress no short polls').toEqual([10, 500, 10, 500])
  })
  it('CO-17: close ends the session with epoch -1 and sends nothing after it', async () => {
    const cluster = new ScriptedCluster([1])
    const consumer = await cluster.consumer(() => {})
    cluster.last.answer()
    await cluster.turn()
    const outstanding = cluster.last
    const closing = consumer.close()
    await cluster.turn()
    expect(cluster.last.session).toBe('7/-1')
    const requests = cluster.held.length
    outstanding.answer({ 0: { records: numbered(0, 5) } })
    cluster.last.answer()
    await closing
    await cluster.turn()
    expect([cluster.held.length, consumer.state, cluster.clock.pendingTimers]).toEqual([requests, 'closed', 0])
    expect(cluster.last).toBeInstanceOf(HeldFetch)
  })
  it('CO-13, C-38: the lag of a paused partition stays current, and its timer ends with the pause', async () => {
    const cluster = new ScriptedCluster([1])
    const consumer = await cluster.consumer(() => {})
    cluster.last.answer({ 0: { records: numbered(0, 2), highWatermark: 2 } })
    await cluster.turn()
    expect(consumer.getMetrics().lag).toBe(0)
    consumer.pause(['t'])
    cluster.end = 42
    await cluster.advance(5_000)
    expect([consumer.getMetrics().lag, cluster.listOffsets]).toEqual([40, 1])
    consumer.resume(['t'])
    await cluster.advance(5_000)
    await cluster.advance(20_000)
    expect([cluster.listOffsets, cluster.clock.pendingTimers]).toEqual([1, STALL_WATCH])
  })
  it.each([
    ['read_committed', 50, 'the last stable offset'],
    ['read_uncommitted', 90, 'the high watermark'],
  ] as const)('C-38, C-11: with %s the lag is %i, counted to %s', async (isolationLevel, lag, _end) => {
    const cluster = new ScriptedCluster([1])
    const consumer = await cluster.consumer(() => {}, { isolationLevel })
    const end = { highWatermark: 100, lastStableOffset: 60 }
    cluster.last.answer({ 0: { records: numbered(0, 10), ...end } })
    await cluster.turn()
    expect(consumer.getMetrics()).toMatchObject({ lag, lagByPartition: { 't-0': lag } })
    cluster.last.answer({ 0: { ...end, highWatermark: 110, lastStableOffset: 70 } }) // No records: only the end moved.
    await cluster.turn()
    expect(consumer.getMetrics().lag).toBe(lag + 10)
  })
  it('K-23: an idle consumer has a request outstanding and no timer but the look for stalls, every 10 s', async () => {
    const cluster = new ScriptedCluster([1, 2])
    await cluster.consumer(() => {})
    await cluster.advance(60_000)
    expect([cluster.held.length, cluster.clock.pendingTimers]).toEqual([2, STALL_WATCH])
  })
})
