/** CF-4: the six presets, written down a second time, and what lies above and below them. */
import { describe, expect, it } from 'vitest'
import {
  configWarnings,
  defaultConfig,
  type PresetName,
  queuePreset,
  resolveClientConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveProducerConfig,
} from '../../lib/config/index.js'
import { issuesOf, refusal } from './refusal.js'

type Values = Readonly<Record<string, unknown>>

interface Expected {
  readonly client?: Values
  readonly producer: Values
  readonly consumer?: Values
}

const exact = { acks: -1, idempotence: true }

/** Every field a preset sets; nothing else may differ from the defaults. */
const EXPECTED: Readonly<Record<PresetName, Expected>> = {
  lowLatency: {
    client: {
      'connection.dialTimeoutMs': 1_000,
      'connection.readTimeoutMs': 1_000,
      'connection.writeTimeoutMs': 1_000,
    },
    producer: {
      acks: 1,
      idempotence: false,
      lingerMs: 0,
      batchBytes: 1_024,
      compression: 'none',
      requestTimeoutMs: 1_000,
      deliveryTimeoutMs: 10_000,
    },
    consumer: { maxPollRecords: 1, fetchMinBytes: 1, fetchMaxWaitMs: 1 },
  },
  highThroughput: {
    client: { 'pool.maxConnections': 20, 'pool.maxIdle': 10 },
    producer: { ...exact, lingerMs: 10, batchBytes: 65_536, compression: 'lz4', bufferMemoryBytes: 134_217_728 },
    consumer: {
      maxPollRecords: 1_000,
      fetchMinBytes: 1,
      fetchMaxBytes: 52_428_800,
      fetchMaxWaitMs: 500,
      prefetchBytes: 134_217_728,
    },
  },
  resourceEfficient: {
    client: { 'pool.maxConnections': 5, 'pool.maxIdle': 2 },
    producer: { ...exact, batchBytes: 8_192, compression: 'gzip', bufferMemoryBytes: 16_777_216 },
    consumer: {
      maxPollRecords: 100,
      fetchMinBytes: 1,
      fetchMaxBytes: 1_048_576,
      fetchMaxWaitMs: 500,
      prefetchBytes: 8_388_608,
    },
  },
  highReliability: {
    client: { 'wal.durability': 'immediate', 'wal.dir': './tandem-mq.wal', 'wal.maxBytes': 1_073_741_824 },
    producer: { ...exact, compression: 'lz4', requestTimeoutMs: 30_000, deliveryTimeoutMs: 300_000 },
    consumer: {
      autoOffsetReset: 'earliest',
      isolationLevel: 'read_committed',
      autoCommitIntervalMs: 1_000,
      sessionTimeoutMs: 30_000,
    },
  },
  development: {
    client: { logLevel: 'debug' },
    producer: { ...exact, lingerMs: 0, compression: 'none', requestTimeoutMs: 10_000, deliveryTimeoutMs: 10_000 },
    consumer: {
      autoOffsetReset: 'earliest',
      autoCommitIntervalMs: 1_000,
      sessionTimeoutMs: 10_000,
      maxPollRecords: 100,
    },
  },
  production: {
    client: { logLevel: 'info' },
    producer: {
      ...exact,
      lingerMs: 10,
      batchBytes: 65_536,
      compression: 'lz4',
      requestTimeoutMs: 30_000,
      deliveryTimeoutMs: 120_000,
    },
    consumer: {
      autoOffsetReset: 'earliest',
      isolationLevel: 'read_committed',
      autoCommitIntervalMs: 5_000,
      sessionTimeoutMs: 30_000,
      maxPollRecords: 500,
    },
  },
}
const NAMES = Object.keys(EXPECTED) as PresetName[]

/** All values by path. */
function flat(config: object, at = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => {
      if (['logger', 'preset', 'producer', 'consumer'].includes(key)) return []
      const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value) && key !== 'labels'
      return isGroup ? Object.entries(flat(value as object, `${at}${key}.`)) : [[at + key, value as unknown]]
    }),
  )
}

