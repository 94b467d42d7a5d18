/**
 * Committed offsets grow old when nobody reads what they are for, and groups without members and offsets go.
 * Rules, those of Kafka 4.1: of an empty group all offsets are counted from the moment it became empty (without members ever:
 * from the commit); of a stable one those of topics nobody subscribed to, from the commit; a time that an old client gave
 * with its commit counts by itself.
 * Invariant: no offset of a topic that a member reads expires.
 */
import type { CommittedOffset, OffsetStore } from '../offset-store.js'
import { subscribedTopics } from './consumer-bytes.js'
import type { AnyGroup, Groups } from './groups.js'

/** True if a member reads it; a member whose subscription cannot be read may read anything. */
export function isRead(group: AnyGroup, topic: string): boolean {
  if (group.kind === 'consumer') return group.members.some(({ facts }) => group.subscriptions.names(facts).has(topic))
  return group.members.some(({ facts }) => {
    const topics = facts.protocols.map(({ metadata }) => subscribedTopics(metadata))
    return topics.some((subscribed) => subscribed?.includes(topic) ?? true)
  })
}

export function expireOffsets(groups: Groups, offsets: OffsetStore, nowMs: number, retentionMs: number): void {
  for (const group of groups.all()) {
    const { groupId } = group
    for (const [topic, partitions] of offsets.all(groupId)) {
      if (isRead(group, topic)) continue
      for (const [partition, committed] of partitions) {
        if (isOld(committed, group, nowMs, retentionMs)) offsets.forget(groupId, topic, partition)
      }
    }
    if (group.state === 'Empty' && !offsets.has(groupId)) groups.delete(groupId)
  }
  groups.changed()
}

function isOld(committed: CommittedOffset, group: AnyGroup, nowMs: number, retentionMs: number): boolean {
  const fromMs = countedFrom(committed, group)
  if (fromMs === null) return false
  return nowMs >= (committed.expiresAtMs ?? fromMs + retentionMs)
}

/** Null: nothing of this group grows old now. */
function countedFrom({ committedAtMs }: CommittedOffset, group: AnyGroup): number | null {
  if (group.kind === 'consumer') return committedAtMs
  if (group.state === 'Empty') return group.emptySinceMs ?? committedAtMs
  return group.state === 'Stable' && group.protocolType === 'consumer' ? committedAtMs : null
}
