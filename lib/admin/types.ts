/**
 * What the admin client takes and gives back.
 * Why results per item instead of one throw: of twenty topics nineteen may exist already and one may be refused, and a
 * caller has to know which. A call rejects only where nothing can be said of any item: closed, late, no broker.
 * Source: features.md AD-1, AD-2.
 */
import type { MQError } from '../errors/index.js'

/** Limits of one call. */
export interface CallOptions {
  /** Ends the wait; the call rejects with `signal.reason`. What was asked of the cluster may still happen. */
  readonly signal?: AbortSignal | undefined
  /** The whole call, retries included. Milliseconds, default 30000, 1..3600000; then TIMEOUT. */
  readonly timeoutMs?: number | undefined
}

export type ConfigInput = string | number | boolean

export interface NewTopic {
  /** 1..249 of `[a-zA-Z0-9._-]`, not `.` or `..`. */
  readonly name: string
  /** Count, default 1, at least 1. */
  readonly partitions?: number | undefined
  /** Copies of each partition, default 1, at least 1. */
  readonly replicationFactor?: number | undefined
  /** Topic settings by Kafka's names, such as `{ 'retention.ms': 604800000 }`. */
  readonly configs?: Readonly<Record<string, ConfigInput>> | undefined
}

export interface ChangeOptions extends CallOptions {
  /** The cluster only checks. Default false. */
  readonly validateOnly?: boolean | undefined
}

export interface TopicResult {
  readonly topic: string
  /** Absent: done. */
  readonly error?: MQError
}

export interface CreateTopicResult extends TopicResult {
  /** False: it exists already, or see `error`. */
  readonly created: boolean
}

/** `count` is the new total, not what is added. */
export interface MorePartitions {
  readonly topic: string
  readonly count: number
}

export interface ListTopicsOptions extends CallOptions {
  /** Also topics whose name begins with `__`, which clusters keep for themselves. Default false. */
  readonly includeInternal?: boolean | undefined
}

export interface PartitionInfo {
  readonly partition: number
  /** Broker id, -1 = none at present. */
  readonly leader: number
  /** Broker ids. */
  readonly replicas: readonly number[]
  /** Broker ids that are in sync. */
  readonly isr: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export interface TopicInfo {
  readonly topic: string
  /** Ascending. */
  readonly partitions: readonly PartitionInfo[]
}

export interface TopicInfoResult extends TopicResult {
  readonly partitions: readonly PartitionInfo[]
}

export type ConfigResourceType = 'topic' | 'broker'

export interface ConfigResource {
  readonly type: ConfigResourceType
  /** Name of the topic, or id of the broker. */
  readonly name: string
}

export interface ConfigQuery extends ConfigResource {
  /** Only these settings; default all. */
  readonly keys?: readonly string[] | undefined
}

export type ConfigSource =
  | 'topic'
  | 'broker'
  | 'brokerDefault'
  | 'static'
  | 'default'
  | 'brokerLogger'
  | 'client'
  | 'group'
  | 'unknown'

export interface ConfigEntry {
  readonly name: string
  /** Null where the broker keeps it to itself (passwords), or none is set. */
  readonly value: string | null
  /** Where the value comes from. */
  readonly source: ConfigSource
  readonly isDefault: boolean
  readonly isReadOnly: boolean
  readonly isSensitive: boolean
}

export interface ConfigResult extends ConfigResource {
  /** Sorted by name. */
  readonly entries: readonly ConfigEntry[]
  readonly error?: MQError
}

/** Only what is named changes; `null` returns to the default. */
export type ConfigChanges = Readonly<Record<string, ConfigInput | null>>

export interface ConfigAlteration extends ConfigResource {
  readonly configs: ConfigChanges
}

export interface AlterResult extends ConfigResource {
  readonly error?: MQError
}

/** How the group's members agree. 'unknown': a broker before 3.8 does not tell. */
export type GroupType = 'classic' | 'consumer' | 'share' | 'streams' | 'unknown'

export interface GroupListing {
  readonly groupId: string
  /** 'consumer' for groups of consumers. */
  readonly protocolType: string
  /** As Kafka writes it: 'Stable', 'Empty', 'PreparingRebalance', 'Reconciling', ... */
  readonly state: string
  readonly type: GroupType
}

export interface ListGroupsOptions extends CallOptions {
  /** Only groups in one of these states. */
  readonly states?: readonly string[] | undefined
  readonly types?: readonly GroupType[] | undefined
}

export interface GroupPartition {
  readonly topic: string
  readonly partition: number
}

export interface GroupMemberInfo {
  readonly memberId: string
  /** Null: no static member. */
  readonly instanceId: string | null
  readonly clientId: string
  readonly host: string
  readonly rackId: string | null
  /** Ascending by topic and partition. */
  readonly assignment: readonly GroupPartition[]
}

export interface GroupDescription {
  readonly groupId: string
  readonly state: string
  readonly type: GroupType
  /** Name of what assigns partitions; '' while there is none. */
  readonly assignor: string
  /** Broker id, -1 = unknown. */
  readonly coordinator: number
  /** Group epoch under KIP-848; -1 for classic groups, which do not tell theirs. */
  readonly epoch: number
  readonly members: readonly GroupMemberInfo[]
  readonly error?: MQError
}

export interface GroupResult {
  readonly groupId: string
  readonly error?: MQError
}

export interface GroupOffset extends GroupPartition {
  /** Next offset the group reads; -1 = none committed. */
  readonly offset: number
  readonly metadata: string
}

export interface GroupLag extends GroupPartition {
  /** -1 = none committed. */
  readonly committed: number
  readonly logStart: number
  /** Next offset to be written, as readers see it. */
  readonly logEnd: number
  /** Records between committed offset (without one: log start) and log end. */
  readonly lag: number
  /** Who reads it; '' = nobody. */
  readonly memberId: string
}

/** Where a group's offsets go. A time stamp is in milliseconds since 1970; behind the last record it means the end. */
export type OffsetTarget = 'earliest' | 'latest' | { readonly timestamp: number } | { readonly offset: number }

export interface ResetOffsetsOptions extends CallOptions {
  /** Default all of the topic. */
  readonly partitions?: readonly number[] | undefined
  readonly to: OffsetTarget
  /** Only tells what it would do. Default false. */
  readonly dryRun?: boolean | undefined
}

export interface ResetResult extends GroupPartition {
  /** Committed before; -1 = none. */
  readonly before: number
  /** Committed now (with `dryRun`: to be). */
  readonly offset: number
}

export interface PartitionOffset extends GroupPartition {
  readonly offset: number
}

export interface PartitionOffsets extends GroupPartition {
  /** First offset that exists. */
  readonly logStart: number
  /** Next offset to be written, as readers see it. */
  readonly logEnd: number
}

export interface BrokerInfo {
  readonly brokerId: number
  readonly host: string
  readonly port: number
}

export interface ClusterInfo {
  readonly clusterId: string
  /** Broker id, -1 = unknown. */
  readonly controller: number
  /** Ascending by id. */
  readonly brokers: readonly BrokerInfo[]
}

export type AdminState = 'open' | 'closing' | 'closed'
