/**
 * The queue's column of the presets.
 * Why here and not in `PRESETS`: the batch queue has its own options and is no part of this configuration, but its
 * values belong to the same table and must not be written a second time. Source: features.md 3.7, wal.md 7.
 */
import type { PresetName } from './client-types.js'
import type { WalDurability } from './wal-types.js'

/** What a preset sets of a batch queue's options; absent = the queue's default. */
export interface QueuePreset {
  readonly memoryMaxItems?: number
  readonly batchMaxItems?: number
  readonly lingerMs?: number
  readonly durability?: WalDurability
  readonly walMaxBytes?: number
  readonly retries?: number
  readonly sendTimeoutMs?: number
}

const GIB = 1_073_741_824

const QUEUE_PRESETS: Readonly<Record<PresetName, QueuePreset>> = {
  lowLatency: { memoryMaxItems: 10_000, batchMaxItems: 100, lingerMs: 1_000, durability: 'immediate' },
  highThroughput: { memoryMaxItems: 50_000, batchMaxItems: 1_000, lingerMs: 10_000, durability: 'periodic' },
  resourceEfficient: {},
  highReliability: { walMaxBytes: GIB, durability: 'immediate', retries: 10, sendTimeoutMs: 30_000 },
  development: {},
  production: {},
}

/** The options that a preset gives to a batch queue. */
export function queuePreset(name: PresetName): QueuePreset {
  return QUEUE_PRESETS[name]
}
