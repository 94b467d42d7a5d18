/** Openings of the log by number, as items name them: one object each, so that equal ones are the same. */
import type { Wal } from '../wal/index.js'
import type { Origin } from './window.js'

export class OriginTable {
  readonly own: Origin
  readonly #wal: Wal
  readonly #known = new Map<number, Origin>()

  constructor(wal: Wal) {
    this.#wal = wal
    this.own = { incarnationId: wal.incarnationId, isRecovered: false, isLogged: true }
    this.#known.set(wal.incarnation, this.own)
  }

  of(incarnation: number): Origin {
    let origin = this.#known.get(incarnation)
    if (origin === undefined) {
      origin = { incarnationId: this.#idOf(incarnation), isRecovered: true, isLogged: true }
      this.#known.set(incarnation, origin)
    }
    return origin
  }

  /** A log that does not tell ids has numbers: one log and one number are one opening, and always the same. */
  #idOf(incarnation: number): string {
    const { previous } = this.#wal.recovered
    const known = this.#wal.incarnationIdOf?.(incarnation)
    if (known !== undefined) return known
    return previous?.incarnation === incarnation ? previous.incarnationId : `${this.#wal.walId}-${incarnation}`
  }
}
