export { checkSignal } from './abort.js'
export { ApiRanges, type FeatureRange } from './api-ranges.js'
export type { Authenticate, OpeningSession } from './authenticate.js'
export { BrokerLink, type LinkPurpose } from './broker-link.js'
export { Cluster, type ClusterDeps } from './cluster.js'
export type { RequestBody, RequestOptions } from './control-plane.js'
export type { CoordinatorOptions, GroupRequestOptions } from './coordinators.js'
export type { BrokerEvent, ClusterEvents } from './events.js'
export type { BrokerAddress, WasSent } from './failures.js'
export { RING_SLOTS } from './in-flight-ring.js'
export { type ConnectionStats, NO_CONNECTIONS } from './links.js'
export type { HintEndpoint } from './metadata-cache.js'
export type { Dial } from './open-connection.js'
export { clusterOptionsOf } from './options-of.js'
export type { ApiName, ApiRequest, ApiResponse } from './pool/apis.js'
export { ConnectionPool } from './pool/connection-pool.js'
export type {
  ConnectionMeasures,
  ConnectionPoolEvents,
  ConnectionPoolState,
  GetConnectionOptions,
  PooledConnection,
  PooledRequestOptions,
  PoolStats,
} from './pool/pool-types.js'
export type { ConnectionSource } from './pool/stats.js'
export { judgeProduce, type ProduceAction, type ProduceVerdict } from './retry.js'
export { saslMechanismOf } from './sasl/authenticate-with.js'
export { converse, refusal } from './sasl/exchange.js'
export type { SaslExchange, SaslMechanism } from './sasl/mechanism.js'
export type { BrokerEndpoint, ClusterOptions } from './settings.js'
export type { PartitionMetadata, TopicMetadata } from './topic-metadata.js'
export type { WaitOptions } from './topic-waiters.js'
