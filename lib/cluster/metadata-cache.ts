/**
 * Brokers, topics and leaders as the cluster told us last.
 * Why it refuses some news: metadata comes from any broker, and one that lags behind names leaders of the past. So a
 * leader gives way only to a higher leader epoch, or to another topic id (the topic was deleted and made anew).
 * Source: kafka.md W-25, W-26, W-28.
 */
import { MQError } from '../errors/index.js'
import { type DecodedResponseOf, type Metadata, ZERO_UUID } from '../protocol/index.js'
import type { BrokerAddress } from './failures.js'
import type { PartitionMetadata, TopicMetadata } from './topic-metadata.js'

export type MetadataAnswer = DecodedResponseOf<typeof Metadata>
type TopicAnswer = MetadataAnswer['topics'][number]
type PartitionAnswer = TopicAnswer['partitions'][number]

/** Addresses that a produce or fetch answer brings along with a leader hint. */
export interface HintEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack?: string | null
}

export class MetadataCache {
  clusterId: string | null = null
  controllerId = -1
  #brokers = new Map<number, BrokerAddress>()
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #names = new Map<string, string>() // by topic id

  get brokers(): readonly BrokerAddress[] {
    return [...this.#brokers.values()]
  }

  broker(brokerId: number): BrokerAddress | undefined {
    return this.#brokers.get(brokerId)
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name)
  }

  topicById(id: string): TopicMetadata | undefined {
    const name = this.#names.get(id)
    return name === undefined ? undefined : this.#topics.get(name)
  }

  /** A broker that somebody named before metadata did (a coordinator); the next metadata has the last word. */
  learn(address: BrokerAddress): void {
    const known = this.#brokers.get(address.brokerId)
    if (known?.host === address.host && known.port === address.port) return
    this.#brokers.set(address.brokerId, address)
  }

  /** Takes an answer over; returns the topics whose leader, partition count, id or error changed. */
  apply(answer: MetadataAnswer): TopicMetadata[] {
    // Read everything before anything changes: a malformed answer leaves the cache as it was.
    const topics = answer.topics.flatMap((topic) => (topic.name === null ? [] : [this.#merge(topic.name, topic)]))
    this.clusterId ??= answer.clusterId
    this.controllerId = answer.controllerId
    this.#brokers = new Map(
      answer.brokers.map(({ nodeId, host, port, rack }) => [nodeId, { brokerId: nodeId, host, port, rack }]),
    )
    return topics.filter((topic) => this.#put(topic))
  }

  /** Applies a hint with a higher leader epoch; null when it is no news or leads to a broker without address. */
  applyHint(
    name: string,
    partition: number,
    leaderId: number,
    leaderEpoch: number,
    endpoints: readonly HintEndpoint[],
  ): TopicMetadata | null {
    const topic = this.#topics.get(name)
    const known = topic?.partitions[partition]
    if (topic === undefined || known === undefined || leaderEpoch <= known.leaderEpoch || leaderId < 0) return null
    const endpoint = endpoints.find(({ nodeId }) => nodeId === leaderId)
    if (endpoint === undefined && !this.#brokers.has(leaderId)) return null
    for (const { nodeId, host, port, rack } of endpoints) {
      this.#brokers.set(nodeId, { brokerId: nodeId, host, port, rack: rack ?? null })
    }
    const moved: PartitionMetadata = { ...known, leaderId, leaderEpoch, errorCode: 0 }
    const next = { ...topic, partitions: topic.partitions.map((one) => (one === known ? moved : one)) }
    this.#put(next)
    return next
  }

  forget(name: string): void {
    const topic = this.#topics.get(name)
    if (topic === undefined) return
    this.#topics.delete(name)
    this.#names.delete(topic.topicId)
  }

  /** True when its users must be told. */
  #put(topic: TopicMetadata): boolean {
    const before = this.#topics.get(topic.name)
    this.#topics.set(topic.name, topic)
    if (before !== undefined && before.topicId !== topic.topicId) this.#names.delete(before.topicId)
    if (topic.topicId !== ZERO_UUID) this.#names.set(topic.topicId, topic.name)
    return before === undefined || isDifferent(before, topic)
  }

  #merge(name: string, answer: TopicAnswer): TopicMetadata {
    const known = this.#topics.get(name)
    const { errorCode, isInternal } = answer
    if (errorCode !== 0) {
      const nothing = { name, topicId: answer.topicId, isInternal, partitions: [] }
      return { ...(known ?? nothing), errorCode }
    }
    // A broker that does not tell ids (mixed cluster) says nothing against the id we know.
    const isSilent = answer.topicId === ZERO_UUID && known !== undefined
    const topicId = isSilent ? known.topicId : answer.topicId
    const isSame = known !== undefined && (known.topicId === topicId || known.topicId === ZERO_UUID)
    const before = isSame ? known.partitions : []
    return { name, topicId, isInternal, errorCode, partitions: mergePartitions(name, before, answer.partitions) }
  }
}

function mergePartitions(
  name: string,
  before: readonly PartitionMetadata[],
  answers: readonly PartitionAnswer[],
): readonly PartitionMetadata[] {
  const sorted = [...answers].sort((a, b) => a.partitionIndex - b.partitionIndex)
  if (sorted.some(({ partitionIndex }, index) => partitionIndex !== index)) throw gaps(name, sorted.length)
  const merged = sorted.map((answer, index) => mergePartition(before[index], answer))
  // Partitions are only ever added: a shorter list is an older one.
  return [...merged, ...before.slice(merged.length)]
}

function mergePartition(known: PartitionMetadata | undefined, answer: PartitionAnswer): PartitionMetadata {
  const isNews = known === undefined || known.leaderId < 0 || answer.leaderEpoch > known.leaderEpoch
  const isOld = known !== undefined && answer.leaderEpoch >= 0 && answer.leaderEpoch < known.leaderEpoch
  if (isOld) return known
  // Without epochs (-1) every answer counts: there is nothing to compare.
  const isTaken = isNews || answer.leaderEpoch < 0
  return {
    partition: answer.partitionIndex,
    errorCode: answer.errorCode,
    leaderId: isTaken ? answer.leaderId : known.leaderId,
    leaderEpoch: isTaken ? answer.leaderEpoch : known.leaderEpoch,
    replicas: answer.replicaNodes,
    isr: answer.isrNodes,
    offlineReplicas: answer.offlineReplicas,
  }
}

/** Anything that a lane or a fetcher acts upon; the in-sync set alone is no reason to wake them. */
function isDifferent(a: TopicMetadata, b: TopicMetadata): boolean {
  return (
    a.topicId !== b.topicId ||
    a.errorCode !== b.errorCode ||
    a.partitions.length !== b.partitions.length ||
    a.partitions.some((one, index) => {
      const other = b.partitions[index]
      return (
        one.leaderId !== other?.leaderId || one.leaderEpoch !== other.leaderEpoch || one.errorCode !== other.errorCode
      )
    })
  )
}

function gaps(name: string, count: number): MQError {
  const text = `the partitions of ${name} in a metadata answer are not 0..${count - 1}`
  return new MQError('CONNECTION_FAILED', text, { reason: 'MALFORMED_FRAME', topic: name })
}
