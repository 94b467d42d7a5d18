/** What kafkajs throws becomes an MQError by number or class name, whatever its text says. */
import kafkajs from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { failureOf } from '../../../lib/admin/kafkajs/failures.js'
import { MQError } from '../../../lib/errors/index.js'

const protocolError = (code: number) =>
  new kafkajs.KafkaJSProtocolError(Object.assign(new Error('a text that says TOPIC_NOT_FOUND'), { code, type: 'X' }))

describe('errors of kafkajs', () => {
  it.each([
    [3, 'TOPIC_NOT_FOUND'],
    [17, 'INVALID_TOPIC'],
    [29, 'AUTHORIZATION_FAILED'],
    [58, 'AUTHENTICATION_FAILED'],
    [42, 'INVALID_CONFIG'],
  ] as const)('AD-2: Kafka %i is %s, whatever the text', (number, code) => {
    const error = failureOf(protocolError(number), 'INVALID_CONFIG', { topic: 't' })
    expect([error.code, error.context.kafkaCode, error.context.topic]).toEqual([code, number, 't'])
    expect(error.cause).toBeInstanceOf(kafkajs.KafkaJSProtocolError)
  })

  it('AD-2: looks through retries and aggregates', () => {
    const inner = protocolError(3)
    const exceeded = new kafkajs.KafkaJSNumberOfRetriesExceeded(inner, { retryCount: 3, retryTime: 1 })
    expect(failureOf(exceeded, 'INVALID_CONFIG').code).toBe('TOPIC_NOT_FOUND')
    const several = new kafkajs.KafkaJSAggregateError('several', [inner])
    expect(failureOf(several, 'INVALID_CONFIG').code).toBe('TOPIC_NOT_FOUND')
  })

  it('AD-2: connections, time, credentials', () => {
    const refused = new kafkajs.KafkaJSConnectionError('Connection error: refused', {
      broker: 'a:1',
      code: 'ECONNREFUSED',
    })
    expect(failureOf(refused, 'INVALID_CONFIG')).toMatchObject({ code: 'CONNECTION_FAILED', retryable: true })
    const late = new kafkajs.KafkaJSRequestTimeoutError('late')
    expect(failureOf(late, 'INVALID_CONFIG').code).toBe('CONNECTION_TIMEOUT')
    const denied = Object.assign(new Error('no'), { name: 'KafkaJSSASLAuthenticationError' })
    expect(failureOf(denied, 'INVALID_CONFIG')).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
  })

  it('AD-2: an error of ours stays what it is, also inside one of theirs, and anything else is wrapped', () => {
    const ours = new MQError('MISSING_CONFIG', 'no token')
    expect(failureOf(ours, 'INVALID_CONFIG')).toBe(ours)
    expect(failureOf('a text', 'INVALID_CONFIG')).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(failureOf(undefined, 'INVALID_CONFIG')).toBeInstanceOf(MQError)
  })
})
