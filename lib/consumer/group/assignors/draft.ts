/**
 * A plan in the making: who holds which partitions, and how loaded everybody is.
 * Invariant: a member's load is the number of partitions it holds, outside of a chain that is being followed.
 */
import type { Audiences } from './audiences.js'
import { LoadLevels } from './load-levels.js'

/** Partitions of one audience that a member has in the plan: those it kept, and those that are new to it. */
export interface Holding {
  readonly kept: number[]
  readonly fresh: number[]
}

export class Draft {
  readonly sets: Audiences
  readonly #keepers: Int32Array
  readonly #loads: Int32Array
  readonly #holdings: readonly Map<number, Holding>[] // by member: by audience, never an empty one
  readonly #levels: readonly LoadLevels[] // by cohort

  /** `keepers`: by partition number, the member that may keep it. */
  constructor(sets: Audiences, keepers: Int32Array) {
    this.sets = sets
    this.#keepers = keepers
    this.#loads = new Int32Array(sets.cohortOf.length)
    this.#holdings = sets.cohortOf.map(() => new Map())
    this.#levels = sets.cohorts.map((members) => new LoadLevels(members))
  }

  /** Number of partitions `member` holds. */
  loadOf(member: number): number {
    return this.#loads[member] as number
  }

  /** By audience. */
  holdingsOf(member: number): ReadonlyMap<number, Holding> {
    return this.#holdings[member] as Map<number, Holding>
  }

  /** The least loaded member of a cohort. */
  leastOf(cohort: number): number {
    return (this.#levels[cohort] as LoadLevels).least
  }

  give(member: number, audience: number, id: number): void {
    this.#hold(member, audience, id)
    this.#changeLoad(member, 1)
  }

  /** One partition of `audience` changes hands, as a link of a chain: loads change at the chain's ends only. */
  hand(giver: number, taker: number, audience: number): void {
    this.#hold(taker, audience, this.#takeFrom(giver, audience))
  }

  /** Ends a chain. */
  shiftLoad(from: number, to: number): void {
    this.#changeLoad(from, -1)
    this.#changeLoad(to, 1)
  }

  /** Partition numbers by member. */
  toLists(): number[][] {
    return this.#holdings.map((byAudience) =>
      [...byAudience.values()].flatMap(({ kept, fresh }) => [...kept, ...fresh]),
    )
  }

  #changeLoad(member: number, by: 1 | -1): void {
    const load = this.loadOf(member)
    this.#loads[member] = load + by
    this.#levels[this.sets.cohortOf[member] as number]?.move(member, load, load + by)
  }

  #hold(member: number, audience: number, id: number): void {
    const byAudience = this.#holdings[member] as Map<number, Holding>
    let holding = byAudience.get(audience)
    if (holding === undefined) {
      holding = { kept: [], fresh: [] }
      byAudience.set(audience, holding)
    }
    const list = this.#keepers[id] === member ? holding.kept : holding.fresh
    list.push(id)
  }

  /** What is new to the giver goes first: moving it a second time costs nothing. */
  #takeFrom(member: number, audience: number): number {
    const byAudience = this.#holdings[member] as Map<number, Holding>
    const { kept, fresh } = byAudience.get(audience) as Holding
    const id = (fresh.pop() ?? kept.pop()) as number
    if (kept.length + fresh.length === 0) byAudience.delete(audience)
    return id
  }
}
