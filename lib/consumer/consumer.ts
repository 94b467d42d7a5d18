/**
 * Reads partitions that the caller assigns or a group gives, and hands their records out.
 *
 *   assign    -> ManualAssignment --+
 *                                   +-> Reading (positions, fetcher, sinks) -> callback, or whoever pulls
 *   subscribe -> GroupSession ------+
 *
 * This file wires the parts and owns lifetimes; every rule lives in the part it belongs to.
 * Invariant: after `close()` no timer and no socket of ours remains. Source: features.md 2.4, design.md section 5.
 */
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { Cluster, type ConnectionStats, clusterOptionsOf, NO_CONNECTIONS } from '../cluster/index.js'
import {
  type ConsumerConfig,
  configWarnings,
  type Deserializer,
  type ResolvedConsumerConfig,
  resolveConsumerConfig,
} from '../config/index.js'
import { MQError } from '../errors/index.js'
import {
  type Clock,
  deferred,
  Emitter,
  type ProcessHook,
  type RandomSource,
  systemClock,
  systemRandom,
} from '../util/index.js'
import { type Assignable, type AssignOptions, checkOffset, checkTimeout } from './assignment.js'
import { Commits, type CommitTarget, type OffsetsToCommit } from './commits.js'
import { type CallbackResult, type Delivery, HOLD, type RecordCallback, type TopicPartition } from './cursor.js'
import type { DeadLetterSink } from './delivery/dead-letter.js'
import { makeSinks, type Sinks } from './delivery/sinks.js'
import type { ConsumerEvents } from './events.js'
import { EARLIEST, LATEST } from './fetch/positions.js'
import { makeMember } from './group/make-member.js'
import { Committer } from './group/offsets/committer.js'
import type { CommittedOffset } from './group/offsets/offsets.js'
import { GroupSession, type SubscribeOptions } from './group/session.js'
import { ManualAssignment } from './manual.js'
import type { ConsumerMeasures } from './measures.js'
import { ConsumerMeter } from './meter.js'
import type { ConsumerMetrics } from './metrics.js'
import type { GroupCluster } from './ports.js'
import { PullSink } from './pull/pull-sink.js'
import { Puller } from './pull/puller.js'
import type { PullOptions } from './pull/waiting.js'
import { Reading, type Selection } from './reading.js'
import type { RecordView } from './records/record-view.js'
import { subscriptionOf } from './subscription-of.js'
import { TopicLookup } from './topic-lookup.js'

/** Of `close`: the last commit and leaving the group may take so long, even if callbacks have used up its time. */
const LEAVE_MS = 5_000

export type ConsumerState = 'open' | 'stopped' | 'closing' | 'closed'

export interface ConsumerDeps {
  /** A cluster that others use too; it is not closed with the consumer. */
  readonly cluster?: GroupCluster
  readonly clock?: Clock
  readonly random?: RandomSource
  /** Writes dead letters, needed with `onError` or `errorFinal` 'dlq'; a `Producer` fits. It is not closed with the consumer. */
  readonly deadLetters?: DeadLetterSink
  /** Runs around each callback (`openTelemetryHooks`); pulled records are not observed. */
  readonly hooks?: ProcessHook | null
}

/** Topics by name, or by a pattern. */
export type Topics = string | RegExp | readonly (string | RegExp)[]

/**
 * Called per record; `false` stops delivery cleanly after it. `error` is null, except with `deliverErrors`: an error of
 * the partition comes as `(null, tp, error)`, so test it before the record. See `Consumer.subscribe`.
 */
export type OnRecord<V, K> = (record: RecordView<V, K>, tp: TopicPartition, error: MQError | null) => CallbackResult
/** Called with the records of one partition, at most `maxPollRecords`; with an error, none. See `Consumer.subscribeBatch`. */
export type OnBatch<V, K> = (records: RecordView<V, K>[], tp: TopicPartition, error: MQError | null) => CallbackResult

/** The type of values, or keys, follows from what reads them. */
export interface ReadsValues<V> {
  readonly valueDeserializer: Deserializer<V>
}
export interface ReadsKeys<K> {
  readonly keyDeserializer: Deserializer<K>
}

