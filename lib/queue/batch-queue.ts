/**
 * The batch queue: items in, batches out, nothing lost on the way. This file is its face and its life; the way in is
 * `Intake`, what is kept where is `Store`, the way out is `Dispatcher`.
 * Invariant, after every step: enqueued + recovered = sent + failed + dropped + pending. Source: wal.md 7, QU-1, QU-2, QU-5.
 *
 *   new --start--> starting --> running --stop--> stopping --> stopped --start--> ...
 *    '------------------------close (from anywhere)----------> closing --> closed
 */
import { availableParallelism } from 'node:os'
import { WaiterQueue, type WaitOptions } from '../channel/index.js'
import { type QueueSettings, resolveQueueOptions } from '../config/index.js'
import { type ErrorReason, MQError, toMQError } from '../errors/index.js'
import { consoleLogger, Emitter, type Logger, randomInt, systemClock, systemRandom } from '../util/index.js'
import { Outcome, type Wal } from '../wal/index.js'
import { type ItemCodec, jsonCodec } from './codec.js'
import { QueueCounters } from './counters.js'
import type { Delivery } from './delivery.js'
import { Dispatcher } from './dispatcher.js'
import { guaranteeOf } from './guarantee.js'
import { Intake } from './intake.js'
import { Levels } from './levels.js'
import { logOptions, openLog } from './log-options.js'
import { LogStore } from './log-store.js'
import { MemoryStore } from './memory-store.js'
import { type QueueReadings, queueReadings, snapshot } from './readings.js'
import { ACCEPTED, type Store } from './store.js'
import type {
  DropReason,
  QueueDeps,
  QueueEvents,
  QueueGuarantee,
  QueueMetrics,
  QueueOptions,
  QueueReport,
  QueueState,
} from './types.js'
import { type Batch, Window } from './window.js'

const CLOSE_TIMEOUT_MS = 30_000
/** The log is closed in any case: it gets so long at least. Milliseconds. */
const LOG_CLOSE_MS = 5_000
const MOST_AUTO_SENDERS = 8
const ID_DIGITS = 16

/**
 * Collects items and sends them in batches, in memory or through a log that survives the process.
 *
 * ```ts
 * const queue = new BatchQueue<Order>({ send: async (batch) => insert(batch), durability: 'os', dir: './orders.wal' })
 * await queue.start()
 * await queue.enqueue({ id: 7 })
 * await queue.close()
 * ```
 * No file is touched before `start()`. Throws INVALID_CONFIG or MISSING_CONFIG with every finding in `context.issues`.
 */
export class BatchQueue<T> {
  /** Complete and frozen. */
  readonly config: QueueSettings
  readonly guarantee: QueueGuarantee
  readonly #deps: Required<Omit<QueueDeps, 'cores'>>
  readonly #codec: ItemCodec<T>
  readonly #events: Emitter<QueueEvents<T>>
  readonly #counters: QueueCounters
  readonly #window: Window<T>
  readonly #levels: Levels
  readonly #intake: Intake<T>
  readonly #dispatcher: Dispatcher<T>
  readonly #drainers = new WaiterQueue<void>()
  readonly #flushers = new WaiterQueue<void, number>() // by the ordinal that must be settled
  readonly #incarnationId: string // of items that are in no log
  #store: Store<T> | null = null
  #logStore: LogStore<T> | null = null
  #wal: Wal | null = null
  #state: QueueState = 'new'
  #starting: Promise<void> | null = null
  #stopping: Promise<QueueReport> | null = null
  #closing: Promise<QueueReport> | null = null

