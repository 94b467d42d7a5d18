/**
 * One record for each request of a stream: at once if there is one, else as soon as one comes. Hot path: `ask`.
 * Why not `read()`: its promise may hold a record already while the stream is being destroyed. Here a record is taken in
 * the very step that hands it over, so a stream that stops has taken nothing that it did not get.
 * Invariants: at most one request is open; a record is taken only for an open request; the records of one turn of the event
 * loop are bounded, so that a stream whose consumer never waits does not keep timers and sockets from running.
 */
import type { ReadPort } from './stream-port.js'

/** Records handed out at once before the event loop has its turn, as for callbacks. */
const TURN_RECORDS = 1000

/** Who asks. */
export interface Taker<Item> {
  /** The record that was asked for. False: the stream cannot carry it (an empty payload), and wants the next one. */
  take(item: Item): boolean
  /** Nothing will come any more. */
  end(): void
}

export class Demand<Item> {
  readonly #port: ReadPort<Item, unknown>
  readonly #taker: Taker<Item>
  /** Ends the wait; null while nobody waits. */
  #leave: (() => void) | null = null
  /** Records that may still be handed out before the event loop has its turn. */
  #left = TURN_RECORDS
  #isStopped = false
  readonly #onItem = (item: Item) => {
    this.#stopWaiting()
    this.#left = TURN_RECORDS - 1
    try {
      if (!this.#taker.take(item)) this.ask()
    } catch (error) {
      // A listener of the stream threw. As with every stream of Node that is nobody's to catch, least of all the channel's.
      queueMicrotask(() => {
        throw error
      })
    }
  }
  readonly #onEnd = () => {
    this.#leave = null
    this.#taker.end()
  }

  constructor(port: ReadPort<Item, unknown>, taker: Taker<Item>) {
    this.#port = port
    this.#taker = taker
  }

  /** Asks for one record; `take` or `end` answers, now or later. Throws what reading throws. */
  ask(): void {
    if (this.#isStopped || this.#leave !== null) return
    while (this.#left > 0 || this.#port.isEnded) {
      const item = this.#port.tryRead()
      if (item === undefined) {
        if (this.#port.isEnded) return this.#taker.end()
        break
      }
      this.#left--
      if (this.#taker.take(item)) return
      if (this.#isStopped) return
    }
    this.#leave = this.#port.onData(this.#onItem, this.#onEnd)
  }

  /** Takes the request back, for good. */
  stop(): void {
    this.#isStopped = true
    this.#stopWaiting()
  }

  #stopWaiting(): void {
    this.#leave?.()
    this.#leave = null
  }
}
