/**
 * Keeps the metadata cache fresh: when to ask, whom, and for which topics.
 * Why one object: a hundred lanes that meet NOT_LEADER at once must cost one question, and nobody should have to
 * remember to ask again: unknown topics, partitions without leader and old age bring the next question by themselves.
 * Invariant: one question at a time, at least MIN_GAP_MS apart (but for a topic's first); after `close` neither timer nor promise is left.
 * Source: kafka.md W-24 to W-29.
 */
import { findMQError, MQError } from '../errors/index.js'
import { brokerError, Metadata, type RequestOf } from '../protocol/index.js'
import { backoffMs, type TimerHandle } from '../util/index.js'
import { bootstrap } from './bootstrap.js'
import { closedHere } from './failures.js'
import type { ClusterSetup, Links } from './links.js'
import type { HintEndpoint, MetadataAnswer, MetadataCache } from './metadata-cache.js'
import { SharedTask } from './shared-task.js'
import type { TopicMetadata } from './topic-metadata.js'
import { TopicWaiters, type WaitOptions } from './topic-waiters.js'

const MIN_GAP_MS = 100
const LEADER_NOT_AVAILABLE = 5
const REBOOTSTRAP_REQUIRED = 129

export class MetadataUpdater {
  readonly #setup: ClusterSetup
  readonly #cache: MetadataCache
  readonly #links: Links
  readonly #task: SharedTask
  readonly #waiters: TopicWaiters
  readonly #inUse = new Set<string>()
  readonly #listeners = new Set<(topic: TopicMetadata) => void>()
  readonly #abort = new AbortController()
  #isClosed = false
  #running: Promise<void> = Promise.resolve()
  #next: TimerHandle | null = null // age, or back-off
  #unsettledRounds = 0 // in a row
  #lastError: MQError | null = null
  #otherCluster: string | null = null

  constructor(setup: ClusterSetup, cache: MetadataCache, links: Links) {
    this.#setup = setup
    this.#cache = cache
    this.#links = links
    this.#waiters = new TopicWaiters(setup.clock)
    this.#task = new SharedTask(() => this.#refresh(), setup.clock, MIN_GAP_MS)
  }

  get lastError(): MQError | null {
    return this.#lastError
  }

  useTopic(name: string): void {
    this.#inUse.add(name)
  }

  refresh(reason: string): Promise<void> {
    this.#setup.logger.debug('asking for metadata', { reason })
    return this.#task.ask()
  }

