/**
 * How long callbacks may run before sockets and timers get their turn of the event loop. Hot path.
 *
 *   |-- slice: at most SLICE_MS, or SLICE_TURNS where time stands still --|-- sockets, timers --|-- next slice --
 *
 * Why: buffered data can keep callbacks busy for seconds, and heartbeats and fetches must not wait for it.
 * Invariant: one slice per turn of the loop, however many promises settle in it. Source: design.md 5.5.
 */
import type { Clock } from '../../util/index.js'

/** Work of one turn of the event loop. Milliseconds. */
const SLICE_MS = 8
/** The same where time stands still. Turns of partitions. */
const SLICE_TURNS = 64

/** Within a turn the time is looked at after so many records. A power of two. */
const LOOK_EVERY = 16

/**
 * Is it time to look at the clock, after so many records of a turn? Often at first, because one slow callback may take
 * longer than the session allows to be silent, then seldom, because looking costs more than handing out a record.
 */
export function isLookDue(records: number): boolean {
  return (records & (LOOK_EVERY - 1)) === 0 || (records & (records - 1)) === 0
}

export class LoopSlice {
  readonly #clock: Clock
  readonly #goOn: () => void
  readonly #begins: ((nowMs: number) => void) | null
  readonly #ended: ((startMs: number) => void) | null
  #startMs = -1
  /** What the last look at the clock has shown, monotonic. */
  nowMs = 0
  #isFresh = false // nothing was asked of this slice yet
  #turns = 0
  #isWanted = false // somebody has work for the next slice

  /**
   * `goOn` is called in a later slice, once, after `continueLater`; `begins` before the first work of each slice: a
   * process that was stopped, or a loop that was blocked, works before its timers have told it what that cost. `ended`
   * is told when the slice began, if anything was done in it.
   */
  constructor(
    clock: Clock,
    goOn: () => void,
    begins?: ((nowMs: number) => void) | undefined,
    ended?: ((startMs: number) => void) | undefined,
  ) {
    this.#clock = clock
    this.#goOn = goOn
    this.#begins = begins ?? null
    this.#ended = ended ?? null
  }

  /** Counts one turn of a partition; true when no further one fits. */
  isOver(): boolean {
    this.#open()
    if (this.#isFresh) this.#begin()
    if (this.#turns++ >= SLICE_TURNS) return true
    this.nowMs = this.#clock.monotonicMs()
    return this.nowMs - this.#startMs >= SLICE_MS
  }

  /** The same within a turn, by time alone; for who has looked at the clock already. */
  isTimeUp(nowMs: number = this.#clock.monotonicMs()): boolean {
    this.#open()
    if (this.#isFresh) this.#begin()
    this.nowMs = nowMs
    return nowMs - this.#startMs >= SLICE_MS
  }

  continueLater(): void {
    this.#isWanted = true
    this.#open()
  }

  #open(): void {
    if (this.#startMs >= 0) return
    this.#startMs = this.#clock.monotonicMs()
    this.#turns = 0
    this.#isFresh = true
    this.#clock.defer(this.#end)
  }

  #begin(): void {
    this.#isFresh = false
    this.#begins?.(this.#startMs)
  }

  readonly #end = (): void => {
    if (!this.#isFresh) this.#ended?.(this.#startMs)
    this.#startMs = -1
    if (!this.#isWanted) return
    this.#isWanted = false
    this.#goOn()
  }
}
