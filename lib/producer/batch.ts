/**
 * One batch from its first record to its settlement. Hot path: `append`.
 * While active it is a RecordBatch v2 under construction in an arena, behind the reserved 61 bytes; sealed, it keeps
 * the same bytes (or their compressed form) under one identity until it is settled.
 * Invariant: from the first byte on a socket on, `wire()` never changes except under a new identity.
 */
import type { Arena, ChannelBuffer } from '../channel/index.js'
import type { MQError } from '../errors/index.js'
import {
  BATCH_HEADER_BYTES,
  type HeadersInput,
  type RecordBytes,
  recordBodyBytes,
  varintBytes,
  writeBatchCrc,
  writeBatchHeader,
  writeIdentity,
  writeRecord,
} from '../protocol/index.js'
import { assert, crc32c } from '../util/index.js'
import type { RecordTime } from './record-clock.js'
import { lastSequence } from './sequence.js'

/** Where a record went. `offset` is -1 when the broker does not tell (acks 0, proven by state only). */
export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The record's time; the broker's where the topic uses log-append time. Milliseconds. */
  readonly timestamp: number
}

/** Told exactly once per record, in partition order, never in the turn of the call that sent it. */
export interface SendCallback {
  (error: MQError | null, metadata: RecordMetadata | null): void
  /** Set by who waits for the log only: told instead, once, when the log has the record. See `sendDurable`. */
  readonly accepted?: (topic: string, partition: number, position: number) => void
  /** It is told of the delivery nevertheless. */
  readonly observesDelivery?: boolean
}

/** How a batch ended. */
export interface Outcome {
  readonly error: MQError | null
  readonly baseOffset: number
  readonly logAppendTimeMs: number
}

/** Somebody who waits for several batches: flush. */
export interface SettleToken {
  left: number
  done(): void
}

const NOBODY: SendCallback = () => {}
const NO_BYTES = Buffer.alloc(0)
/** Offsets in a RecordBatch v2 header. */
const ATTRIBUTES_AT = 21
const BASE_TIMESTAMP_AT = 27
const NO_VIEW = new DataView(new ArrayBuffer(BATCH_HEADER_BYTES))
export const NO_PRODUCER_ID = -1n

export class Batch implements ChannelBuffer {
  // ChannelBuffer: what the double buffer counts.
  records = 0
  bytes = 0
  sequence = -1
  /** Room behind `sequence` in the order of its lane: less than 1 for a part of a split batch. */
  sequenceSpan = 1
  firstAtMs = 0

  arena: Arena | null = null
  /** Bytes of the memory budget this batch holds: its arena, or its compressed form. */
  heldBytes = 0
  #target: Buffer = NO_BYTES
  #room = 0
  baseTimestamp = 0
  maxTimestamp = 0

  // Waiters: parallel arrays, made when the first one comes.
  waiterRecords: number[] | null = null
  waiterTimestamps: number[] | null = null
  waiters: SendCallback[] | null = null
  /** Callers whose own record a broker refused while its neighbours went on: by place in `waiters`. */
  waiterErrors: Map<number, MQError> | null = null
  tokens: SettleToken[] | null = null
  /** Some of `waiters` wait for the log only. */
  hasDurableWaiters = false

  // Wire form, from `finish` on.
  isFinished = false
  #header: Buffer = NO_BYTES
  #view: DataView = NO_VIEW
  #body: Uint8Array = NO_BYTES
  #recordsCrc = 0
  #attributes = 0

  // Identity, from `stamp` on.
  producerId = NO_PRODUCER_ID
  producerEpoch = -1
  baseSequence = -1
  /** Offset of the last record of its lane that was acknowledged when it got its identity: it stands behind that. */
  writtenAfterOffset = -1

  // In the write-ahead log.
  /** Of its frame; 0: it is not there. */
  lsn = 0
  /** Position of its first record in the log's stream of this partition. */
  firstPosition = -1
  stream = -1
  /** It may go on the wire once this LSN is accepted: that of its frame, or of the frame that gave it its numbers. */
  gateLsn = 0
  /** Of a batch that took the place of a part of another: which, of how many, of whom. */
  part = 0
  parts = 1
  originLsn = 0
  /** All parts of that split, itself too; none of them leaves before the log has accepted them all. */
  family: readonly Batch[] | null = null
  /** Of a part: a broker refused its records. It is in the log to be settled there, and nowhere else. */
  isRefused = false
  /** The log has taken responsibility: whatever happens, it is settled there or stays there. */
  isAccepted = false
  /** It comes from an earlier life of this log. */
  isRecovered = false
  /** Its bytes are in the log only. */
  isPagedOut = false
  isLoading = false
  /** Its callers were told that it takes too long; the log goes on with it. */
  isTold = false

