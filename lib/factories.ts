/**
 * Makers of the parts as functions: each merges what it gets with the defaults and checks it. Source: features.md FA-3.
 */
import { AdminClient } from './admin/index.js'
import { ConnectionPool } from './cluster/index.js'
import {
  type ClientConfig,
  type ConsumerConfig,
  logWarnings,
  type MQConfig,
  type ProducerConfig,
  resolveClientConfig,
  resolveConfig,
} from './config/index.js'
import { Consumer, type ReadsKeys, type ReadsValues } from './consumer/index.js'
import { Metrics } from './metrics/index.js'
import { MQ } from './mq.js'
import { Producer, type WritesKeys, type WritesValues } from './producer/index.js'
import type { RecordBytes } from './protocol/index.js'
import type { Clock } from './util/index.js'

/** `new MQ(config)`. Throws INVALID_CONFIG, MISSING_CONFIG. */
export function createMQ<V, K>(config: MQConfig & { readonly producer: WritesValues<V> & WritesKeys<K> }): MQ<V, K>
export function createMQ<V, K>(
  config: MQConfig & { readonly producer: WritesValues<V>; readonly consumer: ReadsKeys<K> },
): MQ<V, K>
export function createMQ<V, K = RecordBytes>(config: MQConfig & { readonly producer: WritesValues<V> }): MQ<V, K>
export function createMQ<V, K>(config: MQConfig & { readonly consumer: ReadsValues<V> & ReadsKeys<K> }): MQ<V, K>
export function createMQ<V, K = RecordBytes>(config: MQConfig & { readonly consumer: ReadsValues<V> }): MQ<V, K>
export function createMQ<V = RecordBytes, K = RecordBytes>(config?: MQConfig): MQ<V, K>
export function createMQ<V = RecordBytes, K = RecordBytes>(config: MQConfig = {}): MQ<V, K> {
  return new MQ<V, K>(config)
}

/** `new Producer(config)`. Throws INVALID_CONFIG, MISSING_CONFIG. */
export function createProducer<V, K>(config: ProducerConfig & WritesValues<V> & WritesKeys<K>): Producer<V, K>
export function createProducer<V, K = RecordBytes>(config: ProducerConfig & WritesValues<V>): Producer<V, K>
export function createProducer<V = RecordBytes, K = RecordBytes>(config?: ProducerConfig): Producer<V, K>
export function createProducer<V = RecordBytes, K = RecordBytes>(config: ProducerConfig = {}): Producer<V, K> {
  return new Producer<V, K>(config)
}

/** `new Consumer(config)`. Throws INVALID_CONFIG, MISSING_CONFIG. */
export function createConsumer<V, K>(config: ConsumerConfig & ReadsValues<V> & ReadsKeys<K>): Consumer<V, K>
export function createConsumer<V, K = Buffer>(config: ConsumerConfig & ReadsValues<V>): Consumer<V, K>
export function createConsumer<V = Buffer, K = Buffer>(config?: ConsumerConfig): Consumer<V, K>
export function createConsumer<V = Buffer, K = Buffer>(config: ConsumerConfig = {}): Consumer<V, K> {
  return new Consumer<V, K>(config)
}

/** A connection pool on its own. Throws INVALID_CONFIG, MISSING_CONFIG. */
export function createConnectionPool(config: ClientConfig = {}): ConnectionPool {
  const resolved = resolveClientConfig(config)
  if (resolved !== config) logWarnings(resolved)
  return new ConnectionPool(resolved)
}

/** An admin client on its own. Throws INVALID_CONFIG, MISSING_CONFIG. */
export function createAdminClient(config: ClientConfig = {}): AdminClient {
  return new AdminClient(config)
}

/** The fields of `metrics` in the configuration (features.md 3.6). */
export type MetricsInput = NonNullable<MQConfig['metrics']>

/**
 * Metrics for a service that uses a channel or a queue and no Kafka client; an instance of `MQ` has its own.
 * Nothing runs until `start()`, `listen()` or `metricsServer()`; end it with `close()`. Throws INVALID_CONFIG.
 */
export function createMetrics(options: MetricsInput = {}, deps: { readonly clock?: Clock } = {}): Metrics {
  const { metrics, clientId, performance, logger } = resolveConfig({ metrics: options })
  const { targetThroughputPerSec } = performance
  return new Metrics({ settings: metrics, clientId, targetThroughputPerSec, logger, ...deps })
}
