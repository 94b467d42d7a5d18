/**
 * The in-process Kafka broker as its users see it: make a cluster, look into it, break it on command.
 * Why a product and not a mock: real protocol over real ports, so that any Kafka client can be tested against it.
 * Longer than most files on purpose: it is the list of everything a test may order, each a few lines over its own room.
 * Invariant: after `close()` neither port, connection nor timer is left.
 */
import { MQError } from '../errors/index.js'
import type { TlsServerOptions } from '../net/index.js'
import { type Clock, FakeClock, type RandomSource, systemClock, systemRandom } from '../util/index.js'
import { ClusterState } from './cluster-state.js'
import { compactLog } from './compaction.js'
import type { Fault, FaultHandle, FaultMatcher } from './faults.js'
import type { AnyGroup } from './groups/groups.js'
import { type GroupView, viewOfGroup } from './groups/view.js'
import { servedApiNames } from './handler-table.js'
import type { ArrivedRequest, RequestFilter } from './journal.js'
import { corruptStored, type LogView, viewOf } from './log-view.js'
import { BrokerNode } from './node.js'
import { PROFILES, type ProfileName } from './profiles.js'
import { appendRaw } from './raw-append.js'
import { type LoggedRecord, readRecords } from './read-records.js'
import { Recurring } from './recurring.js'
import type { Replicas } from './replicas.js'
import { type BrokerSaslOptions, SaslSecurity } from './sasl/security.js'
import { BrokerConfig, type ConfigMap, type ConfigValue } from './topic-config.js'
import type { Topic, TopicOptions } from './topics.js'

const FIRST_BROKER_ID = 1

/** TLS on every port, with one certificate for all brokers. PEM texts. */
export interface BrokerTlsOptions {
  /** For the address that brokers listen on and tell their clients: 127.0.0.1, unless `host` says otherwise. */
  readonly cert: string
  readonly key: string
  readonly passphrase?: string
  /** Who signs client certificates; default: the authorities Node trusts. */
  readonly ca?: string
  /** Asks clients for a certificate; one that `ca` did not sign ends the connection. Kafka: ssl.client.auth=requested. */
  readonly requestClientCert?: boolean
  /** A client without one is refused too. Kafka: ssl.client.auth=required. */
  readonly requireClientCert?: boolean
}

export interface BrokerOptions {
  /** Number of brokers, default 1. Their ids are 1, 2, .. */
  readonly nodes?: number
  /** Kafka version to imitate, default '4.1'. */
  readonly profile?: ProfileName
  /** Broker settings under Kafka's names, for example `{ 'min.insync.replicas': 2 }`. See docs/broker.md. */
  readonly config?: ConfigMap
  /** Address to listen on, default 127.0.0.1. */
  readonly host?: string
  /** Port of the first broker, the others follow; default 0 = free ports. */
  readonly port?: number
  /** Racks of the brokers in order. */
  readonly racks?: readonly string[]
  /** 'header' skips reading the records of each batch; default 'full'. */
  readonly validate?: 'full' | 'header'
  /** Present: TLS instead of plaintext. */
  readonly tls?: BrokerTlsOptions
  /** Present: every connection has to authenticate. With `tls` this is Kafka's SASL_SSL, without it SASL_PLAINTEXT. */
  readonly sasl?: BrokerSaslOptions
  readonly clock?: Clock
  readonly random?: RandomSource
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface SawFilter extends RequestFilter {
  /** Default 1. */
  readonly count?: number
}

/**
 * Starts a cluster of brokers in this process.
 *
 * ```ts
 * const broker = await createBroker({ nodes: 3, config: { 'min.insync.replicas': 2 } })
 * broker.createTopic('orders', { partitions: 6, replicationFactor: 3 })
 * // connect any Kafka client to broker.bootstrap
 * await broker.close()
 * ```
 * Rejects with CONNECTION_FAILED when a port is taken, with INVALID_CONFIG for a setting that does not exist or a
 * certificate that cannot be used, with MISSING_CONFIG when `sasl` lacks what its mechanisms need.
 */
export async function createBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = new Broker(options)
  await broker.open()
  return broker
}

