/**
 * One classic group: its members, its state, its generations, and the timers that end waiting.
 *
 *   Empty --join--> PreparingRebalance --all joined, or time--> CompletingRebalance --leader synced--> Stable
 *     ^                 |     ^                                       |    join, leave, expiry            |
 *     +-- nobody left --+     +---------------------------------------+-----------------------------------+
 *
 * Invariant: outside PreparingRebalance no join waits, outside CompletingRebalance no sync waits; a removed member has no
 * timer left. What requests are answered is decided in join.ts and requests.ts.
 * Source: kafka.md 5.5; the rules of Kafka 4.1's classic groups.
 */
import { assert, type Clock, type TimerHandle } from '../../../util/index.js'
import { FENCED_INSTANCE_ID, ILLEGAL_GENERATION, NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID } from '../codes.js'
import { joined } from './answers.js'
import { type JoinAnswer, Member, type MemberFacts, type SyncAnswer, syncRefused } from './member.js'
import { elect } from './protocols.js'

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** Kafka gives a member that waits for its first generation this long, whatever session it asked for. */
const FIRST_JOIN_MS = 300_000

export interface GroupParts {
  readonly groupId: string
  readonly clock: Clock
  /** `group.initial.rebalance.delay.ms` now. */
  readonly initialDelayMs: () => number
  /** Something that can be seen from outside has changed. */
  readonly onChange: () => void
}

interface Saved {
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leaderId: string | null
  readonly members: readonly Member[]
}

export class ClassicGroup {
  readonly kind = 'classic' as const
  readonly groupId: string
  readonly #parts: GroupParts
  readonly #members = new Map<string, Member>()
  readonly #memberOfInstance = new Map<string, string>()
  /** Ids that were given out with error 79 and have not come back yet; a rebalance waits for them. */
  readonly #pending = new Map<string, TimerHandle>()
  readonly #unsynced = new Set<string>()
  #state: GroupState = 'Empty'
  #joinTimer: TimerHandle | null = null
  #syncTimer: TimerHandle | null = null
  #isFirstDelay = false
  #hasNewcomer = false
  #saved: Saved | null = null
  generation = 0
  protocolType: string | null = null
  protocolName: string | null = null
  leaderId: string | null = null
  /** When the last member left; null while there are members, and when there never were any. */
  emptySinceMs: number | null = null

  constructor(parts: GroupParts) {
    this.groupId = parts.groupId
    this.#parts = parts
  }

  get state(): GroupState {
    return this.#state
  }

