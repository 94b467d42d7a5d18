/**
 * Brings records of the assigned partitions from their leaders into their readers.
 * It places each partition at the fetcher of its leader, takes what answers bring, and decides with `fetch-judge` what
 * an error means for that one partition. Invariant: an error of one partition neither drops data nor delays another
 * (C-41). Source: kafka.md 5.2, 5.4.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { MQError, toMQError } from '../../errors/index.js'
import { brokerError, ZERO_UUID } from '../../protocol/index.js'
import {
  backoffMs,
  type Clock,
  type Emitter,
  type RandomSource,
  runInBackground,
  type TimerHandle,
} from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { RecordSink } from '../cursor.js'
import { HOLD, type PartitionCursor } from '../cursor.js'
import type { ConsumerEvents } from '../events.js'
import type { ConsumerCluster, TopicInfo } from '../ports.js'
import { AbortedTransactions } from './aborted.js'
import { AssignedPartitions } from './assigned.js'
import { BrokerFetcher, type BrokerStatus, type FetchAnswer, type PartitionAnswer } from './broker-fetcher.js'
import { PrefetchCredit } from './credit.js'
import { judgeFetch } from './fetch-judge.js'
import { LagWatch } from './lag.js'
import { EARLIEST, LATEST, type PositionFinder } from './positions.js'
import { scanBatches } from './scan.js'

/** A partition's share never falls below this, however many partitions there are. Bytes. */
const LEAST_SHARE_BYTES = 65_536
/** Attempts after which an error that is still being retried is told to the user. */
const TELL_AFTER = 5
const DENIED = 29
/** Buffered parts older than this are copied out of their answers. Milliseconds. */
const SWEEP_MS = 1_000
/** A search for a position looks so often whether anybody still wants it. Milliseconds. */
const SEARCH_MS = 30_000

export interface FetcherParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: ConsumerCluster
  readonly finder: PositionFinder
  readonly events: Emitter<ConsumerEvents>
  readonly counters: ConsumerCounters
  readonly clock: Clock
  readonly random: RandomSource
  /** Who hands records out: asked to go on after each answer. Filled before the first partition is added. */
  readonly sinks: readonly RecordSink[]
}

export class Fetcher {
  readonly assigned = new AssignedPartitions()
  readonly credit: PrefetchCredit
  readonly #parts: FetcherParts
  readonly #brokers = new Map<number, BrokerFetcher>()
  readonly #offTopic: () => void
  readonly #lag: LagWatch
  readonly #isCommittedOnly: boolean
  #shareBytes: number
  #sweep: TimerHandle | null = null
  #isClosed = false

