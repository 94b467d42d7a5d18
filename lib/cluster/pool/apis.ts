/**
 * Kafka's requests by name, as users of a lent connection write them: `request('Metadata', { topics: null })`.
 * Why by name: schemas are no part of the public surface, yet their types are worth having.
 * Left out: SASL, which belongs to the opening of a connection, and what this client has no negotiated versions for.
 */
import { MQError } from '../../errors/index.js'
import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  AlterConfigs,
  type Api,
  ApiVersions,
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  CreatePartitions,
  CreateTopics,
  type DecodedResponseOf,
  DeleteGroups,
  DeleteRecords,
  DeleteTopics,
  DescribeCluster,
  DescribeConfigs,
  DescribeGroups,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  Fetch,
  FindCoordinator,
  Heartbeat,
  IncrementalAlterConfigs,
  InitProducerId,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  ListOffsets,
  ListTransactions,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  OffsetForLeaderEpoch,
  Produce,
  type RequestOf,
  SyncGroup,
  TxnOffsetCommit,
} from '../../protocol/index.js'

export const APIS = {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  AlterConfigs,
  ApiVersions,
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  CreatePartitions,
  CreateTopics,
  DeleteGroups,
  DeleteRecords,
  DeleteTopics,
  DescribeCluster,
  DescribeConfigs,
  DescribeGroups,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  Fetch,
  FindCoordinator,
  Heartbeat,
  IncrementalAlterConfigs,
  InitProducerId,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  ListOffsets,
  ListTransactions,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  OffsetForLeaderEpoch,
  Produce,
  SyncGroup,
  TxnOffsetCommit,
} as const

/** Name of a request, as Kafka's protocol guide writes it. */
export type ApiName = keyof typeof APIS

/** What a request takes: fields with a default may be left out. */
export type ApiRequest<N extends ApiName> = RequestOf<(typeof APIS)[N]>

/** What comes back: every field is there. Its error codes are yours to judge. */
export type ApiResponse<N extends ApiName> = DecodedResponseOf<(typeof APIS)[N]>

/** The schema of a name, or the schema itself; INVALID_CONFIG for anything else. */
export function schemaOf(api: ApiName | Api): Api {
  if (typeof api === 'string' && Object.hasOwn(APIS, api)) return APIS[api]
  if (typeof api === 'object' && api !== null && typeof api.key === 'number') return api
  const text = `expected the name of a request (${Object.keys(APIS).join(', ')}), got ${String(api)}`
  throw new MQError('INVALID_CONFIG', text, { api: String(api), wasSent: 'no' })
}
