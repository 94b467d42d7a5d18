/**
 * The fetched and not yet processed bytes of one partition, read lazily batch by batch. Hot path.
 *
 *   chunks (one per answer) -> batch header -> CRC -> decompress -> records -> RecordView
 *
 * Why lazy: whoever only buffers (paused, slow) pays for neither CRC nor codec, and a seek throws nothing decoded away.
 * Invariant: `bufferedBytes` is the sum of the batches not yet handed out, given back to the owner batch by batch.
 * Decompressed bytes go to the next batch once their own has been handed out (batch-memory.ts).
 * Control, aborted and already read batches are stepped over; the position behind them is `nextOffset`.
 * Source: kafka.md 5.2 (decoding), R-6, R-7, 5.3.
 */
import { DEFAULT_DECOMPRESS_CEILING, decompressWithin } from '../../codec/index.js'
import { MQError } from '../../errors/index.js'
import { type BatchHeader, RecordCursor, readBatchHeader, readControlRecord, recordsOf } from '../../protocol/index.js'
import { Deque } from '../../util/index.js'
import type { AbortedTransactions } from '../fetch/aborted.js'
import { BatchMemory } from './batch-memory.js'
import { BatchView, type ReadSettings, RecordView } from './record-view.js'

const decompress = decompressWithin(DEFAULT_DECOMPRESS_CEILING)
/** One for all consumers: what it holds is spare. */
const memory = new BatchMemory()

/** A view may keep at most so many times its own bytes in memory for long. */
const PINNED_PARTS = 4

/** Whole batches of one answer. */
export interface Chunk {
  /** A view of the answer; a copy once it has become old (`unpin`). */
  bytes: Uint8Array
  /** How many of `bytes` are whole batches. */
  readonly length: number
  /** Monotonic. */
  readonly arrivedMs: number
  /** Null unless read_committed. */
  readonly aborted: AbortedTransactions | null
}

/** How a batch is to be read. */
export interface ReaderSettings extends ReadSettings {
  readonly checkCrcs: boolean
}

export type Opened = 'records' | 'end' | Promise<void>

export class PartitionReader {
  readonly #topic: string
  readonly #partition: number
  readonly #settings: ReaderSettings
  readonly #freed: (bytes: number) => void
  readonly #chunks = new Deque<Chunk>()
  readonly #cursor = new RecordCursor()
  #at = 0 // in the first chunk
  #batch: BatchView | null = null
  #header: BatchHeader | null = null
  #leased: Buffer | null = null // memory of the open batch, for others when it is read
  #reuses: boolean // leases memory: until somebody touches a record after its batch, who would have it read twice
  #damage: unknown = null // what reading the open batch threw: it stays where it is
  #openings = 0 // changes with every `clear`: a decompression that ends later is of no use
  #bufferedBytes = 0
  #leaderEpoch = -1
  /** Everything below was handed out or stepped over; inside an open batch still where that batch was opened. */
  position = -1

