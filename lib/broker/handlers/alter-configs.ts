/** AlterConfigs, which replaces all settings of a resource, and IncrementalAlterConfigs, which changes those it names. */
import type { MQError } from '../../errors/index.js'
import type { AlterConfigs, DecodedRequestOf, IncrementalAlterConfigs, ResponseOf } from '../../protocol/index.js'
import { codeAfter, forcedError, type RequestContext } from '../request-context.js'
import { TopicConfig } from '../topic-config.js'
import type { Topic } from '../topics.js'

type Whole = DecodedRequestOf<typeof AlterConfigs>
type Single = DecodedRequestOf<typeof IncrementalAlterConfigs>
type Answer = ResponseOf<typeof IncrementalAlterConfigs>['responses'][number]

interface Change {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
const INVALID_CONFIG = 40
const INVALID_REQUEST = 42
const TOPIC = 2
const BROKER = 4
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

interface Resource {
  readonly resourceType: number
  readonly resourceName: string
}

export function handleIncrementalAlterConfigs(
  request: Single,
  context: RequestContext,
): ResponseOf<typeof IncrementalAlterConfigs> {
  const responses = request.resources.map((resource) => {
    const changes = resource.configs.map(({ name, configOperation, value }) => ({
      name,
      operation: configOperation,
      value,
    }))
    return alter(resource, changes, request.validateOnly, context)
  })
  return { throttleTimeMs: 0, responses }
}

export function handleAlterConfigs(request: Whole, context: RequestContext): ResponseOf<typeof AlterConfigs> {
  const responses = request.resources.map((resource) => {
    const named = resource.configs.map(({ name, value }) => ({ name, operation: value === null ? DELETE : SET, value }))
    const names = new Set(named.map(({ name }) => name))
    const others = overridesOf(resource, context).filter((name) => !names.has(name))
    const changes = [...named, ...others.map((name) => ({ name, operation: DELETE, value: null }))]
    return alter(resource, changes, request.validateOnly, context)
  })
  return { throttleTimeMs: 0, responses }
}

function alter(resource: Resource, changes: readonly Change[], validateOnly: boolean, context: RequestContext): Answer {
  const { resourceType, resourceName } = resource
  const forced = forcedError(context, 'before', resourceName)
  const problem =
    forced ?? problemOf(resource, changes, context) ?? (validateOnly ? null : apply(resource, changes, context))
  const errorCode = problem === null ? codeAfter(context, 0, resourceName) : problem.code
  return { errorCode, errorMessage: problem?.message ?? null, resourceType, resourceName }
}

interface Problem {
  readonly code: number
  readonly message: string | null
}

function problemOf(resource: Resource, changes: readonly Change[], context: RequestContext): Problem | null {
  const { resourceType, resourceName } = resource
  const isBroker = resourceType === BROKER && Number(resourceName) >= 0
  if (resourceType !== TOPIC && !isBroker)
    return { code: INVALID_REQUEST, message: 'only topics and brokers have settings' }
  if (resourceType === TOPIC && context.cluster.topics.byName(resourceName) === undefined) {
    return { code: UNKNOWN_TOPIC_OR_PARTITION, message: `The topic '${resourceName}' does not exist.` }
  }
  const strange = changes.find(({ operation }) => operation < SET || operation > SUBTRACT)
  if (strange !== undefined) return { code: INVALID_REQUEST, message: `no operation ${strange.operation}` }
  const unknown = resourceType === TOPIC ? changes.find(({ name }) => !TopicConfig.isKnown(name)) : undefined
  return unknown === undefined ? null : { code: INVALID_CONFIG, message: `Unknown topic config name: ${unknown.name}` }
}

function apply(resource: Resource, changes: readonly Change[], context: RequestContext): Problem | null {
  const { cluster } = context
  const topic = cluster.topics.byName(resource.resourceName) as Topic
  for (const { name, operation, value } of changes) {
    try {
      if (resource.resourceType === TOPIC) {
        topic.config.set(name, operation === DELETE ? null : merged(topic.config.text(name), operation, value ?? ''))
      } else if (operation === SET) {
        cluster.config.set(name, value ?? '') // The settings of all in-process brokers are one.
      }
    } catch (error) {
      return { code: INVALID_CONFIG, message: (error as MQError).message }
    }
  }
  return null
}

/** Lists are comma texts. */
function merged(present: string, operation: number, value: string): string {
  if (operation === SET) return value
  const items = present.split(',').filter((item) => item !== '')
  const named = value.split(',')
  return (
    operation === APPEND ? [...new Set([...items, ...named])] : items.filter((item) => !named.includes(item))
  ).join(',')
}

function overridesOf({ resourceType, resourceName }: Resource, { cluster }: RequestContext): string[] {
  const topic = resourceType === TOPIC ? cluster.topics.byName(resourceName) : undefined
  return topic?.config.entries().flatMap(({ name, isDefault }) => (isDefault ? [] : [name])) ?? []
}
