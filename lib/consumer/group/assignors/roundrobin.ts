/**
 * `roundrobin`: partitions are dealt out like cards, passing over members that do not subscribe to the topic.
 * Invariant: exactly what Java's RoundRobinAssignor gives. Source: kafka.md 5.5.
 */
import type { TopicPartition } from '../../cursor.js'
import { type Assignment, type Assignor, type GroupMember, inOrder, subscribedTopics } from './assignor.js'

export const roundRobinAssignor: Assignor = { name: 'roundrobin', protocol: 'eager', assign }

function assign(members: readonly GroupMember[], partitionsOf: (topic: string) => number): Assignment {
  const seats = inOrder(members).map(({ memberId, topics }) => ({
    memberId,
    topics: new Set(topics),
    cards: [] as TopicPartition[],
  }))
  let at = 0
  for (const { topic, partitions } of subscribedTopics(members, partitionsOf)) {
    for (let partition = 0; partition < partitions; partition++) {
      // Ends, because `subscribedTopics` names only topics that somebody subscribes to.
      while (!seats[at]?.topics.has(topic)) at = (at + 1) % seats.length
      seats[at]?.cards.push({ topic, partition })
      at = (at + 1) % seats.length
    }
  }
  return new Map(seats.map(({ memberId, cards }) => [memberId, cards]))
}
