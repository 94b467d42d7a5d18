/**
 * A sink that shows every series to an OpenTelemetry meter.
 * Why observable instruments: our values are totals already, and OpenTelemetry takes totals only when it asks for them.
 * Why a histogram becomes three counters (`_bucket` with `le`, `_sum`, `_count`): there is no observable histogram, and
 * recording made-up values in the middle of each bucket would give sums that are wrong. The names and labels are those
 * of Prometheus, so the same queries work.
 * Invariant: what a meter sees is one whole flush; a series that is gone from a flush is gone from the meter.
 */
import type { HistogramTotals, MetricLabels, MetricsSink } from '../config/index.js'
import type { ObservableInstrument, ObservedValue, OpenTelemetryMeter } from './opentelemetry-types.js'

interface Observation {
  readonly labels: MetricLabels
  readonly value: number
}

/**
 * For `metrics.sink`. The meter's reader sees the values of the last flush (`metrics.flushIntervalMs`).
 *
 * ```ts
 * const mq = new MQ({ metrics: { sink: openTelemetrySink(metrics.getMeter('orders')) } })
 * ```
 */
export function openTelemetrySink(meter: OpenTelemetryMeter): MetricsSink {
  return new OpenTelemetrySink(meter)
}

class OpenTelemetrySink implements MetricsSink {
  readonly #meter: OpenTelemetryMeter
  readonly #instruments = new Map<string, ObservableInstrument>()
  #coming = new Map<string, Observation[]>()
  #current: ReadonlyMap<string, readonly Observation[]> = new Map()

  constructor(meter: OpenTelemetryMeter) {
    this.#meter = meter
  }

  counter(name: string, labels: MetricLabels, total: number): void {
    this.#note('counter', name, labels, total)
  }

  gauge(name: string, labels: MetricLabels, value: number): void {
    this.#note('gauge', name, labels, value)
  }

  histogram(name: string, labels: MetricLabels, { bounds, counts, sum, count }: HistogramTotals): void {
    let below = 0
    for (const [at, bound] of bounds.entries()) {
      below += counts[at] ?? 0
      this.#note('counter', `${name}_bucket`, { le: String(bound), ...labels }, below)
    }
    this.#note('counter', `${name}_bucket`, { le: '+Inf', ...labels }, count)
    this.#note('counter', `${name}_sum`, labels, sum)
    this.#note('counter', `${name}_count`, labels, count)
  }

  flush(): void {
    this.#current = this.#coming
    this.#coming = new Map()
  }

  #note(type: 'counter' | 'gauge', name: string, labels: MetricLabels, value: number): void {
    if (!this.#instruments.has(name)) this.#create(type, name)
    const observations = this.#coming.get(name)
    if (observations === undefined) this.#coming.set(name, [{ labels, value }])
    else observations.push({ labels, value })
  }

  #create(type: 'counter' | 'gauge', name: string): void {
    const instrument =
      type === 'counter' ? this.#meter.createObservableCounter(name) : this.#meter.createObservableGauge(name)
    instrument.addCallback((result: ObservedValue) => {
      for (const { labels, value } of this.#current.get(name) ?? []) result.observe(value, { ...labels })
    })
    this.#instruments.set(name, instrument)
  }
}
