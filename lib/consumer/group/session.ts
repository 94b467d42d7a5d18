/**
 * Reads what a group gives to this consumer: from the subscription to the last commit.
 *
 *   subscribe -> Membership -> assign -> committed offset, else autoOffsetReset -> reading -> commit on interval
 *                           -> revoke -> callbacks end -> commit -> listeners -> dropped
 *                           -> lose   -> dropped at once
 *
 * Invariant: nothing is committed for a partition after `revoke` has ended or `lose` was called; a `subscribe` that
 * rejects has subscribed nothing. Source: kafka.md 5.5, features.md CO-1, CO-5, CO-6, CO-9, CO-10.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { MQError, toMQError } from '../../errors/index.js'
import {
  type Clock,
  type Deferred,
  deferred,
  type Emitter,
  Pauses,
  type RandomSource,
  runInBackground,
} from '../../util/index.js'
import { withSignal } from '../assignment.js'
import type { ConsumerCounters } from '../counters.js'
import { type Delivery, HOLD, type PartitionCursor, type TopicPartition } from '../cursor.js'
import type { ConsumerEvents } from '../events.js'
import type { GroupCluster } from '../ports.js'
import { ProgressWatch } from '../progress.js'
import type { Reading } from '../reading.js'
import type { TopicLookup, Until } from '../topic-lookup.js'
import { AutoCommit } from './auto-commit.js'
import type { OffsetStore } from './offset-store.js'
import type { OffsetToCommit } from './offsets/offsets.js'
import { PatternWatch } from './pattern-watch.js'
import type { GroupHost, MemberIdentity, MemberState, Membership } from './ports.js'
import { StartPositions } from './start-positions.js'
import { Subscriptions } from './subscriptions.js'

/** Of the time that a revocation may take, so much is kept for the commit and the listeners. */
const KEPT_FOR_COMMIT = 0.2

export interface SessionParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: GroupCluster
  readonly clock: Clock
  readonly random: RandomSource
  readonly events: Emitter<ConsumerEvents>
  readonly counters: ConsumerCounters
  readonly reading: Reading
  readonly lookup: TopicLookup
  readonly committer: OffsetStore
  /** Classic or KIP-848; asked once, when the first topic is subscribed. */
  readonly makeMember: (host: GroupHost) => Promise<Membership>
  /** No retry will help. */
  readonly failed: (error: MQError) => void
}

export interface SubscribeOptions {
  /** Longest wait for metadata, the group and the first positions. Milliseconds, default 60000. */
  readonly timeoutMs?: number | undefined
  /** Rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

interface Waiter {
  readonly wanted: readonly (string | RegExp)[]
  readonly version: number
  readonly done: Deferred<void>
}

export class GroupSession implements GroupHost {
  readonly #parts: SessionParts
  readonly #subscriptions = new Subscriptions()
  readonly #patterns: PatternWatch
  readonly #positions: StartPositions
  readonly #progress: ProgressWatch
  readonly #commits: AutoCommit
  readonly #waiters = new Set<Waiter>()
  /** Calls of `unsubscribe` that have not ended. */
  readonly #ending = new Set<Promise<void>>()
  /** Partitions whose `revoked` listeners were called, and when those have ended: told once, whoever asks for them back. */
  readonly #told = new WeakMap<PartitionCursor, Promise<void>>()
  /** Waits for listeners. */
  readonly #listening: Pauses
  #member: Membership | null = null
  #memberComing: Promise<void> | null = null
  #version = 0 // of the subscription
  #askedVersion = 0 // the one the member's present round began with
  #failure: MQError | null = null
  #isClosed = false

