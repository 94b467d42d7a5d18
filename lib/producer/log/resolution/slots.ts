/**
 * How many streams work at the same time (`resolveConcurrency`): each may hold one batch in memory.
 * Why slots are given back while a stream waits: sixteen partitions without a leader must not delay the seventeenth.
 * Invariant: 0 <= free <= limit; who waits is served in order.
 */
import { assert } from '../../../util/index.js'

export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    assert(limit >= 1, 'at least one stream is resolved at a time')
    this.#free = limit
  }

  /** Resolves when the caller holds a slot. */
  take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
