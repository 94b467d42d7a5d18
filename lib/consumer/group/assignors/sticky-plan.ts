/**
 * Shares out partitions so that the load is level, and moves as few as that allows.
 *
 *   keep    everybody keeps what it rightly claims
 *   deal    the rest goes to the least loaded subscriber, topics with the fewest subscribers first
 *   level   from the most loaded member a partition goes to a member with at least two less; where they share no topic,
 *           along a chain of members (u gives to w, w gives to v), the shortest first
 *
 * Invariant: when no such chain is left, no other plan is more level; each step of `level` lowers the sum of squared
 * loads, so it ends. Cohorts from which no chain leads down are settled and not searched again: all they can reach is as
 * loaded as they are. Source: kafka.md 5.5; optimal semi-matchings (Harvey, Ladner, Lovasz, Tamir, 2003).
 */
import type { GroupMember } from './assignor.js'
import { type Audiences, audiencesOf } from './audiences.js'
import { NOBODY } from './claims.js'
import { LoadLevels } from './load-levels.js'
import type { PartitionSpace } from './partition-space.js'

/** Partitions of one audience that a member has in the plan: those it kept, and those that are new to it. */
interface Holding {
  readonly kept: number[]
  readonly fresh: number[]
}

/** `giver` hands one partition of `audience` to `taker`. */
interface Step {
  readonly giver: number
  readonly audience: number
  readonly taker: number
}

export class StickyPlan {
  readonly #space: PartitionSpace
  readonly #keepers: Int32Array
  readonly #sets: Audiences
  readonly #loads: Int32Array
  readonly #holdings: readonly Map<number, Holding>[] // by member: by audience, never an empty one
  readonly #levelsOf: readonly LoadLevels[] // by cohort
  readonly #open = new LoadLevels() // members of cohorts that are not settled
  readonly #isSettled: Uint8Array // by cohort

  constructor(members: readonly GroupMember[], space: PartitionSpace, keepers: Int32Array) {
    this.#space = space
    this.#keepers = keepers
    this.#sets = audiencesOf(members, space)
    this.#loads = new Int32Array(members.length)
    this.#holdings = members.map(() => new Map())
    this.#levelsOf = this.#sets.cohorts.map(() => new LoadLevels())
    this.#isSettled = new Uint8Array(this.#sets.cohorts.length)
  }

