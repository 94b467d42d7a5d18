/** The public names of tandem-mq, one by one. */
export type { ConsumerConfig, ProducerConfig, Serializer } from './config/index.js'
export {
  type Assignable,
  type AssignOptions,
  type CallbackResult,
  Consumer,
  type ConsumerEvents,
  type ConsumerMetrics,
  type OnBatch,
  type OnRecord,
  type PartitionAssignment,
  RecordView,
  type ResetEvent,
  type TopicPartition,
  type TruncationEvent,
} from './consumer/index.js'
export {
  ERROR_CODES,
  ERROR_REASONS,
  type ErrorCode,
  type ErrorContext,
  type ErrorFamily,
  type ErrorReason,
  isFamily,
  isFatalError,
  isRetryableError,
  MQError,
  newMQError,
  type Persistence,
} from './errors/index.js'
export {
  type BatchResult,
  type BatchToSend,
  type CloseReport,
  type DataLoss,
  type MessageToSend,
  murmur2,
  Producer,
  type ProducerEvents,
  type ProducerMetrics,
  type ProducerState,
  type RecordMetadata,
  type SendCallback,
  type SendOptions,
  type SendSyncOptions,
} from './producer/index.js'
export type { HeadersInput, HeaderValue } from './protocol/index.js'
export { type Clock, FakeClock, type Logger, type LogLevel, systemClock } from './util/index.js'
