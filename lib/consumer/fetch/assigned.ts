/**
 * The partitions a consumer reads, found by topic name or id and partition number.
 * Why arrays by topic: answers name them so, and no string key has to be composed.
 */
import type { PartitionCursor } from '../cursor.js'

export class AssignedPartitions {
  readonly #byTopic = new Map<string, (PartitionCursor | undefined)[]>()
  readonly #byId = new Map<string, string>() // topic id -> name
  #size = 0

  get size(): number {
    return this.#size
  }

  add(cursor: PartitionCursor): void {
    const cursors = this.#byTopic.get(cursor.topic) ?? []
    this.#byTopic.set(cursor.topic, cursors)
    cursors[cursor.partition] = cursor
    this.#size++
  }

  remove(cursor: PartitionCursor): void {
    const cursors = this.#byTopic.get(cursor.topic)
    if (cursors?.[cursor.partition] !== cursor) return
    cursors[cursor.partition] = undefined
    this.#size--
    if (cursors.every((other) => other === undefined)) this.#byTopic.delete(cursor.topic)
  }

  /** An id belongs to one name; a topic made anew has another id. */
  nameId(topicId: string, topic: string): void {
    this.#byId.set(topicId, topic)
  }

  get(topic: string, partition: number): PartitionCursor | undefined {
    return this.#byTopic.get(topic)?.[partition]
  }

  find(topicIdOrName: string, partition: number): PartitionCursor | undefined {
    return this.get(this.#byId.get(topicIdOrName) ?? topicIdOrName, partition)
  }

  ofTopic(topic: string): PartitionCursor[] {
    return (this.#byTopic.get(topic) ?? []).filter((cursor) => cursor !== undefined)
  }

  all(): PartitionCursor[] {
    return [...this.#byTopic.keys()].flatMap((topic) => this.ofTopic(topic))
  }
}
