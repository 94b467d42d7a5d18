/**
 * The resolved producer configuration: every field present, checked, frozen. Source: features.md 3.3.
 */
import type { ResolvedClientConfig } from './client-types.js'

export type CompressionName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
export type OnFullPolicy = 'block' | 'reject' | 'spill' | 'dropOldest'

/** Turns values into bytes and back. */
export interface Serializer<T> {
  readonly contentType: string
  /** A string goes out as UTF-8; null is a tombstone. */
  serialize(value: T, topic: string): Uint8Array | string | null
  deserialize(bytes: Uint8Array, topic: string): T
}

/** What a partitioner of one's own is asked; it returns a partition 0..partitionCount-1. */
export type PartitionerFunction = (
  topic: string,
  key: Uint8Array | null,
  value: Uint8Array | null,
  partitionCount: number,
) => number

/** What a switch strategy sees; true seals the buffer. */
export interface SwitchStatsView {
  readonly records: number
  readonly bytes: number
  readonly elapsedMs: number
  readonly windowMs: number
  readonly maxRecords: number
  readonly maxBytes: number
}
export type SwitchStrategyFunction = (stats: SwitchStatsView) => boolean

export interface AdaptiveBatchSettings {
  /** Adapts `batchBytes` to a target latency. Default false. */
  readonly enabled: boolean
  /** Bytes, default 4096, at least 1. */
  readonly minBytes: number
  /** Bytes, default 1048576, at least `minBytes`; `maxBatchBytes` still caps it. */
  readonly maxBytes: number
  /** Milliseconds, default `performance.targetLatencyMs`. */
  readonly targetLatencyMs: number
}

export interface CircuitBreakerSettings {
  /** Stops asking a broker that fails again and again. Default false. */
  readonly enabled: boolean
  /** Failures in a row that open it. Count, default 5, at least 1. */
  readonly failures: number
  /** Successes that close it again. Count, default 2, at least 1. */
  readonly successes: number
  /** Time before it is tried again. Milliseconds, default 60000, at least 1. */
  readonly timeoutMs: number
  /** New sends are refused while it is open instead of waiting. Default false. */
  readonly failFast: boolean
}

/** Fields of the producer that one topic may have otherwise. */
export interface TopicOverrides {
  readonly compression?: CompressionName | undefined
  readonly compressionLevel?: number | undefined
  readonly keySerializer?: Serializer<unknown> | undefined
  readonly valueSerializer?: Serializer<unknown> | undefined
}

/** Frozen and complete; `resolveProducerConfig` makes it. */
export interface ResolvedProducerConfig extends ResolvedClientConfig {
  /** 'all' (-1): all in-sync replicas; 1: the leader; 0: nobody. Resolved to the number. Default 'all'. 0 or 1 turns idempotence off. Alias requiredAcks. */
  readonly acks: -1 | 0 | 1
  /** No duplicates and no reordering under retry. Default true. Alias enableIdempotence. */
  readonly idempotence: boolean
  /** Unacknowledged batches of one partition. Count, default 5, 1..5. Aliases maxInFlightRequests, maxInFlightPerBroker. */
  readonly maxInFlight: number
  /** Longest wait of a non-empty buffer while its broker is busy. Milliseconds, default 5, 0..60000. Alias linger. Kafka: linger.ms. */
  readonly lingerMs: number
  /** From here a batch may leave. Bytes, default 16384, 1..`maxBatchBytes`. Alias batchSize. Kafka: batch.size. */
  readonly batchBytes: number
  /** Cap of one batch, header included. Bytes, default 1048576, 1024..104857600. Alias maxMessageBytes. */
  readonly maxBatchBytes: number
  /** Cap of records per batch. Count, default unset, 1..1000000. Alias maxBatchCount. */
  readonly batchMaxRecords: number | undefined
  /** Codec of a batch. Default 'lz4'. */
  readonly compression: CompressionName
  /** Level of the codec. Default unset = the codec's own; gzip 1..9, zstd 1..19; the others have none. */
  readonly compressionLevel: number | undefined
  /** Memory for queued, in-flight and scratch bytes. Bytes, default 67108864, at least 2 x `maxBatchBytes`. Alias maxBufferedBytes. */
  readonly bufferMemoryBytes: number
  /** The same in records. Count, default unset, at least 1. Aliases maxBufferedRecords, memorySize. */
  readonly bufferMaxRecords: number | undefined
  /** Share of the budget that raises `backpressure`. Percent, default 80. resume <= soft <= hard <= 100. */
  readonly softPercent: number
  /** Share that raises `drain`. Percent, default 60. */
  readonly resumePercent: number
  /** Share from which `onFull` applies. Percent, default 95. */
  readonly hardPercent: number
  /** At the hard limit: 'block', 'reject', 'spill' (needs a log) or 'dropOldest'. Default 'block'. */
  readonly onFull: OnFullPolicy
  /** Longest wait of a blocked call. Milliseconds, default 60000, 0..600000. */
  readonly maxBlockMs: number
  /** Limit of one attempt. Milliseconds, default 30000, 1..600000. Alias requestTimeout. */
  readonly requestTimeoutMs: number
  /** From append to outcome. Milliseconds, default 120000, at least `requestTimeoutMs` + `lingerMs`. Alias deliveryTimeout. */
  readonly deliveryTimeoutMs: number
  /** Attempts after the first. Count, default unset = until the deadline, at least 0. Alias retries. */
  readonly maxRetries: number | undefined
  /** First wait before a retry; doubles with full jitter. Milliseconds, default 100, 1..60000. Alias retryBackoff. */
  readonly retryBackoffMs: number
  /** Longest wait before a retry. Milliseconds, default 5000, 1..60000, not below `retryBackoffMs`. */
  readonly retryBackoffMaxMs: number
  /** Without key and partition: 'default' (key: murmur2 as Java; none: sticky), 'roundRobin', 'random' or a function. */
  readonly partitioner: 'default' | 'roundRobin' | 'random' | PartitionerFunction
  /** When a buffer may be sealed: 'default' (time, size and both weighted), 'time', 'size' or a function. */
  readonly switchStrategy: 'default' | 'time' | 'size' | SwitchStrategyFunction
  /** Weight of time, default 0.4, 0..1; the sum of both weights is above 0. */
  readonly timeWeight: number
  /** Weight of fill, default 0.6, 0..1. */
  readonly sizeWeight: number
  /** Weighted sum that seals, default 0.85, above 0 and at most the sum of the weights. */
  readonly threshold: number
  /** Fill that seals under 'size'. Percent, default 100, 1..100. */
  readonly fillPercent: number
  readonly adaptiveBatch: AdaptiveBatchSettings
  readonly circuitBreaker: CircuitBreakerSettings
  /** Metadata answers "unknown topic" that are waited out. Count, default unset = until `maxBlockMs`, at least 0. */
  readonly unknownTopicRetries: number | undefined
  /** Metadata requests may create topics. Default true. */
  readonly allowAutoTopicCreation: boolean
  /** Default: bytes and strings as they are. */
  readonly keySerializer: Serializer<unknown> | undefined
  /** Default: bytes and strings as they are. */
  readonly valueSerializer: Serializer<unknown> | undefined
  /** Overrides by topic name. Default {}. */
  readonly topics: Readonly<Record<string, TopicOverrides>>
}
