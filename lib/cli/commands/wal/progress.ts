/** How far the reading of a log is, in one line: bytes, share, rate, time left. */
import { systemClock } from '../../../index.js'
import type { RecoveryProgress } from '../../../wal/index.js'
import { amount, count, plural } from '../../output.js'

export class ScanProgress {
  readonly #what: string
  readonly #now: () => number
  readonly #fromMs: number
  #step: RecoveryProgress | null = null

  constructor(what: string, now: () => number = () => systemClock.monotonicMs()) {
    this.#what = what
    this.#now = now
    this.#fromMs = now()
  }

  step(step: RecoveryProgress): void {
    this.#step = step
  }

  text(): string {
    const step = this.#step
    if (step === null) return `${this.#what}: begins`
    const { bytes, totalBytes, segments, entries } = step
    const seconds = Math.max((this.#now() - this.#fromMs) / 1_000, 0.001)
    const share = totalBytes === 0 ? 100 : Math.min(100, Math.floor((100 * bytes) / totalBytes))
    const left = bytes === 0 ? null : Math.max(0, Math.ceil((seconds * (totalBytes - bytes)) / bytes))
    const parts = [
      `${amount(bytes)} of ${amount(totalBytes)} (${share} %)`,
      plural(segments, 'segment'),
      `${count(entries)} unsettled batches`,
      `${amount(Math.round(bytes / seconds))}/s`,
      ...(left === null ? [] : [`${count(left)} s left`]),
    ]
    return `${this.#what}: ${parts.join(', ')}`
  }
}
