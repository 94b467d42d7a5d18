/**
 * Sealed buffers in seal order for code that wants errors instead of `undefined`. CH-18.
 * Why beside `SealedHeap`: the originals published this shape; it adds a life, nothing else.
 */
import { MQError } from '../errors/index.js'
import { SealedHeap, type Sequenced } from './sealed-heap.js'

export class BufferQueue<T extends Sequenced> {
  readonly #heap = new SealedHeap<T>()
  #isClosed = false

  get size(): number {
    return this.#heap.size
  }

  /** Throws CONSUMER_CLOSED/QUEUE_CLOSED after `close()`. */
  push(buffer: T): void {
    this.#checkOpen()
    this.#heap.push(buffer)
  }

  /** The lowest number. Throws CONSUME_FAILED/QUEUE_EMPTY, and CONSUMER_CLOSED/QUEUE_CLOSED after `close()`. */
  pick(): T {
    this.#checkOpen()
    const buffer = this.#heap.pop()
    if (buffer !== undefined) return buffer
    throw new MQError('CONSUME_FAILED', 'the queue is empty: pick again after a push', { reason: 'QUEUE_EMPTY' })
  }

  /** Idempotent; gives back what was still inside, in seal order, so that nothing vanishes. */
  close(): T[] {
    this.#isClosed = true
    const rest: T[] = []
    for (let buffer = this.#heap.pop(); buffer !== undefined; buffer = this.#heap.pop()) rest.push(buffer)
    return rest
  }

  #checkOpen(): void {
    if (!this.#isClosed) return
    throw new MQError('CONSUMER_CLOSED', 'the queue is closed: make a new one', { reason: 'QUEUE_CLOSED' })
  }
}
