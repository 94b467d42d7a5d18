/**
 * The facade: one configuration, and a producer, a consumer, an admin client, a connection pool, metrics and health that
 * share it. It wires and owns lifetimes; every rule lives in the room it belongs to.
 * Invariant: nothing is opened before it is used, and after `close()` no timer and no socket remains.
 * Source: features.md FA-1, FA-4, ME-1, ME-5, ME-6.
 */
import { AdminClient } from './admin/index.js'
import { type ClosablePart, closeEach, closeTimeout } from './closing.js'
import { ConnectionPool, type PoolStats } from './cluster/index.js'
import {
  type ConsumerConfig,
  clientWarnings,
  type MQConfig,
  type ProducerConfig,
  type ProducerUpdate,
  type ResolvedConfig,
  resolveConfig,
  resolveFurtherConsumer,
  resolveFurtherProducer,
} from './config/index.js'
import {
  type CommitTarget,
  Consumer,
  type ConsumerMetrics,
  type OffsetsToCommit,
  type OnRecord,
  type ReadsKeys,
  type ReadsValues,
  type SubscribeOptions,
  type Topics,
  type WarningEvent,
} from './consumer/index.js'
import { findMQError, type MQError } from './errors/index.js'
import { Gateway, type GatewayOptions } from './gateway/index.js'
import { gatewayBackend } from './gateway-backend.js'
import {
  type Alert,
  checkConsumer,
  checkProducer,
  checkWal,
  type HealthCheck,
  HealthChecks,
  type HealthReport,
  Metrics,
  Monitor,
  type MonitorReport,
  Operations,
  type OperationsSnapshot,
  ProcessMonitor,
  tracingHooks,
  type WalSnapshot,
  walSnapshot,
} from './metrics/index.js'
import {
  type BatchResult,
  type BatchToSend,
  type CloseReport,
  type DurableReceipt,
  Producer,
  type ProducerMetrics,
  type RecordMetadata,
  type SendCallback,
  type SendOptions,
  type SendSyncOptions,
  type WritesKeys,
  type WritesValues,
} from './producer/index.js'
import type { RecordBytes } from './protocol/index.js'
import type { SendFunc } from './queue/index.js'
import { type QueueSenderOptions, queueSender } from './queue-sender.js'
import { bytes, json } from './serializers/index.js'
import {
  type Clock,
  Emitter,
  type ProcessHook,
  type RandomSource,
  type SendHook,
  systemClock,
  systemRandom,
  type Told,
  telling,
} from './util/index.js'

/** What tests and simulations replace. */
export interface MQDeps {
  readonly clock?: Clock
  readonly random?: RandomSource
}

export type MQState = 'open' | 'closing' | 'closed'

export interface MQEvents {
  /** Every `error` event of the parts: nothing that goes wrong in the background is silent. */
  error: MQError
  warning: WarningEvent
  /** Each `monitoring.intervalMs`. */
  report: MonitorReport<MQMetrics>
  /** A threshold of `monitoring.alerts` was crossed; once per crossing. */
  alert: Alert
}

/** A snapshot of everything (features.md part 5). */
export interface MQMetrics extends OperationsSnapshot {
  readonly producer: ProducerMetrics
  readonly consumer: ConsumerMetrics
  readonly connectionPool: PoolStats
  readonly channel: ReturnType<Producer['channelStats']>
  /** Of the instance's own producer; null: it has no log, or has not opened it yet. */
  readonly wal: WalSnapshot | null
}

interface Leaving {
  readonly client: ClosablePart & { readonly state: string }
  /** What takes it out of the figures. */
  readonly leave: readonly (() => void)[]
}

/** A client of the instance, and what takes it out of its figures. */
interface Part extends Leaving {
  /** Throws what is wrong with it. */
  readonly check: () => void
  /** Of a producer: throws what is wrong with its log. */
  readonly checkLog?: () => void
}

/** Kinds of parts, in the order in which they are closed. */
type Kind = 'gateways' | 'consumers' | 'producers' | 'admin' | 'pool'

/** What records hold when they are read: bytes, unless a serializer makes something else of them. */
type Read<T> = RecordBytes extends T ? Buffer : T

