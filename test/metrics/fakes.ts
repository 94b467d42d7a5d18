/** Sources with a number of their own in every field, so that a series that reads the wrong one shows it. */
import type { ChannelMeasures } from '../../lib/channel/index.js'
import { SWITCH_SECONDS } from '../../lib/channel/index.js'
import type { ConnectionMeasures } from '../../lib/cluster/index.js'
import { type MetricsSettings, resolveConfig } from '../../lib/config/index.js'
import type { ConsumerMeasures } from '../../lib/consumer/index.js'
import { Metrics, type MetricsOptions } from '../../lib/metrics/index.js'
import { BATCH_BYTES, BATCH_RECORDS, COMPRESSION_RATIO, type ProducerMeasures } from '../../lib/producer/index.js'
import { Buckets, LATENCY_SECONDS } from '../../lib/util/index.js'

export function buckets(bounds: readonly number[], ...values: readonly number[]): Buckets {
  const made = new Buckets(bounds)
  for (const value of values) made.observe(value)
  return made
}

export function channelMeasures(changes: Partial<ChannelMeasures> = {}): ChannelMeasures {
  return {
    writes: 101,
    writeFailures: 2,
    writtenBytes: 1_003,
    reads: 104,
    readFailures: 5,
    readBytes: 1_006,
    switches: 7,
    skippedSwitches: 8,
    switchSeconds: buckets(SWITCH_SECONDS, 0.001, 0.002, 0.2),
    allocations: 9,
    activeRecords: 10,
    activeBytes: 11,
    overdueLeases: 12,
    ...changes,
  }
}

export function producerMeasures(changes: Partial<ProducerMeasures> = {}): ProducerMeasures {
  return {
    accepted: 220,
    acknowledged: 200,
    failed: 7,
    dropped: 3,
    pending: 10,
    acceptedBytes: 2_001,
    batches: 21,
    retries: new Map([
      ['connection', 22],
      ['NOT_LEADER_OR_FOLLOWER', 23],
    ]),
    produceSeconds: buckets(LATENCY_SECONDS, 0.0001, 0.003, 20),
    requestSeconds: buckets(LATENCY_SECONDS, 0.004),
    batchBytes: buckets(BATCH_BYTES, 300, 2_000_000),
    batchRecords: buckets(BATCH_RECORDS, 1, 5),
    compressionRatios: new Map([['lz4', buckets(COMPRESSION_RATIO, 0.55)]]),
    inFlightBatches: 24,
    inFlightRequests: 25,
    bufferUsedBytes: 26,
    bufferLimitBytes: 27,
    softLimits: 28,
    hardLimits: 29,
    blockedSeconds: 30.5,
    recordsPerSecond: 3_100,
    circuits: new Map([
      [1, 0 as const],
      [2, 2 as const],
    ]),
    errors: new Map([['TIMEOUT' as const, 31]]),
    lanes: channelMeasures({
      writes: 0,
      writeFailures: 0,
      writtenBytes: 0,
      reads: 0,
      readFailures: 0,
      readBytes: 0,
      switches: 0,
      skippedSwitches: 0,
      switchSeconds: new Buckets(SWITCH_SECONDS),
      allocations: 0,
      activeRecords: 0,
      activeBytes: 0,
      overdueLeases: 0,
    }),
    ...changes,
  }
}

export function consumerMeasures(changes: Partial<ConsumerMeasures> = {}): ConsumerMeasures {
  return {
    records: 401,
    bytes: 402,
    errorActions: { retry: 41, skip: 42, dlq: 43, stop: 44 },
    dedupHits: 45,
    partitions: [
      { topic: 'orders', partition: 0, lag: 46, position: 47, committed: 40 },
      { topic: 'orders', partition: 1, lag: -1, position: 48, committed: -1 },
    ],
    rebalances: { assigned: 49, revoked: 50, lost: 51 },
    commits: 52,
    commitFailures: 53,
    prefetchBytes: 54,
    runningCallbacks: 55,
    callbackSeconds: buckets(LATENCY_SECONDS, 0.002, 0.002),
    fetchSeconds: buckets(LATENCY_SECONDS, 0.5),
    errors: new Map([['CONSUME_FAILED' as const, 56]]),
    ...changes,
  }
}

export function connectionMeasures(changes: Partial<ConnectionMeasures> = {}): ConnectionMeasures {
  return {
    totalConnections: 61,
    activeConnections: 62,
    idleConnections: 63,
    maxConnections: 64,
    connectionsCreated: 65,
    connectionsClosed: 66,
    connectionErrors: 67,
    pingSeconds: buckets(LATENCY_SECONDS, 0.01),
    ...changes,
  }
}

export function source<Measures>(measures: Measures) {
  return { measures: () => measures }
}

export function settingsOf(metrics: Partial<MetricsSettings> = {}): MetricsSettings {
  return resolveConfig({ metrics }).metrics
}

export function metricsOf(settings: Partial<MetricsSettings> = {}, more: Partial<MetricsOptions> = {}): Metrics {
  return new Metrics({ settings: settingsOf(settings), clientId: 'shop', targetThroughputPerSec: 1_000, ...more })
}
