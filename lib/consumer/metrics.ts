/** The snapshot of `getMetrics()`: plain numbers, read when asked. Source: features.md part 5 (ME-4). */
import type { ConsumerCounts } from './counters.js'
import type { PartitionCursor } from './cursor.js'
import type { MemberState } from './group/ports.js'

/** Totals count from construction, or from `resetMetrics()`. */
export interface ConsumerMetrics {
  /** Records whose callback has returned, or that were pulled. */
  readonly totalMessages: number
  /** Bytes of the fetched batches they came in. */
  readonly totalBytes: number
  /** Of the last 10 s. */
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** Sum over partitions whose lag is known. Records. */
  readonly lag: number
  /** By `topic-partition`: next offset to process, and how far that is from the end (-1 unknown). */
  readonly currentOffset: Readonly<Record<string, number>>
  readonly lagByPartition: Readonly<Record<string, number>>
  /** By `topic-partition`: what the coordinator has stored as far as this consumer knows, -1 unknown. */
  readonly lastCommittedOffset: Readonly<Record<string, number>>
  /** Where the membership stands: 'unsubscribed' without a group. */
  readonly groupState: MemberState
  /** '' while not a member. */
  readonly memberId: string
  /** Generation (classic) or member epoch (KIP-848), -1 while not a member. */
  readonly generation: number
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
  /** Written to a dead-letter topic. */
  readonly deadLetters: number
  /** Not handed out because they were seen before. */
  readonly dedupHits: number
  /** Assignments that the group gave. */
  readonly rebalances: number
  /** Commits that the coordinator has stored, and that failed. */
  readonly commits: number
  readonly commitFailures: number
}

/** What is not counted but so at the moment, beside the partitions. */
export type MomentaryMetrics = Pick<ConsumerMetrics, 'groupState' | 'memberId' | 'generation'>
type Levels = 'messagesPerSecond' | 'bytesPerSecond' | 'prefetchBytes' | 'runningCallbacks'

export function consumerMetrics(
  cursors: readonly PartitionCursor[],
  { records, bytes, ...counts }: ConsumerCounts,
  now: MomentaryMetrics & Pick<ConsumerMetrics, Levels>,
): ConsumerMetrics {
  const named = cursors.map((cursor) => [`${cursor.topic}-${cursor.partition}`, cursor] as const)
  const lagByPartition = Object.fromEntries(named.map(([name, cursor]) => [name, cursor.lag]))
  return {
    totalMessages: records,
    totalBytes: bytes,
    lag: Object.values(lagByPartition).reduce((sum, lag) => sum + Math.max(0, lag), 0),
    currentOffset: Object.fromEntries(named.map(([name, cursor]) => [name, cursor.position])),
    lagByPartition,
    assignedPartitions: cursors.length,
    pausedPartitions: cursors.filter((cursor) => cursor.isPaused).length,
    failedPartitions: named.filter(([, cursor]) => cursor.failure !== null).map(([name]) => name),
    lastCommittedOffset: Object.fromEntries(named.map(([name, cursor]) => [name, cursor.committed])),
    ...now,
    ...counts,
  }
}
