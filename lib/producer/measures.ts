/**
 * What a producer has counted, for metrics: running totals, present levels and histograms, read when somebody asks.
 * Why apart from `getMetrics()`: that is a small snapshot for people, this is every series of features.md part 5.
 */
import type { ChannelMeasures } from '../channel/index.js'
import type { ErrorCode } from '../errors/index.js'
import type { Buckets } from '../util/index.js'

/** Bounds of `batchBytes`, `batchRecords` and `compressionRatio`. */
export const BATCH_BYTES: readonly number[] = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]
export const BATCH_RECORDS: readonly number[] = [1, 10, 100, 1_000, 10_000]
export const COMPRESSION_RATIO: readonly number[] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]

/** State of a broker's circuit: closed, half-open, open. */
export type CircuitLevel = 0 | 1 | 2

export interface ProducerMeasures {
  /** Records: accepted = acknowledged + failed + dropped + pending. */
  readonly accepted: number
  readonly acknowledged: number
  readonly failed: number
  readonly dropped: number
  readonly pending: number
  /** Encoded bytes of accepted records. */
  readonly acceptedBytes: number
  /** Acknowledged. */
  readonly batches: number
  /** Batches sent again, by why: 'connection', 'timeout', or Kafka's name of the error. */
  readonly retries: ReadonlyMap<string, number>
  /** Append to acknowledgement, per record; wire to answer, per request. Seconds. */
  readonly produceSeconds: Buckets
  readonly requestSeconds: Buckets
  /** Of acknowledged batches: bytes on the wire, records, wire/plain bytes by codec. */
  readonly batchBytes: Buckets
  readonly batchRecords: Buckets
  readonly compressionRatios: ReadonlyMap<string, Buckets>
  readonly inFlightBatches: number
  readonly inFlightRequests: number
  readonly bufferUsedBytes: number
  readonly bufferLimitBytes: number
  /** Crossings of the soft limit; records that met the hard one. */
  readonly softLimits: number
  readonly hardLimits: number
  /** Sum of the times that sends waited for memory. */
  readonly blockedSeconds: number
  /** Of the last 10 s; for `throughput_target_ratio`. */
  readonly recordsPerSecond: number
  /** By broker id; empty without `circuitBreaker`. */
  readonly circuits: ReadonlyMap<number, CircuitLevel>
  /** Errors told to callers, callbacks and listeners, by code. */
  readonly errors: ReadonlyMap<ErrorCode, number>
  /** All lanes together. */
  readonly lanes: ChannelMeasures
}
