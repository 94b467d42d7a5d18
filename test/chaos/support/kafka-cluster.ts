/**
 * A real Kafka of one node, given or started here, that is stopped and killed while producers run.
 * Why kcat reads where it is installed: librdkafka shares nothing with us, and a topic of some ten thousand records takes
 * it a moment; kafkajs reads elsewhere.
 * Invariant: a node that was started here is ended by `close()`; one that belongs to somebody else is never restarted.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RandomSource, randomInt } from '../../../lib/util/index.js'
import { createTopicNamed, readWithKafkajs, withAdmin } from '../../support/interop-kafkajs.js'
import { hasKcat, readWithKcat } from '../../support/interop-kcat.js'
import { fromEnvironmentLines, kafka, kafkaMeanwhile } from '../../support/interop-setup.js'
import type { ChaosCluster, Trouble } from './cluster.js'
import type { FoundRecord } from './ledger.js'

const DOWN_MS = 500

export class KafkaCluster implements ChaosCluster {
  readonly name: string
  readonly brokers: string
  readonly troubles: readonly Trouble[]
  /** A restart takes seconds, many cycles long: with more of them it would be down most of the time. */
  readonly troubled = 0.15
  /** Null: it belongs to somebody else and is not restarted. */
  readonly stateFolder: string | null
  readonly #list: readonly string[]
  readonly #isOurs: boolean

  private constructor(brokers: readonly string[], stateFolder: string | null, isOurs: boolean) {
    this.#list = brokers
    this.brokers = brokers.join(',')
    this.stateFolder = stateFolder
    this.#isOurs = isOurs
    this.troubles = stateFolder === null ? [] : ['cleanRestart', 'kill']
    this.name = `Apache Kafka at ${this.brokers}, read by ${hasKcat ? 'kcat' : 'kafkajs'}`
  }

  /** KAFKA_BROKERS (with KAFKA_STATE_FOLDER it may be restarted), else a node of our own. */
  static async start(settings: readonly string[] = []): Promise<KafkaCluster> {
    const given = process.env.KAFKA_BROKERS
    if (given !== undefined && given !== '') {
      return new KafkaCluster(given.split(','), process.env.KAFKA_STATE_FOLDER ?? null, false)
    }
    const stateFolder = mkdtempSync(join(tmpdir(), 'tandem-kafka-state-'))
    try {
      await kafkaMeanwhile(['up', '1', ...settings.flatMap((one) => ['--set', one])], stateFolder)
    } catch (error) {
      await kafkaMeanwhile(['down'], stateFolder)
      throw error
    }
    const { brokers } = fromEnvironmentLines(kafka(['env'], stateFolder), stateFolder)
    return new KafkaCluster(brokers, stateFolder, true)
  }

  createTopic(topic: string, partitions: number): Promise<void> {
    return createTopicNamed(this.#list, topic, partitions)
  }

  deleteTopic(topic: string): Promise<void> {
    return withAdmin(this.#list, (admin) => admin.deleteTopics({ topics: [topic] }))
  }

  read(topic: string, partitions: number): Promise<FoundRecord[][]> {
    return readTopic(this.#list, topic, partitions)
  }

  async trouble(kind: Trouble, _topics: readonly string[], random: RandomSource): Promise<void> {
    if (this.stateFolder === null) throw new Error('this Kafka belongs to somebody else and is not restarted')
    await kafkaMeanwhile([kind === 'kill' ? 'kill' : 'stop', '1'], this.stateFolder)
    await sleep(randomInt(random, DOWN_MS))
    await kafkaMeanwhile(['start', '1'], this.stateFolder)
  }

  async close(): Promise<void> {
    if (!this.#isOurs || this.stateFolder === null) return
    await kafkaMeanwhile(['down'], this.stateFolder)
    rmSync(this.stateFolder, { recursive: true, force: true })
  }
}

/** Everything of a topic, by partition. */
export async function readTopic(
  brokers: readonly string[],
  topic: string,
  partitions: number,
): Promise<FoundRecord[][]> {
  const all = await (hasKcat ? readWithKcat : readWithKafkajs)(brokers, topic)
  const byPartition: FoundRecord[][] = Array.from({ length: partitions }, () => [])
  for (const record of all) byPartition[record.partition]?.push(record)
  return byPartition
}

/** Of partition 0. kafkajs knows no topic that it was not asked about before. */
export function deleteRecords(brokers: readonly string[], topic: string, before: number): Promise<void> {
  return withAdmin(brokers, async (admin) => {
    await admin.fetchTopicMetadata({ topics: [topic] })
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(before) }] })
  })
}
