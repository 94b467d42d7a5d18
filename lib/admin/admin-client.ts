/**
 * The admin client: topics, settings, groups and their offsets.
 *
 *   reads of the cluster  -> kafkajs' public Admin (topics, partitions, settings, brokers)
 *   changes, and groups   -> our own protocol over `cluster`
 *
 * Why two ways, and which goes where: docs/decisions. Both open their connections with the first call that needs them.
 * Invariant: after `close` no socket, no timer and no waiting call of ours is left. Source: features.md AD-1, AD-2.
 */
import { Cluster, type ClusterDeps, clusterOptionsOf } from '../cluster/index.js'
import { type ClientConfig, logWarnings, type ResolvedClientConfig, resolveClientConfig } from '../config/index.js'
import { MQError } from '../errors/index.js'
import {
  type Clock,
  type RandomSource,
  systemClock,
  systemRandom,
  type Told,
  telling,
  tellingAsync,
} from '../util/index.js'
import { type Call, Calls } from './call.js'
import { checkInteger, checkTopicName } from './checks.js'
import { ConfigAdmin, checkResource } from './configs.js'
import { GroupAdmin } from './groups.js'
import { ClusterReader } from './kafkajs/cluster-reader.js'
import { KafkaJsReader } from './kafkajs/reader.js'
import { OffsetAdmin } from './offsets.js'
import { Positions } from './positions.js'
import { Requests } from './requests.js'
import { only, TopicAdmin } from './topics.js'
import type {
  AdminState,
  AlterResult,
  CallOptions,
  ChangeOptions,
  ClusterInfo,
  ConfigAlteration,
  ConfigChanges,
  ConfigEntry,
  ConfigQuery,
  ConfigResource,
  ConfigResult,
  CreateTopicResult,
  GroupDescription,
  GroupLag,
  GroupListing,
  GroupOffset,
  GroupResult,
  ListGroupsOptions,
  ListTopicsOptions,
  MorePartitions,
  NewTopic,
  PartitionOffset,
  PartitionOffsets,
  ResetOffsetsOptions,
  ResetResult,
  TopicInfo,
  TopicInfoResult,
  TopicResult,
} from './types.js'

/** What tests replace. */
export interface AdminDeps {
  readonly clock?: Clock | undefined
  readonly random?: RandomSource | undefined
  readonly dial?: ClusterDeps['dial'] | undefined
  /** Learns of every error that a call ends with. */
  readonly told?: ((error: unknown) => void) | undefined
}

/**
 * Looks after topics, settings and groups. Connects with the first call.
 *
 * ```ts
 * const admin = new AdminClient({ brokers: 'localhost:9092' })
 * await admin.createTopic({ name: 'orders', partitions: 6, configs: { 'retention.ms': 604_800_000 } })
 * await admin.close()
 * ```
 * Throws INVALID_CONFIG or MISSING_CONFIG. Every call may reject with CONNECTION_FAILED, CONNECTION_TIMEOUT,
 * AUTHENTICATION_FAILED, AUTHORIZATION_FAILED, TIMEOUT, RETRY_EXHAUSTED, `signal.reason`, and after `close()` with
 * CONNECTION_CLOSED.
 */
export class AdminClient {
  readonly config: ResolvedClientConfig
  /** The configured one with '-admin' behind it. */
  readonly clientId: string
  readonly #told: Told
  readonly #calls: Calls
  readonly #cluster: Cluster
  readonly #kafka: KafkaJsReader
  readonly #reader: ClusterReader
  readonly #topics: TopicAdmin
  readonly #configs: ConfigAdmin
  readonly #groups: GroupAdmin
  readonly #positions: Positions
  readonly #offsets: OffsetAdmin
  #state: AdminState = 'open'
  #closing: Promise<void> | null = null

