/**
 * The inside of a producer: topics and their lanes, one sender per broker, the identity, and the fate of batches.
 * Why apart from the front end: everything here happens per batch or per metadata change, nothing per record.
 * Invariant (P-23): a lane moves to another broker only when nothing of it is in flight.
 */
import { CountingSequencer, MemoryBudget } from '../channel/index.js'
import type { Cluster, TopicMetadata } from '../cluster/index.js'
import type { ResolvedProducerConfig } from '../config/index.js'
import { findMQError, MQError, toMQError } from '../errors/index.js'
import { brokerError } from '../protocol/index.js'
import {
  type AdaptiveSize,
  type CircuitState,
  type Clock,
  Pauses,
  type RandomSource,
  runInBackground,
} from '../util/index.js'
import { Answers, failure, persistenceOf } from './answers.js'
import type { Batch, Outcome, SettleToken } from './batch.js'
import { BatchMemory } from './batch-memory.js'
import { BrokerCircuit, CIRCUIT_LEVELS, type CircuitEvent } from './circuits.js'
import { ProducerCounters } from './counters.js'
import type { DataLoss } from './data-loss.js'
import { Deadlines } from './deadlines.js'
import { Deliveries } from './deliver.js'
import type { EarlyRecords } from './early-records.js'
import { troubleOf } from './health.js'
import { LaneIdentity } from './identity.js'
import { IdentitySource } from './identity-source.js'
import { type Lane, type LaneHost, REPLACED } from './lane.js'
import type { LogHost } from './log/log-host.js'
import { LogLife, type LogLifeEvents, type OpenWal } from './log/log-life.js'
import { walOptionsOf } from './log/options.js'
import type { Ruling } from './log/parking.js'
import { ProducerLog } from './log/producer-log.js'
import type { EdgeCase } from './log/resolution/types.js'
import type { CircuitLevel, ProducerMeasures } from './measures.js'
import { Observations } from './observations.js'
import { readMeasures } from './read-measures.js'
import { LaneRepairs } from './repairs.js'
import { Resolver } from './resolver.js'
import { type PartitionAnswer, type ProduceAnswer, Sender, type SenderHost, type Shipment } from './sender.js'
import { batchSizeOf, compressionOf, type ProducerSettings, settingsOf, withBatchBytes } from './settings.js'
import { TopicLanes } from './topic-lanes.js'

const UNKNOWN_TOPIC = 3
/** A topic that metadata calls unknown for so long is gone; right after creation brokers may differ (P-39). */
const UNKNOWN_TOPIC_MS = 10_000
const UNKNOWN_TOPIC_PAUSE_MS = 1000

export interface CoreEvents extends Omit<LogLifeEvents, 'dataLoss' | 'fatal'> {
  warning(error: MQError): void
  error(error: MQError): void
  dataLoss(loss: DataLoss): void
  circuit(change: CircuitEvent): void
  /** Appends records that waited for metadata; the front end knows how. */
  replay(topic: TopicLanes, records: EarlyRecords, done: () => void): void
  /** Nothing can be sent any more. */
  died(error: MQError): void
}

export class ProducerCore implements LaneHost, SenderHost, LogHost {
  /** As they are now: `updateConfig` and the adaptive batch size exchange them as a whole. */
  settings: ProducerSettings
  readonly clock: Clock
  readonly random: RandomSource
  readonly memory: BatchMemory
  readonly sequencer = new CountingSequencer()
  readonly counters: ProducerCounters
  readonly observations: Observations | null
  /** null: `wal.durability` is 'memory'. */
  readonly log: ProducerLog | null
  readonly life: LogLife | null
  busyLanes = 0
  #config: ResolvedProducerConfig
  /** null: `adaptiveBatch` is off. */
  readonly #batchSize: AdaptiveSize | null
  readonly #cluster: Cluster
  readonly #events: CoreEvents
  readonly #topics = new Map<string, TopicLanes>()
  readonly #senders = new Map<number, Sender>()
  readonly pauses: Pauses
  readonly #identities: IdentitySource
  readonly #repairs: LaneRepairs
  readonly #answers: Answers
  readonly #deadlines: Deadlines
  readonly #deliveries: Deliveries
  readonly #unwatch: () => void
  #producerId: bigint | null = null
  #isAskingIdentity = false
  #isLeaving = false
  #isOpeningLog = false
  #end: MQError | null = null

