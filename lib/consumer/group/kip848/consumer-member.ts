/**
 * A member of a KIP-848 group: it joins, stays, acknowledges and leaves by one kind of request, the heartbeat.
 *
 *   unsubscribed -> joining -> (reconciling -> acknowledging ->) stable -> leaving -> unsubscribed
 *                      ^---- fenced <----------- lost --------------'               any -> fatal
 *
 * Why the heartbeats have a timer of their own: a slow revocation must not cost the membership, so no heartbeat ever
 * waits for the host. One is outstanding at a time; what becomes due meanwhile leaves with the answer.
 * Invariant: `identity` is set only while the coordinator has answered within the session time; after a loss nothing is
 * owned until a heartbeat that left later was answered with an assignment. Longer than most files, because sending and
 * judging share nearly all their state. Source: kafka.md 5.5, C-27 to C-29.
 */
import { findMQError, type MQError, toMQError } from '../../../errors/index.js'
import { ConsumerGroupHeartbeat, type DecodedResponseOf, type RequestOf, randomUuid } from '../../../protocol/index.js'
import { backoffMs, randomInt, runInBackground, type TimerHandle } from '../../../util/index.js'
import type { MemberParts } from '../member-parts.js'
import type { MemberIdentity, MemberState, Membership } from '../ports.js'
import { ensureFeature } from './choose-protocol.js'
import { EpochWaiters } from './epoch-waiters.js'
import { explained, isOtherProtocol, notAMember, otherProtocol, refusedHeartbeat, unconfirmed } from './failures.js'
import { HeartbeatReport, type MemberFacts } from './heartbeat-report.js'
import { leaveGroup } from './leave.js'
import { Reconciler } from './reconciler.js'
import { TopicNames } from './topic-names.js'
import { isLacking, judgeHeartbeat } from './verdicts.js'

/** Epochs with a meaning of their own. */
const JOIN = 0
const LEAVE = -1
/** A static member comes back within the session, and finds its partitions. */
const LEAVE_STATIC = -2
/** Of the session time, so many heartbeats fit into it at least. */
const BEATS_PER_SESSION = 3
/** Failed attempts to join, in a row, of which the caller is told. */
const QUIET_JOINS = 5

/** What the coordinator did not confirm in time. */
const THAT_WE_ARE_HERE = 'that we are here'
/** Answers to a commit that say something about this member. */
const TELLING = [22, 25, 82, 110, 113]

/** What is between two heartbeats; `reconciling`, `acknowledging` and `stable` are all `member`. */
type Phase = 'unsubscribed' | 'joining' | 'member' | 'fenced' | 'leaving' | 'fatal'
type Answer = DecodedResponseOf<typeof ConsumerGroupHeartbeat>
type Body = RequestOf<typeof ConsumerGroupHeartbeat>

/** One heartbeat on its way, and the situation it left in. */
interface Beat {
  life: number
  /** LEAVE or LEAVE_STATIC: gives up a membership that we may have without knowing it. */
  epoch: number
  sentMs: number
  /** The coordinator may have known us before. */
  wasRegistered: boolean
}

export function consumerMember(parts: MemberParts): Membership {
  return new ConsumerMember(parts)
}

class ConsumerMember implements Membership {
  readonly protocol = 'consumer'
  readonly #parts: MemberParts
  readonly #groupId: string
  readonly #instanceId: string | null
  readonly #memberId: string
  readonly #report: HeartbeatReport
  readonly #names: TopicNames
  readonly #reconciler: Reconciler
  readonly #waiters: EpochWaiters
  #phase: Phase = 'unsubscribed'
  #topics: readonly string[] = []
  #epoch = JOIN
  #intervalMs: number // as the coordinator said last
  #life = 0 // changes with every loss
  #inFlight: Beat | null = null
  #heardFromMs = Number.POSITIVE_INFINITY // when the first heartbeat behind the last answered one left
  #isDue = false // a heartbeat leaves with the next answer
  #isRegistered = false // a join left, and nothing said since that the group does not know us
  #mustRelease = false // the coordinator has us under another epoch: leave, then join
  #isSettled = false
  #failures = 0 // in a row
  #trouble: MQError | null = null // since the last good answer
  #beatTimer: TimerHandle | null = null
  #sessionTimer: TimerHandle | null = null
  #sessionUntilMs = Number.POSITIVE_INFINITY // when it rings
  #leaving: Promise<void> | null = null
  #leaveUntilMs = 0
  #startsAgain = false
  #closing: Promise<void> | null = null

