/**
 * `-X name=value` and property files, in the words of librdkafka and Java, as our configuration.
 * Why a table: whoever knows kcat has these lines in his fingers and in his files. A name that is not in it is taken as
 * a path of our own configuration (`producer.lingerMs`), which the configuration checks.
 */
import { UsageError } from './usage.js'

type Value = string | number | boolean | readonly string[]
type Convert = (text: string) => Value

interface Row {
  readonly path: string
  readonly convert: Convert
}

const text: Convert = (value) => value
const upper: Convert = (value) => value.toUpperCase()
const number: Convert = (value) => (/^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value)
const flag: Convert = (value) => (value === 'true' ? true : value === 'false' ? false : value)
const inverted: Convert = (value) => (value === 'true' ? false : value === 'false' ? true : value)
const acks: Convert = (value) => (value === 'all' ? value : number(value))
const list: Convert = (value) => value.split(',').map((item) => item.trim())
const RESET: Readonly<Record<string, string>> = {
  smallest: 'earliest',
  beginning: 'earliest',
  largest: 'latest',
  end: 'latest',
  error: 'none',
}
const reset: Convert = (value) => RESET[value] ?? value

const row = (path: string, convert: Convert = text): Row => ({ path, convert })

const ROWS: Readonly<Record<string, Row>> = {
  'bootstrap.servers': row('brokers'),
  'metadata.broker.list': row('brokers'),
  'client.id': row('clientId'),
  'metadata.max.age.ms': row('metadataMaxAgeMs', number),
  'security.protocol': row('securityProtocol', upper),
  'sasl.mechanism': row('sasl.mechanism', upper),
  'sasl.mechanisms': row('sasl.mechanism', upper),
  'sasl.username': row('sasl.username'),
  'sasl.password': row('sasl.password'),
  'ssl.ca.location': row('ssl.caFile'),
  'ssl.ca.pem': row('ssl.ca'),
  'ssl.certificate.location': row('ssl.certFile'),
  'ssl.certificate.pem': row('ssl.cert'),
  'ssl.key.location': row('ssl.keyFile'),
  'ssl.key.pem': row('ssl.key'),
  'ssl.key.password': row('ssl.passphrase'),
  'enable.ssl.certificate.verification': row('ssl.insecureSkipVerify', inverted),
  'socket.timeout.ms': row('connection.readTimeoutMs', number),
  'socket.connection.setup.timeout.ms': row('connection.dialTimeoutMs', number),
  'connections.max.idle.ms': row('pool.connectionMaxIdleMs', number),
  'retry.backoff.ms': row('connection.retryBackoffMs', number),
  'retry.backoff.max.ms': row('connection.retryBackoffMaxMs', number),
  acks: row('producer.acks', acks),
  'request.required.acks': row('producer.acks', acks),
  'enable.idempotence': row('producer.idempotence', flag),
  'linger.ms': row('producer.lingerMs', number),
  'queue.buffering.max.ms': row('producer.lingerMs', number),
  'batch.size': row('producer.batchBytes', number),
  'batch.num.messages': row('producer.batchMaxRecords', number),
  'message.max.bytes': row('producer.maxBatchBytes', number),
  'compression.codec': row('producer.compression'),
  'compression.type': row('producer.compression'),
  'compression.level': row('producer.compressionLevel', number),
  'request.timeout.ms': row('producer.requestTimeoutMs', number),
  'delivery.timeout.ms': row('producer.deliveryTimeoutMs', number),
  'message.timeout.ms': row('producer.deliveryTimeoutMs', number),
  retries: row('producer.maxRetries', number),
  'message.send.max.retries': row('producer.maxRetries', number),
  'max.in.flight.requests.per.connection': row('producer.maxInFlight', number),
  'allow.auto.create.topics': row('producer.allowAutoTopicCreation', flag),
  'group.id': row('consumer.groupId'),
  'group.protocol': row('consumer.groupProtocol'),
  'group.instance.id': row('consumer.groupInstanceId'),
  'partition.assignment.strategy': row('consumer.assignors', list),
  'client.rack': row('consumer.rackId'),
  'auto.offset.reset': row('consumer.autoOffsetReset', reset),
  'enable.auto.commit': row('consumer.autoCommit', flag),
  'auto.commit.interval.ms': row('consumer.autoCommitIntervalMs', number),
  'session.timeout.ms': row('consumer.sessionTimeoutMs', number),
  'heartbeat.interval.ms': row('consumer.heartbeatIntervalMs', number),
  'max.poll.interval.ms': row('consumer.maxPollIntervalMs', number),
  'fetch.min.bytes': row('consumer.fetchMinBytes', number),
  'fetch.max.bytes': row('consumer.fetchMaxBytes', number),
  'fetch.wait.max.ms': row('consumer.fetchMaxWaitMs', number),
  'fetch.message.max.bytes': row('consumer.maxPartitionFetchBytes', number),
  'max.partition.fetch.bytes': row('consumer.maxPartitionFetchBytes', number),
  'isolation.level': row('consumer.isolationLevel'),
  'check.crcs': row('consumer.checkCrcs', flag),
}

/** Names of librdkafka that are understood, sorted: `-X list`. */
export const PROPERTY_NAMES: readonly string[] = Object.keys(ROWS).sort()

/** Where a property goes, and what it means there. kcat's `topic.` prefix is nothing to us. */
export function propertyOf(name: string, value: string): { readonly path: string; readonly value: Value } {
  const known = ROWS[name] ?? (name.startsWith('topic.') ? ROWS[name.slice('topic.'.length)] : undefined)
  if (known !== undefined) return { path: known.path, value: known.convert(value) }
  return { path: name, value: flag(value) === value ? number(value) : flag(value) }
}

/** Lines `name=value`; empty ones and those that begin with # or ! mean nothing. Another one is not shown: it may hold a password. */
export function parseProperties(what: string, content: string): [name: string, value: string][] {
  return content.split(/\r?\n/).flatMap((line, index): [string, string][] => {
    const trimmed = line.trim()
    const at = trimmed.indexOf('=')
    if (trimmed === '' || /^[#!]/.test(trimmed)) return []
    if (at <= 0) throw new UsageError(`${what}: line ${index + 1}: expected name=value`)
    return [[trimmed.slice(0, at).trim(), trimmed.slice(at + 1).trim()]]
  })
}
