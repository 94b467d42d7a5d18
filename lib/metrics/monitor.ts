/**
 * Looks at an instance at intervals: a report each time, an alert when a threshold is crossed.
 * Why figures of the interval and not of the whole life: an hour of quiet must not hide a minute of failure, nor the
 * other way round.
 * Invariant: an alert is raised once, and again only after its figure was seen on the good side of the threshold; an
 * interval that cannot tell (nothing was sent) changes nothing. After `close` no timer. Source: features.md ME-6, 3.6.
 */
import type { AlertSettings, MonitoringSettings } from '../config/index.js'
import { toMQError } from '../errors/index.js'
import { type Buckets, type Clock, type Logger, silentLogger, systemClock, type TimerHandle } from '../util/index.js'
import { bucketsQuantile, type SeenBuckets, seenBuckets } from './quantile.js'

/** What the monitor reads of `getMetrics()`. */
export interface MonitoredMetrics {
  readonly producer: {
    readonly totalMessages: number
    readonly successMessages: number
    readonly failedMessages: number
    readonly droppedMessages: number
    readonly pendingMessages: number
    readonly p99LatencyMs: number
  }
  readonly consumer: { readonly lag: number }
}

export type AlertName = keyof AlertSettings

export interface Alert {
  /** The threshold of `monitoring.alerts` that was crossed. */
  readonly name: AlertName
  readonly value: number
  readonly threshold: number
  readonly message: string
  /** Wall time, ms since 1970. */
  readonly timestamp: number
}

/** Of one interval. `null`: nothing happened that could tell. */
export interface MonitorFigures {
  /** 99th percentile, append to acknowledgement. Milliseconds. */
  readonly latencyMs: number | null
  /** Acknowledged records per second, while there was something to send. */
  readonly throughputPerSec: number | null
  /** Records per second that were there to send: accepted in the interval, or pending at its start. */
  readonly offeredPerSec: number
  /** Something was pending all the time, and nothing was acknowledged. */
  readonly isStuck: boolean
  /** Failed and dropped records of all that were settled. Percent. */
  readonly errorPercent: number | null
  /** Of all assigned partitions together, at the end. */
  readonly lagRecords: number
  /** Resident memory of the process, at the end. */
  readonly memoryBytes: number
}

export interface MonitorReport<M extends MonitoredMetrics = MonitoredMetrics> {
  /** Wall time, ms since 1970. */
  readonly timestamp: number
  /** Really passed since the last one. Milliseconds. */
  readonly intervalMs: number
  readonly figures: MonitorFigures
  /** As `getMetrics()` gives them. */
  readonly metrics: M
}

export interface MonitorOptions<M extends MonitoredMetrics = MonitoredMetrics> {
  /** `intervalMs` 0: neither reports nor alerts. */
  readonly settings: Pick<MonitoringSettings, 'intervalMs' | 'alerts'>
  readonly metrics: () => M
  readonly report?: (report: MonitorReport<M>) => void
  readonly alert?: (alert: Alert) => void
  /** Produce latencies so far, for percentiles of the interval; without it those of `metrics` count. */
  readonly produceSeconds?: () => Buckets | null
  /** Default: resident set size of this process. */
  readonly memoryBytes?: () => number
  readonly clock?: Clock
  readonly logger?: Logger
}

interface Seen {
  readonly atMs: number
  readonly accepted: number
  readonly acknowledged: number
  readonly failed: number
  readonly pending: number
  readonly latencies: SeenBuckets | null
}

/** How a figure that crossed its threshold is told. */
const TEXTS: Readonly<Record<AlertName, (value: number, threshold: number) => string>> = {
  latencyMs: (value, threshold) => `produce latency (p99) is ${rounded(value)} ms, above ${threshold} ms`,
  minThroughputPerSec: (value, threshold) => `${rounded(value)} records/s acknowledged, below ${threshold}`,
  errorPercent: (value, threshold) => `${rounded(value)} % of the records failed, above ${threshold} %`,
  lagRecords: (value, threshold) => `the consumer is ${value} records behind, above ${threshold}`,
  memoryBytes: (value, threshold) => `the process holds ${value} bytes of memory, above ${threshold}`,
}

export class Monitor<M extends MonitoredMetrics = MonitoredMetrics> {
  readonly #options: MonitorOptions<M>
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #raised = new Set<AlertName>()
  #timer: TimerHandle | null = null
  #seen: Seen | null = null

