/**
 * The header of the next batch in fetched bytes, and the bytes of its records. Hot path, once per batch.
 * Why apart from the records: control, aborted and already read batches are skipped without touching their records.
 * Invariant: a header that comes out has been checked against the bytes (and the CRC), so that nothing behind it reads
 * outside them; `nextOffset` is always above `baseOffset`, so a reader that follows it moves forward.
 * Source: kafka.md section 2, R-6 and R-7; layout in record-writer.ts.
 */
import { crc32c } from '../util/index.js'
import type { BatchHeader, Decompress } from './batch-header.js'
import { bigint64At, int8At, int16At, int32At, int64At, uint32At } from './big-endian.js'
import { corruptBatch } from './corrupt-batch.js'
import { legacyPayload, readMessageHeader } from './message-set.js'

/** offset int64, size int32, and everything up to and including magic: enough to know what follows. */
const PEEK_BYTES = 17
const LENGTH_AT = 8
/** What batchLength does not count: baseOffset and itself. */
const LENGTH_OVERHEAD = 12
const MAGIC_AT = 16
/** The shortest entry of any magic, and of magic 2, behind the length field. */
const MIN_LENGTH = 14
const MIN_LENGTH_V2 = 49
/** A `records` field has an int32 length, so no batch can be longer. */
const MAX_LENGTH = 2 ** 31 - 1 - LENGTH_OVERHEAD
const CRC_FROM = 21
const RECORDS_AT = 61
const MAX_CODEC_ID = 4
/** A base offset above this could overflow the safe integers within its batch. */
const MAX_BASE_OFFSET = Number.MAX_SAFE_INTEGER - 2 ** 31

/**
 * The header of the batch at `position`, or 'partial' when the bytes end before the batch does (brokers cut there).
 * Throws CONSUME_FAILED/CORRUPT_BATCH. Magic 0 and 1 messages come out as batches of their own.
 *
 * ```ts
 * for (let at = 0; ; at += header.sizeInBytes) {
 *   const header = readBatchHeader(records, at)
 *   if (header === 'partial') break
 * }
 * ```
 */
export function readBatchHeader(bytes: Uint8Array, position: number, checkCrcs = true): BatchHeader | 'partial' {
  const left = bytes.length - position
  if (left < PEEK_BYTES) return 'partial'
  const length = int32At(bytes, position + LENGTH_AT)
  const magic = int8At(bytes, position + MAGIC_AT)
  // Judged before 'partial': waiting for more bytes cannot mend these, and a reader would ask for them for ever.
  if (length < MIN_LENGTH || length > MAX_LENGTH)
    throw corruptBatch(`its length field says ${length}`, { position, length })
  if (magic < 0 || magic > 2) throw corruptBatch(`magic ${magic} is unknown, 0 to 2 were expected`, { position, magic })
  if (left < LENGTH_OVERHEAD + length) return 'partial'
  const header =
    magic === 2
      ? readHeaderV2(bytes, position, length, checkCrcs)
      : readMessageHeader(bytes, position, length, magic as 0 | 1, checkCrcs)
  if (header.baseOffset < 0 || header.baseOffset > MAX_BASE_OFFSET) {
    throw corruptBatch('its offset is no safe integer', { position, baseOffset: header.baseOffset })
  }
  return header
}

function readHeaderV2(bytes: Uint8Array, position: number, length: number, checkCrcs: boolean): BatchHeader {
  const baseOffset = int64At(bytes, position)
  if (length < MIN_LENGTH_V2)
    throw corruptBatch(`its length ${length} is below a header`, { position, baseOffset, length })
  const end = position + LENGTH_OVERHEAD + length
  const crc = uint32At(bytes, position + 17)
  if (checkCrcs) {
    const computed = crc32c(bytes.subarray(position + CRC_FROM, end))
    if (computed !== crc) throw corruptBatch('its CRC-32C is wrong', { position, baseOffset, crc, computed })
  }
  const attributes = int16At(bytes, position + 21)
  const lastOffsetDelta = int32At(bytes, position + 23)
  const count = int32At(bytes, position + 57)
  const codecId = attributes & 7
  if (codecId > MAX_CODEC_ID) throw corruptBatch(`codec ${codecId} is unknown`, { position, baseOffset, codecId })
  if (count < 0) throw corruptBatch(`it claims ${count} records`, { position, baseOffset, count })
  if (lastOffsetDelta < 0) throw corruptBatch('it ends before it starts', { position, baseOffset, lastOffsetDelta })
  return {
    position,
    sizeInBytes: LENGTH_OVERHEAD + length,
    magic: 2,
    baseOffset,
    lastOffsetDelta,
    nextOffset: baseOffset + lastOffsetDelta + 1,
    partitionLeaderEpoch: int32At(bytes, position + 12),
    crc,
    attributes,
    codecId,
    isLogAppendTime: (attributes & 0x08) !== 0,
    isTransactional: (attributes & 0x10) !== 0,
    isControl: (attributes & 0x20) !== 0,
    hasDeleteHorizon: (attributes & 0x40) !== 0,
    baseTimestamp: int64At(bytes, position + 27),
    maxTimestamp: int64At(bytes, position + 35),
    exactBaseTimestamp: exactAt(bytes, position + 27),
    exactMaxTimestamp: exactAt(bytes, position + 35),
    producerId: bigint64At(bytes, position + 43),
    producerEpoch: int16At(bytes, position + 51),
    baseSequence: int32At(bytes, position + 53),
    count,
    payloadAt: position + RECORDS_AT,
    payloadEnd: end,
    isCrcChecked: checkCrcs,
  }
}

function exactAt(bytes: Uint8Array, at: number): bigint | null {
  return Number.isSafeInteger(int64At(bytes, at)) ? null : bigint64At(bytes, at)
}

/**
 * The records of a batch, decompressed when they are compressed: what `RecordCursor.open` takes. A view of `bytes`
 * when there is no codec. A promise only when `decompress` gives one.
 */
export function recordsOf(
  bytes: Uint8Array,
  header: BatchHeader,
  decompress: Decompress,
): Uint8Array | Promise<Uint8Array> {
  if (header.magic !== 2) return legacyPayload(bytes, header, decompress)
  const payload = bytes.subarray(header.payloadAt, header.payloadEnd)
  // The cleaner leaves emptied batches with their codec bits but without a compressed block.
  if (header.codecId === 0 || (header.count === 0 && payload.length === 0)) return payload
  return decompress(header.codecId, payload, header.magic)
}
