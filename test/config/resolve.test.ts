/** Merge, inheritance, relations and the one error with every finding. */
import { describe, expect, it } from 'vitest'
import {
  configWarnings,
  defaultConfig,
  defaultConsumerConfig,
  defaultProducerConfig,
  mergeWithDefaults,
  parseBroker,
  resolveClientConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveProducerConfig,
} from '../../lib/config/index.js'
import { issuesOf, refusal } from './refusal.js'

describe('merge', () => {
  it('CF-1: producer and consumer inherit client fields and may have their own', () => {
    const config = resolveConfig({
      brokers: 'a:1, b',
      clientId: 'shop',
      connection: { dialTimeoutMs: 500, keepAliveMs: 0 },
      producer: { clientId: 'shop-out', connection: { dialTimeoutMs: 900 } },
    })
    expect(config.producer.clientId).toBe('shop-out')
    expect(config.producer.connection).toMatchObject({ dialTimeoutMs: 900, keepAliveMs: 0 })
    expect(config.consumer.clientId).toBe('shop')
    expect(config.consumer.connection.dialTimeoutMs).toBe(500)
    expect(config.consumer.brokers).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 9092 },
    ])
  })
  it('CF-1: only undefined is unset; 0 and false are values', () => {
    const config = resolveConsumerConfig({ autoCommit: undefined, fetchMaxWaitMs: 0, checkCrcs: false })
    expect([config.autoCommit, config.fetchMaxWaitMs, config.checkCrcs]).toEqual([true, 0, false])
  })
  it('CF-1: the input is unchanged, the result frozen in every group, lists are copies', () => {
    const brokers = ['a:1']
    const input = { brokers, producer: { topics: { t: { compression: 'zstd' as const } } } }
    const before = structuredClone(input)
    const config = resolveConfig(input)
    expect(input).toEqual(before)
    expect(Object.isFrozen(brokers) || Object.isFrozen(input.producer.topics.t)).toBe(false)
    const parts = [
      config,
      config.brokers,
      config.brokers[0],
      config.connection,
      config.producer,
      config.producer.topics,
    ]
    expect(parts.every(Object.isFrozen)).toBe(true)
    expect(Object.isFrozen(config.producer.topics.t) && Object.isFrozen(config.consumer.assignors)).toBe(true)
    expect(Object.isFrozen(config.producer.adaptiveBatch)).toBe(true)
  })
  it("CF-1: the caller's logger is used as it is and not frozen", () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    expect(resolveProducerConfig({ logger }).logger).toBe(logger)
    expect(Object.isFrozen(logger)).toBe(false)
  })
  it('CF-1: a resolved configuration resolves to itself, a copy of it to its equal', () => {
    const resolved = resolveProducerConfig({ acks: 1, lingerMs: 7 })
    expect(resolveProducerConfig(resolved)).toBe(resolved)
    expect(resolveProducerConfig({ ...resolved, lingerMs: 7 })).toEqual(resolved)
    expect(resolveConfig(resolveConfig({ logLevel: 'silent' })).logLevel).toBe('silent')
  })
  it('CF-1: of a resolved whole, producer and consumer take their part; any resolved form serves as a client', () => {
    const whole = resolveConfig({ clientId: 'shop', producer: { lingerMs: 1 } })
    expect(resolveProducerConfig(whole)).toBe(whole.producer)
    expect(resolveConsumerConfig(whole)).toBe(whole.consumer)
    expect(resolveClientConfig(whole)).toBe(whole)
    expect(resolveClientConfig(whole.producer)).toBe(whole.producer)
  })
  it('CF-3: a resolved form of another kind is checked, never taken for what it is not', () => {
    const producer = resolveProducerConfig({})
    expect(issuesOf(refusal(() => resolveConfig(producer as never))).map((issue) => issue.path)).toContain('acks')
    expect(issuesOf(refusal(() => resolveConsumerConfig(producer as never))).map((i) => i.path)).toContain('acks')
    const client = resolveClientConfig({ clientId: 'shop' })
    expect(resolveConfig(client).producer).toMatchObject({ clientId: 'shop', acks: -1 })
    expect(resolveProducerConfig(client)).toMatchObject({ clientId: 'shop', acks: -1 })
  })
  it('CF-1: defaults are valid together and the same by every way (trap 1)', () => {
    const bare = (config: object) => JSON.parse(JSON.stringify(config)) as object
    expect(bare(defaultConfig().producer)).toEqual(bare(defaultProducerConfig()))
    expect(bare(mergeWithDefaults({}).consumer)).toEqual(bare(defaultConsumerConfig()))
    expect(configWarnings(defaultConfig())).toEqual([])
  })
  it('CF-2: producerConfig, consumerConfig, poolConfig, SSL and SASL are other names of their groups', () => {
    expect(resolveConfig({ producerConfig: { linger: 9 } }).producer.lingerMs).toBe(9)
    expect(resolveConfig({ consumerConfig: { groupID: 'g' } }).consumer.groupId).toBe('g')
    const clash = refusal(() => resolveConfig({ producer: { lingerMs: 1 }, producerConfig: { lingerMs: 2 } }))
    expect(issuesOf(clash)[0]).toMatchObject({ path: 'producerConfig.lingerMs' })
    expect(issuesOf(clash)[0]?.expected).toContain('producer.lingerMs')
    expect(resolveConfig({ SSL: { enabled: false } }).ssl.enabled).toBe(false)
    expect(resolveConfig({ poolConfig: { maxIdleConnections: 7 } }).pool.maxIdle).toBe(7)
    const twice = refusal(() => resolveConfig({ pool: { minIdle: 1 }, poolConfig: { minIdle: 2 } }))
    expect(issuesOf(twice)).toEqual([
      {
        path: 'poolConfig.minIdle',
        value: 2,
        expected: 'the same value as pool.minIdle (1), of which it is another name',
      },
    ])
  })
  it('CF-2: an alias in another unit and its field with the same value agree', () => {
    for (let micros = 1; micros < 5_000; micros += 7) {
      const performance = { targetLatencyMicros: micros, targetLatencyMs: Number(`${micros}e-3`) }
      expect(resolveConfig({ performance }).performance.targetLatencyMs).toBe(performance.targetLatencyMs)
    }
  })
  it('CF-2: a group and its other name may say the same, in any form', () => {
    const group = { brokers: ['a:1'], topics: { t: { compression: 'gzip' as const } } }
    expect(resolveConfig({ producer: group, producerConfig: structuredClone(group) }).producer.brokers).toHaveLength(1)
    expect(resolveConfig({ brokers: 'a:1', bootstrapServers: ['a:1'] }).brokers).toHaveLength(1)
  })
})

