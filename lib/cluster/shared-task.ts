/**
 * A task that many ask for and one run serves: one at a time, the next at least `gapMs` after the start of the last.
 * Why askers during a run share the next one: the run under way may have read its answer before the asker's reason
 * arose. Source: kafka.md W-24.
 */
import { type Clock, type Deferred, deferred, type TimerHandle } from '../util/index.js'

export class SharedTask {
  readonly #run: () => Promise<void>
  readonly #clock: Clock
  readonly #gapMs: number
  #next: Deferred<void> | null = null
  #timer: TimerHandle | null = null
  #isRunning = false
  /** The next run does not wait out the gap. */
  #isUrgent = false
  #stopped: { readonly reason: unknown } | null = null
  #startedMs = Number.NEGATIVE_INFINITY

  constructor(run: () => Promise<void>, clock: Clock, gapMs: number) {
    this.#run = run
    this.#clock = clock
    this.#gapMs = gapMs
  }

  /** Settles with the first run that begins after this call. */
  ask(): Promise<void> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped.reason)
    if (this.#next !== null) return this.#next.promise
    const next = deferred<void>()
    next.promise.catch(() => {}) // Nobody has to wait for it.
    this.#next = next
    this.#startWhenDue() // May begin at once, and then `#next` belongs to the askers after us.
    return next.promise
  }

  /**
   * As `ask`, without the gap: for a question that no earlier run could have answered. Still one run at a time: what is
   * asked during one begins as soon as that ends.
   */
  askNow(): Promise<void> {
    const answer = this.ask()
    this.#isUrgent = this.#next !== null
    this.#timer?.cancel()
    this.#timer = null
    this.#startWhenDue()
    return answer
  }

  /** Whoever waits for a run that has not begun is told `reason`. */
  stop(reason: unknown): void {
    this.#stopped ??= { reason }
    this.#timer?.cancel()
    this.#timer = null
    this.#next?.reject(reason)
    this.#next = null
  }

  #startWhenDue(): void {
    if (this.#isRunning || this.#stopped !== null || this.#next === null || this.#timer !== null) return
    const waitMs = this.#isUrgent ? 0 : this.#startedMs + this.#gapMs - this.#clock.monotonicMs()
    if (waitMs <= 0) return void this.#start(this.#next)
    this.#timer = this.#clock.setTimer(() => {
      this.#timer = null
      this.#startWhenDue()
    }, waitMs)
  }

  async #start(current: Deferred<void>): Promise<void> {
    this.#next = null
    this.#isUrgent = false
    this.#isRunning = true
    this.#startedMs = this.#clock.monotonicMs()
    try {
      await this.#run()
      current.resolve()
    } catch (error) {
      current.reject(error)
    } finally {
      this.#isRunning = false
      this.#startWhenDue()
    }
  }
}
