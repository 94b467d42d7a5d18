/**
 * What callers may pass: every field optional, groups too, some fields in wider forms.
 * Why derived: the resolved interfaces hold the docstrings; a mapped type keeps both forms in step.
 * `undefined` is the only "unset". Aliases are accepted at run time and typed here for migration.
 */
import type { LogLevel } from '../util/index.js'
import type { ClientAliases, ConsumerAliases, GroupAliases, ProducerAliases } from './alias-types.js'
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
  | 'pool'
  | 'wal'
  | 'metrics'
  | 'monitoring'
  | 'alerts'
  | 'adaptiveBatch'
  | 'circuitBreaker'
  | 'dedup'

/** Fields that take more forms than the resolved one. */
interface WiderForms {
  brokers: string | readonly (string | BrokerEndpoint)[]
  acks: 'all' | -1 | 0 | 1
}

/** Fields of the top level that some write inside `monitoring`. */
interface MovedFields {
  readonly logLevel?: LogLevel | undefined
  readonly enableMetrics?: boolean | undefined
}

type InputOf<T> = {
  readonly [K in keyof T]?:
    | (K extends keyof WiderForms ? WiderForms[K] : K extends GroupName ? GroupOf<K, T[K]> : T[K])
    | undefined
}

type GroupOf<K, T> = InputOf<T> &
  (K extends keyof GroupAliases ? Aliased<T, GroupAliases[K]> : unknown) &
  (K extends 'monitoring' ? MovedFields : unknown)

/** Field paths of a resolved form: the rows its table must have. */
export type PathOf<T> = {
  [K in keyof T & string]: K extends GroupName ? `${K}.${PathOf<T[K]>}` : K
}[keyof T & string]

type Aliased<T, Names> = {
  readonly [A in keyof Names]?: Names[A] extends keyof InputOf<T> ? InputOf<T>[Names[A]] : never
}

/** Other names of fields in a group, written beside the group. */
type NamesBeside<G extends keyof GroupAliases> = Aliased<ResolvedClientConfig[G], GroupAliases[G]>

type ClientNames = Aliased<ResolvedClientConfig, ClientAliases> &
  NamesBeside<'connection'> &
  NamesBeside<'ssl'> &
  NamesBeside<'performance'> &
  NamesBeside<'pool'> &
  NamesBeside<'wal'> &
  NamesBeside<'metrics'> &
  NamesBeside<'monitoring'>

/** Fields that every client takes. */
export type ClientConfig = InputOf<ResolvedClientConfig> & ClientNames

/** All fields optional; meaning, unit, default and range stand at each field. */
export type ProducerConfig = InputOf<ResolvedProducerConfig> &
  ClientNames &
  Aliased<ResolvedProducerConfig, ProducerAliases>

/** All fields optional; meaning, unit, default and range stand at each field. */
export type ConsumerConfig = InputOf<ResolvedConsumerConfig> &
  ClientNames &
  Aliased<ResolvedConsumerConfig, ConsumerAliases>

/** The whole configuration: client fields, which `producer` and `consumer` inherit. */
export type MQConfig = ClientConfig & {
  readonly producer?: ProducerConfig | undefined
  readonly consumer?: ConsumerConfig | undefined
  readonly producerConfig?: ProducerConfig | undefined
  readonly consumerConfig?: ConsumerConfig | undefined
}

/** Fields of a producer that may change while it runs. Source: PR-11. */
type ChangingField = 'lingerMs' | 'batchBytes' | 'batchMaxRecords' | 'compression' | 'switchStrategy' | 'maxInFlight'
type ChangingAlias = 'linger' | 'batchSize' | 'maxBatchCount' | 'maxInFlightRequests' | 'maxInFlightPerBroker'

/** What a running producer may be given anew; `undefined` leaves a field as it is. */
export type ProducerUpdate = Pick<ProducerConfig, ChangingField | ChangingAlias>

/** Frozen and complete; `resolveConfig` makes it. */
export interface ResolvedConfig extends ResolvedClientConfig {
  readonly producer: ResolvedProducerConfig
  readonly consumer: ResolvedConsumerConfig
}
