/**
 * One server through which browsers and TCP clients publish to topics and subscribe to them. GW-1..GW-4.
 *
 *   websocket address: node:http -- pages, health | upgrade -> authenticate --\
 *   tcp address: reactor ------------------------- first frame: authenticate ---> Session -> backend.publish
 *                                                                                      \--> Feeds -> backend.open
 *
 * Why one reactor for both: limits, idle clients, orderly ends and the figures of connections are the same for all.
 * Invariant: after `stop` has resolved no port, socket, timer or reader of ours is left, and every client was told.
 */
import { stat } from 'node:fs/promises'
import { findMQError, MQError } from '../errors/index.js'
import { type NetReadings, Server } from '../net/index.js'
import { type Clock, Emitter, type Logger, silentLogger, systemClock } from '../util/index.js'
import { Admission } from './admission.js'
import { Feeds } from './feed/feeds.js'
import type { FeedSource } from './feed/types.js'
import type { ClientFacts, SessionHost, Traffic } from './host.js'
import { type Address, HttpPort } from './http-port.js'
import { type GatewayMeasures, type GatewayReadings, gatewayReadings } from './measures.js'
import { type GatewayOptions, type ResolvedGatewayOptions, resolveOptions } from './options.js'
import { Routes } from './routes.js'
import { Session } from './session.js'
import { StatsBoard } from './stats-board.js'
import { type TcpHandler, tcpHandler, tcpProtocol } from './tcp-clients.js'
import type { GatewayBackend } from './types.js'
import { WebSocketClients } from './websocket-clients.js'

export type GatewayState = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'

export interface GatewayEvents {
  /** What should not happen: `authenticate` threw, a port failed. The gateway goes on. */
  readonly error: MQError
  /** What befell one client or request: broken frames, a record that Kafka did not take. */
  readonly warning: MQError
  /** Somebody has said who he is. */
  readonly client: ClientFacts
  /** He is gone; `error` null: in order. */
  readonly clientClosed: ClientFacts & { readonly error: Error | null }
}

/** What tests replace. */
export interface GatewayDeps {
  readonly clock?: Clock
  readonly logger?: Logger
  readonly feeds?: FeedSource
}

/** Where it really listens; null: not there. */
export interface GatewayAddresses {
  readonly websocket: Address | null
  readonly tcp: Address | null
}

const NOWHERE: GatewayAddresses = { websocket: null, tcp: null }

/**
 * ```ts
 * const gateway = mq.gateway({ websocket: '127.0.0.1:8080', authenticate: ({ token }) => users.get(token ?? '') ?? null })
 * await gateway.start()
 * ```
 */
