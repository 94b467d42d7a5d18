/**
 * The way in: takes items, or does with them what `overflow` says.
 * A line of callers who wait forms when there is no room ('block'), and while the queue starts: first come, first served,
 * and nothing overtakes it. Hot path: an item that finds room costs no object and no promise.
 * Invariants: an item is counted as enqueued exactly when its store has it; who leaves the line (time-out, abort, end)
 * leaves it at once, and what was taken of his batch stays taken: `context.acceptedCount` says how much.
 */
import type { WaitOptions } from '../channel/index.js'
import type { QueueSettings } from '../config/index.js'
import { MQError } from '../errors/index.js'
import type { Clock, TimerHandle } from '../util/index.js'
import type { QueueCounters } from './counters.js'
import type { Levels } from './levels.js'
import { ACCEPTED, type Store } from './store.js'
import type { Batch } from './window.js'

export interface IntakeOptions<T> {
  readonly settings: QueueSettings
  readonly clock: Clock
  readonly counters: QueueCounters
  readonly levels: Levels
  /** Items are in the store. */
  came(): void
  /** Somebody met the limit. */
  full(): void
  /** 'dropOldest' gave these up; they are counted already. */
  evicted(batches: readonly Batch<T>[]): void
}

interface Waiting<T> {
  readonly items: readonly T[]
  taken: number
  readonly resolve: (accepted: Promise<void>) => void
  readonly reject: (error: unknown) => void
  readonly deadlineMs: number // monotonic
  timer: TimerHandle | null // only of one that waits shorter than the others
  leave: (() => void) | null // of its signal
}

const AT_ONCE: WaitOptions = {}

export class Intake<T> {
  readonly #options: IntakeOptions<T>
  readonly #counters: QueueCounters
  readonly #levels: Levels
  readonly #line = new Set<Waiting<T>>()
  readonly #isSampling: boolean
  #isSampleDue: boolean // the next call is timed: one per batch that was settled
  #sampledTo = 0 // items enqueued until the last sample, which stands for all since the one before
  #limit: TimerHandle | null = null // of all that wait `maxBlockMs`
  #store: Store<T> | null = null // null: nothing is taken now
  /** Why nothing is taken; null: it is being prepared, and callers wait. */
  #refusal: (() => MQError) | null

  constructor(options: IntakeOptions<T>, refusal: () => MQError) {
    this.#options = options
    this.#counters = options.counters
    this.#levels = options.levels
    this.#isSampling = options.counters.histograms !== null
    this.#isSampleDue = this.#isSampling
    this.#refusal = refusal
  }

  get waiting(): number {
    return this.#line.size
  }

  /** Callers wait until `open` or `refuse`. */
  prepare(): void {
    this.#refusal = null
  }

  open(store: Store<T>): void {
    this.#store = store
    this.serve()
  }

