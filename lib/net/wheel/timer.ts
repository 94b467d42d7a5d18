/**
 * One timer of a timing wheel, and what its user holds of it. Hot path.
 * Why one class for the three kinds: a wheel moves millions of them, and objects of one shape are moved by one piece of code.
 * Invariant: `level` is -1 unless the timer is linked into a slot; `prev` and `next` lead through that slot in a circle.
 */
import type { TimerHandle } from '../../util/index.js'

/** What one gets for a timer. */
export interface WheelHandle extends TimerHandle {
  /** Its function is never called again. Harmless when it has run or was stopped. */
  stop(): void
  /** Waits its whole time again, from now, also after it has run or was stopped. Creates nothing. */
  restart(): void
  /** Its function will be called. */
  readonly isArmed: boolean
}

/** A timer that waits for silence. */
export interface IdleHandle extends WheelHandle {
  /** Something happened. Notes the time and touches no slot, so that it may be said for every read and write. */
  touch(): void
}

/** What a timer asks of its wheel. */
export interface TimerOwner {
  nowMs(): number
  start(timer: WheelTimer): void
  stop(timer: WheelTimer): void
}

export const ONCE = 0
export const EVERY = 1
export const IDLE = 2
export type TimerKind = typeof ONCE | typeof EVERY | typeof IDLE

export class WheelTimer implements IdleHandle {
  readonly kind: TimerKind
  readonly ms: number
  readonly task: () => unknown
  readonly #owner: TimerOwner
  /** When it was started, or touched. */
  sinceMs = 0
  /** Of EVERY: which multiple of `ms` since then is due. */
  round = 1
  /** Exact, with fraction; due in the first tick that is not earlier. */
  dueMs = 0
  dueTick = 0
  level = -1
  slot = 0
  prev: WheelTimer = this
  next: WheelTimer = this

  constructor(kind: TimerKind, ms: number, task: () => unknown, owner: TimerOwner) {
    this.kind = kind
    this.ms = ms
    this.task = task
    this.#owner = owner
  }

  get isArmed(): boolean {
    return this.level >= 0
  }

  touch(): void {
    this.sinceMs = this.#owner.nowMs()
  }

  stop(): void {
    this.#owner.stop(this)
  }

  cancel(): void {
    this.#owner.stop(this)
  }

  restart(): void {
    this.#owner.stop(this)
    this.#owner.start(this)
  }
}
