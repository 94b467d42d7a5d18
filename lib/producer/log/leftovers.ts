/**
 * Batches of an earlier life that were never written go through their lane like any other, in front of everything new.
 * Why through the lane: they may be as many as a log holds, and the lane already knows how to send many at a time.
 * Source: wal.md 4.2 item 2.
 */
import { BATCH_HEADER_BYTES } from '../../protocol/index.js'
import { BATCH_PREFIX_BYTES, type Entry } from '../../wal/index.js'
import { Batch } from '../batch.js'

/** Room for so many batches in front of seal number 1. */
const PLACES = 2 ** 32

/** Batches without bytes in memory; `nowMs` is monotonic. */
export function batchesOf(entries: readonly Entry[], nowMs: number): Batch[] {
  return entries.map((entry, place) => {
    const batch = new Batch()
    const bytes = Math.max(BATCH_HEADER_BYTES, entry.bodyBytes - BATCH_PREFIX_BYTES)
    batch.records = entry.count
    batch.bytes = bytes
    batch.wireBytes = bytes
    batch.maxTimestamp = entry.maxTimestampMs
    batch.firstAtMs = nowMs
    batch.sequence = place / PLACES
    batch.sequenceSpan = 1 / PLACES
    batch.lsn = entry.lsn
    batch.gateLsn = entry.lsn
    batch.stream = entry.stream
    batch.firstPosition = entry.firstPosition
    batch.isFinished = true
    batch.isAccepted = true
    batch.isTold = true // Whoever waited for it is gone.
    batch.isPagedOut = true
    batch.isRecovered = true
    return batch
  })
}
