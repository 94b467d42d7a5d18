/** A topic-partition as the key of a map. */
import type { TopicPartition } from '../../index.js'

export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