describe('findings', () => {
  it('CF-3: all findings come at once, with path, value and expectation', () => {
    const config = {
      clientId: '',
      connection: { dialTimeoutMs: 0 },
      producer: { lingerMs: -1 },
      consumer: { concurrency: 0 },
    }
    const error = refusal(() => resolveConfig(config))
    expect(error.code).toBe('INVALID_CONFIG')
    expect(issuesOf(error).map((issue) => [issue.path, issue.value])).toEqual([
      ['clientId', ''],
      ['connection.dialTimeoutMs', 0],
      ['producer.lingerMs', -1],
      ['consumer.concurrency', 0],
    ])
    expect(error.message).toContain('producer.lingerMs: expected an integer 0..60000, got -1')
  })
  it('CF-3: what belongs into a group is refused with its place there', () => {
    const config = { lingerMs: 5, groupId: 'g', linger: 5, consumr: {}, batchBites: 1, brokrs: 'a' } as object
    const issues = refusal(() => resolveConfig(config)).context['issues'] as { path: string; expected: string }[]
    expect(
      issues.map(({ path, expected }) => `${path}: ${expected.replace('a known field; the nearest is ', '')}`),
    ).toEqual([
      'lingerMs: producer.lingerMs',
      'groupId: consumer.groupId',
      'linger: producer.lingerMs',
      'consumr: consumer',
      'batchBites: producer.batchBytes',
      'brokrs: brokers',
    ])
    // A producer by itself has its fields at the top.
    expect(() => resolveProducerConfig({ groupId: 'g' } as object)).not.toThrow(/consumer/)
  })

  it('CF-3: an unknown field is refused with the nearest name', () => {
    const error = refusal(() =>
      resolveConfig({ brokrs: 'a', conection: {}, producer: { lingerMS: 1, connection: { dialTimout: 1 } } } as object),
    )
    expect(issuesOf(error).map((issue) => `${issue.path}: ${issue.expected}`)).toEqual([
      'brokrs: a known field; the nearest is brokers',
      'conection: a known field; the nearest is connection',
      'producer.lingerMS: a known field; the nearest is lingerMs',
      'producer.connection.dialTimout: a known field; the nearest is connection.dialTimeoutMs',
    ])
  })
  it('CF-3: a group or configuration that is no object is refused', () => {
    expect(
      issuesOf(refusal(() => resolveConfig({ connection: 7, producer: [] } as object))).map((i) => i.path),
    ).toEqual(['connection', 'producer'])
    expect(refusal(() => resolveConfig('a:9092' as never)).code).toBe('INVALID_CONFIG')
    expect(refusal(() => resolveProducerConfig(null as never)).code).toBe('INVALID_CONFIG')
  })
  it('CF-3: lists, maps, dates and the like are no groups', () => {
    for (const value of [
      [],
      new Map([['brokers', 'a']]),
      new Date(0),
      new Set(),
      /x/,
      Promise.resolve(),
      'a',
      7,
      null,
    ]) {
      expect(refusal(() => resolveConfig(value as never)).code, String(value)).toBe('INVALID_CONFIG')
      expect(refusal(() => resolveConfig({ connection: value } as never)).code, String(value)).toBe('INVALID_CONFIG')
    }
  })
  const shownName = (name: string) => (name === '' ? "''" : name)
  it('CF-3: names that every object has, and none at all, are unknown like any other', () => {
    const names = ['', 'constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf']
    const config = JSON.parse(`{${names.map((name) => `"${name}": 1`).join(',')}}`) as object
    expect(issuesOf(refusal(() => resolveConfig(config))).map((issue) => issue.path)).toEqual(names.map(shownName))
    expect(issuesOf(refusal(() => resolveProducerConfig({ pool: config }))).map((issue) => issue.path)).toEqual(
      names.map((name) => `pool.${shownName(name)}`),
    )
  })
  it('CF-3: a message names the first findings and counts the rest, the context has them all', () => {
    const config = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`field${at}`, at]))
    const error = refusal(() => resolveConfig(config))
    expect(issuesOf(error)).toHaveLength(30)
    expect(error.message).toContain('field19')
    expect(error.message).not.toContain('field20')
    expect(error.message).toContain('and 10 more')
  })
  it('CF-3: findings survive JSON and structuredClone, whatever was passed', () => {
    const config = {
      clientId: 7n,
      brokers: [Symbol('x'), () => 1, new Map(), 7n],
      logger: { debug: Symbol('y') },
      lingerMs: () => 1,
    }
    const error = refusal(() => resolveProducerConfig(config as never))
    expect(() => structuredClone(error.context)).not.toThrow()
    expect(JSON.parse(JSON.stringify(error)).context.issues).toEqual(issuesOf(error))
  })
  it('CF-3: a bad inherited field is named once, not once per heir', () => {
    expect(issuesOf(refusal(() => resolveConfig({ connection: { retryBackoffMs: 6_000 } })))).toHaveLength(1)
  })
  it('CF-3: a secret reaches neither message nor context', () => {
    const error = refusal(() => resolveConfig({ sasl: { password: 12_345 } } as object))
    expect(JSON.stringify([error.message, error.context])).not.toContain('12345')
  })
})

