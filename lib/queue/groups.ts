/**
 * Items that the log has not accepted yet, by the group they were written with.
 * Why: the log counts frames, the queue counts items, and only what is accepted may be sent (wal.md 1.2, C1).
 * Invariant: LSNs and ordinals ascend; one object and one promise per group, none per item.
 */
import { type Buckets, type Clock, Deque } from '../util/index.js'
import type { Wal } from '../wal/index.js'

interface Group {
  readonly lsn: number
  readonly promise: Promise<void>
  readonly sinceMs: number // monotonic, of its first item
  end: number // ordinal behind its last item
  items: number
}

export class Groups {
  readonly #wal: Wal
  readonly #clock: Clock
  readonly #seconds: Buckets | null
  readonly #failed: (error: unknown) => void
  readonly #open = new Deque<Group>()
  /** Ordinal below which all items are accepted. */
  acceptedTo: number

  constructor(wal: Wal, clock: Clock, seconds: Buckets | null, acceptedTo: number, failed: (error: unknown) => void) {
    this.#wal = wal
    this.#clock = clock
    this.#seconds = seconds
    this.#failed = failed
    this.acceptedTo = acceptedTo
  }

  /** The item with the ordinal `end - 1` was appended last. Gives the promise that its whole group shares. */
  appended(end: number): Promise<void> {
    const lsn = this.#wal.lastLsn
    let group = this.#open.peekBack()
    if (group === undefined || group.lsn !== lsn) group = this.#begin(lsn, end)
    group.end = end
    group.items++
    return group.promise
  }

  /** The last item began a group. */
  get hasJustBegun(): boolean {
    return this.#open.peekBack()?.items === 1
  }

  /** The log has accepted further groups. */
  accept(): void {
    const { acceptedLsn } = this.#wal
    const nowMs = this.#seconds === null ? 0 : this.#clock.monotonicMs()
    for (
      let group = this.#open.peekFront();
      group !== undefined && group.lsn <= acceptedLsn;
      group = this.#open.peekFront()
    ) {
      this.#open.popFront()
      this.acceptedTo = Math.max(this.acceptedTo, group.end)
      this.#seconds?.observe((nowMs - group.sinceMs) / 1000, group.items)
    }
  }

  /** None of the others will be accepted. */
  giveUp(): void {
    this.#open.clear()
  }

  #begin(lsn: number, end: number): Group {
    const promise = this.#wal.accepted(lsn)
    // Nobody may be waiting for it: then this is the only one who hears that it was refused.
    promise.catch(this.#failed)
    const sinceMs = this.#seconds === null ? 0 : this.#clock.monotonicMs()
    const group = { lsn, promise, sinceMs, end, items: 0 }
    this.#open.pushBack(group)
    return group
  }
}
