/**
 * Where reading of an assigned partition begins: the group's committed offset, else what `autoOffsetReset` says.
 * Why in the background: a coordinator or a leader that cannot be reached just now must not hold up the group's round.
 * Invariant: a position is used only if nothing has moved the cursor since it was assigned (a seek, a revocation); one
 * partition that cannot be placed does not delay another. Source: kafka.md 5.5, C-18, C-30; features.md CO-11.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { MQError, toMQError } from '../../errors/index.js'
import { backoffMs, type Clock, type Emitter, Pauses, type RandomSource } from '../../util/index.js'
import type { PartitionCursor } from '../cursor.js'
import type { ConsumerEvents } from '../events.js'
import { EARLIEST, LATEST } from '../fetch/positions.js'
import type { ConsumerCluster } from '../ports.js'
import type { Reading } from '../reading.js'
import type { OffsetStore } from './offset-store.js'
import type { CommittedOffset } from './offsets/offsets.js'

/** One attempt to read committed offsets, or to find positions. Milliseconds. */
const ATTEMPT_MS = 30_000

export interface StartPositionsParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: ConsumerCluster
  readonly clock: Clock
  readonly random: RandomSource
  readonly events: Emitter<ConsumerEvents>
  readonly reading: Reading
  readonly committer: OffsetStore
}

export interface Unplaced {
  readonly cursor: PartitionCursor
  readonly generation: number
}

export class StartPositions {
  readonly #parts: StartPositionsParts
  readonly #running = new Set<Promise<boolean>>()
  readonly #pauses: Pauses
  /** Partitions of each topic when it was subscribed: what comes beyond was written while we subscribed, and is read whole. */
  readonly #firstCounts = new Map<string, number>()
  readonly #followed = new Set<string>()

  constructor(parts: StartPositionsParts) {
    this.#parts = parts
    this.#pauses = new Pauses(parts.clock)
  }

  /** These topics are subscribed now; `areNew`: they came while we subscribed, so that all of each is read. */
  follow(topics: readonly string[], areNew = false): void {
    const wanted = new Set(topics)
    for (const topic of this.#followed) if (!wanted.has(topic)) this.#forget(topic)
    for (const topic of topics) {
      const isNew = areNew && !this.#followed.has(topic)
      const count = isNew ? 0 : this.#parts.cluster.topic(topic)?.partitions.length
      this.#followed.add(topic)
      if (!this.#firstCounts.has(topic) && count !== undefined) this.#firstCounts.set(topic, count)
    }
  }

  #forget(topic: string): void {
    this.#followed.delete(topic)
    this.#firstCounts.delete(topic)
  }

  /** What `find` will be called for: whatever moves a cursor from now on wins. */
  expect(cursors: readonly PartitionCursor[]): Unplaced[] {
    for (const cursor of cursors) cursor.onUnplaced = () => this.find(this.expect([cursor]))
    return cursors.map((cursor) => ({ cursor, generation: cursor.generation }))
  }

  /** Places cursors that nothing has moved since they were expected. */
  find(open: readonly Unplaced[]): void {
    const run = this.#pauses.atMost(ATTEMPT_MS, this.#find(open)).finally(() => this.#running.delete(run))
    this.#running.add(run)
  }

  /**
   * Resolves when every search that runs now has ended, or has had one attempt's time: whoever waits for the positions of
   * many partitions shall not lose them all because one has no leader. What is left is placed when it can be.
   */
  async whenFound(): Promise<void> {
    await Promise.all(this.#running)
  }

  close(): void {
    this.#pauses.stop()
  }

  async #find(all: readonly Unplaced[]): Promise<void> {
    for (let attempt = 0; !this.#pauses.isStopped; attempt++) {
      const open = all.filter(isOpen)
      if (open.length === 0) return
      try {
        await this.#attempt(open)
      } catch (error) {
        if (!this.#pauses.isStopped) this.#failed(open, error)
      }
      if (open.some(isOpen)) await this.#pause(attempt)
    }
  }

  async #attempt(open: readonly Unplaced[]): Promise<void> {
    const { committer, clock } = this.#parts
    const partitions = open.map(({ cursor }) => cursor.tp)
    const committed = await committer.committed(partitions, clock.monotonicMs() + ATTEMPT_MS)
    const without: Unplaced[] = []
    for (const [index, item] of open.entries()) {
      const known = committed[index] ?? null
      if (known === null) without.push(item)
      else if (!isOpen(item)) continue
      else if (known instanceof MQError) this.#parts.reading.fetcher.refuse(item.cursor, known)
      else this.#place(item, known)
    }
    await this.#reset(without.filter(isOpen))
  }

  #place({ cursor }: Unplaced, { offset, leaderEpoch }: CommittedOffset): void {
    cursor.moveTo(offset, leaderEpoch)
    cursor.wasCommitted(offset)
    this.#parts.reading.fetcher.wake(cursor)
  }

  async #reset(open: readonly Unplaced[]): Promise<void> {
    if (open.length === 0) return
    const { reading } = this.#parts
    const asked = open.filter((item) => this.#mayReset(item))
    const queries = new Map(
      asked.map((item) => [{ ...item.cursor.tp, timestamp: this.#timestampOf(item.cursor) }, item] as const),
    )
    await reading.finder.find([...queries.keys()], ATTEMPT_MS, (query, offset) => {
      const item = queries.get(query)
      if (item === undefined || !isOpen(item)) return
      item.cursor.moveTo(offset)
      reading.fetcher.wake(item.cursor)
    })
  }

  #timestampOf({ topic, partition }: PartitionCursor): number {
    const isNew = partition >= (this.#firstCounts.get(topic) ?? Number.POSITIVE_INFINITY)
    return isNew || this.#parts.config.autoOffsetReset === 'earliest' ? EARLIEST : LATEST
  }

  #mayReset({ cursor }: Unplaced): boolean {
    if (this.#parts.config.autoOffsetReset !== 'none') return true
    const { topic, partition } = cursor
    const text = `the group has no offset for ${topic}/${partition} and autoOffsetReset is 'none': commit one, or seek`
    this.#parts.reading.fetcher.refuse(
      cursor,
      new MQError('INVALID_OFFSET', text, { reason: 'OFFSET_OUT_OF_RANGE', topic, partition }),
    )
    return false
  }

  /** What no retry mends ends the search; the rest is told and tried again. */
  #failed(open: readonly Unplaced[], error: unknown): void {
    const failure = toMQError(error, 'CONSUME_FAILED', 'positions could not be read')
    if (failure.fatal) {
      for (const item of open) if (isOpen(item)) this.#parts.reading.fetcher.refuse(item.cursor, failure)
      return
    }
    const context = {
      error: failure.message,
      partitions: open.map(({ cursor }) => `${cursor.topic}/${cursor.partition}`),
    }
    this.#parts.events.emit('warning', { message: 'positions could not be read and are asked for again', context })
  }

  async #pause(attempt: number): Promise<void> {
    const { config, random } = this.#parts
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    await this.#pauses.wait(backoffMs(attempt, retryBackoffMs, retryBackoffMaxMs, random))
  }
}

/** Nothing has placed it, moved it or taken it away since, and nothing has refused it. */
function isOpen({ cursor, generation }: Unplaced): boolean {
  return cursor.generation === generation && cursor.failure === null && !cursor.isRevoked
}
