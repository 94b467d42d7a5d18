/**
 * The items of one entry whose body was read: bytes that `appendItem` took, in the order it took them.
 * The body of such an entry is a list of items: a varint length (7 bits per byte, least first) and that many bytes.
 * Why one reader for all: a queue and a channel that spill frame alike, and what one cannot read neither can.
 * Invariant: items come out in position order; those that are not in `ranges` (they have an outcome) are skipped.
 * Source: wal.md 2.5, type 5.
 */
import { walError } from '../errors.js'

/** From, to (inclusive), ascending. */
export type Ranges = readonly (readonly [from: number, to: number])[]

/** An item's length takes at most so many bytes in front of it. */
export const ITEM_LENGTH_BYTES = 5

export class EntryItems {
  readonly #body: Uint8Array
  readonly #ranges: Ranges
  readonly #end: number // position behind the last item
  #range = 0
  #offset = 0 // of the next item in the body
  /** Of the next item. */
  position: number

  /** `first` and `count` are the entry's; `ranges`: which of its positions are wanted. */
  constructor(body: Uint8Array, first: number, count: number, ranges: Ranges) {
    this.#body = body
    this.position = first
    this.#end = first + count
    this.#ranges = ranges
    this.#skipUnwanted()
  }

  /** All of them were passed. */
  get isRead(): boolean {
    return this.position >= this.#end
  }

  /** The item at `position`: a view of the body. Throws DECOMPRESSION_FAILED/WAL_CORRUPT, and stays where it is. */
  peek(): Uint8Array {
    const [length, start] = this.#length()
    return this.#body.subarray(start, start + length)
  }

  next(): void {
    this.#step()
    this.#skipUnwanted()
  }

  #skipUnwanted(): void {
    while (!this.isRead) {
      while ((this.#ranges[this.#range]?.[1] ?? Number.POSITIVE_INFINITY) < this.position) this.#range++
      const from = this.#ranges[this.#range]?.[0] ?? Number.POSITIVE_INFINITY
      if (from <= this.position) return
      this.#step()
    }
  }

  #step(): void {
    const [length, start] = this.#length()
    this.#offset = start + length
    this.position++
  }

  /** Length of the next item, and where it begins. The frame's CRC was good: what does not fit is a writer's defect. */
  #length(): readonly [length: number, start: number] {
    let length = 0
    let factor = 1
    for (let at = this.#offset; at < this.#body.length; at++) {
      const byte = this.#body[at] as number
      length += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (at + 1 + length <= this.#body.length) return [length, at + 1]
        break
      }
      factor *= 128
    }
    const text = `the entry ends within the item at position ${this.position}: ${this.#body.length} B are too few`
    throw walError('WAL_CORRUPT', text, { position: this.position })
  }
}
