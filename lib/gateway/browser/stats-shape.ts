/**
 * What a `stats` frame carries and the dashboard draws, once per second. GW-1, features.md part 5.
 * Why only plain numbers and texts: it travels as JSON. Why parts of the snapshots: the gateway knows neither lanes nor
 * brokers; whoever has more fields passes them on, and the page ignores what it does not know.
 * Why it imports nothing: the pages are checked against it with the types of browsers, the rooms with those of Node.
 */

/** Without an instance behind it a gateway gives its own figures only, and the page leaves out the rest. */
export interface StatsFrame extends Partial<BackendStats> {
  /** Milliseconds since 1970. */
  readonly time: number
  readonly gateway: GatewayStats
}

/** What the side of Kafka gives: parts of `getMetrics()`. */
export interface BackendStats {
  readonly producer: {
    readonly totalMessages: number
    readonly successMessages: number
    readonly failedMessages: number
    readonly pendingMessages: number
    readonly messagesPerSecond: number
    readonly bytesPerSecond: number
    readonly batches: number
    readonly meanBatchRecords: number
    readonly compressionRatio: number
    readonly p50LatencyMs: number
    readonly p99LatencyMs: number
    readonly bufferUsedBytes: number
    readonly bufferLimitBytes: number
    readonly inFlightRequests: number
    readonly circuitState: string
  }
  readonly consumer: {
    readonly totalMessages: number
    readonly messagesPerSecond: number
    readonly bytesPerSecond: number
    readonly lag: number
    /** -1 unknown. */
    readonly lagByPartition: Readonly<Record<string, number>>
    readonly assignedPartitions: number
  }
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
