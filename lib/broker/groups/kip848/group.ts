/**
 * One group of KIP-848: its members, its three kinds of epochs, its targets, and the timers that end patience.
 *
 *   group epoch       rises when members or what they read changed      > assignment epoch: Assigning
 *   assignment epoch  the group epoch whose target was worked out       > some member's epoch: Reconciling
 *   member epoch      the assignment epoch a member has arrived at      all equal: Stable
 *
 * Invariant: no partition is held by two members, asserted at each change; a removed member has no timer left. What a
 * heartbeat is answered is decided in heartbeat.ts.
 * Source: KIP-848, kafka.md 5.5; what Kafka 4.1.1 was seen to answer.
 */
import { assert, type Clock } from '../../../util/index.js'
import { type AssignedMember, type AssignorName, assignTargets, isAssignor, type Targets } from './assignors.js'
import { AWAY_EPOCH, type ConsumerFacts, ConsumerMember } from './member.js'
import { reconcile } from './reconcile.js'
import { Subscriptions, type TopicsRead } from './subscriptions.js'

export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable' | 'Dead'

const DEFAULT_ASSIGNOR: AssignorName = 'uniform'

export interface ConsumerGroupParts {
  readonly groupId: string
  readonly clock: Clock
  readonly topics: TopicsRead
  /** `group.consumer.session.timeout.ms` now. */
  readonly sessionTimeoutMs: () => number
  readonly onChange: () => void
}

export class ConsumerGroup {
  readonly kind = 'consumer' as const
  readonly protocolType = 'consumer'
  readonly groupId: string
  readonly subscriptions: Subscriptions
  readonly #parts: ConsumerGroupParts
  readonly #members = new Map<string, ConsumerMember>()
  readonly #memberOfInstance = new Map<string, string>()
  /** Who holds a partition: has it, or has not been seen to have let go of it. */
  readonly #holders = new Map<string, string>()
  #targets: Targets = new Map()
  #isDead = false
  epoch = 0
  assignmentEpoch = 0

  constructor(parts: ConsumerGroupParts) {
    this.groupId = parts.groupId
    this.#parts = parts
    this.subscriptions = new Subscriptions(parts.topics)
  }

  get state(): ConsumerGroupState {
    if (this.#isDead) return 'Dead'
    if (this.#members.size === 0) return 'Empty'
    if (this.epoch > this.assignmentEpoch) return 'Assigning'
    return this.members.every((member) => member.isAt(this.assignmentEpoch)) ? 'Stable' : 'Reconciling'
  }

  get members(): readonly ConsumerMember[] {
    return [...this.#members.values()]
  }

  member(memberId: string): ConsumerMember | undefined {
    return this.#members.get(memberId)
  }

  memberOf(instanceId: string): ConsumerMember | undefined {
    return this.#members.get(this.#memberOfInstance.get(instanceId) ?? '')
  }

  targetOf(memberId: string): ReadonlySet<string> {
    return this.#targets.get(memberId) ?? new Set()
  }

  /** The assignor most members vote for; without votes `uniform`. */
  get assignor(): AssignorName {
    const votes = new Map<AssignorName, number>()
    for (const { facts } of this.members) {
      const { assignor } = facts
      if (assignor !== null && isAssignor(assignor)) votes.set(assignor, (votes.get(assignor) ?? 0) + 1)
    }
    return [...votes].sort(([, a], [, b]) => b - a)[0]?.[0] ?? DEFAULT_ASSIGNOR
  }

  // --- members ---

  add(memberId: string, facts: ConsumerFacts): ConsumerMember {
    const member = new ConsumerMember(memberId, facts)
    this.#keep(member)
    return member
  }

  /** A static member came back as another process: it goes on where the other one was, from epoch 0. */
  replace(old: ConsumerMember, memberId: string): ConsumerMember {
    const member = new ConsumerMember(memberId, old.facts)
    member.progress = { ...old.progress, epoch: 0 }
    const target = this.targetOf(old.memberId)
    this.#drop(old)
    this.#targets.set(memberId, new Set(target))
    this.#keep(member)
    this.#hold(member)
    return member
  }

  /** It left, was silent for too long, or did not let go in time. The others get its part. */
  remove(member: ConsumerMember): void {
    this.#drop(member)
    this.bump()
    this.subscriptions.remember(this.members)
    this.#parts.onChange()
  }

  /** As if its session had run out; false: there is no such member. */
  expel(memberId: string): boolean {
    const member = this.member(memberId)
    if (member !== undefined) this.remove(member)
    return member !== undefined
  }

  /** A static member that will be back within its session: it keeps its part. */
  stepAway(member: ConsumerMember): void {
    member.progress = { ...member.progress, epoch: AWAY_EPOCH }
    this.#parts.onChange()
  }

  /** A sign of life. */
  touch(member: ConsumerMember): void {
    member.session?.cancel()
    member.session = this.#parts.clock.setTimer(() => this.remove(member), this.#parts.sessionTimeoutMs())
  }

  #keep(member: ConsumerMember): void {
    this.#members.set(member.memberId, member)
    if (member.facts.instanceId !== null) this.#memberOfInstance.set(member.facts.instanceId, member.memberId)
  }

  #drop(member: ConsumerMember): void {
    member.cancelTimers()
    this.#members.delete(member.memberId)
    this.#targets.delete(member.memberId)
    this.#release(member)
    const { instanceId } = member.facts
    if (instanceId !== null && this.#memberOfInstance.get(instanceId) === member.memberId) {
      this.#memberOfInstance.delete(instanceId)
    }
  }

  // --- epochs and targets ---

  /** Something changed that asks for another assignment. */
  bump(): void {
    this.epoch++
  }

  /** Works the target out, if the one there is belongs to an older epoch. */
  assignIfDue(): void {
    if (this.assignmentEpoch === this.epoch) return
    this.#targets = assignTargets(this.assignor, this.#assigned(), this.subscriptions.counts(this.members))
    this.assignmentEpoch = this.epoch
  }

  #assigned(): AssignedMember[] {
    return this.members.map(({ memberId, facts }) => ({
      memberId,
      topicIds: this.subscriptions.topicIds(facts),
      had: this.targetOf(memberId),
    }))
  }

