/** One member of a KIP-848 group, played by hand: heartbeats of every kind, commits, and what describes the group. */
import {
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  type DecodedResponseOf,
  OffsetCommit,
  OffsetFetch,
  type RequestOf,
} from '../../lib/protocol/index.js'
import type { RawClient } from './raw-client.js'

type Wire = RequestOf<typeof ConsumerGroupHeartbeat>
export type Beat = Partial<Wire>
export type BeatAnswer = DecodedResponseOf<typeof ConsumerGroupHeartbeat>
/** Partitions per topic name. */
export type Parts = Readonly<Record<string, readonly number[]>>

export const REBALANCE_TIMEOUT_MS = 20_000

export interface ClientOptions {
  readonly groupId: string
  readonly memberId: string
  /** Topic id per name, as far as the test names topics. */
  readonly topicIds: ReadonlyMap<string, string>
  readonly instanceId?: string | null
}

export class ConsumerGroupClient {
  readonly raw: RawClient
  readonly groupId: string
  readonly instanceId: string | null
  readonly #topicIds: ReadonlyMap<string, string>
  memberId: string
  epoch = 0
  /** What it was given last. */
  assigned: Parts = {}

  constructor(raw: RawClient, options: ClientOptions) {
    this.raw = raw
    this.groupId = options.groupId
    this.memberId = options.memberId
    this.instanceId = options.instanceId ?? null
    this.#topicIds = options.topicIds
  }

  /** "I am still here, nothing changed", unless told otherwise. Remembers epoch and assignment of the answer. */
  async beat(more: Beat = {}, version = 1): Promise<BeatAnswer> {
    const answer = await this.raw.request(ConsumerGroupHeartbeat, version, {
      groupId: this.groupId,
      memberId: this.memberId,
      memberEpoch: this.epoch,
      instanceId: this.instanceId,
      ...more,
    })
    if (answer.errorCode !== 0) return answer
    this.epoch = answer.memberEpoch
    if (version === 0 && answer.memberId !== null) this.memberId = answer.memberId
    if (answer.assignment !== null) this.assigned = this.named(answer.assignment.topicPartitions)
    return answer
  }

  join(topics: readonly string[] | null = ['t'], more: Beat = {}, version = 1): Promise<BeatAnswer> {
    const fields: Beat = {
      memberEpoch: 0,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      subscribedTopicNames: topics === null ? null : [...topics],
      topicPartitions: [],
    }
    return this.beat({ ...fields, ...more }, version)
  }

  /** Says what it owns now: by default just what it was given. */
  own(parts: Parts = this.assigned, more: Beat = {}): Promise<BeatAnswer> {
    return this.beat({ topicPartitions: this.wire(parts), ...more })
  }

  leave(epoch = -1, more: Beat = {}): Promise<BeatAnswer> {
    return this.beat({ memberEpoch: epoch, ...more })
  }

  async commit(offset: number, more: Partial<RequestOf<typeof OffsetCommit>> = {}, version = 9) {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }]
    const answer = await this.raw.request(OffsetCommit, version, {
      groupId: this.groupId,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      generationIdOrMemberEpoch: this.epoch,
      topics: [{ name: 't', partitions }],
      ...more,
    })
    return answer.topics[0]?.partitions[0]?.errorCode
  }

  /** Error code and committed offset of t/0, asked as a member. */
  async committed(more: { memberId?: string | null; memberEpoch?: number } = {}) {
    const topics = [{ name: 't', partitionIndexes: [0] }]
    const group = { groupId: this.groupId, memberId: this.memberId, memberEpoch: this.epoch, topics, ...more }
    const answer = await this.raw.request(OffsetFetch, 9, { groups: [group] })
    const [found] = answer.groups
    return [found?.errorCode, found?.topics[0]?.partitions[0]?.committedOffset]
  }

  async describe(version = 1, groupId = this.groupId) {
    const body = { groupIds: [groupId], includeAuthorizedOperations: false }
    const answer = await this.raw.request(ConsumerGroupDescribe, version, body)
    return answer.groups[0] as (typeof answer.groups)[number]
  }

  wire(parts: Parts): { topicId: string; partitions: number[] }[] {
    return Object.entries(parts).map(([topic, partitions]) => {
      return { topicId: this.#topicIds.get(topic) as string, partitions: [...partitions] }
    })
  }

  named(wire: readonly { topicId: string; partitions: readonly number[] }[]): Parts {
    const names = new Map([...this.#topicIds].map(([name, topicId]) => [topicId, name]))
    const named = wire.map(({ topicId, partitions }): [string, readonly number[]] => {
      return [names.get(topicId) ?? topicId, [...partitions].sort((a, b) => a - b)]
    })
    return Object.fromEntries(named.sort(([a], [b]) => a.localeCompare(b)))
  }
}
