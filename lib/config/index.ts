/** The door of `config`: field tables, merge and check; clients consume the resolved forms. */
export { type BrokerEndpoint, parseBroker, parseBrokers } from './brokers.js'
export type {
  ConnectionSettings,
  PerformanceSettings,
  PresetName,
  ResolvedClientConfig,
  SaslAuthenticator,
  SaslMechanism,
  SaslRound,
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
export type { GatewaySettings, GatewayTlsSettings, SlowClientPolicy } from './gateway-types.js'
export type {
  ClientConfig,
  ConsumerConfig,
  MQConfig,
  ProducerConfig,
  ProducerUpdate,
  ResolvedConfig,
} from './input-types.js'
export type { ConfigIssue, ConfigWarning } from './issues.js'
export { type ListenAddress, parseListenAddress } from './listen-address.js'
export type {
  AlertSettings,
  HistogramTotals,
  MetricLabels,
  MetricsSettings,
  MetricsSink,
  MonitoringSettings,
} from './metrics-types.js'
export type { PoolSettings } from './pool-types.js'
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
export { type QueuePreset, queuePreset } from './queue-presets.js'
export type {
  QueueAdaptiveSettings,
  QueueBreakerSettings,
  QueueInput,
  QueueLogSettings,
  QueueOverflow,
  QueueSettings,
} from './queue-types.js'
export {
  clientWarnings,
  configWarnings,
  defaultConfig,
  defaultConsumerConfig,
  defaultProducerConfig,
  logWarnings,
  mergeWithDefaults,
  resolveClientConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveFurtherConsumer,
  resolveFurtherProducer,
  resolveProducerConfig,
  resolveProducerUpdate,
} from './resolve.js'
export { resolveGatewayOptions } from './resolve-gateway.js'
export { resolveQueueOptions } from './resolve-queue.js'
export type { WalDurability, WalSettings } from './wal-types.js'