  /** Nothing is taken any more, and who waits is told. */
  refuse(refusal: () => MQError): void {
    this.#store = null
    this.#refusal = refusal
    for (const waiting of [...this.#line]) this.#fail(waiting, refusal())
    this.#limit?.cancel()
    this.#limit = null
  }

  enqueue(item: T, options: WaitOptions = AT_ONCE): Promise<void> {
    if (this.#isSampleDue) return this.#timed(item, options)
    return this.#enqueue(item, options)
  }

  enqueueBatch(items: readonly T[], options: WaitOptions = AT_ONCE): Promise<void> {
    const store = this.#store
    if (store === null || this.#line.size > 0) return this.#inLine([...items], 0, options)
    let taken = 0
    try {
      if (this.#options.settings.overflow === 'reject' && !store.fits(items)) return this.#turnAway(items, store)
      taken = this.#put(store, items, 0)
    } catch (error) {
      return Promise.reject(withCount(error, 0))
    }
    return taken === items.length ? store.lastAccepted : this.#inLine([...items], taken, options)
  }

  /** False: there is no room, and nothing was done. Throws what `enqueue` rejects with otherwise. */
  tryEnqueue(item: T): boolean {
    const store = this.#store
    if (store === null && this.#refusal !== null) throw this.#refusal()
    if (store !== null && this.#line.size === 0) {
      if (store.tryPut(item, false) !== null) return this.#took(store, 1)
      this.#metLimit(store)
      if (this.#evict(store, 1) && store.tryPut(item, false) !== null) return this.#took(store, 1)
    }
    this.#counters.rejected++
    return false
  }

  /** There may be room again. */
  serve(): void {
    this.#isSampleDue = this.#isSampling
    for (const waiting of this.#line) {
      const store = this.#store
      if (store === null || !this.#advance(store, waiting)) return
    }
  }

  #enqueue(item: T, options: WaitOptions): Promise<void> {
    const store = this.#store
    if (store !== null && this.#line.size === 0) {
      try {
        const accepted = store.tryPut(item, false)
        if (accepted !== null) {
          this.#took(store, 1)
          return accepted
        }
      } catch (error) {
        return Promise.reject(error)
      }
      if (this.#options.settings.overflow === 'reject') return this.#turnAway([item], store)
    }
    return this.#inLine([item], 0, options)
  }

  #timed(item: T, options: WaitOptions): Promise<void> {
    const { clock } = this.#options
    const startMs = clock.monotonicMs()
    const accepted = this.#enqueue(item, options)
    const { enqueued, histograms } = this.#counters
    this.#isSampleDue = false
    histograms?.enqueue.observe((clock.monotonicMs() - startMs) / 1000, enqueued - this.#sampledTo)
    this.#sampledTo = enqueued
    return accepted
  }

  /** As many as there is room for, making room if that is the policy. Gives how many of `items` are taken now. */
  #put(store: Store<T>, items: readonly T[], from: number): number {
    let taken = from
    while (taken < items.length) {
      const count = store.tryPutMany(items, taken, taken > 0)
      if (count > 0) this.#took(store, count)
      taken += count
      if (taken === items.length) break
      this.#metLimit(store)
      if (count === 0 && !this.#evict(store, items.length - taken)) break
    }
    return taken
  }

  #metLimit(store: Store<T>): void {
    this.#levels.met(store.used)
    this.#options.full()
  }

  #took(store: Store<T>, count: number): true {
    this.#counters.enqueued += count
    if (!this.#levels.isAbove) this.#levels.rose(store.used)
    this.#options.came()
    return true
  }

  /** True when something was given up: it is worth another try. */
  #evict(store: Store<T>, count: number): boolean {
    if (this.#options.settings.overflow !== 'dropOldest') return false
    const batches = store.evict(count)
    if (batches.length > 0) this.#options.evicted(batches)
    return batches.length > 0
  }

  /** 'reject': all or nothing. */
  #turnAway(items: readonly T[], store: Store<T>): Promise<void> {
    this.#metLimit(store)
    this.#counters.rejected += items.length
    return Promise.reject(this.#full(store, items.length, 'POOL_EXHAUSTED', 0))
  }

  /** `items` is ours: the caller's list may change while he waits. */
  #inLine(items: readonly T[], taken: number, { signal, timeoutMs }: WaitOptions): Promise<void> {
    if (this.#refusal !== null) return Promise.reject(withCount(this.#refusal(), taken))
    if (taken === items.length) return this.#store?.lastAccepted ?? ACCEPTED
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const { clock, settings } = this.#options
    const limitMs = Math.min(timeoutMs ?? settings.maxBlockMs, settings.maxBlockMs)
    const deadlineMs = clock.monotonicMs() + limitMs
    return new Promise<void>((resolve, reject) => {
      const waiting: Waiting<T> = { items, taken, resolve, reject, deadlineMs, timer: null, leave: null }
      this.#line.add(waiting)
      if (this.#line.size === 1 && this.#store !== null && this.#advance(this.#store, waiting)) return
      if (limitMs < settings.maxBlockMs) waiting.timer = clock.setTimer(() => this.#timedOut(waiting, limitMs), limitMs)
      else this.#setLimit()
      if (signal === undefined) return
      const aborted = () => this.#fail(waiting, signal.reason)
      signal.addEventListener('abort', aborted, { once: true })
      waiting.leave = () => signal.removeEventListener('abort', aborted)
    })
  }

  /** One timer for the whole line: who came first is late first. It may ring in vain. */
  #setLimit(): void {
    if (this.#limit !== null) return
    const { clock, settings } = this.#options
    for (const { deadlineMs, timer } of this.#line) {
      if (timer !== null) continue
      this.#limit = clock.setTimer(() => {
        this.#limit = null
        const nowMs = clock.monotonicMs()
        for (const waiting of this.#line) {
          if (waiting.deadlineMs <= nowMs) this.#timedOut(waiting, settings.maxBlockMs)
          else if (waiting.timer === null) break
        }
        this.#setLimit()
      }, deadlineMs - clock.monotonicMs())
      return
    }
  }

  /** Takes what there is room for; true when he is done, one way or the other. */
  #advance(store: Store<T>, waiting: Waiting<T>): boolean {
    const { items } = waiting
    try {
      if (this.#options.settings.overflow === 'reject' && waiting.taken === 0 && !store.fits(items)) {
        this.#fail(waiting, this.#full(store, items.length, 'POOL_EXHAUSTED', 0))
        return true
      }
      waiting.taken = this.#put(store, items, waiting.taken)
    } catch (error) {
      this.#fail(waiting, error, false)
      return true
    }
    if (waiting.taken < items.length) return false
    this.#remove(waiting)
    waiting.resolve(store.lastAccepted)
    return true
  }

  #timedOut(waiting: Waiting<T>, limitMs: number): void {
    const left = waiting.items.length - waiting.taken
    const store = this.#store
    const error =
      store === null
        ? new MQError('TIMEOUT', `the queue was not started within ${limitMs} ms`, { timeoutMs: limitMs })
        : this.#full(store, left, 'TIMEOUT', limitMs)
    this.#fail(waiting, error)
  }

  /** `isRefusal`: at a limit, which is what `rejectedTotal` counts. */
  #fail(waiting: Waiting<T>, error: unknown, isRefusal = true): void {
    if (isRefusal) this.#counters.rejected += waiting.items.length - waiting.taken
    this.#remove(waiting)
    waiting.reject(withCount(error, waiting.taken))
  }

  #remove(waiting: Waiting<T>): void {
    this.#line.delete(waiting)
    waiting.timer?.cancel()
    waiting.leave?.()
  }

  #full(store: Store<T>, items: number, code: 'POOL_EXHAUSTED' | 'TIMEOUT', timeoutMs: number): MQError {
    const { used, fullReason: reason } = store
    const { hardAt, limit } = this.#levels
    const unit = reason === 'BUFFER_FULL' ? 'items' : 'B of the log'
    const when = code === 'TIMEOUT' ? ` within ${timeoutMs} ms` : ''
    const advice = reason === 'BUFFER_FULL' ? 'memoryMaxItems' : 'walMaxBytes'
    const text = `no room for ${items} items${when}: ${used} of ${limit} ${unit} are used, and from ${hardAt} on nothing is taken; raise ${advice}, or send faster`
    return new MQError(code, text, { reason, items, used, limit, ...(code === 'TIMEOUT' ? { timeoutMs } : {}) })
  }
}

function withCount(error: unknown, acceptedCount: number): unknown {
  return error instanceof MQError ? error.withContext('acceptedCount', acceptedCount) : error
}
