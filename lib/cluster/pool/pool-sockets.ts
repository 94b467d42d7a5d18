/**
 * The lendable sockets of a pool: how many per broker, which are free, which are too old, too long unused, or ill.
 * Why one upkeep timer: ages, idleness and probes of a few sockets need one deadline, the earliest; none while no
 * socket is free.
 * Invariant: per broker, open sockets + attempts <= `limit`; opened - closed = sockets that are not gone; a socket that
 * is lent, or has a request outstanding, is never closed by age (only by `close`). Source: features.md CL-2, CL-3.
 */
import type { PoolSettings } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { ApiVersions } from '../../protocol/index.js'
import { assert, type Buckets, type Clock, type Deferred, deferred, type TimerHandle } from '../../util/index.js'
import type { Connection } from '../connection.js'
import { PROBE_VERSION } from '../control-plane.js'
import { closedHere, placeOf } from '../failures.js'
import { PoolSocket } from './pool-socket.js'

export interface PoolSocketsHost {
  readonly clock: Clock
  readonly settings: PoolSettings
  /** Lendable sockets per broker. */
  readonly limit: number
  readonly pingSeconds: Buckets
  open(brokerId: number, signal: AbortSignal): Promise<Connection>
  /** A socket came free, or a place for one. */
  onChange(): void
  /** A socket broke, or a probe failed: not when it was closed for its age or by us. */
  onBroken(socket: PoolSocket, reason: MQError): void
}

export class PoolSockets {
  opened = 0
  closed = 0
  errors = 0
  readonly #host: PoolSocketsHost
  readonly #sockets = new Set<PoolSocket>()
  readonly #opening = new Map<number, number>() // attempts by broker
  readonly #attempts = new Set<Promise<unknown>>()
  readonly #abort = new AbortController()
  #upkeep: TimerHandle | null = null
  #upkeepDueMs = Number.POSITIVE_INFINITY
  #empty: Deferred<void> | null = null // close() waits for the sockets
  #isClosed = false

  constructor(host: PoolSocketsHost) {
    this.#host = host
  }

  get size(): number {
    return this.#sockets.size
  }

