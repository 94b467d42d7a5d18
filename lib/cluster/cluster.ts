/**
 * One client's view of a Kafka cluster: who is there, who leads what, and the ways to them.
 * Why a facade over four parts: producer, consumer and admin need few verbs, and each part (links, metadata, control
 * plane, cache) has one idea of its own.
 * Invariant: after `close` no timer and no socket remains, and everything that waited has been told.
 */
import { isRetryableError, type MQError } from '../errors/index.js'
import { dial } from '../net/index.js'
import type { Api, DecodedResponseOf } from '../protocol/index.js'
import {
  backoffMs,
  type Clock,
  Emitter,
  type Logger,
  type RandomSource,
  silentLogger,
  systemClock,
  systemRandom,
} from '../util/index.js'
import { unlessAborted } from './abort.js'
import type { BrokerLink, LinkPurpose } from './broker-link.js'
import type { Connection } from './connection.js'
import { ControlPlane, type RequestBody, type RequestOptions } from './control-plane.js'
import { type CoordinatorOptions, Coordinators, type GroupRequestOptions } from './coordinators.js'
import type { ClusterEvents } from './events.js'
import { type BrokerAddress, closedHere, unknownBroker } from './failures.js'
import { type ClusterSetup, type ConnectionStats, Links } from './links.js'
import { type HintEndpoint, MetadataCache } from './metadata-cache.js'
import { MetadataUpdater } from './metadata-updater.js'
import { type Dial, openConnection } from './open-connection.js'
import { type ClusterOptions, resolveSettings } from './settings.js'
import type { TopicMetadata } from './topic-metadata.js'
import type { WaitOptions } from './topic-waiters.js'

/** What tests and simulations replace. */
export interface ClusterDeps {
  readonly clock?: Clock | undefined
  readonly random?: RandomSource | undefined
  readonly logger?: Logger | undefined
  readonly dial?: Dial | undefined
}

