/**
 * Partitions of a topic as the log knows them from an earlier life: so records are accepted while no broker can be
 * reached. Its highest partition always has a stream, whether it was written to or not.
 */
import type { PartitionMetadata, TopicMetadata } from '../../cluster/index.js'
import type { Wal } from '../../wal/index.js'

const LEADER_NOT_AVAILABLE = 5

/** Notes how many partitions a topic has. */
export function rememberTopic(wal: Wal, { name, topicId, partitions }: TopicMetadata): void {
  if (partitions.length > 0) wal.streamOf(name, topicId, partitions.length - 1)
}

/** Without leaders; null: the log has never seen it. */
export function topicKnownTo(wal: Wal, name: string): TopicMetadata | null {
  let newest = -1
  let topicId = ''
  let count = 0
  for (const stream of wal.streams) {
    if (stream.topic !== name) continue
    if (stream.topicId !== topicId && stream.id > newest) count = 0
    if (stream.id > newest) topicId = stream.topicId
    newest = Math.max(newest, stream.id)
    if (stream.topicId === topicId) count = Math.max(count, stream.partition + 1)
  }
  if (count === 0) return null
  const partitions = Array.from({ length: count }, (_, partition) => leaderless(partition))
  return { name, topicId, isInternal: false, errorCode: 0, partitions }
}

function leaderless(partition: number): PartitionMetadata {
  return {
    partition,
    errorCode: LEADER_NOT_AVAILABLE,
    leaderId: -1,
    leaderEpoch: -1,
    replicas: [],
    isr: [],
    offlineReplicas: [],
  }
}
