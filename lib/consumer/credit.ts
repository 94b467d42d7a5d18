/**
 * The bytes that all brokers together may have fetched and not yet processed, or asked for.
 * Why: without one sum over all brokers memory grows with their number (C-15).
 * Invariant: used = reserved by outstanding fetches + held by buffered batches; `used <= limit`, except for what a
 * broker sends above its limit because its first batch is larger (KIP-74), and that is counted too.
 */
import { assert } from '../util/index.js'

export class PrefetchCredit {
  readonly limitBytes: number
  #usedBytes = 0
  /** Who found too little; told in the order of asking. A Set, so that one who asks again waits once. */
  readonly #waiting = new Set<() => void>()

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes up to `wanted` bytes; 0 when fewer than `least` are free, and `onFree` is called once some are. */
  reserve(least: number, wanted: number, onFree: () => void): number {
    const free = this.limitBytes - this.#usedBytes
    if (free < least) {
      this.#waiting.add(onFree)
      return 0
    }
    const granted = Math.min(free, wanted)
    this.#usedBytes += granted
    return granted
  }

  /** A reservation turns into what really came. */
  settle(reserved: number, received: number): void {
    this.#usedBytes += received - reserved
    assert(this.#usedBytes >= 0, 'prefetch credit is given back once')
    if (received < reserved) this.#tell()
  }

  giveBack(bytes: number): void {
    this.settle(bytes, 0)
  }

  /** Its owner waits no more. */
  forget(onFree: () => void): void {
    this.#waiting.delete(onFree)
  }

  #tell(): void {
    if (this.#waiting.size === 0 || this.#usedBytes >= this.limitBytes) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const onFree of waiting) onFree()
  }
}
