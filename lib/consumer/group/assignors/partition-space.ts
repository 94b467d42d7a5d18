/**
 * Numbers the partitions of the subscribed topics from 0, so that a plan over ten thousand of them is arrays of
 * integers and no composed string keys. Invariant: numbers ascend by topic, then by partition.
 */
import type { TopicPartition } from '../../cursor.js'
import { type GroupMember, subscribedTopics } from './assignor.js'

export class PartitionSpace {
  readonly topics: readonly string[]
  /** Number of partitions in all. */
  readonly size: number
  readonly #first: readonly number[] // by topic index: its partition 0; one more entry closes the last topic
  readonly #indexOf: ReadonlyMap<string, number>

  constructor(members: readonly GroupMember[], partitionsOf: (topic: string) => number) {
    const topics = subscribedTopics(members, partitionsOf)
    const first = [0]
    for (const { partitions } of topics) first.push((first.at(-1) as number) + partitions)
    this.topics = topics.map(({ topic }) => topic)
    this.size = first.at(-1) as number
    this.#first = first
    this.#indexOf = new Map(this.topics.map((topic, index) => [topic, index]))
  }

  /** Indices into `topics` of those that exist, ascending, each once. */
  topicIndices(topics: readonly string[]): number[] {
    const indices = new Set<number>()
    for (const topic of topics) {
      const index = this.#indexOf.get(topic)
      if (index !== undefined) indices.add(index)
    }
    return [...indices].sort((a, b) => a - b)
  }

  /** The number of a partition, or -1 if nobody subscribes to it or it does not exist. */
  idOf({ topic, partition }: TopicPartition): number {
    const index = this.#indexOf.get(topic)
    if (index === undefined) return -1
    const id = this.firstOf(index) + partition
    return partition >= 0 && id < this.firstOf(index + 1) ? id : -1
  }

  /** The number of a topic's partition 0; of `topics.length`: `size`. */
  firstOf(topicIndex: number): number {
    return this.#first[topicIndex] as number
  }

  /** Names for numbers. Sorts `ids`, since the topics are then found in one pass. */
  named(ids: number[]): TopicPartition[] {
    ids.sort((a, b) => a - b)
    let topicIndex = 0
    return ids.map((id) => {
      while (id >= this.firstOf(topicIndex + 1)) topicIndex++
      return { topic: this.topics[topicIndex] as string, partition: id - this.firstOf(topicIndex) }
    })
  }
}
