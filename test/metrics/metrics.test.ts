/** An instance's metrics from start to close, and switched off. */
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import type { MetricsSink } from '../../lib/config/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { expectRejection } from './expect-error.js'
import { sampleValue } from './exposition.js'
import { consumerMeasures, metricsOf, producerMeasures, source } from './fakes.js'

describe('metrics', () => {
  it('ME-1: enabled: false asks no source, keeps no timer, and says so', async () => {
    const clock = new FakeClock()
    const registry = new Registry()
    let calls = 0
    const counted = () => void calls++
    const sink: MetricsSink = { counter: counted, gauge: counted, histogram: counted, flush: counted }
    const metrics = metricsOf({ enabled: false, registry, sink }, { clock })
    const never = {
      measures: () => {
        calls++
        return consumerMeasures()
      },
    }
    metrics.attachConsumer(never)()
    metrics.attachConsumer(never)
    metrics.countError('admin', new Error('any'))
    metrics.start()
    await metrics.flush()
    expect([calls, clock.pendingTimers, metrics.isEnabled]).toEqual([0, 0, false])
    expect(await metrics.text()).toBe('# metrics are disabled (metrics.enabled: false)\n')
    expect(await metrics.openMetrics()).toBe('# EOF\n')
    expect(await registry.getMetricsAsJSON()).toEqual([])
    await metrics.close()
    expect(calls).toBe(0)
  })

  it('ME-1: sources are asked when somebody looks, and only then', async () => {
    let asked = 0
    const metrics = metricsOf()
    metrics.attachProducer({
      measures: () => {
        asked++
        return producerMeasures()
      },
    })
    expect(asked).toBe(0)
    await metrics.text()
    expect(asked).toBe(1)
    await metrics.close()
  })

  it('ME-1: after close() the last totals can be read, nobody is asked, and nothing can be attached', async () => {
    const metrics = metricsOf({ address: '127.0.0.1:0' })
    let asked = 0
    const measures = () => {
      asked++
      return consumerMeasures()
    }
    metrics.attachConsumer({ measures })
    await metrics.close()
    await metrics.close()
    const before = asked
    metrics.attachConsumer({ measures })
    const text = await metrics.text()
    expect(sampleValue(text, 'tandem_mq_consumer_records_total')).toBe(401)
    expect(sampleValue(text, 'tandem_mq_consumer_prefetch_bytes')).toBe(0)
    expect(asked).toBe(before)
    metrics.start()
    await expectRejection(metrics.listen(), 'CONNECTION_CLOSED')
  })

  it('ME-1: await using closes it', async () => {
    const sink = { flushed: 0, counter() {}, gauge() {}, histogram() {}, flush: () => void sink.flushed++ }
    const metrics = metricsOf({ sink })
    metrics.attachConsumer(source(consumerMeasures()))
    await metrics[Symbol.asyncDispose]()
    expect(sink.flushed).toBe(1)
  })

  it('ME-1: throughput_target_ratio is relative to performance.targetThroughputPerSec', async () => {
    const metrics = metricsOf({}, { targetThroughputPerSec: 6_200 })
    metrics.attachProducer(source(producerMeasures({ recordsPerSecond: 3_100 })))
    expect(sampleValue(await metrics.text(), 'tandem_mq_throughput_target_ratio')).toBe(0.5)
  })
})
