/**
 * The steps that take more than one answer: finding out, splitting, leaving out, starting anew.
 * Each begins when nothing of the lane is in flight and holds the lane until it is done.
 * Invariant: one identity, one content for ever: numbers that touched a socket are never given to other records.
 * Source: kafka.md 3.5-3.7.
 */
import { MQError, toMQError } from '../errors/index.js'
import { brokerError } from '../protocol/index.js'
import { type Pauses, runInBackground } from '../util/index.js'
import { failure, type KeptBatches, persistenceOf, type Repairs } from './answers.js'
import type { Batch, Outcome } from './batch.js'
import type { BatchMemory } from './batch-memory.js'
import type { DataLoss } from './data-loss.js'
import type { IdentitySource } from './identity-source.js'
import type { Lane } from './lane.js'
import type { Ruling } from './log/parking.js'
import type { EdgeCase } from './log/resolution/types.js'
import { plainRecordsOf, type RefusalOf, reseal } from './reseal.js'
import type { Fate, Resolver } from './resolver.js'

export interface RepairEvents {
  dataLoss(loss: DataLoss): void
  warn(error: MQError): void
  die(error: MQError): void
}

/** A lane's limit is not lowered below this, however small the parts of one batch had to be. */
const SMALLEST_LIMIT_BYTES = 1024
/** Until what a broker does not permit is tried again: permissions are given while we run. */
const REFUSED_PAUSE_MS = 5000
/** How long a split waits for memory before it tries again. */
const MEMORY_RETRY_MS = 20

/** The log's side of a repair; without a log nothing of it happens. */
export interface RepairLog extends KeptBatches {
  /** There is a log. */
  readonly keepsBatches: boolean
  /** What becomes of a batch that the log keeps and nobody can decide about. */
  rule(lane: Lane, batch: Batch, edge: EdgeCase): Ruling
  /** The topic takes nothing: what the log keeps for it waits for an operator's word. */
  park(lane: Lane, error: MQError): void
  defineIdentity(producerId: bigint, epoch: number): Promise<void>
  renumbered(lane: Lane): void
}

export class LaneRepairs implements Repairs {
  readonly #resolver: Resolver
  readonly #identities: IdentitySource
  readonly #memory: BatchMemory
  readonly #events: RepairEvents
  readonly #pauses: Pauses
  readonly #isExpired: (batch: Batch) => boolean
  readonly #log: RepairLog
  /** Topics of which it is known that their records take the broker's time, or that it cannot be known. */
  readonly #explainedTopics = new Set<string>()

  constructor(
    resolver: Resolver,
    identities: IdentitySource,
    memory: BatchMemory,
    events: RepairEvents,
    pauses: Pauses,
    isExpired: (batch: Batch) => boolean,
    log: RepairLog,
  ) {
    this.#resolver = resolver
    this.#identities = identities
    this.#memory = memory
    this.#events = events
    this.#pauses = pauses
    this.#isExpired = isExpired
    this.#log = log
  }

  die(error: MQError): void {
    this.#events.die(error)
  }

  failLane(lane: Lane, error: MQError): void {
    this.giveUpLane(lane, error, true)
  }

  /**
   * What is pending fails with `error`, but for what a log keeps: its callers are told, and it goes again; where
   * `isRefused`, the topic takes nothing of it, when somebody said so.
   */
  giveUpLane(lane: Lane, error: MQError, isRefused = false): void {
    lane.whenQuiet(() => {
      const { pendingBatches } = lane
      const kept = pendingBatches.filter((batch) => batch.isAccepted)
      for (const batch of kept) this.#log.tellLate(lane, batch, error)
      const hadNumbers = pendingBatches.some((batch) => batch.isStamped && !batch.isAccepted)
      lane.failUnkept((batch) => error.with({ persistence: persistenceOf(batch) }))
      if (hadNumbers) this.renewIdentity(lane)
      if (kept.length === 0 || !isRefused) return
      if (error.is('AUTHORIZATION_FAILED')) lane.backOff(REFUSED_PAUSE_MS)
      else this.#log.park(lane, error)
    })
  }