  /** On command: everybody's part goes to the next member that wants the same topics. */
  rotate(): void {
    this.bump()
    this.assignIfDue()
    const before = this.#targets
    const wishOf = (member: ConsumerMember) => [...this.subscriptions.topicIds(member.facts)].sort().join()
    const alike = groupBy(this.members, wishOf)
    this.#targets = new Map(before)
    for (const circle of alike.values()) {
      for (const [index, { memberId }] of circle.entries()) {
        const next = circle[(index + 1) % circle.length] as ConsumerMember
        this.#targets.set(next.memberId, before.get(memberId) ?? new Set())
      }
    }
    this.#parts.onChange()
  }

  /** Moves a member one step towards its target. `owned`: what it says it has, null when it does not say. */
  advance(member: ConsumerMember, owned: ReadonlySet<string> | null): void {
    const before = member.progress
    const next = reconcile(before, {
      epoch: this.assignmentEpoch,
      target: this.targetOf(member.memberId),
      isFree: (key) => (this.#holders.get(key) ?? member.memberId) === member.memberId,
      owned,
    })
    if (next === before) return
    this.#release(member)
    member.previousEpoch = before.epoch
    member.progress = next
    this.#hold(member)
    this.#watchRevocation(member)
    this.#parts.onChange()
  }

  #release(member: ConsumerMember): void {
    for (const key of member.held) if (this.#holders.get(key) === member.memberId) this.#holders.delete(key)
  }

  #hold(member: ConsumerMember): void {
    for (const key of member.held) {
      assert(!this.#holders.has(key), 'a partition is given to a member only when nobody else holds it')
      this.#holders.set(key, member.memberId)
    }
  }

  /** A member that has to let go has its own rebalance time for that. */
  #watchRevocation(member: ConsumerMember): void {
    member.revocation?.cancel()
    member.revocation = null
    if (member.progress.stage !== 'unrevoked') return
    member.revocation = this.#parts.clock.setTimer(() => this.remove(member), member.facts.rebalanceTimeoutMs)
  }

  // --- the coordinator's log ---

  /** Everything of such a group is written down at once. */
  get isSaved(): boolean {
    return true
  }

  /** Another coordinator takes over: it knows everything, and gives everybody a whole session. */
  reload(isServed: boolean): void {
    for (const member of this.members) {
      member.cancelTimers()
      if (!isServed) continue
      this.touch(member)
      this.#watchRevocation(member)
    }
    this.#parts.onChange()
  }

  /** Deleted, or the broker closes: no timer is left. */
  die(): void {
    for (const member of this.members) this.#drop(member)
    this.#isDead = true
    this.#parts.onChange()
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const known = groups.get(keyOf(item))
    if (known === undefined) groups.set(keyOf(item), [item])
    else known.push(item)
  }
  return groups
}
