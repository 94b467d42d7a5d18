/** A producer on an in-process broker, and what its log holds. */
import { onTestFinished } from 'vitest'
import { type Broker, type BrokerOptions, createBroker } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import { Producer, type ProducerDeps } from '../../lib/producer/index.js'
import { silentLogger } from '../../lib/util/index.js'

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
