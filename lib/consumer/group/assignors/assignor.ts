/**
 * What the leader of a classic group needs in order to share out partitions.
 * Why an interface: range, roundrobin and both sticky kinds answer one question, and the member that asks it has only
 * to know whether partitions are given back before a round (eager) or after it (cooperative).
 * Invariant: each partition of a topic somebody subscribes to is given to exactly one subscriber, except those that a
 * cooperative assignor holds back for one round. Every member has an entry. Source: kafka.md 5.5, C-24.
 */
import type { AssignorName } from '../../../config/index.js'
import type { TopicPartition } from '../../cursor.js'

/** A member as its subscription tells it. */
export interface GroupMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly topics: readonly string[]
  /** What it says it holds (eager: what it held last). A claim, and nothing more. */
  readonly owned: readonly TopicPartition[]
  /** In which generation it got `owned`; -1: unknown. */
  readonly generation: number
  readonly rackId: string | null
}

/** Partitions by member id; sorted by topic, then partition. */
export type Assignment = ReadonlyMap<string, readonly TopicPartition[]>

export interface Assignor {
  readonly name: AssignorName
  readonly protocol: 'eager' | 'cooperative'
  /** `partitionsOf`: how many partitions a topic has; 0: unknown or deleted, then it is left out. */
  assign(members: readonly GroupMember[], partitionsOf: (topic: string) => number): Assignment
}

/**
 * Members in the order in which Java counts them: static ones first, by instance id, then the others by member id.
 * Why: a static member gets a new id with each start, and should find its partitions again.
 */
export function inOrder(members: readonly GroupMember[]): GroupMember[] {
  return [...members].sort(
    (a, b) =>
      Number(a.instanceId === null) - Number(b.instanceId === null) ||
      compareText(a.instanceId ?? a.memberId, b.instanceId ?? b.memberId) ||
      compareText(a.memberId, b.memberId),
  )
}

/** By UTF-16 code unit, as Java compares strings. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The topics anybody subscribes to, sorted, each with its number of partitions, without those that have none. */
export function subscribedTopics(
  members: readonly GroupMember[],
  partitionsOf: (topic: string) => number,
): { topic: string; partitions: number }[] {
  const topics = new Set<string>()
  for (const member of members) for (const topic of member.topics) topics.add(topic)
  return [...topics]
    .sort(compareText)
    .map((topic) => ({ topic, partitions: partitionsOf(topic) }))
    .filter(({ partitions }) => partitions > 0)
}
