/**
 * Who we are to brokers: producer id and epoch, fetched once, lazily, shared by all lanes.
 * Why an epoch per lane: what happens to one lane must never change identity or bytes of another (P-24), and for
 * idempotent producers a broker accepts a raised epoch without a request.
 * Invariant: one identity means one content for ever; `stamp` is the only place that hands out sequences.
 * Source: KIP-98, KIP-360; kafka.md 3.5.
 */
import { assert } from '../util/index.js'
import type { Batch } from './batch.js'
import { seqAdd, seqDiff } from './sequence.js'

const MAX_EPOCH = 32767

/** Numbers of one lane under one identity. */
export class LaneIdentity {
  producerId: bigint
  epoch = 0
  nextSequence: number
  lastAckedSequence = -1
  lastAckedOffset = -1
  lastAckedLeaderEpoch = -1
  /** A batch of this identity failed although it may have been written: its bytes may even arrive late. */
  hasDoubtfulGap = false

  constructor(producerId: bigint, firstSequence = 0) {
    this.producerId = producerId
    this.nextSequence = firstSequence
  }

  /** Gives the next sequences of this lane to a batch. */
  stamp(batch: Batch): void {
    assert(!batch.isStamped, 'a batch takes one identity at a time')
    batch.stamp(this.producerId, this.epoch, this.nextSequence)
    batch.writtenAfterOffset = this.lastAckedOffset
    this.nextSequence = seqAdd(this.nextSequence, batch.records)
  }

  /** A batch of ours is in the log, at `offset` (-1: not told). A resend may be acknowledged after a later batch. */
  acknowledged(batch: Batch, offset: number, leaderEpoch: number): void {
    // Another leader's log may be shorter than what was acknowledged by the one before.
    if (leaderEpoch !== this.lastAckedLeaderEpoch) this.lastAckedOffset = -1
    this.lastAckedLeaderEpoch = leaderEpoch
    const isNewest = this.lastAckedSequence < 0 || seqDiff(batch.lastSequence, this.lastAckedSequence) > 0
    if (isNewest) this.lastAckedSequence = batch.lastSequence
    if (offset >= 0) this.lastAckedOffset = Math.max(this.lastAckedOffset, offset + batch.records - 1)
  }

  /** A later batch of the same numbers was acknowledged, which a broker does only behind this one. */
  proves(batch: Batch): boolean {
    const isSame = batch.producerId === this.producerId && batch.producerEpoch === this.epoch
    return isSame && this.lastAckedSequence >= 0 && seqDiff(this.lastAckedSequence, batch.lastSequence) > 0
  }

  /** Another epoch can be had without asking a broker. */
  get mayRaiseEpoch(): boolean {
    return this.epoch < MAX_EPOCH
  }

  /** Raises the epoch for this lane alone; false at the last one, when a new producer id is needed. */
  raiseEpoch(): boolean {
    if (!this.mayRaiseEpoch) return false
    this.epoch++
    this.#restart()
    return true
  }

  /** Goes on under another producer id. */
  replace(producerId: bigint): void {
    this.producerId = producerId
    this.epoch = 0
    this.#restart()
  }

  #restart(): void {
    this.nextSequence = 0
    this.lastAckedSequence = -1
    this.hasDoubtfulGap = false
  }
}
