/**
 * Fetches from one broker: one request outstanding, the next leaves when the answer has arrived.
 *
 *   wake -> room on the link? -> partitions that want data -> credit -> session request -> answer -> partitions -> again
 *
 * Why not after processing: while callbacks work, the next answer is already on its way, within `prefetchBytes`.
 * Invariant: reserved credit is settled exactly once per request, whatever ends it; the order rotates, so a served
 * partition is asked for last (C-14). Source: kafka.md 5.2, C-1..C-5, C-14..C-16, K-21.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { type DecodedResponseOf, Fetch, type RequestOf, ZERO_UUID } from '../../protocol/index.js'
import { backoffMs, type Clock, type RandomSource, type TimerHandle } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import { HOLD, type PartitionCursor } from '../cursor.js'
import type { FetchLink } from '../ports.js'
import { AnswerSize } from './answer-size.js'
import type { PrefetchCredit } from './credit.js'
import { judgeSession } from './fetch-judge.js'
import { FetchSession, type FetchTarget, type SessionRequest } from './fetch-session.js'

export type FetchAnswer = DecodedResponseOf<typeof Fetch>
export type PartitionAnswer = FetchAnswer['responses'][number]['partitions'][number]
type Request = SessionRequest<PartitionCursor>

/** From this version on requests name topics by id. */
const BY_ID_VERSION = 13
/** While a partition waits for room and its callback makes progress, the others are asked for no longer than this. */
const SHORT_WAIT_MS = 10
/** How long `close` waits for the broker to end the session. */
const CLOSE_LIMIT_MS = 1_000
const ISOLATION = { read_uncommitted: 0, read_committed: 1 } as const

export interface FetcherHooks {
  /** The partition an answer speaks of, or undefined when it is not assigned any more. */
  find(topicIdOrName: string, partition: number): PartitionCursor | undefined
  /** One partition of a good answer that is not stale. */
  accept(cursor: PartitionCursor, answer: PartitionAnswer, endpoints: FetchAnswer['nodeEndpoints']): void
  /** An answer has been taken, the next request is under way: callbacks may run. */
  answered(): void
  /** There is too little credit to ask for anything. */
  starved(): void
  /** The broker could not be asked. */
  failed(brokerId: number, error: unknown): void
}

/** How asking goes just now, for whoever wonders why nothing comes. */
export interface BrokerStatus {
  readonly brokerId: number
  /** Connected. */
  readonly isReady: boolean
  readonly isBackingOff: boolean
  /** There was too little credit for the last request. */
  readonly isStarved: boolean
  /** Monotonic, of the request on the wire; -1: none. */
  readonly outstandingSinceMs: number
}

export interface FetcherDeps {
  readonly config: ResolvedConsumerConfig
  readonly credit: PrefetchCredit
  readonly counters: ConsumerCounters
  readonly hooks: FetcherHooks
  readonly clock: Clock
  readonly random: RandomSource
}

export class BrokerFetcher {
  readonly brokerId: number
  readonly #link: FetchLink
  readonly #deps: FetcherDeps
  readonly #session = new FetchSession<PartitionCursor>()
  /** In the order in which the next full request names them. */
  #cursors: PartitionCursor[] = []
  #isOutstanding = false
  #sentAtMs = -1
  #isStarved = false
  #isWaking = false
  #isClosed = false
  #failures = 0
  #backoff: TimerHandle | null = null
  #patience: TimerHandle | null = null // runs while the link is down and data is wanted
  #partitionMaxBytes: number
  readonly #answerSize: AnswerSize

  constructor(brokerId: number, link: FetchLink, deps: FetcherDeps) {
    this.brokerId = brokerId
    this.#link = link
    this.#deps = deps
    this.#partitionMaxBytes = deps.config.maxPartitionFetchBytes
    this.#answerSize = new AnswerSize(deps.config.fetchMaxBytes)
    link.onRoom = this.wake
    link.onDown = this.wake
  }

