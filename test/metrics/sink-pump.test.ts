/** Sinks: what they are given, when, and what a bad one can do. */
import { describe, expect, it } from 'vitest'
import type { MetricsSink } from '../../lib/config/index.js'
import { FakeClock, type Logger, silentLogger } from '../../lib/util/index.js'
import { keyOf, parseExposition } from './exposition.js'
import { channelMeasures, consumerMeasures, metricsOf, producerMeasures, source } from './fakes.js'

/** Keeps what each flush brought, under the names and labels of Prometheus. */
class RecordingSink implements MetricsSink {
  flushes: Map<string, number>[] = []
  #coming = new Map<string, number>()

  counter(name: string, labels: Record<string, string>, total: number): void {
    this.#coming.set(keyOf(name, labels), total)
  }

  gauge(name: string, labels: Record<string, string>, value: number): void {
    this.#coming.set(keyOf(name, labels), value)
  }

  histogram(name: string, labels: Record<string, string>, totals: Parameters<MetricsSink['histogram']>[2]): void {
    expect(totals.counts).toHaveLength(totals.bounds.length + 1)
    totals.counts.reduce((below, count, at) => {
      const le = at < totals.bounds.length ? String(totals.bounds[at]) : '+Inf'
      this.#coming.set(keyOf(`${name}_bucket`, { ...labels, le }), below + count)
      return below + count
    }, 0)
    this.#coming.set(keyOf(`${name}_sum`, labels), totals.sum)
    this.#coming.set(keyOf(`${name}_count`, labels), totals.count)
  }

  flush(): Promise<void> | void {
    this.flushes.push(this.#coming)
    this.#coming = new Map()
  }
}

function recordedLog() {
  const lines: string[] = []
  const note = (message: string) => void lines.push(message)
  const logger: Logger = { ...silentLogger, warn: note, error: note, info: note }
  return { lines, logger }
}

describe('a sink', () => {
  it('ME-3: gets the values of Prometheus, names, labels, buckets and all', async () => {
    const sink = new RecordingSink()
    const metrics = metricsOf({ sink, labels: { env: 'test' }, compatPrefixes: ['Chanjet_'] })
    metrics.attachChannel(source(channelMeasures()))
    metrics.attachProducer(source(producerMeasures()))
    metrics.attachConsumer(source(consumerMeasures()))
    await metrics.flush()
    const samples = [...parseExposition(await metrics.text(), 'text').values()].flatMap((family) => family.samples)
    const shown = new Map(samples.map(({ name, labels, value }) => [keyOf(name, labels), value]))
    expect(sink.flushes).toEqual([shown])
    expect(shown.size).toBeGreaterThan(200)
  })

  it('ME-1: is flushed each flushIntervalMs and in close(), with running totals', async () => {
    const clock = new FakeClock()
    const sink = new RecordingSink()
    const metrics = metricsOf({ sink, flushIntervalMs: 5_000 }, { clock })
    let records = 1
    metrics.attachConsumer({ measures: () => consumerMeasures({ records }) })
    metrics.start()
    metrics.start() // Harmless.
    const seen = () => sink.flushes.map((flush) => flush.get(keyOf('tandem_mq_consumer_records_total', {})))
    await clock.advanceAsync(4_999, 1_000)
    expect(seen()).toEqual([])
    await clock.advanceAsync(1)
    expect(seen()).toEqual([1])
    records = 5
    await clock.advanceAsync(10_000, 1_000)
    expect(seen()).toEqual([1, 5, 5])
    records = 6
    await metrics.close()
    expect(seen()).toEqual([1, 5, 5, 6])
    expect(clock.pendingTimers).toBe(0)
    await clock.advanceAsync(20_000, 5_000)
    expect(sink.flushes).toHaveLength(4)
  })

  it('ME-1: without a sink no timer runs', async () => {
    const clock = new FakeClock()
    const metrics = metricsOf({}, { clock })
    metrics.start()
    expect(clock.pendingTimers).toBe(0)
    await metrics.flush()
    await metrics.close()
  })

  it('ME-3: one that throws hurts nothing, is told once per streak, and is asked again', async () => {
    const { lines, logger } = recordedLog()
    let isBroken = true
    let flushes = 0
    const sink: MetricsSink = {
      counter: () => {
        if (isBroken) throw new Error('no room')
      },
      gauge: () => {},
      histogram: () => {},
      flush: () => void flushes++,
    }
    const metrics = metricsOf({ sink }, { logger })
    await metrics.flush()
    await metrics.flush()
    expect(lines).toEqual(['the metrics sink fails; it is asked again at each flush'])
    isBroken = false
    await metrics.flush()
    expect([flushes, lines.at(-1)]).toEqual([1, 'the metrics sink works again'])
    isBroken = true
    await metrics.flush()
    expect(lines).toHaveLength(3)
    await metrics.close()
  })

  it('ME-3: one whose flush rejects is told as well', async () => {
    const { lines, logger } = recordedLog()
    const sink = Object.assign(new RecordingSink(), { flush: () => Promise.reject(new Error('no network')) })
    await metricsOf({ sink }, { logger }).flush()
    expect(lines).toHaveLength(1)
  })

  it('ME-3: one that hangs holds back nothing for longer than 5 s, and gets no second round meanwhile', async () => {
    const { lines, logger } = recordedLog()
    const clock = new FakeClock()
    let release = () => {}
    let flushes = 0
    const sink = Object.assign(new RecordingSink(), {
      flush: () => {
        flushes++
        return new Promise<void>((resolve) => {
          release = resolve
        })
      },
    })
    const metrics = metricsOf({ sink, flushIntervalMs: 1_000 }, { clock, logger })
    metrics.start()
    await clock.advanceAsync(10_000, 500)
    expect([flushes, lines.length]).toEqual([1, 1])
    const closing = metrics.close()
    await clock.advanceAsync(5_000, 500)
    await closing
    expect(clock.pendingTimers).toBe(0)
    release()
  })

  it('ME-1: the last flush comes after a round that is under way, and nothing is said about it', async () => {
    const { lines, logger } = recordedLog()
    const brought: number[] = []
    let records = 1
    let release = () => {}
    const sink = Object.assign(new RecordingSink(), {
      flush: () => {
        brought.push(records)
        return new Promise<void>((resolve) => {
          release = resolve
        })
      },
    })
    const metrics = metricsOf({ sink }, { clock: new FakeClock(), logger })
    metrics.attachConsumer({ measures: () => consumerMeasures({ records }) })
    const slow = metrics.flush()
    records = 2
    const closing = metrics.close()
    release()
    await slow
    await new Promise((resolve) => setImmediate(resolve))
    release()
    await closing
    expect([brought, lines]).toEqual([[1, 2], []])
  })
})
