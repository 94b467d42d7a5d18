/**
 * Readers of older records, at most so many at one time; who finds none free waits, first come first served.
 *
 *   cursor -> one that reads about there already?  yes: joins it
 *                                                  no: a new one, behind those that wait
 *
 * Why slices: somebody who reads a large topic from its beginning would keep a place for hours. While others wait, a place
 * is given up after `SLICE_MS`, and at once when nobody of it can take anything; its cursors ask again, behind the others.
 * Invariant: at most `limit` are open. Source: features.md GW-3.
 */
import type { MQError } from '../../errors/index.js'
import type { TimerHandle } from '../../util/index.js'
import { CatchUp, type CatchUpOwner } from './catch-up.js'
import { type Cursor, type CursorHome, PLACE } from './cursor.js'
import type { LogReaderParts } from './log-reader.js'
import type { Turns } from './turns.js'

/** Clients whose places are so close to each other share a reader. Offsets. */
const SPAN = 10_000
/** How long a place is kept while others wait. Milliseconds. */
const SLICE_MS = 2_000

export class CatchUps implements CatchUpOwner {
  readonly #parts: LogReaderParts
  readonly #limit: number
  readonly #turns: Turns
  readonly #failed: (home: CursorHome, error: MQError) => void
  /** In the order of their beginning. */
  readonly #open = new Set<CatchUp>()
  readonly #waiting = new Set<CatchUp>()
  readonly #byHome = new Map<CursorHome, Set<CatchUp>>()
  #timer: TimerHandle | null = null

  constructor(parts: LogReaderParts, limit: number, turns: Turns, failed: (home: CursorHome, error: MQError) => void) {
    this.#parts = parts
    this.#limit = limit
    this.#turns = turns
    this.#failed = failed
  }

  get open(): number {
    return this.#open.size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** The cursor is woken when there is something for it. */
  request(cursor: Cursor): void {
    const { home, next } = cursor
    let some = this.#byHome.get(home)
    if (some === undefined) {
      some = new Set()
      this.#byHome.set(home, some)
    }
    for (const catchUp of some) if (catchUp.isNear(next, SPAN)) return catchUp.join(cursor)
    const made = new CatchUp(home, next, this)
    some.add(made)
    this.#waiting.add(made)
    made.join(cursor)
    this.#pump()
  }

  wake(cursor: Cursor): void {
    this.#turns.add(cursor)
  }

  idle(catchUp: CatchUp): void {
    if (catchUp.members === 0) this.#remove(catchUp)
    this.#pump()
  }

  failed(home: CursorHome, error: MQError): void {
    this.#failed(home, error)
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = null
    for (const catchUp of [...this.#open, ...this.#waiting]) this.#remove(catchUp)
  }

  #remove(catchUp: CatchUp): void {
    catchUp.close()
    this.#open.delete(catchUp)
    this.#waiting.delete(catchUp)
    const some = this.#byHome.get(catchUp.home)
    some?.delete(catchUp)
    if (some?.size === 0) this.#byHome.delete(catchUp.home)
  }

  #pump(): void {
    for (const next of this.#waiting) {
      if (this.#open.size >= this.#limit && !this.#giveUp((one) => one.isAtRest)) break
      this.#waiting.delete(next)
      this.#open.add(next)
      next.open(this.#parts)
    }
    if (this.#waiting.size > 0) this.#timer ??= this.#parts.clock.setTimer(() => this.#sliceOver(), SLICE_MS)
  }

  #sliceOver(): void {
    this.#timer = null
    const beforeMs = this.#parts.clock.monotonicMs() - SLICE_MS
    for (let left = this.#waiting.size; left > 0; left--) {
      if (!this.#giveUp(({ startedMs }) => startedMs <= beforeMs)) break
    }
    this.#pump()
  }

  /** Ends one of which that is true. */
  #giveUp(isDue: (catchUp: CatchUp) => boolean): boolean {
    for (const catchUp of this.#open) {
      if (!isDue(catchUp)) continue
      const members = catchUp.end()
      this.#remove(catchUp)
      // Parked ones ask when they are drained, the others in their turn, when those who wait now have been served.
      for (const cursor of members) if (cursor.place !== PLACE.parked) this.#turns.add(cursor)
      return true
    }
    return false
  }
}
