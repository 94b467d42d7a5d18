/**
 * After a crash: finds out what became of the batches that were bound to an identity of a dead incarnation, and only
 * then lets the lanes go on (condition C8).
 *
 *   start -> cluster id -> per stream, in parallel: topic id -> identity after identity -> opened | held
 *
 * Why streams that wait give up their place: a topic without a leader must not delay the others (`resolveConcurrency`).
 * Invariant: nothing is settled without a proof or the policy's word; every doubt is counted and reported. Each stream
 * with entries of a dead incarnation is told about once: opened, held, or nothing after a fatal error.
 * Source: wal.md 4.2.
 */
import { MQError, toMQError } from '../../../errors/index.js'
import { backoffMs, type Deferred, deferred, runInBackground, type TimerHandle } from '../../../util/index.js'
import { walError } from '../../../wal/index.js'
import { BrokerMemory } from '../../broker-memory.js'
import { Ledger } from './ledger.js'
import { Slots } from './slots.js'
import { type Ruling, StreamResolution } from './stream.js'
import type { HeldStream, ResolutionParts, WaitingStream } from './types.js'

export type { EdgeCase, ResolutionEvents, WalEdge } from './types.js'

const PROGRESS_MS = 500
/** First and longest wait before brokers are asked for their cluster again. Milliseconds. */
const RETRY_MS = 100
const RETRY_MAX_MS = 1000

export class Resolution {
  readonly #parts: ResolutionParts
  readonly #ledger: Ledger
  readonly #slots: Slots
  #streams: readonly StreamResolution[] = []
  #entries = 0
  #startedMs = 0
  #running = 0
  #isStopped = false
  #isDone = false
  #hasFailed = false
  readonly #done: Deferred<void> = deferred()
  #timer: TimerHandle | null = null

  constructor(parts: ResolutionParts) {
    this.#parts = parts
    this.#ledger = new Ledger(parts.wal, parts.events.edge)
    this.#slots = new Slots(parts.settings.resolveConcurrency)
  }

  /** All streams are opened or held, or nothing more will happen (`stop`, a fatal error). */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Never rejects. */
  get done(): Promise<void> {
    return this.#done.promise
  }

