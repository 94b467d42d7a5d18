/**
 * What a spill log is opened with, and the complete options of the log below it.
 * Why numbers of its own: the log sits below the configuration. They are those of `wal.*` and of a queue's `walMaxBytes`,
 * which a test compares.
 * Invariant: options that exist are valid; a wrong value throws INVALID_CONFIG and names the field. Source: features.md 3.5.
 */
import { MQError } from '../../errors/index.js'
import type { Clock, Logger } from '../../util/index.js'
import type { WalOptions } from '../types.js'

export interface SpillLogOptions {
  /** A directory of its own; made when it is missing. */
  readonly dir: string
  /** All files together, at every moment. Bytes, default 104857600 (100 MiB), at least 8 MiB. */
  readonly maxBytes?: number | undefined
  /**
   * One file. Bytes, a power of two 1..64 MiB, at most `maxBytes` / 8, which is the default. A payload is at most a quarter
   * of it; room comes back file by file.
   */
  readonly segmentBytes?: number | undefined
  /** The log counts as full when the disk has less. Bytes, default 134217728 (128 MiB), at least 0. */
  readonly minFreeBytes?: number | undefined
  /** Damaged data that was promised: 'stop' (default) refuses to open, 'quarantine' sets it aside and goes on. */
  readonly onCorruption?: 'stop' | 'quarantine' | undefined
  /** Opens a directory whose rights, owner or file system are not safe. Default false. */
  readonly allowUnsafeDir?: boolean | undefined
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Told what the log survives, and why it failed. Default: warnings on the console. */
  readonly logger?: Logger | undefined
}

const MIB = 1024 * 1024
const LEAST_SEGMENT_BYTES = MIB
const MOST_SEGMENT_BYTES = 64 * MIB
/** A log of fewer files would be full while it still holds mostly what is settled. */
const LEAST_FILES = 8

const DEFAULTS = Object.freeze({
  maxBytes: 100 * MIB,
  syncIntervalMs: 10,
  groupMaxBytes: MIB,
  groupMaxWaitMs: 0,
  pendingMaxBytes: 8 * MIB,
  unsyncedMaxBytes: 32 * MIB,
  minFreeBytes: 128 * MIB,
  ackFlushMs: 5,
  recoveryIndexMaxBytes: 64 * MIB,
  spareSegments: 2,
  scrub: false,
})

/** Complete and checked. */
export function spillWalOptions(options: SpillLogOptions): WalOptions {
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null) {
    throw new MQError('INVALID_CONFIG', `openSpillLog takes an object of options, got ${String(options)}`)
  }
  const { dir, maxBytes = DEFAULTS.maxBytes, minFreeBytes = DEFAULTS.minFreeBytes } = options
  const { onCorruption = 'stop', allowUnsafeDir = false } = options
  check('dir', dir, isPath(dir), 'a path: a text that is not empty and has no NUL')
  const leastBytes = LEAST_FILES * LEAST_SEGMENT_BYTES
  check('maxBytes', maxBytes, Number.isSafeInteger(maxBytes) && maxBytes >= leastBytes, `an integer >= ${leastBytes} B`)
  const { segmentBytes = largestSegment(maxBytes) } = options
  const most = largestSegment(maxBytes)
  const isSegment = Number.isInteger(Math.log2(segmentBytes)) && segmentBytes >= LEAST_SEGMENT_BYTES
  const expected = `a power of two ${LEAST_SEGMENT_BYTES}..${most} B, at most an eighth of maxBytes ${maxBytes}`
  check('segmentBytes', segmentBytes, isSegment && segmentBytes <= most, expected)
  check('minFreeBytes', minFreeBytes, Number.isSafeInteger(minFreeBytes) && minFreeBytes >= 0, 'an integer >= 0 B')
  const isKnown = onCorruption === 'stop' || onCorruption === 'quarantine'
  check('onCorruption', onCorruption, isKnown, "'stop' or 'quarantine'")
  check('allowUnsafeDir', allowUnsafeDir, typeof allowUnsafeDir === 'boolean', 'true or false')
  const own = { dir, maxBytes, segmentBytes, minFreeBytes, onCorruption, allowUnsafeDir }
  return { ...DEFAULTS, ...own, owner: 'queue', durability: 'spill' }
}

/** The largest power of two that an eighth of all bytes holds, within the limits of a file. */
function largestSegment(maxBytes: number): number {
  return Math.min(MOST_SEGMENT_BYTES, 2 ** Math.floor(Math.log2(maxBytes / LEAST_FILES)))
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && !value.includes('\0')
}

function check(field: string, value: unknown, isValid: boolean, expected: string): void {
  if (isValid) return
  throw new MQError('INVALID_CONFIG', `${field} is ${String(value)}: expected ${expected}`, { field, value })
}
