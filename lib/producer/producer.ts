/**
 * The producer's front end. Hot path: `sendAsync`, once per record.
 * A record is checked, gets a partition and is encoded into its lane before the call returns; everything later happens
 * once per batch, in `producer-core`.
 * Invariant (PR-22): accepted = acknowledged + failed + dropped + pending, and each record is told its fate once.
 */
import { randomUUID } from 'node:crypto'
import type { ChannelStats } from '../channel/index.js'
import { Cluster, type ClusterDeps, type ConnectionStats, clusterOptionsOf } from '../cluster/index.js'
import {
  type ConfigWarning,
  configWarnings,
  type ProducerConfig,
  type ProducerUpdate,
  type ResolvedProducerConfig,
  resolveProducerConfig,
  resolveProducerUpdate,
  type Serializer,
} from '../config/index.js'
import { MQError, toMQError } from '../errors/index.js'
import {
  BATCH_HEADER_BYTES,
  bytesLength,
  type HeadersInput,
  headersBytes,
  type RecordBytes,
  varintBytes,
} from '../protocol/index.js'
import {
  type Clock,
  Emitter,
  type RandomSource,
  randomInt,
  type SendHook,
  systemClock,
  systemRandom,
} from '../util/index.js'
import type { WalState } from '../wal/index.js'
import type { RecordMetadata, SendCallback } from './batch.js'
import { type BatchResult, type BatchToSend, checkBatch, collectResults, type Placement, place } from './batch-send.js'
import { BlockedSends } from './blocked-sends.js'
import { copiedHeaders, copyOf, copyOfHeaders, isPlain, toBytes } from './caller-data.js'
import type { CircuitEvent } from './circuits.js'
import { type ProducerMetrics, snapshot } from './counters.js'
import type { DataLoss } from './data-loss.js'
import { hearRejection } from './deliver.js'
import { EarlyRecords } from './early-records.js'
import { APPENDED, type Lane, MEMORY_FULL } from './lane.js'
import { type DurableReceipt, durableCallback } from './log/durable-send.js'
import { type Guarantee, guaranteeOf } from './log/guarantee.js'
import type { OpenWal, ProducerWalMeasures, WalRecovery } from './log/log-life.js'
import { openRealWal } from './log/open-wal.js'
import type { HeldStream, WalEdge } from './log/resolution/types.js'
import type { ProducerMeasures } from './measures.js'
import { keyedPartition } from './partitioner.js'
import { type CoreEvents, ProducerCore } from './producer-core.js'
import { readStats } from './read-measures.js'
import { RecordClock, RecordTime } from './record-clock.js'
import {
  badLimit,
  badTimestamp,
  bufferFull,
  checkedTopic,
  closedError,
  invalidPartition,
  noDurableLog,
  notInTime,
  pendingAfter,
  tooLarge,
} from './refusals.js'
import type { TopicLanes } from './topic-lanes.js'
import { type Fate, Tracer } from './tracing.js'
import { ending, limitWait, NO_LIMIT, type WaitLimit } from './wait-limit.js'

/** What accompanies a value. */
export interface SendOptions<K = RecordBytes> {
  /** Decides the partition (murmur2, as Java); null or unset: sticky. An empty key is a key. */
  readonly key?: K | null
  readonly headers?: HeadersInput
  /** Explicit partition; unknown -> INVALID_PARTITION. */
  readonly partition?: number
  /** Record time, ms since 1970. Default: now. */
  readonly timestamp?: number
}

export interface SendSyncOptions<K = RecordBytes> extends SendOptions<K> {
  /** 'acknowledged' (default): as `acks` asks. 'accepted': when the record is ours; its offset is -1 then. */
  readonly until?: 'acknowledged' | 'accepted'
  /** Ends the wait with `signal.reason`; a record that still waits for memory is withdrawn. */
  readonly signal?: AbortSignal
  /** Ends the wait with TIMEOUT; the record itself goes on. Milliseconds. */
  readonly timeoutMs?: number
}

export interface ProducerEvents {
  /** Every MQError that records failed with, and errors thrown by callbacks. */
  error: MQError
  warning: MQError
  /** Memory is above the soft limit: `sendAsync` returns false now. */
  backpressure: { readonly usedBytes: number; readonly limitBytes: number }
  /** Memory is back at the resume limit. */
  drain: { readonly usedBytes: number; readonly limitBytes: number }
  /** A broker lost records it had acknowledged. */
  dataLoss: DataLoss
  /** A broker's circuit changed (`circuitBreaker`). */
  circuit: CircuitEvent
  /** A file of the log was given up after a failed write; its records were written anew and appends go on. */
  walDegraded: MQError
  /** The log cannot be written any more: see `wal.onWalFailure`. */
  walFailed: MQError
  /** A sync of the log took longer than a second. Milliseconds. */
  walSlowSync: { readonly ms: number }
  /** Records at the edge of what is promised (docs/wal.md): each occurrence, never silent. */
  walEdge: WalEdge
  /** A topic-partition waits for `resolveHeld`. */
  walHeld: HeldStream
  /** What an earlier life left in the log is being read and resolved. */
  walRecovery: WalRecovery
}

/** What tests and simulations replace, and who observes records. */
export interface ProducerDeps extends Omit<ClusterDeps, 'logger'> {
  /** Sees each record on its way and learns what became of it; null or unset: nobody. */
  readonly hooks?: SendHook | null | undefined
  /** Makes trace ids for records that are sent outside of any. Default: random UUIDs. */
  readonly newTraceId?: (() => string) | undefined
  /** Opens the write-ahead log. Default: on the real file system. */
  readonly openWal?: OpenWal | undefined
}

/** The type of values, or keys, follows from what writes them. */
export interface WritesValues<V> {
  readonly valueSerializer: Serializer<V>
}
export interface WritesKeys<K> {
  readonly keySerializer: Serializer<K>
}