  constructor(options: MonitorOptions<M>) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
  }

  /** Begins the first interval. Harmless when it runs, or with `intervalMs` 0. */
  start(): void {
    const { intervalMs } = this.#options.settings
    if (this.#timer !== null || intervalMs === 0) return
    if (this.#seen === null) this.#guarded(() => this.#look(this.#options.metrics()))
    this.#arm()
  }

  /** No timer remains; `start` begins again. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#seen = null
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#arm()
      this.#guarded(() => this.#turn())
    }, this.#options.settings.intervalMs)
  }

  /** A getter or a listener that throws costs one report, not the monitor (trap 25). */
  #guarded(task: () => void): void {
    try {
      task()
    } catch (error) {
      const known = toMQError(error, 'INVALID_CONFIG', 'monitoring failed')
      this.#logger.error('no report: reading the figures or a listener failed', { why: known.message })
    }
  }

  #turn(): void {
    const metrics = this.#options.metrics()
    const before = this.#seen
    const now = this.#look(metrics)
    if (before === null) return
    const figures = this.#figures(before, now, metrics)
    const timestamp = this.#clock.now()
    const intervalMs = now.atMs - before.atMs
    this.#logger.debug('report', { intervalMs: Math.round(intervalMs), pendingRecords: now.pending, ...figures })
    const alerts = this.#crossed(figures, timestamp)
    for (const alert of alerts) this.#logger.warn(`alert: ${alert.message}`)
    this.#guarded(() => this.#options.report?.({ timestamp, intervalMs, figures, metrics }))
    for (const alert of alerts) this.#guarded(() => this.#options.alert?.(alert))
  }

  #look({ producer }: M): Seen {
    const latencies = this.#options.produceSeconds?.() ?? null
    this.#seen = {
      atMs: this.#clock.monotonicMs(),
      accepted: producer.totalMessages,
      acknowledged: producer.successMessages,
      failed: producer.failedMessages + producer.droppedMessages,
      pending: producer.pendingMessages,
      latencies: latencies === null ? null : seenBuckets(latencies),
    }
    return this.#seen
  }

  #figures(before: Seen, now: Seen, { producer, consumer }: M): MonitorFigures {
    const acknowledged = risen(before.acknowledged, now.acknowledged)
    const failed = risen(before.failed, now.failed)
    const settled = acknowledged + failed
    const offered = before.pending + risen(before.accepted, now.accepted)
    const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000)
    return {
      latencyMs: acknowledged === 0 ? null : latencyOf(before, now, producer.p99LatencyMs),
      throughputPerSec: offered > 0 ? acknowledged / seconds : null,
      offeredPerSec: offered / seconds,
      isStuck: before.pending > 0 && now.pending > 0 && acknowledged === 0,
      errorPercent: settled === 0 ? null : (failed * 100) / settled,
      lagRecords: consumer.lag,
      memoryBytes: (this.#options.memoryBytes ?? residentBytes)(),
    }
  }

  /** A service with little to send is not slow: the threshold counts when as much was there to send, or all of it stands. */
  #isOffered({ offeredPerSec, isStuck }: MonitorFigures): boolean {
    const { minThroughputPerSec } = this.#options.settings.alerts
    return isStuck || offeredPerSec >= (minThroughputPerSec ?? 0)
  }

  #crossed(figures: MonitorFigures, timestamp: number): Alert[] {
    const values: Readonly<Record<AlertName, number | null>> = {
      latencyMs: figures.latencyMs,
      minThroughputPerSec: this.#isOffered(figures) ? figures.throughputPerSec : null,
      errorPercent: figures.errorPercent,
      lagRecords: figures.lagRecords,
      memoryBytes: figures.memoryBytes,
    }
    const alerts: Alert[] = []
    for (const name of Object.keys(values) as AlertName[]) {
      const [value, threshold] = [values[name], this.#options.settings.alerts[name]]
      if (value === null || threshold === null) continue
      const isBad = name === 'minThroughputPerSec' ? value < threshold : value > threshold
      if (isBad && !this.#raised.has(name)) {
        alerts.push({ name, value, threshold, message: TEXTS[name](value, threshold), timestamp })
      }
      if (isBad) this.#raised.add(name)
      else this.#raised.delete(name)
    }
    return alerts
  }
}

function latencyOf(before: Seen, now: Seen, wholeLifeMs: number): number | null {
  if (now.latencies === null) return wholeLifeMs
  const seconds = bucketsQuantile(0.99, before.latencies, now.latencies)
  return seconds === null ? null : seconds * 1_000
}

/** A producer that went, or a reset, makes totals fall: the interval then begins at zero. */
function risen(before: number, now: number): number {
  return now >= before ? now - before : now
}

function residentBytes(): number {
  return process.memoryUsage.rss()
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
