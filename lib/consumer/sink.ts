/**
 * Where records of a partition go: one sink per way of reading (callbacks by partition, by key, pulled).
 * Why an interface: fetcher and group know that records leave and when a partition is at rest, not how.
 * Invariant: a cursor belongs to one sink for life; a sink moves `cursor.position` only over records whose processing
 * has ended, contiguously, under the generation they were handed out in.
 */
import type { MQError } from '../errors/index.js'
import type { PartitionCursor } from './cursor.js'

export interface RecordSink {
  /** The cursor may have work: data, or a record to try again. Calls nothing; `pump` does. */
  enqueue(cursor: PartitionCursor): void
  /** Hands out what is ready. */
  pump(): void
  /** `pump` in a later turn of the loop: for callers that must not run callbacks themselves. */
  pumpSoon(): void
  /** With `deliverErrors`: an error of the partition goes to its callback too, soon and never beside another call. */
  deliverError?(cursor: PartitionCursor, error: MQError): void
  /** No further record leaves; those that are out may end. */
  stop(): void
  /** Calls once when nothing handed out is open any more. */
  whenIdle(task: () => void): void
  /** Callbacks, or pulled records, whose end is open. */
  readonly running: number
}
