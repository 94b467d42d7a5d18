/**
 * Waits of background tasks that end together.
 * Why one place: a back-off nobody can end keeps the process alive after `close` (P-51).
 * Invariant: after `stop` no timer is left, every wait has ended, and later ones end at once.
 */
import type { Clock, TimerHandle } from './clock.js'

export class Pauses {
  readonly #clock: Clock
  readonly #waiting = new Map<() => void, TimerHandle>()
  #isStopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** True after `ms`; false, perhaps sooner, when there is nothing to wait for any more. */
  async wait(ms: number): Promise<boolean> {
    if (this.#isStopped) return false
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(() => {
        this.#waiting.delete(resolve)
        resolve()
      }, ms)
      this.#waiting.set(resolve, timer)
    })
    return !this.#isStopped
  }

  /** True when the task settled within `ms`; false when it did not, or there is nothing to wait for any more. */
  async atMost(ms: number, task: Promise<unknown>): Promise<boolean> {
    if (this.#isStopped) return false
    return new Promise<boolean>((resolve) => {
      const end = (isInTime: boolean) => {
        this.#waiting.delete(stop)
        timer.cancel()
        resolve(isInTime)
      }
      const stop = () => end(false)
      const timer = this.#clock.setTimer(stop, ms)
      this.#waiting.set(stop, timer)
      task.then(
        () => end(true),
        () => end(true),
      )
    })
  }

  stop(): void {
    this.#isStopped = true
    for (const [resolve, timer] of this.#waiting) {
      timer.cancel()
      resolve()
    }
    this.#waiting.clear()
  }
}
