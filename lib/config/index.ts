/** The door of `config`: field tables, merge and check; clients consume the resolved forms. */
export { type BrokerEndpoint, parseBroker, parseBrokers } from './brokers.js'
export type {
  ConnectionSettings,
  MetricsSettings,
  PerformanceSettings,
  ResolvedClientConfig,
  SaslAuthenticator,
  SaslMechanism,
  SaslSettings,
  SecurityProtocol,
  SslSettings,
  TraceSettings,
} from './client-types.js'
export type {
  AssignorName,
  AutoOffsetReset,
  DedupSettings,
  Deserializer,
  GroupProtocol,
  IsolationLevel,
  OnErrorPolicy,
  ReadMode,
  ResolvedConsumerConfig,
} from './consumer-types.js'
export type { ClientConfig, ConsumerConfig, MQConfig, ProducerConfig, ResolvedConfig } from './input-types.js'
export type { ConfigIssue, ConfigWarning } from './issues.js'
export type {
  AdaptiveBatchSettings,
  CircuitBreakerSettings,
  CompressionName,
  OnFullPolicy,
  PartitionerFunction,
  ResolvedProducerConfig,
  Serializer,
  SwitchStatsView,
  SwitchStrategyFunction,
  TopicOverrides,
} from './producer-types.js'
export {
  configWarnings,
  defaultConfig,
  defaultConsumerConfig,
  defaultProducerConfig,
  mergeWithDefaults,
  resolveClientConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveProducerConfig,
} from './resolve.js'