export class Broker {
  readonly #state: ClusterState
  readonly #nodes = new Map<number, BrokerNode>()
  readonly #clock: Clock
  readonly #sasl: SaslSecurity | null
  /** What is checked at intervals, by the setting that tells the interval. */
  readonly #checks: ReadonlyMap<string, Recurring>
  #connections = 0
  #isClosed = false

  /** Use `createBroker`. */
  constructor(options: BrokerOptions) {
    const profile = PROFILES[options.profile ?? '4.1']
    const brokerIds = Array.from({ length: options.nodes ?? 1 }, (_, index) => FIRST_BROKER_ID + index)
    this.#clock = options.clock ?? systemClock
    this.#state = new ClusterState({
      brokerIds,
      profile,
      config: new BrokerConfig(options.config ?? {}, profile.defaults, options.validate ?? 'full'),
      clock: this.#clock,
      random: options.random ?? systemRandom,
    })
    const { config } = this.#state
    const check = (setting: string, task: () => void) =>
      [setting, new Recurring(this.#clock, () => config.number(setting), task)] as const
    this.#checks = new Map([
      check('producer.id.expiration.check.interval.ms', () => this.#state.expire()),
      check('offsets.retention.check.interval.ms', () => this.#state.expireOffsets()),
    ])
    this.#sasl = options.sasl === undefined ? null : new SaslSecurity(options.sasl, this.#state.random)
    const port = options.port ?? 0
    for (const [index, brokerId] of brokerIds.entries()) {
      const node = new BrokerNode({
        cluster: this.#state,
        brokerId,
        host: options.host ?? '127.0.0.1',
        port: port === 0 ? 0 : port + index,
        rack: options.racks?.[index] ?? null,
        tls: options.tls === undefined ? null : tlsOf(options.tls),
        sasl: this.#sasl,
        nextConnection: () => this.#connections++,
      })
      this.#nodes.set(brokerId, node)
    }
  }

  /** @internal Called by `createBroker`. */
  async open(): Promise<void> {
    try {
      for (const node of this.#nodes.values()) await node.start()
    } catch (error) {
      await this.close()
      throw error
    }
    for (const check of this.#checks.values()) check.arm()
  }

  /** Addresses of all brokers, `host:port,host:port`. */
  get bootstrap(): string {
    return [...this.#nodes.values()].map((node) => node.address).join(',')
  }

  get brokerIds(): readonly number[] {
    return [...this.#nodes.keys()]
  }

  /** Open client connections over all brokers. */
  get connections(): number {
    return [...this.#nodes.values()].reduce((sum, node) => sum + node.connections, 0)
  }

  get clusterId(): string {
    return this.#state.clusterId
  }

  /** Stops everything. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const check of this.#checks.values()) check.stop()
    this.#state.faults.clear()
    this.#state.groups.close()
    await Promise.all([...this.#nodes.values()].map((node) => node.stop()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // --- topics ---

  /** Creates a topic; throws INVALID_TOPIC or INVALID_CONFIG. Returns its id. */
  createTopic(name: string, options: TopicOptions = {}): string {
    return this.#state.topics.create(name, options).topicId
  }

  deleteTopic(name: string): void {
    this.#state.topics.delete(name)
    this.#state.offsets.forgetTopic(name)
  }

  /** Deletes the topic and creates it again, empty and with another id. Returns the new id. */
  recreateTopic(name: string, options: TopicOptions = {}): string {
    const old = this.#topic(name)
    this.deleteTopic(name)
    const assignments = old.partitions.map((partition) => partition.replicas)
    const configs = Object.fromEntries(
      old.config.entries().flatMap(({ name: key, value, isDefault }) => (isDefault ? [] : [[key, value]])),
    )
    const isResized = options.partitions !== undefined || options.replicationFactor !== undefined
    return this.createTopic(name, { configs, ...(isResized ? {} : { assignments }), ...options })
  }

  /** Grows the topic to `count` partitions. */
  addPartitions(name: string, count: number): void {
    this.#state.topics.addPartitions(name, count)
  }

  /** Changes a topic setting from now on; `null` returns to the broker's. */
  setTopicConfig(name: string, key: string, value: ConfigValue | null): void {
    this.#topic(name).config.set(key, value)
  }

  /** Changes a broker setting from now on. */
  setConfig(key: string, value: ConfigValue): void {
    this.#state.config.set(key, value)
    this.#checks.get(key)?.arm()
  }

  // --- looking ---

  /** Marks, replicas, batches and producers of a partition, as the leader (or the named broker) has them. */
  log(topic: string, partition: number, brokerId?: number): LogView {
    return viewOf(this.#replicas({ topic, partition }), brokerId)
  }

  /** All stored records of a partition, decompressed. Rejects with CONSUME_FAILED when a batch is damaged. */
  async records(topic: string, partition: number, brokerId?: number): Promise<LoggedRecord[]> {
    const { batches, logStart } = this.log(topic, partition, brokerId)
    const found: LoggedRecord[] = []
    for (const batch of batches) {
      for (const record of await readRecords(batch.bytes)) if (record.offset >= logStart) found.push(record)
    }
    return found
  }

  /** Requests that arrived, oldest first; the latest 10,000 (16 MiB) are kept. */
  requests(filter: RequestFilter = {}): ArrivedRequest[] {
    return this.#state.journal.list(filter)
  }

  /** How many such requests arrived since the start. */
  count(filter: RequestFilter): number {
    return this.#state.journal.count(filter)
  }

  forgetRequests(): void {
    this.#state.journal.clear()
  }

  /** Settles when `count` such requests have arrived (since the start). */
  saw(filter: SawFilter): Promise<void> {
    return this.#state.journal.until(() => this.count(filter) >= (filter.count ?? 1))
  }

  /** Settles when the fault has acted `count` times. */
  hit(handle: FaultHandle, count = 1): Promise<void> {
    return this.#state.journal.until(() => handle.hits >= count)
  }

  /** Settles when the log end of the partition is at or behind `logEnd`. */
  async appended(topic: string, partition: number, logEnd: number): Promise<void> {
    const replicas = this.#replicas({ topic, partition })
    if (replicas.log.logEnd >= logEnd) return
    await new Promise<void>((resolve) => {
      const stop = replicas.watch(() => {
        if (replicas.log.logEnd < logEnd) return
        stop()
        resolve()
      })
    })
  }

  // --- faults on requests ---

  /** Orders a fault for the requests that fit. */
  on(matcher: FaultMatcher, what: Fault): FaultHandle {
    return this.#state.faults.add(matcher, what)
  }

  // --- brokers ---

  /** Crash: connections break, nothing is saved. Leaders move to in-sync replicas. */
  async kill(brokerId: number): Promise<void> {
    await this.#leave(brokerId)
  }

  /** Clean stop: producer states are saved. */
  async stop(brokerId: number): Promise<void> {
    for (const replicas of this.#partitions()) replicas.logOf(brokerId)?.takeSnapshot()
    await this.#leave(brokerId)
  }

  /** Starts a killed or stopped broker on its old port; it loads its logs and catches up. */
  async start(brokerId: number): Promise<void> {
    const node = this.#node(brokerId)
    if (node.isListening) return
    const expirationMs = this.#state.config.number('producer.id.expiration.ms')
    for (const replicas of this.#partitions()) replicas.logOf(brokerId)?.reload(this.#clock.now(), expirationMs)
    this.#state.producerIds.brokerRestarted(brokerId)
    await node.start()
    this.#state.groups.coordinatorsMoved()
    for (const replicas of this.#partitions()) replicas.brokerUp(brokerId)
  }

  /** The broker's process stands still; its sockets stay open. */
  pause(brokerId: number): void {
    this.#node(brokerId).pause()
  }

  resume(brokerId: number): void {
    this.#node(brokerId).resume()
  }

  /** Breaks all connections of one broker, or of all. */
  disconnect(brokerId?: number): void {
    const nodes = brokerId === undefined ? [...this.#nodes.values()] : [this.#node(brokerId)]
    for (const node of nodes) node.closeConnections('disconnected on command')
  }

  // --- partitions ---

  /** A new leader epoch; `brokerId` is a live in-sync replica. */
  moveLeader(of: TopicPartition, brokerId: number): void {
    const replicas = this.#replicas(of)
    if (!replicas.isr.includes(brokerId) || !this.#state.isAlive(brokerId)) {
      const isr = replicas.isr.join(',')
      throw new MQError('INVALID_PARTITION', `broker ${brokerId} is not live and in sync (${isr})`, { ...of, brokerId })
    }
    replicas.lead(brokerId)
  }

  /** As `moveLeader`, to any live replica: what it lacks is lost, also below the high watermark. */
  uncleanElection(of: TopicPartition, brokerId: number): void {
    const replicas = this.#replicas(of)
    if (!replicas.replicas.includes(brokerId) || !this.#state.isAlive(brokerId)) {
      throw new MQError('INVALID_PARTITION', `broker ${brokerId} is no live replica`, { ...of, brokerId })
    }
    replicas.lead(brokerId)
  }

  /** Exactly these replicas are in sync, the leader among them; the others stop copying until named again. */
  setIsr(of: TopicPartition, brokerIds: readonly number[]): void {
    const replicas = this.#replicas(of)
    if (!brokerIds.includes(replicas.leaderId)) {
      throw new MQError('INVALID_PARTITION', `leader ${replicas.leaderId} stays in sync`, { ...of, brokerIds })
    }
    replicas.setIsr(brokerIds)
  }

  /** Followers stop copying until the returned function is called. */
  holdReplication(of: TopicPartition): () => void {
    return this.#replicas(of).hold()
  }

  /** Tests the age of producer states now (B-11). With `of` or `producerId`: forgets those, whatever their age. */
  expireProducers(of?: TopicPartition, producerId?: bigint): void {
    if (of === undefined && producerId === undefined) {
      this.#state.expire()
      return
    }
    const targets = of === undefined ? this.#partitions() : [this.#replicas(of)]
    for (const replicas of targets) for (const log of replicas.logs()) log.producers.forget(producerId)
  }

  /** No replica knows any producer of this partition, as after data and state were removed (B-13). */
  forgetState(of: TopicPartition): void {
    this.expireProducers(of)
  }

  deleteRecords(of: TopicPartition, beforeOffset: number): void {
    this.#replicas(of).deleteRecords(beforeOffset)
  }

  /**
   * Puts bytes into the log unchecked, as no producer may: control batches, old formats, damage. `offsets` is how many
   * they take; a batch of magic 2 knows it. Returns the base offset.
   */
  appendRaw(of: TopicPartition, bytes: Uint8Array, offsets?: number): number {
    return appendRaw(this.#replicas(of), bytes, offsets, this.#clock.now())
  }

  /** Keeps the newest record of each key, in whole batches (see docs/broker.md). */
  async compact(of: TopicPartition): Promise<void> {
    await compactLog(this.#replicas(of))
  }

  /** Flips bits of the stored batch that holds `offset`, in the leader's log or that of `brokerId`. */
  corruptLog(of: TopicPartition, offset: number, options: { at?: number; xor?: number; brokerId?: number } = {}): void {
    corruptStored(this.#replicas(of), offset, options)
  }

  // --- groups ---

  /** A group as it is now; `state` is 'Dead' when there is none of this name. */
  group(groupId: string): GroupView {
    return viewOfGroup(groupId, this.#state)
  }

  /** Settles when the group looks like that; asked again whenever something about groups changed. */
  whenGroup(groupId: string, isMet: (group: GroupView) => boolean): Promise<void> {
    return this.#state.journal.until(() => isMet(this.group(groupId)))
  }

  /**
   * Classic: every member has to join again, its next heartbeat is answered 27. KIP-848: a new group epoch, in which each
   * member's part goes to the next member that wants the same topics. Nothing happens to a group without members.
   */
  rebalance(groupId: string): void {
    const group = this.#group(groupId)
    if (group.state === 'Empty') return
    if (group.kind === 'classic') group.rebalance()
    else group.rotate()
  }

  /** The member is out as if its session had run out: it is answered 25, the others rebalance. */
  fence(groupId: string, memberId: string): void {
    const group = this.#group(groupId)
    if (!group.expel(memberId)) {
      throw new MQError('INVALID_CONFIG', `${groupId} has no member ${memberId}: see broker.group()`, {
        groupId,
        memberId,
      })
    }
  }

  /**
   * From now on this broker (default: the next live one) coordinates the group or transactional id; the others answer 16,
   * also to joins and syncs that wait. The new one knows the last stable generation. Returns its id.
   */
  moveCoordinator(key: string, brokerId?: number): number {
    const former = this.#state.coordinatorOf(key)?.brokerId
    const others = this.#state.alive().filter((broker) => broker.brokerId !== former)
    const next = brokerId ?? (others.find((broker) => broker.brokerId > (former ?? 0)) ?? others[0])?.brokerId
    if (next === undefined) {
      throw new MQError('INVALID_CONFIG', `no other broker is alive to coordinate ${key}: use more nodes`, { key })
    }
    this.#state.coordinatorOverrides.set(key, this.#node(next).brokerId)
    this.#state.groups.coordinatorsMoved()
    return next
  }

  // --- cluster ---

  setClusterId(clusterId: string): void {
    this.#state.clusterId = clusterId
  }

  /** A user of `sasl` gets this password, or goes (`null`); connections that are authenticated live on until their session ends. */
  setUser(name: string, password: string | null): void {
    if (this.#sasl === null) throw new MQError('INVALID_CONFIG', 'setUser() needs createBroker({ sasl })')
    this.#sasl.credentials.set(name, password)
  }

  /** Forgets the fetch sessions of one broker, or of all. */
  evictSessions(brokerId?: number): void {
    const nodes = brokerId === undefined ? [...this.#nodes.values()] : [this.#node(brokerId)]
    for (const node of nodes) node.sessions.evictAll()
  }

  /** Offers other versions of an api; without a range it is not offered at all. */
  setVersions(api: string, min?: number, max?: number): void {
    if (!servedApiNames().includes(api)) {
      throw new MQError('INVALID_CONFIG', `no api ${api}: choose among ${servedApiNames().join(', ')}`, { api })
    }
    this.#state.versionOverrides.set(api, min === undefined || max === undefined ? null : { min, max })
  }

  /** Moves the clock, when it is a FakeClock; throws INVALID_CONFIG otherwise. */
  advance(ms: number): void {
    if (!(this.#clock instanceof FakeClock)) {
      throw new MQError('INVALID_CONFIG', 'advance() needs createBroker({ clock: new FakeClock() })')
    }
    this.#clock.advance(ms)
  }

  async #leave(brokerId: number): Promise<void> {
    const node = this.#node(brokerId)
    if (!node.isListening) return
    const stopped = node.stop()
    this.#state.groups.coordinatorsMoved()
    for (const replicas of this.#partitions()) replicas.brokerDown(brokerId)
    await stopped
  }

  #partitions(): Replicas[] {
    return this.#state.topics.all().flatMap((topic) => [...topic.partitions])
  }

  #topic(name: string): Topic {
    const topic = this.#state.topics.byName(name)
    if (topic === undefined) throw new MQError('TOPIC_NOT_FOUND', `${name} does not exist`, { topic: name })
    return topic
  }

  #group(groupId: string): AnyGroup {
    const group = this.#state.groups.get(groupId)
    if (group === undefined) throw new MQError('INVALID_CONFIG', `no group ${groupId} yet: nobody joined`, { groupId })
    return group
  }

  #replicas({ topic, partition }: TopicPartition): Replicas {
    const replicas = this.#topic(topic).partitions[partition]
    if (replicas === undefined) {
      throw new MQError('PARTITION_NOT_FOUND', `${topic} has no partition ${partition}`, { topic, partition })
    }
    return replicas
  }

  #node(brokerId: number): BrokerNode {
    const node = this.#nodes.get(brokerId)
    if (node === undefined) {
      throw new MQError('INVALID_CONFIG', `no broker ${brokerId}: there are ${this.brokerIds.join(', ')}`, { brokerId })
    }
    return node
  }
}

function tlsOf({ requestClientCert, requireClientCert, ...rest }: BrokerTlsOptions): TlsServerOptions {
  const asked = requestClientCert === true ? 'requested' : 'none'
  return { ...rest, clientCertificate: requireClientCert === true ? 'required' : asked }
}
