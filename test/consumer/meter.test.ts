/** What a consumer tells of itself: snapshots, running totals, errors; and that making one costs nothing. */
import { createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { resolveConfig, resolveConsumerConfig } from '../../lib/config/index.js'
import { Consumer, type ConsumerMeasures } from '../../lib/consumer/index.js'
import { ConsumerMeter } from '../../lib/consumer/meter.js'
import { MQError } from '../../lib/errors/index.js'
import { Emitter, FakeClock, LATENCY_SECONDS, silentLogger } from '../../lib/util/index.js'
import { bench, Seen } from './support.js'

const on = bench()

const codesOf = ({ errors }: ConsumerMeasures) => Object.fromEntries(errors)

async function errorOf(task: () => unknown): Promise<unknown> {
  try {
    await task()
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

describe('getMetrics', () => {
  it('ME-4: counts records and bytes, shows offsets and lag by topic-partition', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 5)
    await on.produceNumbers('t', 1, 0, 3)
    const consumer = on.consumer({ groupId: 'g' })
    const seen = new Seen()
    await consumer.subscribe('t', seen.take)
    await seen.count(8)
    await consumer.commit()
    const metrics = consumer.getMetrics()
    expect(metrics).toMatchObject({
      totalMessages: 8,
      lag: 0,
      currentOffset: { 't-0': 5, 't-1': 3 },
      lastCommittedOffset: { 't-0': 5, 't-1': 3 },
    })
    expect(metrics.totalBytes, 'eight small records in two batches').toBeGreaterThan(2 * 61)
    expect(metrics.messagesPerSecond).toBeGreaterThan(0)
    expect(metrics.bytesPerSecond).toBeGreaterThan(0)
  })

  it('ME-4: resetMetrics begins the totals at 0 again; offsets and running totals stay', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    const consumer = on.consumer({ groupId: 'g' })
    const seen = new Seen()
    await on.produceNumbers('t', 0, 0, 5)
    await consumer.subscribe('t', seen.take)
    await seen.count(5)
    await consumer.commit()
    const before = consumer.measures()
    consumer.resetMetrics()
    expect(consumer.getMetrics()).toMatchObject({
      totalMessages: 0,
      totalBytes: 0,
      messagesPerSecond: 0,
      bytesPerSecond: 0,
      fetches: 0,
      commits: 0,
      rebalances: 0,
      currentOffset: { 't-0': 5 },
      lastCommittedOffset: { 't-0': 5 },
    })
    await on.produceNumbers('t', 0, 5, 2)
    await seen.count(7)
    expect(consumer.getMetrics().totalMessages).toBe(2)
    expect([before.records, consumer.measures().records]).toEqual([5, 7])
    expect(consumer.measures().bytes).toBeGreaterThan(before.bytes)
  })

  it('ME-4: rates are those of the last ten seconds, credited to when the records were processed', () => {
    const clock = new FakeClock()
    const made = new ConsumerMeter(true, clock, new Emitter())
    const reading = { cursors: [], running: 0, fetcher: { credit: { usedBytes: 0 } } } as never
    const rates = () => {
      const now = { groupState: 'unsubscribed', memberId: '', generation: -1 } as const
      const { messagesPerSecond, bytesPerSecond } = made.metrics(reading, now)
      return [messagesPerSecond, bytesPerSecond]
    }
    clock.advance(20_000)
    made.counters.records += 50
    made.counters.bytes += 1_000
    made.sample(clock.monotonicMs())
    clock.advance(5_000)
    made.sample(clock.monotonicMs()) // A slice in which nothing was processed.
    expect(rates()).toEqual([5, 100])
    clock.advance(3_600_000)
    expect(rates(), 'an hour later').toEqual([0, 0])
    made.counters.records += 10
    expect(rates()[0], 'just now, not sampled yet').toBeGreaterThan(0)
    made.reset()
    expect(rates()).toEqual([0, 0])
  })
})

