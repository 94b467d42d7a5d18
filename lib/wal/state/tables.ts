/**
 * What a log knows: streams, identities, unsettled entries, live records per segment. Hot path.
 * Why one class for both: recovery fills it from the frames it reads, the writer keeps it current with the frames it
 * writes, so that what a crash brings back and what was there before cannot differ by construction.
 * Invariant: `unsettledRecords` is the sum of `unsettled` over all entries, and the sum over all segments.
 * Source: wal.md 2.5, 2.6, 5.
 */
import { assert } from '../../util/index.js'
import type { CheckpointBody, IncarnationFacts } from '../format/bodies/checkpoint.js'
import type { OpenBody } from '../format/bodies/open.js'
import { Outcome, UNBOUND } from '../format/constants.js'
import { frameBytes } from '../format/frame.js'
import type { Entry, HoleFacts, IdentityFacts, StreamFacts } from '../types.js'
import { checkpointParts } from './checkpoint-parts.js'
import { LiveSegments } from './live-segments.js'
import { StreamTable } from './stream-table.js'

interface Incarnation {
  readonly id: string
  /** Machine down after it, while it had accepted what was not synced: records of it may be missing (wal.md 1.3, E10). */
  mayHaveLostPower: boolean
}

/** More than this are looked through for ones that nothing refers to any more. */
const KEPT = 16

export class LogTables {
  clusterId = ''
  readonly identities: IdentityFacts[] = []
  /** Of the last opening; null: none yet, or not known. */
  lastOpen: OpenBody | null = null
  /** By number; those that unsettled entries or this opening refer to. */
  readonly incarnations = new Map<number, Incarnation>()
  readonly #streams = new Map<number, StreamTable>()
  readonly #entries = new Map<number, Entry>()
  readonly #live = new LiveSegments()
  /** Parts of a split by the LSN of what they will replace, until all are there (wal.md 2.6). */
  readonly #parts = new Map<number, Entry[]>()
  #unsettledRecords = 0
  #nextStream = 0

  get streams(): ReadonlyMap<number, StreamFacts> {
    return this.#streams
  }

  get unsettledRecords(): number {
    return this.#unsettledRecords
  }

  get entryCount(): number {
    return this.#entries.size
  }

  /** The newest stream of a topic-partition with that topic id; '' (here or there) stands for any. */
  streamOf(topic: string, topicId: string, partition: number): StreamFacts | undefined {
    let found: StreamTable | undefined
    for (const stream of this.#streams.values()) {
      if (stream.topic !== topic || stream.partition !== partition) continue
      if (stream.topicId === topicId) return stream
      if (stream.topicId === '' || topicId === '') found = stream
    }
    return found
  }

  /** An id that no stream has had. */
  nextStreamId(): number {
    return this.#nextStream
  }

