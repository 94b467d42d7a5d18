/**
 * One purpose's way to one broker: a persistent object whose sockets come and go.
 * Why one each for produce, fetch, control and group: a broker answers a socket in order, so a fetch that waits for data must
 * not hold back an acknowledgement or a heartbeat (kafka.md W-10, CL-1).
 * Invariant: at most one socket, or one attempt, or one back-off timer at a time; none of them after `close`.
 *
 *   down --connect()--> opening --ready--> up --socket gone--> down (backing off while somebody wants it)
 *                          \--failed--> backing off --> opening ...
 */
import { findMQError, MQError } from '../errors/index.js'
import type { Api, DecodedResponseOf, RequestOf } from '../protocol/index.js'
import { backoffMs, type Clock, type Deferred, deferred, type RandomSource, type TimerHandle } from '../util/index.js'
import type { ApiRanges } from './api-ranges.js'
import type { Connection } from './connection.js'
import { type BrokerAddress, closedHere, notSent, placeOf, unknownBroker, unsupported } from './failures.js'
import { type Dial, openConnection } from './open-connection.js'
import type { ClusterSettings } from './settings.js'

/** 'group': what a coordinator may hold for long (JoinGroup, SyncGroup), and the heartbeats of that member. */
export type LinkPurpose = 'produce' | 'fetch' | 'control' | 'group'

/** What a link asks of its cluster, and tells it. */
export interface LinkHost {
  readonly settings: ClusterSettings
  readonly clock: Clock
  readonly random: RandomSource
  readonly dial: Dial
  /** Undefined: the broker is not part of the cluster now. */
  addressOf(brokerId: number): BrokerAddress | undefined
  linkUp(link: BrokerLink, connection: Connection): void
  linkDown(link: BrokerLink, connection: Connection, reason: MQError): void
  linkFailed(link: BrokerLink, error: MQError): void
}

export class BrokerLink {
  readonly brokerId: number
  readonly purpose: LinkPurpose
  /** Set by the one owner: look again, there may be room. Also called when the link went up or down. */
  onRoom: (() => void) | null = null
  /** Set by the one owner: the socket is gone, its requests have been rejected before. */
  onDown: ((reason: MQError) => void) | null = null
  /** Set by the one owner: an attempt to connect failed. The next one is not planned yet: `rest` prevents it. */
  onFailed: ((error: MQError) => void) | null = null
  readonly #host: LinkHost
  #connection: Connection | null = null
  #opening: Promise<void> | null = null
  #backOff: TimerHandle | null = null
  #failures = 0 // in a row
  #notBeforeMs = 0 // end of the back-off
  #lastError: MQError | null = null
  #isWanted = false
  #isClosed = false
  readonly #abort = new AbortController()
  readonly #waiters = new Set<Deferred<void>>()
  #gone: Deferred<void> | null = null // close() waits for the socket

  constructor(brokerId: number, purpose: LinkPurpose, host: LinkHost) {
    this.brokerId = brokerId
    this.purpose = purpose
    this.#host = host
  }

  get isReady(): boolean {
    return this.#connection?.isOpen ?? false
  }

  /** A request may be sent now: ready, a slot free, not throttled, socket not full. */
  get hasRoom(): boolean {
    const connection = this.#connection
    return connection?.hasRoom ?? false
  }

  get inFlight(): number {
    return this.#connection?.inFlight ?? 0
  }

  /** Waits for its next attempt: asking another broker is the better idea. */
  get isBackingOff(): boolean {
    return this.#connection === null && this.#host.clock.monotonicMs() < this.#notBeforeMs
  }

