/**
 * What a consumer has counted, for metrics: running totals, present levels and histograms, read when somebody asks.
 * Why apart from `getMetrics()`: that is a small snapshot for people, this is every series of features.md part 5.
 */
import type { ErrorCode } from '../errors/index.js'
import type { Buckets } from '../util/index.js'

export interface PartitionMeasures {
  readonly topic: string
  readonly partition: number
  /** -1: unknown. Records. */
  readonly lag: number
  readonly position: number
  /** -1: unknown. */
  readonly committed: number
}

export interface ConsumerMeasures {
  /** Records whose callback has returned, or that were pulled and count as processed. */
  readonly records: number
  /** Bytes of fetched batches. */
  readonly bytes: number
  /** Failed callbacks, by what was done about it. */
  readonly errorActions: Readonly<Record<'retry' | 'skip' | 'dlq' | 'stop', number>>
  readonly dedupHits: number
  /** Of what is assigned now: a partition that went is not in it. */
  readonly partitions: readonly PartitionMeasures[]
  /** Events that told of partitions that came or went. */
  readonly rebalances: Readonly<Record<'assigned' | 'revoked' | 'lost', number>>
  readonly commits: number
  readonly commitFailures: number
  readonly prefetchBytes: number
  readonly runningCallbacks: number
  /**
   * Each callback: those that return a promise by themselves, others as n times the mean of a small group (count and sum
   * exact). Seconds; empty with `metrics.enabled: false`.
   */
  readonly callbackSeconds: Buckets
  /** Wire to answer of a fetch, the broker's wait for data included. Seconds; empty with `metrics.enabled: false`. */
  readonly fetchSeconds: Buckets
  /** Errors told to callers, callbacks and listeners, by code; one that is told in several ways counts once. */
  readonly errors: ReadonlyMap<ErrorCode, number>
}
