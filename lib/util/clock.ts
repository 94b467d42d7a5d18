/**
 * Time as an argument.
 * Why: limits count on a monotonic clock (a wall clock that jumps by an hour expires nothing), records carry wall
 * time, and tests advance both by hand.
 */
export interface TimerHandle {
  /** Harmless when the timer has fired or was cancelled. */
  cancel(): void
}

export interface Clock {
  /** Wall time in ms since 1970, for record timestamps only. */
  now(): number
  /** Monotonic ms with fraction, for every limit and latency. */
  monotonicMs(): number
  /** Calls once after `delayMs`. */
  setTimer(task: () => void, delayMs: number): TimerHandle
  /** Calls once at the end of the current turn of the event loop, after what is already queued. */
  defer(task: () => void): void
}

const LONGEST_MS = 0x7fffffff

class SystemTimer implements TimerHandle {
  readonly #timeout: NodeJS.Timeout
  constructor(task: () => void, delayMs: number) {
    // Node takes 31 bits: it would ring at once for a longer wait, and for Infinity.
    this.#timeout = setTimeout(task, Math.min(delayMs, LONGEST_MS))
  }
  cancel(): void {
    clearTimeout(this.#timeout)
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (task, delayMs) => new SystemTimer(task, delayMs),
  defer: (task) => {
    setImmediate(task)
  },
}
