/**
 * One entry of the log while its items go back into memory: its bytes are read once, its items as room allows.
 * The body of an entry is a list of items: a varint length (7 bits per byte, least first) and that many bytes.
 * Invariant: items come out in position order; those that have an outcome already, or come before `from`, are skipped.
 */
import { MQError } from '../errors/index.js'
import type { ItemCodec } from './codec.js'
import type { Origin } from './window.js'

/** From, to (inclusive), ascending. */
export type Ranges = readonly (readonly [from: number, to: number])[]

export class Page<T> {
  readonly origin: Origin
  readonly #body: Uint8Array
  readonly #codec: ItemCodec<T>
  readonly #ranges: Ranges
  readonly #end: number // position behind the last item
  #range = 0
  #offset = 0 // of the next item in the body
  /** Of the next item. */
  position: number

  constructor(body: Uint8Array, codec: ItemCodec<T>, origin: Origin, first: number, count: number, ranges: Ranges) {
    this.#body = body
    this.#codec = codec
    this.origin = origin
    this.position = first
    this.#end = first + count
    this.#ranges = ranges
    this.#skipSettled()
  }

  /** All its items were taken. */
  get isRead(): boolean {
    return this.position >= this.#end
  }

  /** The item at `position`. Throws DESERIALIZATION_FAILED, and stays where it is. */
  peek(): T {
    const [length, start] = this.#length()
    const view = this.#body.subarray(start, start + length)
    try {
      return this.#codec.decode(view)
    } catch (cause) {
      const text = `the codec cannot read the item at position ${this.position} (${length} B): was it written by another codec?`
      throw new MQError('DESERIALIZATION_FAILED', text, { position: this.position, bytes: length }, { cause })
    }
  }

  next(): void {
    this.#step()
    this.#skipSettled()
  }

  #skipSettled(): void {
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
    throw new MQError('DECOMPRESSION_FAILED', text, { reason: 'WAL_CORRUPT', position: this.position }, { fatal: true })
  }
}
