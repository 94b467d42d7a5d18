/**
 * The time of a record. Hot path.
 * Why not the clock itself: reading it costs 20-40 ns, a tenth of all a record costs. While records come so fast that
 * many fall into one millisecond, up to 32 of them share a reading; as soon as they come slower each has its own.
 * Invariant: a reading is never used in a later turn of the event loop, and is shared only while the last sharing took
 * at most a millisecond.
 */
import type { Clock } from '../util/index.js'

const MOST_SHARED = 32

/**
 * A record's time on its way into a batch. A number of milliseconds since 1970 is too large for an engine to pass
 * between functions without making an object of it (16 B per call); an array of doubles holds it without.
 */
export class RecordTime {
  /** The hot path reads the slot itself: a getter that is not inlined would give its number as an object again. */
  readonly slot = new Float64Array(1)

  get ms(): number {
    return this.slot[0] as number
  }

  set ms(ms: number) {
    this.slot[0] = ms
  }
}

export class RecordClock {
  readonly #clock: Clock
  #last = 0 // wall time, ms
  #shared = 1 // records that share one reading now
  #left = 0 // of them, still to come
  #isArmed = false
  readonly #endTurn = () => {
    this.#isArmed = false
    this.#left = 0
  }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Writes the present time into `time`. */
  stamp(time: RecordTime): void {
    if (this.#left > 0) this.#left--
    else this.#read()
    time.slot[0] = this.#last
  }

  #read(): void {
    const now = this.#clock.now()
    this.#shared = now - this.#last <= 1 ? Math.min(MOST_SHARED, this.#shared * 2) : 1
    this.#last = now
    this.#left = this.#shared - 1
    if (this.#left > 0 && !this.#isArmed) {
      this.#isArmed = true
      this.#clock.defer(this.#endTurn)
    }
  }
}
