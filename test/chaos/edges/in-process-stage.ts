/** The edges on in-process brokers. */
import { type Broker, createBroker, fault } from '../../../lib/broker/index.js'
import type { FoundRecord } from '../support/ledger.js'
import type { EdgeStage } from './stage.js'

const NODES = 3
const TOPIC_AUTHORIZATION_FAILED = 29
const PARTITION = 0

export class InProcessStage implements EdgeStage {
  readonly name = 'in-process broker'
  readonly #broker: Broker

  private constructor(broker: Broker) {
    this.#broker = broker
  }

  static async start(): Promise<InProcessStage> {
    return new InProcessStage(await createBroker({ nodes: NODES }))
  }

  get brokers(): string {
    return this.#broker.bootstrap
  }

  async createTopic(topic: string, isReplicated: boolean): Promise<void> {
    this.#broker.createTopic(topic, { partitions: 1, replicationFactor: isReplicated ? NODES : 1 })
  }

  read(topic: string): Promise<FoundRecord[]> {
    return this.#broker.records(topic, PARTITION)
  }

  async end(topic: string): Promise<number> {
    return this.#broker.log(topic, PARTITION).logEnd
  }

  async cleanRestart(topic: string): Promise<void> {
    const { leader } = this.#broker.log(topic, PARTITION)
    await this.#broker.stop(leader)
    await this.#broker.start(leader)
  }

  async kill(topic: string): Promise<void> {
    const { leader } = this.#broker.log(topic, PARTITION)
    await this.#broker.kill(leader)
    await this.#broker.start(leader)
  }

  async recreate(topic: string): Promise<void> {
    this.#broker.recreateTopic(topic)
  }

  async deleteRecords(topic: string, before: number): Promise<void> {
    this.#broker.deleteRecords({ topic, partition: PARTITION }, before)
  }

  readonly moveLeader = async (topic: string): Promise<void> => {
    const { leader, isr } = this.#broker.log(topic, PARTITION)
    this.#broker.moveLeader({ topic, partition: PARTITION }, isr.find((one) => one !== leader) ?? leader)
  }

  readonly forgetProducers = async (topic: string): Promise<void> => {
    this.#broker.forgetState({ topic, partition: PARTITION })
  }

  readonly refuseDescribe = (): (() => void) => {
    const refused = this.#broker.on({ api: 'DescribeProducers' }, fault.error(TOPIC_AUTHORIZATION_FAILED))
    return () => refused.remove()
  }

  readonly becomeAnother = async (): Promise<void> => {
    this.#broker.setClusterId('another-cluster-of-22w')
    this.#broker.disconnect()
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.#broker.close()
  }
}
