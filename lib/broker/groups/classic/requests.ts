/**
 * What members ask after joining: their part (sync), to be kept (heartbeat), to go (leave), to store offsets (commit).
 * Invariant: each answer is decided by state, member and generation alone; an answer that waits is called once.
 * Source: kafka.md 5.5 (codes), the rules of Kafka 4.1's classic groups.
 */
import {
  COORDINATOR_NOT_AVAILABLE,
  FENCED_INSTANCE_ID,
  ILLEGAL_GENERATION,
  INCONSISTENT_GROUP_PROTOCOL,
  NONE,
  REBALANCE_IN_PROGRESS,
  UNKNOWN_MEMBER_ID,
} from '../codes.js'
import type { ClassicGroup } from './group.js'
import { type SyncAnswer, syncRefused } from './member.js'

export interface MemberRef {
  readonly memberId: string
  readonly instanceId: string | null
}

export interface SyncRequest extends MemberRef {
  readonly generation: number
  /** What the member believes; null: does not say. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly parts: ReadonlyMap<string, Uint8Array>
}

export function sync(group: ClassicGroup, request: SyncRequest, reply: (answer: SyncAnswer) => void): void {
  const member = group.member(request.memberId)
  const refused = judgeSync(group, request)
  if (refused !== NONE || member === undefined) return reply(syncRefused(refused || UNKNOWN_MEMBER_ID))
  group.touch(member)
  if (group.state === 'Stable') return reply(group.synced(member))
  group.awaitAssignment(member, reply)
  if (member.memberId === group.leaderId) group.assign(request.parts)
}

function judgeSync(group: ClassicGroup, request: SyncRequest): number {
  if (group.state === 'Dead') return COORDINATOR_NOT_AVAILABLE
  const refused = group.judgeGeneration(request.memberId, request.instanceId, request.generation)
  if (refused !== NONE) return refused
  const isOther = (told: string | null, own: string | null) => told !== null && own !== null && told !== own
  if (isOther(request.protocolType, group.protocolType) || isOther(request.protocolName, group.protocolName)) {
    return INCONSISTENT_GROUP_PROTOCOL
  }
  return group.state === 'PreparingRebalance' ? REBALANCE_IN_PROGRESS : NONE
}

export function heartbeat(group: ClassicGroup, of: MemberRef, generation: number): number {
  if (group.state === 'Dead') return COORDINATOR_NOT_AVAILABLE
  const refused = group.judgeGeneration(of.memberId, of.instanceId, generation)
  const member = group.member(of.memberId)
  if (refused !== NONE || member === undefined) return refused || UNKNOWN_MEMBER_ID
  group.touch(member)
  return group.state === 'PreparingRebalance' ? REBALANCE_IN_PROGRESS : NONE
}

/** One error code per member, in order. One rebalance follows, however many left. */
export function leave(group: ClassicGroup, leaving: readonly MemberRef[]): number[] {
  const before = group.members.length
  const codes = leaving.map((one) => leaveOne(group, one))
  if (group.members.length < before) group.membersLeft()
  else group.completeIfAllJoined() // an id that was only given out has no part to share
  return codes
}

function leaveOne(group: ClassicGroup, { memberId, instanceId }: MemberRef): number {
  if (group.dropPending(memberId)) return NONE
  const holder = instanceId === null ? memberId : group.memberOf(instanceId)
  const member = holder === undefined ? undefined : group.member(holder)
  if (member === undefined) return UNKNOWN_MEMBER_ID
  // An administrator removes a static member by its instance id alone.
  if (instanceId !== null && memberId !== '' && memberId !== holder) return FENCED_INSTANCE_ID
  group.remove(member)
  return NONE
}

/** 0 if the offsets may be stored. A commit without generation is for groups without members. */
export function judgeCommit(group: ClassicGroup, of: MemberRef, generation: number): number {
  if (group.state === 'Dead') return COORDINATOR_NOT_AVAILABLE
  if (generation < 0 && group.state === 'Empty') return NONE
  const isSimple = generation < 0 && of.memberId === '' && of.instanceId === null
  const refused = isSimple ? UNKNOWN_MEMBER_ID : group.judgeGeneration(of.memberId, of.instanceId, generation)
  if (refused !== NONE) return refused
  if (group.state === 'CompletingRebalance') return REBALANCE_IN_PROGRESS
  const member = group.member(of.memberId)
  if (member !== undefined) group.touch(member)
  return NONE
}

/** A commit into a group that does not exist: simple ones create it. */
export function judgeFirstCommit(generation: number): number {
  return generation < 0 ? NONE : ILLEGAL_GENERATION
}
