/**
 * Our clients on a real Kafka, closed when their test has ended, and what a consumer was heard to say and deliver.
 * Why values as strings, by partition, in the order of the callbacks: a set, or a count, proves nothing (kafka.md 5.6).
 */
import { Consumer, type ConsumerConfig, type MQError, Producer } from '../../lib/index.js'
import { eventually } from './eventually.js'

const LIMIT_MS = 30_000

type ConsumerDeps = ConstructorParameters<typeof Consumer>[1]

/** What came out of one consumer. */
export class Heard {
  readonly consumer: Consumer
  /** In the order of the callbacks: topic/partition@offset. */
  readonly places: string[] = []
  readonly values: string[] = []
  readonly errors: MQError[] = []
  readonly warnings: string[] = []
  readonly lost: MQError[] = []

  constructor(consumer: Consumer) {
    this.consumer = consumer
    consumer.on('error', (error) => this.errors.push(error))
    consumer.on('warning', ({ message, context }) => this.warnings.push(`${message} ${JSON.stringify(context)}`))
    consumer.on('lost', ({ reason }) => this.lost.push(reason))
    consumer.run().catch(() => {}) // Looked at through `errors` and `state`.
  }

  /** The callback. */
  readonly take = (record: { topic: string; partition: number; offset: number; value: Buffer | null }): void => {
    this.places.push(`${record.topic}/${record.partition}@${record.offset}`)
    this.values.push(String(record.value))
  }

  /** Values of one partition, in the order in which they came. */
  of(topic: string, partition: number): string[] {
    return this.values.filter((_, at) => this.places[at]?.startsWith(`${topic}/${partition}@`))
  }

  until(what: string, fact: () => boolean | Promise<boolean>, limitMs = LIMIT_MS): Promise<void> {
    return eventually(what, fact, limitMs, () => this.story())
  }

  story(): string {
    const { consumer, values, errors, warnings } = this
    const last = [...errors.map(String), ...warnings].slice(-10).join('\n  ')
    return `${values.length} values, last ${values.at(-1)}; ${JSON.stringify(consumer.getMetrics())}\n  ${last}`
  }
}

export class ConsumerStage {
  readonly #brokers: string
  readonly #open: { close(options: { timeoutMs: number }): Promise<unknown> }[] = []

  constructor(brokers: readonly string[]) {
    this.#brokers = brokers.join(',')
  }

  producer(config: ConstructorParameters<typeof Producer>[0] = {}): Producer {
    const made = new Producer({ brokers: this.#brokers, logLevel: 'silent', ...config })
    this.#open.push(made)
    return made
  }

  /** Reads from the beginning, tells soon, forgives nothing. */
  consumer(config: ConsumerConfig = {}, deps: ConsumerDeps = {}): Consumer {
    const made = new Consumer({ ...this.#defaults(), ...config }, deps)
    this.#open.push(made)
    return made
  }

  heard(config: ConsumerConfig = {}, deps: ConsumerDeps = {}): Heard {
    return new Heard(this.consumer(config, deps))
  }

  /** Closes all of them; the next test begins with none. */
  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((client) => client.close({ timeoutMs: 5_000 })))
  }

  #defaults(): ConsumerConfig {
    return {
      brokers: this.#brokers,
      logLevel: 'silent',
      autoOffsetReset: 'earliest',
      fetchMaxWaitMs: 100,
      heartbeatIntervalMs: 500,
      autoCommitIntervalMs: 200,
    }
  }
}

/** `count` values of one partition, in order. */
export function valuesOf(name: string, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `${name} ${from + index}`)
}

/** Sends them in order, each acknowledged. */
export async function sendAll(producer: Producer, topic: string, partition: number, values: readonly string[]) {
  await Promise.all(values.map((value) => producer.sendSync(topic, value, { partition })))
}
