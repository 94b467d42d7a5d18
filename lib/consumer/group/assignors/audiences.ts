/**
 * Members with the same subscription are one cohort, topics with the same subscribers one audience.
 * Why: who may take a partition is then a question about a handful of sets instead of members times topics. With equal
 * subscriptions, the usual case, there is one of each.
 */
import type { GroupMember } from './assignor.js'
import type { PartitionSpace } from './partition-space.js'

export interface Audiences {
  /** By cohort: indices of its members, ascending. */
  readonly cohorts: readonly (readonly number[])[]
  /** By member: its cohort. */
  readonly cohortOf: readonly number[]
  /** By audience: its cohorts, ascending. */
  readonly audiences: readonly (readonly number[])[]
  /** By topic index: its audience. */
  readonly audienceOf: readonly number[]
}

export function audiencesOf(members: readonly GroupMember[], space: PartitionSpace): Audiences {
  const topicsOf = members.map(({ topics }) => space.topicIndices(topics))
  const { sets: subscriptions, setOf: cohortOf } = distinct(topicsOf)
  const cohorts = subscriptions.map((): number[] => [])
  for (const [member, cohort] of cohortOf.entries()) cohorts[cohort]?.push(member)
  const subscribers = space.topics.map((): number[] => [])
  for (const [cohort, topics] of subscriptions.entries()) for (const topic of topics) subscribers[topic]?.push(cohort)
  const { sets: audiences, setOf: audienceOf } = distinct(subscribers)
  return { cohorts, cohortOf, audiences, audienceOf }
}

/** Equal lists get the same number. */
function distinct(lists: readonly (readonly number[])[]): { sets: (readonly number[])[]; setOf: number[] } {
  const numbers = new Map<string, number>()
  const sets: (readonly number[])[] = []
  const setOf = lists.map((list) => {
    const key = list.join()
    const known = numbers.get(key)
    if (known !== undefined) return known
    numbers.set(key, sets.length)
    return sets.push(list) - 1
  })
  return { sets, setOf }
}
