/** CreateTopics, DeleteTopics, CreatePartitions: any broker answers, as a broker that forwards to its controller does. */
import {
  type CreatePartitions,
  type CreateTopics,
  type DecodedRequestOf,
  type DeleteTopics,
  type ResponseOf,
  ZERO_UUID,
} from '../../protocol/index.js'
import { codeAfter, forcedError, type RequestContext } from '../request-context.js'
import { TopicConfig } from '../topic-config.js'
import { isLegalName, type Topic } from '../topics.js'

type NewTopic = DecodedRequestOf<typeof CreateTopics>['topics'][number]
type CreatedTopic = ResponseOf<typeof CreateTopics>['topics'][number]
type MorePartitions = DecodedRequestOf<typeof CreatePartitions>['topics'][number]

const UNKNOWN_TOPIC_OR_PARTITION = 3
const INVALID_TOPIC = 17
const TOPIC_ALREADY_EXISTS = 36
const INVALID_PARTITIONS = 37
const INVALID_REPLICATION_FACTOR = 38
const INVALID_REPLICA_ASSIGNMENT = 39
const INVALID_CONFIG = 40
const UNKNOWN_TOPIC_ID = 100
/** -1 in a request: take the broker's setting (CreateTopics >= 4). */
const BY_BROKER = -1
const DYNAMIC_TOPIC_CONFIG = 1
const DEFAULT_CONFIG = 5
/** First version of DeleteTopics that names topics by id. */
const DELETE_BY_ID = 6

export function handleCreateTopics(
  request: DecodedRequestOf<typeof CreateTopics>,
  context: RequestContext,
): ResponseOf<typeof CreateTopics> {
  return { topics: request.topics.map((topic) => createOne(topic, request.validateOnly, context)) }
}

function createOne(asked: NewTopic, validateOnly: boolean, context: RequestContext): CreatedTopic {
  const forced = forcedError(context, 'before', asked.name)
  const problem = forced === undefined ? problemOf(asked, context) : { code: forced.code, message: forced.message }
  if (problem !== null) return { name: asked.name, errorCode: problem.code, errorMessage: problem.message }
  const { topics } = context.cluster
  if (validateOnly) return { name: asked.name, errorCode: 0, errorMessage: null }
  const topic = topics.create(asked.name, {
    configs: Object.fromEntries(asked.configs.map(({ name, value }) => [name, value ?? ''])),
    ...countsOf(asked),
  })
  return { ...describeCreated(topic), errorCode: codeAfter(context, 0, asked.name) }
}

function countsOf(asked: NewTopic): { assignments?: number[][]; partitions?: number; replicationFactor?: number } {
  if (asked.assignments.length > 0) {
    const sorted = [...asked.assignments].sort((a, b) => a.partitionIndex - b.partitionIndex)
    return { assignments: sorted.map(({ brokerIds }) => [...brokerIds]) }
  }
  return {
    ...(asked.numPartitions === BY_BROKER ? {} : { partitions: asked.numPartitions }),
    ...(asked.replicationFactor === BY_BROKER ? {} : { replicationFactor: asked.replicationFactor }),
  }
}

interface Problem {
  readonly code: number
  readonly message: string | null
}

function problemOf(asked: NewTopic, context: RequestContext): Problem | null {
  const { cluster } = context
  if (!isLegalName(asked.name)) return { code: INVALID_TOPIC, message: `${asked.name} is no topic name` }
  if (cluster.topics.byName(asked.name) !== undefined) {
    return { code: TOPIC_ALREADY_EXISTS, message: `${asked.name} exists already` }
  }
  const unknown = asked.configs.find(({ name }) => !TopicConfig.isKnown(name))
  if (unknown !== undefined) return { code: INVALID_CONFIG, message: `topics have no setting ${unknown.name}` }
  if (asked.assignments.length > 0) return assignmentProblem(asked, context)
  if (asked.numPartitions !== BY_BROKER && asked.numPartitions < 1) {
    return { code: INVALID_PARTITIONS, message: `a topic has 1 partition or more, ${asked.numPartitions} came` }
  }
  const brokers = cluster.alive().length
  if (asked.replicationFactor !== BY_BROKER && (asked.replicationFactor < 1 || asked.replicationFactor > brokers)) {
    const message = `replication factor ${asked.replicationFactor} with ${brokers} brokers`
    return { code: INVALID_REPLICATION_FACTOR, message }
  }
  return null
}

