/**
 * What kafkajs throws, as an MQError.
 * Why by number and name: its texts change with its mood, its error numbers are Kafka's and its class names are part of
 * its public types. Invariant: never decided by text; what was thrown stays as the cause.
 */
import { type ErrorCode, type ErrorContext, findMQError, MQError } from '../../errors/index.js'
import { brokerError } from '../../protocol/index.js'

interface Thrown {
  readonly name?: string
  readonly message?: string
  readonly code?: unknown
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

/** Class name -> our code, where it is no answer of a broker. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  KafkaJSSASLAuthenticationError: 'AUTHENTICATION_FAILED',
  KafkaJSRequestTimeoutError: 'CONNECTION_TIMEOUT',
  KafkaJSTimeout: 'CONNECTION_TIMEOUT',
  KafkaJSLockTimeout: 'CONNECTION_TIMEOUT',
}
const UNSUPPORTED = 'KafkaJSServerDoesNotSupportApiKey'

/** `operation`: our code for numbers that the table leaves to the operation. */
export function failureOf(thrown: unknown, operation: ErrorCode, context: ErrorContext = {}): MQError {
  const known = findMQError(thrown)
  if (known !== undefined) return known
  const innermost = innermostOf(thrown)
  const { name = '', message = String(thrown), code } = innermost
  if (typeof code === 'number') {
    const { code: mqCode, message: text, context: told, retryable, fatal } = brokerError(code, operation, null, context)
    return new MQError(mqCode, text, told, { cause: thrown, retryable, fatal })
  }
  if (name === UNSUPPORTED) {
    const told: ErrorContext = { ...context, reason: 'UNSUPPORTED_VERSION' }
    return new MQError('CONNECTION_FAILED', message, told, { cause: thrown, retryable: false })
  }
  const text = `${message}: check the addresses and the security settings`
  return new MQError(CODES[name] ?? 'CONNECTION_FAILED', text, context, { cause: thrown })
}

/** The question names a broker that the cluster does not have. */
export function isUnknownBroker(error: MQError): boolean {
  return innermostOf(error.cause).name === 'KafkaJSBrokerNotFound'
}

/** kafkajs wraps: retries around a cause, several errors in one. */
function innermostOf(thrown: unknown): Thrown {
  let at = (thrown ?? {}) as Thrown
  for (let depth = 0; depth < 8; depth++) {
    const inner = at.errors?.[0] ?? at.cause
    if (typeof inner !== 'object' || inner === null || typeof at.code === 'number') break
    at = inner as Thrown
  }
  return at
}
