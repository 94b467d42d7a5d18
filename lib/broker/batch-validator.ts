/**
 * Whether a produced batch may enter a log (kafka.md B-2, B-4), with the error numbers of Apache Kafka 4.1.1.
 * The order of the checks is part of the behaviour: a batch that is both too large and corrupt is "too large".
 * Invariant: a batch that passed can be served, walked and decompressed by every reader later.
 *
 *   probe    before the log is known: exactly one whole batch of magic 2          (no log start offset in the answer)
 *   measure  against the topic: base offset, size, CRC
 *   inspect  inside: count, sequence, control bit, every record
 */
import { codecById, DEFAULT_DECOMPRESS_CEILING } from '../codec/index.js'
import {
  asBuffer,
  attributesOf,
  BATCH_HEADER_BYTES,
  type BatchHeader,
  CODEC_MASK,
  CONTROL_BIT,
  isCrcValid,
  LOG_OVERHEAD_BYTES,
  lengthOf,
  MAGIC_END_BYTES,
  magicOf,
  readHeader,
  SMALLEST_LENGTH,
  TRANSACTIONAL_BIT,
} from './batch-header.js'
import { RecordWalker } from './record-walk.js'

const UNKNOWN_SERVER_ERROR = -1
const CORRUPT_MESSAGE = 2
const MESSAGE_TOO_LARGE = 10
const RECORD_LIST_TOO_LARGE = 18
const INVALID_TIMESTAMP = 32
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
const UNSUPPORTED_COMPRESSION_TYPE = 76
const INVALID_RECORD = 87

const ZSTD = 4
const LAST_CODEC = 4
/** First Produce version that may carry zstd. */
const ZSTD_PRODUCE_VERSION = 7
const INT32_MAX = 2 ** 31 - 1

export interface RecordError {
  readonly batchIndex: number
  readonly batchIndexErrorMessage: string | null
}

/** A "no". `knowsLog`: the answer carries the log start offset, because Kafka finds this inside the log. */
export interface Refusal {
  readonly errorCode: number
  readonly message: string | null
  readonly recordErrors: readonly RecordError[]
  readonly knowsLog: boolean
}

/** The topic's settings that decide about a batch. */
export interface BatchRules {
  readonly maxMessageBytes: number
  readonly segmentBytes: number
  readonly isCompacted: boolean
  readonly isLogAppendTime: boolean
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  /** 'header' trusts the records inside; for load tests only. */
  readonly validate: 'full' | 'header'
}

/** A "yes": the batch without anything behind it, and what its records say. */
export interface SoundBatch {
  readonly bytes: Buffer
  readonly header: BatchHeader
  /** Largest record timestamp; that of the header when it could not be computed exactly. */
  readonly maxTimestamp: number
}

/** A "no" without a text: Kafka explains only damaged frames and guilty records. */
export function refusal(errorCode: number, message: string | null = null): Refusal {
  return { errorCode, message, recordErrors: [], knowsLog: false }
}

/** As `refusal`, found inside the log: the answer carries the log start offset. */
export function refusalInLog(errorCode: number): Refusal {
  return { errorCode, message: null, recordErrors: [], knowsLog: true }
}

export function isRefusal(value: SoundBatch | Buffer | Refusal): value is Refusal {
  return 'knowsLog' in value
}