  constructor(config: ClientConfig | ResolvedClientConfig = {}, deps: AdminDeps = {}) {
    this.config = resolveClientConfig(config as ClientConfig)
    if (this.config !== config) logWarnings(this.config)
    this.clientId = `${this.config.clientId}-admin`
    const { clock = systemClock, random = systemRandom, dial } = deps
    this.#told = deps.told ?? (() => {})
    this.#calls = new Calls(clock)
    const options = { ...clusterOptionsOf(this.config), clientId: this.clientId }
    this.#cluster = new Cluster(options, { clock, random, dial, logger: this.config.logger })
    this.#kafka = new KafkaJsReader(this.config, this.clientId, clock, () => this.#advertised())
    this.#reader = new ClusterReader(this.#kafka)
    const requests = new Requests(this.#cluster, this.config.connection, random)
    this.#topics = new TopicAdmin(requests)
    this.#configs = new ConfigAdmin(requests)
    this.#groups = new GroupAdmin(requests)
    this.#positions = new Positions(requests, this.#topics)
    this.#offsets = new OffsetAdmin(requests, this.#topics, this.#groups, this.#positions)
  }

  get state(): AdminState {
    return this.#state
  }

  /**
   * Creates a topic; `created: false` when there is one of this name already, whatever its settings. Rejects with
   * INVALID_TOPIC, INVALID_PARTITION or INVALID_CONFIG (settings, replication factor, what the cluster's policy refuses).
   */
  async createTopic(topic: NewTopic, options: ChangeOptions = {}): Promise<{ created: boolean }> {
    const { created } = this.#only(await this.createTopics([topic], options))
    return { created }
  }

  /** Creates each topic; one that is refused harms no other. One result per topic, in the order of the input. */
  async createTopics(topics: readonly NewTopic[], options: ChangeOptions = {}): Promise<CreateTopicResult[]> {
    return this.#run('createTopics', options, (call) => {
      return this.#topics.create(topics, options.validateOnly ?? false, call)
    })
  }

  /** Deletes a topic with its records. Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC. */
  async deleteTopic(topic: string, options: CallOptions = {}): Promise<void> {
    this.#only(await this.deleteTopics([topic], options))
  }

  /** Deletes each topic; one result per topic, in the order of the input. */
  async deleteTopics(topics: readonly string[], options: CallOptions = {}): Promise<TopicResult[]> {
    return this.#run('deleteTopics', options, (call) => this.#topics.delete(topics, call))
  }

  /** Names of all topics, sorted. */
  async listTopics(options: ListTopicsOptions = {}): Promise<string[]> {
    return this.#run('listTopics', options, () => this.#reader.topics(options.includeInternal ?? false))
  }

  /** Asks for this one topic, and never creates it. Rejects with INVALID_TOPIC. */
  async topicExists(topic: string, options: CallOptions = {}): Promise<boolean> {
    return this.#run('topicExists', options, (call) => this.#topics.exists(topic, call))
  }

  /** Partitions with leaders and replicas; never creates a topic. Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC. */
  async getTopicMetadata(topic: string, options?: CallOptions): Promise<TopicInfo>
  /** One result per topic, in the order of the input. */
  async getTopicMetadata(topics: readonly string[], options?: CallOptions): Promise<TopicInfoResult[]>
  async getTopicMetadata(
    topics: string | readonly string[],
    options: CallOptions = {},
  ): Promise<TopicInfo | TopicInfoResult[]> {
    return this.#run<TopicInfo | TopicInfoResult[]>('getTopicMetadata', options, () => {
      if (Array.isArray(topics)) return this.#reader.topicResults(topics)
      checkTopicName(topics)
      return this.#reader.topic(topics)
    })
  }

  /**
   * Grows a topic to `count` partitions. Rejects with TOPIC_NOT_FOUND, and with INVALID_PARTITION when it has that many
   * already: partitions are never removed.
   */
  async createPartitions(topic: string, count: number, options?: ChangeOptions): Promise<void>
  /** One result per topic, in the order of the input. */
  async createPartitions(topics: readonly MorePartitions[], options?: ChangeOptions): Promise<TopicResult[]>
  async createPartitions(
    topics: string | readonly MorePartitions[],
    countOrOptions: number | ChangeOptions = {},
    options: ChangeOptions = {},
  ): Promise<unknown> {
    const grow = (list: readonly MorePartitions[], given: ChangeOptions) =>
      this.#run('createPartitions', given, (call) => this.#topics.grow(list, given.validateOnly ?? false, call))
    if (typeof topics !== 'string') return grow(topics, typeof countOrOptions === 'object' ? countOrOptions : {})
    this.#only(await grow([{ topic: topics, count: countOrOptions as number }], options))
    return undefined
  }

  /** First and next offset of each partition of a topic. Rejects with TOPIC_NOT_FOUND. */
  async getTopicOffsets(topic: string, options: CallOptions = {}): Promise<PartitionOffsets[]> {
    return this.#run('getTopicOffsets', options, (call) => {
      checkTopicName(topic)
      return this.#positions.range(topic, call)
    })
  }

  /**
   * The first record at or after a time, of each partition of a topic; where there is none so late, the end of the log.
   * Milliseconds since 1970. Rejects with TOPIC_NOT_FOUND.
   */
  async getOffsetsForTime(topic: string, timestamp: number, options: CallOptions = {}): Promise<PartitionOffset[]> {
    return this.#run('getOffsetsForTime', options, async (call) => {
      checkTopicName(topic)
      checkInteger('timestamp', timestamp, 0, Number.MAX_SAFE_INTEGER)
      const found = await this.#positions.find(topic, timestamp, call)
      return [...found].map(([partition, offset]) => ({ topic, partition, offset }))
    })
  }

  /** Settings of a topic or broker, sorted by name. Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC, INVALID_CONFIG. */
  async describeConfigs(resource: ConfigQuery, options?: CallOptions): Promise<ConfigEntry[]>
  /** One result per resource, in the order of the input. */
  async describeConfigs(resources: readonly ConfigQuery[], options?: CallOptions): Promise<ConfigResult[]>
  async describeConfigs(
    resources: ConfigQuery | readonly ConfigQuery[],
    options: CallOptions = {},
  ): Promise<ConfigEntry[] | ConfigResult[]> {
    return this.#run<ConfigEntry[] | ConfigResult[]>('describeConfigs', options, () => {
      if (isList<ConfigQuery>(resources)) return this.#reader.configResults(resources)
      checkResource(resources)
      return this.#reader.configs(resources)
    })
  }

  /**
   * Changes the settings that are named and no others; `null` returns to the default. Rejects with INVALID_CONFIG (no
   * such setting, illegal value), TOPIC_NOT_FOUND.
   */
  async alterConfigs(resource: ConfigResource, configs: ConfigChanges, options?: ChangeOptions): Promise<void>
  /** One result per resource, in the order of the input. */
  async alterConfigs(changes: readonly ConfigAlteration[], options?: ChangeOptions): Promise<AlterResult[]>
  async alterConfigs(
    resources: ConfigResource | readonly ConfigAlteration[],
    configsOrOptions: ConfigChanges | ChangeOptions = {},
    options: ChangeOptions = {},
  ): Promise<unknown> {
    const alter = (changes: readonly ConfigAlteration[], given: ChangeOptions) =>
      this.#run('alterConfigs', given, (call) => this.#configs.alter(changes, given.validateOnly ?? false, call))
    if (isList<ConfigAlteration>(resources)) return alter(resources, configsOrOptions as ChangeOptions)
    this.#only(await alter([{ ...resources, configs: configsOrOptions as ConfigChanges }], options))
    return undefined
  }

  /** All groups of the cluster, of either protocol, sorted by id. */
  async listGroups(options: ListGroupsOptions = {}): Promise<GroupListing[]> {
    return this.#run('listGroups', options, (call) => this.#groups.list(options, call))
  }

  /**
   * State, members and their partitions, of classic and KIP-848 groups. A group that is unknown has `error` (Kafka 69)
   * and state 'Dead'. One result per group, in the order of the input.
   */
  async describeGroups(groupIds: readonly string[], options: CallOptions = {}): Promise<GroupDescription[]> {
    return this.#run('describeGroups', options, (call) => this.#groups.describe(groupIds, call))
  }

  /** How far a group is behind, by partition. A group that is unknown: CONSUME_FAILED (Kafka 69). */
  async groupLag(groupId: string, options: CallOptions = {}): Promise<GroupLag[]> {
    return this.#run('groupLag', options, async (call) => {
      const group = only(await this.#groups.describe([groupId], call))
      return this.#offsets.lag(group, call)
    })
  }

  /** Deletes groups without members, with their offsets; one result per group, in the order of the input. */
  async deleteGroups(groupIds: readonly string[], options: CallOptions = {}): Promise<GroupResult[]> {
    return this.#run('deleteGroups', options, (call) => this.#groups.delete(groupIds, call))
  }

  /**
   * What a group has committed, ascending by topic and partition: all of it, or with `topics` every partition of these,
   * -1 where nothing is committed. A group that is unknown has committed nothing. Rejects with TOPIC_NOT_FOUND.
   */
  async fetchOffsets(groupId: string, topics?: readonly string[], options: CallOptions = {}): Promise<GroupOffset[]> {
    return this.#run('fetchOffsets', options, (call) => this.#offsets.fetch(groupId, topics, call))
  }

  /**
   * Commits other offsets for a group, also for one that does not exist yet. Refuses with OFFSET_COMMIT_FAILED while the
   * group has members, and with INVALID_OFFSET / OFFSET_OUT_OF_RANGE what a partition does not hold.
   */
  async resetOffsets(groupId: string, topic: string, options: ResetOffsetsOptions): Promise<ResetResult[]> {
    return this.#run('resetOffsets', options, (call) => this.#offsets.reset(groupId, topic, options, call))
  }

  async describeCluster(options: CallOptions = {}): Promise<ClusterInfo> {
    return this.#run('describeCluster', options, () => this.#reader.cluster())
  }

  /**
   * Idempotent. Calls that are under way reject with CONNECTION_CLOSED; what kafkajs has asked and no broker answers holds
   * it up for `connection.readTimeoutMs` at most.
   */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutDown(): Promise<void> {
    this.#state = 'closing'
    this.#calls.close()
    await Promise.all([this.#cluster.close(), this.#kafka.close()])
    this.#state = 'closed'
  }

  #run<T>(what: string, options: CallOptions, task: (call: Call) => Promise<T>): Promise<T> {
    return tellingAsync(this.#told, async () => {
      if (typeof options !== 'object' || options === null) {
        throw new MQError('INVALID_CONFIG', `${what}: expected an object of options`, { operation: what })
      }
      return this.#calls.run(what, options, task)
    })
  }

  /** The result of a call that had one item; throws what was wrong with it. */
  #only<R extends { readonly error?: MQError }>(results: readonly R[]): R {
    return telling(this.#told, () => only(results))
  }

  async #advertised() {
    await this.#cluster.connect()
    return this.#cluster.brokers()
  }
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList<T>(value: unknown): value is readonly T[] {
  return Array.isArray(value)
}
