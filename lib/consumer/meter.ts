/**
 * What a consumer measures of itself, in one place: totals, rates of the last ten seconds, errors, rebalances.
 * Why rates are sampled at both ends of a slice: the hot path adds to plain numbers only, and what was added is credited
 * to the moment it happened, however long nothing comes afterwards.
 * Invariant: `measures` shows running totals, which a reset does not touch; `metrics` shows them less what they were then.
 */
import { Buckets, type Clock, type Emitter, LATENCY_SECONDS, RateWindow } from '../util/index.js'
import { ConsumerCounters, ConsumerCounts } from './counters.js'
import type { ConsumerEvents } from './events.js'
import type { ConsumerMeasures, PartitionMeasures } from './measures.js'
import { type ConsumerMetrics, consumerMetrics, type MomentaryMetrics } from './metrics.js'
import type { Reading } from './reading.js'
import { ToldErrors } from './told-errors.js'

export class ConsumerMeter {
  readonly counters: ConsumerCounters
  readonly errors = new ToldErrors()
  readonly #clock: Clock
  readonly #rebalances = { assigned: 0, revoked: 0, lost: 0 }
  #base = new ConsumerCounts()
  #recordRate: RateWindow
  #byteRate: RateWindow
  #sampledRecords = 0
  #sampledBytes = 0

  /** `isTimed`: callbacks and fetches are. */
  constructor(isTimed: boolean, clock: Clock, events: Emitter<ConsumerEvents>) {
    this.counters = new ConsumerCounters(isTimed)
    this.#clock = clock
    this.#recordRate = new RateWindow(clock)
    this.#byteRate = new RateWindow(clock)
    events.on('error', (error) => this.errors.count(error))
    for (const type of ['assigned', 'revoked', 'lost'] as const) {
      events.on(type, () => {
        this.#rebalances[type]++
      })
    }
    events.on('lost', ({ reason }) => this.errors.count(reason))
    events.on('stopped', ({ error }) => this.errors.count(error))
  }

  /** What was counted since the last sample happened at `atMs`, monotonic. */
  sample(atMs: number): void {
    const { records, bytes } = this.counters
    if (records > this.#sampledRecords) this.#recordRate.add(records - this.#sampledRecords, atMs)
    if (bytes > this.#sampledBytes) this.#byteRate.add(bytes - this.#sampledBytes, atMs)
    this.#sampledRecords = records
    this.#sampledBytes = bytes
  }

  /** `getMetrics()` counts from here on. */
  reset(): void {
    this.sample(this.#clock.monotonicMs())
    this.#base = Object.assign(new ConsumerCounts(), countsOf(this.counters, new ConsumerCounts()))
    this.#recordRate = new RateWindow(this.#clock)
    this.#byteRate = new RateWindow(this.#clock)
  }

  metrics(reading: Reading, now: MomentaryMetrics): ConsumerMetrics {
    this.sample(this.#clock.monotonicMs())
    return consumerMetrics(reading.cursors, countsOf(this.counters, this.#base), {
      ...now,
      messagesPerSecond: this.#recordRate.perSecond(),
      bytesPerSecond: this.#byteRate.perSecond(),
      prefetchBytes: reading.fetcher.credit.usedBytes,
      runningCallbacks: reading.running,
    })
  }

  measures(reading: Reading): ConsumerMeasures {
    const { records, bytes, errorActions, dedupHits, commits, commitFailures, callbackSeconds, fetchSeconds } =
      this.counters
    return {
      records,
      bytes,
      errorActions,
      dedupHits,
      partitions: partitionsOf(reading),
      rebalances: this.#rebalances,
      commits,
      commitFailures,
      prefetchBytes: reading.fetcher.credit.usedBytes,
      runningCallbacks: reading.running,
      callbackSeconds: callbackSeconds ?? new Buckets(LATENCY_SECONDS),
      fetchSeconds: fetchSeconds ?? new Buckets(LATENCY_SECONDS),
      errors: this.errors.counts,
    }
  }
}

/** Each number less what it is in `base`. */
function countsOf(counters: ConsumerCounts, base: ConsumerCounts): ConsumerCounts {
  const counts = new ConsumerCounts()
  for (const name of Object.keys(counts) as (keyof ConsumerCounts)[]) counts[name] = counters[name] - base[name]
  return counts
}

function partitionsOf(reading: Reading): PartitionMeasures[] {
  return reading.cursors.map(({ topic, partition, lag, position, committed }) => {
    return { topic, partition, lag, position, committed }
  })
}
