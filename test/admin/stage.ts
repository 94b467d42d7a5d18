/** What admin tests share: an in-process broker per test, admin clients and consumers that are closed with it. */
import { afterEach } from 'vitest'
import { AdminClient, type AdminDeps } from '../../lib/admin/index.js'
import { type Broker, type BrokerOptions, createBroker } from '../../lib/broker/index.js'
import type { ClientConfig } from '../../lib/config/index.js'
import { Consumer, type ConsumerConfig, MQError } from '../../lib/index.js'
import { seededRandom, silentLogger } from '../../lib/util/index.js'

export class AdminStage {
  readonly #closers: (() => Promise<unknown>)[] = []

  async broker(options: BrokerOptions = {}): Promise<Broker> {
    const broker = await createBroker(options)
    this.#closers.push(() => broker.close())
    return broker
  }

  admin(broker: Broker, config: ClientConfig = {}, deps: AdminDeps = {}): AdminClient {
    const fast = { retryBackoffMs: 1, retryBackoffMaxMs: 5 }
    const connection = { ...fast, ...config.connection }
    const given = { brokers: broker.bootstrap, logger: silentLogger, ...config, connection }
    const admin = new AdminClient(given, { random: seededRandom(7), ...deps })
    this.#closers.push(() => admin.close())
    return admin
  }

  consumer(broker: Broker, config: ConsumerConfig): Consumer {
    const consumer = new Consumer({ brokers: broker.bootstrap, logger: silentLogger, ...config })
    this.#closers.push(() => consumer.close({ timeoutMs: 1_000 }))
    return consumer
  }

  /** Clients first, brokers last. */
  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close()
  }
}

export function adminStage(): AdminStage {
  const stage = new AdminStage()
  afterEach(() => stage.close())
  return stage
}

/** The MQError a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<MQError> {
  const error = await promise.then(
    (value) => new Error(`expected a rejection, got ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  if (error instanceof MQError) return error
  throw error
}
