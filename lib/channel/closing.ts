/**
 * The wait of `close()`: an object of its own, so that a living channel does not carry its fields.
 * Invariant: `finish` runs exactly once, when everything is drained or time is up, and says how much was left.
 */
import { type Clock, type Deferred, deferred, type TimerHandle } from '../util/index.js'
import type { CloseResult } from './channel-types.js'

export class Closing {
  readonly #pending: number
  readonly #isDrained: () => boolean
  readonly #settled: Deferred<CloseResult> = deferred()
  #timer: TimerHandle | null = null
  #finish: (() => number) | null = null

  constructor(pending: number, isDrained: () => boolean) {
    this.#pending = pending
    this.#isDrained = isDrained
  }

  get promise(): Promise<CloseResult> {
    return this.#settled.promise
  }

  start(clock: Clock, timeoutMs: number, finish: () => number): void {
    this.#finish = finish
    if (timeoutMs <= 0 || this.#isDrained()) this.#end()
    else this.#timer = clock.setTimer(() => this.#end(), timeoutMs)
  }

  check(): void {
    if (this.#finish !== null && this.#isDrained()) this.#end()
  }

  #end(): void {
    const finish = this.#finish
    if (finish === null) return
    this.#finish = null
    this.#timer?.cancel()
    const undelivered = finish()
    this.#settled.resolve({ delivered: this.#pending - undelivered, undelivered })
  }
}
