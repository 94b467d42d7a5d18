/**
 * Latencies in whole microseconds, counted one by one: a histogram of steps would blur what is compared with a goal.
 * Invariant: memory is bounded by the highest value that is told apart, two seconds; the maximum is kept as it is.
 */
import type { Percentiles } from './wal-job.js'

export class Latencies {
  static readonly #HIGHEST_US = 2_000_000
  readonly #counts = new Uint32Array(Latencies.#HIGHEST_US + 1)
  #count = 0
  #maxMs = 0

  note(ms: number): void {
    const us = Math.min(Latencies.#HIGHEST_US, Math.max(0, Math.round(ms * 1_000)))
    this.#counts[us] = (this.#counts[us] as number) + 1
    this.#count++
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  percentiles(): Percentiles {
    return { p50: this.#at(0.5), p99: this.#at(0.99), p999: this.#at(0.999), max: this.#maxMs }
  }

  #at(share: number): number {
    let left = Math.ceil(share * this.#count)
    for (let us = 0; us < this.#counts.length; us++) {
      left -= this.#counts[us] as number
      if (left <= 0) return us / 1_000
    }
    return this.#maxMs
  }
}
