/**
 * The records of an entry, as lines: what `wal recover --export` writes.
 * A producer's entry is one RecordBatch, exactly as it goes on the wire (without an identity where it has none yet); a
 * queue's is a list of items: a varint length (7 bits per byte, least first) and that many bytes.
 * Invariant: `produce --from-json` reads a producer's lines back, key, value, headers and timestamp byte for byte.
 */
import { decompressWithin, MQError, readBatchHeader, readRecords } from '../../../index.js'
import { type Entry, type StreamFacts, UNBOUND } from '../../../wal/index.js'
import { shown } from '../../format.js'

export interface ExportedRecord {
  readonly position: number
  readonly [field: string]: unknown
}

const decompress = decompressWithin()

/** Of an entry of a producer. Rejects CONSUME_FAILED/CORRUPT_BATCH: it is not what a producer writes. */
export async function recordsOf(stream: StreamFacts, entry: Entry, body: Uint8Array): Promise<ExportedRecord[]> {
  const header = readBatchHeader(body, 0, entry.producerId !== UNBOUND)
  if (header === 'partial' || header.count !== entry.count) throw strange(stream, entry)
  const { topic, partition } = stream
  const isInDoubt = entry.producerId !== UNBOUND
  const records = await readRecords(body, header, decompress)
  return records.map(({ timestamp, key, value, headers }, index) => ({
    topic,
    partition,
    position: entry.firstPosition + index,
    isInDoubt,
    timestamp,
    key: shown(key),
    headers: headers.map(([name, bytes]) => [name, shown(bytes)]),
    value: shown(value),
  }))
}

/** Of an entry of a queue. Throws like `recordsOf`. */
export function itemsOf(stream: StreamFacts, entry: Entry, body: Uint8Array): ExportedRecord[] {
  const items: ExportedRecord[] = []
  for (let at = 0; at < body.length; ) {
    const [length, from] = varintAt(body, at)
    if (from + length > body.length) throw strange(stream, entry)
    items.push({ position: entry.firstPosition + items.length, value: shown(body.subarray(from, from + length)) })
    at = from + length
  }
  if (items.length !== entry.count) throw strange(stream, entry)
  return items
}

/** A length, and where what it measures begins. */
function varintAt(bytes: Uint8Array, at: number): [value: number, end: number] {
  let value = 0
  let end = at
  for (let scale = 1; end < bytes.length; scale *= 128) {
    const byte = bytes[end++] as number
    value += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  return [value, end]
}

function strange({ topic, partition }: StreamFacts, { lsn, count }: Entry): MQError {
  const where = topic === '' ? 'the queue' : `${topic}:${partition}`
  const text = `the entry with LSN ${lsn} of ${where} does not hold the ${count} records that it claims`
  return new MQError('DECOMPRESSION_FAILED', text, { reason: 'WAL_CORRUPT', lsn })
}