  /** A stream from its STREAM frame; defining it again changes nothing but an unknown topic id. */
  defineStream(facts: Pick<StreamFacts, 'id' | 'topic' | 'topicId' | 'partition'>): StreamFacts {
    const known = this.#streams.get(facts.id)
    if (known !== undefined) {
      if (known.topicId === '') known.topicId = facts.topicId
      return known
    }
    const stream = new StreamTable(facts.id, facts.topic, facts.topicId, facts.partition)
    this.#streams.set(facts.id, stream)
    if (facts.id >= this.#nextStream) this.#nextStream = facts.id + 1
    return stream
  }

  defineIdentity(producerId: bigint, epoch: number, clusterId: string): void {
    if (clusterId !== '') this.clusterId = clusterId
    for (const known of this.identities) if (known.producerId === producerId && known.epoch === epoch) return
    this.identities.push({ producerId, epoch, clusterId })
  }

  /**
   * An OPEN frame. Without its body the mode and the boot of the last opening are not known any more: better than those
   * of an older one.
   */
  opened(incarnation: number, id: string, open: OpenBody | null = null): void {
    const before = this.incarnations.get(this.lastOpen?.incarnation ?? incarnation - 1)
    if (before !== undefined && isAfterPowerLoss(this.lastOpen, incarnation, open)) before.mayHaveLostPower = true
    this.#incarnation(incarnation, id)
    this.lastOpen = open
  }

  /**
   * The first position of the next frame of a stream: the next free one, or, for a part of a split, the place of its
   * records inside the entry it replaces.
   */
  firstPositionOf(streamId: number, part: number, parts: number, originLsn: number): number {
    const stream = this.#stream(streamId)
    const origin = parts > 1 ? this.#entries.get(originLsn) : undefined
    if (origin === undefined) return stream.nextPosition
    let position = origin.firstPosition
    if (part > 0) for (const before of this.#parts.get(originLsn) ?? []) position += before.count
    return position
  }

  /** A BATCH frame. The tables keep the object. Records that are settled already count as such. */
  appended(entry: Entry): void {
    const stream = this.#stream(entry.stream)
    const origin = entry.parts > 1 ? this.#entries.get(entry.originLsn) : undefined
    if (origin !== undefined && origin.stream === entry.stream) {
      this.#partAppended(entry, origin)
      return
    }
    const end = entry.firstPosition + entry.count
    if (end > stream.nextPosition) stream.nextPosition = end
    this.#insert(stream, entry)
  }

  /** Positions below were given away, although their frames are not there. Gives the first one that was not known. */
  advance(streamId: number, nextPosition: number): number {
    const stream = this.#stream(streamId)
    const before = stream.nextPosition
    if (nextPosition > before) stream.nextPosition = nextPosition
    return before
  }

  /** A BIND frame; for an entry that is settled it says nothing any more. */
  bound(lsn: number, producerId: bigint, epoch: number, baseSequence: number): void {
    const entry = this.#entries.get(lsn) ?? this.#partOf(lsn)
    if (entry === undefined) return
    entry.producerId = producerId
    entry.epoch = epoch
    entry.baseSequence = baseSequence
  }

  /**
   * An ACK frame: outcomes of positions from..to (inclusive). Gives the records newly settled: 0, all were already.
   * `baseOffset` is that of `from`, -1 = not known.
   */
  settled(streamId: number, from: number, to: number, outcome: Outcome, baseOffset: number): number {
    const stream = this.#stream(streamId)
    assert(from >= 0 && from <= to && to < stream.nextPosition, 'only known positions are settled')
    const count = stream.settle(from, to)
    const isDelivered = outcome === Outcome.delivered || outcome === Outcome.duplicate
    if (isDelivered && baseOffset >= 0 && baseOffset + to - from > stream.lastAckedOffset) {
      stream.lastAckedOffset = baseOffset + to - from
    }
    if (count > 0) this.#settleEntries(stream, from, to, isDelivered)
    return count
  }

  /** A HOLE frame: its positions are lost, which is an outcome. Streams nobody knows are skipped. */
  hole(hole: HoleFacts): number {
    let records = 0
    for (const { stream, from, to } of hole.ranges) {
      const known = this.#streams.get(stream)
      if (known === undefined) continue
      if (to >= known.nextPosition) known.nextPosition = to + 1
      records += this.settled(stream, from, to, Outcome.lost, -1)
    }
    return records
  }

  /** A RELOC frame, or the rewriting of a poisoned segment: the entry is elsewhere now. */
  relocated(lsn: number, segment: number, at: number): void {
    const entry = this.#entries.get(lsn) ?? this.#partOf(lsn)
    if (entry === undefined) return
    if (this.#entries.has(lsn)) {
      const bytes = frameBytes(entry.bodyBytes)
      this.#live.removed(entry.segment, entry.unsettled, bytes)
      this.#live.added(segment, entry.unsettled, bytes)
    }
    entry.segment = segment
    entry.at = at
  }

  /** A RELOC frame of an entry whose first frame is in a segment that is gone. */
  adopted(entry: Entry): void {
    if (this.#entries.has(entry.lsn)) {
      this.relocated(entry.lsn, entry.segment, entry.at)
      this.bound(entry.lsn, entry.producerId, entry.epoch, entry.baseSequence)
      return
    }
    const stream = this.#stream(entry.stream)
    const end = entry.firstPosition + entry.count
    if (end > stream.nextPosition) stream.nextPosition = end
    this.#insert(stream, entry)
  }

  /** Parts of splits that did not become complete: as if they had never been written. */
  dropVoidParts(): number {
    const count = this.#parts.size
    this.#parts.clear()
    return count
  }

  entry(lsn: number): Entry | undefined {
    return this.#entries.get(lsn)
  }

  /** The unsettled entry that holds a position. */
  entryAt(streamId: number, position: number): Entry | undefined {
    const stream = this.#streams.get(streamId)
    const entry = stream?.entries.at(stream.entries.firstIndex(position))
    return entry !== undefined && entry.unsettled > 0 && entry.firstPosition <= position ? entry : undefined
  }

  /** Which positions of from..to (inclusive) of a stream have no outcome; ascending. */
  unsettledRanges(streamId: number, from: number, to: number): { from: number; to: number }[] {
    return this.#streams.get(streamId)?.settled.unsettledRanges(from, to) ?? []
  }

  /** Unsettled entries in position order; valid until the next settlement. */
  entriesOf(streamId: number): readonly Entry[] {
    return this.#streams.get(streamId)?.entries.all() ?? []
  }

  liveRecords(segment: number): number {
    return this.#live.records(segment)
  }

  /** Bytes of frames that hold an unsettled record. */
  liveBytes(segment: number): number {
    return this.#live.bytes(segment)
  }

  oldestLiveSegment(fallback: number): number {
    return this.#live.oldest(fallback)
  }

  /** What a CHECKPOINT frame says is added to what is known. */
  merge(body: CheckpointBody): void {
    if (body.clusterId !== '') this.clusterId = body.clusterId
    for (const { producerId, epoch, clusterId } of body.identities) this.defineIdentity(producerId, epoch, clusterId)
    for (const { incarnation, id, mayHaveLostPower = false } of body.incarnations) {
      const known = this.#incarnation(incarnation, id)
      if (mayHaveLostPower) known.mayHaveLostPower = true
    }
    if (body.lastOpen !== null) this.lastOpen = body.lastOpen
    for (const facts of body.streams) this.advance(this.defineStream(facts).id, facts.nextPosition)
    this.outcomes(body)
  }

  /** Outcomes of known positions, as a CHECKPOINT tells them: ACK frames of some may come behind it, and be lost. */
  outcomes({ streams, settled }: Pick<CheckpointBody, 'streams' | 'settled'>): void {
    for (const facts of streams) {
      const stream = this.#streams.get(facts.id)
      if (stream === undefined) continue
      this.#settleKnown(facts.id, stream.settledThrough, facts.settledThrough - 1)
      stream.mergeAcks(facts)
    }
    for (const { stream, from, to } of settled) this.#settleKnown(stream, from, to)
  }

  /** Bodies of a CHECKPOINT, none longer than `maxPartBytes` as long as one thing of it fits. */
  checkpoint(
    previousLastLsn: number,
    previousLastBodyCrc: number,
    oldestLiveSegment: number,
    maxPartBytes: number,
  ): Uint8Array[] {
    this.#forget()
    const settled: { stream: number; from: number; to: number }[] = []
    const streams = [...this.#streams.values()]
    for (const { id, settled: ranges } of streams)
      ranges.forEach((from, to) => void settled.push({ stream: id, from, to }))
    const incarnations: IncarnationFacts[] = [...this.incarnations].map(([incarnation, facts]) => ({
      incarnation,
      ...facts,
    }))
    const tables = {
      clusterId: this.clusterId,
      identities: this.identities,
      incarnations,
      streams,
      settled,
      lastOpen: this.lastOpen,
    }
    return checkpointParts(tables, { previousLastLsn, previousLastBodyCrc, oldestLiveSegment }, maxPartBytes)
  }

  /** What was known of that number stays, unless it was another opening: a dead one gives its number back. */
  #incarnation(incarnation: number, id: string): Incarnation {
    let known = this.incarnations.get(incarnation)
    if (known === undefined || known.id !== id) {
      known = { id, mayHaveLostPower: false }
      this.incarnations.set(incarnation, known)
    }
    return known
  }

  #stream(id: number): StreamTable {
    const stream = this.#streams.get(id)
    assert(stream !== undefined, 'a stream is defined before it is used')
    return stream
  }

  #insert(stream: StreamTable, entry: Entry): void {
    entry.unsettled = stream.settled.unsettledOf(entry.firstPosition, entry.firstPosition + entry.count - 1)
    if (entry.unsettled === 0) return
    stream.entries.insert(entry)
    this.#entries.set(entry.lsn, entry)
    this.#live.added(entry.segment, entry.unsettled, frameBytes(entry.bodyBytes))
    this.#unsettledRecords += entry.unsettled
  }

