/**
 * Somebody parked for room or for data, first come first served. CH-15.
 * Invariants: `wake(n)` settles exactly min(n, waiters), oldest first, however many there are; a waiter that gave up
 * (time-out, abort, `leave`) is out of the queue at once, so nothing accumulates behind one that waits for ever.
 * A doubly linked list: leaving from the middle takes constant time.
 */
import type { MQError } from '../errors/index.js'
import { type Clock, systemClock, type TimerHandle } from '../util/index.js'

/** What every waiting call takes. An aborted call rejects with `signal.reason` unchanged. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds; unset = no limit, 0 = reject at once if there is nothing. */
  readonly timeoutMs?: number | undefined
  /** Default: the system's. */
  readonly clock?: Clock | undefined
}

/** A place in the queue. */
export interface Waiter<Value> {
  readonly promise: Promise<Value>
  /** Gives the place up without settling the promise; false when it was left or woken already, which is harmless. */
  leave(): boolean
}

export class WaiterQueue<Value, Need = undefined> {
  #first: Place<Value, Need> | null = null
  #last: Place<Value, Need> | null = null
  #size = 0
  /** Called after a waiter gave up: the one behind it may be content with less. */
  readonly #onLeft: () => void

  constructor(onLeft: () => void = () => {}) {
    this.#onLeft = onLeft
  }

  get size(): number {
    return this.#size
  }

  /** What the oldest waiter waits for; undefined when nobody waits. */
  get firstNeed(): Need | undefined {
    return this.#first?.need
  }

  /** Takes the last place. `timedOut` makes the error of a wait that lasted too long. */
  add(need: Need, options: WaitOptions, timedOut: () => MQError): Waiter<Value> {
    const place = new Place<Value, Need>(need, (left) => {
      const wasInside = this.#unlink(left)
      if (wasInside) this.#onLeft()
      return wasInside
    })
    if (options.signal?.aborted === true) {
      place.reject(options.signal.reason)
      return place
    }
    if (options.timeoutMs === 0) {
      place.reject(timedOut()) // At once: a timer would take a turn, and a clock that stands would never ring.
      return place
    }
    this.#link(place)
    place.start(options, timedOut)
    return place
  }

  /** Settles the oldest `count` waiters with `value`; returns how many there were. */
  wake(count: number, value: Value): number {
    let woken = 0
    for (; woken < count && this.#first !== null; woken++) {
      const place = this.#first
      this.#unlink(place)
      place.resolve(value)
    }
    return woken
  }

  /** Nobody will be served any more. */
  rejectAll(error: () => MQError): void {
    while (this.#first !== null) {
      const place = this.#first
      this.#unlink(place)
      place.reject(error())
    }
  }

  #link(place: Place<Value, Need>): void {
    place.isInside = true
    place.before = this.#last
    if (this.#last === null) this.#first = place
    else this.#last.after = place
    this.#last = place
    this.#size++
  }

  #unlink(place: Place<Value, Need>): boolean {
    if (!place.isInside) return false
    place.isInside = false
    if (place.before === null) this.#first = place.after
    else place.before.after = place.after
    if (place.after === null) this.#last = place.before
    else place.after.before = place.before
    place.before = null
    place.after = null
    this.#size--
    place.stop()
    return true
  }
}

class Place<Value, Need> implements Waiter<Value> {
  readonly need: Need
  readonly promise: Promise<Value>
  isInside = false
  before: Place<Value, Need> | null = null
  after: Place<Value, Need> | null = null
  resolve!: (value: Value) => void
  reject!: (reason: unknown) => void
  readonly #unlink: (place: Place<Value, Need>) => boolean
  #timer: TimerHandle | null = null
  #signal: AbortSignal | null = null
  #onAbort: (() => void) | null = null

  constructor(need: Need, unlink: (place: Place<Value, Need>) => boolean) {
    this.need = need
    this.#unlink = unlink
    this.promise = new Promise<Value>((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  start({ signal, timeoutMs, clock = systemClock }: WaitOptions, timedOut: () => MQError): void {
    if (timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY) {
      this.#timer = clock.setTimer(() => {
        this.reject(timedOut())
        this.#unlink(this)
      }, timeoutMs)
    }
    if (signal === undefined) return
    this.#signal = signal
    this.#onAbort = () => {
      this.reject(signal.reason)
      this.#unlink(this)
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  leave(): boolean {
    return this.#unlink(this)
  }

  /** Drops timer and listener, so that a waiter that was served leaves nothing behind. */
  stop(): void {
    this.#timer?.cancel()
    if (this.#onAbort !== null) this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#timer = null
    this.#onAbort = null
    this.#signal = null
  }
}
