/** The snapshot of `getMetrics()`: plain numbers, read when asked. Source: features.md part 5. */
import type { ConsumerCounters } from './counters.js'
import type { PartitionCursor } from './cursor.js'

export interface ConsumerMetrics {
  /** Records whose callback has returned. */
  readonly totalMessages: number
  /** Bytes of the fetched batches they came in. */
  readonly totalBytes: number
  /** Sum over partitions whose lag is known. Records. */
  readonly lag: number
  /** By `topic-partition`: next offset to process, and how far that is from the end (-1 unknown). */
  readonly currentOffset: Readonly<Record<string, number>>
  readonly lagByPartition: Readonly<Record<string, number>>
  readonly assignedPartitions: number
  readonly pausedPartitions: number
  /** Partitions that stand still after an error, until a seek. */
  readonly failedPartitions: readonly string[]
  /** Fetched and asked for. Bytes. */
  readonly prefetchBytes: number
  readonly runningCallbacks: number
  readonly fetches: number
  readonly fullSessions: number
  readonly fetchErrors: number
  readonly staleAnswers: number
  readonly corruptBatches: number
  readonly callbackErrors: number
  readonly retries: number
  readonly skipped: number
}

export function consumerMetrics(
  cursors: readonly PartitionCursor[],
  counters: ConsumerCounters,
  now: { readonly prefetchBytes: number; readonly runningCallbacks: number },
): ConsumerMetrics {
  const named = cursors.map((cursor) => [`${cursor.topic}-${cursor.partition}`, cursor] as const)
  const lagByPartition = Object.fromEntries(named.map(([name, cursor]) => [name, cursor.lag]))
  const { records, bytes, ...counts } = counters
  return {
    totalMessages: records,
    totalBytes: bytes,
    lag: Object.values(lagByPartition).reduce((sum, lag) => sum + Math.max(0, lag), 0),
    currentOffset: Object.fromEntries(named.map(([name, cursor]) => [name, cursor.position])),
    lagByPartition,
    assignedPartitions: cursors.length,
    pausedPartitions: cursors.filter((cursor) => cursor.isPaused).length,
    failedPartitions: named.filter(([, cursor]) => cursor.failure !== null).map(([name]) => name),
    prefetchBytes: now.prefetchBytes,
    runningCallbacks: now.runningCallbacks,
    ...counts,
  }
}
