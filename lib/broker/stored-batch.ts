/**
 * One batch as it lies in a log.
 * Invariant: `bytes` never change once the batch is stored; replicas share them, and fetches send them as they are.
 */
import type { BatchHeader } from './batch-header.js'

export interface StoredBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly attributes: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly count: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  /** Broker's wall time of the append. */
  readonly appendedAtMs: number
}

export interface Placement {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly maxTimestamp: number
  readonly attributes: number
  readonly nowMs: number
}

/** What is taken from a header; position, time and attributes are the broker's. */
type HeaderFacts = Pick<
  BatchHeader,
  'lastOffsetDelta' | 'baseTimestamp' | 'count' | 'producerId' | 'producerEpoch' | 'baseSequence'
>

export function storedBatch(bytes: Uint8Array, header: HeaderFacts, placement: Placement): StoredBatch {
  return {
    bytes,
    baseOffset: placement.baseOffset,
    lastOffset: placement.baseOffset + header.lastOffsetDelta,
    leaderEpoch: placement.leaderEpoch,
    attributes: placement.attributes,
    baseTimestamp: header.baseTimestamp,
    maxTimestamp: placement.maxTimestamp,
    count: header.count,
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    baseSequence: header.baseSequence,
    appendedAtMs: placement.nowMs,
  }
}
