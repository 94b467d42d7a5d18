/** A group as users of the broker see it: a picture of one moment, not the group itself. */
import type { OffsetStore } from '../offset-store.js'
import { type AssignedPartition, assignedPartitions, subscribedTopics } from './consumer-bytes.js'
import type { GroupState } from './group.js'
import type { Groups } from './groups.js'
import type { Member } from './member.js'

export interface GroupMemberView {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Assignors it offers, in its order of preference. */
  readonly protocols: readonly string[]
  /** Topics it subscribed to; null when its metadata is no consumer's. */
  readonly topics: readonly string[] | null
  /** What it was given; empty unless the group is stable, null when the bytes are no consumer's. */
  readonly assignment: readonly AssignedPartition[] | null
  readonly assignmentBytes: Uint8Array
}

export interface GroupOffsetView extends AssignedPartition {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface GroupView {
  readonly groupId: string
  /** 'Dead': there is no such group. */
  readonly state: GroupState
  /** Broker that keeps it, -1 when none is alive. */
  readonly coordinator: number
  readonly generation: number
  readonly protocolType: string | null
  /** The assignor chosen for this generation. */
  readonly protocol: string | null
  readonly leader: string | null
  /** In the order in which they joined. */
  readonly members: readonly GroupMemberView[]
  /** Ids given out (79) that have not joined yet. */
  readonly pendingMembers: readonly string[]
  readonly offsets: readonly GroupOffsetView[]
}

export function viewOfGroup(groupId: string, groups: Groups, offsets: OffsetStore): GroupView {
  const group = groups.get(groupId)
  const isStable = group?.state === 'Stable'
  return {
    groupId,
    state: group?.state ?? 'Dead',
    coordinator: groups.coordinatorOf(groupId),
    generation: group?.generation ?? 0,
    protocolType: group?.protocolType ?? null,
    protocol: group?.protocolName ?? null,
    leader: group?.leaderId ?? null,
    members: group?.members.map((member) => viewOfMember(member, isStable)) ?? [],
    pendingMembers: group?.pendingIds ?? [],
    offsets: [...offsets.all(groupId)].flatMap(([topic, partitions]) =>
      [...partitions].map(([partition, committed]) => ({ topic, partition, ...committed })),
    ),
  }
}

function viewOfMember({ memberId, facts, assignment }: Member, isStable: boolean): GroupMemberView {
  const { protocols, ...told } = facts
  const [first] = protocols
  const assignmentBytes = isStable ? assignment : new Uint8Array(0)
  return {
    memberId,
    ...told,
    protocols: protocols.map(({ name }) => name),
    topics: first === undefined ? null : subscribedTopics(first.metadata),
    assignment: assignedPartitions(assignmentBytes),
    assignmentBytes,
  }
}
