/**
 * Sends a cursor what it has to get: from the cache, else from a reader of older records, until it has all of it, its
 * client can take no more, or its share of this round is used up. Hot path.
 * Per block and client nothing is created but what the write needs; a block's bytes are shared by all who get all of it.
 * Invariant: `next` moves over a record exactly when the record was sent, was somebody else's (by key), was dropped and is
 * counted, or is told in a gap. Source: features.md GW-1, GW-3.
 */
import type { FeedRecord } from '../types.js'
import type { BlockCache } from './block-cache.js'
import type { CatchUps } from './catch-ups.js'
import { type Cursor, PLACE } from './cursor.js'
import type { FeedEntry } from './entry.js'
import type { SlowClient } from './types.js'

/** What a cursor may be sent in one round. Bytes. */
const SHARE_BYTES = 512 * 1024
/** Looking for keys in a block costs as much of the share as sending so much; the first time, when keys are chained. Bytes. */
const LOOK_COST = 1_024
const CHAIN_COST = 16 * 1024

export class Delivery {
  readonly #slowClient: SlowClient
  readonly #cache: BlockCache
  readonly #matches: number[] = []
  sentRecords = 0
  droppedRecords = 0

  constructor(slowClient: SlowClient, cache: BlockCache) {
    this.#slowClient = slowClient
    this.#cache = cache
  }

  /** True: there is more for it, in the next round. `catchUps` is asked for what is not cached. */
  visit(cursor: Cursor, catchUps: CatchUps): boolean {
    const { home, subscription } = cursor
    const { client } = subscription.state
    let left = SHARE_BYTES
    while (cursor.place === PLACE.queued) {
      if (cursor.owedFrom >= 0 && client.isWritable) this.#tellDropped(cursor)
      if (cursor.deletedBefore > cursor.next && client.isWritable) tellDeleted(cursor, cursor.deletedBefore)
      if (cursor.next >= home.blocks.end) return this.#rest(cursor)
      if (subscription.state.isTooSlow || !client.isWritable) return this.#notWritable(cursor)
      const entry = entryFor(cursor)
      if (entry === null) return readAgain(cursor, catchUps)
      if (left <= 0) return true
      left -= this.#send(cursor, entry)
    }
    return false
  }

  #rest(cursor: Cursor): false {
    cursor.catchUp?.leave(cursor)
    cursor.isLive = true
    if (cursor.subscription.keys === null) cursor.home.toTail(cursor)
    else cursor.moveTo(PLACE.tail)
    if (cursor.isOwing) cursor.subscription.state.waitFor(cursor)
    return false
  }

  /** Who has not had the present yet is not slow: it is given the past as fast as it takes it. */
  #notWritable(cursor: Cursor): false {
    const { state } = cursor.subscription
    const slowClient = cursor.isLive ? this.#slowClient : 'pause'
    if (slowClient === 'drop') return this.#drop(cursor)
    cursor.moveTo(PLACE.parked)
    state.waitFor(cursor)
    if (slowClient === 'disconnect' && !state.isTooSlow) {
      state.isTooSlow = true
      state.client.tooSlow()
    }
    return false
  }

  /** Skips to the end; the client is told when it can be. */
  #drop(cursor: Cursor): false {
    const { home } = cursor
    const dropped = this.#countFrom(cursor)
    if (dropped > 0 && cursor.owedFrom < 0) cursor.owedFrom = cursor.next
    this.droppedRecords += dropped
    cursor.next = home.blocks.end
    return this.#rest(cursor)
  }

  /** Records of the client between its place and the end; what is not cached any more counts by its offsets. */
  #countFrom(cursor: Cursor): number {
    const { next, home, subscription } = cursor
    let at = Math.max(next, home.blocks.from)
    let count = at - next
    for (let entry = home.blocks.at(at); entry !== null; entry = home.blocks.at(at)) {
      const { block } = entry
      const from = block.indexAt(at)
      if (subscription.keys === null) count += block.records.length - from
      else {
        entry.matches(subscription.keys, from, this.#matches)
        this.#cache.recount(entry)
        count += this.#matches.length
      }
      at = block.lastOffset + 1
    }
    return count
  }

  #tellDropped(cursor: Cursor): void {
    const { home, owedFrom, next } = cursor
    cursor.owedFrom = -1
    cursor.subscription.state.client.gap(home.topic, home.partition, owedFrom, next - 1, 'dropped')
  }

  /** Gives what it has cost of the share. */
  #send(cursor: Cursor, entry: FeedEntry): number {
    if (entry.deletedBefore > cursor.next) return tellDeleted(cursor, entry.deletedBefore)
    const { keys } = cursor.subscription
    return keys === null ? this.#sendAll(cursor, entry) : this.#sendMatching(cursor, entry, keys)
  }

  #sendAll(cursor: Cursor, entry: FeedEntry): number {
    const { block } = entry
    const { client } = cursor.subscription.state
    const count = block.records.length
    const from = cursor.next <= block.firstOffset ? 0 : block.indexAt(cursor.next)
    const bytes = from === 0 ? block.encoded(client.wire).bytes : block.frames(client.wire, from, count)
    this.#cache.recount(entry)
    cursor.next = block.lastOffset + 1
    this.sentRecords += count - from
    client.sendFrames(bytes, count - from)
    return bytes.length
  }

  /** Neighbours leave together. */
  #sendMatching(cursor: Cursor, entry: FeedEntry, keys: ReadonlySet<string>): number {
    const { block } = entry
    const { client } = cursor.subscription.state
    const matches = this.#matches
    let cost = entry.hasKeys ? LOOK_COST : CHAIN_COST
    entry.matches(keys, block.indexAt(cursor.next), matches)
    for (let at = 0; at < matches.length; at++) {
      const from = matches[at] as number
      while (matches[at + 1] === (matches[at] as number) + 1) at++
      const to = (matches[at] as number) + 1
      const bytes = block.frames(client.wire, from, to)
      cursor.next = (block.records[to - 1] as FeedRecord).offset + 1
      this.sentRecords += to - from
      cost += bytes.length
      client.sendFrames(bytes, to - from)
      if (at + 1 < matches.length && (!client.isWritable || cursor.place !== PLACE.queued)) {
        this.#cache.recount(entry)
        return cost
      }
    }
    this.#cache.recount(entry)
    cursor.next = block.lastOffset + 1
    return cost
  }
}

/** The cache has what is newest, so who is caught up with it needs no reader of its own any more. */
function entryFor(cursor: Cursor): FeedEntry | null {
  const cached = cursor.home.blocks.at(cursor.next)
  if (cached === null) return cursor.catchUp?.at(cursor.next) ?? null
  cursor.catchUp?.leave(cursor)
  return cached
}

function readAgain(cursor: Cursor, catchUps: CatchUps): false {
  const { catchUp } = cursor
  if (catchUp?.hasMoreFor(cursor) === true) return false
  catchUp?.leave(cursor)
  catchUps.request(cursor)
  return false
}

function tellDeleted(cursor: Cursor, deletedBefore: number): number {
  const { home, next, subscription } = cursor
  cursor.next = deletedBefore
  subscription.state.client.gap(home.topic, home.partition, next, deletedBefore - 1, 'deleted')
  return LOOK_COST
}
