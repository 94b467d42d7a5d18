/**
 * One open, negotiated socket to one broker: requests out, answers in. Hot path, once per request.
 * Why it gives up whole sockets: a broker answers in order, so after one answer that is late, cut or wrong no later one
 * can be trusted. Every request then is unsure and says so (W-9, W-11, W-15).
 * Invariant: a request's promise is rejected only after the transport's `onClosed`: its bytes may be reused (W-13).
 * One timer at most for the head of the ring, or for idleness; a session that ends has its own (renewal.ts).
 */
import { findMQError, MQError } from '../errors/index.js'
import type { Transport } from '../net/index.js'
import {
  type Api,
  correlationIdOf,
  type DecodedResponseOf,
  decodeResponse,
  encodeRequest,
  type RequestOf,
} from '../protocol/index.js'
import { type Clock, type Deferred, deferred, type TimerHandle } from '../util/index.js'
import type { ApiRanges } from './api-ranges.js'
import { type BrokerAddress, lostRequest, placeOf } from './failures.js'
import { InFlightRing } from './in-flight-ring.js'
import { Renewal, type SessionSettings } from './renewal.js'
import type { ClusterSettings } from './settings.js'

interface PendingSend {
  readonly api: Api
  readonly reject: (reason: unknown) => void
}

/** An authenticated session: how long the broker believes it, and how it is renewed. */
export interface Session {
  /** Milliseconds; 0 = as long as the socket lives. */
  readonly lifetimeMs: number
  readonly renewal: SessionSettings
}

const ignore = () => {}
/** Brokers throttle for a quota window, some seconds. A longer silence is a damaged number: it must not stop us for weeks. */
const MAX_THROTTLE_MS = 60_000
const MAX_CORRELATION_ID = 0x7fff_ffff

export class Connection {
  readonly apis: ApiRanges
  readonly address: BrokerAddress
  /** A slot, the socket or the throttle came free. Never called inside a state change. */
  onRoom: () => void = ignore
  /** The socket is gone and every request on it has been rejected. */
  onClosed: (reason: MQError) => void = ignore
  /** Answers read: more than 0 proves that this broker works. */
  answers = 0
  /** Bytes behind complete answers, which were ignored (W-15). */
  trailingBytes = 0
  /** Milliseconds the broker asked us to be silent, in all (W-23). */
  throttledMs = 0
  readonly #transport: Transport
  readonly #settings: ClusterSettings
  readonly #clock: Clock
  readonly #ring = new InFlightRing()
  readonly #sends = new Set<PendingSend>()
  #correlationId: number
  #isFull = false // the socket: wait for onDrain
  #mute: TimerHandle | null = null
  #mutedUntilMs = 0
  #watch: TimerHandle | null = null
  #watchDueMs = Number.POSITIVE_INFINITY
  #headSinceMs = 0 // time of the last answer
  #lastUseMs: number
  readonly #renewal: Renewal | null
  #slot: Deferred<void> | null = null // a renewal waits for one

  constructor(
    transport: Transport,
    apis: ApiRanges,
    address: BrokerAddress,
    settings: ClusterSettings,
    clock: Clock,
    firstCorrelationId: number,
    session: Session | null = null,
  ) {
    this.apis = apis
    this.address = address
    this.#transport = transport
    this.#settings = settings
    this.#clock = clock
    this.#correlationId = firstCorrelationId
    this.#lastUseMs = clock.monotonicMs()
    transport.onFrame = (frame) => this.#received(frame)
    transport.onDrain = () => this.#drained()
    transport.onClosed = (reason) => this.#ended(reason)
    this.#renewal = session === null ? null : this.#renewalOf(session)
    this.#watchLimit()
  }

  get isOpen(): boolean {
    return this.#transport.isOpen
  }

  get inFlight(): number {
    return this.#ring.size
  }

  get hasRoom(): boolean {
    return this.#hasSlot && !this.#isQuiet
  }

