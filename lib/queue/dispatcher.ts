/**
 * Takes batches from the window when they are due, and brings each to its end. It decides when; `Delivery` does.
 * A batch is due when it is full, or cannot grow (its run is over, memory is full), when the wait of its
 * first item is over, when somebody flushes, or when the
 * queue is to be emptied; and when a sender is free and the circuit lets it pass.
 * Invariants: first decided, then taken; batches leave in order, a batch that waits (back-off, hold, circuit) keeps its
 * sender, so at concurrency 1 nothing overtakes it; at most `senders` deliveries exist. Source: wal.md 7, QU-3, QU-4.
 */
import type { QueueSettings } from '../config/index.js'
import type { MQError } from '../errors/index.js'
import {
  AdaptiveSize,
  CircuitBreaker,
  type CircuitState,
  type Clock,
  type RandomSource,
  type TimerHandle,
} from '../util/index.js'
import { Outcome } from '../wal/index.js'
import type { QueueCounters } from './counters.js'
import { type CallEnd, Delivery, type DeliveryHost } from './delivery.js'
import type { Store } from './store.js'
import type { SendFunc } from './types.js'
import type { Batch, Window } from './window.js'

export interface DispatcherEvents<T> {
  retrying(delivery: Delivery<T>, error: MQError, delayMs: number): void
  held(delivery: Delivery<T>, error: MQError): void
  /** A batch has its outcome, and is counted: it is to be recorded, and told. */
  settled(delivery: Delivery<T>, outcome: Outcome, error: MQError | null): void
  circuit(from: CircuitState, to: CircuitState): void
}

export interface DispatcherOptions<T> {
  readonly settings: QueueSettings
  readonly senders: number
  readonly send: SendFunc<T>
  readonly clock: Clock
  readonly random: RandomSource
  readonly window: Window<T>
  readonly counters: QueueCounters
  readonly events: DispatcherEvents<T>
}

export class Dispatcher<T> implements DeliveryHost<T> {
  readonly settings: QueueSettings
  readonly send: SendFunc<T>
  readonly clock: Clock
  readonly random: RandomSource
  readonly breaker: CircuitBreaker | null
  readonly #options: DispatcherOptions<T>
  readonly #window: Window<T>
  readonly #adaptive: AdaptiveSize | null
  readonly #active = new Set<Delivery<T>>() // in order
  #waiting: Delivery<T>[] = [] // of these, those that may call as soon as the circuit lets them
  #store: Store<T> | null = null // null: not running
  #batchSize: number
  #linger: TimerHandle | null = null
  #isScheduled = false
  #flushTo = 0 // ordinal: what is below it does not wait for company
  /** Calls of `send` under way. */
  sending = 0

  constructor(options: DispatcherOptions<T>) {
    const { settings, clock } = options
    const { circuitBreaker, adaptive, batchMaxItems } = settings
    this.#options = options
    this.settings = settings
    this.send = options.send
    this.clock = clock
    this.random = options.random
    this.#window = options.window
    const { minItems: min, maxItems: max, targetLatencyMs } = adaptive
    this.#adaptive = adaptive.enabled ? new AdaptiveSize({ min, max, start: batchMaxItems, targetLatencyMs }) : null
    this.#batchSize = this.#adaptive?.size ?? batchMaxItems
    const { failures, successes, openMs: timeoutMs } = circuitBreaker
    this.breaker = circuitBreaker.enabled
      ? new CircuitBreaker({
          failures,
          successes,
          timeoutMs,
          clock,
          onChange: (from, to) => this.#circuitChanged(from, to),
        })
      : null
  }

  /** Items of the next batch. */
  get batchSize(): number {
    return this.#batchSize
  }

