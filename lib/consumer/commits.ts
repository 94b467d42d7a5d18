/**
 * The caller's own commits, and what the coordinator has stored: checked here, done by session or committer.
 * Invariant: what is not read by this consumer any more is not committed by it; a group member commits under its own
 * generation, a consumer with `assign` and a groupId under none. Source: features.md CO-8, CO-9.
 */
import type { ResolvedConsumerConfig } from '../config/index.js'
import { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import { checkIterable, checkObject, checkOffset, checkPartition, checkTopic } from './assignment.js'
import type { TopicPartition } from './cursor.js'
import type { Committer } from './group/offsets/committer.js'
import type { CommittedOffset, OffsetToCommit } from './group/offsets/offsets.js'
import type { GroupSession } from './group/session.js'

/** How long a commit or a question for one may take, retries included. Milliseconds. */
const LIMIT_MS = 30_000

/** What `commitOffset` takes: a record (its offset + 1 is committed), or a partition. */
export type CommitTarget = TopicPartition & { readonly offset?: number }

/** Offsets by partition, or a list of them with metadata. */
export type OffsetsToCommit = readonly OffsetToCommit[] | ReadonlyMap<TopicPartition, number>

export class Commits {
  readonly #config: ResolvedConsumerConfig
  readonly #committer: Committer
  readonly #session: GroupSession
  readonly #clock: Clock

  constructor(config: ResolvedConsumerConfig, committer: Committer, session: GroupSession, clock: Clock) {
    this.#config = config
    this.#committer = committer
    this.#session = session
    this.#clock = clock
  }

  /** Everything processed so far. */
  async processed(): Promise<void> {
    this.#ensureGroup('commit')
    await this.#session.commitProcessed(this.#untilMs())
  }

  /** The record is processed, and with it all before it; or exactly `offset` is the next one to read. */
  async one(target: CommitTarget, offset: number | undefined): Promise<void> {
    const { topic, partition } = target ?? {}
    if (offset !== undefined) return this.many([{ topic, partition, offset }])
    if (typeof target?.offset !== 'number')
      throw new MQError(
        'INVALID_OFFSET',
        `commitOffset: expected a record, or {topic, partition} and an offset; got no offset`,
      )
    const { leaderEpoch = -1 } = target as OffsetToCommit
    return this.many([{ topic, partition, offset: target.offset + 1, leaderEpoch }])
  }

  async many(offsets: OffsetsToCommit): Promise<void> {
    this.#ensureGroup('commitOffsets')
    checkIterable(offsets)
    if (Array.isArray(offsets)) for (const one of offsets) checkObject(one)
    const list = Array.isArray(offsets)
      ? (offsets as readonly OffsetToCommit[])
      : [...(offsets as ReadonlyMap<TopicPartition, number>)].map(([tp, offset]) => ({ ...tp, offset }))
    for (const item of list) check(item)
    this.#refuseForeign(list)
    if (list.length > 0) await this.#session.commit(list, this.#untilMs())
  }

  /** In the order asked for; null where the group has none. Rejects with a partition's error. */
  async stored(partitions: readonly TopicPartition[]): Promise<(CommittedOffset | null)[]> {
    this.#ensureGroup('getCommittedOffset')
    checkIterable(partitions)
    for (const tp of partitions) checkObject(tp)
    for (const { topic, partition } of partitions) {
      checkTopic(topic)
      checkPartition(topic, partition)
    }
    const found = await this.#committer.committed(partitions, this.#untilMs())
    return found.map((one) => {
      if (one instanceof MQError) throw one
      return one
    })
  }

  #refuseForeign(offsets: readonly OffsetToCommit[]): void {
    if (!this.#session.isSubscribed) return
    const foreign = offsets.filter((tp) => !this.#session.isOwned(tp))
    const [first] = foreign
    if (first === undefined) return
    const names = foreign.map(({ topic, partition }) => `${topic}/${partition}`).join(', ')
    const text = `not assigned to this consumer (any more): ${names}. Whoever has them now commits them`
    const partitions = foreign.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    throw new MQError('OFFSET_COMMIT_FAILED', text, { topic: first.topic, partition: first.partition, partitions })
  }

  #ensureGroup(verb: string): void {
    if (this.#config.groupId !== undefined) return
    throw new MQError('MISSING_CONFIG', `${verb} needs a groupId: offsets are stored by group`, { path: 'groupId' })
  }

  #untilMs(): number {
    return this.#clock.monotonicMs() + LIMIT_MS
  }
}

function check({ topic, partition, offset }: OffsetToCommit): void {
  checkTopic(topic)
  checkPartition(topic, partition)
  checkOffset(offset, { topic, partition })
}
