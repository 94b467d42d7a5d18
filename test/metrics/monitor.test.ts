import { describe, expect, it } from 'vitest'
import { type Alert, Monitor, type MonitorOptions, type MonitorReport } from '../../lib/metrics/monitor.js'
import { bucketsQuantile, seenBuckets } from '../../lib/metrics/quantile.js'
import { Buckets, FakeClock, LATENCY_SECONDS, type Logger } from '../../lib/util/index.js'

const OFF = { latencyMs: null, minThroughputPerSec: null, errorPercent: null, lagRecords: null, memoryBytes: null }

/** A producer and a consumer that are only figures. */
class Instance {
  readonly producer = {
    totalMessages: 0,
    successMessages: 0,
    failedMessages: 0,
    droppedMessages: 0,
    pendingMessages: 0,
    p99LatencyMs: 0,
  }
  readonly consumer = { lag: 0 }
  readonly latencies = new Buckets(LATENCY_SECONDS)
  memory = 1_000

  send(records: number, ms: number): void {
    this.producer.totalMessages += records
    this.producer.successMessages += records
    this.latencies.observe(ms / 1_000, records)
  }
}

function monitored(alerts: Partial<MonitorOptions['settings']['alerts']> = {}, more: Partial<MonitorOptions> = {}) {
  const clock = new FakeClock()
  const instance = new Instance()
  const reports: MonitorReport[] = []
  const raised: Alert[] = []
  const lines: string[] = []
  const say = (level: string) => (message: string) => void lines.push(`${level} ${message}`)
  const logger: Logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  const monitor = new Monitor({
    settings: { intervalMs: 10_000, alerts: { ...OFF, ...alerts } },
    metrics: () => structuredClone({ producer: instance.producer, consumer: instance.consumer }),
    produceSeconds: () => instance.latencies,
    memoryBytes: () => instance.memory,
    report: (report) => reports.push(report),
    alert: (alert) => raised.push(alert),
    clock,
    logger,
    ...more,
  })
  monitor.start()
  return { clock, instance, reports, raised, lines, monitor }
}

describe('ME-6: reports', () => {
  it('one each intervalMs, to the event and to the logger, with figures of the interval', () => {
    const { clock, instance, reports, lines } = monitored()
    clock.advance(9_999)
    expect(reports).toEqual([])
    instance.send(500, 3)
    instance.producer.failedMessages += 5
    instance.consumer.lag = 12
    clock.advance(1)
    expect(reports.length).toBe(1)
    expect(reports[0]).toMatchObject({
      timestamp: clock.now(),
      intervalMs: 10_000,
      figures: { throughputPerSec: 50, lagRecords: 12, memoryBytes: 1_000 },
      metrics: { producer: { successMessages: 500 } },
    })
    expect(reports[0]?.figures.errorPercent).toBeCloseTo(500 / 505)
    expect(lines).toEqual(['debug report'])
    clock.advance(20_000)
    expect(reports.length).toBe(3)
    expect(reports[2]?.figures).toMatchObject({ throughputPerSec: null, latencyMs: null, errorPercent: null })
  })

  it('intervalMs 0: neither timer nor report; close ends them; start again begins a new interval', () => {
    const off = monitored({}, { settings: { intervalMs: 0, alerts: OFF } })
    expect(off.clock.pendingTimers).toBe(0)
    const { clock, monitor, reports, instance } = monitored()
    monitor.start()
    expect(clock.pendingTimers).toBe(1)
    instance.send(100, 1)
    monitor.close()
    monitor.close()
    expect(clock.pendingTimers).toBe(0)
    clock.advance(60_000)
    expect(reports).toEqual([])
    monitor.start()
    clock.advance(10_000)
    expect(reports[0]?.figures.throughputPerSec).toBe(null)
  })

  it('trap 25: a listener or a getter that throws costs nothing but its own report', () => {
    let isBroken = true
    const instance = new Instance()
    let told = 0
    const { clock, lines } = monitored(
      { lagRecords: 0 },
      {
        metrics: () => {
          if (isBroken) throw new Error('not now')
          return instance
        },
        report: () => {
          throw new Error('listener')
        },
        alert: () => told++,
      },
    )
    clock.advance(10_000)
    isBroken = false
    instance.consumer.lag = 1
    clock.advance(20_000)
    expect(lines.filter((line) => line.startsWith('error')).length).toBeGreaterThanOrEqual(2)
    expect(told).toBe(1)
  })
})

