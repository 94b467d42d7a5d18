/**
 * JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the wire side of classic groups. To members of the newer kind (KIP-848) they
 * answer as if the group did not exist, and 23 to who wants to join them.
 * Invariant: a request that waits (join, sync) is a promise, and its connection serves nothing else meanwhile, as in Kafka.
 */
import type { DecodedRequestOf, Heartbeat, JoinGroup, LeaveGroup, ResponseOf, SyncGroup } from '../../protocol/index.js'
import { type JoinRequest, join } from '../groups/classic/join.js'
import {
  type JoinAnswer,
  joinRefused,
  type MemberFacts,
  type SyncAnswer,
  syncRefused,
} from '../groups/classic/member.js'
import { heartbeat, leave, sync } from '../groups/classic/requests.js'
import { INCONSISTENT_GROUP_PROTOCOL, INVALID_SESSION_TIMEOUT, UNKNOWN_MEMBER_ID } from '../groups/codes.js'
import type { AnyGroup } from '../groups/groups.js'
import { codeAfter, codeBefore, type RequestContext } from '../request-context.js'

/** First versions of JoinGroup with: a join in two steps, a protocol that may be null, skipAssignment. */
const TWO_STEPS = 4
const NULLABLE_PROTOCOL = 7
const SKIPS_ASSIGNMENT = 9
/** First version of SyncGroup that names the protocol; it has to. */
const NAMES_PROTOCOL = 5
/** First version of LeaveGroup that names several members. */
const SEVERAL_MEMBERS = 3

type JoinBody = DecodedRequestOf<typeof JoinGroup>
type SyncBody = DecodedRequestOf<typeof SyncGroup>

export async function handleJoinGroup(body: JoinBody, context: RequestContext): Promise<ResponseOf<typeof JoinGroup>> {
  const { config, groups } = context.cluster
  const answer = await new Promise<JoinAnswer>((resolve) => {
    const known = groups.get(body.groupId)
    const isUnknown = body.memberId !== '' && (known === undefined || isEmptyConsumerGroup(known))
    const refused = codeBefore(context) || judgeJoin(body, context) || (isUnknown ? UNKNOWN_MEMBER_ID : 0)
    if (refused !== 0) return resolve(joinRefused(body.memberId, refused))
    const group = groups.classicFor(body.groupId)
    if (group === null) return resolve(joinRefused(body.memberId, INCONSISTENT_GROUP_PROTOCOL))
    const rules = {
      maxSize: config.number('group.max.size'),
      newMemberId: (prefix: string) => groups.newMemberId(prefix),
    }
    join(group, joinRequest(body, context), rules, resolve)
  })
  const { protocolName, leader, members, ...rest } = answer
  const errorCode = codeAfter(context, answer.errorCode)
  const name = context.version >= NULLABLE_PROTOCOL ? protocolName : (protocolName ?? '')
  return { ...rest, errorCode, protocolName: name, leader, members }
}

/** Only a member without an id turns such a group into a classic one. */
function isEmptyConsumerGroup({ kind, state }: AnyGroup): boolean {
  return kind === 'consumer' && state === 'Empty'
}

function judgeJoin({ groupId, sessionTimeoutMs }: JoinBody, { cluster, brokerId }: RequestContext): number {
  const isShort = sessionTimeoutMs < cluster.config.number('group.min.session.timeout.ms')
  const isLong = sessionTimeoutMs > cluster.config.number('group.max.session.timeout.ms')
  if (groupId !== '' && (isShort || isLong)) return INVALID_SESSION_TIMEOUT
  return cluster.groups.judgePlace(groupId, brokerId)
}

function joinRequest(body: JoinBody, { version, clientId, clientHost }: RequestContext): JoinRequest {
  const { memberId, sessionTimeoutMs, protocolType } = body
  const facts: MemberFacts = {
    instanceId: body.groupInstanceId,
    clientId: clientId ?? '',
    clientHost,
    sessionTimeoutMs,
    // Version 0 knows one time for both.
    rebalanceTimeoutMs: body.rebalanceTimeoutMs < 0 ? sessionTimeoutMs : body.rebalanceTimeoutMs,
    protocols: body.protocols.map(({ name, metadata }) => ({ name, metadata: metadata.slice() })),
  }
  const mustKnowItsId = version >= TWO_STEPS
  return { memberId, facts, protocolType, mustKnowItsId, canSkipAssignment: version >= SKIPS_ASSIGNMENT }
}

export async function handleSyncGroup(body: SyncBody, context: RequestContext): Promise<ResponseOf<typeof SyncGroup>> {
  const { groupId, memberId, groupInstanceId, generationId, protocolType, protocolName, assignments } = body
  const { groups } = context.cluster
  const answer = await new Promise<SyncAnswer>((resolve) => {
    const group = groups.classic(groupId)
    const refused = codeBefore(context) || judgeSync(body, context)
    if (refused !== 0 || group === undefined) return resolve(syncRefused(refused || UNKNOWN_MEMBER_ID))
    const parts = new Map(assignments.map((part) => [part.memberId, part.assignment.slice()]))
    const instanceId = groupInstanceId
    sync(group, { memberId, instanceId, generation: generationId, protocolType, protocolName, parts }, resolve)
  })
  return { ...answer, errorCode: codeAfter(context, answer.errorCode) }
}

function judgeSync({ groupId, protocolType, protocolName }: SyncBody, context: RequestContext): number {
  const isMute = context.version >= NAMES_PROTOCOL && (protocolType === null || protocolName === null)
  return isMute ? INCONSISTENT_GROUP_PROTOCOL : context.cluster.groups.judgePlace(groupId, context.brokerId)
}

export function handleHeartbeat(
  body: DecodedRequestOf<typeof Heartbeat>,
  context: RequestContext,
): ResponseOf<typeof Heartbeat> {
  const { groups } = context.cluster
  const group = groups.classic(body.groupId)
  const refused = codeBefore(context) || groups.judgePlace(body.groupId, context.brokerId)
  const of = { memberId: body.memberId, instanceId: body.groupInstanceId }
  const own = group === undefined ? UNKNOWN_MEMBER_ID : refused || heartbeat(group, of, body.generationId)
  return { errorCode: codeAfter(context, refused || own) }
}

export function handleLeaveGroup(
  body: DecodedRequestOf<typeof LeaveGroup>,
  context: RequestContext,
): ResponseOf<typeof LeaveGroup> {
  const { groups } = context.cluster
  const group = groups.classic(body.groupId)
  const refused = codeBefore(context) || groups.judgePlace(body.groupId, context.brokerId)
  if (refused !== 0) return { errorCode: codeAfter(context, refused), members: [] }
  const isSingle = context.version < SEVERAL_MEMBERS
  const asked = isSingle ? [{ memberId: body.memberId, groupInstanceId: null }] : body.members
  const leaving = asked.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId }))
  const codes = group === undefined ? leaving.map(() => UNKNOWN_MEMBER_ID) : leave(group, leaving)
  if (isSingle) return { errorCode: codeAfter(context, codes[0] ?? 0), members: [] }
  const members = leaving.map(({ memberId, instanceId }, index) => {
    return { memberId, groupInstanceId: instanceId, errorCode: codes[index] ?? 0 }
  })
  return { errorCode: codeAfter(context, 0), members }
}
