/**
 * One stream after a crash: its identities in order of position, the policy for what nobody can decide, and what is
 * left for the lane.
 * Why nothing is sent any more once something is left: records that go under a fresh identity come after those of the
 * old ones only if no later old one overtakes them.
 * Invariant: it ends in exactly one of opened, held, closed (a fatal error); a held stream goes on by an operator's word.
 * Source: wal.md 1.3 (ambiguous), 4.2.
 */
import { MQError } from '../../../errors/index.js'
import { assert } from '../../../util/index.js'
import { type Entry, Outcome, type StreamFacts, UNBOUND, walError } from '../../../wal/index.js'
import type { BrokerMemory } from '../../broker-memory.js'
import { IdentityGroup } from './group.js'
import { Interruption } from './interruption.js'
import { type Ledger, recordsOf } from './ledger.js'
import type { GroupOutcome } from './outcomes.js'
import { Place } from './place.js'
import type { Slots } from './slots.js'
import type { EdgeCase, ResolutionParts } from './types.js'

export type Ruling = 'drop' | 'resend'
export type StreamState = 'resolving' | 'opened' | 'held' | 'closed'

export interface StreamParts {
  readonly parts: ResolutionParts
  readonly memory: BrokerMemory
  readonly ledger: Ledger
  readonly slots: Slots
  readonly isStopped: () => boolean
  /** Monotonic. */
  readonly openedAtMs: number
}

interface Doubt {
  readonly edge: EdgeCase
  readonly entries: readonly Entry[]
}

export class StreamResolution {
  readonly facts: StreamFacts
  /** Of dead incarnations, in order. */
  readonly #entries: readonly Entry[]
  readonly #it: StreamParts
  readonly place: Place
  readonly #groups: Entry[][]
  #nextGroup = 0
  readonly #leftovers: Entry[] = []
  #doubt: Doubt | null = null
  #state: StreamState = 'resolving'
  /** Some leftovers may still be on their way under their old identity. */
  #hasZombies = false
  #lastUnsureMs: number

  constructor(facts: StreamFacts, entries: readonly Entry[], it: StreamParts) {
    this.facts = facts
    this.#entries = entries
    this.#it = it
    this.#lastUnsureMs = it.openedAtMs
    this.place = new Place(facts, it.parts, it.slots, it.isStopped)
    this.#groups = identityGroups(entries.filter(({ producerId }) => producerId !== UNBOUND))
  }

  get state(): StreamState {
    return this.#state
  }

  get bound(): number {
    return this.#groups.reduce((sum, group) => sum + group.length, 0)
  }

  /** Null: not held. */
  get held(): { readonly edge: EdgeCase; readonly records: number } | null {
    if (this.#state !== 'held' || this.#doubt === null) return null
    return { edge: this.#doubt.edge, records: recordsOf(this.#doubt.entries) }
  }

  /** Until opened, held or closed. The caller holds a slot. */
  async run(): Promise<void> {
    this.#state = 'resolving'
    await this.#unlessInterrupted(() => this.#resolve())
  }

  /** Nothing of it may be sent: the topic or the cluster is another one. */
  refuse(edge: 'E6' | 'E7'): Promise<void> {
    const { parts } = this.#it
    const doubt = { edge, entries: this.#unsettled() }
    this.#leftovers.length = 0
    this.#nextGroup = this.#groups.length
    if (parts.settings.allowRetarget) return this.#unlessInterrupted(() => this.#apply('resend', doubt))
    this.#hold(doubt)
    return Promise.resolve()
  }

  /** An operator's word on a held stream; the caller holds a slot. */
  async rule(ruling: Ruling): Promise<void> {
    const doubt = this.#doubt
    assert(this.#state === 'held' && doubt !== null, 'only a held stream is ruled upon')
    const entries = doubt.entries.filter(({ unsettled }) => unsettled > 0)
    this.#it.ledger.reverse('held', entries.filter(({ producerId }) => producerId !== UNBOUND).length)
    this.#state = 'resolving'
    await this.#unlessInterrupted(() => this.#apply(ruling, { ...doubt, entries }))
  }

  async #unlessInterrupted(task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (error) {
      if (!(error instanceof Interruption)) throw error
      if (error.kind === 'otherTopic') return this.refuse('E6')
      this.#state = 'closed'
      // Only a broker that was asked with an id says so, and metadata had agreed: the cluster is being replaced under us.
      if (error.kind === 'otherCluster') this.#it.parts.events.fatal(this.#otherCluster())
    }
  }

  async #resolve(): Promise<void> {
    await this.place.leader() // Compares the topic's id, also where nothing was ever sent.
    const { parts, memory, ledger } = this.#it
    const sentUnsure = () => {
      this.#lastUnsureMs = parts.clock.monotonicMs()
    }
    for (let group = this.#groups[this.#nextGroup]; group !== undefined; group = this.#groups[this.#nextGroup]) {
      const entries = group.filter(({ unsettled }) => unsettled > 0)
      if (entries.length > 0) {
        const it = { parts, stream: this.facts, place: this.place, memory, ledger, sentUnsure }
        const isFirst = this.#leftovers.length === 0
        const outcome = await new IdentityGroup(it, entries, isFirst).resolve()
        this.place.progressed()
        if (!this.#follow(outcome, isFirst)) return
      }
      this.#nextGroup++
    }
    await this.#open()
  }

  /** False: the stream does not go on. */
  #follow(outcome: GroupOutcome, isFirst: boolean): boolean {
    switch (outcome.kind) {
      case 'settled':
        return true
      case 'unwritten':
        // What was refused for good is refused to late copies too; what was not sent because of order is not.
        this.#requeue(outcome.entries, !isFirst)
        return true
      case 'ambiguous':
        return this.#decide({ edge: outcome.edge, entries: outcome.entries })
      case 'foreign':
        this.#hold({ edge: 'E9', entries: outcome.entries })
        this.#it.parts.events.fatal(this.#identityReused(outcome.why))
        return false
      case 'damaged':
        return this.#damaged(outcome)
    }
  }

  #decide(doubt: Doubt): boolean {
    const ruling = this.#policy()
    if (ruling === 'hold') {
      this.#hold(doubt)
      return false
    }
    this.#settleDoubt(ruling, doubt)
    return true
  }

