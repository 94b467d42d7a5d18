/** DescribeConfigs of topics and brokers. */
import type { DecodedRequestOf, DescribeConfigs, ResponseOf } from '../../protocol/index.js'
import { forcedError, type RequestContext } from '../request-context.js'
import type { ConfigEntry } from '../topic-config.js'

type Resource = DecodedRequestOf<typeof DescribeConfigs>['resources'][number]
type Result = ResponseOf<typeof DescribeConfigs>['results'][number]

const UNKNOWN_TOPIC_OR_PARTITION = 3
const INVALID_REQUEST = 42
const TOPIC = 2
const BROKER = 4
const DYNAMIC_TOPIC_CONFIG = 1
const STATIC_BROKER_CONFIG = 4
const DEFAULT_CONFIG = 5

export function handleDescribeConfigs(
  request: DecodedRequestOf<typeof DescribeConfigs>,
  context: RequestContext,
): ResponseOf<typeof DescribeConfigs> {
  return { throttleTimeMs: 0, results: request.resources.map((resource) => describe(resource, context)) }
}

function describe(resource: Resource, context: RequestContext): Result {
  const { resourceType, resourceName, configurationKeys } = resource
  const forced = forcedError(context, 'before', resourceName) ?? forcedError(context, 'after', resourceName)
  const found = forced === undefined ? entriesOf(resource, context) : forced.code
  const base = { resourceType, resourceName }
  if (typeof found === 'number')
    return { ...base, errorCode: found, errorMessage: forced?.message ?? null, configs: [] }
  const isAll = configurationKeys === null || configurationKeys.length === 0
  const wanted = isAll ? found : found.filter(({ name }) => configurationKeys.includes(name))
  const source = resourceType === TOPIC ? DYNAMIC_TOPIC_CONFIG : STATIC_BROKER_CONFIG
  const configs = wanted.map(({ name, value, isDefault }) => ({
    name,
    value,
    readOnly: false,
    configSource: isDefault ? DEFAULT_CONFIG : source,
    isSensitive: false,
    synonyms: [],
    documentation: null,
  }))
  return { ...base, errorCode: 0, errorMessage: null, configs }
}

function entriesOf(resource: Resource, context: RequestContext): ConfigEntry[] | number {
  const { cluster } = context
  if (resource.resourceType === TOPIC) {
    return cluster.topics.byName(resource.resourceName)?.config.entries() ?? UNKNOWN_TOPIC_OR_PARTITION
  }
  const isBroker = resource.resourceType === BROKER && Number(resource.resourceName) >= 0
  return isBroker ? cluster.config.entries() : INVALID_REQUEST
}
