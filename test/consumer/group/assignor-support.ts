/**
 * Groups for tests of assignors: short ways to write one, a judge of plans, and a group that lives through rounds.
 * Invariant of `LivingGroup`: it applies an assignment as a member must, one member after the other, and looks after each
 * single step whether a partition has two owners.
 */
import fc from 'fast-check'
import type { Assignment, Assignor, GroupMember } from '../../../lib/consumer/group/assignors/index.js'

export type Tp = GroupMember['owned'][number]
export type Topics = Readonly<Record<string, number>>

/** 'a0 a1 b2' as partitions. */
export function tps(text: string): Tp[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({ topic: word.slice(0, 1), partition: Number(word.slice(1)) }))
}

export const nameOf = ({ topic, partition }: Tp) => `${topic}${partition}`
export const names = (partitions: readonly Tp[] | undefined) => (partitions ?? []).map(nameOf).join(' ')

export function member(memberId: string, topics: readonly string[], more: Partial<GroupMember> = {}): GroupMember {
  return { memberId, instanceId: null, topics, owned: [], generation: -1, rackId: null, ...more }
}

export const counter = (topics: Topics) => (topic: string) => topics[topic] ?? 0

/** Sizes, ascending. */
export function sizesOf(plan: Assignment): number[] {
  return [...plan.values()].map((partitions) => partitions.length).sort((a, b) => a - b)
}

export function squares(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size * size, 0)
}

/** Partitions that stay with a member whose claim is the only one of its generation or a newer one. */
export function keptBy(members: readonly GroupMember[], plan: Assignment): number {
  return members.reduce((sum, one) => {
    const rivals = members.filter((other) => other !== one && other.generation >= one.generation)
    const disputed = new Set(rivals.flatMap(({ owned }) => owned.map(nameOf)))
    const mine = new Set(one.owned.map(nameOf))
    const kept = (plan.get(one.memberId) ?? []).map(nameOf).filter((name) => mine.has(name) && !disputed.has(name))
    return sum + kept.length
  }, 0)
}

/** What is wrong with a plan; empty: each partition of a subscribed topic has one owner, who subscribes to it. */
export function faultsOf(members: readonly GroupMember[], topics: Topics, plan: Assignment): string[] {
  const faults: string[] = []
  const owners = new Map<string, string>()
  for (const { memberId, topics: subscribed } of members) {
    const mine = plan.get(memberId)
    if (mine === undefined) faults.push(`${memberId} has no entry`)
    for (const tp of mine ?? []) {
      const name = nameOf(tp)
      if (!subscribed.includes(tp.topic)) faults.push(`${memberId} gets ${name} without subscribing`)
      if (owners.has(name)) faults.push(`${name} goes to ${owners.get(name)} and ${memberId}`)
      if (!(tp.partition >= 0 && tp.partition < (topics[tp.topic] ?? 0))) faults.push(`${name} does not exist`)
      owners.set(name, memberId)
    }
  }
  if (plan.size !== members.length) faults.push(`${plan.size} entries for ${members.length} members`)
  return faults
}

/** Partitions of subscribed topics that nobody gets. */
export function missingOf(members: readonly GroupMember[], topics: Topics, plan: Assignment): string[] {
  const given = new Set([...plan.values()].flatMap((partitions) => partitions.map(nameOf)))
  return [...new Set(members.flatMap((one) => one.topics))]
    .flatMap((topic) => Array.from({ length: topics[topic] ?? 0 }, (_, partition) => nameOf({ topic, partition })))
    .filter((name) => !given.has(name))
}

/**
 * True if no chain of hand-overs leads from a member to one with two less: then no plan is more level. Asked member by
 * member and partition by partition, which is slow and has nothing in common with the code under test.
 */
export function isLevel(members: readonly GroupMember[], plan: Assignment): boolean {
  const load = (memberId: string) => (plan.get(memberId) ?? []).length
  return members.every((from) => {
    const seen = new Set([from.memberId])
    const queue = [from]
    for (const at of queue) {
      for (const { topic } of plan.get(at.memberId) ?? []) {
        for (const to of members) {
          if (seen.has(to.memberId) || !to.topics.includes(topic)) continue
          seen.add(to.memberId)
          queue.push(to)
        }
      }
    }
    return queue.every((to) => load(to.memberId) >= load(from.memberId) - 1)
  })
}

const TOPICS = ['a', 'b', 'c', 'd']

export const anyTopics: fc.Arbitrary<Topics> = fc.record(
  Object.fromEntries(TOPICS.map((topic) => [topic, fc.integer({ min: 0, max: 9 })])),
)

/** Members with any claims, true or not. */
export const anyMembers: fc.Arbitrary<GroupMember[]> = fc
  .uniqueArray(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 7 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({
          memberId: fc.constant(`m${id}`),
          instanceId: fc.constantFrom(null, null, `i${id}`),
          topics: fc.subarray(TOPICS),
          owned: fc.array(
            fc.record({ topic: fc.constantFrom(...TOPICS), partition: fc.integer({ min: 0, max: 10 }) }),
            {
              maxLength: 8,
            },
          ),
          generation: fc.integer({ min: -1, max: 3 }),
          rackId: fc.constant(null),
        }),
      ),
    ),
  )

export class LivingGroup {
  readonly #assignor: Assignor
  readonly topics: Record<string, number>
  members: GroupMember[] = []
  generation = 0

  constructor(assignor: Assignor, topics: Topics) {
    this.#assignor = assignor
    this.topics = { ...topics }
  }

  /**
   * One round: all send what they own, the leader plans, each applies it in turn. Those in `asleep` do not hear of it.
   * Returns whether anybody lost something, and so would join again. Throws when a partition has two owners.
   */
  round(asleep: ReadonlySet<string> = new Set()): boolean {
    const plan = this.#assignor.assign(this.members, counter(this.topics))
    const faults = faultsOf(this.members, this.topics, plan)
    if (faults.length > 0) throw new Error(faults.join('; '))
    this.generation++
    let isAgain = false
    for (const [index, one] of this.members.entries()) {
      if (asleep.has(one.memberId)) continue
      const given = new Set((plan.get(one.memberId) ?? []).map(nameOf))
      if (one.owned.some((tp) => !given.has(nameOf(tp)))) isAgain = true
      this.members[index] = { ...one, owned: plan.get(one.memberId) ?? [], generation: this.generation }
      this.#checkOwners()
    }
    return isAgain
  }

  #checkOwners(): void {
    const all = this.members.flatMap(({ owned }) => owned.map(nameOf))
    const twice = all.filter((name, index) => all.indexOf(name) !== index)
    if (twice.length === 0) return
    const who = this.members.map(({ memberId, owned, generation }) => `${memberId}@${generation}: ${names(owned)}`)
    throw new Error(`owned twice: ${twice.join(' ')}; ${who.join('; ')}`)
  }
}
