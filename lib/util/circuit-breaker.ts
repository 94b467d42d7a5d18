/**
 * Stops asking somebody who fails again and again, and tries him again after a while. QU-4, PR-19.
 * It only decides; who uses it asks `mayBegin` before an attempt and tells how each attempt ended.
 * Invariant: in `halfOpen` at most one trial is under way; an attempt that began in an earlier state changes nothing.
 *
 *   closed --`failures` in a row--> open --`timeoutMs`--> halfOpen --`successes`--> closed
 *                                     ^-------- one failure --------'
 */
import { assert } from './assert.js'
import type { Clock, TimerHandle } from './clock.js'

export type CircuitState = 'closed' | 'halfOpen' | 'open'

export interface CircuitOptions {
  /** Failures in a row that open it. Count, at least 1. */
  readonly failures: number
  /** Successful trials that close it. Count, at least 1. */
  readonly successes: number
  /** How long it stays open. Milliseconds, at least 1. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** Told after each change of state. */
  onChange(from: CircuitState, to: CircuitState): void
}

export class CircuitBreaker {
  readonly #options: CircuitOptions
  #state: CircuitState = 'closed'
  #failures = 0 // in a row, while closed
  #successes = 0 // while half-open
  #isTrying = false // a trial is under way
  #term = 0 // states so far: attempts of an earlier one do not count
  #untilMs = 0 // monotonic, end of the open time
  #timer: TimerHandle | null = null
  #isClosed = false

  constructor(options: CircuitOptions) {
    assert(options.failures >= 1 && options.successes >= 1 && options.timeoutMs >= 1, 'config checked these counts')
    this.#options = options
  }

  get state(): CircuitState {
    return this.#state
  }

  /** True when an attempt may be made now; false while open, and while a trial is under way. */
  get mayBegin(): boolean {
    return this.#state === 'closed' || (this.#state === 'halfOpen' && !this.#isTrying)
  }

  /** Until it is tried again; 0 unless open. Milliseconds. */
  get waitMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#untilMs - this.#options.clock.monotonicMs()) : 0
  }

  /** An attempt begins; the number it gives belongs to its end. */
  begin(): number {
    assert(this.mayBegin, 'an attempt began although the circuit does not let any pass')
    if (this.#state === 'halfOpen') this.#isTrying = true
    return this.#term
  }

  succeeded(attempt: number): void {
    if (attempt !== this.#term) return
    this.#isTrying = false
    this.#failures = 0
    if (this.#state === 'halfOpen' && ++this.#successes >= this.#options.successes) this.#become('closed')
  }

  failed(attempt: number): void {
    if (attempt !== this.#term) return
    this.#isTrying = false
    if (this.#state === 'halfOpen' || ++this.#failures >= this.#options.failures) this.#open()
  }

  /** The attempt ended in a way that says nothing: neither success nor failure. */
  abandoned(attempt: number): void {
    if (attempt === this.#term) this.#isTrying = false
  }

  /** A failure that belongs to no attempt of ours, such as a connection that could not be made. Ignored while open. */
  failedBeforehand(): void {
    if (this.#state !== 'open') this.failed(this.#term)
  }

  /** No timer remains; nothing changes any more. */
  close(): void {
    this.#isClosed = true
    this.#term++
    this.#timer?.cancel()
    this.#timer = null
  }

  #open(): void {
    const { clock, timeoutMs } = this.#options
    if (this.#isClosed) return
    this.#untilMs = clock.monotonicMs() + timeoutMs
    this.#timer = clock.setTimer(() => {
      this.#timer = null
      this.#become('halfOpen')
    }, timeoutMs)
    this.#become('open')
  }

  #become(to: CircuitState): void {
    if (this.#isClosed) return
    const from = this.#state
    this.#state = to
    this.#term++
    this.#failures = 0
    this.#successes = 0
    this.#isTrying = false
    this.#options.onChange(from, to)
  }
}
