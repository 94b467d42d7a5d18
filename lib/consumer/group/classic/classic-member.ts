/**
 * A member of a group under the classic protocol: one loop that plays round after round.
 *
 *   give back (eager: all; cooperative: topics dropped) -> JoinGroup -> the leader assigns -> SyncGroup -> take the
 *   difference -> stable, until somebody wants another round -> ...
 *
 * Why one async function per round: the protocol is a sequence of questions, and reads as one. Whatever overtakes it (a
 * heartbeat that says we are out, `abandon`, `close`) ends every wait, and each wait is followed by a look whether the
 * round is still the present one.
 * Invariant: partitions are kept across a round only while the coordinator is sure to have heard our claim to them; in
 * doubt they are given back first, so that at no instant two members own one (C-24).
 * Source: kafka.md 5.5; KIP-429, KIP-345, KIP-792.
 */
import { type MQError, toMQError } from '../../../errors/index.js'
import { backoffMs } from '../../../util/index.js'
import type { TopicPartition } from '../../cursor.js'
import { decodeAssignment } from '../consumer-protocol.js'
import type { MemberParts } from '../member-parts.js'
import type { MemberIdentity, MemberState, Membership } from '../ports.js'
import { Heartbeats } from './heartbeats.js'
import { Leading } from './leading.js'
import { Leaving } from './leaving.js'
import { isCooperative, offer } from './offer.js'
import { ClassicRequests, type JoinAnswer, type MemberPart, type SyncAnswer } from './requests.js'
import { type Round, Stay } from './stay.js'
import { gaveBackTooSlowly, isHopeless, judgeMember, memberError, silentFor, unknownAssignor } from './verdicts.js'

/**
 * How a round ended: with an assignment; with a reason to begin the next at once; soon (an id to join with, a
 * membership to begin anew: at once unless that repeats itself); or later, after a back-off.
 */
type Outcome = 'settled' | 'atOnce' | 'soon' | 'later'

const NO_GENERATION = -1
const ILLEGAL_GENERATION = 22
const MEMBER_ID_REQUIRED = 79
/** Failed rounds that are repeated without a pause when only the membership has to begin anew. */
const FREE_RETRIES = 2
/** Failed rounds, and rounds without rest between them, after which a person is told; again at each multiple. */
const TROUBLE = 5
const STORM = 10
/** A first join that is under way when we close is answered at once with the id to leave with; no longer. Milliseconds. */
const FIRST_JOIN_WAIT_MS = 1_000

export function classicMember(parts: MemberParts): Membership {
  return new ClassicMember(parts)
}

class ClassicMember implements Membership {
  readonly protocol = 'classic'
  readonly #parts: MemberParts
  readonly #groupId: string
  readonly #instanceId: string | null
  readonly #isCooperative: boolean
  readonly #requests: ClassicRequests
  readonly #heartbeats: Heartbeats
  readonly #leading: Leading
  readonly #leaving: Leaving
  #state: MemberState = 'unsubscribed'
  #trouble: MQError | null = null // since a round ended well
  #memberId = ''
  #generation = NO_GENERATION
  #previous: readonly TopicPartition[] = [] // the last assignment, and its generation: sticky assignors ask for it
  #previousGeneration = NO_GENERATION
  #topics: readonly string[] = [] // of the last join
  #stay: Stay | null = null
  #lived: Promise<void> = Promise.resolve()
  #closing: Promise<void> | null = null

