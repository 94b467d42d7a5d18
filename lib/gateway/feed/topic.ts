/**
 * One topic: a feed per partition while somebody is subscribed and a little longer, and who is subscribed to it.
 *
 *   first claim -> partitionsOf -> positions -> feeds ........ last one gone -> LINGER_MS -> closed
 *                                    ^ each POLL_MS: new partitions join, from their beginning
 *
 * Why it lingers: clients that lost their connection come back within seconds, and go on from the cache.
 * Why claims: while a `subscribe` waits for positions its topic must not be closed under it.
 * Invariant: a subscription that is in `subscriptions` has one cursor per feed. Source: features.md GW-1.
 */
import { MQError, toMQError } from '../../errors/index.js'
import type { TimerHandle } from '../../util/index.js'
import { Cursor, type CursorHome, PLACE, type Start, type Subscription } from './cursor.js'
import { isFinal } from './log-reader.js'
import { PartitionFeed, type PartitionFeedParts } from './partition-feed.js'

/** Milliseconds. */
const LINGER_MS = 10_000
const POLL_MS = 30_000

/** Where partitions begin that an offset is given for; the others at 'latest', or all of them at 'earliest'. */
export type TopicStart = 'latest' | 'earliest' | ReadonlyMap<number, number>

export class FeedTopic {
  readonly name: string
  readonly #parts: PartitionFeedParts
  readonly #closed: (topic: FeedTopic) => void
  readonly #feeds = new Map<number, PartitionFeed>()
  readonly #subscriptions = new Set<Subscription>()
  readonly #followers = new Map<string, Set<Subscription>>()
  #partitions: Promise<readonly number[]> | null = null
  #claims = 0
  #linger: TimerHandle | null = null
  #poll: TimerHandle | null = null
  /** Why nothing can be read any more. */
  #end: MQError | null = null

  /** `closed`: it is not to be used any more. */
  constructor(parts: PartitionFeedParts, name: string, closed: (topic: FeedTopic) => void) {
    this.#parts = parts
    this.name = name
    this.#closed = closed
  }

  get feeds(): number {
    return this.#feeds.size
  }

  owns(home: CursorHome): boolean {
    return this.#feeds.get(home.partition) === home
  }

  claim(): void {
    this.#claims++
    this.#linger?.cancel()
    this.#linger = null
  }

  release(): void {
    this.#claims--
    this.#lingerIfUnused()
  }