  get partitions(): readonly PartitionCursor[] {
    return this.#cursors
  }

  get isOutstanding(): boolean {
    return this.#isOutstanding
  }

  get status(): BrokerStatus {
    return {
      brokerId: this.brokerId,
      isReady: this.#link.isReady,
      isBackingOff: this.#backoff !== null,
      isStarved: this.#isStarved,
      outstandingSinceMs: this.#isOutstanding ? this.#sentAtMs : -1,
    }
  }

  add(cursor: PartitionCursor): void {
    this.#cursors.push(cursor)
    this.wake()
  }

  remove(cursor: PartitionCursor): void {
    this.#cursors = this.#cursors.filter((other) => other !== cursor)
    this.wake()
  }

  /** What one partition may bring at most per answer. */
  limitPartition(bytes: number): void {
    this.#partitionMaxBytes = bytes
  }

  /** The last buffered byte of a partition was worked off. */
  ranDry(): void {
    this.#answerSize.ranDry(this.#deps.clock.monotonicMs())
  }

  /** Something changed: look again at the end of this turn. Many changes of one turn cost one look. */
  readonly wake = (): void => {
    if (this.#isWaking || this.#isClosed || this.#isOutstanding) return
    this.#isWaking = true
    this.#deps.clock.defer(this.#look)
  }

  /** Ends the session at the broker, in bounded time. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#backoff?.cancel()
    this.#patience?.cancel()
    this.#deps.credit.forget(this.wake)
    // On a shared cluster the next consumer may have the link already.
    if (this.#link.onRoom === this.wake) this.#link.onRoom = null
    if (this.#link.onDown === this.wake) this.#link.onDown = null
    const closing = this.#session.closing()
    if (closing === undefined || !this.#link.isReady) return
    // The broker forgets an unused session by itself; nothing of ours depends on the answer, or on one at all.
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.setTimer(resolve, CLOSE_LIMIT_MS)
      const end = () => {
        timer.cancel()
        resolve()
      }
      this.#link.request(Fetch, this.#body(closing, 0, 0)).then(end, end)
    })
  }

  readonly #look = (): void => {
    this.#isWaking = false
    this.#fetch()
  }

  #fetch(): void {
    if (this.#isClosed || this.#isOutstanding) return
    const wanted = this.#backoff === null ? this.#cursors.filter((cursor) => cursor.isFetchable) : []
    const reserved = this.#canAsk(wanted) ? this.#reserve(wanted.length) : 0
    if (reserved > 0) this.#send(wanted, reserved)
  }

  /** If not, others that wait for credit go first; `wake` comes when that changes. */
  #canAsk(wanted: readonly PartitionCursor[]): boolean {
    if (wanted.length > 0 && !this.#link.isReady) this.#connect()
    const canAsk = wanted.length > 0 && this.#link.isReady && this.#link.hasRoom
    if (canAsk) {
      this.#patience?.cancel()
      this.#patience = null
    } else this.#deps.credit.forget(this.wake)
    return canAsk
  }

  /** The link calls `wake` when it is up; one that stays down is reported, so that its partitions can go elsewhere. */
  #connect(): void {
    const { clock, config, hooks } = this.#deps
    this.#link.connect()
    this.#patience ??= clock.setTimer(() => {
      this.#patience = null
      if (!this.#isClosed && !this.#link.isReady) hooks.failed(this.brokerId, unreachable(this.brokerId))
      this.wake()
    }, config.connection.dialTimeoutMs)
  }

  /** Credit for what the answer may bring, at least for one partition; 0: `wake` is called when some is free. */
  #reserve(partitions: number): number {
    const { credit } = this.#deps
    const wanted = Math.min(this.#answerSize.bytes, partitions * this.#partitionMaxBytes)
    const least = Math.min(this.#partitionMaxBytes, wanted)
    const granted = credit.reserve(least, wanted, this.wake)
    this.#isStarved = granted === 0
    if (granted === 0 && credit.limitBytes - credit.usedBytes < least) this.#deps.hooks.starved()
    return granted
  }

  #send(wanted: readonly PartitionCursor[], reserved: number): void {
    const version = this.#versionFor(wanted)
    const targets = new Map(wanted.map((cursor) => [cursor, this.#target(cursor)]))
    const request = this.#session.request(targets, version >= BY_ID_VERSION)
    const limitMs = this.#waitMs()
    this.#isOutstanding = true
    this.#sentAtMs = this.#deps.clock.monotonicMs()
    this.#deps.counters.fetches++
    if (request.sessionEpoch === 0) this.#deps.counters.fullSessions++
    this.#link.request(Fetch, this.#body(request, reserved, limitMs), { version, limitMs }).then(
      (answer) => this.#answered(request, answer, reserved),
      (error: unknown) => this.#failed(error, reserved),
    )
  }

  /** Topic ids need all of them; an older broker has none. */
  #versionFor(wanted: readonly PartitionCursor[]): number {
    const version = this.#link.versionOf(Fetch)
    const hasIds = wanted.every((cursor) => cursor.topicId !== ZERO_UUID)
    return hasIds ? version : Math.min(version, BY_ID_VERSION - 1)
  }

  #target(cursor: PartitionCursor): FetchTarget {
    const { topic, topicId, partition, fetchOffset, leaderEpoch, lastFetchedEpoch, generation } = cursor
    const maxBytes = this.#partitionMaxBytes
    return { topic, topicId, partition, fetchOffset, leaderEpoch, lastFetchedEpoch, maxBytes, generation }
  }

  /** A full partition that is being worked off will want data soon: its broker must not be bound to a long wait. */
  #waitMs(): number {
    const { fetchMaxWaitMs } = this.#deps.config
    let isDraining = false
    for (const cursor of this.#cursors) {
      if ((cursor.holds & HOLD.full) === 0) continue
      if (cursor.position !== cursor.positionAtFetch) isDraining = true
      cursor.positionAtFetch = cursor.position
    }
    return isDraining ? Math.min(SHORT_WAIT_MS, fetchMaxWaitMs) : fetchMaxWaitMs
  }

  #body(request: Request, maxBytes: number, maxWaitMs: number): RequestOf<typeof Fetch> {
    const { config } = this.#deps
    return {
      maxWaitMs,
      minBytes: config.fetchMinBytes,
      maxBytes,
      isolationLevel: ISOLATION[config.isolationLevel],
      sessionId: request.sessionId,
      sessionEpoch: request.sessionEpoch,
      topics: fetchTopics(request.changed),
      forgottenTopicsData: forgottenTopics(request.forgotten),
      rackId: config.rackId ?? '',
    }
  }

  #answered(request: Request, answer: FetchAnswer, reserved: number): void {
    this.#isOutstanding = false
    this.#deps.credit.settle(reserved, 0)
    if (this.#isClosed) return
    const { clock, counters } = this.#deps
    counters.fetchSeconds?.observe((clock.monotonicMs() - this.#sentAtMs) / 1_000)
    if (answer.errorCode !== 0) {
      this.#refused(answer.errorCode)
      return
    }
    this.#failures = 0
    this.#session.accept(request, answer.sessionId)
    const bufferedBytes = bufferedIn(request.known.keys())
    const served = this.#takePartitions(request, answer)
    if (served.size > 0) {
      const nowMs = this.#deps.clock.monotonicMs()
      this.#answerSize.answered(reserved, recordBytesIn(answer), bufferedBytes, this.#sentAtMs, nowMs)
      this.#rotate(served)
    }
    this.#fetch()
    this.#deps.hooks.answered()
  }

  /** Hands over each partition whose position and assignment are still those that were asked for. */
  #takePartitions(request: Request, answer: FetchAnswer): Set<PartitionCursor> {
    const served = new Set<PartitionCursor>()
    for (const topic of answer.responses ?? []) {
      const name = request.usesIds ? topic.topicId : topic.topic
      for (const partition of topic.partitions ?? []) {
        const cursor = this.#deps.hooks.find(name, partition.partitionIndex)
        const asked = cursor === undefined ? undefined : request.known.get(cursor)
        if (cursor === undefined || asked === undefined) continue
        if (asked.generation !== cursor.generation || asked.fetchOffset !== cursor.fetchOffset) {
          this.#deps.counters.staleAnswers++
          continue
        }
        if ((partition.records?.length ?? 0) > 0) served.add(cursor)
        this.#deps.hooks.accept(cursor, partition, answer.nodeEndpoints)
      }
    }
    return served
  }

  #rotate(served: ReadonlySet<PartitionCursor>): void {
    this.#cursors = [...this.#cursors.filter((c) => !served.has(c)), ...this.#cursors.filter((c) => served.has(c))]
  }

  #refused(errorCode: number): void {
    const verdict = judgeSession(errorCode)
    if (verdict === 'unknownSession') this.#session.reset()
    else this.#session.renew()
    if (verdict === 'retry') this.#waitBeforeRetry()
    else this.#fetch()
  }

  #failed(error: unknown, reserved: number): void {
    this.#isOutstanding = false
    this.#deps.credit.settle(reserved, 0)
    if (this.#isClosed) return
    this.#deps.counters.fetchErrors++
    this.#session.renew()
    this.#waitBeforeRetry()
    this.#deps.hooks.failed(this.brokerId, error)
  }

  #waitBeforeRetry(): void {
    const { clock, random, config } = this.#deps
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    const delayMs = backoffMs(this.#failures++, retryBackoffMs, retryBackoffMaxMs, random)
    this.#backoff = clock.setTimer(() => {
      this.#backoff = null
      this.#fetch()
    }, delayMs)
  }
}

