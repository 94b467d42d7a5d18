import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { Producer } from '../../lib/producer/index.js'

describe('settings', () => {
  it('CF-3: what this version does not have is refused at construction, not ignored', () => {
    const refused = () =>
      new Producer({ circuitBreaker: { enabled: true }, adaptiveBatch: { enabled: true }, trace: { enabled: true } })
    expect(refused).toThrow(MQError)
    try {
      refused()
    } catch (error) {
      const { code, context } = error as MQError
      expect(code).toBe('INVALID_CONFIG')
      expect((context.issues as { path: string }[]).map(({ path }) => path)).toEqual([
        'circuitBreaker.enabled',
        'adaptiveBatch.enabled',
        'trace.enabled',
      ])
    }
  })
})
