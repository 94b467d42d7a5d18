/**
 * The edges on a real Kafka of one node that may be restarted. What needs several nodes, or a broker that forgets on
 * command, is told as skipped.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createTopicNamed, endOffsets, withAdmin } from '../../support/interop-kafkajs.js'
import { kafkaMeanwhile } from '../../support/interop-setup.js'
import { deleteRecords, KafkaCluster } from '../support/kafka-cluster.js'
import type { FoundRecord } from '../support/ledger.js'
import type { EdgeStage } from './stage.js'

const GONE_LIMIT_MS = 20_000
const POLL_MS = 50

export class KafkaStage implements EdgeStage {
  readonly name: string
  readonly brokers: string
  readonly moveLeader = null
  readonly forgetProducers = null
  readonly refuseDescribe = null
  readonly becomeAnother = null
  readonly #cluster: KafkaCluster
  readonly #stateFolder: string

  private constructor(cluster: KafkaCluster, stateFolder: string) {
    this.#cluster = cluster
    this.#stateFolder = stateFolder
    this.name = cluster.name
    this.brokers = cluster.brokers
  }

  static async start(): Promise<KafkaStage> {
    const cluster = await KafkaCluster.start()
    if (cluster.stateFolder !== null) return new KafkaStage(cluster, cluster.stateFolder)
    await cluster.close()
    throw new Error('this Kafka belongs to somebody else: KAFKA_STATE_FOLDER names one that may be restarted')
  }

  createTopic(topic: string): Promise<void> {
    return createTopicNamed(this.#list, topic, 1)
  }

  async read(topic: string): Promise<FoundRecord[]> {
    return (await this.#cluster.read(topic, 1))[0] ?? []
  }

  async end(topic: string): Promise<number> {
    return (await endOffsets(this.#list, topic))[0] ?? 0
  }

  async cleanRestart(): Promise<void> {
    await kafkaMeanwhile(['stop', '1'], this.#stateFolder)
    await kafkaMeanwhile(['start', '1'], this.#stateFolder)
  }

  async kill(): Promise<void> {
    await kafkaMeanwhile(['kill', '1'], this.#stateFolder)
    await kafkaMeanwhile(['start', '1'], this.#stateFolder)
  }

  async recreate(topic: string): Promise<void> {
    await this.#cluster.deleteTopic(topic)
    const deadlineMs = Date.now() + GONE_LIMIT_MS
    while (await this.#exists(topic)) {
      if (Date.now() > deadlineMs) throw new Error(`${topic} is still there ${GONE_LIMIT_MS} ms after its deletion`)
      await sleep(POLL_MS)
    }
    await createTopicNamed(this.#list, topic, 1)
  }

  deleteRecords(topic: string, before: number): Promise<void> {
    return deleteRecords(this.#list, topic, before)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cluster.close()
  }

  get #list(): string[] {
    return this.brokers.split(',')
  }

  #exists(topic: string): Promise<boolean> {
    return withAdmin(this.#list, async (admin) => (await admin.listTopics()).includes(topic))
  }
}
