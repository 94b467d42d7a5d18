/**
 * Items in, items out: arrays that swap, for `BatchQueue<T>` and for everything that is not bytes. Hot path: `write`.
 * Two ways to read: one item at a time (`read`, `tryRead`), or a whole sealed batch (`take`), which stays charged to
 * the budget until it is recycled and may be put back.
 * Invariant: as `BufferedChannel`; a channel is read in one of the two ways. CH-1.
 */
import { MQError, toMQError } from '../errors/index.js'
import { BufferedChannel, DEFAULT_MEMORY_BYTES, SLOT_BYTES } from './buffered-channel.js'
import type { BufferedChannelOptions, ReadableBuffer } from './buffered-types.js'
import { BUFFERED_RULES, callable, checkOptions, checkWait, type OptionRules, objectWith } from './options.js'
import type { WaitOptions } from './waiters.js'

/** What throws here is SERIALIZATION_FAILED of that write, or an `error` event DESERIALIZATION_FAILED, and the item stays in the log. */
export interface SpillCodec<T> {
  /** The bytes must not change until the write has returned, or its promise has settled. */
  encode(item: T): Uint8Array
  /** `bytes` is valid until it returns: what is kept is copied. */
  decode(bytes: Uint8Array): T
}

export interface ItemChannelOptions<T> extends BufferedChannelOptions {
  /** Bytes an item counts for, rounded up. Default 0: then `bufferMaxRecords` is the bound. Throws, or gives no number of at least 0: SERIALIZATION_FAILED. */
  readonly sizeOf?: (item: T) => number
  /** How an item becomes bytes of the spill log, and an item again. Needed with `onFull: 'spill'`. */
  readonly codec?: SpillCodec<T>
  /** Told the items of a buffer that is thrown away under 'dropOldest'. */
  readonly onDrop?: (items: readonly T[]) => void
}

const ITEM_DEFAULTS = Object.freeze({ maxRecords: 1000, windowMs: 5000 })
/** Without a size per item the count must be bounded (trap 14); with one, too, since a size may be 0. */
const DEFAULT_MAX_ITEMS = 1_000_000
const ITEM_RULES: OptionRules = {
  ...BUFFERED_RULES,
  sizeOf: callable,
  codec: objectWith('a codec', 'encode', 'decode'),
  onDrop: callable,
}

export class ItemBuffer<T> implements ReadableBuffer {
  records = 0
  bytes = 0
  sequence = -1
  firstAtMs = -1
  heldBytes = 0
  readRecords = 0
  /** In the order of writing. Yours to read while the buffer is taken. */
  readonly items: T[] = []
  /** Bytes of each item; empty when items have no size. */
  readonly sizes: number[] = []
}

export class ItemChannel<T> extends BufferedChannel<ItemBuffer<T>, T> {
  readonly #sizeOf: ((item: T) => number) | null
  readonly #onDrop: ((items: readonly T[]) => void) | null
  readonly #codec: SpillCodec<T> | null

  constructor(options: ItemChannelOptions<T> = {}) {
    checkOptions(options, ITEM_RULES)
    checkCodec(options)
    super({ ...options, bufferMaxRecords: maxItemsOf(options) }, ITEM_DEFAULTS, () => new ItemBuffer<T>())
    this.#sizeOf = options.sizeOf ?? null
    this.#onDrop = options.onDrop ?? null
    this.#codec = options.codec ?? null
  }

  /** As `ByteChannel.write`: false above the soft limit; throws when closed, full or too large. */
  write(item: T): boolean {
    const bytes = this.#bytesOf(item)
    if (this.tryAdmit(bytes)) return this.#append(item, bytes)
    if (this.spills(bytes) && this.spillNow(this.#encoded(item), bytes)) return false
    this.admit(bytes)
    return this.#append(item, bytes)
  }

  /** As `write`, but with `onFull: 'block'` or 'spill' waits for room (in memory, in the log), in the order of the calls. */
  override writeAsync(item: T, options: WaitOptions = {}): Promise<boolean> {
    return this.#writeLater(item, options, false)
  }

  protected override writeFromStream(item: T, options: WaitOptions): Promise<boolean> {
    return this.#writeLater(item, options, true)
  }

  async #writeLater(item: T, options: WaitOptions, isStream: boolean): Promise<boolean> {
    checkWait(options)
    const bytes = this.#bytesOf(item)
    if (this.tryAdmit(bytes)) return this.#append(item, bytes)
    const append = () => this.#append(item, bytes)
    if (!this.spills(bytes)) return this.admitLater(bytes, options, isStream, append)
    const payload = this.#encoded(item)
    if (this.spillNow(payload, bytes)) return false
    return this.spillLater(payload, bytes, bytes, append, options)
  }

  protected override tryWrite(item: T): boolean | undefined {
    const bytes = this.#bytesOf(item)
    return this.tryAdmit(bytes) ? this.#append(item, bytes) : undefined
  }

  /** The oldest sealed buffer; its items are yours until `putBack` or `recycle`. */
  take(): ItemBuffer<T> | undefined {
    return this.takeBuffer()
  }

  /** A taken buffer leaves first again, under its old number. */
  putBack(buffer: ItemBuffer<T>): void {
    this.putBackBuffer(buffer)
  }

  /** A taken buffer is done with: its memory is given back. */
  recycle(buffer: ItemBuffer<T>): void {
    this.recycleBuffer(buffer)
  }

  #bytesOf(item: T): number {
    if (item === undefined) {
      throw new MQError('SERIALIZATION_FAILED', 'undefined is no item: tryRead() says by it that there is none')
    }
    return this.#sizeOf === null ? 0 : this.#measured(this.#sizeOf, item)
  }

