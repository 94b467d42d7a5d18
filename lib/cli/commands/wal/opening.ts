/**
 * Opening a log from the command line: as its owner last did.
 * Why the last durability and not a better one: what the next producer concludes from the last opening (may unsynced
 * pages be missing? has spilling lost what came before?) must not change because somebody looked in between.
 */
import type { ResolvedConfig } from '../../../index.js'
import {
  type LogDurability,
  type RecoveryProgress,
  type Survey,
  type Wal,
  type WalEvents,
  type WalOptions,
  WriteAheadLog,
} from '../../../wal/index.js'
import type { Run } from '../../run.js'
import { partsOf } from './look.js'
import { ScanProgress } from './progress.js'

/** Bytes of all files that count, or more: an opening must never find the log above its limit. */
export function bytesOf({ segments, spares, manifest }: Survey): number {
  return (segments.length + spares.length) * manifest.segmentBytes
}

export function durabilityOf({ lastOpen }: Survey): LogDurability {
  return lastOpen?.durability ?? 'immediate'
}

export function optionsFor(
  wal: ResolvedConfig['producer']['wal'],
  dir: string,
  survey: Survey,
  onCorruption: WalOptions['onCorruption'],
): WalOptions {
  const { manifest } = survey
  return {
    dir,
    owner: manifest.owner,
    durability: durabilityOf(survey),
    maxBytes: Math.max(wal.maxBytes, 2 * bytesOf(survey)),
    segmentBytes: manifest.segmentBytes,
    syncIntervalMs: wal.syncIntervalMs,
    groupMaxBytes: Math.min(wal.groupMaxBytes, manifest.segmentBytes / 4),
    groupMaxWaitMs: wal.groupMaxWaitMs,
    pendingMaxBytes: wal.pendingMaxBytes,
    unsyncedMaxBytes: wal.unsyncedMaxBytes,
    minFreeBytes: wal.minFreeBytes,
    ackFlushMs: wal.ackFlushMs,
    onCorruption,
    recoveryIndexMaxBytes: wal.recoveryIndexMaxBytes,
    spareSegments: wal.spareSegments,
    allowUnsafeDir: wal.allowUnsafeDir,
    scrub: wal.scrub,
  }
}

/** With progress on stderr; what the log tells while it is open becomes a note. Rejects as `WriteAheadLog.open`. */
export async function openLog(run: Run, options: WalOptions, what: string): Promise<Wal> {
  const progress = new ScanProgress(what)
  run.out.startProgress(() => progress.text())
  try {
    return await WriteAheadLog.open(
      options,
      partsOf(run),
      eventsFor(run, (step) => progress.step(step)),
    )
  } finally {
    run.out.endProgress()
  }
}

function eventsFor(run: Run, progress: (step: RecoveryProgress) => void): WalEvents {
  return {
    degraded: (error) => void run.out.note(`a write failed, and went elsewhere: ${error.message}`),
    failed: (error) => void run.out.note(`the log failed: ${error.message}`),
    slowSync: (ms) => void run.out.note(`a sync takes ${Math.round(ms)} ms`),
    full: () => void run.out.note('the log is full'),
    room: () => {},
    progress,
  }
}
