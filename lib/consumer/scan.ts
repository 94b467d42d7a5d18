/**
 * Finds the whole batches of an answer without reading their records: the next fetch must start behind them, and it
 * leaves before they are decoded. Source, C-5, C-12.
 */
import { readBatchHeader } from '../protocol/index.js'

export interface Scan {
  /** How many bytes are whole batches. */
  readonly length: number
  /** Where the next fetch starts, -1 without a whole batch. */
  readonly nextOffset: number
  /** Leader epoch of the last batch. */
  readonly leaderEpoch: number
  /** Why the batch behind them cannot be read, or null. */
  readonly error: unknown
}

export function scanBatches(bytes: Uint8Array): Scan {
  let length = 0
  let nextOffset = -1
  let leaderEpoch = -1
  try {
    for (;;) {
      // The CRC is checked when the batch is opened.
      const header = readBatchHeader(bytes, length, false)
      if (header === 'partial') return { length, nextOffset, leaderEpoch, error: null }
      length += header.sizeInBytes
      nextOffset = Math.max(nextOffset, header.nextOffset)
      leaderEpoch = header.partitionLeaderEpoch
    }
  } catch (error) {
    return { length, nextOffset, leaderEpoch, error }
  }
}

/** A view may keep at most so many times its own bytes in memory. */
const PINNED_PARTS = 4

/**
 * The bytes of one partition, copied when they are a small part of their answer. Why: a slow partition keeps its bytes
 * for long, and a view would keep the whole answer, which the credit does not count.
 */
export function unpinned(records: Uint8Array, length: number): Uint8Array {
  const isSmallPart = length * PINNED_PARTS < records.buffer.byteLength
  return isSmallPart ? Buffer.from(records.subarray(0, length)) : records
}
