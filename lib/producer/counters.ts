/**
 * What the producer counts: plain number fields, read by metrics on their own timer.
 * Invariant (PR-22): accepted = acknowledged + failed + dropped + pending, at every moment.
 */
import { type Clock, Histogram, RateWindow } from '../util/index.js'

export class ProducerCounters {
  accepted = 0 // records
  acknowledged = 0
  failed = 0
  dropped = 0
  acceptedBytes = 0 // encoded
  acknowledgedBytes = 0
  batches = 0 // acknowledged
  batchWireBytes = 0
  batchPlainBytes = 0
  requests = 0 // sent
  retries = 0
  refused = 0 // records that were never accepted
  readonly latency = new Histogram() // ms, append to acknowledgement, weighted by records
  readonly recordRate: RateWindow
  readonly byteRate: RateWindow

  constructor(clock: Clock) {
    this.recordRate = new RateWindow(clock)
    this.byteRate = new RateWindow(clock)
  }

  get pending(): number {
    return this.accepted - this.acknowledged - this.failed - this.dropped
  }
}

/** Snapshot of a producer (features.md section 5). Counts are records unless the name says otherwise. */
export interface ProducerMetrics {
  /** Accepted since the start. */
  readonly totalMessages: number
  /** Encoded bytes accepted. */
  readonly totalBytes: number
  readonly successMessages: number
  readonly failedMessages: number
  readonly droppedMessages: number
  readonly pendingMessages: number
  /** Refused before they were accepted (memory full, too large, closed). */
  readonly refusedMessages: number
  readonly averageLatencyMs: number
  readonly maxLatencyMs: number
  readonly minLatencyMs: number
  readonly p50LatencyMs: number
  readonly p99LatencyMs: number
  /** Over the last 10 s. */
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  readonly batches: number
  readonly requests: number
  readonly retries: number
  /** Mean size on the wire, header included. */
  readonly meanBatchBytes: number
  readonly meanBatchRecords: number
  /** Wire bytes / plain bytes of acknowledged batches; 1 before the first. */
  readonly compressionRatio: number
  readonly bufferUsedBytes: number
  readonly bufferLimitBytes: number
  readonly inFlightRequests: number
}

export function snapshot(
  counters: ProducerCounters,
  state: { bufferUsedBytes: number; bufferLimitBytes: number; inFlightRequests: number },
): ProducerMetrics {
  const { latency, batches } = counters
  return {
    totalMessages: counters.accepted,
    totalBytes: counters.acceptedBytes,
    successMessages: counters.acknowledged,
    failedMessages: counters.failed,
    droppedMessages: counters.dropped,
    pendingMessages: counters.pending,
    refusedMessages: counters.refused,
    averageLatencyMs: latency.mean,
    maxLatencyMs: latency.max,
    minLatencyMs: latency.min,
    p50LatencyMs: latency.percentile(0.5),
    p99LatencyMs: latency.percentile(0.99),
    messagesPerSecond: counters.recordRate.perSecond(),
    bytesPerSecond: counters.byteRate.perSecond(),
    batches,
    requests: counters.requests,
    retries: counters.retries,
    meanBatchBytes: batches === 0 ? 0 : counters.batchWireBytes / batches,
    meanBatchRecords: batches === 0 ? 0 : counters.acknowledged / batches,
    compressionRatio: counters.batchPlainBytes === 0 ? 1 : counters.batchWireBytes / counters.batchPlainBytes,
    ...state,
  }
}
