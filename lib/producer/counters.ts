/**
 * What the producer counts: plain number fields, read by metrics on their own timer.
 * Invariant (PR-22): accepted = acknowledged + failed + dropped + pending, at every moment.
 */
import { type ErrorCode, MQError } from '../errors/index.js'
import { type CircuitState, type Clock, Histogram, RateWindow } from '../util/index.js'

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
  seals = 0
  handedRecords = 0 // to the sender, each once
  handedBytes = 0
  softLimits = 0 // crossings
  hardLimits = 0 // records that met it
  readonly retriesByReason = new Map<string, number>()
  readonly errors = new Map<ErrorCode, number>()
  readonly latency = new Histogram() // ms, append to acknowledgement, weighted by records
  readonly #clock: Clock
  recordRate: RateWindow
  byteRate: RateWindow

  constructor(clock: Clock) {
    this.#clock = clock
    this.recordRate = new RateWindow(clock)
    this.byteRate = new RateWindow(clock)
  }

  /** A batch goes again. */
  retried(error: MQError): void {
    this.retries++
    addOne(this.retriesByReason, reasonOf(error))
  }

  /** An error was told to a caller, a callback or the listeners. Gives it back. */
  told(error: MQError): MQError {
    addOne(this.errors, error.code)
    return error
  }

  /** As `told`, where it may be something that is not ours, such as an abort reason. */
  toldIfOurs(error: unknown): unknown {
    return error instanceof MQError ? this.told(error) : error
  }

  /** Latencies and rates begin anew; what is counted stays, since records are still pending (PR-22). */
  resetStatistics(): void {
    this.latency.reset()
    this.recordRate = new RateWindow(this.#clock)
    this.byteRate = new RateWindow(this.#clock)
  }

  get pending(): number {
    return this.accepted - this.acknowledged - this.failed - this.dropped
  }
}

function addOne<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** Kafka's name of the error where a broker answered; else what the way to it did. */
function reasonOf({ code, context }: MQError): string {
  if (context.kafkaName !== undefined) return context.kafkaName
  return code === 'TIMEOUT' || code === 'CONNECTION_TIMEOUT' ? 'timeout' : 'connection'
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
  /** The worst of all brokers' circuits; 'closed' without `circuitBreaker`. */
  readonly circuitState: CircuitState
  /** Until the next attempt at a broker that failed, the longest of them; 0 = none waits. */
  readonly backoffMs: number
}

/** Present levels, which nobody counts. */
export type ProducerLevels = Pick<
  ProducerMetrics,
  'bufferUsedBytes' | 'bufferLimitBytes' | 'inFlightRequests' | 'circuitState' | 'backoffMs'
>

export function snapshot(counters: ProducerCounters, levels: ProducerLevels): ProducerMetrics {
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
    ...levels,
  }
}
