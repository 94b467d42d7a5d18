/** Metadata and DescribeCluster: who is there, and who leads what. */
import {
  type DecodedRequestOf,
  type DescribeCluster,
  type Metadata,
  type ResponseOf,
  ZERO_UUID,
} from '../../protocol/index.js'
import type { Replicas } from '../replicas.js'
import { codeAfter, codeBefore, type RequestContext } from '../request-context.js'
import { isLegalName, type Topic } from '../topics.js'

type Request = DecodedRequestOf<typeof Metadata>
type TopicResponse = NonNullable<ResponseOf<typeof Metadata>['topics']>[number]

const UNKNOWN_TOPIC_OR_PARTITION = 3
const LEADER_NOT_AVAILABLE = 5
const INVALID_TOPIC = 17
const UNKNOWN_TOPIC_ID = 100
/** The one error of Metadata that concerns no topic. */
const REBOOTSTRAP_REQUIRED = 129
/** First version that has an error code of its own. */
const TOP_LEVEL_ERROR = 13

export function handleMetadata(request: Request, context: RequestContext): ResponseOf<typeof Metadata> {
  const { cluster } = context
  const forced = codeBefore(context) || codeAfter(context, 0)
  const errorCode = context.version >= TOP_LEVEL_ERROR && forced === REBOOTSTRAP_REQUIRED ? forced : 0
  return {
    brokers: cluster.alive().map(({ brokerId, host, port, rack }) => ({ nodeId: brokerId, host, port, rack })),
    clusterId: cluster.clusterId,
    controllerId: cluster.controllerId,
    topics: errorCode === 0 ? topicsOf(request, context) : [],
    errorCode,
  }
}

function topicsOf(request: Request, context: RequestContext): TopicResponse[] {
  const { topics } = context.cluster
  const isAll = request.topics === null || (context.version === 0 && request.topics.length === 0)
  if (isAll) return topics.all().map((topic) => describe(topic, context))
  return (request.topics ?? []).map(({ name, topicId }) => {
    if (name === null) {
      const topic = topics.byId(topicId)
      return topic === undefined ? absent(null, topicId, UNKNOWN_TOPIC_ID, context) : describe(topic, context)
    }
    const topic = topics.byName(name) ?? created(name, request.allowAutoTopicCreation, context)
    if (topic !== undefined) return describe(topic, context)
    return absent(name, ZERO_UUID, isLegalName(name) ? UNKNOWN_TOPIC_OR_PARTITION : INVALID_TOPIC, context)
  })
}

/** As in Kafka the first answer does not show the new topic's leaders; here they are there at once. */
function created(name: string, isAllowed: boolean, context: RequestContext): Topic | undefined {
  const isOn = isAllowed && context.cluster.config.flag('auto.create.topics.enable')
  return isOn && isLegalName(name) ? context.cluster.topics.create(name) : undefined
}

function absent(name: string | null, topicId: string, code: number, context: RequestContext): TopicResponse {
  const forced = name === null ? 0 : forcedFor(name, context)
  return { errorCode: forced || code, name, topicId, partitions: [] }
}

function forcedFor(name: string, context: RequestContext): number {
  return codeBefore(context, name) || codeAfter(context, 0, name)
}

function describe(topic: Topic, context: RequestContext): TopicResponse {
  const errorCode = forcedFor(topic.name, context)
  const { hasTopicIds } = context.cluster.profile
  return {
    errorCode,
    name: topic.name,
    topicId: hasTopicIds ? topic.topicId : ZERO_UUID,
    partitions: errorCode === 0 ? topic.partitions.map(describePartition) : [],
  }
}

function describePartition(partition: Replicas, index: number): TopicResponse['partitions'][number] {
  return {
    errorCode: partition.leaderId < 0 ? LEADER_NOT_AVAILABLE : 0,
    partitionIndex: index,
    leaderId: partition.leaderId,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.isr,
    offlineReplicas: partition.offline,
  }
}

export function handleDescribeCluster(
  _request: DecodedRequestOf<typeof DescribeCluster>,
  context: RequestContext,
): ResponseOf<typeof DescribeCluster> {
  const { cluster } = context
  const errorCode = codeAfter(context, codeBefore(context))
  return {
    throttleTimeMs: 0,
    errorCode,
    clusterId: cluster.clusterId,
    controllerId: cluster.controllerId,
    brokers: cluster.alive().map(({ brokerId, host, port, rack }) => ({ brokerId, host, port, rack })),
  }
}
