/**
 * All apis that have a schema, and the way from a key on the wire to one of them.
 * Why a list: readers of frames, version negotiation and conformance tests go over apis that nobody names one by one.
 * Invariant: one entry per key, ascending.
 */

import { CreateAcls, DeleteAcls, DescribeAcls } from './messages/acls.js'
import { AddOffsetsToTxn } from './messages/add-offsets-to-txn.js'
import { AddPartitionsToTxn } from './messages/add-partitions-to-txn.js'
import { AlterConfigs } from './messages/alter-configs.js'
import { ApiVersions } from './messages/api-versions.js'
import { AlterClientQuotas, DescribeClientQuotas } from './messages/client-quotas.js'
import { ConsumerGroupDescribe } from './messages/consumer-group-describe.js'
import { ConsumerGroupHeartbeat } from './messages/consumer-group-heartbeat.js'
import { CreatePartitions } from './messages/create-partitions.js'
import { CreateTopics } from './messages/create-topics.js'
import { DeleteGroups } from './messages/delete-groups.js'
import { DeleteRecords } from './messages/delete-records.js'
import { DeleteTopics } from './messages/delete-topics.js'
import { DescribeCluster } from './messages/describe-cluster.js'
import { DescribeConfigs } from './messages/describe-configs.js'
import { DescribeGroups } from './messages/describe-groups.js'
import { DescribeProducers } from './messages/describe-producers.js'
import { DescribeQuorum } from './messages/describe-quorum.js'
import { DescribeTopicPartitions } from './messages/describe-topic-partitions.js'
import { DescribeTransactions } from './messages/describe-transactions.js'
import { ElectLeaders } from './messages/elect-leaders.js'
import { EndTxn } from './messages/end-txn.js'
import { Fetch } from './messages/fetch.js'
import { FindCoordinator } from './messages/find-coordinator.js'
import { Heartbeat } from './messages/heartbeat.js'
import { IncrementalAlterConfigs } from './messages/incremental-alter-configs.js'
import { InitProducerId } from './messages/init-producer-id.js'
import { JoinGroup } from './messages/join-group.js'
import { LeaveGroup } from './messages/leave-group.js'
import { ListConfigResources } from './messages/list-config-resources.js'
import { ListGroups } from './messages/list-groups.js'
import { ListOffsets } from './messages/list-offsets.js'
import { ListTransactions } from './messages/list-transactions.js'
import { AlterReplicaLogDirs, DescribeLogDirs } from './messages/log-dirs.js'
import { Metadata } from './messages/metadata.js'
import { OffsetCommit } from './messages/offset-commit.js'
import { OffsetDelete } from './messages/offset-delete.js'
import { OffsetFetch } from './messages/offset-fetch.js'
import { OffsetForLeaderEpoch } from './messages/offset-for-leader-epoch.js'
import { AlterPartitionReassignments, ListPartitionReassignments } from './messages/partition-reassignments.js'
import { Produce } from './messages/produce.js'
import { SaslAuthenticate, SaslHandshake } from './messages/sasl.js'
import { AlterUserScramCredentials, DescribeUserScramCredentials } from './messages/scram-credentials.js'
import { SyncGroup } from './messages/sync-group.js'
import { GetTelemetrySubscriptions, PushTelemetry } from './messages/telemetry.js'
import { TxnOffsetCommit } from './messages/txn-offset-commit.js'
import { UnregisterBroker } from './messages/unregister-broker.js'
import { UpdateFeatures } from './messages/update-features.js'
import { WriteTxnMarkers } from './messages/write-txn-markers.js'
import type { Api } from './schema.js'

/** Every api with a schema, ascending by key. */
export const ALL_APIS: readonly Api[] = Object.freeze([
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  JoinGroup,
  Heartbeat,
  LeaveGroup,
  SyncGroup,
  DescribeGroups,
  ListGroups,
  SaslHandshake,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  DeleteRecords,
  InitProducerId,
  OffsetForLeaderEpoch,
  AddPartitionsToTxn,
  AddOffsetsToTxn,
  EndTxn,
  WriteTxnMarkers,
  TxnOffsetCommit,
  DescribeAcls,
  CreateAcls,
  DeleteAcls,
  DescribeConfigs,
  AlterConfigs,
  AlterReplicaLogDirs,
  DescribeLogDirs,
  SaslAuthenticate,
  CreatePartitions,
  DeleteGroups,
  ElectLeaders,
  IncrementalAlterConfigs,
  AlterPartitionReassignments,
  ListPartitionReassignments,
  OffsetDelete,
  DescribeClientQuotas,
  AlterClientQuotas,
  DescribeUserScramCredentials,
  AlterUserScramCredentials,
  DescribeQuorum,
  UpdateFeatures,
  DescribeCluster,
  DescribeProducers,
  UnregisterBroker,
  DescribeTransactions,
  ListTransactions,
  ConsumerGroupHeartbeat,
  ConsumerGroupDescribe,
  GetTelemetrySubscriptions,
  PushTelemetry,
  ListConfigResources,
  DescribeTopicPartitions,
])

const byKey: readonly (Api | undefined)[] = ALL_APIS.reduce<(Api | undefined)[]>((list, api) => {
  list[api.key] = api
  return list
}, [])

/** The api of a key, or undefined when there is no schema for it. */
export function apiOf(key: number): Api | undefined {
  return byKey[key]
}