  constructor(options: QueueOptions<T>, deps: QueueDeps = {}) {
    this.config = resolveQueueOptions(options)
    const { clock = systemClock, random = systemRandom, logger = consoleLogger('warn'), cores } = deps
    this.#deps = {
      clock,
      random,
      logger,
      openLog: deps.openLog ?? ((log, events) => openLog(log, events, clock, logger)),
    }
    const senders = sendersOf(this.config.concurrency, cores ?? availableParallelism())
    this.guarantee = guaranteeOf(this.config, senders)
    this.#codec = options.codec ?? jsonCodec<T>()
    this.#events = new Emitter((error) => this.#listenerThrew(error, logger))
    this.#counters = new QueueCounters(this.config.metrics)
    this.#incarnationId = Array.from({ length: ID_DIGITS }, () => randomInt(random, 16).toString(16)).join('')
    this.#window = new Window<T>(clock, this.config.batchMaxItems)
    this.#levels = new Levels(limitOf(this.config), this.config, {
      soft: (level) => this.#events.emit('backpressure', level),
      resumed: (level) => this.#events.emit('drain', level),
      hard: (level) => this.#events.emit('overflow', { policy: this.config.overflow, ...level }),
    })
    this.#dispatcher = new Dispatcher<T>({
      settings: this.config,
      senders,
      send: options.send,
      clock,
      random,
      window: this.#window,
      counters: this.#counters,
      events: {
        retrying: (delivery, error, delayMs) => this.#events.emit('retry', { ...factsOf(delivery), error, delayMs }),
        held: (delivery, error) => this.#events.emit('held', { ...factsOf(delivery), error }),
        settled: (delivery, outcome, error) => this.#settled(delivery, outcome, error),
        circuit: (from, to) => this.#events.emit('circuit', { from, to }),
      },
    })
    this.#intake = new Intake<T>(
      {
        settings: this.config,
        clock,
        counters: this.#counters,
        levels: this.#levels,
        came: () => this.#dispatcher.came(),
        full: () => this.#dispatcher.poke(),
        evicted: (batches) => this.#evicted(batches),
      },
      () => refusal('QUEUE_NOT_STARTED', 'the queue is not started: call start() first'),
    )
  }

  get state(): QueueState {
    return this.#state
  }

  /** Items are taken and sent. */
  get isStarted(): boolean {
    return this.#state === 'running'
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Pending items: in memory, under way and in the log. */
  get queueSize(): number {
    return this.#counters.pending
  }

  /** Bytes of the log's files that hold pending items; 0 without a log. */
  get walSize(): number {
    return this.#store?.logBytes ?? 0
  }

  /**
   * Opens the log, brings back what is in it, begins to take and to send. Called again, or after `stop()`, it goes on.
   * Rejects with QUEUE_CLOSED, or what opening the log says (WAL_LOCKED, WAL_CORRUPT ...); it may be called again then.
   */
  start(): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closedError())
    if (this.#state === 'running') return ACCEPTED
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null
    })
    return this.#starting
  }

  /**
   * Takes one item. Resolves when it is accepted (wal.md 1.1); in memory that is at once, and the promise is always the
   * same. With 'block' it waits for room, at most `maxBlockMs` (or `timeoutMs`), in the order of calls.
   * Rejects with PRODUCER_CLOSED (QUEUE_NOT_STARTED, QUEUE_STOPPED, QUEUE_CLOSED), POOL_EXHAUSTED or TIMEOUT
   * (BUFFER_FULL, WAL_FULL), SERIALIZATION_FAILED, MESSAGE_TOO_LARGE, PRODUCE_FAILED (WAL_FAILED: it may have been written
   * all the same), or `signal.reason`. The item belongs to the queue until it is settled.
   */
  enqueue(item: T, options?: WaitOptions): Promise<void> {
    return this.#intake.enqueue(item, options)
  }

  /**
   * Takes items in order. With 'reject' all or none; otherwise what was taken before a failure stays, and the error says
   * how much in `context.acceptedCount`. Resolves when all are accepted. Rejects as `enqueue`.
   */
  enqueueBatch(items: readonly T[], options?: WaitOptions): Promise<void> {
    return this.#intake.enqueueBatch(items, options)
  }

  /** As `enqueue`, but now or not at all: false when it would have to wait. Throws what `enqueue` rejects with otherwise. */
  tryEnqueue(item: T): boolean {
    return this.#intake.tryEnqueue(item)
  }

  /** Resolves when the queue is below `resumePercent`. Rejects with TIMEOUT, QUEUE_CLOSED or `signal.reason`. */
  ready(options: WaitOptions = {}): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closedError())
    return this.#levels.ready(this.#store?.used ?? 0, this.#timed(options))
  }

  /**
   * Sends what is there without waiting for more. Resolves when everything enqueued before the call is settled.
   * Rejects with TIMEOUT (`context.pending`; everything stays queued), PRODUCER_CLOSED or `signal.reason`.
   */
  async flush(options: WaitOptions = {}): Promise<void> {
    if (this.#starting !== null) await this.#starting
    if (this.queueSize === 0) return
    if (this.#state !== 'running' && this.#state !== 'stopping') throw this.#notRunning()
    const to = this.#end
    const settled = this.#flushers.add(to, this.#timed(options), () => this.#timeout('flush', options)).promise
    this.#dispatcher.flushTo(to)
    return settled
  }

  /** Resolves when nothing is pending; it forces nothing. Rejects as `flush`. */
  drain(options: WaitOptions = {}): Promise<void> {
    if (this.queueSize === 0) return ACCEPTED
    if (this.#closing !== null) return Promise.reject(closedError())
    return this.#whenEmpty(options)
  }

  /**
   * Takes nothing any more, sends what is pending, stops. What is not settled within `timeoutMs` (30000) stays in the
   * queue: its calls are aborted, and `start()` goes on with it.
   */
  stop({ timeoutMs = CLOSE_TIMEOUT_MS }: { readonly timeoutMs?: number } = {}): Promise<QueueReport> {
    if (this.#closing !== null) return this.#closing
    this.#stopping ??= this.#stop(timeoutMs).finally(() => {
      this.#stopping = null
    })
    return this.#stopping
  }

  /**
   * As `stop`, and for good: the log is closed, no timer, file or lock remains. What is not settled in time stays in the
   * log (`pending`); what is only in memory is dropped (event `dropped`, reason 'closed'). Never rejects; the same promise
   * for every call.
   */
  close({ timeoutMs = CLOSE_TIMEOUT_MS }: { readonly timeoutMs?: number } = {}): Promise<QueueReport> {
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  metrics(): QueueMetrics {
    return snapshot({
      counters: this.#counters,
      memoryQueueSize: this.#window.size + this.#dispatcher.underWay,
      logQueueSize: this.#store?.backlog ?? 0,
      walSize: this.walSize,
      circuitState: this.#dispatcher.breaker?.state ?? 'closed',
      batchSize: this.#dispatcher.batchSize,
      sending: this.#dispatcher.sending,
    })
  }

  /** The series `queue_*` with the label `queue` = `config.name`, for `mq.metrics.attachRoom('queue', queue)`. */
  readings(): QueueReadings {
    return queueReadings(this.config.name, this.metrics())
  }

  on<E extends keyof QueueEvents<T>>(event: E, listener: (event: QueueEvents<T>[E]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /** Ordinal behind the newest item. */
  get #end(): number {
    return this.#window.tail + (this.#store?.backlog ?? 0)
  }

  async #start(): Promise<void> {
    if (this.#stopping !== null) await this.#stopping
    const before = this.#state
    this.#state = 'starting'
    this.#intake.prepare()
    try {
      this.#store ??= this.config.durability === 'memory' ? this.#memoryStore() : await this.#openStore()
    } catch (cause) {
      const error = toMQError(cause, 'PRODUCE_FAILED', 'the log could not be opened')
      this.#state = before
      this.#intake.refuse(() => error)
      throw error
    }
    this.#state = 'running'
    this.#dispatcher.start(this.#store)
    this.#intake.open(this.#store)
  }

  #memoryStore(): Store<T> {
    return new MemoryStore<T>(this.#window, this.#levels, this.#incarnationId)
  }

  async #openStore(): Promise<Store<T>> {
    const { clock, openLog } = this.#deps
    const wal = await openLog(logOptions(this.config), {
      degraded: (error) => this.#events.emit('walDegraded', error),
      failed: (error) => this.#logFailed(error),
      slowSync: (ms) => this.#events.emit('walSlowSync', { ms }),
      full: () => {},
      room: () => this.#logStore?.roomCame(),
      progress: () => {},
    })
    this.#wal = wal
    const { config } = this
    const spillsFrom =
      config.durability === 'spill' ? { incarnationId: this.#incarnationId, hardAt: this.#levels.hardAt } : null
    const store = new LogStore<T>({
      wal,
      window: this.#window,
      levels: this.#levels,
      codec: this.#codec,
      counters: this.#counters,
      clock,
      spillsFrom,
      memoryMaxItems: config.memoryMaxItems,
      retryMs: config.retryMaxMs,
      listener: {
        changed: () => this.#changed(),
        lost: (items, count) => this.#lost(items, count),
        failed: (error) => this.#tell(error),
      },
    })
    this.#logStore = store
    this.#counters.recovered = store.backlog
    const { tornBytes, holes } = wal.recovered
    if (store.backlog + tornBytes + holes.length > 0) {
      this.#events.emit('recovered', { items: store.backlog, tornBytes, lostRanges: holes.length })
    }
    return store
  }

  async #stop(timeoutMs: number): Promise<QueueReport> {
    await this.#starting?.catch(() => {}) // Its caller was told.
    if (this.#state !== 'running') return this.#report()
    this.#state = 'stopping'
    this.#intake.refuse(() => refusal('QUEUE_STOPPED', 'the queue is stopped: start() it again first'))
    await this.#empty(timeoutMs)
    this.#dispatcher.park(refusal('QUEUE_STOPPED', 'the queue was stopped'))
    this.#wal?.flush()
    this.#state = 'stopped'
    this.#flushers.rejectAll(() => this.#notRunning())
    return this.#report()
  }

  async #close(timeoutMs: number): Promise<QueueReport> {
    const { clock } = this.#deps
    const endMs = clock.monotonicMs() + timeoutMs
    await this.#starting?.catch(() => {}) // Its caller was told.
    await this.#stopping
    const wasRunning = this.#state === 'running'
    this.#state = 'closing'
    this.#intake.refuse(closedError)
    if (wasRunning) await this.#empty(Math.max(0, endMs - clock.monotonicMs()))
    this.#dispatcher.park(closedError())
    this.#dropRest()
    this.#dispatcher.close()
    this.#logStore?.close()
    const failure = await this.#closeLog(Math.max(LOG_CLOSE_MS, endMs - clock.monotonicMs()))
    this.#state = 'closed'
    for (const waiters of [this.#drainers, this.#flushers, this.#levels]) waiters.rejectAll(closedError)
    return failure === null ? this.#report() : { ...this.#report(), failure }
  }

  #whenEmpty(options: WaitOptions): Promise<void> {
    return this.#drainers.add(undefined, this.#timed(options), () => this.#timeout('drain', options)).promise
  }

  /** Sends everything, full batches or not; gives up after `timeoutMs`. */
  async #empty(timeoutMs: number): Promise<void> {
    this.#dispatcher.flushTo(Number.POSITIVE_INFINITY)
    if (this.queueSize === 0) return
    const emptied = timeoutMs <= 0 ? Promise.reject() : this.#whenEmpty({ timeoutMs })
    const isEmpty = await emptied.then(
      () => true,
      () => false, // What is pending is in the report.
    )
    if (!isEmpty) this.#deps.logger.warn(`${this.queueSize} items were not sent within ${timeoutMs} ms`)
  }

  /** What is in the log stays there. */
  #dropRest(): void {
    const lost = this.#dispatcher.abandon().filter(({ origin }) => !origin.isLogged)
    for (const { items } of lost) this.#counters.dropped += items.length
    const items = lost.flatMap((batch) => batch.items)
    if (items.length > 0) this.#emitDropped(items, items.length, 'closed')
  }

  async #closeLog(timeoutMs: number): Promise<MQError | null> {
    const wal = this.#wal
    if (wal === null) return null
    try {
      await wal.close({ timeoutMs })
    } catch (cause) {
      const error = toMQError(cause, 'PRODUCE_FAILED', 'the log did not close')
      this.#tell(error)
      return error
    }
    return wal.failure
  }

  #settled(delivery: Delivery<T>, outcome: Outcome, error: MQError | null): void {
    const { batch, attempts } = delivery
    this.#store?.settled(batch, outcome)
    this.#fell()
    if (error === null) return
    const { items, firstPosition, origin } = batch
    this.#events.emit('failed', { items, error, attempts, firstPosition, incarnationId: origin.incarnationId })
  }

  #evicted(batches: readonly Batch<T>[]): void {
    for (const batch of batches) {
      this.#counters.dropped += batch.items.length
      this.#store?.settled(batch, Outcome.dropped)
    }
    this.#wake()
    const items = batches.flatMap((batch) => batch.items)
    this.#emitDropped(items, items.length, 'overflow')
  }

  /** The log had not accepted them and never will. */
  #lost(items: readonly T[], count: number): void {
    this.#counters.dropped += count
    this.#wake()
    this.#emitDropped(items, count, 'walFailed')
  }

  #logFailed(error: MQError): void {
    this.#logStore?.gaveUp()
    this.#events.emit('walFailed', error)
    this.#intake.serve() // Who waits for room in it waits in vain.
  }

  /** More may be sent, or taken. */
  #changed(): void {
    this.#fell()
    this.#dispatcher.poke()
  }

  #fell(): void {
    this.#intake.serve()
    this.#wake()
    this.#levels.fell(this.#store?.used ?? 0)
  }

  /** Who waits for items to be settled. */
  #wake(): void {
    const { settledTo } = this.#dispatcher
    for (let to = this.#flushers.firstNeed; to !== undefined && settledTo >= Math.min(to, this.#end); ) {
      this.#flushers.wake(1, undefined)
      to = this.#flushers.firstNeed
    }
    if (this.#counters.pending === 0) this.#drainers.wake(this.#drainers.size, undefined)
  }

  #report(): QueueReport {
    const { sent, failed, dropped, pending } = this.#counters
    return { sent, failed, dropped, pending }
  }

  #emitDropped(items: readonly T[], count: number, reason: DropReason): void {
    this.#events.emit('dropped', { items, count, reason })
  }

  #notRunning(): MQError {
    if (this.#state === 'new') return refusal('QUEUE_NOT_STARTED', 'the queue is not started: call start() first')
    if (this.#closing !== null) return closedError()
    return refusal('QUEUE_STOPPED', 'the queue is stopped: start() it again first')
  }

  #timed(options: WaitOptions): WaitOptions {
    return { clock: this.#deps.clock, ...options }
  }

  #timeout(what: string, { timeoutMs }: WaitOptions): MQError {
    const pending = this.queueSize
    const text = `${what} did not end within ${timeoutMs} ms: ${pending} items are pending and stay queued`
    return new MQError('TIMEOUT', text, { timeoutMs, pending })
  }

  #tell(error: MQError): void {
    if (this.#events.has('error')) this.#events.emit('error', error)
    else this.#deps.logger.error(error.message, { code: error.code, reason: error.context.reason })
  }

  #listenerThrew(cause: unknown, logger: Logger): void {
    // Told to the log and not to the listeners: it may be theirs that throws.
    logger.error('a listener of the queue threw', { error: String(cause) })
  }
}

function sendersOf(concurrency: number | 'auto', cores: number): number {
  return concurrency === 'auto' ? Math.min(2 * cores, MOST_AUTO_SENDERS) : concurrency
}

/** What the percentages are of: items in memory, or bytes of the log where that takes what memory does not. */
function limitOf({ durability, memoryMaxItems, walMaxBytes }: QueueSettings): number {
  return durability === 'memory' || durability === 'spill' ? memoryMaxItems : walMaxBytes
}

function factsOf<T>({ batch, attempts }: Delivery<T>) {
  const { items, firstPosition, origin } = batch
  return { items: items.length, firstPosition, incarnationId: origin.incarnationId, attempts }
}

function refusal(reason: ErrorReason, text: string): MQError {
  return new MQError('PRODUCER_CLOSED', text, { reason })
}

function closedError(): MQError {
  return refusal('QUEUE_CLOSED', 'the queue is closed')
}
