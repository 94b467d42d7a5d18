/**
 * What is known of the batches of one identity while they are resolved, and how they are settled.
 * Invariant: `rest` holds the unsettled ones in order; who is settled was counted and reported before.
 */
import { type Entry, Outcome, type StreamFacts } from '../../../wal/index.js'
import type { BrokerMemory } from '../../broker-memory.js'
import { lastSequence, seqDiff } from '../../sequence.js'
import { isYoung } from './age.js'
import type { Ledger } from './ledger.js'
import type { Place } from './place.js'
import { standingOf } from './standing.js'
import type { BatchVerdict, EdgeCase, ResolutionParts } from './types.js'

export interface GroupParts {
  readonly parts: ResolutionParts
  readonly stream: StreamFacts
  readonly place: Place
  readonly memory: BrokerMemory
  readonly ledger: Ledger
  /** Bytes of a batch may have reached a broker that did not answer. */
  readonly sentUnsure: () => void
}

const UNKNOWN_OFFSET = -1

export class GroupBooks {
  readonly producerId: bigint
  readonly epoch: number
  /** Of the newest batch. */
  readonly lastSequence: number
  /** Nothing of this group stands at or before it; -1: not known. */
  readonly afterOffset: number
  /** Records are older than a broker surely remembers (C6). */
  isAged = false
  readonly #it: GroupParts
  readonly #all: readonly Entry[]
  #rest: Entry[]
  /** Reported already: what follows is the same occurrence. */
  readonly #told = new Set<Entry>()
  #isLossTold = false

  constructor(parts: GroupParts, entries: readonly Entry[]) {
    const first = entries[0] as Entry
    const last = entries.at(-1) as Entry
    this.#it = parts
    this.#all = entries
    this.#rest = [...entries]
    this.producerId = first.producerId
    this.epoch = first.epoch
    this.lastSequence = lastSequence(last.baseSequence, last.count)
    this.afterOffset = this.#isNothingSettledBehind(first) ? parts.stream.lastAckedOffset : UNKNOWN_OFFSET
  }

  get rest(): readonly Entry[] {
    return this.#rest
  }

  /** An acknowledgement of this identity is in the log. */
  get hasAck(): boolean {
    return this.#acked !== undefined
  }

  /** True: a broker that ever took one of these still knows the producer id. */
  judgeAge(): boolean {
    const { clock, settings } = this.#it.parts
    const young = isYoung(this.#rest, clock.now(), settings)
    this.isAged = !young
    return young
  }

  /** A broker acknowledges only behind what came before under the same identity. */
  settleAcknowledged(): void {
    const acked = this.#acked
    if (acked === undefined) return
    const before = this.#rest.filter(
      ({ baseSequence, count }) => seqDiff(acked.lastAckedSequence, lastSequence(baseSequence, count)) >= 0,
    )
    for (const entry of before) this.settleOne(entry, 'proven', Outcome.duplicate, UNKNOWN_OFFSET, null)
  }

  /** An acknowledgement is known for a sequence beyond L. */
  isAcknowledgedPast(last: number): boolean {
    const acked = this.#acked
    return acked !== undefined && seqDiff(acked.lastAckedSequence, last) > 0
  }

  /** The log knows that epoch of this producer id (IDENTITY frames outlive a power loss): the lane raised it itself. */
  isOwnEpoch(epoch: number): boolean {
    const { stream, parts } = this.#it
    const isIt = (one: { readonly producerId: bigint; readonly epoch: number }) =>
      one.producerId === this.producerId && one.epoch === epoch
    return parts.wal.identities.some(isIt) || stream.acked.some(isIt) || parts.wal.entriesOf(stream.id).some(isIt)
  }

  /** What is acknowledged now cannot stand before what was acknowledged earlier (E9, or the broker lost data). */
  isBehindAcknowledged(baseOffset: number): boolean {
    return baseOffset >= 0 && this.afterOffset >= 0 && baseOffset <= this.afterOffset
  }

  /** So many batches from this one on, itself included, are written by what the leader remembers. */
  writtenFrom(entry: Entry, last: number): number {
    return this.#all.slice(this.#all.indexOf(entry)).filter((one) => standingOf(last, one) === 'written').length
  }

  settle(entries: ReadonlyMap<Entry, EdgeCase | null>, verdict: BatchVerdict): void {
    const { stream, ledger } = this.#it
    for (const edge of new Set(entries.values())) {
      if (edge === null) continue
      const own = [...entries.keys()].filter((entry) => entries.get(entry) === edge && !this.#told.has(entry))
      ledger.edge(stream, edge, own, 'persisted', 'delivered')
      for (const entry of own) this.#told.add(entry)
    }
    for (const entry of entries.keys()) this.settleOne(entry, verdict, Outcome.duplicate, UNKNOWN_OFFSET, null)
  }

  settleFound(offsets: ReadonlyMap<number, number>, edgeOf: (entry: Entry) => EdgeCase | null): void {
    for (const entry of [...this.#rest]) {
      const offset = offsets.get(entry.lsn)
      if (offset !== undefined) this.settleOne(entry, 'found', Outcome.duplicate, offset, edgeOf(entry))
    }
  }

  settleOne(entry: Entry, verdict: BatchVerdict, outcome: Outcome, baseOffset: number, edge: EdgeCase | null): void {
    const { stream, ledger, parts } = this.#it
    const reported = edge ?? (this.isAged ? 'E1' : null)
    if (reported !== null && !this.#told.has(entry)) ledger.edge(stream, reported, [entry], 'persisted', 'delivered')
    this.#rest = this.#rest.filter((one) => one !== entry)
    parts.wal.settle(stream.id, entry.firstPosition, entry.firstPosition + entry.count - 1, outcome, baseOffset)
    ledger.verdict(verdict, 1)
  }

  /** All that is left was reported. */
  told(): void {
    for (const entry of this.#rest) this.#told.add(entry)
  }

  /** E5: acknowledged sequences are gone; `from` -1: it is not known since when. */
  tellLoss(from: number): void {
    if (this.#isLossTold) return
    this.#isLossTold = true
    const { topic, partition } = this.#it.stream
    const acked = this.#acked
    const isPast = acked !== undefined && (from < 0 || seqDiff(acked.lastAckedSequence, from) >= 0)
    const to = isPast ? acked.lastAckedSequence : lastSequence(this.#rest[0]?.baseSequence ?? 0, 2 ** 31)
    this.#it.parts.events.dataLoss({ topic, partition, from, to })
  }

  get #acked() {
    return this.#it.stream.acked.find(({ producerId, epoch }) => producerId === this.producerId && epoch === this.epoch)
  }

  /** Every acknowledgement of the stream concerns records in front of `first`. */
  #isNothingSettledBehind({ firstPosition }: Entry): boolean {
    const { parts, stream } = this.#it
    let unsettled = 0
    for (const entry of parts.wal.entriesOf(stream.id)) {
      if (entry.firstPosition >= firstPosition) unsettled += entry.unsettled
    }
    return unsettled === stream.nextPosition - firstPosition
  }
}
