/**
 * Names for the topic ids of an assignment.
 * Why it keeps asking: an assignment may come before the metadata that knows its topics or their new partitions (a topic
 * made or grown a moment ago). What is known is handled meanwhile; the rest is asked for, with back-off, while needed.
 * Invariant: one question and one timer at most; none after `stop`.
 */
import type { ResolvedConsumerConfig } from '../../../config/index.js'
import { backoffMs, type Clock, type RandomSource, runInBackground, type TimerHandle } from '../../../util/index.js'
import type { GroupCluster } from '../../ports.js'

export interface TopicNamesParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: GroupCluster
  readonly clock: Clock
  readonly random: RandomSource
  /** Metadata has changed: look again. */
  readonly onNews: () => void
  /** Something is still missing. */
  readonly isNeeded: () => boolean
}

export class TopicNames {
  readonly #parts: TopicNamesParts
  #offTopic: (() => void) | null = null
  #timer: TimerHandle | null = null
  #rounds = 0 // in a row

  constructor(parts: TopicNamesParts) {
    this.#parts = parts
  }

  start(): void {
    this.#offTopic ??= this.#parts.cluster.onTopic(() => this.#look())
  }

  stop(): void {
    this.#offTopic?.()
    this.#offTopic = null
    this.#timer?.cancel()
    this.#timer = null
    this.#rounds = 0
  }

  /** Undefined: that topic, or that partition of it, is not in our metadata yet. */
  nameOf(topicId: string, partition: number): string | undefined {
    const topic = this.#parts.cluster.topicById(topicId)
    return topic !== undefined && partition < topic.partitions.length ? topic.name : undefined
  }

  /** Asks, and again after a pause while something is missing; `onNews` comes with each answer. */
  seek(): void {
    if (this.#offTopic === null || this.#timer !== null) return
    const { cluster, clock, random, config } = this.#parts
    const { retryBackoffMs, retryBackoffMaxMs } = config.connection
    const waitMs = backoffMs(this.#rounds++, retryBackoffMs, retryBackoffMaxMs, random)
    this.#timer = clock.setTimer(() => {
      this.#timer = null
      this.#look()
    }, waitMs)
    const ask = async () => {
      await cluster.refresh('an assignment names topics that are not known yet')
      this.#look()
    }
    runInBackground('ask for the topics of an assignment', ask, () => {}) // The cluster tells it; the timer asks again.
  }

  #look(): void {
    if (this.#offTopic === null) return
    if (this.#parts.isNeeded()) this.#parts.onNews()
    else this.#rounds = 0
  }
}
