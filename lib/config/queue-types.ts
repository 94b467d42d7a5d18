/**
 * Settings of a batch queue: names, units, defaults. What they do is in wal.md 7; `send` and `codec` are typed where the
 * items are known, in `queue`.
 */
import type { PresetName } from './client-types.js'
import type { WalDurability, WalSettings } from './wal-types.js'

/** What the queue's log takes of the log's own settings, under the same names. */
export type QueueLogSettings = Pick<
  WalSettings,
  | 'segmentBytes'
  | 'syncIntervalMs'
  | 'groupMaxBytes'
  | 'groupMaxWaitMs'
  | 'pendingMaxBytes'
  | 'unsyncedMaxBytes'
  | 'minFreeBytes'
  | 'ackFlushMs'
  | 'onCorruption'
  | 'recoveryIndexMaxBytes'
  | 'spareSegments'
  | 'allowUnsafeDir'
  | 'scrub'
>

/** block: the caller waits | reject: BUFFER_FULL | spill: onto the disk | dropOldest: the oldest items that no send has. */
export type QueueOverflow = 'block' | 'reject' | 'spill' | 'dropOldest'

export interface QueueBreakerSettings {
  /** Default: true when the group is given. */
  readonly enabled: boolean
  /** Failed sends in a row that open it. Count, default 5, at least 1. */
  readonly failures: number
  /** Successful trials that close it. Count, default 2, at least 1. */
  readonly successes: number
  /** How long nothing is sent. Milliseconds, default 60000, at least 1. */
  readonly openMs: number
}

export interface QueueAdaptiveSettings {
  /** Default: true when the group is given. */
  readonly enabled: boolean
  /** Smallest batch size. Items, default 100, at least 1. */
  readonly minItems: number
  /** Largest batch size. Items, default 5000, at least `minItems`. */
  readonly maxItems: number
  /** The latency of a send that the size is steered to. Milliseconds, default 100, above 0. */
  readonly targetLatencyMs: number
}

/** Complete and frozen. */
export interface QueueSettings {
  /** Label of its metrics. 1..249 characters, default 'queue'. */
  readonly name: string
  /** Values for a purpose, below everything given. Default unset. */
  readonly preset: PresetName | undefined
  /** When an item is accepted (wal.md 1.1). Default 'memory'. Alias walSyncMode. */
  readonly durability: WalDurability
  /** Directory of the log. Default unset; needed with any durability but 'memory'. Alias walPath. */
  readonly dir: string | undefined
  /** Items in memory. Count, default 10000, at least 1. Durable modes keep more in the log only. Alias memorySize. */
  readonly memoryMaxItems: number
  /** All files of the log. Bytes, default 104857600 (100 MiB), at least 8 MiB. Alias walMaxSize. */
  readonly walMaxBytes: number
  /** From here on: event `backpressure`. Percent, default 80 (at most `hardPercent`), 1..100. */
  readonly softPercent: number
  /** Below it again: event `drain`. Percent, default 80 (at most `softPercent`), 0..100. */
  readonly resumePercent: number
  /** From here on `overflow` applies. Percent, default 95, 1..100. */
  readonly hardPercent: number
  /** Default 'block'; 'spill' with durability 'spill'. */
  readonly overflow: QueueOverflow
  /** Longest wait of a blocked enqueue. Milliseconds, default 60000, 0..600000. */
  readonly maxBlockMs: number
  /** A batch has at most so many. Items, default 1000, at least 1. Alias batchSize. */
  readonly batchMaxItems: number
  /** Longest wait of a batch for company, from its first item. Milliseconds, default 5000, 0..INT32_MAX. Alias flushTimeout. */
  readonly lingerMs: number
  /** Longest time of one call of `send`; then its signal is aborted. Milliseconds, default 10000, at least 1. Alias sendTimeout. */
  readonly sendTimeoutMs: number
  /** A success that comes so much later still counts. Milliseconds, default 1000, at least 0. */
  readonly sendGraceMs: number
  /** Further calls of `send` after the first that failed. Count, default 3, at least 0. Alias retryLimit. */
  readonly retries: number
  /** Back-off before the first retry, doubled each time, with full jitter. Milliseconds, default 100, at least 1. */
  readonly retryBaseMs: number
  /** Longest back-off. Milliseconds, default 5000, at least `retryBaseMs`. */
  readonly retryMaxMs: number
  /** All calls for one batch together. Milliseconds, default 30000, at least 1. */
  readonly deliveryTimeoutMs: number
  /** When retries or time are used up: 'hold' goes on every `retryMaxMs`, 'fail' gives the batch up. Default by durability. */
  readonly onExhausted: 'hold' | 'fail'
  /** Sends at a time. Default 1, 1..1000; 'auto' = twice the cores, at most 8. More than 1 gives up order. */
  readonly concurrency: number | 'auto'
  readonly circuitBreaker: QueueBreakerSettings
  readonly adaptive: QueueAdaptiveSettings
  /** Default true; false removes the cost. Alias enableMetrics. */
  readonly metrics: boolean
  readonly wal: QueueLogSettings
}

type Groups = 'circuitBreaker' | 'adaptive' | 'wal'
type Optional<S> = { readonly [K in keyof S]?: S[K] | undefined }

/** All fields optional; meaning, unit, default and range stand at each field. */
export type QueueInput = Optional<Omit<QueueSettings, Groups>> & {
  readonly circuitBreaker?: Optional<QueueBreakerSettings> | boolean | null | undefined
  readonly adaptive?: Optional<QueueAdaptiveSettings> | boolean | null | undefined
  readonly wal?: Optional<QueueLogSettings> | undefined
} & {
  readonly memorySize?: number | undefined
  readonly walPath?: string | undefined
  readonly walMaxSize?: number | undefined
  readonly walSyncMode?: WalDurability | undefined
  readonly batchSize?: number | undefined
  readonly flushTimeout?: number | undefined
  readonly sendTimeout?: number | undefined
  readonly retryLimit?: number | undefined
  readonly enableMetrics?: boolean | undefined
}
