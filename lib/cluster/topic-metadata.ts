/**
 * What we know of a topic, as its users see it: immutable, replaced as a whole.
 * Invariant: `partitions[n].partition === n`. An error concerns this topic alone; what was known before stays visible
 * beside it, because one broker that lags behind must not take leaders away from everybody.
 */
export interface PartitionMetadata {
  readonly partition: number
  /** Kafka's number; 0 = none. 9 and 72 do not hide the leader. */
  readonly errorCode: number
  /** -1: none at present. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export interface TopicMetadata {
  readonly name: string
  /** ZERO_UUID: the cluster does not tell (before 2.8), or the topic is not known yet. */
  readonly topicId: string
  readonly isInternal: boolean
  /** Kafka's number of the last answer; 0 = none. */
  readonly errorCode: number
  readonly partitions: readonly PartitionMetadata[]
}
