/** The closed list of codes, written a second time from the specification: what a caller may rely on. */
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, ERROR_REASONS, type ErrorCode, isErrorCode, MQError } from '../../lib/errors/index.js'
import { brokerError, kafkaError } from '../../lib/protocol/index.js'

type Row = readonly [family: string, code: ErrorCode, isRetryable: boolean, isFatal: boolean]

const ROWS: readonly Row[] = [
  ['connection', 'CONNECTION_FAILED', true, false],
  ['connection', 'CONNECTION_CLOSED', false, false],
  ['connection', 'CONNECTION_TIMEOUT', true, false],
  ['connection', 'POOL_EXHAUSTED', true, false],
  ['config', 'INVALID_CONFIG', false, true],
  ['config', 'MISSING_CONFIG', false, true],
  ['producer', 'PRODUCER_CLOSED', false, false],
  ['producer', 'PRODUCE_FAILED', false, false],
  ['producer', 'MESSAGE_TOO_LARGE', false, false],
  ['producer', 'SERIALIZATION_FAILED', false, false],
  ['producer', 'COMPRESSION_FAILED', false, false],
  ['consumer', 'CONSUMER_CLOSED', false, false],
  ['consumer', 'CONSUME_FAILED', false, false],
  ['consumer', 'OFFSET_COMMIT_FAILED', false, false],
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

/** Numbers with a code of their own, by features.md part 4. */
const KAFKA: Readonly<Record<string, readonly number[]>> = {
  INVALID_OFFSET: [1],
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

describe('ER-1: the codes', () => {
  it('ER-1: are exactly these 31, each once', () => {
    expect([...ERROR_CODES].sort()).toEqual(ROWS.map(([, code]) => code).sort())
    expect(ERROR_CODES).toHaveLength(31)
  })

  it.each(ROWS)('ER-1: %s / %s: retryable %s, fatal %s', (family, code, isRetryable, isFatal) => {
    const error = new MQError(code, 'text')
    expect(error).toMatchObject({ family, code, retryable: isRetryable, fatal: isFatal })
  })

  it('ER-1: a code is recognised, other words are not', () => {
    for (const [, code] of ROWS) expect(isErrorCode(code)).toBe(true)
    for (const other of ['timeout', '', 'toString', '__proto__', undefined, 7]) expect(isErrorCode(other)).toBe(false)
  })

  it('ER-1: reasons are a sorted list without repetition', () => {
    expect([...ERROR_REASONS].sort()).toEqual([...ERROR_REASONS])
    expect(new Set(ERROR_REASONS).size).toBe(ERROR_REASONS.length)
  })
})

describe('ER-3: Kafka numbers', () => {
  const cases = Object.entries(KAFKA).flatMap(([code, numbers]) => numbers.map((number) => [number, code] as const))

  it.each(cases)('ER-3: %i is %s, with number and name in the context', (number, code) => {
    const { name } = kafkaError(number)
    const error = brokerError(number, 'PRODUCE_FAILED', null, { topic: 't' })
    expect(error.code).toBe(code)
    expect(error.context).toMatchObject({ kafkaCode: number, kafkaName: name, topic: 't' })
    expect(error.message).toContain(name)
  })

  it.each([2, 5, 6, 8, 9, 19, 20, 56, 74, 75])('ER-3: %i ends as the failure of the operation, retryable', (number) => {
    for (const operation of ['PRODUCE_FAILED', 'CONSUME_FAILED'] as const) {
      expect(brokerError(number, operation, null, {})).toMatchObject({ code: operation, retryable: true, fatal: false })
    }
  })

  it('ER-3: 3 and 100 are TOPIC_NOT_FOUND', () => {
    for (const number of [3, 100]) expect(brokerError(number, 'CONSUME_FAILED', null, {}).code).toBe('TOPIC_NOT_FOUND')
  })

  it('ER-3: an unknown number is not retryable, keeps its number and crashes nothing', () => {
    for (const number of [134, 9999, -2, 32767]) {
      const error = brokerError(number, 'CONSUME_FAILED', null, {})
      expect(error).toMatchObject({ code: 'CONSUME_FAILED', retryable: false, fatal: false })
      expect(error.context.kafkaCode).toBe(number)
      expect(typeof error.context.kafkaName).toBe('string')
    }
  })
})
