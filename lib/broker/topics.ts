/**
 * The topics of the in-process cluster: names, ids, settings, partitions.
 * Invariant: a topic id is used once for ever; a recreated topic has another id under the same name.
 */
import { MQError } from '../errors/index.js'
import { type RandomSource, randomInt } from '../util/index.js'
import { Replicas } from './replicas.js'
import { type BrokerConfig, type ConfigMap, TopicConfig } from './topic-config.js'

const LONGEST_NAME = 249
const LEGAL_NAME = /^[a-zA-Z0-9._-]+$/
const UUID_BYTES = 16

export interface Topic {
  readonly name: string
  /** 22 characters of base64url. */
  readonly topicId: string
  readonly config: TopicConfig
  /** Index = partition number. */
  readonly partitions: readonly Replicas[]
}

export interface TopicOptions {
  /** Default: `num.partitions` of the broker's config. */
  readonly partitions?: number
  /** Default: `default.replication.factor`, at most the number of brokers. */
  readonly replicationFactor?: number
  readonly configs?: ConfigMap
  /** Brokers of each partition, the first one leads; instead of the two counts. */
  readonly assignments?: readonly (readonly number[])[]
  /** 22 characters of base64url; default random. Lets recorded requests by id find their topic. */
  readonly topicId?: string
}

export class Topics {
  readonly #byName = new Map<string, Topic>()
  readonly #byId = new Map<string, Topic>()
  readonly #brokerIds: readonly number[]
  readonly #isAlive: (brokerId: number) => boolean
  readonly #config: BrokerConfig
  readonly #random: RandomSource
  #nextLeader = 0
  #version = 0

  constructor(
    brokerIds: readonly number[],
    isAlive: (brokerId: number) => boolean,
    config: BrokerConfig,
    random: RandomSource,
  ) {
    this.#brokerIds = brokerIds
    this.#isAlive = isAlive
    this.#config = config
    this.#random = random
  }

  /** Rises whenever a topic comes, goes or grows. */
  get version(): number {
    return this.#version
  }

  all(): Topic[] {
    return [...this.#byName.values()]
  }

  byName(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  byId(topicId: string): Topic | undefined {
    return this.#byId.get(topicId)
  }

  /** Throws INVALID_TOPIC or INVALID_CONFIG: the control API; handlers check first and answer codes. */
  create(name: string, options: TopicOptions = {}): Topic {
    if (!isLegalName(name)) throw new MQError('INVALID_TOPIC', `${name} is no topic name: 1-249 of a-z A-Z 0-9 . _ -`)
    if (this.#byName.has(name)) throw new MQError('INVALID_TOPIC', `${name} exists already`, { topic: name })
    const assignments = options.assignments ?? this.assign(options.partitions, options.replicationFactor)
    const topic: Topic = {
      name,
      topicId: options.topicId ?? randomUuid(this.#random),
      config: new TopicConfig(this.#config, options.configs ?? {}),
      partitions: assignments.map((replicas) => new Replicas({ replicas, isAlive: this.#isAlive })),
    }
    this.#replace(topic)
    return topic
  }

  delete(name: string): void {
    const topic = this.#byName.get(name)
    if (topic === undefined) return
    this.#byName.delete(name)
    this.#byId.delete(topic.topicId)
    this.#version++
    for (const partition of topic.partitions) partition.notify()
  }

  addPartitions(name: string, count: number, assignments?: readonly (readonly number[])[]): void {
    const topic = this.#byName.get(name)
    if (topic === undefined) throw new MQError('TOPIC_NOT_FOUND', `${name} does not exist`, { topic: name })
    const missing = count - topic.partitions.length
    if (missing <= 0) {
      const has = topic.partitions.length
      throw new MQError('INVALID_PARTITION', `${name} has ${has} partitions: ask for more than that`, { count })
    }
    const factor = topic.partitions[0]?.replicas.length
    const added = (assignments ?? this.assign(missing, factor)).map(
      (replicas) => new Replicas({ replicas, isAlive: this.#isAlive }),
    )
    this.#replace({ ...topic, partitions: [...topic.partitions, ...added] })
  }

  /** Leaders go round the brokers, replicas follow their leader in the circle. */
  assign(partitions?: number, replicationFactor?: number): number[][] {
    const count = partitions ?? this.#config.number('num.partitions')
    const wanted = replicationFactor ?? this.#config.number('default.replication.factor')
    const factor = Math.min(wanted, this.#brokerIds.length)
    const circle = this.#brokerIds.length
    return Array.from({ length: count }, () => {
      const leader = this.#nextLeader++
      return Array.from({ length: factor }, (_, replica) => this.#brokerIds[(leader + replica) % circle] as number)
    })
  }

  #replace(topic: Topic): void {
    this.#version++
    this.#byName.set(topic.name, topic)
    this.#byId.set(topic.topicId, topic)
  }
}

export function isLegalName(name: string): boolean {
  return name.length > 0 && name.length <= LONGEST_NAME && LEGAL_NAME.test(name) && name !== '.' && name !== '..'
}

export function randomUuid(random: RandomSource): string {
  return Buffer.from(Array.from({ length: UUID_BYTES }, () => randomInt(random, 256))).toString('base64url')
}
