/** The `wal` settings as the log wants them. */
import type { ResolvedProducerConfig } from '../../config/index.js'
import type { LogDurability, WalOptions } from '../../wal/index.js'

/** null: `wal.durability` is 'memory', there is no log. */
export function walOptionsOf({ wal }: ResolvedProducerConfig): WalOptions | null {
  if (wal.durability === 'memory') return null
  return {
    dir: wal.dir as string, // config checked it
    owner: 'producer',
    durability: wal.durability as LogDurability,
    maxBytes: wal.maxBytes,
    segmentBytes: wal.segmentBytes,
    syncIntervalMs: wal.syncIntervalMs,
    groupMaxBytes: wal.groupMaxBytes,
    groupMaxWaitMs: wal.groupMaxWaitMs,
    pendingMaxBytes: wal.pendingMaxBytes,
    unsyncedMaxBytes: wal.unsyncedMaxBytes,
    minFreeBytes: wal.minFreeBytes,
    ackFlushMs: wal.ackFlushMs,
    onCorruption: wal.onCorruption,
    recoveryIndexMaxBytes: wal.recoveryIndexMaxBytes,
    spareSegments: wal.spareSegments,
    allowUnsafeDir: wal.allowUnsafeDir,
    scrub: wal.scrub,
  }
}