  get members(): readonly Member[] {
    return [...this.#members.values()]
  }

  get pendingIds(): readonly string[] {
    return [...this.#pending.keys()]
  }

  get isSaved(): boolean {
    return this.#saved !== null
  }

  member(memberId: string): Member | undefined {
    return this.#members.get(memberId)
  }

  memberOf(instanceId: string): string | undefined {
    return this.#memberOfInstance.get(instanceId)
  }

  /** 0, or why this is not a member: 25 unknown, 82 another process took the instance id over. */
  judge(memberId: string, instanceId: string | null): number {
    const holder = instanceId === null ? memberId : this.#memberOfInstance.get(instanceId)
    if (holder === undefined) return UNKNOWN_MEMBER_ID
    if (holder !== memberId) return FENCED_INSTANCE_ID
    return this.#members.has(memberId) ? NONE : UNKNOWN_MEMBER_ID
  }

  judgeGeneration(memberId: string, instanceId: string | null, generation: number): number {
    return this.judge(memberId, instanceId) || (generation === this.generation ? NONE : ILLEGAL_GENERATION)
  }

  // --- members ---

  /** An id was given out: it has one session time to come back. */
  awaitPending(memberId: string, sessionTimeoutMs: number): void {
    const expire = () => {
      this.dropPending(memberId)
      this.completeIfAllJoined()
    }
    this.#pending.set(memberId, this.#parts.clock.setTimer(expire, sessionTimeoutMs))
    this.#parts.onChange()
  }

  /** True if the id was pending. */
  dropPending(memberId: string): boolean {
    this.#pending.get(memberId)?.cancel()
    return this.#pending.delete(memberId)
  }

  add(memberId: string, facts: MemberFacts, protocolType: string, onJoined: (answer: JoinAnswer) => void): void {
    if (this.#members.size === 0) this.protocolType = protocolType
    const member = new Member(memberId, facts)
    member.onJoined = onJoined
    this.#keep(member)
    this.leaderId ??= memberId
    this.dropPending(memberId)
    if (this.#state === 'PreparingRebalance') this.#hasNewcomer = true
    this.touch(member)
    this.rebalance()
  }

  /** The same instance came back as another process: it takes assignment and leadership over, the old one is fenced. */
  replace(old: Member, memberId: string, facts: MemberFacts): Member {
    old.session?.cancel()
    this.#members.delete(old.memberId)
    this.#unsynced.delete(old.memberId)
    old.refuse(FENCED_INSTANCE_ID)
    const member = old.saved(memberId)
    member.facts = facts
    this.#keep(member)
    if (this.leaderId === old.memberId) this.leaderId = memberId
    this.touch(member)
    return member
  }

  /** Takes a member out; its waiting requests are answered with `errorCode`. The caller goes on with `membersLeft`. */
  remove(member: Member, errorCode = UNKNOWN_MEMBER_ID): void {
    member.session?.cancel()
    this.#members.delete(member.memberId)
    this.#unsynced.delete(member.memberId)
    const { instanceId } = member.facts
    if (instanceId !== null && this.#memberOfInstance.get(instanceId) === member.memberId) {
      this.#memberOfInstance.delete(instanceId)
    }
    if (this.leaderId === member.memberId) this.leaderId = this.members[0]?.memberId ?? null
    member.refuse(errorCode)
  }

  /** As if its session had run out; false: there is no such member. */
  expel(memberId: string): boolean {
    const member = this.member(memberId)
    if (member === undefined) return false
    this.remove(member)
    this.membersLeft()
    return true
  }

  /** After removals: the others share what was theirs. */
  membersLeft(): void {
    if (this.#state === 'PreparingRebalance') this.completeIfAllJoined()
    else this.rebalance()
    this.#parts.onChange()
  }

  /** A sign of life: the session starts again. */
  touch(member: Member): void {
    member.session?.cancel()
    const limitMs = member.isNew ? FIRST_JOIN_MS : member.facts.sessionTimeoutMs
    member.session = this.#parts.clock.setTimer(() => this.#expire(member), limitMs)
  }

  #expire(member: Member): void {
    const isWaiting = member.onJoined !== null || member.onSynced !== null
    if (isWaiting && !member.isNew) return // waits for us, not we for it
    this.remove(member)
    this.membersLeft()
  }

  #keep(member: Member): void {
    this.#members.set(member.memberId, member)
    if (member.facts.instanceId !== null) this.#memberOfInstance.set(member.facts.instanceId, member.memberId)
  }

  // --- rebalance ---

  /** Everybody has to join again, unless that is asked already. */
  rebalance(): void {
    if (this.#state === 'PreparingRebalance') this.completeIfAllJoined()
    else if (this.#state !== 'Dead') this.#prepare()
    this.#parts.onChange()
  }

  #prepare(): void {
    const wasEmpty = this.#state === 'Empty'
    if (this.#state === 'CompletingRebalance') this.#endSyncs(syncRefused(REBALANCE_IN_PROGRESS))
    this.#cancelTimers()
    this.#state = 'PreparingRebalance'
    const delayMs = wasEmpty ? this.#parts.initialDelayMs() : 0
    if (delayMs > 0) this.#delayFirst(delayMs, Math.max(0, this.#rebalanceTimeoutMs() - delayMs))
    else if (wasEmpty) this.#complete()
    else {
      this.#armJoinTimer()
      this.completeIfAllJoined()
    }
  }

  /** The first rebalance waits for company, again each time somebody came, at most as long as any rebalance. */
  #delayFirst(delayMs: number, leftMs: number): void {
    this.#isFirstDelay = true
    this.#hasNewcomer = false
    this.#joinTimer = this.#parts.clock.setTimer(() => {
      if (this.#hasNewcomer && leftMs > 0) this.#delayFirst(Math.min(delayMs, leftMs), Math.max(0, leftMs - delayMs))
      else this.#complete()
    }, delayMs)
  }

  #armJoinTimer(): void {
    this.#joinTimer?.cancel()
    this.#joinTimer = this.#parts.clock.setTimer(() => this.#complete(), this.#rebalanceTimeoutMs())
  }

  completeIfAllJoined(): void {
    if (this.#state !== 'PreparingRebalance' || this.#isFirstDelay || this.#pending.size > 0) return
    if (this.members.every(({ onJoined }) => onJoined !== null)) this.#complete()
  }

  /** Ends the joining: who is missing is out, except static members, who may come back under their instance id. */
  #complete(): void {
    for (const member of this.members) {
      if (member.onJoined === null && member.facts.instanceId === null) this.remove(member)
    }
    if (this.#members.size > 0 && !this.#hasJoinedLeader()) {
      this.#armJoinTimer() // static members only, none of them here
      return
    }
    this.#cancelTimers()
    this.generation++
    if (this.#members.size === 0) this.#becomeEmpty()
    else this.#beginGeneration()
    this.#parts.onChange()
  }

  #hasJoinedLeader(): boolean {
    const leader = this.leaderId === null ? undefined : this.#members.get(this.leaderId)
    if (leader !== undefined && leader.onJoined !== null) return true
    const joined = this.members.find(({ onJoined }) => onJoined !== null)
    if (joined === undefined) return false
    this.leaderId = joined.memberId
    return true
  }

  #becomeEmpty(): void {
    this.#state = 'Empty'
    this.emptySinceMs = this.#parts.clock.now()
    this.protocolName = null
    this.leaderId = null
    this.save()
  }

  #beginGeneration(): void {
    this.protocolName = elect(this.members)
    this.emptySinceMs = null
    this.#state = 'CompletingRebalance'
    for (const { memberId } of this.members) this.#unsynced.add(memberId)
    this.#syncTimer = this.#parts.clock.setTimer(() => this.#expireSyncs(), this.#rebalanceTimeoutMs())
    for (const member of this.members) {
      member.isNew = false
      this.touch(member)
      member.answerJoin(joined(this, member))
    }
  }

