/**
 * Callers that wait for a connection, first come, first served.
 * Why each has its own broker, patience and list of failures: one that asked for a dead broker must fail without
 * holding up those behind it, and one that takes any broker tries the next.
 * Invariant: a waiter settles exactly once, and then holds neither timer nor listener nor a place in the queue.
 */
import type { MQError } from '../../errors/index.js'
import { type Clock, type Deferred, deferred, type TimerHandle } from '../../util/index.js'
import type { GetConnectionOptions, PooledConnection } from './pool-types.js'

export class Waiter {
  /** Undefined: any broker will do. */
  readonly brokerId: number | undefined
  /** Does not wait for what others have lent. */
  readonly isImpatient: boolean
  readonly timeoutMs: number
  readonly done: Deferred<PooledConnection> = deferred()
  /** Brokers that could not be reached in this round. */
  readonly failed = new Set<number>()
  /** A connection is being opened for it. Another one may come free first, and then somebody else gets this one. */
  isOpening = false
  /** Between two rounds. */
  pause: TimerHandle | null = null
  round = 0
  lastError: MQError | null = null

  constructor({ brokerId }: GetConnectionOptions, timeoutMs: number) {
    this.brokerId = brokerId
    this.timeoutMs = timeoutMs
    this.isImpatient = timeoutMs === 0
  }
}

export class Waiters {
  readonly #clock: Clock
  /** In the order of arrival. Bounded by the calls that the user has under way. */
  readonly #queue = new Map<Waiter, () => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#queue.size
  }

  /** A copy: waiters leave while it is gone through. */
  inOrder(): Waiter[] {
    return [...this.#queue.keys()]
  }

  has(waiter: Waiter): boolean {
    return this.#queue.has(waiter)
  }

  add(waiter: Waiter, signal: AbortSignal | undefined, onLate: (waiter: Waiter) => void): void {
    const abort = () => this.reject(waiter, signal?.reason)
    signal?.addEventListener('abort', abort)
    const timer = waiter.isImpatient ? null : this.#clock.setTimer(() => onLate(waiter), waiter.timeoutMs)
    this.#queue.set(waiter, () => {
      timer?.cancel()
      waiter.pause?.cancel()
      signal?.removeEventListener('abort', abort)
    })
  }

  resolve(waiter: Waiter, connection: PooledConnection): void {
    this.#remove(waiter)
    waiter.done.resolve(connection)
  }

  reject(waiter: Waiter, reason: unknown): void {
    this.#remove(waiter)
    waiter.done.reject(reason)
  }

  rejectAll(reason: MQError): void {
    for (const waiter of this.inOrder()) this.reject(waiter, reason)
  }

  #remove(waiter: Waiter): void {
    this.#queue.get(waiter)?.()
    this.#queue.delete(waiter)
  }
}
