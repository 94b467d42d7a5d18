/** Part 4 of the specification, written down a second time: what a caller may rely on. */
import type { ErrorCode } from '../../lib/errors/index.js'

export type CodeRow = readonly [family: string, code: ErrorCode, isRetryable: boolean | 'cause', isFatal: boolean]

/** 'cause': a retryable answer of a broker makes it retryable. */
export const CODE_ROWS: readonly CodeRow[] = [
  ['connection', 'CONNECTION_FAILED', true, false],
  ['connection', 'CONNECTION_CLOSED', false, false],
  ['connection', 'CONNECTION_TIMEOUT', true, false],
  ['connection', 'POOL_EXHAUSTED', true, false],
  ['config', 'INVALID_CONFIG', false, true],
  ['config', 'MISSING_CONFIG', false, true],
  ['producer', 'PRODUCER_CLOSED', false, false],
  ['producer', 'PRODUCE_FAILED', 'cause', false],
  ['producer', 'MESSAGE_TOO_LARGE', false, false],
  ['producer', 'SERIALIZATION_FAILED', false, false],
  ['producer', 'COMPRESSION_FAILED', false, false],
  ['consumer', 'CONSUMER_CLOSED', false, false],
  ['consumer', 'CONSUME_FAILED', 'cause', false],
  ['consumer', 'OFFSET_COMMIT_FAILED', 'cause', false],
  ['consumer', 'REBALANCE_IN_PROGRESS', true, false],
  ['consumer', 'DESERIALIZATION_FAILED', false, false],
  ['consumer', 'DECOMPRESSION_FAILED', false, false],
  ['topic', 'INVALID_TOPIC', false, true],
  ['topic', 'INVALID_PARTITION', false, true],
  ['topic', 'INVALID_OFFSET', false, false],
  ['topic', 'TOPIC_NOT_FOUND', false, false],
  ['topic', 'PARTITION_NOT_FOUND', false, false],
  ['auth', 'AUTHENTICATION_FAILED', false, true],
  ['auth', 'AUTHORIZATION_FAILED', false, true],
  ['timeout', 'TIMEOUT', true, false],
  ['timeout', 'RETRY_EXHAUSTED', false, false],
  ['group', 'GROUP_COORDINATOR_NOT_FOUND', false, false],
  ['group', 'UNKNOWN_MEMBER_ID', false, false],
  ['group', 'ILLEGAL_GENERATION', false, false],
  ['group', 'INCONSISTENT_GROUP_PROTOCOL', false, false],
  ['group', 'INVALID_SESSION_TIMEOUT', false, false],
]

/** Error numbers of Kafka with a code of their own. */
export const NUMBERS_OF: Readonly<Partial<Record<ErrorCode, readonly number[]>>> = {
  INVALID_OFFSET: [1],
  TOPIC_NOT_FOUND: [3, 100],
  TIMEOUT: [7],
  MESSAGE_TOO_LARGE: [10, 18],
  CONNECTION_FAILED: [13],
  GROUP_COORDINATOR_NOT_FOUND: [14, 15, 16],
  INVALID_TOPIC: [17],
  OFFSET_COMMIT_FAILED: [12, 28],
  ILLEGAL_GENERATION: [22, 110, 113],
  INCONSISTENT_GROUP_PROTOCOL: [23, 112],
  INVALID_CONFIG: [24, 38, 40],
  UNKNOWN_MEMBER_ID: [25, 82],
  INVALID_SESSION_TIMEOUT: [26],
  REBALANCE_IN_PROGRESS: [27],
  AUTHORIZATION_FAILED: [29, 30, 31, 53],
  AUTHENTICATION_FAILED: [33, 34, 58],
  INVALID_PARTITION: [37],
  COMPRESSION_FAILED: [76],
}

/** Retried, and at the end the failure of the operation, which a caller may try again. */
export const RETRIED: readonly number[] = [2, 5, 6, 8, 9, 19, 20, 56, 74, 75]
/** Of the numbers with a code of their own, those that the table calls retryable although their code is not. */
export const RETRYABLE_ANSWERS: readonly number[] = [14, 15, 16]
/** No failure: nothing, exists already (create), a duplicate. */
export const SUCCESS: readonly number[] = [0, 36, 46]
export const LAST_NUMBER = 133
export const UNKNOWN_NUMBERS: readonly number[] = [134, 9999, -2, 32_767, -32_768]
