/** The running numbers of a log as its owner reads them. Source: wal.md 5. */
import type { LogTables } from '../state/tables.js'
import type { WalMeasures } from '../types.js'
import type { Gauges } from './gauges.js'
import type { Progress } from './progress.js'
import type { Shelf } from './shelf.js'

export interface Measured {
  readonly gauges: Gauges
  readonly progress: Progress
  readonly shelf: Shelf
  readonly tables: LogTables
  readonly segmentBytes: number
  readonly pendingBytes: number
  /** Wall time. */
  readonly nowMs: number
}

/** What recovery counted is 0 here: whoever opened the log knows it. */
export function measuresOf({
  gauges,
  progress,
  shelf,
  tables,
  segmentBytes,
  pendingBytes,
  nowMs,
}: Measured): WalMeasures {
  let liveBytes = 0
  for (const segment of shelf.live.keys()) if (tables.liveRecords(segment) > 0) liveBytes += segmentBytes
  return {
    appendedRecords: gauges.appendedRecords,
    appendedBytes: gauges.appendedBytes,
    groups: gauges.groups,
    fdatasyncs: gauges.fdatasyncs,
    pendingBytes,
    unsyncedBytes: progress.unsyncedBytes,
    liveBytes,
    segments: { live: shelf.live.size, spare: shelf.spareCount },
    totalBytes: shelf.fileCount * segmentBytes,
    oldestUnsettledSeconds: oldestSeconds(tables, nowMs),
    unsettledRecords: tables.unsettledRecords,
    settledRecords: { ...gauges.settled },
    rejected: gauges.rejected,
    errors: gauges.errors,
    poisoned: gauges.poisoned,
    tornBytes: 0,
    holeRecords: 0,
    relocatedBytes: gauges.relocatedBytes,
    recoveredRecords: 0,
    recoverySeconds: 0,
    groupRecords: gauges.groupRecords,
    writeSeconds: gauges.writeSeconds,
    fdatasyncSeconds: gauges.fdatasyncSeconds,
    acceptSeconds: gauges.acceptSeconds,
  }
}

/** By record timestamps: the only time that outlives a process. */
function oldestSeconds(tables: LogTables, nowMs: number): number {
  let oldestMs = nowMs
  for (const stream of tables.streams.keys()) {
    const first = tables.entriesOf(stream).find((entry) => entry.unsettled > 0)
    if (first !== undefined && first.maxTimestampMs >= 0) oldestMs = Math.min(oldestMs, first.maxTimestampMs)
  }
  return (nowMs - oldestMs) / 1000
}
