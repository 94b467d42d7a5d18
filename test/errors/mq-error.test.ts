/** The one error type: its words, its verdict, and that it survives the ways errors travel. */
import { describe, expect, it } from 'vitest'
import { resolveConfig } from '../../lib/config/index.js'
import {
  findMQError,
  isFamily,
  isFatalError,
  isRetryableError,
  MQError,
  newMQError,
  toMQError,
} from '../../lib/errors/index.js'

describe('ER-1: MQError', () => {
  it('ER-1: carries name, code, message, cause, context, retryable, fatal and family', () => {
    const cause = new Error('ECONNREFUSED')
    const error = new MQError('CONNECTION_FAILED', 'no broker answers', { attempts: 3 }, { cause })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'MQError',
      code: 'CONNECTION_FAILED',
      message: 'no broker answers',
      cause,
      context: { attempts: 3 },
      retryable: true,
      fatal: false,
      family: 'connection',
    })
    expect(error.stack).toContain('no broker answers')
  })

  it('ER-1: without context and cause both are empty, not missing', () => {
    const error = new MQError('TIMEOUT', 'late')
    expect(error.context).toEqual({})
    expect('cause' in error).toBe(false)
  })

  it('ER-1: toString is [CODE] message: cause, also over several causes', () => {
    const root = new Error('disk on fire')
    const middle = new MQError('CONNECTION_CLOSED', 'the socket ended', {}, { cause: root })
    const top = new MQError('PRODUCE_FAILED', 'not sent', {}, { cause: middle })
    expect(String(new MQError('TIMEOUT', 'late'))).toBe('[TIMEOUT] late')
    expect(String(middle)).toBe('[CONNECTION_CLOSED] the socket ended: disk on fire')
    expect(String(top)).toBe('[PRODUCE_FAILED] not sent: [CONNECTION_CLOSED] the socket ended: disk on fire')
    expect(String(new MQError('TIMEOUT', 'late', {}, { cause: 'text' }))).toBe('[TIMEOUT] late: text')
  })

  it('ER-1: is(code) compares the code', () => {
    const error = new MQError('MESSAGE_TOO_LARGE', 'too much')
    expect(error.is('MESSAGE_TOO_LARGE')).toBe(true)
    expect(error.is('TIMEOUT')).toBe(false)
  })

  it('ER-1: withContext gives a copy with one more key and leaves the original alone', () => {
    const cause = new Error('why')
    const error = new MQError('PRODUCE_FAILED', 'no', { topic: 'a' }, { cause, retryable: true })
    const copy = error.withContext('k', 1)
    expect(copy).not.toBe(error)
    expect(error.context).toEqual({ topic: 'a' })
    expect(copy.context).toEqual({ topic: 'a', k: 1 })
    expect(copy).toMatchObject({ code: 'PRODUCE_FAILED', message: 'no', cause, retryable: true, fatal: false })
    expect(copy.stack).toBe(error.stack)
  })

  it('ER-1: with() overrides keys and keeps an overridden verdict', () => {
    const error = new MQError('PRODUCE_FAILED', 'no', { topic: 'a', partition: 1 }, { fatal: true })
    const copy = error.with({ partition: 2, persistence: 'not-persisted' })
    expect(copy.context).toEqual({ topic: 'a', partition: 2, persistence: 'not-persisted' })
    expect(copy).toMatchObject({ fatal: true, retryable: false })
  })

  it('ER-1: survives JSON by toJSON, bigints as text', () => {
    const error = new MQError(
      'TIMEOUT',
      'late',
      { producerId: 9007199254740993n, topic: 'a' },
      { cause: new Error('x') },
    )
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'MQError',
      code: 'TIMEOUT',
      message: 'late',
      context: { producerId: '9007199254740993', topic: 'a' },
      retryable: true,
      fatal: false,
      family: 'timeout',
      cause: 'x',
    })
  })

  it('ER-1: survives JSON and structuredClone with anything in its context', () => {
    const circle: Record<string, unknown> = { name: 'circle' }
    circle['self'] = circle
    const inner = new MQError('CONNECTION_CLOSED', 'closed', { producerId: 7n })
    const context = {
      nested: { ids: [1n, 2n] },
      others: [inner, new Error('plain')],
      call: () => 1,
      word: Symbol('s'),
      at: new Date(0),
      sizes: new Map([['a', 1n]]),
      names: new Set(['x']),
      bytes: Buffer.from('ab'),
      nothing: undefined,
      infinite: Number.POSITIVE_INFINITY,
      circle,
    }
    const error = new MQError('TIMEOUT', 'late', context)
    const json = JSON.parse(JSON.stringify(error)) as { context: Record<string, unknown> }
    expect(json.context).toEqual({
      nested: { ids: ['1', '2'] },
      others: [inner.toJSON(), 'plain'],
      call: '[function]',
      word: 'Symbol(s)',
      at: '1970-01-01T00:00:00.000Z',
      sizes: { a: '1' },
      names: ['x'],
      bytes: '6162',
      infinite: 'Infinity',
      circle: { name: 'circle', self: '[circular]' },
    })
    expect(structuredClone(error.toJSON())).toEqual(error.toJSON())
    expect(error.context).toBe(context)
  })

  it('CL-6, ER-1: a configuration in a context is shown as it shows itself, without its secrets', () => {
    const config = resolveConfig({ sasl: { mechanism: 'PLAIN', username: 'alice', password: 'hunter2' } })
    const text = JSON.stringify(new MQError('INVALID_CONFIG', 'no', { config }))
    expect(text).toContain('alice')
    expect(text).not.toContain('hunter2')
  })

  it('ER-1: what is deep, long or refuses to be read does not break it', () => {
    const deep: Record<string, unknown> = {}
    let at = deep
    for (let n = 0; n < 10_000; n++) at = at['in'] = {} as Record<string, unknown>
    const touchy = {
      get secret(): string {
        throw new Error('do not touch')
      },
    }
    const error = new MQError('TIMEOUT', 'late', { deep, touchy })
    expect(() => JSON.stringify(error)).not.toThrow()
    expect(JSON.stringify(error)).toContain('[unreadable]')
    expect(() => structuredClone(error.toJSON())).not.toThrow()
  })

  it('ER-1: survives structuredClone via toJSON with every field', () => {
    const error = new MQError('INVALID_CONFIG', 'wrong', { issues: [{ path: 'acks', value: 2 }] })
    const copy = structuredClone(error.toJSON())
    expect(copy).toEqual(error.toJSON())
    expect(copy).toMatchObject({ code: 'INVALID_CONFIG', fatal: true, context: { issues: [{ path: 'acks' }] } })
  })

  it('ER-1: structuredClone of the error itself keeps message and stack', () => {
    const copy = structuredClone(new MQError('TIMEOUT', 'late', { topic: 'a' }))
    expect(copy).toBeInstanceOf(Error)
    expect(copy.message).toBe('late')
  })
})

