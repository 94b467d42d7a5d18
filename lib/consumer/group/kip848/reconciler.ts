/**
 * Brings what the host reads into line with what the coordinator assigned, one step at a time.
 *
 *   answer -> target -+-> owned, not in target -> host.revoke -> dropped -+-> rests: the member tells what is owned
 *                     +-> in target, not owned -> host.assign ------------+   (the acknowledgement)
 *
 * Why one step at a time: a newer assignment may come at any moment; the present step is finished, then the newest
 * counts. A partition is listed as owned from before `host.assign` until after `host.revoke`, so that the coordinator
 * never gives away what is being read.
 * Invariant: owned is a subset of what answered heartbeats assigned. While a heartbeat that lists partitions is
 * unanswered nothing is assigned: the coordinator may take what the list leaves out as given back, and give it to
 * somebody else at once. What it wants back and has not heard of within the rebalance time costs us everything, so then
 * everything is dropped. Source: kafka.md 5.5, C-27, C-28.
 */
import { type MQError, toMQError } from '../../../errors/index.js'
import { type Clock, runInBackground, type TimerHandle } from '../../../util/index.js'
import type { TopicPartition } from '../../cursor.js'
import type { GroupHost } from '../ports.js'
import type { WirePartitions } from './heartbeat-report.js'

export interface ReconcilerParts {
  readonly host: GroupHost
  readonly clock: Clock
  readonly rebalanceTimeoutMs: number
  /** Undefined while the metadata does not know it. */
  readonly nameOf: (topicId: string, partition: number) => string | undefined
  /** Some names are missing. */
  readonly seekNames: () => void
  /** No step is running, and none can begin now. */
  readonly rests: () => void
  /** The coordinator has not heard in time that we gave back what it wants: it fences us. */
  readonly late: () => void
}

interface Assigned {
  readonly topicId: string
  readonly partition: number
}

interface Owned extends Assigned {
  readonly tp: TopicPartition
}

type Step = () => Promise<void>

