/**
 * Reads assigned partitions and calls back with their records.
 *
 *   assign -> PositionFinder -> Fetcher (sessions, prefetch) -> PartitionReader -> Dispatcher -> callback
 *
 * This file wires the parts and owns lifetimes; every rule lives in the part it belongs to.
 * Invariant: after `close()` no timer and no socket of ours remains. Groups follow: until then partitions are assigned
 * by the caller. Source: features.md 2.4, design.md section 5.
 */
import { Cluster, clusterOptionsOf } from '../cluster/index.js'
import {
  type ConsumerConfig,
  configWarnings,
  type ResolvedConsumerConfig,
  resolveConsumerConfig,
} from '../config/index.js'
import { MQError } from '../errors/index.js'
import {
  type Clock,
  type Deferred,
  deferred,
  Emitter,
  type RandomSource,
  systemClock,
  systemRandom,
} from '../util/index.js'
import {
  type Assignable,
  type AssignOptions,
  checkOffset,
  checkPartition,
  checkTimeout,
  parseWishes,
  partitionsOf,
  startTimestamp,
  type Wish,
  withSignal,
} from './assignment.js'
import { ConsumerCounters } from './counters.js'
import { type CallbackResult, type Delivery, HOLD, PartitionCursor, type TopicPartition } from './cursor.js'
import type { ConsumerEvents } from './events.js'
import { Fetcher } from './fetcher.js'
import { type ConsumerMetrics, consumerMetrics } from './metrics.js'
import type { ReaderSettings } from './partition-reader.js'
import type { ConsumerCluster, TopicInfo } from './ports.js'
import { EARLIEST, LATEST, PositionFinder } from './positions.js'
import type { RecordView } from './record-view.js'
import { makeSinks, type Sinks } from './sinks.js'
import { refuseUnserved } from './support.js'

const ASSIGN_TIMEOUT_MS = 60_000

export type ConsumerState = 'open' | 'stopped' | 'closing' | 'closed'

export interface ConsumerDeps {
  /** A cluster that others use too; it is not closed with the consumer. */
  readonly cluster?: ConsumerCluster
  readonly clock?: Clock
  readonly random?: RandomSource
}

/** Called per record; `false` stops delivery cleanly after it. See `Consumer.assign`. */
export type OnRecord<V, K> = (record: RecordView<V, K>, tp: TopicPartition) => CallbackResult
/** Called with the records of one partition, at most `maxPollRecords`. See `Consumer.assignBatch`. */
export type OnBatch<V, K> = (records: RecordView<V, K>[], tp: TopicPartition) => CallbackResult

/**
 * A consumer of assigned partitions. `V` and `K` are what the deserializers give, Buffers without them.
 *
 * ```ts
 * const consumer = new Consumer({ brokers: 'localhost:9092', autoOffsetReset: 'earliest' })
 * await consumer.assign(['orders'], (record) => { console.log(record.offset, record.value?.toString()) })
 * // later
 * await consumer.close()
 * ```
 * Throws INVALID_CONFIG or MISSING_CONFIG.
 */
export class Consumer<V = Buffer, K = Buffer> {
  readonly config: ResolvedConsumerConfig
  readonly #events: Emitter<ConsumerEvents>
  readonly #cluster: ConsumerCluster
  readonly #ownsCluster: boolean
  readonly #clock: Clock
  readonly #counters = new ConsumerCounters()
  readonly #settings: ReaderSettings
  readonly #finder: PositionFinder
  readonly #fetcher: Fetcher
  readonly #sinks: Sinks
  /** Topics read as a whole, and how many partitions of them are known: what comes beyond is new. */
  readonly #wholeTopics = new Map<string, { readonly delivery: Delivery; known: number }>()
  readonly #offTopic: () => void
  readonly #end = deferred<void>()
  #connected: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #state: ConsumerState = 'open'

