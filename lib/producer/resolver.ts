/**
 * "Did it write my batch?" On 45, 47 or 59 the producer asks the leader instead of guessing: its memory of our
 * producer id first (DescribeProducers), then the headers of the log itself.
 * Why: a blind new epoch resends under other numbers what may be in the log already, which duplicates it.
 * Source: KIP-664 (DescribeProducers); the decision table is kafka.md 3.6.
 */
import type { Cluster } from '../cluster/index.js'
import { findMQError } from '../errors/index.js'
import {
  type BatchHeader,
  DescribeProducers,
  Fetch,
  kafkaError,
  ListOffsets,
  readBatchHeader,
  ZERO_UUID,
} from '../protocol/index.js'
import { backoffMs, type Clock, type RandomSource } from '../util/index.js'
import type { Batch } from './batch.js'
import type { Lane } from './lane.js'
import { seqAdd, seqDiff } from './sequence.js'

/** What is known about a batch now. */
export type Fate =
  | { readonly kind: 'written'; readonly offset: number }
  | { readonly kind: 'resend' }
  | { readonly kind: 'renew'; readonly lostFrom?: number; readonly lostTo?: number }
  | { readonly kind: 'newProducerId' }
  | { readonly kind: 'ambiguous'; readonly why: string; readonly lostFrom?: number; readonly lostTo?: number }
  | { readonly kind: 'foreign'; readonly why: string }

/** The leader's memory of our producer id on one partition. */
type BrokerState =
  | { readonly kind: 'known'; readonly epoch: number; readonly lastSequence: number }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused' }

interface Scan {
  readonly offset: number // -1: not found
  readonly isTrimmed: boolean // the log begins behind the place where the scan had to begin
}

const INVALID_PRODUCER_EPOCH = 47
const OFFSET_OUT_OF_RANGE = 1
const AUTHORIZATION_FAILED = 29
const SCAN_BYTES = 1024 * 1024
const RETRY_MS = 100
const RETRY_MAX_MS = 1000
/** Clocks of client and broker may differ by this much when a scan begins by time. */
const CLOCK_MARGIN_MS = 60_000

export class Resolver {
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #deliveryTimeoutMs: number

  constructor(cluster: Cluster, clock: Clock, random: RandomSource, deliveryTimeoutMs: number) {
    this.#cluster = cluster
    this.#clock = clock
    this.#random = random
    this.#deliveryTimeoutMs = deliveryTimeoutMs
  }

  /** The fate of a lane's head; nothing of the lane is in flight. Rejects only when `isStopped` says so or time is over. */
  async fateOf(lane: Lane, batch: Batch, errorCode: number): Promise<Fate> {
    const deadlineMs = batch.firstAtMs + this.#deliveryTimeoutMs
    const state = await this.#stateOf(lane, batch.producerId, deadlineMs)
    const isRaised = state.kind === 'known' && state.epoch > batch.producerEpoch
    if (errorCode === INVALID_PRODUCER_EPOCH || isRaised) return this.#epochRaised(lane, batch, deadlineMs)
    if (state.kind === 'refused') return refusedFate(batch)
    if (state.kind === 'known' && state.epoch === batch.producerEpoch && state.lastSequence >= 0) {
      return this.#compare(lane, batch, state.lastSequence, deadlineMs)
    }
    return this.#forgotten(lane, batch, deadlineMs)
  }

