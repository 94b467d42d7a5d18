/**
 * A channel as streams of Node: `Readable` and `Writable`. CH-12, CH-16.
 * Why nothing is read ahead by default: records in the buffer of a stream that is destroyed reach nobody, while the channel
 * keeps them for the next reader. Node itself keeps one record ready while somebody listens to 'readable', as `for await` does.
 * Invariants: every chunk is the consumer's own for ever; what a destroyed stream still held is told by the channel's `error`
 * event, so nothing vanishes silently; a destroyed stream leaves no waiter, listener or lease behind.
 */
import { addAbortSignal, Readable, Writable } from 'node:stream'
import { MQError } from '../../errors/index.js'
import { Demand } from './demand.js'
import {
  checkStreamOptions,
  type ReadableOptions,
  type ReadPort,
  type WritableOptions,
  type WritePort,
} from './stream-port.js'
import { notWritten, Supply } from './supply.js'

/** The records to come; ends when the channel is closed and drained. */
export function readableOf<Item>(port: ReadPort<Item, unknown>, options: ReadableOptions): Readable {
  checkStreamOptions(options, port.holdsBytes)
  const readable = new ChannelReadable(port, options)
  return options.signal === undefined ? readable : addAbortSignal(options.signal, readable)
}

/** Each write is one record. */
export function writableOf<Input>(port: WritePort<Input>, options: WritableOptions): Writable {
  checkStreamOptions(options, port.holdsBytes)
  const writable = new ChannelWritable(port, options)
  return options.signal === undefined ? writable : addAbortSignal(options.signal, writable)
}

class ChannelReadable<Item> extends Readable {
  readonly #port: ReadPort<Item, unknown>
  readonly #demand: Demand<Item>

  constructor(port: ReadPort<Item, unknown>, { objectMode = !port.holdsBytes, highWaterMark = 0 }: ReadableOptions) {
    super({ objectMode, highWaterMark })
    this.#port = port
    this.#demand = new Demand(port, {
      take: (item) => this.#take(item),
      end: () => this.push(null),
    })
  }

  override _read(): void {
    this.#demand.ask()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#demand.stop()
    if (this.readableLength > 0) this.#port.raise(this.#heldBack())
    done(error)
  }

  #take(item: Item): boolean {
    const streamed = this.#port.detach(item)
    if (streamed === null) this.destroy(nullItem())
    else if (!this.readableObjectMode && (streamed as Buffer).length === 0) return false
    else this.push(streamed)
    return true
  }

  #heldBack(): MQError {
    const length = this.readableLength
    const unit = this.readableObjectMode ? 'records' : 'bytes'
    const text = `a stream was destroyed with ${length} ${unit} in its buffer, which count as read: iterate over the channel itself where a reader leaves early`
    return new MQError('CONSUME_FAILED', text, { reason: 'DROPPED', [unit]: length })
  }
}

class ChannelWritable<Input> extends Writable {
  readonly #supply: Supply<Input>

  constructor(port: WritePort<Input>, options: WritableOptions) {
    const { highWaterMark } = options
    super({ objectMode: !port.holdsBytes, ...(highWaterMark === undefined ? {} : { highWaterMark }) })
    this.#supply = new Supply(port, options)
  }

  override _write(record: Input, _encoding: string, done: (error?: Error | null) => void): void {
    this.#writeFrom([{ chunk: record }], 0, done)
  }

  override _writev(records: { chunk: Input }[], done: (error?: Error | null) => void): void {
    this.#writeFrom(records, 0, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#supply.finish().then(() => done(), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#supply.stop(error ?? notWritten())
    done(error)
  }

  /** Without a promise as long as there is room. */
  #writeFrom(records: readonly { chunk: Input }[], from: number, done: (error?: Error | null) => void): void {
    for (let at = from; at < records.length; at++) {
      let waiting: Promise<void> | null
      try {
        waiting = this.#supply.write((records[at] as { chunk: Input }).chunk)
      } catch (error) {
        return done(error as Error)
      }
      if (waiting === null) continue
      waiting.then(() => this.#writeFrom(records, at + 1, done), done)
      return
    }
    done()
  }
}

function nullItem(): MQError {
  const text =
    'the item null ends a stream of Node, so it cannot travel in one: use toReadableStream(), or write no null'
  return new MQError('SERIALIZATION_FAILED', text, { value: null })
}
