/** The door of `consumer`: reading partitions, of a group or assigned. */
export type { Assignable, AssignOptions, PartitionAssignment } from './assignment.js'
export type { CommitTarget, OffsetsToCommit } from './commits.js'
export {
  Consumer,
  type ConsumerDeps,
  type ConsumerState,
  type OnBatch,
  type OnRecord,
  type ReadsKeys,
  type ReadsValues,
  type Topics,
} from './consumer.js'
export type { CallbackResult, TopicPartition } from './cursor.js'
export type { DeadLetterOptions, DeadLetterSink } from './delivery/dead-letter.js'
export type {
  ConsumerEvents,
  LostEvent,
  PartitionsEvent,
  ResetEvent,
  TruncationEvent,
  WarningEvent,
} from './events.js'
export type { CommittedOffset, OffsetToCommit } from './group/offsets/offsets.js'
export type { MemberState } from './group/ports.js'
export type { SubscribeOptions } from './group/session.js'
export type { ConsumerMeasures, PartitionMeasures } from './measures.js'
export type { ConsumerMetrics } from './metrics.js'
export type { ConsumerCluster, FetchLink, GroupCluster, TopicInfo } from './ports.js'
export type { PullOptions } from './pull/waiting.js'
export type { Selection } from './reading.js'
export { RecordView } from './records/record-view.js'