  /** Our epoch is known there: its last sequence L tells. */
  async #compare(lane: Lane, batch: Batch, last: number, deadlineMs: number): Promise<Fate> {
    const lastSent = lane.identity === null ? batch.lastSequence : seqAdd(lane.identity.nextSequence, -1)
    if (seqDiff(last, lastSent) > 0)
      return { kind: 'foreign', why: `the broker holds sequence ${last}, we sent up to ${lastSent}` }
    if (seqDiff(last, batch.lastSequence) >= 0) {
      if (!batch.isDoubtful) return { kind: 'foreign', why: `the broker holds sequence ${last} of a batch it refused` }
      return this.#findWritten(lane, batch, deadlineMs)
    }
    if (seqDiff(last, batch.baseSequence) >= 0)
      return { kind: 'foreign', why: `sequence ${last} is inside one of our batches` }
    if (last === seqAdd(batch.baseSequence, -1)) {
      if (!batch.isResentAfterResolve) return { kind: 'resend' }
      return batch.isDoubtful ? { kind: 'ambiguous', why: 'refused again although it is next' } : { kind: 'renew' }
    }
    const lost = { lostFrom: seqAdd(last, 1), lostTo: seqAdd(batch.baseSequence, -1) }
    return batch.isDoubtful
      ? { kind: 'ambiguous', why: 'the broker lost acknowledged data', ...lost }
      : { kind: 'renew', ...lost }
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
    if (batch.isResentAfterResolve || scan.isTrimmed)
      return { kind: 'ambiguous', why: 'the broker forgot this producer' }
    return { kind: 'resend' }
  }

  async #epochRaised(lane: Lane, batch: Batch, deadlineMs: number): Promise<Fate> {
    if (!batch.isDoubtful) return { kind: 'newProducerId' }
    const scan = await this.#scan(lane, batch, deadlineMs)
    return scan.offset >= 0
      ? { kind: 'written', offset: scan.offset }
      : { kind: 'ambiguous', why: 'another writer raised the epoch' }
  }

  async #stateOf(lane: Lane, producerId: bigint, deadlineMs: number): Promise<BrokerState> {
    for (let attempt = 0; ; attempt++) {
      const state = await this.#askState(lane, producerId)
      if (state !== null) return state
      if (!(await this.#pause(attempt, deadlineMs))) return { kind: 'refused' }
    }
  }

  async #askState(lane: Lane, producerId: bigint): Promise<BrokerState | null> {
    if (lane.leaderId < 0) return null
    try {
      const answer = await this.#cluster.request(
        DescribeProducers,
        { topics: [{ name: lane.topic, partitionIndexes: [lane.partition] }] },
        { brokerId: lane.leaderId },
      )
      const partition = answer.topics[0]?.partitions[0]
      if (partition === undefined) return null
      if (partition.errorCode === AUTHORIZATION_FAILED) return { kind: 'refused' }
      if (partition.errorCode !== 0) {
        await this.#refreshFor(partition.errorCode)
        return null
      }
      const own = partition.activeProducers.find((one) => one.producerId === producerId)
      return own === undefined
        ? { kind: 'absent' }
        : { kind: 'known', epoch: own.producerEpoch, lastSequence: own.lastSequence }
    } catch (error) {
      const known = findMQError(error)
      if (known?.context.reason === 'UNSUPPORTED_VERSION') return { kind: 'refused' }
      await this.#refreshFor(-1)
      return null
    }
  }

  /** Looks for (producer id, epoch, base sequence) among the batch headers from the last acknowledged offset on. */
  async #scan(lane: Lane, batch: Batch, deadlineMs: number): Promise<Scan> {
    let from = lane.identity !== null && lane.identity.lastAckedOffset >= 0 ? lane.identity.lastAckedOffset + 1 : -1
    let isTrimmed = false
    for (let attempt = 0; ; ) {
      if (from < 0) from = await this.#offsetByTime(lane, batch.baseTimestamp - CLOCK_MARGIN_MS)
      const page = from < 0 ? null : await this.#fetchHeaders(lane, from)
      if (page === null) {
        if (!(await this.#pause(attempt++, deadlineMs))) return { offset: -1, isTrimmed: false }
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
        return { offset: found.baseOffset, isTrimmed }
      }
      const last = page.headers.at(-1)
      if (last === undefined || found !== undefined) return { offset: -1, isTrimmed }
      from = last.baseOffset + last.lastOffsetDelta + 1
      if (from >= page.highWatermark) return { offset: -1, isTrimmed }
    }
  }

  async #fetchHeaders(lane: Lane, offset: number) {
    try {
      const answer = await this.#cluster.request(
        Fetch,
        {
          maxWaitMs: 0,
          minBytes: 0,
          maxBytes: SCAN_BYTES,
          isolationLevel: 0,
          sessionId: 0,
          sessionEpoch: -1,
          topics: [
            {
              topic: lane.topic,
              topicId: lane.topicId,
              partitions: [
                {
                  partition: lane.partition,
                  currentLeaderEpoch: -1,
                  fetchOffset: offset,
                  logStartOffset: -1,
                  partitionMaxBytes: SCAN_BYTES,
                },
              ],
            },
          ],
        },
        lane.topicId === ZERO_UUID ? { brokerId: lane.leaderId, maxVersion: 12 } : { brokerId: lane.leaderId },
      )
      const partition = answer.responses[0]?.partitions[0]
      if (partition === undefined) return null
      const isOutOfRange = partition.errorCode === OFFSET_OUT_OF_RANGE
      if (partition.errorCode !== 0 && !isOutOfRange) {
        await this.#refreshFor(partition.errorCode)
        return null
      }
      const logStartOffset = isOutOfRange ? await this.#earliest(lane) : partition.logStartOffset
      if (logStartOffset < 0) return null
      return {
        isOutOfRange,
        logStartOffset,
        highWatermark: partition.highWatermark,
        headers: headersIn(partition.records),
      }
    } catch {
      await this.#refreshFor(-1)
      return null
    }
  }

  #earliest(lane: Lane): Promise<number> {
    return this.#offsetByTime(lane, -2)
  }

  /** First offset at or after a time; the log's end when nothing is; -1 when nobody answered. */
  async #offsetByTime(lane: Lane, timestamp: number): Promise<number> {
    const found = await this.#listOffset(lane, timestamp)
    return found === null ? -1 : found >= 0 ? found : ((await this.#listOffset(lane, -1)) ?? -1)
  }

  async #listOffset(lane: Lane, timestamp: number): Promise<number | null> {
    try {
      const answer = await this.#cluster.request(
        ListOffsets,
        {
          replicaId: -1,
          isolationLevel: 0,
          topics: [
            { name: lane.topic, partitions: [{ partitionIndex: lane.partition, currentLeaderEpoch: -1, timestamp }] },
          ],
        },
        { brokerId: lane.leaderId },
      )
      const partition = answer.topics[0]?.partitions[0]
      return partition === undefined || partition.errorCode !== 0 ? null : partition.offset
    } catch {
      return null
    }
  }

  async #refreshFor(errorCode: number): Promise<void> {
    await this.#cluster.refresh(`resolving a batch: ${kafkaError(errorCode).name}`).catch(() => {})
  }

  /** Waits before the next question; false when the batch's time is over. */
  async #pause(attempt: number, deadlineMs: number): Promise<boolean> {
    if (this.#clock.monotonicMs() >= deadlineMs) return false
    await new Promise<void>((resolve) => {
      this.#clock.setTimer(resolve, backoffMs(attempt, RETRY_MS, RETRY_MAX_MS, this.#random))
    })
    return true
  }
}

/** No READ permission, or a broker before 2.8: nothing can be proven. */
function refusedFate(batch: Batch): Fate {
  return batch.isDoubtful
    ? { kind: 'ambiguous', why: 'the broker does not tell its producer state (needs READ on the topic and Kafka 2.8)' }
    : { kind: 'renew' }
}

function headersIn(records: Uint8Array | null): BatchHeader[] {
  const headers: BatchHeader[] = []
  if (records === null) return headers
  for (let at = 0; at < records.length; ) {
    const header = readBatchHeader(records, at)
    if (header === 'partial') break
    headers.push(header)
    at += header.sizeInBytes
  }
  return headers
}