describe('measures', () => {
  it('ME-1: has every series: totals, partitions, rebalances, commits, times', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 4)
    const consumer = on.consumer({ groupId: 'g' })
    const seen = new Seen()
    await consumer.subscribe('t', seen.take)
    await seen.count(4)
    await consumer.commit()
    const measures = consumer.measures()
    expect(measures).toMatchObject({
      records: 4,
      dedupHits: 0,
      errorActions: { retry: 0, skip: 0, dlq: 0, stop: 0 },
      rebalances: { assigned: 1, revoked: 0, lost: 0 },
      commits: 1,
      commitFailures: 0,
      runningCallbacks: 0,
      prefetchBytes: expect.any(Number),
    })
    const byPartition = [...measures.partitions].sort((a, b) => a.partition - b.partition)
    expect(byPartition).toEqual([
      { topic: 't', partition: 0, lag: 0, position: 4, committed: 4 },
      { topic: 't', partition: 1, lag: expect.any(Number), position: 0, committed: expect.any(Number) },
    ])
    expect(measures.callbackSeconds.count).toBe(4)
    expect(measures.fetchSeconds.bounds).toBe(LATENCY_SECONDS)
    expect(measures.fetchSeconds.count).toBeGreaterThan(0)
    expect(measures.fetchSeconds.sum).toBeGreaterThan(0)
    await consumer.unsubscribeAll()
    expect(consumer.measures()).toMatchObject({ partitions: [], rebalances: { assigned: 1, revoked: 1, lost: 0 } })
  })

  it('ME-1: partitions that are lost count as lost, with the error that took them', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    await on.produceNumbers('t', 0, 0, 1)
    const consumer = on.consumer({ groupId: 'g', heartbeatIntervalMs: 20 })
    const lost = new Promise((resolve) => consumer.on('lost', resolve))
    await consumer.subscribe('t', () => {})
    broker.on({ api: 'Heartbeat', times: 1 }, fault.error(25))
    await lost
    expect(consumer.measures().rebalances.lost).toBe(1)
    expect(codesOf(consumer.measures())).toEqual({ UNKNOWN_MEMBER_ID: 1 })
  })

  it('ME-1: with metrics.enabled false times are empty, counts are there', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    await on.produceNumbers('t', 0, 0, 3)
    const consumer = on.consumer({ metrics: { enabled: false } })
    const seen = new Seen()
    await consumer.assign(['t'], seen.take)
    await seen.count(3)
    const { records, callbackSeconds, fetchSeconds } = consumer.measures()
    expect([records, callbackSeconds.count, fetchSeconds.count]).toEqual([3, 0, 0])
  })

  it('ME-1: a callback that has not ended is running', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    await on.produceNumbers('t', 0, 0, 1)
    const consumer = on.consumer()
    let end = () => {}
    const called = new Promise<void>((begun) => {
      void consumer.assign(['t'], () => {
        begun()
        return new Promise<void>((resolve) => {
          end = resolve
        })
      })
    })
    await called
    expect(consumer.measures().runningCallbacks).toBe(1)
    end()
    await consumer.close()
    expect(consumer.measures()).toMatchObject({ runningCallbacks: 0, records: 1 })
    expect(consumer.measures().callbackSeconds.count).toBe(1)
  })
})

