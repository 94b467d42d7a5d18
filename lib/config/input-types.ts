/**
 * What callers may pass: every field optional, groups too, some fields in wider forms.
 * Why derived: the resolved interfaces hold the docstrings; a mapped type keeps both forms in step.
 * `undefined` is the only "unset". Aliases are accepted at run time and typed here for migration.
 */
import type { BrokerEndpoint } from './brokers.js'
import type { ResolvedClientConfig } from './client-types.js'
import type { ResolvedConsumerConfig } from './consumer-types.js'
import type { ResolvedProducerConfig } from './producer-types.js'

/** Fields that hold further fields. */
export type GroupName =
  | 'connection'
  | 'ssl'
  | 'sasl'
  | 'trace'
  | 'performance'
  | 'metrics'
  | 'adaptiveBatch'
  | 'circuitBreaker'
  | 'dedup'

interface WiderForms {
  brokers: string | readonly (string | BrokerEndpoint)[]
  acks: 'all' | -1 | 0 | 1
}

type InputOf<T> = {
  readonly [K in keyof T]?:
    | (K extends keyof WiderForms ? WiderForms[K] : K extends GroupName ? InputOf<T[K]> : T[K])
    | undefined
}

/** Field paths of a resolved form: the rows its table must have. */
export type PathOf<T> = {
  [K in keyof T & string]: K extends GroupName ? `${K}.${keyof T[K] & string}` : K
}[keyof T & string]

type Aliased<T, Names> = {
  readonly [A in keyof Names]?: Names[A] extends keyof InputOf<T> ? InputOf<T>[Names[A]] : never
}

interface ClientAliases {
  bootstrapServers: 'brokers'
  clientID: 'clientId'
  SSL: 'ssl'
  SASL: 'sasl'
}

interface ProducerAliases {
  requiredAcks: 'acks'
  enableIdempotence: 'idempotence'
  maxInFlightRequests: 'maxInFlight'
  maxInFlightPerBroker: 'maxInFlight'
  linger: 'lingerMs'
  batchSize: 'batchBytes'
  maxMessageBytes: 'maxBatchBytes'
  maxBatchCount: 'batchMaxRecords'
  maxBufferedBytes: 'bufferMemoryBytes'
  maxBufferedRecords: 'bufferMaxRecords'
  memorySize: 'bufferMaxRecords'
  requestTimeout: 'requestTimeoutMs'
  deliveryTimeout: 'deliveryTimeoutMs'
  retries: 'maxRetries'
  retryBackoff: 'retryBackoffMs'
}

interface ConsumerAliases {
  groupID: 'groupId'
  enableAutoCommit: 'autoCommit'
  autoCommitInterval: 'autoCommitIntervalMs'
  sessionTimeout: 'sessionTimeoutMs'
  heartbeatInterval: 'heartbeatIntervalMs'
  maxPollInterval: 'maxPollIntervalMs'
  fetchMaxWait: 'fetchMaxWaitMs'
}

/** Fields that every client takes. */
export type ClientConfig = InputOf<ResolvedClientConfig> &
  Aliased<ResolvedClientConfig, ClientAliases> & { readonly tls?: boolean; readonly enableMetrics?: boolean }

/** All fields optional; meaning, unit, default and range stand at each field. */
export type ProducerConfig = InputOf<ResolvedProducerConfig> &
  Aliased<ResolvedProducerConfig, ClientAliases & ProducerAliases>

/** All fields optional; meaning, unit, default and range stand at each field. */
export type ConsumerConfig = InputOf<ResolvedConsumerConfig> &
  Aliased<ResolvedConsumerConfig, ClientAliases & ConsumerAliases>

/** The whole configuration: client fields, which `producer` and `consumer` inherit. */
export type MQConfig = ClientConfig & {
  readonly producer?: ProducerConfig | undefined
  readonly consumer?: ConsumerConfig | undefined
  readonly producerConfig?: ProducerConfig | undefined
  readonly consumerConfig?: ConsumerConfig | undefined
}

/** Frozen and complete; `resolveConfig` makes it. */
export interface ResolvedConfig extends ResolvedClientConfig {
  readonly producer: ResolvedProducerConfig
  readonly consumer: ResolvedConsumerConfig
}