  constructor(
    config: ResolvedProducerConfig,
    cluster: Cluster,
    clock: Clock,
    random: RandomSource,
    events: CoreEvents,
    openWal: OpenWal,
  ) {
    this.settings = settingsOf(config)
    this.clock = clock
    this.random = random
    this.#config = config
    this.#batchSize = batchSizeOf(config)
    this.#adaptTo(this.#batchSize?.size ?? config.batchBytes)
    this.#cluster = cluster
    this.#events = events
    this.counters = new ProducerCounters(clock)
    this.observations = config.metrics.enabled ? new Observations() : null
    this.memory = new BatchMemory(
      new MemoryBudget({
        limitBytes: config.bufferMemoryBytes,
        limitRecords: config.bufferMaxRecords,
        softPercent: config.softPercent,
        resumePercent: config.resumePercent,
        hardPercent: config.hardPercent,
      }),
    )
    this.#deliveries = new Deliveries({
      failed: (error) => this.#events.error(error),
      threw: (thrown, topic) => {
        this.#events.error(toMQError(thrown, 'PRODUCE_FAILED', 'a send callback threw', { reason: 'CALLBACK', topic }))
      },
    })
    this.pauses = new Pauses(clock)
    this.log = this.#makeLog()
    this.life = this.#makeLife(openWal)
    this.#identities = new IdentitySource(cluster, this.pauses, random, (error) => this.die(error))
    const resolver = new Resolver(cluster, clock, random, this.pauses, config.deliveryTimeoutMs)
    this.#repairs = new LaneRepairs(
      resolver,
      this.#identities,
      this.memory,
      {
        dataLoss: (loss) => events.dataLoss(loss),
        warn: (error) => events.warning(error),
        die: (error) => this.die(error),
      },
      this.pauses,
      (batch) => this.#answers.isExpired(batch),
      this,
    )
    this.#answers = new Answers(cluster, this.settings, clock, random, this.counters, this.#repairs, this)
    this.#deadlines = new Deadlines(this, this.#answers)
    this.#unwatch = cluster.onTopic((topic) => this.#metadataChanged(topic))
  }

  #makeLog(): ProducerLog | null {
    const { durability, acceptLingerMs, onWalFailure } = this.#config.wal
    if (durability === 'memory') return null
    return new ProducerLog(this, {
      isEager: durability !== 'spill',
      acceptLingerMs,
      mayBypass: onWalFailure === 'bypass',
    })
  }

  #makeLife(openWal: OpenWal): LogLife | null {
    const options = walOptionsOf(this.#config)
    if (options === null || this.log === null) return null
    const { clock, random, pauses, log } = this
    const events = { ...this.#events, fatal: (error: MQError) => this.die(error) }
    const { edge, held, degraded, failed, slowSync, recovery, dataLoss, fatal } = events
    return new LogLife({
      options,
      config: this.#config,
      cluster: this.#cluster,
      clock,
      random,
      pauses,
      host: this,
      log,
      openWal,
      events: { edge, held, degraded, failed, slowSync, recovery, dataLoss, fatal },
    })
  }

  /** Opens the log, if there is one, in the background; what stands in its way is the end of this producer. */
  openLog(): void {
    if (this.life === null || this.#isOpeningLog) return
    this.#isOpeningLog = true
    runInBackground(
      'opening the write-ahead log',
      () => (this.life as LogLife).open(),
      (name, error) => this.die(toMQError(error, 'PRODUCE_FAILED', name)),
    )
  }

  /** Set when nothing can be sent any more: closed, or a fatal refusal. */
  get end(): MQError | null {
    return this.#end
  }

  get inFlightRequests(): number {
    let total = 0
    for (const sender of this.#senders.values()) total += sender.inFlightRequests
    return total
  }

  /** Everything metrics want to know; `blockedMs` is what the front end has counted of sends that waited. */
  measures(blockedMs: number): ProducerMeasures {
    const { counters, observations, memory, inFlightRequests } = this
    const circuits = new Map<number, CircuitLevel>()
    if (this.#config.circuitBreaker.enabled) {
      for (const { brokerId, circuitState } of this.#senders.values())
        circuits.set(brokerId, CIRCUIT_LEVELS[circuitState])
    }
    const { lanes } = this
    return readMeasures({ counters, observations, memory, lanes, inFlightRequests, circuits, blockedMs })
  }

  /** Of all topics whose partitions are known. */
  get lanes(): Lane[] {
    return [...this.#topics.values()].flatMap((topic) => topic.lanes)
  }

  /** The worst of all circuits. */
  get circuitState(): CircuitState {
    let worst: CircuitState = 'closed'
    for (const { circuitState } of this.#senders.values()) {
      if (CIRCUIT_LEVELS[circuitState] > CIRCUIT_LEVELS[worst]) worst = circuitState
    }
    return worst
  }

  /** Until the next attempt at a broker that failed, the longest of them. Milliseconds. */
  get backoffMs(): number {
    let longest = 0
    for (const { backoffMs } of this.#senders.values()) longest = Math.max(longest, backoffMs)
    return longest
  }

  /** Why nothing can be delivered, or not everything; null when nothing is in the way. */
  get trouble(): MQError | null {
    const { metadataError } = this.#cluster
    return troubleOf({ end: this.#end, metadataError, senders: this.#senders.values(), lanes: this.lanes })
  }

  /** Goes on with other settings: for lanes that exist and for later ones; sealed batches stay as they are. */
  updateConfig(config: ResolvedProducerConfig): void {
    const settings = settingsOf(config)
    const isSizeGiven = config.batchBytes !== this.#config.batchBytes
    this.#config = config
    this.settings = settings
    if (this.#batchSize !== null) {
      if (isSizeGiven) this.#batchSize.restart(config.batchBytes)
      this.#adaptTo(this.#batchSize.size)
    }
    for (const topic of this.#topics.values()) {
      topic.useCompression(compressionOf(config, topic.name))
      for (const lane of topic.lanes) lane.settingsChanged()
    }
    for (const sender of this.#senders.values()) sender.settingsChanged()
  }

  /** Used by each lane from its next buffer on. */
  #adaptTo(batchBytes: number): void {
    if (batchBytes !== this.settings.batchBytes) this.settings = withBatchBytes(this.settings, batchBytes)
  }

  // --- topics ------------------------------------------------------------------------------------------------------

  /** The lanes of a topic; the first call asks for its metadata. */
  topicOf(name: string): TopicLanes {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    const topic = new TopicLanes(name, compressionOf(this.#config, name), this, this.random)
    this.#topics.set(name, topic)
    this.#cluster.useTopic(name)
    const metadata = this.#cluster.topic(name)
    if (metadata !== undefined && metadata.errorCode === 0 && metadata.partitions.length > 0)
      this.#adopt(topic, metadata)
    else this.#awaitTopic(topic)
    this.#adoptKnown(topic)
    return topic
  }

  /** Records are accepted into the log though no broker tells what partitions there are: the log may know. */
  #adoptKnown(topic: TopicLanes): void {
    const known = topic.isReady ? null : (this.life?.topicKnown(topic.name) ?? null)
    if (known !== null) this.#adopt(topic, known)
  }

  /** The log is open, and knows topics of an earlier life. */
  logOpened(): void {
    for (const topic of this.#topics.values()) {
      const metadata = this.#cluster.topic(topic.name)
      if (topic.isReady && metadata !== undefined) this.life?.topicSeen(metadata)
      else this.#adoptKnown(topic)
    }
  }

  #awaitTopic(topic: TopicLanes): void {
    const { maxBlockMs, unknownTopicRetries } = this.settings
    runInBackground(
      `metadata of ${topic.name}`,
      async () => {
        const metadata = await this.#cluster.waitForTopic(topic.name, {
          timeoutMs: maxBlockMs,
          allowAutoCreate: this.#config.allowAutoTopicCreation,
          unknownTopicRetries,
        })
        if (topic.isReady) this.#metadataChanged(metadata)
        else this.#adopt(topic, metadata)
      },
      (name, error) => {
        if (!topic.isReady) {
          this.#topicFailed(topic, toMQError(error, 'TOPIC_NOT_FOUND', name, { topic: topic.name }))
        } else void this.#awaitKnown(topic)
      },
    )
  }

  /** The log knows the topic: its brokers may be away for long. */
  async #awaitKnown(topic: TopicLanes): Promise<void> {
    if (await this.pauses.wait(UNKNOWN_TOPIC_PAUSE_MS)) this.#awaitTopic(topic)
  }

  #adopt(topic: TopicLanes, metadata: TopicMetadata): void {
    topic.grow(metadata)
    this.life?.topicSeen(metadata)
    this.life?.lanesReady(topic.lanes)
    this.#assignLeaders(topic, metadata)
    const { early, earlyTokens } = topic
    topic.early = null
    topic.earlyTokens = []
    const handOver = () => {
      for (const token of earlyTokens) {
        for (const lane of topic.lanes) {
          if (lane.isIdle) continue
          lane.addToken(token)
          lane.leaveSoon()
        }
        if (--token.left === 0) token.done()
      }
    }
    if (early === null) handOver()
    else this.#events.replay(topic, early, handOver)
  }

  #topicFailed(topic: TopicLanes, error: MQError): void {
    if (topic.isReady) return
    this.#topics.delete(topic.name)
    const { early, earlyTokens } = topic
    topic.early = null
    topic.earlyTokens = []
    if (early !== null) this.#failEarly(topic, early, error.with({ persistence: 'not-persisted' }))
    for (const token of earlyTokens) if (--token.left === 0) token.done()
  }

  #failEarly(topic: TopicLanes, early: EarlyRecords, error: MQError): void {
    this.counters.failed += early.count
    if (this.#limitsRecords) this.memory.budget.give(0, early.count)
    for (const batch of early.batches) {
      this.#deliveries.add({ topic: topic.name, partition: -1, batch, outcome: failure(error) })
    }
    early.discard()
  }

  get #limitsRecords(): boolean {
    return this.#config.bufferMaxRecords !== undefined
  }

  #metadataChanged(metadata: TopicMetadata): void {
    const topic = this.#topics.get(metadata.name)
    if (topic === undefined || !topic.isReady) return
    if (metadata.errorCode !== 0) return this.#topicRefused(topic, metadata.errorCode)
    if (metadata.partitions.length === 0) return
    const isNewId = topic.topicId !== metadata.topicId && topic.topicId !== '' && !isZero(metadata.topicId)
    // Brokers before 2.8 tell no id: the first one that comes says nothing of a new topic.
    if (isNewId && !isZero(topic.topicId)) this.#recreated(topic, metadata)
    else if (isNewId) for (const lane of topic.lanes) lane.whenQuiet(() => this.#named(lane, metadata.topicId))
    if (topic.partitionCount !== metadata.partitions.length || isNewId) this.life?.topicSeen(metadata)
    topic.grow(metadata)
    this.life?.lanesReady(topic.lanes)
    this.#assignLeaders(topic, metadata)
  }

  #topicRefused(topic: TopicLanes, errorCode: number): void {
    if (errorCode === UNKNOWN_TOPIC) {
      const nowMs = this.clock.monotonicMs()
      for (const lane of topic.lanes) {
        if (lane.unknownTopicAnswers++ === 0) lane.unknownTopicSinceMs = nowMs
        const isGone = nowMs - lane.unknownTopicSinceMs >= UNKNOWN_TOPIC_MS
        if (isGone && !lane.isIdle) this.#repairs.failLane(lane, topicError(topic.name, errorCode))
      }
      return
    }
    const error = topicError(topic.name, errorCode)
    if (error.retryable) return
    for (const lane of topic.lanes) if (!lane.isIdle) this.#repairs.failLane(lane, error)
  }

  #named(lane: Lane, topicId: string): void {
    lane.topicId = topicId
    lane.logStream = -1
  }

  /** P-41: batches made for the old topic are never written to the new one by name. */
  #recreated(topic: TopicLanes, metadata: TopicMetadata): void {
    const text = `topic ${topic.name} was deleted and created again`
    const error = new MQError('TOPIC_NOT_FOUND', text, { topic: topic.name, topicId: metadata.topicId })
    for (const lane of topic.lanes) {
      this.#repairs.failLane(lane, error)
      lane.whenQuiet(() => {
        lane.topicId = metadata.topicId
        lane.logStream = -1 // To the log it is another one.
        if (lane.identity === null) return
        lane.identity.lastAckedOffset = -1
        this.#repairs.renewIdentity(lane)
      })
    }
  }

  #assignLeaders(topic: TopicLanes, metadata: TopicMetadata): void {
    for (const { partition, leaderId, leaderEpoch } of metadata.partitions) {
      const lane = topic.lanes[partition]
      if (lane === undefined) continue
      lane.unknownTopicAnswers = 0
      if (lane.leaderId === leaderId && lane.leaderEpoch === leaderEpoch) continue
      lane.whenQuiet(() => this.#moveLane(topic, lane))
    }
  }

  /** To whoever leads by now: while the lane was busy the leader may have moved on, or back. */
  #moveLane(topic: TopicLanes, lane: Lane): void {
    const now = this.#cluster.topic(topic.name)?.partitions[lane.partition]
    if (now === undefined || this.#end !== null) return
    const { leaderId, leaderEpoch } = now
    lane.leaderEpoch = leaderEpoch
    const home = leaderId < 0 ? null : this.#senderOf(leaderId)
    if (home === null) topic.sticky.moveOn(lane.partition)
    if (lane.leaderId !== leaderId) {
      lane.leaderId = leaderId
      lane.moveTo(home)
    }
    lane.wake()
  }

  #senderOf(brokerId: number): Sender {
    let sender = this.#senders.get(brokerId)
    if (sender === undefined) {
      sender = new Sender(this.#cluster.link(brokerId, 'produce'), this, this.#circuitOf(brokerId))
      this.#senders.set(brokerId, sender)
    }
    return sender
  }

  #circuitOf(brokerId: number): BrokerCircuit | null {
    const { circuitBreaker } = this.#config
    if (!circuitBreaker.enabled) return null
    return new BrokerCircuit(circuitBreaker, this.clock, (from, to) => this.#circuitChanged({ brokerId, from, to }))
  }

  #circuitChanged(change: CircuitEvent): void {
    const sender = this.#senders.get(change.brokerId)
    if (sender === undefined) return
    sender.circuitChanged()
    if (change.to === 'open')
      this.#lanesAt(sender, (topic, lane) => {
        topic.sticky.moveOn(lane.partition)
        if (sender.isRefusing) lane.refuseNew()
      })
    this.#events.circuit(change)
  }

  #lanesAt(home: Sender, visit: (topic: TopicLanes, lane: Lane) => void): void {
    for (const topic of this.#topics.values()) {
      for (const lane of topic.lanes) if (lane.home === home) visit(topic, lane)
    }
  }

  // --- what senders ask --------------------------------------------------------------------------------------------

  identityReady(): boolean {
    if (this.#producerId !== null) return true
    if (!this.#isAskingIdentity) this.askIdentity()
    return false
  }

  /** Asks for a producer id in the background; senders go on when it is there. */
  askIdentity(): void {
    if (this.#producerId !== null || this.#isAskingIdentity) return
    this.#isAskingIdentity = true
    runInBackground(
      'producer id',
      async () => {
        if (this.life !== null) await this.life.open()
        const producerId = await this.#identities.fetch()
        if (this.log !== null) await this.defineIdentity(producerId, 0)
        this.#producerId = producerId
        for (const { lanes } of this.#topics.values()) for (const lane of lanes) this.log?.bindPending(lane)
        for (const sender of this.#senders.values()) sender.wake()
      },
      (_name, error) => {
        this.#isAskingIdentity = false // Told already: closed, or `die`; but not this:
        const refusal = findMQError(error)
        if (refusal?.is('AUTHENTICATION_FAILED') === true) this.#refuse(refusal, () => true)
      },
    )
  }

  brokerRefused(brokerId: number, error: MQError): void {
    this.#refuse(error, (lane) => lane.leaderId === brokerId)
  }

  /** What waits fails now and not at its deadline; what is written later tries again, with credentials that may be good by then. */
  #refuse(error: MQError, concerns: (lane: Lane) => boolean): void {
    for (const { lanes } of this.#topics.values()) {
      for (const lane of lanes) if (concerns(lane) && !lane.isIdle) this.#repairs.giveUpLane(lane, error)
    }
  }

  stamp(lane: Lane, batch: Batch): void {
    lane.identity ??= new LaneIdentity(this.#producerId as bigint)
    lane.identity.stamp(batch)
    if (batch.lsn > 0) this.log?.bound(lane, batch)
  }

  /** Numbers for the log: none while something older of the lane has none, or while they are about to change. */
  identityOf(lane: Lane): LaneIdentity | null {
    if (this.#producerId === null || lane.isHeld || lane.isAwaitingRecovery) return null
    lane.identity ??= new LaneIdentity(this.#producerId)
    return lane.identity
  }

  replaced(batch: Batch, parts: number): void {
    this.life?.replaced(batch, parts)
  }

  laneOf(topic: string, partition: number): Lane | undefined {
    const { lanes, isReady } = this.topicOf(topic)
    return isReady ? lanes[partition] : undefined
  }

  renew(lane: Lane): void {
    this.#repairs.renewIdentity(lane)
  }

  async defineIdentity(producerId: bigint, epoch: number): Promise<void> {
    await this.log?.defineIdentity(producerId, epoch, this.#cluster.clusterId ?? '')
  }

  get isLogFull(): boolean {
    return this.log?.isBlocked === true
  }

  get keepsBatches(): boolean {
    return this.log !== null
  }

  rule(lane: Lane, batch: Batch, edge: EdgeCase): Ruling {
    return this.life === null ? 'dropped' : this.life.parking.rule(lane, batch, edge)
  }

  park(lane: Lane, error: MQError): void {
    this.life?.parking.refused(lane, error)
  }

  /** New numbers were given out, or batches lost theirs: the log hears of it before they are used. */
  renumbered(lane: Lane): void {
    this.log?.bindPending(lane)
  }

  /** Callers learn that it takes too long; the log has the batch and goes on. Those who asked only for the log know already. */
  tellLate(lane: Lane, batch: Batch, error: MQError): void {
    if (batch.isTold) return
    batch.isTold = true
    const { topic, partition } = lane
    const text = `${error.message}. They are in the write-ahead log, which goes on with them`
    const more = { ...error.context, persistence: 'possibly-persisted', isInLog: true } as const
    const late = new MQError(error.code, text, more, { cause: error.cause, retryable: false })
    this.#deliveries.add({ topic, partition, batch: batch.callersOnly(), outcome: failure(late) })
  }

  answered(shipment: Shipment, answer: PartitionAnswer, response: ProduceAnswer, brokerId: number): void {
    if (this.#end === null) this.#answers.answered(shipment, answer, response, brokerId)
    else this.#answers.answeredLast(shipment, answer, brokerId, this.#end)
  }

  unanswered(shipment: Shipment, error: MQError): void {
    if (this.#end === null) this.#answers.unanswered(shipment, error)
    else {
      if (error.context.wasSent !== 'no') shipment.batch.isDoubtful = true
      shipment.lane.settle(shipment.batch, failure(this.#end.with({ persistence: persistenceOf(shipment.batch) })))
    }
  }

  taken({ lane, batch }: Shipment): void {
    lane.settle(batch, { error: null, baseOffset: -1, logAppendTimeMs: -1 })
  }

  lookFor(lane: Lane, batch: Batch): void {
    lane.whenQuiet(() => this.#repairs.lookFor(lane, batch))
  }

  unsendable(lane: Lane, batch: Batch, error: MQError): void {
    const { topic, partition } = lane
    lane.withdraw(batch) // On its way into the log it was not taken yet.
    lane.settle(batch, failure(error.with({ topic, partition, persistence: 'not-persisted' })))
  }

  // --- what lanes tell ---------------------------------------------------------------------------------------------

  warn(error: MQError): void {
    this.#events.warning(error)
  }

  began(): void {
    this.busyLanes++
    this.#deadlines.watch()
  }

  ended(): void {
    this.busyLanes--
  }

  sealed(lane: Lane): void {
    this.#topics.get(lane.topic)?.sticky.moveOn(lane.partition)
  }

  settled(lane: Lane, batch: Batch, outcome: Outcome): void {
    const { topic, partition } = lane
    this.#count(batch, outcome)
    this.life?.settled(batch)
    // What stays in the log for the next life has not failed, unless somebody waits for it.
    if (batch.isAccepted && this.#end !== null && batch.waiters === null && batch.tokens === null) return
    this.#deliveries.add({ topic, partition, batch, outcome })
  }

  #count(batch: Batch, outcome: Outcome): void {
    const { counters } = this
    let { records } = batch
    if (outcome === REPLACED) {
      records = batch.refusedRecords
      counters.failed += records
    } else if (outcome.error === null) {
      counters.acknowledged += records
      counters.acknowledgedBytes += batch.plainBytes
      counters.batches++
      counters.batchWireBytes += batch.wireBytes
      counters.batchPlainBytes += batch.plainBytes
      const latencyMs = this.clock.monotonicMs() - batch.firstAtMs
      counters.latency.record(latencyMs, records)
      this.observations?.acknowledged(batch, latencyMs)
      if (this.#batchSize !== null) this.#adapt(this.#batchSize, batch)
      counters.recordRate.add(records)
      counters.byteRate.add(batch.plainBytes)
    } else if (outcome.error.context.reason === 'DROPPED') counters.dropped += records
    else counters.failed += records
    if (this.#limitsRecords && !batch.isRecovered) this.memory.budget.give(0, records)
  }

  /** By the time between wire and answer: how long a batch waited before says more about the load than about its size. */
  #adapt(size: AdaptiveSize, batch: Batch): void {
    if (size.observe(this.clock.monotonicMs() - batch.sentAtMs)) this.#adaptTo(size.size)
  }

  /** `onFull: 'dropOldest'`: fails the oldest batch that was never sent; false when there is none. */
  dropOldest(): boolean {
    let oldest: Lane | null = null
    let oldestMs = Number.POSITIVE_INFINITY
    for (const topic of this.#topics.values()) {
      for (const lane of topic.lanes) {
        const firstAtMs = lane.oldestUnsentMs
        if (firstAtMs >= oldestMs) continue
        oldestMs = firstAtMs
        oldest = lane
      }
    }
    const lane = oldest
    const batch = lane?.takeOldestUnsent()
    if (lane === null || batch === undefined) return false
    const { topic, partition } = lane
    const text = `${batch.records} record(s) for ${topic}-${partition} were dropped for newer ones: buffer memory is full, raise bufferMemoryBytes or send more slowly`
    const context = { reason: 'DROPPED', topic, partition, persistence: 'not-persisted' } as const
    lane.settle(batch, failure(new MQError('PRODUCE_FAILED', text, context)))
    return true
  }

  // --- flush and end -----------------------------------------------------------------------------------------------

  /** Resolves when everything accepted before the call is settled; gives the token to stop waiting. */
  flushToken(done: () => void): SettleToken {
    const token: SettleToken = { left: 1, done }
    for (const topic of this.#topics.values()) {
      if (!topic.isReady) {
        if (topic.early !== null) {
          token.left++
          topic.earlyTokens.push(token)
        }
        continue
      }
      for (const lane of topic.lanes) {
        if (lane.isIdle) continue
        lane.addToken(token)
        lane.leaveSoon()
      }
    }
    if (--token.left === 0) token.done()
    return token
  }

  /** Memory is short: whatever waits for linger leaves now (P-8). */
  leaveSoon(): void {
    // Once per turn: a caller who sends on at the limit must not look at every lane for every record.
    if (this.#isLeaving) return
    this.#isLeaving = true
    this.clock.defer(() => {
      this.#isLeaving = false
      for (const topic of this.#topics.values()) for (const lane of topic.lanes) lane.leaveSoon()
    })
  }

  die(error: MQError): void {
    if (this.#end !== null) return
    this.finish(error)
    this.#events.died(error)
  }

  /** Nothing is sent from here on; everything pending that is not on the wire fails with `error`. */
  finish(error: MQError): void {
    if (this.#end !== null) return
    this.#end = error
    this.log?.leave()
    this.life?.stop(error)
    this.pauses.stop()
    this.#deadlines.stop()
    for (const topic of [...this.#topics.values()]) {
      if (!topic.isReady) this.#topicFailed(topic, error)
      for (const lane of topic.lanes) lane.failAll((batch) => error.with({ persistence: persistenceOf(batch) }))
    }
  }

  dispose(): void {
    this.#unwatch()
    for (const sender of this.#senders.values()) sender.close()
    for (const topic of this.#topics.values()) for (const lane of topic.lanes) lane.dispose()
    this.memory.clear()
  }
}

function topicError(topic: string, errorCode: number): MQError {
  return brokerError(errorCode, 'TOPIC_NOT_FOUND', null, { topic })
}

function isZero(topicId: string): boolean {
  return /^A*$/.test(topicId)
}
