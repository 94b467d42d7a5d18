/**
 * Finds the whole batches of an answer without reading their records: the next fetch must start behind them, and it
 * leaves before they are decoded. Source, C-5, C-12.
 */
import { readBatchHeader } from '../../protocol/index.js'

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
