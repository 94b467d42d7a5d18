/**
 * All classic groups of the in-process cluster, and which broker keeps which.
 * Why shared by the brokers: in Kafka a group lives in a replicated log; whoever coordinates it next reads it there.
 * Invariant: a group is served by its present coordinator only; when that changes, the group is what its log says.
 */
import { type Clock, type RandomSource, randomInt } from '../../util/index.js'
import type { OffsetStore } from '../offset-store.js'
import type { BrokerConfig } from '../topic-config.js'
import { INVALID_GROUP_ID, NONE, NOT_COORDINATOR } from './codes.js'
import { ClassicGroup } from './group.js'

const UUID_DIGITS = [8, 4, 4, 4, 12]
const NOBODY = -1

export interface GroupsParts {
  readonly clock: Clock
  readonly random: RandomSource
  readonly config: BrokerConfig
  readonly offsets: OffsetStore
  readonly coordinatorOf: (groupId: string) => number | undefined
  readonly onChange: () => void
}

interface Kept {
  readonly group: ClassicGroup
  /** Broker that coordinates it, -1: none is alive. */
  by: number
}

export class Groups {
  readonly #parts: GroupsParts
  readonly #kept = new Map<string, Kept>()

  constructor(parts: GroupsParts) {
    this.#parts = parts
  }

  all(): ClassicGroup[] {
    return [...this.#kept.values()].map(({ group }) => group)
  }

  get(groupId: string): ClassicGroup | undefined {
    return this.#kept.get(groupId)?.group
  }

  getOrCreate(groupId: string): ClassicGroup {
    const known = this.get(groupId)
    if (known !== undefined) return known
    const { clock, config, onChange } = this.#parts
    const initialDelayMs = () => config.number('group.initial.rebalance.delay.ms')
    const group = new ClassicGroup({ groupId, clock, initialDelayMs, onChange })
    this.#kept.set(groupId, { group, by: this.coordinatorOf(groupId) })
    return group
  }

  /** Members are sent away, offsets are forgotten. */
  delete(groupId: string): void {
    this.get(groupId)?.die(NOT_COORDINATOR)
    this.#kept.delete(groupId)
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
      kept.group.reload(NOT_COORDINATOR, by !== NOBODY)
      if (!kept.group.isSaved && !this.#parts.offsets.has(groupId)) this.#kept.delete(groupId)
    }
  }

  /** Member ids are `prefix-uuid`, as in Kafka. */
  newMemberId(prefix: string): string {
    const digit = () => randomInt(this.#parts.random, 16).toString(16)
    const uuid = UUID_DIGITS.map((count) => Array.from({ length: count }, digit).join('')).join('-')
    return `${prefix}-${uuid}`
  }

  changed(): void {
    this.#parts.onChange()
  }

  /** The cluster is closed: no timer is left. */
  close(): void {
    for (const { group } of this.#kept.values()) group.die(NOT_COORDINATOR)
    this.#kept.clear()
  }
}
