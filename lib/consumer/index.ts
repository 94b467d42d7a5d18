/** The door of `consumer`: reading assigned partitions; groups follow. */
export type { Assignable, AssignOptions, PartitionAssignment } from './assignment.js'
export { Consumer, type ConsumerDeps, type ConsumerState, type OnBatch, type OnRecord } from './consumer.js'
export type { CallbackResult, TopicPartition } from './cursor.js'
export type { DeadLetterOptions, DeadLetterSink } from './dead-letter.js'
export type { ConsumerEvents, ResetEvent, TruncationEvent, WarningEvent } from './events.js'
export type { ConsumerMetrics } from './metrics.js'
export type { ConsumerCluster, FetchLink, TopicInfo } from './ports.js'
export { RecordView } from './record-view.js'
