/** Every row of the option table of wal.md 7: defaults, ranges, aliases, presets, contradictions. */
import { describe, expect, it } from 'vitest'
import { queuePreset } from '../../lib/config/index.js'
import { MQError } from '../../lib/errors/index.js'
import { BatchQueue, type QueueOptions, recommendedMemoryItems } from '../../lib/queue/index.js'

const send = async () => {}
type Given = Record<string, unknown>

function configOf(options: Given = {}, cores = 2) {
  return new BatchQueue<unknown>({ send, ...options } as QueueOptions<unknown>, { cores })
}

/** Paths of the findings. */
function refused(options: Given): { code: string; paths: string[]; text: string } {
  try {
    new BatchQueue<unknown>({ send, ...options } as QueueOptions<unknown>)
  } catch (error) {
    if (!(error instanceof MQError)) throw error
    const issues = error.context.issues as { path: string }[]
    return { code: error.code, paths: issues.map(({ path }) => path), text: error.message }
  }
  throw new Error(`${JSON.stringify(options)} was taken`)
}

describe('options of a queue', () => {
  it('QU-1: the defaults are those of wal.md 7', () => {
    expect(configOf().config).toMatchObject({
      durability: 'memory',
      dir: undefined,
      memoryMaxItems: 10_000,
      walMaxBytes: 104_857_600,
      softPercent: 80,
      resumePercent: 80,
      hardPercent: 95,
      overflow: 'block',
      maxBlockMs: 60_000,
      batchMaxItems: 1000,
      lingerMs: 5000,
      sendTimeoutMs: 10_000,
      sendGraceMs: 1000,
      retries: 3,
      retryBaseMs: 100,
      retryMaxMs: 5000,
      deliveryTimeoutMs: 30_000,
      onExhausted: 'fail',
      concurrency: 1,
      circuitBreaker: { enabled: false, failures: 5, successes: 2, openMs: 60_000 },
      adaptive: { enabled: false, minItems: 100, maxItems: 5000, targetLatencyMs: 100 },
      metrics: true,
    })
    expect(Object.isFrozen(configOf().config)).toBe(true)
  })

  it.each([
    ['memorySize', 'memoryMaxItems', 7],
    ['walPath', 'dir', '/x'],
    ['walMaxSize', 'walMaxBytes', 8_388_608],
    ['walSyncMode', 'durability', 'memory'],
    ['batchSize', 'batchMaxItems', 3],
    ['flushTimeout', 'lingerMs', 0],
    ['sendTimeout', 'sendTimeoutMs', 9],
    ['retryLimit', 'retries', 0],
    ['enableMetrics', 'metrics', false],
  ])('QU-1: %s is another name of %s', (alias, name, value) => {
    expect(configOf({ [alias]: value }).config).toHaveProperty(name, value)
  })

  it.each([
    ['lowLatency', { memoryMaxItems: 10_000, batchMaxItems: 100, lingerMs: 1000, durability: 'immediate' }],
    ['highThroughput', { memoryMaxItems: 50_000, batchMaxItems: 1000, lingerMs: 10_000, durability: 'periodic' }],
    ['highReliability', { walMaxBytes: 1_073_741_824, durability: 'immediate', retries: 10, sendTimeoutMs: 30_000 }],
    ['resourceEfficient', { durability: 'memory' }],
    ['development', { durability: 'memory' }],
    ['production', { durability: 'memory' }],
  ] as const)('CF-4, QU-1: preset %s is valid, and what is given stands above it', (preset, values) => {
    expect(configOf({ preset, dir: '/x' }).config).toMatchObject({ ...values, ...queuePreset(preset) })
    expect(configOf({ preset, dir: '/x', lingerMs: 7, durability: 'os' }).config).toMatchObject({
      lingerMs: 7,
      durability: 'os',
    })
  })

  it.each([
    ['memoryMaxItems', 0],
    ['walMaxBytes', 8_388_607],
    ['softPercent', 0],
    ['softPercent', 101],
    ['resumePercent', -1],
    ['hardPercent', 101],
    ['overflow', 'shed'],
    ['maxBlockMs', 600_001],
    ['batchMaxItems', 0],
    ['batchMaxItems', 1.5],
    ['lingerMs', -1],
    ['sendTimeoutMs', 0],
    ['sendGraceMs', -1],
    ['retries', -1],
    ['retryBaseMs', 0],
    ['retryMaxMs', 0],
    ['deliveryTimeoutMs', 0],
    ['onExhausted', 'drop'],
    ['concurrency', 0],
    ['concurrency', 'many'],
    ['durability', 'disk'],
    ['dir', ''],
    ['codec', {}],
    ['send', 7],
    ['metrics', 'yes'],
    ['name', ''],
    ['preset', 'fast'],
    ['circuitBreaker.failures', 0],
    ['circuitBreaker.successes', 0],
    ['circuitBreaker.openMs', 0],
    ['adaptive.minItems', 0],
    ['adaptive.maxItems', 0],
    ['adaptive.targetLatencyMs', 0],
    ['wal.segmentBytes', 1000],
    ['wal.onCorruption', 'ignore'],
  ])('QU-1: %s %s is INVALID_CONFIG with its path', (path, value) => {
    const [group = '', field] = path.split('.')
    const { code, paths } = refused({ [group]: field === undefined ? value : { [field]: value } })
    expect(code).toBe('INVALID_CONFIG')
    expect(paths).toContain(path)
  })

  it('QU-1: an unknown option is answered with the nearest, in groups too', () => {
    expect(refused({ batchMaxItem: 5 }).text).toContain('the nearest is batchMaxItems')
    expect(refused({ flushTimout: 5 }).text).toContain('the nearest is lingerMs')
    expect(refused({ circuitBreaker: { failure: 5 } }).text).toContain('the nearest is circuitBreaker.failures')
  })

  it('QU-1: without send or a directory for the log it is MISSING_CONFIG', () => {
    expect(() => new BatchQueue({} as QueueOptions<number>)).toThrow(
      expect.objectContaining({ code: 'MISSING_CONFIG' }),
    )
    expect(refused({ durability: 'os' })).toMatchObject({ code: 'MISSING_CONFIG', paths: ['dir'] })
    expect(refused({ preset: 'lowLatency' })).toMatchObject({ code: 'MISSING_CONFIG', paths: ['dir'] })
  })

  it.each([
    [{ softPercent: 90, hardPercent: 80 }, 'softPercent'],
    [{ resumePercent: 90, softPercent: 80 }, 'resumePercent'],
    [{ retryBaseMs: 10, retryMaxMs: 5 }, 'retryBaseMs'],
    [{ sendTimeoutMs: 10, deliveryTimeoutMs: 5 }, 'sendTimeoutMs'],
    [{ adaptive: { minItems: 10, maxItems: 5 } }, 'adaptive.minItems'],
    [{ durability: 'spill', dir: '/x', overflow: 'reject' }, 'overflow'],
    [{ durability: 'memory', overflow: 'spill' }, 'overflow'],
    [{ walMaxBytes: 8_388_608, wal: { segmentBytes: 2_097_152 } }, 'wal.segmentBytes'],
    [{ batchMaxItems: 5, batchSize: 6 }, 'batchSize'],
  ])('QU-1: %j contradicts itself', (options, path) => {
    expect(refused(options)).toMatchObject({ code: 'INVALID_CONFIG', paths: [path] })
  })

  it('QU-1: undefined takes the default, 0 and false are values, the input is not changed', () => {
    const options = Object.freeze({
      send,
      lingerMs: 0,
      retries: 0,
      metrics: false,
      batchMaxItems: undefined,
      circuitBreaker: null,
    })
    expect(new BatchQueue(options).config).toMatchObject({
      lingerMs: 0,
      retries: 0,
      metrics: false,
      batchMaxItems: 1000,
    })
  })

  it('QU-3: a mark that is not given follows the one above it', () => {
    expect(configOf({ softPercent: 50, hardPercent: 75 }).config).toMatchObject({ resumePercent: 50 })
    expect(configOf({ hardPercent: 60 }).config).toMatchObject({ softPercent: 60, resumePercent: 60 })
  })

  it('QU-3: overflow spill and durability spill are the same wish', () => {
    expect(configOf({ overflow: 'spill', dir: '/x' }).config.durability).toBe('spill')
    expect(configOf({ durability: 'spill', dir: '/x' }).config.overflow).toBe('spill')
    expect(configOf({ durability: 'os', overflow: 'spill', dir: '/x' }).config.overflow).toBe('spill')
  })

  it('QU-5: what is exhausted is held in durable modes, and fails in the others', () => {
    const modes = ['memory', 'spill', 'os', 'periodic', 'immediate']
    const policies = modes.map((durability) => configOf({ durability, dir: '/x' }).config.onExhausted)
    expect(policies).toEqual(['fail', 'fail', 'hold', 'hold', 'hold'])
  })

  it('QU-4: a group switches its part on, unless it says otherwise', () => {
    expect(configOf({ circuitBreaker: {} }).config.circuitBreaker.enabled).toBe(true)
    expect(configOf({ circuitBreaker: true }).config.circuitBreaker.enabled).toBe(true)
    expect(configOf({ circuitBreaker: { enabled: false } }).config.circuitBreaker.enabled).toBe(false)
    expect(configOf({ adaptive: false }).config.adaptive.enabled).toBe(false)
  })

  it('QU-4: the guarantee tells order and level, with reasons', () => {
    expect(configOf({ durability: 'immediate', dir: '/x' }).guarantee).toEqual({
      level: 'at-least-once',
      order: 'fifo',
      reasons: [],
    })
    expect(configOf({ concurrency: 'auto' }, 1).guarantee).toMatchObject({ level: 'best-effort', order: 'none' })
    expect(configOf({ concurrency: 'auto' }, 1).guarantee.reasons.at(-1)).toContain('concurrency 2')
    expect(configOf({ concurrency: 'auto' }, 64).guarantee.reasons.at(-1)).toContain('concurrency 8')
  })

  it('QU-6: recommendedMemoryItems is qps x lingerMs / 1000', () => {
    expect(recommendedMemoryItems(20_000, 500)).toBe(10_000)
    expect(recommendedMemoryItems(3, 500)).toBe(2)
    expect(() => recommendedMemoryItems(-1, 5)).toThrow('qps: expected a number from 0')
    expect(() => recommendedMemoryItems(1, Number.NaN)).toThrow('lingerMs')
  })
})
