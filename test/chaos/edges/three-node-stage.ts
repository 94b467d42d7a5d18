/**
 * The edges on three real Kafka nodes: leaders move, and a topic without replicas feels the restart of its only node.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { endOffsets, withAdmin } from '../../support/interop-kafkajs.js'
import { type NodeId, ThreeNodes } from '../../support/three-nodes.js'
import { deleteRecords, readTopic } from '../support/kafka-cluster.js'
import type { FoundRecord } from '../support/ledger.js'
import type { EdgeStage } from './stage.js'

const NODES = 3
const LIMIT_MS = 30_000
const POLL_MS = 50

export class ThreeNodeStage implements EdgeStage {
  readonly name = 'Apache Kafka, three nodes'
  readonly brokers: string
  readonly forgetProducers = null
  readonly refuseDescribe = null
  readonly becomeAnother = null
  readonly #nodes: ThreeNodes

  private constructor(nodes: ThreeNodes) {
    this.#nodes = nodes
    this.brokers = nodes.brokers.join(',')
  }

  static async start(): Promise<ThreeNodeStage> {
    return new ThreeNodeStage(await ThreeNodes.start())
  }

  async createTopic(topic: string, isReplicated: boolean): Promise<void> {
    const wish = { topic, numPartitions: 1, replicationFactor: isReplicated ? NODES : 1 }
    await withAdmin(this.#nodes.brokers, (admin) => admin.createTopics({ waitForLeaders: false, topics: [wish] }))
    await this.#until(`${topic} has a leader`, async () => ((await this.#leader(topic)) ?? -1) > 0)
    await this.#until(`${topic} answers`, async () => (await this.end(topic)) >= 0)
  }

  async read(topic: string): Promise<FoundRecord[]> {
    return (await readTopic(this.#nodes.brokers, topic, 1))[0] ?? []
  }

  async end(topic: string): Promise<number> {
    return (await endOffsets(this.#nodes.brokers, topic))[0] ?? 0
  }

  async cleanRestart(topic: string): Promise<void> {
    const node = await this.#leader(topic)
    await this.#nodes.stop(node)
    await this.#nodes.start(node)
  }

  async kill(topic: string): Promise<void> {
    const node = await this.#leader(topic)
    await this.#nodes.kill(node)
    await this.#nodes.start(node)
  }

  async recreate(topic: string): Promise<void> {
    await withAdmin(this.#nodes.brokers, (admin) => admin.deleteTopics({ topics: [topic] }))
    const isGone = () => withAdmin(this.#nodes.brokers, async (admin) => !(await admin.listTopics()).includes(topic))
    await this.#until(`${topic} is gone`, isGone)
    await this.createTopic(topic, false)
  }

  deleteRecords(topic: string, before: number): Promise<void> {
    return deleteRecords(this.#nodes.brokers, topic, before)
  }

  readonly moveLeader = async (topic: string): Promise<void> => {
    await this.#nodes.moveLeaders(topic)
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.#nodes.close()
  }

  async #leader(topic: string): Promise<NodeId> {
    const [state] = await this.#nodes.partitions(topic)
    return (state?.leader ?? -1) as NodeId
  }

  async #until(what: string, fact: () => Promise<boolean>): Promise<void> {
    for (const deadlineMs = Date.now() + LIMIT_MS; !(await fact().catch(() => false)); await sleep(POLL_MS)) {
      if (Date.now() > deadlineMs) throw new Error(`not within ${LIMIT_MS} ms: ${what}`)
    }
  }
}
