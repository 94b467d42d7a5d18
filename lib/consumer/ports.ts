/**
 * What the consumer needs of the cluster room, as interfaces.
 * Why: `Cluster` and `BrokerLink` satisfy them as they are, and tests script a link without sockets.
 */
import type { BrokerEndpoint } from '../config/index.js'
import type { MQError } from '../errors/index.js'
import type { Api, DecodedResponseOf, RequestOf } from '../protocol/index.js'

export interface PartitionInfo {
  readonly partition: number
  readonly errorCode: number
  /** -1: none. */
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface TopicInfo {
  readonly name: string
  readonly topicId: string
  readonly errorCode: number
  readonly partitions: readonly PartitionInfo[]
}

export interface LeaderEndpoint extends BrokerEndpoint {
  readonly nodeId: number
  readonly rack: string | null
}

/** One connection to one broker that only fetches. */
export interface FetchLink {
  readonly isReady: boolean
  readonly hasRoom: boolean
  onRoom: (() => void) | null
  onDown: ((reason: MQError) => void) | null
  connect(): void
  versionOf(api: Api): number
  request<A extends Api>(
    api: A,
    body: RequestOf<A>,
    options?: { limitMs?: number; version?: number },
  ): Promise<DecodedResponseOf<A>>
}

export interface ConsumerCluster {
  connect(): Promise<void>
  link(brokerId: number, purpose: 'fetch'): FetchLink
  request<A extends Api>(
    api: A,
    body: RequestOf<A>,
    options?: { brokerId?: number; deadlineMs?: number; limitMs?: number },
  ): Promise<DecodedResponseOf<A>>
  topic(name: string): TopicInfo | undefined
  useTopic(name: string): void
  refresh(reason: string): Promise<void>
  waitForTopic(name: string, options: { timeoutMs: number; allowAutoCreate: boolean }): Promise<TopicInfo>
  applyLeaderHint(
    topic: string,
    partition: number,
    leaderId: number,
    leaderEpoch: number,
    endpoints: readonly LeaderEndpoint[],
  ): boolean
  onTopic(listener: (topic: TopicInfo) => void): () => void
  close(): Promise<void>
}

/** What a member of a group and its committer need besides. */
export interface GroupCluster extends ConsumerCluster {
  topicById(id: string): TopicInfo | undefined
  /** Level of a feature that the cluster has finalized (`group.version`); 0 = none, -1 = no broker has told. */
  finalizedFeature(name: string): number
  /** The broker that coordinates the group. GROUP_COORDINATOR_NOT_FOUND, AUTHORIZATION_FAILED, TIMEOUT. */
  coordinator(groupId: string, options?: { deadlineMs?: number }): Promise<number>
  /** That broker answered 15 or 16. Only if it is still what is remembered. */
  forgetCoordinator(groupId: string, brokerId: number): void
  /**
   * One question to the coordinator; its answer is the caller's to judge, also 14, 15 and 16. Purpose 'control' (the
   * default) is repeated when the connection breaks, until `deadlineMs`; 'group' is not: it rejects with `wasSent`.
   */
  requestGroup<A extends Api>(
    groupId: string,
    api: A,
    body: RequestOf<A> | ((version: number) => RequestOf<A>),
    options?: { deadlineMs?: number; limitMs?: number; purpose?: 'control' | 'group' },
  ): Promise<DecodedResponseOf<A>>
}
