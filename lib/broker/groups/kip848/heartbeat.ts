/**
 * What a ConsumerGroupHeartbeat does: join, stay, change, acknowledge, leave, all in one request.
 * Invariant: a refused heartbeat changes nothing and is no sign of life.
 * Source: KIP-848; order and codes as Kafka 4.1.1 was seen to answer (test/fixtures/groups-848.json).
 */
import {
  FENCED_INSTANCE_ID,
  FENCED_MEMBER_EPOCH,
  GROUP_MAX_SIZE_REACHED,
  NONE,
  UNKNOWN_MEMBER_ID,
  UNRELEASED_INSTANCE_ID,
} from '../codes.js'
import type { ConsumerGroup } from './group.js'
import { JOIN_EPOCH, LEAVE_EPOCH } from './heartbeat-rules.js'
import { AWAY_EPOCH, type ConsumerFacts, type ConsumerMember } from './member.js'
import { sameKeys } from './reconcile.js'

export interface BeatRequest {
  readonly memberId: string
  readonly epoch: number
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** From here on, null (-1 for the time) means "as before". */
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
  readonly topics: readonly string[] | null
  readonly pattern: string | null
  readonly assignor: string | null
  readonly owned: ReadonlySet<string> | null
}

export interface BeatAnswer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly memberId: string | null
  readonly epoch: number
  /** Null: as before. */
  readonly assignment: ReadonlySet<string> | null
}

type Found = { readonly member: ConsumerMember; readonly isNew?: boolean } | { readonly refused: BeatAnswer }

export function refuseBeat(errorCode: number, errorMessage: string | null): BeatAnswer {
  return { errorCode, errorMessage, memberId: null, epoch: 0, assignment: null }
}

export function beat(group: ConsumerGroup, request: BeatRequest, maxSize: number): BeatAnswer {
  if (request.epoch === LEAVE_EPOCH || request.epoch === AWAY_EPOCH) return leave(group, request)
  const problem = judge(group, request, maxSize)
  if (problem !== null) return problem
  const found = find(group, request)
  return 'refused' in found ? found.refused : stay(group, found.member, request, found.isNew ?? false)
}

function leave(group: ConsumerGroup, request: BeatRequest): BeatAnswer {
  const found = request.instanceId === null ? known(group, request.memberId) : holder(group, request)
  if ('refused' in found) return found.refused
  if (request.epoch === AWAY_EPOCH) group.stepAway(found.member)
  else group.remove(found.member)
  return { errorCode: NONE, errorMessage: null, memberId: request.memberId, epoch: request.epoch, assignment: null }
}

function judge(group: ConsumerGroup, request: BeatRequest, maxSize: number): BeatAnswer | null {
  const isNew = group.member(request.memberId) === undefined
  if (request.epoch === JOIN_EPOCH && isNew && group.members.length >= maxSize) {
    return refuseBeat(GROUP_MAX_SIZE_REACHED, `${group.groupId} has ${maxSize} members, no more are allowed.`)
  }
  return null
}

// --- which member ---

function find(group: ConsumerGroup, request: BeatRequest): Found {
  const isJoin = request.epoch === JOIN_EPOCH
  if (request.instanceId === null) {
    if (isJoin && group.member(request.memberId) === undefined) return { member: enter(group, request), isNew: true }
    return checked(known(group, request.memberId), request)
  }
  if (!isJoin) return checked(holder(group, request), request)
  const old = group.memberOf(request.instanceId)
  if (old === undefined) return { member: enter(group, request), isNew: true }
  if (old.epoch === AWAY_EPOCH) return { member: group.replace(old, request.memberId) }
  return { refused: refuseBeat(UNRELEASED_INSTANCE_ID, `${request.instanceId} is still held by ${old.memberId}.`) }
}

function enter(group: ConsumerGroup, request: BeatRequest): ConsumerMember {
  const { memberId, instanceId, clientId, clientHost } = request
  const unsaid = { rackId: null, rebalanceTimeoutMs: 0, topics: [], pattern: '', assignor: null }
  return group.add(memberId, { instanceId, clientId, clientHost, ...unsaid })
}

function known(group: ConsumerGroup, memberId: string): Found {
  const member = group.member(memberId)
  if (member !== undefined) return { member }
  return { refused: refuseBeat(UNKNOWN_MEMBER_ID, `${group.groupId} has no member ${memberId}.`) }
}

/** The member that holds the instance id, if it is the one who asks. */
function holder(group: ConsumerGroup, { instanceId, memberId }: BeatRequest): Found {
  const member = group.memberOf(instanceId ?? '')
  if (member === undefined)
    return { refused: refuseBeat(UNKNOWN_MEMBER_ID, `Nobody has the instance id ${instanceId}.`) }
  if (member.memberId === memberId) return { member }
  return { refused: refuseBeat(FENCED_INSTANCE_ID, `${instanceId} belongs to ${member.memberId} now.`) }
}

/** An older epoch passes only where the answer with the newer one may have been lost. */
function checked(found: Found, { epoch, owned }: BeatRequest): Found {
  if ('refused' in found) return found
  const { member } = found
  const ownsNoMore = owned !== null && [...owned].every((key) => member.progress.assigned.has(key))
  if (epoch === member.epoch || (epoch < member.epoch && epoch === member.previousEpoch && ownsNoMore)) return found
  const message = `Epoch ${epoch} is not ${member.epoch}, that of ${member.memberId}: give all partitions up and join.`
  return { refused: refuseBeat(FENCED_MEMBER_EPOCH, message) }
}

// --- what it says ---

function stay(group: ConsumerGroup, member: ConsumerMember, request: BeatRequest, isNew: boolean): BeatAnswer {
  const { subscriptions } = group
  const before = member.progress.assigned
  const isChanged = tell(group, member, request) || isNew
  if (subscriptions.hasMoved(group.members) || isChanged) group.bump()
  if (isChanged) subscriptions.remember(group.members)
  group.assignIfDue()
  group.advance(member, request.owned)
  group.touch(member)
  const { assigned } = member.progress
  const isTold = request.epoch === JOIN_EPOCH || saysEverything(request) || !sameKeys(before, assigned)
  const answer = { errorCode: NONE, errorMessage: null, memberId: member.memberId, epoch: member.epoch }
  if (subscriptions.matchNew(group.members)) {
    group.bump()
    subscriptions.remember(group.members)
  }
  return { ...answer, assignment: isTold ? assigned : null }
}

/** Takes over what the member says anew; true if it wants other topics. A pattern that is not matched yet comes later. */
function tell(group: ConsumerGroup, member: ConsumerMember, request: BeatRequest): boolean {
  const { facts } = member
  const topics = request.topics === null ? facts.topics : [...new Set(request.topics)].sort()
  const pattern = request.pattern ?? facts.pattern
  const next: ConsumerFacts = {
    instanceId: facts.instanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    rackId: request.rackId ?? facts.rackId,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? facts.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
    topics,
    pattern,
    assignor: request.assignor ?? facts.assignor,
  }
  member.facts = next
  const isKnownPattern = pattern !== facts.pattern && pattern !== '' && group.subscriptions.knows(pattern)
  return topics.join() !== facts.topics.join() || isKnownPattern
}

function saysEverything({ rebalanceTimeoutMs, topics, pattern, owned }: BeatRequest): boolean {
  return rebalanceTimeoutMs >= 0 && (topics !== null || pattern !== null) && owned !== null
}
