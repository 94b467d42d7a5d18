/**
 * Stored batches as records, for control calls (`broker.records`), time lookups and compaction; never for fetches,
 * which pass batches on unread.
 * Invariant: keys, values and header values are views of the batch or of its decompressed section.
 */
import { codecById, DEFAULT_DECOMPRESS_CEILING } from '../codec/index.js'
import { MQError } from '../errors/index.js'
import { asBuffer, BATCH_HEADER_BYTES, CODEC_MASK, LOG_APPEND_BIT, readHeader } from './batch-header.js'
import { RecordWalker } from './record-walk.js'

export interface LoggedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

/** All records of one batch, in order. */
export async function readRecords(batch: Uint8Array): Promise<LoggedRecord[]> {
  const bytes = asBuffer(batch)
  const header = readHeader(bytes)
  const codec = header.attributes & CODEC_MASK
  const raw = bytes.subarray(BATCH_HEADER_BYTES)
  const section = asBuffer(codec === 0 ? raw : await codecById(codec).decompress(raw, DEFAULT_DECOMPRESS_CEILING))
  const isLogAppendTime = (header.attributes & LOG_APPEND_BIT) !== 0
  const walker = new RecordWalker().open(section, 0)
  const records: LoggedRecord[] = []
  for (let index = 0; index < header.count; index++) {
    if (!walker.next()) throw damaged(header.baseOffset, index)
    records.push({
      offset: header.baseOffset + walker.offsetDelta,
      timestamp: isLogAppendTime ? header.maxTimestamp : header.baseTimestamp + walker.timestampDelta,
      key: sliceOf(section, walker.keyAt, walker.keyLength),
      value: sliceOf(section, walker.valueAt, walker.valueLength),
      headers: readHeaders(section, walker.headersAt, walker.headerCount),
    })
  }
  return records
}

function damaged(baseOffset: number, index: number): MQError {
  const reason = 'CORRUPT_BATCH' as const
  return new MQError('CONSUME_FAILED', `record ${index} of the batch at offset ${baseOffset} is damaged`, { reason })
}

function sliceOf(section: Buffer, at: number, length: number): Buffer | null {
  return length < 0 ? null : section.subarray(at, at + length)
}

/** The walker has checked the bounds, so this only cuts. */
function readHeaders(section: Buffer, start: number, count: number): [string, Buffer | null][] {
  const headers: [string, Buffer | null][] = []
  let at = start
  const blob = (): Buffer | null => {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = section[at++] as number
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    length = (length >>> 1) ^ -(length & 1)
    if (length < 0) return null
    at += length
    return section.subarray(at - length, at)
  }
  for (let left = count; left > 0; left--) {
    const name = blob() as Buffer
    headers.push([name.toString('utf8'), blob()])
  }
  return headers
}
