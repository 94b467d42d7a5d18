/**
 * Steps through the records of one batch without creating anything per record. Hot path.
 * The fields tell where key, value and headers lie in `bytes`; who wants a record to outlive the step copies numbers.
 *
 *   length varint | attributes i8 | timestampDelta varlong | offsetDelta varint | key | value | header count | headers
 *
 * Invariant: fields point inside `bytes`; a record is exactly as long as it says, and the records of a batch are
 * exactly as many and as long as the batch says, else CORRUPT_BATCH. Source: kafka.md section 2, R-6 and R-7.
 */
import type { BatchHeader } from './batch-header.js'
import { corruptBatch } from './corrupt-batch.js'
import { offsetShift, readMessage } from './message-set.js'

export type RecordHeader = readonly [name: string, value: Uint8Array | null]

/** length, attributes, two deltas, two lengths, header count: one byte each. */
const MIN_RECORD_BYTES = 7

const NO_BYTES = new Uint8Array(0)

/**
 * ```ts
 * cursor.open(header, await recordsOf(bytes, header, decompress))
 * while (cursor.next()) if (cursor.offset >= position) deliver(cursor.value())
 * ```
 * A cursor is reused for any number of batches.
 */
export class RecordCursor {
  /** What the positions below refer to: the decompressed records. */
  bytes: Uint8Array = NO_BYTES
  offset = -1
  offsetDelta = 0
  /** Milliseconds; beyond +-2^53 the nearest double, see `exactTimestamp`. */
  timestamp = -1
  keyStart = 0
  /** Bytes, -1 for null; the same for values. */
  keyLength = -1
  valueStart = 0
  valueLength = -1
  /** Where the first header starts; `readHeaders` takes both. */
  headersStart = 0
  headerCount = 0
  #header: BatchHeader | null = null
  #at = 0 // behind the record that was read last
  #left = 0 // records not read yet
  #baseOffset = 0
  #baseTimestamp = 0
  #fixedTimestamp = false // log-append time: every record has the batch's
  #deltaHigh = 0 // timestamp delta of the present record, upper and lower 32 bits
  #deltaLow = 0

  /** Starts at the first record of a batch. `records` is what `recordsOf` gave. Throws CORRUPT_BATCH. */
  open(header: BatchHeader, records: Uint8Array): void {
    this.bytes = records
    this.#header = header
    this.#at = 0
    this.headerCount = 0
    this.#fixedTimestamp = header.isLogAppendTime
    this.#baseTimestamp = header.isLogAppendTime ? header.maxTimestamp : header.baseTimestamp
    if (header.magic !== 2) {
      this.#left = -1 // Only the content tells how many.
      this.#baseOffset = offsetShift(records, header)
      return
    }
    this.#left = header.count
    this.#baseOffset = header.baseOffset
    if (header.count > records.length / MIN_RECORD_BYTES) {
      throw this.#corrupt(`${records.length} B cannot hold the ${header.count} records it claims`)
    }
    if (header.count === 0 && records.length > 0) throw this.#corrupt('it claims no records and holds bytes')
  }

