/**
 * Connections to lend: for requests that neither producer, consumer nor admin client makes, and figures of all
 * connections of an instance. Source: features.md CL-2, CL-3, CL-5, 3.5; trap 20.
 * Why beside the links of producer and consumer: a lent socket belongs to one caller, and nothing of ours may wait
 * behind what that caller asks.
 * Invariant: per broker at most `maxConnections` sockets, of which three are left to produce, fetch and control;
 * callers are served in the order in which they came; unused, a pool has neither socket nor timer.
 */
import type { ResolvedClientConfig } from '../../config/index.js'
import { MQError, toMQError } from '../../errors/index.js'
import {
  Buckets,
  backoffMs,
  type Clock,
  Emitter,
  LATENCY_SECONDS,
  type Logger,
  type RandomSource,
  systemClock,
  systemRandom,
  type Told,
  telling,
  tellingAsync,
} from '../../util/index.js'
import { checkSignal } from '../abort.js'
import { Cluster } from '../cluster.js'
import { isWorthRepeating } from '../control-plane.js'
import { closedHere } from '../failures.js'
import { clusterOptionsOf } from '../options-of.js'
import { checkTimeout, noConnection } from './checks.js'
import { Lease } from './lease.js'
import type { PoolSocket } from './pool-socket.js'
import { PoolSockets } from './pool-sockets.js'
import type {
  ConnectionMeasures,
  ConnectionPoolEvents,
  ConnectionPoolState,
  GetConnectionOptions,
  PoolDeps,
  PooledConnection,
  PoolStats,
} from './pool-types.js'
import { Refill } from './refill.js'
import { type ConnectionSource, IncludedConnections } from './stats.js'
import { Waiter, Waiters } from './waiters.js'

/** Of `maxConnections`: produce, fetch, coordinator and control (CL-1). */
const OWN_PURPOSES = 3

/**
 * Lends connections to brokers.
 *
 * ```ts
 * const pool = createConnectionPool({ brokers: 'localhost:9092' })
 * const connection = await pool.getConnection()
 * const { brokers } = await connection.request('Metadata', { topics: [] })
 * pool.releaseConnection(connection)
 * await pool.close()
 * ```
 */
export class ConnectionPool {
  readonly #config: ResolvedClientConfig
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #logger: Logger
  readonly #told: Told
  readonly #events: Emitter<ConnectionPoolEvents>
  readonly #cluster: Cluster
  readonly #sockets: PoolSockets
  readonly #waiters: Waiters
  readonly #refill: Refill
  readonly #included = new IncludedConnections()
  readonly #pingSeconds = new Buckets(LATENCY_SECONDS)
  /** Per broker. */
  readonly #limit: number
  #finding: Promise<void> | null = null // the brokers, before the first connection
  #lastError: MQError | null = null // of the last attempt, if it failed
  #state: ConnectionPoolState = 'new'
  #closing: Promise<void> | null = null

  constructor(config: ResolvedClientConfig, deps: PoolDeps = {}) {
    this.#config = config
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? systemRandom
    this.#logger = deps.logger ?? config.logger
    this.#told = deps.told ?? (() => {})
    this.#limit = Math.max(0, config.pool.maxConnections - OWN_PURPOSES)
    this.#events = new Emitter((error) => this.#logger.error('a listener of the pool threw', { error: String(error) }))
    this.#cluster = new Cluster(clusterOptionsOf(config), { ...deps, logger: this.#logger })
    this.#cluster.events.on('error', (error) => this.#raise(error))
    this.#cluster.events.on('warning', (error) => this.#events.emit('warning', error))
    this.#waiters = new Waiters(this.#clock)
    this.#sockets = this.#makeSockets()
    this.#refill = this.#makeRefill()
  }

  get state(): ConnectionPoolState {
    return this.#state
  }

