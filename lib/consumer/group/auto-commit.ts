/**
 * Commits what is processed, by itself: on the interval, and when a partition goes or the consumer closes.
 * Why a failure only tells: consumption goes on (K-22), and the next commit carries newer offsets anyway.
 * Invariant: only positions ahead of what is stored are sent, or those of a seek; nothing is sent while this is no member, and the
 * timer runs only between `arm` and `stop`. Source: features.md CO-9, kafka.md 5.5.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { toMQError } from '../../errors/index.js'
import { type Clock, type Emitter, runInBackground, type TimerHandle } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import { HOLD, type PartitionCursor } from '../cursor.js'
import type { ConsumerEvents } from '../events.js'
import type { Reading } from '../reading.js'
import type { OffsetStore } from './offset-store.js'
import type { OffsetToCommit } from './offsets/offsets.js'

/** A commit on the interval is given up after it, so that the next one, with newer offsets, comes. Milliseconds. */
const LIMIT_MS = 30_000

export interface AutoCommitParts {
  readonly config: ResolvedConsumerConfig
  readonly clock: Clock
  readonly events: Emitter<ConsumerEvents>
  readonly counters: ConsumerCounters
  readonly reading: Reading
  readonly committer: OffsetStore
}

export class AutoCommit {
  readonly #parts: AutoCommitParts
  readonly #isMember: () => boolean
  #timer: TimerHandle | null = null
  #isUnderWay = false // a commit of the interval

  constructor(parts: AutoCommitParts, isMember: () => boolean) {
    this.#parts = parts
    this.#isMember = isMember
  }

  /** There are partitions to commit. Does nothing while it runs, and without `autoCommit`. */
  arm(): void {
    const { config, clock } = this.#parts
    if (!config.autoCommit || this.#timer !== null) return
    this.#timer = clock.setTimer(() => {
      this.#timer = null
      runInBackground('commit', () => this.#onInterval(), this.#report)
      this.arm()
    }, config.autoCommitIntervalMs)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  /** The last chance of partitions that go: what fails is told. */
  async before(cursors: readonly PartitionCursor[], deadlineMs: number): Promise<void> {
    if (!this.#parts.config.autoCommit || !this.#isMember()) return
    try {
      await this.processed(cursors, deadlineMs)
    } catch (error) {
      this.#report('', error)
    }
  }

  /** What is processed of those, where it is not stored yet. Rejects with OFFSET_COMMIT_FAILED. */
  async processed(cursors: readonly PartitionCursor[], deadlineMs: number): Promise<void> {
    const open = cursors.filter(({ isUncommitted }) => isUncommitted)
    if (open.length === 0) return
    const offsets = open.map(({ topic, partition, position, positionEpoch }) => {
      return { topic, partition, offset: position, leaderEpoch: positionEpoch }
    })
    await this.exactly(offsets, deadlineMs)
  }

  /** Those offsets, whatever is processed. Rejects with OFFSET_COMMIT_FAILED. */
  async exactly(offsets: readonly OffsetToCommit[], deadlineMs: number): Promise<void> {
    const { committer, counters, reading } = this.#parts
    const sent = offsets.map(({ topic, partition, offset }) => {
      const cursor = reading.fetcher.assigned.get(topic, partition)
      return { cursor, generation: cursor?.generation, offset }
    })
    try {
      await committer.commit(offsets, deadlineMs)
      counters.commits++
    } catch (error) {
      counters.commitFailures++
      throw error
    }
    for (const { cursor, generation, offset } of sent) {
      const isSought = cursor?.mayGoBack === true && cursor.generation !== generation // A seek came since.
      cursor?.wasCommitted(offset)
      if (isSought) cursor.mayGoBack = true
    }
  }

  /** While the last one is under way there is none: what it lacks goes with the next, and one outage is one error. */
  async #onInterval(): Promise<void> {
    if (this.#isUnderWay || !this.#isMember()) return
    this.#isUnderWay = true
    // What is being given back has a last commit of its own; a seek behind that one concerns nobody any more.
    const staying = this.#parts.reading.cursors.filter(({ holds }) => (holds & HOLD.leaving) === 0)
    try {
      await this.processed(staying, this.#parts.clock.monotonicMs() + LIMIT_MS)
    } finally {
      this.#isUnderWay = false
    }
  }

  readonly #report = (_name: string, error: unknown): void => {
    this.#parts.events.emit('error', toMQError(error, 'OFFSET_COMMIT_FAILED', 'offsets could not be committed'))
  }
}
