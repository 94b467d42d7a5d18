/** OffsetCommit and OffsetFetch as they go over the wire: grouped by topic, in the form their version has. */
import type { DecodedResponseOf, OffsetCommit, OffsetFetch, RequestOf } from '../../../protocol/index.js'
import type { TopicPartition } from '../../cursor.js'
import type { MemberIdentity } from '../ports.js'
import { type CommittedOffset, keyOf, type OffsetToCommit } from './offsets.js'

/** First version that asks for several groups at once, which moves every field. */
const MANY_GROUPS = 8
/** First version that can leave out offsets of open transactions. */
const REQUIRE_STABLE = 7
/** First version that names static members. */
const INSTANCE_ID = 7

export function commitBody(
  groupId: string,
  identity: MemberIdentity,
  values: readonly OffsetToCommit[],
  version: number,
): RequestOf<typeof OffsetCommit> {
  const partitionOf = ({ partition, offset, leaderEpoch = -1, metadata = '' }: OffsetToCommit) => ({
    partitionIndex: partition,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    committedMetadata: metadata,
  })
  return {
    groupId,
    memberId: identity.memberId,
    generationIdOrMemberEpoch: identity.generation,
    groupInstanceId: version >= INSTANCE_ID ? identity.instanceId : null,
    topics: byTopic(values, partitionOf).map(([name, partitions]) => ({ name, partitions })),
  }
}

/** Error numbers by `topic/partition`. */
export function commitCodes(answer: DecodedResponseOf<typeof OffsetCommit>): Map<string, number> {
  const rows = answer.topics.flatMap(({ name, partitions }) =>
    partitions.map((row) => [keyOf({ topic: name, partition: row.partitionIndex }), row.errorCode] as const),
  )
  return new Map(rows)
}

/** `identity` null: asked as a stranger, who may read too. */
export function fetchBody(
  groupId: string,
  identity: MemberIdentity | null,
  partitions: readonly TopicPartition[],
  isStableOnly: boolean,
  version: number,
): RequestOf<typeof OffsetFetch> {
  const requireStable = isStableOnly && version >= REQUIRE_STABLE
  const topics = byTopic(partitions, ({ partition }) => partition).map(([name, partitionIndexes]) => ({
    name,
    partitionIndexes,
  }))
  if (version < MANY_GROUPS) return { groupId, topics, requireStable }
  const isMember = identity !== null && identity.memberId !== ''
  const who = isMember ? { memberId: identity.memberId, memberEpoch: identity.generation } : {}
  return { groups: [{ groupId, topics, ...who }], requireStable }
}

export interface FetchedOffsets {
  /** Of the group as a whole. */
  readonly errorCode: number
  /** By `topic/partition`. */
  readonly partitions: ReadonlyMap<string, { readonly errorCode: number; readonly committed: CommittedOffset | null }>
}

export function fetchedOffsets(answer: DecodedResponseOf<typeof OffsetFetch>, groupId: string): FetchedOffsets {
  const group = answer.groups.find((one) => one.groupId === groupId) ?? answer
  const rows = group.topics.flatMap(({ name, partitions }) =>
    partitions.map((row) => {
      const { committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata, errorCode } = row
      const committed = offset < 0 ? null : { offset, leaderEpoch, metadata: metadata ?? '' }
      return [keyOf({ topic: name, partition: row.partitionIndex }), { errorCode, committed }] as const
    }),
  )
  return { errorCode: group.errorCode, partitions: new Map(rows) }
}

function byTopic<T extends TopicPartition, P>(items: readonly T[], partitionOf: (item: T) => P): [string, P[]][] {
  const topics = new Map<string, P[]>()
  for (const item of items) {
    const partitions = topics.get(item.topic) ?? []
    topics.set(item.topic, partitions)
    partitions.push(partitionOf(item))
  }
  return [...topics]
}