/**
 * Everything a service needs of Kafka, from one configuration. `V` and `K` are the types of values and keys that the
 * configured serializers take, and follow from them; without them bytes and strings.
 *
 * ```ts
 * const mq = new MQ({ brokers: 'localhost:9092', consumer: { groupId: 'billing' } })
 * await mq.subscribe('orders', (record) => { console.log(record.value?.toString()) })
 * await mq.sendSync('orders', 'created', { key: 'customer-7' })
 * await mq.close()
 * ```
 * Throws INVALID_CONFIG or MISSING_CONFIG with every finding in `context.issues`.
 */
export class MQ<V = RecordBytes, K = RecordBytes> {
  /** Complete and frozen; secrets are hidden when it is printed. */
  readonly config: ResolvedConfig
  readonly metrics: Metrics
  readonly #deps: Required<MQDeps>
  readonly #hooks: (SendHook & ProcessHook) | null
  readonly #events: Emitter<MQEvents>
  readonly #checks: HealthChecks
  readonly #operations: Operations
  readonly #monitor: Monitor<MQMetrics>
  readonly #process: ProcessMonitor | null
  #producers: readonly Part[] = []
  #consumers: readonly Part[] = []
  #gateways: readonly Leaving[] = []
  #producer: Producer<V, K> | null = null
  #consumer: Consumer<Read<V>, Read<K>> | null = null
  #bytesProducer: Producer | null = null
  #admin: AdminClient | null = null
  #pool: ConnectionPool | null = null
  #closing: Promise<CloseReport> | null = null
  /** Kinds whose turn in `close` has come. */
  readonly #ended = new Set<Kind>()
  /** Errors that were counted: one that is told in several ways is one error. */
  readonly #counted = new WeakSet<MQError>()
  #state: MQState = 'open'

