/**
 * What an answer means for its batch and its lane: acknowledged, again later, elsewhere, smaller, or never.
 * Why one file: the whole error table (kafka.md 3.4) must be readable in one place; the verdict itself comes from the
 * one judge, `cluster/retry`.
 * Invariant: a batch leaves here settled, back in its lane's heap, or in the hands of exactly one later step.
 */
import { type Cluster, judgeProduce, type ProduceVerdict } from '../cluster/index.js'
import { type ErrorContext, MQError, type Persistence } from '../errors/index.js'
import { brokerError, kafkaError } from '../protocol/index.js'
import { backoffMs, type Clock, type RandomSource } from '../util/index.js'
import type { Batch, Outcome } from './batch.js'
import type { ProducerCounters } from './counters.js'
import { isForgettable } from './forgetting.js'
import type { Lane } from './lane.js'
import type { PartitionAnswer, ProduceAnswer, Shipment } from './sender.js'
import type { ProducerSettings } from './settings.js'

const UNKNOWN_TOPIC = 3
const UNKNOWN_TOPIC_ID = 100
const CORRUPT_MESSAGE = 2
/** A topic that was just created may be unknown to some brokers for a while (P-39). */
const UNKNOWN_TOPIC_ANSWERS = 5
const UNKNOWN_TOPIC_MS = 10_000

/**
 * What a broker that forgot us costs: an answer to the old numbers, and one more if the same are tried again. Who goes on
 * refusing new ones is not helped by more of them at once.
 */
const FORGIVEN_REFUSALS = 2

/** The steps that take more than one answer. */
export interface Repairs {
  /** 45, 47, 59 on the head, or a permanent code on a doubtful batch: ask the broker what it has (3.6). */
  resolve(lane: Lane, batch: Batch, errorCode: number, refusal: MQError | null): void
  /** Too large: the records go on in smaller batches. */
  split(lane: Lane, batch: Batch): void
  /** Only the named records are bad: the others go on. Keys are record indexes. */
  withoutRecords(lane: Lane, batch: Batch, bad: ReadonlyMap<number, string | null>, errorCode: number): void
  /** A first attempt was answered as a duplicate would be: perhaps somebody else uses our producer id. */
  verify(lane: Lane, batch: Batch, outcome: Outcome): void
  /** True once it is known why answers for this topic carry a time: its records take the broker's. */
  isTimeExplained(topic: string): boolean
  /** A batch of this identity failed: the numbers behind it must start anew. */
  renewIdentity(lane: Lane): void
  /** The topic is refused as a whole. */
  failLane(lane: Lane, error: MQError): void
  /** This producer can do nothing any more. */
  die(error: MQError): void
}

/** What the log changes: what it has accepted is not given up for want of time or luck. */
export interface KeptBatches {
  /** Batches wait for room in the log. */
  readonly isLogFull: boolean
  /** Its callers learn that it takes too long; the batch goes on. */
  tellLate(lane: Lane, batch: Batch, error: MQError): void
}

export class Answers {
  readonly #cluster: Cluster
  readonly #settings: ProducerSettings
  readonly #clock: Clock
  readonly #random: RandomSource
  readonly #counters: ProducerCounters
  readonly #repairs: Repairs
  readonly #kept: KeptBatches

  constructor(
    cluster: Cluster,
    settings: ProducerSettings,
    clock: Clock,
    random: RandomSource,
    counters: ProducerCounters,
    repairs: Repairs,
    kept: KeptBatches,
  ) {
    this.#cluster = cluster
    this.#settings = settings
    this.#clock = clock
    this.#random = random
    this.#counters = counters
    this.#repairs = repairs
    this.#kept = kept
  }

