/**
 * What a request to join does: an id first, a new member, a static member that came back, a member that joins again.
 * Invariant: `reply` is called exactly once, unless its member joins again before that (the older request is then given up,
 * as in Kafka), or is never needed because the asker's connection is gone.
 * Source: kafka.md 5.5; KIP-345 (static members), KIP-394 (two-step join), KIP-814 (skipAssignment).
 */
import {
  COORDINATOR_NOT_AVAILABLE,
  GROUP_MAX_SIZE_REACHED,
  INCONSISTENT_GROUP_PROTOCOL,
  MEMBER_ID_REQUIRED,
  UNKNOWN_MEMBER_ID,
} from '../codes.js'
import { joined } from './answers.js'
import type { ClassicGroup } from './group.js'
import { type JoinAnswer, joinRefused, type Member, type MemberFacts } from './member.js'
import { elect, isCommon } from './protocols.js'

export interface JoinRequest {
  /** Empty: wants an id. */
  readonly memberId: string
  readonly facts: MemberFacts
  readonly protocolType: string
  /** Version 4 and later: a new dynamic member has to come twice, so that a lost answer leaves no ghost. */
  readonly mustKnowItsId: boolean
  /** Version 9 and later. */
  readonly canSkipAssignment: boolean
}

export interface JoinRules {
  readonly maxSize: number
  readonly newMemberId: (prefix: string) => string
}

type Reply = (answer: JoinAnswer) => void

export function join(group: ClassicGroup, request: JoinRequest, rules: JoinRules, reply: Reply): void {
  const refused = judge(group, request, rules)
  if (refused !== 0) reply(joinRefused(request.memberId, refused))
  else if (request.memberId === '') joinNew(group, request, rules, reply)
  else joinKnown(group, request, reply)
}

function judge(group: ClassicGroup, request: JoinRequest, { maxSize }: JoinRules): number {
  if (group.state === 'Dead') return COORDINATOR_NOT_AVAILABLE
  if (!isAccepted(group, request, maxSize)) return GROUP_MAX_SIZE_REACHED
  return speaks(group, request) ? 0 : INCONSISTENT_GROUP_PROTOCOL
}

/** While members come back, places are given to who is there first; later, only members have one. */
function isAccepted(group: ClassicGroup, { memberId, facts }: JoinRequest, maxSize: number): boolean {
  const known = facts.instanceId === null ? memberId : (group.memberOf(facts.instanceId) ?? memberId)
  const member = group.member(known)
  if (group.state !== 'PreparingRebalance') return member !== undefined || group.members.length < maxSize
  const waiting = group.members.filter(({ onJoined }) => onJoined !== null).length
  return (member !== undefined && member.onJoined !== null) || waiting < maxSize
}

function speaks(group: ClassicGroup, { protocolType, facts }: JoinRequest): boolean {
  if (group.members.length === 0) return protocolType !== '' && facts.protocols.length > 0
  return protocolType === group.protocolType && isCommon(facts.protocols, group.members)
}

function joinNew(group: ClassicGroup, request: JoinRequest, rules: JoinRules, reply: Reply): void {
  const { facts, protocolType } = request
  const memberId = rules.newMemberId(facts.instanceId ?? facts.clientId)
  if (facts.instanceId !== null) {
    const holder = group.member(group.memberOf(facts.instanceId) ?? '')
    if (holder !== undefined) return takeOver(group, holder, memberId, request, reply)
  } else if (request.mustKnowItsId) {
    group.awaitPending(memberId, facts.sessionTimeoutMs)
    return reply(joinRefused(memberId, MEMBER_ID_REQUIRED))
  }
  group.add(memberId, facts, protocolType, reply)
}

/** A static member restarted. Unless the assignor changes by that, nobody else notices. */
function takeOver(group: ClassicGroup, old: Member, memberId: string, request: JoinRequest, reply: Reply): void {
  const formerLeader = group.leaderId
  const member = group.replace(old, memberId, request.facts)
  if (group.state === 'Stable' && elect(group.members) === group.protocolName) {
    group.save()
    return reply(returned(group, member, formerLeader, request.canSkipAssignment))
  }
  member.onJoined = reply
  group.rebalance()
}

/**
 * A leader that comes back must not assign anew: either it is told to skip that, or the old leader's id is named, so that
 * it takes itself for a follower.
 */
function returned(group: ClassicGroup, member: Member, formerLeader: string | null, canSkip: boolean): JoinAnswer {
  const answer = joined(group, member)
  if (member.memberId !== group.leaderId) return answer
  return canSkip ? { ...answer, skipAssignment: true } : { ...answer, leader: formerLeader ?? '', members: [] }
}

function joinKnown(group: ClassicGroup, request: JoinRequest, reply: Reply): void {
  const { memberId, facts, protocolType } = request
  if (group.pendingIds.includes(memberId)) return group.add(memberId, facts, protocolType, reply)
  const refused = group.judge(memberId, facts.instanceId)
  const member = group.member(memberId)
  if (refused !== 0 || member === undefined) return reply(joinRefused(memberId, refused || UNKNOWN_MEMBER_ID))
  if (changesNothing(group, member, facts)) return reply(joined(group, member))
  member.facts = facts
  member.onJoined = reply
  group.rebalance()
}

/** A repeated join whose answer was lost, or a follower of a stable group: the generation goes on. */
function changesNothing(group: ClassicGroup, member: Member, facts: MemberFacts): boolean {
  if (!member.offersSame(facts.protocols)) return false
  if (group.state === 'CompletingRebalance') return true
  return group.state === 'Stable' && member.memberId !== group.leaderId
}
