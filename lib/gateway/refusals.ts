/** What the gateway itself says no to, in words for the client. `context.closeCode` is for those that end a WebSocket. */
import { type ErrorCode, type ErrorContext, MQError } from '../errors/index.js'

/** Close codes of RFC 6455, 7.4.1, and of IANA's list behind it. */
const GOING_AWAY = 1001
const POLICY = 1008
const TRY_AGAIN_LATER = 1013

const refusals = new WeakSet<MQError>()

/** One of these: its text is meant for the client. */
export function isRefusal(error: MQError): boolean {
  return refusals.has(error)
}

export function forbidden(operation: 'publish' | 'subscribe', topic: string): MQError {
  const record = operation === 'publish' ? { persistence: 'not-persisted' as const } : {}
  return refusal('AUTHORIZATION_FAILED', `${operation} is not allowed for topic ${topic}`, {
    operation,
    topic,
    ...record,
  })
}

export function forbiddenKey(topic: string): MQError {
  const text = `subscribe is not allowed for this key of topic ${topic}: only for one's own name, or what keys name`
  return refusal('AUTHORIZATION_FAILED', text, { operation: 'subscribe', topic })
}

export function needsKey(topic: string): MQError {
  const text = `topic ${topic} is read by key: subscribe with a key, or have the rule keys: ['*']`
  return refusal('AUTHORIZATION_FAILED', text, { operation: 'subscribe', topic })
}

export function noTopics(): MQError {
  const text = 'topics is empty: name topics, or a key if the gateway has keyTopics'
  return refusal('INVALID_TOPIC', text, { field: 'topics' })
}

export function tooManySubscriptions(wanted: number, maxSubscriptions: number): MQError {
  const text = `${wanted} subscriptions exceed maxSubscriptions ${maxSubscriptions}: end others first`
  return refusal('POOL_EXHAUSTED', text, { maxSubscriptions })
}

export function noStats(): MQError {
  return refusal('AUTHORIZATION_FAILED', 'stats are not allowed: the identity needs stats: true', {
    operation: 'stats',
  })
}

export function mustAuthenticate(): MQError {
  const text = "the first frame must be {type: 'auth', token}"
  return refusal('AUTHENTICATION_FAILED', text, { closeCode: POLICY })
}

export function notAdmitted(): MQError {
  const text = 'the token was not accepted'
  return refusal('AUTHENTICATION_FAILED', text, { closeCode: POLICY, closeReason: text })
}

export function alreadyAuthenticated(name: string): MQError {
  return refusal('AUTHENTICATION_FAILED', `this connection is ${name}'s already: open another one`, {})
}

export function authenticatedLate(authTimeoutMs: number): MQError {
  const text = `no authentication within ${authTimeoutMs} ms`
  return refusal('TIMEOUT', text, { authTimeoutMs, closeCode: POLICY, closeReason: text })
}

/** Nobody hears it: what was asked is not begun. */
export function gone(): MQError {
  return refusal('CONNECTION_CLOSED', 'the client is gone', {})
}

export function slow(writeBufferBytes: number): MQError {
  const text = `reads too slowly: more than ${writeBufferBytes} bytes wait`
  return refusal('CONNECTION_CLOSED', text, { closeCode: TRY_AGAIN_LATER, closeReason: 'slow', writeBufferBytes })
}

export function silent(idleMs: number): MQError {
  const text = `nothing was heard for ${idleMs} ms`
  return refusal('CONNECTION_CLOSED', text, { closeCode: GOING_AWAY, closeReason: 'idle', idleMs })
}

export function stopping(): MQError {
  const closeReason = 'the gateway stops'
  return refusal('CONNECTION_CLOSED', `${closeReason}: connect again later`, { closeCode: GOING_AWAY, closeReason })
}

function refusal(code: ErrorCode, text: string, context: ErrorContext): MQError {
  const error = new MQError(code, text, context, { retryable: false })
  refusals.add(error)
  return error
}
