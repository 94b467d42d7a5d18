/** Figures of a log with a number of their own in every field, so that a series that reads the wrong one shows it. */
import type { WalFigures } from '../../lib/metrics/index.js'
import { LATENCY_SECONDS } from '../../lib/util/index.js'
import { GROUP_RECORDS, type WalMeasures } from '../../lib/wal/index.js'
import { buckets } from './fakes.js'

export function walMeasures(changes: Partial<WalMeasures> = {}): WalMeasures {
  return {
    appendedRecords: 501,
    appendedBytes: 50_002,
    groups: 53,
    fdatasyncs: 54,
    pendingBytes: 55,
    unsyncedBytes: 56,
    liveBytes: 57,
    segments: { live: 3, spare: 2 },
    totalBytes: 58,
    oldestUnsettledSeconds: 59.5,
    unsettledRecords: 60,
    settledRecords: { delivered: 61, duplicate: 62, rejected: 63, dropped: 64, lost: 65 },
    rejected: 66,
    errors: new Map([
      ['EIO', 67],
      ['ENOSPC', 68],
    ]),
    poisoned: 69,
    tornBytes: 70,
    holeRecords: 71,
    relocatedBytes: 72,
    recoveredRecords: 73,
    recoverySeconds: 7.5,
    groupRecords: buckets(GROUP_RECORDS, 1, 40),
    writeSeconds: buckets(LATENCY_SECONDS, 0.0002),
    fdatasyncSeconds: buckets(LATENCY_SECONDS, 0.004, 0.004),
    acceptSeconds: buckets(LATENCY_SECONDS, 0.005, 0.005, 0.005),
    ...changes,
  }
}

export function walFigures(changes: Partial<WalFigures> = {}): WalFigures {
  return {
    log: walMeasures(),
    verdicts: new Map([
      ['resent', 81],
      ['presumed', 82],
    ]),
    edges: new Map([
      ['E1', new Map([['orders', 83]])],
      [
        'E10',
        new Map([
          ['orders', 84],
          ['events', 85],
        ]),
      ],
    ]),
    heldStreams: 1,
    blockedSeconds: 8.25,
    resolveSeconds: 9.75,
    ...changes,
  }
}
