/**
 * `for await (const record of consumer)`: asking for the next record is what counts the one before as processed.
 * Why written by hand: an async generator costs three steps of the promise queue per record, this one.
 * Invariant: after `return` (a `break`, a throw in the body) it holds nothing; what it held is handed out again.
 */
import type { AnyRecord } from '../cursor.js'
import type { PullReader, ReaderKind } from './pull-reader.js'
import type { PullSink } from './pull-sink.js'

type Result = IteratorResult<AnyRecord, undefined>

const DONE: Result = Object.freeze({ done: true, value: undefined })

export class RecordIterator implements AsyncIterableIterator<AnyRecord, undefined> {
  readonly #sink: PullSink
  readonly #reader: PullReader
  #isOver = false

  constructor(sink: PullSink, kind: ReaderKind) {
    this.#sink = sink
    this.#reader = sink.reader(kind)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Result> {
    if (this.#isOver) return Promise.resolve(DONE)
    const record = this.#sink.ask(this.#reader)
    if (record !== null) return Promise.resolve({ done: false, value: record })
    return this.#wait()
  }

  /** The record got last does not count: the next one who asks gets it. */
  return(): Promise<Result> {
    this.#end()
    return Promise.resolve(DONE)
  }

  throw(error?: unknown): Promise<Result> {
    this.#end()
    return Promise.reject(error)
  }

  async #wait(): Promise<Result> {
    try {
      const record = (await this.#sink.wait(this.#reader, 0)) as AnyRecord | null
      if (record !== null) return { done: false, value: record }
    } catch (error) {
      this.#end()
      throw error
    }
    this.#end()
    return DONE
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sink.release(this.#reader)
  }
}
