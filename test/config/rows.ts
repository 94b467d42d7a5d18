/**
 * The configuration tables of the specification, written down a second time.
 * Why a copy: a test that read the tables under test could never find a wrong default or a wrong bound in them.
 */
export interface Row {
  readonly path: string
  readonly fallback: unknown
  /** Legal extremes, and what makes the other fields agree with each. */
  readonly legal: readonly { readonly value: unknown; readonly with?: object }[]
  readonly illegal: readonly unknown[]
  /** Other names; `factor` times the alias' value gives the field's. */
  readonly aliases: readonly { readonly path: string; readonly factor: number }[]
}

interface More {
  readonly aliases?: readonly string[]
  readonly low?: object
  readonly high?: object
}

const MIB = 1_048_576
const INT32 = 2_147_483_647
const HIGH = Number.MAX_SAFE_INTEGER
/** Aliases of a field in a group stand inside the group and beside it. */
const both = (group: string, alias: string) => [alias, `${group}.${alias}`]
const named = (names: readonly string[] = []) => names.map((path) => ({ path, factor: 1 }))

function integer(path: string, fallback: number | undefined, low: number, high: number, more: More = {}): Row {
  const beyond = high === HIGH ? HIGH + 1 : high + 1
  return {
    path,
    fallback,
    legal: [
      { value: low, ...(more.low && { with: more.low }) },
      { value: high, ...(more.high && { with: more.high }) },
    ],
    illegal: [low - 1, beyond, low + 0.5, String(low), null, Number.NaN],
    aliases: named(more.aliases),
  }
}

function fraction(path: string, fallback: unknown, low: number, high: number, illegal: number[], more: More = {}): Row {
  const row = integer(path, undefined, low, high, more)
  return { ...row, fallback, illegal: [...illegal, 'much', null, Number.NaN, Number.POSITIVE_INFINITY] }
}

function flag(path: string, fallback: boolean, ...aliases: string[]): Row {
  const illegal = [0, 1, 'true', null]
  return { path, fallback, legal: [{ value: true }, { value: false }], illegal, aliases: named(aliases) }
}

function words(path: string, fallback: string | undefined, values: readonly string[], ...aliases: string[]): Row {
  const legal = values.map((value) => ({ value }))
  return { path, fallback, legal, illegal: ['', 'nonsense', 1, null, []], aliases: named(aliases) }
}

function text(path: string, fallback: string | undefined, ...aliases: string[]): Row {
  const legal = [{ value: 'x' }, { value: 'y'.repeat(249) }]
  return { path, fallback, legal, illegal: ['', 'z'.repeat(250), 7, null], aliases: named(aliases) }
}

