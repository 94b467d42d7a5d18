/**
 * What one client is subscribed to: permissions, the limit, and one change after the other. GW-1, GW-4.
 * Why one after the other: an `unsubscribe` right behind its `subscribe` must not overtake it, whatever Kafka takes its time for.
 * Invariant: a topic and a key (or all keys) count as one subscription, never more than `maxSubscriptions` of them.
 */
import type { FeedClient, FeedReader } from './feed/types.js'
import type { SessionHost } from './host.js'
import type { Permissions } from './permissions.js'
import { forbidden, forbiddenKey, gone, needsKey, noTopics, tooManySubscriptions } from './refusals.js'
import type { ClientFrame } from './types.js'

type Subscribe = Extract<ClientFrame, { type: 'subscribe' }>
type Unsubscribe = Extract<ClientFrame, { type: 'unsubscribe' }>
type Positions = ReadonlyMap<string, ReadonlyMap<number, number>>

const ALL_KEYS = ''

export class Subscriptions {
  readonly #client: FeedClient
  readonly #host: SessionHost
  /** By topic: what was asked for. */
  readonly #keysOf = new Map<string, Set<string>>()
  #reader: FeedReader | null = null
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(client: FeedClient, host: SessionHost) {
    this.#client = client
    this.#host = host
  }

  get size(): number {
    let size = 0
    for (const keys of this.#keysOf.values()) size += keys.size
    return size
  }

  /** Rejects with AUTHORIZATION_FAILED, INVALID_TOPIC, POOL_EXHAUSTED, and what the reader says. Nothing is subscribed then. */
  async subscribe({ topics: named, key, from }: Subscribe, permissions: Permissions): Promise<Positions> {
    const topics = this.#topicsOf(named, key)
    for (const topic of topics) this.#check(topic, key, permissions)
    return this.#inTurn(async () => {
      const tag = tagOf(key)
      const wanted = this.size + topics.filter((topic) => this.#keysOf.get(topic)?.has(tag) !== true).length
      const { maxSubscriptions } = this.#host.options
      if (wanted > maxSubscriptions) throw tooManySubscriptions(wanted, maxSubscriptions)
      this.#reader ??= this.#host.feeds.reader(this.#client)
      const positions = await this.#reader.subscribe(topics, key, from)
      for (const topic of topics) this.#note(topic, tag)
      return positions
    })
  }

  unsubscribe({ topics, key }: Unsubscribe): Promise<void> {
    return this.#inTurn(async () => {
      const named = topics.length > 0 ? [...new Set(topics)] : [...this.#keysOf.keys()]
      for (const topic of named) this.#forget(topic, key)
      this.#reader?.unsubscribe(topics, key)
    })
  }

  /** A subscription that ended by itself. */
  ended(topic: string): void {
    this.#keysOf.delete(topic)
  }

  drained(): void {
    this.#reader?.drained()
  }

  close(): void {
    this.#isClosed = true
    this.#keysOf.clear()
    this.#reader?.close()
    this.#reader = null
  }

  #topicsOf(named: readonly string[], key: Uint8Array | undefined): readonly string[] {
    if (named.length > 0) return [...new Set(named)]
    const { keyTopics } = this.#host.options
    if (key === undefined || keyTopics.length === 0) throw noTopics()
    return keyTopics
  }

  #check(topic: string, key: Uint8Array | undefined, permissions: Permissions): void {
    if (!permissions.maySubscribe(topic)) throw forbidden('subscribe', topic)
    if (key !== undefined && !permissions.mayReadKey(key)) throw forbiddenKey(topic)
    const isReadByKey = this.#host.options.keyTopics.includes(topic)
    if (key === undefined && isReadByKey && !permissions.mayReadAllKeys) throw needsKey(topic)
  }

  #note(topic: string, tag: string): void {
    if (this.#isClosed) return
    const keys = this.#keysOf.get(topic)
    if (keys === undefined) this.#keysOf.set(topic, new Set([tag]))
    else keys.add(tag)
  }

  #forget(topic: string, key: Uint8Array | undefined): void {
    const keys = this.#keysOf.get(topic)
    if (keys === undefined) return
    if (key === undefined) keys.clear()
    else keys.delete(tagOf(key))
    if (keys.size === 0) this.#keysOf.delete(topic)
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(() => {
      if (this.#isClosed) throw gone()
      return change()
    })
    // Whoever asked hears of a failure by `done`; the next one only waits for it.
    this.#last = done.catch(() => {})
    return done
  }
}

/** Keys are bytes: as text of one character per byte they can be told apart. An empty key is not "all keys". */
function tagOf(key: Uint8Array | undefined): string {
  return key === undefined ? ALL_KEYS : `=${Buffer.from(key).toString('latin1')}`
}
