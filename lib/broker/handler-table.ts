/**
 * Which apis have a handler, and what a broker offers of them.
 * Invariant: not implemented = not advertised; a range offered is served by schema and handler.
 */
import {
  AlterConfigs,
  type Api,
  ApiVersions,
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  CreatePartitions,
  CreateTopics,
  type DecodedRequestOf,
  DeleteGroups,
  DeleteRecords,
  DeleteTopics,
  DescribeCluster,
  DescribeConfigs,
  DescribeGroups,
  DescribeProducers,
  Fetch,
  FindCoordinator,
  Heartbeat,
  IncrementalAlterConfigs,
  InitProducerId,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetDelete,
  OffsetFetch,
  OffsetForLeaderEpoch,
  Produce,
  type ResponseOf,
  SaslAuthenticate,
  SaslHandshake,
  SyncGroup,
} from '../protocol/index.js'
import type { ClusterState, VersionSpan } from './cluster-state.js'
import { handleAlterConfigs, handleIncrementalAlterConfigs } from './handlers/alter-configs.js'
import { handleApiVersions } from './handlers/api-versions.js'
import { handleDescribeConfigs } from './handlers/configs.js'
import { handleConsumerGroupDescribe, handleConsumerGroupHeartbeat } from './handlers/consumer-groups.js'
import { handleFetch } from './handlers/fetch.js'
import {
  handleDeleteGroups,
  handleDescribeGroups,
  handleListGroups,
  handleOffsetDelete,
} from './handlers/group-admin.js'
import { handleFindCoordinator, handleOffsetCommit, handleOffsetFetch } from './handlers/groups.js'
import { handleHeartbeat, handleJoinGroup, handleLeaveGroup, handleSyncGroup } from './handlers/membership.js'
import { handleDescribeCluster, handleMetadata } from './handlers/metadata.js'
import { handleDeleteRecords, handleListOffsets, handleOffsetForLeaderEpoch } from './handlers/offsets.js'
import { handleProduce } from './handlers/produce.js'
import { handleDescribeProducers, handleInitProducerId } from './handlers/producers.js'
import { handleSaslAuthenticate, handleSaslHandshake } from './handlers/sasl.js'
import { handleCreatePartitions, handleCreateTopics, handleDeleteTopics } from './handlers/topic-admin.js'
import type { CLOSE, RequestContext } from './request-context.js'

/** A response body, `null` for no answer, or CLOSE. */
export type Reply = object | null | typeof CLOSE
type Handler = (body: never, context: RequestContext) => Reply | Promise<Reply>

interface Served {
  readonly api: Api
  readonly handle: Handler
}

function serve<A extends Api>(
  api: A,
  handle: (
    body: DecodedRequestOf<A>,
    context: RequestContext,
  ) => ResponseOf<A> | null | typeof CLOSE | Promise<ResponseOf<A> | null | typeof CLOSE>,
): Served {
  return { api, handle: handle as Handler }
}

const SERVED: ReadonlyMap<number, Served> = new Map(
  [
    serve(Produce, handleProduce),
    serve(Fetch, handleFetch),
    serve(ListOffsets, handleListOffsets),
    serve(Metadata, handleMetadata),
    serve(OffsetCommit, handleOffsetCommit),
    serve(OffsetFetch, handleOffsetFetch),
    serve(FindCoordinator, handleFindCoordinator),
    serve(JoinGroup, handleJoinGroup),
    serve(Heartbeat, handleHeartbeat),
    serve(LeaveGroup, handleLeaveGroup),
    serve(SyncGroup, handleSyncGroup),
    serve(DescribeGroups, handleDescribeGroups),
    serve(ListGroups, handleListGroups),
    serve(SaslHandshake, handleSaslHandshake),
    serve(ApiVersions, handleApiVersions),
    serve(CreateTopics, handleCreateTopics),
    serve(DeleteTopics, handleDeleteTopics),
    serve(DeleteRecords, handleDeleteRecords),
    serve(InitProducerId, handleInitProducerId),
    serve(OffsetForLeaderEpoch, handleOffsetForLeaderEpoch),
    serve(DescribeConfigs, handleDescribeConfigs),
    serve(AlterConfigs, handleAlterConfigs),
    serve(IncrementalAlterConfigs, handleIncrementalAlterConfigs),
    serve(SaslAuthenticate, handleSaslAuthenticate),
    serve(CreatePartitions, handleCreatePartitions),
    serve(DeleteGroups, handleDeleteGroups),
    serve(OffsetDelete, handleOffsetDelete),
    serve(DescribeCluster, handleDescribeCluster),
    serve(DescribeProducers, handleDescribeProducers),
    serve(ConsumerGroupHeartbeat, handleConsumerGroupHeartbeat),
    serve(ConsumerGroupDescribe, handleConsumerGroupDescribe),
  ].map((served) => [served.api.key, served]),
)

/** Kafka 4.x lists Produce from 0 for the sake of an old library, and closes the connection on what it cannot serve. */
const LISTED_PRODUCE_MINIMUM = 0

export interface OfferedApi {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

/** Names of the apis that can be given other versions on command. */
export function servedApiNames(): string[] {
  return [...SERVED.values()].map(({ api }) => api.name)
}

/** What is really served; undefined: not at all. */
export function servedVersions(apiKey: number, cluster: ClusterState): VersionSpan | undefined {
  const served = SERVED.get(apiKey)
  if (served === undefined) return undefined
  const { api } = served
  const override = cluster.versionOverrides.get(api.name)
  if (override !== undefined) return override ?? undefined
  const highest = cluster.profile.highest[api.name]
  if (highest === undefined || api.broker === undefined) return undefined
  return { min: api.broker.min, max: Math.min(api.broker.max, highest) }
}

export function offeredApis(cluster: ClusterState): OfferedApi[] {
  return [...SERVED.values()].flatMap(({ api }) => {
    const span = servedVersions(api.key, cluster)
    if (span === undefined) return []
    const isListedLower = api.key === Produce.key && !cluster.versionOverrides.has(api.name)
    return [{ apiKey: api.key, minVersion: isListedLower ? LISTED_PRODUCE_MINIMUM : span.min, maxVersion: span.max }]
  })
}

export function handlerOf(apiKey: number): Handler {
  return (SERVED.get(apiKey) as Served).handle
}