  /** Ordinal below which everything is settled. */
  get settledTo(): number {
    for (const { batch } of this.#active) return batch.from
    return this.#window.head
  }

  /** Items of batches that were taken and are not settled. */
  get underWay(): number {
    let items = 0
    for (const { batch } of this.#active) items += batch.items.length
    return items
  }

  start(store: Store<T>): void {
    this.#store = store
    this.#waiting = [...this.#active]
    this.poke()
  }

  /** No call begins any more, those under way are aborted; their batches stay, in order. */
  park(reason: MQError): void {
    this.#store = null
    this.#linger?.cancel()
    this.#linger = null
    this.#waiting = []
    for (const delivery of [...this.#active]) delivery.park(reason)
  }

  /** Gives up everything that is not settled: batches and window, in order. */
  abandon(): readonly Batch<T>[] {
    const batches = [...this.#active].map((delivery) => {
      delivery.abandon()
      return delivery.batch
    })
    this.#active.clear()
    for (let batch = this.#window.takeAtMost(this.#window.size); batch !== null; ) {
      batches.push(batch)
      batch = this.#window.takeAtMost(this.#window.size)
    }
    return batches
  }

  close(): void {
    this.breaker?.close()
  }

  /** What has come so far does not wait for company. */
  flushTo(ordinal: number): void {
    this.#flushTo = Math.max(this.#flushTo, ordinal)
    this.poke()
  }

  /** Something may be due: looks at the end of this turn, so that no sender runs inside a caller's `enqueue`. */
  poke(): void {
    if (this.#isScheduled || this.#store === null) return
    this.#isScheduled = true
    queueMicrotask(this.#run)
  }

  /** As `poke`, when items came: most of them are neither the first of a batch nor its last. */
  came(): void {
    const { size } = this.#window
    const isFilling = this.#linger !== null && size < this.#batchSize && size < (this.#store?.crowdedAt ?? 0)
    if (this.#isScheduled || isFilling || this.#active.size >= this.#options.senders) return
    this.poke()
  }

  readonly #run = (): void => {
    this.#isScheduled = false
    this.#pump()
  }

  #pump(): void {
    if (this.#store === null) return
    while (this.#waiting.length > 0 && this.#mayBegin) this.#begin(this.#waiting.shift() as Delivery<T>)
    while (this.#active.size < this.#options.senders && this.#mayBegin) {
      const count = this.#due(this.#store)
      if (count === 0) break
      const delivery = new Delivery(this.#window.take(count), this)
      this.#active.add(delivery)
      this.#begin(delivery)
    }
    this.#store?.refill()
    this.#setLinger()
  }

  get #mayBegin(): boolean {
    return this.breaker?.mayBegin ?? true
  }

  #begin(delivery: Delivery<T>): void {
    if (delivery.attempts > 0) this.#options.counters.retries++
    this.sending++
    delivery.begin(this.breaker?.begin() ?? 0)
  }

  /** How many items the next batch takes now; 0: none is due. */
  #due(store: Store<T>): number {
    const window = this.#window
    const available = window.available(store.sendableTo)
    if (available >= this.#batchSize) return this.#batchSize
    const isForced = window.head < this.#flushTo || window.isRunComplete || store.isCrowded || this.#lingerLeftMs() <= 0
    return isForced ? available : 0
  }

  #lingerLeftMs(): number {
    return this.#window.firstAtMs + this.settings.lingerMs - this.clock.monotonicMs()
  }

  /** One timer for the batch that is filling; it is left to ring in vain rather than set anew for every batch. */
  #setLinger(): void {
    if (this.#linger !== null || this.#window.size === 0 || this.#active.size >= this.#options.senders) return
    const leftMs = this.#lingerLeftMs()
    if (leftMs <= 0) return // It is not accepted yet, or the circuit is open: who changes that pokes.
    this.#linger = this.clock.setTimer(() => {
      this.#linger = null
      this.#pump()
    }, leftMs)
  }

  #circuitChanged(from: CircuitState, to: CircuitState): void {
    this.#options.events.circuit(from, to)
    this.poke()
  }

  // What deliveries tell.

  ended({ latencyMs, pass, outcome, isSecond }: CallEnd): void {
    const { counters } = this.#options
    if (outcome === 'succeeded') {
      counters.sendMs += latencyMs
      counters.sends++
    }
    if (isSecond) return // The circuit, the size and the histogram have seen its end.
    this.sending--
    this.#tellBreaker(pass, outcome)
    if (outcome === 'superseded') return
    if (outcome !== 'succeeded') counters.errors++
    counters.histograms?.send.observe(latencyMs / 1000)
    // A sender that fails at once is not fast.
    if (outcome === 'failed' || this.#adaptive === null) return
    this.#adaptive.observe(latencyMs)
    this.#batchSize = this.#adaptive.size
  }

  #tellBreaker(pass: number, outcome: CallEnd['outcome']): void {
    if (outcome === 'succeeded') this.breaker?.succeeded(pass)
    else if (outcome === 'superseded') this.breaker?.abandoned(pass)
    else this.breaker?.failed(pass)
  }

  delivered(delivery: Delivery<T>): void {
    const { counters } = this.#options
    counters.sent += delivery.batch.items.length
    counters.batchesSent++
    this.#settle(delivery, Outcome.delivered, null)
  }

  failed(delivery: Delivery<T>, error: MQError): void {
    this.#options.counters.failed += delivery.batch.items.length
    this.#settle(delivery, Outcome.rejected, error)
  }

  ready(delivery: Delivery<T>): void {
    this.#waiting.push(delivery)
    this.#pump()
  }

  retrying(delivery: Delivery<T>, error: MQError, delayMs: number): void {
    this.#options.events.retrying(delivery, error, delayMs)
    this.poke() // A trial that failed lets another batch try, when its time has come.
  }

  held(delivery: Delivery<T>, error: MQError): void {
    this.#options.events.held(delivery, error)
  }

  #settle(delivery: Delivery<T>, outcome: Outcome, error: MQError | null): void {
    this.#active.delete(delivery)
    const at = this.#waiting.indexOf(delivery)
    if (at >= 0) this.#waiting.splice(at, 1)
    this.#options.events.settled(delivery, outcome, error)
    this.#pump() // At once: this is a turn of the sender's, no caller waits for it.
  }
}
