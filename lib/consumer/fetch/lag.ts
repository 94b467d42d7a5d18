/**
 * Keeps the end of partitions fresh that are not fetched now: paused ones, and ones whose share is used up.
 * Why: answers carry the high watermark, but only of what is asked for, and lag matters most while nothing is read
 * (CO-13). Invariant: the timer runs only while there is such a partition. Source: kafka.md C-38.
 */
import type { Clock, TimerHandle } from '../../util/index.js'
import { HOLD, type PartitionCursor } from '../cursor.js'
import { LATEST, type PositionFinder } from './positions.js'

/** How old the end of a partition may get. Milliseconds. */
const INTERVAL_MS = 5_000

export class LagWatch {
  readonly #cursors: () => readonly PartitionCursor[]
  readonly #finder: PositionFinder
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  #timer: TimerHandle | null = null
  #isClosed = false

  constructor(
    cursors: () => readonly PartitionCursor[],
    finder: PositionFinder,
    clock: Clock,
    onError: (error: unknown) => void,
  ) {
    this.#cursors = cursors
    this.#finder = finder
    this.#clock = clock
    this.#onError = onError
  }

  /** Some partition is not fetched any more. */
  arm(): void {
    if (this.#timer !== null || this.#isClosed) return
    this.#timer = this.#clock.setTimer(() => {
      this.#timer = null
      void this.#look()
    }, INTERVAL_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
  }

  async #look(): Promise<void> {
    const stale = this.#cursors().filter(({ holds }) => (holds & (HOLD.paused | HOLD.full)) !== 0)
    if (stale.length === 0 || this.#isClosed) return
    try {
      const queries = stale.map(({ topic, partition }) => ({ topic, partition, timestamp: LATEST }))
      const ends = await this.#finder.find(queries, INTERVAL_MS)
      for (const [index, cursor] of stale.entries()) cursor.sawEnd(ends[index] as number)
    } catch (error) {
      if (!this.#isClosed) this.#onError(error)
    }
    this.arm()
  }
}
