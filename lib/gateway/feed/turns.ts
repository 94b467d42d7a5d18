/**
 * Who is served when: cursors with something to send stand in a queue, and each turn of the event loop serves some.
 * Why: a block for ten thousand clients is milliseconds of work, and sockets, timers and other partitions must not wait
 * for all of it. Nobody is served twice before everybody was served once (a round), and feeds that are ahead of their
 * clients are paused until the round has ended: so clients that keep up never lose the cache.
 * Invariant: a cursor stands in the queue at most once. Source: features.md GW-3. Hot path.
 */
import { type Clock, Deque } from '../../util/index.js'
import { type Cursor, PLACE } from './cursor.js'

/** Work of one turn. Milliseconds. */
const TURN_MS = 5
/** Visits of one turn, whatever the clock says. */
const TURN_VISITS = 2_048
/** The clock is looked at once in so many visits. */
const VISITS_PER_LOOK = 4

export interface Arrivals {
  /** What has arrived becomes blocks, and cursors at the tail get into the queue. */
  seal(): void
  /** Everybody was served once since then. */
  roundEnded(): void
}

export class Turns {
  readonly #clock: Clock
  /** True: there is more to send. */
  readonly #visit: (cursor: Cursor) => boolean
  readonly #queue = new Deque<Cursor>()
  #arrived: Arrivals[] = []
  #inRound: Arrivals[] = []
  /** Sealed while a round went on: their cursors stand behind its last. */
  #inNextRound: Arrivals[] = []
  #leftInRound = 0
  #isDue = false
  #isClosed = false

  constructor(clock: Clock, visit: (cursor: Cursor) => boolean) {
    this.#clock = clock
    this.#visit = visit
  }

  add(cursor: Cursor): void {
    cursor.moveTo(PLACE.queued)
    if (!cursor.isInQueue) {
      cursor.isInQueue = true
      this.#queue.pushBack(cursor)
    }
    this.#soon()
  }

  /** Once per partition and round: it is told when the round has ended. */
  arrived(arrivals: Arrivals): void {
    this.#arrived.push(arrivals)
    this.#soon()
  }

  close(): void {
    this.#isClosed = true
    this.#queue.clear()
  }

  #soon(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#clock.defer(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isDue = false
    if (this.#isClosed) return
    this.#sealArrived()
    if (this.#leftInRound === 0) this.#leftInRound = this.#queue.size
    const untilMs = this.#clock.monotonicMs() + TURN_MS
    for (let visits = 1; this.#queue.size > 0; visits++) {
      this.#serveFirst()
      if (this.#leftInRound === 0) break
      if (visits === TURN_VISITS) break
      if (visits % VISITS_PER_LOOK === 0 && this.#clock.monotonicMs() >= untilMs) break
    }
    if (this.#leftInRound === 0) this.#endRound()
    if (this.#queue.size > 0 || this.#inRound.length > 0) this.#soon()
  }

  #sealArrived(): void {
    if (this.#arrived.length === 0) return
    const arrived = this.#arrived
    const round = this.#leftInRound === 0 ? this.#inRound : this.#inNextRound
    this.#arrived = []
    for (const one of arrived) {
      one.seal()
      round.push(one)
    }
  }

  #serveFirst(): void {
    const cursor = this.#queue.popFront() as Cursor
    cursor.isInQueue = false
    if (this.#leftInRound > 0) this.#leftInRound--
    if (cursor.place === PLACE.queued && this.#visit(cursor)) this.add(cursor)
  }

  #endRound(): void {
    if (this.#inRound.length === 0 && this.#inNextRound.length === 0) return
    const ended = this.#inRound
    this.#inRound = this.#inNextRound
    this.#inNextRound = []
    for (const one of ended) one.roundEnded()
  }
}
