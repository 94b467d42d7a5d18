/**
 * The public types of the configuration (CF-4: "types complete"): what compiles, what does not, and that aliases in types
 * are those of the tables. The compiler is the judge of the first two: `npx tsc` fails on an unused expectation.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { ClientAliases, ConsumerAliases, GroupAliases, ProducerAliases } from '../../lib/config/alias-types.js'
import {
  type AlertSettings,
  type ClientConfig,
  type ConsumerConfig,
  type MetricsSettings,
  type MonitoringSettings,
  type MQConfig,
  type PoolSettings,
  type PresetName,
  type ProducerConfig,
  type ProducerUpdate,
  type ResolvedClientConfig,
  type ResolvedConfig,
  type ResolvedConsumerConfig,
  type ResolvedProducerConfig,
  resolveConfig,
  resolveProducerConfig,
  type Serializer,
  type WalSettings,
} from '../../lib/config/index.js'
import { allClientRows, consumerRows, producerRows, type Row } from './rows.js'

/** Values are irrelevant here: each must compile, and resolve. */
const everything: MQConfig = {
  brokers: ['a:1', { host: 'b', port: 2 }],
  clientId: 'x',
  preset: 'production',
  logLevel: 'silent',
  ssl: { enabled: true, ca: 'pem' },
  sasl: { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'p' },
  connection: { dialTimeoutMs: 1, keepAlive: 0 },
  trace: { enabled: true, header: 'X-Id' },
  performance: { targetLatencyMicros: 1_000 },
  poolConfig: { minIdleConnections: 1 },
  wal: { walSyncMode: 'memory', maxBytes: 8_388_608 },
  metrics: { metricsPrefix: 'a_', compatPrefixes: ['b_'], labels: { env: 'x' }, address: ':0' },
  monitoring: { logLevel: 'silent', metricsInterval: 0, alerts: { latencyMs: null, lagRecords: 5 } },
  producerConfig: { requiredAcks: 'all', linger: 1, pool: { maxIdle: 3 }, topics: { t: { compression: 'zstd' } } },
  consumer: { groupID: 'g', assignors: ['range'], dedup: { enabled: true, by: 'key' }, dialTimeout: 5 },
}

describe('types', () => {
  it('CF-4: a full configuration compiles and resolves', () => {
    const resolved = resolveConfig(everything)
    expect(resolved.metrics.prefix).toBe('a_')
    expect(resolved.monitoring.alerts.latencyMs).toBeNull()
    expect(resolved.consumer.connection.dialTimeoutMs).toBe(5)
  })
  it('CF-4: the empty configuration is one, and undefined is unset everywhere', () => {
    const unset: MQConfig = { brokers: undefined, pool: undefined, metrics: { sink: undefined }, producer: undefined }
    expect(resolveConfig(unset).clientId).toBe('tandem-mq')
  })
  it('CF-3: what no value takes does not compile', () => {
    // @ts-expect-error: no such preset
    const preset: MQConfig = { preset: 'fastest' }
    // @ts-expect-error: no such field
    const unknown: ProducerConfig = { lingerMillis: 5 }
    // @ts-expect-error: null is not "unset"
    const nothing: ConsumerConfig = { groupId: null }
    // @ts-expect-error: a number, not a text
    const text: ClientConfig = { pool: { maxIdle: '5' } }
    // @ts-expect-error: only thresholds may be null
    const off: ClientConfig = { monitoring: { intervalMs: null } }
    // @ts-expect-error: acks do not change while a producer runs
    const update: ProducerUpdate = { acks: 1 }
    expect([preset, unknown, nothing, text, off, update]).toHaveLength(6)
  })
  it('CF-1: resolved forms are complete, read-only and shared by producer and consumer', () => {
    expectTypeOf<ResolvedConfig['producer']>().toEqualTypeOf<ResolvedProducerConfig>()
    expectTypeOf<ResolvedConfig['consumer']>().toEqualTypeOf<ResolvedConsumerConfig>()
    expectTypeOf<ResolvedProducerConfig>().toExtend<ResolvedClientConfig>()
    expectTypeOf<ResolvedConsumerConfig>().toExtend<ResolvedClientConfig>()
    expectTypeOf<ResolvedClientConfig['pool']>().toEqualTypeOf<PoolSettings>()
    expectTypeOf<ResolvedClientConfig['wal']>().toEqualTypeOf<WalSettings>()
    expectTypeOf<ResolvedClientConfig['metrics']>().toEqualTypeOf<MetricsSettings>()
    expectTypeOf<ResolvedClientConfig['monitoring']>().toEqualTypeOf<MonitoringSettings>()
    expectTypeOf<ResolvedClientConfig['preset']>().toEqualTypeOf<PresetName | undefined>()
    expectTypeOf<AlertSettings['latencyMs']>().toEqualTypeOf<number | null>()
    expectTypeOf<ResolvedProducerConfig['acks']>().toEqualTypeOf<-1 | 0 | 1>()
    // @ts-expect-error: read-only
    expect(() => (Object.assign(resolveProducerConfig(), {}).lingerMs = 1)).toThrow(TypeError)
  })
  it('CF-1: a resolved form is a configuration again', () => {
    expectTypeOf<ResolvedProducerConfig>().toExtend<ProducerConfig>()
    expectTypeOf<ResolvedConsumerConfig>().toExtend<ConsumerConfig>()
    expectTypeOf<ResolvedClientConfig>().toExtend<ClientConfig>()
    expectTypeOf<ResolvedConfig>().toExtend<MQConfig>()
  })
  it('CD-3: a serializer may give bytes, text or null', () => {
    const text: Serializer<number> = { contentType: 'text/plain', serialize: String, deserialize: (b) => b.length }
    const none: Serializer<number> = { contentType: 'x', serialize: () => null, deserialize: () => 0 }
    expect([text.serialize(7, 't'), none.serialize(7, 't')]).toEqual(['7', null])
  })
})

