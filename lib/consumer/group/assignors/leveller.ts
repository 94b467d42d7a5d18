/**
 * Levels the load of a draft: partitions go from the most loaded members to members with at least two less; where they
 * share no topic, along a chain (u gives to w, w gives to v) that costs the fewest kept partitions.
 *
 * Invariant: when no chain is left, no other plan is more level. Each chain lowers the sum of squared loads, so it ends.
 * Members from which no chain leads down, and all that they reach, are settled: nothing there is two below anybody who
 * is still open. Source: optimal semi-matchings (Harvey, Ladner, Lovasz, Tamir, 2003).
 */
import { ChainSearch, type Step } from './chain-search.js'
import type { Draft } from './draft.js'
import { LoadLevels } from './load-levels.js'

export class Leveller {
  readonly #draft: Draft
  readonly #open: LoadLevels // members that are not settled
  readonly #isSettled: Uint8Array // by cohort

  constructor(draft: Draft) {
    this.#draft = draft
    this.#open = new LoadLevels(draft.sets.cohortOf.keys())
    for (const member of draft.sets.cohortOf.keys()) this.#open.move(member, 0, draft.loadOf(member))
    this.#isSettled = new Uint8Array(draft.sets.cohorts.length)
  }

  run(): void {
    while (this.#open.size > 0) {
      const from = [...this.#open.most]
      const search = new ChainSearch(this.#draft, this.#isSettled)
      const chain = search.down(from, this.#draft.loadOf(this.#open.least))
      if (chain === null) this.#settle(from, search.reached)
      else this.#follow(chain)
    }
  }

  /** Last step first: who passes one on has given one away before it gets one, and its load stays. */
  #follow(steps: readonly Step[]): void {
    for (const { giver, audience, taker } of steps) this.#draft.hand(giver, taker, audience)
    const { giver } = steps.at(-1) as Step
    const { taker } = steps[0] as Step
    const [high, low] = [this.#draft.loadOf(giver), this.#draft.loadOf(taker)]
    this.#draft.shiftLoad(giver, taker)
    this.#open.move(giver, high, high - 1)
    this.#open.move(taker, low, low + 1)
  }

  #settle(from: readonly number[], reached: Iterable<number>): void {
    for (const member of from) this.#open.remove(member, this.#draft.loadOf(member))
    for (const cohort of reached) {
      this.#isSettled[cohort] = 1
      for (const member of this.#draft.sets.cohorts[cohort] as readonly number[]) {
        this.#open.remove(member, this.#draft.loadOf(member))
      }
    }
  }
}