  #settleEntries(stream: StreamTable, from: number, to: number, isDelivered: boolean): void {
    const { entries, settled } = stream
    let index = entries.firstIndex(from)
    for (let entry = entries.at(index); entry !== undefined && entry.firstPosition <= to; entry = entries.at(index)) {
      index++
      if (entry.unsettled === 0) continue
      const left = settled.unsettledOf(entry.firstPosition, entry.firstPosition + entry.count - 1)
      const records = entry.unsettled - left
      this.#unsettledRecords -= records
      this.#live.settled(entry.segment, records)
      entry.unsettled = left
      if (left > 0) continue
      if (isDelivered && entry.producerId !== UNBOUND) stream.acknowledged(entry)
      const before = entries.at(index)
      this.#remove(stream, entry)
      // Removal may have compacted the list: the place of the next one is looked up again.
      if (before !== undefined && entries.at(index) !== before) index = entries.firstIndex(before.firstPosition)
    }
  }

  /** An entry without unsettled records leaves. */
  #remove(stream: StreamTable, entry: Entry): void {
    this.#live.removed(entry.segment, 0, frameBytes(entry.bodyBytes))
    this.#entries.delete(entry.lsn)
    if (this.#parts.size > 0) this.#parts.delete(entry.lsn)
    stream.entries.settledOne()
  }

  #partAppended(entry: Entry, origin: Entry): void {
    const before = this.#parts.get(entry.originLsn)
    const parts = entry.part === 0 || before === undefined ? [entry] : [...before, entry]
    this.#parts.set(entry.originLsn, parts)
    const isWhole = parts.length === entry.parts && parts.every((part, index) => part.part === index)
    if (!isWhole) return
    const stream = this.#stream(origin.stream)
    this.#unsettledRecords -= origin.unsettled
    this.#live.settled(origin.segment, origin.unsettled)
    origin.unsettled = 0
    this.#remove(stream, origin)
    stream.entries.all() // Compacts: the origin stands where its parts go.
    for (const part of parts) this.#insert(stream, part)
  }

  #partOf(lsn: number): Entry | undefined {
    for (const parts of this.#parts.values()) for (const part of parts) if (part.lsn === lsn) return part
    return undefined
  }

  /** Positions that were not given away by then are left out: somebody else may get them. */
  #settleKnown(streamId: number, from: number, to: number): void {
    const last = Math.min(to, (this.#streams.get(streamId)?.nextPosition ?? 0) - 1)
    if (from <= last) this.settled(streamId, from, last, Outcome.lost, -1)
  }

  /** Lets go of what no unsettled entry refers to, oldest first, so that checkpoints do not grow with every opening. */
  #forget(): void {
    for (const stream of this.#streams.values()) stream.forgetAcked()
    if (this.identities.length <= KEPT && this.incarnations.size <= KEPT) return
    const identities = new Set<string>()
    const incarnations = new Set<number>()
    for (const { producerId, epoch, incarnation, originIncarnation } of this.#entries.values()) {
      identities.add(`${producerId} ${epoch}`)
      incarnations.add(incarnation).add(originIncarnation)
    }
    const kept = this.identities.filter(
      ({ producerId, epoch }, index) =>
        index >= this.identities.length - KEPT / 2 || identities.has(`${producerId} ${epoch}`),
    )
    this.identities.splice(0, this.identities.length, ...kept)
    const newest = Math.max(...this.incarnations.keys())
    for (const incarnation of [...this.incarnations.keys()]) {
      if (incarnation <= newest - KEPT / 2 && !incarnations.has(incarnation)) this.incarnations.delete(incarnation)
    }
  }
}

/**
 * What `last` had accepted and not synced may be gone when `open` found the machine booted since, or nobody knows. Later
 * boots take nothing more: every opening syncs what the one before it left.
 */
function isAfterPowerLoss(last: OpenBody | null, incarnation: number, open: OpenBody | null): boolean {
  if (last === null || open === null) return true
  if (last.incarnation >= incarnation || last.durability === 'immediate') return false
  return last.bootId === '' || last.bootId !== open.bootId
}
