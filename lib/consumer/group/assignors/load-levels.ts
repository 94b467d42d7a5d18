/**
 * Members by their number of partitions, with the least and the most loaded at hand.
 * Why not a heap: loads change by one at a time, so a list of sets answers at once and never needs repair.
 * Invariant: `#least` and `#most` name filled levels while there are members. Within a level the longest there comes
 * first, which makes dealing to equals a round robin.
 */
export class LoadLevels {
  readonly #levels: Set<number>[]
  #least = 0
  #most = 0
  #size: number

  /** All start without load. */
  constructor(members: Iterable<number>) {
    this.#levels = [new Set(members)]
    this.#size = (this.#levels[0] as Set<number>).size
  }

  get size(): number {
    return this.#size
  }

  /** One of the least loaded members; -1 when there is none. */
  get least(): number {
    for (const member of this.#levels[this.#least] ?? []) return member
    return -1
  }

  /** All of the most loaded members. */
  get most(): ReadonlySet<number> {
    return this.#levels[this.#most] as Set<number>
  }

  /** The new level is filled before the old one is left, so that the search for the next filled one is short. */
  move(member: number, from: number, to: number): void {
    if (from === to) return
    while (this.#levels.length <= to) this.#levels.push(new Set())
    this.#levels[to]?.add(member)
    this.#size++
    this.#least = Math.min(this.#least, to)
    this.#most = Math.max(this.#most, to)
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
