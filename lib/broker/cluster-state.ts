/**
 * What all brokers of one in-process cluster share: topics, settings, offsets, clock, chance, faults, what arrived.
 * Why shared: there is no controller quorum and no replication protocol; a change is visible everywhere at once.
 * Invariant: everything here survives a stop, a crash and a restart of any broker, as disks and the controller would.
 */
import type { Clock, RandomSource } from '../util/index.js'
import { FaultTable } from './faults.js'
import { expireOffsets } from './groups/expiry.js'
import { Groups } from './groups/groups.js'
import { Journal } from './journal.js'
import { OffsetStore } from './offset-store.js'
import { ProducerIds } from './producer-ids.js'
import type { Profile } from './profiles.js'
import type { BrokerConfig } from './topic-config.js'
import { randomUuid, Topics } from './topics.js'

const MINUTE_MS = 60_000

export interface BrokerInfo {
  readonly brokerId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly isAlive: boolean
}

export interface VersionSpan {
  readonly min: number
  readonly max: number
}

export interface ClusterParts {
  readonly brokerIds: readonly number[]
  readonly profile: Profile
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly random: RandomSource
}

export class ClusterState {
  readonly profile: Profile
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly random: RandomSource
  readonly topics: Topics
  readonly offsets = new OffsetStore()
  readonly producerIds = new ProducerIds()
  readonly groups: Groups
  readonly journal = new Journal()
  readonly faults = new FaultTable(() => this.journal.check())
  /** Ranges set by command, per api name; `null`: not offered. */
  readonly versionOverrides = new Map<string, VersionSpan | null>()
  /** Coordinators set by command, per group or transactional id. */
  readonly coordinatorOverrides = new Map<string, number>()
  readonly #brokers = new Map<number, BrokerInfo>()
  clusterId: string

  constructor(parts: ClusterParts) {
    this.profile = parts.profile
    this.config = parts.config
    this.clock = parts.clock
    this.random = parts.random
    this.clusterId = randomUuid(parts.random)
    for (const brokerId of parts.brokerIds) this.setBroker({ brokerId, host: '', port: 0, rack: null, isAlive: true })
    this.topics = new Topics(parts.brokerIds, (brokerId) => this.isAlive(brokerId), parts.config, parts.random)
    this.groups = new Groups({
      clock: parts.clock,
      random: parts.random,
      config: parts.config,
      offsets: this.offsets,
      topics: this.topics,
      coordinatorOf: (groupId) => this.coordinatorOf(groupId)?.brokerId,
      onChange: () => this.journal.check(),
    })
  }

  setBroker(info: BrokerInfo): void {
    this.#brokers.set(info.brokerId, info)
  }

  broker(brokerId: number): BrokerInfo | undefined {
    return this.#brokers.get(brokerId)
  }

  isAlive(brokerId: number): boolean {
    return this.#brokers.get(brokerId)?.isAlive ?? false
  }

  alive(): BrokerInfo[] {
    return [...this.#brokers.values()].filter((broker) => broker.isAlive)
  }

  /** The lowest live broker plays the controller. */
  get controllerId(): number {
    return this.alive()[0]?.brokerId ?? -1
  }

  /**
   * The coordinator of a group or transactional id: by command, else spread over the brokers by name. The next live one
   * stands in for a broker that is away, so that only the keys of that broker move.
   */
  coordinatorOf(key: string): BrokerInfo | undefined {
    const circle = [...this.#brokers.values()]
    const forced = this.coordinatorOverrides.get(key)
    const at = circle.findIndex(({ brokerId }) => brokerId === forced)
    const home = at >= 0 ? at : hashOf(key) % circle.length
    return [...circle.slice(home), ...circle.slice(0, home)].find(({ isAlive }) => isAlive)
  }

  /** Tests the age of committed offsets, and clears empty groups away. */
  expireOffsets(): void {
    const retentionMs = this.config.number('offsets.retention.minutes') * MINUTE_MS
    expireOffsets(this.groups, this.offsets, this.clock.now(), retentionMs)
  }

  /** Tests the age of all producer states (B-11) and of logs with a time limit of their own. */
  expire(): void {
    const now = this.clock.now()
    const expirationMs = this.config.number('producer.id.expiration.ms')
    for (const topic of this.topics.all()) {
      const retentionMs = topic.config.has('retention.ms') ? topic.config.number('retention.ms') : -1
      for (const partition of topic.partitions) {
        for (const log of partition.logs()) log.producers.expire(now, expirationMs)
        if (retentionMs >= 0) partition.trimOlderThan(now - retentionMs)
      }
    }
  }
}

function hashOf(key: string): number {
  let hash = 0
  for (let index = 0; index < key.length; index++) hash = (Math.imul(hash, 31) + key.charCodeAt(index)) >>> 0
  return hash
}