/**
 * A consumer of a group's partitions (`subscribe`) or of assigned ones (`assign`). `V` and `K` are what the
 * deserializers give, Buffers without them; they follow from `valueDeserializer` and `keyDeserializer` (CO-3).
 *
 * ```ts
 * const consumer = new Consumer({ brokers: 'localhost:9092', groupId: 'billing', autoOffsetReset: 'earliest' })
 * await consumer.subscribe('orders', async (record) => { await store(record) })
 * // later
 * await consumer.close()
 * ```
 * Throws INVALID_CONFIG or MISSING_CONFIG.
 */
export class Consumer<V = Buffer, K = Buffer> {
  readonly config: ResolvedConsumerConfig
  readonly #events: Emitter<ConsumerEvents>
  readonly #cluster: GroupCluster
  readonly #ownCluster: Cluster | null // null: it is shared, and not ours to close or to count
  readonly #clock: Clock
  readonly #meter: ConsumerMeter
  readonly #reading: Reading
  readonly #sinks: Sinks
  readonly #pull: PullSink
  readonly #puller: Puller<V, K>
  readonly #manual: ManualAssignment
  readonly #session: GroupSession
  readonly #commits: Commits
  readonly #offTopic: () => void
  readonly #end = deferred<void>()
  #closing: Promise<void> | null = null
  #leaving: Promise<void> | null = null
  readonly #hurry = deferred<void>() // `close` has waited for callbacks as long as it wanted to
  #failure: MQError | null = null // what ended delivery
  #state: ConsumerState = 'open'

