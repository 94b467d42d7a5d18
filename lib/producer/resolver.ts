/**
 * "Did it write my batch?" On 45, 47 or 59 the producer asks the leader instead of guessing: its memory of our
 * producer id first (DescribeProducers), then the headers of the log itself.
 * Why: a blind new epoch resends under other numbers what may be in the log already, which duplicates it.
 * Source: KIP-664 (DescribeProducers); the decision table is kafka.md 3.6.
 */
import type { Cluster } from '../cluster/index.js'
import { backoffMs, type Clock, type Pauses, type RandomSource } from '../util/index.js'
import type { Batch } from './batch.js'
import { type AskedPlace, BrokerMemory, type BrokerState, type HeaderPage } from './broker-memory.js'
import type { Lane } from './lane.js'
import { seqAdd, seqDiff } from './sequence.js'

/** What is known about a batch now. */
export type Fate =
  | { readonly kind: 'written'; readonly offset: number }
  | { readonly kind: 'resend' }
  | ({ readonly kind: 'renew' } & LostRange)
  | { readonly kind: 'newProducerId' }
  | ({
      readonly kind: 'ambiguous'
      readonly why: string
      readonly needsNewId?: boolean
      /** The broker does not answer such questions. */
      readonly isUntold?: boolean
    } & LostRange)
  | { readonly kind: 'foreign'; readonly why: string }

/** Acknowledged sequences that the broker has no more. `lostFrom` -1: it does not tell since when. */
interface LostRange {
  readonly lostFrom?: number
  readonly lostTo?: number
}

interface Scan {
  readonly offset: number // -1: not found
  readonly isTrimmed: boolean // the log begins behind the place where the scan had to begin
  readonly isComplete: boolean // false: nobody answered in time, so "not found" proves nothing
}

const OUT_OF_ORDER = 45
const INVALID_PRODUCER_EPOCH = 47
/** Questions about one header before it is given up. */
const HEADER_ATTEMPTS = 3
const RETRY_MS = 100
const LOOK_MS = 1000
const RETRY_MAX_MS = 1000
/** Clocks of client and broker may differ by this much when a scan begins by time. */
const CLOCK_MARGIN_MS = 60_000

export class Resolver {
  readonly #cluster: Cluster
  readonly #memory: BrokerMemory
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #pauses: Pauses
  readonly #deliveryTimeoutMs: number

  constructor(cluster: Cluster, clock: Clock, random: RandomSource, pauses: Pauses, deliveryTimeoutMs: number) {
    this.#cluster = cluster
    this.#memory = new BrokerMemory(cluster)
    this.#clock = clock
    this.#random = random
    this.#pauses = pauses
    this.#deliveryTimeoutMs = deliveryTimeoutMs
  }

  /** The fate of a lane's head; nothing of the lane is in flight. Never rejects; gives up at the batch's deadline. */
  async fateOf(lane: Lane, batch: Batch, errorCode: number): Promise<Fate> {
    // What a log keeps has no deadline: nobody waits for it any more, and it is worth an answer.
    const deadlineMs = batch.isAccepted ? Number.POSITIVE_INFINITY : batch.firstAtMs + this.#deliveryTimeoutMs
    if (batch.isDoubtful && lane.identity?.proves(batch)) return this.#proven(lane, batch, deadlineMs)
    const state = await this.#stateOf(lane, batch.producerId, deadlineMs)
    const isRaised = state.kind === 'known' && state.epoch > batch.producerEpoch
    if (errorCode === INVALID_PRODUCER_EPOCH || isRaised) return this.#epochRaised(lane, batch, deadlineMs)
    if (state.kind === 'silent') return this.#untold(lane, batch, errorCode, state.isLogReadable, deadlineMs)
    if (state.kind === 'known' && state.epoch === batch.producerEpoch && state.lastSequence >= 0) {
      return this.#compare(lane, batch, state.lastSequence, deadlineMs)
    }
    return this.#forgotten(lane, batch, deadlineMs)
  }

