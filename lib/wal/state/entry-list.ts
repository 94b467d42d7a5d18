/**
 * The unsettled entries of one stream in position order. Hot path.
 * Why not a plain array alone: settlements come at the head, and sometimes in the middle (a held batch, several in
 * flight). A settled entry stays where it is, with `unsettled` 0, until half of the list is such entries: removal is
 * then O(1) on average and appending a push.
 * Invariant: firstPosition ascends strictly; `live` counts the entries with `unsettled` > 0.
 */
import type { Entry } from '../types.js'

/** Below this the list is not worth compacting. */
const COMPACT_FROM = 32

export class EntryList {
  #entries: Entry[] = []
  #head = 0
  #live = 0

  get live(): number {
    return this.#live
  }

  insert(entry: Entry): void {
    const { length } = this.#entries
    if (length === 0 || (this.#entries[length - 1] as Entry).firstPosition < entry.firstPosition) {
      this.#entries.push(entry)
    } else {
      this.#entries.splice(this.#firstEndingBehind(entry.firstPosition), 0, entry)
    }
    this.#live++
  }

  /** One of the entries was settled completely. */
  settledOne(): void {
    this.#live--
    while (this.#head < this.#entries.length && (this.#entries[this.#head] as Entry).unsettled === 0) this.#head++
    if (this.#entries.length >= COMPACT_FROM && this.#live * 2 < this.#entries.length) this.#compact()
  }

  /** Index for `at` of the first entry that ends behind `position`. */
  firstIndex(position: number): number {
    return this.#firstEndingBehind(position)
  }

  /** undefined: the end of the list. May be settled: look at `unsettled`. */
  at(index: number): Entry | undefined {
    return this.#entries[index]
  }

  /** All that are unsettled. Valid until the next change of the list. */
  all(): readonly Entry[] {
    if (this.#live !== this.#entries.length) this.#compact()
    return this.#entries
  }

  #compact(): void {
    this.#entries = this.#entries.filter((entry) => entry.unsettled > 0)
    this.#head = 0
  }

  #firstEndingBehind(position: number): number {
    let low = this.#head
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = this.#entries[middle] as Entry
      if (entry.firstPosition + entry.count <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}
