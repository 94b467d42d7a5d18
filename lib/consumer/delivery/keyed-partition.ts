/**
 * What one partition has out while its keys run in parallel.
 *
 *   reader -> records of a key that is free: called
 *          -> records of a key that is not:  chain of that key, one after the other
 *
 * Invariant: of each chain only the first job runs, waits for its retry, or is being written elsewhere; a key without
 * a chain has nothing out. A lineage ends when the partition moves (seek, revocation): what it has running may end,
 * but moves nothing, and no key starts anew before all of it has.
 */
import { Deque, type TimerHandle } from '../../util/index.js'
import type { AnyRecord, PartitionCursor } from '../cursor.js'
import { rawKey } from '../records/record-view.js'
import { OffsetTracker } from './offset-tracker.js'
import type { DeadLetter } from './verdict.js'

/** A key's bytes as text, one character each; null for records without key, which keep their order too. */
export type KeyText = string | null

export function keyOf(record: AnyRecord): KeyText {
  return rawKey(record)?.toString('latin1') ?? null
}

/** Something whose promise has not settled. */
export interface Open {
  sinceMs: number
}

/** A record that could not be processed in passing. */
export class Job implements Open {
  readonly lineage: Lineage
  readonly chain: Chain
  readonly record: AnyRecord
  readonly slot: number
  attempts = 0
  letter: DeadLetter | null = null
  sinceMs = -1

  constructor(lineage: Lineage, chain: Chain, record: AnyRecord, slot: number) {
    this.lineage = lineage
    this.chain = chain
    this.record = record
    this.slot = slot
  }
}

/** The records of one key, in order. */
export class Chain {
  readonly key: KeyText
  readonly jobs = new Deque<Job>()
  timer: TimerHandle | null = null

  constructor(key: KeyText) {
    this.key = key
  }
}

/** What was taken since the partition moved last. */
export class Lineage {
  isOver = false
  readonly tracker = new OffsetTracker()
  readonly chains = new Map<KeyText, Chain>()
  /** Chains whose first job may start. */
  readonly ready = new Deque<Chain>()

  /** The record waits behind others of its key, or is the first of its chain. */
  add(record: AnyRecord, end: number): Job {
    const key = keyOf(record)
    const chain = this.chains.get(key) ?? new Chain(key)
    this.chains.set(key, chain)
    const job = new Job(this, chain, record, this.tracker.take(end, record.leaderEpoch))
    chain.jobs.pushBack(job)
    return job
  }

  /** The first job of the chain has ended: the next one of its key may start. */
  end(job: Job): void {
    job.chain.jobs.popFront()
    if (job.chain.jobs.size > 0) this.ready.pushBack(job.chain)
    else this.chains.delete(job.chain.key)
  }

  /** `waiting`: chains whose retry has a timer. */
  drop(waiting: Set<Chain>): void {
    this.isOver = true
    for (const chain of this.chains.values()) {
      chain.timer?.cancel()
      waiting.delete(chain)
    }
    this.chains.clear()
    this.ready.clear()
  }
}

export class KeyedPartition {
  readonly cursor: PartitionCursor
  lineage = new Lineage()
  /** The callback has an error of the partition, and nothing runs beside it. */
  isTelling = false
  readonly #open = new Set<Open>() // in the order they were opened
  #isStale = false // something of an earlier lineage is open

  constructor(cursor: PartitionCursor, waiting: Set<Chain>) {
    this.cursor = cursor
    cursor.onMoved = () => {
      this.lineage.drop(waiting)
      this.lineage = new Lineage()
      this.#isStale = this.#open.size > 0
    }
  }

  /** Something may be handed out, as far as this partition goes. `ahead`: most records behind the position. */
  hasWork(ahead: number): boolean {
    if (this.#isStale || this.isTelling) return false
    if (this.cursor.errors !== null) return this.#open.size === 0
    return this.lineage.ready.size > 0 || this.canTake(ahead)
  }

  canTake(ahead: number): boolean {
    const { cursor } = this
    return !cursor.isOpening && cursor.reader.hasData && this.lineage.tracker.size < ahead
  }

  opened(open: Open, nowMs: number): void {
    open.sinceMs = nowMs
    this.#open.add(open)
    if (open instanceof Job && open.lineage.isOver) this.#isStale = true // Its callback has moved the partition itself.
    this.#show()
  }

  closed(open: Open): void {
    this.#open.delete(open)
    if (this.#open.size === 0) this.#isStale = false
    this.#show()
  }

  /** The position follows what is processed without a gap. */
  processed(job: Job): void {
    const { tracker } = job.lineage
    if (!tracker.done(job.slot)) return
    this.cursor.position = tracker.position
    this.cursor.positionEpoch = tracker.epoch
  }

  /** Up to `end` there is nothing more to process. */
  passed(end: number, epoch: number): void {
    const { cursor, lineage } = this
    if (end > cursor.takenEnd) cursor.takenEnd = end
    if (lineage.tracker.size > 0) return lineage.tracker.extend(cursor.takenEnd)
    if (end > cursor.position) cursor.position = end
    if (epoch >= 0) cursor.positionEpoch = epoch
  }

  #show(): void {
    const oldest = this.#open.values().next()
    this.cursor.isBusy = oldest.done !== true
    this.cursor.busySinceMs = oldest.done === true ? -1 : oldest.value.sinceMs
  }
}
