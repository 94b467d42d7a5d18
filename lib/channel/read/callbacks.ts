/**
 * Reading by callback: each record goes to the next callback that is free. CH-14. Hot path: `#call`.
 * Why a turn of its own: a callback inside `write()` would run in the writer's stack, and its error would be the writer's.
 * Invariants: a callback gets its next record only after the promise it gave has settled; no record is taken before a
 * callback is free for it; one turn of the event loop carries at most TURN_RECORDS, then timers and sockets come first.
 */
import { MQError } from '../../errors/index.js'
import { WaiterQueue } from '../waiters.js'
import type { ReadSource } from './source.js'

const TURN_RECORDS = 1000

export class CallbackReaders<Item> {
  readonly #source: ReadSource<Item>
  readonly #readers: CallbackReader<Item>[] = []
  /** In `#readers`: who is asked first for the next record. */
  #next = 0
  #running = 0
  #isTurnDue = false
  /** Records that may still be handed out before the event loop has its turn. */
  #left = 0
  #isEnded = false
  readonly #idlers = new WaiterQueue<void>()
  readonly #turn = () => {
    this.#isTurnDue = false
    this.#left = TURN_RECORDS
    this.#run()
  }

  constructor(source: ReadSource<Item>) {
    this.#source = source
  }

  /**
   * Gives the function that ends the subscription; a record that the callback has is still its own. `onEnd` is called when
   * nothing will come any more.
   */
  add(callback: (item: Item) => unknown, onEnd: () => void = () => {}): () => void {
    if (typeof callback !== 'function') {
      throw new MQError('INVALID_CONFIG', `onData takes a function, got ${typeof callback}`, { field: 'callback' })
    }
    const reader = new CallbackReader(callback, onEnd, () => this.#finished(reader))
    if (!this.#isEnded) this.#readers.push(reader)
    this.wake()
    return () => this.#remove(reader)
  }

  /** There may be something to read. */
  wake(): void {
    if (this.#isTurnDue || this.#readers.length === 0) return
    this.#isTurnDue = true
    this.#source.clock.defer(this.#turn)
  }

  end(): void {
    this.#isEnded = true
    for (const reader of this.#readers.splice(0)) reader.onEnd()
  }

  settled(timeoutMs: number): Promise<void> {
    if (this.#running === 0 || timeoutMs <= 0) return Promise.resolve()
    const late = () =>
      new MQError('TIMEOUT', `${this.#running} callbacks still run after ${timeoutMs} ms`, { timeoutMs })
    const waiting = this.#idlers.add(undefined, { timeoutMs, clock: this.#source.clock }, late)
    return waiting.promise.catch(() => {}) // Too late is no failure of the channel: it has waited as long as it may.
  }

  #run(): void {
    for (let at = this.#free(); at >= 0; at = this.#free()) {
      if (this.#left === 0) return this.wake()
      const item = this.#source.tryRead()
      if (item === undefined) return
      this.#left--
      this.#next = at + 1
      this.#call(this.#readers[at] as CallbackReader<Item>, item)
    }
  }

  /** The index of the next callback in rotation that is not running, or -1. */
  #free(): number {
    const count = this.#readers.length
    for (let step = 0; step < count; step++) {
      const at = (this.#next + step) % count
      if (!(this.#readers[at] as CallbackReader<Item>).isRunning) return at
    }
    return -1
  }

  #call(reader: CallbackReader<Item>, item: Item): void {
    let result: unknown
    let isPending: boolean
    try {
      result = reader.callback(item)
      isPending = isThenable(result)
    } catch (cause) {
      this.#failed(item, cause)
      return
    }
    if (!isPending) return
    reader.isRunning = true
    this.#running++
    // A promise as it is; what only looks like one may throw in `then`, or settle twice.
    Promise.resolve(result).then(reader.onDone, (cause: unknown) => {
      this.#failed(item, cause)
      this.#finished(reader)
    })
  }

  #finished(reader: CallbackReader<Item>): void {
    reader.isRunning = false
    this.#running--
    if (this.#running === 0) this.#idlers.wake(this.#idlers.size, undefined)
    this.#run()
  }

  #failed(item: Item, cause: unknown): void {
    this.#source.letGo(item)
    const text =
      'a callback of onData failed; its record counts as read: catch inside the callback what may be tried again'
    this.#source.raise(new MQError('CONSUME_FAILED', text, { reason: 'CALLBACK' }, { cause }))
  }

  #remove(reader: CallbackReader<Item>): void {
    const at = this.#readers.indexOf(reader)
    if (at < 0) return
    this.#readers.splice(at, 1)
    if (at < this.#next) this.#next--
  }
}

class CallbackReader<Item> {
  readonly callback: (item: Item) => unknown
  readonly onEnd: () => void
  /** Its promise has not settled. */
  isRunning = false
  /** Made once, so that a record costs no closure unless it fails. */
  readonly onDone: () => void

  constructor(callback: (item: Item) => unknown, onEnd: () => void, onDone: () => void) {
    this.callback = callback
    this.onEnd = onEnd
    this.onDone = onDone
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
