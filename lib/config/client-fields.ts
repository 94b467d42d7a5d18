/**
 * Rows of what every client knows: client, connection and security fields here, the other groups beside this file.
 * Source: features.md 3.1, 3.2.
 * The type of the table makes the compiler compare its rows with `ResolvedClientConfig`.
 */
import { LOG_LEVELS } from '../util/index.js'
import { parseBrokers } from './brokers.js'
import type { ResolvedClientConfig } from './client-types.js'
import {
  anyText,
  bool,
  custom,
  type FieldSpec,
  grouped,
  int,
  name,
  oneOf,
  pemFile,
  real,
  scaledAlias,
  secret,
  withMethods,
} from './field.js'
import type { PathOf } from './input-types.js'
import { metricsFields } from './metrics-fields.js'
import { poolFields } from './pool-fields.js'
import { PRESET_NAMES } from './presets.js'
import { walFields } from './wal-fields.js'

const MIB = 1_048_576
const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']
const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI']

const isFunction = (value: unknown) => typeof value === 'function'

function isAuthenticator(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { mechanism, next } = value as { mechanism?: unknown; next?: unknown }
  return typeof mechanism === 'string' && mechanism !== '' && typeof next === 'function'
}

export const clientFields: Readonly<Record<PathOf<ResolvedClientConfig>, FieldSpec>> = {
  brokers: custom(
    [{ host: 'localhost', port: 9092 }],
    "at least one 'host:port' (port 1..65535, IPv6 in brackets) in a list or comma string",
    (value) => parseBrokers(value) !== undefined,
    parseBrokers,
    'bootstrapServers',
  ),
  clientId: name('tandem-mq', 'clientID'),
  preset: oneOf(undefined, PRESET_NAMES),
  metadataMaxAgeMs: int(300_000, 1_000, 3_600_000),
  closeTimeoutMs: int(30_000, 0, 600_000),
  logger: withMethods(undefined, 'debug', 'info', 'warn', 'error'),
  logLevel: oneOf('info', LOG_LEVELS, 'monitoring.logLevel'),
  securityProtocol: oneOf(undefined, SECURITY_PROTOCOLS),
  'connection.dialTimeoutMs': int(10_000, 1, 300_000, ...grouped('connection', 'dialTimeout')),
  'connection.readTimeoutMs': int(10_000, 1, 300_000, ...grouped('connection', 'readTimeout')),
  'connection.writeTimeoutMs': int(10_000, 1, 300_000, ...grouped('connection', 'writeTimeout')),
  'connection.keepAliveMs': int(7_000, 0, 7_200_000, ...grouped('connection', 'keepAlive')),
  'connection.maxRetries': int(3, 0, 1_000),
  'connection.retryBackoffMs': int(100, 1, 60_000),
  'connection.retryBackoffMaxMs': int(5_000, 1, 60_000),
  'connection.maxFrameBytes': int(100 * MIB, MIB, 1_024 * MIB),
  'ssl.enabled': bool(undefined, ...grouped('ssl', 'tls')),
  'ssl.caFile': pemFile('ssl.ca'),
  'ssl.certFile': pemFile('ssl.cert'),
  'ssl.keyFile': pemFile('ssl.key'),
  'ssl.ca': anyText(),
  'ssl.cert': anyText(),
  'ssl.key': secret(),
  'ssl.passphrase': secret(),
  'ssl.servername': anyText(),
  'ssl.insecureSkipVerify': bool(false),
  'sasl.mechanism': oneOf(undefined, SASL_MECHANISMS),
  'sasl.username': anyText(),
  'sasl.password': secret(),
  'sasl.token': secret(custom(undefined, 'an async function that gives a token', isFunction)),
  'sasl.authenticator': secret(custom(undefined, 'an object with mechanism (a text) and next()', isAuthenticator)),
  'trace.enabled': bool(false),
  'trace.header': name('X-Trace-ID'),
  'trace.timestampHeader': name(undefined),
  'performance.targetLatencyMs': scaledAlias(
    real(1, Number.MIN_VALUE, 3_600_000),
    1_000,
    ...grouped('performance', 'targetLatencyMicros'),
  ),
  'performance.targetThroughputPerSec': real(100_000, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER),
  'performance.optimizeForSmallMessages': bool(true),
  'performance.smallMessageThresholdBytes': int(1_024, 100, 65_536),
  ...poolFields,
  ...walFields,
  ...metricsFields,
}
