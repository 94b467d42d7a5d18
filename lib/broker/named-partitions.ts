/**
 * Which topic-partitions a request names, whatever its api: for faults that concern some of them only.
 * Why by shape: the field names of Kafka's messages are few, and a table per api would have to follow each of them.
 */
import type { Topics } from './topics.js'

const TOPIC_LISTS = ['topicData', 'topics', 'topicNames', 'resources', 'groups']
const PARTITION_LISTS = ['partitionData', 'partitions', 'partitionIndexes']
const PARTITION_FIELDS = ['index', 'partition', 'partitionIndex']

type Fields = Readonly<Record<string, unknown>>

export function namesPartition(
  body: unknown,
  topic: string | undefined,
  partition: number | undefined,
  topics: Topics,
): boolean {
  return topicEntries(body as Fields).some(
    (entry) =>
      (topic === undefined || nameOf(entry, topics) === topic) &&
      (partition === undefined || partitionsOf(entry).includes(partition)),
  )
}

function topicEntries(body: Fields): unknown[] {
  return TOPIC_LISTS.flatMap((list) => {
    const entries = body[list]
    if (!Array.isArray(entries)) return []
    return list === 'groups' ? entries.flatMap((group) => topicEntries(group as Fields)) : entries
  })
}

function nameOf(entry: unknown, topics: Topics): string | undefined {
  if (typeof entry === 'string') return entry
  const { name, topic, topicId, resourceName } = entry as Fields
  const given = name || topic || resourceName
  if (typeof given === 'string') return given
  return typeof topicId === 'string' ? topics.byId(topicId)?.name : undefined
}

function partitionsOf(entry: unknown): number[] {
  if (typeof entry === 'string') return []
  return PARTITION_LISTS.flatMap((list) => {
    const partitions = (entry as Fields)[list]
    return Array.isArray(partitions) ? partitions.map(numberOf) : []
  })
}

function numberOf(partition: unknown): number {
  if (typeof partition === 'number') return partition
  for (const field of PARTITION_FIELDS) {
    const value = (partition as Fields)[field]
    if (typeof value === 'number') return value
  }
  return -1
}
