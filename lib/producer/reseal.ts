/**
 * Records of a refused batch go on in other batches: smaller ones (split), or without the records that are bad.
 * Invariant: every record that goes on keeps its key, value, headers, timestamp, order and its caller; nothing of the
 * refused batch is in the log (the caller of this file made sure), so the new batches take a new identity.
 */
import { codecById, DEFAULT_DECOMPRESS_CEILING } from '../codec/index.js'
import type { MQError } from '../errors/index.js'
import {
  BATCH_HEADER_BYTES,
  type HeadersInput,
  headersBytes,
  RecordCursor,
  readBatchHeader,
  recordBodyBytes,
  varintBytes,
} from '../protocol/index.js'
import { assert } from '../util/index.js'
import { Batch, type SendCallback } from './batch.js'
import type { BatchMemory } from './batch-memory.js'
import { RecordTime } from './record-clock.js'

/** A frame of the log has one byte for the number of parts (wal.md 2.5). */
const MOST_PARTS = 255

/** The records of a batch, uncompressed. */
export function plainRecordsOf(batch: Batch): Uint8Array | Promise<Uint8Array> {
  if (batch.codecId === 0) return batch.body
  return codecById(batch.codecId).decompress(batch.body, DEFAULT_DECOMPRESS_CEILING)
}

/** What a broker has against a record; null: it goes on. */
export type RefusalOf = (record: number) => MQError | null

/**
 * Distributes records over new sealed batches of at most `maxBytes` each; refused ones are left out, and their callers
 * are told when it is their turn. Returns null when memory does not allow it now; nothing has changed then.
 */
export function reseal(
  batch: Batch,
  plain: Uint8Array,
  maxBytes: number,
  refusalOf: RefusalOf,
  memory: BatchMemory,
): Batch[] | null {
  const sizes = planParts(openRecords(batch, plain), maxBytes, refusalOf, batch.isInLog)
  const parts = sizes.map(() => new Batch())
  const bytes = sizes.map((size) => size.bytes)
  const cursor = openRecords(batch, plain)
  if (!memory.exchange(batch, parts, bytes)) return null
  const callers = new Callers(batch)
  let index = -1
  let live: Batch | null = null
  const isCut = batch.isInLog && sizes.length === MOST_PARTS
  const restAt = isCut ? (sizes.at(-1) as PartSize).first : Number.POSITIVE_INFINITY
  for (let record = 0; cursor.next(); record++) {
    const refusal = record < restAt ? refusalOf(record) : null
    if (refusal === null || batch.isInLog) {
      if (parts[index]?.records === sizes[index]?.records) index++
      const part = parts[index] as Batch
      part.isRefused = refusal !== null
      if (refusal === null) live = part
      if (refusal === null) callers.before(record, part)
      append(part, cursor)
    }
    if (refusal !== null) batch.refusedRecords++
    batch.refusal ??= refusal
    callers.of(record, live, refusal)
  }
  callers.before(Number.POSITIVE_INFINITY, live)
  batch.takeWaiters(callers.first)
  for (const [place, part] of parts.entries()) {
    inherit(part, batch, place, parts.length)
    if (batch.isInLog) part.firstPosition = batch.firstPosition + (sizes[place] as PartSize).first
  }
  return parts
}

interface PartSize {
  /** Number of its first record in the batch. */
  readonly first: number
  readonly isRefused: boolean
  records: number
  bytes: number
}

/**
 * How many records and bytes each part gets. A record that is larger than `maxBytes` gets a part of its own; what is in
 * the log keeps its positions, so there what is refused is a part too. Of what the log cannot count, the last part is the rest as it
 * is: a broker that refuses that too has it split again.
 */
