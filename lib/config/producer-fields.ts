/**
 * Rows of the producer's own fields. Source: features.md 3.3.
 * An upper bound the source does not name is that of the number itself (int32 for what travels in such a field).
 */
import type { ResolvedClientConfig } from './client-types.js'
import { bool, custom, type FieldSpec, INT32_MAX, int, oneOf, oneOfOrFunction, real, withMethods } from './field.js'
import type { PathOf } from './input-types.js'
import { isPlainObject } from './objects.js'
import type { ResolvedProducerConfig } from './producer-types.js'

export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const MIB = 1_048_576
const HIGH = Number.MAX_SAFE_INTEGER
/** Lowest level of any codec (zstd's fast levels) and the highest; `relations.ts` knows each codec's own. */
const LOWEST_LEVEL = 1
const HIGHEST_LEVEL = 19

const isAcks = (value: unknown) => value === 'all' || value === -1 || value === 0 || value === 1
const acksNumber = (value: unknown) => (value === 'all' ? -1 : value)

/** Rows of one entry of `topics`. */
export const topicFields: Readonly<Record<string, FieldSpec>> = {
  compression: oneOf(undefined, COMPRESSIONS),
  compressionLevel: int(undefined, LOWEST_LEVEL, HIGHEST_LEVEL),
  keySerializer: withMethods(undefined, 'serialize'),
  valueSerializer: withMethods(undefined, 'serialize'),
}

function isTopics(value: unknown): boolean {
  return isPlainObject(value) && Object.values(value).every(isTopicOverride)
}

function isTopicOverride(value: unknown): boolean {
  if (!isPlainObject(value)) return false
  return Object.entries(value).every(([key, field]) => {
    return field === undefined || (Object.hasOwn(topicFields, key) && topicFields[key]?.accepts(field) === true)
  })
}

function copyTopics(value: unknown): unknown {
  const copies = Object.entries(value as object).map(([topic, fields]) => [topic, Object.freeze({ ...fields })])
  return Object.freeze(Object.fromEntries(copies))
}

export const producerFields: Readonly<
  Record<Exclude<PathOf<ResolvedProducerConfig>, PathOf<ResolvedClientConfig>>, FieldSpec>
> = {
  acks: custom(-1, "'all', -1, 0 or 1", isAcks, acksNumber, 'requiredAcks'),
  idempotence: bool(true, 'enableIdempotence'),
  maxInFlight: int(5, 1, 5, 'maxInFlightRequests', 'maxInFlightPerBroker'),
  lingerMs: int(5, 0, 60_000, 'linger'),
  batchBytes: int(16_384, 1, 100 * MIB, 'batchSize'),
  maxBatchBytes: int(MIB, 1_024, 100 * MIB, 'maxMessageBytes'),
  batchMaxRecords: int(undefined, 1, 1_000_000, 'maxBatchCount'),
  compression: oneOf('lz4', COMPRESSIONS),
  compressionLevel: int(undefined, LOWEST_LEVEL, HIGHEST_LEVEL),
  bufferMemoryBytes: int(64 * MIB, 2_048, HIGH, 'maxBufferedBytes'),
  bufferMaxRecords: int(undefined, 1, HIGH, 'maxBufferedRecords', 'memorySize'),
  softPercent: int(80, 1, 100),
  resumePercent: int(60, 0, 100),
  hardPercent: int(95, 1, 100),
  onFull: oneOf('block', ['block', 'reject', 'spill', 'dropOldest']),
  maxBlockMs: int(60_000, 0, 600_000),
  requestTimeoutMs: int(30_000, 1, 600_000, 'requestTimeout'),
  deliveryTimeoutMs: int(120_000, 1, INT32_MAX, 'deliveryTimeout'),
  maxRetries: int(undefined, 0, HIGH, 'retries'),
  retryBackoffMs: int(100, 1, 60_000, 'retryBackoff'),
  retryBackoffMaxMs: int(5_000, 1, 60_000),
  partitioner: oneOfOrFunction('default', ['default', 'roundRobin', 'random']),
  switchStrategy: oneOfOrFunction('default', ['default', 'time', 'size']),
  timeWeight: real(0.4, 0, 1),
  sizeWeight: real(0.6, 0, 1),
  threshold: real(0.85, Number.MIN_VALUE, 2),
  fillPercent: real(100, 1, 100),
  'adaptiveBatch.enabled': bool(false),
  'adaptiveBatch.minBytes': int(4_096, 1, 100 * MIB),
  'adaptiveBatch.maxBytes': int(MIB, 1, 100 * MIB),
  'adaptiveBatch.targetLatencyMs': real(undefined, Number.MIN_VALUE, 3_600_000),
  'circuitBreaker.enabled': bool(false),
  'circuitBreaker.failures': int(5, 1, HIGH),
  'circuitBreaker.successes': int(2, 1, HIGH),
  'circuitBreaker.timeoutMs': int(60_000, 1, INT32_MAX),
  'circuitBreaker.failFast': bool(false),
  unknownTopicRetries: int(undefined, 0, HIGH),
  allowAutoTopicCreation: bool(true),
  keySerializer: withMethods(undefined, 'serialize'),
  valueSerializer: withMethods(undefined, 'serialize'),
  topics: custom(
    {},
    'an object of overrides by topic (compression, compressionLevel, serializers)',
    isTopics,
    copyTopics,
  ),
}
