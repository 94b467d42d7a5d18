/**
 * Three in-process brokers that are stopped, killed, led away from and kept from answering.
 * Invariant: one trouble at a time, so two of three replicas are always there and nothing acknowledged is ever lost by
 * the cluster; every trouble has ended when its promise settles.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, createBroker, fault } from '../../../lib/broker/index.js'
import { type RandomSource, randomInt } from '../../../lib/util/index.js'
import type { ChaosCluster, Trouble } from './cluster.js'
import type { FoundRecord } from './ledger.js'

const NODES = 3
const DOWN_MS = 120
const HELD_MS = 200

export class InProcessCluster implements ChaosCluster {
  readonly name = `in-process broker, ${NODES} nodes`
  readonly troubles = ['cleanRestart', 'kill', 'moveLeader', 'holdAnswers', 'loseAnswers', 'disconnect'] as const
  readonly troubled = 0.45
  readonly broker: Broker

  private constructor(broker: Broker) {
    this.broker = broker
  }

  static async start(): Promise<InProcessCluster> {
    return new InProcessCluster(await createBroker({ nodes: NODES }))
  }

  get brokers(): string {
    return this.broker.bootstrap
  }

  async createTopic(topic: string, partitions: number, isReplicated: boolean): Promise<void> {
    const configs = { 'min.insync.replicas': isReplicated ? 2 : 1 }
    this.broker.createTopic(topic, { partitions, replicationFactor: isReplicated ? NODES : 1, configs })
  }

  async deleteTopic(topic: string): Promise<void> {
    this.broker.deleteTopic(topic)
    this.broker.forgetRequests()
  }

  read(topic: string, partitions: number): Promise<FoundRecord[][]> {
    return Promise.all(Array.from({ length: partitions }, (_, partition) => this.broker.records(topic, partition)))
  }

  async trouble(kind: Trouble, topics: readonly string[], random: RandomSource): Promise<void> {
    const { broker } = this
    const brokerId = broker.brokerIds[randomInt(random, NODES)] as number
    const topic = topics[randomInt(random, topics.length)] as string
    if (kind === 'disconnect') return broker.disconnect(brokerId)
    if (kind === 'moveLeader') return this.#moveLeaders(topic)
    if (kind === 'cleanRestart' || kind === 'kill') {
      await (kind === 'kill' ? broker.kill(brokerId) : broker.stop(brokerId))
      await sleep(randomInt(random, DOWN_MS))
      return broker.start(brokerId)
    }
    const [what, ms] = kind === 'holdAnswers' ? [fault.hold(), HELD_MS] : [fault.drop('after'), DOWN_MS]
    const held = broker.on({ api: 'Produce', ...(randomInt(random, 2) === 0 ? { topic } : {}) }, what)
    await sleep(randomInt(random, ms))
    held.remove()
  }

  close(): Promise<void> {
    return this.broker.close()
  }

  /** Every partition of the topic goes to the next broker that is in sync. */
  #moveLeaders(topic: string): void {
    const { broker } = this
    for (let partition = 0; ; partition++) {
      const view = logOrNull(broker, topic, partition)
      if (view === null) return
      const next = view.isr[(view.isr.indexOf(view.leader) + 1) % view.isr.length]
      if (next !== undefined && next !== view.leader) broker.moveLeader({ topic, partition }, next)
    }
  }
}

function logOrNull(broker: Broker, topic: string, partition: number): ReturnType<Broker['log']> | null {
  try {
    return broker.log(topic, partition)
  } catch {
    return null // behind the last partition
  }
}