  // History.
  attempts = 0
  /** Retries with codes that are retried only a few times. */
  limitedRetries = 0
  isResentAfterResolve = false
  /** Answers by which the broker refused its numbers. */
  identityRefusals = 0
  /** Was looked for since its last attempt: it may go again although the broker may have forgotten it. */
  isLookedFor = false
  /** An attempt was unsure and none succeeded: it may be in the log. */
  isDoubtful = false
  /** True while an attempt has not ended. */
  isInFlight = false
  sentAtMs = 0
  lastError: MQError | null = null
  outcome: Outcome | null = null
  /** It got its outcome before one that stands in front of it. */
  isBehind = false
  /** Of a replaced batch: how many of its records a broker refused, and the first of these refusals. */
  refusedRecords = 0
  refusal: MQError | null = null

  /** Its positions are known to the log, by a frame of its own or by that of the batch it is a part of. */
  get isInLog(): boolean {
    return this.lsn > 0 || this.originLsn > 0
  }

  /** Bytes the arena can still take. */
  get room(): number {
    return this.#room
  }

  /** Exact bytes of a record appended now, without its length prefix. */
  bodyBytesOf(time: RecordTime, keyLength: number, valueLength: number, headerBytes: number): number {
    const delta = this.records === 0 ? 0 : (time.slot[0] as number) - this.baseTimestamp
    return recordBodyBytes(delta, this.records, keyLength, valueLength, headerBytes)
  }

  /** Whether a record of that body, with its length prefix, still fits. */
  hasRoomFor(bodyBytes: number): boolean {
    return varintBytes(bodyBytes) + bodyBytes <= this.#room
  }