  #policy(): 'hold' | Ruling {
    const { wal, settings } = this.#it.parts
    // A log that only took the overflow lost what was before it by nature: holding it would hold it for ever.
    return wal.recovered.previous?.durability === 'spill' ? 'resend' : settings.onAmbiguous
  }

  async #apply(ruling: Ruling, doubt: Doubt): Promise<void> {
    this.#settleDoubt(ruling, doubt)
    this.#doubt = null
    if (doubt.edge === 'E6' || doubt.edge === 'E7') {
      this.place.isRetargeted = true
      return this.#open()
    }
    this.#nextGroup++
    await this.#resolve()
  }

  #settleDoubt(ruling: Ruling, { edge, entries }: Doubt): void {
    const { ledger, parts } = this.#it
    const bound = entries.filter(({ producerId }) => producerId !== UNBOUND)
    const unbound = entries.filter(({ producerId }) => producerId === UNBOUND)
    const action = ruling === 'drop' ? 'dropped' : 'resent'
    ledger.edge(this.facts, edge, bound, 'possibly-persisted', action)
    ledger.edge(this.facts, edge, unbound, 'not-persisted', action)
    ledger.verdict(action, bound.length)
    if (ruling === 'resend') {
      this.#leftovers.push(...bound)
      this.#hasZombies ||= bound.length > 0
      return
    }
    for (const { firstPosition, count } of entries) {
      parts.wal.settle(this.facts.id, firstPosition, firstPosition + count - 1, Outcome.dropped, -1)
    }
  }

  #requeue(entries: readonly Entry[], hasZombies: boolean): void {
    this.#leftovers.push(...entries)
    this.#hasZombies ||= hasZombies
    this.#it.ledger.verdict('requeued', entries.length)
  }

  #hold(doubt: Doubt): void {
    const { ledger, parts } = this.#it
    const bound = doubt.entries.filter(({ producerId }) => producerId !== UNBOUND)
    const unbound = doubt.entries.filter(({ producerId }) => producerId === UNBOUND)
    this.#doubt = doubt
    this.#state = 'held'
    ledger.verdict('held', bound.length)
    ledger.edge(this.facts, doubt.edge, bound, 'possibly-persisted', 'held')
    ledger.edge(this.facts, doubt.edge, unbound, 'not-persisted', 'held')
    parts.events.held(this.facts, doubt.edge, recordsOf(doubt.entries))
  }

  #damaged({ error, isUnwritten, entries }: Extract<GroupOutcome, { kind: 'damaged' }>): boolean {
    const { parts, ledger } = this.#it
    if (parts.settings.onCorruption === 'stop') {
      this.#state = 'closed'
      parts.events.fatal(error)
      return false
    }
    const [first, ...others] = entries as [Entry, ...Entry[]]
    parts.wal.settle(this.facts.id, first.firstPosition, first.firstPosition + first.count - 1, Outcome.lost, -1)
    ledger.verdict('lost', 1)
    if (others.length === 0) return true
    if (!isUnwritten) return this.#decide({ edge: 'E12', entries: others })
    this.#requeue(others, true)
    return true
  }

  async #open(): Promise<void> {
    const { parts } = this.#it
    if (this.#hasZombies) await this.#outlive()
    const unbound = this.#unsettled().filter(({ producerId }) => producerId === UNBOUND)
    const leftovers = [...this.#leftovers, ...unbound].filter(({ unsettled }) => unsettled > 0)
    this.#state = 'opened'
    parts.events.opened(this.facts, leftovers)
  }

  /** Bytes of the dead process, or of a socket we gave up, may still arrive: not after this. */
  async #outlive(): Promise<void> {
    const { clock, settings } = this.#it.parts
    const leftMs = this.#lastUnsureMs + settings.zombieWaitMs - clock.monotonicMs()
    if (leftMs > 0) await this.place.wait(leftMs, 'late copies of its batches may still arrive')
    this.place.progressed()
  }

  #unsettled(): Entry[] {
    return this.#entries.filter(({ unsettled }) => unsettled > 0)
  }

  #otherCluster(): MQError {
    const { topic, partition } = this.facts
    const text = `a broker refused ${topic}-${partition} because it belongs to another cluster: compare the brokers in the configuration`
    return walError('WAL_CLUSTER_MISMATCH', text, { topic, partition })
  }

  #identityReused(why: string): MQError {
    const { topic, partition } = this.facts
    const text = `an identity in the log is used by another process on ${topic}-${partition}: ${why}. Nothing more is sent: find the copy of this directory or machine, then create a new producer`
    return new MQError('PRODUCE_FAILED', text, { reason: 'IDENTITY_REUSED', topic, partition }, { fatal: true })
  }
}

/** Runs of one identity, in order of position. */
function identityGroups(entries: readonly Entry[]): Entry[][] {
  const groups: Entry[][] = []
  for (const entry of entries) {
    const group = groups.at(-1)
    const first = group?.[0]
    if (first !== undefined && first.producerId === entry.producerId && first.epoch === entry.epoch) group?.push(entry)
    else groups.push([entry])
  }
  return groups
}
