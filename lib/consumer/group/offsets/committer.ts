/**
 * Stores offsets of the group, and reads them back.
 *
 *   commit -> waiting (one value per partition) -> in flight -> stored | failed
 *                  ^------ not stored yet ------------|
 *
 * Why one commit at a time: two on the way may arrive in any order, and the older would be the last (C-31).
 * Invariant: at most one OffsetCommit is outstanding; a value that is repeated never takes the place of a newer one;
 * nothing is sent in the name of a generation that is over. Source: kafka.md 5.5 (Offsets), C-31..C-35.
 */
import { MQError, toMQError } from '../../../errors/index.js'
import { OffsetCommit } from '../../../protocol/index.js'
import { assert, backoffMs, Pauses, runInBackground } from '../../../util/index.js'
import { checkOffset } from '../../assignment.js'
import type { TopicPartition } from '../../cursor.js'
import type { MemberIdentity, Membership } from '../ports.js'
import { CommitTicket, PendingOffset } from './commit-ticket.js'
import { CommittedReader } from './committed-reader.js'
import { closedMeanwhile, commitFailed, metadataTooLarge, refusedOffset, tooLate } from './failure.js'
import { identityOf, isSame, notAMember, outlived } from './identity.js'
import { judgeOffsets, type OffsetsAction, toldToMember } from './judge.js'
import { commitBody, commitCodes } from './messages.js'
import { type CommittedOffset, keyOf, type OffsetsParts, type OffsetToCommit } from './offsets.js'

/** What goes out together, and in whose name. */
interface Round {
  readonly entries: readonly PendingOffset[]
  readonly identity: MemberIdentity
  readonly member: Membership | null
  readonly deadlineMs: number
}

/** What is left of a round that was answered. */
interface Rest {
  readonly again: PendingOffset[]
  readonly toRefresh: PendingOffset[]
  readonly told: Set<number>
  isElsewhere: boolean
}

const UNANSWERED = -1
/** What the member wants to know of. */
const TOLD: readonly OffsetsAction[] = ['refused', 'rebalance', 'outdated']
/** What ends a value; 'refresh' does where there is no member that could. */
const FINAL: readonly OffsetsAction[] = ['final', 'refused', 'refresh']

export class Committer {
  readonly #parts: OffsetsParts
  readonly #groupId: string
  readonly #reader: CommittedReader
  readonly #pauses: Pauses
  readonly #waiting = new Map<string, PendingOffset>()
  #inFlight: readonly PendingOffset[] = []
  #failures = 0 // rounds in a row that left something to repeat
  #lastError: MQError | null = null
  #isRunning = false
  #isClosed = false

  constructor(parts: OffsetsParts) {
    this.#parts = parts
    this.#groupId = parts.config.groupId ?? ''
    this.#pauses = new Pauses(parts.clock)
    this.#reader = new CommittedReader(parts, this.#pauses)
  }

