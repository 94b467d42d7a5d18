export { ALL_APIS, apiOf } from './apis.js'
export type { BatchHeader, Decompress } from './batch-header.js'
export { readBatchHeader, recordsOf } from './batch-reader.js'
export { ByteReader } from './byte-reader.js'
export { ByteWriter } from './byte-writer.js'
export { type CompileOptions, compile, type MessageCodec } from './compile.js'
export { type ControlRecord, readControlRecord } from './control-record.js'
export { corruptBatch } from './corrupt-batch.js'
export { brokerError, type KafkaError, type KafkaErrorKind, kafkaError } from './error-codes.js'
export {
  correlationIdOf,
  type DecodedRequest,
  type DecodedResponse,
  type DecodeOptions,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type RequestHeader,
  requestHeaderVersion,
  responseHeaderVersion,
} from './frames.js'
export { CreateAcls, DeleteAcls, DescribeAcls } from './messages/acls.js'
export { AddOffsetsToTxn } from './messages/add-offsets-to-txn.js'
export { AddPartitionsToTxn } from './messages/add-partitions-to-txn.js'
export { AlterConfigs } from './messages/alter-configs.js'
export { ApiVersions } from './messages/api-versions.js'
export { AlterClientQuotas, DescribeClientQuotas } from './messages/client-quotas.js'
export { ConsumerGroupDescribe } from './messages/consumer-group-describe.js'
export { ConsumerGroupHeartbeat } from './messages/consumer-group-heartbeat.js'
export { CreatePartitions } from './messages/create-partitions.js'
export { CreateTopics } from './messages/create-topics.js'
export { DeleteGroups } from './messages/delete-groups.js'
export { DeleteRecords } from './messages/delete-records.js'
export { DeleteTopics } from './messages/delete-topics.js'
export { DescribeCluster } from './messages/describe-cluster.js'
export { DescribeConfigs } from './messages/describe-configs.js'
export { DescribeGroups } from './messages/describe-groups.js'
export { DescribeProducers } from './messages/describe-producers.js'
export { DescribeQuorum } from './messages/describe-quorum.js'
export { DescribeTopicPartitions } from './messages/describe-topic-partitions.js'
export { DescribeTransactions } from './messages/describe-transactions.js'
export { ElectLeaders } from './messages/elect-leaders.js'
export { EndTxn } from './messages/end-txn.js'
export { Fetch } from './messages/fetch.js'
export { FindCoordinator } from './messages/find-coordinator.js'
export { Heartbeat } from './messages/heartbeat.js'
export { IncrementalAlterConfigs } from './messages/incremental-alter-configs.js'
export { InitProducerId } from './messages/init-producer-id.js'
export { JoinGroup } from './messages/join-group.js'
export { LeaveGroup } from './messages/leave-group.js'
export { ListConfigResources } from './messages/list-config-resources.js'
export { ListGroups } from './messages/list-groups.js'
export { ListOffsets } from './messages/list-offsets.js'
export { ListTransactions } from './messages/list-transactions.js'
export { AlterReplicaLogDirs, DescribeLogDirs } from './messages/log-dirs.js'
export { Metadata } from './messages/metadata.js'
export { OffsetCommit } from './messages/offset-commit.js'
export { OffsetDelete } from './messages/offset-delete.js'
export { OffsetFetch } from './messages/offset-fetch.js'
export { OffsetForLeaderEpoch } from './messages/offset-for-leader-epoch.js'
export { AlterPartitionReassignments, ListPartitionReassignments } from './messages/partition-reassignments.js'
export { Produce } from './messages/produce.js'
export { SaslAuthenticate, SaslHandshake } from './messages/sasl.js'
export { AlterUserScramCredentials, DescribeUserScramCredentials } from './messages/scram-credentials.js'
export { SyncGroup } from './messages/sync-group.js'
export { GetTelemetrySubscriptions, PushTelemetry } from './messages/telemetry.js'
export { TxnOffsetCommit } from './messages/txn-offset-commit.js'
export { UnregisterBroker } from './messages/unregister-broker.js'
export { UpdateFeatures } from './messages/update-features.js'
export { WriteTxnMarkers } from './messages/write-txn-markers.js'
export { type ReadBatch, type ReadRecord, readBatches, readRecords } from './read-batches.js'
export { RecordCursor, type RecordHeader, readHeaders } from './record-reader.js'
export {
  BATCH_HEADER_BYTES,
  type BatchFacts,
  bytesLength,
  type HeaderPairs,
  type HeadersInput,
  type HeaderValue,
  headersBytes,
  type RecordBytes,
  recordBodyBytes,
  varintBytes,
  varlongBytes,
  writeBatchCrc,
  writeBatchHeader,
  writeIdentity,
  writeInt64,
  writeRecord,
} from './record-writer.js'
export type {
  Api,
  DecodedOf,
  DecodedRequestOf,
  DecodedResponseOf,
  Field,
  Fields,
  InputOf,
  Message,
  RecordSegments,
  RequestOf,
  ResponseOf,
} from './schema.js'
export { randomUuid, ZERO_UUID } from './uuid.js'
export { formatRange, inRange, parseRange, type VersionRange } from './version-range.js'
