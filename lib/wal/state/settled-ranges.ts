/**
 * Which positions of one stream are settled: everything below `through`, and ranges above it. Hot path: in order, a
 * settlement moves one number.
 * Invariant: ranges are ascending, disjoint, never touch each other, and the first begins above `through`.
 */
export class SettledRanges {
  /** Every position below is settled. */
  through = 0
  readonly #from: number[] = []
  readonly #to: number[] = []

  /** Ranges above `through`. */
  get count(): number {
    return this.#from.length
  }

  /** Settles from..to (inclusive); gives how many of them were not settled before. */
  add(from: number, to: number): number {
    if (to < this.through) return 0
    if (from < this.through) from = this.through
    if (this.#from.length > 0) return this.#merge(from, to)
    if (from === this.through) this.through = to + 1
    else this.#insert(0, 0, from, to)
    return to - from + 1
  }

  /** Everything below `through` is settled. */
  raise(through: number): void {
    if (through > this.through) this.add(this.through, through - 1)
  }

  /** Positions of from..to (inclusive) without an outcome. */
  unsettledOf(from: number, to: number): number {
    if (from < this.through) from = this.through
    if (to < from) return 0
    let left = to - from + 1
    for (let index = this.#firstReaching(from); index < this.#from.length; index++) {
      const rangeFrom = this.#from[index] as number
      if (rangeFrom > to) break
      left -= Math.min(to, this.#to[index] as number) - Math.max(from, rangeFrom) + 1
    }
    return left
  }

  /** The ranges of from..to (inclusive) without an outcome, ascending. */
  unsettledRanges(from: number, to: number): { from: number; to: number }[] {
    const ranges: { from: number; to: number }[] = []
    let next = Math.max(from, this.through)
    this.forEach((settledFrom, settledTo) => {
      if (settledTo < next || settledFrom > to) return
      if (settledFrom > next) ranges.push({ from: next, to: settledFrom - 1 })
      next = settledTo + 1
    })
    if (next <= to) ranges.push({ from: next, to })
    return ranges
  }

  forEach(visit: (from: number, to: number) => void): void {
    for (let index = 0; index < this.#from.length; index++)
      visit(this.#from[index] as number, this.#to[index] as number)
  }

  #merge(from: number, to: number): number {
    const first = this.#firstReaching(from - 1)
    let settled = 0
    let last = first
    let mergedFrom = from
    let mergedTo = to
    for (; last < this.#from.length && (this.#from[last] as number) <= to + 1; last++) {
      const rangeFrom = this.#from[last] as number
      const rangeTo = this.#to[last] as number
      settled += Math.max(0, Math.min(to, rangeTo) - Math.max(from, rangeFrom) + 1)
      if (rangeFrom < mergedFrom) mergedFrom = rangeFrom
      if (rangeTo > mergedTo) mergedTo = rangeTo
    }
    if (mergedFrom === this.through) {
      this.through = mergedTo + 1
      this.#from.splice(first, last - first)
      this.#to.splice(first, last - first)
    } else this.#insert(first, last - first, mergedFrom, mergedTo)
    return to - from + 1 - settled
  }

  #insert(index: number, instead: number, from: number, to: number): void {
    this.#from.splice(index, instead, from)
    this.#to.splice(index, instead, to)
  }

  /** Index of the first range that ends at `position` or behind it. */
  #firstReaching(position: number): number {
    let low = 0
    let high = this.#to.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#to[middle] as number) < position) low = middle + 1
      else high = middle
    }
    return low
  }
}
