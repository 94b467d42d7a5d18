/**
 * Everything in a `records` field as plain objects. For tests and tools: the consumer uses the cursor.
 */
import type { BatchHeader, Decompress } from './batch-header.js'
import { readBatchHeader, recordsOf } from './batch-reader.js'
import { RecordCursor, type RecordHeader } from './record-reader.js'

export interface ReadRecord {
  readonly offset: number
  readonly offsetDelta: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

export interface ReadBatch {
  readonly header: BatchHeader
  readonly records: readonly ReadRecord[]
}

/** The records of one batch. Throws CONSUME_FAILED/CORRUPT_BATCH, or what `decompress` throws. */
export async function readRecords(
  bytes: Uint8Array,
  header: BatchHeader,
  decompress: Decompress,
): Promise<ReadRecord[]> {
  const cursor = new RecordCursor()
  cursor.open(header, await recordsOf(bytes, header, decompress))
  const records: ReadRecord[] = []
  while (cursor.next()) {
    const { offset, offsetDelta, timestamp } = cursor
    records.push({
      offset,
      offsetDelta,
      timestamp,
      key: cursor.key(),
      value: cursor.value(),
      headers: cursor.headers(),
    })
  }
  return records
}

/** All whole batches; a partial one at the end is left out. */
export async function readBatches(bytes: Uint8Array, decompress: Decompress, checkCrcs = true): Promise<ReadBatch[]> {
  const batches: ReadBatch[] = []
  for (let at = 0; ; ) {
    const header = readBatchHeader(bytes, at, checkCrcs)
    if (header === 'partial') return batches
    batches.push({ header, records: await readRecords(bytes, header, decompress) })
    at += header.sizeInBytes
  }
}