  /** Whether the batch at `offset` has the broker's time; null: nobody says, or nobody may look. */
  async isLogAppendTime(lane: Lane, offset: number): Promise<boolean | null> {
    for (let attempt = 0; attempt < HEADER_ATTEMPTS; attempt++) {
      const page = await this.#fetchHeaders(lane, offset, 1) // The first batch comes whole, whatever the limit.
      if (page?.isOutOfRange) return null // Deleted meanwhile.
      const header = page?.headers[0]
      if (header !== undefined) return header.isLogAppendTime
      if (!(await this.#pauses.wait(RETRY_MS))) return null
    }
    return null
  }

  /** Written for sure; its offset is worth a look, not a wait. */
  async #proven(lane: Lane, batch: Batch, deadlineMs: number): Promise<Fate> {
    const scan = await this.#scan(lane, batch, Math.min(deadlineMs, this.#clock.monotonicMs() + LOOK_MS))
    return { kind: 'written', offset: scan.offset }
  }

  /** Our epoch is known there: its last sequence L tells. */
  async #compare(lane: Lane, batch: Batch, last: number, deadlineMs: number): Promise<Fate> {
    const lastSent = lane.identity === null ? batch.lastSequence : seqAdd(lane.identity.nextSequence, -1)
    if (seqDiff(last, lastSent) > 0)
      return { kind: 'foreign', why: `the broker holds sequence ${last}, we sent up to ${lastSent}` }
    if (seqDiff(last, batch.lastSequence) >= 0) {
      // It forgot us, and took a later batch of ours after it had refused this one.
      if (!batch.isDoubtful && lane.identity?.proves(batch)) return { kind: 'renew' }
      if (!batch.isDoubtful) return { kind: 'foreign', why: `the broker holds sequence ${last} of a batch it refused` }
      return this.#findWritten(lane, batch, deadlineMs)
    }
    if (seqDiff(last, batch.baseSequence) >= 0)
      return { kind: 'foreign', why: `sequence ${last} is inside one of our batches` }
    // Serial: the sequence before 0 is 2147483647.
    if (seqDiff(last, batch.baseSequence) === -1) {
      if (!batch.isResentAfterResolve) return { kind: 'resend' }
      return batch.isDoubtful ? { kind: 'ambiguous', why: 'refused again although it is next' } : { kind: 'renew' }
    }
    return behind(lane, batch, last)
  }

  /** The leader's memory says written: acknowledged once its header is seen below the high watermark. */
  async #findWritten(lane: Lane, batch: Batch, deadlineMs: number): Promise<Fate> {
    for (let attempt = 0; ; attempt++) {
      const scan = await this.#scan(lane, batch, deadlineMs)
      // Retention removes only what is below the high watermark: trimmed means that it was durably there.
      if (scan.offset >= 0 || scan.isTrimmed) return { kind: 'written', offset: scan.offset }
      if (!(await this.#pause(attempt, deadlineMs)))
        return { kind: 'ambiguous', why: 'written, but not seen below the high watermark' }
    }
  }

  /** The leader knows nothing of us: expiry, a new replica, deleted records. */
  async #forgotten(lane: Lane, batch: Batch, deadlineMs: number): Promise<Fate> {
    const scan = await this.#scan(lane, batch, deadlineMs)
    if (scan.offset >= 0) return { kind: 'written', offset: scan.offset }
    if (!batch.isDoubtful) return { kind: 'renew' }
    if (batch.isResentAfterResolve || scan.isTrimmed || !scan.isComplete)
      return { kind: 'ambiguous', why: 'the broker forgot this producer' }
    return { kind: 'resend' }
  }

