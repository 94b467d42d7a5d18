/**
 * Reads the cluster through kafkajs' public Admin: topics, their partitions, settings, brokers.
 * Why it lets go after a while: kafkajs looks at an idle connection a thousand times per second (35 ms of CPU per
 * second, measured with 2.2.4), so an admin client that rests must not keep one.
 * Invariant: kafkajs is loaded with the first call and not before; after `close` none of its sockets is open.
 * Only its public interface is used: see docs/decisions for what it is not used for.
 */
import type { Admin } from 'kafkajs'
import type { BrokerEndpoint, ResolvedClientConfig } from '../../config/index.js'
import { type ErrorCode, type ErrorContext, MQError } from '../../errors/index.js'
import type { Clock, TimerHandle } from '../../util/index.js'
import { failureOf } from './failures.js'
import { isSpeakable, kafkaOptionsOf } from './options.js'

/** Rest after which its connections are closed. Milliseconds. */
const REST_MS = 5_000

export class KafkaJsReader {
  readonly #config: ResolvedClientConfig
  readonly #clientId: string
  readonly #clock: Clock
  readonly #advertised: () => Promise<readonly BrokerEndpoint[]>
  #admin: Promise<Admin> | null = null
  #using = 0
  #rest: TimerHandle | null = null
  #leaving: Promise<void> = Promise.resolve()
  #isClosed = false

  /** `advertised` gives the addresses that brokers tell themselves, for bootstrap addresses kafkajs cannot read. */
  constructor(
    config: ResolvedClientConfig,
    clientId: string,
    clock: Clock,
    advertised: () => Promise<readonly BrokerEndpoint[]>,
  ) {
    this.#config = config
    this.#clientId = clientId
    this.#clock = clock
    this.#advertised = advertised
  }

  /** Runs a task with a connected Admin; what it throws comes back as an MQError. */
  async read<T>(operation: ErrorCode, context: ErrorContext, task: (admin: Admin) => Promise<T>): Promise<T> {
    this.#rest?.cancel()
    this.#using++
    try {
      return await task(await this.#connected())
    } catch (error) {
      throw failureOf(error, operation, context)
    } finally {
      this.#using--
      this.#planRest()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#rest?.cancel()
    this.#letGo()
    await this.#leaving
  }

  #connected(): Promise<Admin> {
    if (this.#isClosed) throw new MQError('CONNECTION_CLOSED', 'the admin client is closed: make a new one')
    this.#admin ??= this.#connect()
    return this.#admin
  }

  #connect(): Promise<Admin> {
    const connecting = this.#open()
    connecting.catch(() => {
      if (this.#admin === connecting) this.#admin = null // The next call tries again.
    })
    return connecting
  }

  async #open(): Promise<Admin> {
    const { Kafka } = await import('kafkajs')
    const admin = new Kafka(kafkaOptionsOf(this.#config, this.#clientId, await this.#brokers())).admin()
    try {
      await admin.connect()
    } catch (error) {
      await admin.disconnect().catch(() => {}) // It never was connected; the reason is thrown.
      throw error
    }
    return admin
  }

  async #brokers(): Promise<readonly BrokerEndpoint[]> {
    const given = this.#config.brokers.filter(isSpeakable)
    if (given.length > 0) return given
    const told = (await this.#advertised()).filter(isSpeakable)
    if (told.length > 0) return told
    const text = 'kafkajs, which reads topics and settings, takes no IPv6 literal: give the brokers names'
    throw new MQError('INVALID_CONFIG', text, { path: 'brokers' })
  }

  #planRest(): void {
    if (this.#using > 0 || this.#admin === null || this.#isClosed) return
    this.#rest?.cancel()
    this.#rest = this.#clock.setTimer(() => this.#letGo(), REST_MS)
  }

  #letGo(): void {
    const admin = this.#admin
    this.#admin = null
    if (admin === null) return
    const leave = admin.then(
      (connected) => connected.disconnect(),
      () => {}, // Nothing to leave; whoever waited for it was told.
    )
    this.#leaving = Promise.all([this.#leaving, leave]).then(
      () => {},
      (error: unknown) => this.#config.logger.debug('kafkajs did not part cleanly', { error: String(error) }),
    )
  }
}