describe.each(NAMES)('preset %s', (preset) => {
  const { client = {}, producer, consumer = {} } = EXPECTED[preset]

  it('CF-4: sets exactly its values, all others are the defaults', () => {
    expect(flat(resolveClientConfig({ preset }))).toEqual({ ...flat(resolveClientConfig()), ...client })
    expect(flat(resolveProducerConfig({ preset }))).toEqual({
      ...flat(resolveProducerConfig()),
      ...client,
      ...producer,
    })
    expect(flat(resolveConsumerConfig({ preset }))).toEqual({
      ...flat(resolveConsumerConfig()),
      ...client,
      ...consumer,
    })
  })
  it('CF-4: says the same in the whole as in its parts', () => {
    const whole = resolveConfig({ preset })
    expect(flat(whole)).toEqual(flat(resolveClientConfig({ preset })))
    expect(flat(whole.producer)).toEqual(flat(resolveProducerConfig({ preset })))
    expect(flat(whole.consumer)).toEqual(flat(resolveConsumerConfig({ preset })))
    expect([whole.preset, whole.producer.preset, whole.consumer.preset]).toEqual([preset, preset, preset])
  })
  it('CF-4: is valid by itself, and keeps order unless it says otherwise (trap 1)', () => {
    const { producer: resolved } = resolveConfig({ preset })
    expect(resolved.maxInFlight).toBe(5)
    expect(resolved.idempotence).toBe(preset !== 'lowLatency')
    const warned = configWarnings(resolveConfig({ preset })).map((warning) => warning.path)
    expect(warned).toEqual(preset === 'lowLatency' ? ['producer.maxInFlight'] : [])
  })
  it('CF-4: lies under what the caller gives, at the top and in the groups', () => {
    const whole = resolveConfig({
      preset,
      logLevel: 'error',
      connection: { dialTimeoutMs: 7 },
      producer: { batchBytes: 333 },
      consumer: { maxPollRecords: 9 },
    })
    expect([whole.logLevel, whole.producer.logLevel]).toEqual(['error', 'error'])
    expect([whole.connection.dialTimeoutMs, whole.producer.connection.dialTimeoutMs]).toEqual([7, 7])
    expect([whole.producer.batchBytes, whole.consumer.maxPollRecords]).toEqual([333, 9])
    expect(resolveProducerConfig({ preset, batchSize: 4 }).batchBytes, 'an alias is the caller, too').toBe(4)
    expect(resolveProducerConfig({ preset, lingerMs: undefined }).lingerMs).toBe(producer.lingerMs ?? 5)
  })
  it('CF-1: a copy of what it resolves to resolves to its equal', () => {
    const resolved = resolveProducerConfig({ preset })
    expect(resolveProducerConfig({ ...resolved })).toEqual(resolved)
  })
})

describe('presets', () => {
  it('CF-3: the empty configuration and each preset are valid in every form (trap 1)', () => {
    for (const config of [{}, ...NAMES.map((preset) => ({ preset }))]) {
      for (const resolve of [resolveConfig, resolveClientConfig, resolveProducerConfig, resolveConsumerConfig]) {
        expect(() => resolve(config), JSON.stringify(config)).not.toThrow()
      }
    }
  })
  it('CF-4: lowLatency with acks all and idempotence is valid', () => {
    const { producer } = resolveConfig({ preset: 'lowLatency', producer: { acks: 'all', idempotence: true } })
    expect(producer).toMatchObject({ acks: -1, idempotence: true, lingerMs: 0, compression: 'none' })
    expect(configWarnings(producer)).toEqual([])
  })
  it('CF-3: a value of the preset counts as set, and a clash with it says whose it is', () => {
    const idempotent = refusal(() => resolveConfig({ preset: 'lowLatency', producer: { idempotence: true } }))
    expect(idempotent.message).toContain('producer.acks')
    expect(idempotent.message).toContain('producer.idempotence (true)')
    expect(idempotent.message).toContain('it comes from preset "lowLatency"')
    const weak = refusal(() => resolveConfig({ preset: 'production', producer: { acks: 1 } }))
    expect(weak.message).toContain('producer.acks')
    expect(weak.message).toContain('producer.idempotence (true by preset "production")')
  })
  it("CF-3: development's two limits are equal, so a linger on top needs a longer delivery", () => {
    const error = refusal(() => resolveProducerConfig({ preset: 'development', lingerMs: 3 }))
    expect(error.message).toMatch(
      /deliveryTimeoutMs.*requestTimeoutMs \(10000 by preset "development"\) and lingerMs \(3\)/,
    )
    expect(resolveProducerConfig({ preset: 'development', lingerMs: 3, deliveryTimeoutMs: 10_003 }).lingerMs).toBe(3)
  })
  it('CF-4: a group may have a preset of its own', () => {
    const whole = resolveConfig({ preset: 'production', producer: { preset: 'lowLatency' } })
    expect(whole.producer).toMatchObject({ preset: 'lowLatency', acks: 1, lingerMs: 0, batchBytes: 1_024 })
    expect(whole.consumer).toMatchObject({ preset: 'production', isolationLevel: 'read_committed' })
    const alone = resolveConfig({ consumer: { preset: 'development' } })
    expect([alone.logLevel, alone.consumer.logLevel, alone.producer.lingerMs]).toEqual(['info', 'debug', 5])
  })
  it('CF-3: an unknown preset is one finding', () => {
    const issues = issuesOf(refusal(() => resolveConfig({ preset: 'fast' as never })))
    expect(issues).toHaveLength(1)
    expect(issues[0]).toMatchObject({
      path: 'preset',
      value: 'fast',
      expected: expect.stringContaining("'lowLatency'"),
    })
    expect(refusal(() => resolveConfig({ preset: 'constructor' as never })).code).toBe('INVALID_CONFIG')
  })
  it('CF-4: without a preset nothing is set by one', () => {
    expect(defaultConfig().preset).toBeUndefined()
  })
  it('CF-4: the queue column is exact', () => {
    expect(Object.fromEntries(NAMES.map((name) => [name, queuePreset(name)]))).toEqual({
      lowLatency: { memoryMaxItems: 10_000, batchMaxItems: 100, lingerMs: 1_000, durability: 'immediate' },
      highThroughput: { memoryMaxItems: 50_000, batchMaxItems: 1_000, lingerMs: 10_000, durability: 'periodic' },
      resourceEfficient: {},
      highReliability: { walMaxBytes: 1_073_741_824, durability: 'immediate', retries: 10, sendTimeoutMs: 30_000 },
      development: {},
      production: {},
    })
  })
})