export class Cluster {
  readonly events: Emitter<ClusterEvents>
  readonly #setup: ClusterSetup
  readonly #cache = new MetadataCache()
  readonly #links: Links
  readonly #metadata: MetadataUpdater
  readonly #control: ControlPlane
  readonly #coordinators: Coordinators
  #connecting: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(options: ClusterOptions, dependencies: ClusterDeps = {}) {
    const logger = dependencies.logger ?? silentLogger
    this.events = new Emitter<ClusterEvents>((error) => logger.error('a listener threw', { error: String(error) }))
    this.#setup = {
      settings: resolveSettings(options),
      clock: dependencies.clock ?? systemClock,
      random: dependencies.random ?? systemRandom,
      dial: dependencies.dial ?? dial,
      logger,
      events: this.events,
    }
    this.#links = new Links(this.#setup, this.#cache)
    this.#metadata = new MetadataUpdater(this.#setup, this.#cache, this.#links)
    this.#control = new ControlPlane(this.#setup, this.#links, () => this.refresh('no broker is known or reachable'))
    this.#coordinators = new Coordinators(this.#setup, this.#control, (address) => {
      this.#cache.learn(address)
      this.#links.addressesChanged()
    })
    this.#links.onCoordinatorLost = (brokerId) => this.#coordinators.forgetBroker(brokerId)
    this.#links.onTrouble = (why) => this.#metadata.refreshInUse(why)
    this.#links.onReturn = () => {
      if (this.metadataError !== null) this.#metadata.refreshInUse('a broker can be reached again')
    }
  }

  /** Null until the first answer, and on clusters that have none. */
  get clusterId(): string | null {
    return this.#cache.clusterId
  }

  /** -1: unknown. */
  get controllerId(): number {
    return this.#cache.controllerId
  }

  get isClosed(): boolean {
    return this.#closing !== null
  }

  /** Why no broker told about the cluster the last time it was asked; null when one did, or nobody asked. */
  get metadataError(): MQError | null {
    return this.#metadata.lastError
  }

  /**
   * Finds the cluster: bootstrap and first metadata, `maxRetries` further rounds over all addresses.
   * Optional: every other call does it when needed. Rejects with CONNECTION_FAILED, AUTHENTICATION_FAILED.
   */
  connect(): Promise<void> {
    if (this.#cache.brokers.length > 0) return Promise.resolve()
    this.#connecting ??= this.#findCluster().finally(() => {
      this.#connecting = null
    })
    return this.#connecting
  }

  /** The brokers of the last metadata. */
  brokers(): readonly BrokerAddress[] {
    return this.#cache.brokers
  }

  /** The persistent way to a broker, one per purpose. Opens nothing by itself. */
  link(brokerId: number, purpose: LinkPurpose): BrokerLink {
    return this.#links.link(brokerId, purpose)
  }

  /**
   * One question of the control plane. Connection errors are retried; what the broker answers is the caller's.
   * `body` may be a function of the version that was negotiated.
   */
  request<A extends Api>(api: A, body: RequestBody<A>, options: RequestOptions = {}): Promise<DecodedResponseOf<A>> {
    return this.#control.request(api, body, options)
  }

  /**
   * The broker that coordinates a group. Rejects with GROUP_COORDINATOR_NOT_FOUND (retryable), AUTHORIZATION_FAILED
   * (names the group), TIMEOUT (no broker answered before `deadlineMs`) or a connection error.
   */
  coordinator(groupId: string, options: CoordinatorOptions = {}): Promise<number> {
    return this.#coordinators.find(groupId, options)
  }

  /** That broker said 15 or 16: the next question looks the coordinator up again. */
  forgetCoordinator(groupId: string, brokerId: number): void {
    this.#coordinators.forget(groupId, brokerId)
  }

  /** One question to a group's coordinator. Its answer is the caller's to judge, also 14, 15 and 16. */
  requestGroup<A extends Api>(
    groupId: string,
    api: A,
    body: RequestBody<A>,
    options: GroupRequestOptions = {},
  ): Promise<DecodedResponseOf<A>> {
    return this.#coordinators.request(groupId, api, body, options)
  }

  /**
   * A round trip to any broker. Rejects with CONNECTION_FAILED (refused), CONNECTION_TIMEOUT (no answer within
   * `timeoutMs`, default `readTimeoutMs`), AUTHENTICATION_FAILED, or `signal.reason`.
   */
  ping(
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<{ rttMs: number; brokerId: number }> {
    const { timeoutMs = this.#setup.settings.readTimeoutMs, signal } = options
    return unlessAborted(this.#control.ping({ timeoutMs, signal }), signal)
  }

  /**
   * A connection besides the links, ready for requests: the caller owns, counts and closes it. Rejects with
   * CONNECTION_FAILED (refused, or no such broker), CONNECTION_TIMEOUT or AUTHENTICATION_FAILED.
   */
  async openConnection(brokerId: number, signal: AbortSignal): Promise<Connection> {
    const address = this.#cache.broker(brokerId)
    if (address === undefined) throw unknownBroker(brokerId)
    return openConnection(address, { ...this.#setup, signal })
  }

  /** As cached; look at `errorCode` and the number of partitions. */
  topic(name: string): TopicMetadata | undefined {
    return this.#cache.topic(name)
  }

  topicById(id: string): TopicMetadata | undefined {
    return this.#cache.topicById(id)
  }

  /** The topic is part of every refresh from now on. */
  useTopic(name: string): void {
    this.#metadata.useTopic(name)
  }

  /** Fresh metadata of the topics in use. One question at a time, shared, at least 100 ms apart. */
  refresh(reason: string): Promise<void> {
    return this.#metadata.refresh(reason)
  }

  /**
   * The topic as soon as it is known; it is in use from then on. Rejects with TOPIC_NOT_FOUND, INVALID_TOPIC,
   * AUTHORIZATION_FAILED, TIMEOUT (no broker answered) or `signal.reason`.
   */
  waitForTopic(name: string, options: WaitOptions): Promise<TopicMetadata> {
    return this.#metadata.waitForTopic(name, options)
  }

  /** A leader hint of a broker's answer; true when it was news (a higher epoch) and has been applied. */
  applyLeaderHint(
    topic: string,
    partition: number,
    leaderId: number,
    leaderEpoch: number,
    endpoints: readonly HintEndpoint[] = [],
  ): boolean {
    return this.#metadata.applyLeaderHint(topic, partition, leaderId, leaderEpoch, endpoints)
  }

  /** Calls when leader, partition count, id or error of a topic changed; returns the way to stop it. */
  onTopic(listener: (topic: TopicMetadata) => void): () => void {
    return this.#metadata.onTopic(listener)
  }

  /** Level of a feature that the cluster has finalized; 0 = none, -1 = no broker has told. */
  finalizedFeature(name: string): number {
    return this.#links.finalizedFeature(name)
  }

  stats(): ConnectionStats {
    return this.#links.stats()
  }

  /** Idempotent. Requests that are outstanding are rejected. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    this.#coordinators.close()
    this.#control.close()
    const metadata = this.#metadata.close()
    await this.#links.close()
    await metadata
  }

  async #findCluster(): Promise<void> {
    const { settings, random } = this.#setup
    for (let round = 0; ; round++) {
      if (this.isClosed) throw closedHere('the cluster')
      try {
        return await this.refresh('connecting')
      } catch (error) {
        if (this.isClosed || round >= settings.maxRetries || !isRetryableError(error)) throw error
        const waitMs = backoffMs(round, settings.retryBackoffMs, settings.retryBackoffMaxMs, random)
        await this.#control.sleep(waitMs)
      }
    }
  }
}
