/**
 * What a stream sees of a channel, and the options of streams.
 * Why an interface: the streams know neither buffers nor budgets, and one pair of classes serves bytes and items.
 */
import { MQError } from '../../errors/index.js'
import { optionsOf } from '../channel-errors.js'
import type { CloseOptions, CloseResult } from '../channel-types.js'
import { checkCloseOptions } from '../options.js'
import type { WaitOptions } from '../waiters.js'

/** The end that is read from. */
export interface ReadPort<Item, Streamed> {
  /** True: the records are payloads, and a Node stream may carry them without their bounds. */
  readonly holdsBytes: boolean
  /** Closed and drained: nothing will ever come. */
  readonly isEnded: boolean
  tryRead(): Item | undefined
  /** As `BufferedChannel.onData`; `onEnd` is called when nothing will come any more. */
  onData(callback: (item: Item) => void, onEnd: () => void): () => void
  /** What travels: it belongs to whoever gets it, for ever; what the record held is given back. */
  detach(item: Item): Streamed
  /** Raises the channel's `error` event. */
  raise(error: MQError): void
}

/** The end that is written to. */
export interface WritePort<Input> {
  readonly holdsBytes: boolean
  /** True: the channel makes room by itself ('dropOldest'), so nobody waits at its soft limit. */
  readonly makesRoom: boolean
  /** As `write`, but undefined, and nothing was taken, if that needs waiting, dropping or an error. */
  tryWrite(record: Input): boolean | undefined
  writeAsync(record: Input, options: WaitOptions): Promise<boolean>
  ready(options: WaitOptions): Promise<void>
  seal(): boolean
  close(options: CloseOptions): Promise<CloseResult>
}

export interface ReadableStreamOptions {
  /** Ends the stream with an error; the channel stays as it is. */
  readonly signal?: AbortSignal | undefined
}

export interface ReadableOptions extends ReadableStreamOptions {
  /**
   * A byte channel: true gives one Buffer for each record, empty ones too; false (default) is a stream of bytes, which
   * keeps no bounds of records. An item channel: always true.
   */
  readonly objectMode?: boolean
  /** Read ahead of demand: bytes, in object mode records. Default 0: what nobody asked for stays in the channel. */
  readonly highWaterMark?: number
}

export interface WritableStreamOptions {
  /**
   * True: the end of the stream closes the channel, and is reached when readers have taken everything. An object: with
   * these options of `close`. Default false: the end only seals.
   */
  readonly closesChannel?: boolean | CloseOptions
}

export interface WritableOptions extends WritableStreamOptions {
  /** Destroys the stream with an AbortError; the channel stays as it is. */
  readonly signal?: AbortSignal | undefined
  /** What the stream holds before it says `false`: bytes, records of an item channel. Default: Node's. */
  readonly highWaterMark?: number
}

/** Checked, since a stream of Node says what it dislikes in errors of its own. Throws INVALID_CONFIG. */
export function checkStreamOptions(options: ReadableOptions & WritableOptions, holdsBytes: boolean): void {
  const { signal, objectMode, highWaterMark, closesChannel } = optionsOf(options)
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse('signal', signal, 'an AbortSignal')
  if (highWaterMark !== undefined && !(Number.isSafeInteger(highWaterMark) && highWaterMark >= 0)) {
    refuse('highWaterMark', highWaterMark, 'an integer of at least 0')
  }
  if (objectMode !== undefined && typeof objectMode !== 'boolean') refuse('objectMode', objectMode, 'a boolean')
  if (objectMode === false && !holdsBytes) refuse('objectMode', objectMode, 'true: items are no bytes')
  const isClosing = typeof closesChannel === 'object' && closesChannel !== null
  if (isClosing) checkCloseOptions(closesChannel) // Now, and not when the last record was written.
  if (closesChannel !== undefined && typeof closesChannel !== 'boolean' && !isClosing) {
    refuse('closesChannel', closesChannel, 'a boolean, or options of close')
  }
}

function refuse(field: string, value: unknown, expected: string): never {
  throw new MQError('INVALID_CONFIG', `${field} of a stream is ${String(value)}: expected ${expected}`, {
    field,
    value: String(value),
  })
}