describe('errors_total', () => {
  it('ME-1: every call that fails counts by its code, whichever it is', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    const consumer = on.consumer()
    const tp = { topic: 't', partition: 7 }
    const calls: [string, () => unknown][] = [
      ['INVALID_CONFIG', () => consumer.subscribe('t', undefined as never)],
      ['MISSING_CONFIG', () => consumer.subscribe('t', () => {})],
      ['MISSING_CONFIG', () => consumer.subscribeBatch('t', () => {})],
      ['INVALID_CONFIG', () => consumer.subscribePattern('t' as never)],
      ['INVALID_TOPIC', () => consumer.assign(['..'])],
      ['INVALID_CONFIG', () => consumer.assignBatch(['t'], 7 as never)],
      ['INVALID_CONFIG', () => consumer.read()],
      ['INVALID_CONFIG', () => consumer.read({ timeoutMs: -1 })],
      ['INVALID_CONFIG', () => consumer.readBatch(0)],
      ['INVALID_CONFIG', () => consumer[Symbol.asyncIterator]().next()],
      ['INVALID_PARTITION', () => consumer.pause([tp])],
      ['INVALID_PARTITION', () => consumer.resume([tp])],
      ['INVALID_PARTITION', () => consumer.seek(tp, 0)],
      ['INVALID_PARTITION', () => consumer.seekToBeginning([tp])],
      ['INVALID_PARTITION', () => consumer.seekToEnd([tp])],
      ['INVALID_OFFSET', () => consumer.seekToTimestamp([tp], -1)],
      ['INVALID_PARTITION', () => consumer.position(tp)],
      ['INVALID_PARTITION', () => consumer.getCurrentOffset(tp)],
      ['MISSING_CONFIG', () => consumer.getCommittedOffset(tp)],
      ['MISSING_CONFIG', () => consumer.committed([tp])],
      ['MISSING_CONFIG', () => consumer.commit()],
      ['INVALID_OFFSET', () => consumer.commitOffset(tp)],
      ['MISSING_CONFIG', () => consumer.commitOffsets([])],
      ['INVALID_CONFIG', () => consumer.close({ timeoutMs: -1 })],
    ]
    const expected: Record<string, number> = {}
    for (const [code, call] of calls) {
      expect(await errorOf(async () => call()), String(call)).toMatchObject({ code })
      expected[code] = (expected[code] ?? 0) + 1
      expect(codesOf(consumer.measures()), String(call)).toEqual(expected)
    }
    await consumer.close()
    for (const call of [() => consumer.unassign(), () => consumer.unsubscribe('t'), () => consumer.unsubscribeAll()])
      expect(await errorOf(async () => call())).toMatchObject({ code: 'CONSUMER_CLOSED' })
    expect(await errorOf(() => consumer.read())).toMatchObject({ code: 'CONSUMER_CLOSED' })
    expect(codesOf(consumer.measures()).CONSUMER_CLOSED).toBe(4)
  })

  it('ME-1: what ends delivery is an event, rejects run() and every reader, and counts once', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    await on.produceNumbers('t', 0, 0, 1)
    const consumer = on.consumer({ onError: 'stop' })
    const events: MQError[] = []
    consumer.on('error', (error) => events.push(error))
    await consumer.assign(['t'], () => {
      throw new Error('no')
    })
    const ended = await errorOf(() => consumer.run())
    expect(ended).toBe(events[0])
    expect(await errorOf(() => consumer.read())).toBe(ended)
    expect(codesOf(consumer.measures())).toEqual({ CONSUME_FAILED: 1 })
    expect(consumer.measures().errorActions).toEqual({ retry: 0, skip: 0, dlq: 0, stop: 1 })
  })

  it('ME-1: whoever waits when the consumer closes is told, and it counts; the reason of a signal is not ours', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    const consumer = on.consumer()
    await consumer.assign(['t'])
    const reason = new Error('mine')
    expect(await errorOf(() => consumer.read({ signal: AbortSignal.abort(reason) }))).toBe(reason)
    const waiting = errorOf(() => consumer.read())
    await consumer.close()
    expect(await waiting).toBeInstanceOf(MQError)
    expect(codesOf(consumer.measures())).toEqual({ CONSUMER_CLOSED: 1 })
  })

  it('ME-1: failed callbacks count by what was done about them', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    await on.produceNumbers('t', 0, 0, 2)
    const consumer = on.consumer({ onError: 'skip' })
    const told: MQError[] = []
    const both = new Promise<void>((resolve) => {
      consumer.on('error', (error) => told.push(error) === 2 && resolve())
    })
    await consumer.assign(['t'], () => {
      throw new Error('no')
    })
    await both
    expect(consumer.measures().errorActions.skip).toBe(2)
    expect(codesOf(consumer.measures())).toEqual({ CONSUME_FAILED: 2 })
  })
})

describe('constructing a consumer', () => {
  it('FA-1: takes a resolved configuration as it is', async () => {
    const { consumer: config } = resolveConfig({ logger: silentLogger, consumer: { groupId: 'g' } })
    const consumer = new Consumer(config)
    expect(consumer.config).toBe(config)
    await consumer.close()
    const alone = resolveConsumerConfig({ logger: silentLogger })
    const other = new Consumer(alone)
    expect(other.config).toBe(alone)
    await other.close()
  })

  it('FA-1: opens no socket and sets no timer until something is asked of it', async () => {
    const sockets: Socket[] = []
    const server = createServer((socket) => sockets.push(socket))
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
    })
    const clock = new FakeClock()
    const config = resolveConsumerConfig({ brokers: `127.0.0.1:${port}`, groupId: 'g', logger: silentLogger })
    const consumers = Array.from({ length: 100 }, () => new Consumer(config, { clock }))
    for (const consumer of consumers) {
      consumer.getMetrics()
      consumer.measures()
      consumer.resetMetrics()
    }
    expect(clock.pendingTimers).toBe(0)
    for (const consumer of consumers) await consumer.close()
    await new Promise((resolve) => server.close(resolve))
    expect(sockets).toEqual([])
  })
})
