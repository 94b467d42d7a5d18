/** ConsumerGroupHeartbeat and ConsumerGroupDescribe: the wire side of KIP-848 groups. */
import type {
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  DecodedRequestOf,
  ResponseOf,
} from '../../protocol/index.js'
import { GROUP_ID_NOT_FOUND, NONE } from '../groups/codes.js'
import type { ConsumerGroup } from '../groups/kip848/group.js'
import { type BeatAnswer, beat, refuseBeat } from '../groups/kip848/heartbeat.js'
import { JOIN_EPOCH, malformed, wrongPattern } from '../groups/kip848/heartbeat-rules.js'
import type { ConsumerMember } from '../groups/kip848/member.js'
import { byTopic, keysOf } from '../groups/partition-key.js'
import { codeAfter, codeBefore, type RequestContext } from '../request-context.js'

type Body = DecodedRequestOf<typeof ConsumerGroupHeartbeat>
type Described = ResponseOf<typeof ConsumerGroupDescribe>['groups'][number]

/** In a description: a member of this protocol, not one that came over from the classic one. */
const CONSUMER_MEMBER = 1

export function handleConsumerGroupHeartbeat(
  body: Body,
  context: RequestContext,
): ResponseOf<typeof ConsumerGroupHeartbeat> {
  const answer = answerBeat(body, context)
  const errorCode = codeAfter(context, answer.errorCode)
  const isServed = errorCode === NONE && body.memberEpoch >= JOIN_EPOCH
  const assigned = errorCode === NONE ? answer.assignment : null
  return {
    throttleTimeMs: 0,
    errorCode,
    errorMessage: answer.errorMessage,
    memberId: errorCode === NONE ? answer.memberId : null,
    memberEpoch: errorCode === NONE ? answer.epoch : 0,
    heartbeatIntervalMs: isServed ? context.cluster.config.number('group.consumer.heartbeat.interval.ms') : 0,
    assignment: assigned === null ? null : { topicPartitions: byTopic(assigned) },
  }
}

function answerBeat(body: Body, context: RequestContext): BeatAnswer {
  const { groups, config } = context.cluster
  const forced = codeBefore(context)
  if (forced !== NONE) return refuseBeat(forced, null)
  const problem = malformed(body, context.version)
  if (problem !== null) return refuseBeat(problem.code, problem.message)
  const misplaced = groups.judgePlace(body.groupId, context.brokerId)
  if (misplaced !== NONE) return refuseBeat(misplaced, null)
  const unreadable = wrongPattern(body)
  if (unreadable !== null) return refuseBeat(unreadable.code, unreadable.message)
  const group = body.memberEpoch === JOIN_EPOCH ? groups.consumerFor(body.groupId) : groups.consumer(body.groupId)
  if (group === null || group === undefined) {
    return refuseBeat(GROUP_ID_NOT_FOUND, `There is no group ${body.groupId} of this protocol.`)
  }
  const answer = beat(group, beatRequest(body, context), config.number('group.consumer.max.size'))
  groups.changed()
  return answer
}

function beatRequest(body: Body, { cluster, clientId, clientHost }: RequestContext) {
  return {
    memberId: body.memberId === '' ? cluster.groups.newConsumerId() : body.memberId,
    epoch: body.memberEpoch,
    instanceId: body.instanceId,
    clientId: clientId ?? '',
    clientHost,
    rackId: body.rackId,
    rebalanceTimeoutMs: body.rebalanceTimeoutMs,
    topics: body.subscribedTopicNames,
    pattern: body.subscribedTopicRegex,
    assignor: body.serverAssignor,
    owned: body.topicPartitions === null ? null : keysOf(body.topicPartitions),
  }
}

export function handleConsumerGroupDescribe(
  request: DecodedRequestOf<typeof ConsumerGroupDescribe>,
  context: RequestContext,
): ResponseOf<typeof ConsumerGroupDescribe> {
  return { throttleTimeMs: 0, groups: request.groupIds.map((groupId) => describe(groupId, context)) }
}

function describe(groupId: string, context: RequestContext): Described {
  const { groups } = context.cluster
  const misplaced = codeBefore(context) || groups.judgePlace(groupId, context.brokerId)
  const group = groups.consumer(groupId)
  const errorCode = codeAfter(context, misplaced || (group === undefined ? GROUP_ID_NOT_FOUND : NONE))
  const nothing = { groupId, groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] }
  if (errorCode !== NONE || group === undefined) {
    const errorMessage = misplaced === NONE ? `There is no group ${groupId} of this protocol.` : null
    return { ...nothing, errorCode, errorMessage }
  }
  return {
    errorCode,
    errorMessage: null,
    groupId,
    groupState: group.state,
    groupEpoch: group.epoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName: group.assignor,
    members: group.members.map((member) => describeMember(member, group, context)),
  }
}

function describeMember(member: ConsumerMember, group: ConsumerGroup, context: RequestContext) {
  const { facts, memberId, epoch, progress } = member
  const named = (keys: ReadonlySet<string>) => ({
    topicPartitions: byTopic(keys).flatMap(({ topicId, partitions }) => {
      const topicName = context.cluster.topics.byId(topicId)?.name
      return topicName === undefined ? [] : [{ topicId, topicName, partitions }]
    }),
  })
  return {
    memberId,
    instanceId: facts.instanceId,
    rackId: facts.rackId,
    memberEpoch: epoch,
    clientId: facts.clientId,
    clientHost: facts.clientHost,
    subscribedTopicNames: [...facts.topics],
    subscribedTopicRegex: facts.pattern,
    assignment: named(progress.assigned),
    targetAssignment: named(group.targetOf(memberId)),
    ...(context.version >= 1 ? { memberType: CONSUMER_MEMBER } : {}),
  }
}