  get opening(): number {
    return [...this.#opening.values()].reduce((sum, count) => sum + count, 0)
  }

  count(isCounted: (socket: PoolSocket) => boolean): number {
    let count = 0
    for (const socket of this.#sockets) if (isCounted(socket)) count++
    return count
  }

  /** Sockets and attempts of one broker. */
  ofBroker(brokerId: number): number {
    return this.count((socket) => socket.brokerId === brokerId) + (this.#opening.get(brokerId) ?? 0)
  }

  hasRoomFor(brokerId: number): boolean {
    return this.ofBroker(brokerId) < this.#host.limit
  }

  /** The free socket that was used last, so that the others may age; one that can take a request at once comes first. */
  take(brokerId: number | undefined): PoolSocket | null {
    let best: PoolSocket | null = null
    for (const socket of this.#sockets) {
      if (socket.state !== 'idle' || (brokerId !== undefined && socket.brokerId !== brokerId)) continue
      if (!socket.isOpen) continue // Its end is about to be told.
      if (this.#isOver(socket)) this.#retire(socket, 'its time is over')
      else if (best === null || isBetter(socket, best)) best = socket
    }
    if (best !== null) best.state = 'lent'
    return best
  }

  /** The lease is over: the socket is free once its answers are there. */
  giveBack(socket: PoolSocket): void {
    // It broke while it was lent, its end is about to be told, or the pool is closing.
    if (socket.state !== 'lent' || !socket.isOpen) return
    if (socket.isQuiet) this.#free(socket, this.#host.clock.monotonicMs())
    else socket.state = 'draining'
  }

  /** Opens one more; it is free then. Rejects with the connection error. Ask `hasRoomFor` first. */
  open(brokerId: number): Promise<void> {
    assert(this.hasRoomFor(brokerId), 'a pool opens no socket above its limit')
    this.#opening.set(brokerId, (this.#opening.get(brokerId) ?? 0) + 1)
    const attempt = this.#open(brokerId)
    this.#attempts.add(attempt)
    attempt.catch(() => {}).finally(() => this.#attempts.delete(attempt))
    return attempt
  }

  /** No socket, attempt or timer remains when it resolves. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#upkeep?.cancel()
    this.#upkeep = null
    this.#abort.abort()
    for (const socket of this.#sockets) this.#destroy(socket, closedHere('the pool'))
    await Promise.allSettled([...this.#attempts])
    if (this.#sockets.size === 0) return
    this.#empty = deferred()
    await this.#empty.promise
  }

  async #open(brokerId: number): Promise<void> {
    const left = () => this.#opening.set(brokerId, (this.#opening.get(brokerId) ?? 0) - 1)
    let connection: Connection
    try {
      connection = await this.#host.open(brokerId, this.#abort.signal)
    } catch (error) {
      left()
      if (!this.#isClosed) this.errors++
      throw error
    }
    left()
    this.opened++
    const socket = new PoolSocket(connection, this.#host.clock.monotonicMs())
    this.#sockets.add(socket)
    socket.onQuiet = () => this.#quiet(socket)
    connection.onClosed = (reason) => this.#gone(socket, reason)
    if (this.#isClosed) this.#destroy(socket, closedHere('the pool'))
    else if (connection.isOpen) this.#free(socket, socket.openedMs)
    else throw this.#lost(socket)
  }

  /** It ended before we listened to it. */
  #lost(socket: PoolSocket): MQError {
    const reason = brokeAtOnce(socket)
    this.#gone(socket, reason)
    return reason
  }

  #quiet(socket: PoolSocket): void {
    if (socket.state === 'draining' && socket.isOpen) this.#free(socket, this.#host.clock.monotonicMs())
  }

  /** The socket may be lent; what is too much or too old goes instead. */
  #free(socket: PoolSocket, idleSinceMs: number): void {
    const { clock, settings } = this.#host
    socket.state = 'idle'
    socket.idleSinceMs = idleSinceMs
    socket.checkedMs = clock.monotonicMs()
    if (this.#isOver(socket)) this.#retire(socket, 'its time is over')
    // Somebody may wait for it: only what nobody takes is too much.
    this.#host.onChange()
    const idle = [...this.#sockets].filter(({ state }) => state === 'idle' || state === 'probing')
    const excess = idle.length - settings.maxIdle
    if (excess > 0) {
      const unused = idle.filter(({ state }) => state === 'idle').sort((a, b) => a.idleSinceMs - b.idleSinceMs)
      for (const one of unused.slice(0, excess)) this.#retire(one, 'more are idle than maxIdle')
    }
    this.#watch()
  }

  /** Too old to be lent again, or too long unused to be trusted. */
  #isOver(socket: PoolSocket): boolean {
    return this.#host.clock.monotonicMs() >= this.#endMs(socket)
  }

  #endMs(socket: PoolSocket): number {
    const { connectionMaxLifetimeMs, connectionMaxIdleMs } = this.#host.settings
    const lifeEndMs = connectionMaxLifetimeMs > 0 ? socket.openedMs + connectionMaxLifetimeMs : Number.POSITIVE_INFINITY
    return Math.min(lifeEndMs, socket.idleSinceMs + connectionMaxIdleMs)
  }

  #dueMs(socket: PoolSocket): number {
    const { healthCheckIntervalMs } = this.#host.settings
    const probeMs = healthCheckIntervalMs > 0 ? socket.checkedMs + healthCheckIntervalMs : Number.POSITIVE_INFINITY
    return Math.min(this.#endMs(socket), probeMs)
  }

  /** Arms the timer only when it would ring too late; when it rings too early it looks again by itself. */
  #watch(): void {
    if (this.#isClosed) return
    const { clock } = this.#host
    let dueMs = Number.POSITIVE_INFINITY
    for (const socket of this.#sockets) if (socket.state === 'idle') dueMs = Math.min(dueMs, this.#dueMs(socket))
    if (dueMs >= this.#upkeepDueMs) return
    this.#upkeep?.cancel()
    this.#upkeepDueMs = dueMs
    this.#upkeep = clock.setTimer(() => this.#lookAfter(), Math.max(0, dueMs - clock.monotonicMs()))
  }

  #lookAfter(): void {
    this.#upkeep = null
    this.#upkeepDueMs = Number.POSITIVE_INFINITY
    const nowMs = this.#host.clock.monotonicMs()
    for (const socket of this.#sockets) {
      if (socket.state !== 'idle') continue
      if (this.#isOver(socket)) this.#retire(socket, 'its time is over')
      else if (nowMs >= this.#dueMs(socket)) void this.#probe(socket)
    }
    this.#watch()
  }

  /** An ApiVersions round trip: the one question that every broker answers, whatever we may do there. */
  async #probe(socket: PoolSocket): Promise<void> {
    const { clock, settings, pingSeconds } = this.#host
    socket.state = 'probing'
    const fromMs = clock.monotonicMs()
    const limitMs = settings.healthCheckTimeoutMs
    const timer = clock.setTimer(() => socket.connection.destroy(tooSlow(socket, limitMs)), limitMs)
    try {
      await socket.request(ApiVersions, {}, { maxVersion: PROBE_VERSION })
      pingSeconds.observe((clock.monotonicMs() - fromMs) / 1_000)
      // A probe is no use: idleness goes on.
      if (socket.state === 'probing' && socket.isOpen) this.#free(socket, socket.idleSinceMs)
    } catch (error) {
      // Either the socket is gone, and #gone has told; or it answers nonsense, and then it goes.
      if (socket.isOpen) socket.connection.destroy(probeFailed(socket, error))
    } finally {
      timer.cancel()
    }
  }

  #retire(socket: PoolSocket, why: string): void {
    const context = { ...placeOf(socket.connection.address), byUs: true }
    this.#destroy(socket, new MQError('CONNECTION_CLOSED', `the pool closed this connection: ${why}`, context))
  }

  #destroy(socket: PoolSocket, reason: MQError): void {
    if (socket.state === 'closing' || socket.state === 'gone') return
    socket.state = 'closing'
    socket.reason = reason
    socket.connection.destroy(reason)
  }

  #gone(socket: PoolSocket, reason: MQError): void {
    if (socket.state === 'gone') return
    const wasOurs = socket.state === 'closing' || reason.context['isIdle'] === true
    socket.ended(reason)
    this.#sockets.delete(socket)
    this.closed++
    if (!wasOurs) {
      this.errors++
      this.#host.onBroken(socket, reason)
    }
    if (this.#sockets.size === 0) this.#empty?.resolve()
    if (!this.#isClosed) this.#host.onChange()
  }
}

function isBetter(one: PoolSocket, other: PoolSocket): boolean {
  const [oneHasRoom, otherHasRoom] = [one.connection.hasRoom, other.connection.hasRoom]
  if (oneHasRoom !== otherHasRoom) return oneHasRoom
  return one.idleSinceMs >= other.idleSinceMs
}

function brokeAtOnce(socket: PoolSocket): MQError {
  const text = `the connection to broker ${socket.brokerId} ended as soon as it was open`
  return new MQError('CONNECTION_CLOSED', text, placeOf(socket.connection.address))
}

function tooSlow(socket: PoolSocket, limitMs: number): MQError {
  const text = `broker ${socket.brokerId} did not answer a health probe within healthCheckTimeoutMs ${limitMs}`
  return new MQError('CONNECTION_TIMEOUT', text, placeOf(socket.connection.address))
}

function probeFailed(socket: PoolSocket, cause: unknown): MQError {
  const text = `a health probe of the connection to broker ${socket.brokerId} failed`
  return new MQError('CONNECTION_FAILED', text, placeOf(socket.connection.address), { cause })
}
