/** What a queue shows of itself: a snapshot for people, and readings of the series `queue_*` (features.md part 5). */
import { Buckets, type CircuitState, LATENCY_SECONDS } from '../util/index.js'
import type { QueueCounters } from './counters.js'
import type { QueueMetrics } from './types.js'

/** Of `metrics: false`: shared, since nothing is ever observed in it. */
const NOTHING = new Buckets(LATENCY_SECONDS)

export interface SnapshotSources {
  readonly counters: QueueCounters
  readonly memoryQueueSize: number
  readonly logQueueSize: number
  readonly walSize: number
  readonly circuitState: CircuitState
  readonly batchSize: number
  readonly sending: number
}

export function snapshot({ counters, ...levels }: SnapshotSources): QueueMetrics {
  const { histograms } = counters
  return {
    enqueuedTotal: counters.enqueued,
    recoveredTotal: counters.recovered,
    sentTotal: counters.sent,
    failedTotal: counters.failed,
    droppedTotal: counters.dropped,
    rejectedTotal: counters.rejected,
    pending: counters.pending,
    batchesSentTotal: counters.batchesSent,
    errorsTotal: counters.errors,
    retriesTotal: counters.retries,
    avgSendLatencyMs: counters.sends === 0 ? 0 : counters.sendMs / counters.sends,
    enqueueSeconds: histograms?.enqueue ?? NOTHING,
    acceptSeconds: histograms?.accept ?? NOTHING,
    sendSeconds: histograms?.send ?? NOTHING,
    ...levels,
  }
}

type Reading = readonly (readonly [labels: readonly string[], value: number | Buckets])[]
/** By name of the series, without prefix. */
export type QueueReadings = Readonly<Record<string, Reading>>

export function queueReadings(name: string, metrics: QueueMetrics): QueueReadings {
  const reading = (value: number | Buckets): Reading => [[[name], value]]
  return {
    queue_size: reading(metrics.pending),
    queue_enqueued_total: reading(metrics.enqueuedTotal),
    queue_sent_total: reading(metrics.sentTotal),
    queue_errors_total: reading(metrics.errorsTotal),
    queue_batches_sent_total: reading(metrics.batchesSentTotal),
    queue_dropped_total: reading(metrics.droppedTotal),
    queue_wal_bytes: reading(metrics.walSize),
    queue_send_latency: reading(metrics.sendSeconds),
  }
}
