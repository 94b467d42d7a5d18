/** FindCoordinator, OffsetCommit and OffsetFetch: offsets without membership, which the classic groups will add. */
import type { DecodedRequestOf, FindCoordinator, OffsetCommit, OffsetFetch, ResponseOf } from '../../protocol/index.js'
import { codeAfter, codeBefore, forcedError, type RequestContext } from '../request-context.js'

type FetchedTopic = NonNullable<ResponseOf<typeof OffsetFetch>['topics']>[number]
type AskedTopics = readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null

const UNKNOWN_TOPIC_OR_PARTITION = 3
const COORDINATOR_NOT_AVAILABLE = 15
const NOT_COORDINATOR = 16
const INVALID_GROUP_ID = 24
const UNKNOWN_MEMBER_ID = 25
const INVALID_REQUEST = 42
/** 0 group, 1 transaction; share groups (2) are not spoken. */
const LAST_KEY_TYPE = 1
/** First versions that ask for several at once. */
const MANY_COORDINATORS = 4
const MANY_GROUPS = 8

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
  const refused = judgeCommit(request, context)
  const topics = request.topics.map(({ name, topicId, partitions }) => ({
    name,
    topicId,
    partitions: partitions.map((asked) => {
      const isKnown = context.cluster.topics.byName(name)?.partitions[asked.partitionIndex] !== undefined
      const before = codeBefore(context, name, asked.partitionIndex) || refused
      const errorCode = before || (isKnown ? 0 : UNKNOWN_TOPIC_OR_PARTITION)
      if (errorCode === 0) {
        context.cluster.offsets.commit(request.groupId, name, asked.partitionIndex, {
          offset: asked.committedOffset,
          leaderEpoch: asked.committedLeaderEpoch,
          metadata: asked.committedMetadata,
        })
      }
      const told = codeAfter(context, errorCode, name, asked.partitionIndex)
      return { partitionIndex: asked.partitionIndex, errorCode: told }
    }),
  }))
  return { topics }
}

function judgeCommit(request: DecodedRequestOf<typeof OffsetCommit>, context: RequestContext): number {
  if (request.groupId === '') return INVALID_GROUP_ID
  if (context.cluster.coordinatorOf(request.groupId)?.brokerId !== context.brokerId) return NOT_COORDINATOR
  return request.generationIdOrMemberEpoch < 0 ? 0 : UNKNOWN_MEMBER_ID // groups have no members yet
}

export function handleOffsetFetch(
  request: DecodedRequestOf<typeof OffsetFetch>,
  context: RequestContext,
): ResponseOf<typeof OffsetFetch> {
  if (context.version >= MANY_GROUPS) {
    return { groups: request.groups.map(({ groupId, topics }) => fetchGroup(groupId, topics, context)) }
  }
  const { topics, errorCode } = fetchGroup(request.groupId, request.topics, context)
  return { topics, errorCode }
}

function fetchGroup(groupId: string, asked: AskedTopics, context: RequestContext) {
  const isHere = context.cluster.coordinatorOf(groupId)?.brokerId === context.brokerId
  const refused = isHere ? 0 : NOT_COORDINATOR
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
