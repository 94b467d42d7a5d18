/** A producer on an in-process broker, and what its log holds. */
import { onTestFinished } from 'vitest'
import { type Broker, type BrokerOptions, createBroker, type TopicOptions } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { Producer, type ProducerDeps } from '../../lib/producer/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { type DrivenClock, drivenClock } from '../support/driven-clock.js'

export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = await createBroker(options)
  onTestFinished(() => broker.close())
  return broker
}

export function newProducer(broker: Broker, config: ProducerConfig = {}, deps: ProducerDeps = {}): Producer {
  const producer = new Producer(
    { brokers: broker.bootstrap, logger: silentLogger, retryBackoffMs: 1, retryBackoffMaxMs: 20, ...config },
    deps,
  )
  onTestFinished(async () => {
    await producer.close({ timeoutMs: 0 })
  })
  return producer
}

export interface Stage {
  readonly clock: DrivenClock
  readonly broker: Broker
  readonly producer: Producer
}

/** A broker with topic `orders` and a producer, both on a clock that runs by itself. */
export async function stage(
  config: ProducerConfig = {},
  topic: TopicOptions = {},
  options: BrokerOptions = {},
): Promise<Stage> {
  const clock = drivenClock()
  const broker = await startBroker({ clock, ...options })
  broker.createTopic('orders', topic)
  return { clock, broker, producer: newProducer(broker, config, { clock }) }
}

/** Lets the event loop turn until the fact is true; fails loudly instead of hanging. */
export async function until(isTrue: () => boolean, what = 'a fact'): Promise<void> {
  const startedMs = performance.now()
  for (let turns = 0; !isTrue(); turns++) {
    // Both: turns pass quickly on an idle machine, and time on a busy one.
    if (turns > 200_000 && performance.now() - startedMs > 10_000)
      throw new Error(`${what} did not become true within 200,000 turns`)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

/** Some turns of the event loop, for what must not happen. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** The MQError a promise is rejected with; fails when it is fulfilled. */
export async function errorOf(outcome: Promise<unknown>): Promise<MQError> {
  const settled = await outcome.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in settled) return settled.error as MQError
  throw new Error(`expected a rejection, got ${JSON.stringify(settled.value)}`)
}

export interface Plain {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
  readonly timestamp: number
}

const asText = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString())

/** All records of a partition, as the broker stored them. */
export async function logOf(broker: Broker, topic: string, partition = 0): Promise<Plain[]> {
  const records = await broker.records(topic, partition)
  return records.map(({ offset, key, value, headers, timestamp }) => ({
    offset,
    key: asText(key),
    value: asText(value),
    headers: headers.map(([name, content]) => [name, asText(content)] as const),
    timestamp,
  }))
}

/** The codes of MQErrors that were thrown, or that promises were rejected with. */
export async function codeOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome
    return 'fulfilled'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
