/**
 * The life of a producer's log: opening, what an earlier life left behind, closing.
 * While streams of an earlier life are resolved, new records are accepted and logged; their lanes wait (C8).
 * Source: wal.md 4.
 */
import type { Cluster, TopicMetadata } from '../../cluster/index.js'
import type { ResolvedProducerConfig } from '../../config/index.js'
import { MQError, toMQError } from '../../errors/index.js'
import { type Clock, type Deferred, deferred, type Pauses, type RandomSource } from '../../util/index.js'
import type { Entry, StreamFacts, Wal, WalEvents, WalMeasures, WalOptions } from '../../wal/index.js'
import type { Batch } from '../batch.js'
import type { DataLoss } from '../data-loss.js'
import type { Lane } from '../lane.js'
import { innerMap } from './inner-map.js'
import { rememberTopic, topicKnownTo } from './known-topic.js'
import { batchesOf } from './leftovers.js'
import type { LogHost } from './log-host.js'
import { Parking } from './parking.js'
import type { ProducerLog } from './producer-log.js'
import { Resolution } from './resolution/resolution.js'
import type { HeldStream, WalEdge } from './resolution/types.js'
import { TopicSafety } from './topic-safety.js'

export interface WalRecovery {
  readonly phase: 'scan' | 'resolve' | 'done'
  readonly segments: number
  readonly bytes: number
  /** Batches that an earlier life left behind. */
  readonly entries: number
  /** Of these, decided. */
  readonly resolved: number
  /** Topic-partitions that wait for an operator. */
  readonly held: number
  /** -1: not known. */
  readonly etaMs: number
}

export interface LogLifeEvents {
  degraded(error: MQError): void
  failed(error: MQError): void
  slowSync(ms: number): void
  edge(edge: WalEdge): void
  held(held: HeldStream): void
  recovery(step: WalRecovery): void
  dataLoss(loss: DataLoss): void
  /** Nothing of the producer may go on. */
  fatal(error: MQError): void
}

/** What metrics read of a producer's log. */
export interface ProducerWalMeasures {
  readonly log: WalMeasures
  /** Batches in doubt after a crash, by how they were decided. */
  readonly verdicts: ReadonlyMap<string, number>
  /** Records at the edges of the promises, by case and topic. */
  readonly edges: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly heldStreams: number
  /** Seconds in which batches waited for room in the log. */
  readonly blockedSeconds: number
  /** Seconds from opening until every batch in doubt was decided or held; absent until then. */
  readonly resolveSeconds?: number
}

export type OpenWal = (options: WalOptions, events: WalEvents) => Promise<Wal>

interface LogLifeParts {
  readonly options: WalOptions
  readonly config: ResolvedProducerConfig
  readonly cluster: Cluster
  readonly clock: Clock
  readonly random: RandomSource
  readonly pauses: Pauses
  readonly host: LogHost
  readonly log: ProducerLog
  readonly openWal: OpenWal
  readonly events: LogLifeEvents
}

export class LogLife {
  readonly #parts: LogLifeParts
  readonly parking: Parking
  readonly #safety: TopicSafety
  #opening: Promise<void> | null = null
  #wal: Wal | null = null
  #resolution: Resolution | null = null
  /** Topic-partitions of an earlier life that are not resolved: by topic, how many streams of each partition. */
  readonly #unresolved = new Map<string, Map<number, number>>()
  /** What goes first through a lane, until the topic's lanes exist. */
  readonly #leftovers = new Map<string, Map<number, Entry[]>>()
  /** Streams of an earlier life that no lane waits for any more. */
  readonly #passed = new Set<number>()
  #isStopped = false
  #resolveSeconds = -1 // until all are decided
  /** Recovered batches in lanes. */
  #pendingBatches = 0
  readonly #recovered: Deferred<void> = deferred()

  constructor(parts: LogLifeParts) {
    this.#parts = parts
    this.parking = new Parking(parts.host, parts.config.wal, parts.events)
    this.#safety = new TopicSafety(parts.cluster)
    this.#recovered.promise.catch(() => {})
  }

  get wal(): Wal | null {
    return this.#wal
  }

