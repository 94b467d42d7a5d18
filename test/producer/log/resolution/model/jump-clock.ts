/** Time that jumps to the next timer whenever nothing else is left to do: no wait takes real time, order is kept. */
import type { Clock, TimerHandle } from '../../../../../lib/util/index.js'

interface Timer {
  readonly dueMs: number
  readonly order: number
  task: (() => void) | null
}

export class JumpClock implements Clock {
  #nowMs = 0
  #order = 0
  #timers: Timer[] = []
  #isDriving = false

  now(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  setTimer(task: () => void, delayMs: number): TimerHandle {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, task }
    this.#timers.push(timer)
    this.#drive()
    return {
      cancel() {
        timer.task = null
      },
    }
  }

  defer(task: () => void): void {
    setImmediate(task)
  }

  #drive(): void {
    if (this.#isDriving) return
    this.#isDriving = true
    setImmediate(() => {
      this.#isDriving = false
      this.#timers = this.#timers.filter(({ task }) => task !== null)
      const next = this.#timers.reduce<Timer | null>(
        (best, one) =>
          best === null || one.dueMs < best.dueMs || (one.dueMs === best.dueMs && one.order < best.order) ? one : best,
        null,
      )
      if (next === null) return
      this.#nowMs = next.dueMs
      const { task } = next
      next.task = null
      task?.()
      if (this.#timers.length > 0) this.#drive()
    })
  }
}
