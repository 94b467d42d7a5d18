/**
 * Searches the cheapest chain of members along which a partition can go down: from somebody to somebody with two less.
 * Cost is the number of kept partitions that would move, so the search goes in rings:
 *
 *   now     members reached at this cost; each gives of what is new to it, for nothing
 *   later   what members could give only out of what they kept: offered when `now` is exhausted, for one more
 *
 * Why so careful: the second round of a cooperative group deals what the first one held back, and has to find the first
 * one's plan again; were anything else moved then, a third round would follow.
 * Why by cohorts and audiences: each is looked at once, however many members and topics it stands for.
 */
import type { Draft } from './draft.js'

/** `giver` hands one partition of `audience` to `taker`. */
export interface Step {
  readonly giver: number
  readonly audience: number
  readonly taker: number
}

interface Offer {
  readonly giver: number
  readonly audience: number
}

export class ChainSearch {
  readonly #draft: Draft
  readonly #isSettled: Uint8Array
  readonly #givers = new Map<number, number>() // audience -> who gives of it
  readonly #via = new Map<number, number>() // cohort -> audience through which it was reached

  #least = -1 // the least loaded member reached
  #leastLoad = Number.POSITIVE_INFINITY

  /** `isSettled`: by cohort, 1 if a search has ended there in vain. */
  constructor(draft: Draft, isSettled: Uint8Array) {
    this.#draft = draft
    this.#isSettled = isSettled
  }

  /** Cohorts seen. */
  get reached(): Iterable<number> {
    return this.#via.keys()
  }

  /**
   * From any of `sources`, which are equally loaded, to the least loaded member of the first ring that has one with two
   * less. `floor`: the least load there is, below which nobody need be looked for. Last step first; null: no chain.
   */
  down(sources: readonly number[], floor: number): Step[] | null {
    const enough = this.#draft.loadOf(sources[0] as number) - 2
    if (enough < floor) return null
    for (let now = [...sources]; now.length > 0; ) {
      const later: Offer[] = []
      this.#giveFresh(now, later, floor)
      if (this.#leastLoad <= enough) return this.#chain(sources)
      now = []
      this.#giveKept(later, now, floor)
      if (this.#leastLoad <= enough) return this.#chain(sources)
    }
    return null
  }

  /** `now` grows while it is walked: who is reached at no cost gives at no cost. */
  #giveFresh(now: number[], later: Offer[], floor: number): void {
    for (const giver of now) {
      for (const [audience, { fresh }] of this.#draft.holdingsOf(giver)) {
        if (this.#givers.has(audience)) continue
        if (fresh.length === 0) later.push({ giver, audience })
        else this.#offer({ giver, audience }, now)
        if (this.#leastLoad <= floor) return
      }
    }
  }

  #giveKept(later: readonly Offer[], reached: number[], floor: number): void {
    for (const offer of later) {
      this.#offer(offer, reached)
      if (this.#leastLoad <= floor) return
    }
  }

  /** Reaches the audience's cohorts not seen before: their members are appended to `reached`. */
  #offer({ giver, audience }: Offer, reached: number[]): void {
    if (this.#givers.has(audience)) return
    this.#givers.set(audience, giver)
    const { audiences, cohorts } = this.#draft.sets
    for (const cohort of audiences[audience] as readonly number[]) {
      if (this.#via.has(cohort) || this.#isSettled[cohort] === 1) continue
      this.#via.set(cohort, audience)
      this.#note(this.#draft.leastOf(cohort))
      for (const member of cohorts[cohort] as readonly number[]) reached.push(member)
    }
  }

  #note(member: number): void {
    const load = this.#draft.loadOf(member)
    if (load >= this.#leastLoad) return
    this.#least = member
    this.#leastLoad = load
  }

  /** Back from the least loaded: a giver's own cohort was reached before what it gives was offered. */
  #chain(sources: readonly number[]): Step[] {
    const isSource = new Set(sources)
    const steps: Step[] = []
    for (let taker = this.#least; !isSource.has(taker); ) {
      const audience = this.#via.get(this.#draft.sets.cohortOf[taker] as number) as number
      const giver = this.#givers.get(audience) as number
      steps.push({ giver, audience, taker })
      taker = giver
    }
    return steps
  }
}