describe('relations', () => {
  const cases: readonly [string, () => unknown, string, readonly string[]][] = [
    ['acks against idempotence', () => resolveProducerConfig({ acks: 1, idempotence: true }), 'acks', ['idempotence']],
    ['batch against its cap', () => resolveProducerConfig({ maxBatchBytes: 16_383 }), 'batchBytes', ['maxBatchBytes']],
    [
      'budget against two batches',
      () => resolveProducerConfig({ bufferMemoryBytes: 2_097_151 }),
      'bufferMemoryBytes',
      ['maxBatchBytes'],
    ],
    [
      'delivery against attempt and linger',
      () => resolveProducerConfig({ deliveryTimeoutMs: 30_004 }),
      'deliveryTimeoutMs',
      ['requestTimeoutMs', 'lingerMs'],
    ],
    ['resume against soft', () => resolveProducerConfig({ softPercent: 59 }), 'resumePercent', ['softPercent']],
    ['soft against hard', () => resolveProducerConfig({ hardPercent: 79 }), 'softPercent', ['hardPercent']],
    ['back-off', () => resolveProducerConfig({ retryBackoffMs: 5_001 }), 'retryBackoffMaxMs', ['retryBackoffMs']],
    ['weights', () => resolveProducerConfig({ timeWeight: 0, sizeWeight: 0 }), 'timeWeight', ['sizeWeight']],
    ['threshold', () => resolveProducerConfig({ threshold: 1.01 }), 'threshold', ['timeWeight', 'sizeWeight']],
    [
      'level against a codec without levels',
      () => resolveProducerConfig({ compressionLevel: 3 }),
      'compressionLevel',
      ['compression'],
    ],
    [
      "level of a topic against the topic's codec",
      () => resolveProducerConfig({ topics: { a: { compression: 'gzip', compressionLevel: 12 } } }),
      'topics',
      ['compression'],
    ],
    [
      'level against codec',
      () => resolveProducerConfig({ compression: 'gzip', compressionLevel: 10 }),
      'compressionLevel',
      ['compression'],
    ],
    ['pool minimum', () => resolveConfig({ pool: { minIdle: 6 } }), 'pool.minIdle', ['pool.maxIdle']],
    ['pool maximum', () => resolveConfig({ pool: { maxConnections: 4 } }), 'pool.maxIdle', ['pool.maxConnections']],
    [
      'a probe longer than its interval',
      () => resolveConfig({ pool: { healthCheckIntervalMs: 4_999 } }),
      'pool.healthCheckTimeoutMs',
      ['pool.healthCheckIntervalMs'],
    ],
    [
      'the same prefix twice',
      () => resolveConfig({ metrics: { prefix: 'a_', compatPrefixes: ['b_', 'a_'] } }),
      'metrics.compatPrefixes',
      ['metrics.prefix'],
    ],
    [
      'adaptive bounds',
      () => resolveProducerConfig({ adaptiveBatch: { minBytes: 9, maxBytes: 8 } }),
      'adaptiveBatch.maxBytes',
      ['adaptiveBatch.minBytes'],
    ],
    [
      'heartbeat against session',
      () => resolveConsumerConfig({ heartbeatIntervalMs: 10_000 }),
      'heartbeatIntervalMs',
      ['sessionTimeoutMs'],
    ],
    [
      'poll against session',
      () => resolveConsumerConfig({ maxPollIntervalMs: 9_999 }),
      'maxPollIntervalMs',
      ['sessionTimeoutMs'],
    ],
    [
      'fetch sizes',
      () => resolveConsumerConfig({ fetchMinBytes: 9, fetchMaxBytes: 8 }),
      'fetchMaxBytes',
      ['fetchMinBytes'],
    ],
    [
      'prefetch',
      () => resolveConsumerConfig({ prefetchBytes: 1_048_575 }),
      'prefetchBytes',
      ['maxPartitionFetchBytes'],
    ],
    [
      'connection back-off',
      () => resolveConfig({ connection: { retryBackoffMaxMs: 99 } }),
      'connection.retryBackoffMaxMs',
      ['connection.retryBackoffMs'],
    ],
  ]
  it.each(cases)('CF-3: %s names both fields', (_name, action, path, others) => {
    const issue = issuesOf(refusal(action)).find((found) => found.path === path)
    for (const other of others) expect(issue?.expected).toContain(other)
  })
  it('CF-3: the same relations hold at their bound', () => {
    expect(resolveProducerConfig({ maxBatchBytes: 16_384 }).batchBytes).toBe(16_384)
    expect(resolveProducerConfig({ bufferMemoryBytes: 2_097_152 }).bufferMemoryBytes).toBe(2_097_152)
    expect(resolveProducerConfig({ deliveryTimeoutMs: 30_005 }).deliveryTimeoutMs).toBe(30_005)
    expect(resolveProducerConfig({ timeWeight: 0.7, sizeWeight: 0.1, threshold: 0.8 }).threshold).toBe(0.8)
    expect(resolveConsumerConfig({ heartbeatIntervalMs: 9_999 }).heartbeatIntervalMs).toBe(9_999)
    expect(resolveConfig({ pool: { maxConnections: 5 } }).pool.maxConnections).toBe(5)
    expect(resolveConfig({ pool: { minIdle: 5 } }).pool.minIdle).toBe(5)
    expect(resolveConfig({ pool: { healthCheckIntervalMs: 5_000 } }).pool.healthCheckTimeoutMs).toBe(5_000)
  })
  it('CF-3: a probe that is switched off may have any limit', () => {
    expect(resolveConfig({ pool: { healthCheckIntervalMs: 0 } }).pool.healthCheckTimeoutMs).toBe(5_000)
  })
  it('PR-14: acks 0 or 1 alone turns idempotence off, with one warning', () => {
    for (const acks of [0, 1] as const) {
      const config = resolveProducerConfig({ acks })
      expect(config.idempotence).toBe(false)
      expect(configWarnings(config).map((warning) => warning.path)).toEqual(['acks'])
    }
    expect(configWarnings(resolveProducerConfig({ acks: 'all' }))).toEqual([])
  })
  it('CF-3: risky but legal settings warn the part they belong to', () => {
    const config = resolveConfig({ producer: { idempotence: false }, consumer: { heartbeatIntervalMs: 3_334 } })
    expect(configWarnings(config.producer).map((warning) => warning.path)).toEqual(['producer.maxInFlight'])
    expect(configWarnings(config.consumer).map((warning) => warning.path)).toEqual(['consumer.heartbeatIntervalMs'])
    expect(configWarnings(config)).toHaveLength(2)
  })
  it('CF-1: the target of adaptiveBatch follows performance.targetLatencyMs unless set', () => {
    const performance = { targetLatencyMs: 4 }
    expect(resolveProducerConfig({ performance }).adaptiveBatch.targetLatencyMs).toBe(4)
    expect(
      resolveProducerConfig({ performance, adaptiveBatch: { targetLatencyMs: 2 } }).adaptiveBatch.targetLatencyMs,
    ).toBe(2)
  })
})

describe('brokers', () => {
  it.each([
    ['host', { host: 'host', port: 9092 }],
    [' host:65535 ', { host: 'host', port: 65_535 }],
    ['10.0.0.1:1', { host: '10.0.0.1', port: 1 }],
    ['[::1]', { host: '::1', port: 9092 }],
    ['[fe80::1%eth0]:9093', { host: 'fe80::1%eth0', port: 9093 }],
  ])('CF-1: %s is an address', (address, endpoint) => {
    expect(parseBroker(address)).toEqual(endpoint)
  })
  it.each(['', ' ', ':9092', 'a:', 'a:b', 'a b', '[::1', '::1', 'a:70000', 'http://a:9092', '[]:1'])(
    'CF-3: %j is no address',
    (address) => {
      expect(parseBroker(address)).toBeUndefined()
    },
  )
})