  constructor(parts: MemberParts) {
    const { config, host, clock, random } = parts
    this.#parts = parts
    this.#groupId = config.groupId ?? ''
    this.#instanceId = config.groupInstanceId ?? null
    this.#intervalMs = config.heartbeatIntervalMs
    this.#memberId = randomUuid((length) => Uint8Array.from({ length }, () => randomInt(random, 256)))
    this.#report = new HeartbeatReport({
      rackId: config.rackId ?? null,
      rebalanceTimeoutMs: config.rebalanceTimeoutMs,
    })
    this.#names = new TopicNames({
      ...parts,
      onNews: () => this.#reconciler.pump(),
      isNeeded: () => this.#reconciler.isWaiting,
    })
    this.#reconciler = new Reconciler({
      host,
      clock,
      rebalanceTimeoutMs: config.rebalanceTimeoutMs,
      nameOf: (topicId, partition) => this.#names.nameOf(topicId, partition),
      seekNames: () => this.#names.seek(),
      rests: () => this.#look(),
      late: () => this.#silent(config.rebalanceTimeoutMs, 'that partitions were given back'),
    })
    this.#waiters = new EpochWaiters(clock, this.#groupId)
  }

  get state(): MemberState {
    if (this.#phase !== 'member') return this.#phase
    if (!this.#reconciler.isDone) return 'reconciling'
    return this.#report.isTold(this.#facts) ? 'stable' : 'acknowledging'
  }

  get identity(): MemberIdentity | null {
    if (this.#phase !== 'member') return null
    return { memberId: this.#memberId, generation: this.#epoch, instanceId: this.#instanceId }
  }

  get trouble(): MQError | null {
    return this.#trouble
  }

  start(): void {
    if (this.#closing !== null) return
    if (this.#phase === 'leaving') this.#startsAgain = true
    else if (this.#phase === 'unsubscribed') this.#begin()
  }

  topicsChanged(): void {
    if (!this.#isActive) return
    this.#readTopics()
    this.#isSettled = false
    this.#beatSoon()
    this.#reconciler.pump()
  }

  checkSession(nowMs: number): void {
    if (this.#phase === 'member' && nowMs >= this.#sessionUntilMs) this.#silent(this.#sessionMs, THAT_WE_ARE_HERE)
  }

  /** What a commit was told may be old news: a heartbeat asks how things stand, and acts on the answer. */
  commitRefused(errorCode: number): void {
    const isAboutUs = TELLING.includes(errorCode)
    if (isAboutUs && this.#isActive) this.#beatSoon()
  }

  /** Rejects at the deadline, or when this is not a member any more. */
  refreshIdentity(deadlineMs: number): Promise<void> {
    if (!this.#isActive) return Promise.reject(this.#notAMember())
    const promise = this.#waiters.wait(deadlineMs)
    if (this.#inFlight === null) this.#beatSoon()
    return promise
  }

  abandon(reason: MQError): void {
    if (!this.#isActive) return
    this.#end('leaving', reason)
    this.#startsAgain = false
    this.#leaveBefore(this.#now + this.#sessionMs)
    this.#reconciler.lose(reason) // Last, because the host may start again at once.
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  // --- lifetime ---

  #begin(): void {
    this.#phase = 'joining'
    this.#isSettled = false
    this.#failures = 0
    this.#names.start()
    this.#readTopics()
    this.#beat()
  }

  /** No timer, no answer and no step of what was counts any more. */
  #end(phase: Phase, reason: MQError): void {
    this.#life++
    this.#phase = phase
    this.#beatTimer?.cancel()
    this.#sessionTimer?.cancel()
    this.#inFlight = null
    this.#isDue = false
    this.#epoch = JOIN
    this.#mustRelease = false
    this.#report.forget()
    this.#names.stop()
    this.#waiters.rejectAll(reason)
  }

  /** After the session time the coordinator has noticed by itself, so no goodbye is worth more. */
  async #close(latestMs: number): Promise<void> {
    const deadlineMs = Math.min(latestMs, this.#now + this.#sessionMs)
    if (this.#isActive) this.#end('leaving', this.#notAMember())
    this.#startsAgain = false
    this.#reconciler.forget()
    const { clock } = this.#parts
    this.#leaveBefore(deadlineMs)
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(resolve, Math.max(0, deadlineMs - this.#now))
      void this.#leaving?.then(() => {
        timer.cancel()
        resolve()
      })
    })
    if (this.#phase === 'leaving') this.#phase = 'unsubscribed'
  }

  /** In the background; never rejects. `start` goes on behind it. */
  #leaveBefore(deadlineMs: number): void {
    this.#leaveUntilMs = deadlineMs
    this.#leaving ??= this.#leave().then(() => {
      this.#leaving = null
      if (this.#phase === 'leaving') this.#phase = 'unsubscribed'
      if (this.#startsAgain) {
        this.#startsAgain = false
        this.start()
      }
    })
  }

  async #leave(): Promise<void> {
    if (!this.#isRegistered) return
    const hasLeft = await leaveGroup(this.#parts, this.#leaveBody(), () => this.#leaveUntilMs)
    if (hasLeft) this.#isRegistered = false
  }

  #leaveBody(): Body {
    const memberEpoch = this.#instanceId === null ? LEAVE : LEAVE_STATIC
    return { groupId: this.#groupId, memberId: this.#memberId, memberEpoch, instanceId: this.#instanceId }
  }

  // --- heartbeats ---

  /** At once, or with the answer to the one that is on its way. */
  #beatSoon(): void {
    if (this.#inFlight !== null) this.#isDue = true
    else this.#beat()
  }

  #beatIn(delayMs: number): void {
    this.#beatTimer?.cancel()
    this.#beatTimer = this.#parts.clock.setTimer(() => this.#beatSoon(), Math.max(0, delayMs))
  }

  #beat(): void {
    this.#beatTimer?.cancel()
    this.#isDue = false
    if (this.#phase === 'fenced' && this.#epoch === JOIN) this.#phase = 'joining'
    const beat: Beat = { life: this.#life, epoch: this.#epoch, sentMs: this.#now, wasRegistered: false }
    this.#inFlight = beat
    runInBackground('heartbeat', () => this.#exchange(beat), this.#defect)
  }

  async #exchange(beat: Beat): Promise<void> {
    const { cluster } = this.#parts
    // Whoever owns something cannot wait long; a join may have to wait for a coordinator that is just being made.
    const deadlineMs = this.#now + (this.#epoch === JOIN ? this.#sessionMs : this.#sessionMs / BEATS_PER_SESSION)
    let brokerId = -1
    let answer: Answer
    try {
      brokerId = await cluster.coordinator(this.#groupId, { deadlineMs })
      if (this.#isStale(beat)) return
      if (this.#epoch === JOIN) ensureFeature(cluster, this.#groupId)
      const options = { deadlineMs, purpose: 'group' } as const
      answer = await cluster.requestGroup(this.#groupId, ConsumerGroupHeartbeat, () => this.#body(beat), options)
    } catch (error) {
      if (!this.#isStale(beat)) this.#unanswered(error)
      return
    }
    if (this.#isStale(beat)) return
    this.#inFlight = null
    this.#judge(beat, answer, brokerId)
  }

  /** Written when the connection takes it: what it says about partitions is true at that moment. */
  #body(beat: Beat): Body {
    if (this.#isStale(beat)) throw this.#notAMember()
    beat.life = this.#life
    beat.sentMs = this.#now
    this.#heardFromMs = Math.min(this.#heardFromMs, beat.sentMs)
    beat.wasRegistered = this.#isRegistered
    if (this.#mustRelease) {
      const body = this.#leaveBody()
      beat.epoch = body.memberEpoch
      return body
    }
    beat.epoch = this.#epoch
    this.#isRegistered = true
    if (this.#reconciler.owesList) this.#report.oweList()
    const fields = this.#report.next(this.#facts)
    if (fields.topicPartitions !== null) this.#reconciler.listLeaves()
    const { groupId, memberId, instanceId } = this.#leaveBody()
    return { groupId, memberId, memberEpoch: beat.epoch, instanceId, ...fields }
  }

  #judge(beat: Beat, answer: Answer, brokerId: number): void {
    const verdict = judgeHeartbeat(answer.errorCode)
    const isMaybeUs = verdict === 'unreleased' && beat.epoch === JOIN && beat.wasRegistered
    if (verdict === 'lookUp') this.#parts.cluster.forgetCoordinator(this.#groupId, brokerId)
    if (verdict === 'lookUp' || verdict === 'retry') this.#tryAgain(this.#refusal(answer))
    else if (beat.epoch < JOIN) this.#released(answer)
    else if (verdict === 'ok') this.#accepted(beat, answer)
    else if (beat.epoch === JOIN && isOtherProtocol(answer.errorCode)) this.#fail(otherProtocol(this.#refusal(answer)))
    else if (verdict === 'fenced' || verdict === 'unknown' || isMaybeUs) this.#fenced(beat, answer)
    else this.#fail(this.#refusal(answer))
  }

  #accepted(beat: Beat, answer: Answer): void {
    this.#failures = 0
    this.#trouble = null
    if (answer.heartbeatIntervalMs > 0) this.#intervalMs = answer.heartbeatIntervalMs
    this.#epoch = answer.memberEpoch
    // What it says about partitions is older than their loss: the next one, with all fields, counts.
    if (beat.life !== this.#life) return this.#beat()
    this.#phase = 'member'
    this.#report.answered()
    this.#armSession(beat.sentMs)
    this.#beatIn(beat.sentMs + this.#intervalMs - this.#now)
    const isNews = this.#reconciler.answered(answer.assignment?.topicPartitions ?? null, this.#heardFromMs)
    this.#heardFromMs = Number.POSITIVE_INFINITY
    if (isNews) this.#isSettled = false
    this.#waiters.resolveAll()
    this.#reconciler.pump() // The host is told things, and may have closed us when it returns.
    if (this.#isDue && this.#isActive && this.#inFlight === null) this.#beat()
  }

  /** 110, 25, or a static member's 111 after a join that may have been ours: all is lost, and we begin again. */
  #fenced(beat: Beat, answer: Answer): void {
    const isUnknown = judgeHeartbeat(answer.errorCode) === 'unknown'
    // A join that is fenced means that the coordinator still has us, under an epoch we do not know.
    this.#mustRelease = beat.epoch === JOIN && !isUnknown
    if (isUnknown) this.#isRegistered = false
    this.#epoch = JOIN
    this.#lost(this.#refusal(answer))
    this.#tryAgainSoon()
  }

  /** Left, so that we can join. 82: another process has our instance id. */
  #released(answer: Answer): void {
    if (judgeHeartbeat(answer.errorCode) === 'fatal') return this.#fail(this.#refusal(answer))
    this.#mustRelease = false
    this.#isRegistered = false
    this.#beat()
  }

  #unanswered(cause: unknown): void {
    this.#inFlight = null
    const error = findMQError(cause)
    if (error === undefined) return this.#defect('heartbeat', cause)
    if (isLacking(error)) return this.#fail(explained(error, this.#groupId))
    this.#tryAgain(error)
  }

  /** With all fields, after a pause. */
  #tryAgain(error: MQError): void {
    this.#trouble = error
    this.#report.forget()
    this.#isDue = false
    const { host, config, random } = this.#parts
    const isFirst = this.#phase === 'member' && this.#failures === 0
    if (isFirst || this.#failures === QUIET_JOINS)
      host.warn('the group coordinator does not answer as it should', { error })
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    const ceilingMs = Math.min(retryBackoffMaxMs, this.#intervalMs)
    this.#beatIn(backoffMs(this.#failures++, Math.min(retryBackoffMs, ceilingMs), ceilingMs, random))
  }

  /** The first time at once. */
  #tryAgainSoon(): void {
    if (this.#failures++ === 0) return this.#beat()
    const { config, random } = this.#parts
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    this.#beatIn(backoffMs(this.#failures, retryBackoffMs, retryBackoffMaxMs, random))
  }

  // --- what follows from them ---

  /** All steps are done: the acknowledgement leaves at once; when it was answered, the round has ended. */
  #look(): void {
    if (this.#phase !== 'member' || !this.#reconciler.isResting) return
    if (this.#reconciler.owesList || !this.#report.isSaid(this.#facts)) return this.#beatSoon()
    if (this.#isSettled || this.state !== 'stable') return
    this.#isSettled = true
    this.#parts.host.settled()
  }

  #lost(reason: MQError): void {
    this.#life++
    this.#phase = 'fenced'
    this.#isSettled = false
    this.#sessionTimer?.cancel()
    this.#report.forget()
    this.#reconciler.lose(reason)
  }

  /** The coordinator began to count when the last answered heartbeat arrived, not earlier than it left. */
  #armSession(fromMs: number): void {
    this.#sessionTimer?.cancel()
    const sessionMs = this.#sessionMs
    const over = () => this.#silent(sessionMs, THAT_WE_ARE_HERE)
    this.#sessionUntilMs = fromMs + sessionMs
    this.#sessionTimer = this.#parts.clock.setTimer(over, Math.max(0, this.#sessionUntilMs - this.#now))
  }

  /**
   * It may have given our partitions away. The epoch stays: if we are still a member the next answer brings the
   * assignment again, else it fences us.
   */
  #silent(timeoutMs: number, what: string): void {
    this.#lost(unconfirmed(this.#groupId, timeoutMs, what))
    if (this.#inFlight === null) this.#beatSoon()
  }

  #fail(error: MQError): void {
    this.#end('fatal', error)
    this.#reconciler.lose(error)
    this.#parts.host.failed(error)
  }

  readonly #defect = (what: string, cause: unknown): void => {
    if (this.#isActive) this.#fail(toMQError(cause, 'CONNECTION_FAILED', `the ${what} of the group failed here`))
  }

  #readTopics(): void {
    const { cluster, host } = this.#parts
    this.#topics = host.topics()
    for (const topic of this.#topics) cluster.useTopic(topic)
    this.#reconciler.subscribed(this.#topics)
  }

  get #facts(): MemberFacts {
    return { topics: this.#topics, owned: this.#reconciler.owned() }
  }

  get #isActive(): boolean {
    return this.#phase === 'joining' || this.#phase === 'member' || this.#phase === 'fenced'
  }

  /** The broker does not tell its session time: ours, but no fewer than three of its intervals. */
  get #sessionMs(): number {
    return Math.max(this.#parts.config.sessionTimeoutMs, BEATS_PER_SESSION * this.#intervalMs)
  }

  get #now(): number {
    return this.#parts.clock.monotonicMs()
  }

  #isStale(beat: Beat): boolean {
    return beat !== this.#inFlight
  }

  #refusal({ errorCode, errorMessage }: Answer): MQError {
    return refusedHeartbeat(errorCode, errorMessage, this.#groupId, this.#memberId)
  }

  #notAMember(): MQError {
    return notAMember(this.#groupId, this.#phase)
  }
}
