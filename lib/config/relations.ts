/**
 * Rules between fields, and values that follow from other fields.
 * Why apart from the rows: a range is checked where a value is read, a relation only after the merge, and each
 * names both fields. Source: features.md 3 (column "range, rule"), CF-3.
 */
import { consoleLogger, type LogLevel } from '../util/index.js'
import { atLeast, atMost } from './comparing.js'
import type { Draft } from './draft.js'
import { relateLog, relateProducerLog } from './log-relations.js'
import type { TopicOverrides } from './producer-types.js'
import { relateSecurity } from './security-relations.js'

/** Levels each codec takes. 'none' and 'snappy' have none. */
const LEVELS: Readonly<Record<string, readonly [number, number]>> = { gzip: [1, 9], zstd: [1, 19] }
/** Sums of decimal weights are compared with this tolerance: 0.7 + 0.1 is below 0.8 in binary. */
const WEIGHT_TOLERANCE = 1e-9

export function relateClient(draft: Draft): void {
  atLeast(draft, 'connection.retryBackoffMaxMs', 'connection.retryBackoffMs')
  deriveLogger(draft)
  relateSecurity(draft)
  relatePool(draft)
  relateLog(draft)
  relateMetrics(draft)
}

export function relateProducer(draft: Draft): void {
  relateIdempotence(draft)
  relateSizes(draft)
  relateTimes(draft)
  relateWeights(draft)
  relateCompression(draft)
  if (draft.get('adaptiveBatch.targetLatencyMs') === undefined) {
    draft.set('adaptiveBatch.targetLatencyMs', draft.get('performance.targetLatencyMs'))
  }
  relateProducerLog(draft)
}

export function relateConsumer(draft: Draft): void {
  const heartbeat = draft.number('heartbeatIntervalMs')
  const session = draft.number('sessionTimeoutMs')
  draft.relate('heartbeatIntervalMs', ['sessionTimeoutMs'], heartbeat < session, 'less than')
  if (heartbeat < session && heartbeat > session / 3) {
    const message = 'more than a third of sessionTimeoutMs: two lost heartbeats end the membership'
    draft.findings.warn(draft.at('heartbeatIntervalMs'), message)
  }
  atLeast(draft, 'maxPollIntervalMs', 'sessionTimeoutMs')
  atLeast(draft, 'fetchMaxBytes', 'fetchMinBytes')
  atLeast(draft, 'prefetchBytes', 'maxPartitionFetchBytes')
}

function deriveLogger(draft: Draft): void {
  if (draft.get('logger') === undefined) draft.set('logger', consoleLogger(draft.get('logLevel') as LogLevel))
}

function relatePool(draft: Draft): void {
  atMost(draft, 'pool.minIdle', 'pool.maxIdle')
  atMost(draft, 'pool.maxIdle', 'pool.maxConnections')
  const isOff = draft.number('pool.healthCheckIntervalMs') === 0
  if (!isOff) atMost(draft, 'pool.healthCheckTimeoutMs', 'pool.healthCheckIntervalMs')
}

function relateMetrics(draft: Draft): void {
  const repeated = (draft.get('metrics.compatPrefixes') as readonly string[]).includes(
    String(draft.get('metrics.prefix')),
  )
  draft.relate('metrics.compatPrefixes', ['metrics.prefix'], !repeated, 'prefixes other than')
}

/** PR-14: 0 and 1 alone turn idempotence off with a warning; both given and clashing is refused. */
function relateIdempotence(draft: Draft): void {
  const isWeak = draft.get('acks') !== -1
  draft.relate(
    'acks',
    ['idempotence'],
    !(isWeak && draft.isSet('idempotence') && draft.get('idempotence') === true),
    "'all' together with",
  )
  if (isWeak && !draft.isSet('idempotence')) {
    draft.set('idempotence', false)
    draft.findings.warn(draft.at('acks'), 'acks 0 and 1 turn idempotence off: retries may duplicate or reorder records')
  } else if (draft.get('idempotence') === false && draft.number('maxInFlight') > 1) {
    draft.findings.warn(draft.at('maxInFlight'), 'more than 1 in flight without idempotence gives up order under retry')
  }
}

function relateSizes(draft: Draft): void {
  const cap = draft.number('maxBatchBytes')
  atMost(draft, 'batchBytes', 'maxBatchBytes')
  draft.relate('bufferMemoryBytes', ['maxBatchBytes'], draft.number('bufferMemoryBytes') >= 2 * cap, 'at least 2 x')
  atMost(draft, 'resumePercent', 'softPercent')
  atMost(draft, 'softPercent', 'hardPercent')
  atLeast(draft, 'adaptiveBatch.maxBytes', 'adaptiveBatch.minBytes')
}

function relateTimes(draft: Draft): void {
  const least = draft.number('requestTimeoutMs') + draft.number('lingerMs')
  const isEnough = draft.number('deliveryTimeoutMs') >= least
  draft.relate('deliveryTimeoutMs', ['requestTimeoutMs', 'lingerMs'], isEnough, 'at least the sum of')
  atLeast(draft, 'retryBackoffMaxMs', 'retryBackoffMs')
}

function relateWeights(draft: Draft): void {
  const sum = draft.number('timeWeight') + draft.number('sizeWeight')
  draft.relate('timeWeight', ['sizeWeight'], sum > 0, 'a sum above 0 with')
  const isReachable = sum === 0 || draft.number('threshold') <= sum + WEIGHT_TOLERANCE
  draft.relate('threshold', ['timeWeight', 'sizeWeight'], isReachable, 'at most the sum of')
}

function relateCompression(draft: Draft): void {
  const codec = draft.get('compression') as string
  const problem = levelProblem(codec, draft.get('compressionLevel') as number | undefined)
  draft.relate('compressionLevel', ['compression'], problem === undefined, `${problem} for`)
  const topics = draft.get('topics') as Readonly<Record<string, TopicOverrides>>
  for (const [topic, override] of Object.entries(topics)) {
    const wrong = levelProblem(override.compression ?? codec, override.compressionLevel)
    draft.relate('topics', ['compression'], wrong === undefined, `${wrong} in topics.${topic}, by`)
  }
}

/** What a level should be for this codec; undefined when it is that already. */
function levelProblem(codec: string, level: number | undefined): string | undefined {
  if (level === undefined) return undefined
  const range = LEVELS[codec]
  if (range === undefined) return 'no level'
  return level >= range[0] && level <= range[1] ? undefined : `a level ${range[0]}..${range[1]}`
}
