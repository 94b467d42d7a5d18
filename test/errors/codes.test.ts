/** The closed list of codes, written a second time from the specification: what a caller may rely on. */
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, ERROR_REASONS, isErrorCode, MQError } from '../../lib/errors/index.js'
import { brokerError, kafkaError } from '../../lib/protocol/index.js'
import { CODE_ROWS, NUMBERS_OF, RETRIED, UNKNOWN_NUMBERS } from './part-four.js'

/** Made without a cause: what takes its verdict from there is not retryable. */
const ROWS = CODE_ROWS.map(([family, code, retryable, isFatal]) => [family, code, retryable === true, isFatal] as const)

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
  const cases = Object.entries(NUMBERS_OF).flatMap(([code, numbers]) =>
    numbers.map((number) => [number, code] as const),
  )

  it.each(cases)('ER-3: %i is %s, with number and name in the context', (number, code) => {
    const { name } = kafkaError(number)
    const error = brokerError(number, 'PRODUCE_FAILED', null, { topic: 't' })
    expect(error.code).toBe(code)
    expect(error.context).toMatchObject({ kafkaCode: number, kafkaName: name, topic: 't' })
    expect(error.message).toContain(name)
  })

  it.each(RETRIED)('ER-3: %i ends as the failure of the operation, retryable', (number) => {
    for (const operation of ['PRODUCE_FAILED', 'CONSUME_FAILED'] as const) {
      expect(brokerError(number, operation, null, {})).toMatchObject({ code: operation, retryable: true, fatal: false })
    }
  })

  it('ER-3: an unknown number is not retryable, keeps its number and crashes nothing', () => {
    for (const number of UNKNOWN_NUMBERS) {
      const error = brokerError(number, 'CONSUME_FAILED', null, {})
      expect(error).toMatchObject({ code: 'CONSUME_FAILED', retryable: false, fatal: false })
      expect(error.context.kafkaCode).toBe(number)
      expect(typeof error.context.kafkaName).toBe('string')
    }
  })
})