  /** Partition numbers by member. */
  make(): number[][] {
    this.#keep()
    this.#deal()
    this.#level()
    return this.#holdings.map((byAudience) =>
      [...byAudience.values()].flatMap(({ kept, fresh }) => [...kept, ...fresh]),
    )
  }

  #keep(): void {
    this.#eachTopic((audience, first, end) => {
      for (let id = first; id < end; id++) {
        const keeper = this.#keepers[id] as number
        if (keeper === NOBODY) continue
        this.#hold(keeper, audience, id)
        this.#loads[keeper] = (this.#loads[keeper] as number) + 1
      }
    })
    for (const [member, cohort] of this.#sets.cohortOf.entries()) {
      this.#levelsOf[cohort]?.add(member, this.#loads[member] as number)
      this.#open.add(member, this.#loads[member] as number)
    }
  }

  #deal(): void {
    const free = this.#sets.audiences.map((): number[] => [])
    this.#eachTopic((audience, first, end) => {
      for (let id = first; id < end; id++) if (this.#keepers[id] === NOBODY) free[audience]?.push(id)
    })
    for (const audience of this.#rarestFirst()) {
      for (const id of free[audience] as number[]) {
        const taker = (this.#levelsOf[this.#leastLoaded(audience)] as LoadLevels).least
        this.#hold(taker, audience, id)
        this.#changeLoad(taker, 1)
      }
    }
  }

  #level(): void {
    while (this.#open.size > 0) {
      const from = this.#open.most
      const reached = new Map<number, number>()
      const chain = this.#chainDown(from, reached)
      if (chain === null) this.#settle(from, reached)
      else this.#follow(chain)
    }
  }

  /** A breadth-first search for somebody with two less. `reached` gets the cohorts seen, each with its audience. */
  #chainDown(from: number, reached: Map<number, number>): Step[] | null {
    const enough = (this.#loads[from] as number) - 2
    const givers = new Map<number, number>()
    const queue = [from]
    for (const giver of queue) {
      for (const audience of (this.#holdings[giver] as Map<number, Holding>).keys()) {
        if (givers.has(audience)) continue
        givers.set(audience, giver)
        const lowest = this.#reach(audience, reached, queue)
        const levels = this.#levelsOf[lowest]
        if (levels !== undefined && levels.leastLoad <= enough)
          return this.#chainTo(levels.least, from, reached, givers)
      }
    }
    return null
  }

  /** Marks and queues the audience's cohorts not seen before; returns the one with the least loaded member, or -1. */
  #reach(audience: number, reached: Map<number, number>, queue: number[]): number {
    let lowest = -1
    let load = Number.POSITIVE_INFINITY
    for (const cohort of this.#sets.audiences[audience] as readonly number[]) {
      if (reached.has(cohort) || this.#isSettled[cohort] === 1) continue
      reached.set(cohort, audience)
      for (const member of this.#sets.cohorts[cohort] as readonly number[]) queue.push(member)
      const least = (this.#levelsOf[cohort] as LoadLevels).leastLoad
      if (least < load) {
        load = least
        lowest = cohort
      }
    }
    return lowest
  }

  /** The steps from `target` back to `from`: each giver's own cohort was reached before its audience was. */
  #chainTo(
    target: number,
    from: number,
    reached: ReadonlyMap<number, number>,
    givers: ReadonlyMap<number, number>,
  ): Step[] {
    const steps: Step[] = []
    for (let taker = target; taker !== from; ) {
      const audience = reached.get(this.#sets.cohortOf[taker] as number) as number
      const giver = givers.get(audience) as number
      steps.push({ giver, audience, taker })
      taker = giver
    }
    return steps
  }

  /** Last step first: who passes one on has given one away before it gets one, and its load stays. */
  #follow(steps: readonly Step[]): void {
    for (const { giver, audience, taker } of steps) this.#hold(taker, audience, this.#takeFrom(giver, audience))
    this.#changeLoad((steps.at(-1) as Step).giver, -1)
    this.#changeLoad((steps[0] as Step).taker, 1)
  }

  #settle(from: number, reached: ReadonlyMap<number, number>): void {
    for (const cohort of [this.#sets.cohortOf[from] as number, ...reached.keys()]) {
      this.#isSettled[cohort] = 1
      for (const member of this.#sets.cohorts[cohort] as readonly number[]) {
        this.#open.remove(member, this.#loads[member] as number)
      }
    }
  }

  #changeLoad(member: number, by: 1 | -1): void {
    const load = this.#loads[member] as number
    this.#loads[member] = load + by
    this.#levelsOf[this.#sets.cohortOf[member] as number]?.move(member, load, load + by)
    this.#open.move(member, load, load + by)
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

  #leastLoaded(audience: number): number {
    let lowest = -1
    let load = Number.POSITIVE_INFINITY
    for (const cohort of this.#sets.audiences[audience] as readonly number[]) {
      const least = (this.#levelsOf[cohort] as LoadLevels).leastLoad
      if (least >= load) continue
      load = least
      lowest = cohort
    }
    return lowest
  }

  /** Audiences by their number of members: those with little choice choose first. */
  #rarestFirst(): number[] {
    const { audiences, cohorts } = this.#sets
    const sizes = audiences.map((ofAudience) =>
      ofAudience.reduce((sum, cohort) => sum + (cohorts[cohort]?.length ?? 0), 0),
    )
    return [...audiences.keys()].sort((a, b) => (sizes[a] as number) - (sizes[b] as number))
  }

  #eachTopic(visit: (audience: number, first: number, end: number) => void): void {
    for (const [topic, audience] of this.#sets.audienceOf.entries()) {
      visit(audience, this.#space.firstOf(topic), this.#space.firstOf(topic + 1))
    }
  }
}
