/** The sink in front of the real metrics SDK: same names, labels and values as Prometheus (ME-3). */
import {
  AggregationTemporality,
  DataPointType,
  InstrumentType,
  MeterProvider,
  MetricReader,
} from '@opentelemetry/sdk-metrics'
import { describe, expect, it } from 'vitest'
import { openTelemetrySink } from '../../lib/metrics/index.js'
import { keyOf, parseExposition } from './exposition.js'
import { channelMeasures, connectionMeasures, consumerMeasures, metricsOf, producerMeasures, source } from './fakes.js'

class OnDemandReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** Cumulative, the SDK goes on showing labels that nobody observes any more; what is told anew each time it does not. */
function aggregationTemporalitySelector(type: InstrumentType): AggregationTemporality {
  return type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE
}

function stage() {
  const reader = new OnDemandReader({ aggregationTemporalitySelector })
  const provider = new MeterProvider({ readers: [reader] })
  const sink = openTelemetrySink(provider.getMeter('test'))
  const values = async () => {
    const { resourceMetrics, errors } = await reader.collect()
    expect(errors).toEqual([])
    const found = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
    return new Map(
      found.flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map((point) => [keyOf(descriptor.name, point.attributes as Record<string, string>), point.value]),
      ),
    )
  }
  const types = async () => {
    const { resourceMetrics } = await reader.collect()
    const found = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
    return new Map(
      found.map((metric) => [
        metric.descriptor.name,
        [metric.dataPointType, 'isMonotonic' in metric && metric.isMonotonic],
      ]),
    )
  }
  return { sink, values, types }
}

describe('openTelemetrySink', () => {
  it('ME-3: a meter sees exactly what Prometheus sees', async () => {
    const { sink, values } = stage()
    const metrics = metricsOf({ sink, labels: { env: 'test' }, compatPrefixes: ['Chanjet_'] })
    metrics.attachChannel(source(channelMeasures()))
    metrics.attachProducer(source(producerMeasures()))
    metrics.attachConsumer(source(consumerMeasures()))
    metrics.attachConnections(source(connectionMeasures()))
    await metrics.flush()
    const samples = [...parseExposition(await metrics.text(), 'text').values()].flatMap((family) => family.samples)
    const shown = new Map(samples.map(({ name, labels, value }) => [keyOf(name, labels), value]))
    expect(await values()).toEqual(shown)
    expect(shown.size).toBeGreaterThan(200)
  })

  it('ME-3: counters are monotonic sums, gauges are gauges, a histogram is three counters', async () => {
    const { sink, types } = stage()
    const metrics = metricsOf({ sink })
    metrics.attachChannel(source(channelMeasures()))
    await metrics.flush()
    const found = await types()
    const sum = [DataPointType.SUM, true]
    expect(found.get('tandem_mq_write_counts_total')).toEqual(sum)
    expect(found.get('tandem_mq_switch_latency_bucket')).toEqual(sum)
    expect(found.get('tandem_mq_switch_latency_sum')).toEqual(sum)
    expect(found.get('tandem_mq_switch_latency_count')).toEqual(sum)
    expect(found.get('tandem_mq_active_channel_data_sizes')).toEqual([DataPointType.GAUGE, false])
  })

  it('ME-3: a meter sees whole flushes: totals move, and what is gone from a flush is gone', async () => {
    const { sink, values } = stage()
    const metrics = metricsOf({ sink })
    let state: Partial<ReturnType<typeof consumerMeasures>> = { records: 1 }
    metrics.attachConsumer({ measures: () => consumerMeasures(state) })
    const lag = keyOf('tandem_mq_consumer_lag_records', { topic: 'orders', partition: '0' })
    const records = keyOf('tandem_mq_consumer_records_total', {})
    expect((await values()).size).toBe(0)
    await metrics.flush()
    state = { records: 7, partitions: [] }
    const first = await values()
    expect([first.get(records), first.get(lag)]).toEqual([1, 46])
    await metrics.flush()
    const second = await values()
    expect([second.get(records), second.has(lag)]).toEqual([7, false])
  })
})