describe('ER-2: predicates', () => {
  const refused = new MQError('CONNECTION_FAILED', 'refused')
  const denied = new MQError('AUTHENTICATION_FAILED', 'denied')
  const wrapped = (error: unknown) => new Error('outer', { cause: new Error('inner', { cause: error }) })

  it('ER-2: CONNECTION_FAILED is retryable and not fatal, AUTHENTICATION_FAILED the other way round', () => {
    expect([isRetryableError(refused), isFatalError(refused)]).toEqual([true, false])
    expect([isRetryableError(denied), isFatalError(denied)]).toEqual([false, true])
  })

  it('ER-2: the first MQError in the cause chain decides', () => {
    expect(isRetryableError(wrapped(refused))).toBe(true)
    expect(isFatalError(wrapped(denied))).toBe(true)
    expect(isFamily(wrapped(denied), 'auth')).toBe(true)
    expect(findMQError(wrapped(denied))).toBe(denied)
    const both = new MQError('PRODUCE_FAILED', 'outer', {}, { cause: denied })
    expect(isFatalError(both)).toBe(false)
  })

  it('ER-2: anything without an MQError in it is neither', () => {
    for (const other of [new Error('x'), 'text', undefined, null, { code: 'TIMEOUT', retryable: true }]) {
      expect([isRetryableError(other), isFatalError(other), isFamily(other, 'timeout')]).toEqual([false, false, false])
    }
  })

  it('ER-2: a chain that bites its own tail ends', () => {
    const error = new Error('a')
    error.cause = new Error('b', { cause: error })
    expect(isRetryableError(error)).toBe(false)
  })

  it('ER-2: newMQError takes code, message and cause', () => {
    const cause = new Error('x')
    expect(newMQError('CONSUME_FAILED', 'no', cause)).toMatchObject({ code: 'CONSUME_FAILED', message: 'no', cause })
    expect('cause' in newMQError('CONSUME_FAILED', 'no')).toBe(false)
  })

  it('ER-2: PRODUCE_FAILED, CONSUME_FAILED and OFFSET_COMMIT_FAILED are as retryable as their cause', () => {
    for (const code of ['PRODUCE_FAILED', 'CONSUME_FAILED', 'OFFSET_COMMIT_FAILED'] as const) {
      expect(newMQError(code, 'x').retryable).toBe(false)
      expect(newMQError(code, 'x', refused).retryable).toBe(true)
      expect(newMQError(code, 'x', denied)).toMatchObject({ retryable: false, fatal: false })
    }
  })

  it('ER-2: fatal wins over retryable, whoever asks for both', () => {
    const error = new MQError('TIMEOUT', 'x', {}, { retryable: true, fatal: true })
    expect(error).toMatchObject({ retryable: false, fatal: true })
  })

  it('ER-2: toMQError leaves an MQError as it is, also inside a wrapper, and wraps everything else', () => {
    expect(toMQError(wrapped(refused), 'PRODUCE_FAILED', 'x')).toBe(refused)
    const thrown = toMQError(new RangeError('boom'), 'PRODUCE_FAILED', 'a send callback threw', { topic: 't' })
    expect(thrown).toMatchObject({
      code: 'PRODUCE_FAILED',
      message: 'a send callback threw: boom',
      context: { topic: 't' },
    })
    expect(thrown.cause).toBeInstanceOf(RangeError)
    expect(toMQError(7, 'TIMEOUT', 'x').message).toBe('x: 7')
  })
})
