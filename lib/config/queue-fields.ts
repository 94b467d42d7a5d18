/** Rows of a batch queue. An upper bound the source does not name is that of the number itself. Source: wal.md 7. */
import { bool, custom, type FieldSpec, INT32_MAX, int, name, oneOf, real, withMethods } from './field.js'
import { PRESET_NAMES } from './presets.js'
import type { QueueLogSettings, QueueSettings } from './queue-types.js'
import { walFields } from './wal-fields.js'

const MIB = 1_048_576
const HIGH = Number.MAX_SAFE_INTEGER

/** Fields of the log that have a name of their own in a queue. */
const OWN_NAMES = { durability: 'wal.durability', dir: 'wal.dir', walMaxBytes: 'wal.maxBytes' } as const

const LOG_FIELDS: readonly (keyof QueueLogSettings)[] = [
  'segmentBytes',
  'syncIntervalMs',
  'groupMaxBytes',
  'groupMaxWaitMs',
  'pendingMaxBytes',
  'unsyncedMaxBytes',
  'minFreeBytes',
  'ackFlushMs',
  'onCorruption',
  'recoveryIndexMaxBytes',
  'spareSegments',
  'allowUnsafeDir',
  'scrub',
]

const isFunction = (value: unknown) => typeof value === 'function'
const isConcurrency = (value: unknown) =>
  value === 'auto' || (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1_000)

/** The log's row under a name of the queue: same range, other default and other names. */
function asOf(row: keyof typeof walFields, ...aliases: string[]): FieldSpec {
  return { ...walFields[row], aliases: aliases.map((path) => ({ path, divisor: 1 })) }
}

type Path = Exclude<keyof QueueSettings, 'circuitBreaker' | 'adaptive' | 'wal'> | 'send' | 'codec'

const ownFields: Readonly<Record<Path, FieldSpec>> = {
  send: { ...custom(undefined, 'a function that sends a batch', isFunction), shows: 'kind' },
  codec: withMethods(undefined, 'encode', 'decode'),
  name: name('queue'),
  preset: oneOf(undefined, PRESET_NAMES),
  durability: asOf(OWN_NAMES.durability, 'walSyncMode'),
  dir: asOf(OWN_NAMES.dir, 'walPath'),
  memoryMaxItems: int(10_000, 1, 100_000_000, 'memorySize'),
  walMaxBytes: { ...asOf(OWN_NAMES.walMaxBytes, 'walMaxSize'), default: 100 * MIB },
  softPercent: int(80, 1, 100),
  resumePercent: int(80, 0, 100),
  hardPercent: int(95, 1, 100),
  overflow: oneOf('block', ['block', 'reject', 'spill', 'dropOldest']),
  maxBlockMs: int(60_000, 0, 600_000),
  batchMaxItems: int(1_000, 1, 1_000_000, 'batchSize'),
  lingerMs: int(5_000, 0, INT32_MAX, 'flushTimeout'),
  sendTimeoutMs: int(10_000, 1, INT32_MAX, 'sendTimeout'),
  sendGraceMs: int(1_000, 0, INT32_MAX),
  retries: int(3, 0, HIGH, 'retryLimit'),
  retryBaseMs: int(100, 1, INT32_MAX),
  retryMaxMs: int(5_000, 1, INT32_MAX),
  deliveryTimeoutMs: int(30_000, 1, INT32_MAX),
  onExhausted: oneOf(undefined, ['hold', 'fail']),
  concurrency: custom(1, "an integer 1..1000, or 'auto'", isConcurrency),
  metrics: bool(true, 'enableMetrics'),
}

export const queueFields: Readonly<Record<string, FieldSpec>> = {
  ...ownFields,
  'circuitBreaker.enabled': bool(false),
  'circuitBreaker.failures': int(5, 1, HIGH),
  'circuitBreaker.successes': int(2, 1, HIGH),
  'circuitBreaker.openMs': int(60_000, 1, INT32_MAX),
  'adaptive.enabled': bool(false),
  'adaptive.minItems': int(100, 1, 1_000_000),
  'adaptive.maxItems': int(5_000, 1, 1_000_000),
  'adaptive.targetLatencyMs': real(100, Number.MIN_VALUE, 3_600_000),
  ...Object.fromEntries(LOG_FIELDS.map((field) => [`wal.${field}`, walFields[`wal.${field}`]])),
}
