/**
 * From the figures of a log to its series, and to what `getMetrics().wal` shows.
 * Why here and not in the log: it counts in plain fields and knows neither names nor units of a dashboard; who sends its
 * batches adds what only he knows (verdicts, edges, held streams). Source: wal.md 5, features.md part 5.
 */
import type { Buckets } from '../util/index.js'
import type { WalMeasures, WalState } from '../wal/index.js'
import type { RoomReadings } from './collector.js'
import { bucketsQuantile, seenBuckets } from './quantile.js'
import { byName, type LabelledReading } from './series.js'

/** Running numbers of a log and of whoever resolves what was in doubt in it. */
export interface WalFigures {
  readonly log: WalMeasures
  /** Batches in doubt that were decided, by verdict. */
  readonly verdicts: ReadonlyMap<string, number>
  /** Records by edge case ('E1' ..., wal.md 1.3), then by topic. */
  readonly edges: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** Topic-partitions that wait for an operator. */
  readonly heldStreams: number
  /** Seconds that sends waited for the log. */
  readonly blockedSeconds: number
  /** Of the second phase of the last recovery (wal.md 4.2); absent while it runs, and without one. */
  readonly resolveSeconds?: number
}

/** Something that has a log, or will have one: null until it is open. */
export interface WalSource {
  walMeasures(): WalFigures | null
}

/** Every series of wal-series.ts. A histogram that is not kept (null) shows no sample. */
export function walReadings(of: WalFigures): RoomReadings {
  const { log } = of
  const resolved: LabelledReading[] = of.resolveSeconds === undefined ? [] : [[['resolve'], of.resolveSeconds]]
  return {
    wal_appended_records_total: log.appendedRecords,
    wal_appended_bytes_total: log.appendedBytes,
    wal_groups_total: log.groups,
    wal_group_records: log.groupRecords ?? undefined,
    wal_fdatasync_total: log.fdatasyncs,
    wal_write_seconds: log.writeSeconds ?? undefined,
    wal_fdatasync_seconds: log.fdatasyncSeconds ?? undefined,
    wal_accept_seconds: log.acceptSeconds ?? undefined,
    wal_pending_bytes: log.pendingBytes,
    wal_unsynced_bytes: log.unsyncedBytes,
    wal_live_bytes: log.liveBytes,
    wal_segments: byName(Object.entries(log.segments)),
    wal_oldest_unsettled_seconds: log.oldestUnsettledSeconds,
    wal_settled_records_total: byName(Object.entries(log.settledRecords)),
    wal_blocked_seconds_total: of.blockedSeconds,
    wal_rejected_total: log.rejected,
    wal_errors_total: byName(log.errors),
    wal_poisoned_total: log.poisoned,
    wal_torn_bytes_total: log.tornBytes,
    wal_hole_records_total: log.holeRecords,
    wal_relocated_bytes_total: log.relocatedBytes,
    wal_recovery_seconds: [[['scan'], log.recoverySeconds], ...resolved],
    wal_recovered_records_total: log.recoveredRecords,
    wal_resolved_batches_total: byName(of.verdicts),
    wal_held_streams: of.heldStreams,
    wal_edge_total: edgesOf(of),
  }
}

function edgesOf({ edges }: WalFigures): LabelledReading[] {
  return [...edges].flatMap(([name, topics]) =>
    [...topics].map(([topic, records]) => [[name, topic], records] as const),
  )
}

/**
 * The readings of a source that may have no log yet, or none any more.
 * Why the last ones are kept: a producer that was closed has no log, and its totals must not fall.
 */
export function walRoom(source: WalSource): { readings(): RoomReadings } {
  let last: RoomReadings = {}
  return {
    readings: () => {
      const figures = source.walMeasures()
      if (figures !== null) last = walReadings(figures)
      return last
    },
  }
}

/** What `getMetrics().wal` shows: plain numbers, counted since the log was opened. */
export interface WalSnapshot {
  readonly state: WalState
  readonly appendedRecords: number
  readonly appendedBytes: number
  readonly groups: number
  readonly fdatasyncs: number
  readonly pendingBytes: number
  readonly unsyncedBytes: number
  readonly liveBytes: number
  /** All files that count against `wal.maxBytes`. */
  readonly totalBytes: number
  readonly segments: { readonly live: number; readonly spare: number }
  readonly unsettledRecords: number
  readonly oldestUnsettledSeconds: number
  /** Records by outcome. */
  readonly settledRecords: Readonly<Record<'delivered' | 'duplicate' | 'rejected' | 'dropped' | 'lost', number>>
  readonly rejected: number
  /** By code. */
  readonly errors: Readonly<Record<string, number>>
  readonly poisoned: number
  readonly tornBytes: number
  readonly holeRecords: number
  readonly relocatedBytes: number
  readonly recoveredRecords: number
  readonly recoverySeconds: number
  /** Batches in doubt, by verdict. */
  readonly resolvedBatches: Readonly<Record<string, number>>
  /** Records by edge case, then by topic. */
  readonly edges: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly heldStreams: number
  readonly blockedSeconds: number
  /** 99th percentiles since the log was opened, estimated within their buckets; 0 before the first. */
  readonly acceptP99Ms: number
  readonly fdatasyncP99Ms: number
}

/** Null without a log. */
export function walSnapshot(figures: WalFigures | null, state: WalState | null): WalSnapshot | null {
  if (figures === null || state === null) return null
  const { log, verdicts, edges, heldStreams, blockedSeconds } = figures
  const { groupRecords: _records, writeSeconds: _write, fdatasyncSeconds, acceptSeconds, errors, ...numbers } = log
  return {
    state,
    ...numbers,
    segments: { ...log.segments },
    settledRecords: { ...log.settledRecords },
    errors: Object.fromEntries(errors),
    resolvedBatches: Object.fromEntries(verdicts),
    edges: Object.fromEntries([...edges].map(([name, topics]) => [name, Object.fromEntries(topics)])),
    heldStreams,
    blockedSeconds,
    acceptP99Ms: p99Ms(acceptSeconds),
    fdatasyncP99Ms: p99Ms(fdatasyncSeconds),
  }
}

function p99Ms(seconds: Buckets | null): number {
  return seconds === null ? 0 : (bucketsQuantile(0.99, null, seenBuckets(seconds)) ?? 0) * 1_000
}
