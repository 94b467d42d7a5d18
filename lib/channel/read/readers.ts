/**
 * Everybody who reads a channel: calls that wait, callbacks, iterators. They compete, each record reaches exactly one.
 * Why here and not in the channel: the channel knows when something is readable, this knows who gets it.
 * Invariants: somebody waits only while nothing is readable, so nobody waits beside a record; n records wake exactly
 * min(n, waiters), oldest first; waiting calls are served before callbacks. CH-12..CH-15.
 */
import type { MQError } from '../../errors/index.js'
import { badBatchSize, optionsOf, readerClosed, readTimedOut } from '../channel-errors.js'
import { checkSignal, checkWait } from '../options.js'
import { type Waiter, WaiterQueue, type WaitOptions } from '../waiters.js'
import { CallbackReaders } from './callbacks.js'
import { ChannelIterator } from './iterator.js'
import type { ReadSource, Served } from './source.js'

export class Readers<Item> {
  readonly #source: ReadSource<Item>
  readonly #waiters = new WaiterQueue<Served<Item>, number>()
  readonly #callbacks: CallbackReaders<Item>
  #failures = 0

  constructor(source: ReadSource<Item>) {
    this.#source = source
    this.#callbacks = new CallbackReaders(source)
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiters.size
  }

  /** Reads that were rejected: too late, or after the end. */
  get failures(): number {
    return this.#failures
  }

  async read(options: WaitOptions): Promise<Item> {
    checkCall(options)
    const item = this.#source.tryRead()
    if (item !== undefined) return item
    const [served] = await this.#served(1, options)
    return served as Item
  }

  async readBatch(max: number, options: WaitOptions): Promise<Item[]> {
    if (!((Number.isSafeInteger(max) || max === Number.POSITIVE_INFINITY) && max >= 1)) throw badBatchSize(max)
    checkCall(options)
    const batch = this.#take(max)
    return batch.length > 0 ? batch : [...(await this.#served(max, options))]
  }

  onData(callback: (item: Item) => unknown, onEnd?: () => void): () => void {
    return this.#callbacks.add(callback, onEnd)
  }

  iterate(options: WaitOptions): ChannelIterator<Item> {
    const { signal } = optionsOf(options)
    if (signal !== undefined) checkSignal(signal)
    return new ChannelIterator(this.#source, (given) => this.#wait(1, { signal: given }), signal)
  }

  /** Something became readable: hands it to those who wait, and lets callbacks begin in a turn of their own. */
  serve(): void {
    while (this.#waiters.size > 0 && this.#source.readable > 0) {
      // A batch takes what is left when everybody behind it has got one.
      const spare = this.#source.readable - this.#waiters.size + 1
      const items = this.#take(Math.min(this.#waiters.firstNeed as number, Math.max(1, spare)))
      if (items.length === 0) break
      this.#waiters.wake(1, items)
    }
    this.#callbacks.wake()
  }

  /** Nothing will come any more: waiting calls reject, iterators end, callbacks are forgotten. */
  end(): void {
    this.#waiters.wake(this.#waiters.size, null)
    this.#callbacks.end()
  }

  /** Resolves when no callback is running any more, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void> {
    return this.#callbacks.settled(timeoutMs)
  }

  #take(max: number): Item[] {
    const items: Item[] = []
    while (items.length < max) {
      const item = this.#source.tryRead()
      if (item === undefined) break
      items.push(item)
    }
    return items
  }

  async #served(max: number, options: WaitOptions): Promise<readonly Item[]> {
    const served = this.#source.isEnded ? null : await this.#wait(max, options).promise
    if (served !== null) return served
    throw this.#failed(readerClosed())
  }

  #wait(max: number, options: WaitOptions): Waiter<Served<Item>> {
    const waiting = { ...options, clock: options.clock ?? this.#source.clock }
    return this.#waiters.add(max, waiting, () => this.#failed(readTimedOut(options.timeoutMs)))
  }

  #failed(error: MQError): MQError {
    this.#failures++
    return error
  }
}

function checkCall(options: WaitOptions): void {
  checkWait(options)
  if (options.signal?.aborted === true) throw options.signal.reason
}