function planParts(cursor: RecordCursor, maxBytes: number, refusalOf: RefusalOf, isInLog: boolean): PartSize[] {
  const sizes: PartSize[] = []
  let baseTimestamp = 0
  for (let record = 0; cursor.next(); record++) {
    const isRest = isInLog && sizes.length === MOST_PARTS
    const isRefused = !isRest && refusalOf(record) !== null
    if (isRefused && !isInLog) continue
    let part = sizes.at(-1)
    let bytes = part === undefined ? 0 : recordBytes(cursor, cursor.timestamp - baseTimestamp, part.records)
    const isOther = part?.isRefused !== isRefused
    if (part === undefined || (!isRest && (part.bytes + bytes > maxBytes || isOther))) {
      baseTimestamp = cursor.timestamp
      bytes = recordBytes(cursor, 0, 0)
      part = { first: record, isRefused, records: 0, bytes: BATCH_HEADER_BYTES }
      sizes.push(part)
    }
    part.records++
    part.bytes += bytes
  }
  return sizes
}

/** Bytes of the record the cursor is at, as number `index` of a batch, length prefix included. */
function recordBytes(cursor: RecordCursor, timestampDelta: number, index: number): number {
  const headers = headersBytes(cursor.headerCount === 0 ? null : cursor.headers())
  const body = recordBodyBytes(timestampDelta, index, cursor.keyLength, cursor.valueLength, headers)
  return varintBytes(body) + body
}

function append(part: Batch, cursor: RecordCursor): void {
  const headers: HeadersInput | null = cursor.headerCount === 0 ? null : cursor.headers()
  const { keyLength, valueLength } = cursor
  const time = new RecordTime()
  time.ms = cursor.timestamp
  const bodyBytes = part.bodyBytesOf(time, keyLength, valueLength, headersBytes(headers))
  assert(part.hasRoomFor(bodyBytes), 'a part was measured for its records')
  part.append(bodyBytes, time, cursor.key(), keyLength, cursor.value(), valueLength, headers)
}

/** Parts share their origin's place in the order evenly, so that a part of a part stands between its siblings. */
function inherit(part: Batch, batch: Batch, place: number, count: number): void {
  part.sequenceSpan = batch.sequenceSpan / count
  part.sequence = batch.sequence + place * part.sequenceSpan
  part.firstAtMs = batch.firstAtMs
  part.lastError = batch.lastError
  part.isTold = batch.isTold
  part.isRecovered = batch.isRecovered
  if (!part.isRefused) for (const token of batch.tokens ?? []) part.addToken(token)
}

/**
 * Callers follow their records into the parts, in their order. One whose record is refused is told with the part before
 * it, so that nobody is told before an older one; without such a part, at once.
 */
class Callers {
  /** Those in front of every part. */
  readonly first = new Batch()
  readonly #from: Batch
  #at = 0

  constructor(from: Batch) {
    this.#from = from
  }

  /** Callers that were refused earlier and stand before `record`. */
  before(record: number, part: Batch | null): void {
    const { waiterRecords, waiterErrors } = this.#from
    if (waiterRecords === null || waiterErrors === null) return
    while (this.#at < waiterRecords.length && (waiterRecords[this.#at] as number) <= record) {
      const error = waiterErrors.get(this.#at)
      if (error === undefined) return
      this.#move(part, part?.records ?? 0, error)
    }
  }

  /** Callers of `record` itself, which the part has just taken, or which is refused. */
  of(record: number, part: Batch | null, refusal: MQError | null): void {
    const { waiterRecords, waiterErrors } = this.#from
    while (waiterRecords?.[this.#at] === record) {
      const error = waiterErrors?.get(this.#at) ?? refusal
      this.#move(part, error === null ? (part as Batch).records - 1 : (part?.records ?? 0), error)
    }
  }

  #move(part: Batch | null, record: number, error: MQError | null): void {
    const { waiters, waiterTimestamps } = this.#from
    const waiter = waiters?.[this.#at] as SendCallback
    const timestamp = waiterTimestamps?.[this.#at] as number
    this.#at++
    const target = part ?? this.first
    if (error === null) target.addWaiter(record, timestamp, waiter)
    else target.addRefusedWaiter(record, timestamp, waiter, error)
  }
}

/** A cursor at the first record of a finished batch; `plain` is what `plainRecordsOf` gave. */
export function openRecords(batch: Batch, plain: Uint8Array): RecordCursor {
  const header = readBatchHeader(Buffer.concat(batch.wire()), 0, false)
  assert(header !== 'partial', 'a finished batch has a whole header')
  const cursor = new RecordCursor()
  cursor.open(header, plain)
  return cursor
}
