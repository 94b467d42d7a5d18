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

/** How one broker is asked, over which of its connections. */
export interface AskOptions extends Omit<RequestOptions, 'brokerId'> {
  /** Default 'control'. */
  readonly purpose?: 'control' | 'group' | undefined
}

export interface PingOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** A request, or what makes it once the version is known: some messages look different from version to version. */
export type RequestBody<A extends Api> = RequestOf<A> | ((version: number) => RequestOf<A>)

const UNSUPPORTED_VERSION = 35
/** Of ApiVersions as a probe: later versions insist on the client's name. */
export const PROBE_VERSION = 2
/** After so much silence another broker is asked the same. Milliseconds. */
const SILENCE_MS = 1_000

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

  async request<A extends Api>(api: A, body: RequestBody<A>, options: RequestOptions): Promise<DecodedResponseOf<A>> {
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

  /**
   * One attempt at one broker. A request on the 'group' connection that is not answered before `deadlineMs` takes the
   * connection with it (W-11): whatever comes next must not wait behind it.
   */
  async askBroker<A extends Api>(
    brokerId: number,
    api: A,
    body: RequestBody<A>,
    options: AskOptions,
  ): Promise<DecodedResponseOf<A>> {
    const { purpose = 'control', deadlineMs = Number.POSITIVE_INFINITY } = options
    const link = this.#links.link(brokerId, purpose)
    try {
      return await this.#within(this.#afterBackOff(link, api, body, options, deadlineMs), deadlineMs)
    } catch (error) {
      if (purpose === 'group' && this.#isLate(deadlineMs)) link.abort(silentGroup(api.name))
      throw error
    }
  }

  /**
   * A real round trip to any broker (features.md CL-5): `maxRetries` further rounds over all of them, within `timeoutMs`.
   * The last round's error is told: why the brokers could not be reached, not that time was up.
   */
  async ping({ timeoutMs, signal }: PingOptions): Promise<{ rttMs: number; brokerId: number }> {
    const { settings, clock, random } = this.#setup
    const untilMs = clock.monotonicMs() + timeoutMs
    for (let round = 0; ; round++) {
      signal?.throwIfAborted()
      try {
        return await this.#first(await this.#anyOf(untilMs), (link) => this.#pingOne(link, untilMs), untilMs)
      } catch (error) {
        const waitMs = backoffMs(round, settings.retryBackoffMs, settings.retryBackoffMaxMs, random)
        const isLate = clock.monotonicMs() + waitMs >= untilMs
        if (!isWorthRepeating(error) || round >= settings.maxRetries || isLate)
          throw this.#pingFailure(error, timeoutMs)
        await this.sleep(waitMs)
      }
    }
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

  /** Each broker once, or the one asked for. */
  async #round<A extends Api>(
    api: A,
    body: RequestBody<A>,
    options: RequestOptions,
    untilMs: number,
  ): Promise<DecodedResponseOf<A>> {
    const { brokerId } = options
    const links = brokerId === undefined ? await this.#anyOf(untilMs) : [this.#links.link(brokerId, 'control')]
    return this.#first(links, (link) => this.#negotiated(link, api, body, options, untilMs), untilMs)
  }

  /**
   * The first answer; the last error when none answered. After a second of silence the next broker is asked too: a
   * machine that is lost closes no socket, and who coordinates a group now is urgent. A late answer counts all the
   * same: where all others are dead, a slow broker is the only one there is.
   */
  async #first<T>(links: readonly BrokerLink[], ask: (link: BrokerLink) => Promise<T>, untilMs: number): Promise<T> {
    const { clock } = this.#setup
    const late: Promise<T>[] = []
    let last: unknown
    for (const link of links) {
      const limitMs = link === links.at(-1) ? untilMs : Math.min(untilMs, clock.monotonicMs() + SILENCE_MS)
      const asked = ask(link)
      try {
        return await this.#within(Promise.race([asked, ...late.map(unlessItFails)]), limitMs)
      } catch (error) {
        last = error
        if (!isConnectionError(error) || this.#isLate(untilMs)) throw error
        late.push(asked)
      }
    }
    return this.#within(Promise.any(late), untilMs).catch(() => {
      throw last ?? noBroker()
    })
  }

  /** A socket that broke under the ping is a broker that could not be reached; 'closed' is what we did ourselves. */
  #pingFailure(error: unknown, timeoutMs: number): unknown {
    const known = findMQError(error)
    if (known?.is('CONNECTION_TIMEOUT') === true) return pingTooLate(known, timeoutMs)
    if (this.#isClosed || known === undefined || !known.is('CONNECTION_CLOSED')) return error
    const text = `the connection broke before the broker answered: ${known.message}`
    return new MQError('CONNECTION_FAILED', text, known.context, { cause: known })
  }

  async #pingOne(link: BrokerLink, untilMs: number): Promise<{ rttMs: number; brokerId: number }> {
    await link.tryConnect()
    const fromMs = this.#setup.clock.monotonicMs()
    await this.#ask(link, ApiVersions, {}, { maxVersion: PROBE_VERSION }, untilMs)
    return { rttMs: this.#setup.clock.monotonicMs() - fromMs, brokerId: link.brokerId }
  }

  /** There is no other broker to ask meanwhile: wait out the pause that follows a broken connection. */
  async #afterBackOff<A extends Api>(
    link: BrokerLink,
    api: A,
    body: RequestBody<A>,
    options: RequestOptions,
    untilMs: number,
  ): Promise<DecodedResponseOf<A>> {
    if (link.isBackingOff) await this.sleep(link.backOffMs)
    return this.#negotiated(link, api, body, options, untilMs)
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
    body: RequestBody<A>,
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
    body: RequestBody<A>,
    { maxVersion, limitMs }: RequestOptions,
    untilMs: number,
  ): Promise<DecodedResponseOf<A>> {
    await link.whenRoom(Math.min(this.#setup.settings.readTimeoutMs, this.#leftMs(untilMs)))
    const version = link.versionOf(api, maxVersion)
    if (version < 0) throw unsupported(api, link.brokerId)
    const made = typeof body === 'function' ? body(version) : body
    return link.request(api, made, { version, limitMs: limitMs ?? 0 })
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
      const limitMs = Math.max(0, this.#leftMs(untilMs))
      const timer = this.#setup.clock.setTimer(() => reject(tooLate(limitMs)), limitMs)
      task.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}

function isConnectionError(error: unknown): boolean {
  const known = findMQError(error)
  return known !== undefined && known.family === 'connection' && !known.fatal
}

export function isWorthRepeating(error: unknown): boolean {
  const known = findMQError(error)
  // A broker that lacks the api will not get it; one that closed its socket on the first question may be just stopping.
  const isLacking = known?.context.reason === 'UNSUPPORTED_VERSION' && !known.retryable
  return isConnectionError(error) && !isLacking
}

/** What has failed has no say any more. */
function unlessItFails<T>(task: Promise<T>): Promise<T> {
  return new Promise((resolve) => task.then(resolve, () => {}))
}

function noBroker(): MQError {
  return new MQError(
    'CONNECTION_FAILED',
    'every known broker is unreachable just now: check that the addresses they advertise lead to them',
    { wasSent: 'no' },
  )
}

function silentGroup(name: string): MQError {
  const text = `${name} was not answered before its deadline: the connection is made anew`
  return new MQError('CONNECTION_TIMEOUT', text, { api: name, wasSent: 'possibly' })
}

function pingTooLate(cause: MQError, timeoutMs: number): MQError {
  const text = `no broker answered the ping within ${timeoutMs} ms: ${cause.message}`
  return new MQError('CONNECTION_TIMEOUT', text, { ...cause.context, timeoutMs }, { cause })
}

function tooLate(limitMs: number): MQError {
  const text = `no answer within the ${Math.round(limitMs)} ms that this call had left: look at the brokers, or wait longer`
  return new MQError('CONNECTION_TIMEOUT', text, { wasSent: 'possibly', limitMs: Math.round(limitMs) })
}
