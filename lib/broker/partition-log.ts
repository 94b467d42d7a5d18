/**
 * One replica's log of one partition: batches as received, the producer states built from them, and a snapshot of those.
 * Invariant: `logStart <= every stored lastOffset < logEnd`; batches are in offset order and never overlap.
 *
 *      logStart                                   logEnd
 *   ...|  [ 10..12 ][ 13..13 ][ 14..20 ]          | 21       the mark may lie inside the first batch (DeleteRecords)
 */
import { assert, Deque } from '../util/index.js'
import { ProducerStates } from './producer-state.js'
import type { StoredBatch } from './stored-batch.js'

interface Snapshot {
  readonly offset: number
  readonly producers: ProducerStates
}

/** The end of an epoch in a log, as OffsetForLeaderEpoch answers it. */
export interface EpochEnd {
  readonly leaderEpoch: number
  readonly endOffset: number
}

export class PartitionLog {
  #batches = new Deque<StoredBatch>()
  #logStart = 0
  #logEnd = 0
  #bytes = 0
  #snapshot: Snapshot = { offset: 0, producers: new ProducerStates() }
  #producers = new ProducerStates()
  /** Leader epochs and where they begin, ascending. */
  #epochs: { leaderEpoch: number; startOffset: number }[] = []

  get logStart(): number {
    return this.#logStart
  }

  get logEnd(): number {
    return this.#logEnd
  }

  /** Bytes of the stored batches. */
  get bytes(): number {
    return this.#bytes
  }

  get producers(): ProducerStates {
    return this.#producers
  }

