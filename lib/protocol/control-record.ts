/**
 * The one record of a control batch: how a transaction of that producer ended.
 * Source: kafka.md section 2, R-8. Types other than abort and commit belong to the brokers and are ignored.
 */
import { int16At, int32At } from './big-endian.js'
import { corruptBatch } from './corrupt-batch.js'

export interface ControlRecord {
  readonly type: 'abort' | 'commit' | 'other'
  /** -1 when the record has no readable value. */
  readonly coordinatorEpoch: number
}

/** Throws CORRUPT_BATCH for a key too short to hold version and type. */
export function readControlRecord(key: Uint8Array | null, value: Uint8Array | null): ControlRecord {
  if (key === null || key.length < 4) throw corruptBatch('a control record has no type in its key')
  const type = int16At(key, 2)
  return {
    type: type === 0 ? 'abort' : type === 1 ? 'commit' : 'other',
    coordinatorEpoch: value === null || value.length < 6 ? -1 : int32At(value, 2),
  }
}