  constructor(config: ConsumerConfig & ReadsValues<V> & ReadsKeys<K>, deps?: ConsumerDeps)
  constructor(config: ConsumerConfig & ReadsValues<V>, deps?: ConsumerDeps)
  constructor(config: ConsumerConfig & ReadsKeys<K>, deps?: ConsumerDeps)
  constructor(config?: ConsumerConfig, deps?: ConsumerDeps)
  constructor(config: ConsumerConfig = {}, deps: ConsumerDeps = {}) {
    this.config = resolveConsumerConfig(config)
    const { logger } = this.config
    this.#clock = deps.clock ?? systemClock
    this.#events = new Emitter((error) => logger.error('a listener of the consumer threw', { error: String(error) }))
    const random = deps.random ?? systemRandom
    this.#ownCluster = deps.cluster === undefined ? makeCluster(this.config, this.#clock, random) : null
    this.#cluster = this.#ownCluster ?? (deps.cluster as GroupCluster)
    this.#meter = new ConsumerMeter(this.config.metrics.enabled, this.#clock, this.#events)
    const { counters } = this.#meter
    const shared = { config: this.config, events: this.#events, counters, clock: this.#clock, random }
    const parts = { ...shared, cluster: this.#cluster }
    this.#reading = new Reading({
      ...parts,
      memberState: () => (this.#session.isSubscribed ? this.#session.state : null),
    })
    const begins = (nowMs: number) => {
      this.#meter.sample(nowMs)
      this.#session.member?.checkSession(nowMs)
    }
    const ended = (startMs: number) => this.#meter.sample(startMs)
    this.#sinks = makeSinks(
      { ...shared, deadLetters: deps.deadLetters, hooks: deps.hooks },
      {
        unreadable: (cursor, error) => this.#reading.fetcher.unreadable(cursor, error),
        stopped: (error) => this.#stopped(error),
        begins,
        ended,
      },
    )
    this.#pull = new PullSink(
      this.config,
      {
        unreadable: (cursor, error) => this.#reading.fetcher.unreadable(cursor, error),
        rewound: (cursor) => this.#reading.fetcher.wake(cursor),
        failure: () => this.#failure,
        isFed: () => this.#session.isSubscribed || !this.#manual.isEmpty,
        told: (error) => this.#meter.errors.count(error),
        begins,
        ended,
      },
      counters,
      this.#clock,
    )
    this.#puller = new Puller(this.#pull)
    this.#reading.sinks.push(...this.#sinks.all, this.#pull)
    const lookup = new TopicLookup(this.#cluster, this.#clock, this.config.brokers.length)
    this.#manual = new ManualAssignment(this.#reading, this.#cluster, lookup, this.config.autoOffsetReset)
    const committer = new Committer({
      ...parts,
      member: () => this.#session.member,
      isOwned: (tp) => this.#session.isOwned(tp),
    })
    this.#session = new GroupSession({
      ...parts,
      reading: this.#reading,
      lookup,
      committer,
      makeMember: (host) => makeMember({ ...parts, host }),
      failed: (error) => this.#stopped(error),
    })
    this.#commits = new Commits(this.config, committer, this.#session, this.#clock)
    this.#offTopic = this.#cluster.onTopic((topic) => this.#manual.topicChanged(topic))
    this.#end.promise.catch(() => {}) // `run()` hands it out; whoever does not call it learns from `error`.
    for (const { path, message } of configWarnings(this.config)) this.#warnOfSetting(path, `${path}: ${message}`)
  }

  get state(): ConsumerState {
    return this.#state
  }

  /** Partitions that are read, paused ones included. */
  get assignment(): readonly TopicPartition[] {
    return this.#reading.cursors.map((cursor) => cursor.tp)
  }

  on<E extends keyof ConsumerEvents>(event: E, listener: (event: ConsumerEvents[E]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /**
   * Joins the group `groupId` and gets its share of those topics, or of all topics whose name a RegExp matches, also
   * later ones. Each call adds topics with a callback of their own. Resolves when the group has given partitions
   * (perhaps none) and their positions are known. Records of one partition come in order; a promise is awaited before
   * the next one, and only then the record counts as processed.
   * Rejects with MISSING_CONFIG (no groupId), TOPIC_NOT_FOUND, INVALID_TOPIC, AUTHORIZATION_FAILED, TIMEOUT,
   * INCONSISTENT_GROUP_PROTOCOL, CONSUMER_CLOSED; nothing is subscribed then.
   * Without a callback records wait to be pulled: `read`, `readBatch`, `for await`, `stream`, `nodeStream`.
   *
   * ```ts
   * await consumer.subscribe(['orders', 'refunds'], async (record, { topic, partition }) => { await store(record) })
   * ```
   */
  async subscribe(topics: Topics, options?: SubscribeOptions): Promise<void>
  async subscribe(topics: Topics, callback: OnRecord<V, K>, options?: SubscribeOptions): Promise<void>
  async subscribe(topics: Topics, ...how: unknown[]): Promise<void> {
    return this.#callAsync(async () => {
      const { callback, options } = wayOf<SubscribeOptions>(how, 'subscribe')
      await this.#subscribe(topics, () => this.#deliveryTo(callback), options)
    })
  }

  /** As `subscribe`, with up to `maxPollRecords` records of one partition per call; they count as one unit for `onError`. */
  async subscribeBatch(topics: Topics, callback: OnBatch<V, K>, options: SubscribeOptions = {}): Promise<void> {
    const delivery = () => this.#sinks.perBatch(callable(callback, 'subscribeBatch'))
    return this.#callAsync(() => this.#subscribe(topics, delivery, options))
  }

  /** As `subscribe`, for all topics whose name the pattern matches; looked for again each `metadataMaxAgeMs`. */
  async subscribePattern(pattern: RegExp, options?: SubscribeOptions): Promise<void>
  async subscribePattern(pattern: RegExp, callback: OnRecord<V, K>, options?: SubscribeOptions): Promise<void>
  async subscribePattern(pattern: RegExp, ...how: unknown[]): Promise<void> {
    return this.#callAsync(async () => {
      if (!(pattern instanceof RegExp)) throw new MQError('INVALID_CONFIG', 'subscribePattern takes a RegExp', {})
      const { callback, options } = wayOf<SubscribeOptions>(how, 'subscribePattern')
      await this.#subscribe(pattern, () => this.#deliveryTo(callback), options)
    })
  }

  /** Commits, gives those topics back to the group and drops what is buffered of them; the others go on. */
  async unsubscribe(topics: Topics): Promise<void> {
    return this.#callAsync(async () => this.#session.unsubscribe(subscriptionOf(topics)))
  }

  /** Commits, gives everything back and leaves the group. `subscribe` joins again. */
  async unsubscribeAll(): Promise<void> {
    return this.#callAsync(() => this.#session.unsubscribe(null))
  }

  /**
   * Adds topics (all partitions, later ones too) or single partitions with a callback of their own, without a group;
   * resolves when their positions are known. Records of one partition come in order; a promise is awaited before the
   * next one. Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC, INVALID_PARTITION, INVALID_OFFSET, TIMEOUT, CONSUMER_CLOSED.
   * Without a callback records wait to be pulled, as with `subscribe`.
   *
   * ```ts
   * await consumer.assign([{ topic: 'orders', partition: 0, offset: 42 }], async (record) => { await store(record) })
   * ```
   */
  async assign(what: Assignable, options?: AssignOptions): Promise<void>
  async assign(what: Assignable, callback: OnRecord<V, K>, options?: AssignOptions): Promise<void>
  async assign(what: Assignable, ...how: unknown[]): Promise<void> {
    return this.#callAsync(async () => {
      const { callback, options } = wayOf<AssignOptions>(how, 'assign')
      await this.#assign(what, () => this.#deliveryTo(callback), options)
    })
  }

  /** As `assign`, with up to `maxPollRecords` records of one partition per call; they count as one unit for `onError`. */
  async assignBatch(what: Assignable, callback: OnBatch<V, K>, options: AssignOptions = {}): Promise<void> {
    const delivery = () => this.#sinks.perBatch(callable(callback, 'assignBatch'))
    return this.#callAsync(() => this.#assign(what, delivery, options))
  }

  /**
   * The next record, or null when none came within `timeoutMs` (default: no limit; 0: only what is there). A record
   * counts as processed when the next `read` or `readBatch` is called; what came last before `close` does not, unless
   * it is committed (`commitOffset(record)`). All calls of `read` and `readBatch` are one reader: for several workers
   * let each have a loop of its own. Rejects with CONSUMER_CLOSED, INVALID_CONFIG, the reason of `signal`, or the
   * failure that ended delivery.
   *
   * ```ts
   * await consumer.subscribe('orders')
   * const record = await consumer.read({ timeoutMs: 1_000 })
   * ```
   */
  read(options?: PullOptions): Promise<RecordView<V, K> | null> {
    return this.#puller.read(options)
  }

  /**
   * Up to `max` records, those that are there; waits for the first one as `read` does, and gives an empty list when none
   * came in time. They may come from several partitions, each in order, and count together.
   */
  readBatch(max: number, options?: PullOptions): Promise<RecordView<V, K>[]> {
    return this.#puller.readBatch(max, options)
  }

  /**
   * `for await (const record of consumer)`: a record counts as processed when the body asks for the next one. After
   * `break` or a throw it does not, and whoever asks next gets it again. The loop ends when the consumer is closed or
   * stopped; a failure that ended delivery is thrown. `close` waits for the body, so do not await it in there. Loops
   * side by side share the partitions, and a partition is in one of them at a time.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<RecordView<V, K>, undefined> {
    return this.#puller.iterate()
  }

  /**
   * Records as a web stream, without a queue: a record counts when the stream is asked for the next one. `cancel` gives
   * the last one back.
   */
  stream(): ReadableStream<RecordView<V, K>> {
    return this.#puller.stream()
  }

  /** Records as a Node stream in object mode, as `stream`; `destroy` gives the last one back. */
  nodeStream(): Readable {
    return this.#puller.nodeStream()
  }

  /** Stops reading those (default: all) topics or partitions that were assigned, and drops what is buffered of them. */
  unassign(what?: Selection): void {
    this.#call(() => {
      if (this.#session.isEngaged) throw mixed('unassign', 'unsubscribe')
      this.#manual.remove(what)
    })
  }

  /** Stops fetching and delivering exactly those; buffered records are kept. */
  pause(what: Selection): void {
    this.#call(() => this.#reading.pause(what))
  }

  /** Goes on where `pause` stopped: nothing is skipped, nothing repeated. */
  resume(what: Selection): void {
    this.#call(() => this.#reading.resume(what))
  }

  /** The next record will be `offset`; a callback that runs meanwhile does not move the position. */
  seek(tp: TopicPartition, offset: number): void {
    this.#call(() => this.#reading.seek(tp, offset))
  }

  /** Goes to the first records there are; resolves when the positions are known. */
  async seekToBeginning(what: Selection): Promise<void> {
    return this.#callAsync(() => this.#reading.seekTo(what, EARLIEST))
  }

  /** Goes to the end: only what comes later is read. */
  async seekToEnd(what: Selection): Promise<void> {
    return this.#callAsync(() => this.#reading.seekTo(what, LATEST))
  }

  /** Goes to the first record at or after `timestamp` (ms since 1970), or to the end. */
  async seekToTimestamp(what: Selection, timestamp: number): Promise<void> {
    return this.#callAsync(async () => {
      checkOffset(timestamp, { topic: '', partition: -1 })
      await this.#reading.seekTo(what, timestamp)
    })
  }

  /** Offset of the next record to process; moves when its callback has returned. */
  position(tp: TopicPartition): number {
    return this.#meter.errors.of(() => this.#reading.cursorOf(tp).position)
  }

  /** The same as `position`. */
  getCurrentOffset(tp: TopicPartition): number {
    return this.position(tp)
  }

  /** What the group has committed, asked of its coordinator; -1: nothing. Rejects with MISSING_CONFIG without a groupId. */
  async getCommittedOffset(tp: TopicPartition): Promise<number> {
    const [found] = await this.committed([tp])
    return found?.offset ?? -1
  }

  /** As `getCommittedOffset` for many, with leader epoch and metadata; null where there is none. */
  async committed(partitions: readonly TopicPartition[]): Promise<(CommittedOffset | null)[]> {
    return this.#callAsync(() => this.#commits.stored(partitions))
  }

  /** Commits what has been processed of all partitions. Rejects with OFFSET_COMMIT_FAILED. */
  async commit(): Promise<void> {
    return this.#callAsync(() => this.#commits.processed())
  }

  /**
   * Commits that the record is processed, and with it all before it in its partition; or that `offset` is the next one
   * to read. Rejects with OFFSET_COMMIT_FAILED, also when the partition is not this consumer's any more.
   */
  async commitOffset(target: CommitTarget, offset?: number): Promise<void> {
    return this.#callAsync(() => this.#commits.one(target, offset))
  }

  /** Commits next offsets to read: a map by partition, or a list that may carry leader epochs and metadata. */
  async commitOffsets(offsets: OffsetsToCommit): Promise<void> {
    return this.#callAsync(() => this.#commits.many(offsets))
  }

  /** Sockets of this consumer, now and in all (CL-3); none when it shares a cluster. A connection pool adds them up. */
  connectionStats(): ConnectionStats {
    return this.#ownCluster?.stats() ?? NO_CONNECTIONS
  }

  /** A snapshot: totals since construction or `resetMetrics()`, rates of the last 10 s, where things stand. */
  getMetrics(): ConsumerMetrics {
    return this.#meter.metrics(this.#reading, {
      groupState: this.#session.state,
      memberId: this.#session.identity?.memberId ?? '',
      generation: this.#session.identity?.generation ?? -1,
    })
  }

  /** Totals of `getMetrics()` begin at 0 again (ME-4); offsets, lag and what `measures()` shows stay. */
  resetMetrics(): void {
    this.#meter.reset()
  }

  /** Running totals, levels and histograms of every series, for metrics; the histograms are live, not copies. */
  measures(): ConsumerMeasures {
    return this.#meter.measures(this.#reading)
  }

  /** Resolves when delivery ended: a callback returned false, or `close()`. Rejects with the failure that ended it. */
  run(): Promise<void> {
    return this.#end.promise
  }

  /** The same as `run()`, as a property: `await consumer.closed`. */
  get closed(): Promise<void> {
    return this.#end.promise
  }

  /**
   * Stops fetching, waits for running callbacks (at most `timeoutMs`, default `closeTimeoutMs`; 0 = not at all), commits
   * what is processed, leaves the group, then closes timers and sockets. Idempotent.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = this.#meter.errors.of(() => checkTimeout(options?.timeoutMs ?? this.config.closeTimeoutMs))
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The event comes in a turn of its own: nobody can listen to a client that is being made. */
  #warnOfSetting(path: string, message: string): void {
    this.config.logger.warn(message)
    this.#clock.defer(() => this.#events.emit('warning', { message, context: { path } }))
  }

  #deliveryTo(callback: RecordCallback | null): Delivery {
    return callback === null ? this.#pull.delivery() : this.#sinks.perRecord(callback)
  }

  async #subscribe(topics: unknown, delivery: () => Delivery, options: SubscribeOptions): Promise<void> {
    const wanted = subscriptionOf(topics)
    if (this.config.groupId === undefined) {
      const text = 'subscribe needs a groupId: set it, or read without a group through assign'
      throw new MQError('MISSING_CONFIG', text, { path: 'groupId' })
    }
    const ensureNotAssigned = () => {
      if (!this.#session.isEngaged && !this.#manual.isEmpty) throw mixed('subscribe', 'assign')
    }
    ensureNotAssigned()
    await this.#session.subscribe(wanted, delivery(), options, ensureNotAssigned)
  }

  async #assign(what: Assignable, delivery: () => Delivery, options: AssignOptions): Promise<void> {
    const ensureMine = () => {
      this.#ensureOpen()
      if (this.#session.isEngaged) throw mixed('assign', 'subscribe')
    }
    ensureMine()
    await this.#manual.add(what, delivery(), options, ensureMine)
  }

  /** A callback returned false, its failure ended delivery, or the group is lost for good. */
  #stopped(error: MQError | null): void {
    this.#failure ??= error // Also when a listener that was told of it has called `close`.
    if (this.#state !== 'open') return
    this.#state = 'stopped'
    this.#reading.stop()
    for (const cursor of this.#reading.cursors) cursor.hold(HOLD.paused)
    this.#leaving = this.#leave(error)
  }

  /** What is processed is committed and the group goes on without us, also if `close` is called much later. */
  async #leave(error: MQError | null): Promise<void> {
    if (this.#session.isEngaged) {
      const untilMs = this.#clock.monotonicMs() + this.config.closeTimeoutMs
      await this.#reading.whenIdle(this.#reading.cursors, untilMs, this.#hurry.promise)
      await this.#session.close(Math.max(untilMs, this.#clock.monotonicMs() + LEAVE_MS))
    }
    if (error === null) this.#end.resolve()
    else this.#end.reject(error)
    this.#events.emit('stopped', { error })
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = 'closing'
    this.#offTopic()
    const untilMs = this.#clock.monotonicMs() + timeoutMs
    const reading = this.#reading.close()
    await this.#reading.whenIdle(this.#reading.cursors, untilMs)
    this.#hurry.resolve()
    await (this.#leaving ?? this.#session.close(Math.max(untilMs, this.#clock.monotonicMs() + LEAVE_MS)))
    await reading
    this.#sinks.close()
    await this.#ownCluster?.close()
    this.#state = 'closed'
    if (this.#failure === null) this.#end.resolve()
    else this.#end.reject(this.#failure)
  }

  /** A call of the user: refused unless the consumer is open; what it throws is counted. */
  #call<T>(task: () => T): T {
    return this.#meter.errors.of(() => {
      this.#ensureOpen()
      return task()
    })
  }

  #callAsync<T>(task: () => Promise<T>): Promise<T> {
    return this.#meter.errors.ofAsync(async () => {
      this.#ensureOpen()
      try {
        return await task()
      } catch (error) {
        throw this.#isCutOff(error) ? this.#closedError(error) : error
      }
    })
  }

  #ensureOpen(): void {
    if (this.#state !== 'open') throw this.#closedError()
  }

  /** Its connection went because the consumer was closed: to the caller that is the same as being late. */
  #isCutOff(error: unknown): boolean {
    const isClosed = this.#state === 'closing' || this.#state === 'closed'
    return isClosed && error instanceof MQError && error.is('CONNECTION_CLOSED')
  }

  #closedError(cause?: unknown): MQError {
    const text = `the consumer is ${this.#state}: make another one`
    return new MQError('CONSUMER_CLOSED', text, { state: this.#state }, { cause })
  }
}

function callable(callback: unknown, verb: string): never {
  if (typeof callback === 'function') return callback as never
  throw new MQError('INVALID_CONFIG', `${verb} takes a callback as its second argument, which gets the records`)
}

/** What follows the topics: options, or a callback and options. An `undefined` callback is a mistake, not a wish to pull. */
function wayOf<O extends object>(how: unknown[], verb: string): { callback: RecordCallback | null; options: O } {
  const [first, second] = how
  const isPulled = how.length === 0 || (how.length === 1 && typeof first === 'object' && first !== null)
  if (isPulled) return { callback: null, options: (first ?? {}) as O }
  return { callback: callable(first, verb), options: (second ?? {}) as O }
}

function mixed(verb: string, other: string): MQError {
  const text = `${verb} after ${other}: partitions are either assigned by you or given by a group; use two consumers`
  return new MQError('INVALID_CONFIG', text, {})
}

function makeCluster(config: ResolvedConsumerConfig, clock: Clock, random: RandomSource): Cluster {
  return new Cluster(clusterOptionsOf(config), { clock, random, logger: config.logger })
}