  batches(): readonly StoredBatch[] {
    return [...this.#batches]
  }

  /** Stores a batch that was judged (leader) or copied (follower). */
  append(batch: StoredBatch): void {
    assert(batch.baseOffset >= this.#logEnd, 'a batch is appended behind the log end')
    this.#batches.pushBack(batch)
    this.#bytes += batch.bytes.length
    this.#logEnd = batch.lastOffset + 1
    this.noteEpoch(batch.leaderEpoch, batch.baseOffset)
    this.#learn(batch)
  }

  /** A leader notes its epoch when it takes over; followers learn it from batches. */
  noteEpoch(leaderEpoch: number, startOffset: number): void {
    const last = this.#epochs.at(-1)
    if (last === undefined || leaderEpoch > last.leaderEpoch) this.#epochs.push({ leaderEpoch, startOffset })
  }

  /** Index of the first batch that ends at or behind `offset`; the number of batches when there is none. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#batches.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#at(middle).lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #at(index: number): StoredBatch {
    return this.#batches.at(index) as StoredBatch
  }

  /** The last stored batch. */
  get newest(): StoredBatch | undefined {
    return this.#batches.peekBack()
  }

  /** The same batch, not just the same offsets: what an earlier leader wrote there may differ. */
  holds(batch: StoredBatch): boolean {
    const mine = this.#batches.at(this.#indexOf(batch.baseOffset))
    return mine !== undefined && isSame(mine, batch)
  }

  /** Where `follower` leaves this log: everything from there on has to go. */
  divergenceFrom(follower: PartitionLog): number {
    const stranger = follower.batches().find((batch) => batch.baseOffset >= this.#logStart && !this.holds(batch))
    return stranger?.baseOffset ?? Math.min(follower.logEnd, this.#logEnd)
  }

  /** Stored batches from the one that holds `offset` on. */
  *from(offset: number): IterableIterator<StoredBatch> {
    for (let index = this.#indexOf(offset); index < this.#batches.size; index++) yield this.#at(index)
  }

  /**
   * Stored bytes from the batch that holds `offset` up to `endOffset` (exclusive), cut at `maxBytes` also inside a
   * batch, as a broker that sends file regions does. The first batch comes whole when `isFirstWhole`.
   */
  read(offset: number, endOffset: number, maxBytes: number, isFirstWhole: boolean): Uint8Array[] {
    const found: Uint8Array[] = []
    let left = maxBytes
    for (let index = this.#indexOf(offset); index < this.#batches.size; index++) {
      const batch = this.#at(index)
      if (batch.lastOffset >= endOffset) break
      const isWhole = batch.bytes.length <= left || (isFirstWhole && found.length === 0)
      if (!isWhole && left <= 0) break
      found.push(isWhole ? batch.bytes : batch.bytes.subarray(0, left))
      if (!isWhole) break
      left -= batch.bytes.length
    }
    return found
  }

  /** DeleteRecords and retention: nothing below `offset` is served; producer states stay (B-13). */
  advanceStart(offset: number): void {
    this.#logStart = Math.max(this.#logStart, Math.min(offset, this.#logEnd))
    for (let first = this.#batches.peekFront(); first !== undefined; first = this.#batches.peekFront()) {
      if (first.lastOffset >= this.#logStart) break
      this.#batches.popFront()
      this.#bytes -= first.bytes.length
    }
  }

  /** Retention by size: whole batches from the front, never beyond `limitOffset`, never the last one. */
  trimTo(maxBytes: number, limitOffset: number): void {
    let bytes = this.#bytes
    let start = this.#logStart
    for (let index = 0; index < this.#batches.size - 1 && bytes > maxBytes; index++) {
      const batch = this.#at(index)
      if (batch.lastOffset >= limitOffset) break
      bytes -= batch.bytes.length
      start = batch.lastOffset + 1
    }
    if (start > this.#logStart) this.advanceStart(start)
  }

  /** Retention by time: batches whose newest record is older than `beforeMs`. */
  trimOlderThan(beforeMs: number, limitOffset: number): void {
    const keep = this.batches().find((batch) => batch.maxTimestamp >= beforeMs || batch.lastOffset >= limitOffset)
    this.advanceStart(keep === undefined ? limitOffset : keep.baseOffset)
  }

  /** Drops everything from `offset` on and rebuilds the producer states from snapshot and log. */
  truncateTo(offset: number): void {
    if (offset >= this.#logEnd) return
    for (let last = this.#batches.peekBack(); last !== undefined; last = this.#batches.peekBack()) {
      if (last.lastOffset < offset) break
      this.#batches.popBack()
      this.#bytes -= last.bytes.length
    }
    this.#logEnd = (this.#batches.peekBack()?.lastOffset ?? Math.min(this.#logStart, offset) - 1) + 1
    this.#logStart = Math.min(this.#logStart, this.#logEnd)
    this.#epochs = this.#epochs.filter((epoch) => epoch.startOffset < this.#logEnd)
    if (this.#snapshot.offset > this.#logEnd) this.#snapshot = { offset: 0, producers: new ProducerStates() }
    this.#rebuild()
  }

  /** An empty log that begins at `offset`: a replica that starts behind the leader's log start. */
  restartAt(offset: number): void {
    this.truncateTo(0)
    this.#logStart = offset
    this.#logEnd = offset
    this.#producers = new ProducerStates()
  }

  /** Clean stop: the last batch of each producer goes to the snapshot (B-12). */
  takeSnapshot(): void {
    this.#snapshot = { offset: this.#logEnd, producers: this.#producers.snapshot() }
  }

  /**
   * Load after a stop or a crash. Recovery of a crashed log scans it and writes a snapshot before it loads that, so
   * both ways keep only the last batch per producer (confirmed on 4.1.1, transcripts c1..c3).
   */
  reload(nowMs: number, expirationMs: number): void {
    this.#rebuild()
    this.takeSnapshot()
    this.#producers = this.#snapshot.producers.snapshot()
    this.#producers.expire(nowMs, expirationMs)
  }

  /**
   * KIP-101: the largest epoch at or below the asked one, and where the next begins. An epoch above all that are known
   * has no end (-1, -1); one below all of them ends where the oldest known begins.
   */
  endOfEpoch(leaderEpoch: number): EpochEnd {
    const next = this.#epochs.findIndex((epoch) => epoch.leaderEpoch > leaderEpoch)
    if (next < 0) {
      const isLast = this.#epochs.at(-1)?.leaderEpoch === leaderEpoch
      return isLast ? { leaderEpoch, endOffset: this.#logEnd } : { leaderEpoch: -1, endOffset: -1 }
    }
    const endOffset = this.#epochs[next]?.startOffset ?? -1
    return { leaderEpoch: this.#epochs[next - 1]?.leaderEpoch ?? leaderEpoch, endOffset }
  }

  epochAt(offset: number): number {
    return this.#epochs.findLast((epoch) => epoch.startOffset <= offset)?.leaderEpoch ?? -1
  }

  /** Replaces one stored batch, for damage on command and for compaction; other replicas keep theirs. */
  replace(old: StoredBatch, batch: StoredBatch): void {
    this.#setBatches(this.batches().map((stored) => (stored === old ? batch : stored)))
  }

  /** Takes batches out of the middle, as compaction does; offsets stay as they are. */
  remove(gone: ReadonlySet<StoredBatch>): void {
    this.#setBatches(this.batches().filter((batch) => !gone.has(batch)))
  }

  #setBatches(batches: readonly StoredBatch[]): void {
    this.#batches.clear()
    this.#bytes = 0
    for (const batch of batches) {
      this.#batches.pushBack(batch)
      this.#bytes += batch.bytes.length
    }
  }

  #rebuild(): void {
    this.#producers = this.#snapshot.producers.snapshot()
    for (const batch of this.batches()) {
      if (batch.baseOffset >= this.#snapshot.offset) this.#learn(batch)
    }
  }

  #learn(batch: StoredBatch): void {
    if (batch.producerId < 0n) return
    // An emptied batch has no records, but still says which sequences it held.
    const identity = batch.count > 0 ? batch : { ...batch, count: batch.lastOffset - batch.baseOffset + 1 }
    this.#producers.remember(identity, batch.lastOffset, batch.maxTimestamp)
  }
}

function isSame(a: StoredBatch, b: StoredBatch): boolean {
  return a === b || (a.baseOffset === b.baseOffset && a.lastOffset === b.lastOffset && a.leaderEpoch === b.leaderEpoch)
}