export class Gateway {
  /** Complete and frozen. */
  readonly options: ResolvedGatewayOptions
  readonly #backend: GatewayBackend
  readonly #feeds: FeedSource
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #events: Emitter<GatewayEvents>
  readonly #server: Server<undefined, Buffer, Uint8Array | string>
  readonly #http: HttpPort | null
  readonly #webSockets: WebSocketClients
  readonly #board: StatsBoard
  readonly #sessions = new Set<Session>()
  readonly #traffic: Traffic = { in: 0, out: 0, unacknowledged: 0 }
  #webSocketSessions = 0
  #state: GatewayState = 'idle'
  #addresses = NOWHERE
  #onSettled = () => {}
  #starting: Promise<void> | null = null
  #listening: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  /** Throws INVALID_CONFIG or MISSING_CONFIG naming every field in `context.issues`. */
  constructor(backend: GatewayBackend, options: GatewayOptions, deps: GatewayDeps = {}) {
    this.options = resolveOptions(options)
    this.#backend = backend
    this.#clock = deps.clock ?? systemClock
    this.#logger = deps.logger ?? silentLogger
    this.#events = new Emitter((error) => this.#logger.error('a listener of the gateway failed', { error }))
    const { cacheBytes, maxCatchUps, slowClient } = this.options
    const warn = (error: MQError) => this.#tell('warning', error)
    const raise = (error: MQError) => this.#tell('error', error)
    this.#feeds = deps.feeds ?? new Feeds(backend, { cacheBytes, maxCatchUps, slowClient }, this.#clock)
    const admission = new Admission(this.options, this.#clock, raise)
    const host = this.#hostOf(admission, warn)
    this.#server = this.#makeServer(host)
    this.#server.on('error', (error) => this.#tell(isFaultOfPeer(error) ? 'warning' : 'error', error))
    this.#board = new StatsBoard({
      figures: () => this.#figures(),
      runEvery: (ms, task) => this.#server.runEvery(ms, task),
    })
    this.#webSockets = new WebSocketClients({
      host,
      server: this.#server as unknown as Server,
      opened: (session) => this.#opened(session),
      closed: (session, error) => this.#closed(session, error),
    })
    this.#http = this.options.websocket === undefined ? null : this.#makeHttp(admission, raise, warn)
  }

  get state(): GatewayState {
    return this.#state
  }

  /** Both null unless it runs. */
  get addresses(): GatewayAddresses {
    return this.#addresses
  }

  /** Connected now, of both transports. */
  get clients(): number {
    return this.#sessions.size
  }

  /** Returns what ends the listening. */
  on<E extends keyof GatewayEvents>(event: E, listener: (event: GatewayEvents[E]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /** Resolves when it listens. Rejects with CONNECTION_FAILED (address in use), INVALID_CONFIG (`pages`), and when it was stopped. */
  start(): Promise<void> {
    if (this.#stopping !== null) return Promise.reject(stopped())
    this.#starting ??= this.#start()
    return this.#starting
  }

  /**
   * Accepts nobody more, waits for publishes that are not acknowledged, says goodbye (1001), closes; after `timeoutMs`
   * (default `closeTimeoutMs`) who is left is cut off. Idempotent.
   */
  stop({ timeoutMs = this.options.closeTimeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs)
    return this.#stopping
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Running numbers. */
  measures(): GatewayMeasures {
    const feeds = this.#feeds.measures()
    return {
      clients: { websocket: this.#webSocketSessions, tcp: this.#sessions.size - this.#webSocketSessions },
      messagesIn: this.#traffic.in,
      messagesOut: this.#traffic.out,
      dropped: feeds.droppedRecords,
      unacknowledged: this.#traffic.unacknowledged,
      feeds,
    }
  }

  /** The series `gateway_*`, for `mq.metrics.attachRoom('gateway', gateway)`. */
  readings(): GatewayReadings {
    return gatewayReadings(this.measures())
  }

  /** The series `net_*` of its connections, for `attachRoom('net', { readings: () => gateway.netReadings() })`. */
  netReadings(): NetReadings {
    return this.#server.readings()
  }

  // Parts

  #hostOf(admission: Admission, warn: (error: MQError) => void): SessionHost {
    return {
      options: this.options,
      backend: this.#backend,
      feeds: this.#feeds,
      clock: this.#clock,
      admission,
      traffic: this.#traffic,
      runAfter: (ms, task) => this.#server.runAfter(ms, task),
      admitted: (client) => this.#events.emit('client', client),
      settled: () => this.#onSettled(),
      warn,
      watchStats: (onlooker, id) => this.#board.watch(onlooker, id),
      unwatchStats: (onlooker) => this.#board.unwatch(onlooker),
    }
  }

  #makeServer(host: SessionHost): Server<undefined, Buffer, Uint8Array | string> {
    const { tcp, tls, maxFrameBytes, maxClients, maxInFlight, writeBufferBytes, idleMs, closeTimeoutMs } = this.options
    return new Server(this.#tcpHandler(host), {
      address: tcp ?? '127.0.0.1:0',
      protocol: tcpProtocol(maxFrameBytes),
      maxConnections: maxClients,
      maxPendingMessages: maxInFlight,
      maxFrameBytes,
      writeBufferBytes,
      idleMs,
      frameTimeoutMs: idleMs,
      closeTimeoutMs,
      clock: this.#clock,
      ...(tls === undefined ? {} : { tls }),
    })
  }

  #tcpHandler(host: SessionHost): TcpHandler {
    return tcpHandler({
      open: (link) => {
        const session = new Session({ link, transport: 'tcp', host, format: 'json', permissions: null })
        this.#opened(session)
        return session
      },
      closed: (session, error) => this.#closed(session, error),
    })
  }

  #makeHttp(admission: Admission, raise: (error: MQError) => void, warn: (error: MQError) => void): HttpPort {
    const { options } = this
    const routes = new Routes({ options, admission, warn, isRunning: () => this.#state === 'running' })
    const onUpgrade: WebSocketClients['upgrade'] = (...request) => this.#webSockets.upgrade(...request)
    return new HttpPort({ options, onRequest: routes.answer, onUpgrade, raise })
  }

  // Life

  async #start(): Promise<void> {
    this.#state = 'starting'
    this.#listening = this.#listen()
    try {
      await this.#listening
    } catch (error) {
      await this.stop()
      throw error
    }
    if (this.#stopping !== null) throw stopped()
    this.#state = 'running'
  }

  async #listen(): Promise<void> {
    const { pages, websocket, tcp } = this.options
    if (pages !== undefined) await checkFolder(pages)
    if (tcp !== undefined) await this.#server.start()
    const http = this.#http === null || websocket === undefined ? null : await this.#http.listen(websocket)
    this.#addresses = { websocket: http, tcp: this.#server.address }
  }

  async #stop(timeoutMs: number): Promise<void> {
    const limitAtMs = this.#clock.monotonicMs() + timeoutMs
    // What is not listening yet cannot be told to stop. `start` says why it failed.
    await this.#listening?.catch(() => {})
    this.#state = 'stopping'
    this.#addresses = NOWHERE
    const portClosed = this.#http?.close()
    this.#webSockets.stop()
    for (const session of [...this.#sessions]) session.leave()
    await this.#server.stop({ timeoutMs })
    this.#http?.endRequests()
    await portClosed
    // Of clients that are gone.
    await this.#allSettled(limitAtMs - this.#clock.monotonicMs())
    await this.#feeds.close()
    await this.#backend.close()
    this.#state = 'stopped'
  }

  /** Every publish has its answer, or the time is over. */
  #allSettled(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const limit = this.#clock.setTimer(resolve, Math.max(0, withinMs))
      this.#onSettled = () => {
        if (this.#traffic.unacknowledged > 0) return
        limit.cancel()
        resolve()
      }
      this.#onSettled()
    })
  }

  #opened(session: Session): void {
    this.#sessions.add(session)
    if (session.transport === 'websocket') this.#webSocketSessions++
  }

  #closed(session: Session, error: Error | null): void {
    if (!this.#sessions.delete(session)) return
    if (session.transport === 'websocket') this.#webSocketSessions--
    session.closed()
    this.#events.emit('clientClosed', { ...session.facts, error })
  }

  // Telling

  /** What dashboards draw: our own figures, and what `stats` gives of Kafka. */
  #figures(): unknown {
    const { clients, messagesIn, messagesOut, dropped, feeds } = this.measures()
    const own = {
      time: this.#clock.now(),
      gateway: {
        clients,
        messagesIn,
        messagesOut,
        dropped,
        feeds: feeds.feeds,
        catchUps: feeds.catchUps,
        cachedBytes: feeds.cachedBytes,
      },
    }
    try {
      return { ...(this.options.stats?.() as object | undefined), ...own }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      this.#tell('error', new MQError('CONSUME_FAILED', `stats failed: ${why}`, { reason: 'CALLBACK' }, { cause }))
      return own
    }
  }

  #tell(event: 'error' | 'warning', error: MQError): void {
    if (this.#events.has(event)) this.#events.emit(event, error)
    else this.#logger.warn(error.message, { error })
  }
}

async function checkFolder(pages: string): Promise<void> {
  try {
    if ((await stat(pages)).isDirectory()) return
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    throw new MQError('INVALID_CONFIG', `pages: ${pages} cannot be read: ${why}`, { path: 'pages' }, { cause })
  }
  throw new MQError('INVALID_CONFIG', `pages: ${pages} is no folder`, { path: 'pages' })
}

/** Bytes that are no frame, or too many: what strangers send to an open port is no fault of ours. */
function isFaultOfPeer(error: MQError): boolean {
  const reason = findMQError(error)?.context.reason
  return reason === 'MALFORMED_FRAME' || reason === 'TOO_LARGE'
}

function stopped(): MQError {
  return new MQError('CONNECTION_CLOSED', 'the gateway was stopped: make a new one')
}