  /** `freed` gets each byte pushed exactly once. */
  constructor(topic: string, partition: number, settings: ReaderSettings, freed: (bytes: number) => void) {
    this.#topic = topic
    this.#partition = partition
    this.#settings = settings
    this.#reuses = settings.copies
    this.#freed = freed
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Of the batch read last, -1 when there was none since `clear`. */
  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  get hasData(): boolean {
    return this.#bufferedBytes > 0 || this.#batch !== null
  }

  push(chunk: Chunk): void {
    this.#chunks.pushBack(chunk)
    this.#bufferedBytes += chunk.length
  }

  /** Drops everything and goes on at `position`. */
  clear(position: number): void {
    const bytes = this.#bufferedBytes
    this.#chunks.clear()
    this.#at = 0
    this.#batch = null
    this.#header = null
    this.#leased = null // A callback that still runs may have records of it.
    this.#damage = null
    this.#bufferedBytes = 0
    this.#leaderEpoch = -1
    this.#openings++
    this.position = position
    if (bytes > 0) this.#freed(bytes)
  }

  /**
   * Copies what came before `untilMs` and is a small part of its answer. Why: the bytes of a slow partition stay for
   * long, and a view keeps the whole answer, which nobody counts. Why not at once: fresh memory for every part costs
   * up to 200 ns per record of 100 B (page faults), and nearly all parts are worked off within milliseconds.
   */
  unpin(untilMs: number): void {
    for (const chunk of this.#chunks) {
      if (chunk.arrivedMs > untilMs || !isSmallPart(chunk.bytes, chunk.length)) continue
      const isOpen = this.#batch?.isIn(chunk.bytes) === true
      chunk.bytes = Buffer.from(chunk.bytes.subarray(0, chunk.length))
      if (isOpen) this.#cursor.bytes = this.#batch?.unpin() ?? this.#cursor.bytes
    }
  }

  /** The next record of the open batch, or null: then `openNext`. Throws CORRUPT_BATCH. */
  next(): RecordView<never, never> | null {
    const batch = this.#batch
    if (batch === null) return null
    if (this.#damage !== null) throw this.#damage
    const cursor = this.#cursor
    try {
      while (cursor.next()) {
        if (cursor.offset >= this.position) return new RecordView<never, never>(batch, cursor)
      }
    } catch (error) {
      this.#damage = error // The cursor stands behind what it could not read: whoever asks again must not get past it.
      throw error
    }
    this.#finishBatch()
    return null
  }

  /**
   * Opens the next batch with records to hand out. 'end': nothing more is buffered. A promise when its codec works in
   * the background; the batch is open when it resolves. Throws CORRUPT_BATCH, DECOMPRESSION_FAILED.
   */
  openNext(): Opened {
    for (let chunk = this.#chunks.peekFront(); chunk !== undefined; chunk = this.#chunks.peekFront()) {
      if (this.#at >= chunk.length) {
        this.#chunks.popFront()
        this.#at = 0
        continue
      }
      const header = this.#readHeader(chunk)
      if (this.#isSkipped(header, chunk)) {
        this.#stepOver(header)
        continue
      }
      return this.#open(header, chunk)
    }
    return 'end'
  }

  #readHeader(chunk: Chunk): BatchHeader {
    const header = readBatchHeader(chunk.bytes, this.#at, this.#settings.checkCrcs)
    if (header !== 'partial') return header
    const context = { topic: this.#topic, partition: this.#partition }
    const text = `a batch of ${this.#topic}/${this.#partition} ends before its length: it was whole when it came`
    throw new MQError('CONSUME_FAILED', text, { reason: 'CORRUPT_BATCH', ...context })
  }

  #isSkipped(header: BatchHeader, chunk: Chunk): boolean {
    if (header.nextOffset <= this.position) return true
    if (header.isControl) {
      if (chunk.aborted !== null) this.#readControl(header, chunk)
      return true
    }
    return header.count === 0 || chunk.aborted?.covers(header) === true
  }

  #readControl(header: BatchHeader, chunk: Chunk): void {
    const cursor = new RecordCursor()
    cursor.open(header, chunk.bytes.subarray(header.payloadAt, header.payloadEnd))
    if (!cursor.next()) return
    if (readControlRecord(cursor.key(), cursor.value()).type === 'abort') chunk.aborted?.endOf(header)
  }

  #open(header: BatchHeader, chunk: Chunk): Opened {
    let leased: Buffer | null = null
    const lease = (bytes: number): Buffer => {
      leased = memory.take(bytes)
      return leased
    }
    const into = this.#reuses ? decompressWithin(DEFAULT_DECOMPRESS_CEILING, lease) : decompress
    const records = recordsOf(chunk.bytes, header, into)
    if (!(records instanceof Promise)) {
      this.#start(header, records)
      this.#leased = leased
      return 'records'
    }
    const opening = this.#openings
    return records.then((bytes) => {
      if (opening === this.#openings) this.#start(header, bytes)
    })
  }

  #start(header: BatchHeader, records: Uint8Array): void {
    this.#cursor.open(header, records)
    this.#header = header
    const { partitionLeaderEpoch } = header
    this.#leaderEpoch = partitionLeaderEpoch
    this.#batch = new BatchView(this.#topic, this.#partition, partitionLeaderEpoch, records, this.#settings)
  }

  #finishBatch(): void {
    const header = this.#header as BatchHeader
    if (this.#leased !== null) this.#release(this.#leased, header)
    this.#batch = null
    this.#header = null
    this.#stepOver(header)
  }

  /** The memory goes to the next batch; a record that is touched later finds its bytes by decompressing again. */
  #release(leased: Buffer, header: BatchHeader): void {
    this.#leased = null
    const { bytes } = this.#chunks.peekFront() as Chunk
    const again = () => {
      this.#reuses = false
      return recordsOf(bytes, header, decompress) as Uint8Array // What asked for memory before was no promise.
    }
    if (this.#batch?.release(again) === true) memory.giveBack(leased)
  }

  #stepOver(header: BatchHeader): void {
    this.#at += header.sizeInBytes
    this.#bufferedBytes -= header.sizeInBytes
    if (header.nextOffset > this.position) this.position = header.nextOffset
    this.#freed(header.sizeInBytes)
  }
}

function isSmallPart(bytes: Uint8Array, length: number): boolean {
  return length * PINNED_PARTS < bytes.buffer.byteLength
}
