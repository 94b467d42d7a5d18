import { describe, expect, it } from 'vitest'
import { isErrorCode } from '../../lib/errors/index.js'
import { brokerError, kafkaError } from '../../lib/protocol/index.js'

const ALL = Array.from({ length: 135 }, (_, index) => index - 1)

describe('kafkaError', () => {
  it('knows every number from -1 to 133, each by its own name', () => {
    const entries = ALL.map(kafkaError)
    expect(entries.map(({ number }) => number)).toEqual(ALL)
    expect(entries.filter(({ name }) => name.startsWith('UNKNOWN_') && /\d$/.test(name))).toEqual([])
    expect(new Set(entries.map(({ name }) => name)).size).toBe(135)
    expect(entries.every(({ mqCode }) => mqCode === null || isErrorCode(mqCode))).toBe(true)
  })

  it.each([
    [0, 'NONE', null, 'none', false],
    [1, 'OFFSET_OUT_OF_RANGE', 'INVALID_OFFSET', 'fatal', false],
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'TOPIC_NOT_FOUND', 'refresh', false],
    [6, 'NOT_LEADER_OR_FOLLOWER', null, 'refresh', true],
    [7, 'REQUEST_TIMED_OUT', 'TIMEOUT', 'retry', true],
    [10, 'MESSAGE_TOO_LARGE', 'MESSAGE_TOO_LARGE', 'fatal', false],
    [16, 'NOT_COORDINATOR', 'GROUP_COORDINATOR_NOT_FOUND', 'coordinator', true],
    [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', null, 'retry', true],
    [27, 'REBALANCE_IN_PROGRESS', 'REBALANCE_IN_PROGRESS', 'retry', true],
    [31, 'CLUSTER_AUTHORIZATION_FAILED', 'AUTHORIZATION_FAILED', 'fatal', false],
    [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', null, 'fatal', false],
    [58, 'SASL_AUTHENTICATION_FAILED', 'AUTHENTICATION_FAILED', 'fatal', false],
    [113, 'STALE_MEMBER_EPOCH', 'ILLEGAL_GENERATION', 'fatal', false],
    [133, 'SHARE_SESSION_LIMIT_REACHED', null, 'retry', false],
  ])('%i is %s', (number, name, mqCode, kind, retryable) => {
    expect(kafkaError(number)).toEqual({ number, name, mqCode, kind, retryable })
  })

  it('K-12: an unknown number is final and keeps its number', () => {
    expect(kafkaError(777)).toEqual({ number: 777, name: 'UNKNOWN_777', mqCode: null, kind: 'fatal', retryable: false })
  })
})

describe('brokerError', () => {
  it('takes the code from the table, else from the operation', () => {
    expect(brokerError(17, 'PRODUCE_FAILED').code).toBe('INVALID_TOPIC')
    expect(brokerError(6, 'PRODUCE_FAILED')).toMatchObject({ code: 'PRODUCE_FAILED', retryable: true })
    expect(brokerError(6, 'CONSUME_FAILED').code).toBe('CONSUME_FAILED')
    expect(brokerError(44, 'CONNECTION_FAILED')).toMatchObject({ code: 'CONNECTION_FAILED', retryable: false })
  })

  it('carries number, name, the words of the broker and the given context', () => {
    const error = brokerError(44, 'PRODUCE_FAILED', 'too many partitions', { topic: 'orders' })
    expect(error.context).toEqual({ topic: 'orders', kafkaCode: 44, kafkaName: 'POLICY_VIOLATION' })
    expect(error.message).toBe('the broker answered 44 POLICY_VIOLATION for orders: too many partitions')
  })

  it('adds our finer word where there is one', () => {
    expect(brokerError(1, 'CONSUME_FAILED').context.reason).toBe('OFFSET_OUT_OF_RANGE')
    expect(brokerError(35, 'CONNECTION_FAILED').context.reason).toBe('UNSUPPORTED_VERSION')
  })
})