  answered(shipment: Shipment, answer: PartitionAnswer, response: ProduceAnswer, brokerId: number): void {
    const { lane, batch } = shipment
    const { errorCode } = answer
    if (!this.#isUnknownTopic(lane, errorCode)) lane.unknownTopicAnswers = 0
    const verdict = judgeProduce(errorCode)
    const { action, provesNotWritten } = verdict
    if (!provesNotWritten && action !== 'ok') batch.isDoubtful = true
    if (action === 'ok') return this.#acknowledged(shipment, answer, brokerId)
    const error = this.#errorOf(lane, batch, answer)
    switch (action) {
      case 'retry':
        return this.#retry(lane, batch, error, errorCode, verdict)
      case 'refresh':
        return this.#moved(shipment, error, errorCode, hintOf(answer, response))
      case 'split':
        return this.#tooLarge(lane, batch, error)
      case 'identity':
        return this.#outOfOrder(lane, batch, error, errorCode)
      case 'transaction':
      case 'failBatch':
        return this.#refused(lane, batch, error, answer)
      case 'failLane':
        return this.#failLane(lane, batch, error)
      case 'dead':
        return this.#dead(lane, batch, error)
    }
  }

  /** Nothing is sent any more: a good answer still counts, any other one is the end of its batch. */
  answeredLast(shipment: Shipment, answer: PartitionAnswer, brokerId: number, end: MQError): void {
    const { lane, batch } = shipment
    const { action, provesNotWritten } = judgeProduce(answer.errorCode)
    if (action === 'ok') return this.#acknowledged(shipment, answer, brokerId, true)
    if (!provesNotWritten) batch.isDoubtful = true
    lane.settle(batch, failure(end.with({ persistence: persistenceOf(batch) })))
  }

  /** The attempt ended without an answer: what was written may be in the log. */
  unanswered({ lane, batch }: Shipment, error: MQError): void {
    if (error.context.wasSent !== 'no') batch.isDoubtful = true
    this.#cluster.refresh('a produce request was not answered').catch(() => {})
    this.#again(lane, batch, error, false)
  }

  /** Fails a batch for good and gives its lane a new start where numbers were used. */
  fail(lane: Lane, batch: Batch, error: MQError): void {
    const hadNumbers = batch.isStamped
    if (batch.isDoubtful && lane.identity !== null) lane.identity.hasDoubtfulGap = true
    lane.settle(batch, failure(error.with({ persistence: persistenceOf(batch) })))
    if (hadNumbers) this.#repairs.renewIdentity(lane)
  }

  /** `deliveryTimeoutMs` is over: with what we know about whether it was written. */
  expire(lane: Lane, batch: Batch): void {
    const { topic, partition } = lane
    const waitedMs = Math.round(this.#clock.monotonicMs() - batch.firstAtMs)
    const text = `${batch.records} record(s) for ${topic}-${partition} were not acknowledged within deliveryTimeoutMs ${this.#settings.deliveryTimeoutMs}`
    const isLogFull = this.#kept.isLogFull && !batch.isInLog
    const reason = isLogFull ? ({ reason: 'WAL_FULL' } as const) : {}
    const context = { ...reason, topic, partition, waitedMs, attempts: batch.attempts }
    const error = new MQError(
      'TIMEOUT',
      isLogFull ? `${text}: the write-ahead log is full (wal.maxBytes)` : text,
      context,
      { cause: batch.lastError ?? undefined },
    )
    if (batch.isAccepted) this.#kept.tellLate(lane, batch, error)
    else this.fail(lane, batch, error)
  }

  isExpired(batch: Batch): boolean {
    return this.#clock.monotonicMs() - batch.firstAtMs >= this.#settings.deliveryTimeoutMs
  }

  #acknowledged(shipment: Shipment, answer: PartitionAnswer, brokerId: number, isLast = false): void {
    const { lane, batch, leaderEpoch } = shipment
    const { identity } = lane
    const offset = answer.errorCode === 0 ? answer.baseOffset : -1
    if (identity !== null) {
      const isFirst = batch.attempts === 1 && leaderEpoch === identity.lastAckedLeaderEpoch
      // P-30: below what we know to be acknowledged this is somebody else's batch under our numbers.
      if (isFirst && offset >= 0 && offset <= identity.lastAckedOffset) return this.#reused(lane, batch, offset)
      identity.acknowledged(batch, offset, leaderEpoch)
    }
    batch.isDoubtful = false
    lane.window.acknowledged(brokerId, leaderEpoch)
    // The broker may forget it at once; then it would take the second of two batches although it refused the first.
    if (isForgettable(batch, this.#clock.now())) lane.window.close()
    if (lane.head === batch) lane.isRetrying = false
    const outcome = { error: null, baseOffset: offset, logAppendTimeMs: timeOf(batch, answer) }
    // On a topic whose records keep their own time only a duplicate is answered with one, and what was never sent
    // before cannot be one.
    const isSuspicious = offset >= 0 && answer.logAppendTimeMs >= 0 && batch.attempts === 1 && batch.isStamped
    if (!isSuspicious || isLast || this.#repairs.isTimeExplained(lane.topic)) return lane.settle(batch, outcome)
    batch.isDoubtful = true
    lane.whenQuiet(() => this.#repairs.verify(lane, batch, outcome))
  }

  /** This producer is finished, whatever its code says elsewhere. */
  #dead(lane: Lane, batch: Batch, error: MQError): void {
    const fatal = new MQError(error.code, error.message, error.context, { fatal: true, cause: error.cause })
    if (!batch.isAccepted) lane.settle(batch, failure(fatal.with({ persistence: persistenceOf(batch) })))
    this.#repairs.die(fatal)
  }

  #reused(lane: Lane, batch: Batch, offset: number): void {
    const { topic, partition } = lane
    const text = `the broker took a first attempt on ${topic}-${partition} for an old batch at offset ${offset}: another process uses producer id ${batch.producerId}. Nothing more is sent: create a new producer`
    const error = new MQError('PRODUCE_FAILED', text, { reason: 'IDENTITY_REUSED', topic, partition }, { fatal: true })
    if (!batch.isAccepted) lane.settle(batch, failure(error.with({ persistence: 'possibly-persisted' })))
    this.#repairs.die(error)
  }

  #retry(lane: Lane, batch: Batch, error: MQError, errorCode: number, verdict: ProduceVerdict): void {
    const isOver = Number.isFinite(verdict.maxRetries) && ++batch.limitedRetries > verdict.maxRetries
    // P-34: a broker that finds our batch damaged gets it once more, unless the damage is on our side.
    if (isOver || (errorCode === CORRUPT_MESSAGE && !batch.isIntact())) return this.#fatalForBatch(lane, batch, error)
    if (verdict.onNewSocket) lane.home?.abort(error)
    this.#again(lane, batch, error, false)
  }

  #moved(shipment: Shipment, error: MQError, errorCode: number, hint: LeaderHint | null): void {
    const { lane, batch } = shipment
    if (this.#isUnknownTopic(lane, errorCode) && this.#isUnknownForGood(lane)) return this.#gone(lane, batch, error)
    const { topic, partition } = lane
    if (hint !== null) {
      this.#cluster.applyLeaderHint(topic, partition, hint.leaderId, hint.leaderEpoch, hint.endpoints)
    }
    // Perhaps an answer before this one brought the news already (P-40): then there is nothing to wait for.
    const leaderEpoch = this.#cluster.topic(topic)?.partitions[partition]?.leaderEpoch ?? -1
    const isKnown = leaderEpoch > shipment.leaderEpoch
    if (!isKnown) this.#cluster.refresh(`broker answered ${kafkaError(errorCode).name}`).catch(() => {})
    this.#again(lane, batch, error, isKnown)
  }

  /**
   * The topic is given up for what is pending. Records to come start with fresh patience and with fresh metadata: the
   * topic may have been made anew since, and nobody else would ask before metadata is too old.
   */
  #gone(lane: Lane, batch: Batch, error: MQError): void {
    lane.unknownTopicAnswers = 0
    this.#cluster.refresh(`${lane.topic} is unknown`).catch(() => {})
    this.#failLane(lane, batch, error)
  }

  /** What the log keeps goes back to its place: it leaves first when the topic takes something again. */
  #failLane(lane: Lane, batch: Batch, error: MQError): void {
    if (batch.isAccepted) lane.putBack(batch)
    this.#repairs.failLane(lane, error)
  }

