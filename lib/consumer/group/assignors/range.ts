/**
 * `range`: each topic is cut into as many runs of neighbouring partitions as it has subscribers.
 * Why it is still wanted: equally partitioned topics meet in one member, partition by partition (joins).
 * Invariant: exactly what Java's RangeAssignor gives where no racks are told. Source: kafka.md 5.5.
 */
import type { TopicPartition } from '../../cursor.js'
import { type Assignment, type Assignor, type GroupMember, inOrder, subscribedTopics } from './assignor.js'

export const rangeAssignor: Assignor = { name: 'range', protocol: 'eager', assign }

function assign(members: readonly GroupMember[], partitionsOf: (topic: string) => number): Assignment {
  const ordered = inOrder(members)
  const given = new Map<string, TopicPartition[]>(ordered.map(({ memberId }) => [memberId, []]))
  const subscribers = subscribersOf(ordered)
  for (const { topic, partitions } of subscribedTopics(members, partitionsOf)) {
    cut(
      topic,
      partitions,
      (subscribers.get(topic) ?? []).map((memberId) => given.get(memberId) ?? []),
    )
  }
  return given
}

/** Member ids by topic, in the members' order. */
function subscribersOf(ordered: readonly GroupMember[]): Map<string, string[]> {
  const subscribers = new Map<string, string[]>()
  for (const { memberId, topics } of ordered) {
    for (const topic of new Set(topics)) {
      const ids = subscribers.get(topic)
      if (ids === undefined) subscribers.set(topic, [memberId])
      else ids.push(memberId)
    }
  }
  return subscribers
}

/** The first `partitions % lists` lists get one more. */
function cut(topic: string, partitions: number, lists: readonly TopicPartition[][]): void {
  const least = Math.floor(partitions / lists.length)
  const longer = partitions % lists.length
  let partition = 0
  for (const [index, list] of lists.entries()) {
    const end = partition + least + (index < longer ? 1 : 0)
    for (; partition < end; partition++) list.push({ topic, partition })
  }
}