  get heldStreams(): readonly HeldStream[] {
    return this.#streams.flatMap(({ facts, held }) =>
      held === null ? [] : [{ topic: facts.topic, partition: facts.partition, case: held.edge, records: held.records }],
    )
  }

  /** Streams that wait for the cluster: no leader, no connection, no permission. */
  get waitingStreams(): readonly WaitingStream[] {
    return this.#streams.flatMap(({ facts, place, state }) =>
      state === 'resolving' && place.waitsFor !== ''
        ? [{ topic: facts.topic, partition: facts.partition, why: place.waitsFor }]
        : [],
    )
  }

  /** `resolved_batches_total` by verdict. */
  get verdicts(): ReadonlyMap<string, number> {
    return this.#ledger.verdicts
  }

  /** `edge_total`: case -> topic -> records. */
  get edges(): ReadonlyMap<string, Map<string, number>> {
    return this.#ledger.edges
  }

  /** Takes every entry of a dead incarnation that the log holds now. Tells nothing before it returned. */
  start(): void {
    const { wal, cluster, clock } = this.#parts
    this.#startedMs = clock.monotonicMs()
    this.#streams = this.#streamsToResolve()
    this.#entries = this.#streams.reduce((sum, { bound }) => sum + bound, 0)
    for (const { facts } of this.#streams) cluster.useTopic(facts.topic)
    this.#running = this.#streams.length
    this.#inBackground('the resolution of the log', async () => {
      await Promise.resolve()
      this.#tellProgress()
      this.#armProgress()
      if (this.#running === 0) return this.#finish()
      await this.#knowCluster()
      if (this.#isOver) return this.#finish()
      const isOther = this.#streams.some(({ facts }) => this.#isOtherCluster(facts.id))
      if (isOther && !this.#parts.settings.allowRetarget) {
        // Each is told and counted before the producer ends with it.
        for (const stream of this.#streams) await stream.refuse('E7')
        this.#fail(clusterMismatch(wal.recovered.clusterId, cluster))
        return this.#finish()
      }
      for (const stream of this.#streams) this.#begin(stream, isOther)
    })
  }

  /**
   * An operator's word on a held stream: its undecided records are dropped, or sent again at least once, and the rest is
   * resolved. Resolves when the stream is opened, or held again. Rejects with INVALID_PARTITION when it is not held.
   */
  async resolve(topic: string, partition: number, action: Ruling): Promise<void> {
    const held = this.#streams.filter(
      ({ facts, state }) => state === 'held' && facts.topic === topic && facts.partition === partition,
    )
    if (held.length === 0) {
      const text = `${topic}-${partition} is not held: there is nothing to ${action}`
      throw new MQError('INVALID_PARTITION', text, { topic, partition })
    }
    for (const stream of held) {
      await this.#inSlot(() => stream.rule(action))
      this.#tellProgress()
    }
  }

  /** No further request and no event; waits end with the `pauses` that were given. Idempotent. */
  stop(): void {
    this.#isStopped = true
    this.#finish()
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#parts.pauses.isStopped
  }

  #streamsToResolve(): StreamResolution[] {
    const parts = this.#parts
    const ledger = this.#ledger
    const slots = this.#slots
    const { wal } = parts
    const it = {
      parts,
      ledger,
      slots,
      memory: new BrokerMemory(parts.cluster),
      isStopped: () => this.#isOver,
      openedAtMs: this.#startedMs,
    }
    return [...wal.streams].flatMap((facts) => {
      const dead = wal.entriesOf(facts.id).filter(({ incarnation }) => incarnation < wal.incarnation)
      return dead.length === 0 ? [] : [new StreamResolution(facts, dead, it)]
    })
  }

  /** Until a broker has told about the cluster and the topics. */
  async #knowCluster(): Promise<void> {
    const { cluster, pauses, random } = this.#parts
    for (let attempt = 0; !this.#isOver; attempt++) {
      try {
        await cluster.connect()
        return await cluster.refresh('resolving the log')
      } catch (error) {
        const { message } = toMQError(error, 'CONNECTION_FAILED', 'no broker answered')
        for (const { place } of this.#streams) place.waitsFor = message
        await pauses.wait(backoffMs(attempt, RETRY_MS, RETRY_MAX_MS, random))
      }
    }
  }

  #begin(stream: StreamResolution, isOtherCluster: boolean): void {
    const { topic, partition } = stream.facts
    this.#inBackground(`the resolution of ${topic}-${partition}`, async () => {
      try {
        await this.#inSlot(() => (isOtherCluster ? stream.refuse('E7') : stream.run()))
      } finally {
        this.#running--
        this.#tellProgress()
        if (this.#running === 0) this.#finish()
      }
    })
  }

  async #inSlot(task: () => Promise<void>): Promise<void> {
    await this.#slots.take()
    try {
      if (!this.#isOver) await task()
    } finally {
      this.#slots.give()
    }
  }

  /** Anything of the stream was bound to an identity of another cluster; without any, where the log belongs decides. */
  #isOtherCluster(streamId: number): boolean {
    const { wal, cluster } = this.#parts
    const present = cluster.clusterId
    if (present === null) return false
    const isOther = (clusterId: string) => clusterId !== '' && clusterId !== present
    if (isOther(wal.recovered.clusterId)) return true
    const ids = new Set(wal.entriesOf(streamId).map(({ producerId }) => producerId))
    return wal.identities.some(({ producerId, clusterId }) => ids.has(producerId) && isOther(clusterId))
  }

  #fail(error: MQError): void {
    if (this.#hasFailed || this.#isStopped) return
    this.#hasFailed = true
    this.#parts.events.fatal(error)
  }

  #finish(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#timer?.cancel()
    this.#timer = null
    this.#done.resolve()
  }

  #armProgress(): void {
    if (this.#isDone) return
    this.#timer = this.#parts.clock.setTimer(() => {
      this.#tellProgress()
      this.#armProgress()
    }, PROGRESS_MS)
  }

  #tellProgress(): void {
    if (this.#isStopped) return
    const { decided } = this.#ledger
    const left = this.#entries - decided
    const elapsedMs = this.#parts.clock.monotonicMs() - this.#startedMs
    const etaMs = left === 0 ? 0 : decided === 0 ? -1 : Math.round((elapsedMs / decided) * left)
    this.#parts.events.progress({ resolved: decided, entries: this.#entries, held: this.heldStreams.length, etaMs })
  }

  #inBackground(name: string, task: () => Promise<void>): void {
    runInBackground(name, task, (what, error) => {
      this.#fail(toMQError(error, 'PRODUCE_FAILED', `${what} failed`))
    })
  }
}

function clusterMismatch(expected: string, { clusterId }: { readonly clusterId: string | null }): MQError {
  const text = `the log belongs to cluster ${expected}, the brokers to ${clusterId}: nothing was sent. Use the directory with its own cluster, or wal.allowRetarget to deliver at least once`
  return walError('WAL_CLUSTER_MISMATCH', text, { expected, clusterId })
}
