/**
 * Values for a purpose: what a preset sets, and nothing else.
 * Why as input, not as a finished configuration: a preset lies under everything the caller gives and above the
 * defaults, so it may say only what it changes. Invariant: each is valid on its own (a test resolves all of them).
 * Source: features.md 3.7.
 */
import type { PresetName } from './client-types.js'
import type { ClientConfig, ConsumerConfig, ProducerConfig } from './input-types.js'

const GIB = 1_073_741_824
const MIB = 1_048_576

interface Preset {
  readonly client: ClientConfig
  readonly producer: ProducerConfig
  readonly consumer: ConsumerConfig
}

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  /** The only one that gives up idempotence: the leader's answer alone counts. */
  lowLatency: {
    client: { connection: { dialTimeoutMs: 1_000, readTimeoutMs: 1_000, writeTimeoutMs: 1_000 } },
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
    client: { pool: { maxConnections: 20, maxIdle: 10 } },
    producer: {
      acks: 'all',
      idempotence: true,
      lingerMs: 10,
      batchBytes: 65_536,
      compression: 'lz4',
      bufferMemoryBytes: 128 * MIB,
    },
    consumer: {
      maxPollRecords: 1_000,
      fetchMinBytes: 1,
      fetchMaxBytes: 50 * MIB,
      fetchMaxWaitMs: 500,
      prefetchBytes: 128 * MIB,
    },
  },
  resourceEfficient: {
    client: { pool: { maxConnections: 5, maxIdle: 2 } },
    producer: { acks: 'all', idempotence: true, batchBytes: 8_192, compression: 'gzip', bufferMemoryBytes: 16 * MIB },
    consumer: {
      maxPollRecords: 100,
      fetchMinBytes: 1,
      fetchMaxBytes: MIB,
      fetchMaxWaitMs: 500,
      prefetchBytes: 8 * MIB,
    },
  },
  highReliability: {
    client: { wal: { durability: 'immediate', dir: './tandem-mq.wal', maxBytes: GIB } },
    producer: {
      acks: 'all',
      idempotence: true,
      compression: 'lz4',
      requestTimeoutMs: 30_000,
      deliveryTimeoutMs: 300_000,
    },
    consumer: {
      autoOffsetReset: 'earliest',
      isolationLevel: 'read_committed',
      autoCommitIntervalMs: 1_000,
      sessionTimeoutMs: 30_000,
    },
  },
  development: {
    client: { logLevel: 'debug' },
    producer: {
      acks: 'all',
      idempotence: true,
      lingerMs: 0,
      compression: 'none',
      requestTimeoutMs: 10_000,
      deliveryTimeoutMs: 10_000,
    },
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
      acks: 'all',
      idempotence: true,
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

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[]
