/**
 * One instance for a process that needs only one: the same verbs as functions.
 * Invariant: it is made at its first use, with what `configureDefault` said before; configuring it later is refused.
 * Source: features.md FA-2.
 */
import type { GetConnectionOptions, PooledConnection } from './cluster/index.js'
import { type MQConfig, type ResolvedConfig, resolveConfig } from './config/index.js'
import type { CommitTarget, OnRecord, SubscribeOptions, Topics } from './consumer/index.js'
import { MQError } from './errors/index.js'
import type { HealthReport } from './metrics/index.js'
import { MQ, type MQMetrics } from './mq.js'
import type {
  BatchResult,
  BatchToSend,
  CloseReport,
  DurableReceipt,
  RecordMetadata,
  SendCallback,
  SendOptions,
  SendSyncOptions,
} from './producer/index.js'
import type { RecordBytes } from './protocol/index.js'

/** Group of `subscribe` when nobody named one. */
export const DEFAULT_GROUP = 'tandem-mq-default'

let configured: ResolvedConfig | null = null
let instance: MQ | null = null
let hasWarned = false

/**
 * Says how the default instance is made; call it before the first use of the functions here, or after `close()`.
 * Throws INVALID_CONFIG or MISSING_CONFIG, also when the instance exists already: it would go on with other settings.
 *
 * ```ts
 * configureDefault({ brokers: 'localhost:9092', consumer: { groupId: 'billing' } })
 * await sendSync('orders', 'created')
 * ```
 */
export function configureDefault(config: MQConfig): void {
  if (instance !== null && instance.state !== 'closed') {
    const text = `the default instance is ${instance.state}: call configureDefault before its first use, or await close() first`
    throw new MQError('INVALID_CONFIG', text, {})
  }
  // Made now: a wrong field should be told where it is written, and changing the object later changes nothing.
  configured = withGroup(config)
  instance = null
}

/** The instance behind the functions here; made when first asked for. */
export function defaultMQ(): MQ {
  instance ??= makeDefault()
  return instance
}

/** `MQ.sendDurable` of the default instance. */
export async function sendDurable(
  topic: string,
  value: RecordBytes,
  options?: SendSyncOptions,
): Promise<DurableReceipt> {
  return defaultMQ().sendDurable(topic, value, options)
}

/** `MQ.sendSync` of the default instance. */
export async function sendSync(topic: string, value: RecordBytes, options?: SendSyncOptions): Promise<RecordMetadata> {
  return defaultMQ().sendSync(topic, value, options)
}

/** `MQ.sendAsync` of the default instance. */
export function sendAsync(
  topic: string,
  value: RecordBytes,
  options?: SendOptions | SendCallback | null,
  callback?: SendCallback | null,
): boolean {
  return defaultMQ().sendAsync(topic, value, options, callback)
}

/** `MQ.sendBatchSync` of the default instance. */
export async function sendBatchSync(batch: BatchToSend): Promise<BatchResult[]> {
  return defaultMQ().sendBatchSync(batch)
}

/** `MQ.sendBatchAsync` of the default instance. */
export function sendBatchAsync(
  batch: BatchToSend,
  callback: (error: MQError | null, results: BatchResult[] | null) => void,
): void {
  defaultMQ().sendBatchAsync(batch, callback)
}

/** `MQ.subscribe` of the default instance, in the group 'tandem-mq-default' unless `consumer.groupId` names another. */
export async function subscribe(
  topics: Topics,
  callback: OnRecord<Buffer, Buffer>,
  options?: SubscribeOptions,
): Promise<void> {
  const mq = defaultMQ()
  if (!hasWarned && mq.config.consumer.groupId === DEFAULT_GROUP) {
    hasWarned = true
    mq.config.logger.warn(`subscribing as group '${DEFAULT_GROUP}': name your own with configureDefault`)
  }
  await mq.subscribe(topics, callback, options)
}

/** `MQ.unsubscribe` of the default instance. */
export async function unsubscribe(topics: Topics): Promise<void> {
  await defaultMQ().unsubscribe(topics)
}

/** `MQ.commitOffset` of the default instance. */
export async function commitOffset(target: CommitTarget, offset?: number): Promise<void> {
  await defaultMQ().commitOffset(target, offset)
}

/** `pool.getConnection` of the default instance. */
export async function getConnection(options?: GetConnectionOptions): Promise<PooledConnection> {
  return defaultMQ().pool.getConnection(options)
}

/** `pool.releaseConnection` of the default instance. */
export function releaseConnection(connection: PooledConnection): void {
  defaultMQ().pool.releaseConnection(connection)
}

/** `MQ.ping` of the default instance. */
export async function ping(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}) {
  return defaultMQ().ping(options)
}

/** `MQ.health` of the default instance. */
export async function health(): Promise<HealthReport> {
  return defaultMQ().health()
}

/** `MQ.getMetrics` of the default instance. */
export function getMetrics(): MQMetrics {
  return defaultMQ().getMetrics()
}

/** Closes the default instance, if there is one; `configureDefault` may make another one afterwards. */
export async function close(options: { readonly timeoutMs?: number } = {}): Promise<CloseReport> {
  return instance?.close(options) ?? { unsentRecords: 0, inWalRecords: 0 }
}

function makeDefault(): MQ {
  return new MQ(configured ?? withGroup({}))
}

function withGroup(config: MQConfig): ResolvedConfig {
  const resolved = resolveConfig(config)
  if (resolved.consumer.groupId !== undefined) return resolved
  return resolveConfig({ ...config, consumer: { ...config.consumer, groupId: DEFAULT_GROUP } })
}
