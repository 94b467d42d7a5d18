/**
 * What a channel (or all lanes of a producer together) has counted, for metrics: running totals and present levels.
 * Why one shape: lanes, byte channels and item channels feed the same thirteen series (features.md part 5).
 */
import type { Buckets } from '../util/index.js'

/** Bounds of `switchSeconds`. */
export const SWITCH_SECONDS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1]

export interface ChannelMeasures {
  /** Records written, and writes that were refused or failed. */
  readonly writes: number
  readonly writeFailures: number
  readonly writtenBytes: number
  /** Records handed to a reader, a callback or the sender; reads that failed, time-outs included. */
  readonly reads: number
  readonly readFailures: number
  readonly readBytes: number
  /** Seals, and deadline checks that sealed nothing. */
  readonly switches: number
  readonly skippedSwitches: number
  /** From the decision to switch until the new active buffer is there. Seconds. */
  readonly switchSeconds: Buckets
  /** Buffers really allocated, not taken from the pool. */
  readonly allocations: number
  /** In active buffers now. */
  readonly activeRecords: number
  readonly activeBytes: number
  /** Zero-copy leases that were held too long. */
  readonly overdueLeases: number
}
