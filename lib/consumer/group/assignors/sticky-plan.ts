/**
 * Shares out partitions so that the load is level, and moves as few as that allows.
 *
 *   keep    everybody keeps what it rightly claims
 *   deal    the rest goes to the least loaded subscriber, topics with the fewest subscribers first
 *   level   from the most to the least loaded, by as few kept partitions as possible
 *
 * Why dealing need not be perfect: what was dealt can be levelled at no cost. Source: kafka.md 5.5.
 */
import type { GroupMember } from './assignor.js'
import { type Audiences, audiencesOf } from './audiences.js'
import { NOBODY } from './claims.js'
import { Draft } from './draft.js'
import { Leveller } from './leveller.js'
import type { PartitionSpace } from './partition-space.js'

/** Partition numbers by member index. `keepers`: by partition number, the member that may keep it, or NOBODY. */
export function stickyPlan(members: readonly GroupMember[], space: PartitionSpace, keepers: Int32Array): number[][] {
  const sets = audiencesOf(members, space)
  const draft = new Draft(sets, keepers)
  const free = keep(draft, space, keepers)
  for (const audience of rarestFirst(sets)) {
    const cohorts = sets.audiences[audience] as readonly number[]
    for (const id of free[audience] as number[]) draft.give(leastOf(draft, cohorts), audience, id)
  }
  new Leveller(draft).run()
  return draft.toLists()
}

/** Returns what nobody keeps, by audience. */
function keep(draft: Draft, space: PartitionSpace, keepers: Int32Array): number[][] {
  const free = draft.sets.audiences.map((): number[] => [])
  for (const [topic, audience] of draft.sets.audienceOf.entries()) {
    for (let id = space.firstOf(topic); id < space.firstOf(topic + 1); id++) {
      const keeper = keepers[id] as number
      if (keeper === NOBODY) free[audience]?.push(id)
      else draft.give(keeper, audience, id)
    }
  }
  return free
}

/** The least loaded member of several cohorts. */
function leastOf(draft: Draft, cohorts: readonly number[]): number {
  let least = -1
  for (const cohort of cohorts) {
    const member = draft.leastOf(cohort)
    if (least < 0 || draft.loadOf(member) < draft.loadOf(least)) least = member
  }
  return least
}

/** Audiences by their number of members: those with little choice choose first. */
function rarestFirst({ audiences, cohorts }: Audiences): number[] {
  const sizes = audiences.map((ofAudience) =>
    ofAudience.reduce((sum, cohort) => sum + (cohorts[cohort]?.length ?? 0), 0),
  )
  return [...audiences.keys()].sort((a, b) => (sizes[a] as number) - (sizes[b] as number))
}
