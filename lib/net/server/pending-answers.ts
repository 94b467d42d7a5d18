/**
 * Answers of handlers that are promises, given in the order of their messages. NT-1.
 *
 *   message 1 -> promise (open)   message 2 -> 'b' (waits for 1)   message 3 -> promise (done, waits for 1)
 *
 * Invariant: an answer leaves when all before it have left; after `clear` none leaves.
 */
import { Deque } from '../../util/index.js'

interface Slot {
  isDone: boolean
  value: unknown
}

export interface AnswerSink {
  answer(value: unknown): void
  /** An answer was refused: nothing after it is given. */
  refused(error: unknown): void
  /** Some answers were given. */
  progressed(): void
}

export class PendingAnswers {
  readonly #sink: AnswerSink
  readonly #slots = new Deque<Slot>()

  constructor(sink: AnswerSink) {
    this.#sink = sink
  }

  get size(): number {
    return this.#slots.size
  }

  await(promise: PromiseLike<unknown>): void {
    const slot: Slot = { isDone: false, value: undefined }
    this.#slots.pushBack(slot)
    promise.then(
      (value) => {
        slot.isDone = true
        slot.value = value
        if (this.#slots.peekFront() === slot) this.#giveDone()
      },
      (error: unknown) => this.#sink.refused(error),
    )
  }

  /** An answer that is there, but not before those that are not. */
  add(value: unknown): void {
    this.#slots.pushBack({ isDone: true, value })
  }

  clear(): void {
    this.#slots.clear()
  }

  #giveDone(): void {
    for (let slot = this.#slots.peekFront(); slot?.isDone === true; slot = this.#slots.peekFront()) {
      this.#slots.popFront()
      this.#sink.answer(slot.value)
    }
    this.#sink.progressed()
  }
}
