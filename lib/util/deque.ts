/**
 * A double-ended queue on a ring: constant time at both ends, no `shift()`.
 *
 *   [ c ][ d ][   ][   ][ a ][ b ]     head = 4, size = 4; capacity is a power of two, it doubles when full
 */
export class Deque<T> {
  #slots: (T | undefined)[] = new Array(8).fill(undefined)
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  pushBack(item: T): void {
    if (this.#size === this.#slots.length) this.#grow()
    this.#slots[(this.#head + this.#size++) & (this.#slots.length - 1)] = item
  }

  pushFront(item: T): void {
    if (this.#size === this.#slots.length) this.#grow()
    this.#head = (this.#head - 1) & (this.#slots.length - 1)
    this.#slots[this.#head] = item
    this.#size++
  }

  peekFront(): T | undefined {
    return this.#slots[this.#head]
  }

  peekBack(): T | undefined {
    return this.#size === 0 ? undefined : this.#slots[(this.#head + this.#size - 1) & (this.#slots.length - 1)]
  }

  popFront(): T | undefined {
    if (this.#size === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#slots.length - 1)
    this.#size--
    return item
  }

  popBack(): T | undefined {
    if (this.#size === 0) return undefined
    const at = (this.#head + --this.#size) & (this.#slots.length - 1)
    const item = this.#slots[at]
    this.#slots[at] = undefined
    return item
  }

  at(index: number): T | undefined {
    return index < 0 || index >= this.#size ? undefined : this.#slots[(this.#head + index) & (this.#slots.length - 1)]
  }

  clear(): void {
    this.#slots = new Array(8).fill(undefined)
    this.#head = 0
    this.#size = 0
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#size; index++) yield this.at(index) as T
  }

  #grow(): void {
    const grown: (T | undefined)[] = new Array(this.#slots.length * 2).fill(undefined)
    for (let index = 0; index < this.#size; index++) grown[index] = this.at(index)
    this.#slots = grown
    this.#head = 0
  }
}