describe('ME-6: alerts', () => {
  it('latency: p99 of the interval above the threshold, once per crossing, armed again when it is below', () => {
    const { clock, instance, raised, lines } = monitored({ latencyMs: 10 })
    instance.send(1_000, 2)
    clock.advance(10_000)
    expect(raised).toEqual([])
    instance.send(1_000, 40)
    clock.advance(10_000)
    instance.send(1_000, 40)
    clock.advance(10_000)
    expect(raised.map(({ name, threshold }) => [name, threshold])).toEqual([['latencyMs', 10]])
    expect(raised[0]?.value).toBeGreaterThan(25)
    expect(raised[0]?.value).toBeLessThanOrEqual(50)
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([`warn alert: ${raised[0]?.message}`])
    clock.advance(10_000) // Nothing sent: it tells nothing, and arms nothing.
    instance.send(1_000, 40)
    clock.advance(10_000)
    expect(raised.length).toBe(1)
    instance.send(100_000, 1)
    clock.advance(10_000)
    instance.send(1_000, 40)
    clock.advance(10_000)
    expect(raised.map(({ name }) => name)).toEqual(['latencyMs', 'latencyMs'])
  })

  it('latency: without histogram the figure of getMetrics counts; exactly the threshold is no crossing', () => {
    const { clock, instance, raised } = monitored({ latencyMs: 10 }, { produceSeconds: () => null })
    instance.producer.p99LatencyMs = 10
    instance.send(1, 0)
    clock.advance(10_000)
    expect(raised).toEqual([])
    instance.producer.p99LatencyMs = 10.1
    instance.send(1, 0)
    clock.advance(10_000)
    expect(raised.map(({ value }) => value)).toEqual([10.1])
  })

  it('throughput: below the threshold only while as much is offered, or when all of it stands', () => {
    const { clock, instance, raised } = monitored({ minThroughputPerSec: 100 })
    clock.advance(60_000)
    expect(raised).toEqual([]) // Idle is not slow.
    instance.send(1_000, 1)
    clock.advance(10_000)
    expect(raised).toEqual([]) // Exactly the threshold.
    instance.send(500, 1)
    clock.advance(10_000)
    expect(raised).toEqual([]) // Nor is a service with little to send.
    instance.send(500, 1)
    instance.producer.totalMessages += 2_000
    instance.producer.pendingMessages += 2_000
    clock.advance(10_000)
    expect(raised.map(({ name, value }) => [name, value])).toEqual([['minThroughputPerSec', 50]])
    instance.producer.successMessages += 1_993
    instance.producer.pendingMessages = 7
    clock.advance(10_000)
    expect(raised.length).toBe(1)
    clock.advance(10_000) // The seven are pending, and nothing comes back.
    expect(raised.map(({ value }) => value)).toEqual([50, 0])
    clock.advance(10_000)
    expect(raised.length).toBe(2)
  })

  it('errors: failed and dropped of all that were settled in the interval', () => {
    const { clock, instance, raised } = monitored({ errorPercent: 1 })
    instance.send(100_000, 1)
    clock.advance(10_000)
    instance.send(99, 1)
    instance.producer.failedMessages += 1
    clock.advance(10_000)
    expect(raised).toEqual([]) // Exactly one percent.
    instance.send(96, 1)
    instance.producer.failedMessages += 1
    instance.producer.droppedMessages += 3
    clock.advance(10_000)
    expect(raised.map(({ name, value }) => [name, value])).toEqual([['errorPercent', 4]])
    instance.send(100, 1)
    clock.advance(10_000)
    instance.producer.failedMessages += 1
    clock.advance(10_000)
    expect(raised.map(({ value }) => value)).toEqual([4, 100])
  })

  it('lag and memory: levels, armed again below', () => {
    const { clock, instance, raised } = monitored({ lagRecords: 10_000, memoryBytes: 5_000 })
    instance.consumer.lag = 10_001
    instance.memory = 5_001
    clock.advance(10_000)
    clock.advance(10_000)
    expect(raised.map(({ name, value }) => [name, value])).toEqual([
      ['lagRecords', 10_001],
      ['memoryBytes', 5_001],
    ])
    instance.consumer.lag = 10_000
    clock.advance(10_000)
    instance.consumer.lag = 20_000
    clock.advance(10_000)
    expect(raised.map(({ name }) => name)).toEqual(['lagRecords', 'memoryBytes', 'lagRecords'])
  })

  it('null switches an alert off; 0 is a threshold', () => {
    const { clock, instance, raised } = monitored({ errorPercent: 0 })
    instance.consumer.lag = 1e9
    instance.send(1, 10_000)
    clock.advance(10_000)
    expect(raised).toEqual([])
    instance.producer.failedMessages = 1
    clock.advance(10_000)
    expect(raised.map(({ name }) => name)).toEqual(['errorPercent'])
  })

  it('totals that fall (a producer went, or a reset) begin anew instead of going below zero', () => {
    const { clock, instance, reports } = monitored()
    instance.send(1_000, 1)
    clock.advance(10_000)
    Object.assign(instance.producer, { totalMessages: 100, successMessages: 100 })
    clock.advance(10_000)
    expect(reports.at(-1)?.figures.throughputPerSec).toBe(10)
  })
})

describe('percentiles between two looks', () => {
  it('interpolates inside the bucket, takes only what is new, and knows nothing of nothing', () => {
    const buckets = new Buckets([1, 2, 4])
    expect(bucketsQuantile(0.99, null, seenBuckets(buckets))).toBe(null)
    buckets.observe(3, 100)
    const first = seenBuckets(buckets)
    expect(bucketsQuantile(0.5, null, first)).toBe(3)
    expect(bucketsQuantile(1, null, first)).toBe(4)
    buckets.observe(0.5, 10)
    const second = seenBuckets(buckets)
    expect(bucketsQuantile(0.5, first, second)).toBe(0.5)
    expect(bucketsQuantile(0.99, second, second)).toBe(null)
    buckets.observe(100)
    expect(bucketsQuantile(0.99, second, seenBuckets(buckets))).toBe(4)
  })

  it('a histogram that began anew counts whole', () => {
    const old = new Buckets([1, 2])
    old.observe(0.5, 1_000)
    const fresh = new Buckets([1, 2])
    fresh.observe(1.5, 10)
    expect(bucketsQuantile(1, seenBuckets(old), seenBuckets(fresh))).toBe(2)
  })
})
