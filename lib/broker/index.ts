/**
 * The in-process Kafka broker, published as `tandem-mq/broker`: for tests, demos and local work.
 */
export {
  Broker,
  type BrokerOptions,
  type BrokerTlsOptions,
  createBroker,
  type SawFilter,
  type TopicPartition,
} from './broker.js'
export { type ErrorFaultOptions, type Fault, type FaultHandle, type FaultMatcher, fault } from './faults.js'
export type { AssignedPartition } from './groups/consumer-bytes.js'
export type { GroupMemberView, GroupOffsetView, GroupState, GroupView } from './groups/view.js'
export type { ArrivedRequest, RequestFilter } from './journal.js'
export type { LogView } from './log-view.js'
export type { ProducerEntry, RememberedBatch } from './producer-state.js'
export type { ProfileName } from './profiles.js'
export type { LoggedRecord } from './read-records.js'
export type { CheckToken } from './sasl/oauthbearer.js'
export type { BrokerSaslOptions, SaslMechanism } from './sasl/security.js'
export type { StoredBatch } from './stored-batch.js'
export type { ConfigMap, ConfigValue } from './topic-config.js'
export type { TopicOptions } from './topics.js'
