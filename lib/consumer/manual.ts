/**
 * Partitions that the caller assigns: looked up, placed at their start, and followed when their topic grows.
 * Invariant: a partition is assigned once; a topic taken as a whole takes later partitions too, from their beginning
 * (C-30). Source: features.md CO-8.
 */
import { MQError } from '../errors/index.js'
import {
  type Assignable,
  type AssignOptions,
  parseWishes,
  partitionsOf,
  startTimestamp,
  type Wish,
  withSignal,
} from './assignment.js'
import type { Delivery } from './cursor.js'
import { EARLIEST } from './fetch/positions.js'
import type { ConsumerCluster, TopicInfo } from './ports.js'
import type { Reading } from './reading.js'
import type { TopicLookup } from './topic-lookup.js'

export class ManualAssignment {
  readonly #reading: Reading
  readonly #cluster: ConsumerCluster
  readonly #lookup: TopicLookup
  readonly #reset: 'earliest' | 'latest' | 'none'
  /** Topics read as a whole, and how many partitions of them are known: what comes beyond is new. */
  readonly #wholeTopics = new Map<string, { readonly delivery: Delivery; known: number }>()

  constructor(reading: Reading, cluster: ConsumerCluster, lookup: TopicLookup, reset: 'earliest' | 'latest' | 'none') {
    this.#reading = reading
    this.#cluster = cluster
    this.#lookup = lookup
    this.#reset = reset
  }

  get isEmpty(): boolean {
    return this.#wholeTopics.size === 0 && this.#reading.fetcher.assigned.size === 0
  }

  /** `ensureOpen` throws when the consumer was closed meanwhile. */
  async add(what: Assignable, delivery: Delivery, options: AssignOptions, ensureOpen: () => void): Promise<void> {
    const wishes = parseWishes(what)
    const until = this.#lookup.until(options.timeoutMs)
    const topics = await withSignal(this.#lookup.findFor(wishes, until), options.signal)
    const partitions = wishes.flatMap((wish) => partitionsOf(wish, topics.get(wish.topic) as TopicInfo))
    this.#refuseAssigned(partitions)
    const offsets = await withSignal(this.#startsOf(partitions, options, until.leftMs()), options.signal)
    ensureOpen()
    this.#refuseAssigned(partitions)
    this.#reading.add(
      partitions.map(({ topic, partition }, index) =>
        this.#reading.cursorAt(topic, partition, delivery, offsets[index] as number),
      ),
    )
    for (const wish of wishes) if (wish.partition < 0) this.#follow(topics.get(wish.topic) as TopicInfo, delivery)
  }

  /** All, or those topics and partitions; their later partitions as well. */
  remove(what: readonly string[] | Parameters<Reading['cursorsOf']>[0] | undefined): void {
    const cursors = what === undefined ? this.#reading.cursors : this.#reading.cursorsOf(what)
    for (const item of what ?? [...this.#wholeTopics.keys()])
      if (typeof item === 'string') this.#wholeTopics.delete(item)
    this.#reading.remove(cursors)
  }

  /** A topic that is read as a whole may have grown. */
  topicChanged(topic: TopicInfo): void {
    const whole = this.#wholeTopics.get(topic.name)
    if (whole === undefined) return
    const { delivery, known } = whole
    const { fetcher } = this.#reading
    whole.known = Math.max(known, topic.partitions.length)
    for (let partition = known; partition < topic.partitions.length; partition++) {
      if (fetcher.assigned.get(topic.name, partition) !== undefined) continue
      const cursor = this.#reading.cursorAt(topic.name, partition, delivery, -1)
      this.#reading.add([cursor])
      fetcher.lookUp(cursor, EARLIEST)
    }
  }

  /** From now on later partitions belong to it, those included that came while positions were looked up. */
  #follow(topic: TopicInfo, delivery: Delivery): void {
    this.#wholeTopics.set(topic.name, { delivery, known: topic.partitions.length })
    this.topicChanged(this.#cluster.topic(topic.name) ?? topic)
  }

  /** Offsets as given; the others are looked up together. */
  async #startsOf(wishes: readonly Wish[], options: AssignOptions, timeoutMs: number): Promise<number[]> {
    const from = options.from ?? this.#reset
    const open = wishes.filter((wish) => wish.offset === undefined)
    const queries = open.map((wish) => ({ ...wish, timestamp: startTimestamp(wish, from) }))
    const found = await this.#reading.finder.find(queries, timeoutMs)
    const byWish = new Map(open.map((wish, index) => [wish, found[index] as number]))
    return wishes.map((wish) => wish.offset ?? (byWish.get(wish) as number))
  }

  #refuseAssigned(wishes: readonly Wish[]): void {
    const seen = new Set<string>()
    for (const { topic, partition } of wishes) {
      const name = `${topic}/${partition}`
      if (seen.has(name) || this.#reading.fetcher.assigned.get(topic, partition) !== undefined)
        throw new MQError('INVALID_PARTITION', `${name} is assigned already`, { topic, partition })
      seen.add(name)
    }
  }
}