  constructor(parts: MemberParts) {
    const { config, clock, random, host } = parts
    this.#parts = parts
    this.#groupId = config.groupId ?? ''
    this.#instanceId = config.groupInstanceId ?? null
    this.#isCooperative = isCooperative(config.assignors)
    this.#requests = new ClassicRequests(parts)
    this.#leaving = new Leaving(parts, this.#requests)
    this.#leading = new Leading(parts, (reason) => this.#stay?.want(reason))
    this.#heartbeats = new Heartbeats({
      config,
      clock,
      random,
      ask: (deadlineMs) => this.#requests.heartbeat(this.#memberId, this.#generation, deadlineMs),
      onRebalance: () => this.#stay?.want('the group is rebalancing'),
      onRefused: (errorNumber) => void this.#refused(errorNumber, 'Heartbeat'),
      onHopeless: (error) => this.#fail(error),
      onExpired: (silentMs) => this.#lose(silentFor(silentMs, config)),
      onTrouble: (failures, error) => {
        host.warn(`${failures} heartbeats of group ${this.#groupId} in a row have failed`, { error: String(error) })
      },
    })
  }

  get state(): MemberState {
    return this.#state
  }

  get identity(): MemberIdentity | null {
    if (this.#generation === NO_GENERATION) return null
    return { memberId: this.#memberId, generation: this.#generation, instanceId: this.#instanceId }
  }

  get trouble(): MQError | null {
    return this.#trouble
  }

  start(): void {
    if (this.#stay !== null || this.#closing !== null || this.#state === 'fatal') return
    const stay = new Stay(this.#parts.clock)
    this.#stay = stay
    this.#state = 'joining'
    this.#lived = this.#live(stay).catch((error: unknown) => {
      this.#fail(toMQError(error, 'CONSUME_FAILED', `the member of group ${this.#groupId} failed here`))
    })
  }

  topicsChanged(): void {
    this.#stay?.topicsChanged()
  }

  checkSession(nowMs: number): void {
    this.#heartbeats.checkSession(nowMs)
  }

  /** The refused commit may be older than the present generation: a heartbeat tells what is true now. */
  commitRefused(_errorCode: number): void {
    this.#heartbeats.poke()
  }

  refreshIdentity(): Promise<void> {
    return Promise.resolve()
  }

  abandon(reason: MQError): void {
    const memberId = this.#memberId
    if (!this.#endStay()) return
    this.#state = 'unsubscribed'
    this.#memberId = ''
    this.#leaving.inBackground(memberId, reason.message)
    this.#loseOwned(reason)
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  // --- the loop ---

  async #live(stay: Stay): Promise<void> {
    while (!stay.isOver) {
      const outcome = await this.#play(stay)
      if (stay.isOver) return
      if (outcome === 'settled') {
        this.#trouble = null
        await this.#rest(stay)
      } else await this.#pause(stay, outcome)
    }
  }

  async #rest(stay: Stay): Promise<void> {
    stay.failures = 0
    stay.settledMs = this.#now
    this.#parts.host.settled()
    for (;;) {
      await stay.untilWanted()
      if (stay.isOver || stay.wanted !== null) return
      if (!isSame(this.#parts.host.topics(), this.#topics)) return stay.want('the subscription changed')
      // Unsubscribed and subscribed again within a round: the group takes them for ours, and nobody reads them.
      if (without(this.#previous, this.#parts.host.owned()).length > 0) return stay.want('partitions are wanted again')
      stay.hasNewTopics = false
      this.#parts.host.settled() // The same topics, subscribed in another way: this round serves them too.
    }
  }

  async #pause(stay: Stay, outcome: Outcome): Promise<void> {
    if (outcome === 'atOnce') return
    const { config, random, host } = this.#parts
    stay.failures++
    if (stay.failures % TROUBLE === 0) {
      host.warn(`${stay.failures} attempts in a row to join group ${this.#groupId} have failed`, {
        reason: stay.wanted,
      })
    }
    if (outcome === 'soon' && stay.failures <= FREE_RETRIES) return
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    await stay.sleep(backoffMs(stay.failures - 1, retryBackoffMs, retryBackoffMaxMs, random))
  }

  async #play(stay: Stay): Promise<Outcome> {
    const round = stay.round()
    this.#countRound(stay)
    stay.hasNewTopics = false
    this.#topics = this.#parts.host.topics()
    await this.#giveBack(round)
    if (round.isOver) return 'soon'
    const joined = await this.#join(round)
    if (typeof joined === 'string') return joined
    const parts = await this.#lead(joined)
    if (round.isOver) return 'soon'
    const synced = await this.#sync(round, joined, parts)
    if (typeof synced === 'string') return synced
    return this.#take(round, decodeAssignment(synced.assignment))
  }

  // --- the steps of a round ---

  /** What others may be given by this round must not be ours any more when it begins. */
  async #giveBack(round: Round): Promise<void> {
    const { stay } = round
    const isKept = this.#isCooperative && !stay.isUnsure
    const owned = this.#parts.host.owned()
    const leaving = isKept ? owned.filter(({ topic }) => !this.#topics.includes(topic)) : owned
    if (leaving.length > 0) await this.#revoke(round, leaving)
    stay.isUnsure = false
  }

  async #join(round: Round): Promise<JoinAnswer | Outcome> {
    const { stay } = round
    const reason = stay.wanted ?? ''
    stay.wanted = null
    this.#state = 'joining'
    this.#leading.stop()
    const owned = this.#parts.host.owned()
    const protocols = offer(this.#parts.config.assignors, {
      topics: this.#topics,
      owned,
      previous: this.#previous,
      generation: this.#isCooperative ? this.#generation : this.#previousGeneration,
      rackId: this.#parts.config.rackId ?? null,
    })
    const answer = await this.#ask(round, 'JoinGroup', () => this.#requests.join(this.#memberId, protocols, reason))
    if (round.isOver) return this.#forsake(answer)
    if (typeof answer === 'string') return answer
    if (answer.errorCode === MEMBER_ID_REQUIRED) this.#memberId = answer.memberId
    if (answer.errorCode !== 0) return this.#refused(answer.errorCode, 'JoinGroup')
    return this.#joined(answer, owned)
  }

  #joined(answer: JoinAnswer, owned: readonly TopicPartition[]): JoinAnswer {
    const before = this.#generation
    const isNext = answer.generationId === before || answer.generationId === before + 1
    this.#memberId = answer.memberId
    this.#generation = answer.generationId
    this.#heartbeats.touch()
    // Our claim was of an older generation, so the leader may take what we hold for free (KIP-792).
    if (owned.length > 0 && !isNext) this.#loseOwned(memberError(ILLEGAL_GENERATION, this.#groupId, 'JoinGroup'))
    return answer
  }

  async #lead(joined: JoinAnswer): Promise<MemberPart[]> {
    if (joined.leader !== this.#memberId) return []
    const name = this.#parts.config.assignors.find((one) => one === joined.protocolName)
    if (name === undefined) throw unknownAssignor(joined.protocolName, this.#parts.config)
    if (!joined.skipAssignment) return this.#leading.assign(name, joined.members)
    await this.#leading.resume(name, joined.members)
    return []
  }

  async #sync(round: Round, joined: JoinAnswer, parts: readonly MemberPart[]): Promise<SyncAnswer | Outcome> {
    const { generationId, protocolName } = joined
    const answer = await this.#ask(round, 'SyncGroup', () =>
      this.#requests.sync(this.#memberId, generationId, protocolName, parts),
    )
    if (round.isOver) return 'soon'
    if (typeof answer === 'string') return answer
    return answer.errorCode === 0 ? answer : this.#refused(answer.errorCode, 'SyncGroup')
  }

  /** Gives back what was taken from us, then takes what is new. */
  async #take(round: Round, assigned: readonly TopicPartition[]): Promise<Outcome> {
    const { host, config } = this.#parts
    this.#heartbeats.start()
    this.#state = 'reconciling'
    this.#previous = assigned
    this.#previousGeneration = this.#generation
    const owned = host.owned()
    const removed = without(owned, assigned)
    if (removed.length > 0) await this.#revoke(round, removed)
    if (round.isOver) return 'soon'
    const added = without(assigned, owned)
    if (added.length > 0) await round.stay.until(host.assign(added), this.#now + config.rebalanceTimeoutMs)
    if (round.isOver) return 'soon'
    // The coordinator gives them to others in a round that we have to ask for.
    if (removed.length > 0 && this.#isCooperative) return this.#again(round.stay)
    this.#state = 'stable'
    return 'settled'
  }

  #again(stay: Stay): Outcome {
    stay.wanted ??= 'partitions were given back'
    return 'atOnce'
  }

  /**
   * Ends when the host has given them back, and at the latest when the group may have given us up (C-28): then they are
   * lost. The limit counts from when we last knew that no rebalance was under way: we are told of one up to a heartbeat
   * interval later than it begins. Rejected: counting from when we are told, by which the others may have them before.
   */
  async #revoke(round: Round, partitions: readonly TopicPartition[]): Promise<void> {
    const { host, config } = this.#parts
    this.#state = 'reconciling'
    const deadlineMs = this.#heartbeats.calmMs + config.rebalanceTimeoutMs
    await round.stay.until(host.revoke(partitions, deadlineMs), deadlineMs)
    if (!round.isOver && this.#now >= deadlineMs) this.#lose(gaveBackTooSlowly(config))
  }

  /**
   * A question that the coordinator may hold. Meanwhile there are no heartbeats and the session clock rests; when it
   * failed, what we hold is ours only as long as the session lasts.
   */
  async #ask<T extends { readonly errorCode: number }>(
    round: Round,
    step: string,
    ask: () => Promise<T>,
  ): Promise<T | Outcome> {
    this.#heartbeats.suspend()
    try {
      const answer = await ask()
      if (!round.isOver && answer.errorCode !== 0) this.#resumeSession()
      return answer
    } catch (cause) {
      const error = toMQError(cause, 'CONNECTION_FAILED', `${step} failed here`)
      if (round.isOver) return 'soon'
      this.#trouble = error
      if (isHopeless(error)) {
        this.#fail(error)
        return 'soon'
      }
      if (step === 'JoinGroup' && error.context['wasSent'] !== 'no') round.stay.isUnsure = true
      this.#resumeSession()
      round.stay.want(error.message)
      return 'later'
    }
  }

  #resumeSession(): void {
    if (this.#generation !== NO_GENERATION) this.#heartbeats.resumeSession()
  }

  // --- what ends a membership ---

  #refused(errorNumber: number, step: 'JoinGroup' | 'SyncGroup' | 'Heartbeat'): Outcome {
    const verdict = judgeMember(errorNumber)
    const error = memberError(errorNumber, this.#groupId, step)
    this.#trouble = error
    this.#stay?.want(error.message)
    if (verdict === 'takeId') return 'soon'
    if (verdict === 'rejoin') return step === 'SyncGroup' ? 'atOnce' : 'later'
    if (verdict === 'again' || verdict === 'elsewhere') return 'later'
    if (verdict === 'fatal') this.#fail(error)
    else {
      if (verdict === 'lostMember') this.#memberId = ''
      this.#lose(error)
    }
    return 'soon'
  }

  /** Not a member any more, but one that will be again: the round under way is overtaken. */
  #lose(reason: MQError): void {
    const stay = this.#stay
    if (stay === null) return
    this.#state = 'fenced'
    this.#forgetGeneration()
    stay.want(reason.message)
    stay.overtake()
    this.#loseOwned(reason)
  }

  #fail(error: MQError): void {
    if (!this.#endStay()) return
    this.#state = 'fatal'
    this.#loseOwned(error)
    this.#parts.host.failed(error)
  }

  #loseOwned(reason: MQError): void {
    const owned = this.#parts.host.owned()
    if (owned.length > 0) this.#parts.host.lose(owned, reason)
  }

  #forgetGeneration(): void {
    this.#generation = NO_GENERATION
    this.#heartbeats.stop()
    this.#leading.stop()
  }

  /** False: there was none. */
  #endStay(): boolean {
    const stay = this.#stay
    if (stay === null) return false
    this.#stay = null
    this.#forgetGeneration()
    stay.end()
    return true
  }

  // --- leaving ---

  async #close(deadlineMs: number): Promise<void> {
    const wasMember = this.#endStay()
    if (this.#state !== 'fatal') this.#state = 'leaving'
    if (wasMember && this.#memberId === '' && this.#instanceId === null) {
      await this.#leaving.atMost(this.#lived, Math.min(deadlineMs, this.#now + FIRST_JOIN_WAIT_MS))
    } else if (wasMember) await this.#leaving.leave(this.#memberId, 'the consumer was closed', deadlineMs)
    this.#memberId = ''
    if (this.#state !== 'fatal') this.#state = 'unsubscribed'
  }

  /** A join that nobody wants any more was answered: a member that stays behind would hold up everybody else. */
  async #forsake(answer: JoinAnswer | Outcome): Promise<Outcome> {
    const isId = typeof answer !== 'string' && (answer.errorCode === 0 || answer.errorCode === MEMBER_ID_REQUIRED)
    if (isId && answer.memberId !== this.#memberId) {
      await this.#leaving.leave(answer.memberId, 'the join was given up')
    }
    return 'soon'
  }

  // --- time and noise ---

  get #now(): number {
    return this.#parts.clock.monotonicMs()
  }

  #countRound(stay: Stay): void {
    const restedMs = this.#now - stay.settledMs
    stay.rounds = restedMs > this.#parts.config.sessionTimeoutMs ? 1 : stay.rounds + 1
    if (stay.rounds % STORM !== 0) return
    const text = `group ${this.#groupId} rebalances again and again: ${stay.rounds} rounds without rest`
    this.#parts.host.warn(text, { rounds: stay.rounds, reason: stay.wanted })
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}

function without(from: readonly TopicPartition[], these: readonly TopicPartition[]): TopicPartition[] {
  const names = new Set(these.map(nameOf))
  return from.filter((one) => !names.has(nameOf(one)))
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${partition} ${topic}`
}
