/**
 * A channel as streams of the web: `ReadableStream` and `WritableStream`. CH-12, CH-16.
 * Why no byte stream (`type: 'bytes'`): it drops the bounds of records and refuses empty ones, and moves the memory of each
 * chunk; one chunk for each record is what a channel has. The classes are taken from the global object, which loads them on
 * their first use.
 * Invariants: a record is taken only for a read that waits, so cancelling loses nothing; every chunk is the consumer's own; a
 * stream that was cancelled, aborted or has failed leaves no waiter, listener or lease behind.
 */
import type {
  ReadableStreamDefaultController,
  ReadableStream as WebReadable,
  WritableStream as WebWritable,
} from 'node:stream/web'
import { Demand } from './demand.js'
import {
  checkStreamOptions,
  type ReadableStreamOptions,
  type ReadPort,
  type WritableStreamOptions,
  type WritePort,
} from './stream-port.js'
import { Supply } from './supply.js'

/** The records to come; ends when the channel is closed and drained. */
export function readableStreamOf<Item, Streamed>(
  port: ReadPort<Item, Streamed>,
  options: ReadableStreamOptions,
): WebReadable<Streamed> {
  checkStreamOptions(options, port.holdsBytes)
  const source = new Source(port, options.signal)
  return new ReadableStream<Streamed>(source, { highWaterMark: 0 })
}

/** Each write is one record. */
export function writableStreamOf<Input>(port: WritePort<Input>, options: WritableStreamOptions): WebWritable<Input> {
  checkStreamOptions(options, port.holdsBytes)
  const supply = new Supply(port, options)
  return new WritableStream<Input>({
    start(controller) {
      // Told at once, while `abort` of a sink comes only after the write that is under way. Missing in the types of Node 20.
      const { signal } = controller as typeof controller & { readonly signal: AbortSignal }
      signal.addEventListener('abort', () => supply.stop(signal.reason), { once: true })
    },
    write: (record) => supply.write(record) ?? undefined,
    close: () => supply.finish(),
  })
}

class Source<Item, Streamed> {
  readonly #port: ReadPort<Item, Streamed>
  readonly #signal: AbortSignal | undefined
  readonly #demand: Demand<Item>
  #controller!: ReadableStreamDefaultController<Streamed>
  #isAnswered = false
  /** Settles the `pull` that waits. */
  #pulled: (() => void) | null = null
  readonly #onAbort = () => {
    this.#stop()
    this.#controller.error(this.#signal?.reason)
  }

  constructor(port: ReadPort<Item, Streamed>, signal: AbortSignal | undefined) {
    this.#port = port
    this.#signal = signal
    this.#demand = new Demand(port, {
      take: (item) => this.#take(item),
      end: () => this.#end(),
    })
  }

  start(controller: ReadableStreamDefaultController<Streamed>): void {
    this.#controller = controller
    if (this.#signal?.aborted === true) this.#onAbort()
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  pull(): Promise<void> | undefined {
    this.#isAnswered = false
    this.#demand.ask()
    if (this.#isAnswered) return undefined
    return new Promise((resolve) => {
      this.#pulled = resolve
    })
  }

  cancel(): void {
    this.#stop()
  }

  #take(item: Item): true {
    this.#controller.enqueue(this.#port.detach(item))
    this.#answered()
    return true
  }

  #end(): void {
    this.#stop()
    this.#controller.close()
  }

  #stop(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#demand.stop()
    this.#answered()
  }

  #answered(): void {
    const pulled = this.#pulled
    this.#isAnswered = true
    this.#pulled = null
    pulled?.()
  }
}