function methods(path: string, value: object): Row {
  return { path, fallback: undefined, legal: [{ value }], illegal: [{}, 'x', null, () => 1], aliases: [] }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const serializer = { contentType: 'x', serialize: () => new Uint8Array(), deserialize: () => 1 }
const own = () => 0

export const clientRows: readonly Row[] = [
  {
    path: 'brokers',
    fallback: [{ host: 'localhost', port: 9092 }],
    legal: [
      { value: [{ host: 'a', port: 1 }] },
      {
        value: [
          { host: 'b', port: 65_535 },
          { host: '::1', port: 9092 },
        ],
      },
    ],
    illegal: [[], '', 'a:0', 'a:65536', ['a', 'b:x'], 'a:1:2', '::1', 7, null, [{}], [{ host: 'a', port: 0 }]],
    aliases: named(['bootstrapServers']),
  },
  text('clientId', 'tandem-mq', 'clientID'),
  words('preset', undefined, [
    'lowLatency',
    'highThroughput',
    'resourceEfficient',
    'highReliability',
    'development',
    'production',
  ]),
  integer('metadataMaxAgeMs', 300_000, 1_000, 3_600_000),
  integer('closeTimeoutMs', 30_000, 0, 600_000),
  methods('logger', silent),
  words('logLevel', 'info', ['debug', 'info', 'warn', 'error', 'silent'], 'monitoring.logLevel'),
  integer('connection.dialTimeoutMs', 10_000, 1, 300_000, { aliases: ['dialTimeout', 'connection.dialTimeout'] }),
  integer('connection.readTimeoutMs', 10_000, 1, 300_000, { aliases: ['readTimeout', 'connection.readTimeout'] }),
  integer('connection.writeTimeoutMs', 10_000, 1, 300_000, { aliases: ['writeTimeout', 'connection.writeTimeout'] }),
  integer('connection.keepAliveMs', 7_000, 0, 7_200_000, { aliases: ['keepAlive', 'connection.keepAlive'] }),
  integer('connection.maxRetries', 3, 0, 1_000),
  integer('connection.retryBackoffMs', 100, 1, 60_000, { high: { connection: { retryBackoffMaxMs: 60_000 } } }),
  integer('connection.retryBackoffMaxMs', 5_000, 1, 60_000, { low: { connection: { retryBackoffMs: 1 } } }),
  integer('connection.maxFrameBytes', 104_857_600, MIB, 1_024 * MIB),
  flag('trace.enabled', false),
  text('trace.header', 'X-Trace-ID'),
  text('trace.timestampHeader', undefined),
  {
    ...fraction('performance.targetLatencyMs', 1, Number.MIN_VALUE, 3_600_000, [0, -1]),
    aliases: ['targetLatencyMicros', 'performance.targetLatencyMicros'].map((path) => ({ path, factor: 0.001 })),
  },
  fraction('performance.targetThroughputPerSec', 100_000, Number.MIN_VALUE, HIGH, [0, -1]),
  flag('performance.optimizeForSmallMessages', true),
  integer('performance.smallMessageThresholdBytes', 1_024, 100, 65_536),
]

const pool = (others: object) => ({ pool: others })
const wide = { maxIdle: 1_000, maxConnections: 1_000 }

export const poolRows: readonly Row[] = [
  integer('pool.maxConnections', 10, 3, 1_000, { low: pool({ maxIdle: 3 }) }),
  integer('pool.minIdle', 2, 0, 1_000, { aliases: both('pool', 'minIdleConnections'), high: pool(wide) }),
  integer('pool.maxIdle', 5, 0, 1_000, {
    aliases: both('pool', 'maxIdleConnections'),
    low: pool({ minIdle: 0 }),
    high: pool({ maxConnections: 1_000 }),
  }),
  integer('pool.connectionMaxLifetimeMs', 3_600_000, 0, INT32, { aliases: both('pool', 'connectionMaxLifetime') }),
  integer('pool.connectionMaxIdleMs', 540_000, 1, 599_999, { aliases: both('pool', 'connectionMaxIdleTime') }),
  integer('pool.healthCheckIntervalMs', 30_000, 0, INT32, { aliases: both('pool', 'healthCheckInterval') }),
  integer('pool.healthCheckTimeoutMs', 5_000, 1, INT32, { high: pool({ healthCheckIntervalMs: INT32 }) }),
  integer('pool.acquireTimeoutMs', 10_000, 0, 600_000),
]

const log = (others: object) => ({ wal: others })
const withDir = log({ dir: '/var/log/mq' })

export const walRows: readonly Row[] = [
  {
    path: 'wal.durability',
    fallback: 'memory',
    legal: [
      { value: 'memory' },
      ...['spill', 'os', 'periodic', 'immediate'].map((value) => ({ value, with: withDir })),
    ],
    illegal: ['', 'sync', 'MEMORY', 1, true, null, []],
    aliases: named(both('wal', 'walSyncMode')),
  },
  {
    path: 'wal.dir',
    fallback: undefined,
    legal: [{ value: './a' }, { value: 'b'.repeat(4_000) }],
    illegal: ['', 'a\0b', 7, null, []],
    aliases: named(both('wal', 'walPath')),
  },
  integer('wal.maxBytes', 1_073_741_824, 8 * MIB, HIGH, { aliases: both('wal', 'walMaxSize') }),
  {
    path: 'wal.segmentBytes',
    fallback: 64 * MIB,
    legal: [{ value: MIB }, { value: 32 * MIB }, { value: 64 * MIB }],
    illegal: [MIB / 2, 128 * MIB, MIB + 1, 3 * MIB, 0, -MIB, String(MIB), null, Number.NaN],
    aliases: [],
  },
  integer('wal.syncIntervalMs', 10, 1, 60_000, { aliases: both('wal', 'walSyncInterval') }),
  integer('wal.groupMaxBytes', MIB, 4_096, HIGH),
  integer('wal.groupMaxWaitMs', 0, 0, 2),
  integer('wal.pendingMaxBytes', 8_388_608, 1_024, HIGH),
  integer('wal.unsyncedMaxBytes', 33_554_432, 1_024, HIGH),
  integer('wal.minFreeBytes', 134_217_728, 1_024, HIGH),
  integer('wal.acceptLingerMs', 1, 0, 1_000),
  integer('wal.ackFlushMs', 5, 0, 1_000),
  words('wal.onCorruption', 'stop', ['stop', 'quarantine']),
  words('wal.onAmbiguous', 'hold', ['hold', 'drop', 'resend']),
  words('wal.onWalFailure', 'reject', ['reject', 'bypass']),
  integer('wal.producerIdExpirationMs', 86_400_000, 1, HIGH, { low: log({ expirationMarginMs: 0 }) }),
  integer('wal.expirationMarginMs', 1_800_000, 0, HIGH - 1, { high: log({ producerIdExpirationMs: HIGH }) }),
  integer('wal.zombieWaitMs', 30_000, 0, INT32),
  integer('wal.resolveConcurrency', 16, 1, HIGH),
  integer('wal.recoveryIndexMaxBytes', 67_108_864, 1, HIGH),
  integer('wal.spareSegments', 2, 1, HIGH),
  flag('wal.allowRetarget', false),
  flag('wal.allowUnsafeDir', false),
  flag('wal.scrub', false),
]

const registry = { registerMetric() {}, getSingleMetric() {}, metrics() {} }
const sink = { counter() {}, gauge() {}, histogram() {}, flush() {} }

function threshold(name: string, fallback: number, high = HIGH): Row {
  const row = fraction(`monitoring.alerts.${name}`, fallback, 0, high, [-1])
  return {
    ...row,
    legal: [...row.legal, { value: 0.5 }, { value: null }],
    illegal: [-1, high + 1, '1', [], Number.NaN],
  }
}

export const metricsRows: readonly Row[] = [
  flag('metrics.enabled', true, ...both('metrics', 'enableMetrics'), 'monitoring.enableMetrics'),
  {
    path: 'metrics.prefix',
    fallback: 'tandem_mq_',
    legal: [{ value: '_' }, { value: ':a' }, { value: 'Az_09:' }],
    illegal: ['', '9a', 'a-b', 'a b', 'a\n', '\u00e4', 7, null],
    aliases: named(both('metrics', 'metricsPrefix')),
  },
  {
    path: 'metrics.compatPrefixes',
    fallback: [],
    legal: [{ value: [] }, { value: ['Chanjet_', 'TurboStream_'] }],
    illegal: ['Chanjet_', ['a_', 'a_'], [''], ['9'], [7], {}, null],
    aliases: [],
  },
  integer('metrics.flushIntervalMs', 5_000, 100, 600_000),
  {
    path: 'metrics.labels',
    fallback: {},
    legal: [{ value: {} }, { value: { env: 'prod', _x9: '' } }],
    illegal: [
      [],
      { 'a-b': 'x' },
      { '9': 'x' },
      { a: 1 },
      { __a: 'x' },
      { le: 'x' },
      { quantile: 'x' },
      'x',
      null,
      new Map(),
    ],
    aliases: [],
  },
  methods('metrics.registry', registry),
  methods('metrics.sink', sink),
  {
    path: 'metrics.address',
    fallback: undefined,
    legal: [':0', ':65535', 'localhost:9091', '127.0.0.1:1', '[::1]:9091'].map((value) => ({ value })),
    illegal: ['', ':', '9091', ':65536', 'localhost', '::1', 'a b:1', 'http://a:1', ':9091 ', 9_091, null],
    aliases: [],
  },
  {
    path: 'metrics.path',
    fallback: '/metrics',
    legal: [{ value: '/' }, { value: '/a/b-c' }],
    illegal: ['', 'metrics', '/healthz', '/a?b', '/a#b', '/a b', 7, null],
    aliases: [],
  },
  flag('metrics.process', false),
  integer('metrics.processIntervalMs', 5_000, 100, 600_000),
  integer('monitoring.intervalMs', 10_000, 0, INT32, { aliases: both('monitoring', 'metricsInterval') }),
  integer('monitoring.healthTimeoutMs', 5_000, 1, INT32),
  flag('monitoring.enableTracing', false),
  threshold('latencyMs', 10),
  threshold('minThroughputPerSec', 50_000),
  threshold('errorPercent', 1, 100),
  threshold('lagRecords', 10_000),
  threshold('memoryBytes', 524_288_000),
]

const anyText = (path: string, others?: object): Row => ({
  path,
  fallback: undefined,
  legal: ['x', 'y'.repeat(10_000)].map((value) => ({ value, ...(others && { with: others }) })),
  illegal: ['', 7, true, null, Buffer.from('x')],
  aliases: [],
})
const pemFile = (path: string, others?: object): Row => {
  const row = anyText(path, others)
  return { ...row, illegal: [...row.illegal, '-----BEGIN CERTIFICATE-----\nAAAA'] }
}
const sasl = (others: object) => ({ sasl: others })
const plain = { mechanism: 'PLAIN', username: 'u', password: 'p' }
const authenticator = { mechanism: 'GSSAPI', next: () => undefined }
const token = async () => 'x'

export const securityRows: readonly Row[] = [
  {
    path: 'securityProtocol',
    fallback: 'PLAINTEXT',
    legal: [
      { value: 'PLAINTEXT' },
      { value: 'SSL' },
      { value: 'SASL_PLAINTEXT', with: sasl(plain) },
      { value: 'SASL_SSL', with: { ...sasl(plain), ssl: { enabled: true } } },
    ],
    illegal: ['', 'TLS', 'ssl', 1, null, []],
    aliases: [],
  },
  flag('ssl.enabled', false, ...both('ssl', 'tls')),
  pemFile('ssl.caFile'),
  pemFile('ssl.certFile', { ssl: { keyFile: 'k' } }),
  pemFile('ssl.keyFile'),
  anyText('ssl.ca'),
  anyText('ssl.cert', { ssl: { key: 'k' } }),
  anyText('ssl.key'),
  anyText('ssl.passphrase'),
  anyText('ssl.servername'),
  flag('ssl.insecureSkipVerify', false),
  {
    path: 'sasl.mechanism',
    fallback: undefined,
    legal: [
      { value: 'PLAIN', with: sasl({ username: 'u', password: 'p' }) },
      { value: 'SCRAM-SHA-256', with: sasl({ username: 'u', password: 'p' }) },
      { value: 'SCRAM-SHA-512', with: sasl({ username: 'u', password: 'p' }) },
      { value: 'OAUTHBEARER', with: sasl({ token }) },
      { value: 'GSSAPI', with: sasl({ authenticator }) },
    ],
    illegal: ['', 'plain', 'SCRAM-SHA-1', 1, null, []],
    aliases: [],
  },
  anyText('sasl.username', sasl({ mechanism: 'PLAIN', password: 'p' })),
  anyText('sasl.password', sasl({ mechanism: 'SCRAM-SHA-256', username: 'u' })),
  {
    path: 'sasl.token',
    fallback: undefined,
    legal: [{ value: token, with: sasl({ mechanism: 'OAUTHBEARER' }) }],
    illegal: ['x', {}, null, 7],
    aliases: [],
  },
  {
    path: 'sasl.authenticator',
    fallback: undefined,
    legal: [{ value: authenticator }, { value: { mechanism: 'AWS_MSK_IAM', next: () => undefined } }],
    illegal: [
      'x',
      {},
      { mechanism: 'X' },
      { next() {} },
      { mechanism: '', next() {} },
      { mechanism: 7, next() {} },
      null,
    ],
    aliases: [],
  },
]

/** What every client takes. */
export const allClientRows: readonly Row[] = [...clientRows, ...securityRows, ...poolRows, ...walRows, ...metricsRows]

const bigBuffer = { bufferMemoryBytes: HIGH }
const weightless = { timeWeight: 1, sizeWeight: 1 }

export const producerRows: readonly Row[] = [
  {
    path: 'acks',
    fallback: -1,
    legal: [{ value: -1 }, { value: 0 }, { value: 1 }],
    illegal: ['ALL', 2, -2, '1', null, true],
    aliases: named(['requiredAcks']),
  },
  flag('idempotence', true, 'enableIdempotence'),
  integer('maxInFlight', 5, 1, 5, { aliases: ['maxInFlightRequests', 'maxInFlightPerBroker'] }),
  integer('lingerMs', 5, 0, 60_000, { aliases: ['linger'] }),
  integer('batchBytes', 16_384, 1, 104_857_600, {
    aliases: ['batchSize'],
    high: { maxBatchBytes: 104_857_600, ...bigBuffer },
  }),
  integer('maxBatchBytes', MIB, 1_024, 104_857_600, {
    aliases: ['maxMessageBytes'],
    low: { batchBytes: 1 },
    high: bigBuffer,
  }),
  integer('batchMaxRecords', undefined, 1, 1_000_000, { aliases: ['maxBatchCount'] }),
  words('compression', 'lz4', ['none', 'gzip', 'snappy', 'lz4', 'zstd']),
  integer('compressionLevel', undefined, 1, 19, { low: { compression: 'zstd' }, high: { compression: 'zstd' } }),
  integer('bufferMemoryBytes', 67_108_864, 2_048, HIGH, {
    aliases: ['maxBufferedBytes'],
    low: { maxBatchBytes: 1_024, batchBytes: 1 },
  }),
  integer('bufferMaxRecords', undefined, 1, HIGH, { aliases: ['maxBufferedRecords', 'memorySize'] }),
  integer('softPercent', 80, 1, 100, { low: { resumePercent: 1 }, high: { hardPercent: 100 } }),
  integer('resumePercent', 60, 0, 100, { high: { softPercent: 100, hardPercent: 100 } }),
  integer('hardPercent', 95, 1, 100, { low: { softPercent: 1, resumePercent: 1 } }),
  {
    path: 'onFull',
    fallback: 'block',
    legal: [
      { value: 'block' },
      { value: 'reject' },
      { value: 'dropOldest' },
      { value: 'spill', with: { wal: { durability: 'spill', dir: 'd' } } },
      { value: 'spill', with: { wal: { durability: 'os', dir: 'd' } } },
    ],
    illegal: ['', 'drop', 1, null, []],
    aliases: [],
  },
  integer('maxBlockMs', 60_000, 0, 600_000),
  integer('requestTimeoutMs', 30_000, 1, 600_000, {
    aliases: ['requestTimeout'],
    high: { deliveryTimeoutMs: 600_005 },
  }),
  integer('deliveryTimeoutMs', 120_000, 1, INT32, {
    aliases: ['deliveryTimeout'],
    low: { requestTimeoutMs: 1, lingerMs: 0 },
  }),
  integer('maxRetries', undefined, 0, HIGH, { aliases: ['retries'] }),
  integer('retryBackoffMs', 100, 1, 60_000, { aliases: ['retryBackoff'], high: { retryBackoffMaxMs: 60_000 } }),
  integer('retryBackoffMaxMs', 5_000, 1, 60_000, { low: { retryBackoffMs: 1 } }),
  { ...words('partitioner', 'default', ['default', 'roundRobin', 'random']) },
  { ...words('switchStrategy', 'default', ['default', 'time', 'size']) },
  fraction('timeWeight', 0.4, 0, 1, [-0.1, 1.1], { low: { sizeWeight: 1 } }),
  fraction('sizeWeight', 0.6, 0, 1, [-0.1, 1.1], { low: { timeWeight: 1 } }),
  fraction('threshold', 0.85, Number.MIN_VALUE, 2, [0, -1, 2.1], { high: weightless }),
  fraction('fillPercent', 100, 1, 100, [0.9, 100.1]),
  flag('adaptiveBatch.enabled', false),
  integer('adaptiveBatch.minBytes', 4_096, 1, 104_857_600, { high: { adaptiveBatch: { maxBytes: 104_857_600 } } }),
  integer('adaptiveBatch.maxBytes', MIB, 1, 104_857_600, { low: { adaptiveBatch: { minBytes: 1 } } }),
  fraction('adaptiveBatch.targetLatencyMs', 1, Number.MIN_VALUE, 3_600_000, [0, -1]),
  flag('circuitBreaker.enabled', false),
  integer('circuitBreaker.failures', 5, 1, HIGH),
  integer('circuitBreaker.successes', 2, 1, HIGH),
  integer('circuitBreaker.timeoutMs', 60_000, 1, INT32),
  flag('circuitBreaker.failFast', false),
  integer('unknownTopicRetries', undefined, 0, HIGH),
  flag('allowAutoTopicCreation', true),
  methods('keySerializer', serializer),
  methods('valueSerializer', serializer),
  {
    path: 'topics',
    fallback: {},
    legal: [{ value: {} }, { value: { a: { compression: 'zstd', compressionLevel: 3 }, b: {} } }],
    illegal: [[], 7, null, { a: { compression: 'rar' } }, { a: { nonsense: 1 } }, { a: 1 }],
    aliases: [],
  },
]

export const consumerRows: readonly Row[] = [
  text('groupId', undefined, 'groupID'),
  words('groupProtocol', 'classic', ['classic', 'consumer', 'auto']),
  {
    path: 'assignors',
    fallback: ['cooperative-sticky'],
    legal: [{ value: ['range'] }, { value: ['sticky', 'roundrobin', 'range', 'cooperative-sticky'] }],
    illegal: [[], ['nonsense'], ['range', 'range'], 'range', null],
    aliases: [],
  },
  text('groupInstanceId', undefined),
  text('rackId', undefined),
  words('autoOffsetReset', 'latest', ['earliest', 'latest', 'none']),
  flag('autoCommit', true, 'enableAutoCommit'),
  integer('autoCommitIntervalMs', 5_000, 10, 3_600_000, { aliases: ['autoCommitInterval'] }),
  integer('sessionTimeoutMs', 10_000, 2, INT32, {
    aliases: ['sessionTimeout'],
    low: { heartbeatIntervalMs: 1 },
    high: { maxPollIntervalMs: INT32 },
  }),
  integer('heartbeatIntervalMs', 3_000, 1, INT32 - 1, {
    aliases: ['heartbeatInterval'],
    high: { sessionTimeoutMs: INT32, maxPollIntervalMs: INT32 },
  }),
  integer('maxPollRecords', 500, 1, 1_000_000),
  integer('maxPollIntervalMs', 300_000, 2, INT32, {
    aliases: ['maxPollInterval'],
    low: { sessionTimeoutMs: 2, heartbeatIntervalMs: 1 },
  }),
  integer('rebalanceTimeoutMs', 60_000, 1_000, 1_800_000),
  integer('fetchMinBytes', 1, 0, INT32, { high: { fetchMaxBytes: INT32 } }),
  integer('fetchMaxBytes', 52_428_800, 1, INT32),
  integer('maxPartitionFetchBytes', MIB, 1, INT32, { high: { prefetchBytes: INT32 } }),
  integer('fetchMaxWaitMs', 500, 0, 60_000, { aliases: ['fetchMaxWait'] }),
  integer('prefetchBytes', 67_108_864, 1, HIGH, { low: { maxPartitionFetchBytes: 1 } }),
  words('isolationLevel', 'read_uncommitted', ['read_uncommitted', 'read_committed']),
  words('readMode', 'safe', ['safe', 'zeroCopy']),
  flag('checkCrcs', true),
  integer('concurrency', 1, 1, 1_000),
  words('concurrencyBy', 'partition', ['partition', 'key']),
  words('onError', 'retry', ['retry', 'skip', 'dlq', 'stop']),
  integer('errorRetries', 5, 0, HIGH),
  words('errorFinal', 'stop', ['skip', 'dlq', 'stop']),
  text('dlqTopic', undefined),
  flag('dedup.enabled', false),
  words('dedup.by', 'content', ['content', 'key']),
  integer('dedup.ttlMs', 86_400_000, 1, HIGH),
  integer('dedup.maxEntries', 100_000, 1, HIGH),
  integer('dedup.cleanupIntervalMs', 300_000, 1, INT32),
  flag('deliverErrors', false),
  methods('keyDeserializer', serializer),
  methods('valueDeserializer', serializer),
]

/** Rows whose words may also be a function. */
export const functionRows = { producer: ['partitioner', 'switchStrategy'], consumer: ['dedup.by'], own }
