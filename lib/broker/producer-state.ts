/**
 * What one replica remembers about the producers of one partition, and what it decides by that (kafka.md B-1, B-5..B-9,
 * B-11, B-12).
 * Invariant: per producer id at most 5 batches, all of one epoch; nothing about their content is kept.
 *
 *   pid 1001, epoch 0   [ 0..2 ][ 3..4 ][ 5..5 ]        FIFO of {lastSequence, lastOffset, offsetDelta, timestamp}
 *                         a resend of 0..2 is a duplicate; the next new batch starts at 6
 */
import { sequenceAfter } from './sequence.js'

/** Batches remembered per producer: Kafka's constant, not configurable. */
const REMEMBERED_BATCHES = 5
const NO_EPOCH = -1

const OK = 0
const OUT_OF_ORDER_SEQUENCE_NUMBER = 45
const INVALID_PRODUCER_EPOCH = 47
const UNKNOWN_PRODUCER_ID = 59

/** The identity of a batch that arrives. */
export interface BatchIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly count: number
}

export interface RememberedBatch {
  readonly lastSequence: number
  readonly lastOffset: number
  readonly offsetDelta: number
  readonly timestamp: number
}

export interface ProducerEntry {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly lastTimestamp: number
  readonly currentTxnStartOffset: number
  /** Oldest first, never empty. */
  readonly batches: readonly RememberedBatch[]
}

/** How strict a broker is about a producer id without state: it depends on its version. */
export type UnknownProducerRule = 'accept' | 'refuse59' | 'refuse45WhenLogIsNew'

export class ProducerStates {
  readonly #entries = new Map<bigint, ProducerEntry>()

  get size(): number {
    return this.#entries.size
  }

  entries(): ProducerEntry[] {
    return [...this.#entries.values()]
  }

  lastSequenceOf(producerId: bigint): number {
    return this.#entries.get(producerId)?.batches.at(-1)?.lastSequence ?? -1
  }

  /** B-5: same epoch, same first and last sequence. */
  duplicateOf(batch: BatchIdentity): RememberedBatch | undefined {
    const entry = this.#entries.get(batch.producerId)
    if (entry === undefined || entry.producerEpoch !== batch.producerEpoch) return undefined
    const last = sequenceAfter(batch.baseSequence, batch.count - 1)
    return entry.batches.find(
      (known) =>
        known.lastSequence === last && sequenceAfter(known.lastSequence, -known.offsetDelta) === batch.baseSequence,
    )
  }

  /** B-6..B-9 for a batch that is no duplicate: 0, 45, 47 or 59. */
  judge(batch: BatchIdentity, rule: UnknownProducerRule, hasLogHeldRecords: boolean): number {
    const entry = this.#entries.get(batch.producerId)
    if (entry === undefined) return judgeUnknown(batch.baseSequence, rule, hasLogHeldRecords)
    if (batch.producerEpoch < entry.producerEpoch) return INVALID_PRODUCER_EPOCH
    const last = entry.batches.at(-1)
    const isNewEpoch = batch.producerEpoch !== entry.producerEpoch || last === undefined
    const expected = isNewEpoch ? 0 : sequenceAfter(last.lastSequence, 1)
    return batch.baseSequence === expected ? OK : OUT_OF_ORDER_SEQUENCE_NUMBER
  }

  /** Notes an appended batch, without any check: leaders have judged, followers trust. */
  remember(batch: BatchIdentity, lastOffset: number, timestamp: number): void {
    const known = this.#entries.get(batch.producerId)
    const kept = known !== undefined && known.producerEpoch === batch.producerEpoch ? known.batches : []
    const newest = {
      lastSequence: sequenceAfter(batch.baseSequence, batch.count - 1),
      lastOffset,
      offsetDelta: batch.count - 1,
      timestamp,
    }
    this.#entries.set(batch.producerId, {
      producerId: batch.producerId,
      producerEpoch: batch.producerEpoch,
      coordinatorEpoch: NO_EPOCH,
      lastTimestamp: timestamp,
      currentTxnStartOffset: -1,
      batches: [...kept.slice(1 - REMEMBERED_BATCHES), newest],
    })
  }

  /** B-11: forgets who wrote nothing newer than `nowMs - expirationMs`. Returns how many. */
  expire(nowMs: number, expirationMs: number): number {
    let expired = 0
    for (const entry of this.entries()) {
      if (nowMs - entry.lastTimestamp < expirationMs) continue
      this.#entries.delete(entry.producerId)
      expired++
    }
    return expired
  }

  forget(producerId?: bigint): void {
    if (producerId === undefined) this.#entries.clear()
    else this.#entries.delete(producerId)
  }

  /** B-12: what a snapshot file holds, the last batch of each producer. */
  snapshot(): ProducerStates {
    const copy = new ProducerStates()
    for (const [id, entry] of this.#entries) copy.#entries.set(id, { ...entry, batches: entry.batches.slice(-1) })
    return copy
  }
}

function judgeUnknown(baseSequence: number, rule: UnknownProducerRule, hasLogHeldRecords: boolean): number {
  if (baseSequence === 0 || rule === 'accept') return OK
  if (rule === 'refuse59') return UNKNOWN_PRODUCER_ID
  return hasLogHeldRecords ? OK : OUT_OF_ORDER_SEQUENCE_NUMBER
}
