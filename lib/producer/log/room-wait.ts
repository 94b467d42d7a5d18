/** Lanes that wait for room in the log, and how long some lane did. */
import type { Clock } from '../../util/index.js'
import type { Lane } from '../lane.js'

export class RoomWait {
  readonly #clock: Clock
  readonly #lanes = new Set<Lane>()
  #sinceMs = 0 // monotonic, while there are lanes
  #waitedMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(lane: Lane): void {
    if (this.#lanes.size === 0) this.#sinceMs = this.#clock.monotonicMs()
    this.#lanes.add(lane)
  }

  /** There is room: gives those who waited, in their order. */
  end(): readonly Lane[] {
    const lanes = [...this.#lanes]
    if (lanes.length > 0) this.#waitedMs += this.#clock.monotonicMs() - this.#sinceMs
    this.#lanes.clear()
    return lanes
  }

  get isWaiting(): boolean {
    return this.#lanes.size > 0
  }

  get seconds(): number {
    const now = this.#lanes.size === 0 ? 0 : this.#clock.monotonicMs() - this.#sinceMs
    return (this.#waitedMs + now) / 1000
  }
}
