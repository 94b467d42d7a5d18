/** What consumer tests share: a broker in this process, records in it, consumers that are closed after each test. */
import { afterEach } from 'vitest'
import { type Broker, type BrokerOptions, createBroker } from '../../lib/broker/index.js'
import { Cluster } from '../../lib/cluster/index.js'
import { parseBrokers } from '../../lib/config/index.js'
import { Consumer } from '../../lib/consumer/index.js'
import { Produce, type RequestOf, ZERO_UUID } from '../../lib/protocol/index.js'
import { type Clock, seededRandom, silentLogger } from '../../lib/util/index.js'
import { type BatchSpec, makeBatch } from '../broker/batches.js'

type Config = NonNullable<ConstructorParameters<typeof Consumer>[0]>

/** The leader is elsewhere, or the topic is another one: metadata knows. */
const MOVED = [3, 5, 6, 100]

export class Bench {
  broker!: Broker
  #writer!: Cluster
  #clock: Clock | undefined
  readonly #consumers: { close(): Promise<void> }[] = []

  /** A clock that is given is that of the consumers too. */
  async start(options: BrokerOptions = {}): Promise<Broker> {
    this.#clock = options.clock
    this.broker = await createBroker({ random: seededRandom(1), ...options })
    this.#writer = new Cluster({ brokers: parseBrokers(this.broker.bootstrap) ?? [] })
    return this.broker
  }

  /** A consumer with short waits, so that tests follow facts and not limits. */
  consumer<V = Buffer, K = Buffer>(config: Config = {}): Consumer<V, K> {
    const base = { brokers: this.broker.bootstrap, logger: silentLogger, fetchMaxWaitMs: 20, clientId: 'reader' }
    const connection = { retryBackoffMs: 5, retryBackoffMaxMs: 20, ...config.connection }
    const made = new Consumer<V, K>(
      { autoOffsetReset: 'earliest', ...base, ...config, connection },
      {
        random: seededRandom(2 + this.#consumers.length), // member ids are drawn from it
        ...(this.#clock === undefined ? {} : { clock: this.#clock }),
      },
    )
    this.#consumers.push(made)
    return made
  }

  /** One batch into one partition. */
  async produce(topic: string, partition: number, spec: BatchSpec | string[]): Promise<void> {
    await this.#writer.waitForTopic(topic, { timeoutMs: 5_000 })
    const records = makeBatch(Array.isArray(spec) ? { values: spec } : spec)
    for (;;) {
      const known = this.#writer.topic(topic)
      const topicId = known?.topicId ?? ZERO_UUID
      const topicData = [{ name: topic, topicId, partitionData: [{ index: partition, records }] }]
      const brokerId = known?.partitions[partition]?.leaderId ?? -1
      const body = { acks: -1, timeoutMs: 5_000, topicData }
      const errorCode = brokerId < 0 ? 5 : await this.#askToAppend(brokerId, body)
      if (errorCode === 0) return
      if (!MOVED.includes(errorCode)) throw new Error(`the test could not produce: ${errorCode}`)
      await this.#writer.refresh('the leader has moved')
    }
  }

  async #askToAppend(brokerId: number, body: RequestOf<typeof Produce>): Promise<number> {
    try {
      const answer = await this.#writer.request(Produce, body, { brokerId })
      return answer.responses?.[0]?.partitionResponses?.[0]?.errorCode ?? -1
    } catch {
      return 6 // That broker is gone; metadata will say who leads now.
    }
  }

  /** Values `from`, `from + 1`, .. as texts. */
  produceNumbers(topic: string, partition: number, from: number, count: number): Promise<void> {
    return this.produce(
      topic,
      partition,
      Array.from({ length: count }, (_, index) => String(from + index)),
    )
  }

  async close(): Promise<void> {
    for (const consumer of this.#consumers.splice(0)) await consumer.close()
    await this.#writer?.close()
    await this.broker?.close()
  }
}

/** A bench that is closed after each test. */
export function bench(): Bench {
  const made = new Bench()
  afterEach(() => made.close())
  return made
}

/** Collects `topic/partition@offset=value` and tells when so many have come. */
export class Seen {
  readonly records: string[] = []
  readonly #waiters: { readonly isMet: () => boolean; readonly resolve: () => void }[] = []

  readonly take = (record: { topic: string; partition: number; offset: number; value: unknown }): void => {
    this.records.push(`${record.topic}/${record.partition}@${record.offset}=${String(record.value)}`)
    this.check()
  }

  check(): void {
    for (const waiter of this.#waiters.filter(({ isMet }) => isMet())) waiter.resolve()
  }

  count(count: number): Promise<void> {
    return this.until(() => this.records.length >= count)
  }

  until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ isMet, resolve }))
  }

  of(topic: string, partition: number): string[] {
    return this.records.filter((text) => text.startsWith(`${topic}/${partition}@`))
  }
}

/** `t/0@from=from`, .. as `Seen` writes them. */
export function expected(topic: string, partition: number, from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${topic}/${partition}@${from + index}=${from + index}`)
}
