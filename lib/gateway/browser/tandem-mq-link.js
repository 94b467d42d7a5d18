/**
 * One WebSocket after the other to the same gateway: connects, notices silence, and tries again. GW-1.
 * Plain JavaScript without imports from elsewhere: a gateway serves this very file.
 *
 *   connecting -> open -> waiting -> connecting ...     closed, from anywhere, for good
 *
 * Invariant: frames and losses are told of the present socket only; what an older one still says is not heard.
 */
import { frameOf, GatewayError, malformed } from './tandem-mq-frames.js'

/** @typedef {import('./tandem-mq-frames.js').ServerFrame} ServerFrame */

/**
 * `connections` counts those that were welcomed; `retryMs`: until the next attempt, in state 'waiting'; `error`: why.
 * @typedef {object} ClientState
 * @property {'connecting' | 'open' | 'waiting' | 'closed'} state
 * @property {number} connections
 * @property {number} [retryMs]
 * @property {GatewayError} [error]
 */

/**
 * @typedef {object} Timers
 * @property {(task: () => void, ms: number) => unknown} set
 * @property {(timer: any) => void} clear
 * @property {() => number} now Monotonic milliseconds.
 */

/**
 * @typedef {object} LinkOptions
 * @property {string | (() => string | Promise<string>)} [token] A function is asked before each connection.
 * @property {(state: ClientState) => void} [onState]
 * @property {number} [minRetryMs] Pause before the second attempt, doubled each time, half of it random. Default 500.
 * @property {number} [maxRetryMs] Default 30,000.
 * @property {number} [connectTimeoutMs] From the attempt to the welcome. Default 10,000.
 * @property {number} [pingMs] A connection that does not answer within it is given up. Default 20,000.
 * @property {any} [WebSocket] Default: the one of the browser.
 * @property {Timers} [timers] For tests.
 * @property {() => number} [random] For tests: from 0 to below 1.
 */

/**
 * @typedef {object} LinkEvents
 * @property {(limits: Record<string, number>) => void} onWelcome
 * @property {(frame: ServerFrame) => void} onFrame What it throws as a GatewayError ends the connection.
 * @property {(error: GatewayError) => void} onLost Only after `onWelcome`.
 */

/** A connection that lasted so long was a good one: the next pause is short again. */
const STABLE_MS = 5_000
/** `WebSocket.OPEN`. */
const OPEN = 1
const GIVEN_UP = 4000
const PROTOCOL_FAULT = 4002

/** @type {Timers} */
export const SYSTEM_TIMERS = {
  set: (task, ms) => setTimeout(task, ms),
  clear: (timer) => clearTimeout(timer),
  now: () => performance.now(),
}

export class Link {
  #url
  #options
  #events
  #WebSocket
  /** @type {any} The present socket; null between two. */
  #socket = null
  /** @type {any} The one timer: of the attempt, of the next ping, of the next attempt. */
  #timer = null
  /** @type {ClientState['state']} */
  #state = 'connecting'
  #connections = 0
  #failures = 0
  #openedMs = 0
  #wasHeard = false
  /** @type {GatewayError | undefined} What the gateway said about the connection, which ends it soon. */
  #reason

