/**
 * Reads partitions, whoever decided which: fetcher, positions, sinks, and the verbs that need nothing else.
 * Why apart from the consumer: an assignment by the caller and one by a group differ in who adds and removes cursors;
 * all that happens to a cursor in between is here, once.
 * Invariant: after `close` no timer of ours remains. Source: features.md CO-7, CO-8, design.md section 5.
 */
import type { ResolvedConsumerConfig } from '../config/index.js'
import { MQError } from '../errors/index.js'
import type { Clock, Emitter, RandomSource } from '../util/index.js'
import { checkObject, checkOffset, checkPartition } from './assignment.js'
import type { ConsumerCounters } from './counters.js'
import type { RecordSink } from './cursor.js'
import { type Delivery, HOLD, PartitionCursor, type TopicPartition } from './cursor.js'
import type { ConsumerEvents } from './events.js'
import { Fetcher } from './fetch/fetcher.js'
import { PositionFinder } from './fetch/positions.js'
import type { MemberState } from './group/ports.js'
import type { ConsumerCluster } from './ports.js'
import type { ReaderSettings } from './records/partition-reader.js'
import { StallWatch } from './stall-watch.js'

/** Topics, or single partitions: what pause, resume and the seeks take. */
export type Selection = readonly string[] | readonly TopicPartition[]

/** How long a seek may look for its offset. Milliseconds. */
export const SEEK_TIMEOUT_MS = 60_000

export interface ReadingParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: ConsumerCluster
  readonly clock: Clock
  readonly random: RandomSource
  readonly events: Emitter<ConsumerEvents>
  readonly counters: ConsumerCounters
  /** Null: the partitions are not a group's. */
  readonly memberState: () => MemberState | null
}

export class Reading {
  readonly fetcher: Fetcher
  readonly finder: PositionFinder
  /** Filled once, right after construction: sinks need the fetcher, the fetcher asks them to go on. */
  readonly sinks: RecordSink[] = []
  readonly #clock: Clock
  readonly #settings: ReaderSettings
  readonly #stalls: StallWatch
  readonly #resting = new Set<() => void>() // who waits for cursors to rest looks again
  /** Not read any more, but something of them is open: whoever reads the partition next waits for it. */
  readonly #lingering = new Map<string, PartitionCursor>()