/** Exactly one whole batch of magic 2; a cut one behind it is ignored. */
export function probe(records: Uint8Array | null, produceVersion: number): Buffer | Refusal {
  const bytes = asBuffer(records ?? new Uint8Array(0))
  const first = wholeBatchAt(bytes, 0)
  if (typeof first !== 'number') return first
  if (first === 0) return refusal(INVALID_RECORD)
  if (magicOf(bytes) !== 2) return refusal(INVALID_RECORD)
  const isZstd = first >= BATCH_HEADER_BYTES && (attributesOf(bytes) & CODEC_MASK) === ZSTD
  if (isZstd && produceVersion < ZSTD_PRODUCE_VERSION) {
    return refusal(UNSUPPORTED_COMPRESSION_TYPE)
  }
  const second = wholeBatchAt(bytes, first)
  if (typeof second !== 'number') return second
  if (second > 0) return refusal(INVALID_RECORD)
  const isTransactional =
    first > BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES && (attributesOf(bytes) & TRANSACTIONAL_BIT) !== 0
  if (isTransactional) {
    return refusal(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
  }
  return first === bytes.length ? bytes : bytes.subarray(0, first)
}

/** Size of the batch at `at`, 0 when it is not whole, or why not even the frame makes sense. */
function wholeBatchAt(bytes: Buffer, at: number): number | Refusal {
  if (bytes.length - at < MAGIC_END_BYTES) return 0
  const length = lengthOf(bytes, at)
  if (length < SMALLEST_LENGTH)
    return refusal(CORRUPT_MESSAGE, `a batch length of ${length} is below ${SMALLEST_LENGTH}`)
  if (length > INT32_MAX - LOG_OVERHEAD_BYTES) return refusal(UNKNOWN_SERVER_ERROR)
  const magic = magicOf(bytes, at)
  if (magic < 0 || magic > 2) return refusal(CORRUPT_MESSAGE, `magic is 0, 1 or 2, ${magic} came`)
  return bytes.length - at < length + LOG_OVERHEAD_BYTES ? 0 : length + LOG_OVERHEAD_BYTES
}

/** Everything that concerns the topic. A promise only where a codec has no synchronous form. */
export function inspect(
  bytes: Buffer,
  rules: BatchRules,
  nowMs: number,
): SoundBatch | Refusal | Promise<SoundBatch | Refusal> {
  const refused = measure(bytes, rules)
  if (refused !== null) return refused
  const header = readHeader(bytes)
  const wrongHeader = checkHeader(header)
  if (wrongHeader !== null) return wrongHeader
  if (rules.validate === 'header') return { bytes, header, maxTimestamp: header.maxTimestamp }
  const codec = header.attributes & CODEC_MASK
  if (codec === 0) return walk(bytes, header, bytes, BATCH_HEADER_BYTES, rules, nowMs)
  const plain = decompressed(codec, bytes)
  if (plain instanceof Promise) return plain.then((section) => walkSection(bytes, header, section, rules, nowMs))
  return walkSection(bytes, header, plain, rules, nowMs)
}

function measure(bytes: Buffer, rules: BatchRules): Refusal | null {
  if (bytes.length >= 8 && (bytes.readInt32BE(0) !== 0 || bytes.readInt32BE(4) !== 0)) {
    return refusalInLog(INVALID_RECORD)
  }
  if (bytes.length > rules.maxMessageBytes) {
    return refusal(MESSAGE_TOO_LARGE)
  }
  if (bytes.length < BATCH_HEADER_BYTES || !isCrcValid(bytes)) {
    return refusal(CORRUPT_MESSAGE)
  }
  if (bytes.length > rules.segmentBytes) {
    return refusal(RECORD_LIST_TOO_LARGE)
  }
  return null
}

function checkHeader(header: BatchHeader): Refusal | null {
  if ((header.attributes & CODEC_MASK) > LAST_CODEC) return refusalInLog(UNKNOWN_SERVER_ERROR)
  if (header.count <= 0) return refusalInLog(INVALID_RECORD)
  if (header.lastOffsetDelta !== header.count - 1) {
    return refusalInLog(INVALID_RECORD)
  }
  if (header.producerId >= 0n && header.baseSequence < 0) {
    return refusalInLog(INVALID_RECORD)
  }
  if ((header.attributes & CONTROL_BIT) !== 0) {
    return refusalInLog(INVALID_RECORD)
  }
  return null
}

/** The records as plain bytes, or null when they cannot be decompressed. */
function decompressed(codec: number, bytes: Buffer): Uint8Array | null | Promise<Uint8Array | null> {
  try {
    const plain = codecById(codec).decompress(bytes.subarray(BATCH_HEADER_BYTES), DEFAULT_DECOMPRESS_CEILING)
    // A payload that is no stream of that codec is an expected outcome here: the sender's mistake, answered as -1.
    return plain instanceof Promise ? plain.catch(() => null) : plain
  } catch {
    return null
  }
}

function walkSection(
  bytes: Buffer,
  header: BatchHeader,
  section: Uint8Array | null,
  rules: BatchRules,
  nowMs: number,
): SoundBatch | Refusal {
  if (section === null) return refusalInLog(UNKNOWN_SERVER_ERROR)
  return walk(bytes, header, section, 0, rules, nowMs)
}

/** One walker serves all: validation never interleaves. */
const walker = new RecordWalker()

function walk(
  bytes: Buffer,
  header: BatchHeader,
  section: Uint8Array,
  start: number,
  rules: BatchRules,
  nowMs: number,
): SoundBatch | Refusal {
  const isCompressed = start === 0
  const base = header.baseTimestamp
  const oldest = nowMs - rules.timestampBeforeMaxMs
  const newest = nowMs + rules.timestampAfterMaxMs
  const checksTime = !rules.isLogAppendTime
  let maxTimestamp = Number.NEGATIVE_INFINITY
  let isExact = Number.isSafeInteger(base)
  let faults: RecordFault[] | null = null
  walker.open(section, start)
  for (let index = 0; index < header.count; index++) {
    if (!walker.next()) return damaged(index)
    const timestamp = base + walker.timestampDelta
    isExact = isExact && walker.isTimestampExact
    if (timestamp > maxTimestamp) maxTimestamp = timestamp
    const isKeyMissing = rules.isCompacted && walker.keyLength < 0
    const isMisplaced = isCompressed && walker.offsetDelta !== index
    const isOutOfTime = checksTime && timestamp !== -1 && (timestamp < oldest || timestamp > newest)
    if (isKeyMissing || isMisplaced || isOutOfTime) {
      faults = faults ?? []
      faults.push({ index, isOutOfTime: !isKeyMissing && isOutOfTime, timestamp, isKeyMissing })
    }
  }
  if (!walker.isAtEnd) return refusalInLog(INVALID_RECORD)
  if (faults !== null) return recordRefusal(faults, oldest, newest)
  return { bytes, header, maxTimestamp: isExact ? maxTimestamp : header.maxTimestamp }
}

function damaged(_index: number): Refusal {
  if (walker.fault === 'overlong') return refusalInLog(UNKNOWN_SERVER_ERROR)
  return refusalInLog(INVALID_RECORD)
}

interface RecordFault {
  readonly index: number
  readonly isOutOfTime: boolean
  readonly isKeyMissing: boolean
  readonly timestamp: number
}

/** KIP-467: the guilty records by index; one of a wrong time decides the code of all. */
function recordRefusal(faults: readonly RecordFault[], oldest: number, newest: number): Refusal {
  const isTime = faults.some((fault) => fault.isOutOfTime)
  return {
    errorCode: isTime ? INVALID_TIMESTAMP : INVALID_RECORD,
    message: `${faults.length} records were refused, the first has index ${faults[0]?.index}`,
    recordErrors: faults.map((fault) => ({
      batchIndex: fault.index,
      batchIndexErrorMessage: describeFault(fault, oldest, newest),
    })),
    knowsLog: true,
  }
}

function describeFault(fault: RecordFault, oldest: number, newest: number): string {
  if (fault.isOutOfTime) return `timestamp ${fault.timestamp} is outside ${oldest}..${newest}`
  return fault.isKeyMissing ? 'a compacted topic needs a key' : 'offset deltas of a compressed batch count from 0'
}