  constructor(parts: SessionParts) {
    this.#parts = parts
    const { cluster, clock, config } = parts
    this.#positions = new StartPositions(parts)
    this.#listening = new Pauses(clock)
    this.#commits = new AutoCommit(parts, () => this.identity !== null)
    this.#progress = new ProgressWatch({
      maxPollIntervalMs: config.maxPollIntervalMs,
      clock,
      cursors: () => parts.reading.open,
      exceeded: (reason) => this.#tooSlow(reason),
      progressed: () => this.#rejoin(),
    })
    this.#patterns = new PatternWatch({
      cluster,
      clock,
      intervalMs: config.metadataMaxAgeMs,
      saw: (names) => this.#saw(names),
      failed: (error) => this.warn('topics could not be listed for a pattern', { error: String(error) }),
    })
  }

  get member(): Membership | null {
    return this.#member
  }

  get identity(): MemberIdentity | null {
    return this.#member?.identity ?? null
  }

  get state(): MemberState {
    return this.#member?.state ?? 'unsubscribed'
  }

  /** Read by us now, and ours to commit. */
  isOwned({ topic, partition }: TopicPartition): boolean {
    return this.#parts.reading.fetcher.assigned.get(topic, partition) !== undefined
  }

  get isSubscribed(): boolean {
    return !this.#subscriptions.isEmpty
  }

  /** Something is subscribed, or still being given back. */
  get isEngaged(): boolean {
    return this.isSubscribed || this.#ending.size > 0
  }

  // --- the caller's verbs ---

  /** `ensureMay` throws when something that must not go together has begun meanwhile. */
  async subscribe(
    wanted: readonly (string | RegExp)[],
    delivery: Delivery,
    options: SubscribeOptions,
    ensureMay: () => void = () => {},
  ): Promise<void> {
    const { lookup } = this.#parts
    const until = lookup.until(options.timeoutMs)
    this.#subscriptions.refuseTwice(wanted)
    const names = wanted.filter((item) => typeof item === 'string')
    await withSignal(this.#ready(wanted, names, until), options.signal)
    this.#ensureOpen()
    ensureMay()
    this.#subscriptions.refuseTwice(wanted)
    this.#subscriptions.add(wanted, delivery)
    try {
      await withSignal(this.#joined(wanted, until), options.signal)
    } catch (error) {
      await this.#undo(wanted, delivery)
      throw error
    }
  }

  /** Commits, gives back, and leaves the group when nothing else is subscribed. */
  async unsubscribe(wanted: readonly (string | RegExp)[] | null): Promise<void> {
    if (!this.isSubscribed) return void (await Promise.all(this.#ending))
    if (wanted === null) this.#subscriptions.clear()
    else this.#subscriptions.remove(wanted)
    if (!this.#subscriptions.hasPatterns) this.#patterns.stop()
    this.#positions.follow(this.#subscriptions.topics())
    this.#endWaiting(
      new MQError('CONSUMER_CLOSED', 'the topics were unsubscribed before the group gave partitions of them'),
      (waiter) => !waiter.wanted.some((item) => this.#subscriptions.has(item)),
    )
    const ending = this.#dropUnsubscribed()
    this.#ending.add(ending)
    await ending.finally(() => this.#ending.delete(ending))
  }

  /** Commits what is processed of all partitions. Rejects with OFFSET_COMMIT_FAILED. */
  commitProcessed(deadlineMs: number): Promise<void> {
    return this.#commits.processed(this.#parts.reading.cursors, deadlineMs)
  }

  /** Commits exactly these. */
  commit(offsets: readonly OffsetToCommit[], deadlineMs: number): Promise<void> {
    return this.#commits.exactly(offsets, deadlineMs)
  }

  /** The last commit, then the group is left. In bounded time (`untilMs`, monotonic). Callbacks have ended before. */
  async close(untilMs: number): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#patterns.stop()
    this.#positions.close()
    this.#endWaiting(new MQError('CONSUMER_CLOSED', 'the consumer was closed while it joined its group'))
    // Callbacks were waited for by whoever closes, as long as it wanted to.
    if (this.isEngaged) await this.#giveBack(this.#cursorsOf(this.#owned()), this.#now, untilMs)
    await this.#leave(untilMs)
    if (this.#ending.size > 0) await this.#by(this.#ended(), untilMs, 'leaving the group after unsubscribe')
    this.#listening.stop() // An 'assigned' listener need not end for that.
    this.#parts.committer.close()
  }

  // --- GroupHost ---

  topics(): readonly string[] {
    this.#askedVersion = this.#version
    return this.#subscriptions.topics()
  }

  owned(): readonly TopicPartition[] {
    return this.#owned()
  }

  async assign(partitions: readonly TopicPartition[]): Promise<void> {
    const made: PartitionCursor[] = []
    const { reading, events, counters, cluster } = this.#parts
    counters.rebalances++
    for (const { topic, partition } of partitions) {
      const delivery = this.#subscriptions.deliveryOf(topic)
      if (this.#isClosed || delivery === undefined || reading.fetcher.assigned.get(topic, partition) !== undefined)
        continue
      cluster.useTopic(topic)
      made.push(reading.cursorAt(topic, partition, delivery, -1))
    }
    reading.add(made)
    const unplaced = this.#positions.expect(made)
    this.#commits.arm()
    const untilMs = this.#parts.clock.monotonicMs() + this.#parts.config.rebalanceTimeoutMs
    const told = made.length > 0 && events.emitAndWait('assigned', { partitions: made.map(({ tp }) => tp) })
    this.#progress.start() // Behind the event: what is overdue already takes them away again at once.
    if (told !== false) await this.#by(told, untilMs, "an 'assigned' listener")
    this.#positions.find(unplaced)
  }

  async revoke(partitions: readonly TopicPartition[], deadlineMs: number): Promise<void> {
    const leftMs = Math.max(0, deadlineMs - this.#now)
    await this.#giveBack(this.#cursorsOf(partitions), deadlineMs - leftMs * KEPT_FOR_COMMIT, deadlineMs)
  }

  lose(partitions: readonly TopicPartition[], reason: MQError): void {
    const cursors = this.#cursorsOf(partitions)
    if (cursors.length === 0) return
    this.#drop(cursors)
    const untold = cursors.filter((cursor) => !this.#told.has(cursor)) // Of the others it was said that they go.
    if (untold.length > 0) this.#parts.events.emit('lost', { partitions: untold.map(({ tp }) => tp), reason })
  }

  /** All that the round gave is ours; whoever waits for it waits for its positions too. */
  settled(): void {
    const ready = [...this.#waiters].filter(({ version }) => version <= this.#askedVersion)
    for (const waiter of ready) {
      this.#waiters.delete(waiter)
      runInBackground(
        'wait for positions',
        async () => {
          await this.#positions.whenFound()
          waiter.done.resolve()
        },
        (_name, error) => waiter.done.reject(error),
      )
    }
  }

  failed(error: MQError): void {
    this.#failure = error
    this.#commits.stop()
    this.lose(this.#owned(), error)
    this.#endWaiting(error)
    this.#parts.events.emit('error', error)
    this.#parts.failed(error)
  }

  warn(message: string, context: object): void {
    this.#parts.events.emit('warning', { message, context })
  }

  // --- inside ---

  /** The topics are known, and nothing of them is on its way out: what comes would be taken for what goes. */
  async #ready(wanted: readonly (string | RegExp)[], names: readonly string[], until: Until): Promise<void> {
    const { lookup, reading } = this.#parts
    await lookup.find(names, until)
    const isWanted = ({ topic, holds }: PartitionCursor) =>
      (holds & HOLD.leaving) !== 0 && (wanted.includes(topic) || names.length < wanted.length)
    const text = `earlier partitions of ${wanted.join()} were not given back within ${until.timeoutMs} ms`
    while (this.#ending.size > 0 && reading.cursors.some(isWanted)) {
      const ended = Promise.race(this.#ending)
      await lookup.within(ended, until, () => new MQError('TIMEOUT', text, { timeoutMs: until.timeoutMs }))
    }
  }

  async #joined(wanted: readonly (string | RegExp)[], until: Until): Promise<void> {
    const { lookup, config } = this.#parts
    if (this.#subscriptions.hasPatterns) this.#subscriptions.saw(await this.#patterns.start(until.deadlineMs))
    this.#ensureOpen()
    const text = `group ${config.groupId} gave this consumer no assignment within ${until.timeoutMs} ms`
    const waiter = { wanted, version: this.#version + 1, done: deferred<void>() }
    waiter.done.promise.catch(() => {}) // The caller may have gone (time-out, signal).
    this.#waiters.add(waiter)
    this.#changed()
    try {
      await lookup.within(waiter.done.promise, until, () => {
        const cause = this.#member?.trouble ?? undefined
        const why = cause === undefined ? '' : `: ${cause.message}`
        return new MQError('TIMEOUT', text + why, { groupId: config.groupId, timeoutMs: until.timeoutMs }, { cause })
      })
    } finally {
      this.#waiters.delete(waiter)
    }
  }

  /** Only what is still subscribed in that way: the caller may have taken it back, and subscribed anew. */
  async #undo(wanted: readonly (string | RegExp)[], delivery: Delivery): Promise<void> {
    const mine = wanted.filter((item) => this.#subscriptions.has(item, delivery))
    if (this.#isClosed || mine.length === 0) return
    try {
      await this.unsubscribe(mine)
    } catch (error) {
      this.warn('a subscription that failed could not be taken back', { error: String(error) })
    }
  }

  /** All topics there are, looked at again: what was not there before is read whole, like partitions that a topic gets. */
  #saw(names: readonly string[]): void {
    const before = new Set(this.#subscriptions.topics())
    if (!this.#subscriptions.saw(names)) return
    const added = this.#subscriptions.topics().filter((topic) => !before.has(topic))
    this.#positions.follow(added, true)
    this.#changed()
  }

  /** What nobody wants any more goes back; without any wish the group is left. */
  async #dropUnsubscribed(): Promise<void> {
    const untilMs = this.#now + this.#parts.config.rebalanceTimeoutMs
    await this.revoke(
      this.#owned().filter(({ topic }) => this.#subscriptions.deliveryOf(topic) === undefined),
      untilMs,
    )
    // Other calls may still be giving back: first they commit, then we leave.
    if (this.#subscriptions.isEmpty) await this.revoke(this.#owned(), untilMs)
    if (this.#subscriptions.isEmpty) await this.#leave(untilMs)
    else this.#changed()
  }

  async #giveBack(cursors: readonly PartitionCursor[], idleUntilMs: number, deadlineMs: number): Promise<void> {
    if (cursors.length === 0) return
    const { reading } = this.#parts
    for (const cursor of cursors) {
      cursor.hold(HOLD.leaving)
      cursor.isInterrupted = true
      reading.fetcher.wake(cursor)
    }
    await reading.whenIdle(cursors, idleUntilMs)
    await this.#commits.before(cursors.filter(isHere), deadlineMs)
    await this.#by(this.#tellRevoked(cursors.filter(isHere)), deadlineMs, "a 'revoked' listener")
    this.#drop(cursors.filter(isHere)) // Others were lost meanwhile.
  }

  /** Resolves when the listeners have ended. */
  async #tellRevoked(cursors: readonly PartitionCursor[]): Promise<void> {
    const untold = cursors.filter((cursor) => !this.#told.has(cursor))
    const told =
      untold.length === 0
        ? Promise.resolve()
        : this.#parts.events.emitAndWait('revoked', { partitions: untold.map(({ tp }) => tp) })
    for (const cursor of untold) this.#told.set(cursor, told)
    await Promise.all(new Set(cursors.map((cursor) => this.#told.get(cursor))))
  }

  /** The subscription is another one: a new round. */
  #changed(): void {
    if (this.#isClosed) return
    this.#version++
    for (const topic of this.#subscriptions.topics()) this.#parts.cluster.useTopic(topic)
    this.#positions.follow(this.#subscriptions.topics())
    if (this.#member !== null) return this.#member.topicsChanged()
    this.#memberComing ??= this.#makeMember()
  }

  async #makeMember(): Promise<void> {
    try {
      const member = await this.#parts.makeMember(this)
      this.#memberComing = null
      if (this.#isClosed || this.#subscriptions.isEmpty) return
      this.#member = member
      member.start()
    } catch (cause) {
      this.#memberComing = null
      this.#notMade(toMQError(cause, 'CONNECTION_FAILED', 'the group could not be joined'))
    }
  }

  /** What may mend itself fails those who subscribe now, and nothing is subscribed; the next call tries again. */
  #notMade(error: MQError): void {
    if (this.#isClosed || this.#subscriptions.isEmpty) return
    if (error.retryable && this.#waiters.size > 0) this.#endWaiting(error)
    else this.failed(error)
  }

  /** `maxPollIntervalMs` passed without progress: the partitions are somebody else's from now on (C-26). */
  #tooSlow(reason: MQError): void {
    this.#parts.events.emit('error', reason)
    this.#member?.abandon(reason)
  }

  #rejoin(): void {
    if (!this.#isClosed && this.#failure === null) this.#member?.start()
  }

  /** What `unsubscribe` has begun is done, or has failed there. */
  async #ended(): Promise<void> {
    await Promise.allSettled(this.#ending)
  }

  async #leave(untilMs: number): Promise<void> {
    this.#progress.stop()
    this.#commits.stop()
    const member = this.#member
    this.#member = null
    await member?.close(untilMs)
  }

  #owned(): TopicPartition[] {
    return this.#parts.reading.cursors.map(({ tp }) => tp)
  }

  #cursorsOf(partitions: readonly TopicPartition[]): PartitionCursor[] {
    const { assigned } = this.#parts.reading.fetcher
    return partitions
      .map(({ topic, partition }) => assigned.get(topic, partition))
      .filter((cursor) => cursor !== undefined)
  }

  #drop(cursors: readonly PartitionCursor[]): void {
    this.#parts.reading.remove(cursors)
    this.#parts.committer.forget(cursors.map(({ tp }) => tp))
  }

  /** The promise, or nothing at the deadline, which is told. */
  async #by(promise: Promise<void>, deadlineMs: number, who: string): Promise<void> {
    const isInTime = await this.#listening.atMost(Math.max(0, deadlineMs - this.#now), promise)
    if (isInTime || this.#listening.isStopped) return
    this.warn(`${who} did not end within the rebalance time: the group goes on without it`, {})
  }

  #endWaiting(error: MQError, isOver: (waiter: Waiter) => boolean = () => true): void {
    for (const waiter of this.#waiters) {
      if (!isOver(waiter)) continue
      this.#waiters.delete(waiter)
      waiter.done.reject(error)
    }
  }

  get #now(): number {
    return this.#parts.clock.monotonicMs()
  }

  #ensureOpen(): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#isClosed) throw new MQError('CONSUMER_CLOSED', 'the consumer is closed: make another one')
  }
}

function isHere(cursor: PartitionCursor): boolean {
  return !cursor.isRevoked
}