  /** Opens the log once; rejects with what stands in the way (WAL_LOCKED, WAL_CORRUPT ...). */
  open(): Promise<void> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  async #open(): Promise<void> {
    const { options, openWal, log } = this.#parts
    const wal = await openWal(options, this.#walEvents())
    this.#wal = wal
    if (this.#isStopped) return // It is closed at once: what is in it waits for the next life.
    if (wal.failure !== null) log.failed(wal.failure)
    for (const stream of wal.streams) if (wal.entriesOf(stream.id).length > 0) this.#awaitStream(stream, 1)
    for (const lane of this.#parts.host.lanes) this.#gate(lane)
    this.parking.incarnationId = wal.incarnationId
    log.opened(wal)
    this.#parts.host.logOpened()
    this.#resolve(wal)
  }

  /** A topic's partitions, as brokers tell them. */
  topicSeen(topic: TopicMetadata): void {
    if (topic.partitions.every(({ leaderId }) => leaderId < 0)) return // It comes from the log itself.
    if (this.#wal !== null && this.#wal.failure === null) this.#remember(this.#wal, topic)
    this.#safety.look(topic)
  }

  /** Convenient for the next life; a log that cannot take it must not keep this one from its topic. */
  #remember(wal: Wal, topic: TopicMetadata): void {
    try {
      rememberTopic(wal, topic)
    } catch (error) {
      this.#parts.host.warn(toMQError(error, 'PRODUCE_FAILED', `remembering the partitions of ${topic.name}`))
    }
  }

  /** As the log knows it from an earlier life; null: it does not, or is not open. */
  topicKnown(name: string): TopicMetadata | null {
    return this.#wal === null ? null : topicKnownTo(this.#wal, name)
  }

  /** C5 holds for every topic that is written to. */
  get isTopicSafe(): boolean {
    return this.#safety.holds
  }

  #walEvents(): WalEvents {
    const { log, events } = this.#parts
    return {
      degraded: (error) => events.degraded(error),
      failed: (error) => {
        log.failed(error)
        events.failed(error)
      },
      slowSync: (ms) => events.slowSync(ms),
      full: () => {},
      room: () => {},
      progress: ({ segments, bytes, entries }) =>
        events.recovery({ phase: 'scan', segments, bytes, entries, resolved: 0, held: 0, etaMs: -1 }),
    }
  }

  #resolve(wal: Wal): void {
    const { cluster, config, clock, random, pauses, events } = this.#parts
    const { entries, scannedBytes } = wal.recovered
    const startedMs = clock.monotonicMs()
    const step = { segments: wal.measures().segments.live, bytes: scannedBytes }
    const resolution = new Resolution({
      wal,
      cluster,
      settings: config.wal,
      clock,
      random,
      pauses,
      requestTimeoutMs: config.requestTimeoutMs,
      events: {
        opened: (stream, leftovers) => this.#opened(stream, leftovers),
        held: (stream, edge, records) => this.#held(stream, edge, records),
        edge: (edge) => events.edge(edge),
        dataLoss: (loss) => events.dataLoss(loss),
        progress: (one) => events.recovery({ phase: 'resolve', ...step, ...one }),
        fatal: (error) => events.fatal(error),
      },
    })
    this.#resolution = resolution
    void resolution.done.then(() => {
      if (this.#isStopped) return // Not done: it ends with the producer, and the next life goes on.
      this.#resolveSeconds = (clock.monotonicMs() - startedMs) / 1000
      const held = this.heldStreams.length
      events.recovery({ phase: 'done', ...step, entries, resolved: entries, held, etaMs: 0 })
      this.#checkRecovered()
    })
    resolution.start()
  }

  // --- streams of an earlier life ----------------------------------------------------------------------------------

  /** Counted once each: a stream that is held may be resolved later, when its lane went on without it. */
  #awaitStream({ id, topic, partition }: StreamFacts, by: 1 | -1): void {
    if (by < 0) {
      if (this.#passed.has(id)) return
      this.#passed.add(id)
    }
    const partitions = innerMap(this.#unresolved, topic)
    const left = (partitions.get(partition) ?? 0) + by
    if (left > 0) partitions.set(partition, left)
    else partitions.delete(partition)
    if (partitions.size === 0) this.#unresolved.delete(topic)
  }

  #isAwaiting(topic: string, partition: number): boolean {
    return (this.#unresolved.get(topic)?.get(partition) ?? 0) > 0
  }

  #gate(lane: Lane): void {
    lane.isAwaitingRecovery = this.#isAwaiting(lane.topic, lane.partition)
  }

  /** The topic's lanes exist: those with an unresolved past wait, those with leftovers take them in. */
  lanesReady(lanes: readonly Lane[]): void {
    if (this.#unresolved.size === 0 && this.#leftovers.size === 0) return
    for (const lane of lanes) {
      this.#gate(lane)
      if (!lane.isAwaitingRecovery) this.#goOn(lane)
    }
  }

  #opened(stream: StreamFacts, leftovers: readonly Entry[]): void {
    const { topic, partition } = stream
    this.#awaitStream(stream, -1)
    if (leftovers.length > 0) {
      const partitions = innerMap(this.#leftovers, topic)
      partitions.set(partition, [...(partitions.get(partition) ?? []), ...leftovers])
      this.#pendingBatches += leftovers.length
    }
    if (this.#isAwaiting(topic, partition)) return
    const lane = this.#parts.host.laneOf(topic, partition)
    if (lane !== undefined) this.#goOn(lane)
  }

  /** Its past is known: what is left of it goes first, then everything else. */
  #goOn(lane: Lane): void {
    const { host, log, clock } = this.#parts
    const partitions = this.#leftovers.get(lane.topic)
    const entries = partitions?.get(lane.partition)
    if (entries !== undefined) {
      partitions?.delete(lane.partition)
      if (partitions?.size === 0) this.#leftovers.delete(lane.topic)
      entries.sort((a, b) => a.lsn - b.lsn)
      const batches = batchesOf(entries, clock.monotonicMs())
      for (const batch of batches) {
        host.counters.accepted += batch.records
        log.paging?.adopted(batch)
      }
      lane.adoptRecovered(batches)
      lane.hasUnbound = true
    }
    lane.isAwaitingRecovery = false
    log.bindPending(lane)
    log.readAhead(lane)
    lane.home?.enqueue(lane)
  }

  /** Its parts are recovered batches too; the batch itself gets its outcome at once. */
  replaced(batch: Batch, parts: number): void {
    if (batch.isRecovered) this.#pendingBatches += parts
  }

  /** A recovered batch got its outcome. */
  settled(batch: Batch): void {
    if (!batch.isRecovered) return
    this.#pendingBatches--
    this.#checkRecovered()
  }

  #checkRecovered(): void {
    if (this.#resolution?.isDone === true && this.#pendingBatches === 0) this.#recovered.resolve()
  }

  #held(stream: StreamFacts, edge: WalEdge['case'], records: number): void {
    const { topic, partition } = stream
    this.#parts.events.held({ topic, partition, case: edge, records })
    // A topic that was made anew has nothing to do with the records of the old one.
    if (edge !== 'E6') return
    this.#awaitStream(stream, -1)
    if (this.#isAwaiting(topic, partition)) return
    const lane = this.#parts.host.laneOf(topic, partition)
    if (lane !== undefined) this.#goOn(lane)
  }

  // --- asked from outside ------------------------------------------------------------------------------------------

  /** Resolves when all records of earlier lives are settled, or held. Rejects when the log cannot be opened. */
  async recovered(): Promise<void> {
    await this.open()
    await this.#recovered.promise
  }

  get heldStreams(): readonly HeldStream[] {
    return [...(this.#resolution?.heldStreams ?? []), ...this.parking.streams]
  }

  async resolveHeld(topic: string, partition: number, action: 'drop' | 'resend'): Promise<void> {
    if (this.parking.resolve(topic, partition, action)) return
    if (this.#resolution === null) {
      const text = `${topic}-${partition} is not held: the log is not open`
      throw new MQError('INVALID_PARTITION', text, { topic, partition })
    }
    await this.#resolution.resolve(topic, partition, action)
  }

  measures(): ProducerWalMeasures | null {
    if (this.#wal === null) return null
    return {
      log: this.#wal.measures(),
      verdicts: this.#resolution?.verdicts ?? new Map(),
      edges: this.parking.edgesWith(this.#resolution?.edges ?? new Map()),
      heldStreams: this.heldStreams.length,
      ...(this.#resolveSeconds < 0 ? {} : { resolveSeconds: this.#resolveSeconds }),
      blockedSeconds: this.#parts.log.blockedSeconds,
    }
  }

  // --- end ---------------------------------------------------------------------------------------------------------

  /** No new decision about the past; what is under way ends with the cluster's connections. */
  stop(end: MQError): void {
    this.#isStopped = true
    this.#resolution?.stop()
    this.#recovered.reject(end)
  }

  /** Whether it opened is told to whoever asked; a disk that hangs must not keep us. */
  async #untilOpen(timeoutMs: number): Promise<void> {
    if (this.#opening === null) return
    const late = deferred<void>()
    const timer = this.#parts.clock.setTimer(() => late.resolve(), timeoutMs)
    await Promise.race([this.#opening.catch(() => {}), late.promise])
    timer.cancel()
  }

  /** Gives the log up; resolves with the records it still holds. */
  async close(timeoutMs: number): Promise<number> {
    await this.#untilOpen(timeoutMs)
    this.#parts.log.close()
    const wal = this.#wal
    if (wal === null) return 0
    try {
      await wal.close({ timeoutMs })
    } catch (error) {
      this.#parts.host.warn(toMQError(error, 'PRODUCE_FAILED', 'closing the write-ahead log'))
    }
    return wal.measures().unsettledRecords
  }
}
