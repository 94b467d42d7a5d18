/**
 * One batch on its way: calls of `send`, one after the other, until one succeeds or the batch is given up.
 *
 *   call ---success---------------------------------------------> delivered
 *     |---failure----------------> back-off --> call ...    retries or deadline used up: hold | fail
 *     '---sendTimeoutMs: abort---> grace: a late success counts; after it, as a failure
 *
 * Invariants: at most one call is current; a later one begins only when that is over; any call's success, however late,
 * delivers the batch and aborts the current one; the batch is settled at most once; when it is settled or parked no
 * timer of it remains. Source: wal.md 7, QU-4.
 */
import type { QueueSettings } from '../config/index.js'
import { isFatalError, MQError, toMQError } from '../errors/index.js'
import { backoffMs, type Clock, type RandomSource, type TimerHandle } from '../util/index.js'
import type { SendFunc } from './types.js'
import type { Batch } from './window.js'

/** How a call ended, for those who watch the sender. */
export interface CallEnd {
  readonly latencyMs: number
  /** What the circuit breaker gave when it began. */
  readonly pass: number
  readonly outcome: 'succeeded' | 'failed' | 'timedOut' | 'superseded'
  /** It was given up before, and told so; now it has succeeded all the same. */
  readonly isSecond: boolean
}

export interface DeliveryHost<T> {
  readonly settings: QueueSettings
  readonly send: SendFunc<T>
  readonly clock: Clock
  readonly random: RandomSource
  ended(end: CallEnd): void
  delivered(delivery: Delivery<T>): void
  /** It may call again: the host says when (`begin`). */
  ready(delivery: Delivery<T>): void
  retrying(delivery: Delivery<T>, error: MQError, delayMs: number): void
  held(delivery: Delivery<T>, error: MQError): void
  failed(delivery: Delivery<T>, error: MQError): void
}

interface Call {
  readonly controller: AbortController
  readonly startMs: number // monotonic
  readonly pass: number
  timer: TimerHandle | null
  isOver: boolean
}

export class Delivery<T> {
  readonly batch: Batch<T>
  /** Calls of `send` so far. */
  attempts = 0
  /** Retries are used up, and it stays. */
  isHeld = false
  readonly #host: DeliveryHost<T>
  #tries = 0 // of these, since the queue was started: `retries` is for them
  #deadlineMs = -1 // monotonic; -1: no call yet
  #call: Call | null = null
  #backoff: TimerHandle | null = null
  #isSettled = false

  constructor(batch: Batch<T>, host: DeliveryHost<T>) {
    this.batch = batch
    this.#host = host
  }

  /** Calls `send`. `pass` is the circuit breaker's. */
  begin(pass: number): void {
    const { clock, settings } = this.#host
    const startMs = clock.monotonicMs()
    if (this.#deadlineMs < 0) this.#deadlineMs = startMs + settings.deliveryTimeoutMs
    this.attempts++
    this.#tries++
    const call: Call = { controller: new AbortController(), startMs, pass, timer: null, isOver: false }
    this.#call = call
    const limitMs = this.#limitMs(startMs)
    call.timer = clock.setTimer(() => this.#late(call, limitMs), limitMs)
    this.#invoke(call).then(
      () => this.#succeeded(call),
      (error: unknown) => this.#failed(call, error, 'failed'),
    )
  }

  /** The queue stops: the call is aborted, its failure does not matter any more, its success still does. */
  park(reason: MQError): void {
    this.#stopTimers()
    const call = this.#call
    this.#call = null
    if (call !== null) this.#end(call, 'superseded')
    call?.controller.abort(reason)
    this.isHeld = false
    this.#tries = 0
    this.#deadlineMs = -1
  }

  /** Somebody else has settled it. */
  abandon(): void {
    this.#isSettled = true
  }

  /** Whatever the sender does, it is a promise: it may throw, or give nothing. */
  #invoke(call: Call): Promise<void> {
    const { items, firstPosition, origin } = this.batch
    try {
      return Promise.resolve(
        this.#host.send(items, {
          signal: call.controller.signal,
          attempt: this.attempts,
          recovered: origin.isRecovered,
          firstPosition,
          incarnationId: origin.incarnationId,
        }),
      )
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** What is left of the deadline bounds a call; beyond it, and when it is held, each call has its full time. */
  #limitMs(nowMs: number): number {
    const { sendTimeoutMs } = this.#host.settings
    const leftMs = this.#deadlineMs - nowMs
    return this.isHeld || leftMs <= 0 ? sendTimeoutMs : Math.min(sendTimeoutMs, leftMs)
  }

  #late(call: Call, limitMs: number): void {
    const { clock, settings } = this.#host
    const error = new MQError('TIMEOUT', `send did not end within ${limitMs} ms`, { timeoutMs: limitMs })
    call.timer = clock.setTimer(() => this.#failed(call, error, 'timedOut'), settings.sendGraceMs)
    call.controller.abort(error)
  }

  #succeeded(call: Call): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#stopTimers()
    const current = this.#call
    this.#call = null
    this.#end(call, 'succeeded')
    if (current !== null && current !== call) {
      this.#end(current, 'superseded')
      current.controller.abort(new MQError('PRODUCE_FAILED', 'an earlier call with this batch has succeeded'))
    }
    this.#host.delivered(this)
  }

  #failed(call: Call, cause: unknown, outcome: 'failed' | 'timedOut'): void {
    if (this.#isSettled || call.isOver) return
    this.#call = null
    this.#end(call, outcome)
    const error = toMQError(cause, 'PRODUCE_FAILED', 'send failed')
    const { settings, clock, random } = this.#host
    if (this.isHeld) return this.#again(settings.retryMaxMs, error)
    const delayMs = backoffMs(this.#tries - 1, settings.retryBaseMs, settings.retryMaxMs, random)
    const isTooLate = clock.monotonicMs() + delayMs >= this.#deadlineMs
    if (this.#tries > settings.retries || isTooLate || isFatalError(cause)) this.#exhausted(error)
    else this.#again(delayMs, error)
  }

  #exhausted(error: MQError): void {
    if (this.#host.settings.onExhausted === 'hold') {
      this.isHeld = true
      this.#host.held(this, error)
      this.#again(this.#host.settings.retryMaxMs, error)
      return
    }
    this.#isSettled = true
    const { items } = this.batch
    const text = `${items.length} items were given up after ${this.attempts} calls of send: ${error.message}`
    const context = { reason: 'SEND_FAILED', attempts: this.attempts, persistence: 'possibly-persisted' } as const
    this.#host.failed(this, new MQError('PRODUCE_FAILED', text, context, { cause: error }))
  }

  #again(delayMs: number, error: MQError): void {
    this.#backoff = this.#host.clock.setTimer(() => {
      this.#backoff = null
      this.#host.ready(this)
    }, delayMs)
    this.#host.retrying(this, error, delayMs)
  }

  #end(call: Call, outcome: CallEnd['outcome']): void {
    call.timer?.cancel()
    call.timer = null
    const isSecond = call.isOver
    call.isOver = true
    this.#host.ended({ latencyMs: this.#host.clock.monotonicMs() - call.startMs, pass: call.pass, outcome, isSecond })
  }

  #stopTimers(): void {
    this.#backoff?.cancel()
    this.#backoff = null
    if (this.#call !== null) {
      this.#call.timer?.cancel()
      this.#call.timer = null
    }
  }
}
