/**
 * A record as the callback gets it: one small object over the bytes of its batch. Hot path.
 *
 *   RecordView -> BatchView -> bytes of the (decompressed) batch
 *              -> RecordWindow -> a copied part of it, once a small record was touched in safe mode
 *
 * Nothing is decoded before it is touched, and what was touched is kept. Every field exists from the start in one
 * order, so that all views of a process share one shape.
 * Bytes: with `readMode: 'safe'` values below 1 KiB live in a copied window of 8 KiB, so who keeps one keeps that and
 * not a whole fetch; so does who keeps a touched record below 1 KiB. An untouched one needs its batch.
 */
import type { Deserializer } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { type RecordCursor, type RecordHeader, readHeaders } from '../../protocol/index.js'
import { type BatchFacts, type ReadSettings, RecordWindow, ViewBuffer } from './record-window.js'

export type { ReadSettings }

/** Values and records from here on stay in the fetched bytes, also in safe mode (CH-11). Bytes. */
const COPY_BELOW = 1_024
const NO_BYTES = Buffer.allocUnsafeSlow(0)
const UNTOUCHED = Symbol('untouched')
const NO_HEADERS: readonly RecordHeader[] = Object.freeze([])

/** A batch that was opened. */
export class BatchView implements BatchFacts {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly settings: ReadSettings
  #bytes: Buffer
  #memory: ArrayBufferLike // of #bytes
  #window: RecordWindow | null = null // of the small record or value that was touched last
  #isShared = false // somebody has a view of #bytes
  #again: (() => Uint8Array) | null = null // released: gives the bytes once more

  constructor(topic: string, partition: number, leaderEpoch: number, bytes: Uint8Array, settings: ReadSettings) {
    this.topic = topic
    this.partition = partition
    this.leaderEpoch = leaderEpoch
    this.settings = settings
    this.#bytes = bufferOf(bytes)
    this.#memory = bytes.buffer
  }

  /** Where a record that is touched belongs: small ones leave for a window, so that keeping them does not keep all this. */
  homeOf(start: number, end: number): BatchView | RecordWindow {
    return this.settings.copies && end - start < COPY_BELOW ? this.#windowWith(start, end) : this
  }

