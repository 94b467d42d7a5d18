import { describe, expect, it } from 'vitest'
import type { ProducerConfig } from '../../lib/config/index.js'
import { MQError } from '../../lib/errors/index.js'
import { Producer } from '../../lib/producer/index.js'
import { silentLogger } from '../../lib/util/index.js'

function refusalOf(config: ProducerConfig): MQError {
  try {
    new Producer({ logger: silentLogger, ...config })
  } catch (error) {
    return error as MQError
  }
  throw new Error('the producer was made')
}

const pathsOf = (error: MQError) => (error.context.issues as { path: string }[]).map(({ path }) => path)

describe('settings', () => {
  it.each(['spill', 'os', 'periodic', 'immediate'] as const)(
    'CF-3: without a log a durability of %s is refused at construction, not ignored',
    (durability) => {
      const error = refusalOf({ wal: { durability, dir: '/tmp/never-made' } })
      expect(error).toBeInstanceOf(MQError)
      expect(error.code).toBe('INVALID_CONFIG')
      expect(pathsOf(error)).toContain('wal.durability')
      expect(error.message).toContain('no write-ahead log yet')
    },
  )

  it('CF-4: a preset that asks for a log says so, and an override makes it usable', async () => {
    const error = refusalOf({ preset: 'highReliability' })
    expect(error.code).toBe('INVALID_CONFIG')
    expect(error.message).toContain('the preset highReliability asks for a log')
    expect(error.context.preset).toBe('highReliability')
    const producer = new Producer({
      preset: 'highReliability',
      wal: { durability: 'memory' },
      logger: silentLogger,
    })
    expect(producer.config.deliveryTimeoutMs).toBe(300_000)
    await producer.close()
  })

  it('PR-18: spilling is refused as long as there is nothing to spill to', () => {
    const error = refusalOf({ onFull: 'spill' })
    expect(error.code).toBe('INVALID_CONFIG')
    expect(pathsOf(error)).toContain('onFull')
  })

  it('CF-3: circuit breaker, adaptive batch and trace are served', async () => {
    const producer = new Producer({
      circuitBreaker: { enabled: true },
      adaptiveBatch: { enabled: true },
      trace: { enabled: true },
      logger: silentLogger,
    })
    expect(producer.state).toBe('new')
    await producer.close()
  })
})