export class Reconciler {
  readonly #parts: ReconcilerParts
  readonly #owned = new Map<string, Owned>()
  #target: ReadonlyMap<string, Assigned> | null = null // null: not a member
  #topics: ReadonlySet<string> = new Set()
  /** What the coordinator wants back, and has not been told of. */
  #unreleased: ReadonlySet<string> = new Set()
  #patience: TimerHandle | null = null // runs while something is unreleased
  #revokeUntilMs = 0 // when it ends
  #isListOpen = false // a heartbeat that lists partitions is unanswered
  #isReleaseOpen = false // and it names nothing of what is wanted back
  #isRunning = false
  #isHostChanged = false // during a step: what the host holds is looked at behind it

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
  }

  /** What the host reads, or is being told to read, or is giving back. */
  owned(): WirePartitions {
    return wireOf([...this.#owned.values()])
  }

  /** No callback of the host is running, no step can begin. */
  get isResting(): boolean {
    return !this.#isRunning
  }

  /** All of the assignment that is subscribed to is owned, and nothing else. */
  get isDone(): boolean {
    return this.#target !== null && !this.#isRunning && this.#gone().length === 0 && this.#missing().length === 0
  }

  /** Something is assigned and not owned yet: metadata that comes may be what it waits for. */
  get isWaiting(): boolean {
    return this.#missing().length > 0
  }

  /** The subscription has changed, and the host may have dropped by itself what does not belong to it any more. */
  subscribed(topics: readonly string[]): void {
    this.#topics = new Set(topics)
    if (this.#isRunning) this.#isHostChanged = true
    else this.#dropUnheld()
  }

  /** A heartbeat with a list of partitions leaves. */
  listLeaves(): void {
    this.#isListOpen = true
    this.#isReleaseOpen = this.#isReleased
  }

  /** The coordinator waits for a list without what it wants back, even if we never had it. */
  get owesList(): boolean {
    return this.#unreleased.size > 0 && !this.#isReleaseOpen && this.#isReleased
  }

  /**
   * The last heartbeat was answered; null: what was assigned before still is. `fromMs` is when the first one left that
   * may have brought this about, its answer perhaps lost: the coordinator began to wait for us no earlier. True when the
   * assignment is another one.
   */
  answered(assignment: WirePartitions | null, fromMs: number): boolean {
    if (this.#isReleaseOpen) this.#unreleased = new Set()
    this.#isListOpen = false
    this.#isReleaseOpen = false
    const before = this.#target
    const target = assignment === null ? (before ?? new Map()) : targetOf(assignment)
    const gone = [...(before ?? new Map()).keys()].filter((key) => !target.has(key))
    this.#target = target
    this.#unreleased = new Set([...this.#unreleased, ...gone].filter((key) => !target.has(key)))
    this.#wait(gone.length > 0, fromMs)
    return before === null || gone.length > 0 || target.size !== before.size
  }

  /** Goes on, if there is something to do and nothing is being done. Tells `rests` in the end. */
  pump(): void {
    if (this.#isRunning || this.#target === null) return
    this.#isRunning = true
    runInBackground('reconcile', () => this.#run(), this.#report)
  }

  /** The partitions may be somebody else's: dropped at once. Nothing is assigned before the next answer. */
  lose(reason: MQError): void {
    const lost = [...this.#owned.values()].map(({ tp }) => tp)
    this.forget()
    if (lost.length > 0) this.#parts.host.lose(lost, reason)
  }

  /** As `lose`, when the host has given them back itself. */
  forget(): void {
    this.#owned.clear()
    this.#target = null
    this.#isListOpen = false
    this.#isReleaseOpen = false
    this.#unreleased = new Set()
    this.#patience?.cancel()
    this.#patience = null
  }

  /** Its clock for us runs from the first partition that it wants back until it was told of the last. */
  #wait(isMore: boolean, fromMs: number): void {
    const { clock, rebalanceTimeoutMs, late } = this.#parts
    if (this.#unreleased.size === 0) {
      this.#patience?.cancel()
      this.#patience = null
    } else if (isMore && this.#patience === null) {
      this.#revokeUntilMs = fromMs + rebalanceTimeoutMs
      this.#patience = clock.setTimer(late, Math.max(0, this.#revokeUntilMs - clock.monotonicMs()))
    }
  }

  async #run(): Promise<void> {
    try {
      for (let step = this.#next(); step !== null; step = this.#next()) {
        await step()
        if (this.#isHostChanged) this.#dropUnheld()
      }
    } finally {
      this.#isRunning = false
    }
    if (this.#target !== null) this.#parts.rests()
  }

  #next(): Step | null {
    if (this.#target === null) return null
    const gone = this.#gone()
    if (gone.length > 0) return () => this.#revoke(gone)
    if (this.#isListOpen) return null
    const missing = this.#missing()
    const named = missing.flatMap((one) => this.#named(one))
    if (named.length < missing.length) this.#parts.seekNames()
    return named.length > 0 ? () => this.#assign(named) : null
  }

  async #revoke(gone: readonly Owned[]): Promise<void> {
    try {
      await this.#parts.host.revoke(tpsOf(gone), this.#revokeUntilMs)
    } catch (error) {
      this.#report('revoke', error)
      this.#parts.host.lose(tpsOf(gone), failedHost(error))
    }
    for (const one of gone) this.#owned.delete(keyOf(one))
  }

  async #assign(named: readonly Owned[]): Promise<void> {
    for (const one of named) this.#owned.set(keyOf(one), one)
    await this.#parts.host.assign(tpsOf(named))
  }

  #dropUnheld(): void {
    this.#isHostChanged = false
    const held = new Set(this.#parts.host.owned().map(({ topic, partition }) => `${topic}/${partition}`))
    for (const [key, { tp }] of this.#owned) if (!held.has(`${tp.topic}/${tp.partition}`)) this.#owned.delete(key)
  }

  get #isReleased(): boolean {
    return ![...this.#unreleased].some((key) => this.#owned.has(key))
  }

  #gone(): Owned[] {
    const target = this.#target
    return [...this.#owned].filter(([key]) => target?.has(key) !== true).map(([, one]) => one)
  }

  /** Assigned and not owned; a topic that is not subscribed to any more will leave the assignment. */
  #missing(): Assigned[] {
    return [...(this.#target ?? [])]
      .filter(([key]) => !this.#owned.has(key))
      .map(([, one]) => one)
      .filter((one) => {
        const name = this.#nameOf(one)
        return name === undefined || this.#topics.has(name)
      })
  }

  #named(one: Assigned): Owned[] {
    const topic = this.#nameOf(one)
    return topic === undefined ? [] : [{ ...one, tp: { topic, partition: one.partition } }]
  }

  #nameOf({ topicId, partition }: Assigned): string | undefined {
    return this.#parts.nameOf(topicId, partition)
  }

  readonly #report = (what: string, error: unknown): void => {
    this.#parts.host.warn(`a step of the rebalance failed here: ${what}`, { error: String(error) })
  }
}

function keyOf({ topicId, partition }: Assigned): string {
  return `${topicId}/${partition}`
}

function tpsOf(partitions: readonly Owned[]): TopicPartition[] {
  return partitions.map(({ tp }) => tp)
}

function targetOf(assignment: WirePartitions): ReadonlyMap<string, Assigned> {
  const all = assignment.flatMap(({ topicId, partitions }) => partitions.map((partition) => ({ topicId, partition })))
  return new Map(all.sort(byPlace).map((one) => [keyOf(one), one]))
}

function wireOf(partitions: readonly Assigned[]): WirePartitions {
  const byTopic = new Map<string, number[]>()
  for (const { topicId, partition } of [...partitions].sort(byPlace)) {
    const list = byTopic.get(topicId) ?? []
    byTopic.set(topicId, list)
    list.push(partition)
  }
  return [...byTopic].map(([topicId, list]) => ({ topicId, partitions: list }))
}

function byPlace(a: Assigned, b: Assigned): number {
  if (a.topicId !== b.topicId) return a.topicId < b.topicId ? -1 : 1
  return a.partition - b.partition
}

function failedHost(error: unknown): MQError {
  return toMQError(error, 'REBALANCE_IN_PROGRESS', 'partitions could not be given back in order')
}
