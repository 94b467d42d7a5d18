/**
 * Incremental fetch sessions of one broker (KIP-227): the broker remembers what a consumer wants and answers news only.
 * Invariant: a session's epoch rises by one with every good request; any other epoch is refused with 71, an id that is
 * not known with 70.
 *
 *   (id 0, epoch 0) full, opens        (id, n) changes only, n = 1, 2, ..        (id, -1) closes        (0, -1) none
 */
import { type RandomSource, randomInt } from '../util/index.js'

const FETCH_SESSION_ID_NOT_FOUND = 70
const INVALID_FETCH_SESSION_EPOCH = 71
const FETCH_SESSION_TOPIC_ID_ERROR = 106

const INITIAL_EPOCH = 0
const FINAL_EPOCH = -1
const LARGEST_EPOCH = 2 ** 31 - 1
/** A session unused for this long may lose its slot to a new one. Kafka: min.incremental.fetch.session.eviction.ms. */
const EVICTABLE_AFTER_MS = 120_000

/** One partition that a consumer wants. `topic` is '' when only an id was given and nobody knows it. */
export interface WantedPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly currentLeaderEpoch: number
  readonly fetchOffset: number
  readonly lastFetchedEpoch: number
  readonly partitionMaxBytes: number
}

interface SessionPartition {
  wanted: WantedPartition
  /** What the consumer was told last; -1 = nothing yet. */
  highWatermark: number
  logStart: number
}

export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly usesTopicIds: boolean
  readonly wanted: readonly WantedPartition[]
  readonly forgotten: readonly { readonly topic: string; readonly topicId: string; readonly partition: number }[]
}

/** What a partition answer must tell so that the session knows whether it is news. */
export interface PartitionNews {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStart: number
  readonly recordBytes: number
  /** A divergence or a better replica, which are always news. */
  readonly mustTell: boolean
}

/** One request within (or without) a session. */
export interface FetchContext {
  readonly errorCode: number
  readonly sessionId: number
  readonly partitions: readonly WantedPartition[]
  /** True if this partition belongs into the answer; notes what was told. */
  tells(wanted: WantedPartition, news: PartitionNews): boolean
}

interface Session {
  readonly id: number
  readonly usesTopicIds: boolean
  readonly partitions: Map<string, SessionPartition>
  epoch: number
  usedAtMs: number
}

export class FetchSessions {
  readonly #sessions = new Map<number, Session>()
  readonly #slots: () => number
  readonly #monotonicMs: () => number
  readonly #random: RandomSource

  constructor(slots: () => number, monotonicMs: () => number, random: RandomSource) {
    this.#slots = slots
    this.#monotonicMs = monotonicMs
    this.#random = random
  }

  get size(): number {
    return this.#sessions.size
  }

  evictAll(): void {
    this.#sessions.clear()
  }

  /** True if the session already wants that partition, or any one of the topic. */
  wants(sessionId: number, topic: string | undefined, partition: number | undefined): boolean {
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return false
    return [...session.partitions.values()].some(
      ({ wanted }) =>
        (topic === undefined || wanted.topic === topic) && (partition === undefined || wanted.partition === partition),
    )
  }

  open(request: SessionRequest): FetchContext {
    if (request.sessionEpoch === FINAL_EPOCH) {
      this.#sessions.delete(request.sessionId)
      return sessionless(request.wanted)
    }
    if (request.sessionEpoch === INITIAL_EPOCH) {
      this.#sessions.delete(request.sessionId)
      const session = this.#create(request)
      return session === null ? sessionless(request.wanted) : this.#full(session)
    }
    return this.#incremental(request)
  }

  #create(request: SessionRequest): Session | null {
    if (request.wanted.length === 0 || !this.#hasSlot()) return null
    let id = 0
    while (id === 0 || this.#sessions.has(id)) id = randomInt(this.#random, LARGEST_EPOCH)
    const session: Session = {
      id,
      usesTopicIds: request.usesTopicIds,
      partitions: new Map(),
      epoch: 1,
      usedAtMs: this.#monotonicMs(),
    }
    for (const wanted of request.wanted) want(session, wanted)
    this.#sessions.set(id, session)
    return session
  }

  #hasSlot(): boolean {
    if (this.#sessions.size < this.#slots()) return true
    const oldest = [...this.#sessions.values()].reduce<Session | null>(
      (found, session) => (found === null || session.usedAtMs < found.usedAtMs ? session : found),
      null,
    )
    if (oldest === null || this.#monotonicMs() - oldest.usedAtMs < EVICTABLE_AFTER_MS) return false
    return this.#sessions.delete(oldest.id)
  }

  #full(session: Session): FetchContext {
    return {
      errorCode: 0,
      sessionId: session.id,
      partitions: wantedOf(session),
      tells: (wanted, news) => {
        note(session, wanted, news)
        return true
      },
    }
  }

  #incremental(request: SessionRequest): FetchContext {
    const session = this.#sessions.get(request.sessionId)
    if (session === undefined) return failed(FETCH_SESSION_ID_NOT_FOUND)
    if (session.epoch !== request.sessionEpoch) return failed(INVALID_FETCH_SESSION_EPOCH)
    if (session.usesTopicIds !== request.usesTopicIds) return failed(FETCH_SESSION_TOPIC_ID_ERROR)
    session.epoch = session.epoch === LARGEST_EPOCH ? 1 : session.epoch + 1
    session.usedAtMs = this.#monotonicMs()
    for (const wanted of request.wanted) want(session, wanted)
    for (const gone of request.forgotten) session.partitions.delete(keyOf(gone))
    return {
      errorCode: 0,
      sessionId: session.id,
      partitions: wantedOf(session),
      tells: (wanted, news) => note(session, wanted, news),
    }
  }
}

/** Key of a partition in a session: the id where clients use ids. */
function keyOf(of: { topic: string; topicId: string; partition: number }): string {
  return `${of.topicId}/${of.topic}/${of.partition}`
}

function want(session: Session, wanted: WantedPartition): void {
  const known = session.partitions.get(keyOf(wanted))
  if (known === undefined) session.partitions.set(keyOf(wanted), { wanted, highWatermark: -1, logStart: -1 })
  else known.wanted = wanted
}

function wantedOf(session: Session): WantedPartition[] {
  return [...session.partitions.values()].map((partition) => partition.wanted)
}

/** Notes what the consumer is told. Partitions that had records go to the end, so that each gets its turn. */
function note(session: Session, wanted: WantedPartition, news: PartitionNews): boolean {
  const key = keyOf(wanted)
  const known = session.partitions.get(key)
  if (known === undefined) return true
  const isNews =
    news.recordBytes > 0 ||
    news.errorCode !== 0 ||
    news.mustTell ||
    news.highWatermark !== known.highWatermark ||
    news.logStart !== known.logStart
  known.highWatermark = news.highWatermark
  known.logStart = news.logStart
  if (news.errorCode !== 0) known.highWatermark = -1 // an error is news again, and so is its end
  if (news.recordBytes > 0) {
    session.partitions.delete(key)
    session.partitions.set(key, known)
  }
  return isNews
}

function sessionless(wanted: readonly WantedPartition[]): FetchContext {
  return { errorCode: 0, sessionId: 0, partitions: wanted, tells: () => true }
}

function failed(errorCode: number): FetchContext {
  return { errorCode, sessionId: 0, partitions: [], tells: () => false }
}
