/**
 * A TCP server in the shape of a reactor: a protocol cuts messages, a handler answers them, the server does the rest.
 * Why over node:net and no poller of our own: libuv is one; what is ours is framing, gathering, limits and an orderly end.
 * Invariant: after `stop` has resolved no socket, timer, process or handle of ours is left, and every connection was told.
 * Source: NT-1, NT-2, NT-6, NT-7.
 */
import type { Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { MQError } from '../../errors/index.js'
import { Emitter } from '../../util/index.js'
import { Acceptor, type ListenAt } from '../acceptor.js'
import { TimingWheel } from '../timing-wheel.js'
import type { WheelHandle } from '../wheel/timer.js'
import { EventLoop } from './event-loop.js'
import { LoopPool } from './loops/loop-pool.js'
import { type NetMeasures, type NetReadings, netReadings, sumOf } from './measures.js'
import { READ_AHEAD_BYTES, type ResolvedServerOptions, resolveOptions, type ServerOptions } from './options.js'
import { canReusePort, reusePortMissing } from './reuse-port.js'
import type { Connection, Handler, Protocol, ServerFacts } from './types.js'

/** idle -> starting -> running -> stopping -> stopped; a start that failed leads to stopped. */
export type ServerState = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'

export interface ServerEvents {
  /** What ended one connection (a handler or protocol that threw), or befell a loop or the port. The server goes on. */
  readonly error: MQError
  /** A wish that this system cannot fulfil. */
  readonly warning: MQError
}

/** Where it really listens. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

export interface StopOptions {
  /** Longest wait for answers owed and bytes queued; then connections are destroyed. Milliseconds, default `closeTimeoutMs`. */
  readonly timeoutMs?: number
}

/** Whose socket is adopted: its messages and who answers them. Default: those of the server. */
export interface Adoption<Ctx, In, Out> {
  readonly protocol: Protocol<Ctx, In, Out>
  readonly handler: Handler<Ctx, In, Out>
}

/**
 * ```ts
 * const server = new Server({ onMessage: (c, ctx, data) => data }, { address: '127.0.0.1:0', idleMs: 30_000 })
 * await server.start()
 * console.log(server.address?.port)
 * await server.stop()
 * ```
 */
export class Server<Ctx = undefined, In = Buffer, Out = Uint8Array | string> implements ServerFacts {
  readonly options: ResolvedServerOptions<Ctx, In, Out>
  readonly #handler: Handler<Ctx, In, Out>
  readonly #events: Emitter<ServerEvents>
  readonly #wheel: TimingWheel
  readonly #loop: EventLoop
  readonly #pool: LoopPool | null
  readonly #acceptor: Acceptor
  #state: ServerState = 'idle'
  #address: ServerAddress | null = null
  #rejected = 0
  #starting: Promise<void> | null = null
  #beginning: Promise<ServerAddress> | null = null
  #stopping: Promise<void> | null = null

  /** Throws INVALID_CONFIG for options out of range, and for a certificate or key that cannot be used. */
  constructor(handler: Handler<Ctx, In, Out>, options: ServerOptions<Ctx, In, Out> = {}) {
    this.options = resolveOptions(options, availableParallelism())
    this.#handler = handler
    const { clock, logger } = this.options
    this.#events = new Emitter((error) => logger.error('a listener of the server failed', { error }))
    this.#wheel = new TimingWheel({ clock, onError: (error) => this.#raise(timerFailed(error)) })
    const onError = (error: MQError) => this.#raise(error)
    this.#loop = new EventLoop({ limits: this.options, clock, wheel: this.#wheel, onError })
    this.#pool = this.options.numLoops > 1 ? new LoopPool(this.options, options.protocol !== undefined, onError) : null
    this.#acceptor = this.#makeAcceptor()
  }

  get state(): ServerState {
    return this.#state
  }

  /** Null unless it listens. */
  get address(): ServerAddress | null {
    return this.#address
  }

  /** Open connections, of all loops. */
  get connections(): number {
    return this.#loop.connections + (this.#pool?.connections ?? 0)
  }

  get maxFrameBytes(): number {
    return this.options.maxFrameBytes
  }

  /** Returns what ends the listening. */
  on<E extends keyof ServerEvents>(event: E, listener: (event: ServerEvents[E]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /** Resolves when it listens. Rejects with CONNECTION_FAILED (port in use), INVALID_CONFIG (`handlerModule`), and when it was stopped. */
  start(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return Promise.reject(stopped())
    this.#starting ??= this.#start()
    return this.#starting
  }

  /**
   * Accepts nobody more, lets handlers finish the messages they have, sends what is queued, closes; after `timeoutMs` the rest
   * is destroyed. Every `onClose` has run when it resolves. Idempotent.
   */
  stop({ timeoutMs = this.options.closeTimeoutMs }: StopOptions = {}): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs)
    return this.#stopping
  }

  /** Calls `task` once, after `ms`. What it throws is an `error`. `stop()` of the server ends it, too. */
  runAfter(ms: number, task: () => unknown): WheelHandle {
    return this.#wheel.runAfter(ms, task)
  }

