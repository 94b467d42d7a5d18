/**
 * Settings of brokers and topics under Kafka's names, with Kafka's defaults.
 * Why text inside: that is how DescribeConfigs and CreateTopics carry them; the few the broker obeys are read as numbers.
 * Invariant: a topic setting that is not overridden follows the broker's setting, also when that changes later.
 */
import { MQError } from '../errors/index.js'
import type { BatchRules } from './batch-validator.js'

export type ConfigValue = string | number | boolean
export type ConfigMap = Readonly<Record<string, ConfigValue>>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const INT64_MAX = '9223372036854775807'

/** Broker settings that mean something here. */
const BROKER_DEFAULTS: Readonly<Record<string, string>> = {
  'auto.create.topics.enable': 'false',
  'num.partitions': '1',
  'default.replication.factor': '1',
  'message.max.bytes': '1048588',
  'min.insync.replicas': '1',
  'log.cleanup.policy': 'delete',
  'log.message.timestamp.type': 'CreateTime',
  'log.message.timestamp.before.max.ms': INT64_MAX,
  'log.message.timestamp.after.max.ms': String(HOUR_MS),
  'log.retention.bytes': '-1',
  'log.retention.ms': String(7 * DAY_MS),
  'log.segment.bytes': '1073741824',
  'compression.type': 'producer',
  'max.incremental.fetch.session.cache.slots': '1000',
  'producer.id.expiration.ms': String(DAY_MS),
  'producer.id.expiration.check.interval.ms': '600000',
  'delete.topic.enable': 'true',
  'group.consumer.heartbeat.interval.ms': '5000',
  'group.consumer.max.size': '2147483647',
  'group.consumer.session.timeout.ms': '45000',
  'group.initial.rebalance.delay.ms': '0', // Kafka: 3000; tests would only wait
  'group.max.session.timeout.ms': '1800000',
  'group.max.size': '2147483647',
  'group.min.session.timeout.ms': '6000',
  'offset.metadata.max.bytes': '4096',
  'offsets.retention.check.interval.ms': '600000',
  'offsets.retention.minutes': '10080',
}

/** Topic setting -> the broker setting it follows. */
const TOPIC_FOLLOWS: Readonly<Record<string, string>> = {
  'cleanup.policy': 'log.cleanup.policy',
  'compression.type': 'compression.type',
  'max.message.bytes': 'message.max.bytes',
  'message.timestamp.type': 'log.message.timestamp.type',
  'message.timestamp.before.max.ms': 'log.message.timestamp.before.max.ms',
  'message.timestamp.after.max.ms': 'log.message.timestamp.after.max.ms',
  'min.insync.replicas': 'min.insync.replicas',
  'retention.bytes': 'log.retention.bytes',
  'retention.ms': 'log.retention.ms',
  'segment.bytes': 'log.segment.bytes',
}

/** Topic settings that exist in Kafka and change nothing here: accepted, shown, not obeyed. */
const TOPIC_IGNORED: Readonly<Record<string, string>> = {
  'delete.retention.ms': '86400000',
  'file.delete.delay.ms': '60000',
  'flush.messages': INT64_MAX,
  'flush.ms': INT64_MAX,
  'follower.replication.throttled.replicas': '',
  'index.interval.bytes': '4096',
  'leader.replication.throttled.replicas': '',
  'max.compaction.lag.ms': INT64_MAX,
  'message.downconversion.enable': 'true',
  'message.timestamp.difference.max.ms': INT64_MAX,
  'min.cleanable.dirty.ratio': '0.5',
  'min.compaction.lag.ms': '0',
  preallocate: 'false',
  'segment.index.bytes': '10485760',
  'segment.jitter.ms': '0',
  'segment.ms': '604800000',
  'unclean.leader.election.enable': 'false',
}

export interface ConfigEntry {
  readonly name: string
  readonly value: string
  readonly isDefault: boolean
}

export class BrokerConfig {
  readonly #values: Record<string, string>
  readonly #explicit = new Set<string>()
  readonly validate: 'full' | 'header'

  constructor(overrides: ConfigMap, defaults: ConfigMap, validate: 'full' | 'header') {
    this.#values = { ...BROKER_DEFAULTS, ...asText(defaults) }
    this.validate = validate
    for (const [name, value] of Object.entries(overrides)) this.set(name, value)
  }

  /** Settings are dynamic: the next request obeys. Also takes the topic's name of a setting that topics follow. */
  set(name: string, value: ConfigValue): void {
    const known = name in BROKER_DEFAULTS ? name : TOPIC_FOLLOWS[name]
    if (known === undefined) {
      const names = Object.keys(BROKER_DEFAULTS).join(', ')
      throw new MQError('INVALID_CONFIG', `the in-process broker has no setting ${name}: choose among ${names}`, {
        name,
      })
    }
    this.#values[known] = String(value)
    this.#explicit.add(known)
  }

  text(name: string): string {
    return this.#values[name] ?? ''
  }

  number(name: string): number {
    return Number(this.text(name))
  }

  flag(name: string): boolean {
    return this.text(name) === 'true'
  }

  entries(): ConfigEntry[] {
    return Object.entries(this.#values).map(([name, value]) => ({ name, value, isDefault: !this.#explicit.has(name) }))
  }
}

export class TopicConfig {
  readonly #broker: BrokerConfig
  readonly #overrides = new Map<string, string>()

  constructor(broker: BrokerConfig, overrides: ConfigMap) {
    this.#broker = broker
    for (const [name, value] of Object.entries(overrides)) this.set(name, value)
  }

  static isKnown(name: string): boolean {
    return name in TOPIC_FOLLOWS || name in TOPIC_IGNORED
  }

  /** `null` removes the override. */
  set(name: string, value: ConfigValue | null): void {
    if (!TopicConfig.isKnown(name)) {
      throw new MQError('INVALID_CONFIG', `topics have no setting ${name}: see docs/broker.md`, { name })
    }
    if (value === null) this.#overrides.delete(name)
    else this.#overrides.set(name, String(value))
  }

  text(name: string): string {
    const follows = TOPIC_FOLLOWS[name]
    return (
      this.#overrides.get(name) ?? (follows === undefined ? (TOPIC_IGNORED[name] ?? '') : this.#broker.text(follows))
    )
  }

  number(name: string): number {
    return Number(this.text(name))
  }

  has(name: string): boolean {
    return this.#overrides.has(name)
  }

  get isCompacted(): boolean {
    return this.text('cleanup.policy').includes('compact')
  }

  get isLogAppendTime(): boolean {
    return this.text('message.timestamp.type') === 'LogAppendTime'
  }

  rules(): BatchRules {
    return {
      maxMessageBytes: this.number('max.message.bytes'),
      segmentBytes: this.number('segment.bytes'),
      isCompacted: this.isCompacted,
      isLogAppendTime: this.isLogAppendTime,
      timestampBeforeMaxMs: this.number('message.timestamp.before.max.ms'),
      timestampAfterMaxMs: this.number('message.timestamp.after.max.ms'),
      validate: this.#broker.validate,
    }
  }

  entries(): ConfigEntry[] {
    const names = [...Object.keys(TOPIC_FOLLOWS), ...Object.keys(TOPIC_IGNORED)].sort()
    return names.map((name) => ({ name, value: this.text(name), isDefault: !this.#overrides.has(name) }))
  }
}

function asText(values: ConfigMap): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))
}
