/**
 * Whether a member of a KIP-848 group may commit, or ask what was committed: only in the epoch it is at.
 * Why: a member that has not heard of its newer epoch might commit for partitions that it lost with it.
 * Source: KIP-848; what Kafka 4.1.1 was seen to answer.
 */
import { NONE, STALE_MEMBER_EPOCH, UNKNOWN_MEMBER_ID, UNSUPPORTED_VERSION } from '../codes.js'
import type { ConsumerGroup } from './group.js'

/** First version of OffsetCommit whose generation may be a member epoch. */
const KNOWS_EPOCHS = 9

export function judgeConsumerCommit(group: ConsumerGroup, memberId: string, epoch: number, version: number): number {
  if (epoch < 0 && group.state === 'Empty') return NONE // a commit from outside
  const member = group.member(memberId)
  if (member === undefined) return UNKNOWN_MEMBER_ID
  if (version < KNOWS_EPOCHS) return UNSUPPORTED_VERSION
  return epoch === member.epoch ? NONE : STALE_MEMBER_EPOCH
}

export function judgeConsumerFetch(group: ConsumerGroup, memberId: string | null, epoch: number): number {
  if (memberId === null && epoch < 0) return NONE // asked from outside
  const member = group.member(memberId ?? '')
  if (member === undefined) return UNKNOWN_MEMBER_ID
  return epoch === member.epoch ? NONE : STALE_MEMBER_EPOCH
}
