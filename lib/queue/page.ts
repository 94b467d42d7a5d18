/**
 * One entry of the log while its items go back into memory: its bytes are read once, its items as room allows.
 * Invariant: items come out in position order; those that have an outcome already, or come before `from`, are skipped.
 */
import { MQError } from '../errors/index.js'
import { EntryItems, type Ranges } from '../wal/index.js'
import type { ItemCodec } from './codec.js'
import type { Origin } from './window.js'

export class Page<T> {
  readonly origin: Origin
  readonly #items: EntryItems
  readonly #codec: ItemCodec<T>

  constructor(body: Uint8Array, codec: ItemCodec<T>, origin: Origin, first: number, count: number, ranges: Ranges) {
    this.#items = new EntryItems(body, first, count, ranges)
    this.#codec = codec
    this.origin = origin
  }

  /** Of the next item. */
  get position(): number {
    return this.#items.position
  }

  /** All its items were taken. */
  get isRead(): boolean {
    return this.#items.isRead
  }

  /** The item at `position`. Throws DESERIALIZATION_FAILED, and stays where it is. */
  peek(): T {
    const view = this.#items.peek()
    try {
      return this.#codec.decode(view)
    } catch (cause) {
      const { position } = this
      const text = `the codec cannot read the item at position ${position} (${view.length} B): was it written by another codec?`
      throw new MQError('DESERIALIZATION_FAILED', text, { position, bytes: view.length }, { cause })
    }
  }

  next(): void {
    this.#items.next()
  }
}
