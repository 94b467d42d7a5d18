/**
 * Where clients stand: a client, what it has subscribed to, and one cursor per partition of that.
 *
 *            +-- a block came --> queued --- everything sent ---+
 *   tail <---+                      |  ^                        +--> tail
 *            not writable: parked <-+  +-- drained, or records came
 *            not cached:  catching <-+
 *
 * Invariant: `next` is the only truth of what a client has got: every way of reading goes on from it, so there is no seam
 * at which a record could be missing or come twice. At the tail it may lie behind the partition's end: records in
 * between were none of the client's (another key). Source: features.md GW-1, GW-3.
 */
import type { MQError } from '../../errors/index.js'
import type { CachedBlocks } from './block-cache.js'
import type { FeedEntry } from './entry.js'
import type { FeedClient } from './types.js'

export const PLACE = { off: 0, tail: 1, queued: 2, parked: 3, catching: 4 } as const
export type Place = (typeof PLACE)[keyof typeof PLACE]

/** A client, for all of its subscriptions. */
export class ClientState {
  readonly client: FeedClient
  /** Cursors that are looked at when it is writable again. */
  waiting: Cursor[] = []
  /** It was told so; nothing is sent to it any more. */
  isTooSlow = false

  constructor(client: FeedClient) {
    this.client = client
  }

  waitFor(cursor: Cursor): void {
    if (cursor.isWaiting) return
    cursor.isWaiting = true
    this.waiting.push(cursor)
  }

  /** Without those of ended subscriptions: their number is nobody's to bound. */
  forgetEnded(): void {
    this.waiting = this.waiting.filter(({ place }) => place !== PLACE.off)
  }
}

/** One topic of one client. */
export class Subscription {
  readonly state: ClientState
  /** The topic has ended it. */
  readonly ended: (error: MQError) => void
  /** Only records with one of these keys; null: all. */
  keys: Set<string> | null
  /** By partition. */
  readonly cursors: (Cursor | undefined)[] = []

  constructor(state: ClientState, keys: Set<string> | null, ended: (error: MQError) => void) {
    this.state = state
    this.keys = keys
    this.ended = ended
  }
}

/** The partition, as cursors see it. */
export interface CursorHome {
  readonly topic: string
  readonly partition: number
  readonly blocks: CachedBlocks
  /** Those that get every record wait in a list. */
  toTail(cursor: Cursor): void
  leaveTail(cursor: Cursor): void
}

/** A reader of older records, as cursors see it. */
export interface CatchUpPlace {
  /** The block with the first record at or behind `offset`, if it has it just now. */
  at(offset: number): FeedEntry | null
  /** A member has had all of it that there is. False: it has gone on without that member. */
  hasMoreFor(cursor: Cursor): boolean
  leave(cursor: Cursor): void
  /** A member went from one place to another. */
  shift(from: Place, to: Place): void
}

/** Where a cursor begins. */
export interface Start {
  readonly next: number
  /** Offsets from `next` up to here, exclusive, do not exist any more; -1: all do. */
  readonly deletedBefore: number
}

export class Cursor {
  readonly subscription: Subscription
  readonly home: CursorHome
  /** Next offset that the client may get. */
  next: number
  /** It had everything there was, once: from then on it is slow when it is behind. */
  isLive = false
  /** Records from here up to `next` were dropped, and the client has not been told; -1: none. */
  owedFrom = -1
  /** What lies before this was deleted when it was asked for, and the client has not been told; -1: nothing. */
  deletedBefore = -1
  catchUp: CatchUpPlace | null = null
  /** In the list of the tail; -1: not there. */
  slot = -1
  isInQueue = false
  isWaiting = false
  #place: Place = PLACE.off

  constructor(subscription: Subscription, home: CursorHome, next: number) {
    this.subscription = subscription
    this.home = home
    this.next = next
  }

  get place(): Place {
    return this.#place
  }

  /** What a client would be told: at the tail, the end. */
  get nextOffset(): number {
    return this.#place === PLACE.tail ? Math.max(this.next, this.home.blocks.end) : this.next
  }

  /** Something is to be told before anything else is sent. */
  get isOwing(): boolean {
    return this.owedFrom >= 0 || this.deletedBefore > this.nextOffset
  }

  moveTo(place: Place): void {
    const from = this.#place
    this.#place = place
    this.catchUp?.shift(from, place) // Last: it may bring records at once.
  }

  /** It is nowhere any more, until somebody puts it somewhere. */
  detach(): void {
    this.next = this.nextOffset
    if (this.slot >= 0) this.home.leaveTail(this)
    this.catchUp?.leave(this)
    this.moveTo(PLACE.off)
  }

  /** Another place, as if nothing had been read before. */
  seek({ next, deletedBefore }: Start): void {
    this.detach()
    this.next = next
    this.deletedBefore = deletedBefore
    this.owedFrom = -1
    this.isLive = false
  }
}