  /**
   * @param {string} url
   * @param {LinkOptions} options
   * @param {LinkEvents} events
   */
  constructor(url, options, events) {
    this.#url = addressOf(url)
    this.#WebSocket = options.WebSocket ?? /** @type {any} */ (globalThis).WebSocket
    if (this.#WebSocket === undefined) {
      throw new GatewayError('INVALID_CONFIG', 'no WebSocket here: use Node 22 or newer, or give one as WebSocket')
    }
    const { timers = SYSTEM_TIMERS, random = Math.random, token, onState } = options
    const { minRetryMs = 500, maxRetryMs = 30_000, connectTimeoutMs = 10_000, pingMs = 20_000 } = options
    this.#options = { timers, random, token, onState, minRetryMs, maxRetryMs, connectTimeoutMs, pingMs }
    this.#events = events
    // Not at once: whoever is told of the attempt has our caller's client in hand by then.
    queueMicrotask(() => this.#state !== 'closed' && this.#attempt())
  }

  get state() {
    return this.#state
  }

  get isOpen() {
    return this.#state === 'open'
  }

  /** Open, and the socket takes something: one that is closing says so before it says that it is closed. */
  get canSend() {
    return this.isOpen && this.#isTaking
  }

  /**
   * Only while it is open. What a dying socket does not take is lost: `onLost` follows.
   * @param {string} text
   */
  send(text) {
    if (this.#isTaking) this.#socket.send(text)
  }

  get #isTaking() {
    return (this.#socket.readyState ?? OPEN) === OPEN
  }

  /**
   * The gateway broke its word, or we do not know where we stand: begins anew.
   * @param {GatewayError} error
   */
  fault(error) {
    this.#drop(error, PROTOCOL_FAULT)
  }

  close() {
    if (this.#state === 'closed') return
    this.#leave(1000)
    this.#tell('closed')
  }

  #attempt() {
    const { token, timers, connectTimeoutMs } = this.#options
    const late = () => this.#drop(new GatewayError('CONNECTION_TIMEOUT', `no welcome within ${connectTimeoutMs} ms`))
    const timer = timers.set(late, connectTimeoutMs)
    this.#timer = timer
    this.#tell('connecting')
    if (typeof token !== 'function') return this.#dial(token)
    // The timer tells whether this attempt still is the present one.
    Promise.resolve()
      .then(token)
      .then(
        (fresh) => this.#timer === timer && this.#dial(fresh),
        (cause) => this.#timer === timer && this.#drop(new GatewayError('AUTHENTICATION_FAILED', `token: ${cause}`)),
      )
  }

  /** @param {string | undefined} token */
  #dial(token) {
    if (this.#state === 'closed') return
    const url = new URL(this.#url)
    if (token !== undefined) url.searchParams.set('token', token)
    let socket
    try {
      socket = new this.#WebSocket(url.href)
    } catch (cause) {
      // A page of https may not open ws.
      return this.#drop(new GatewayError('CONNECTION_FAILED', String(cause)))
    }
    this.#socket = socket
    socket.onmessage = (/** @type {{ data: unknown }} */ { data }) => {
      if (socket === this.#socket) this.#receive(data)
    }
    socket.onclose = (/** @type {{ code: number, reason: string }} */ { code, reason }) => {
      if (socket === this.#socket) this.#drop(this.#reason ?? lostError(code, reason))
    }
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#wasHeard = true
    try {
      const frame = frameOf(data)
      if (frame.type === 'welcome') this.#welcome(frame.limits)
      else if (frame.type === 'error' && frame.id === undefined && frame.topic === undefined)
        this.#complaint(frame.error)
      else if (!this.isOpen) throw malformed(`${frame.type} before welcome`)
      else if (frame.type !== 'pong') this.#events.onFrame(frame)
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      this.fault(error)
    }
  }

  /**
   * About the connection: it ends soon, or something of ours has ended and nobody says what. Beginning anew finds out.
   * @param {GatewayError} error
   */
  #complaint(error) {
    this.#reason = error
    if (this.isOpen) this.#drop(error)
  }

  /** @param {Record<string, number>} limits */
  #welcome(limits) {
    if (this.isOpen) throw malformed('a second welcome')
    this.#clearTimer()
    this.#connections++
    this.#openedMs = this.#options.timers.now()
    this.#state = 'open'
    this.#beat()
    this.#events.onWelcome(limits)
    if (this.isOpen) this.#tell('open')
  }

  /** Asks for a sign of life; silence since the last time ends the connection. Timers of hidden pages come late, answers do not. */
  #beat() {
    const { timers, pingMs } = this.#options
    this.#wasHeard = false
    this.#timer = timers.set(() => {
      if (!this.#wasHeard) this.#drop(new GatewayError('CONNECTION_TIMEOUT', `no answer for ${pingMs} ms`))
      else this.#beat()
    }, pingMs)
    this.send('{"type":"ping"}')
  }

  /**
   * @param {GatewayError} error
   * @param {number} [code]
   */
  #drop(error, code = GIVEN_UP) {
    if (this.#state === 'closed' || this.#state === 'waiting') return
    const { timers, random, minRetryMs, maxRetryMs } = this.#options
    const wasOpen = this.isOpen
    if (wasOpen && timers.now() - this.#openedMs >= STABLE_MS) this.#failures = 0
    this.#leave(code)
    const pauseMs = Math.min(maxRetryMs, minRetryMs * 2 ** this.#failures++)
    const retryMs = Math.round(pauseMs / 2 + (pauseMs / 2) * random())
    this.#state = 'waiting'
    this.#timer = timers.set(() => this.#attempt(), retryMs)
    if (wasOpen) this.#events.onLost(error)
    if (this.#state === 'waiting') this.#tell('waiting', { retryMs, error })
  }

  /** @param {number} code */
  #leave(code) {
    this.#clearTimer()
    this.#reason = undefined
    const socket = this.#socket
    this.#socket = null
    socket?.close(code)
  }

  #clearTimer() {
    this.#options.timers.clear(this.#timer)
    this.#timer = null
  }

  /**
   * @param {ClientState['state']} state
   * @param {{ retryMs?: number, error?: GatewayError }} [more]
   */
  #tell(state, more = {}) {
    this.#state = state
    this.#options.onState?.({ state, connections: this.#connections, ...more })
  }
}

/** @param {string} url */
function addressOf(url) {
  try {
    const address = new URL(url, /** @type {any} */ (globalThis).location?.href)
    address.protocol = address.protocol.replace(/^http/, 'ws')
    if (/^wss?:$/.test(address.protocol)) return address.href
  } catch {
    // Told below: it is no address at all.
  }
  throw new GatewayError('INVALID_CONFIG', `url ${url}: expected ws://host/path, or a path relative to the page`)
}

/**
 * @param {number} code
 * @param {string} reason
 */
function lostError(code, reason) {
  const why = reason === '' ? `code ${code}` : `code ${code}: ${reason}`
  return new GatewayError('CONNECTION_CLOSED', `the connection ended (${why})`)
}
