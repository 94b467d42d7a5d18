/** What broker tests share: a broker per test, clients that are closed, the few requests everybody sends. */
import { afterEach } from 'vitest'
import { type Broker, type BrokerOptions, createBroker } from '../../lib/broker/index.js'
import { type DecodedResponseOf, Fetch, ListOffsets, Produce, ZERO_UUID } from '../../lib/protocol/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { type BatchSpec, makeBatch, NOW } from './batches.js'
import { RawClient } from './raw-client.js'

export const PRODUCE_VERSION = 12

export interface FetchSpec {
  readonly partition?: number
  readonly offset?: number
  readonly maxBytes?: number
  readonly partitionMaxBytes?: number
  readonly minBytes?: number
  readonly maxWaitMs?: number
  readonly currentLeaderEpoch?: number
  readonly lastFetchedEpoch?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly isolationLevel?: number
}

export class Bench {
  broker!: Broker
  clock!: FakeClock
  readonly #clients: RawClient[] = []

  async start(options: BrokerOptions = {}): Promise<RawClient> {
    this.clock = new FakeClock(NOW)
    this.broker = await createBroker({ clock: this.clock, ...options })
    return this.connect(1)
  }

  /** A client of the broker with this id. */
  async connect(brokerId: number): Promise<RawClient> {
    const client = await RawClient.connect(this.broker.bootstrap.split(',')[brokerId - 1] as string)
    this.#clients.push(client)
    return client
  }

  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close()
    await this.broker.close()
  }

  async produce(
    client: RawClient,
    spec: BatchSpec,
    options: { topic?: string; partition?: number; acks?: number } = {},
  ) {
    const { topic = 't', partition = 0, acks = -1 } = options
    return partitionOf(await client.request(Produce, PRODUCE_VERSION, produceBody(topic, partition, spec, acks)))
  }

  async fetch(client: RawClient, spec: FetchSpec = {}, version = 12) {
    return client.request(Fetch, version, this.fetchBody(spec))
  }

  fetchBody(spec: FetchSpec, topic = 't') {
    const partition = {
      partition: spec.partition ?? 0,
      fetchOffset: spec.offset ?? 0,
      partitionMaxBytes: spec.partitionMaxBytes ?? 1_000_000,
      currentLeaderEpoch: spec.currentLeaderEpoch ?? -1,
      lastFetchedEpoch: spec.lastFetchedEpoch ?? -1,
    }
    return {
      maxWaitMs: spec.maxWaitMs ?? 0,
      minBytes: spec.minBytes ?? 1,
      maxBytes: spec.maxBytes ?? 10_000_000,
      isolationLevel: spec.isolationLevel ?? 0,
      sessionId: spec.sessionId ?? 0,
      sessionEpoch: spec.sessionEpoch ?? -1,
      topics: [{ topic, topicId: ZERO_UUID, partitions: [partition] }],
    }
  }

  async listOffset(client: RawClient, timestamp: number, partition = 0) {
    const answer = await client.request(ListOffsets, 7, {
      replicaId: -1,
      topics: [{ name: 't', partitions: [{ partitionIndex: partition, timestamp }] }],
    })
    return answer.topics[0]?.partitions[0]
  }
}

export function produceBody(topic: string, partition: number, spec: BatchSpec, acks = -1, timeoutMs = 1000) {
  return {
    acks,
    timeoutMs,
    topicData: [{ name: topic, partitionData: [{ index: partition, records: makeBatch(spec) }] }],
  }
}

export function partitionOf(answer: DecodedResponseOf<typeof Produce>) {
  return answer.responses[0]?.partitionResponses[0]
}

/** A bench that is closed after each test. */
export function bench(): Bench {
  const made = new Bench()
  afterEach(() => made.close())
  return made
}

/** Lets socket events and promise callbacks run, without waiting for time. */
export const turn = () => new Promise((resolve) => setImmediate(resolve))