  bytesAt(start: number, length: number): Buffer {
    if (!this.settings.copies || length >= COPY_BELOW) {
      if (this.#again !== null) this.#restore(this.#again)
      this.#isShared = true
      return new ViewBuffer(this.#memory, this.#bytes.byteOffset + start, length)
    }
    return this.#windowWith(start, start + length).bytesAt(start, length)
  }

  headersAt(start: number, count: number): RecordHeader[] {
    if (this.#again !== null) this.#restore(this.#again)
    const headers = readHeaders(this.#bytes, start, count)
    if (!this.settings.copies || headers.some(isShared)) this.#isShared = true
    return this.settings.copies ? headers.map(copiedHeader) : headers
  }

  /**
   * All records were handed out: the memory may go to another batch, unless views of it are out. Who keeps a record
   * and touches it later gets the bytes from `again`. False: the memory stays with this batch.
   */
  release(again: () => Uint8Array): boolean {
    if (this.#isShared) return false
    this.#again = again
    this.#bytes = NO_BYTES
    this.#memory = NO_BYTES.buffer
    return true
  }

  /** True if the records are a view of that memory, not decompressed into their own. */
  isIn(bytes: Uint8Array): boolean {
    return this.#memory === bytes.buffer
  }

  /** From now on the records stand in memory of their own, at the same positions; gives it. */
  unpin(): Buffer {
    this.#bytes = Buffer.from(this.#bytes)
    this.#memory = this.#bytes.buffer
    return this.#bytes
  }

  #restore(again: () => Uint8Array): void {
    this.#again = null
    this.#bytes = bufferOf(again())
    this.#memory = this.#bytes.buffer
  }

  #windowWith(start: number, end: number): RecordWindow {
    const window = this.#window
    if (window !== null && start >= window.start && end <= window.end) return window
    if (this.#again !== null) this.#restore(this.#again)
    this.#window = new RecordWindow(this, this.#bytes, start)
    return this.#window
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Too large to be copied. */
function isShared([, value]: RecordHeader): boolean {
  return value !== null && value.length >= COPY_BELOW
}

function copiedHeader(header: RecordHeader): RecordHeader {
  const [name, value] = header
  return value === null || isShared(header) ? header : [name, Buffer.from(value)]
}

/** A record as it was on the wire, whatever deserializers would make of it. */
export interface RawRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** Inside this room: the bytes of a record, which nobody may change. */
export let rawRecord: (record: RecordView<never, never>) => RawRecord
/** The key alone. */
export let rawKey: (record: RecordView<never, never>) => Buffer | null
/** The value alone. */
export let rawValue: (record: RecordView<never, never>) => Buffer | null

/**
 * One record. `key`, `value` and `headers` are read when touched: Buffers, or what the deserializers make of them;
 * null where the record has none. Bytes must not be changed; in `readMode: 'zeroCopy'` they keep their whole fetch
 * in memory as long as they are kept.
 *
 * ```ts
 * await consumer.assign(['orders'], (record) => console.log(record.offset, record.value?.toString()))
 * ```
 */
export class RecordView<V = Buffer, K = Buffer> {
  readonly offset: number
  /** Milliseconds since 1970, -1 when the record has none. */
  readonly timestamp: number
  #home: BatchView | RecordWindow
  readonly #keyStart: number
  readonly #keyLength: number
  readonly #valueStart: number
  readonly #valueLength: number
  readonly #headersStart: number
  readonly #headerCount: number
  readonly #end: number
  #key: unknown = UNTOUCHED
  #value: unknown = UNTOUCHED
  #headers: readonly RecordHeader[] | null = null

  // Functions instead of members: users have no business with them, and private fields are out of reach elsewhere.
  static {
    rawKey = (record) => record.#bytes(record.#keyStart, record.#keyLength)
    rawValue = (record) => record.#bytes(record.#valueStart, record.#valueLength)
    rawRecord = (record) => ({ key: rawKey(record), value: rawValue(record), headers: record.headers })
  }

  /** Takes the numbers of the record the cursor stands at. */
  constructor(batch: BatchView, at: RecordCursor) {
    this.offset = at.offset
    this.timestamp = at.timestamp
    this.#home = batch
    this.#keyStart = at.keyStart
    this.#keyLength = at.keyLength
    this.#valueStart = at.valueStart
    this.#valueLength = at.valueLength
    this.#headersStart = at.headersStart
    this.#headerCount = at.headerCount
    this.#end = at.end
  }

  get topic(): string {
    return this.#home.topic
  }

  get partition(): number {
    return this.#home.partition
  }

  /** Epoch of the leader that wrote the batch, -1 when unknown. */
  get leaderEpoch(): number {
    return this.#home.leaderEpoch
  }

  /** Throws DESERIALIZATION_FAILED when the key deserializer throws. */
  get key(): K | null {
    if (this.#key !== UNTOUCHED) return this.#key as K | null
    this.#key = this.#read(this.#keyStart, this.#keyLength, this.#home.settings.keyDeserializer, 'key')
    return this.#key as K | null
  }

  /** Throws DESERIALIZATION_FAILED when the value deserializer throws. */
  get value(): V | null {
    if (this.#value !== UNTOUCHED) return this.#value as V | null
    this.#value = this.#read(this.#valueStart, this.#valueLength, this.#home.settings.valueDeserializer, 'value')
    return this.#value as V | null
  }

  /** True without a value, whatever the value deserializer makes of other records; known without touching anything. */
  get isTombstone(): boolean {
    return this.#valueLength < 0
  }

  /** Pairs in the order of the wire, duplicates included. */
  get headers(): readonly RecordHeader[] {
    if (this.#headers !== null) return this.#headers
    this.#headers =
      this.#headerCount === 0 ? NO_HEADERS : this.#bytesHome().headersAt(this.#headersStart, this.#headerCount)
    return this.#headers
  }

  /** For whoever touches the record: it may leave its batch now. */
  #bytesHome(): BatchView | RecordWindow {
    this.#home = this.#home.homeOf(this.#keyStart, this.#end)
    return this.#home
  }

  #bytes(start: number, length: number): Buffer | null {
    return length < 0 ? null : this.#bytesHome().bytesAt(start, length)
  }

  #read(
    start: number,
    length: number,
    deserializer: Deserializer<unknown> | undefined,
    part: 'key' | 'value',
  ): unknown {
    if (length < 0) return null
    const bytes = this.#bytesHome().bytesAt(start, length)
    return deserializer === undefined ? bytes : deserialized(deserializer, bytes, this, part)
  }
}

function deserialized(
  deserializer: Deserializer<unknown>,
  bytes: Uint8Array,
  record: RecordView<unknown, unknown>,
  part: 'key' | 'value',
): unknown {
  const { topic, partition, offset } = record
  try {
    return deserializer.deserialize(bytes, topic)
  } catch (cause) {
    const where = { topic, partition, offset, part }
    if (cause instanceof MQError && cause.is('DESERIALIZATION_FAILED')) {
      const text = `the ${part} of ${topic}/${partition} offset ${offset}: ${cause.message}`
      throw new MQError('DESERIALIZATION_FAILED', text, { ...cause.context, ...where }, { cause: cause.cause })
    }
    const text = `the ${part} deserializer threw for ${topic}/${partition} offset ${offset}: mend it or set onError`
    throw new MQError('DESERIALIZATION_FAILED', text, where, { cause })
  }
}