  /**
   * Stores these offsets, each the next one to read. Resolves when all are stored, by this call or by a newer one of
   * the same partitions. Rejects with OFFSET_COMMIT_FAILED (`context.partitions` names those that are not stored),
   * MISSING_CONFIG (no groupId), INVALID_OFFSET or CONSUMER_CLOSED; `deadlineMs` is a point on the monotonic clock.
   */
  async commit(offsets: readonly OffsetToCommit[], deadlineMs: number): Promise<void> {
    this.#ensureOpen()
    refuseUnfit(offsets, this.#groupId)
    if (offsets.length === 0) return
    const { member, clock } = this.#parts
    const identity = identityOf(member())
    if (identity === null) throw commitFailed(offsets.map((value) => ({ value, cause: this.#notAMember() })))
    const ticket = new CommitTicket(offsets, deadlineMs)
    ticket.watch(clock, () => tooLate(this.#groupId, this.#lastError))
    for (const [key, value] of ticket.values) this.#enqueue(key, value, identity, ticket)
    this.#start()
    return ticket.promise
  }

  /**
   * Committed offsets, in the order of `partitions`: null where there is none, an error where that partition alone is
   * refused (denied, unknown topic). Rejects with TIMEOUT, MISSING_CONFIG, AUTHORIZATION_FAILED (the group),
   * UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION or CONSUMER_CLOSED.
   */
  async committed(
    partitions: readonly TopicPartition[],
    deadlineMs: number,
  ): Promise<readonly (CommittedOffset | MQError | null)[]> {
    this.#ensureOpen()
    return this.#reader.read(partitions, deadlineMs)
  }

  /** They are not ours any more (revoked, lost): what waits for them is given up, and nothing is repeated. */
  forget(partitions: readonly TopicPartition[]): void {
    for (const tp of partitions) {
      const key = keyOf(tp)
      const waiting = this.#waiting.get(key)
      this.#waiting.delete(key)
      waiting?.settle(outlived(this.#groupId, key, waiting.lastError))
      for (const entry of this.#inFlight) if (entry.key === key) entry.isForgotten = true
    }
  }

  /** Rejects what waits with CONSUMER_CLOSED; no timer is left. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const { tickets } of [...this.#waiting.values(), ...this.#inFlight]) {
      for (const ticket of tickets) ticket.abort(closedMeanwhile())
    }
    this.#waiting.clear()
    this.#reader.close()
    this.#pauses.stop()
  }

  #ensureOpen(): void {
    if (this.#isClosed) throw new MQError('CONSUMER_CLOSED', 'the consumer is closed: nothing is committed any more')
    if (this.#groupId !== '') return
    throw new MQError('MISSING_CONFIG', 'offsets are committed for a group: set groupId', { path: 'groupId' })
  }

  /** Takes the place of a value that waits; whoever waited for that one is served by this one. */
  #enqueue(key: string, value: OffsetToCommit, identity: MemberIdentity, ticket: CommitTicket): void {
    const entry = new PendingOffset(key, value, identity)
    entry.tickets.push(...(this.#waiting.get(key)?.tickets ?? []), ticket)
    this.#waiting.set(key, entry)
  }

  #start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    runInBackground('commit offsets', () => this.#run(), this.#crashed)
  }

  async #run(): Promise<void> {
    for (let round = this.#take(); round !== null; round = this.#take()) {
      const delayMs = await this.#round(round)
      if (delayMs > 0 && !this.#isClosed) await this.#pauses.wait(delayMs)
    }
    this.#isRunning = false
  }

  /** A mistake of ours must not leave anybody waiting for ever. */
  readonly #crashed = (_name: string, error: unknown): void => {
    this.#isRunning = false
    const cause = toMQError(error, 'OFFSET_COMMIT_FAILED', 'committing failed here')
    for (const entry of [...this.#waiting.values(), ...this.#inFlight]) entry.settle(cause)
    this.#waiting.clear()
    this.#inFlight = []
  }

  /** Everything that waits and may be sent now; what may not is told. */
  #take(): Round | null {
    const member = this.#parts.member()
    const identity = identityOf(member)
    const nowMs = this.#parts.clock.monotonicMs()
    const entries: PendingOffset[] = []
    for (const entry of this.#waiting.values()) {
      if (entry.deadlineMs <= nowMs) continue // Nobody waits for it any more: deadlines tell by themselves.
      const refusal = identity === null ? this.#notAMember() : this.#refusalOf(entry, identity)
      if (refusal === null) entries.push(entry)
      else entry.settle(refusal)
    }
    this.#waiting.clear()
    if (entries.length === 0 || identity === null) return null
    return { entries, identity, member, deadlineMs: Math.max(...entries.map((entry) => entry.deadlineMs)) }
  }

  /** Under another generation a value goes on only if its partition stayed ours, and no rebalance has refused it. */
  #refusalOf(entry: PendingOffset, identity: MemberIdentity): MQError | null {
    if (isSame(entry.identity, identity)) return null
    const goesOn = !entry.isBound && this.#parts.isOwned(entry.value)
    return goesOn ? null : outlived(this.#groupId, entry.key, entry.lastError)
  }

  /** Sends and judges; gives the pause before the next round. */
  async #round(round: Round): Promise<number> {
    assert(this.#inFlight.length === 0, 'one commit is outstanding')
    this.#inFlight = round.entries
    const again = await this.#ask(round)
    if (this.#isClosed) return 0
    for (const entry of again) this.#putBack(entry)
    this.#inFlight = []
    if (again.length > 0) return this.#delayMs(again)
    this.#failures = 0
    this.#lastError = null
    return 0
  }

  /** Those that are to be sent again. */
  async #ask(round: Round): Promise<readonly PendingOffset[]> {
    const { cluster } = this.#parts
    const { deadlineMs } = round
    const groupId = this.#groupId
    try {
      const brokerId = await cluster.coordinator(groupId, { deadlineMs })
      const answer = await cluster.requestGroup(groupId, OffsetCommit, (version) => this.#body(round, version), {
        deadlineMs,
      })
      if (this.#isClosed) return []
      return await this.#judge(round, commitCodes(answer), brokerId)
    } catch (error) {
      return this.#unanswered(round.entries, error)
    }
  }

  /** Asked for right before the bytes leave: what was given up while it waited for a connection stays here. */
  #body({ entries, identity, member, deadlineMs }: Round, version: number) {
    if (this.#isClosed) throw closedMeanwhile()
    if (member !== null && member.identity === null) throw this.#notAMember()
    if (deadlineMs <= this.#parts.clock.monotonicMs()) throw tooLate(this.#groupId, this.#lastError)
    // Repeated over a new connection: what was revoked or lost since the first attempt stays here.
    const ours = entries.filter(({ isForgotten }) => !isForgotten)
    const [gone] = entries
    if (ours.length === 0) throw outlived(this.#groupId, gone?.key ?? '', this.#lastError)
    const values = ours.map(({ value }) => value)
    return commitBody(this.#groupId, identity, values, version)
  }

  async #judge(round: Round, codes: ReadonlyMap<string, number>, brokerId: number): Promise<readonly PendingOffset[]> {
    const rest: Rest = { again: [], toRefresh: [], told: new Set(), isElsewhere: false }
    for (const entry of round.entries) {
      const code = codes.get(entry.key) ?? UNANSWERED
      if (code === 0) entry.settle(null)
      else this.#refused(entry, code, round.member, rest)
    }
    if (rest.isElsewhere) this.#parts.cluster.forgetCoordinator(this.#groupId, brokerId)
    for (const code of rest.told) round.member?.commitRefused(code)
    if (rest.toRefresh.length > 0) await this.#refresh(round, rest)
    return rest.again
  }

  /** One partition that is not stored: final, or what has to happen before it is sent again. */
  #refused(entry: PendingOffset, code: number, member: Membership | null, rest: Rest): void {
    const error = refusedOffset(code, entry.value, this.#groupId, member === null)
    const action = judgeOffsets(code, member?.protocol === 'consumer')
    entry.lastError = error
    this.#lastError = error
    if (TOLD.includes(action)) rest.told.add(toldToMember(code))
    if (action === 'lookUp') rest.isElsewhere = true
    if (action === 'rebalance') entry.isBound = true
    if (action === 'refresh' && member !== null) rest.toRefresh.push(entry)
    else if (FINAL.includes(action) || (member === null && action === 'outdated')) entry.settle(error)
    else rest.again.push(entry)
  }

  /** 113: a heartbeat brings the member's present epoch. */
  async #refresh({ member, deadlineMs }: Round, { toRefresh, again }: Rest): Promise<void> {
    try {
      await member?.refreshIdentity(deadlineMs)
      again.push(...toRefresh)
    } catch (error) {
      const cause = toMQError(error, 'ILLEGAL_GENERATION', 'the member epoch is out of date, and no newer one came')
      for (const entry of toRefresh) entry.settle(cause)
    }
  }

  /** The coordinator could not be asked, or has not answered; what may be stored already may be stored twice. */
  #unanswered(entries: readonly PendingOffset[], error: unknown): readonly PendingOffset[] {
    const cause = toMQError(error, 'OFFSET_COMMIT_FAILED', 'the coordinator could not be asked')
    this.#lastError = cause
    for (const entry of entries) {
      entry.lastError = cause
      if (!cause.retryable) entry.settle(cause)
    }
    return cause.retryable ? entries : []
  }

  /** A newer value goes first: whoever waits for this one is served by that one. */
  #putBack(entry: PendingOffset): void {
    if (entry.isForgotten) return entry.settle(outlived(this.#groupId, entry.key, entry.lastError))
    const newer = this.#waiting.get(entry.key)
    if (newer === undefined) this.#waiting.set(entry.key, entry)
    else newer.tickets.push(...entry.tickets)
  }

  #delayMs(again: readonly PendingOffset[]): number {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#parts.config.connection
    const delayMs = backoffMs(this.#failures++, retryBackoffMs, retryBackoffMaxMs, this.#parts.random)
    const isForNobody = again.every((entry) => !entry.isWanted)
    return isForNobody && this.#waiting.size === 0 ? 0 : delayMs
  }

  #notAMember(): MQError {
    return notAMember(this.#groupId, this.#parts.member())
  }
}

/** One unfit value would spoil the request of all others that wait. */
function refuseUnfit(offsets: readonly OffsetToCommit[], groupId: string): void {
  for (const value of offsets) {
    checkOffset(value.offset, value)
    if (metadataTooLarge(value)) throw commitFailed([{ value, cause: refusedOffset(12, value, groupId, false) }])
  }
}
