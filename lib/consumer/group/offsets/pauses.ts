/** Waits between attempts that all end at once on `close`. Invariant: no timer is left then. */
import type { Clock, TimerHandle } from '../../../util/index.js'

export class Pauses {
  readonly #clock: Clock
  readonly #open = new Map<TimerHandle, () => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(() => {
        this.#open.delete(timer)
        resolve()
      }, ms)
      this.#open.set(timer, resolve)
    })
  }

  close(): void {
    for (const [timer, go] of this.#open) {
      timer.cancel()
      go()
    }
    this.#open.clear()
  }
}
