/**
 * What each imitated Kafka version offers: api versions, and the rules that changed over time.
 * Why data: a client negotiates by these numbers, so a wrong one hides a whole code path from every test.
 * Invariant: a range is cut to what the schemas know and to the apis that have a handler; not implemented = not offered.
 * Source: the message definitions of the Apache Kafka releases named.
 */
import type { UnknownProducerRule } from './producer-state.js'
import type { ConfigMap } from './topic-config.js'

export type ProfileName = '2.1' | '2.4' | '2.8' | '3.9' | '4.1' | '4.5'

export interface Profile {
  /** Highest version per api name; an api that is missing does not exist yet. */
  readonly highest: Readonly<Record<string, number>>
  readonly unknownProducer: UnknownProducerRule
  /** Broker settings whose default differs from today's. */
  readonly defaults: ConfigMap
  /** Topics have ids (KIP-516). */
  readonly hasTopicIds: boolean
  /** An answer of ApiVersions carries features (KIP-584). */
  readonly features: readonly { readonly name: string; readonly maxVersion: number; readonly level: number }[]
}

const KAFKA_2_1 = {
  Produce: 7,
  Fetch: 10,
  ListOffsets: 4,
  Metadata: 7,
  OffsetCommit: 6,
  OffsetFetch: 5,
  FindCoordinator: 2,
  JoinGroup: 3,
  Heartbeat: 2,
  LeaveGroup: 2,
  SyncGroup: 2,
  DescribeGroups: 2,
  ListGroups: 2,
  DeleteGroups: 1,
  SaslHandshake: 1,
  ApiVersions: 2,
  CreateTopics: 3,
  DeleteTopics: 3,
  DeleteRecords: 1,
  InitProducerId: 1,
  OffsetForLeaderEpoch: 2,
  DescribeConfigs: 2,
  AlterConfigs: 1,
  SaslAuthenticate: 0,
  CreatePartitions: 1,
}

const KAFKA_2_4 = {
  ...KAFKA_2_1,
  Produce: 8,
  Fetch: 11,
  ListOffsets: 5,
  Metadata: 9,
  OffsetCommit: 8,
  OffsetFetch: 6,
  FindCoordinator: 3,
  JoinGroup: 6,
  Heartbeat: 4,
  LeaveGroup: 4,
  SyncGroup: 4,
  DescribeGroups: 5,
  ListGroups: 3,
  DeleteGroups: 2,
  OffsetDelete: 0,
  IncrementalAlterConfigs: 1,
  ApiVersions: 3,
  CreateTopics: 5,
  DeleteTopics: 4,
  InitProducerId: 2,
  OffsetForLeaderEpoch: 3,
  SaslAuthenticate: 1,
}

const KAFKA_2_8 = {
  ...KAFKA_2_4,
  Produce: 9,
  Fetch: 12,
  ListOffsets: 6,
  Metadata: 11,
  OffsetFetch: 7,
  JoinGroup: 7,
  SyncGroup: 5,
  ListGroups: 4,
  CreateTopics: 7,
  DeleteTopics: 6,
  DeleteRecords: 2,
  InitProducerId: 4,
  OffsetForLeaderEpoch: 4,
  DescribeConfigs: 4,
  AlterConfigs: 2,
  SaslAuthenticate: 2,
  CreatePartitions: 3,
  DescribeCluster: 0,
  DescribeProducers: 0,
}

const KAFKA_3_9 = {
  ...KAFKA_2_8,
  Produce: 11,
  Fetch: 17,
  ListOffsets: 9,
  Metadata: 12,
  OffsetCommit: 9,
  OffsetFetch: 9,
  FindCoordinator: 6,
  JoinGroup: 9,
  LeaveGroup: 5,
  ListGroups: 5,
  ApiVersions: 4,
  InitProducerId: 5,
  DescribeCluster: 1,
}

const KAFKA_4_1 = {
  ...KAFKA_3_9,
  Produce: 13,
  Fetch: 18,
  ListOffsets: 10,
  Metadata: 13,
  DescribeGroups: 6,
  DescribeCluster: 2,
  ConsumerGroupHeartbeat: 1,
  ConsumerGroupDescribe: 1,
}

/** Before 4.0 a broker took any record timestamp and 1,000,012 bytes. */
const BEFORE_4: ConfigMap = { 'log.message.timestamp.after.max.ms': '9223372036854775807' }
const BEFORE_2_5: ConfigMap = { ...BEFORE_4, 'message.max.bytes': 1_000_012 }

const FEATURES_4 = [
  { name: 'group.version', maxVersion: 1, level: 1 },
  { name: 'metadata.version', maxVersion: 27, level: 27 },
  { name: 'transaction.version', maxVersion: 2, level: 0 },
]

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  '2.1': { highest: KAFKA_2_1, unknownProducer: 'refuse59', defaults: BEFORE_2_5, hasTopicIds: false, features: [] },
  '2.4': { highest: KAFKA_2_4, unknownProducer: 'refuse59', defaults: BEFORE_2_5, hasTopicIds: false, features: [] },
  '2.8': { highest: KAFKA_2_8, unknownProducer: 'accept', defaults: BEFORE_4, hasTopicIds: true, features: [] },
  '3.9': { highest: KAFKA_3_9, unknownProducer: 'accept', defaults: BEFORE_4, hasTopicIds: true, features: [] },
  '4.1': { highest: KAFKA_4_1, unknownProducer: 'accept', defaults: {}, hasTopicIds: true, features: FEATURES_4 },
  '4.5': {
    highest: KAFKA_4_1,
    unknownProducer: 'refuse45WhenLogIsNew',
    defaults: {},
    hasTopicIds: true,
    features: FEATURES_4,
  },
}
