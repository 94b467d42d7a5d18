/**
 * How long callbacks run, without looking at the clock for each of them. Hot path.
 *
 *   mark ---- callback, callback, callback ---- mark         three times a third of the time between
 *   mark ---- callback -> promise ............ settled       its own time
 *
 * Why shared: a look at the clock costs a third of what handing out a record does, and slices look at it every few
 * records anyway. So callbacks that return no promise are observed as n times their mean: count and sum are exact (the
 * time to read the records included), the spread within such a group is lost. One that returns a promise is timed itself.
 * Invariant: each callback is observed once, at the next mark, or when its promise has settled.
 */
import type { Buckets, Clock } from '../../util/index.js'

export class CallbackTimes {
  readonly #clock: Clock
  readonly #seconds: Buckets | null
  #markMs = 0 // monotonic
  /** Callbacks that have returned without a promise since the last mark. */
  calls = 0

  /** Without buckets nothing is measured, and the clock only read where somebody wants the time. */
  constructor(clock: Clock, seconds: Buckets | null) {
    this.#clock = clock
    this.#seconds = seconds
  }

  /** What is about to be counted was no call: a record that was skipped. */
  readonly skipped = (): void => {
    this.calls--
  }

  /** Somebody has looked at the clock; what runs from here on is measured from here. */
  mark(nowMs: number): void {
    if (this.calls > 0) {
      this.#seconds?.observe((nowMs - this.#markMs) / this.calls / 1_000, this.calls)
      this.calls = 0
    }
    this.#markMs = nowMs
  }

  /** Nothing goes on in this turn. */
  rest(): void {
    if (this.calls === 0) return
    if (this.#seconds === null) this.calls = 0
    else this.mark(this.#clock.monotonicMs())
  }

  /** A callback has returned a promise. Gives when it was called, monotonic. */
  opened(): number {
    if (this.#seconds === null) {
      this.calls = 0
      return this.#clock.monotonicMs()
    }
    if (this.calls === 0) return this.#markMs
    const nowMs = this.#clock.monotonicMs()
    const eachMs = (nowMs - this.#markMs) / (this.calls + 1)
    this.mark(nowMs - eachMs)
    return nowMs - eachMs
  }

  /** Its promise has settled. */
  settled(sinceMs: number): void {
    if (this.#seconds === null) return
    const nowMs = this.#clock.monotonicMs()
    this.#seconds.observe((nowMs - sinceMs) / 1_000)
    this.mark(nowMs)
  }
}
