import { existsSync } from 'node:fs'
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
    'WA-1, CF-3: a durability of %s needs a directory, which is missed by name',
    (durability) => {
      const error = refusalOf({ wal: { durability } })
      expect(error).toBeInstanceOf(MQError)
      expect(error.code).toBe('MISSING_CONFIG')
      expect(pathsOf(error)).toContain('wal.dir')
    },
  )

  it('CF-4, WA-1: the preset for reliability has a log, and making a producer touches no file', async () => {
    const producer = new Producer({ preset: 'highReliability', logger: silentLogger })
    expect(producer.config.wal).toMatchObject({ durability: 'immediate', dir: './tandem-mq.wal' })
    expect(producer.config.deliveryTimeoutMs).toBe(300_000)
    expect(producer.guarantee).toEqual({ level: 'exactly-once', survives: 'power', reasons: [] })
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
    expect(existsSync('tandem-mq.wal')).toBe(false)
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
