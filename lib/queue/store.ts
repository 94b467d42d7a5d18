/**
 * Where a queue keeps its items. One interface for memory, log, and memory that spills into a log: intake and
 * dispatcher do not know which.
 *
 *   intake --tryPut--> [ store: window (oldest, in memory) <--pages-- backlog (the rest, in the log only) ]
 *                                 |
 *                                 '--take--> dispatcher --settled--> [ store ]
 *
 * Invariant: the window holds the oldest items, the backlog follows them; an item is in exactly one of window, flight
 * and backlog until it is settled.
 */
import type { MQError } from '../errors/index.js'
import type { Outcome } from '../wal/index.js'
import type { Batch } from './window.js'

/** The promise of everything that is accepted at once. One for all: nothing is created per item. */
export const ACCEPTED: Promise<void> = Promise.resolve()

export interface Store<T> {
  /** Items only in the log. */
  readonly backlog: number
  /** How full it is, in the unit of its levels. */
  readonly used: number
  /** Ordinal below which items may be sent: those that are accepted. */
  readonly sendableTo: number
  /** So many items in memory, and nothing more comes in before something leaves. */
  readonly crowdedAt: number
  /** It is so: a batch that is filling will not grow. */
  readonly isCrowded: boolean
  /** Bytes of the log that hold pending items. */
  readonly logBytes: number
  /** What is full when it is full. */
  readonly fullReason: 'BUFFER_FULL' | 'WAL_FULL'
  /**
   * Takes an item and gives the promise of its acceptance; null: there is no room. `isStarted`: it belongs to a batch
   * of which something was taken, and may use what is left above the hard limit.
   * @throws MQError SERIALIZATION_FAILED, WAL_FAILED, WAL_FRAME_TOO_LARGE, and nothing was taken
   */
  tryPut(item: T, isStarted: boolean): Promise<void> | null
  /** Takes items `from`.. and gives how many; what was taken last says when all of them are accepted. */
  tryPutMany(items: readonly T[], from: number, isStarted: boolean): number
  /** Of the last item taken. */
  readonly lastAccepted: Promise<void>
  /** All of them fit, or none is to be taken. Throws as `tryPut`. */
  fits(items: readonly T[]): boolean
  /** Gives up the oldest items that no send has, to make room for `count`; those given up, perhaps none. */
  evict(count: number): readonly Batch<T>[]
  settled(batch: Batch<T>, outcome: Outcome): void
  /** There may be room in the window: brings in what waits in the log. */
  refill(): void
}

/** What a store tells its queue. */
export interface StoreListener<T> {
  /** More may be sent, or more taken. */
  changed(): void
  /** Items that callers were told are not accepted: nobody has them any more. */
  lost(items: readonly T[], count: number): void
  failed(error: MQError): void
}