  /** Where to begin, by partition. Needs a claim. */
  async starts(from: TopicStart): Promise<Map<number, Start>> {
    const named = typeof from === 'string' ? [] : [...from.keys()]
    let partitions = await this.#known()
    // Another gateway may have seen the topic grow before us.
    if (!named.every((partition) => partitions.includes(partition))) partitions = await this.#lookAgain()
    const unknown = named.find((partition) => !partitions.includes(partition))
    if (unknown !== undefined) throw noPartition(this.name, unknown, partitions)
    const found = partitions.map(async (partition) => {
      const at = typeof from === 'string' ? from : (from.get(partition) ?? 'latest')
      return [partition, await this.#startOf(partition, at)] as const
    })
    const starts = new Map(await Promise.all(found))
    this.#ensureUsable()
    return starts
  }

  /** Needs the starts of all partitions, and a claim. `key` null: every record. */
  subscribe(subscription: Subscription, key: string | null, starts: ReadonlyMap<number, Start>): void {
    this.#subscriptions.add(subscription)
    this.#listen(subscription, key)
    for (const feed of this.#feeds.values()) this.#addCursor(subscription, feed, starts.get(feed.partition))
  }

  /** Another key of a topic that is subscribed already, or all records. */
  widen(subscription: Subscription, key: string | null): void {
    this.#listen(subscription, key)
  }

  /** Those partitions go on somewhere else. */
  seek({ cursors }: Subscription, starts: ReadonlyMap<number, Start>, partitions: Iterable<number>): void {
    for (const partition of partitions) {
      const [cursor, start] = [cursors[partition], starts.get(partition)]
      if (cursor === undefined || start === undefined) continue
      cursor.seek(start)
      this.#parts.turns.add(cursor)
    }
  }

  /** Only that key, or all of it. False: nothing of it is left. */
  unsubscribe(subscription: Subscription, key: string | null): boolean {
    const { keys } = subscription
    if (key !== null && keys === null) return true
    if (key !== null && keys !== null) {
      if (!keys.delete(key)) return true
      this.#unfollow(subscription, key)
      if (keys.size > 0) return true
    }
    this.#remove(subscription)
    this.#lingerIfUnused()
    return false
  }

  /** Next offset of each partition. */
  offsetsOf({ cursors }: Subscription): Map<number, number> {
    const offsets = new Map<number, number>()
    for (const cursor of cursors) {
      if (cursor !== undefined) offsets.set(cursor.home.partition, Math.max(cursor.nextOffset, cursor.deletedBefore))
    }
    return offsets
  }

  /** Its subscriptions end by themselves; not in this turn, since whoever finds out may be in a call of a client. */
  fail(error: MQError): void {
    if (this.#end !== null) return
    this.#end = error
    this.#closed(this)
    this.#parts.clock.defer(() => {
      const subscriptions = [...this.#subscriptions]
      this.close()
      for (const subscription of subscriptions) subscription.ended(error)
    })
  }

  close(): void {
    this.#end ??= new MQError('CONNECTION_CLOSED', `${this.name} is not read any more: the gateway is closing`, {})
    this.#linger?.cancel()
    this.#poll?.cancel()
    for (const subscription of [...this.#subscriptions]) this.#remove(subscription)
    for (const feed of this.#feeds.values()) feed.close()
    this.#feeds.clear()
  }

  #known(): Promise<readonly number[]> {
    if (this.#partitions === null) {
      const asked = this.#parts.backend.partitionsOf(this.name)
      this.#partitions = asked
      // Who asked is told; the next one asks again.
      asked.then(
        () => this.#pollLater(),
        () => {
          this.#partitions = null
        },
      )
    }
    return this.#partitions
  }

  async #startOf(partition: number, from: 'latest' | 'earliest' | number): Promise<Start> {
    const blocks = this.#feeds.get(partition)?.blocks
    if (blocks !== undefined && typeof from === 'number' && from >= blocks.from && from <= blocks.end) {
      return { next: from, deletedBefore: -1 }
    }
    const { earliest, next } = await this.#parts.backend.positions(this.name, partition)
    this.#ensureUsable()
    // Read, but not known there: a follower that became the leader may say less for a moment.
    const end = Math.max(next, this.#feeds.get(partition)?.blocks.end ?? 0)
    if (typeof from === 'number' && from > end) throw beyondEnd(this.name, partition, from, end)
    this.#openAt(partition, next, earliest)
    if (from === 'latest') return { next, deletedBefore: -1 }
    if (from === 'earliest') return { next: earliest, deletedBefore: -1 }
    return { next: from, deletedBefore: from < earliest ? earliest : -1 }
  }

  #openAt(partition: number, from: number, earliest: number): void {
    if (this.#feeds.has(partition)) return
    const at = { topic: this.name, partition, from, earliest }
    const feed = new PartitionFeed(this.#parts, at, this.#followers, (error) => this.fail(error))
    this.#feeds.set(partition, feed)
    for (const subscription of this.#subscriptions) this.#addCursor(subscription, feed, undefined)
    feed.open()
  }

  /** Without a start: the partition came after the subscription was asked for. */
  #addCursor(subscription: Subscription, feed: PartitionFeed, start: Start | undefined): void {
    const cursor = new Cursor(subscription, feed, feed.earliest)
    if (start !== undefined) cursor.seek(start)
    subscription.cursors[feed.partition] = cursor
    this.#parts.turns.add(cursor)
  }

  #listen(subscription: Subscription, key: string | null): void {
    const { keys, cursors } = subscription
    if (key !== null) {
      if (keys === null) return // It gets every record already.
      keys.add(key)
      const followers = this.#followers.get(key)
      if (followers === undefined) this.#followers.set(key, new Set([subscription]))
      else followers.add(subscription)
      return
    }
    if (keys === null) return
    for (const one of keys) this.#unfollow(subscription, one)
    subscription.keys = null
    for (const cursor of cursors) {
      if (cursor?.place !== PLACE.tail) continue
      cursor.detach()
      cursor.home.toTail(cursor)
    }
  }

  #unfollow(subscription: Subscription, key: string): void {
    const followers = this.#followers.get(key)
    followers?.delete(subscription)
    if (followers?.size === 0) this.#followers.delete(key)
  }

  #remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription)
    for (const key of subscription.keys ?? []) this.#unfollow(subscription, key)
    for (const cursor of subscription.cursors) cursor?.detach()
    subscription.state.forgetEnded()
  }

  #ensureUsable(): void {
    if (this.#end !== null) throw this.#end
  }

  #lingerIfUnused(): void {
    if (this.#claims > 0 || this.#subscriptions.size > 0 || this.#end !== null) return
    // Nothing was read: a name that nobody has is forgotten at once.
    if (this.#feeds.size === 0) return this.#leave()
    this.#linger ??= this.#parts.clock.setTimer(() => this.#leave(), LINGER_MS)
  }

  #leave(): void {
    this.#closed(this)
    this.close()
  }

  #pollLater(): void {
    if (this.#end !== null) return
    this.#poll?.cancel()
    this.#poll = this.#parts.clock.setTimer(() => void this.#look(), POLL_MS)
  }

  /** Has it grown, or gone? What fails for another reason is looked at again. */
  async #look(): Promise<void> {
    try {
      for (const partition of await this.#lookAgain()) if (!this.#feeds.has(partition)) await this.#join(partition)
    } catch (thrown) {
      const error = toMQError(thrown, 'CONSUME_FAILED', `${this.name} cannot be looked at`)
      if (isFinal(error)) this.fail(error) // Not when it was closed meanwhile: `fail` is told once.
    }
    this.#pollLater()
  }

  async #join(partition: number): Promise<void> {
    const { earliest } = await this.#parts.backend.positions(this.name, partition)
    if (this.#end === null) this.#openAt(partition, earliest, earliest)
  }

  async #lookAgain(): Promise<readonly number[]> {
    const partitions = await this.#parts.backend.partitionsOf(this.name)
    this.#ensureUsable()
    this.#partitions = Promise.resolve(partitions)
    return partitions
  }
}

function noPartition(topic: string, partition: number, partitions: readonly number[]): MQError {
  const text = `${topic} has no partition ${partition}: it has ${partitions.length}, counted from 0`
  return new MQError('PARTITION_NOT_FOUND', text, { topic, partition })
}

function beyondEnd(topic: string, partition: number, offset: number, end: number): MQError {
  const text = `offset ${offset} of ${topic}/${partition} is beyond its end, ${end}: begin there or before`
  return new MQError('INVALID_OFFSET', text, { topic, partition, offset, end })
}
