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
