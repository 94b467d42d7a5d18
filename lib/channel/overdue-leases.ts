/**
 * Counts leases that are held longer than LIMIT_MS: somebody forgot `release()`, and memory does not come back. CH-11.
 * Hot path. Why slots of a second instead of a list: a lease costs one count up and one down, and no clock is read for it.
 * Invariant: each lease is counted at most once; it is noticed when time is told the next time, by the next buffer that
 * is taken or by whoever asks for the total.
 *
 *   second   [ 118 ][ 119 ][ 120 ][ ... ]   leases of that second that are still held
 *               ^ leaves the ring LIMIT_MS later: what it still holds is overdue
 */
const LIMIT_MS = 120_000
const SLOT_MS = 1000
const SLOTS = LIMIT_MS / SLOT_MS + 1 // the second that is running is not over

export class OverdueLeases {
  readonly #held = new Float64Array(SLOTS)
  #second = 0
  #total = 0

  /** It is that late. Monotonic milliseconds. */
  tick(nowMs: number): void {
    const second = Math.floor(nowMs / SLOT_MS)
    if (second === this.#second) return
    for (let next = Math.max(this.#second + 1, second - SLOTS + 1); next <= second; next++) {
      const slot = next % SLOTS
      this.#total += this.#held[slot] as number
      this.#held[slot] = 0
    }
    this.#second = second
  }

  /** A lease begins; the number it gives belongs to its end. */
  begin(): number {
    const slot = this.#second % SLOTS
    this.#held[slot] = (this.#held[slot] as number) + 1
    return this.#second
  }

  end(begun: number): void {
    if (this.#second - begun >= SLOTS) return // It was counted.
    const slot = begun % SLOTS
    this.#held[slot] = (this.#held[slot] as number) - 1
  }

  total(nowMs: number): number {
    this.tick(nowMs)
    return this.#total
  }
}