  /**
   * A connection that is yours until you release it: a free one, or a new one while the broker has fewer than
   * `pool.maxConnections` - 3. Rejects with POOL_EXHAUSTED/NO_CONNECTION (all are lent, none came back in time),
   * CONNECTION_FAILED (no broker, or not this one, could be reached in `connection.maxRetries` further rounds),
   * CONNECTION_TIMEOUT, AUTHENTICATION_FAILED, CONNECTION_CLOSED (the pool is closed), INVALID_CONFIG, `signal.reason`.
   */
  getConnection(options?: GetConnectionOptions): Promise<PooledConnection> {
    return tellingAsync(this.#told, () => this.#getConnection(options ?? {}))
  }

  /** Gives a connection back; the same as its `release()`. Twice is harmless. */
  releaseConnection(connection: PooledConnection): void {
    telling(this.#told, () => {
      if (typeof connection?.release !== 'function') throw noConnection(connection)
      connection.release()
    })
  }

  /** CL-3: this pool and every source that was included. */
  getStats(): PoolStats {
    const isHere = this.#sockets
    const active = isHere.count(({ state }) => state === 'lent' || state === 'draining' || state === 'probing')
    const [own, others] = [this.#cluster.stats(), this.#included.sum()]
    return {
      totalConnections: isHere.size + own.totalConnections + others.totalConnections,
      activeConnections: active + own.activeConnections + others.activeConnections,
      idleConnections: isHere.size - active + own.idleConnections + others.idleConnections,
      maxConnections: this.#config.pool.maxConnections,
      connectionsCreated: isHere.opened + own.connectionsCreated + others.connectionsCreated,
      connectionsClosed: isHere.closed + own.connectionsClosed + others.connectionsClosed,
      connectionErrors: isHere.errors + own.connectionErrors + others.connectionErrors,
      lentConnections: isHere.count(({ state }) => state === 'lent'),
      lendableConnections: isHere.count(({ state }) => state === 'idle'),
      openingConnections: isHere.opening,
      waitingCallers: this.#waiters.size,
    }
  }

  /** For metrics: what `getStats` tells, with the round trips. */
  measures(): ConnectionMeasures {
    const { lentConnections, lendableConnections, openingConnections, waitingCallers, ...stats } = this.getStats()
    return { ...stats, pingSeconds: this.#pingSeconds }
  }

  /** `getStats` and `measures` cover this source too; the returned function ends it, its totals stay counted. */
  include(source: ConnectionSource): () => void {
    return this.#included.include(source)
  }

  /**
   * A round trip to any broker. Rejects with CONNECTION_FAILED (refused), CONNECTION_TIMEOUT (no answer within
   * `timeoutMs`, default `connection.readTimeoutMs`), AUTHENTICATION_FAILED, CONNECTION_CLOSED, or `signal.reason`.
   */
  ping(options?: {
    readonly timeoutMs?: number | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<{ rttMs: number; nodeId: number }> {
    return tellingAsync(this.#told, () => this.#ping(options ?? {}))
  }

  /**
   * Throws why this pool cannot serve just now: the error of the last attempt when it has no connection at all,
   * POOL_EXHAUSTED when callers wait for what others have lent, CONNECTION_CLOSED. Asks no broker.
   */
  checkHealth(): void {
    telling(this.#told, () => {
      this.#ensureOpen()
      if (this.#lastError !== null && this.#sockets.size === 0) throw this.#lastError
      const starved = this.#waiters.inOrder().filter((waiter) => !this.#isReachingOut(waiter))
      if (starved.length > 0) throw this.#exhausted(starved[0]?.brokerId, { waitingCallers: starved.length })
    })
  }

  /** Listens to an event; returns the function that ends it. */
  on<E extends keyof ConnectionPoolEvents>(event: E, listener: (value: ConnectionPoolEvents[E]) => void): () => void {
    return this.#events.on(event, listener)
  }

  /** Rejects callers that wait, closes every connection, lent ones too. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #getConnection(options: GetConnectionOptions): Promise<PooledConnection> {
    this.#ensureOpen()
    const timeoutMs = checkTimeout(options.timeoutMs ?? this.#config.pool.acquireTimeoutMs)
    checkSignal(options.signal)
    options.signal?.throwIfAborted()
    if (this.#limit === 0) throw this.#nothingToLend()
    this.#state = 'open'
    const waiter = new Waiter(options, timeoutMs)
    this.#waiters.add(waiter, options.signal, (late) => this.#waiters.reject(late, this.#tooLate(late)))
    this.#serve()
    return waiter.done.promise
  }

  async #ping(options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined }) {
    this.#ensureOpen()
    const timeoutMs = checkTimeout(options.timeoutMs ?? this.#config.connection.readTimeoutMs)
    checkSignal(options.signal)
    this.#state = 'open'
    const { rttMs, brokerId } = await this.#cluster.ping({ timeoutMs, signal: options.signal })
    this.#pingSeconds.observe(rttMs / 1_000)
    this.#lastError = null
    return { rttMs, nodeId: brokerId }
  }

  async #close(): Promise<void> {
    this.#state = 'closing'
    this.#refill.stop()
    this.#waiters.rejectAll(closedHere('the pool'))
    await Promise.all([this.#sockets.close(), this.#cluster.close()])
    this.#state = 'closed'
  }

  /** The one place that lends: everybody who waits, in order, gets what is free, or has one opened. */
  #serve(): void {
    if (this.#closing !== null) return
    for (const waiter of this.#waiters.inOrder()) {
      const socket = this.#sockets.take(waiter.brokerId)
      if (socket !== null) {
        this.#refill.start()
        this.#waiters.resolve(waiter, this.#lease(socket))
      } else if (!waiter.isOpening && waiter.pause === null) this.#openFor(waiter)
    }
    this.#refill.look()
  }

  #lease(socket: PoolSocket): Lease {
    return new Lease(socket, this.#clock, (one) => this.#sockets.giveBack(one), this.#told)
  }

  #openFor(waiter: Waiter): void {
    const brokers = waiter.brokerId === undefined ? this.#brokerIds() : [waiter.brokerId]
    if (this.#cluster.brokers().length === 0) return this.#findBrokers()
    const untried = brokers.filter((brokerId) => !waiter.failed.has(brokerId))
    const brokerId = this.#leastUsed(untried)
    if (brokerId !== null) this.#open(waiter, brokerId)
    else if (untried.length === 0) this.#roundIsOver(waiter)
    else if (waiter.isImpatient && !this.#isProbing(waiter))
      this.#waiters.reject(waiter, this.#exhausted(waiter.brokerId))
  }

  #open(waiter: Waiter, brokerId: number): void {
    waiter.isOpening = true
    this.#opened(brokerId).then(
      () => {
        waiter.isOpening = false
        // Whoever came first has it: then this one needs another.
        if (this.#waiters.has(waiter)) this.#serve()
      },
      (error: MQError) => {
        waiter.isOpening = false
        waiter.lastError = error
        waiter.failed.add(brokerId)
        if (error.fatal) this.#refill.stop() // Refused credentials are not tried over and over: accounts get locked.
        if (this.#waiters.has(waiter) && !isWorthRepeating(error)) this.#waiters.reject(waiter, error)
        this.#serve()
      },
    )
  }

  async #opened(brokerId: number): Promise<void> {
    try {
      await this.#sockets.open(brokerId)
      this.#lastError = null
    } catch (cause) {
      const error = toMQError(cause, 'CONNECTION_FAILED', `no connection to broker ${brokerId}`)
      const known = error.with({ brokerId, wasSent: 'no' })
      if (this.#closing !== null) throw known
      if (this.#brokerIds().includes(brokerId)) this.#lastError = known
      this.#logger.debug(`no connection to broker ${brokerId} to lend`, { why: known.message })
      throw known
    }
  }

  /** Every broker it may use has failed: again after a pause, as often as `connection.maxRetries` says. */
  #roundIsOver(waiter: Waiter): void {
    const { maxRetries, retryBackoffMs, retryBackoffMaxMs } = this.#config.connection
    const error = waiter.lastError ?? this.#exhausted(waiter.brokerId)
    if (waiter.isImpatient || waiter.round >= maxRetries) return this.#waiters.reject(waiter, error)
    // A broker that moved, or that is gone for good: only fresh metadata can tell.
    this.#cluster.refresh('no connection to lend could be opened').catch(() => {})
    waiter.pause = this.#clock.setTimer(
      () => {
        waiter.pause = null
        waiter.round++
        waiter.failed.clear()
        this.#serve()
      },
      backoffMs(waiter.round, retryBackoffMs, retryBackoffMaxMs, this.#random),
    )
  }

  /** Once for all who wait: it has retries of its own. */
  #findBrokers(): void {
    this.#finding ??= this.#cluster
      .connect()
      .then(
        () => null,
        (error: unknown) => toMQError(error, 'CONNECTION_FAILED', 'no broker could be found'),
      )
      .then((error) => {
        this.#finding = null
        this.#lastError = error
        if (error !== null) this.#waiters.rejectAll(error)
        this.#serve()
      })
  }

  #brokerIds(): number[] {
    return this.#cluster.brokers().map(({ brokerId }) => brokerId)
  }

  /** With room for one more; null: none. */
  #leastUsed(brokerIds: readonly number[]): number | null {
    const [best] = brokerIds
      .filter((brokerId) => this.#sockets.hasRoomFor(brokerId))
      .map((brokerId) => ({ brokerId, used: this.#sockets.ofBroker(brokerId), tie: this.#random.next() }))
      .sort((a, b) => a.used - b.used || a.tie - b.tie)
    return best?.brokerId ?? null
  }

  /** A connection that is being probed comes back in a moment. */
  #isProbing({ brokerId }: Waiter): boolean {
    const isFor = (of: number) => brokerId === undefined || of === brokerId
    return this.#sockets.count((socket) => socket.state === 'probing' && isFor(socket.brokerId)) > 0
  }

  #makeSockets(): PoolSockets {
    return new PoolSockets({
      clock: this.#clock,
      settings: this.#config.pool,
      limit: this.#limit,
      pingSeconds: this.#pingSeconds,
      open: (brokerId, signal) => this.#cluster.openConnection(brokerId, signal),
      onChange: () => this.#serve(),
      onBroken: (socket, reason) =>
        this.#logger.debug(`a pooled connection to broker ${socket.brokerId} broke`, { why: reason.message }),
    })
  }

  #makeRefill(): Refill {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#config.connection
    return new Refill({
      clock: this.#clock,
      random: this.#random,
      backoffMs: retryBackoffMs,
      backoffMaxMs: retryBackoffMaxMs,
      missing: () => this.#missing(),
      open: () => {
        const brokerId = this.#leastUsed(this.#brokerIds())
        return brokerId === null ? null : this.#opened(brokerId)
      },
      failed: (error) => {
        if (error.fatal) this.#raise(error)
        else this.#cluster.refresh('no connection to keep ready could be opened').catch(() => {})
      },
    })
  }

  #missing(): number {
    const ready = this.#sockets.count(({ state }) => state === 'idle' || state === 'probing')
    return this.#config.pool.minIdle - ready - this.#sockets.opening
  }

  /** It waits for a broker, not for what others have lent. */
  #isReachingOut(waiter: Waiter): boolean {
    return waiter.isOpening || waiter.pause !== null || this.#finding !== null
  }

  #raise(error: MQError): void {
    this.#told(error)
    this.#events.emit('error', error)
  }

  #ensureOpen(): void {
    if (this.#closing !== null) throw closedHere('the pool')
  }

  #tooLate(waiter: Waiter): MQError {
    if (waiter.pause !== null && waiter.lastError !== null) return waiter.lastError
    if (!this.#isReachingOut(waiter)) return this.#exhausted(waiter.brokerId, { timeoutMs: waiter.timeoutMs })
    const text = `no connection was ready within ${waiter.timeoutMs} ms: it was still being opened`
    const context = { brokerId: waiter.brokerId, timeoutMs: waiter.timeoutMs, wasSent: 'no' }
    return new MQError('CONNECTION_TIMEOUT', text, context, { cause: waiter.lastError ?? undefined })
  }

  #exhausted(brokerId: number | undefined, more: object = {}): MQError {
    const where = brokerId === undefined ? 'every broker' : `broker ${brokerId}`
    const text = `all ${this.#limit} connections to ${where} are lent: release one, or raise pool.maxConnections`
    const context = { reason: 'NO_CONNECTION', brokerId, limit: this.#limit, wasSent: 'no', ...more } as const
    return new MQError('POOL_EXHAUSTED', text, context)
  }

  #nothingToLend(): MQError {
    const text = `pool.maxConnections ${this.#config.pool.maxConnections} leaves none to lend: three per broker are for produce, fetch and control`
    return new MQError(
      'POOL_EXHAUSTED',
      text,
      { reason: 'NO_CONNECTION', limit: 0, wasSent: 'no' },
      { retryable: false },
    )
  }
}