  /** Who joined and never asked for its part is out. */
  #expireSyncs(): void {
    const missing = this.members.filter(({ memberId }) => this.#unsynced.has(memberId))
    for (const member of missing) this.remove(member)
    if (missing.length > 0) this.membersLeft()
  }

  // --- assignment ---

  /** This member asked for its part; answers now or when the leader has assigned. */
  awaitAssignment(member: Member, onSynced: (answer: SyncAnswer) => void): void {
    member.onSynced = onSynced
    this.#synced(member)
  }

  /** The leader has assigned: everybody who waits gets its part. */
  assign(parts: ReadonlyMap<string, Uint8Array>): void {
    assert(this.#state === 'CompletingRebalance', 'only a generation that begins is assigned')
    for (const member of this.members) member.assignment = parts.get(member.memberId) ?? new Uint8Array(0)
    this.#state = 'Stable'
    this.save()
    for (const member of this.members) {
      if (member.onSynced === null) continue
      this.touch(member)
      member.answerSync(this.synced(member))
    }
    this.#parts.onChange()
  }

  /** The answer to a sync in a stable generation. */
  synced(member: Member): SyncAnswer {
    this.#synced(member)
    const { protocolType, protocolName } = this
    return { errorCode: NONE, protocolType, protocolName, assignment: member.assignment }
  }

  #synced(member: Member): void {
    this.#unsynced.delete(member.memberId)
    if (this.#unsynced.size > 0) return
    this.#syncTimer?.cancel()
    this.#syncTimer = null
  }

  #endSyncs(answer: SyncAnswer): void {
    for (const member of this.members) {
      member.assignment = new Uint8Array(0)
      if (member.onSynced === null) continue
      this.touch(member)
      member.answerSync(answer)
    }
  }

  // --- the coordinator's log ---

  /** What the next coordinator will read. */
  save(): void {
    const { generation, protocolType, protocolName, leaderId } = this
    const members = this.members.map((member) => member.saved())
    this.#saved = { generation, protocolType, protocolName, leaderId, members }
  }

  /**
   * Another coordinator takes over: what waits is sent away with `errorCode`, what was saved is read back. As long as there
   * is no coordinator (`isServed` false) no session runs out.
   */
  reload(errorCode: number, isServed: boolean): void {
    this.#clear(errorCode)
    const saved = this.#saved ?? { generation: 0, protocolType: null, protocolName: null, leaderId: null, members: [] }
    this.generation = saved.generation
    this.protocolType = saved.protocolType
    this.protocolName = saved.protocolName
    this.leaderId = saved.leaderId
    this.#state = saved.members.length > 0 ? 'Stable' : 'Empty'
    for (const old of saved.members) {
      const member = old.saved()
      this.#keep(member)
      if (isServed) this.touch(member)
    }
    this.#parts.onChange()
  }

  /** Deleted, or the broker closes: no timer is left. */
  die(errorCode: number): void {
    this.#clear(errorCode)
    this.#state = 'Dead'
    this.#parts.onChange()
  }

  #clear(errorCode: number): void {
    this.#cancelTimers()
    for (const timer of this.#pending.values()) timer.cancel()
    this.#pending.clear()
    const members = this.members
    this.#members.clear()
    this.#memberOfInstance.clear()
    for (const member of members) {
      member.session?.cancel()
      member.refuse(errorCode)
    }
  }

  #cancelTimers(): void {
    this.#joinTimer?.cancel()
    this.#syncTimer?.cancel()
    this.#joinTimer = null
    this.#syncTimer = null
    this.#isFirstDelay = false
    this.#unsynced.clear()
  }

  #rebalanceTimeoutMs(): number {
    return this.members.reduce((longest, { facts }) => Math.max(longest, facts.rebalanceTimeoutMs), 0)
  }
}