  /** Writes one record; the caller made room for it. */
  append(
    bodyBytes: number,
    time: RecordTime,
    key: RecordBytes,
    keyLength: number,
    value: RecordBytes,
    valueLength: number,
    headers: HeadersInput | null,
  ): void {
    const index = this.records
    const timestamp = time.slot[0] as number
    if (index === 0) {
      this.baseTimestamp = timestamp
      this.maxTimestamp = timestamp
    } else if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
    const at = this.bytes
    const delta = timestamp - this.baseTimestamp
    const end = writeRecord(this.#target, at, bodyBytes, delta, index, key, keyLength, value, valueLength, headers)
    this.#room -= end - at
    this.bytes = end
    this.records = index + 1
  }

  /** Takes an arena: the first one, or a larger one into which the records so far are copied. */
  moveInto(arena: Arena): Arena | null {
    const before = this.arena
    if (before === null) this.bytes = BATCH_HEADER_BYTES
    else before.bytes.copy(arena.bytes, 0, 0, this.bytes)
    this.arena = arena
    this.#target = arena.bytes
    this.#room = arena.capacity - this.bytes
    return before
  }

  /** Keeps a batch from growing over `maxBytes` although its arena could take more. */
  limitTo(maxBytes: number): void {
    this.#room = Math.min(this.#room, maxBytes - this.bytes)
  }

  addWaiter(record: number, timestamp: number, callback: SendCallback): void {
    if (this.waiters === null) {
      this.waiters = []
      this.waiterRecords = []
      this.waiterTimestamps = []
    }
    if (callback.accepted !== undefined) this.hasDurableWaiters = true
    this.waiters.push(callback)
    ;(this.waiterRecords as number[]).push(record)
    ;(this.waiterTimestamps as number[]).push(timestamp)
  }

  /** A caller who is told `error` when this batch is told, before the caller of the record that stands at `record`. */
  addRefusedWaiter(record: number, timestamp: number, callback: SendCallback, error: MQError): void {
    this.addWaiter(record, timestamp, callback)
    this.waiterErrors ??= new Map()
    this.waiterErrors.set((this.waiters as SendCallback[]).length - 1, error)
  }

  /** Takes over the callers of another batch, instead of its own. */
  takeWaiters(from: Batch): void {
    this.waiters = from.waiters
    this.waiterRecords = from.waiterRecords
    this.waiterTimestamps = from.waiterTimestamps
    this.waiterErrors = from.waiterErrors
    this.hasDurableWaiters = from.hasDurableWaiters
  }

  /** Its callers in a batch of their own, which are told before it has an outcome; none are left here. */
  callersOnly(): Batch {
    const callers = new Batch()
    callers.takeWaiters(this)
    this.takeWaiters(new Batch())
    return callers
  }

  /** The log has the batch: tells those who wait for that, and for nothing else. */
  tellAccepted(topic: string, partition: number): void {
    this.isAccepted = true
    if (!this.hasDurableWaiters || this.waiters === null) return
    this.hasDurableWaiters = false
    let others = 0
    for (const [at, waiter] of this.waiters.entries()) {
      if (waiter.accepted !== undefined) {
        if (waiter.observesDelivery !== true) this.waiters[at] = NOBODY
        waiter.accepted(topic, partition, this.firstPosition + (this.waiterRecords?.[at] as number))
      }
      if (this.waiters[at] !== NOBODY) others++
    }
    if (others === 0) this.takeWaiters(new Batch()) // A backlog may be as large as the log.
  }

  addToken(token: SettleToken): void {
    if (this.tokens === null) this.tokens = []
    this.tokens.push(token)
    token.left++
  }

  /** The encoded records, uncompressed, as long as the arena is held. */
  get plainRecords(): Uint8Array {
    return this.#target.subarray(BATCH_HEADER_BYTES, this.bytes)
  }

  /** Fixes the wire form: the arena itself, or `compressed` behind a header of its own. */
  finish(codecId: number, compressed: Uint8Array | null): void {
    assert(!this.isFinished && this.records > 0 && this.arena !== null, 'a batch is finished once, with records')
    if (compressed === null) {
      this.#header = this.#target.subarray(0, BATCH_HEADER_BYTES)
      this.#body = this.plainRecords
      this.#view = this.arena.view
    } else {
      this.#header = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
      this.#view = new DataView(this.#header.buffer, this.#header.byteOffset, BATCH_HEADER_BYTES)
      this.#body = compressed
    }
    this.#attributes = compressed === null ? 0 : codecId
    this.#recordsCrc = crc32c(this.#body)
    this.wireBytes = BATCH_HEADER_BYTES + this.#body.length
    writeBatchHeader(this.#view, {
      bytes: this.wireBytes,
      count: this.records,
      attributes: this.#attributes,
      baseTimestamp: this.baseTimestamp,
      maxTimestamp: this.maxTimestamp,
    })
    writeBatchCrc(this.#header, this.#view, this.#body, this.#recordsCrc)
    this.isFinished = true
  }

  /** Writes an identity into the finished batch; the records are not read again. */
  stamp(producerId: bigint, producerEpoch: number, baseSequence: number): void {
    assert(this.isFinished && !this.isInFlight, 'only a finished batch at rest is stamped')
    this.producerId = producerId
    this.producerEpoch = producerEpoch
    this.baseSequence = baseSequence
    if (!this.isPagedOut) this.#writeIdentity()
  }

  #writeIdentity(): void {
    writeIdentity(this.#view, this.producerId, this.producerEpoch, this.baseSequence)
    writeBatchCrc(this.#header, this.#view, this.#body, this.#recordsCrc)
  }

  /** Forgets the identity; allowed only while nothing of it may still be on its way. */
  unstamp(): void {
    assert(!this.isInFlight, 'a batch on the wire keeps its identity')
    this.producerId = NO_PRODUCER_ID
    this.producerEpoch = -1
    this.baseSequence = -1
    this.isDoubtful = false
  }

  get isStamped(): boolean {
    return this.producerId !== NO_PRODUCER_ID
  }

  get lastSequence(): number {
    return lastSequence(this.baseSequence, this.records)
  }

  /** Size on the wire, header included; 0 until finished. Outlives the bytes themselves, for the counters. */
  wireBytes = 0

  /** Size without compression, header included. */
  get plainBytes(): number {
    return this.bytes
  }

  get codecId(): number {
    return this.#attributes & 7
  }

  /** Header and records as they go to the socket: never concatenated. */
  wire(): readonly Uint8Array[] {
    return this.#target.length > 0 && this.#attributes === 0
      ? [this.#target.subarray(0, this.bytes)]
      : [this.#header, this.#body]
  }

  /**
   * Takes its bytes back from the log: a whole RecordBatch v2, owned by this batch from here on. Numbers that it was
   * given since it was written there are written into it.
   */
  restore(bytes: Buffer, records: number, maxTimestamp: number): void {
    assert(this.isPagedOut && bytes.length > BATCH_HEADER_BYTES, 'only what is in the log alone comes from there')
    this.#header = bytes.subarray(0, BATCH_HEADER_BYTES)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, BATCH_HEADER_BYTES)
    this.#body = bytes.subarray(BATCH_HEADER_BYTES)
    this.#attributes = this.#view.getInt16(ATTRIBUTES_AT)
    this.#recordsCrc = crc32c(this.#body)
    this.records = records
    this.baseTimestamp = Number(this.#view.getBigInt64(BASE_TIMESTAMP_AT))
    this.maxTimestamp = maxTimestamp
    this.wireBytes = bytes.length
    this.isFinished = true
    this.isPagedOut = false
    if (this.isStamped) this.#writeIdentity()
  }

  /** The records as they are on the wire, for a check of our own CRC and for a split. */
  get body(): Uint8Array {
    return this.#body
  }

  /** P-34: is what we hold still what the CRC says? */
  isIntact(): boolean {
    return crc32c(this.#body) === this.#recordsCrc
  }

  /** Lets go of all bytes; returns the arena to give back. */
  releaseBytes(): Arena | null {
    const arena = this.arena
    this.arena = null
    this.#target = NO_BYTES
    this.#header = NO_BYTES
    this.#body = NO_BYTES
    this.#view = NO_VIEW
    this.#room = 0
    return arena
  }

  /** Gives back the arena while the compressed form stays. */
  releaseArena(): Arena | null {
    assert(this.isFinished && this.#attributes !== 0, 'only a compressed batch can do without its arena')
    const arena = this.arena
    this.arena = null
    this.#target = NO_BYTES
    return arena
  }
}
