/** Sums of the last ten seconds, for "per second" figures that follow the load. One slot per second, reused. */
import type { Clock } from './clock.js'

const SLOTS = 11 // Ten whole seconds and the one that is running.

export class RateWindow {
  readonly #clock: Clock
  readonly #sums = new Float64Array(SLOTS)
  readonly #seconds = new Float64Array(SLOTS).fill(-1)
  readonly #startMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
  }

  /** `atMs`: monotonic, when it happened if not now; what is out of the window already is left out. */
  add(amount: number, atMs: number = this.#clock.monotonicMs()): void {
    const second = Math.floor(atMs / 1000)
    const slot = second % SLOTS
    if ((this.#seconds[slot] as number) > second) return
    if (this.#seconds[slot] !== second) {
      this.#seconds[slot] = second
      this.#sums[slot] = 0
    }
    this.#sums[slot] = (this.#sums[slot] as number) + amount
  }

  perSecond(): number {
    const nowMs = this.#clock.monotonicMs()
    const oldest = Math.floor(nowMs / 1000) - SLOTS + 1
    let total = 0
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((this.#seconds[slot] as number) >= oldest) total += this.#sums[slot] as number
    }
    const spanMs = Math.min(nowMs - this.#startMs, nowMs - oldest * 1000)
    return spanMs <= 0 ? 0 : (total * 1000) / spanMs
  }
}