  constructor(parts: FetcherParts) {
    this.#parts = parts
    this.credit = new PrefetchCredit(parts.config.prefetchBytes)
    this.#shareBytes = parts.config.prefetchBytes
    this.#isCommittedOnly = parts.config.isolationLevel === 'read_committed'
    this.#lag = new LagWatch(
      () => this.assigned.all(),
      parts.finder,
      parts.clock,
      (error) =>
        parts.events.emit('warning', {
          message: 'the lag of partitions is out of date',
          context: { error: String(error) },
        }),
    )
    this.#offTopic = parts.cluster.onTopic((topic) => this.#topicChanged(topic))
  }

  /** Starts fetching where `moveTo` has put the partition. */
  add(cursors: readonly PartitionCursor[]): void {
    for (const cursor of cursors) this.assigned.add(cursor)
    this.#divide()
    for (const cursor of cursors) this.#place(cursor)
  }

  remove(cursors: readonly PartitionCursor[]): void {
    for (const cursor of cursors) {
      cursor.hold(HOLD.revoked)
      cursor.moveTo(cursor.position)
      this.#leave(cursor)
      this.assigned.remove(cursor)
    }
    this.#divide()
  }

  /** No more fetches of it; what is buffered stays. */
  pause(cursor: PartitionCursor): void {
    cursor.hold(HOLD.paused)
    cursor.isInterrupted = true
    this.#lag.arm()
    // What it has buffered may be the last that others could have waited for.
    for (const broker of this.#brokers.values()) broker.wake()
  }

  /** A hold or the position of the partition has changed. */
  wake(cursor: PartitionCursor): void {
    this.#brokers.get(cursor.brokerId)?.wake()
  }

  /** Moves to a position that has to be looked up first. */
  lookUp(cursor: PartitionCursor, timestamp: number): void {
    const from = cursor.position
    cursor.moveTo(-1)
    cursor.hold(HOLD.position)
    const { generation } = cursor
    const { finder, events } = this.#parts
    const query = { topic: cursor.topic, partition: cursor.partition, timestamp }
    const task = async () => {
      while (generation === cursor.generation) {
        const [to] = await finder.find([query], SEARCH_MS).catch(unlessLate)
        if (to === undefined || generation !== cursor.generation) continue
        cursor.moveTo(to)
        this.wake(cursor)
        events.emit('reset', { ...cursor.tp, from, to })
      }
    }
    runInBackground('look up a position', task, (_name, error) => {
      if (generation === cursor.generation && !this.#isClosed) this.#fail(cursor, error)
    })
  }

  /** Bytes of the partition were processed or dropped. */
  freed(cursor: PartitionCursor, bytes: number): void {
    this.#parts.counters.bytes += bytes
    this.credit.giveBack(bytes)
    if (cursor.reader.bufferedBytes === 0) this.#brokers.get(cursor.brokerId)?.ranDry()
    if ((cursor.holds & HOLD.full) === 0 || cursor.reader.bufferedBytes * 2 >= this.#shareBytes) return
    cursor.release(HOLD.full)
    this.wake(cursor)
  }

  /** What is buffered cannot be read: fetched once more, then the partition stands still until a seek (C-8). */
  unreadable(cursor: PartitionCursor, error: unknown): void {
    const at = cursor.nextOffset
    cursor.rewind()
    this.#corrupt(cursor, at, error)
    this.wake(cursor)
  }

  /** How asking for the partition goes; null: nobody is asked. */
  statusOf(cursor: PartitionCursor): BrokerStatus | null {
    return this.#brokers.get(cursor.brokerId)?.status ?? null
  }

  /** It has no position, and nobody looks for one any more: as `autoOffsetReset` says. */
  placeAnew(cursor: PartitionCursor): void {
    this.#resetPosition(cursor)
  }

  /** The partition cannot be read at all: it stands still until a seek. */
  refuse(cursor: PartitionCursor, error: MQError): void {
    this.#fail(cursor, error)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#offTopic()
    this.#lag.close()
    this.#sweep?.cancel()
    for (const cursor of this.assigned.all()) {
      cursor.timer?.cancel()
      cursor.timer = null
    }
    await Promise.all([...this.#brokers.values()].map((broker) => broker.close()))
  }

  /**
   * Too little credit for another fetch. While data of partitions that are read is buffered, working it off gives
   * some back; if paused partitions hold all of it nothing would, so what the fullest holds is fetched again later.
   */
  readonly #makeRoom = (): void => {
    let fullest: PartitionCursor | null = null
    for (const cursor of this.assigned.all()) {
      if (!cursor.reader.hasData) continue
      if (!cursor.isPaused) return
      if (fullest === null || cursor.reader.bufferedBytes > fullest.reader.bufferedBytes) fullest = cursor
    }
    fullest?.rewind()
  }

  /** The share of each partition: if all of them stood still with it, half of the credit would be left. */
  #divide(): void {
    const { prefetchBytes, maxPartitionFetchBytes } = this.#parts.config
    const even = Math.floor(prefetchBytes / (2 * Math.max(1, this.assigned.size)))
    this.#shareBytes = Math.min(prefetchBytes, Math.max(LEAST_SHARE_BYTES, even))
    for (const broker of this.#brokers.values())
      broker.limitPartition(Math.min(maxPartitionFetchBytes, this.#shareBytes))
  }

  /** Puts the partition under the fetcher of its leader, as metadata has it now. */
  #place(cursor: PartitionCursor): void {
    const topic = this.#parts.cluster.topic(cursor.topic)
    const found = topic?.partitions[cursor.partition]
    if (topic !== undefined) {
      cursor.topicId = topic.topicId
      this.assigned.nameId(topic.topicId, topic.name)
    }
    cursor.leaderEpoch = found?.leaderEpoch ?? -1
    const brokerId = cursor.replicaId >= 0 ? cursor.replicaId : (found?.leaderId ?? -1)
    if (brokerId >= 0 && brokerId === cursor.brokerId) return this.wake(cursor)
    this.#leave(cursor)
    cursor.brokerId = brokerId
    if (brokerId >= 0) this.#brokerOf(brokerId).add(cursor)
    else this.#refreshLater(cursor)
  }

  #leave(cursor: PartitionCursor): void {
    this.#brokers.get(cursor.brokerId)?.remove(cursor)
    cursor.brokerId = -1
  }

  /** The leader names a replica in our rack: it is asked until metadata would be too old (C-17). */
  #followAdvice(cursor: PartitionCursor, replicaId: number): void {
    cursor.replicaId = replicaId
    cursor.replicaUntilMs = this.#parts.clock.monotonicMs() + this.#parts.config.metadataMaxAgeMs
    this.#place(cursor)
  }

  /** Back to the leader, which knows best: after the replica's time, and after any error of the replica. */
  #leaveReplica(cursor: PartitionCursor): void {
    cursor.replicaId = -1
    this.#place(cursor)
  }

  #brokerOf(brokerId: number): BrokerFetcher {
    const known = this.#brokers.get(brokerId)
    if (known !== undefined) return known
    const { config, counters, clock, random, cluster } = this.#parts
    const hooks = {
      find: (topic: string, partition: number) => this.assigned.find(topic, partition),
      accept: this.#accept,
      answered: () => {
        for (const sink of this.#parts.sinks) sink.pump()
      },
      failed: this.#brokerFailed,
      starved: this.#makeRoom,
    }
    const deps = { config, credit: this.credit, counters, hooks, clock, random }
    const made = new BrokerFetcher(brokerId, cluster.link(brokerId, 'fetch'), deps)
    made.limitPartition(Math.min(config.maxPartitionFetchBytes, this.#shareBytes))
    this.#brokers.set(brokerId, made)
    return made
  }

  #topicChanged(topic: TopicInfo): void {
    for (const cursor of this.assigned.ofTopic(topic.name)) {
      const { topicId } = cursor
      const isAnew = topicId !== ZERO_UUID && topic.topicId !== ZERO_UUID && topicId !== topic.topicId
      cursor.release(HOLD.backoff)
      this.#place(cursor)
      // Another topic under the same name (C-3): offsets of the old one say nothing about it.
      if (isAnew) this.#resetPosition(cursor)
    }
  }

  readonly #accept = (
    cursor: PartitionCursor,
    answer: PartitionAnswer,
    endpoints: FetchAnswer['nodeEndpoints'],
  ): void => {
    if (answer.errorCode !== 0) {
      // An offset that a follower does not have says nothing about the log (C-18, K-19).
      if (cursor.replicaId >= 0) this.#leaveReplica(cursor)
      else this.#refused(cursor, answer, endpoints)
      return
    }
    cursor.failures = 0
    cursor.reportedCode = 0
    cursor.end = this.#isCommittedOnly ? answer.lastStableOffset : answer.highWatermark
    if ((answer.divergingEpoch?.endOffset ?? -1) >= 0)
      return this.#truncated(cursor, answer.divergingEpoch?.endOffset ?? -1)
    const { records, preferredReadReplica } = answer
    if (records !== null && records.length > 0) this.#take(cursor, records, answer)
    if (preferredReadReplica >= 0 && preferredReadReplica !== cursor.replicaId) {
      this.#followAdvice(cursor, preferredReadReplica)
    } else if (cursor.replicaId >= 0 && this.#parts.clock.monotonicMs() >= cursor.replicaUntilMs) {
      this.#leaveReplica(cursor)
    }
  }

  #take(cursor: PartitionCursor, records: Uint8Array, answer: PartitionAnswer): void {
    const scan = scanBatches(records)
    if (scan.nextOffset <= cursor.fetchOffset) {
      if (scan.error !== null) this.#corrupt(cursor, cursor.fetchOffset, scan.error)
      else this.#backOff(cursor) // Nothing whole and nothing wrong: asking again at once would only spin.
      return
    }
    const aborted = this.#isCommittedOnly ? new AbortedTransactions(answer.abortedTransactions ?? []) : null
    cursor.fetchOffset = scan.nextOffset
    cursor.lastFetchedEpoch = scan.leaderEpoch
    this.credit.settle(0, scan.length)
    cursor.reader.push({ bytes: records, length: scan.length, arrivedMs: this.#parts.clock.monotonicMs(), aborted })
    this.#sweepLater()
    if (cursor.reader.bufferedBytes > this.#shareBytes) {
      cursor.hold(HOLD.full)
      this.#lag.arm()
    }
    cursor.delivery.sink.enqueue(cursor)
  }

  /** While something is buffered: what is not worked off within a second must not keep its whole answer alive. */
  #sweepLater(): void {
    this.#sweep ??= this.#parts.clock.setTimer(() => {
      this.#sweep = null
      const untilMs = this.#parts.clock.monotonicMs() - SWEEP_MS
      const buffered = this.assigned.all().filter((cursor) => cursor.reader.hasData)
      for (const cursor of buffered) cursor.reader.unpin(untilMs)
      if (buffered.length > 0) this.#sweepLater()
    }, SWEEP_MS)
  }

  #refused(cursor: PartitionCursor, answer: PartitionAnswer, endpoints: FetchAnswer['nodeEndpoints']): void {
    const { errorCode } = answer
    const error = brokerError(errorCode, 'CONSUME_FAILED', null, { ...cursor.tp, offset: cursor.fetchOffset })
    const action = judgeFetch(errorCode)
    if (action === 'outOfRange') this.#outOfRange(cursor, error)
    else if (action === 'corrupt') this.#corrupt(cursor, cursor.fetchOffset, error)
    else if (action === 'denied') this.#denied(cursor, error)
    else if (action === 'fail') this.#fail(cursor, error)
    else if (action === 'refresh' && this.#followHint(cursor, answer, endpoints)) this.#place(cursor)
    else this.#askAgain(cursor, error, action !== 'retry')
  }

  /** A hint with a newer epoch is as good as metadata: no refresh, no back-off (W-26). */
  #followHint(cursor: PartitionCursor, answer: PartitionAnswer, endpoints: FetchAnswer['nodeEndpoints']): boolean {
    const { leaderId, leaderEpoch } = answer.currentLeader ?? { leaderId: -1, leaderEpoch: -1 }
    if (leaderId < 0) return false
    const { topic, partition } = cursor
    return this.#parts.cluster.applyLeaderHint(topic, partition, leaderId, leaderEpoch, endpoints ?? [])
  }

  #askAgain(cursor: PartitionCursor, error: MQError, isRefreshed: boolean): void {
    const isTold = cursor.failures >= TELL_AFTER
    if (isRefreshed) this.#refreshLater(cursor)
    else this.#backOff(cursor)
    // Last: a listener may unassign the partition, and then no timer of ours may remain.
    if (isTold) this.#tellOnce(cursor, error)
  }

  #tellOnce(cursor: PartitionCursor, error: MQError): void {
    const code = error.context.kafkaCode ?? -1
    if (cursor.reportedCode === code) return
    cursor.reportedCode = code
    this.#tell(cursor, error)
  }

  #tell(cursor: PartitionCursor, error: MQError): void {
    this.#parts.events.emit('error', error)
    if (this.#parts.config.deliverErrors) cursor.delivery.sink.deliverError?.(cursor, error)
  }

  /** What was fetched before the log moved is still delivered; then the position is looked up again (C-18). */
  #outOfRange(cursor: PartitionCursor, answer: MQError): void {
    if (cursor.position < cursor.fetchOffset) this.#backOff(cursor)
    else this.#resetPosition(cursor, answer)
  }

  /** `cause`: what a broker answered, if that is why. */
  #resetPosition(cursor: PartitionCursor, cause?: MQError): void {
    const { autoOffsetReset } = this.#parts.config
    if (autoOffsetReset !== 'none') return this.lookUp(cursor, autoOffsetReset === 'earliest' ? EARLIEST : LATEST)
    const { topic, partition, position: offset } = cursor
    const text = `offset ${offset} of ${topic}/${partition} is outside the log and autoOffsetReset is 'none': seek`
    const context = { reason: 'OFFSET_OUT_OF_RANGE', topic, partition, offset } as const
    this.#fail(cursor, new MQError('INVALID_OFFSET', text, context, { cause }))
  }

  #truncated(cursor: PartitionCursor, divergence: number): void {
    const { position } = cursor
    this.#parts.events.emit('truncation', { ...cursor.tp, position, divergence })
    if (divergence >= cursor.nextOffset) cursor.rewind()
    else if (this.#parts.config.autoOffsetReset === 'none') this.#resetPosition(cursor)
    else cursor.moveTo(Math.min(divergence, cursor.position)) // What is open between them may still fail.
    this.wake(cursor)
  }

  /** Told once; asked again as often as metadata is, since an ACL may change. */
  #denied(cursor: PartitionCursor, error: MQError): void {
    this.#holdFor(cursor, this.#parts.config.metadataMaxAgeMs, () => {})
    this.#tellOnce(cursor, error.with({ resource: `topic ${cursor.topic}`, operation: 'READ', kafkaCode: DENIED }))
  }

  #corrupt(cursor: PartitionCursor, at: number, error: unknown): void {
    this.#parts.counters.corruptBatches++
    if (cursor.corruptAt !== at) {
      cursor.corruptAt = at
      return this.#backOff(cursor)
    }
    const { topic, partition } = cursor
    const cause = toMQError(error, 'CONSUME_FAILED', 'reading failed')
    const text =
      `the batch at offset ${at} of ${topic}/${partition} cannot be read, also after fetching it again ` +
      `(${cause.message}): seek past it`
    const code = cause.is('DECOMPRESSION_FAILED') ? 'DECOMPRESSION_FAILED' : 'CONSUME_FAILED'
    const reason = cause.context.reason ?? 'CORRUPT_BATCH'
    this.#fail(cursor, new MQError(code, text, { topic, partition, offset: at, reason }, { cause, retryable: false }))
  }

  /** The partition stands still until a seek; what is buffered before the failure is still delivered. */
  #fail(cursor: PartitionCursor, error: unknown): void {
    const failure = toMQError(error, 'CONSUME_FAILED', 'a partition cannot be read', { ...cursor.tp })
    cursor.hold(HOLD.failed)
    cursor.failure = failure
    this.#tell(cursor, failure)
  }

  #refreshLater(cursor: PartitionCursor): void {
    this.#refresh('a partition has another leader')
    this.#holdFor(cursor, this.#delayMs(cursor), () => this.#place(cursor))
  }

  #backOff(cursor: PartitionCursor): void {
    this.#holdFor(cursor, this.#delayMs(cursor), () => {})
  }

  #delayMs(cursor: PartitionCursor): number {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#parts.config.connection
    return backoffMs(cursor.failures++, retryBackoffMs, retryBackoffMaxMs, this.#parts.random)
  }

  #holdFor(cursor: PartitionCursor, delayMs: number, then: () => void): void {
    if (this.#isClosed) return
    cursor.hold(HOLD.backoff)
    cursor.timer?.cancel()
    cursor.timer = this.#parts.clock.setTimer(() => {
      cursor.timer = null
      cursor.release(HOLD.backoff)
      then()
      this.wake(cursor)
    }, delayMs)
  }

  readonly #brokerFailed = (brokerId: number, error: unknown): void => {
    const context = { brokerId, error: error instanceof MQError ? error.toJSON() : String(error) }
    for (const cursor of this.assigned.all()) if (cursor.replicaId === brokerId) this.#leaveReplica(cursor)
    this.#parts.events.emit('warning', { message: `a fetch from broker ${brokerId} failed and is repeated`, context })
    this.#refresh('a fetch failed')
  }

  #refresh(reason: string): void {
    const { cluster, events } = this.#parts
    const task = () => cluster.refresh(reason)
    runInBackground('refresh metadata', task, (_name, error) => {
      if (!this.#isClosed)
        events.emit('warning', { message: 'metadata could not be refreshed', context: { error: String(error) } })
    })
  }
}

/** A search that took too long is begun again. */
function unlessLate(error: unknown): never[] {
  if (error instanceof MQError && error.is('TIMEOUT')) return []
  throw error
}
