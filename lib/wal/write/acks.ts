/**
 * Outcomes that no frame holds yet: plain numbers, neighbours put together.
 * Why kept apart from the open group: acknowledgements ride behind the next group whichever that is, and a log without
 * any room keeps them here, in memory, until there is some.
 * Source: wal.md 3.4, 3.8.
 */

import { encodeAck } from '../format/bodies/ack.js'
import { ACK_BYTES, type Outcome } from '../format/constants.js'

const FIELDS = 6

export class PendingAcks {
  /** Per outcome: stream, outcome, from, to, baseOffset, number of the last settlement in it. */
  #numbers = new Float64Array(64 * FIELDS)
  #first = 0
  #count = 0
  /** Number of the last settlement that was taken. */
  taken = 0

  get size(): number {
    return this.#count - this.#first
  }

  push(stream: number, outcome: Outcome, from: number, to: number, baseOffset: number, settlement: number): void {
    if (this.#extends(stream, outcome, from, baseOffset)) {
      const last = (this.#count - 1) * FIELDS
      this.#numbers[last + 3] = to
      this.#numbers[last + 5] = settlement
      return
    }
    if ((this.#count + 1) * FIELDS > this.#numbers.length) this.#makeRoom()
    const at = this.#count++ * FIELDS
    this.#numbers[at] = stream
    this.#numbers[at + 1] = outcome
    this.#numbers[at + 2] = from
    this.#numbers[at + 3] = to
    this.#numbers[at + 4] = baseOffset
    this.#numbers[at + 5] = settlement
  }

  /** Encodes at most `most` of them; gives the end. */
  take(most: number, into: Uint8Array, view: DataView, at: number): number {
    let end = at
    for (let left = Math.min(most, this.size); left > 0; left--) {
      const n = this.#first++ * FIELDS
      const numbers = this.#numbers
      end = encodeAck(
        into,
        view,
        end,
        numbers[n] as number,
        numbers[n + 1] as Outcome,
        numbers[n + 2] as number,
        numbers[n + 3] as number,
        numbers[n + 4] as number,
      )
      this.taken = numbers[n + 5] as number
    }
    if (this.#first === this.#count) {
      this.#first = 0
      this.#count = 0
    }
    return end
  }

  bytes(): number {
    return this.size * ACK_BYTES
  }

  /** The same outcome right behind the last one, with offsets that go on or none at all. */
  #extends(stream: number, outcome: Outcome, from: number, baseOffset: number): boolean {
    if (this.size === 0) return false
    const at = (this.#count - 1) * FIELDS
    const numbers = this.#numbers
    if (numbers[at] !== stream || numbers[at + 1] !== outcome || numbers[at + 3] !== from - 1) return false
    const lastBase = numbers[at + 4] as number
    return lastBase === -1 ? baseOffset === -1 : baseOffset === lastBase + from - (numbers[at + 2] as number)
  }

  #makeRoom(): void {
    const live = this.#numbers.subarray(this.#first * FIELDS, this.#count * FIELDS)
    const isSparse = this.#first > this.#count / 2
    const numbers = isSparse ? this.#numbers : new Float64Array(this.#numbers.length * 2)
    if (isSparse) numbers.copyWithin(0, this.#first * FIELDS, this.#count * FIELDS)
    else numbers.set(live)
    this.#numbers = numbers
    this.#count -= this.#first
    this.#first = 0
  }
}
