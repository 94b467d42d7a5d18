/**
 * Something the broker does at an interval that a setting tells.
 * Invariant: one timer at most; none after `stop`.
 */
import type { Clock, TimerHandle } from '../util/index.js'

export class Recurring {
  readonly #clock: Clock
  readonly #intervalMs: () => number
  readonly #task: () => void
  #timer: TimerHandle | null = null
  #isStopped = false

  constructor(clock: Clock, intervalMs: () => number, task: () => void) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#task = task
  }

  /** Begins, or begins anew with the interval as it is now. */
  arm(): void {
    this.#timer?.cancel()
    if (this.#isStopped) return
    this.#timer = this.#clock.setTimer(() => {
      this.#task()
      this.arm()
    }, this.#intervalMs())
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }
}
