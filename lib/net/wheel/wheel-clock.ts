/**
 * A timing wheel as a `Clock`, so that lanes, heartbeats, commits and connections share one timer of the runtime. NT-8.
 * Why not the wheel itself: a clock waits for any time, also for ever; a wheel says no to what it cannot hold.
 */
import type { Clock, TimerHandle } from '../../util/index.js'

/** What it needs of a wheel. */
export interface AfterTimers {
  readonly longestMs: number
  runAfter(ms: number, task: () => void): TimerHandle
}

export class WheelClock implements Clock {
  readonly #wheel: AfterTimers
  readonly #clock: Clock

  /** `clock` tells the time, `wheel` rings. */
  constructor(wheel: AfterTimers, clock: Clock) {
    this.#wheel = wheel
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  /** Rings in the first whole millisecond that is not earlier. What is longer than `longestMs` (31.4 years) rings then. */
  setTimer(task: () => void, delayMs: number): TimerHandle {
    return this.#wheel.runAfter(Math.min(Math.max(0, delayMs), this.#wheel.longestMs), task)
  }

  defer(task: () => void): void {
    this.#clock.defer(task)
  }
}
