/**
 * Reading with `for await`: Chanjet's receive channel. CH-12.
 * Invariants: a record that an iterator took is given by `next`, also when `return` came in between, so nothing is lost by
 * leaving a loop; it ends when the channel is closed and drained.
 */
import type { Waiter } from '../waiters.js'
import type { ReadSource, Served } from './source.js'

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** A `next` that waits. */
interface Pending<Item> {
  readonly place: Waiter<Served<Item>>
  readonly finish: (result: IteratorResult<Item, undefined>) => void
}

/** An `AsyncIterableIterator`, in words that TypeScript before 5.6 knows too. */
export interface RecordIterator<Item> extends AsyncIterable<Item> {
  next(): Promise<IteratorResult<Item, undefined>>
  return(): Promise<IteratorReturnResult<undefined>>
  [Symbol.asyncIterator](): RecordIterator<Item>
}

export class ChannelIterator<Item> implements RecordIterator<Item> {
  readonly #source: ReadSource<Item>
  readonly #wait: (signal: AbortSignal | undefined) => Waiter<Served<Item>>
  readonly #signal: AbortSignal | undefined
  readonly #pending = new Set<Pending<Item>>()
  #isDone = false

  constructor(
    source: ReadSource<Item>,
    wait: (signal: AbortSignal | undefined) => Waiter<Served<Item>>,
    signal: AbortSignal | undefined,
  ) {
    this.#source = source
    this.#wait = wait
    this.#signal = signal
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next record; rejects with `signal.reason`, and the iterator is done then. */
  async next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#isDone) return DONE
    if (this.#signal?.aborted === true) {
      this.#isDone = true
      throw this.#signal.reason
    }
    const item = this.#source.tryRead()
    if (item !== undefined) return { done: false, value: item }
    if (!this.#source.isEnded) return this.#next()
    this.#isDone = true
    return DONE
  }

  /** Leaves: what waits is done, the place in the queue is given up. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#isDone = true
    for (const { place, finish } of this.#pending) {
      if (place.leave()) finish(DONE) // Else it was served already, and its `next` gives the record.
    }
    this.#pending.clear()
    return DONE
  }

  #next(): Promise<IteratorResult<Item, undefined>> {
    const place = this.#wait(this.#signal)
    return new Promise((finish, fail) => {
      const pending = { place, finish }
      this.#pending.add(pending)
      place.promise.then(
        (served) => {
          this.#pending.delete(pending)
          if (served === null) this.#isDone = true
          finish(served === null ? DONE : { done: false, value: served[0] as Item })
        },
        (error: unknown) => {
          this.#pending.delete(pending)
          this.#isDone = true
          fail(error)
        },
      )
    })
  }
}
