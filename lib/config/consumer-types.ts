/**
 * The resolved consumer configuration: every field present, checked, frozen. Source: features.md 3.4.
 */
import type { ResolvedClientConfig } from './client-types.js'

export type AutoOffsetReset = 'earliest' | 'latest' | 'none'
export type IsolationLevel = 'read_uncommitted' | 'read_committed'
export type ReadMode = 'safe' | 'zeroCopy'
export type OnErrorPolicy = 'retry' | 'skip' | 'dlq' | 'stop'
export type GroupProtocol = 'classic' | 'consumer' | 'auto'
export type AssignorName = 'range' | 'roundrobin' | 'sticky' | 'cooperative-sticky'

/** Turns bytes into values; a `Serializer` is one. */
export interface Deserializer<T> {
  deserialize(bytes: Uint8Array, topic: string): T
}

export interface DedupSettings {
  /** Skips records seen before. Default false. */
  readonly enabled: boolean
  /** What makes two records the same: 'content' (SHA-256), 'key' or a function. Default 'content'. */
  readonly by: 'content' | 'key' | ((record: never) => string)
  /** How long a record is remembered. Milliseconds, default 86400000, at least 1. */
  readonly ttlMs: number
  /** How many are remembered. Count, default 100000, at least 1. */
  readonly maxEntries: number
  /** How often old ones are removed. Milliseconds, default 300000, at least 1. */
  readonly cleanupIntervalMs: number
}

/** Frozen and complete; `resolveConsumerConfig` makes it. */
export interface ResolvedConsumerConfig extends ResolvedClientConfig {
  /** Needed by `subscribe` only. Default unset. Alias groupID. */
  readonly groupId: string | undefined
  /** 'classic', 'consumer' (KIP-848), or 'auto': 'consumer' where the cluster has it. Default 'classic'. */
  readonly groupProtocol: GroupProtocol
  /** Default ['cooperative-sticky']. */
  readonly assignors: readonly AssignorName[]
  /** Static membership. Default unset. */
  readonly groupInstanceId: string | undefined
  /** Rack of this client, for reading from a near replica. Default unset. */
  readonly rackId: string | undefined
  /** Where to start without a position: 'earliest', 'latest' or 'none' (an error). Default 'latest'. */
  readonly autoOffsetReset: AutoOffsetReset
  /** Default true. Alias enableAutoCommit. */
  readonly autoCommit: boolean
  /** Milliseconds, default 5000, 10..3600000. Alias autoCommitInterval. */
  readonly autoCommitIntervalMs: number
  /** Silence after which the group gives this member up. Milliseconds, default 10000. Alias sessionTimeout. */
  readonly sessionTimeoutMs: number
  /** Milliseconds, default 3000, below `sessionTimeoutMs`, best a third of it. Alias heartbeatInterval. */
  readonly heartbeatIntervalMs: number
  /** Records per turn of one partition. Count, default 500, 1..1000000. */
  readonly maxPollRecords: number
  /** Longest time without progress in a group. Milliseconds, default 300000, at least `sessionTimeoutMs`. Alias maxPollInterval. */
  readonly maxPollIntervalMs: number
  /** Time a rebalance may take. Milliseconds, default 60000, 1000..1800000. */
  readonly rebalanceTimeoutMs: number
  /** The broker answers from so many bytes on. Bytes, default 1, 0..2147483647. */
  readonly fetchMinBytes: number
  /** Most bytes of one answer; a larger first batch is still delivered. Bytes, default 52428800, at least `fetchMinBytes`. */
  readonly fetchMaxBytes: number
  /** Most bytes of one partition in one answer. Bytes, default 1048576, 1..2147483647. */
  readonly maxPartitionFetchBytes: number
  /** The broker waits so long for `fetchMinBytes`. Milliseconds, default 500, 0..60000. Alias fetchMaxWait. */
  readonly fetchMaxWaitMs: number
  /** Buffered and outstanding bytes over all brokers. Bytes, default 67108864, at least `maxPartitionFetchBytes`. */
  readonly prefetchBytes: number
  /** Default 'read_uncommitted'. */
  readonly isolationLevel: IsolationLevel
  /** 'safe' copies values below 1 KiB when touched; 'zeroCopy' never copies. Default 'safe'. */
  readonly readMode: ReadMode
  /** Checks the CRC of each batch. Default true. */
  readonly checkCrcs: boolean
  /** Callbacks running in parallel. Count, default 1, 1..1000. */
  readonly concurrency: number
  /** What runs in parallel: partitions, or keys inside them. Default 'partition'. */
  readonly concurrencyBy: 'partition' | 'key'
  /** When a callback fails: 'retry', 'skip', 'dlq' or 'stop'. Default 'retry'. */
  readonly onError: OnErrorPolicy
  /** Attempts after the first under 'retry'. Count, default 5, at least 0. */
  readonly errorRetries: number
  /** After the last attempt. Default 'stop'. */
  readonly errorFinal: 'skip' | 'dlq' | 'stop'
  /** Default unset = `<topic>.dlq`. */
  readonly dlqTopic: string | undefined
  readonly dedup: DedupSettings
  /** Hands partition errors to the callback as well. Default false. */
  readonly deliverErrors: boolean
  /** Default: bytes as they are. */
  readonly keyDeserializer: Deserializer<unknown> | undefined
  /** Default: bytes as they are. */
  readonly valueDeserializer: Deserializer<unknown> | undefined
}
