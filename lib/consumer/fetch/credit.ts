/**
 * The bytes that all brokers together may have fetched and not yet processed, or asked for.
 * Why: without one sum over all brokers memory grows with their number (C-15).
 * Invariant: used = reserved by outstanding fetches + held by buffered batches; `used <= limit`, except for what a
 * broker sends above its limit because its first batch is larger (KIP-74), and that is counted too.
 */
import { assert } from '../../util/index.js'

export class PrefetchCredit {
  readonly limitBytes: number
  #usedBytes = 0
  /**
   * Who found too little, first come first served: the others ask again right after each answer, and would take what
   * becomes free before the one that waits for it has had its turn.
   */
  readonly #waiting = new Set<() => void>()

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes up to `wanted` bytes; 0 when fewer than `least` are free or others wait; then `onFree` is called later. */
  reserve(least: number, wanted: number, onFree: () => void): number {
    const free = this.limitBytes - this.#usedBytes
    const [first = onFree] = this.#waiting
    if (free < least || first !== onFree) {
      this.#waiting.add(onFree)
      if (free >= least) first()
      return 0
    }
    this.#waiting.delete(onFree)
    const granted = Math.min(free, wanted)
    this.#usedBytes += granted
    this.#tellFirst()
    return granted
  }

  /** A reservation turns into what really came. */
  settle(reserved: number, received: number): void {
    this.#usedBytes += received - reserved
    assert(this.#usedBytes >= 0, 'prefetch credit is given back once')
    if (received < reserved) this.#tellFirst()
  }

  giveBack(bytes: number): void {
    this.settle(bytes, 0)
  }

  /** Its owner wants nothing now: who waits behind it comes next. */
  forget(onFree: () => void): void {
    if (this.#waiting.delete(onFree)) this.#tellFirst()
  }

  #tellFirst(): void {
    const [first] = this.#waiting
    if (first !== undefined && this.#usedBytes < this.limitBytes) first()
  }
}
