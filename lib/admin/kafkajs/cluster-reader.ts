/**
 * The four questions that kafkajs answers: which topics, which partitions, which settings, which brokers.
 * Why one question per topic or resource: kafkajs throws at the first item that is refused and drops the others.
 * Source: features.md AD-1, AD-2.
 */
import type { Admin, ITopicMetadata } from 'kafkajs'
import { findMQError, MQError } from '../../errors/index.js'
import { checkList, checkTopicName } from '../checks.js'
import { checkResource, contextOf, RESOURCE_NUMBERS } from '../configs.js'
import type {
  ClusterInfo,
  ConfigEntry,
  ConfigQuery,
  ConfigResult,
  ConfigSource,
  PartitionInfo,
  TopicInfo,
  TopicInfoResult,
} from '../types.js'
import { isUnknownBroker } from './failures.js'
import type { KafkaJsReader } from './reader.js'

/** Kafka's numbers of `config_source`. */
const SOURCES: readonly ConfigSource[] = [
  'unknown',
  'topic',
  'broker',
  'brokerDefault',
  'static',
  'default',
  'brokerLogger',
  'client',
  'group',
]
const INTERNAL = '__'

/** The types of kafkajs say less than its answers hold. */
interface RawConfigEntry {
  readonly configName: string
  readonly configValue: string | null
  readonly readOnly: boolean
  readonly isDefault: boolean
  readonly configSource?: number
  readonly isSensitive: boolean
}

export class ClusterReader {
  readonly #kafka: KafkaJsReader

  constructor(kafka: KafkaJsReader) {
    this.#kafka = kafka
  }

  async topics(includeInternal: boolean): Promise<string[]> {
    const names = await this.#kafka.read('CONNECTION_FAILED', {}, (admin) => admin.listTopics())
    return names.filter((name) => includeInternal || !name.startsWith(INTERNAL)).sort()
  }

  async topic(name: string): Promise<TopicInfo> {
    const ask = (admin: Admin) => admin.fetchTopicMetadata({ topics: [name] })
    const { topics } = await this.#kafka.read('INVALID_TOPIC', { topic: name }, ask)
    return { topic: name, partitions: topics.flatMap(partitionsOf) }
  }

  topicResults(names: readonly string[]): Promise<TopicInfoResult[]> {
    checkList('topics', names)
    for (const name of names) checkTopicName(name)
    return Promise.all(
      names.map(async (name) => {
        try {
          return await this.topic(name)
        } catch (error) {
          return { topic: name, partitions: [], error: ofItem(error) }
        }
      }),
    )
  }

  async configs({ type, name, keys }: ConfigQuery): Promise<ConfigEntry[]> {
    const asked = { type: RESOURCE_NUMBERS[type], name, ...(keys === undefined ? {} : { configNames: [...keys] }) }
    const ask = (admin: Admin) => admin.describeConfigs({ resources: [asked], includeSynonyms: false })
    const { resources } = await this.#kafka
      .read('INVALID_CONFIG', contextOf({ type, name }), ask)
      .catch((error: MQError) => {
        throw type === 'broker' && isUnknownBroker(error) ? unknownBroker(name, error) : error
      })
    const raw = resources.flatMap(({ configEntries }) => configEntries as unknown as readonly RawConfigEntry[])
    return raw.map(entryOf).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  configResults(queries: readonly ConfigQuery[]): Promise<ConfigResult[]> {
    checkList('resources', queries)
    for (const query of queries) checkResource(query)
    return Promise.all(
      queries.map(async (query) => {
        const { type, name } = query
        try {
          return { type, name, entries: await this.configs(query) }
        } catch (error) {
          return { type, name, entries: [], error: ofItem(error) }
        }
      }),
    )
  }

  async cluster(): Promise<ClusterInfo> {
    const told = await this.#kafka.read('CONNECTION_FAILED', {}, (admin) => admin.describeCluster())
    const brokers = told.brokers.map(({ nodeId, host, port }) => ({ brokerId: nodeId, host, port }))
    return {
      clusterId: told.clusterId,
      controller: told.controller ?? -1,
      brokers: brokers.sort((a, b) => a.brokerId - b.brokerId),
    }
  }
}

/** What a broker said about this one; a connection that fails concerns all, and is thrown. */
function ofItem(error: unknown): MQError {
  const known = findMQError(error)
  if (known === undefined || (known.context.kafkaCode === undefined && !known.is('INVALID_CONFIG'))) throw error
  return known
}

function unknownBroker(name: string, cause: MQError): MQError {
  const text = `the cluster has no broker ${name}: describeCluster() names those it has`
  return new MQError('INVALID_CONFIG', text, { brokerId: Number(name) }, { cause })
}

function partitionsOf({ partitions }: ITopicMetadata): PartitionInfo[] {
  const rows = partitions.map(({ partitionId, leader, replicas, isr, offlineReplicas }) => ({
    partition: partitionId,
    leader,
    replicas,
    isr,
    offlineReplicas: offlineReplicas ?? [],
  }))
  return rows.sort((a, b) => a.partition - b.partition)
}

function entryOf({
  configName,
  configValue,
  readOnly,
  isDefault,
  configSource,
  isSensitive,
}: RawConfigEntry): ConfigEntry {
  return {
    name: configName,
    value: configValue,
    source: SOURCES[configSource ?? 0] ?? 'unknown',
    isDefault,
    isReadOnly: readOnly,
    isSensitive,
  }
}
