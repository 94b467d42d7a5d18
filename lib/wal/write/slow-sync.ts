/**
 * Tells when a sync takes longer than a second, while it still does.
 * One timer at most, armed again only when it fires: syncs are many, slow ones rare.
 * Source: wal.md 3.9.
 */
import type { Clock, TimerHandle } from '../../util/index.js'

const SLOW_MS = 1000

export class SlowSync {
  readonly #clock: Clock
  readonly #tell: (ms: number) => void
  #timer: TimerHandle | null = null
  #startedMs = -1
  #isTold = false

  constructor(clock: Clock, tell: (ms: number) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  began(nowMs: number): void {
    this.#startedMs = nowMs
    this.#isTold = false
    this.#timer ??= this.#clock.setTimer(this.#onTimer, SLOW_MS)
  }

  ended(): void {
    this.#startedMs = -1
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  #onTimer = (): void => {
    this.#timer = null
    if (this.#startedMs < 0 || this.#isTold) return
    const ms = this.#clock.monotonicMs() - this.#startedMs
    if (ms < SLOW_MS) {
      this.#timer = this.#clock.setTimer(this.#onTimer, SLOW_MS - ms)
      return
    }
    this.#isTold = true
    this.#tell(ms)
  }
}
