/**
 * Keeps `minIdle` connections ready once the pool was used, so that a caller seldom waits for a dial.
 * Why with back-off: a broker that is down must not be dialled in a tight loop for connections that nobody waits for.
 * Invariant: at most one timer, none while enough are ready, none after `stop`. A refusal of our credentials ends it
 * until the pool is used again.
 */
import { findMQError, type MQError } from '../../errors/index.js'
import { backoffMs, type Clock, type RandomSource, type TimerHandle } from '../../util/index.js'

export interface RefillHost {
  readonly clock: Clock
  readonly random: RandomSource
  readonly backoffMs: number
  readonly backoffMaxMs: number
  /** How many are missing now, besides those that are being opened. */
  missing(): number
  /** Opens one more to a broker that has room; null: there is none. */
  open(): Promise<void> | null
  failed(error: MQError): void
}

export class Refill {
  readonly #host: RefillHost
  #timer: TimerHandle | null = null
  #failures = 0 // in a row
  #isOn = false

  constructor(host: RefillHost) {
    this.#host = host
  }

  /** A connection was lent: from now on others are kept ready. */
  start(): void {
    this.#isOn = true
  }

  stop(): void {
    this.#isOn = false
    this.#timer?.cancel()
    this.#timer = null
  }

  look(): void {
    if (!this.#isOn || this.#timer !== null) return
    for (let missing = this.#host.missing(); missing > 0; missing--) {
      const attempt = this.#host.open()
      if (attempt === null) return
      attempt.then(
        () => {
          this.#failures = 0
        },
        (error: unknown) => this.#failed(error),
      )
    }
  }

  #failed(cause: unknown): void {
    const error = findMQError(cause)
    if (error === undefined || !this.#isOn) return
    this.#host.failed(error)
    if (error.fatal) return this.stop()
    if (this.#timer !== null) return
    const { clock, random, backoffMs: base, backoffMaxMs: most } = this.#host
    this.#timer = clock.setTimer(
      () => {
        this.#timer = null
        this.look()
      },
      backoffMs(this.#failures++, base, most, random),
    )
  }
}