export type ProducerState = 'new' | 'open' | 'closing' | 'closed'

/** How long `close` waits for the disk. Milliseconds. */
const LOG_CLOSE_MS = 5000
const NOT_LIMITED = Number.POSITIVE_INFINITY
/** Part of the buffer memory a record that waits for memory asks for at least: the smallest arena. */
const SMALLEST_ARENA = 16 * 1024

/**
 * Sends records to Kafka: buffered, batched, compressed, idempotent. `V` and `K` are what the serializers take, bytes and
 * text without them; they follow from `valueSerializer` and `keySerializer`.
 *
 * ```ts
 * const producer = new Producer({ brokers: 'localhost:9092' })
 * const { offset } = await producer.sendSync('orders', 'value', { key: 'customer-7' })
 * await producer.close()
 * ```
 */
export class Producer<V = RecordBytes, K = RecordBytes> {
  #config: ResolvedProducerConfig
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #times: RecordClock
  /** Of the record that is being accepted. */
  readonly #time = new RecordTime()
  readonly #cluster: Cluster
  readonly #core: ProducerCore
  readonly #events: Emitter<ProducerEvents>
  readonly #blocked: BlockedSends
  /** null: `trace` is off and nobody observes. */
  readonly #tracer: Tracer | null
  readonly #maxRecordBytes: number
  readonly #limitsRecords: boolean
  /** Records that are appended take their place in the budget; false for those that have one. */
  #takesRecords: boolean
  /** There are serializers, perhaps of some topics only: nothing goes around them. */
  readonly #serializes: boolean
  /** What is accepted next has been serialized. */
  #hasBytes = false
  /** The last record was refused for want of memory. */
  #lacksMemory = false
  #state: ProducerState = 'new'
  #connecting: Promise<void> | null = null
  #closing: Promise<CloseReport> | null = null
  // The topic of the last record: services write to few topics, and a comparison beats a look-up.
  #lastTopic: TopicLanes | null = null

  constructor(config: ProducerConfig & WritesValues<V> & WritesKeys<K>, deps?: ProducerDeps)
  constructor(config: ProducerConfig & WritesValues<V>, deps?: ProducerDeps)
  constructor(config: ProducerConfig & WritesKeys<K>, deps?: ProducerDeps)
  constructor(config?: ProducerConfig, deps?: ProducerDeps)
  constructor(config: ProducerConfig = {}, deps: ProducerDeps = {}) {
    this.#config = resolveProducerConfig(config)
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? systemRandom
    this.#times = new RecordClock(this.#clock)
    this.#events = new Emitter((error) =>
      this.#config.logger.error('an event listener threw', { error: String(error) }),
    )
    this.#cluster = new Cluster(clusterOptionsOf(this.#config), { ...deps, logger: this.#config.logger })
    const events: CoreEvents = {
      warning: (error) => this.#warn(error),
      error: (error) => this.#raise(error),
      dataLoss: (loss) => this.#events.emit('dataLoss', loss),
      circuit: (change) => this.#clock.defer(() => this.#events.emit('circuit', change)),
      replay: (topic, records, done) => this.#replay(topic, records, done),
      died: (error) => this.#died(error),
      degraded: (error) => this.#emitLater('walDegraded', error),
      failed: (error) => this.#emitLater('walFailed', error),
      slowSync: (ms) => this.#emitLater('walSlowSync', { ms }),
      edge: (edge) => this.#emitLater('walEdge', edge),
      held: (held) => this.#emitLater('walHeld', held),
      recovery: (step) => this.#emitLater('walRecovery', step),
    }
    const openWal = deps.openWal ?? openRealWal(this.#clock, this.#config.logger)
    this.#core = new ProducerCore(this.#config, this.#cluster, this.#clock, this.#random, events, openWal)
    const { budget } = this.#core.memory
    budget.onSoft = () => {
      this.#core.counters.softLimits++
      this.#core.log?.relieveSoon()
      this.#clock.defer(() => this.#events.emit('backpressure', this.#usage()))
    }
    budget.onResume = () => this.#clock.defer(() => this.#events.emit('drain', this.#usage()))
    this.#blocked = new BlockedSends(budget, this.#clock, this.#config.maxBlockMs, () => this.#core.isLogFull)
    this.#tracer = this.#makeTracer(deps)
    this.#maxRecordBytes = this.#config.maxBatchBytes - BATCH_HEADER_BYTES
    this.#limitsRecords = this.#config.bufferMaxRecords !== undefined
    this.#takesRecords = this.#limitsRecords
    this.#serializes = hasSerializers(this.#config)
    this.#warnOfSettings(configWarnings(this.#config))
  }

  get state(): ProducerState {
    return this.#state
  }

  /** What is in effect now; `updateConfig` exchanges it. */
  get config(): ResolvedProducerConfig {
    return this.#config
  }

  /** Something is in the way of delivery: `checkHealth` says what. Records are accepted all the same (PR-19). */
  get isDegraded(): boolean {
    return this.#core.trouble !== null
  }

  /**
   * Throws what is in the way of delivery: CONNECTION_FAILED (no broker is reachable; the one that records wait for is
   * not; its circuit is not closed, reason CIRCUIT_OPEN; a partition has no leader), PRODUCER_CLOSED, or the fatal error
   * that ended the producer. Nothing of this needs a restart but the last two.
   */
  checkHealth(): void {
    const { trouble } = this.#core
    if (trouble !== null) throw trouble
  }

