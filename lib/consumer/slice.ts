/**
 * How long callbacks may run before sockets and timers get their turn of the event loop. Hot path.
 *
 *   |-- slice: at most SLICE_MS, or SLICE_TURNS where time stands still --|-- sockets, timers --|-- next slice --
 *
 * Why: buffered data can keep callbacks busy for seconds, and heartbeats and fetches must not wait for it.
 * Invariant: one slice per turn of the loop, however many promises settle in it. Source: design.md 5.5.
 */
import type { Clock } from '../util/index.js'

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
  #startMs = -1
  #turns = 0
  #isWanted = false // somebody has work for the next slice

  /** `goOn` is called in a later slice, once, after `continueLater`. */
  constructor(clock: Clock, goOn: () => void) {
    this.#clock = clock
    this.#goOn = goOn
  }

  /** Counts one turn of a partition; true when no further one fits. */
  isOver(): boolean {
    this.#open()
    if (this.#turns++ >= SLICE_TURNS) return true
    return this.#clock.monotonicMs() - this.#startMs >= SLICE_MS
  }

  /** The same within a turn, by time alone; for who has looked at the clock already. */
  isTimeUp(nowMs: number = this.#clock.monotonicMs()): boolean {
    this.#open()
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
    this.#clock.defer(this.#end)
  }

  readonly #end = (): void => {
    this.#startMs = -1
    if (!this.#isWanted) return
    this.#isWanted = false
    this.#goOn()
  }
}