  /** Milliseconds until the next attempt may be made; 0 = now. */
  get backOffMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#host.clock.monotonicMs())
  }

  /** Versions and features of the present connection. */
  get apis(): ApiRanges | null {
    return this.#connection?.apis ?? null
  }

  /** Why the last attempt failed, or the last socket went. */
  get lastError(): MQError | null {
    return this.#lastError
  }

  /** Negotiated with this broker, at most `maxVersion`; -1: the broker lacks the api, or there is no connection. */
  versionOf(api: Api, maxVersion?: number): number {
    return this.#connection?.apis.versionOf(api, maxVersion) ?? -1
  }

  /** Starts connecting in the background and keeps trying, with back-off, until the link was up once. */
  connect(): void {
    if (this.#isClosed || this.isReady) return
    this.#isWanted = true
    this.#openWhenDue()
  }

  /** Makes no further attempt until somebody wants it again; what is under way, and a socket, go on. */
  rest(): void {
    this.#isWanted = false
    if (this.#waiters.size > 0) return
    this.#backOff?.cancel()
    this.#backOff = null
  }

  /** Resolves when ready; rejects with CONNECTION_TIMEOUT, or CONNECTION_CLOSED on `close`. */
  whenReady(timeoutMs: number): Promise<void> {
    return this.#waitUntil(() => this.isReady, timeoutMs)
  }

  /** Resolves when a request may be sent. Others may be quicker: ask `hasRoom` again. */
  whenRoom(timeoutMs: number): Promise<void> {
    return this.#waitUntil(() => this.hasRoom, timeoutMs)
  }

  /** Resolves when the attempt under way (or one made now) succeeded; rejects when it failed. */
  tryConnect(): Promise<void> {
    if (this.isReady) return Promise.resolve()
    if (this.#isClosed) return Promise.reject(closedHere('the link'))
    if (this.#connection !== null) return Promise.reject(this.#notReady('its socket is closing'))
    if (this.#opening === null && this.isBackingOff) return Promise.reject(this.#notReady('it is backing off'))
    return this.#opening ?? this.#open()
  }

  /**
   * One request. Rejects with an MQError whose `context.wasSent` is 'no' or 'possibly', and only when the bytes of
   * `body` may be reused. `limitMs` is the broker's own limit; the socket is given up `readTimeoutMs` after it.
   */
  request<A extends Api>(
    api: A,
    body: RequestOf<A>,
    options?: { readonly limitMs?: number; readonly version?: number },
  ): Promise<DecodedResponseOf<A>> {
    const connection = this.#connection
    if (connection === null || !connection.hasRoom) return Promise.reject(this.#noRoom(api))
    const version = options?.version ?? connection.apis.versionOf(api)
    if (version < 0) return Promise.reject(unsupported(api, this.brokerId))
    return connection.request(api, version, body, options?.limitMs ?? 0)
  }

  /** A request without answer (Produce, acks 0): resolves when the socket took the bytes. */
  send<A extends Api>(api: A, body: RequestOf<A>, options?: { readonly version?: number }): Promise<void> {
    const connection = this.#connection
    if (connection === null || !connection.hasRoom) return Promise.reject(this.#noRoom(api))
    const version = options?.version ?? connection.apis.versionOf(api)
    if (version < 0) return Promise.reject(unsupported(api, this.brokerId))
    return connection.send(api, version, body)
  }

  /** Gives up the socket, if there is one: everything on it becomes unsure. The link lives on. */
  abort(reason: MQError): void {
    this.#connection?.destroy(reason)
  }

  /** The cluster learnt addresses: a link that waits for one goes on. */
  addressChanged(): void {
    this.#openWhenDue()
  }

  /** No socket, attempt or timer remains when it resolves. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#isWanted = false
    this.#backOff?.cancel()
    this.#backOff = null
    this.#abort.abort()
    this.#settleWaiters(closedHere('the link'))
    if (this.#connection !== null) {
      this.#gone ??= deferred()
      this.#connection.destroy(closedHere('the connection'))
      await this.#gone.promise
    }
    await this.#opening?.catch(() => {})
  }

  #open(): Promise<void> {
    const opening = this.#attempt()
    this.#opening = opening
    opening.catch(() => {}) // Told to `linkFailed`; whoever waits for this attempt has its own copy.
    return opening
  }

  async #attempt(): Promise<void> {
    const { settings, clock, random, dial } = this.#host
    await Promise.resolve() // The caller notes the attempt before it can end.
    try {
      const address = this.#host.addressOf(this.brokerId)
      if (address === undefined) throw unknownBroker(this.brokerId)
      const connection = await openConnection(address, { settings, clock, random, dial, signal: this.#abort.signal })
      if (this.#isClosed) {
        connection.destroy(closedHere('the link'))
        throw closedHere('the link')
      }
      this.#opening = null
      this.#up(connection)
    } catch (error) {
      this.#opening = null
      throw this.#failed(error)
    }
  }

  #up(connection: Connection): void {
    this.#connection = connection
    this.#isWanted = false
    connection.onRoom = () => this.#room()
    connection.onClosed = (reason) => this.#down(connection, reason)
    this.#host.linkUp(this, connection)
    this.#room()
  }

  #failed(cause: unknown): MQError {
    const known = findMQError(cause) ?? this.#defect(cause)
    const error = known.with({ brokerId: this.brokerId, wasSent: 'no' })
    this.#lastError = error
    if (this.#isClosed) return error
    this.#failures++
    this.#pauseAttempts()
    this.#host.linkFailed(this, error)
    this.onFailed?.(error)
    if (error.fatal) {
      this.#isWanted = false
      this.#settleWaiters(error)
    } else this.#openWhenDue()
    return error
  }

  #down(connection: Connection, reason: MQError): void {
    this.#connection = null
    this.#lastError = reason
    // A broker that accepts and then breaks must not be dialled in a tight loop: only real answers clear the count.
    this.#failures = connection.answers > 0 ? 0 : this.#failures + 1
    if (reason.context['isIdle'] !== true) this.#pauseAttempts()
    this.#gone?.resolve()
    this.#host.linkDown(this, connection, reason) // Also while we close: whoever counts sockets must see this one go.
    if (this.#isClosed) return
    this.onDown?.(reason)
    this.#openWhenDue()
    this.onRoom?.()
  }

  /** No attempt before a back-off with full jitter is over: clients that failed together do not return together. */
  #pauseAttempts(): void {
    const { settings, clock, random } = this.#host
    const { reconnectBackoffMs, reconnectBackoffMaxMs } = settings
    const waitMs = backoffMs(Math.max(0, this.#failures - 1), reconnectBackoffMs, reconnectBackoffMaxMs, random)
    this.#notBeforeMs = clock.monotonicMs() + waitMs
  }

  /** The one place that starts attempts in the background: now, after the back-off, or not at all. */
  #openWhenDue(): void {
    const isWanted = this.#isWanted || this.#waiters.size > 0
    const isBusy = this.#connection !== null || this.#opening !== null || this.#backOff !== null
    // Without an address there is nothing to try: `addressChanged` goes on.
    if (this.#isClosed || !isWanted || isBusy || this.#host.addressOf(this.brokerId) === undefined) return
    const { clock } = this.#host
    const waitMs = this.#notBeforeMs - clock.monotonicMs()
    if (waitMs <= 0) return void this.#open()
    this.#backOff = clock.setTimer(() => {
      this.#backOff = null
      this.#openWhenDue()
    }, waitMs)
  }

  #room(): void {
    this.#settleWaiters(null)
    this.onRoom?.()
  }

  async #waitUntil(isTrue: () => boolean, timeoutMs: number): Promise<void> {
    const untilMs = this.#host.clock.monotonicMs() + timeoutMs
    while (!isTrue()) {
      if (this.#isClosed) throw closedHere('the link')
      const waiter = deferred<void>()
      this.#waiters.add(waiter)
      const leftMs = Math.max(0, untilMs - this.#host.clock.monotonicMs())
      const timer = this.#host.clock.setTimer(() => waiter.reject(this.#waitedTooLong(timeoutMs)), leftMs)
      this.connect()
      try {
        await waiter.promise
      } finally {
        timer.cancel()
        this.#waiters.delete(waiter)
      }
    }
  }

  #settleWaiters(error: MQError | null): void {
    for (const waiter of this.#waiters) {
      if (error === null) waiter.resolve()
      else waiter.reject(error)
    }
  }

  #noRoom(api: Api): MQError {
    if (this.isReady) {
      const text = `no room for ${api.name} on the ${this.purpose} connection to broker ${this.brokerId}: ask hasRoom first`
      return notSent('POOL_EXHAUSTED', text, api, { reason: 'NO_CONNECTION', brokerId: this.brokerId })
    }
    const error = this.#notReady('it is down')
    return notSent(error.code, error.message, api, error.context, { cause: this.#lastError ?? undefined })
  }

  #notReady(why: string): MQError {
    // Refused for good: whoever asks is told that, and not that we pause before the next attempt.
    if (this.#lastError?.fatal === true) return this.#lastError.with({ wasSent: 'no' })
    const text = `no ${this.purpose} connection to broker ${this.brokerId}: ${why}`
    const address = this.#host.addressOf(this.brokerId)
    const context = { ...(address === undefined ? { brokerId: this.brokerId } : placeOf(address)), wasSent: 'no' }
    return new MQError('CONNECTION_FAILED', text, context, { cause: this.#lastError ?? undefined })
  }

  #waitedTooLong(timeoutMs: number): MQError {
    const text = `no ${this.purpose} connection to broker ${this.brokerId} with room within ${timeoutMs} ms`
    const context = { brokerId: this.brokerId, wasSent: 'no', timeoutMs }
    return new MQError('CONNECTION_TIMEOUT', text, context, { cause: this.#lastError ?? undefined })
  }

  #defect(cause: unknown): MQError {
    const text = `opening a connection to broker ${this.brokerId} failed here`
    return new MQError('CONNECTION_FAILED', text, { brokerId: this.brokerId, wasSent: 'no' }, { cause })
  }
}
