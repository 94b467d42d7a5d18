/**
 * Rules between fields, and values that follow from other fields.
 * Why apart from the rows: a range is checked where a value is read, a relation only after the merge, and each
 * names both fields. Source: features.md 3 (column "range, rule"), CF-3.
 */
import { consoleLogger, type LogLevel } from '../util/index.js'
import type { Draft } from './draft.js'
import type { TopicOverrides } from './producer-types.js'

/** Levels each codec takes. 'none' and 'snappy' have none. */
const LEVELS: Readonly<Record<string, readonly [number, number]>> = { gzip: [1, 9], zstd: [1, 19] }
/** Sums of decimal weights are compared with this tolerance: 0.7 + 0.1 is below 0.8 in binary. */
const WEIGHT_TOLERANCE = 1e-9
const SSL_FIELDS = ['caFile', 'certFile', 'keyFile', 'ca', 'cert', 'key', 'passphrase', 'servername']

export function relateClient(draft: Draft): void {
  atLeast(draft, 'connection.retryBackoffMaxMs', 'connection.retryBackoffMs')
  deriveLogger(draft)
  deriveSecurity(draft)
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
  // The log follows in a later version; until then nothing can be spilled to it.
  const spills = draft.get('onFull') === 'spill'
  if (spills)
    draft.findings.invalid(draft.at('onFull'), 'spill', "'block', 'reject' or 'dropOldest' without wal.durability")
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

function atLeast(draft: Draft, path: string, other: string): void {
  draft.relate(path, [other], draft.number(path) >= draft.number(other), 'at least')
}

function deriveLogger(draft: Draft): void {
  if (draft.get('logger') === undefined) draft.set('logger', consoleLogger(draft.get('logLevel') as LogLevel))
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
  draft.relate('batchBytes', ['maxBatchBytes'], draft.number('batchBytes') <= cap, 'at most')
  draft.relate('bufferMemoryBytes', ['maxBatchBytes'], draft.number('bufferMemoryBytes') >= 2 * cap, 'at least 2 x')
  draft.relate(
    'resumePercent',
    ['softPercent'],
    draft.number('resumePercent') <= draft.number('softPercent'),
    'at most',
  )
  draft.relate('softPercent', ['hardPercent'], draft.number('softPercent') <= draft.number('hardPercent'), 'at most')
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

/** Derives `securityProtocol` and `ssl.enabled`; refuses what contradicts or lacks something. */
function deriveSecurity(draft: Draft): void {
  const isTls = deriveTls(draft)
  const isSasl = draft.get('sasl.mechanism') !== undefined
  const derived = isSasl ? (isTls ? 'SASL_SSL' : 'SASL_PLAINTEXT') : isTls ? 'SSL' : 'PLAINTEXT'
  const given = draft.get('securityProtocol')
  if (given === undefined) draft.set('securityProtocol', derived)
  const other = String(given).includes('SSL') === isTls ? 'sasl.mechanism' : 'ssl.enabled'
  draft.relate('securityProtocol', [other], given === undefined || given === derived, `'${derived}', given`)
  requireSecrets(draft)
  refuseSasl(draft)
  if (draft.get('ssl.insecureSkipVerify') === true) {
    draft.findings.warn(draft.at('ssl.insecureSkipVerify'), 'any certificate is accepted: use it for tests only')
  }
}

/** TLS is on when asked for, when any other `ssl` field is set, or when the protocol says so. */
function deriveTls(draft: Draft): boolean {
  const used = SSL_FIELDS.find((field) => draft.get(`ssl.${field}`) !== undefined)
  const skips = draft.get('ssl.insecureSkipVerify') === true ? 'insecureSkipVerify' : undefined
  const implied = used ?? skips
  const asked = draft.get('ssl.enabled') as boolean | undefined
  draft.relate('ssl.enabled', [`ssl.${implied}`], asked !== false || implied === undefined, 'true, or no')
  const isTls = asked ?? (implied !== undefined || String(draft.get('securityProtocol')).includes('SSL'))
  draft.set('ssl.enabled', isTls)
  return isTls
}

function requireSecrets(draft: Draft): void {
  const has = (path: string) => draft.get(path) !== undefined
  if ((has('ssl.certFile') || has('ssl.cert')) && !has('ssl.keyFile') && !has('ssl.key')) {
    draft.findings.missing(
      draft.at('ssl.keyFile'),
      'the key that belongs to the certificate (ssl.certFile or ssl.cert)',
    )
  }
  const mechanism = draft.get('sasl.mechanism')
  if (mechanism === undefined || has('sasl.authenticator')) return
  for (const field of neededFor(String(mechanism))) {
    if (!has(field)) draft.findings.missing(draft.at(field), `a value, which ${String(mechanism)} needs`)
  }
}

function neededFor(mechanism: string): readonly string[] {
  if (mechanism === 'GSSAPI') return ['sasl.authenticator']
  return mechanism === 'OAUTHBEARER' ? ['sasl.token'] : ['sasl.username', 'sasl.password']
}

/**
 * SASL follows in a later version. Until the connections speak it, it is refused: a broker that asks for it would only
 * close the connection.
 */
function refuseSasl(draft: Draft): void {
  const expected = "'PLAINTEXT' or 'SSL': this version has no SASL yet"
  const protocol = String(draft.get('securityProtocol'))
  if (protocol.startsWith('SASL')) draft.findings.invalid(draft.at('securityProtocol'), protocol, expected)
}
