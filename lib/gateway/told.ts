/**
 * What clients are told of errors. Why not everything: a broker's address, a principal or a stack is the operator's affair;
 * he hears of it as a `warning`.
 * Invariant: `code` and `reason` are those of the error, the text is ours or about what the client itself has sent.
 */
import { type ErrorCode, type MQError, toMQError } from '../errors/index.js'
import type { FrameId, ServerFrame } from './types.js'

/** Their texts speak of the record or the topic that the client named, and of limits. */
const SPEAKING: ReadonlySet<ErrorCode> = new Set([
  'MESSAGE_TOO_LARGE',
  'INVALID_TOPIC',
  'INVALID_PARTITION',
  'INVALID_OFFSET',
  'TOPIC_NOT_FOUND',
  'PARTITION_NOT_FOUND',
  'DESERIALIZATION_FAILED',
])

export function errorFrame(error: MQError, id: FrameId | undefined, message = error.message): ServerFrame {
  const { code, context } = error
  const { reason, topic, persistence } = context
  return { type: 'error', id, code, reason, message, topic, persistence }
}

/** True: the client did or named something wrong; nobody else has to hear of it. */
export function isFaultOfClient(error: MQError): boolean {
  return SPEAKING.has(error.code)
}

/** What failed behind the gateway, for the client who asked. */
export function backendErrorFrame(error: MQError, id: FrameId | undefined, what: string): ServerFrame {
  if (isFaultOfClient(error)) return errorFrame(error, id)
  return errorFrame(
    error,
    id,
    `${what}: ${error.retryable ? 'it may work later' : 'the operator of the gateway knows more'}`,
  )
}

export function asMQError(error: unknown, what: string): MQError {
  return toMQError(error, 'CONNECTION_FAILED', what)
}
