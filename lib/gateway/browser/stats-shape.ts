/**
 * What a `stats` frame carries and the dashboard draws, once per second. GW-1, features.md part 5.
 * Why only plain numbers and texts: it travels as JSON. Why parts of the snapshots: the gateway knows neither lanes nor
 * brokers; whoever has more fields passes them on, and the page ignores what it does not know.
 */
import type { ConsumerMetrics } from '../../consumer/index.js'
import type { ProducerMetrics } from '../../producer/index.js'

export interface StatsFrame extends BackendStats {
  /** Milliseconds since 1970. */
  readonly time: number
  readonly gateway: GatewayStats
}

/** What the side of Kafka gives: parts of `getMetrics()`. */
export interface BackendStats {
  readonly producer: Pick<
    ProducerMetrics,
    | 'totalMessages'
    | 'successMessages'
    | 'failedMessages'
    | 'pendingMessages'
    | 'messagesPerSecond'
    | 'bytesPerSecond'
    | 'batches'
    | 'meanBatchRecords'
    | 'compressionRatio'
    | 'p50LatencyMs'
    | 'p99LatencyMs'
    | 'bufferUsedBytes'
    | 'bufferLimitBytes'
    | 'inFlightRequests'
    | 'circuitState'
  >
  readonly consumer: Pick<
    ConsumerMetrics,
    'totalMessages' | 'messagesPerSecond' | 'bytesPerSecond' | 'lag' | 'lagByPartition' | 'assignedPartitions'
  >
  readonly connectionPool: {
    readonly totalConnections: number
    readonly activeConnections: number
    readonly connectionErrors: number
  }
  /** The lanes of the producer, added up. */
  readonly channel: {
    readonly activeRecords: number
    readonly activeBytes: number
    readonly sealedBuffers: number
    readonly sealedBytes: number
    readonly pooledBuffers: number
    readonly switches: number
  }
}

/** Of the gateway itself. Totals count from its start. */
export interface GatewayStats {
  readonly clients: Readonly<Record<'tcp' | 'websocket', number>>
  readonly messagesIn: number
  readonly messagesOut: number
  /** Records skipped for slow clients. */
  readonly dropped: number
  /** Partitions that are read for clients. */
  readonly feeds: number
  /** Readers that bring clients up to date from Kafka. */
  readonly catchUps: number
  readonly cachedBytes: number
  /** By `topic-partition`: records that the slowest client has not got yet; absent: none is read. */
  readonly lagByPartition?: Readonly<Record<string, number>>
}
