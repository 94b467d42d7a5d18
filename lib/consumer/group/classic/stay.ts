/**
 * One stay in the group: from `start` until it is abandoned, closed or over for good; and one round of it.
 * Why objects: a round waits for brokers, callbacks and time, and after each wait must know whether it is still the
 * present one. Asking an object that outlives nothing is simpler than flags that somebody has to reset.
 * Invariant: when a stay ends, or its round is overtaken, every wait of that round ends at once; no timer is left.
 */
import type { Clock } from '../../../util/index.js'

export class Stay {
  readonly #clock: Clock
  readonly #waits = new Set<() => void>()
  #idle: (() => void) | null = null
  #isOver = false
  #turn = 0
  /** Why to join again; null: no reason. */
  wanted: string | null = null
  /** The host said that its topics changed. */
  hasNewTopics = false
  /** A JoinGroup may have counted without us knowing: what we hold may not be ours in the next generation. */
  isUnsure = false
  /** Rounds that failed since one succeeded. */
  failures = 0
  /** Rounds since the group was quiet. */
  rounds = 0
  /** When the last round ended well; monotonic. */
  settledMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get turn(): number {
    return this.#turn
  }

  round(): Round {
    return new Round(this)
  }

  /** The round under way is overtaken by events. */
  overtake(): void {
    this.#turn++
    for (const go of [...this.#waits]) go()
  }

  end(): void {
    this.#isOver = true
    this.overtake()
    this.#idle?.()
  }

  want(reason: string): void {
    this.wanted = reason
    this.#idle?.()
  }

  topicsChanged(): void {
    this.hasNewTopics = true
    this.#idle?.()
  }

  /** Resolves when there is something to do. */
  async untilWanted(): Promise<void> {
    if (this.#isOver || this.wanted !== null || this.hasNewTopics) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
    this.#idle = null
  }

  sleep(ms: number): Promise<void> {
    return this.until(new Promise(() => {}), this.#clock.monotonicMs() + ms)
  }

  /** Resolves when the work is done, the deadline has come, or the round is overtaken. `work` never rejects. */
  until(work: Promise<unknown>, deadlineMs: number): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    return new Promise((resolve) => {
      const go = () => {
        timer.cancel()
        this.#waits.delete(go)
        resolve()
      }
      const timer = this.#clock.setTimer(go, Math.max(0, deadlineMs - this.#clock.monotonicMs()))
      this.#waits.add(go)
      void work.then(go)
    })
  }
}

export class Round {
  readonly stay: Stay
  readonly #turn: number

  constructor(stay: Stay) {
    this.stay = stay
    this.#turn = stay.turn
  }

  /** Ask after every wait. */
  get isOver(): boolean {
    return this.stay.isOver || this.stay.turn !== this.#turn
  }
}