  constructor(config: ConsumerConfig = {}, deps: ConsumerDeps = {}) {
    this.config = resolveConsumerConfig(config)
    refuseUnserved(this.config)
    this.#clock = deps.clock ?? systemClock
    const random = deps.random ?? systemRandom
    const { logger } = this.config
    this.#events = new Emitter((error) => logger.error('a listener of the consumer threw', { error: String(error) }))
    this.#ownsCluster = deps.cluster === undefined
    this.#cluster = deps.cluster ?? makeCluster(this.config, this.#clock, random)
    this.#settings = readerSettings(this.config)
    this.#finder = new PositionFinder(this.#cluster, this.config, this.#clock, random)
    const shared = { config: this.config, events: this.#events, counters: this.#counters, clock: this.#clock, random }
    this.#sinks = makeSinks(shared, {
      unreadable: (cursor, error) => this.#fetcher.unreadable(cursor, error),
      stopped: (error) => this.#stopped(error),
    })
    this.#fetcher = new Fetcher({ ...shared, cluster: this.#cluster, finder: this.#finder, sinks: this.#sinks.all })
    this.#offTopic = this.#cluster.onTopic((topic) => this.#topicChanged(topic))
    this.#end.promise.catch(() => {}) // `run()` hands it out; whoever does not call it learns from `error`.
    for (const { path, message } of configWarnings(this.config)) logger.warn(`${path}: ${message}`)
  }

  get state(): ConsumerState {
    return this.#state
  }

  /** Partitions that are read, paused ones included. */
  get assignment(): readonly TopicPartition[] {
    return this.#fetcher.assigned.all().map((cursor) => cursor.tp)
  }

  on<E extends keyof ConsumerEvents>(event: E, listener: (event: ConsumerEvents[E]) => void): () => void {
    return this.#events.on(event, listener)
  }

  /**
   * Adds topics (all partitions, later ones too) or single partitions with a callback of their own; resolves when
   * their positions are known. Records of one partition come in order; a promise is awaited before the next one.
   * Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC, INVALID_PARTITION, INVALID_OFFSET, TIMEOUT, CONSUMER_CLOSED.
   *
   * ```ts
   * await consumer.assign([{ topic: 'orders', partition: 0, offset: 42 }], async (record) => { await store(record) })
   * ```
   */
  async assign(what: Assignable, callback: OnRecord<V, K>, options: AssignOptions = {}): Promise<void> {
    await this.#assign(what, this.#sinks.perRecord(callback as never), options)
  }

  /** As `assign`, with up to `maxPollRecords` records of one partition per call; they count as one unit for `onError`. */
  async assignBatch(what: Assignable, callback: OnBatch<V, K>, options: AssignOptions = {}): Promise<void> {
    await this.#assign(what, this.#sinks.perBatch(callback as never), options)
  }

  /** Stops reading those (default: all) topics or partitions and drops what is buffered of them. */
  unassign(what?: readonly string[] | readonly TopicPartition[]): void {
    this.#ensureOpen()
    const cursors = what === undefined ? this.#fetcher.assigned.all() : this.#cursorsOf(what)
    for (const item of what ?? [...this.#wholeTopics.keys()])
      if (typeof item === 'string') this.#wholeTopics.delete(item)
    this.#fetcher.remove(cursors)
  }

  /** Stops fetching and delivering exactly those; buffered records are kept. */
  pause(what: readonly string[] | readonly TopicPartition[]): void {
    this.#ensureOpen()
    for (const cursor of this.#cursorsOf(what)) this.#fetcher.pause(cursor)
  }

  /** Goes on where `pause` stopped: nothing is skipped, nothing repeated. */
  resume(what: readonly string[] | readonly TopicPartition[]): void {
    this.#ensureOpen()
    for (const cursor of this.#cursorsOf(what)) {
      cursor.release(HOLD.paused)
      cursor.delivery.sink.enqueue(cursor)
      this.#fetcher.wake(cursor)
    }
    this.#sinks.callbacks.pumpSoon()
  }

  /** The next record will be `offset`; a callback that runs meanwhile does not move the position. */
  seek(tp: TopicPartition, offset: number): void {
    this.#ensureOpen()
    const cursor = this.#cursorOf(tp)
    checkOffset(offset, tp)
    cursor.moveTo(offset)
    this.#fetcher.wake(cursor)
  }

  /** Goes to the first records there are; resolves when the positions are known. */
  seekToBeginning(what: readonly string[] | readonly TopicPartition[]): Promise<void> {
    return this.#seekTo(what, EARLIEST)
  }

  /** Goes to the end: only what comes later is read. */
  seekToEnd(what: readonly string[] | readonly TopicPartition[]): Promise<void> {
    return this.#seekTo(what, LATEST)
  }

  /** Goes to the first record at or after `timestamp` (ms since 1970), or to the end. */
  async seekToTimestamp(what: readonly string[] | readonly TopicPartition[], timestamp: number): Promise<void> {
    checkOffset(timestamp, { topic: '', partition: -1 })
    await this.#seekTo(what, timestamp)
  }

  /** Offset of the next record to process; moves when its callback has returned. */
  position(tp: TopicPartition): number {
    return this.#cursorOf(tp).position
  }

  /** The same as `position`. */
  getCurrentOffset(tp: TopicPartition): number {
    return this.position(tp)
  }

  getMetrics(): ConsumerMetrics {
    return consumerMetrics(this.#fetcher.assigned.all(), this.#counters, {
      prefetchBytes: this.#fetcher.credit.usedBytes,
      runningCallbacks: this.#sinks.callbacks.running,
    })
  }

  /** Resolves when delivery ended: a callback returned false, or `close()`. Rejects with the failure that ended it. */
  run(): Promise<void> {
    return this.#end.promise
  }

  /**
   * Stops fetching, waits for running callbacks (at most `timeoutMs`, default `closeTimeoutMs`; 0 = not at all), then
   * closes timers and sockets. Idempotent.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = checkTimeout(options.timeoutMs ?? this.config.closeTimeoutMs)
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #assign(what: Assignable, delivery: Delivery, options: AssignOptions): Promise<void> {
    this.#ensureOpen()
    const wishes = parseWishes(what)
    if (typeof (delivery.perRecord ?? delivery.perBatch) !== 'function')
      throw new MQError('INVALID_CONFIG', 'assign takes a callback as its second argument, which gets the records')
    const timeoutMs = checkTimeout(options.timeoutMs ?? ASSIGN_TIMEOUT_MS)
    const untilMs = this.#clock.monotonicMs() + timeoutMs
    await withSignal(this.#within(this.#connect(), timeoutMs), options.signal)
    const leftMs = Math.max(0, Math.ceil(untilMs - this.#clock.monotonicMs()))
    const topics = await withSignal(this.#topicsOf(wishes, leftMs), options.signal)
    const partitions = wishes.flatMap((wish) => partitionsOf(wish, topics.get(wish.topic) as TopicInfo))
    this.#refuseAssigned(partitions)
    const offsets = await withSignal(
      this.#startsOf(partitions, options, untilMs - this.#clock.monotonicMs()),
      options.signal,
    )
    this.#ensureOpen()
    this.#refuseAssigned(partitions)
    this.#fetcher.add(partitions.map((wish, index) => this.#cursorAt(wish, delivery, offsets[index] as number)))
    for (const wish of wishes) if (wish.partition < 0) this.#follow(topics.get(wish.topic) as TopicInfo, delivery)
  }

  /** From now on later partitions belong to it, those included that came while positions were looked up. */
  #follow(topic: TopicInfo, delivery: Delivery): void {
    this.#wholeTopics.set(topic.name, { delivery, known: topic.partitions.length })
    this.#topicChanged(this.#cluster.topic(topic.name) ?? topic)
  }

  /** The promise, or TIMEOUT; what it waits for goes on, for the next `assign`. */
  #within(promise: Promise<void>, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const text = `no broker of ${this.config.brokers.length} could be reached within ${timeoutMs} ms`
      const timer = this.#clock.setTimer(() => reject(new MQError('TIMEOUT', text, { timeoutMs })), timeoutMs)
      promise.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #connect(): Promise<void> {
    if (this.#connected !== null) return this.#connected
    const connected = this.#cluster.connect()
    this.#connected = connected
    connected.catch(() => {
      this.#connected = null // The next assign tries again.
    })
    return connected
  }

  async #topicsOf(wishes: readonly Wish[], timeoutMs: number): Promise<Map<string, TopicInfo>> {
    const names = [...new Set(wishes.map((wish) => wish.topic))]
    const waiting = names.map(async (name) => {
      this.#cluster.useTopic(name)
      return [name, await this.#cluster.waitForTopic(name, { timeoutMs, allowAutoCreate: false })] as const
    })
    return new Map(await Promise.all(waiting))
  }

  /** Offsets as given; the others are looked up together. */
  async #startsOf(wishes: readonly Wish[], options: AssignOptions, timeoutMs: number): Promise<number[]> {
    const from = options.from ?? this.config.autoOffsetReset
    const open = wishes.filter((wish) => wish.offset === undefined)
    const queries = open.map((wish) => ({ ...wish, timestamp: startTimestamp(wish, from) }))
    const found = await this.#finder.find(queries, timeoutMs)
    const byWish = new Map(open.map((wish, index) => [wish, found[index] as number]))
    return wishes.map((wish) => wish.offset ?? (byWish.get(wish) as number))
  }

  #cursorAt(wish: Wish, delivery: Delivery, offset: number): PartitionCursor {
    const cursor = new PartitionCursor(wish.topic, wish.partition, delivery, this.#settings, this.#fetcher)
    cursor.moveTo(offset)
    return cursor
  }

  /** A topic that is read as a whole has grown: its new partitions are read from their beginning (C-30). */
  #topicChanged(topic: TopicInfo): void {
    const whole = this.#wholeTopics.get(topic.name)
    if (whole === undefined || this.#state !== 'open') return
    const { delivery, known } = whole
    const { assigned } = this.#fetcher
    whole.known = Math.max(known, topic.partitions.length)
    for (let partition = known; partition < topic.partitions.length; partition++) {
      if (assigned.get(topic.name, partition) !== undefined) continue
      const wish = { topic: topic.name, partition, offset: undefined, timestamp: undefined }
      const cursor = this.#cursorAt(wish, delivery, -1)
      this.#fetcher.add([cursor])
      this.#fetcher.lookUp(cursor, EARLIEST)
    }
  }

  async #seekTo(what: readonly string[] | readonly TopicPartition[], timestamp: number): Promise<void> {
    this.#ensureOpen()
    const cursors = this.#cursorsOf(what)
    for (const cursor of cursors) {
      cursor.rewind()
      cursor.hold(HOLD.position)
    }
    const generations = cursors.map((cursor) => cursor.generation)
    const queries = cursors.map(({ topic, partition }) => ({ topic, partition, timestamp }))
    const found = this.#finder.find(queries, ASSIGN_TIMEOUT_MS)
    const offsets = await found.catch(() => null)
    for (const [index, cursor] of cursors.entries()) {
      if (cursor.generation !== generations[index]) continue // Another seek or a revocation was later.
      if (offsets !== null) cursor.moveTo(offsets[index] as number)
      else if (cursor.position >= 0) cursor.release(HOLD.position) // It failed: reading goes on where it stood.
      this.#fetcher.wake(cursor)
    }
    await found
  }

  #cursorsOf(what: readonly string[] | readonly TopicPartition[]): PartitionCursor[] {
    if (!Array.isArray(what)) throw new MQError('INVALID_CONFIG', 'expected a list of topics or of {topic, partition}')
    return (what as readonly (string | TopicPartition)[]).flatMap((item) => {
      return typeof item === 'string' ? this.#fetcher.assigned.ofTopic(item) : [this.#cursorOf(item)]
    })
  }

  #cursorOf(tp: TopicPartition): PartitionCursor {
    checkPartition(tp.topic, tp.partition)
    const cursor = this.#fetcher.assigned.get(tp.topic, tp.partition)
    if (cursor !== undefined) return cursor
    const text = `${tp.topic}/${tp.partition} is not assigned to this consumer: assign it first`
    throw new MQError('INVALID_PARTITION', text, { topic: tp.topic, partition: tp.partition })
  }

  #refuseAssigned(wishes: readonly Wish[]): void {
    const seen = new Set<string>()
    for (const { topic, partition } of wishes) {
      const isTwice = seen.has(`${topic}/${partition}`) || this.#fetcher.assigned.get(topic, partition) !== undefined
      if (isTwice)
        throw new MQError('INVALID_PARTITION', `${topic}/${partition} is assigned already`, { topic, partition })
      seen.add(`${topic}/${partition}`)
    }
  }

  #stopped(error: MQError | null): void {
    if (this.#state !== 'open') return
    this.#state = 'stopped'
    for (const cursor of this.#fetcher.assigned.all()) cursor.hold(HOLD.paused)
    this.#settleEnd(this.#end, error)
    this.#events.emit('stopped', { error })
  }

  #settleEnd(end: Deferred<void>, error: MQError | null): void {
    if (error === null) end.resolve()
    else end.reject(error)
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = 'closing'
    this.#offTopic()
    this.#sinks.callbacks.stop()
    this.#finder.close()
    const fetching = this.#fetcher.close()
    for (const cursor of this.#fetcher.assigned.all()) cursor.dropRetry()
    await this.#callbacksEnd(timeoutMs)
    await fetching
    if (this.#ownsCluster) await this.#cluster.close()
    this.#state = 'closed'
    this.#end.resolve()
  }

  #callbacksEnd(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(resolve, timeoutMs)
      this.#sinks.callbacks.whenIdle(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  #ensureOpen(): void {
    if (this.#state === 'open') return
    const text = `the consumer is ${this.#state}: make another one`
    throw new MQError('CONSUMER_CLOSED', text, { state: this.#state })
  }
}

function readerSettings(config: ResolvedConsumerConfig): ReaderSettings {
  const { readMode, checkCrcs, keyDeserializer, valueDeserializer } = config
  return { copies: readMode === 'safe', checkCrcs, keyDeserializer, valueDeserializer }
}

function makeCluster(config: ResolvedConsumerConfig, clock: Clock, random: RandomSource): ConsumerCluster {
  return new Cluster(clusterOptionsOf(config), { clock, random, logger: config.logger })
}
