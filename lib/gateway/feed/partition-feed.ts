/**
 * The live end of one partition: one reader of the backend, its recent blocks, and the cursors that have had all of it.
 *
 *   backend -> arrived (this turn's records) -> blocks in the cache -> cursors at the tail get into the queue
 *
 * Why records wait for the end of the turn: batches that arrive together become few blocks of a good size.
 * Who follows keys stands in no list: a block is asked for its keys, and each finds its followers (`KeyFollowers`).
 * Invariant: the feed is at most `AHEAD_BYTES` and one batch ahead of what everybody who keeps up was offered.
 * Source: features.md GW-1, GW-3.
 */
import type { MQError } from '../../errors/index.js'
import type { FeedRecord } from '../types.js'
import { type BlockCache, CachedBlocks } from './block-cache.js'
import { type Cursor, type CursorHome, PLACE, type Subscription } from './cursor.js'
import { entriesOf, type FeedEntry, recordBytes } from './entry.js'
import { LogReader, type LogReaderParts } from './log-reader.js'
import type { Arrivals, Turns } from './turns.js'

/** What may arrive while a round goes on. Bytes. */
const AHEAD_BYTES = 1024 * 1024

/** Subscriptions of a topic by the keys that they follow. */
export type KeyFollowers = ReadonlyMap<string, ReadonlySet<Subscription>>

export interface PartitionFeedParts extends LogReaderParts {
  readonly cache: BlockCache
  readonly turns: Turns
}

export class PartitionFeed implements CursorHome, Arrivals {
  readonly topic: string
  readonly partition: number
  readonly blocks: CachedBlocks
  /** The first offset there was: who was subscribed before the partition came begins there. */
  readonly earliest: number
  readonly #turns: Turns
  readonly #followers: KeyFollowers
  readonly #reader: LogReader
  readonly #tail: Cursor[] = []
  #arrived: FeedRecord[] = []
  #deletedBefore = -1
  #isAnnounced = false
  #aheadBytes = 0
  #isPaused = false

  /** `ended`: it cannot be read any more. */
  constructor(
    parts: PartitionFeedParts,
    at: { readonly topic: string; readonly partition: number; readonly from: number; readonly earliest: number },
    followers: KeyFollowers,
    ended: (error: MQError) => void,
  ) {
    this.topic = at.topic
    this.partition = at.partition
    this.earliest = at.earliest
    this.blocks = new CachedBlocks(parts.cache, at.from)
    this.#turns = parts.turns
    this.#followers = followers
    const owner = { read: this.#read.bind(this), ended }
    this.#reader = new LogReader(parts, at.topic, at.partition, at.from, owner)
  }

  open(): void {
    this.#reader.open()
  }

  close(): void {
    this.#reader.close()
    this.#arrived = []
    this.blocks.clear()
  }

  toTail(cursor: Cursor): void {
    cursor.slot = this.#tail.push(cursor) - 1
    cursor.moveTo(PLACE.tail)
  }

  leaveTail(cursor: Cursor): void {
    const last = this.#tail.pop() as Cursor
    if (last !== cursor) {
      this.#tail[cursor.slot] = last
      last.slot = cursor.slot
    }
    cursor.slot = -1
  }

  seal(): void {
    this.#isAnnounced = false
    this.#toBlocks()
  }

  #toBlocks(): void {
    if (this.#arrived.length === 0) return
    const entries = entriesOf(this.topic, this.partition, this.#arrived, this.#deletedBefore)
    this.#arrived = []
    this.#deletedBefore = -1
    const { end } = this.blocks
    for (const entry of entries) this.blocks.append(entry)
    this.#wakeTail(end)
    if (this.#followers.size > 0) for (const entry of entries) this.#wakeFollowers(entry, end)
  }

  roundEnded(): void {
    this.#aheadBytes = 0
    if (!this.#isPaused || this.#arrived.length > 0) return // What has arrived meanwhile has a round of its own.
    this.#isPaused = false
    this.#reader.resume()
  }

  #read(records: readonly FeedRecord[], deletedBefore: number): void {
    if (deletedBefore >= 0) {
      this.#toBlocks() // What was deleted lies behind these.
      this.#deletedBefore = deletedBefore
    }
    for (const record of records) {
      this.#arrived.push(record)
      this.#aheadBytes += recordBytes(record)
    }
    if (this.#aheadBytes > AHEAD_BYTES && !this.#isPaused) {
      this.#isPaused = true
      this.#reader.pause()
    }
    if (this.#isAnnounced) return
    this.#isAnnounced = true
    this.#turns.arrived(this)
  }

  #wakeTail(end: number): void {
    for (const cursor of this.#tail) {
      cursor.slot = -1
      this.#wake(cursor, end)
    }
    this.#tail.length = 0
  }

  /** One look-up per record with a key that is not the same as an earlier one's. */
  #wakeFollowers(entry: FeedEntry, end: number): void {
    for (const key of entry.keys.first.keys()) this.#wakeEach(this.#followers.get(key), end)
    // What was deleted may have been anybody's.
    if (entry.deletedBefore >= 0) for (const each of this.#followers.values()) this.#wakeEach(each, end)
  }

  #wakeEach(subscriptions: ReadonlySet<Subscription> | undefined, end: number): void {
    if (subscriptions === undefined) return
    for (const { cursors } of subscriptions) {
      const cursor = cursors[this.partition]
      if (cursor !== undefined && cursor.place === PLACE.tail) this.#wake(cursor, end)
    }
  }

  #wake(cursor: Cursor, end: number): void {
    if (cursor.next < end) cursor.next = end
    this.#turns.add(cursor)
  }
}