  constructor(parts: ReadingParts) {
    const { config, cluster, clock, random } = parts
    this.#clock = clock
    this.#settings = readerSettings(config)
    this.finder = new PositionFinder(cluster, config, clock, random)
    this.fetcher = new Fetcher({ ...parts, finder: this.finder, sinks: this.sinks })
    this.#stalls = new StallWatch({
      clock,
      logger: config.logger,
      cursors: () => this.cursors,
      situation: (cursor) => ({
        nowMs: clock.monotonicMs(),
        memberState: parts.memberState(),
        broker: this.fetcher.statusOf(cursor),
        fetchMaxWaitMs: config.fetchMaxWaitMs,
      }),
      warn: (event) => parts.events.emit('warning', event),
    })
  }

  get cursors(): PartitionCursor[] {
    return this.fetcher.assigned.all()
  }

  /** As `cursors`, with those that were removed while something of them was open. */
  get open(): PartitionCursor[] {
    return [...this.cursors, ...this.#lingering.values()]
  }

  /** Callbacks, or pulled records, whose end is open. */
  get running(): number {
    return this.sinks.reduce((sum, sink) => sum + sink.running, 0)
  }

  /** Reads them from now on, as soon as they have a position. */
  add(cursors: readonly PartitionCursor[]): void {
    for (const cursor of cursors) this.#follow(cursor)
    this.fetcher.add(cursors)
    this.#stalls.start()
  }

  /** A cursor at `offset`; -1: it has no position yet. Read from when it is added. */
  cursorAt(topic: string, partition: number, delivery: Delivery, offset: number): PartitionCursor {
    const cursor = new PartitionCursor(topic, partition, delivery, this.#settings, this.fetcher)
    cursor.moveTo(offset)
    if (offset < 0) cursor.hold(HOLD.position)
    return cursor
  }

  pause(what: Selection): void {
    for (const cursor of this.cursorsOf(what)) this.fetcher.pause(cursor)
  }

  resume(what: Selection): void {
    for (const cursor of this.cursorsOf(what)) {
      cursor.release(HOLD.paused)
      cursor.delivery.sink.enqueue(cursor)
      this.fetcher.wake(cursor)
    }
    for (const sink of this.sinks) sink.pumpSoon()
  }

  seek(tp: TopicPartition, offset: number): void {
    const cursor = this.cursorOf(tp)
    checkOffset(offset, tp)
    cursor.moveTo(offset)
    this.fetcher.wake(cursor)
  }

  /** Goes where ListOffsets says; a seek or a revocation that comes meanwhile wins. */
  async seekTo(what: Selection, timestamp: number): Promise<void> {
    const cursors = this.cursorsOf(what)
    for (const cursor of cursors) {
      cursor.rewind()
      cursor.hold(HOLD.position)
    }
    const generations = cursors.map((cursor) => cursor.generation)
    const queries = cursors.map(({ topic, partition }) => ({ topic, partition, timestamp }))
    const found = this.finder.find(queries, SEEK_TIMEOUT_MS)
    const offsets = await found.catch(() => null)
    for (const [index, cursor] of cursors.entries()) {
      if (cursor.generation !== generations[index]) continue // Another seek or a revocation was later.
      if (offsets !== null) cursor.moveTo(offsets[index] as number)
      else if (cursor.position < 0) this.#placeAnew(cursor)
      else cursor.release(HOLD.position) // It failed: reading goes on where it stood.
      this.fetcher.wake(cursor)
    }
    await found
  }

  /** Throws INVALID_PARTITION for what is not assigned. */
  cursorOf(tp: TopicPartition): PartitionCursor {
    checkObject(tp)
    checkPartition(tp.topic, tp.partition)
    const cursor = this.fetcher.assigned.get(tp.topic, tp.partition)
    if (cursor !== undefined) return cursor
    const text = `${tp.topic}/${tp.partition} is not assigned to this consumer: assign it, or wait until its group does`
    throw new MQError('INVALID_PARTITION', text, { topic: tp.topic, partition: tp.partition })
  }

  /** Topics without any assigned partition give nothing. Throws as `cursorOf`. */
  cursorsOf(what: Selection): PartitionCursor[] {
    if (!Array.isArray(what)) throw new MQError('INVALID_CONFIG', 'expected a list of topics or of {topic, partition}')
    return (what as readonly (string | TopicPartition)[]).flatMap((item) => {
      return typeof item === 'string' ? this.fetcher.assigned.ofTopic(item) : [this.cursorOf(item)]
    })
  }

  /** Nothing new is handed out. */
  stop(): void {
    for (const sink of this.sinks) sink.stop()
  }

  /** They are not read any more; what of them is open moves nothing. */
  remove(cursors: readonly PartitionCursor[]): void {
    this.fetcher.remove(cursors)
    for (const cursor of cursors) this.#linger(cursor)
    for (const look of this.#resting) look()
  }

  /** Resolves when nothing of them is open, they were removed meanwhile, at `untilMs` (monotonic), or with `hurry`. */
  whenIdle(cursors: readonly PartitionCursor[], untilMs: number, hurry?: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel()
        this.#resting.delete(look)
        resolve()
      }
      const look = () => {
        if (cursors.every((cursor) => !cursor.isBusy || cursor.isRevoked)) end()
      }
      const timer = this.#clock.setTimer(end, Math.max(0, untilMs - this.#clock.monotonicMs()))
      this.#resting.add(look)
      for (const cursor of cursors) if (cursor.isBusy) cursor.whenIdle(look)
      void hurry?.then(end)
      look()
    })
  }

  /** A seek that failed has ended the search for its first position. */
  #placeAnew(cursor: PartitionCursor): void {
    if (cursor.onUnplaced !== null) cursor.onUnplaced()
    else this.fetcher.placeAnew(cursor)
  }

  #linger(cursor: PartitionCursor): void {
    if (!cursor.isBusy) return
    const name = nameOf(cursor)
    this.#lingering.set(name, cursor)
    cursor.whenIdle(() => this.#lingering.delete(name))
  }

  /** A partition that left and came back is not worked on twice at a time: what was begun then ends first. */
  #follow(cursor: PartitionCursor): void {
    const earlier = this.#lingering.get(nameOf(cursor))
    if (earlier === undefined) return
    cursor.hold(HOLD.follows)
    earlier.whenIdle(() => {
      cursor.release(HOLD.follows)
      this.fetcher.wake(cursor)
    })
  }

  /** Ends look-ups and fetches, in bounded time. Buffered data is not handed out any more. */
  async close(): Promise<void> {
    this.stop()
    this.#stalls.close()
    this.finder.close()
    for (const cursor of this.cursors) cursor.dropRetry()
    await this.fetcher.close()
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function readerSettings(config: ResolvedConsumerConfig): ReaderSettings {
  const { readMode, checkCrcs, keyDeserializer, valueDeserializer } = config
  return { copies: readMode === 'safe', checkCrcs, keyDeserializer, valueDeserializer }
}
