/**
 * Members by their number of partitions, with the least and the most loaded at hand.
 * Why not a heap: loads change by one at a time, so a list of sets answers in constant time and never needs repair.
 * Invariant: `#least` and `#most` name filled levels while there are members. Within a level the longest there comes
 * first, which makes dealing to equals a round robin.
 */
export class LoadLevels {
  readonly #levels: Set<number>[] = []
  #least = 0
  #most = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Load of the least loaded member; Infinity when there is none. */
  get leastLoad(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#least
  }

  get least(): number {
    return first(this.#levels[this.#least])
  }

  get most(): number {
    return first(this.#levels[this.#most])
  }

  add(member: number, load: number): void {
    while (this.#levels.length <= load) this.#levels.push(new Set())
    this.#levels[load]?.add(member)
    this.#least = this.#size === 0 ? load : Math.min(this.#least, load)
    this.#most = this.#size === 0 ? load : Math.max(this.#most, load)
    this.#size++
  }

  /** The new level is filled before the old one is left, so that the search for the next filled one is short. */
  move(member: number, from: number, to: number): void {
    this.add(member, to)
    this.remove(member, from)
  }

  remove(member: number, load: number): void {
    if (this.#levels[load]?.delete(member) !== true) return
    this.#size--
    if (this.#size === 0) return
    while (this.#levels[this.#least]?.size === 0) this.#least++
    while (this.#levels[this.#most]?.size === 0) this.#most--
  }
}

function first(level: Set<number> | undefined): number {
  for (const member of level ?? []) return member
  return -1
}