  constructor(config: MQConfig & { readonly producer: WritesValues<V> & WritesKeys<K> }, deps?: MQDeps)
  constructor(config: MQConfig & { readonly producer: WritesValues<V>; readonly consumer: ReadsKeys<K> }, deps?: MQDeps)
  constructor(config: MQConfig & { readonly producer: WritesValues<V> }, deps?: MQDeps)
  constructor(config: MQConfig & { readonly consumer: ReadsValues<V> & ReadsKeys<K> }, deps?: MQDeps)
  constructor(config: MQConfig & { readonly consumer: ReadsValues<V> }, deps?: MQDeps)
  constructor(config?: MQConfig, deps?: MQDeps)
  constructor(config: MQConfig = {}, deps: MQDeps = {}) {
    this.config = resolveConfig(config)
    this.#deps = { clock: deps.clock ?? systemClock, random: deps.random ?? systemRandom }
    const { clock } = this.#deps
    const { logger, clientId, metrics, monitoring, performance } = this.config
    const { targetThroughputPerSec } = performance
    this.#events = new Emitter((error) => logger.error('a listener of the instance threw', { error: String(error) }))
    this.metrics = new Metrics({ settings: metrics, clientId, targetThroughputPerSec, clock, logger })
    this.#hooks = monitoring.enableTracing ? tracingHooks({ clientId, logger }) : null
    this.#checks = new HealthChecks({ clock, timeoutMs: monitoring.healthTimeoutMs, failed: this.#counter('health') })
    this.#operations = new Operations({ clock })
    this.#monitor = new Monitor({
      settings: monitoring,
      clock,
      logger,
      metrics: () => this.getMetrics(),
      produceSeconds: () => this.#producer?.measures().produceSeconds ?? null,
      report: (report) => this.#events.emit('report', report),
      alert: (alert) => this.#events.emit('alert', alert),
    })
    this.#process = metrics.process
      ? new ProcessMonitor({ intervalMs: metrics.processIntervalMs, clock, logger })
      : null
    if (this.#process !== null) this.metrics.attachProcess(this.#process)
    this.#registerChecks()
    this.metrics.setHealth(() => this.health())
    for (const { path, message } of clientWarnings(this.config)) this.#warnLater(path, `${path}: ${message}`)
  }

  get state(): MQState {
    return this.#state
  }

  /** The instance's producer, made when it is first asked for. After `close()` its calls reject with PRODUCER_CLOSED. */
  get producer(): Producer<V, K> {
    this.#producer ??= this.createProducer<V, K>()
    return this.#producer
  }

  /** The instance's consumer, made when it is first asked for. After `close()` its calls reject with CONSUMER_CLOSED. */
  get consumer(): Consumer<Read<V>, Read<K>> {
    this.#consumer ??= this.createConsumer<Read<V>, Read<K>>()
    return this.#consumer
  }

  /** Topics, configurations and groups. After `close()` its calls reject with CONNECTION_CLOSED. */
  get admin(): AdminClient {
    if (this.#admin === null) {
      this.#admin = new AdminClient(this.config, { ...this.#deps, told: this.#counter('admin') })
      this.#keep('admin', this.#admin)
    }
    return this.#admin
  }

  /** Connections to lend, and figures of all connections of this instance. After `close()` it rejects with CONNECTION_CLOSED. */
  get pool(): ConnectionPool {
    if (this.#pool === null) {
      this.#pool = new ConnectionPool(this.config, { ...this.#deps, told: this.#counter('pool') })
      this.metrics.attachConnections(this.#pool)
      this.#pool.on('error', (error) => this.#events.emit('error', error))
      this.#pool.on('warning', (warning) => this.#events.emit('warning', warning))
      this.#keep('pool', this.#pool)
    }
    return this.#pool
  }

  /**
   * A further producer with settings of its own over those of this instance; it is measured and closed with it.
   *
   * ```ts
   * const orders = mq.createProducer({ valueSerializer: json<Order>(), lingerMs: 20 })
   * ```
   */
  createProducer<V2, K2>(config: ProducerConfig & WritesValues<V2> & WritesKeys<K2>): Producer<V2, K2>
  createProducer<V2, K2 = K>(config: ProducerConfig & WritesValues<V2>): Producer<V2, K2>
  createProducer<V2 = V, K2 = K>(config?: ProducerConfig): Producer<V2, K2>
  createProducer<V2 = V, K2 = K>(config: ProducerConfig = {}): Producer<V2, K2> {
    const producer = this.#telling(() => {
      const resolved = resolveFurtherProducer(this.config, config)
      return new Producer<V2, K2>(resolved, { ...this.#deps, hooks: this.#hooks })
    })
    producer.on('error', (error) => this.#events.emit('error', error))
    producer.on('warning', (warning) => this.#events.emit('warning', warning))
    const leave = [this.metrics.attachProducer(producer), this.pool.include(producer)]
    if (producer.config.wal.durability !== 'memory') leave.push(this.metrics.attachWal(producer))
    const checks = { check: () => checkProducer(producer), checkLog: () => checkWal(producer) }
    this.#producers = [...stillOpen(this.#producers), { client: producer, leave, ...checks }]
    this.#begin()
    this.#keep('producers', producer)
    return producer
  }

  /** A further consumer with settings of its own, another `groupId` for example; it is measured and closed with the instance. */
  createConsumer<V2, K2>(config: ConsumerConfig & ReadsValues<V2> & ReadsKeys<K2>): Consumer<V2, K2>
  createConsumer<V2, K2 = Read<K>>(config: ConsumerConfig & ReadsValues<V2>): Consumer<V2, K2>
  createConsumer<V2 = Read<V>, K2 = Read<K>>(config?: ConsumerConfig): Consumer<V2, K2>
  createConsumer<V2 = Read<V>, K2 = Read<K>>(config: ConsumerConfig = {}): Consumer<V2, K2> {
    const resolved = this.#telling(() => resolveFurtherConsumer(this.config, config))
    const deadLetters = { sendSync: this.#sendBytes }
    const { clientId, groupId, logger } = resolved
    const hooks = this.#hooks === null ? null : tracingHooks({ clientId, groupId, logger })
    const consumer = new Consumer<V2, K2>(resolved, { ...this.#deps, hooks, deadLetters })
    consumer.on('error', (error) => this.#events.emit('error', error))
    consumer.on('warning', (warning) => this.#events.emit('warning', warning))
    const leave = [this.metrics.attachConsumer(consumer), this.pool.include(consumer)]
    this.#consumers = [...stillOpen(this.#consumers), { client: consumer, leave, check: () => checkConsumer(consumer) }]
    this.#begin()
    this.#keep('consumers', consumer)
    return consumer
  }

  /**
   * A producer of typed values, on its own: JSON unless `valueSerializer` says otherwise.
   *
   * ```ts
   * const orders = MQ.producer<Order>({ brokers: 'localhost:9092' })
   * await orders.sendSync('orders', { id: 7, total: 12.5 })
   * ```
   */
  static producer<V, K>(config: ProducerConfig & WritesValues<V> & WritesKeys<K>): Producer<V, K>
  static producer<V, K = RecordBytes>(config: ProducerConfig & WritesValues<V>): Producer<V, K>
  static producer<V, K = RecordBytes>(config?: ProducerConfig): Producer<V, K>
  static producer<V, K = RecordBytes>(config: ProducerConfig = {}): Producer<V, K> {
    return new Producer<V, K>({ ...config, valueSerializer: config.valueSerializer ?? json<V>() })
  }

  /** A consumer of typed values, on its own: JSON unless `valueDeserializer` says otherwise. */
  static consumer<V, K>(config: ConsumerConfig & ReadsValues<V> & ReadsKeys<K>): Consumer<V, K>
  static consumer<V, K = Buffer>(config: ConsumerConfig & ReadsValues<V>): Consumer<V, K>
  static consumer<V, K = Buffer>(config?: ConsumerConfig): Consumer<V, K>
  static consumer<V, K = Buffer>(config: ConsumerConfig = {}): Consumer<V, K> {
    return new Consumer<V, K>({ ...config, valueDeserializer: config.valueDeserializer ?? json<V>() })
  }

  /** `producer.sendSync`. Rejects with an MQError. */
  async sendSync(topic: string, value: V | null, options?: SendSyncOptions<K>): Promise<RecordMetadata> {
    return this.producer.sendSync(topic, value, options)
  }

  /** `producer.sendDurable`: resolves when the write-ahead log has the record. Rejects with an MQError. */
  async sendDurable(topic: string, value: V | null, options?: SendSyncOptions<K>): Promise<DurableReceipt> {
    return this.producer.sendDurable(topic, value, options)
  }

  /** `producer.sendAsync`: true, or false when memory is above the soft limit (`producer.ready()` waits for room). */
  sendAsync(
    topic: string,
    value: V | null,
    options?: SendOptions<K> | SendCallback | null,
    callback?: SendCallback | null,
  ): boolean {
    return this.producer.sendAsync(topic, value, options, callback)
  }

  /** `producer.sendBatchSync`: one result per message, in input order. */
  async sendBatchSync(batch: BatchToSend<V, K>): Promise<BatchResult[]> {
    return this.producer.sendBatchSync(batch)
  }

  /** `producer.sendBatchAsync`. */
  sendBatchAsync(
    batch: BatchToSend<V, K>,
    callback: (error: MQError | null, results: BatchResult[] | null) => void,
  ): void {
    this.producer.sendBatchAsync(batch, callback)
  }

  /**
   * A sender function for a `BatchQueue`: it sends a batch in order through the instance's producer, and rejects when any
   * record failed, or with `signal.reason` when it is aborted.
   * A retry sends the whole batch again, also what had arrived: the producer is idempotent for what it sends itself, not
   * for what it is given twice. With `idHeader: true` each record carries `tandem-id` (incarnation and position of its
   * item, the same in every retry and after a restart), by which a consumer leaves out what it has seen.
   *
   * ```ts
   * const queue = new BatchQueue<string>({ send: mq.queueSender('orders', { idHeader: true }), dir: './orders.wal', durability: 'os' })
   * ```
   */
  queueSender<T = V>(topic: string, options: QueueSenderOptions<T, V, K> = {}): SendFunc<T> {
    return queueSender<T, V, K>(() => this.producer, topic, options)
  }

  /**
   * A server through which browsers and TCP clients publish and subscribe (GW-1); it is measured with the instance, and
   * stopped by `close()`. Throws INVALID_CONFIG or MISSING_CONFIG naming every field.
   *
   * ```ts
   * const gateway = mq.gateway({ websocket: '127.0.0.1:8080', anonymous: { subscribe: ['news'] } })
   * await gateway.start()
   * ```
   */
  gateway(options: GatewayOptions): Gateway {
    const { clock } = this.#deps
    const createConsumer = (config: ConsumerConfig) => this.createConsumer<Buffer, Buffer>(config)
    const gateway = this.#telling(() => {
      const backend = gatewayBackend({ sendSync: this.#sendBytes, admin: this.admin, createConsumer, clock })
      const stats = () => this.getMetrics()
      return new Gateway(backend, { stats, ...options }, { clock, logger: this.config.logger })
    })
    const count = this.#counter('gateway')
    const { logger } = this.config
    // Where nobody listens the log is told, as a gateway without an instance does.
    gateway.on('error', (error) => {
      count(error)
      if (this.#events.has('error')) this.#events.emit('error', error)
      else logger.warn(error.message, { error })
    })
    gateway.on('warning', ({ message, context }) => {
      if (this.#events.has('warning')) this.#events.emit('warning', { message, context })
      else logger.warn(message, context)
    })
    const net = { readings: () => gateway.netReadings() }
    const leave = [this.metrics.attachRoom('gateway', gateway), this.metrics.attachRoom('net', net)]
    const client = {
      close: (limit?: { readonly timeoutMs?: number }) => gateway.stop(limit),
      get state() {
        return gateway.state === 'stopped' ? 'closed' : 'open'
      },
    }
    this.#gateways = [...stillOpen(this.#gateways), { client, leave }]
    this.#keep('gateways', client)
    return gateway
  }

  /** `consumer.subscribe`: joins `consumer.groupId` and calls back per record. Without a callback records wait to be pulled. */
  async subscribe(topics: Topics, options?: SubscribeOptions): Promise<void>
  async subscribe(topics: Topics, callback: OnRecord<Read<V>, Read<K>>, options?: SubscribeOptions): Promise<void>
  async subscribe(topics: Topics, ...how: unknown[]): Promise<void> {
    const { consumer } = this
    await (consumer.subscribe as (topics: Topics, ...how: unknown[]) => Promise<void>).call(consumer, topics, ...how)
  }

  /** `consumer.unsubscribe`: gives those topics back; the others go on. */
  async unsubscribe(topics: Topics): Promise<void> {
    await this.consumer.unsubscribe(topics)
  }

  /** `consumer.commitOffset`. */
  async commitOffset(target: CommitTarget, offset?: number): Promise<void> {
    await this.consumer.commitOffset(target, offset)
  }

  /** `consumer.commitOffsets`. */
  async commitOffsets(offsets: OffsetsToCommit): Promise<void> {
    await this.consumer.commitOffsets(offsets)
  }

  /**
   * A round trip to any broker. Rejects with CONNECTION_FAILED, CONNECTION_TIMEOUT (nothing within `timeoutMs`, default
   * `connection.readTimeoutMs`), AUTHENTICATION_FAILED, or `signal.reason`.
   */
  async ping(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}) {
    return this.pool.ping(options)
  }

  /** Runs every check in parallel: the built-in ones (brokers, producer, consumer, pool, wal) and those you registered. */
  health(): Promise<HealthReport> {
    return this.#checks.run()
  }

  /** A check of your own; it fails when it throws, rejects or takes longer than `monitoring.healthTimeoutMs`. */
  registerCheck(name: string, check: HealthCheck): void {
    this.#telling(() => this.#checks.register(name, check))
  }

  unregisterCheck(name: string): void {
    this.#checks.unregister(name)
  }

  /** Figures of all parts, as plain numbers; asking costs no round trip. */
  getMetrics(): MQMetrics {
    return {
      producer: this.producer.getMetrics(),
      consumer: this.consumer.getMetrics(),
      connectionPool: this.pool.getStats(),
      channel: this.producer.channelStats(),
      wal: walSnapshot(this.producer.walMeasures(), this.producer.walState),
      ...this.#operations.snapshot(),
    }
  }

  /** Latencies, rates and operations start anew; what the sums of records rest on goes on counting. */
  resetMetrics(): void {
    this.producer.resetMetrics()
    this.consumer.resetMetrics()
    this.#operations.reset()
  }

  /** Notes how long an operation of yours took. Milliseconds. Seen in `getMetrics().latency`. */
  recordLatency(operation: string, ms: number): void {
    this.#telling(() => this.#operations.recordLatency(operation, ms))
  }

  /** Notes how much an operation of yours handled. Seen in `getMetrics().throughput`. */
  recordThroughput(operation: string, count: number, bytes = 0): void {
    this.#telling(() => this.#operations.recordThroughput(operation, count, bytes))
  }

  /** Notes that an operation of yours failed. Seen in `getMetrics().errors`. */
  recordError(operation: string, type: string, error: unknown): void {
    this.#operations.recordError(operation, type, error)
  }

  /** Changes the producer while it runs (PR-11). Throws INVALID_CONFIG, and nothing changes then. */
  updateConfig(update: ProducerUpdate): void {
    this.producer.updateConfig(update)
  }

  on<E extends keyof MQEvents>(event: E, listener: (event: MQEvents[E]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /**
   * Stops the gateways, closes the consumers (callbacks end, offsets are committed), then the producers (what was accepted is sent), then
   * admin and pool. Every part is closed; the first error is thrown, the others are in its `context.others`. Idempotent.
   * `timeoutMs`: of all of it, default `closeTimeoutMs`. Gives the number of records that could not be sent in time.
   * A wrong `timeoutMs` is INVALID_CONFIG, and nothing is closed then.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<CloseReport> {
    const timeoutMs = this.#telling(() => closeTimeout(options?.timeoutMs, this.config.closeTimeoutMs))
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(timeoutMs: number): Promise<CloseReport> {
    this.#state = 'closing'
    this.#monitor.close()
    this.#process?.close()
    this.#checks.close()
    const steps = [
      this.#step('gateways', () => this.#gateways.map(({ client }) => client)),
      this.#step('consumers', () => this.#consumers.map(({ client }) => client)),
      this.#step('producers', () => this.#producers.map(({ client }) => client)),
      this.#step('admin', () => (this.#admin === null ? [] : [this.#admin])),
      this.#step('pool', () => (this.#pool === null ? [] : [this.#pool])),
      () => [this.metrics],
    ]
    return closeEach(steps, timeoutMs, this.#deps.clock).finally(() => {
      this.#state = 'closed'
    })
  }

  #step(kind: Kind, parts: () => readonly ClosablePart[]) {
    return () => {
      this.#ended.add(kind)
      return parts()
    }
  }

  /** Told once, and when somebody can listen; what concerns a group is told by its client. */
  #warnLater(path: string, message: string): void {
    this.config.logger.warn(message)
    this.#deps.clock.defer(() => this.#events.emit('warning', { message, context: { path } }))
  }

  /**
   * What is made when the turn of its kind is over is closed at once, so that its calls reject instead of opening
   * something. Before that it works: a callback that `close` waits for may send through a producer it is the first to use.
   */
  #keep(kind: Kind, part: ClosablePart): void {
    if (!this.#ended.has(kind)) return
    void part.close().catch((error: unknown) => this.#events.emit('error', error as MQError))
  }

  /** `errors_total` of what is raised here; producers and consumers count their own. */
  #counter(component: string): Told {
    return (raised) => {
      const error = findMQError(raised)
      if (error === undefined || this.#counted.has(error)) return
      this.#counted.add(error)
      this.metrics.countError(component, error)
    }
  }

  #telling<T>(task: () => T): T {
    return telling(this.#counter('mq'), task)
  }

  /** What runs by itself begins with the first client, in a turn of its own: it looks at clients that are being made here. */
  #begin(): void {
    this.#deps.clock.defer(() => {
      if (this.#state !== 'open') return
      this.#monitor.start()
      this.#process?.start()
      this.metrics.start()
    })
  }

  /** Dead letters and what clients of a gateway publish are bytes: serializers of the instance must not touch them. */
  readonly #sendBytes: Producer['sendSync'] = (...record) => {
    const { keySerializer, valueSerializer, topics } = this.config.producer
    const isPlain = keySerializer === undefined && valueSerializer === undefined && Object.keys(topics).length === 0
    // A log has one owner, the instance's own producer; these records are waited for until Kafka has them.
    const noLog = { durability: 'memory' } as const
    const plain = { keySerializer: bytes(), valueSerializer: bytes(), topics: {}, wal: noLog }
    this.#bytesProducer ??= isPlain
      ? (this.producer as unknown as Producer)
      : this.createProducer<RecordBytes, RecordBytes>(plain)
    return this.#bytesProducer.sendSync(...record)
  }

  #registerChecks(): void {
    const { healthTimeoutMs } = this.config.monitoring
    this.#checks.register('brokers', (signal) => this.ping({ timeoutMs: healthTimeoutMs, signal }))
    this.#checks.register('producer', () => checkEach(this.#producers, this.#producer))
    this.#checks.register('consumer', () => checkEach(this.#consumers, this.#consumer))
    this.#checks.register('pool', () => this.#pool?.checkHealth())
    this.#checks.register('wal', () => {
      for (const { client, checkLog } of this.#producers) {
        if (client.state !== 'closed' || client === this.#producer) checkLog?.()
      }
    })
  }
}

/** All of them; one that was closed is none of our business, unless it is the instance's own. */
function checkEach(parts: readonly Part[], own: unknown): void {
  for (const { client, check } of parts) if (client.state !== 'closed' || client === own) check()
}

/** Without the parts that their users have closed: these leave the figures, where their totals stay counted. */
function stillOpen<P extends Leaving>(parts: readonly P[]): readonly P[] {
  for (const { client, leave } of parts) if (client.state === 'closed') for (const one of leave) one()
  return parts.filter(({ client }) => client.state !== 'closed')
}
