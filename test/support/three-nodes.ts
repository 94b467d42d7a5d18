/**
 * Three real Kafka nodes of our own, whose leaders move and whose nodes stop, die and come back while a test runs.
 * Why commands on a socket and no Java tools: a JVM per leader move takes seconds of the cores the nodes need.
 * Invariant: one node is down at a time, since two of three are the majority; `close` ends all of them by their pids, and
 * what it cannot end any more the teardown of the run does (`interop-setup`).
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  AlterPartitionReassignments,
  type Api,
  type DecodedResponseOf,
  DescribeQuorum,
  decodeResponse,
  ElectLeaders,
  encodeRequest,
  FindCoordinator,
  Metadata,
  type RequestOf,
} from '../../lib/protocol/index.js'
import { eventually } from './eventually.js'
import { fromEnvironmentLines, kafka, kafkaMeanwhile, newStateFolder, type RealKafka } from './interop-setup.js'
import { FrameSocket } from './interop-socket.js'

const NODES = [1, 2, 3] as const
const PREFERRED = 0
const ELECTION_LIMIT_MS = 10_000
/** A node that came back first reads what it missed. */
const IN_SYNC_LIMIT_MS = 30_000
const ELECTION_NOT_NEEDED = 84

export type NodeId = (typeof NODES)[number]

interface PartitionState {
  readonly partition: number
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}

export class ThreeNodes {
  readonly brokers: readonly string[]
  readonly jarFolder: string
  readonly #stateFolder: string
  readonly #dataFolder: string
  readonly #down = new Set<NodeId>()

  private constructor({ brokers, jarFolder, dataFolder }: RealKafka, stateFolder: string) {
    this.brokers = brokers
    this.jarFolder = jarFolder ?? ''
    this.#dataFolder = dataFolder ?? ''
    this.#stateFolder = stateFolder
  }

  /** Ports and data folder of its own; takes about 15 s. `{id}` in a setting is the node's number. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<ThreeNodes> {
    const stateFolder = newStateFolder()
    try {
      const more = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
      await kafkaMeanwhile(['up', '3', ...more], stateFolder)
      return new ThreeNodes(fromEnvironmentLines(kafka(['env'], stateFolder), stateFolder), stateFolder)
    } catch (error) {
      await kafkaMeanwhile(['down'], stateFolder)
      throw error
    }
  }

  async stop(node: NodeId): Promise<void> {
    this.#down.add(node)
    await kafkaMeanwhile(['stop', String(node)], this.#stateFolder)
  }

  async kill(node: NodeId): Promise<void> {
    this.#down.add(node)
    await kafkaMeanwhile(['kill', String(node)], this.#stateFolder)
  }

  async start(node: NodeId): Promise<void> {
    await kafkaMeanwhile(['start', String(node)], this.#stateFolder)
    this.#down.delete(node)
  }

  /** Its sockets stay open and nothing is answered any more, as when a machine is lost. */
  freeze(node: NodeId): void {
    this.#down.add(node)
    process.kill(this.#pidOf(node), 'SIGSTOP')
  }

  thaw(node: NodeId): void {
    process.kill(this.#pidOf(node), 'SIGCONT')
    this.#down.delete(node)
  }

  #pidOf(node: NodeId): number {
    return Number(readFileSync(join(this.#dataFolder, `node${node}.pid`), 'utf8'))
  }

  async close(): Promise<void> {
    await kafkaMeanwhile(['down'], this.#stateFolder)
    rmSync(this.#stateFolder, { recursive: true, force: true })
  }

  /** Every partition gets another leader: the next of its replicas. Returns the leaders by partition. */
  async moveLeaders(topic: string): Promise<number[]> {
    const before = await this.partitions(topic)
    const wanted = before.map(({ partition, leader, replicas }) => {
      const at = replicas.indexOf(leader)
      return { partitionIndex: partition, replicas: [...replicas.slice(at + 1), ...replicas.slice(0, at + 1)] }
    })
    const moved = await this.#ask(AlterPartitionReassignments, 1, { topics: [{ name: topic, partitions: wanted }] })
    const refused = [moved.errorCode, ...moved.responses.flatMap((one) => one.partitions.map((p) => p.errorCode))]
    if (refused.some((code) => code !== 0)) throw new Error(`reassignment of ${topic} was refused: ${refused}`)
    const leaders = wanted.map(({ replicas }) => replicas[0] as number)
    await eventually(`the leaders of ${topic} are ${leaders}`, () => this.#elect(topic, leaders), ELECTION_LIMIT_MS)
    return leaders
  }

  async #elect(topic: string, leaders: readonly number[]): Promise<boolean> {
    const topicPartitions = [{ topic, partitions: leaders.map((_, partition) => partition) }]
    const answer = await this.#ask(ElectLeaders, 2, { electionType: PREFERRED, topicPartitions })
    const results = answer.replicaElectionResults.flatMap((one) => one.partitionResult)
    if (results.some(({ errorCode }) => errorCode !== 0 && errorCode !== ELECTION_NOT_NEEDED)) return false
    // All of them must know: the old leader has to refuse, the new one to accept.
    const views = await Promise.all(this.#up().map((node) => this.partitions(topic, node)))
    return views.every((view) => view.every(({ partition, leader }) => leader === leaders[partition]))
  }

  /** Every replica of the topic has caught up: the next node may go down. */
  untilInSync(topic: string): Promise<void> {
    let seen: readonly PartitionState[] = []
    const isInSync = async () => {
      seen = await this.partitions(topic)
      return seen.every(({ isr }) => isr.length === NODES.length)
    }
    return eventually(`${topic} is in sync`, isInSync, IN_SYNC_LIMIT_MS, () => JSON.stringify(seen))
  }

  /** The node that leads the metadata quorum. */
  async controller(): Promise<NodeId> {
    const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]
    const answer = await this.#ask(DescribeQuorum, 0, { topics })
    return (answer.topics[0]?.partitions[0]?.leaderId ?? -1) as NodeId
  }

  /** The node that coordinates the group. */
  async coordinator(groupId: string): Promise<NodeId> {
    const answer = await this.#ask(FindCoordinator, 4, { keyType: 0, coordinatorKeys: [groupId] })
    return (answer.coordinators[0]?.nodeId ?? -1) as NodeId
  }

  /** As the first node sees it that is up, or the one named. */
  async partitions(topic: string, node?: NodeId): Promise<PartitionState[]> {
    const question = { topics: [{ name: topic }], allowAutoTopicCreation: false }
    const answer = await this.#ask(Metadata, 12, question, node)
    const partitions = answer.topics[0]?.partitions ?? []
    return partitions
      .map((one) => ({
        partition: one.partitionIndex,
        leader: one.leaderId,
        leaderEpoch: one.leaderEpoch,
        replicas: one.replicaNodes,
        isr: one.isrNodes,
      }))
      .sort((a, b) => a.partition - b.partition)
  }

  #up(): NodeId[] {
    return NODES.filter((one) => !this.#down.has(one))
  }

  /** Any broker passes a controller's question on. */
  async #ask<A extends Api>(
    api: A,
    version: number,
    body: RequestOf<A>,
    node: NodeId = this.#up()[0] as NodeId,
  ): Promise<DecodedResponseOf<A>> {
    const socket = new FrameSocket(this.brokers[node - 1] ?? '')
    try {
      const answer = await socket.ask(Buffer.concat(encodeRequest(api, version, 1, 'three-nodes', body)))
      if (answer === null) throw new Error(`node ${node} closed the socket instead of answering ${api.name}`)
      return decodeResponse(api, version, answer).body
    } finally {
      socket.close()
    }
  }
}
