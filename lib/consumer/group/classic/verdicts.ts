/**
 * What an error number in the answer to JoinGroup, SyncGroup, Heartbeat or LeaveGroup means for a classic member.
 * Why data and not code: the table of kafka.md 5.5 reads best as one, and every step of a round shares one opinion.
 * Invariant: every number has a verdict; one that the broker's table calls final, or that we do not know, is fatal.
 */
import type { ResolvedConsumerConfig } from '../../../config/index.js'
import { MQError } from '../../../errors/index.js'
import { brokerError, kafkaError } from '../../../protocol/index.js'

export type MemberVerdict =
  | 'ok'
  /** The same coordinator again, after a back-off. */
  | 'again'
  /** Another coordinator: forget this one, look it up, after a back-off. */
  | 'elsewhere'
  /** A rebalance is under way: join again. */
  | 'rejoin'
  /** Join again with the id of the answer. */
  | 'takeId'
  /** The generation went on without us: the partitions are lost, the member id stays. */
  | 'lostGeneration'
  /** The group does not know us any more: the partitions are lost, and so is the member id. */
  | 'lostMember'
  | 'fatal'

const VERDICTS: ReadonlyMap<number, MemberVerdict> = new Map([
  [0, 'ok'],
  [14, 'again'],
  [15, 'elsewhere'],
  [16, 'elsewhere'],
  [22, 'lostGeneration'],
  [25, 'lostMember'],
  [27, 'rejoin'],
  [79, 'takeId'],
])

export function judgeMember(errorNumber: number): MemberVerdict {
  const known = VERDICTS.get(errorNumber)
  if (known !== undefined) return known
  const { kind } = kafkaError(errorNumber)
  return kind === 'retry' || kind === 'refresh' ? 'again' : 'fatal'
}

/** What to do about it, where a person has to. */
const ADVICE: Readonly<Record<number, string>> = {
  22: 'the group went on without this member',
  23: 'give all members of the group an assignor in common (`assignors`)',
  24: 'the group id must not be empty',
  25: 'the group has removed this member, most likely because it was silent for too long',
  26: "`sessionTimeoutMs` must lie within the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
  30: 'this principal needs READ on the group',
  81: "the group has as many members as the broker's group.max.size allows",
  82: 'another process uses the same `groupInstanceId`: give each its own',
}

/** The error as a user sees it: which group, which step, what to do. */
export function memberError(errorNumber: number, groupId: string, step: string): MQError {
  const context = { groupId, resource: `group ${groupId}`, operation: 'READ', step }
  const error = brokerError(errorNumber, 'CONSUME_FAILED', null, context)
  const advice = ADVICE[errorNumber]
  const text = `${step}: ${error.message}${advice === undefined ? '' : `; ${advice}`}`
  return new MQError(error.code, text, error.context, { retryable: error.retryable, fatal: error.fatal })
}

/**
 * Failures that repeating does not mend: no permission, wrong credentials, a broker that lacks what we need. A broker that
 * closed its socket on the first question may lack it too, but more often it is just stopping: that error is retryable.
 */
export function isHopeless(error: MQError): boolean {
  if (error.fatal) return true
  if (error.context.reason === 'UNSUPPORTED_VERSION') return !error.retryable
  return !error.retryable && error.family !== 'connection'
}

/** Nobody said so, but the group has given us up by now. */
export function silentFor(silentMs: number, { groupId, sessionTimeoutMs }: ResolvedConsumerConfig): MQError {
  const text = `no contact with the coordinator of group ${groupId} for ${Math.round(silentMs)} ms: the session of ${sessionTimeoutMs} ms is over`
  return new MQError('TIMEOUT', text, { groupId, timeoutMs: sessionTimeoutMs })
}

export function gaveBackTooSlowly({ groupId, rebalanceTimeoutMs }: ResolvedConsumerConfig): MQError {
  const text = `giving partitions back to group ${groupId} took longer than rebalanceTimeoutMs ${rebalanceTimeoutMs}: make callbacks and listeners quicker, or the limit larger`
  return new MQError('REBALANCE_IN_PROGRESS', text, { groupId, timeoutMs: rebalanceTimeoutMs })
}

export function unknownAssignor(name: string | null, { groupId, assignors }: ResolvedConsumerConfig): MQError {
  const text = `group ${groupId} chose the assignor ${name ?? 'none'}, which is not one of ours (${assignors.join(', ')}): list it in assignors`
  return new MQError('INCONSISTENT_GROUP_PROTOCOL', text, { groupId })
}
