/** ListGroups, DescribeGroups, DeleteGroups, OffsetDelete: groups seen and cleared away from outside. */
import type {
  DecodedRequestOf,
  DeleteGroups,
  DescribeGroups,
  ListGroups,
  OffsetDelete,
  ResponseOf,
} from '../../protocol/index.js'
import type { ClassicGroup } from '../groups/classic/group.js'
import {
  GROUP_ID_NOT_FOUND,
  GROUP_SUBSCRIBED_TO_TOPIC,
  NON_EMPTY_GROUP,
  NONE,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../groups/codes.js'
import { isRead } from '../groups/expiry.js'
import type { AnyGroup } from '../groups/groups.js'
import { codeAfter, codeBefore, type RequestContext } from '../request-context.js'

type Described = ResponseOf<typeof DescribeGroups>['groups'][number]

const CONSUMER = 'consumer'
/** First version of DescribeGroups that tells an unknown group by a code. */
const TELLS_UNKNOWN = 6
const NOTHING = new Uint8Array(0)

export function handleListGroups(
  { statesFilter, typesFilter }: DecodedRequestOf<typeof ListGroups>,
  context: RequestContext,
): ResponseOf<typeof ListGroups> {
  const { groups } = context.cluster
  const errorCode = codeAfter(context, codeBefore(context))
  if (errorCode !== NONE) return { errorCode, groups: [] }
  const own = groups.all().filter(({ groupId }) => groups.coordinatorOf(groupId) === context.brokerId)
  const listed = own.filter(({ state, kind }) => passes(statesFilter, state) && passes(typesFilter, kind))
  return {
    errorCode,
    groups: listed.map(({ groupId, protocolType, state, kind }) => {
      return { groupId, protocolType: protocolType ?? '', groupState: state, groupType: kind }
    }),
  }
}

/** No filter lets everything pass; upper and lower case are the same. */
function passes(filter: readonly string[], value: string): boolean {
  return filter.length === 0 || filter.some((wanted) => wanted.toLowerCase() === value.toLowerCase())
}

export function handleDescribeGroups(
  request: DecodedRequestOf<typeof DescribeGroups>,
  context: RequestContext,
): ResponseOf<typeof DescribeGroups> {
  return { groups: request.groups.map((groupId) => describe(groupId, context)) }
}

function describe(groupId: string, context: RequestContext): Described {
  const { groups } = context.cluster
  const group = groups.classic(groupId)
  const misplaced = codeBefore(context) || groups.judgePlace(groupId, context.brokerId)
  const isTold = group === undefined && context.version >= TELLS_UNKNOWN
  const errorCode = codeAfter(context, misplaced || (isTold ? GROUP_ID_NOT_FOUND : NONE))
  if (misplaced === NONE && group !== undefined) return { ...describeKnown(group), errorCode }
  const groupState = misplaced === NONE ? 'Dead' : ''
  const errorMessage = isTold && misplaced === NONE ? `Group ${groupId} not found.` : null
  return { errorCode, errorMessage, groupId, groupState, protocolType: '', protocolData: '', members: [] }
}

/** Metadata and assignments are told of a stable group only: in between they belong to no generation. */
function describeKnown(group: ClassicGroup): Omit<Described, 'errorCode'> {
  const isStable = group.state === 'Stable'
  return {
    errorMessage: null,
    groupId: group.groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: isStable ? (group.protocolName ?? '') : '',
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.facts.instanceId,
      clientId: member.facts.clientId,
      clientHost: member.facts.clientHost,
      memberMetadata: isStable ? member.metadataFor(group.protocolName) : NOTHING,
      memberAssignment: isStable ? member.assignment : NOTHING,
    })),
  }
}

export function handleDeleteGroups(
  request: DecodedRequestOf<typeof DeleteGroups>,
  context: RequestContext,
): ResponseOf<typeof DeleteGroups> {
  const { groups } = context.cluster
  const results = request.groupsNames.map((groupId) => {
    const refused = codeBefore(context) || groups.judgePlace(groupId, context.brokerId) || judgeDelete(groupId, context)
    if (refused === NONE) groups.delete(groupId)
    return { groupId, errorCode: codeAfter(context, refused) }
  })
  return { throttleTimeMs: 0, results }
}

function judgeDelete(groupId: string, { cluster }: RequestContext): number {
  const group = cluster.groups.get(groupId)
  if (group === undefined) return GROUP_ID_NOT_FOUND
  return group.state === 'Empty' ? NONE : NON_EMPTY_GROUP
}

export function handleOffsetDelete(
  request: DecodedRequestOf<typeof OffsetDelete>,
  context: RequestContext,
): ResponseOf<typeof OffsetDelete> {
  const { groups, offsets } = context.cluster
  const { groupId } = request
  const group = groups.get(groupId)
  const refused = codeBefore(context) || groups.judgePlace(groupId, context.brokerId) || judgeForget(group)
  if (refused !== NONE || group === undefined) {
    return { errorCode: codeAfter(context, refused), throttleTimeMs: 0, topics: [] }
  }
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => {
      const isKnown = context.cluster.topics.byName(name)?.partitions[partitionIndex] !== undefined
      const errorCode = isKnown ? (isRead(group, name) ? GROUP_SUBSCRIBED_TO_TOPIC : NONE) : UNKNOWN_TOPIC_OR_PARTITION
      if (errorCode === NONE) offsets.forget(groupId, name, partitionIndex)
      return { partitionIndex, errorCode: codeAfter(context, errorCode, name, partitionIndex) }
    }),
  }))
  groups.changed()
  return { errorCode: NONE, throttleTimeMs: 0, topics }
}

function judgeForget(group: AnyGroup | undefined): number {
  if (group === undefined) return GROUP_ID_NOT_FOUND
  return group.state === 'Empty' || group.protocolType === CONSUMER ? NONE : NON_EMPTY_GROUP
}