  /** The session is renewed: only authentication may write. */
  get #isQuiet(): boolean {
    return this.#renewal?.isQuiet ?? false
  }

  get #hasSlot(): boolean {
    return !this.#isFull && !this.#ring.isFull && this.#mute === null && this.#transport.isOpen
  }

  /** Callers ask `hasRoom` first. Rejects with `context.wasSent` 'possibly'; the body may be reused from then on. */
  request<A extends Api>(api: A, version: number, body: RequestOf<A>, limitMs: number): Promise<DecodedResponseOf<A>> {
    return new Promise((resolve, reject) => {
      const correlationId = this.#nextId()
      const segments = encodeRequest(api, version, correlationId, this.#settings.clientId, body)
      const nowMs = this.#clock.monotonicMs()
      const slot = this.#ring.push()
      slot.api = api
      slot.correlationId = correlationId
      slot.version = version
      slot.limitMs = limitMs
      slot.sentAtMs = nowMs
      slot.resolve = resolve as (body: never) => void
      slot.reject = reject
      if (!this.#isQuiet) this.#lastUseMs = nowMs
      this.#isFull = !this.#transport.write(segments)
      if (this.#ring.size === 1) this.#watchLimit()
    })
  }

  /** A request without answer (Produce, acks 0): resolves when the socket took the bytes; takes no slot. */
  send<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<void> {
    return new Promise((resolve, reject) => {
      const segments = encodeRequest(api, version, this.#nextId(), this.#settings.clientId, body)
      const pending: PendingSend = { api, reject }
      this.#sends.add(pending)
      this.#lastUseMs = this.#clock.monotonicMs()
      const taken = () => {
        this.#sends.delete(pending)
        resolve()
      }
      this.#isFull = !this.#transport.write(segments, taken)
    })
  }

  /** Gives the socket up; the requests on it are rejected once it is gone. */
  destroy(reason: MQError): void {
    this.#transport.destroy(reason)
  }

  #nextId(): number {
    const id = this.#correlationId
    this.#correlationId = id === MAX_CORRELATION_ID ? 0 : id + 1
    return id
  }

  #received(frame: Uint8Array): void {
    const slot = this.#ring.head()
    if (slot === null) return this.destroy(this.#unasked(frame))
    const api = slot.api as Api
    let body: DecodedResponseOf<Api>
    try {
      const id = correlationIdOf(frame)
      if (id !== slot.correlationId) return this.destroy(this.#wrongId(api, slot.correlationId, id))
      const answer = decodeResponse(api, slot.version, frame)
      body = answer.body
      this.trailingBytes += answer.trailingBytes
    } catch (error) {
      return this.destroy(this.#unreadable(api, error))
    }
    this.#answered(slot.resolve as (body: unknown) => void, body)
  }

  #answered(resolve: (body: unknown) => void, body: DecodedResponseOf<Api>): void {
    const wasFull = this.#ring.isFull
    this.#ring.pop()
    this.answers++
    this.#headSinceMs = this.#clock.monotonicMs()
    // A renewal is no use: a connection that nobody needs is closed all the same.
    if (!this.#isQuiet) this.#lastUseMs = this.#headSinceMs
    const { throttleTimeMs } = body as { readonly throttleTimeMs?: number }
    if (throttleTimeMs !== undefined && throttleTimeMs > 0) this.#throttle(throttleTimeMs)
    if (this.#ring.size > 0) this.#watchLimit()
    resolve(body)
    if (wasFull) this.#tellRoom()
  }

  #drained(): void {
    this.#isFull = false
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (!this.#hasSlot) return
    if (this.#slot !== null) this.#slot.resolve()
    else if (!this.#isQuiet) this.onRoom()
  }

  #renewalOf({ lifetimeMs, renewal }: Session): Renewal {
    const made = new Renewal(
      {
        address: this.address,
        apis: this.apis,
        requestQuietly: (api, version, body) => this.#requestQuietly(api, version, body),
        goOn: () => this.#tellRoom(),
        destroy: (reason) => this.destroy(reason),
      },
      renewal,
    )
    made.begin(lifetimeMs)
    return made
  }

  async #requestQuietly<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<DecodedResponseOf<A>> {
    while (!this.#hasSlot) {
      this.#slot = deferred()
      await this.#slot.promise.finally(() => {
        this.#slot = null
      })
    }
    return this.request(api, version, body, 0)
  }

  /** KIP-219: the broker has answered and is deaf now; what we sent would only lie in its socket. */
  #throttle(askedMs: number): void {
    const ms = Math.min(askedMs, MAX_THROTTLE_MS)
    this.throttledMs += ms
    const untilMs = this.#clock.monotonicMs() + ms
    if (untilMs <= this.#mutedUntilMs) return
    this.#mutedUntilMs = untilMs
    this.#mute?.cancel()
    this.#mute = this.#clock.setTimer(() => {
      this.#mute = null
      this.#tellRoom()
    }, ms)
  }

  /** When the socket must be given up: for the head of the ring, else for idleness. */
  #dueMs(): number {
    const head = this.#ring.head()
    const { readTimeoutMs, connectionMaxIdleMs } = this.#settings
    if (head !== null) return Math.max(head.sentAtMs, this.#headSinceMs) + head.limitMs + readTimeoutMs
    return connectionMaxIdleMs > 0 ? this.#lastUseMs + connectionMaxIdleMs : Number.POSITIVE_INFINITY
  }

  /** Arms the timer only when it would ring too late: in steady traffic it is left alone and looks again by itself. */
  #watchLimit(): void {
    const dueMs = this.#dueMs()
    if (dueMs >= this.#watchDueMs || !this.isOpen) return
    this.#watch?.cancel()
    this.#watchDueMs = dueMs
    this.#watch = this.#clock.setTimer(() => this.#limitReached(), Math.max(1, dueMs - this.#clock.monotonicMs()))
  }

  #limitReached(): void {
    this.#watch = null
    this.#watchDueMs = Number.POSITIVE_INFINITY
    if (!this.isOpen) return
    if (this.#clock.monotonicMs() < this.#dueMs()) return this.#watchLimit()
    // If our own event loop stood still the answer may already lie in the socket: read first, then judge.
    this.#clock.defer(() => {
      if (!this.isOpen) return
      if (this.#clock.monotonicMs() < this.#dueMs()) return this.#watchLimit()
      this.destroy(this.#ring.size > 0 ? this.#tooLate() : this.#idle())
    })
  }

  #ended(reason: MQError): void {
    this.#watch?.cancel()
    this.#watch = null
    this.#mute?.cancel()
    this.#mute = null
    this.#renewal?.stop()
    this.#slot?.reject(reason)
    for (let head = this.#ring.head(); head !== null; head = this.#ring.head()) {
      const { reject, api } = head
      this.#ring.pop()
      reject?.(lostRequest(reason, api as Api, this.address, 'possibly'))
    }
    for (const { api, reject } of this.#sends) reject(lostRequest(reason, api, this.address, 'possibly'))
    this.#sends.clear()
    this.onClosed(reason)
  }

  #tooLate(): MQError {
    const head = this.#ring.head()
    const waitedMs = (head?.limitMs ?? 0) + this.#settings.readTimeoutMs
    const text = `broker ${this.address.brokerId} did not answer ${head?.api?.name} within ${waitedMs} ms`
    return new MQError('CONNECTION_TIMEOUT', text, { ...placeOf(this.address), waitedMs })
  }

  #idle(): MQError {
    const text = `no request for connectionMaxIdleMs ${this.#settings.connectionMaxIdleMs}`
    return new MQError('CONNECTION_CLOSED', text, { ...placeOf(this.address), isIdle: true })
  }

  #unasked(frame: Uint8Array): MQError {
    const text = `broker ${this.address.brokerId} sent ${frame.length} bytes that nobody asked for`
    return new MQError('CONNECTION_FAILED', text, { ...placeOf(this.address), reason: 'MALFORMED_FRAME' })
  }

  #wrongId(api: Api, expected: number, got: number): MQError {
    const text = `expected the answer to ${api.name} (correlation id ${expected}), got one with id ${got}`
    return new MQError('CONNECTION_FAILED', text, {
      ...placeOf(this.address),
      reason: 'MALFORMED_FRAME',
      expected,
      got,
    })
  }

  #unreadable(api: Api, error: unknown): MQError {
    const known = findMQError(error)
    const why = known?.message ?? 'the reader failed here'
    const text = `the answer of broker ${this.address.brokerId} to ${api.name} cannot be read: ${why}`
    const context = { ...known?.context, ...placeOf(this.address), reason: 'MALFORMED_FRAME' } as const
    return new MQError('CONNECTION_FAILED', text, context, { cause: error })
  }
}