  /** No READ permission, or a broker before 2.8: only the log can prove that a batch was written, nothing the opposite. */
  async #untold(
    lane: Lane,
    batch: Batch,
    errorCode: number,
    isLogReadable: boolean,
    deadlineMs: number,
  ): Promise<Fate> {
    if (!batch.isDoubtful)
      return errorCode === OUT_OF_ORDER ? { kind: 'renew', ...unknownLoss(lane) } : { kind: 'renew' }
    const scan = isLogReadable ? await this.#scan(lane, batch, deadlineMs) : null
    if (scan !== null && scan.offset >= 0) return { kind: 'written', offset: scan.offset }
    const why = 'the broker does not tell its producer state (needs READ on the topic and Kafka 2.8)'
    return { kind: 'ambiguous', why, isUntold: true }
  }

  async #epochRaised(lane: Lane, batch: Batch, deadlineMs: number): Promise<Fate> {
    if (!batch.isDoubtful) return { kind: 'newProducerId' }
    const scan = await this.#scan(lane, batch, deadlineMs)
    return scan.offset >= 0
      ? { kind: 'written', offset: scan.offset }
      : { kind: 'ambiguous', why: 'another writer raised the epoch', needsNewId: true }
  }

  async #stateOf(lane: Lane, producerId: bigint, deadlineMs: number): Promise<BrokerState> {
    for (let attempt = 0; ; attempt++) {
      const state = await this.#memory.stateOf(this.#placeOf(lane), producerId)
      if (state !== null) return state
      if (!(await this.#pause(attempt, deadlineMs))) return { kind: 'silent', isLogReadable: false }
    }
  }

  /** Looks for (producer id, epoch, base sequence) among the batch headers behind what was acknowledged before it. */
  async #scan(lane: Lane, batch: Batch, deadlineMs: number): Promise<Scan> {
    let from = batch.writtenAfterOffset >= 0 ? batch.writtenAfterOffset + 1 : -1
    let isTrimmed = false
    let isRestarted = false
    for (let attempt = 0; ; ) {
      if (from < 0) from = await this.#memory.offsetByTime(this.#placeOf(lane), this.#writtenAfter(batch))
      const page = from < 0 ? null : await this.#fetchHeaders(lane, from)
      if (page === null) {
        if (!(await this.#pause(attempt++, deadlineMs))) return { offset: -1, isTrimmed, isComplete: false }
        continue
      }
      if (page.isOutOfRange && page.logStartOffset <= from) {
        // The log is shorter than what was acknowledged: offsets of ours say nothing about it any more.
        if (isRestarted) return { offset: -1, isTrimmed, isComplete: true }
        isRestarted = true
        from = -1
        continue
      }
      if (page.logStartOffset > from) {
        isTrimmed = true
        from = page.logStartOffset
        if (page.isOutOfRange) continue
      }
      const found = page.headers.find(
        (one) =>
          one.producerId === batch.producerId &&
          one.producerEpoch === batch.producerEpoch &&
          one.baseSequence === batch.baseSequence,
      )
      if (found !== undefined && found.baseOffset + found.lastOffsetDelta < page.highWatermark) {
        return { offset: found.baseOffset, isTrimmed, isComplete: true }
      }
      const last = page.headers.at(-1)
      if (last === undefined || found !== undefined) return { offset: -1, isTrimmed, isComplete: true }
      from = last.baseOffset + last.lastOffsetDelta + 1
      if (from >= page.highWatermark) return { offset: -1, isTrimmed, isComplete: true }
    }
  }

  /** Nothing of this batch has a smaller time in the log, be it the caller's or the broker's. */
  #writtenAfter(batch: Batch): number {
    const appendedAtMs = this.#clock.now() - (this.#clock.monotonicMs() - batch.firstAtMs)
    return Math.max(0, Math.floor(Math.min(batch.baseTimestamp, appendedAtMs)) - CLOCK_MARGIN_MS)
  }

  /** Who leads now: the lane itself moves only when nobody holds it, and we do. */
  #leaderOf(lane: Lane): number {
    return this.#cluster.topic(lane.topic)?.partitions[lane.partition]?.leaderId ?? lane.leaderId
  }

  #placeOf(lane: Lane): AskedPlace {
    const { topic, topicId, partition } = lane
    return { topic, topicId, partition, leaderId: this.#leaderOf(lane) }
  }

  /** Null also where nobody may look. */
  async #fetchHeaders(lane: Lane, offset: number, maxBytes?: number): Promise<HeaderPage | null> {
    const page = await this.#memory.headersFrom(this.#placeOf(lane), offset, maxBytes)
    return page === 'refused' ? null : page
  }

  /** Waits before the next question; false when the batch's time is over, or the producer's. */
  async #pause(attempt: number, deadlineMs: number): Promise<boolean> {
    if (this.#clock.monotonicMs() >= deadlineMs) return false
    return this.#pauses.wait(backoffMs(attempt, RETRY_MS, RETRY_MAX_MS, this.#random))
  }
}

/** The broker's last sequence is not the one before this batch: it lost acknowledged data, or batches of ours failed. */
function behind(lane: Lane, batch: Batch, last: number): Fate {
  const acked = lane.identity?.lastAckedSequence ?? -1
  const isLost = acked >= 0 && seqDiff(acked, last) > 0
  const lost = isLost ? { lostFrom: seqAdd(last, 1), lostTo: acked } : {}
  if (!batch.isDoubtful) return { kind: 'renew', ...lost }
  if (isLost) return { kind: 'ambiguous', why: 'the broker lost acknowledged data', ...lost }
  // A gap of batches that were all refused for good stays one: this batch was behind it and cannot have been taken.
  if (lane.identity?.hasDoubtfulGap === false) return { kind: 'renew' }
  return { kind: 'ambiguous', why: 'a batch before it failed, and may still arrive' }
}

/** Refused as out of order without a word about why: what was acknowledged is not there any more. */
function unknownLoss(lane: Lane): LostRange {
  const acked = lane.identity?.lastAckedSequence ?? -1
  return acked < 0 ? {} : { lostFrom: -1, lostTo: acked }
}
