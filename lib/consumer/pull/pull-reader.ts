/**
 * One who pulls: `read()` and `readBatch()` together are one, each iterator and each stream is one of its own.
 * Why: a record counts as processed when the one who got it asks for the next, so somebody must know who got what.
 * Invariant: a partition with something open belongs to one reader; `turn`, if any, is one of the open ones.
 */
import type { PartitionCursor } from '../cursor.js'

const SEEN = Promise.resolve()

/**
 * `calls`: read and readBatch. `loop`: an iterator; it comes back for more, so `close()` waits for it. `stream`: asks
 * when somebody reads on, perhaps never.
 */
export type ReaderKind = 'calls' | 'loop' | 'stream'

export class PullReader {
  readonly kind: ReaderKind
  /** Goes on with this partition, `left` times. */
  turn: PartitionCursor | null = null
  /** Records handed out and open. */
  records = 0
  /** Handed out in this very step of the program: whoever asks again in it cannot have seen it yet. */
  isFresh = false
  // Nearly always one partition is open: then no list is touched.
  #first: PartitionCursor | null = null
  #others: PartitionCursor[] = []

  constructor(kind: ReaderKind) {
    this.kind = kind
  }

  get isIdle(): boolean {
    return this.#first === null
  }

  add(cursor: PartitionCursor): void {
    if (this.#first === null) this.#first = cursor
    else this.#others.push(cursor)
  }

  /** Partitions with something open, in the order they were opened. */
  open(): PartitionCursor[] {
    return this.#first === null ? [] : [this.#first, ...this.#others]
  }

  /** The only open partition, which is forgotten; null when there are none or several: then `takeAll`. */
  takeOnly(): PartitionCursor | null {
    if (this.#others.length > 0) return null
    const cursor = this.#first
    this.#first = null
    return cursor
  }

  takeAll(): PartitionCursor[] {
    const cursors = this.open()
    this.#first = null
    this.#others = []
    return cursors
  }

  /** Something was handed out; until promises have settled nobody can have seen it. Only calls come side by side. */
  handedOut(): void {
    if (this.kind !== 'calls') return
    this.isFresh = true
    SEEN.then(this.#seen, this.#seen)
  }

  readonly #seen = (): void => {
    this.isFresh = false
  }
}
