/** Batches as a broker stores them: written by hand, with base offset and leader epoch. */
import { type BatchSpec, makeBatch } from '../broker/batches.js'
import { withCrc } from '../support/batch-bytes.js'

export interface StoredSpec extends BatchSpec {
  readonly baseOffset: number
  readonly leaderEpoch?: number
  /** Offsets up to here belong to the batch although their records were removed. */
  readonly lastOffset?: number
}

export function storedBatch(spec: StoredSpec): Buffer {
  const batch = makeBatch(spec)
  batch.writeBigInt64BE(BigInt(spec.baseOffset), 0)
  batch.writeInt32BE(spec.leaderEpoch ?? 0, 12)
  if (spec.lastOffset !== undefined) {
    batch.writeInt32BE(spec.lastOffset - spec.baseOffset, 23)
    withCrc(batch)
  }
  return batch
}

/** Values `from`, `from + 1`, .. as texts, at those offsets. */
export function numbered(from: number, count: number): Buffer {
  const values = Array.from({ length: count }, (_, index) => String(from + index))
  return storedBatch({ baseOffset: from, values })
}

/** A control batch; its record is written here, since its key and value are bytes. */
export function controlBatch(baseOffset: number, type: 'abort' | 'commit', producerId: bigint): Buffer {
  const key = `\0\0\0${type === 'abort' ? '\0' : '\x01'}`
  const value = '\0\0\0\0\0\0'
  return storedBatch({ baseOffset, keys: [key], values: [value], producerId, producerEpoch: 0, attributes: 0x30 })
}

/** An emptied batch, as the log cleaner leaves it. */
export function emptiedBatch(baseOffset: number, lastOffset: number): Buffer {
  const header = Buffer.from(storedBatch({ baseOffset, values: ['x'], lastOffset }).subarray(0, 61))
  header.writeInt32BE(49, 8)
  header.writeInt32BE(0, 57)
  return withCrc(header)
}