  /** Goes to the next record; false behind the last one. Throws CORRUPT_BATCH. */
  next(): boolean {
    if (this.#left <= 0) return this.#left < 0 ? this.#nextMessage() : false
    this.#left--
    const bytes = this.bytes
    let at = this.#at
    let byte = bytes[at++] as number
    let length = (byte >>> 1) ^ -(byte & 1)
    if (!(byte < 128)) {
      length = this.#longVarint(at - 1)
      at = this.#at
    }
    const end = at + length
    if (length < MIN_RECORD_BYTES - 1 || end > bytes.length)
      throw this.#corrupt('a record runs past the end of its batch')
    at = this.#readTimestamp(at + 1) // Attributes of a record are unused.
    byte = bytes[at++] as number
    let delta = (byte >>> 1) ^ -(byte & 1)
    if (!(byte < 128)) {
      delta = this.#longVarint(at - 1)
      at = this.#at
    }
    this.offsetDelta = delta
    this.offset = this.#baseOffset + delta
    byte = bytes[at++] as number
    let size = (byte >>> 1) ^ -(byte & 1)
    if (!(byte < 128)) {
      size = this.#longVarint(at - 1)
      at = this.#at
    }
    this.keyStart = at
    this.keyLength = size < 0 ? -1 : size
    if (size > 0) at += size
    if (at > end) throw this.#corrupt('the key of a record is longer than the record')
    byte = bytes[at++] as number
    size = (byte >>> 1) ^ -(byte & 1)
    if (!(byte < 128)) {
      size = this.#longVarint(at - 1)
      at = this.#at
    }
    this.valueStart = at
    this.valueLength = size < 0 ? -1 : size
    if (size > 0) at += size
    if (at >= end) throw this.#corrupt('the value of a record is longer than the record')
    if (bytes[at] === 0) {
      this.headersStart = ++at
      this.headerCount = 0
    } else {
      at = this.#skipHeaders(at, end)
    }
    if (at !== end) throw this.#corrupt('a record is longer or shorter than it says')
    if (this.#left === 0 && at !== bytes.length) throw this.#corrupt('bytes are left behind its last record')
    this.#at = at
    return true
  }

  /** Position behind the record that was read last. */
  get end(): number {
    return this.#at
  }

  /** A view of the key's bytes, or null. */
  key(): Uint8Array | null {
    return this.keyLength < 0 ? null : this.bytes.subarray(this.keyStart, this.keyStart + this.keyLength)
  }

  /** A view of the value's bytes, or null. */
  value(): Uint8Array | null {
    return this.valueLength < 0 ? null : this.bytes.subarray(this.valueStart, this.valueStart + this.valueLength)
  }

  headers(): RecordHeader[] {
    return readHeaders(this.bytes, this.headersStart, this.headerCount)
  }

  /** The timestamp as the wire has it, also beyond +-2^53 (writers that count nanoseconds get there). */
  exactTimestamp(): bigint {
    const header = this.#header as BatchHeader
    if (header.magic !== 2) return BigInt(this.timestamp)
    if (header.isLogAppendTime) return header.exactMaxTimestamp ?? BigInt(header.maxTimestamp)
    const delta = (BigInt(this.#deltaHigh) << 32n) | BigInt(this.#deltaLow >>> 0)
    return BigInt.asIntN(64, (header.exactBaseTimestamp ?? BigInt(header.baseTimestamp)) + delta)
  }

  #nextMessage(): boolean {
    if (this.#at === this.bytes.length) return false
    this.#at = readMessage(this.bytes, this.#at, this.#header as BatchHeader, this)
    this.offset += this.#baseOffset
    return true
  }

  /** Reads a varlong at `at`, sets the timestamp, and gives the position behind it. */
  #readTimestamp(at: number): number {
    const bytes = this.bytes
    const first = bytes[at] as number
    let bits = first & 127
    let next = at + 1
    if (first >= 128) {
      const second = bytes[next++] as number
      bits |= (second & 127) << 7
      if (second >= 128) {
        const third = bytes[next++] as number
        bits |= (third & 127) << 14
        if (third >= 128) return this.#readLongTimestamp(at)
      }
    }
    const delta = (bits >>> 1) ^ -(bits & 1)
    this.#deltaLow = delta
    this.#deltaHigh = delta >> 31
    this.timestamp = this.#fixedTimestamp ? this.#baseTimestamp : this.#baseTimestamp + delta
    return next
  }

  /** Up to ten bytes, in two halves of 32 bits; what does not fit 64 bits is dropped, as Java does. */
  #readLongTimestamp(at: number): number {
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[at++]
      if (byte === undefined || (shift === 63 && byte >= 128)) throw this.#corrupt('a timestamp never ends')
      const bits = byte & 127
      if (shift < 32) low |= bits << shift
      if (shift > 28) high |= bits << (shift - 32)
      else if (shift === 28) high |= bits >>> 4
      if (byte < 128) break
    }
    const sign = -(low & 1)
    this.#deltaLow = ((low >>> 1) | (high << 31)) ^ sign
    this.#deltaHigh = (high >>> 1) ^ sign
    this.timestamp = this.#fixedTimestamp ? this.#baseTimestamp : this.#sum()
    return at
  }

  #sum(): number {
    const delta = this.#deltaHigh * 0x1_0000_0000 + (this.#deltaLow >>> 0)
    const base = this.#baseTimestamp
    if (Number.isSafeInteger(delta) && Number.isSafeInteger(base)) return base + delta
    return Number(this.exactTimestamp())
  }

  /** A varint of any length at `at`, and #at behind it. Bits beyond 32 are dropped, as Java does. */
  #longVarint(at: number): number {
    let bits = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[at++]
      if (byte === undefined) throw this.#corrupt('its records end inside a number')
      bits |= (byte & 127) << shift
      if (byte < 128) {
        this.#at = at
        return (bits >>> 1) ^ -(bits & 1)
      }
    }
    throw this.#corrupt('a number of a record never ends')
  }

  /** Checks every header's lengths without decoding it, and gives the position behind the last. */
  #skipHeaders(at: number, end: number): number {
    const count = this.#longVarint(at)
    at = this.#at
    if (count < 0 || count > (end - at) / 2) throw this.#corrupt(`a record claims ${count} headers`)
    this.headersStart = at
    this.headerCount = count
    for (let i = 0; i < count; i++) {
      const nameLength = this.#longVarint(at)
      at = this.#at + nameLength
      if (nameLength < 0 || at >= end) throw this.#corrupt('the name of a header is longer than the record')
      const valueLength = this.#longVarint(at)
      at = this.#at + Math.max(0, valueLength)
      if (at > end) throw this.#corrupt('the value of a header is longer than the record')
    }
    return at
  }

  #corrupt(what: string): Error {
    const header = this.#header as BatchHeader
    return corruptBatch(what, { baseOffset: header.baseOffset, position: header.position, count: header.count })
  }
}

/** The headers of a record a cursor has been at: `bytes`, `headersStart` and `headerCount` of that cursor. */
export function readHeaders(bytes: Uint8Array, headersStart: number, headerCount: number): RecordHeader[] {
  const headers: RecordHeader[] = []
  let at = headersStart
  const varint = (): number => {
    let bits = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number
      bits |= (byte & 127) << shift
      if (byte < 128) return (bits >>> 1) ^ -(bits & 1)
    }
  }
  for (let i = 0; i < headerCount; i++) {
    const nameLength = varint()
    const name = textAt(bytes, at, nameLength)
    at += nameLength
    const valueLength = varint()
    headers.push([name, valueLength < 0 ? null : bytes.subarray(at, at + valueLength)])
    at += Math.max(0, valueLength)
  }
  return headers
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('utf8')
}