  /**
   * Changes settings while records flow (PR-11): `lingerMs, batchBytes, batchMaxRecords, compression, switchStrategy,
   * maxInFlight`. All lanes take them over at once; batches that are sealed stay as they are, and batches above a smaller
   * `maxInFlight` finish. Throws INVALID_CONFIG, and nothing changes then; PRODUCER_CLOSED.
   *
   * ```ts
   * producer.updateConfig({ lingerMs: 20, compression: 'zstd' })
   * ```
   */
  updateConfig(update: ProducerUpdate): void {
    try {
      if (this.#state === 'closing' || this.#state === 'closed') throw this.#core.end ?? closedError()
      const config = resolveProducerUpdate(this.#config, update)
      this.#core.updateConfig(config)
      const before = this.#config
      this.#config = config
      this.#warnOfSettings(configWarnings(config).filter(({ path }) => hasChanged(path, before, config)))
    } catch (error) {
      throw this.#core.counters.toldIfOurs(error)
    }
  }

  /** Listens to an event; returns the function that ends it. */
  on<E extends keyof ProducerEvents>(event: E, listener: (value: ProducerEvents[E]) => void): () => void {
    return this.#events.on(event, listener)
  }

  /**
   * Reaches a broker and fetches a producer id, so that the first send is quick. Optional: the first send does it too.
   * Rejects CONNECTION_FAILED when no broker answers. With a write-ahead log it opens that first, and begins to recover
   * what is in it: rejects with reason WAL_LOCKED, WAL_PERMISSION, WAL_CORRUPT ... when it cannot be opened.
   */
  async connect(): Promise<void> {
    this.#begin()
    this.#connecting ??= this.#connect().catch((error: unknown) => {
      this.#connecting = null
      throw this.#core.counters.toldIfOurs(error)
    })
    return this.#connecting
  }

