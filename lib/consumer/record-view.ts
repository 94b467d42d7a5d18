/**
 * A record as the callback gets it: one small object over the bytes of its batch. Hot path.
 *
 *   RecordView -> BatchView -> bytes of the (decompressed) batch
 *
 * Nothing is decoded before it is touched, and what was touched is kept. Every field exists from the start in one
 * order, so that all views of a process share one shape.
 * Bytes: with `readMode: 'safe'` values below 1 KiB live in a copied window of 8 KiB, so a kept record pins that and
 * not a whole fetch. A window instead of a copy per value: creating a Buffer costs ~110 ns with its copy and ~20 ns
 * as a view, and neighbours are nearly always touched next (design.md 5.4).
 */
import type { Deserializer } from '../config/index.js'
import { MQError } from '../errors/index.js'
import { type RecordCursor, type RecordHeader, readHeaders } from '../protocol/index.js'

/** Values from here on are views of the fetched bytes, also in safe mode (CH-11). Bytes. */
const COPY_BELOW = 1_024
/** As much as Buffer's own pool keeps alive for one small slice. Bytes. */
const WINDOW_BYTES = 8_192

/**
 * The class behind Buffer, as Buffer itself names it. Creating a view by it takes 20 ns, `subarray` 50: that looks itself
 * up on a prototype which the compiler cannot see through, and asks the view for its ArrayBuffer.
 */
const ViewBuffer = (
  Buffer as unknown as { [Symbol.species]: new (b: ArrayBufferLike, at: number, n: number) => Buffer }
)[Symbol.species]

const NO_BYTES = Buffer.allocUnsafeSlow(0)
const UNTOUCHED = Symbol('untouched')
const NO_HEADERS: readonly RecordHeader[] = Object.freeze([])

/** What decides how the records of a consumer are read; one object per assignment. */
export interface ReadSettings {
  readonly copies: boolean
  readonly keyDeserializer: Deserializer<unknown> | undefined
  readonly valueDeserializer: Deserializer<unknown> | undefined
}

/** What the records of one batch have in common. */
export class BatchView {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly settings: ReadSettings
  #bytes: Buffer
  #memory: ArrayBufferLike // of #bytes
  #window: ArrayBufferLike = NO_BYTES.buffer // a copy of the part between the two
  #windowStart = 0
  #windowEnd = 0
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

  bytesAt(start: number, length: number): Buffer {
    if (!this.settings.copies || length >= COPY_BELOW) {
      if (this.#again !== null) this.#restore(this.#again)
      this.#isShared = true
      return new ViewBuffer(this.#memory, this.#bytes.byteOffset + start, length)
    }
    if (start < this.#windowStart || start + length > this.#windowEnd) this.#moveWindow(start)
    return new ViewBuffer(this.#window, start - this.#windowStart, length)
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

  #moveWindow(start: number): void {
    if (this.#again !== null) this.#restore(this.#again)
    this.#windowStart = start
    this.#windowEnd = Math.min(start + WINDOW_BYTES, this.#bytes.length)
    const copy = Buffer.allocUnsafeSlow(this.#windowEnd - start) // Its own memory from the first byte on.
    this.#bytes.copy(copy, 0, start, this.#windowEnd)
    this.#window = copy.buffer
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
  readonly #batch: BatchView
  readonly #keyStart: number
  readonly #keyLength: number
  readonly #valueStart: number
  readonly #valueLength: number
  readonly #headersStart: number
  readonly #headerCount: number
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
    this.#batch = batch
    this.#keyStart = at.keyStart
    this.#keyLength = at.keyLength
    this.#valueStart = at.valueStart
    this.#valueLength = at.valueLength
    this.#headersStart = at.headersStart
    this.#headerCount = at.headerCount
  }

  get topic(): string {
    return this.#batch.topic
  }

  get partition(): number {
    return this.#batch.partition
  }

  /** Epoch of the leader that wrote the batch, -1 when unknown. */
  get leaderEpoch(): number {
    return this.#batch.leaderEpoch
  }

  /** Throws DESERIALIZATION_FAILED when the key deserializer throws. */
  get key(): K | null {
    if (this.#key !== UNTOUCHED) return this.#key as K | null
    this.#key = this.#read(this.#keyStart, this.#keyLength, this.#batch.settings.keyDeserializer, 'key')
    return this.#key as K | null
  }

  /** Throws DESERIALIZATION_FAILED when the value deserializer throws. */
  get value(): V | null {
    if (this.#value !== UNTOUCHED) return this.#value as V | null
    this.#value = this.#read(this.#valueStart, this.#valueLength, this.#batch.settings.valueDeserializer, 'value')
    return this.#value as V | null
  }

  /** Pairs in the order of the wire, duplicates included. */
  get headers(): readonly RecordHeader[] {
    if (this.#headers !== null) return this.#headers
    this.#headers = this.#headerCount === 0 ? NO_HEADERS : this.#batch.headersAt(this.#headersStart, this.#headerCount)
    return this.#headers
  }

  #bytes(start: number, length: number): Buffer | null {
    return length < 0 ? null : this.#batch.bytesAt(start, length)
  }

  #read(
    start: number,
    length: number,
    deserializer: Deserializer<unknown> | undefined,
    part: 'key' | 'value',
  ): unknown {
    if (length < 0) return null
    const bytes = this.#batch.bytesAt(start, length)
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
    const text = `the ${part} deserializer threw for ${topic}/${partition} offset ${offset}: mend it or set onError`
    throw new MQError('DESERIALIZATION_FAILED', text, { topic, partition, offset, part }, { cause })
  }
}
