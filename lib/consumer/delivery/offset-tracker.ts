/**
 * Which of the records taken out of order are processed: the position may follow only without a gap (CO-9). Hot path.
 *
 *   slot       12    13    14    15    16        position = end of 12
 *   done        x     x           x     x        13 is done next to it, 14 is open: 15 and 16 are remembered
 *               ^--- processed   ^head    ^tail
 *
 * Invariant: the record at the head is open, or there is none; whoever takes bounds how many there are.
 */
import { assert } from '../../util/index.js'

const FIRST_CAPACITY = 16 // slots; a power of two, doubled when full

export class OffsetTracker {
  #ends = new Float64Array(FIRST_CAPACITY)
  #epochs = new Int32Array(FIRST_CAPACITY)
  #isDone = new Uint8Array(FIRST_CAPACITY)
  #head = 0
  #tail = 0
  /** Everything below is processed; -1 before the first record was. */
  position = -1
  /** Leader epoch of the record before it. */
  epoch = -1

  /** Records that wait for an earlier one, that one included. */
  get size(): number {
    return this.#tail - this.#head
  }

  /** The next record in the order of the log; `end` is the offset behind it. Gives its slot. */
  take(end: number, epoch: number): number {
    if (this.size === this.#ends.length) this.#grow()
    const at = this.#tail & (this.#ends.length - 1)
    this.#ends[at] = end
    this.#epochs[at] = epoch
    this.#isDone[at] = 0
    return this.#tail++
  }

  /** Nothing is left to read up to `end`: it belongs to the record taken last, which there is. */
  extend(end: number): void {
    assert(this.size > 0, 'what follows no open record moves the position itself')
    this.#ends[(this.#tail - 1) & (this.#ends.length - 1)] = end
  }

  /** Processed. True when the position has moved. */
  done(slot: number): boolean {
    assert(slot >= this.#head && slot < this.#tail, 'a record ends once')
    const mask = this.#ends.length - 1
    this.#isDone[slot & mask] = 1
    if (slot !== this.#head) return false
    while (this.#head < this.#tail && this.#isDone[this.#head & mask] === 1) {
      this.position = this.#ends[this.#head & mask] as number
      this.epoch = this.#epochs[this.#head & mask] as number
      this.#head++
    }
    return true
  }

  #grow(): void {
    const old = { ends: this.#ends, epochs: this.#epochs, isDone: this.#isDone, mask: this.#ends.length - 1 }
    const capacity = this.#ends.length * 2
    this.#ends = new Float64Array(capacity)
    this.#epochs = new Int32Array(capacity)
    this.#isDone = new Uint8Array(capacity)
    for (let slot = this.#head; slot < this.#tail; slot++) {
      const [from, to] = [slot & old.mask, slot & (capacity - 1)]
      this.#ends[to] = old.ends[from] as number
      this.#epochs[to] = old.epochs[from] as number
      this.#isDone[to] = old.isDone[from] as number
    }
  }
}