  async #connect(): Promise<void> {
    this.#core.openLog()
    await this.#core.life?.open()
    await this.#cluster.connect()
    this.#askIdentity()
  }

  /**
   * Sends one record and resolves when it is acknowledged as `acks` asks; never waits for linger.
   * Rejects with an MQError: MESSAGE_TOO_LARGE, TOPIC_NOT_FOUND, INVALID_PARTITION, TIMEOUT, PRODUCE_FAILED, PRODUCER_CLOSED.
   */
  sendSync(topic: string, value: V | null, options?: SendSyncOptions<K>): Promise<RecordMetadata> {
    return new Promise((resolve, reject) => {
      const settle: SendCallback = (error, metadata) => {
        if (error !== null) reject(error)
        else resolve(metadata as RecordMetadata)
      }
      let fate: Fate | null = null
      try {
        const traced = this.#tracer?.begin(topic, value, options)
        fate = traced?.fate ?? null
        this.#open()
        this.#sendWaited(topic, value, traced?.options ?? options, settle, reject, fate)
      } catch (error) {
        reject(this.#refusal(error, topic, fate))
      }
    })
  }

  /**
   * Sends one record and resolves when the write-ahead log has it, as `wal.durability` promises: from then on it is
   * delivered, by this process or the next one that opens the log. It does not wait for a broker.
   * Rejects as `sendSync` does, and INVALID_CONFIG without a durable log, POOL_EXHAUSTED or TIMEOUT (reason WAL_FULL)
   * when the log is full, PRODUCE_FAILED (WAL_FAILED) when it cannot be written.
   */
  sendDurable(topic: string, value: V | null, options?: SendSyncOptions<K>): Promise<DurableReceipt> {
    return new Promise((resolve, reject) => {
      const incarnationId = () => this.#core.life?.wal?.incarnationId ?? ''
      const settle = durableCallback(incarnationId, resolve, reject)
      let fate: Fate | null = null
      try {
        if (this.#core.log?.isEager !== true) throw noDurableLog(this.#config.wal.durability)
        const traced = this.#tracer?.begin(topic, value, options)
        fate = traced?.fate ?? null
        this.#open()
        this.#sendWaited(topic, value, traced?.options ?? options, settle, reject, fate)
      } catch (error) {
        reject(this.#refusal(error, topic, fate))
      }
    })
  }

  /** What is promised of records that are accepted now, and which conditions of it do not hold. */
  get guarantee(): Guarantee {
    const { log, life } = this.#core
    return guaranteeOf(this.#config.wal.durability, log?.isFailed === true, life?.isTopicSafe === true)
  }

  /** Of the write-ahead log; null: there is none, or it is not open. */
  get walState(): WalState | null {
    return this.#core.life?.wal?.state ?? null
  }

  /** Resolves when everything an earlier process left in the log is settled or held; at once without a log. */
  async walRecovered(): Promise<void> {
    if (this.#core.life === null) return
    this.#open()
    await this.#core.life.recovered()
  }

  /** Topic-partitions about which nobody can decide (`wal.onAmbiguous: 'hold'`): nothing of them leaves. */
  get heldStreams(): readonly HeldStream[] {
    return this.#core.life?.heldStreams ?? []
  }

  /**
   * Decides about a held topic-partition: 'drop' gives up the records in doubt, 'resend' sends them again, perhaps a
   * second time. Rejects INVALID_PARTITION when it is not held.
   */
  async resolveHeld(topic: string, partition: number, action: 'drop' | 'resend'): Promise<void> {
    if (action !== 'drop' && action !== 'resend') {
      const text = `resolveHeld: action is ${String(action)}, expected 'drop' or 'resend'`
      throw this.#core.counters.told(new MQError('INVALID_CONFIG', text, { field: 'action' }))
    }
    if (this.#core.life === null) throw this.#core.counters.told(noDurableLog('memory'))
    try {
      await this.#core.life.resolveHeld(topic, partition, action)
    } catch (error) {
      throw this.#core.counters.toldIfOurs(error)
    }
  }

  /** What metrics read of the log; null: there is none, or it is not open. */
  walMeasures(): ProducerWalMeasures | null {
    return this.#core.life?.measures() ?? null
  }

  sendSyncWithKey(topic: string, key: K, value: V | null): Promise<RecordMetadata> {
    return this.sendSync(topic, value, { key })
  }

  sendSyncWithHeaders(topic: string, key: K | null, value: V | null, headers: HeadersInput): Promise<RecordMetadata> {
    return this.sendSync(topic, value, { key, headers })
  }

  /**
   * Accepts one record and returns at once: true, or false when memory is above the soft limit (wait for `ready()`).
   * `callback` is told once, in partition order, never in this turn. A record that is refused (too large, closed,
   * memory full) is told to the callback, or to the `error` event when there is none.
   */
  sendAsync(
    topic: string,
    value: V | null,
    options?: SendOptions<K> | SendCallback | null,
    callback?: SendCallback | null,
  ): boolean {
    if (typeof options === 'function') {
      callback = options
      options = null
    }
    try {
      if (this.#tracer !== null) {
        const traced = this.#tracer.begin(topic, value, options)
        options = traced.options
        if (traced.fate !== null) callback = traced.fate.around(callback ?? null)
      }
      if (this.#state !== 'open') this.#open()
      // Nothing overtakes the sends that wait for memory.
      const isBlocked = this.#blocked.size > 0
      const result = isBlocked ? MEMORY_FULL : this.#accept(topic, value, options ?? null, callback ?? null, false)
      if (result === MEMORY_FULL) this.#core.counters.hardLimits++
      if (result === MEMORY_FULL && !this.#makeRoom(topic, value, options ?? null, callback ?? null)) {
        this.#lacksMemory = true
        throw bufferFull(this.#usage(), this.#core.isLogFull)
      }
    } catch (error) {
      this.#tellRefused(this.#refusal(error, topic), callback ?? null)
      return false
    }
    return !this.#core.memory.budget.isSoft
  }

  sendAsyncWithKey(topic: string, key: K, value: V | null, callback?: SendCallback): boolean {
    return this.sendAsync(topic, value, { key }, callback)
  }

  sendAsyncWithHeaders(
    topic: string,
    key: K | null,
    value: V | null,
    headers: HeadersInput,
    callback?: SendCallback,
  ): boolean {
    return this.sendAsync(topic, value, { key, headers }, callback)
  }

  /**
   * Sends many records; resolves with one result per message **in input order**, whatever partitions they went to.
   * A bad message fails alone; rejects only when the producer is closed or the batch is malformed.
   */
  sendBatchSync(batch: BatchToSend<V, K>): Promise<BatchResult[]> {
    return new Promise((resolve, reject) => {
      try {
        this.sendBatchAsync(batch, (error, results) => {
          if (error !== null) reject(error)
          else resolve(results as BatchResult[])
        })
      } catch (error) {
        reject(error)
      }
    })
  }

  /** As `sendBatchSync`, with a callback. Throws PRODUCER_CLOSED or INVALID_CONFIG for a malformed batch. */
  sendBatchAsync(
    batch: BatchToSend<V, K>,
    callback: (error: MQError | null, results: BatchResult[] | null) => void,
  ): void {
    this.#open()
    checkBatch(batch)
    const { messages, lingerMs } = batch
    const collect = collectResults(messages.length, this.#clock, (results) => this.#tellBatch(callback, results))
    const limits = { bytes: batch.maxBatchBytes ?? NOT_LIMITED, records: batch.maxBatchRecords ?? NOT_LIMITED }
    const lanes = new Set<Lane>()
    for (const [index, message] of messages.entries()) {
      const topic = message?.topic ?? (batch.topic as string)
      const settle = collect(index, topic)
      const failed = (error: unknown) => settle(error as MQError, null)
      let fate: Fate | null = null
      try {
        const traced = this.#tracer?.begin(topic, message?.value, message)
        fate = traced?.fate ?? null
        this.#sendWaited(topic, message.value, traced?.options ?? message, settle, failed, fate, {
          limits,
          lanes,
          isUrgent: lingerMs === undefined || lingerMs === 0,
        })
      } catch (error) {
        const refusal = this.#refusal(error, topic, fate)
        this.#clock.defer(() => settle(refusal, null))
      }
    }
    const isLimited = limits.bytes !== NOT_LIMITED || limits.records !== NOT_LIMITED
    if (lingerMs === undefined || lingerMs === 0) {
      // Records of others would make the last batches larger than this call allows.
      if (isLimited) for (const lane of lanes) lane.sealFull()
    } else {
      void this.#core.pauses.wait(lingerMs).then(() => {
        for (const lane of lanes) lane.leaveSoon()
      })
    }
  }

  /**
   * Resolves at once below the soft limit, else when memory is back at the resume limit. After a record that was
   * refused for want of memory it resolves when there is room again, wherever the soft limit is.
   */
  async ready(options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {}): Promise<void> {
    try {
      await this.#whenRoom(options)
    } catch (error) {
      throw this.#core.counters.toldIfOurs(error)
    }
  }

  async #whenRoom(options: { readonly signal?: AbortSignal; readonly timeoutMs?: number }): Promise<void> {
    const { budget } = this.#core.memory
    const limits = { ...options, clock: this.#clock }
    if (this.#lacksMemory && !budget.isSoft) {
      this.#lacksMemory = false
      // At least a turn of the event loop: a caller who sends again at once must not starve what would make room.
      await new Promise<void>((resolve) => this.#clock.defer(resolve))
      await budget.waitForRoom(SMALLEST_ARENA, limits)
      budget.give(SMALLEST_ARENA, 0)
    }
    await budget.ready(limits)
  }

  /**
   * Resolves when everything accepted before the call is settled. Concurrent calls, also from callbacks, are fine.
   * TIMEOUT after `timeoutMs` with `context.pendingRecords`; the data stays queued.
   */
  flush(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    if ((options as unknown) === null) {
      return Promise.reject(new MQError('INVALID_CONFIG', 'flush: expected an object of options, got null'))
    }
    const { timeoutMs, signal } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const limit = this.#limitWait(timeoutMs, signal, (ms) => this.#flushTimeout(ms), reject)
      // What waits for memory was asked for before this call: it is counted in.
      this.#blocked.afterThese(() =>
        this.#core.flushToken(() => {
          limit.end()
          resolve()
        }),
      )
    })
  }

  /**
   * Stops intake, sends what is pending, waits for it at most `timeoutMs`, and releases everything. Idempotent.
   * What could not be sent fails with PRODUCER_CLOSED and is counted in the answer. INVALID_CONFIG for what is no number
   * of milliseconds, and the producer stays open: what it has accepted must not be lost for a slip of the pen.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<CloseReport> {
    const timeoutMs = options?.timeoutMs ?? this.#config.closeTimeoutMs
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
      return Promise.reject(this.#core.counters.told(badLimit(timeoutMs)))
    }
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Sockets of this producer, now and in all (CL-3). A connection pool adds them up through `include`. */
  connectionStats(): ConnectionStats {
    return this.#cluster.stats()
  }

  /** A snapshot of the counters. */
  getMetrics(): ProducerMetrics {
    const { usedBytes, limitBytes } = this.#core.memory.budget
    return snapshot(this.#core.counters, {
      bufferUsedBytes: usedBytes,
      bufferLimitBytes: limitBytes,
      inFlightRequests: this.#core.inFlightRequests,
      circuitState: this.#core.circuitState,
      backoffMs: this.#core.backoffMs,
    })
  }

  /** All lanes of this producer as one channel (CH-2). */
  channelStats(): ChannelStats {
    return readStats(this.#core.lanes, this.#core.counters, this.#core.memory)
  }

  /** What metrics read (features.md part 5): running totals, levels, histograms that go on counting. */
  measures(): ProducerMeasures {
    return this.#core.measures(this.#blocked.blockedMs)
  }

  /**
   * Latencies and rates of `getMetrics` begin anew (ME-4). Counts of records and bytes go on: what is pending now is
   * acknowledged later, and accepted = acknowledged + failed + dropped + pending must hold at every moment.
   */
  resetMetrics(): void {
    this.#core.counters.resetStatistics()
  }

  // --- one record --------------------------------------------------------------------------------------------------

  /** Takes a record over, or says MEMORY_FULL; throws when it can never be taken. */
  #accept(
    topicName: string,
    value: V | null,
    options: SendOptions<K> | null,
    callback: SendCallback | null,
    isUrgent: boolean,
    placement: Placement | null = null,
  ): number {
    let topic = this.#lastTopic
    if (topic === null || topic.name !== topicName || !topic.isReady) topic = this.#topicOf(topicName)
    const takesBytes = !this.#serializes || this.#isSerialized()
    const valueBytes = takesBytes && isPlain(value) ? value : this.#serialize(value, topicName, 'value')
    const valueLength = valueBytes instanceof Uint8Array ? valueBytes.length : bytesLength(valueBytes)
    let keyBytes: RecordBytes = null
    let keyLength = -1
    let headers: HeadersInput | null = null
    let headerBytes = 1
    let hasTime = false
    let partition = -1
    if (options !== null) {
      const { key } = options
      if (key !== undefined && key !== null) {
        keyBytes = takesBytes && isPlain(key) ? key : this.#serialize(key, topicName, 'key')
        keyLength = bytesLength(keyBytes)
      }
      if (options.headers !== undefined) {
        headers = options.headers ?? null
        headerBytes = headersBytes(headers)
      }
      const { timestamp } = options
      if (timestamp !== undefined) {
        if (!Number.isSafeInteger(timestamp) || timestamp < 0) throw badTimestamp(timestamp)
        hasTime = true
        this.#time.slot[0] = timestamp
      }
      if (options.partition !== undefined) partition = options.partition
    }
    if (!hasTime) this.#times.stamp(this.#time)
    const size = Math.max(0, keyLength) + Math.max(0, valueLength) + headerBytes
    // 31: the most that lengths, deltas and attributes can add; only records near the limit are measured exactly.
    if (size + 31 > this.#maxRecordBytes) this.#checkSize(size, keyLength, valueLength)
    if (!topic.isReady) {
      return this.#acceptEarly(
        topic,
        partition,
        keyBytes,
        keyLength,
        valueBytes,
        valueLength,
        headers,
        headerBytes,
        callback,
        isUrgent,
        placement,
      )
    }
    return this.#append(
      topic,
      partition,
      keyBytes,
      keyLength,
      valueBytes,
      valueLength,
      headers,
      headerBytes,
      callback,
      isUrgent,
      placement,
    )
  }

  #append(
    topic: TopicLanes,
    partition: number,
    key: RecordBytes,
    keyLength: number,
    value: RecordBytes,
    valueLength: number,
    headers: HeadersInput | null,
    headerBytes: number,
    callback: SendCallback | null,
    isUrgent: boolean,
    placement: Placement | null,
  ): number {
    const isSticky = partition < 0 && keyLength < 0
    const target = this.#partitionFor(topic, partition, key, value)
    // A topic that was made anew may have fewer partitions than lanes of its former life.
    const lane = target < topic.partitionCount ? topic.lanes[target] : undefined
    if (lane === undefined) throw invalidPartition(topic, target)
    if (this.#takesRecords && !this.#core.memory.budget.tryTake(0, 1)) return MEMORY_FULL
    if (placement !== null) place(placement, lane, lane.bytesWith(this.#time, keyLength, valueLength, headerBytes))
    const result = lane.append(this.#time, key, keyLength, value, valueLength, headers, headerBytes, callback)
    if (result === MEMORY_FULL) {
      if (this.#takesRecords) this.#core.memory.budget.give(0, 1)
      return result
    }
    const { counters } = this.#core
    counters.accepted++
    const bytes = headerBytes + Math.max(keyLength, 0) + Math.max(valueLength, 0)
    counters.acceptedBytes += bytes
    if (isSticky) topic.sticky.wrote(bytes, this.#core.settings.batchBytes)
    if (isUrgent) lane.leaveSoon()
    return result
  }

  #topicOf(name: string): TopicLanes {
    const topic = this.#core.topicOf(checkedTopic(name))
    this.#lastTopic = topic
    return topic
  }

  #partitionFor(topic: TopicLanes, explicit: number, key: RecordBytes, value: RecordBytes): number {
    if (explicit >= 0) return explicit
    if (explicit !== -1) throw invalidPartition(topic, explicit)
    const { partitioner } = this.#config
    const count = topic.partitionCount
    if (partitioner === 'default') return key === null ? topic.sticky.pick(count) : keyedPartition(key, count)
    if (typeof partitioner === 'function') {
      const timeMs = this.#time.ms
      const chosen: unknown = partitioner(topic.name, toBytes(key), toBytes(value), count)
      this.#time.ms = timeMs // The function may have sent records of its own.
      if (typeof chosen !== 'number' || !Number.isInteger(chosen) || chosen < 0) throw invalidPartition(topic, chosen)
      return chosen
    }
    if (key !== null) return keyedPartition(key, count)
    if (partitioner === 'random') return randomInt(this.#random, count)
    topic.roundRobin = (topic.roundRobin + 1) % count
    return topic.roundRobin
  }

  /** Encodes the record into memory of its topic until the partitions are known. */
  #acceptEarly(
    topic: TopicLanes,
    partition: number,
    key: RecordBytes,
    keyLength: number,
    value: RecordBytes,
    valueLength: number,
    headers: HeadersInput | null,
    headerBytes: number,
    callback: SendCallback | null,
    isUrgent: boolean,
    placement: Placement | null,
  ): number {
    const { memory, counters } = this.#core
    topic.early ??= new EarlyRecords(memory)
    const { early } = topic
    if (this.#limitsRecords && !memory.budget.tryTake(0, 1)) return MEMORY_FULL
    if (!early.add(partition, this.#time, key, keyLength, value, valueLength, headers, headerBytes, callback)) {
      if (this.#limitsRecords) memory.budget.give(0, 1)
      return MEMORY_FULL
    }
    if (placement !== null) early.remember(placement)
    early.isUrgent ||= isUrgent
    counters.accepted++
    counters.acceptedBytes += headerBytes + Math.max(0, keyLength) + Math.max(0, valueLength)
    return APPENDED
  }

  /** Appends what waited for metadata, in its order; `done` when all of it is in its lanes. */
  #replay(topic: TopicLanes, early: EarlyRecords, done: () => void): void {
    const { counters, memory } = this.#core
    const { isUrgent } = early
    early.replay(({ partition, timestamp, key, value, headers, callback, placement }) => {
      const keyLength = bytesLength(key)
      const valueLength = bytesLength(value)
      const headerBytes = headersBytes(headers)
      const size = Math.max(0, keyLength) + Math.max(0, valueLength) + headerBytes
      const append = (key: RecordBytes, value: RecordBytes, headers: HeadersInput | null) => {
        this.#time.ms = timestamp
        const result = this.#asAccepted(() =>
          this.#append(
            topic,
            partition,
            key,
            keyLength,
            value,
            valueLength,
            headers,
            headerBytes,
            callback,
            isUrgent,
            placement,
          ),
        )
        if (result === MEMORY_FULL) return result
        // It was counted when it came.
        counters.accepted--
        counters.acceptedBytes -= size
        return result
      }
      const fail = (error: unknown) => {
        counters.failed++
        if (this.#limitsRecords) memory.budget.give(0, 1)
        this.#tellRefused(this.#asTold(error, topic.name), callback)
      }
      try {
        if (!this.#blocked.hasFirst && append(key, value, headers) !== MEMORY_FULL) return
        // All of them are views of an arena that is free again when this replay is over.
        const [keyCopy, valueCopy, headersCopy] = [copyOf(key), copyOf(value), copyOfHeaders(headers)]
        this.#block(() => append(keyCopy, valueCopy, headersCopy), size, fail, undefined, true)
      } catch (error) {
        fail(error)
      }
    })
    this.#blocked.afterFirst(done)
  }

  /** Appends a record that has its place in the budget, and a right to be before all that came later. */
  #asAccepted(append: () => number): number {
    const { memory } = this.#core
    memory.usesReserve = true
    this.#takesRecords = false
    try {
      return append()
    } finally {
      memory.usesReserve = false
      this.#takesRecords = this.#limitsRecords
    }
  }

  // --- waiting and refusing ----------------------------------------------------------------------------------------

  /** Sends for a caller who waits: blocks on a full memory if `onFull` says so. */
  #sendWaited(
    topic: string,
    value: V | null,
    options: SendSyncOptions<K> | undefined,
    settle: SendCallback,
    reject: (reason: unknown) => void,
    fate: Fate | null,
    extra: { limits: Placement['limits']; lanes: Set<Lane>; isUrgent: boolean } | null = null,
  ): void {
    const { until, signal, timeoutMs } = options ?? {}
    if (signal?.aborted) {
      fate?.withdrawn(topic)
      return reject(signal.reason)
    }
    const isUrgent = extra?.isUrgent ?? true
    const placement = extra === null ? null : { limits: extra.limits, lanes: extra.lanes }
    // Who waits for the log is not told before the log has the record.
    const isAcceptedEnough = until === 'accepted' && settle.accepted === undefined
    const isLimited = timeoutMs !== undefined || signal !== undefined
    const limit = isLimited ? this.#limitWait(timeoutMs, signal, (ms) => notInTime(topic, ms), reject) : NO_LIMIT
    const settled: SendCallback = isLimited ? ending(limit, settle) : settle
    const caller = isAcceptedEnough ? null : settled
    const told = fate === null ? caller : fate.around(caller)
    const attempt = () => this.#accept(topic, value, options ?? null, told, isUrgent, placement)
    const accepted = () => {
      if (isAcceptedEnough)
        settled(null, {
          topic,
          partition: options?.partition ?? -1,
          offset: -1,
          timestamp: options?.timestamp ?? this.#clock.now(),
        })
    }
    try {
      if (this.#blocked.size === 0 && attempt() !== MEMORY_FULL) return accepted()
      this.#core.counters.hardLimits++
      if (this.#config.onFull === 'dropOldest' && this.#dropUntil(attempt)) return accepted()
      this.#core.leaveSoon()
      const { onFull } = this.#config
      if (onFull !== 'block' && onFull !== 'spill') throw bufferFull(this.#usage(), this.#core.isLogFull)
      const copy = this.#copyOf(topic, value, options)
      const again = () => {
        this.#hasBytes = this.#serializes
        try {
          const result = this.#accept(topic, copy.value, copy.options, told, isUrgent, placement)
          if (result !== MEMORY_FULL) accepted()
          return result
        } finally {
          this.#hasBytes = false
        }
      }
      const refused = (error: unknown) => {
        limit.end()
        reject(this.#refusal(error, topic, fate))
      }
      this.#block(again, copy.bytes, refused, signal, false, () => fate?.withdrawn(topic))
    } catch (error) {
      limit.end()
      throw error
    }
  }

  /** What a send that waits is made of, as it is now: the caller may reuse or change it as soon as the call returns. */
  #copyOf(topic: string, value: V | null, options: SendSyncOptions<K> | undefined) {
    const key = options?.key ?? null
    const valueBytes = copyOf(this.#serialize(value, topic, 'value'))
    const keyBytes = copyOf(this.#serialize(key, topic, 'key'))
    const timestamp = options?.timestamp ?? this.#clock.now()
    return {
      value: valueBytes as V | null,
      options: { ...options, key: keyBytes as K | null, timestamp, ...copiedHeaders(options) },
      bytes: Math.max(0, bytesLength(keyBytes)) + Math.max(0, bytesLength(valueBytes)),
    }
  }

  #limitWait(
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
    tooLate: (timeoutMs: number) => MQError,
    reject: (reason: unknown) => void,
  ): WaitLimit {
    const told = (ms: number) => this.#core.counters.told(tooLate(ms))
    return limitWait({ timeoutMs, signal, clock: this.#clock, tooLate: told, reject })
  }

  #block(
    attempt: () => number,
    size: number,
    fail: (error: unknown) => void,
    signal: AbortSignal | undefined,
    isAccepted: boolean,
    withdrawn: () => void = () => {},
  ): void {
    this.#core.leaveSoon()
    let bytes = SMALLEST_ARENA
    while (bytes < size + BATCH_HEADER_BYTES + 31) bytes *= 2
    this.#blocked.add({
      bytes: Math.min(bytes, this.#core.memory.budget.limitBytes),
      records: this.#limitsRecords && !isAccepted ? 1 : 0,
      deadlineMs: this.#clock.monotonicMs() + this.#config.maxBlockMs,
      signal,
      isAccepted,
      attempt: () => {
        try {
          return attempt() !== MEMORY_FULL
        } catch (error) {
          fail(error)
          return true
        }
      },
      fail,
      withdrawn,
    })
  }

  /** `sendAsync` at the hard limit: only 'dropOldest' finds room; nothing overtakes those who wait. */
  #makeRoom(topic: string, value: V | null, options: SendOptions<K> | null, callback: SendCallback | null): boolean {
    this.#core.leaveSoon()
    if (this.#config.onFull !== 'dropOldest') return false
    return this.#dropUntil(() => this.#accept(topic, value, options, callback, false))
  }

  #dropUntil(attempt: () => number): boolean {
    if (this.#blocked.size > 0) return false // Whoever waits gets the room that was made.
    while (this.#core.dropOldest()) if (attempt() !== MEMORY_FULL) return true
    return false
  }

  #tellRefused(error: MQError, callback: SendCallback | null): void {
    this.#clock.defer(() => {
      if (callback === null || this.#tracer?.isAlone(callback) === true) this.#events.emit('error', error)
      if (callback !== null) this.#callBack('a send callback threw', () => callback(error, null))
    })
  }

  /** The end of a record that was never accepted. */
  #refusal(error: unknown, topic: string, fate: Fate | null = null): MQError {
    this.#core.counters.refused++
    const refusal = this.#asTold(error, topic)
    fate?.end(refusal, null)
    return refusal
  }

  #asTold(error: unknown, topic: string): MQError {
    const known = toMQError(error, 'PRODUCE_FAILED', `a record for ${String(topic)} was refused`)
    // What is refused here never left, whoever found the reason: a serializer, a partitioner, a closed door.
    const more = { topic: String(topic), persistence: 'not-persisted' } as const
    return this.#core.counters.told(known.context.persistence === undefined ? known.with(more) : known)
  }

  /** The record that is being accepted went through its serializers before it waited; a record sent meanwhile did not. */
  #isSerialized(): boolean {
    const hasBytes = this.#hasBytes
    this.#hasBytes = false
    return hasBytes
  }

  /** By its serializer, if there is one: bytes and strings too. Null is a tombstone and passes. */
  #serialize(data: unknown, topic: string, what: 'key' | 'value'): RecordBytes {
    if (data === null) return null
    const override = this.#config.topics[topic]
    const serializer: Serializer<unknown> | undefined =
      what === 'key'
        ? (override?.keySerializer ?? this.#config.keySerializer)
        : (override?.valueSerializer ?? this.#config.valueSerializer)
    if (serializer === undefined) {
      if (isPlain(data)) return data
      const text = `the ${what} is ${typeof data}: expected Buffer, Uint8Array, string or null, or configure ${what}Serializer`
      throw new MQError('SERIALIZATION_FAILED', text, { topic })
    }
    let bytes: unknown
    try {
      bytes = serializer.serialize(data, topic)
    } catch (cause) {
      if (cause instanceof MQError && cause.is('SERIALIZATION_FAILED')) throw cause.with({ topic, part: what })
      throw new MQError('SERIALIZATION_FAILED', `${what}Serializer threw`, { topic }, { cause })
    }
    if (isPlain(bytes)) return bytes
    const text = `${what}Serializer returned ${typeof bytes}: expected Buffer, Uint8Array, string or null, at once`
    throw new MQError('SERIALIZATION_FAILED', text, { topic })
  }

  #checkSize(size: number, keyLength: number, valueLength: number): void {
    // Exact for a record alone in its batch: both deltas are 0.
    const body = size + 3 + varintBytes(keyLength) + varintBytes(valueLength)
    const bytes = BATCH_HEADER_BYTES + varintBytes(body) + body
    const { maxBatchBytes } = this.#config
    if (bytes > maxBatchBytes) throw tooLarge(bytes, maxBatchBytes)
  }

  #makeTracer({ hooks = null, newTraceId = randomUUID }: ProducerDeps): Tracer | null {
    const settings = this.#config.trace
    if (!settings.enabled && hooks === null) return null
    const now = () => this.#clock.now()
    return new Tracer({ settings, hook: hooks, now, newTraceId, warn: (error) => this.#warn(error) })
  }

  // --- life --------------------------------------------------------------------------------------------------------

  #open(): void {
    if (this.#state === 'open') return
    this.#begin()
    this.#core.openLog()
    this.#askIdentity()
  }

  #begin(): void {
    if (this.#state === 'closing' || this.#state === 'closed') throw this.#core.end ?? closedError()
    this.#state = 'open'
  }

  /** Not beside `connect`: two logins at once count twice where accounts are locked after some failed ones. */
  #askIdentity(): void {
    if (this.#config.idempotence && this.#state === 'open') this.#core.askIdentity()
  }

  async #close(timeoutMs: number): Promise<CloseReport> {
    const wasNew = this.#state === 'new'
    this.#state = 'closing'
    if (!wasNew && this.#core.end === null && timeoutMs > 0) await this.flush({ timeoutMs }).catch(() => {})
    if (!wasNew && this.#core.end === null) await this.#core.log?.drain(LOG_CLOSE_MS)
    const unsentRecords = this.#core.counters.pending + this.#blocked.newSends
    this.#core.finish(closedError())
    this.#blocked.failAll(closedError())
    await this.#cluster.close()
    const inWalRecords = (await this.#core.life?.close(LOG_CLOSE_MS)) ?? 0
    this.#core.dispose()
    this.#state = 'closed'
    return { unsentRecords, inWalRecords }
  }

  #died(error: MQError): void {
    this.#blocked.failAll(error)
    this.#state = this.#state === 'closed' ? 'closed' : 'closing'
    this.#raise(error)
  }

  /** A callback that throws must hurt neither us nor those who wait behind this batch. */
  #tellBatch(callback: (error: MQError | null, results: BatchResult[] | null) => void, results: BatchResult[]): void {
    this.#callBack('a batch callback threw', () => callback(null, results))
  }

  #callBack(text: string, call: () => unknown): void {
    const threw = (thrown: unknown) => this.#raise(toMQError(thrown, 'PRODUCE_FAILED', text, { reason: 'CALLBACK' }))
    try {
      hearRejection(call(), threw)
    } catch (thrown) {
      threw(thrown)
    }
  }

  #flushTimeout(timeoutMs: number): MQError {
    return pendingAfter(timeoutMs, this.#core.counters.pending + this.#blocked.newSends)
  }

  /** In a turn of its own: nobody can listen to a client that is being made, and nobody is called inside our work. */
  #emitLater<E extends keyof ProducerEvents>(event: E, value: ProducerEvents[E]): void {
    this.#clock.defer(() => this.#events.emit(event, value))
  }

  #raise(error: MQError): void {
    this.#events.emit('error', this.#core.counters.told(error))
  }

  #warn(error: MQError): void {
    this.#config.logger.warn(error.message, error.context)
    this.#events.emit('warning', error)
  }

  /** The events come in a turn of their own: nobody can listen to a client that is being made. */
  #warnOfSettings(warnings: readonly ConfigWarning[]): void {
    for (const { path, message } of warnings) {
      const warning = new MQError('INVALID_CONFIG', `${path}: ${message}`, { path })
      this.#config.logger.warn(warning.message)
      this.#clock.defer(() => this.#events.emit('warning', warning))
    }
  }

  #usage(): { usedBytes: number; limitBytes: number } {
    const { usedBytes, limitBytes } = this.#core.memory.budget
    return { usedBytes, limitBytes }
  }
}

/** `updateConfig` changes fields of the first level only. */
function hasChanged(path: string, before: ResolvedProducerConfig, after: ResolvedProducerConfig): boolean {
  const field = path as keyof ResolvedProducerConfig
  return before[field] !== after[field]
}

export interface CloseReport {
  /** Records that were accepted and not acknowledged when time was over. */
  readonly unsentRecords: number
  /** Of these, kept by the write-ahead log. */
  readonly inWalRecords: number
}

function hasSerializers({ keySerializer, valueSerializer, topics }: ResolvedProducerConfig): boolean {
  const all = [{ keySerializer, valueSerializer }, ...Object.values(topics)]
  return all.some((one) => one.keySerializer !== undefined || one.valueSerializer !== undefined)
}