  /** An id nobody knows counts when metadata does not know the name either; else it was recreated, or is too new. */
  #isUnknownTopic(lane: Lane, errorCode: number): boolean {
    if (errorCode !== UNKNOWN_TOPIC_ID) return errorCode === UNKNOWN_TOPIC
    return this.#cluster.topic(lane.topic)?.errorCode === UNKNOWN_TOPIC
  }

  #isUnknownForGood(lane: Lane): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (lane.unknownTopicAnswers++ === 0) lane.unknownTopicSinceMs = nowMs
    const { unknownTopicRetries } = this.#settings
    if (unknownTopicRetries !== undefined) return lane.unknownTopicAnswers > unknownTopicRetries
    return lane.unknownTopicAnswers >= UNKNOWN_TOPIC_ANSWERS && nowMs - lane.unknownTopicSinceMs >= UNKNOWN_TOPIC_MS
  }

  /** Back into the lane under its old number, unless a limit says that it is over. */
  #again(lane: Lane, batch: Batch, error: MQError, isNow: boolean): void {
    batch.lastError = error
    if (this.isExpired(batch)) {
      this.expire(lane, batch)
      if (!batch.isAccepted) return
    }
    if (batch.attempts > this.#settings.maxRetries) {
      this.#exhausted(lane, batch, error)
      if (!batch.isAccepted) return
    }
    this.#counters.retried(error)
    lane.putBack(batch)
    lane.isRetrying = true
    lane.window.close()
    const { retryBackoffMs, retryBackoffMaxMs } = this.#settings
    if (isNow) lane.wake()
    else lane.backOff(backoffMs(batch.attempts - 1, retryBackoffMs, retryBackoffMaxMs, this.#random))
  }

  #exhausted(lane: Lane, batch: Batch, cause: MQError): void {
    const { topic, partition } = lane
    const attempts = `${batch.attempts} attempts (maxRetries ${this.#settings.maxRetries})`
    const text = `${topic}-${partition} took nothing in ${attempts}: see the cause, or leave it to deliveryTimeoutMs`
    const context = { topic, partition, attempts: batch.attempts }
    const exhausted = new MQError('RETRY_EXHAUSTED', text, context, { cause })
    if (batch.isAccepted) this.#kept.tellLate(lane, batch, exhausted)
    else this.fail(lane, batch, exhausted)
  }

  #tooLarge(lane: Lane, batch: Batch, error: MQError): void {
    if (batch.records > 1) return lane.whenQuiet(() => this.#repairs.split(lane, batch))
    this.#fatalForBatch(lane, batch, error)
  }

  #outOfOrder(lane: Lane, batch: Batch, error: MQError, errorCode: number): void {
    batch.lastError = error
    if (!batch.isStamped) return this.fail(lane, batch, error)
    if (lane.head !== batch) {
      // P-27: an earlier one is missing; this one follows when that is settled.
      lane.putBack(batch)
      lane.isRetrying = true
      return
    }
    const repeated = ++batch.identityRefusals - FORGIVEN_REFUSALS
    if (repeated > 0) {
      if (batch.attempts > this.#settings.maxRetries) {
        this.#exhausted(lane, batch, error)
        if (!batch.isAccepted) return
      }
      const { retryBackoffMs, retryBackoffMaxMs } = this.#settings
      lane.pauseAfterRepair(backoffMs(repeated - 1, retryBackoffMs, retryBackoffMaxMs, this.#random))
    }
    lane.whenQuiet(() => this.#repairs.resolve(lane, batch, errorCode, null))
  }

  #refused(lane: Lane, batch: Batch, error: MQError, answer: PartitionAnswer): void {
    const isOurs = (index: number) => index >= 0 && index < batch.records
    const named = answer.recordErrors.filter(({ batchIndex }) => isOurs(batchIndex))
    const bad = new Map(named.map((one) => [one.batchIndex, one.batchIndexErrorMessage ?? null]))
    const isPartial = bad.size > 0 && bad.size < batch.records && !batch.isDoubtful
    if (isPartial) return lane.whenQuiet(() => this.#repairs.withoutRecords(lane, batch, bad, answer.errorCode))
    this.#fatalForBatch(lane, batch, error)
  }

  /** A permanent code proves "not written" only if no earlier attempt was unsure; else the broker's state decides. */
  #fatalForBatch(lane: Lane, batch: Batch, error: MQError): void {
    if (batch.isDoubtful && batch.isStamped) {
      lane.whenQuiet(() => this.#repairs.resolve(lane, batch, error.context.kafkaCode ?? 0, error))
    } else this.fail(lane, batch, error)
  }

  #errorOf(lane: Lane, batch: Batch, answer: PartitionAnswer): MQError {
    const { topic, partition } = lane
    const context: ErrorContext = { topic, partition, records: batch.records, bytes: batch.wireBytes }
    // Of a record that is refused alone the broker says why beside the record.
    const ofRecord = answer.recordErrors.find(({ batchIndexErrorMessage }) => batchIndexErrorMessage !== null)
    const said = [answer.errorMessage, ofRecord?.batchIndexErrorMessage].filter((text) => text != null && text !== '')
    return brokerError(answer.errorCode, 'PRODUCE_FAILED', said.length === 0 ? null : said.join('; '), context)
  }
}

interface LeaderHint {
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly endpoints: ProduceAnswer['nodeEndpoints']
}

/** KIP-951: who leads now, if the answer says so. */
function hintOf(answer: PartitionAnswer, response: ProduceAnswer): LeaderHint | null {
  const { leaderId, leaderEpoch } = answer.currentLeader
  return leaderId < 0 ? null : { leaderId, leaderEpoch, endpoints: response.nodeEndpoints }
}

/** The broker's time of the batch, -1 where records keep their own; a duplicate is answered with the newest of these. */
function timeOf(batch: Batch, { logAppendTimeMs }: PartitionAnswer): number {
  return batch.attempts > 1 && logAppendTimeMs === batch.maxTimestamp ? -1 : logAppendTimeMs
}

export function persistenceOf(batch: Batch): Persistence {
  return batch.isDoubtful || batch.isAccepted || batch.lsn > 0 ? 'possibly-persisted' : 'not-persisted'
}

export function failure(error: MQError): Outcome {
  return { error, baseOffset: -1, logAppendTimeMs: -1 }
}