  /** As `refresh`, but only where somebody depends on the answer. */
  refreshInUse(reason: string): void {
    if (this.#isClosed || (this.#inUse.size === 0 && this.#waiters.size === 0)) return
    this.refresh(reason).catch(() => {}) // Reported by the run itself.
  }

  async waitForTopic(name: string, options: WaitOptions): Promise<TopicMetadata> {
    options.signal?.throwIfAborted()
    const known = this.#cache.topic(name)
    if (known !== undefined && known.errorCode === 0 && known.partitions.length > 0) {
      this.#inUse.add(name)
      return known
    }
    if (this.#isClosed) throw closedHere('the cluster')
    const waiting = this.#waiters.wait(name, options, () => this.#lastError)
    // A name that no answer has mentioned yet is a new question: a first send need not wait out the gap. While nobody
    // answers at all it is no use to ask more often.
    if (known === undefined && this.#lastError === null) this.#task.askNow().catch(() => {})
    else this.refreshInUse(`topic ${name} is asked for`)
    try {
      const topic = await waiting
      this.#inUse.add(name)
      return topic
    } catch (error) {
      this.#forgetUnknown(name)
      throw error
    }
  }

  applyLeaderHint(
    topic: string,
    partition: number,
    leaderId: number,
    leaderEpoch: number,
    endpoints: readonly HintEndpoint[],
  ): boolean {
    const moved = this.#cache.applyHint(topic, partition, leaderId, leaderEpoch, endpoints)
    if (moved === null) return false
    this.#links.addressesChanged()
    this.#tell([moved])
    return true
  }

  onTopic(listener: (topic: TopicMetadata) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const reason = closedHere('the cluster')
    this.#next?.cancel()
    this.#next = null
    this.#task.stop(reason)
    this.#waiters.rejectAll(reason)
    this.#abort.abort()
    await this.#running
  }

  /** A name that nobody waits for and no broker knows (a slip of the pen) is not asked for ever after. */
  #forgetUnknown(name: string): void {
    const topic = this.#cache.topic(name)
    if (this.#waiters.names.includes(name) || (topic !== undefined && topic.partitions.length > 0)) return
    this.#inUse.delete(name)
    this.#cache.forget(name)
  }

  #refresh(): Promise<void> {
    const run = this.#ask()
    this.#running = run.catch(() => {})
    return run
  }

  async #ask(): Promise<void> {
    try {
      for (const request of this.#requests()) await this.#exchange(request)
      this.#lastError = null
    } catch (error) {
      const known = findMQError(error) ?? new MQError('CONNECTION_FAILED', 'metadata failed here', {}, { cause: error })
      if (this.#lastError === null && !this.#isClosed) this.#setup.events.emit('warning', known)
      this.#lastError = known
      if (known.fatal) this.#waiters.rejectAll(known)
      throw known
    } finally {
      this.#planNext()
    }
  }

  /** Only a question that a write caused may create topics, so those are asked for apart (W-29). */
  #requests(): RequestOf<typeof Metadata>[] {
    const names = new Set([...this.#inUse, ...this.#waiters.names])
    const created = [...names].filter((name) => this.#waiters.mayCreate(name))
    const others = [...names].filter((name) => !created.includes(name))
    const request = (list: readonly string[], allowAutoTopicCreation: boolean) => ({
      topics: list.map((name) => ({ name })),
      allowAutoTopicCreation,
    })
    if (created.length === 0) return [request(others, false)]
    return others.length === 0 ? [request(created, true)] : [request(others, false), request(created, true)]
  }

  async #exchange(body: RequestOf<typeof Metadata>): Promise<void> {
    const answer = (await this.#askKnownBrokers(body)) ?? (await this.#bootstrap(body))
    if (this.#isClosed) throw closedHere('the cluster')
    const changed = this.#cache.apply(answer)
    this.#links.addressesChanged()
    for (const { name } of answer.topics) {
      const topic = name === null ? undefined : this.#cache.topic(name)
      if (topic !== undefined) this.#waiters.answered(topic)
    }
    this.#tell(changed)
  }

  /** Null: none of them could be asked, or they say that we should begin again. */
  async #askKnownBrokers(body: RequestOf<typeof Metadata>): Promise<MetadataAnswer | null> {
    for (const link of this.#links.candidates()) {
      if (this.#isClosed) throw closedHere('the cluster')
      try {
        await link.tryConnect()
        await link.whenRoom(this.#setup.settings.readTimeoutMs)
        const answer = await link.request(Metadata, body)
        if (answer.errorCode === REBOOTSTRAP_REQUIRED) return null
        this.#check(answer)
        return answer
      } catch (error) {
        this.#setup.logger.debug(`broker ${link.brokerId} gave no metadata`, { why: String(error) })
      }
    }
    return null
  }

  #bootstrap(body: RequestOf<typeof Metadata>): Promise<MetadataAnswer> {
    return bootstrap(this.#setup, this.#links.passing, body, (answer) => this.#check(answer), this.#abort.signal)
  }

  #check(answer: MetadataAnswer): void {
    if (answer.errorCode !== 0) throw brokerError(answer.errorCode, 'CONNECTION_FAILED')
    if (answer.brokers.length === 0)
      throw new MQError('CONNECTION_FAILED', 'it knows of no broker yet: it is just starting')
    const { clusterId } = this.#cache
    if (clusterId === null || answer.clusterId === null || answer.clusterId === clusterId) return
    throw this.#isOtherCluster(clusterId, answer.clusterId)
  }

  #isOtherCluster(expected: string, actual: string): MQError {
    if (this.#otherCluster !== actual) {
      this.#otherCluster = actual
      this.#setup.events.emit('clusterIdChanged', { expected, actual })
    }
    const text = `expected cluster ${expected}, the broker belongs to ${actual}: the addresses lead to another cluster`
    return new MQError('CONNECTION_FAILED', text, { expected, actual }, { retryable: false })
  }

  /** Exactly one timer: soon while something is unsettled, else when the metadata gets old. */
  #planNext(): void {
    this.#next?.cancel()
    this.#next = null
    if (this.#isClosed) return
    const { metadataMaxAgeMs, retryBackoffMs, retryBackoffMaxMs } = this.#setup.settings
    const isUnsettled = this.#isUnsettled()
    const round = isUnsettled ? this.#unsettledRounds++ : 0
    if (!isUnsettled) this.#unsettledRounds = 0
    const waitMs = isUnsettled
      ? backoffMs(round, retryBackoffMs, retryBackoffMaxMs, this.#setup.random)
      : metadataMaxAgeMs
    const reason = isUnsettled ? 'something was missing in the last answer' : 'the metadata is old'
    this.#next = this.#setup.clock.setTimer(() => this.refresh(reason).catch(() => {}), waitMs)
  }

  #isUnsettled(): boolean {
    if (this.#lastError !== null) return this.#inUse.size > 0 || this.#waiters.size > 0
    return this.#waiters.size > 0 || [...this.#inUse].some((name) => isLeaderless(this.#cache.topic(name)))
  }

  #tell(topics: readonly TopicMetadata[]): void {
    for (const topic of topics) for (const listener of this.#listeners) listener(topic)
  }
}

function isLeaderless(topic: TopicMetadata | undefined): boolean {
  if (topic === undefined) return false
  const isMissing = (one: { errorCode: number; leaderId: number }) =>
    one.leaderId < 0 || one.errorCode === LEADER_NOT_AVAILABLE
  return topic.errorCode === LEADER_NOT_AVAILABLE || topic.partitions.some(isMissing)
}
