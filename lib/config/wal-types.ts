/**
 * Settings of the producer's write-ahead log. What they mean is in wal.md; here stand names, units, defaults.
 * Source: features.md 3.5.
 */
export type WalDurability = 'memory' | 'spill' | 'os' | 'periodic' | 'immediate'

export interface WalSettings {
  /**
   * When a record counts as accepted: in memory, spilled above the watermark, given to the operating system, synced
   * periodically, synced at once. Default 'memory' (no files). The last three need `idempotence` and `acks` all;
   * 'spill' means `onFull: 'spill'`. Alias walSyncMode.
   */
  readonly durability: WalDurability
  /** Directory of the log. Default unset; needed with any durability but 'memory'. Alias walPath. */
  readonly dir: string | undefined
  /** All files together. Bytes, default 1073741824 (1 GiB), at least 8 MiB. Alias walMaxSize. */
  readonly maxBytes: number
  /** One file. Bytes, a power of two 1..64 MiB, at most `maxBytes` / 8. Default: the largest such. */
  readonly segmentBytes: number
  /** Longest time between write and sync under 'periodic'. Milliseconds, default 10, 1..60000. Alias walSyncInterval. */
  readonly syncIntervalMs: number
  /** A group of batches is written from here on. Bytes, default 1048576, at least 4096. */
  readonly groupMaxBytes: number
  /** Longest wait for a group to fill. Milliseconds, default 0, 0..2. */
  readonly groupMaxWaitMs: number
  /** Bytes that wait to be written, at most. Default 8388608, at least `maxBatchBytes`. */
  readonly pendingMaxBytes: number
  /** Bytes that wait to be synced, at most. Default 33554432, at least `maxBatchBytes`. */
  readonly unsyncedMaxBytes: number
  /** The log counts as full when the disk has less. Bytes, default 134217728, at least `maxBatchBytes`. */
  readonly minFreeBytes: number
  /** Longest wait of a lane for more records while its batches wait for the log. Milliseconds, default 1, 0..1000. */
  readonly acceptLingerMs: number
  /** Longest wait of a delivery note for company. Milliseconds, default 5, 0..1000. */
  readonly ackFlushMs: number
  /** Damaged data that was promised: 'stop' (default) refuses to open, 'quarantine' sets it aside and goes on. */
  readonly onCorruption: 'stop' | 'quarantine'
  /** Batches nobody can decide about: 'hold' (default), 'drop' or 'resend'. */
  readonly onAmbiguous: 'hold' | 'drop' | 'resend'
  /** The disk fails: 'reject' new records (default) or 'bypass' the log. */
  readonly onWalFailure: 'reject' | 'bypass'
  /** How long the brokers remember a producer. Milliseconds, default 86400000. Kafka: producer.id.expiration.ms. */
  readonly producerIdExpirationMs: number
  /** Safety margin of that. Milliseconds, default 1800000, below `producerIdExpirationMs`. */
  readonly expirationMarginMs: number
  /** Wait before a resend that may duplicate. Milliseconds, default 30000, at least 0. */
  readonly zombieWaitMs: number
  /** Topic-partitions that are resolved in parallel after a crash. Count, default 16, at least 1. */
  readonly resolveConcurrency: number
  /** Memory for the index of a recovery. Bytes, default 67108864, at least 1. */
  readonly recoveryIndexMaxBytes: number
  /** Files made ready in advance. Count, default 2, at least 1. */
  readonly spareSegments: number
  /** Delivers to another cluster or a recreated topic, at least once. Default false. */
  readonly allowRetarget: boolean
  /** Opens a directory whose rights, owner or file system are not safe. Default false. */
  readonly allowUnsafeDir: boolean
  /** Overwrites files with zeros before they are used again. Default false. */
  readonly scrub: boolean
}
