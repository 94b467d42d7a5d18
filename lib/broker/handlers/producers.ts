/** InitProducerId and DescribeProducers (kafka.md B-14, B-16). */
import type { DecodedRequestOf, DescribeProducers, InitProducerId, ResponseOf } from '../../protocol/index.js'
import type { Replicas } from '../replicas.js'
import { codeAfter, codeBefore, forcedError, type RequestContext } from '../request-context.js'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_LEADER_OR_FOLLOWER = 6
const COORDINATOR_NOT_AVAILABLE = 15

export function handleInitProducerId(
  request: DecodedRequestOf<typeof InitProducerId>,
  context: RequestContext,
): ResponseOf<typeof InitProducerId> {
  // Transactional ids belong to a transaction coordinator, which does not exist yet; nothing is promised to them.
  const own = request.transactionalId === null ? 0 : COORDINATOR_NOT_AVAILABLE
  const before = codeBefore(context) || own
  if (before !== 0) return { errorCode: before, producerId: -1n, producerEpoch: -1 }
  const producerId = context.cluster.producerIds.next(context.brokerId)
  const errorCode = codeAfter(context, 0)
  if (errorCode !== 0) return { errorCode, producerId: -1n, producerEpoch: -1 }
  return { errorCode: 0, producerId, producerEpoch: 0 }
}

export function handleDescribeProducers(
  request: DecodedRequestOf<typeof DescribeProducers>,
  context: RequestContext,
): ResponseOf<typeof DescribeProducers> {
  const topics = request.topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partition) => {
      const replicas = context.cluster.topics.byName(name)?.partitions[partition]
      const forced = forcedError(context, 'before', name, partition) ?? forcedError(context, 'after', name, partition)
      const errorCode = forced?.code ?? judge(replicas, context)
      const activeProducers = errorCode === 0 && replicas !== undefined ? describe(replicas) : []
      return { partitionIndex: partition, errorCode, errorMessage: forced?.message ?? null, activeProducers }
    }),
  }))
  return { throttleTimeMs: 0, topics }
}

function judge(replicas: Replicas | undefined, context: RequestContext): number {
  if (replicas === undefined) return UNKNOWN_TOPIC_OR_PARTITION
  return replicas.leaderId === context.brokerId ? 0 : NOT_LEADER_OR_FOLLOWER
}

function describe(replicas: Replicas) {
  return replicas.log.producers.entries().map((entry) => ({
    producerId: entry.producerId,
    producerEpoch: entry.producerEpoch,
    lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
    lastTimestamp: entry.lastTimestamp,
    coordinatorEpoch: entry.coordinatorEpoch,
    currentTxnStartOffset: entry.currentTxnStartOffset,
  }))
}
