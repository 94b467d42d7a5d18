/** What metrics read: every series of features.md part 5 that a producer feeds. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { ProducerMeasures } from '../../lib/producer/index.js'
import type { Buckets } from '../../lib/util/index.js'
import { codeOf, newProducer, stage, turns, until } from './support.js'

const VALUE = 'x'.repeat(1000)

/** Counts by upper bound; the last one stands for everything above. */
const filled = ({ bounds, counts }: Buckets) =>
  [...counts].map((count, at) => [bounds[at] ?? Number.POSITIVE_INFINITY, count]).filter(([, count]) => count !== 0)

const conserved = ({ accepted, acknowledged, failed, dropped, pending }: ProducerMeasures) =>
  accepted - acknowledged - failed - dropped - pending

describe('measures', () => {
  it('ME-1, PR-22: records, batches, bytes and ratios of what was acknowledged', async () => {
    const { producer } = await stage({ compression: 'lz4' }, { partitions: 2 })
    for (let n = 0; n < 10; n++) producer.sendAsync('orders', VALUE, { partition: 0 })
    await producer.flush()
    await producer.sendSync('orders', 'small', { partition: 1 })
    const measures = producer.measures()
    expect(measures).toMatchObject({ accepted: 11, acknowledged: 11, failed: 0, dropped: 0, pending: 0, batches: 2 })
    expect(measures.acceptedBytes).toBe(10 * 1001 + 6)
    expect(filled(measures.batchRecords)).toEqual([
      [1, 1],
      [10, 1],
    ])
    expect(measures.batchBytes.count).toBe(2)
    const ratios = [...measures.compressionRatios].map(([codec, buckets]) => [codec, filled(buckets)])
    expect(ratios.toSorted()).toEqual([
      ['lz4', [[0.1, 1]]],
      ['none', [[1, 1]]],
    ])
    expect(measures.lanes).toMatchObject({ writes: 11, writeFailures: 0, reads: 11, readFailures: 0, switches: 2 })
    expect(measures.lanes.writtenBytes).toBe(measures.acceptedBytes)
    expect(measures.lanes.readBytes).toBeGreaterThan(10_000)
    expect(measures.lanes.allocations).toBeGreaterThan(0)
    expect(measures.lanes.switchSeconds.count).toBe(2)
  })

  it('ME-1: latencies in seconds: append to acknowledgement per record, wire to answer per request', async () => {
    const { broker, producer } = await stage({}, {})
    await producer.sendSync('orders', 'opens')
    const slow = broker.on({ api: 'Produce' }, fault.delay(400))
    for (let n = 0; n < 5; n++) producer.sendAsync('orders', VALUE)
    await producer.flush()
    slow.remove()
    const { produceSeconds, requestSeconds } = producer.measures()
    expect([produceSeconds.count, requestSeconds.count]).toEqual([6, 2])
    expect(filled(produceSeconds).at(-1)).toEqual([0.5, 5])
    expect(filled(requestSeconds).at(-1)).toEqual([0.5, 1])
    expect(produceSeconds.sum).toBeGreaterThan(2)
    expect(produceSeconds.sum).toBeLessThan(2.6)
  })

  it('ME-1: what is active, in flight and in memory now, and 0 when drained', async () => {
    const { broker, producer } = await stage({ compression: 'none', lingerMs: 60_000 }, { partitions: 2 })
    for (const partition of [0, 1]) await producer.sendSync('orders', 'opens', { partition })
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held', { partition: 0 })
    await broker.hit(held)
    for (let n = 0; n < 6; n++) producer.sendAsync('orders', VALUE, { partition: n % 2 })
    const busy = producer.measures()
    expect(busy).toMatchObject({ pending: 7, inFlightBatches: 1, inFlightRequests: 1 })
    expect(busy.lanes.activeRecords).toBe(6)
    expect(busy.lanes.activeBytes).toBeGreaterThan(6000)
    expect(busy.bufferUsedBytes).toBeGreaterThan(0)
    expect(conserved(busy)).toBe(0)
    const stats = producer.channelStats()
    expect(stats).toMatchObject({ activeRecords: 6, sealedBuffers: 0, switches: 3, waiters: 0 })
    held.release()
    await producer.flush()
    const idle = producer.measures()
    expect(idle).toMatchObject({ pending: 0, inFlightBatches: 0, inFlightRequests: 0, bufferUsedBytes: 0 })
    expect(idle.lanes).toMatchObject({ activeRecords: 0, activeBytes: 0 })
    expect(producer.channelStats()).toMatchObject({ activeRecords: 0, activeBytes: 0, sealedBytes: 0 })
  })

  it('ME-1: retries by reason; a batch that is retried or split is handed over once', async () => {
    const { broker, producer } = await stage({ compression: 'none' })
    await producer.sendSync('orders', 'opens')
    const once = { api: 'Produce', nth: 1, times: 1 }
    for (const what of [fault.error(6), fault.error(6), fault.error(19), fault.drop('before'), fault.error(10)]) {
      const handle = broker.on(once, what)
      for (let n = 0; n < 4; n++) producer.sendAsync('orders', VALUE)
      await broker.hit(handle)
      await producer.flush()
    }
    const { retries, lanes, acknowledged } = producer.measures()
    expect(Object.fromEntries(retries)).toEqual({
      NOT_LEADER_OR_FOLLOWER: 2,
      NOT_ENOUGH_REPLICAS: 1,
      connection: 1,
    })
    expect(producer.getMetrics().retries).toBe(4)
    expect([lanes.reads, acknowledged]).toEqual([21, 21])
  })

  it('ME-1: a request that is not answered in time is a retry for reason of a time-out', async () => {
    const connection = { readTimeoutMs: 100 }
    const { broker, producer } = await stage({ requestTimeoutMs: 200, deliveryTimeoutMs: 60_000, connection })
    await producer.sendSync('orders', 'opens')
    const deaf = broker.on({ api: 'Produce', nth: 1, times: 1 }, fault.blackhole())
    await producer.sendSync('orders', 'v')
    expect(deaf.hits).toBe(1)
    expect(Object.fromEntries(producer.measures().retries)).toEqual({ timeout: 1 })
  })

  it('ME-1: refused records, errors by code, each told once however many records it hit', async () => {
    const { broker, producer } = await stage()
    producer.on('error', () => {})
    await producer.sendSync('orders', 'opens')
    producer.sendAsync('orders', 'x'.repeat(2e6))
    expect(await codeOf(producer.sendSync('orders', 'v', { partition: 9 }))).toBe('INVALID_PARTITION')
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'v', partition: 9 }, { value: 'v' }] })
    broker.on({ api: 'Produce', nth: 1 }, fault.error(29))
    for (let n = 0; n < 5; n++) producer.sendAsync('orders', VALUE, () => {})
    await producer.flush()
    const { errors, lanes, failed, accepted } = producer.measures()
    expect(Object.fromEntries(errors)).toEqual({ MESSAGE_TOO_LARGE: 1, INVALID_PARTITION: 2, AUTHORIZATION_FAILED: 1 })
    expect([lanes.writes, lanes.writeFailures, failed]).toEqual([accepted, 3, 5])
    expect(producer.getMetrics().refusedMessages).toBe(3)
  })

  it('ME-1: crossings of the soft limit, records that met the hard one, and how long sends waited', async () => {
    const config: ProducerConfig = { maxBatchBytes: 100_000, bufferMemoryBytes: 200_000, compression: 'none' }
    const { broker, producer, clock } = await stage(config)
    producer.on('error', () => {})
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held')
    await broker.hit(held)
    while (producer.getMetrics().refusedMessages === 0) producer.sendAsync('orders', 'x'.repeat(20_000))
    expect(producer.measures()).toMatchObject({ softLimits: 1, hardLimits: 1, blockedSeconds: 0 })
    const startMs = clock.monotonicMs()
    const waiting = [1, 2].map(() => producer.sendSync('orders', 'x'.repeat(20_000)))
    while (clock.monotonicMs() - startMs < 500) await turns(1)
    const { blockedSeconds, hardLimits } = producer.measures()
    expect(hardLimits).toBe(3)
    expect(blockedSeconds, 'two of them, half a second each').toBeGreaterThanOrEqual(1)
    expect(blockedSeconds).toBeLessThan(1.2)
    held.release()
    await Promise.all(waiting)
    const after = producer.measures().blockedSeconds
    await turns(100)
    expect(producer.measures().blockedSeconds, 'nobody waits any more').toBe(after)
  })

  it('ME-1: metrics.enabled false observes nothing, and still counts', async () => {
    const { producer } = await stage({ metrics: { enabled: false } })
    for (let n = 0; n < 3; n++) await producer.sendSync('orders', VALUE)
    const measures = producer.measures()
    expect(measures).toMatchObject({ accepted: 3, acknowledged: 3, batches: 3 })
    const histograms = [
      measures.produceSeconds,
      measures.requestSeconds,
      measures.batchBytes,
      measures.batchRecords,
      measures.lanes.switchSeconds,
    ]
    expect(histograms.map(({ count }) => count)).toEqual([0, 0, 0, 0, 0])
    expect(measures.compressionRatios.size).toBe(0)
    expect(measures.lanes.switches).toBe(3)
    expect(producer.getMetrics().p99LatencyMs).toBeGreaterThan(0)
  })

  it('ME-1: histograms go on counting in the same object, so that two readings can be compared', async () => {
    const { producer } = await stage()
    const { produceSeconds } = producer.measures()
    await producer.sendSync('orders', 'v')
    expect(produceSeconds.count).toBe(1)
    expect(producer.measures().produceSeconds).toBe(produceSeconds)
  })

  it('ME-1, PR-14: with acks 0 a request has no answer to wait for', async () => {
    const { producer } = await stage({ acks: 0 })
    await producer.sendSync('orders', 'v')
    const { requestSeconds, acknowledged } = producer.measures()
    expect([requestSeconds.count, acknowledged]).toEqual([0, 1])
  })

  it('ME-4: resetMetrics restarts latencies and rates, and conserves every count', async () => {
    const { broker, producer } = await stage({ compression: 'none' })
    for (let n = 0; n < 5; n++) await producer.sendSync('orders', VALUE)
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'pending')
    await broker.hit(held)
    expect(producer.getMetrics().maxLatencyMs).toBeGreaterThan(0)
    producer.resetMetrics()
    const reset = producer.getMetrics()
    expect(reset).toMatchObject({
      totalMessages: 6,
      successMessages: 5,
      pendingMessages: 1,
      averageLatencyMs: 0,
      maxLatencyMs: 0,
      minLatencyMs: 0,
      p50LatencyMs: 0,
      p99LatencyMs: 0,
      messagesPerSecond: 0,
      bytesPerSecond: 0,
    })
    expect(conserved(producer.measures())).toBe(0)
    expect(producer.measures().produceSeconds.count, 'a counter of Prometheus never goes back').toBe(5)
    held.release()
    await producer.flush()
    expect(producer.getMetrics()).toMatchObject({ successMessages: 6, pendingMessages: 0 })
    expect(producer.getMetrics().averageLatencyMs).toBeGreaterThan(0)
    expect(conserved(producer.measures())).toBe(0)
  })

  it('ME-4: getMetrics has every field of features.md part 5', async () => {
    const { broker } = await stage()
    const fields =
      'totalMessages, totalBytes, successMessages, failedMessages, droppedMessages, pendingMessages, averageLatencyMs, maxLatencyMs, minLatencyMs, p50LatencyMs, p99LatencyMs, messagesPerSecond, bytesPerSecond, circuitState, backoffMs'
    const metrics = newProducer(broker).getMetrics()
    expect(Object.keys(metrics)).toEqual(expect.arrayContaining(fields.split(', ')))
    const levels = Object.entries(metrics).filter(([, value]) => typeof value === 'number' && value !== 0)
    expect(Object.fromEntries(levels)).toEqual({ bufferLimitBytes: 67_108_864, compressionRatio: 1 })
  })

  it('PR-15, CD-4: batches of optimizeForSmallMessages on the wire, below and above the threshold', async () => {
    const performance = { optimizeForSmallMessages: true, smallMessageThresholdBytes: 2000 }
    const { broker, producer, clock } = await stage({ compression: 'gzip', performance }, { partitions: 2 })
    const sizes = [20, 1000, 1900, 2100, 5000]
    for (const size of sizes) await producer.sendSync('orders', 'x'.repeat(size), { partition: 0 })
    producer.updateConfig({ compression: 'lz4' })
    for (const size of sizes) await producer.sendSync('orders', 'x'.repeat(size), { partition: 1 })
    const codecs = (partition: number) =>
      broker.log('orders', partition).batches.map(({ attributes }) => attributes & 7)
    expect(codecs(0), 'gzip from 2000 B').toEqual([0, 0, 0, 1, 1])
    expect(codecs(1), 'lz4 from 100 B').toEqual([0, 3, 3, 3, 3])
    const unoptimized = { optimizeForSmallMessages: false }
    const plain = newProducer(broker, { compression: 'gzip', performance: unoptimized }, { clock })
    await plain.sendSync('orders', 'x'.repeat(1000), { partition: 1 })
    expect(codecs(1).at(-1)).toBe(1)
  })

  it('ME-1: deadline checks that sealed nothing are counted', async () => {
    const config: ProducerConfig = { lingerMs: 50, switchStrategy: () => false, compression: 'none' }
    const { broker, producer } = await stage(config)
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held')
    await broker.hit(held)
    producer.sendAsync('orders', 'v')
    await until(() => producer.measures().lanes.skippedSwitches > 0, 'a check without a seal')
    held.release()
    await producer.flush()
  })
})
