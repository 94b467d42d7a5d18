/**
 * The closed list of error codes and reasons.
 * Why: callers switch on `code`, dashboards count it, and a typed tuple makes both exhaustive.
 * Invariant: a code is never both retryable and fatal. 'cause' means the answer is taken from the error's cause.
 */

export type ErrorFamily = 'connection' | 'config' | 'producer' | 'consumer' | 'topic' | 'auth' | 'timeout' | 'group'

type Verdict = 'retryable' | 'fatal' | 'cause' | 'plain'

const table = {
  CONNECTION_FAILED: ['connection', 'retryable'],
  CONNECTION_CLOSED: ['connection', 'plain'],
  CONNECTION_TIMEOUT: ['connection', 'retryable'],
  POOL_EXHAUSTED: ['connection', 'retryable'],
  INVALID_CONFIG: ['config', 'fatal'],
  MISSING_CONFIG: ['config', 'fatal'],
  PRODUCER_CLOSED: ['producer', 'plain'],
  PRODUCE_FAILED: ['producer', 'cause'],
  MESSAGE_TOO_LARGE: ['producer', 'plain'],
  SERIALIZATION_FAILED: ['producer', 'plain'],
  COMPRESSION_FAILED: ['producer', 'plain'],
  CONSUMER_CLOSED: ['consumer', 'plain'],
  CONSUME_FAILED: ['consumer', 'cause'],
  OFFSET_COMMIT_FAILED: ['consumer', 'cause'],
  REBALANCE_IN_PROGRESS: ['consumer', 'retryable'],
  DESERIALIZATION_FAILED: ['consumer', 'plain'],
  DECOMPRESSION_FAILED: ['consumer', 'plain'],
  INVALID_TOPIC: ['topic', 'fatal'],
  INVALID_PARTITION: ['topic', 'fatal'],
  INVALID_OFFSET: ['topic', 'plain'],
  TOPIC_NOT_FOUND: ['topic', 'plain'],
  PARTITION_NOT_FOUND: ['topic', 'plain'],
  AUTHENTICATION_FAILED: ['auth', 'fatal'],
  AUTHORIZATION_FAILED: ['auth', 'fatal'],
  TIMEOUT: ['timeout', 'retryable'],
  RETRY_EXHAUSTED: ['timeout', 'plain'],
  GROUP_COORDINATOR_NOT_FOUND: ['group', 'plain'],
  UNKNOWN_MEMBER_ID: ['group', 'plain'],
  ILLEGAL_GENERATION: ['group', 'plain'],
  INCONSISTENT_GROUP_PROTOCOL: ['group', 'plain'],
  INVALID_SESSION_TIMEOUT: ['group', 'plain'],
} as const satisfies Record<string, readonly [ErrorFamily, Verdict]>

export type ErrorCode = keyof typeof table

/** Every code, in the order of the documentation. */
export const ERROR_CODES: readonly ErrorCode[] = Object.keys(table) as ErrorCode[]

/** Finer words than a code, found in `context.reason`. */
export const ERROR_REASONS = [
  'BUFFER_FULL',
  'CALLBACK',
  'CHANNEL_CLOSED',
  'CIRCUIT_OPEN',
  'CODEC_UNAVAILABLE',
  'CORRUPT_BATCH',
  'DROPPED',
  'IDENTITY_REUSED',
  'MALFORMED_FRAME',
  'NO_CONNECTION',
  'OFFSET_OUT_OF_RANGE',
  'POLL_INTERVAL',
  'QUEUE_CLOSED',
  'QUEUE_EMPTY',
  'QUEUE_NOT_STARTED',
  'QUEUE_STOPPED',
  'SEND_FAILED',
  'TOO_LARGE',
  'UNSUPPORTED_VERSION',
  'WAL_CLUSTER_MISMATCH',
  'WAL_CORRUPT',
  'WAL_FAILED',
  'WAL_FRAME_TOO_LARGE',
  'WAL_FULL',
  'WAL_LOCKED',
  'WAL_LOCK_METHOD',
  'WAL_MANIFEST_MISSING',
  'WAL_NETWORK_FS',
  'WAL_PERMISSION',
  'WAL_SEGMENT_MISSING',
  'WAL_VERSION',
] as const

export type ErrorReason = (typeof ERROR_REASONS)[number]

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(table, code)
}

export function familyOf(code: ErrorCode): ErrorFamily {
  return table[code][0]
}

export function verdictOf(code: ErrorCode): Verdict {
  return table[code][1]
}
