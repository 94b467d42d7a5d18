/**
 * One call of a user, bounded: it ends with its answer, its limit, its signal, or with the client, whichever is first.
 * Why one place: every call waits for brokers in several steps, and each step would otherwise need the four ends.
 * Invariant: after a call has ended nothing of it waits any more; what a broker was asked meanwhile is its own affair.
 * Source: features.md 1 (every waiting call takes `{signal?, timeoutMs?}`).
 */
import { checkSignal } from '../cluster/index.js'
import { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import { checkInteger } from './checks.js'
import type { CallOptions } from './types.js'

const DEFAULT_TIMEOUT_MS = 30_000
const LONGEST_TIMEOUT_MS = 3_600_000

export interface Call {
  /** What is left of the limit. Milliseconds, at least 1. */
  leftMs(): number
  /** Resolves after `ms`; rejects as soon as the call is over. */
  pause(ms: number): Promise<void>
}

class RunningCall implements Call {
  readonly over: Promise<never>
  readonly #clock: Clock
  readonly #deadlineMs: number
  #end: (reason: unknown) => void = () => {}

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#deadlineMs = clock.monotonicMs() + timeoutMs
    this.over = new Promise<never>((_resolve, reject) => {
      this.#end = reject
    })
    this.over.catch(() => {}) // Whoever races against it hears of it; a call that is well does not.
  }

  leftMs(): number {
    return Math.max(1, Math.ceil(this.#deadlineMs - this.#clock.monotonicMs()))
  }

  async pause(ms: number): Promise<void> {
    let wake = () => {}
    const pause = new Promise<void>((resolve) => {
      wake = resolve
    })
    const timer = this.#clock.setTimer(wake, ms)
    try {
      await Promise.race([pause, this.over])
    } finally {
      timer.cancel()
    }
  }

  end(reason: unknown): void {
    this.#end(reason)
  }
}

export class Calls {
  readonly #clock: Clock
  readonly #running = new Set<RunningCall>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `what` is for the text of TIMEOUT: 'createTopics'. */
  async run<T>(what: string, options: CallOptions, task: (call: Call) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw closedHere()
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options
    checkInteger('timeoutMs', timeoutMs, 1, LONGEST_TIMEOUT_MS)
    checkSignal(signal)
    signal?.throwIfAborted()
    const call = new RunningCall(this.#clock, timeoutMs)
    const abort = () => call.end(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    const timer = this.#clock.setTimer(() => call.end(tooLate(what, timeoutMs)), timeoutMs)
    this.#running.add(call)
    try {
      return await Promise.race([task(call), call.over])
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', abort)
      this.#running.delete(call)
      call.end(closedHere()) // Whatever of the task still runs stops at its next pause.
    }
  }

  close(): void {
    this.#isClosed = true
    for (const call of this.#running) call.end(closedHere())
  }
}

function closedHere(): MQError {
  return new MQError('CONNECTION_CLOSED', 'the admin client is closed: make a new one')
}

function tooLate(what: string, timeoutMs: number): MQError {
  const text = `${what} was not done within ${timeoutMs} ms: check the brokers, or give a longer timeoutMs`
  return new MQError('TIMEOUT', text, { operation: what, timeoutMs })
}
