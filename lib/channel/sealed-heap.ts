/**
 * Sealed buffers in the order of their seal numbers.
 * Why a heap and not a queue: a buffer that must be sent again comes back under its old number and has to leave before
 * everything that was sealed after it.
 * Invariant: `pop` never gives n + 1 while n is inside; equal numbers are allowed. CH-9.
 */
import { MinHeap } from '../util/index.js'

export interface Sequenced {
  /** The seal number. Never changed while the buffer is inside. */
  readonly sequence: number
}

/** One function for all heaps, so that an idle lane carries no closure. */
const bySequence = (a: Sequenced, b: Sequenced): number => a.sequence - b.sequence

export class SealedHeap<T extends Sequenced> {
  readonly #heap = new MinHeap<T>(bySequence)

  get size(): number {
    return this.#heap.size
  }

  push(sealed: T): void {
    this.#heap.push(sealed)
  }

  /** The lowest number, left inside. */
  peek(): T | undefined {
    return this.#heap.peek()
  }

  /** The lowest number, taken out. */
  pop(): T | undefined {
    return this.#heap.pop()
  }

  clear(): void {
    this.#heap.clear()
  }
}
