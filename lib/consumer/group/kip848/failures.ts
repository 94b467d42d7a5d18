/** The errors of a KIP-848 membership, in one place: what happened, to which group, and what it means for the partitions. */
import { MQError } from '../../../errors/index.js'
import { brokerError } from '../../../protocol/index.js'

const UNSUPPORTED_VERSION = 35
const GROUP_ID_NOT_FOUND = 69

/** A heartbeat that was answered with an error. */
export function refusedHeartbeat(code: number, message: string | null, groupId: string, memberId: string): MQError {
  const operation = code === UNSUPPORTED_VERSION ? 'CONNECTION_FAILED' : 'CONSUME_FAILED'
  return brokerError(code, operation, message, { groupId, memberId, resource: `group ${groupId}`, operation: 'READ' })
}

/** A broker that has never heard of KIP-848 is no defect of the broker: who asked is told what to ask for instead. */
export function explained(error: MQError, groupId: string): MQError {
  const { code, message, context, retryable, fatal } = error
  if (context.reason !== 'UNSUPPORTED_VERSION') return error
  const text = `groupProtocol 'consumer' of group ${groupId}: ${message}; use 'classic', or 'auto'`
  return new MQError(code, text, { ...context, groupId }, { cause: error, retryable, fatal })
}

/** To a join, which makes a group where there is none: there is one, with members of another protocol. */
export function isOtherProtocol(code: number): boolean {
  return code === GROUP_ID_NOT_FOUND
}

export function otherProtocol(cause: MQError): MQError {
  const { groupId } = cause.context
  const text =
    `group ${groupId} has members under another protocol, and its broker does not let both mix: use ` +
    "groupProtocol 'classic', or another groupId, or allow it by group.consumer.migration.policy"
  return new MQError('INCONSISTENT_GROUP_PROTOCOL', text, cause.context, { cause })
}

/** `what` should have been confirmed: "that we are here". */
export function unconfirmed(groupId: string, timeoutMs: number, what: string): MQError {
  const text = `the coordinator did not confirm within ${timeoutMs} ms ${what}: the partitions may be somebody else's`
  return new MQError('TIMEOUT', text, { groupId, timeoutMs })
}

export function notAMember(groupId: string, state: string): MQError {
  const text = `this consumer has left group ${groupId}, or was never in it: subscribe again`
  return new MQError('UNKNOWN_MEMBER_ID', text, { groupId, state })
}
