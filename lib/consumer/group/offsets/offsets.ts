/**
 * The words of this folder: what is committed, what is read back, and what is needed of others for it.
 * Why a port of its own: commits need three verbs of the cluster and one of the host, and tests script no more.
 * Source: kafka.md 5.5 (Offsets), C-31..C-35.
 */
import type { ResolvedConsumerConfig } from '../../../config/index.js'
import type { Api, DecodedResponseOf, RequestOf } from '../../../protocol/index.js'
import type { Clock, RandomSource } from '../../../util/index.js'
import type { TopicPartition } from '../../cursor.js'
import type { Membership } from '../ports.js'

export interface OffsetToCommit extends TopicPartition {
  /** The next offset to read: that of the last processed record, plus one. */
  readonly offset: number
  /** Leader epoch of the batch of that record (KIP-320). Default -1: unknown. */
  readonly leaderEpoch?: number
  /** A text of the caller's, at most `offset.metadata.max.bytes` of the broker (4096). Default ''. */
  readonly metadata?: string
}

export interface CommittedOffset {
  readonly offset: number
  /** -1: unknown. */
  readonly leaderEpoch: number
  readonly metadata: string
}

/** What `GroupCluster` offers that commits need. */
export interface OffsetsCluster {
  coordinator(groupId: string, options?: { readonly deadlineMs?: number }): Promise<number>
  /** Only if that broker is still what is remembered. */
  forgetCoordinator(groupId: string, brokerId: number): void
  requestGroup<A extends Api>(
    groupId: string,
    api: A,
    body: RequestOf<A> | ((version: number) => RequestOf<A>),
    options?: { readonly deadlineMs?: number; readonly limitMs?: number; readonly purpose?: 'control' | 'group' },
  ): Promise<DecodedResponseOf<A>>
}

export interface OffsetsParts {
  readonly config: ResolvedConsumerConfig
  readonly cluster: OffsetsCluster
  readonly clock: Clock
  readonly random: RandomSource
  /** Null: without membership, as with `assign` and a groupId. */
  readonly member: () => Membership | null
  /** Is the partition read by us now? Asked when a commit goes out under another generation than it was called in. */
  readonly isOwned: (tp: TopicPartition) => boolean
}

/** `topic/partition`: unambiguous, as a topic's name has no slash. */
export function keyOf(tp: TopicPartition): string {
  return `${tp.topic}/${tp.partition}`
}
