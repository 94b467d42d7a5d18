/**
 * Those who asked for records when there were none: first come, first served, each with its limit and its signal.
 * Invariant: a waiter is in the list, or settled with its timer and its listener gone; never both.
 */
import type { Clock, TimerHandle } from '../../util/index.js'
import type { AnyRecord } from '../cursor.js'
import type { PullReader } from './pull-reader.js'

/** What a pull call gives: a record, or null; records, perhaps none. */
export type Pulled = AnyRecord | AnyRecord[] | null

export interface PullOptions {
  /**
   * Longest wait. Milliseconds; 0: only what is there at the end of this turn of the event loop. Default: no limit.
   */
  readonly timeoutMs?: number | undefined
  /** Ends the wait: the call rejects with its reason, and nothing was handed out. */
  readonly signal?: AbortSignal | undefined
}

export class Waiter {
  readonly reader: PullReader
  /** Records wanted; 0: one, not as a list. */
  readonly max: number
  readonly resolve: (unit: Pulled) => void
  readonly reject: (reason: unknown) => void
  timer: TimerHandle | null = null
  signal: AbortSignal | null = null
  onAbort: (() => void) | null = null

  constructor(reader: PullReader, max: number, resolve: (unit: Pulled) => void, reject: (reason: unknown) => void) {
    this.reader = reader
    this.max = max
    this.resolve = resolve
    this.reject = reject
  }
}

export class WaitingReaders {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiters.size
  }

  /** In the order they came; who is settled meanwhile is left out. */
  all(): Iterable<Waiter> {
    return this.#waiters
  }

  add(reader: PullReader, max: number, { timeoutMs, signal }: PullOptions): Promise<Pulled> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(reader, max, resolve, reject)
      this.#waiters.add(waiter)
      if (signal !== undefined) this.#follow(waiter, signal)
      if (timeoutMs === undefined) return
      const expire = () => this.settle(waiter, max === 0 ? null : [])
      // Even a mere look takes a turn of the loop: polling without a pause would keep sockets from ever being read.
      if (timeoutMs === 0) this.#clock.defer(expire)
      else waiter.timer = this.#clock.setTimer(expire, timeoutMs)
    })
  }

  settle(waiter: Waiter, unit: Pulled): void {
    if (this.#remove(waiter)) waiter.resolve(unit)
  }

  fail(waiter: Waiter, reason: unknown): void {
    if (this.#remove(waiter)) waiter.reject(reason)
  }

  #follow(waiter: Waiter, signal: AbortSignal): void {
    waiter.signal = signal
    waiter.onAbort = () => this.fail(waiter, signal.reason)
    signal.addEventListener('abort', waiter.onAbort)
  }

  #remove(waiter: Waiter): boolean {
    if (!this.#waiters.delete(waiter)) return false
    waiter.timer?.cancel()
    if (waiter.onAbort !== null) waiter.signal?.removeEventListener('abort', waiter.onAbort)
    return true
  }
}