  /** Calls `task` after `ms`, 2 `ms`, ... at a fixed rate. */
  runEvery(ms: number, task: () => unknown): WheelHandle {
    return this.#wheel.runEvery(ms, task)
  }

  /**
   * Takes over a socket that somebody else accepted, for example an upgrade of node:http; `head` is what was read of it. Null:
   * it was closed and counted, because `maxConnections` are open. Lives in this process, also with several loops.
   * Throws CONNECTION_CLOSED when the server was stopped or the socket is gone.
   */
  adopt<C = Ctx, I = In, O = Out>(
    socket: Socket,
    head?: Uint8Array | null,
    adoption?: Adoption<C, I, O>,
  ): Connection<C, I, O> | null {
    if (this.#stopping !== null) {
      socket.destroy()
      throw stopped()
    }
    if (socket.destroyed) throw new MQError('CONNECTION_CLOSED', 'the socket to be adopted is closed already')
    if (!this.#admits()) {
      socket.on('error', () => {}) // It is nobody's: what it says changes nothing.
      socket.destroy()
      return null
    }
    const { protocol, handler } = adoption ?? (this.#own() as unknown as Adoption<C, I, O>)
    return this.#loop.take(socket, protocol, handler, head ?? null)
  }

  /** Running numbers, of all loops. */
  measures(): NetMeasures {
    const own = { ...this.#loop.measures(), rejected: this.#rejected }
    return this.#pool === null ? own : sumOf([own, this.#pool.measures()])
  }

  /** The series `net_*`, for `mq.metrics.attachRoom('net', server)`. */
  readings(): NetReadings {
    return netReadings(this.measures())
  }

  #own(): Adoption<Ctx, In, Out> {
    return { protocol: this.options.protocol, handler: this.#handler }
  }

  #makeAcceptor(): Acceptor {
    const { noDelay, tls } = this.options
    const common = { highWaterMark: READ_AHEAD_BYTES, noDelay, admits: () => this.#admits() }
    const pool = this.#pool
    // A TLS session cannot be handed to a process, so the loop that gets the connection makes the handshake.
    if (pool !== null) return new Acceptor({ ...common, pauseOnConnect: true }, (socket) => pool.handOver(socket))
    const { protocol, handler } = this.#own()
    return new Acceptor({ ...common, allowHalfOpen: true, ...(tls === null ? {} : { tls }) }, (socket) => {
      this.#loop.take(socket, protocol, handler)
    })
  }

  #admits(): boolean {
    if (this.connections + this.#acceptor.handshakes < this.options.maxConnections) return true
    this.#rejected++
    return false
  }

  async #start(): Promise<void> {
    this.#state = 'starting'
    this.#beginning = this.#begin()
    try {
      this.#address = await this.#beginning
    } catch (error) {
      await this.stop()
      throw error
    }
    if (this.#stopping !== null) throw stopped()
    this.#acceptor.onError((error) => this.#raise(portFailed(error)))
    this.#state = 'running'
  }

  async #begin(): Promise<ServerAddress> {
    await this.#pool?.start()
    const { host, port, reusePort } = this.options
    return this.#listen({ host, port, reusePort })
  }

  async #listen(at: ListenAt): Promise<ServerAddress> {
    if (at.reusePort !== true) return this.#acceptor.listen(at)
    const plain = { ...at, reusePort: false }
    if (!canReusePort(process.versions.node)) return this.#listenWithout(plain, undefined)
    try {
      return await this.#acceptor.listen(at)
    } catch (error) {
      const { code } = (error as Error).cause as NodeJS.ErrnoException
      if (code !== 'ENOTSUP' && code !== 'EINVAL') throw error
      return this.#listenWithout(plain, error)
    }
  }

  #listenWithout(at: ListenAt, cause: unknown): Promise<ServerAddress> {
    this.#tell('warning', reusePortMissing(cause))
    return this.#acceptor.listen(at)
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#state = 'stopping'
    // What is not listening yet cannot be told to stop. `start` says why it failed.
    await this.#beginning?.catch(() => {})
    const accepted = this.#acceptor.close()
    this.#address = null
    const limit = this.options.clock.setTimer(() => this.#loop.destroyAll(stopped()), timeoutMs)
    await Promise.all([this.#loop.drain(), this.#pool?.stop(timeoutMs)])
    limit.cancel()
    await accepted
    this.#wheel.clear()
    this.#state = 'stopped'
  }

  #raise(error: MQError): void {
    this.#tell('error', error)
  }

  #tell<E extends keyof ServerEvents>(event: E, error: MQError): void {
    if (this.#events.has(event)) this.#events.emit(event, error as ServerEvents[E])
    else this.options.logger.warn(error.message, { error })
  }
}

function stopped(): MQError {
  return new MQError('CONNECTION_CLOSED', 'the server was stopped: make a new one')
}

function timerFailed(cause: unknown): MQError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new MQError('CONSUME_FAILED', `a timer of the server failed: ${why}`, { reason: 'CALLBACK' }, { cause })
}

function portFailed(cause: Error): MQError {
  return new MQError('CONNECTION_FAILED', `the listening socket failed: ${cause.message}`, {}, { cause })
}
