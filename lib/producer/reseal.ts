/**
 * Records of a refused batch go on in other batches: smaller ones (split), or without the records that are bad.
 * Invariant: every record that goes on keeps its key, value, headers, timestamp, order and its caller; nothing of the
 * refused batch is in the log (the caller of this file made sure), so the new batches take a new identity.
 */
import { codecById, DEFAULT_DECOMPRESS_CEILING } from '../codec/index.js'
import {
  BATCH_HEADER_BYTES,
  type HeadersInput,
  headersBytes,
  RecordCursor,
  readBatchHeader,
} from '../protocol/index.js'
import { assert } from '../util/index.js'
import { Batch } from './batch.js'
import type { BatchMemory } from './batch-memory.js'
import { RecordTime } from './record-clock.js'

/** The records of a batch, uncompressed. */
export function plainRecordsOf(batch: Batch): Uint8Array | Promise<Uint8Array> {
  if (batch.codecId === 0) return batch.body
  return codecById(batch.codecId).decompress(batch.body, DEFAULT_DECOMPRESS_CEILING)
}

/**
 * Distributes records over new sealed batches of at most `maxBytes` each; those for which `keep` says no are left out.
 * Returns null when memory does not allow it now; nothing has changed then.
 */
export function reseal(
  batch: Batch,
  plain: Uint8Array,
  maxBytes: number,
  keep: (record: number) => boolean,
  memory: BatchMemory,
): Batch[] | null {
  const parts: Batch[] = []
  const cursor = openRecords(batch, plain)
  for (let record = 0; cursor.next(); record++) {
    const target = keep(record) ? write(parts, cursor, maxBytes, memory) : null
    if (target === undefined) {
      for (const part of parts) memory.release(part)
      return null
    }

    if (target !== null) moveWaiters(batch, record, target)
  }
  for (const [index, part] of parts.entries()) {
    // Parts share their origin's place in the order evenly, so that a part of a part stands between its siblings.
    part.sequenceSpan = batch.sequenceSpan / parts.length
    part.sequence = batch.sequence + index * part.sequenceSpan
    part.firstAtMs = batch.firstAtMs
    part.lastError = batch.lastError
  }
  for (const token of batch.tokens ?? []) for (const part of parts) part.addToken(token)
  return parts
}

/** Appends the record the cursor is at; undefined when there is no memory. */
function write(parts: Batch[], cursor: RecordCursor, maxBytes: number, memory: BatchMemory): Batch | undefined {
  const key = cursor.key()
  const value = cursor.value()
  const headers: HeadersInput | null = cursor.headerCount === 0 ? null : cursor.headers()
  const headerBytes = headersBytes(headers)
  const keyLength = key === null ? -1 : key.length
  const valueLength = value === null ? -1 : value.length
  const time = new RecordTime()
  time.ms = cursor.timestamp
  let part = parts.at(-1)
  let bodyBytes = part?.bodyBytesOf(time, keyLength, valueLength, headerBytes) ?? 0
  if (part === undefined || !part.hasRoomFor(bodyBytes)) {
    part = new Batch()
    bodyBytes = part.bodyBytesOf(time, keyLength, valueLength, headerBytes)
    const needed = BATCH_HEADER_BYTES + bodyBytes + 5
    if (!memory.growFromReserve(part, Math.max(maxBytes, needed))) return undefined
    part.limitTo(Math.max(maxBytes, needed))
    parts.push(part)
  }
  part.append(bodyBytes, time, key, keyLength, value, valueLength, headers)
  return part
}

/** Callers of one record follow it into its new batch. */
function moveWaiters(from: Batch, record: number, to: Batch): void {
  const { waiters, waiterRecords, waiterTimestamps } = from
  if (waiters === null || waiterRecords === null || waiterTimestamps === null) return
  // Waiters are in record order: a search from the left, as records come in order too.
  for (let at = firstAt(waiterRecords, record); waiterRecords[at] === record; at++) {
    const waiter = waiters[at]
    assert(waiter !== undefined, 'waiters and their records are parallel')
    to.addWaiter(to.records - 1, waiterTimestamps[at] as number, waiter)
  }
}

/** Index of the first element not below `value` in an ascending list. */
function firstAt(list: readonly number[], value: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((list[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** A cursor at the first record of a finished batch; `plain` is what `plainRecordsOf` gave. */
export function openRecords(batch: Batch, plain: Uint8Array): RecordCursor {
  const header = readBatchHeader(Buffer.concat(batch.wire()), 0, false)
  assert(header !== 'partial', 'a finished batch has a whole header')
  const cursor = new RecordCursor()
  cursor.open(header, plain)
  return cursor
}
