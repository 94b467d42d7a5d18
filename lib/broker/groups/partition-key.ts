/**
 * A partition as one text, `topicId/number`, so that sets and maps can hold it.
 * Why by id: a topic that was deleted and created again under its name is another topic to the groups of KIP-848.
 */
export function partitionKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`
}

export function topicIdOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'))
}

export function partitionOf(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1))
}

export interface TopicIdPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

export function keysOf(wire: readonly TopicIdPartitions[]): Set<string> {
  return new Set(wire.flatMap(({ topicId, partitions }) => partitions.map((number) => partitionKey(topicId, number))))
}

/** As messages carry them: partitions by topic, ascending. */
export function byTopic(keys: Iterable<string>): { topicId: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const key of keys) {
    const known = topics.get(topicIdOf(key))
    if (known === undefined) topics.set(topicIdOf(key), [partitionOf(key)])
    else known.push(partitionOf(key))
  }
  return [...topics].map(([topicId, partitions]) => ({ topicId, partitions: partitions.sort((a, b) => a - b) }))
}
