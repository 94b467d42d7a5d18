/**
 * Keeps a connection authenticated: proves again who we are before the session ends (KIP-368).
 * Why on the same socket: a broker ends a connection whose session is over, and everything in flight on it would become
 * unsure. Why a random time before the end: clients that connected together would otherwise come back together.
 * Invariant: from the first request of a renewal to its outcome `isQuiet` is true and nothing else is written; a
 * request that is in flight then is answered first, because a broker answers in order. One timer at most.
 * Source: kafka.md W-22.
 *
 *   resting --85..95 % of the lifetime--> preparing (a token is fetched, traffic goes on)
 *      ^                                     |  first request, or the session is over
 *      '--------------- renewed ---------- quiet --refused--> failed: the connection is given up
 */
import { findMQError, MQError } from '../errors/index.js'
import type { Api, DecodedResponseOf, RequestOf } from '../protocol/index.js'
import type { Clock, RandomSource, TimerHandle } from '../util/index.js'
import type { ApiRanges } from './api-ranges.js'
import type { Authenticate } from './authenticate.js'
import { type BrokerAddress, placeOf } from './failures.js'

/** Shares of the lifetime between which a renewal begins. */
const EARLIEST = 0.85
const LATEST = 0.95
/**
 * From one session's beginning to the next renewal. Kafka refuses a second renewal within a second, and a broker that says
 * "one millisecond" must not make us do nothing else. Milliseconds.
 */
const LEAST_BETWEEN_MS = 1_000
/** A failed preparation (a token that could not be had) is repeated after this, while the session lasts. Milliseconds. */
const PREPARE_AGAIN_MS = 1_000

/** What a renewal needs of its connection. */
export interface RenewalHost {
  readonly address: BrokerAddress
  readonly apis: ApiRanges
  /** As an ordinary request, but also while the connection is quiet; waits for a slot. */
  requestQuietly<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<DecodedResponseOf<A>>
  /** Others may write again. */
  goOn(): void
  destroy(reason: MQError): void
}

export interface SessionSettings {
  readonly clock: Clock
  readonly random: RandomSource
  readonly authenticate: Authenticate
  /** Limit for our own part, such as fetching a token. Milliseconds. */
  readonly dialTimeoutMs: number
}

export class Renewal {
  /** Nothing else may be written now. */
  isQuiet = false
  readonly #host: RenewalHost
  readonly #settings: SessionSettings
  #timer: TimerHandle | null = null
  #expiresAtMs = 0
  #hasSpoken = false // in the renewal under way
  #abort: AbortController | null = null // of the renewal under way

  constructor(host: RenewalHost, settings: SessionSettings) {
    this.#host = host
    this.#settings = settings
  }

  /** A session has begun. */
  begin(lifetimeMs: number): void {
    if (lifetimeMs <= 0) return
    const { clock, random } = this.#settings
    this.#expiresAtMs = clock.monotonicMs() + lifetimeMs
    const early = (EARLIEST + (LATEST - EARLIEST) * random.next()) * lifetimeMs
    if (early >= LEAST_BETWEEN_MS) return this.#wait(early, () => this.#start())
    this.#wait(Math.min(lifetimeMs, LEAST_BETWEEN_MS), () => {
      this.isQuiet = lifetimeMs <= LEAST_BETWEEN_MS // The session is over: anything but a handshake would end the connection.
      this.#wait(Math.max(0, LEAST_BETWEEN_MS - lifetimeMs), () => this.#start())
    })
  }

  /** The connection is gone. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#abort?.abort()
    this.#abort = null
  }

  #start(): void {
    const abort = new AbortController()
    this.#abort = abort
    this.#hasSpoken = false
    this.#watchSession()
    const outcome = this.#settings.authenticate({
      address: this.#host.address,
      apis: this.#host.apis,
      signal: abort.signal,
      request: (api, version, body) => this.#say(abort.signal, api, version, body),
    })
    outcome.then(
      (lifetimeMs) => {
        if (this.#abort === abort) this.#renewed(lifetimeMs)
      },
      (error: unknown) => {
        if (this.#abort === abort) this.#failed(error)
      },
    )
  }

  /** Until the first word: traffic goes on, but not beyond the session. */
  #watchSession(): void {
    const { clock, dialTimeoutMs } = this.#settings
    const sessionMs = Math.max(0, this.#expiresAtMs - clock.monotonicMs())
    if (sessionMs >= dialTimeoutMs) return this.#watchUs()
    this.#wait(sessionMs, () => {
      this.isQuiet = true // The broker would end the connection on anything but a handshake.
      this.#wait(dialTimeoutMs - sessionMs, () => this.#host.destroy(this.#tooSlow()))
    })
  }

  /** Whatever we do ourselves has a limit; a request has the one of its connection. */
  #watchUs(): void {
    this.#wait(this.#settings.dialTimeoutMs, () => {
      if (this.#hasSpoken) this.#host.destroy(this.#tooSlow())
      else this.#failed(this.#tooSlow())
    })
  }

  async #say<A extends Api>(signal: AbortSignal, api: A, version: number, body: RequestOf<A>) {
    signal.throwIfAborted()
    this.#timer?.cancel()
    this.#timer = null
    this.isQuiet = true
    this.#hasSpoken = true
    const answer = await this.#host.requestQuietly(api, version, body)
    if (!signal.aborted) this.#watchUs()
    return answer
  }

  #renewed(lifetimeMs: number): void {
    this.stop()
    this.isQuiet = false
    this.begin(lifetimeMs)
    this.#host.goOn()
  }

  #failed(failure: unknown): void {
    this.stop()
    const error = findMQError(failure) ?? this.#defect(failure)
    const leftMs = this.#expiresAtMs - this.#settings.clock.monotonicMs()
    const mayRepeat = !this.#hasSpoken && !error.fatal && leftMs > PREPARE_AGAIN_MS
    if (mayRepeat) return this.#wait(PREPARE_AGAIN_MS, () => this.#start())
    const text = `authenticating again failed, the connection is given up: ${error.message}`
    const { code, context, cause, retryable, fatal } = error
    const options = { cause, retryable, fatal }
    this.#host.destroy(new MQError(code, text, { ...context, ...placeOf(this.#host.address) }, options))
  }

  #wait(ms: number, then: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#settings.clock.setTimer(() => {
      this.#timer = null
      then()
    }, ms)
  }

  #tooSlow(): MQError {
    const text = `authenticating again took longer than dialTimeoutMs ${this.#settings.dialTimeoutMs} on our side`
    return new MQError('CONNECTION_TIMEOUT', text, placeOf(this.#host.address))
  }

  #defect(cause: unknown): MQError {
    return new MQError('CONNECTION_FAILED', 'authenticating again failed here', {}, { cause })
  }
}
