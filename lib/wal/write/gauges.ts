/** Running numbers of the writing part; `measures()` reads them. Hot path: plain fields. Source: wal.md 5. */
import { Buckets, LATENCY_SECONDS } from '../../util/index.js'

export const GROUP_RECORDS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]

export class Gauges {
  appendedRecords = 0
  appendedBytes = 0
  groups = 0
  fdatasyncs = 0
  rejected = 0
  poisoned = 0
  relocatedBytes = 0
  readonly settled = { delivered: 0, duplicate: 0, rejected: 0, dropped: 0, lost: 0 }
  readonly errors = new Map<string, number>()
  readonly groupRecords = new Buckets(GROUP_RECORDS)
  readonly writeSeconds = new Buckets(LATENCY_SECONDS)
  readonly fdatasyncSeconds = new Buckets(LATENCY_SECONDS)
  readonly acceptSeconds = new Buckets(LATENCY_SECONDS)

  readonly countError = (code: string): void => {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
  }
}