  /** A size that is no number of bytes would make the memory budget a number that bounds nothing. */
  #measured(sizeOf: (item: T) => number, item: T): number {
    let bytes: number
    try {
      bytes = sizeOf(item)
    } catch (cause) {
      throw toMQError(cause, 'SERIALIZATION_FAILED', 'sizeOf threw, so the item was not taken')
    }
    if (typeof bytes === 'number' && bytes >= 0) return Math.ceil(bytes) // Sums of fractions do not come back to 0.
    const text = `sizeOf gave ${String(bytes)}, so the item was not taken: expected bytes of at least 0`
    throw new MQError('SERIALIZATION_FAILED', text, { field: 'sizeOf', value: String(bytes) })
  }

  protected override restore(payload: Uint8Array): number {
    const item = this.#decoded(payload)
    const bytes = this.#bytesOf(item)
    if (!this.readmit(bytes)) return -1
    this.#append(item, bytes)
    return bytes
  }

  #encoded(item: T): Uint8Array {
    try {
      const payload = (this.#codec as SpillCodec<T>).encode(item)
      if (payload instanceof Uint8Array) return payload
      throw new TypeError(`it gave ${typeof payload}, not a Uint8Array`)
    } catch (cause) {
      throw toMQError(cause, 'SERIALIZATION_FAILED', 'the codec cannot represent the item for the spill log')
    }
  }

  #decoded(payload: Uint8Array): T {
    try {
      const item = (this.#codec as SpillCodec<T>).decode(payload)
      if (item !== undefined) return item
      throw new TypeError('it gave undefined, which is no item')
    } catch (cause) {
      const text = `the codec cannot read an item of the spill log (${payload.length} B): was it written by another codec?`
      throw new MQError('DESERIALIZATION_FAILED', text, { bytes: payload.length }, { cause })
    }
  }

  #append(item: T, bytes: number): boolean {
    if (bytes > this.maxBytes) this.sealBefore()
    const buffer = this.core.active
    buffer.items[buffer.records] = item
    if (this.#sizeOf !== null) buffer.sizes[buffer.records] = bytes
    return this.wrote(buffer, bytes, bytes)
  }

  protected override bytesAt(buffer: ItemBuffer<T>, index: number): number {
    return buffer.sizes[index] ?? 0
  }

  protected override chargeAt(buffer: ItemBuffer<T>, index: number): number {
    return buffer.sizes[index] ?? 0
  }

  protected override extract(buffer: ItemBuffer<T>, index: number): T {
    const item = buffer.items[index] as T
    buffer.items[index] = undefined as T // What was read is not kept alive until the last of its buffer was.
    return item
  }

  protected override isLeased(): boolean {
    return false
  }

  protected override get holdsBytes(): boolean {
    return false
  }

  protected override detach(item: T): T {
    return item
  }

  protected override wipe(buffer: ItemBuffer<T>): void {
    // The array keeps its memory only while it is short: `length = 0` frees it, and items must not be kept alive.
    buffer.items.length = 0
    buffer.sizes.length = 0
  }

  protected override dropping(buffer: ItemBuffer<T>): (() => void) | null {
    const onDrop = this.#onDrop
    if (onDrop === null) return null
    const items = buffer.items.slice()
    return () => onDrop(items)
  }
}

/** As many as a byte channel of this memory takes, and no less than without sizes. */
function maxItemsOf<T>({ sizeOf, bufferMaxRecords, bufferMemoryBytes }: ItemChannelOptions<T>): number {
  if (bufferMaxRecords !== undefined) return bufferMaxRecords
  if (sizeOf === undefined) return DEFAULT_MAX_ITEMS
  return Math.max(DEFAULT_MAX_ITEMS, Math.floor((bufferMemoryBytes ?? DEFAULT_MEMORY_BYTES) / SLOT_BYTES))
}

function checkCodec<T>({ onFull, codec }: ItemChannelOptions<T>): void {
  if (onFull !== 'spill' || codec !== undefined) return
  const text = "an ItemChannel with onFull 'spill' needs a codec: { encode(item): Uint8Array, decode(bytes): item }"
  throw new MQError('INVALID_CONFIG', text, { field: 'codec' })
}
