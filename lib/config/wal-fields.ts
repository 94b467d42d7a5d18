/**
 * Rows of `wal`. An upper bound the source does not name is that of the number itself. Source: features.md 3.5, wal.md.
 */
import { bool, custom, type FieldSpec, grouped, INT32_MAX, int, oneOf } from './field.js'
import type { WalSettings } from './wal-types.js'

const KIB = 1_024
const MIB = 1_024 * KIB
const HIGH = Number.MAX_SAFE_INTEGER
export const MIN_SEGMENT_BYTES = MIB
export const MAX_SEGMENT_BYTES = 64 * MIB
/** The smallest `maxBatchBytes`; each of these must take at least one batch. */
const MIN_BATCH_BYTES = KIB
const DURABILITIES = ['memory', 'spill', 'os', 'periodic', 'immediate']

const isPath = (value: unknown) => typeof value === 'string' && value.length > 0 && !value.includes('\0')

function isSegmentBytes(value: unknown): boolean {
  if (!Number.isInteger(value) || !Number.isInteger(Math.log2(value as number))) return false
  return (value as number) >= MIN_SEGMENT_BYTES && (value as number) <= MAX_SEGMENT_BYTES
}

export const walFields: Readonly<Record<`wal.${keyof WalSettings}`, FieldSpec>> = {
  'wal.durability': oneOf('memory', DURABILITIES, ...grouped('wal', 'walSyncMode')),
  'wal.dir': custom(
    undefined,
    'a path: a text that is not empty and has no NUL',
    isPath,
    undefined,
    ...grouped('wal', 'walPath'),
  ),
  'wal.maxBytes': int(KIB * MIB, 8 * MIB, HIGH, ...grouped('wal', 'walMaxSize')),
  'wal.segmentBytes': custom(undefined, 'a power of two 1048576..67108864', isSegmentBytes),
  'wal.syncIntervalMs': int(10, 1, 60_000, ...grouped('wal', 'walSyncInterval')),
  'wal.groupMaxBytes': int(MIB, 4_096, HIGH),
  'wal.groupMaxWaitMs': int(0, 0, 2),
  'wal.pendingMaxBytes': int(8 * MIB, MIN_BATCH_BYTES, HIGH),
  'wal.unsyncedMaxBytes': int(32 * MIB, MIN_BATCH_BYTES, HIGH),
  'wal.minFreeBytes': int(128 * MIB, MIN_BATCH_BYTES, HIGH),
  'wal.acceptLingerMs': int(1, 0, 1_000),
  'wal.ackFlushMs': int(5, 0, 1_000),
  'wal.onCorruption': oneOf('stop', ['stop', 'quarantine']),
  'wal.onAmbiguous': oneOf('hold', ['hold', 'drop', 'resend']),
  'wal.onWalFailure': oneOf('reject', ['reject', 'bypass']),
  'wal.producerIdExpirationMs': int(86_400_000, 1, HIGH),
  'wal.expirationMarginMs': int(1_800_000, 0, HIGH),
  'wal.zombieWaitMs': int(30_000, 0, INT32_MAX),
  'wal.resolveConcurrency': int(16, 1, HIGH),
  'wal.recoveryIndexMaxBytes': int(64 * MIB, 1, HIGH),
  'wal.spareSegments': int(2, 1, HIGH),
  'wal.allowRetarget': bool(false),
  'wal.allowUnsafeDir': bool(false),
  'wal.scrub': bool(false),
}
