/**
 * What one run of the log benchmark is told and what it answers. Each run is a process of its own on a directory of its
 * own, so that none inherits files, garbage or compiled code of another.
 */
import type { LogDurability } from '../../lib/wal/index.js'

/** For the process that measures allocation: a young generation that is never full. */
export const ALLOCATION_FLAGS = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']

export type WalCase =
  /** The disk without a log: what everything else is compared with. */
  | { readonly kind: 'storage'; readonly syncs: number; readonly bytes: number }
  /** Items as fast as the log takes them. */
  | {
      readonly kind: 'append'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly records: number
      readonly syncIntervalMs?: number
    }
  /** Items at a fixed rate; latency from the moment each was due. */
  | {
      readonly kind: 'offered'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly perSecond: number
      readonly seconds: number
      readonly syncIntervalMs?: number
    }
  /** One item, its acceptance awaited, the next. */
  | {
      readonly kind: 'waiting'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly records: number
    }
  /** Sealed batches as fast as the log takes them. */
  | {
      readonly kind: 'sealed'
      readonly durability: LogDurability
      readonly batchBytes: number
      readonly batches: number
    }
  /** Writes a log and dies without a word; `scan` opens what it left. */
  | { readonly kind: 'leave'; readonly itemBytes: number; readonly records: number }
  | { readonly kind: 'scan'; readonly itemBytes: number; readonly records: number; readonly reads: boolean }
  /** Fills the log, frees a segment, waits for room; again and again. */
  | { readonly kind: 'full'; readonly itemBytes: number; readonly times: number }
  /** At a fixed rate with settling, over many rotations: how late the event loop is. */
  | {
      readonly kind: 'loop'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly perSecond: number
      readonly seconds: number
    }
  /** Bytes of heap that an append leaves behind. */
  | {
      readonly kind: 'allocation'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly records: number
    }
  /** A producer leaves records behind and is killed; another one delivers them to an in-process broker. */
  | {
      readonly kind: 'endToEnd'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly records: number
    }
  /** A producer delivers records, with metrics and without. */
  | {
      readonly kind: 'metrics'
      readonly durability: LogDurability
      readonly itemBytes: number
      readonly records: number
    }

/** What a process of its own does with a log alone. */
export type LogCase = Exclude<WalCase, { readonly kind: 'endToEnd' | 'metrics' }>

export interface WalJob {
  readonly what: LogCase
  readonly dir: string
}

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Fields that a case does not measure are absent. */
export interface WalMeasurement {
  readonly records: number
  readonly bytes: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** The log waited for nobody but the disk; it is compared with plain writes, or with writes that are synced each. */
  readonly fullSpeed?: 'plain' | 'synced'
  readonly accept?: Percentiles
  readonly fdatasync?: Percentiles
  readonly fdatasyncs?: number
  readonly groups?: number
  /** Records that were read back and compared, byte for byte. */
  readonly readBack?: number
  /** Of plain positional writes of 1 MiB, with and without a sync each. Bytes per second. */
  readonly rawBytesPerSecond?: number
  readonly rawSyncedBytesPerSecond?: number
  readonly peakRssBytes?: number
  readonly loop?: Percentiles
  readonly rotations?: number
  readonly bytesPerRecord?: number
  readonly resume?: Percentiles
  readonly scanMs?: number
  readonly scannedBytes?: number
  /** From the start of the producer until its log was open, and until the first batch reached the broker. */
  readonly openMs?: number
  readonly firstResendMs?: number
  /** CPU with metrics against without, the same work. */
  readonly metricsPercent?: number
}
