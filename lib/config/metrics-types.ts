/**
 * Settings of metrics and monitoring, and the shape of a sink that takes metrics elsewhere.
 * Why the sink is declared here: the configuration carries one, and the room that feeds it lies above.
 * Source: features.md 3.6, ME-1..ME-7.
 */

/** Labels of one series, by name. */
export type MetricLabels = Readonly<Record<string, string>>

/** What a histogram holds so far: `counts[i]` samples up to `bounds[i]`, one more entry for those above all bounds. */
export interface HistogramTotals {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly sum: number
  readonly count: number
}

/** Takes every series at each flush; all values are cumulative (gauges: present). Names come with the prefix. */
export interface MetricsSink {
  counter(name: string, labels: MetricLabels, total: number): void
  gauge(name: string, labels: MetricLabels, value: number): void
  histogram(name: string, labels: MetricLabels, totals: HistogramTotals): void
  /** Called after each round of values. */
  flush(): Promise<void> | void
}

export interface MetricsSettings {
  /** false removes the work of measuring. Default true. Alias enableMetrics. */
  readonly enabled: boolean
  /** Begins every name. Default 'tandem_mq_', must match `[a-zA-Z_:][a-zA-Z0-9_:]*`. Alias metricsPrefix. */
  readonly prefix: string
  /** Prefixes under which the channel's series are repeated, for dashboards of earlier days. Default []. */
  readonly compatPrefixes: readonly string[]
  /** How often values are brought to the sink. Milliseconds, default 5000, 100..600000. */
  readonly flushIntervalMs: number
  /** Constant labels of every series. Default {}. */
  readonly labels: MetricLabels
  /** A prom-client Registry shared with others. Default: one of our own. */
  readonly registry: unknown
  /** Takes the values elsewhere, for example to OpenTelemetry. Default unset. */
  readonly sink: MetricsSink | undefined
  /** `:port` or `host:port` of an HTTP endpoint of our own. Default unset = none. */
  readonly address: string | undefined
  /** Where that endpoint serves metrics. Default '/metrics'; '/healthz' is taken by the health report. */
  readonly path: string
  /** Watches the process and the machine as well. Default false. */
  readonly process: boolean
  /** How often it looks. Milliseconds, default 5000, 100..600000. */
  readonly processIntervalMs: number
}

/** Thresholds that raise `alert`, once per crossing; `null` switches one off. */
export interface AlertSettings {
  /** Produce latency above it. Milliseconds, default 10. */
  readonly latencyMs: number | null
  /** Records per second below it while load is offered. Default 50000. */
  readonly minThroughputPerSec: number | null
  /** Share of failed records above it. Percent, default 1, 0..100. */
  readonly errorPercent: number | null
  /** Lag above it. Records, default 10000. */
  readonly lagRecords: number | null
  /** Memory of the process above it. Bytes, default 524288000. */
  readonly memoryBytes: number | null
}

export interface MonitoringSettings {
  /** How often a report goes to the logger and the `report` event. Milliseconds, default 10000, 0 = never. Alias metricsInterval. */
  readonly intervalMs: number
  /** Limit of one health check. Milliseconds, default 5000, at least 1. */
  readonly healthTimeoutMs: number
  /** Spans through the OpenTelemetry API when it is there. Default false. */
  readonly enableTracing: boolean
  readonly alerts: AlertSettings
}
