/** FindCoordinator, OffsetCommit and OffsetFetch: where a group is kept, and what it has read. */
import type { DecodedRequestOf, FindCoordinator, OffsetCommit, OffsetFetch, ResponseOf } from '../../protocol/index.js'
import { judgeCommit, judgeFirstCommit } from '../groups/classic/requests.js'
import {
  COORDINATOR_NOT_AVAILABLE,
  GROUP_ID_NOT_FOUND,
  INVALID_REQUEST,
  OFFSET_METADATA_TOO_LARGE,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../groups/codes.js'
import { judgeConsumerCommit, judgeConsumerFetch } from '../groups/kip848/offsets.js'
import { codeAfter, codeBefore, forcedError, type RequestContext } from '../request-context.js'

type FetchedTopic = NonNullable<ResponseOf<typeof OffsetFetch>['topics']>[number]
type AskedTopics = readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null

/** 0 group, 1 transaction; share groups (2) are not spoken. */
const LAST_KEY_TYPE = 1
/** First versions that ask for several at once. */
const MANY_COORDINATORS = 4
const MANY_GROUPS = 8
/** First version that tells an unknown group (69) from an old generation (22). */
const TELLS_UNKNOWN_GROUP = 9

export function handleFindCoordinator(
  request: DecodedRequestOf<typeof FindCoordinator>,
  context: RequestContext,
): ResponseOf<typeof FindCoordinator> {
  const isMany = context.version >= MANY_COORDINATORS
  const keys = isMany ? request.coordinatorKeys : [request.key]
  const coordinators = keys.map((key) => find(key, request.keyType, context))
  if (isMany) return { coordinators }
  const { key: _, ...only } = coordinators[0] as (typeof coordinators)[number]
  return only
}

function find(key: string, keyType: number, context: RequestContext) {
  const forced = forcedError(context, 'before') ?? forcedError(context, 'after')
  const broker = context.cluster.coordinatorOf(key)
  const own = keyType > LAST_KEY_TYPE ? INVALID_REQUEST : broker === undefined ? COORDINATOR_NOT_AVAILABLE : 0
  const errorCode = forced?.code ?? own
  if (errorCode !== 0 || broker === undefined) {
    return { key, nodeId: -1, host: '', port: -1, errorCode, errorMessage: forced?.message ?? null }
  }
  return { key, nodeId: broker.brokerId, host: broker.host, port: broker.port, errorCode: 0, errorMessage: null }
}

export function handleOffsetCommit(
  request: DecodedRequestOf<typeof OffsetCommit>,
  context: RequestContext,
): ResponseOf<typeof OffsetCommit> {
  const refused = judge(request, context)
  const committedAtMs = context.cluster.clock.now()
  const { retentionTimeMs } = request
  const expiresAtMs = retentionTimeMs < 0 ? null : committedAtMs + retentionTimeMs
  const topics = request.topics.map(({ name, topicId, partitions }) => ({
    name,
    topicId,
    partitions: partitions.map((asked) => {
      const errorCode = codeBefore(context, name, asked.partitionIndex) || judgeOffset(name, asked, refused, context)
      if (errorCode === 0) {
        context.cluster.offsets.commit(request.groupId, name, asked.partitionIndex, {
          offset: asked.committedOffset,
          leaderEpoch: asked.committedLeaderEpoch,
          metadata: asked.committedMetadata ?? '',
          committedAtMs,
          expiresAtMs,
        })
      }
      const told = codeAfter(context, errorCode, name, asked.partitionIndex)
      return { partitionIndex: asked.partitionIndex, errorCode: told }
    }),
  }))
  context.cluster.groups.changed()
  return { topics }
}

function judge(request: DecodedRequestOf<typeof OffsetCommit>, context: RequestContext): number {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generation } = request
  const { groups } = context.cluster
  const misplaced = groups.judgePlace(groupId, context.brokerId)
  if (misplaced !== 0) return misplaced
  const group = groups.get(groupId)
  if (group?.kind === 'consumer') return judgeConsumerCommit(group, memberId, generation, context.version)
  if (group !== undefined) return judgeCommit(group, { memberId, instanceId: groupInstanceId }, generation)
  const refused = judgeFirstCommit(generation)
  if (refused !== 0) return context.version >= TELLS_UNKNOWN_GROUP ? GROUP_ID_NOT_FOUND : refused
  groups.classicFor(groupId)
  return 0
}

function judgeOffset(
  topic: string,
  asked: { readonly partitionIndex: number; readonly committedMetadata: string | null },
  refused: number,
  { cluster }: RequestContext,
): number {
  if (cluster.topics.byName(topic)?.partitions[asked.partitionIndex] === undefined) return UNKNOWN_TOPIC_OR_PARTITION
  if (refused !== 0) return refused
  const limit = cluster.config.number('offset.metadata.max.bytes')
  return (asked.committedMetadata ?? '').length > limit ? OFFSET_METADATA_TOO_LARGE : 0
}

export function handleOffsetFetch(
  request: DecodedRequestOf<typeof OffsetFetch>,
  context: RequestContext,
): ResponseOf<typeof OffsetFetch> {
  if (context.version >= MANY_GROUPS) {
    return { groups: request.groups.map((asked) => fetchGroup(asked, context)) }
  }
  const { groupId } = request
  const { topics, errorCode } = fetchGroup(
    { groupId, topics: request.topics, memberId: null, memberEpoch: -1 },
    context,
  )
  return { topics, errorCode }
}

interface AskedGroup {
  readonly groupId: string
  readonly topics: AskedTopics
  /** Only members of KIP-848 groups tell these. */
  readonly memberId: string | null
  readonly memberEpoch: number
}

function fetchGroup({ groupId, topics: asked, memberId, memberEpoch }: AskedGroup, context: RequestContext) {
  const { groups } = context.cluster
  const group = groups.consumer(groupId)
  const own = group === undefined ? 0 : judgeConsumerFetch(group, memberId, memberEpoch)
  const refused = groups.judgePlace(groupId, context.brokerId) || own
  const errorCode = codeAfter(context, codeBefore(context) || refused)
  if (errorCode !== 0) return { groupId, topics: [], errorCode }
  const wanted = asked ?? everything(groupId, context)
  return { groupId, topics: wanted.map((topic) => fetchTopic(groupId, topic, context)), errorCode: 0 }
}

function everything(groupId: string, context: RequestContext): NonNullable<AskedTopics> {
  const all = context.cluster.offsets.all(groupId)
  return [...all].map(([name, partitions]) => ({ name, partitionIndexes: [...partitions.keys()] }))
}

function fetchTopic(groupId: string, asked: NonNullable<AskedTopics>[number], context: RequestContext): FetchedTopic {
  return {
    name: asked.name,
    partitions: asked.partitionIndexes.map((partitionIndex) => {
      const known = context.cluster.offsets.committed(groupId, asked.name, partitionIndex)
      return {
        partitionIndex,
        committedOffset: known?.offset ?? -1,
        committedLeaderEpoch: known?.leaderEpoch ?? -1,
        metadata: known?.metadata ?? '',
        errorCode: 0,
      }
    }),
  }
}