function assignmentProblem(asked: NewTopic, context: RequestContext): Problem | null {
  const isDense = asked.assignments.every((_, index) => asked.assignments.some((one) => one.partitionIndex === index))
  const isKnown = asked.assignments.every(
    ({ brokerIds }) => brokerIds.length > 0 && brokerIds.every((id) => context.cluster.broker(id) !== undefined),
  )
  if (isDense && isKnown) return null
  return { code: INVALID_REPLICA_ASSIGNMENT, message: 'assign partitions 0..n-1 to brokers that exist' }
}

function describeCreated(topic: Topic): Omit<CreatedTopic, 'errorCode'> {
  return {
    name: topic.name,
    topicId: topic.topicId,
    errorMessage: null,
    numPartitions: topic.partitions.length,
    replicationFactor: topic.partitions[0]?.replicas.length ?? 0,
    configs: topic.config.entries().map(({ name, value, isDefault }) => ({
      name,
      value,
      readOnly: false,
      configSource: isDefault ? DEFAULT_CONFIG : DYNAMIC_TOPIC_CONFIG,
      isSensitive: false,
    })),
  }
}

export function handleDeleteTopics(
  request: DecodedRequestOf<typeof DeleteTopics>,
  context: RequestContext,
): ResponseOf<typeof DeleteTopics> {
  const asked =
    context.version >= DELETE_BY_ID ? request.topics : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))
  return { responses: asked.map(({ name, topicId }) => deleteOne(name, topicId, context)) }
}

function deleteOne(
  name: string | null,
  topicId: string,
  context: RequestContext,
): NonNullable<ResponseOf<typeof DeleteTopics>['responses']>[number] {
  const { topics, offsets } = context.cluster
  const topic = name === null ? topics.byId(topicId) : topics.byName(name)
  const answered = { name: topic?.name ?? name, topicId: topic?.topicId ?? topicId }
  const forced = forcedError(context, 'before', answered.name ?? undefined)
  if (forced !== undefined) return { ...answered, errorCode: forced.code, errorMessage: forced.message }
  if (topic === undefined) {
    return { ...answered, errorCode: name === null ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION }
  }
  topics.delete(topic.name)
  offsets.forgetTopic(topic.name)
  return { ...answered, errorCode: codeAfter(context, 0, topic.name) }
}

export function handleCreatePartitions(
  request: DecodedRequestOf<typeof CreatePartitions>,
  context: RequestContext,
): ResponseOf<typeof CreatePartitions> {
  const results = request.topics.map((asked) => {
    const problem = growthProblem(asked, context)
    if (problem !== null) return { name: asked.name, errorCode: problem.code, errorMessage: problem.message }
    const assignments = asked.assignments?.map(({ brokerIds }) => brokerIds)
    if (!request.validateOnly) context.cluster.topics.addPartitions(asked.name, asked.count, assignments)
    return { name: asked.name, errorCode: codeAfter(context, 0, asked.name) }
  })
  return { throttleTimeMs: 0, results }
}

function growthProblem(asked: MorePartitions, context: RequestContext): Problem | null {
  const forced = forcedError(context, 'before', asked.name)
  if (forced !== undefined) return { code: forced.code, message: forced.message }
  const topic = context.cluster.topics.byName(asked.name)
  if (topic === undefined) return { code: UNKNOWN_TOPIC_OR_PARTITION, message: null }
  const missing = asked.count - topic.partitions.length
  if (missing <= 0) {
    const message = `${asked.name} has ${topic.partitions.length} partitions: ask for more than that`
    return { code: INVALID_PARTITIONS, message }
  }
  const isWrong =
    asked.assignments !== null &&
    (asked.assignments.length !== missing ||
      asked.assignments.some(({ brokerIds }) => brokerIds.some((id) => context.cluster.broker(id) === undefined)))
  return isWrong ? { code: INVALID_REPLICA_ASSIGNMENT, message: `assign ${missing} new partitions` } : null
}
