/**
 * A clock that stands still until it is advanced: for tests, simulations and users' own tests.
 * Invariant: timers fire in order of their due time, equal times in order of creation; deferred tasks run before
 * time moves on.
 */
import type { Clock, TimerHandle } from './clock.js'
import { MinHeap } from './min-heap.js'

interface FakeTimer extends TimerHandle {
  readonly dueMs: number
  readonly order: number
  task: (() => void) | null
}

export class FakeClock implements Clock {
  #nowMs: number
  #monotonicMs = 0
  #order = 0
  #deferred: (() => void)[] = []
  readonly #timers = new MinHeap<FakeTimer>((a, b) => a.dueMs - b.dueMs || a.order - b.order)

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  /** Moves the wall clock alone, as an operator or NTP would. */
  jumpWallClock(ms: number): void {
    this.#nowMs += ms
  }

  setTimer(task: () => void, delayMs: number): TimerHandle {
    const timer: FakeTimer = {
      dueMs: this.#monotonicMs + Math.max(0, delayMs),
      order: this.#order++,
      task,
      cancel() {
        timer.task = null
      },
    }
    this.#timers.push(timer)
    return timer
  }

  defer(task: () => void): void {
    this.#deferred.push(task)
  }

  /** Timers that would still fire. */
  get pendingTimers(): number {
    return this.#timers.toArray().filter((timer) => timer.task !== null).length
  }

  /** Runs deferred tasks, also those that they defer. */
  runDeferred(): void {
    while (this.#deferred.length > 0) this.turn()
  }

  /** One turn of the event loop: runs the tasks deferred so far; what they defer waits for the next one. */
  turn(): void {
    const tasks = this.#deferred
    this.#deferred = []
    for (const task of tasks) task()
  }

  /** Moves both clocks and fires what is due, in order. */
  advance(ms: number): void {
    const untilMs = this.#monotonicMs + ms
    this.runDeferred()
    for (let next = this.#timers.peek(); next !== undefined && next.dueMs <= untilMs; next = this.#timers.peek()) {
      this.#timers.pop()
      if (next.task === null) continue
      this.#moveTo(next.dueMs)
      const task = next.task
      next.task = null
      task()
      this.runDeferred()
    }
    this.#moveTo(untilMs)
  }

  /** As `advance`, but lets promise callbacks run between the steps. */
  async advanceAsync(ms: number, stepMs = 1): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.advance(Math.min(stepMs, left))
      await settle()
      this.runDeferred()
    }
  }

  #moveTo(monotonicMs: number): void {
    this.#nowMs += monotonicMs - this.#monotonicMs
    this.#monotonicMs = monotonicMs
  }
}

/** Lets every promise callback that is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve()
}