  renewIdentity(lane: Lane): void {
    lane.whenQuiet(() => this.#inHold(lane, null, () => this.#renew(lane, false)))
  }

  resolve(lane: Lane, batch: Batch, errorCode: number, refusal: MQError | null): void {
    this.#inHold(lane, batch, async () => {
      // A renewal that stood before us proved that it was not written, and took its numbers.
      if (!batch.isStamped) return refusal === null ? lane.putBack(batch) : this.#lost(lane, batch, refusal, false)
      const fate = await this.#resolver.fateOf(lane, batch, errorCode)
      if (isSettled(batch)) return
      this.#reportLoss(lane, fate)
      await this.#follow(lane, batch, fate, refusal)
    })
  }

  /** Before a doubtful batch goes again to a broker that would take it for new: is it in the log? */
  lookFor(lane: Lane, batch: Batch): void {
    this.#inHold(lane, batch, async () => {
      const fate = await this.#resolver.fateOf(lane, batch, 0)
      if (isSettled(batch)) return
      batch.isLookedFor = true
      lane.isRetrying = true
      // Where nobody tells, it goes again as it would without asking: a failure would help nobody.
      if (fate.kind === 'resend' || (fate.kind === 'ambiguous' && fate.isUntold === true)) return lane.putBack(batch)
      this.#reportLoss(lane, fate)
      await this.#follow(lane, batch, fate, null)
    })
  }

  isTimeExplained(topic: string): boolean {
    return this.#explainedTopics.has(topic)
  }

  verify(lane: Lane, batch: Batch, outcome: Outcome): void {
    this.#inHold(lane, batch, async () => {
      const { topic } = lane
      const isExplained =
        this.isTimeExplained(topic) || (await this.#resolver.isLogAppendTime(lane, outcome.baseOffset))
      if (isSettled(batch)) return
      if (isExplained === false) {
        const why = `a first attempt was taken for the batch at offset ${outcome.baseOffset}`
        return this.#foreign(lane, batch, why)
      }
      this.#explainedTopics.add(topic) // Also where nobody may look: asking again would not help.
      batch.isDoubtful = false
      lane.settle(batch, outcome)
    })
  }

  split(lane: Lane, batch: Batch): void {
    this.#inHold(lane, batch, async () => {
      // Without numbers of ours nobody could tell this batch from others in the log: it goes on, at least once.
      if (batch.isDoubtful && batch.isStamped) {
        const fate = await this.#resolver.fateOf(lane, batch, 0)
        if (isSettled(batch)) return
        if (fate.kind !== 'renew' && fate.kind !== 'resend') return this.#follow(lane, batch, fate, null)
      }
      // Half of it never takes all of its records, so that every split is a step forward.
      const maxBytes = Math.ceil(batch.plainBytes / 2)
      lane.maxBatchBytes = Math.min(lane.maxBatchBytes, Math.max(SMALLEST_LIMIT_BYTES, maxBytes))
      await this.#reseal(lane, batch, maxBytes, () => null)
      await this.#renew(lane, false)
    })
  }

  withoutRecords(lane: Lane, batch: Batch, bad: ReadonlyMap<number, string | null>, errorCode: number): void {
    this.#inHold(lane, batch, async () => {
      const { topic, partition } = lane
      const context = { topic, partition, persistence: 'not-persisted' } as const
      const errors = new Map(
        [...bad].map(([record, why]) => [record, brokerError(errorCode, 'PRODUCE_FAILED', why, context)]),
      )
      await this.#reseal(lane, batch, lane.maxBatchBytes, (record) => errors.get(record) ?? null)
      await this.#renew(lane, false)
    })
  }

  /** Replaces a batch by its records in new ones; waits for memory until its deadline, since they were accepted. */
  async #reseal(lane: Lane, batch: Batch, maxBytes: number, refusalOf: RefusalOf): Promise<void> {
    const plain = await plainRecordsOf(batch)
    while (!isSettled(batch)) {
      const parts = reseal(batch, plain, maxBytes, refusalOf, this.#memory)
      if (parts !== null) return lane.replace(batch, parts)
      if (this.#isExpired(batch) && !batch.isAccepted) return lane.settle(batch, failure(noMemory(lane, batch)))
      await this.#pauses.wait(MEMORY_RETRY_MS)
    }
  }

  async #follow(lane: Lane, batch: Batch, fate: Fate, refusal: MQError | null): Promise<void> {
    switch (fate.kind) {
      case 'written':
        return this.#written(lane, batch, fate.offset)
      case 'resend':
        if (refusal !== null) return this.#lost(lane, batch, refusal, false)
        batch.isResentAfterResolve = true
        lane.isRetrying = true
        return lane.putBack(batch)
      case 'renew':
        if (refusal !== null) return this.#lost(lane, batch, refusal, false)
        lane.putBack(batch)
        return this.#renew(lane, false)
      case 'newProducerId':
        this.#events.warn(this.#doubt(lane, batch, 'another writer raised the epoch of this producer id'))
        lane.putBack(batch)
        return this.#renew(lane, true)
      case 'ambiguous':
        if (batch.isAccepted && !(await this.#ruled(lane, batch, edgeOf(fate)))) return
        return this.#lost(lane, batch, refusal ?? this.#doubt(lane, batch, fate.why), true, fate.needsNewId)
      case 'foreign':
        return this.#foreign(lane, batch, fate.why)
    }
  }

  #written(lane: Lane, batch: Batch, offset: number): void {
    const { identity } = lane
    identity?.acknowledged(batch, offset, identity.lastAckedLeaderEpoch)
    // The broker may know nothing of us: then it takes any first sequence, and only one batch may go (3.2).
    lane.window.close()
    lane.isRetrying = false
    lane.settle(batch, { error: null, baseOffset: offset, logAppendTimeMs: -1 })
  }

  /** The batch fails; what stands behind it takes new numbers. */
  #lost(lane: Lane, batch: Batch, error: MQError, isDoubtful: boolean, needsNewId = false): Promise<void> {
    const persistence = isDoubtful ? 'possibly-persisted' : 'not-persisted'
    if (isDoubtful && lane.identity !== null) lane.identity.hasDoubtfulGap = true
    lane.settle(batch, failure(error.with({ persistence })))
    return this.#renew(lane, needsNewId)
  }

  /** The policy's word on a batch that the log keeps: true, it is dropped; false, it waits or goes again. */
  async #ruled(lane: Lane, batch: Batch, edge: EdgeCase): Promise<boolean> {
    const ruling = this.#log.rule(lane, batch, edge)
    if (ruling === 'dropped') return true
    if (ruling === 'resent') batch.isDoubtful = false
    lane.putBack(batch)
    if (ruling === 'resent') await this.#renew(lane, true)
    return false
  }

  #foreign(lane: Lane, batch: Batch, why: string): void {
    const { topic, partition } = lane
    const text = `producer id ${batch.producerId} is used by another process on ${topic}-${partition}: ${why}. Nothing more is sent: create a new producer`
    const error = new MQError('PRODUCE_FAILED', text, { reason: 'IDENTITY_REUSED', topic, partition }, { fatal: true })
    if (!batch.isAccepted) lane.settle(batch, failure(error.with({ persistence: 'possibly-persisted' })))
    this.#events.die(error)
  }

  /** New numbers for everything that is still pending; doubtful batches are settled first by what the broker has. */
  async #renew(lane: Lane, needsNewId: boolean): Promise<void> {
    const { identity } = lane
    if (identity === null) return
    for (const batch of lane.pendingBatches) {
      if (!batch.isStamped || !batch.isDoubtful) continue
      const fate = await this.#resolver.fateOf(lane, batch, 0)
      if (isSettled(batch)) continue
      if (fate.kind === 'renew') continue
      if (fate.kind === 'resend' && lane.head === batch) {
        // Next in line under its old numbers. The gap is behind it: whoever stands there meets 45 and comes here again.
        lane.isRetrying = true
        return
      }
      lane.withdraw(batch)
      if (fate.kind === 'written') this.#written(lane, batch, fate.offset)
      else if (fate.kind === 'foreign') return this.#foreign(lane, batch, fate.why)
      else if (batch.isAccepted) {
        const ruling = this.#log.rule(lane, batch, fate.kind === 'ambiguous' ? edgeOf(fate) : 'E1')
        if (ruling === 'dropped') this.#unknown(lane, batch)
        else lane.putBack(batch)
        if (ruling === 'held') return
        batch.isDoubtful = false
      } else this.#unknown(lane, batch)
      needsNewId ||= fate.kind === 'ambiguous' && fate.needsNewId === true
    }
    if (this.#pauses.isStopped) return // The producer is at its end.
    if (needsNewId || !identity.mayRaiseEpoch) {
      const producerId = await this.#identities.fetch()
      if (this.#log.keepsBatches) await this.#log.defineIdentity(producerId, 0)
      identity.replace(producerId)
    } else {
      if (this.#log.keepsBatches) await this.#log.defineIdentity(identity.producerId, identity.epoch + 1)
      identity.raiseEpoch()
    }
    for (const batch of lane.pendingBatches) if (batch.isStamped) batch.unstamp()
    lane.window.close()
    lane.isRetrying = false
  }

  #unknown(lane: Lane, batch: Batch): void {
    const why = 'a batch before it failed, and whether this one was written is not known'
    if (lane.identity !== null) lane.identity.hasDoubtfulGap = true
    lane.settle(batch, failure(this.#doubt(lane, batch, why).with({ persistence: 'possibly-persisted' })))
  }

  #doubt(lane: Lane, batch: Batch, why: string): MQError {
    const { topic, partition } = lane
    const context = { topic, partition, producerId: batch.producerId, baseSequence: batch.baseSequence }
    const text = `the fate of ${batch.records} record(s) for ${topic}-${partition} is not known: ${why}`
    return new MQError('PRODUCE_FAILED', text, context, { cause: batch.lastError ?? undefined, retryable: false })
  }

  #reportLoss(lane: Lane, fate: Fate): void {
    if (!('lostFrom' in fate) || fate.lostFrom === undefined || fate.lostTo === undefined) return
    this.#events.dataLoss({ topic: lane.topic, partition: lane.partition, from: fate.lostFrom, to: fate.lostTo })
  }

  /**
   * Nothing of the lane leaves until the task is over. A failure of the task itself is reported, and the batch it was
   * about is not left without an outcome.
   */
  #inHold(lane: Lane, batch: Batch | null, task: () => Promise<void>): void {
    if (batch !== null && isSettled(batch)) return // Its time was over while it waited for the lane to be quiet.
    lane.hold()
    runInBackground(
      `repair of ${lane.topic}-${lane.partition}`,
      async () => {
        try {
          await task()
        } finally {
          lane.resume()
          this.#log.renumbered(lane)
        }
      },
      (name, error) => {
        const known = toMQError(error, 'PRODUCE_FAILED', name)
        this.#events.warn(known)
        if (batch !== null && !isSettled(batch) && batch.isAccepted) {
          this.#log.rule(lane, batch, 'E1')
          lane.putBack(batch)
        } else if (batch !== null && !isSettled(batch)) {
          lane.withdraw(batch)
          lane.settle(batch, failure(known.with({ persistence: 'possibly-persisted' })))
        }
      },
    )
  }
}

/** The end of the producer settles batches that a task still has in its hands. */
function isSettled(batch: Batch): boolean {
  return batch.outcome !== null
}

/** Why nobody knows, as a case of wal.md 1.3. */
function edgeOf(fate: Extract<Fate, { kind: 'ambiguous' }>): EdgeCase {
  if (fate.needsNewId === true) return 'E11'
  if (fate.isUntold === true) return 'E12'
  return fate.lostFrom === undefined ? 'E1' : 'E5'
}

function noMemory({ topic, partition }: Lane, batch: Batch): MQError {
  const text = `${batch.records} record(s) for ${topic}-${partition} had to go on in smaller batches, and memory for these did not come in time`
  return new MQError('TIMEOUT', text, { reason: 'BUFFER_FULL', topic, partition, persistence: 'not-persisted' })
}
