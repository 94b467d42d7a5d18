/**
 * One level of a timing wheel: 1,000 slots in a circle, each a circle of timers. Hot path.
 * Why bits beside the slots: the wheel sleeps until the next slot that holds something, which 32 words tell at once.
 * Invariant: the bit of a slot is set while the slot holds a timer.
 *
 *   slot  0   1   2   3  ...  999        a slot leads to its first timer, whose `prev` is its last
 *   bits  0   1   0   0        1
 */
import { assert } from '../../util/index.js'
import type { WheelTimer } from './timer.js'

export const SLOTS = 1000
const WORDS = Math.ceil(SLOTS / 32)

export class WheelLevel {
  /** Which level this is: 0 has slots of one tick. */
  readonly index: number
  /** Ticks that one slot stands for. */
  readonly slotTicks: number
  readonly #slots: (WheelTimer | null)[] = new Array(SLOTS).fill(null)
  readonly #bits = new Int32Array(WORDS)

  constructor(index: number) {
    this.index = index
    this.slotTicks = SLOTS ** index
  }

  /** The slot that a tick falls into. */
  slotOf(tick: number): number {
    return Math.floor(tick / this.slotTicks) % SLOTS
  }

  firstOf(slot: number): WheelTimer | null {
    return this.#slots[slot] as WheelTimer | null
  }

  /** Links `timer` into the slot of its tick, as its last one, or as its first. */
  add(timer: WheelTimer, isLast: boolean): void {
    const slot = this.slotOf(timer.dueTick)
    const first = this.#slots[slot] as WheelTimer | null
    timer.level = this.index
    timer.slot = slot
    if (first === null) {
      timer.prev = timer
      timer.next = timer
      this.#bits[slot >>> 5] = (this.#bits[slot >>> 5] as number) | (1 << (slot & 31))
    } else {
      timer.prev = first.prev
      timer.next = first
      first.prev.next = timer
      first.prev = timer
    }
    if (first === null || !isLast) this.#slots[slot] = timer
  }

  remove(timer: WheelTimer): void {
    assert(timer.level === this.index, 'a timer is unlinked from the level that holds it')
    const { slot, next } = timer
    if (next === timer) {
      this.#slots[slot] = null
      this.#bits[slot >>> 5] = (this.#bits[slot >>> 5] as number) & ~(1 << (slot & 31))
    } else {
      if (this.#slots[slot] === timer) this.#slots[slot] = next
      timer.prev.next = next
      next.prev = timer.prev
      timer.prev = timer
      timer.next = timer
    }
    timer.level = -1
  }

  /** First tick after `tick` at which a slot with timers begins; Infinity when there is none. */
  nextAfter(tick: number): number {
    const turn = Math.floor(tick / this.slotTicks)
    const slot = turn % SLOTS
    const ahead = this.#find(slot + 1)
    if (ahead >= 0) return (turn + ahead - slot) * this.slotTicks
    const around = this.#find(0)
    return around < 0 ? Number.POSITIVE_INFINITY : (turn + around + SLOTS - slot) * this.slotTicks
  }

  /** First slot with timers from `slot` on, or -1. */
  #find(slot: number): number {
    let word = slot >>> 5
    if (word >= WORDS) return -1
    let bits = (this.#bits[word] as number) & (-1 << (slot & 31))
    while (bits === 0) {
      if (++word === WORDS) return -1
      bits = this.#bits[word] as number
    }
    return word * 32 + 31 - Math.clz32(bits & -bits)
  }
}
