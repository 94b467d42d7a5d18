/**
 * Requests that are not the data path: to a named broker or to any, repeated while connections fail.
 * Why it repeats connection errors only: what a broker answered is the caller's to judge; that it could not be asked
 * is ours. A question that may have been asked twice must be harmless, as all of ours are.
 */
import { findMQError, MQError } from '../errors/index.js'
import { type Api, ApiVersions, type DecodedResponseOf, type RequestOf } from '../protocol/index.js'
import { backoffMs } from '../util/index.js'
import type { BrokerLink } from './broker-link.js'
import { closedHere, unsupported } from './failures.js'
import type { ClusterSetup, Links } from './links.js'

export interface RequestOptions {
  /** This broker; unset: any. */
  readonly brokerId?: number | undefined
  /** Point on the monotonic clock at which the call gives up. Unset: after `maxRetries` further rounds. */
  readonly deadlineMs?: number | undefined
  /** The broker's own limit for the request; its socket is given up `readTimeoutMs` later. Default 0. */
  readonly limitMs?: number | undefined
  /** Not above this version, although both sides could. */
  readonly maxVersion?: number | undefined
}

const UNSUPPORTED_VERSION = 35

export class ControlPlane {
  readonly #setup: ClusterSetup
  readonly #links: Links
  readonly #findBrokers: () => Promise<void>
  readonly #sleepers = new Set<(reason: MQError) => void>()
  #isClosed = false

  constructor(setup: ClusterSetup, links: Links, findBrokers: () => Promise<void>) {
    this.#setup = setup
    this.#links = links
    this.#findBrokers = findBrokers
  }

  async request<A extends Api>(api: A, body: RequestOf<A>, options: RequestOptions): Promise<DecodedResponseOf<A>> {
    const { settings, clock, random } = this.#setup
    const { deadlineMs = Number.POSITIVE_INFINITY } = options
    const rounds = options.deadlineMs === undefined ? settings.maxRetries : Number.POSITIVE_INFINITY
    for (let round = 0; ; round++) {
      try {
        return await this.#round(api, body, options, deadlineMs)
      } catch (error) {
        const waitMs = backoffMs(round, settings.retryBackoffMs, settings.retryBackoffMaxMs, random)
        if (!isWorthRepeating(error) || round >= rounds || clock.monotonicMs() + waitMs >= deadlineMs) throw error
        await this.sleep(waitMs)
      }
    }
  }

  /** A real round trip to any broker; features.md CL-5. */
  async ping(timeoutMs: number): Promise<{ rttMs: number; brokerId: number }> {
    const { clock } = this.#setup
    const untilMs = clock.monotonicMs() + timeoutMs
    let last: unknown
    for (const link of await this.#anyOf(untilMs)) {
      try {
        await this.#within(link.tryConnect(), untilMs)
        const fromMs = clock.monotonicMs()
        await this.#within(this.#ask(link, ApiVersions, pingBody, {}, untilMs), untilMs)
        return { rttMs: clock.monotonicMs() - fromMs, brokerId: link.brokerId }
      } catch (error) {
        last = error
        if (clock.monotonicMs() >= untilMs) break
      }
    }
    throw last ?? noBroker()
  }

  /** Waits; `close` ends it early. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(closedHere('the cluster'))
      const timer = this.#setup.clock.setTimer(() => {
        this.#sleepers.delete(wake)
        resolve()
      }, ms)
      const wake = (reason: MQError) => {
        timer.cancel()
        reject(reason)
      }
      this.#sleepers.add(wake)
    })
  }

  close(): void {
    this.#isClosed = true
    for (const wake of this.#sleepers) wake(closedHere('the cluster'))
    this.#sleepers.clear()
  }

  /** Each broker once, or the one asked for; the last error when none answered. */
  async #round<A extends Api>(
    api: A,
    body: RequestOf<A>,
    options: RequestOptions,
    untilMs: number,
  ): Promise<DecodedResponseOf<A>> {
    const { brokerId } = options
    const links = brokerId === undefined ? await this.#anyOf(untilMs) : [this.#links.link(brokerId, 'control')]
    let last: unknown
    for (const link of links) {
      try {
        return await this.#within(this.#negotiated(link, api, body, options, untilMs), untilMs)
      } catch (error) {
        last = error
        if (!isConnectionError(error) || this.#isLate(untilMs)) throw error
      }
    }
    throw last ?? noBroker()
  }

  async #anyOf(untilMs: number): Promise<BrokerLink[]> {
    if (this.#isClosed) throw closedHere('the cluster')
    const links = this.#links.candidates()
    if (links.length > 0) return links
    await this.#within(this.#findBrokers(), untilMs)
    return this.#links.candidates()
  }

  /** W-20: a broker that was downgraded while we were connected is asked once more on a new socket. */
  async #negotiated<A extends Api>(
    link: BrokerLink,
    api: A,
    body: RequestOf<A>,
    options: RequestOptions,
    untilMs: number,
  ): Promise<DecodedResponseOf<A>> {
    await link.tryConnect()
    const answer = await this.#ask(link, api, body, options, untilMs)
    if ((answer as { readonly errorCode?: number }).errorCode !== UNSUPPORTED_VERSION || api === (ApiVersions as Api)) {
      return answer
    }
    link.abort(new MQError('CONNECTION_CLOSED', `broker ${link.brokerId} changed its versions: negotiating anew`))
    await link.whenReady(Math.min(this.#setup.settings.dialTimeoutMs, this.#leftMs(untilMs)))
    return this.#ask(link, api, body, options, untilMs)
  }

  async #ask<A extends Api>(
    link: BrokerLink,
    api: A,
    body: RequestOf<A>,
    { maxVersion, limitMs }: RequestOptions,
    untilMs: number,
  ): Promise<DecodedResponseOf<A>> {
    await link.whenRoom(Math.min(this.#setup.settings.readTimeoutMs, this.#leftMs(untilMs)))
    const version = link.versionOf(api, maxVersion)
    if (version < 0) throw unsupported(api, link.brokerId)
    return link.request(api, body, { version, limitMs: limitMs ?? 0 })
  }

  #isLate(untilMs: number): boolean {
    return this.#leftMs(untilMs) <= 0
  }

  #leftMs(untilMs: number): number {
    return untilMs - this.#setup.clock.monotonicMs()
  }

  /** The task, or CONNECTION_TIMEOUT at the deadline; a request under way goes on, its answer interests nobody. */
  #within<T>(task: Promise<T>, untilMs: number): Promise<T> {
    if (untilMs === Number.POSITIVE_INFINITY) return task
    return new Promise((resolve, reject) => {
      const timer = this.#setup.clock.setTimer(() => reject(tooLate()), Math.max(0, this.#leftMs(untilMs)))
      task.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}

const pingBody = {}

function isConnectionError(error: unknown): boolean {
  const known = findMQError(error)
  return known !== undefined && known.family === 'connection' && !known.fatal
}

function isWorthRepeating(error: unknown): boolean {
  return isConnectionError(error) && findMQError(error)?.context.reason !== 'UNSUPPORTED_VERSION'
}

function noBroker(): MQError {
  return new MQError('CONNECTION_FAILED', 'every known broker is unreachable just now', { wasSent: 'no' })
}

function tooLate(): MQError {
  return new MQError('CONNECTION_TIMEOUT', 'no answer before the deadline of this call', { wasSent: 'possibly' })
}
