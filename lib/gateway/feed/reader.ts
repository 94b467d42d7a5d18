/**
 * One client's subscriptions. What it asks takes effect at once where it can, and together where it cannot: topics of one
 * call are looked up first, and only when all of them are found is anything subscribed.
 * Invariant: what was unsubscribed or closed while it was being looked up is not subscribed. Source: features.md GW-1.
 */
import { MQError } from '../../errors/index.js'
import type { StartAt } from '../types.js'
import { ClientState, PLACE, type Start, Subscription } from './cursor.js'
import { keyText } from './entry.js'
import type { FeedTopic, TopicStart } from './topic.js'
import type { Turns } from './turns.js'
import type { FeedClient, FeedReader } from './types.js'

export interface ReaderParts {
  readonly turns: Turns
  /** The topic of that name, claimed. */
  claim(name: string): FeedTopic
}

interface Subscribed {
  readonly topic: FeedTopic
  readonly subscription: Subscription
}

/** A call that looks its topics up. */
interface Pending {
  readonly topics: Map<string, FeedTopic>
  readonly key: string | null
  readonly from: StartAt
}

const NOWHERE: ReadonlyMap<number, number> = new Map()

export class Reader implements FeedReader {
  readonly #parts: ReaderParts
  readonly #state: ClientState
  readonly #subscribed = new Map<string, Subscribed>()
  readonly #pending = new Set<Pending>()
  #isClosed = false

  constructor(parts: ReaderParts, client: FeedClient) {
    this.#parts = parts
    this.#state = new ClientState(client)
  }

  /** With those that are being looked up. */
  get topics(): number {
    if (this.#pending.size === 0) return this.#subscribed.size
    const names = new Set(this.#subscribed.keys())
    for (const { topics } of this.#pending) for (const name of topics.keys()) names.add(name)
    return names.size
  }

  async subscribe(
    topics: readonly string[],
    key: Uint8Array | undefined,
    from: StartAt,
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    this.#ensureOpen()
    const claimed = new Map([...new Set(topics)].map((name) => [name, this.#parts.claim(name)]))
    const pending: Pending = { topics: new Map(claimed), key: key === undefined ? null : keyText(key), from }
    this.#pending.add(pending)
    try {
      const found = await Promise.all([...claimed.values()].map((topic) => topic.starts(startOf(topic.name, from))))
      this.#ensureOpen()
      const starts = new Map([...claimed.keys()].map((name, index) => [name, found[index] as Map<number, Start>]))
      return this.#commit(pending, starts)
    } finally {
      this.#pending.delete(pending)
      for (const topic of claimed.values()) topic.release()
    }
  }

  unsubscribe(topics: readonly string[], key: Uint8Array | undefined): number {
    const text = key === undefined ? null : keyText(key)
    for (const pending of this.#pending) {
      if (text !== null && pending.key !== text) continue
      for (const name of topics.length === 0 ? [...pending.topics.keys()] : topics) pending.topics.delete(name)
    }
    for (const name of topics.length === 0 ? [...this.#subscribed.keys()] : topics) {
      const found = this.#subscribed.get(name)
      if (found !== undefined && !found.topic.unsubscribe(found.subscription, text)) this.#subscribed.delete(name)
    }
    return this.topics
  }

  drained(): void {
    const { waiting } = this.#state
    if (waiting.length === 0) return
    this.#state.waiting = []
    for (const cursor of waiting) {
      cursor.isWaiting = false
      if (cursor.place === PLACE.tail && cursor.isOwing) cursor.detach()
      else if (cursor.place !== PLACE.parked) continue
      this.#parts.turns.add(cursor)
    }
  }

  close(): void {
    this.#isClosed = true
    this.unsubscribe([], undefined)
  }

  #commit({ topics, key, from }: Pending, starts: ReadonlyMap<string, ReadonlyMap<number, Start>>) {
    const offsets = new Map<string, ReadonlyMap<number, number>>()
    for (const [name, topic] of topics) {
      const of = starts.get(name) as ReadonlyMap<number, Start>
      const known = this.#subscribed.get(name)
      const isKnown = known?.topic === topic
      const subscription = isKnown ? known.subscription : this.#made(name, key)
      if (isKnown) {
        const at = startOf(name, from)
        topic.widen(subscription, key)
        if (typeof at !== 'string') topic.seek(subscription, of, at.keys())
      } else {
        this.#subscribed.set(name, { topic, subscription })
        topic.subscribe(subscription, key, of)
      }
      offsets.set(name, topic.offsetsOf(subscription))
    }
    return offsets
  }

  #made(name: string, key: string | null): Subscription {
    const subscription = new Subscription(this.#state, key === null ? null : new Set(), (error) => {
      // It may be subscribed anew since.
      if (this.#subscribed.get(name)?.subscription !== subscription) return
      this.#subscribed.delete(name)
      this.#state.client.failed(name, error)
    })
    return subscription
  }

  #ensureOpen(): void {
    if (this.#isClosed) throw new MQError('CONNECTION_CLOSED', 'the client is gone: nothing is subscribed', {})
  }
}

function startOf(topic: string, from: StartAt): TopicStart {
  return typeof from === 'string' ? from : (from.get(topic) ?? NOWHERE)
}
