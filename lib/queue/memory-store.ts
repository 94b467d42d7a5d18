/** Items in memory and nowhere else. Hot path: `tryPut` creates nothing. */
import type { Levels } from './levels.js'
import { ACCEPTED, type Store } from './store.js'
import type { Batch, Origin, Window } from './window.js'

export class MemoryStore<T> implements Store<T> {
  readonly backlog = 0
  readonly logBytes = 0
  readonly sendableTo = Number.POSITIVE_INFINITY
  readonly fullReason = 'BUFFER_FULL'
  readonly lastAccepted = ACCEPTED
  readonly #window: Window<T>
  readonly #levels: Levels
  readonly #origin: Origin
  readonly crowdedAt: number
  #settled = 0 // items

  constructor(window: Window<T>, levels: Levels, incarnationId: string) {
    this.#window = window
    this.#levels = levels
    this.crowdedAt = levels.hardAt
    this.#origin = { incarnationId, isRecovered: false, isLogged: false }
  }

  /** Items in the window and under way. */
  get used(): number {
    return this.#window.tail - this.#settled
  }

  get isCrowded(): boolean {
    return this.used >= this.crowdedAt
  }

  tryPut(item: T, isStarted: boolean): Promise<void> | null {
    const window = this.#window
    const used = window.tail - this.#settled
    if (used >= this.crowdedAt && !(isStarted && used < this.#levels.limit)) return null
    window.push(item, this.#origin, window.tail)
    return ACCEPTED
  }

  tryPutMany(items: readonly T[], from: number, isStarted: boolean): number {
    const window = this.#window
    const { used } = this
    // A batch that begins below the hard limit may go on above it.
    const room = used < this.crowdedAt || isStarted ? this.#levels.limit - used : 0
    const count = Math.max(0, Math.min(room, items.length - from))
    window.pushAll(items, from, from + count, this.#origin, window.tail)
    return count
  }

  fits(items: readonly T[]): boolean {
    return items.length === 0 || (this.used < this.crowdedAt && this.used + items.length <= this.#levels.limit)
  }

  evict(count: number): readonly Batch<T>[] {
    const batch = this.#window.takeAtMost(Math.max(0, this.used + count - this.crowdedAt))
    return batch === null ? [] : [batch]
  }

  settled(batch: Batch<T>): void {
    this.#settled += batch.items.length
  }

  refill(): void {}
}
