/** The errors of a KIP-848 membership, in one place: what happened, to which group, and what it means for the partitions. */
import { MQError } from '../../../errors/index.js'
import { brokerError } from '../../../protocol/index.js'

const UNSUPPORTED_VERSION = 35

/** A heartbeat that was answered with an error. */
export function refusedHeartbeat(code: number, message: string | null, groupId: string, memberId: string): MQError {
  const operation = code === UNSUPPORTED_VERSION ? 'CONNECTION_FAILED' : 'CONSUME_FAILED'
  return brokerError(code, operation, message, { groupId, memberId, resource: groupId, operation: 'READ' })
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
