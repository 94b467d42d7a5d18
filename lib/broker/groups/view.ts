/** A group as users of the broker see it: a picture of one moment, not the group itself. */
import type { OffsetStore } from '../offset-store.js'
import type { BrokerConfig } from '../topic-config.js'
import type { Topics } from '../topics.js'
import type { ClassicGroup, GroupState as ClassicState } from './classic/group.js'
import type { Member } from './classic/member.js'
import { type AssignedPartition, assignedPartitions, subscribedTopics } from './consumer-bytes.js'
import type { Groups } from './groups.js'
import type { ConsumerGroup, ConsumerGroupState } from './kip848/group.js'
import type { ConsumerMember } from './kip848/member.js'
import { byTopic } from './partition-key.js'

export type GroupState = ClassicState | ConsumerGroupState

export interface GroupMemberView {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Assignors it offers, in its order of preference. */
  readonly protocols: readonly string[]
  /** Topics it subscribed to, those of its pattern among them; null when its metadata is no consumer's. */
  readonly topics: readonly string[] | null
  /**
   * What it was given. Classic: empty unless the group is stable, null when the bytes are no consumer's. KIP-848: what it may
   * read now.
   */
  readonly assignment: readonly AssignedPartition[] | null
  readonly assignmentBytes: Uint8Array
  /** KIP-848: the epoch it is at, -2 while a static member is away. Classic: the generation. */
  readonly epoch: number
  /** KIP-848: what it will have when everybody has let go. Classic: as `assignment`. */
  readonly target: readonly AssignedPartition[] | null
}

export interface GroupOffsetView extends AssignedPartition {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface GroupView {
  readonly groupId: string
  /** Its protocol: classic, or that of KIP-848. */
  readonly kind: 'classic' | 'consumer'
  /** 'Dead': there is no such group. */
  readonly state: GroupState
  /** Broker that keeps it, -1 when none is alive. */
  readonly coordinator: number
  /** KIP-848: the group epoch. */
  readonly generation: number
  readonly protocolType: string | null
  /** The assignor chosen for this generation. */
  readonly protocol: string | null
  /** Null in groups of KIP-848: the broker assigns. */
  readonly leader: string | null
  /** In the order in which they joined. */
  readonly members: readonly GroupMemberView[]
  /** Ids given out (79) that have not joined yet. */
  readonly pendingMembers: readonly string[]
  readonly offsets: readonly GroupOffsetView[]
}

/** What a view is made from. */
export interface ViewSource {
  readonly groups: Groups
  readonly offsets: OffsetStore
  readonly topics: Topics
  readonly config: BrokerConfig
}

export function viewOfGroup(groupId: string, source: ViewSource): GroupView {
  const group = source.groups.get(groupId)
  const outside = {
    groupId,
    coordinator: source.groups.coordinatorOf(groupId),
    offsets: [...source.offsets.all(groupId)].flatMap(([topic, partitions]) =>
      [...partitions].map(([partition, { offset, leaderEpoch, metadata }]) => {
        return { topic, partition, offset, leaderEpoch, metadata }
      }),
    ),
  }
  if (group?.kind === 'consumer') return { ...outside, ...viewOfConsumers(group, source) }
  return { ...outside, ...viewOfClassic(group) }
}

function viewOfClassic(group: ClassicGroup | undefined) {
  const isStable = group?.state === 'Stable'
  return {
    kind: 'classic' as const,
    state: group?.state ?? 'Dead',
    generation: group?.generation ?? 0,
    protocolType: group?.protocolType ?? null,
    protocol: group?.protocolName ?? null,
    leader: group?.leaderId ?? null,
    members: group?.members.map((member) => viewOfMember(member, isStable, group.generation)) ?? [],
    pendingMembers: group?.pendingIds ?? [],
  }
}

function viewOfMember({ memberId, facts, assignment }: Member, isStable: boolean, epoch: number): GroupMemberView {
  const { protocols, ...told } = facts
  const [first] = protocols
  const assignmentBytes = isStable ? assignment : new Uint8Array(0)
  const assigned = assignedPartitions(assignmentBytes)
  return {
    memberId,
    ...told,
    protocols: protocols.map(({ name }) => name),
    topics: first === undefined ? null : subscribedTopics(first.metadata),
    assignment: assigned,
    assignmentBytes,
    epoch,
    target: assigned,
  }
}

function viewOfConsumers(group: ConsumerGroup, source: ViewSource) {
  return {
    kind: 'consumer' as const,
    state: group.state,
    generation: group.epoch,
    protocolType: group.protocolType,
    protocol: group.state === 'Empty' ? null : group.assignor,
    leader: null,
    members: group.members.map((member) => viewOfConsumer(member, group, source)),
    pendingMembers: [],
  }
}

function viewOfConsumer(member: ConsumerMember, group: ConsumerGroup, { topics, config }: ViewSource): GroupMemberView {
  const { memberId, facts, epoch, progress } = member
  const named = (keys: ReadonlySet<string>) =>
    byTopic(keys).flatMap(({ topicId, partitions }) => {
      const topic = topics.byId(topicId)?.name
      return topic === undefined ? [] : partitions.map((partition) => ({ topic, partition }))
    })
  return {
    memberId,
    instanceId: facts.instanceId,
    clientId: facts.clientId,
    clientHost: facts.clientHost,
    sessionTimeoutMs: config.number('group.consumer.session.timeout.ms'),
    rebalanceTimeoutMs: facts.rebalanceTimeoutMs,
    protocols: facts.assignor === null ? [] : [facts.assignor],
    topics: [...group.subscriptions.names(facts)],
    assignment: named(progress.assigned),
    assignmentBytes: new Uint8Array(0),
    epoch,
    target: named(group.targetOf(memberId)),
  }
}
