/**
 * All groups of the in-process cluster, classic ones and those of KIP-848, and which broker keeps which.
 * Why shared by the brokers: in Kafka a group lives in a replicated log; whoever coordinates it next reads it there.
 * Invariant: a group is served by its present coordinator only; when that changes, the group is what its log says. A group
 * changes its protocol only while it is empty; its offsets stay.
 */
import { type Clock, type RandomSource, randomInt } from '../../util/index.js'
import type { OffsetStore } from '../offset-store.js'
import type { BrokerConfig } from '../topic-config.js'
import { randomUuid } from '../topics.js'
import { ClassicGroup } from './classic/group.js'
import { INVALID_GROUP_ID, NONE, NOT_COORDINATOR } from './codes.js'
import { ConsumerGroup } from './kip848/group.js'
import type { TopicsRead } from './kip848/subscriptions.js'

export type AnyGroup = ClassicGroup | ConsumerGroup

const UUID_DIGITS = [8, 4, 4, 4, 12]
const NOBODY = -1

export interface GroupsParts {
  readonly clock: Clock
  readonly random: RandomSource
  readonly config: BrokerConfig
  readonly offsets: OffsetStore
  readonly topics: TopicsRead
  readonly coordinatorOf: (groupId: string) => number | undefined
  readonly onChange: () => void
}

interface Kept {
  readonly group: AnyGroup
  /** Broker that coordinates it, -1: none is alive. */
  by: number
}

export class Groups {
  readonly #parts: GroupsParts
  readonly #kept = new Map<string, Kept>()

  constructor(parts: GroupsParts) {
    this.#parts = parts
  }

  all(): AnyGroup[] {
    return [...this.#kept.values()].map(({ group }) => group)
  }

  get(groupId: string): AnyGroup | undefined {
    return this.#kept.get(groupId)?.group
  }

  /** The classic group of that name; undefined also when it is one of the other kind. */
  classic(groupId: string): ClassicGroup | undefined {
    const group = this.get(groupId)
    return group?.kind === 'classic' ? group : undefined
  }

  consumer(groupId: string): ConsumerGroup | undefined {
    const group = this.get(groupId)
    return group?.kind === 'consumer' ? group : undefined
  }

  /** Makes it, or turns an empty group of the other kind into it; null: that one has members. */
  classicFor(groupId: string): ClassicGroup | null {
    const known = this.get(groupId)
    if (known?.kind === 'classic') return known
    if (known !== undefined && known.state !== 'Empty') return null
    const { clock, config, onChange } = this.#parts
    const initialDelayMs = () => config.number('group.initial.rebalance.delay.ms')
    return this.#keep(new ClassicGroup({ groupId, clock, initialDelayMs, onChange }))
  }

  /** As `classicFor`, for a group of KIP-848. */
  consumerFor(groupId: string): ConsumerGroup | null {
    const known = this.get(groupId)
    if (known?.kind === 'consumer') return known
    if (known !== undefined && known.state !== 'Empty') return null
    const { clock, config, topics, onChange } = this.#parts
    const sessionTimeoutMs = () => config.number('group.consumer.session.timeout.ms')
    return this.#keep(new ConsumerGroup({ groupId, clock, topics, sessionTimeoutMs, onChange }))
  }

  #keep<G extends AnyGroup>(group: G): G {
    const { groupId } = group
    this.#end(groupId)
    this.#kept.set(groupId, { group, by: this.coordinatorOf(groupId) })
    return group
  }

  #end(groupId: string): void {
    const group = this.get(groupId)
    if (group?.kind === 'classic') group.die(NOT_COORDINATOR)
    else group?.die()
    this.#kept.delete(groupId)
  }

  /** Members are sent away, offsets are forgotten. */
  delete(groupId: string): void {
    this.#end(groupId)
    this.#parts.offsets.forgetGroup(groupId)
  }

  /** -1: no broker is alive. */
  coordinatorOf(groupId: string): number {
    return this.#parts.coordinatorOf(groupId) ?? NOBODY
  }

  /** 0 if this broker may answer for that group. */
  judgePlace(groupId: string, brokerId: number): number {
    if (groupId === '') return INVALID_GROUP_ID
    return this.coordinatorOf(groupId) === brokerId ? NONE : NOT_COORDINATOR
  }

  /** Brokers came or went, or somebody ordered it: groups that are kept elsewhere now are read from their log. */
  coordinatorsMoved(): void {
    for (const [groupId, kept] of this.#kept) {
      const by = this.coordinatorOf(groupId)
      if (by === kept.by) continue
      kept.by = by
      const isServed = by !== NOBODY
      if (kept.group.kind === 'classic') kept.group.reload(NOT_COORDINATOR, isServed)
      else kept.group.reload(isServed)
      if (!kept.group.isSaved && !this.#parts.offsets.has(groupId)) this.#kept.delete(groupId)
    }
  }

  /** Member ids are `prefix-uuid`, as in Kafka. */
  newMemberId(prefix: string): string {
    const digit = () => randomInt(this.#parts.random, 16).toString(16)
    const uuid = UUID_DIGITS.map((count) => Array.from({ length: count }, digit).join('')).join('-')
    return `${prefix}-${uuid}`
  }

  /** Members of KIP-848 that do not make their id themselves get 22 characters of base64url. */
  newConsumerId(): string {
    return randomUuid(this.#parts.random)
  }

  changed(): void {
    this.#parts.onChange()
  }

  /** The cluster is closed: no timer is left. */
  close(): void {
    for (const groupId of [...this.#kept.keys()]) this.#end(groupId)
  }
}
