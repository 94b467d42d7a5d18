/**
 * Rows of the consumer's own fields. Source: features.md 3.4.
 * An upper bound the source does not name is that of the number itself (int32 for what travels in such a field).
 */
import type { ResolvedClientConfig } from './client-types.js'
import type { ResolvedConsumerConfig } from './consumer-types.js'
import { bool, custom, type FieldSpec, INT32_MAX, int, name, oneOf, oneOfOrFunction, withMethods } from './field.js'
import type { PathOf } from './input-types.js'

const MIB = 1_048_576
const HIGH = Number.MAX_SAFE_INTEGER
const ASSIGNORS = ['range', 'roundrobin', 'sticky', 'cooperative-sticky']

function isAssignors(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || new Set(value).size !== value.length) return false
  return value.every((assignor) => ASSIGNORS.includes(assignor))
}

export const consumerFields: Readonly<
  Record<Exclude<PathOf<ResolvedConsumerConfig>, PathOf<ResolvedClientConfig>>, FieldSpec>
> = {
  groupId: name(undefined, 'groupID'),
  groupProtocol: oneOf('classic', ['classic', 'consumer', 'auto']),
  assignors: custom(
    ['cooperative-sticky'],
    `a list of different names out of ${ASSIGNORS.map((assignor) => `'${assignor}'`).join(', ')}`,
    isAssignors,
    (value) => Object.freeze([...(value as string[])]),
  ),
  groupInstanceId: name(undefined),
  rackId: name(undefined),
  autoOffsetReset: oneOf('latest', ['earliest', 'latest', 'none']),
  autoCommit: bool(true, 'enableAutoCommit'),
  autoCommitIntervalMs: int(5_000, 10, 3_600_000, 'autoCommitInterval'),
  sessionTimeoutMs: int(10_000, 2, INT32_MAX, 'sessionTimeout'),
  heartbeatIntervalMs: int(3_000, 1, INT32_MAX - 1, 'heartbeatInterval'),
  maxPollRecords: int(500, 1, 1_000_000),
  maxPollIntervalMs: int(300_000, 2, INT32_MAX, 'maxPollInterval'),
  rebalanceTimeoutMs: int(60_000, 1_000, 1_800_000),
  fetchMinBytes: int(1, 0, INT32_MAX),
  fetchMaxBytes: int(50 * MIB, 1, INT32_MAX),
  maxPartitionFetchBytes: int(MIB, 1, INT32_MAX),
  fetchMaxWaitMs: int(500, 0, 60_000, 'fetchMaxWait'),
  prefetchBytes: int(64 * MIB, 1, HIGH),
  isolationLevel: oneOf('read_uncommitted', ['read_uncommitted', 'read_committed']),
  readMode: oneOf('safe', ['safe', 'zeroCopy']),
  checkCrcs: bool(true),
  concurrency: int(1, 1, 1_000),
  concurrencyBy: oneOf('partition', ['partition', 'key']),
  onError: oneOf('retry', ['retry', 'skip', 'dlq', 'stop']),
  errorRetries: int(5, 0, HIGH),
  errorFinal: oneOf('stop', ['skip', 'dlq', 'stop']),
  dlqTopic: name(undefined),
  'dedup.enabled': bool(false),
  'dedup.by': oneOfOrFunction('content', ['content', 'key']),
  'dedup.ttlMs': int(86_400_000, 1, HIGH),
  'dedup.maxEntries': int(100_000, 1, HIGH),
  'dedup.cleanupIntervalMs': int(300_000, 1, INT32_MAX),
  deliverErrors: bool(false),
  keyDeserializer: withMethods(undefined, 'deserialize'),
  valueDeserializer: withMethods(undefined, 'deserialize'),
}
