/**
 * The figures for dashboards: made once per second while somebody looks, the same for all who do.
 * Invariant: nobody looks, nothing runs; who does not read misses a second, and nothing piles up.
 */
import type { Onlooker } from './host.js'
import type { FrameId } from './types.js'

const EVERY_MS = 1_000

export interface StatsBoardParts {
  readonly figures: () => unknown
  readonly runEvery: (ms: number, task: () => unknown) => { stop(): void }
}

export class StatsBoard {
  readonly #parts: StatsBoardParts
  readonly #onlookers = new Map<Onlooker, FrameId | undefined>()
  #timer: { stop(): void } | null = null

  constructor(parts: StatsBoardParts) {
    this.#parts = parts
  }

  /** Shows at once, and from then on each second, with the id of the request. */
  watch(onlooker: Onlooker, id: FrameId | undefined): void {
    this.#onlookers.set(onlooker, id)
    this.#timer ??= this.#parts.runEvery(EVERY_MS, () => this.#showAll())
    onlooker.showStats(id, this.#parts.figures())
  }

  unwatch(onlooker: Onlooker): void {
    if (!this.#onlookers.delete(onlooker) || this.#onlookers.size > 0) return
    this.#timer?.stop()
    this.#timer = null
  }

  #showAll(): void {
    const figures = this.#parts.figures()
    for (const [onlooker, id] of this.#onlookers) if (onlooker.isWritable) onlooker.showStats(id, figures)
  }
}