/** As objects, so that the compiler checks that each name is there, and a test that no other is missing. */
const clientAliases: ClientAliases = {
  bootstrapServers: 'brokers',
  clientID: 'clientId',
  SSL: 'ssl',
  SASL: 'sasl',
  poolConfig: 'pool',
}
const groupAliases: GroupAliases = {
  connection: {
    dialTimeout: 'dialTimeoutMs',
    readTimeout: 'readTimeoutMs',
    writeTimeout: 'writeTimeoutMs',
    keepAlive: 'keepAliveMs',
  },
  ssl: { tls: 'enabled' },
  performance: { targetLatencyMicros: 'targetLatencyMs' },
  pool: {
    minIdleConnections: 'minIdle',
    maxIdleConnections: 'maxIdle',
    connectionMaxLifetime: 'connectionMaxLifetimeMs',
    connectionMaxIdleTime: 'connectionMaxIdleMs',
    healthCheckInterval: 'healthCheckIntervalMs',
  },
  wal: { walSyncMode: 'durability', walPath: 'dir', walMaxSize: 'maxBytes', walSyncInterval: 'syncIntervalMs' },
  metrics: { enableMetrics: 'enabled', metricsPrefix: 'prefix' },
  monitoring: { metricsInterval: 'intervalMs' },
}
const producerAliases: ProducerAliases = {
  requiredAcks: 'acks',
  enableIdempotence: 'idempotence',
  maxInFlightRequests: 'maxInFlight',
  maxInFlightPerBroker: 'maxInFlight',
  linger: 'lingerMs',
  batchSize: 'batchBytes',
  maxMessageBytes: 'maxBatchBytes',
  maxBatchCount: 'batchMaxRecords',
  maxBufferedBytes: 'bufferMemoryBytes',
  maxBufferedRecords: 'bufferMaxRecords',
  memorySize: 'bufferMaxRecords',
  requestTimeout: 'requestTimeoutMs',
  deliveryTimeout: 'deliveryTimeoutMs',
  retries: 'maxRetries',
  retryBackoff: 'retryBackoffMs',
}
const consumerAliases: ConsumerAliases = {
  groupID: 'groupId',
  enableAutoCommit: 'autoCommit',
  autoCommitInterval: 'autoCommitIntervalMs',
  sessionTimeout: 'sessionTimeoutMs',
  heartbeatInterval: 'heartbeatIntervalMs',
  maxPollInterval: 'maxPollIntervalMs',
  fetchMaxWait: 'fetchMaxWaitMs',
}

const flat = (rows: readonly Row[]) =>
  rows
    .flatMap((row) => row.aliases.filter(({ path }) => !path.includes('.')).map(({ path }) => [path, row.path]))
    .sort()

describe('alias types', () => {
  it('CF-2: the aliases in types are those of the tables', () => {
    const groups = Object.entries(groupAliases).flatMap(([group, names]) =>
      Object.entries(names as Record<string, string>).map(([alias, field]) => [alias, `${group}.${field}`]),
    )
    const fields = Object.entries(clientAliases).filter(([alias]) => !['SSL', 'SASL', 'poolConfig'].includes(alias))
    expect([...fields, ...groups].sort()).toEqual(flat(allClientRows))
    expect(Object.entries(producerAliases).sort()).toEqual(flat(producerRows))
    expect(Object.entries(consumerAliases).sort()).toEqual(flat(consumerRows))
  })
})
