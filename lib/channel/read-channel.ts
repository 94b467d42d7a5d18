/**
 * Every way to read a channel, and its streams: what a reader calls. CH-12..CH-14.
 * Why a class below the channel: who waits, who is called back and what flows needs `tryRead` and a few facts, nothing of
 * buffers, budgets or logs; so this half can be read without the other.
 */
import type { Readable, Writable } from 'node:stream'
import type { ReadableStream, WritableStream } from 'node:stream/web'
import type { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import type { ChannelState, CloseOptions, CloseResult } from './channel-types.js'
import type { RecordIterator } from './read/iterator.js'
import { Readers } from './read/readers.js'
import { readableOf, writableOf } from './streams/node-streams.js'
import type {
  ReadableOptions,
  ReadableStreamOptions,
  ReadPort,
  WritableOptions,
  WritableStreamOptions,
  WritePort,
} from './streams/stream-port.js'
import { readableStreamOf, writableStreamOf } from './streams/web-streams.js'
import type { WaitOptions } from './waiters.js'

/** `Input` is what is written, `Streamed` what streams carry of a record. */
export abstract class ReadChannel<Item, Input, Streamed> {
  protected readonly clock: Clock
  protected readonly readers: Readers<Item>

  protected constructor(clock: Clock) {
    this.clock = clock
    const channel = this
    this.readers = new Readers<Item>({
      clock,
      get readable() {
        return channel.readableRecords
      },
      get isEnded() {
        return channel.state === 'closed'
      },
      tryRead: () => this.tryRead(),
      letGo: (item) => this.letGo(item),
      raise: (error) => this.raise(error),
    })
  }

  abstract get state(): ChannelState

  /** The oldest record that is sealed, or undefined. Readers that wait come first. */
  abstract tryRead(): Item | undefined

  /**
   * Waits for the next record. Rejects TIMEOUT, `signal.reason`, or CONSUMER_CLOSED/CHANNEL_CLOSED when the channel is
   * closed and drained.
   */
  read(options: WaitOptions = {}): Promise<Item> {
    return this.readers.read(options)
  }

  /** From 1 to `max` records, in order; waits only for the first. Rejects as `read`, and INVALID_CONFIG for a bad `max`. */
  readBatch(max: number, options: WaitOptions = {}): Promise<Item[]> {
    return this.readers.readBatch(max, options)
  }

  /**
   * Gives each record to the next free callback, in a turn of its own; a promise that it returns is awaited before its next
   * record. A failure raises `error` (CONSUME_FAILED/CALLBACK), lets the record go, and the next one comes. Returns the
   * function that ends the subscription.
   */
  onData(callback: (item: Item) => unknown): () => void {
    return this.readers.onData(callback)
  }

  /** The records to come, for `for await`: ends when the channel is closed and drained. */
  register(options: Pick<WaitOptions, 'signal'> = {}): RecordIterator<Item> {
    return this.readers.iterate(options)
  }

  [Symbol.asyncIterator](): RecordIterator<Item> {
    return this.register()
  }

  /** As `write`, but with `onFull: 'block'` waits for room, in the order of the calls. */
  abstract writeAsync(record: Input, options?: WaitOptions): Promise<boolean>

  /**
   * The records to come as a Readable of Node: a stream of bytes without bounds of records (`objectMode: true` keeps them), of an
   * item channel one in object mode. Ends when the channel is closed and drained. Throws INVALID_CONFIG.
   */
  toReadable(options: ReadableOptions = {}): Readable {
    return readableOf(this.#port(), options)
  }

  /** A Writable of Node: each write is one record, and waits above the soft limit. Throws INVALID_CONFIG. */
  toWritable(options: WritableOptions = {}): Writable {
    return writableOf(this.#port(), options)
  }

  /** The records to come as a stream of the web, one chunk each; nothing is read ahead. Throws INVALID_CONFIG. */
  toReadableStream(options: ReadableStreamOptions = {}): ReadableStream<Streamed> {
    return readableStreamOf(this.#port(), options)
  }

  /** As `toWritable`, for the web. */
  toWritableStream(options: WritableStreamOptions = {}): WritableStream<Input> {
    return writableStreamOf(this.#port(), options)
  }

  /** As `writeAsync`, for a stream: it waits under 'reject', too. */
  protected abstract writeFromStream(record: Input, options: WaitOptions): Promise<boolean>

  abstract ready(options?: WaitOptions): Promise<void>
  abstract seal(): boolean
  abstract close(options?: CloseOptions): Promise<CloseResult>

  // --- for the kinds -----------------------------------------------------------------------------------------------

  /** Records that `tryRead` would give one after the other. */
  protected abstract get readableRecords(): number

  /** True: the channel makes room by itself, so a stream does not wait at the soft limit. */
  protected abstract get makesRoom(): boolean

  /** True: the records are payloads. */
  protected abstract get holdsBytes(): boolean

  /** As `write`, but undefined, and nothing was taken, if that needs waiting or dropping, or is refused. Hot path. */
  protected abstract tryWrite(record: Input): boolean | undefined

  /** What a stream carries: it outlives the channel, and what the record held is given back. */
  protected abstract detach(item: Item): Streamed

  /** A callback failed with this in its hands: a kind whose records hold memory takes it back. */
  protected letGo(_item: Item): void {}

  /** Raises the `error` event. */
  protected abstract raise(error: MQError): void

  /** What streams see of us. */
  #port(): ReadPort<Item, Streamed> & WritePort<Input> {
    const channel = this
    return {
      holdsBytes: this.holdsBytes,
      makesRoom: this.makesRoom,
      get isEnded() {
        return channel.state === 'closed'
      },
      tryRead: () => this.tryRead(),
      onData: (callback, onEnd) => this.readers.onData(callback, onEnd),
      detach: (item) => this.detach(item),
      raise: (error) => this.raise(error),
      tryWrite: (record) => this.tryWrite(record),
      writeAsync: (record, options) => this.writeFromStream(record, options),
      ready: (options) => this.ready(options),
      seal: () => this.seal(),
      close: (options) => this.close(options),
    }
  }
}
