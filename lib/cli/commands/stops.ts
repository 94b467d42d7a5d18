/**
 * Where a reading run ends by itself: at the end of the log as it was found (`-e`), or at a time (`-o e@time`).
 * Why the end as it was found: a topic that is written all the time has no other end. Control records count too, since
 * positions pass them although nobody sees them.
 */
import type { AdminClient, CallOptions, TopicPartition } from '../../index.js'
import { keyOf } from './keys.js'

export interface StopOptions {
  readonly isAtEnd: boolean
  readonly untilMs: number | undefined
  readonly limits: CallOptions
}

export class Stops {
  readonly #admin: AdminClient
  readonly #options: StopOptions
  readonly #ends = new Map<string, number>()
  readonly #known = new Set<string>()
  readonly #reached = new Set<string>()

  constructor(admin: AdminClient, options: StopOptions) {
    this.#admin = admin
    this.#options = options
  }

  /** Does this run end by itself? */
  get isNeeded(): boolean {
    return this.#options.isAtEnd || this.#options.untilMs !== undefined
  }

  /** Asks where these topics end; once for each. */
  async learn(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      if (this.#known.has(topic)) continue
      this.#known.add(topic)
      const { untilMs, limits } = this.#options
      const found =
        untilMs === undefined
          ? (await this.#admin.getTopicOffsets(topic, limits)).map(({ partition, logEnd }) => ({
              partition,
              offset: logEnd,
            }))
          : await this.#admin.getOffsetsForTime(topic, untilMs, limits)
      for (const { partition, offset } of found) this.#ends.set(keyOf({ topic, partition }), offset)
    }
  }

  /** With a time: the record is not wanted any more. */
  isPast(record: TopicPartition & { readonly offset: number }): boolean {
    if (this.#options.untilMs === undefined) return false
    return record.offset >= (this.#ends.get(keyOf(record)) ?? Number.POSITIVE_INFINITY)
  }

  /** Every partition is at its end, now or at an earlier look. */
  async areReached(assigned: readonly TopicPartition[], positionOf: (tp: TopicPartition) => number): Promise<boolean> {
    await this.learn([...new Set(assigned.map(({ topic }) => topic))])
    for (const tp of assigned) {
      const end = this.#ends.get(keyOf(tp)) ?? 0
      if (positionOf(tp) >= end) this.#reached.add(keyOf(tp))
    }
    return assigned.every((tp) => this.#reached.has(keyOf(tp)))
  }
}
