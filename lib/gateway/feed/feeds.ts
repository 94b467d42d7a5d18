/**
 * What clients of the gateway read: one feed per subscribed partition, however many clients there are.
 *
 *   backend -> PartitionFeed -> blocks in the cache -+-> Delivery -> clients, in turns
 *              CatchUps (older records) -------------+
 *
 * This file wires the parts and owns lifetimes. What is held, whatever clients do: `cacheBytes` of blocks, about 1 MiB per
 * partition that has just arrived, one batch per catch-up of at most `maxCatchUps`, and a cursor per client and partition.
 * The backend is its owner's to close. Source: features.md GW-1, GW-3.
 */
import { MQError } from '../../errors/index.js'
import { type Clock, type RandomSource, systemRandom } from '../../util/index.js'
import type { GatewayBackend } from '../types.js'
import { BlockCache } from './block-cache.js'
import { CatchUps } from './catch-ups.js'
import { Delivery } from './delivery.js'
import type { PartitionFeedParts } from './partition-feed.js'
import { Reader } from './reader.js'
import { FeedTopic } from './topic.js'
import { Turns } from './turns.js'
import type { FeedClient, FeedMeasures, FeedReader, FeedSource, FeedsOptions } from './types.js'

export class Feeds implements FeedSource {
  readonly #parts: PartitionFeedParts
  readonly #delivery: Delivery
  readonly #catchUps: CatchUps
  readonly #topics = new Map<string, FeedTopic>()
  #isClosed = false
  readonly #claim = (name: string): FeedTopic => this.#claimed(name)

  constructor(backend: GatewayBackend, options: FeedsOptions, clock: Clock, random: RandomSource = systemRandom) {
    const cache = new BlockCache(options.cacheBytes)
    const delivery = new Delivery(options.slowClient, cache)
    const turns = new Turns(clock, (cursor) => delivery.visit(cursor, catchUps))
    const catchUps = new CatchUps({ backend, clock, random }, options.maxCatchUps, turns, (home, error) => {
      const topic = this.#topics.get(home.topic)
      if (topic?.owns(home) === true) topic.fail(error)
    })
    this.#parts = { backend, clock, random, cache, turns }
    this.#delivery = delivery
    this.#catchUps = catchUps
  }

  reader(client: FeedClient): FeedReader {
    return new Reader({ turns: this.#parts.turns, claim: this.#claim }, client)
  }

  measures(): FeedMeasures {
    let feeds = 0
    for (const topic of this.#topics.values()) feeds += topic.feeds
    const { sentRecords, droppedRecords } = this.#delivery
    return { feeds, cachedBytes: this.#parts.cache.bytes, catchUps: this.#catchUps.open, sentRecords, droppedRecords }
  }

  /** Nothing is sent any more. Calls of readers that are under way reject with CONNECTION_CLOSED. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#parts.turns.close()
    for (const topic of [...this.#topics.values()]) topic.close()
    this.#topics.clear()
    this.#catchUps.close()
  }

  #claimed(name: string): FeedTopic {
    if (this.#isClosed) throw new MQError('CONNECTION_CLOSED', 'the gateway is closing: nothing is subscribed', {})
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      topic = new FeedTopic(this.#parts, name, (closed) => {
        if (this.#topics.get(name) === closed) this.#topics.delete(name)
      })
      this.#topics.set(name, topic)
    }
    topic.claim()
    return topic
  }
}