/** What is buffered of those partitions. */
function bufferedIn(cursors: Iterable<PartitionCursor>): number {
  let bytes = 0
  for (const cursor of cursors) bytes += cursor.reader.bufferedBytes
  return bytes
}

function recordBytesIn(answer: FetchAnswer): number {
  let bytes = 0
  for (const topic of answer.responses ?? []) {
    for (const { records } of topic.partitions ?? []) bytes += records?.length ?? 0
  }
  return bytes
}

type Body = RequestOf<typeof Fetch>

function fetchTopics(targets: readonly FetchTarget[]): Body['topics'] {
  const topics = new Map<string, { topic: string; topicId: string; partitions: FetchPartition[] }>()
  for (const target of targets) {
    let entry = topics.get(target.topicId + target.topic)
    if (entry === undefined) {
      entry = { topic: target.topic, topicId: target.topicId, partitions: [] }
      topics.set(target.topicId + target.topic, entry)
    }
    entry.partitions.push(fetchPartition(target))
  }
  return [...topics.values()]
}

type FetchPartition = NonNullable<Body['topics']>[number]['partitions'] extends readonly (infer P)[] | null ? P : never

function fetchPartition(target: FetchTarget): FetchPartition {
  return {
    partition: target.partition,
    currentLeaderEpoch: target.leaderEpoch,
    fetchOffset: target.fetchOffset,
    lastFetchedEpoch: target.lastFetchedEpoch,
    partitionMaxBytes: target.maxBytes,
  }
}

function forgottenTopics(forgotten: Request['forgotten']): NonNullable<Body['forgottenTopicsData']> {
  const topics = new Map<string, { topic: string; topicId: string; partitions: number[] }>()
  for (const { topic, topicId, partition } of forgotten) {
    const entry = topics.get(topicId + topic) ?? { topic, topicId, partitions: [] }
    topics.set(topicId + topic, entry)
    entry.partitions.push(partition)
  }
  return [...topics.values()]
}

function unreachable(brokerId: number): MQError {
  return new MQError('CONNECTION_TIMEOUT', `broker ${brokerId} cannot be reached for fetching: it is tried on`, {
    brokerId,
  })
}
