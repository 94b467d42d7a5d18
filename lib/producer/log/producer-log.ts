/**
 * The write-ahead log between lanes and senders: what is sealed is compressed, numbered and logged before it may touch a
 * socket, and what became of it is logged too. Hot path, once per batch.
 * Why in front of the wire and not beside it: after kill -9 the same bytes go again under the same numbers, and the
 * broker knows them (wal.md 1.2). So acceptance never waits for a broker, and nothing reaches one unrecorded.
 * Invariants: C1, a batch leaves only when the frame that holds it and its numbers is accepted; C4, at most five of a
 * lane are on the wire or acknowledged without that being in the log; frames of a lane stand in its seal order.
 * Source: wal.md 1.2, 3.2.
 *
 *   lane.seal -> [unlogged] -> finish, stamp -> wal.append -> accepted -> lane offers it to its sender
 *                                  settled -> wal.settle -> accepted -> the fifth batch behind it may leave
 */
import { findMQError, type MQError, toMQError } from '../../errors/index.js'
import { type Deferred, Deque, deferred } from '../../util/index.js'
import { Outcome as LogOutcome, type Wal } from '../../wal/index.js'
import type { Batch, Outcome } from '../batch.js'
import type { LaneIdentity } from '../identity.js'
import { REMEMBERED_BATCHES } from '../in-flight-window.js'
import { type Lane, type LaneLog, REPLACED } from '../lane.js'
import { FrameWriter } from './frame-writer.js'
import { type IntakeTarget, LogIntake } from './intake.js'
import type { LogHost } from './log-host.js'
import { Paging } from './paging.js'
import { RoomWait } from './room-wait.js'

/** Prefix and header of a frame, and its padding. */
const FRAME_OVERHEAD = 96

/** One batch on its way into the log. */
interface Appended {
  readonly lane: Lane
  readonly batch: Batch
}

export interface LogPolicy {
  /** `durability` is 'os', 'periodic' or 'immediate': everything is logged. */
  readonly isEager: boolean
  /** Longest wait of a lane with a backlog for a larger batch. Milliseconds. */
  readonly acceptLingerMs: number
  /** The log is broken: go on without it (`onWalFailure: 'bypass'`). */
  readonly mayBypass: boolean
}

export class ProducerLog implements LaneLog, IntakeTarget {
  readonly isEager: boolean
  readonly #host: LogHost
  readonly #policy: LogPolicy
  readonly #intake: LogIntake
  readonly #room: RoomWait
  #wal: Wal | null = null
  #frames: FrameWriter | null = null
  #paging: Paging | null = null
  #isReliefDue = false
  /** In the log's hands and not accepted, in LSN order. */
  readonly #appended = new Deque<Appended>()
  /** Lanes that wait for a BIND or an ACK frame. */
  readonly #gated = new Set<Lane>()
  #failure: MQError | null = null
  /** Somebody waits until everything is in the log. */
  #drained: Deferred<void> | null = null
  /** The producer ends: what is not delivered stays in the log. */
  #isLeaving = false
  #isClosed = false

  constructor(host: LogHost, policy: LogPolicy) {
    this.#host = host
    this.#policy = policy
    this.isEager = policy.isEager
    this.#intake = new LogIntake(host, this, policy.isEager)
    this.#room = new RoomWait(host.clock)
  }

  get acceptLingerMs(): number {
    return this.#policy.acceptLingerMs
  }

  get isCommitting(): boolean {
    return this.#appended.size > 0
  }

  /** The log is open: what waited for that goes in. */
  opened(wal: Wal): void {
    this.#wal = wal
    this.#frames = new FrameWriter(wal)
    this.#paging = new Paging(this.#host, wal)
    wal.onAccepted = () => this.#accepted()
    wal.onRoom = () => this.#roomCame()
    this.#intake.open()
  }

  get paging(): Paging | null {
    return this.#paging
  }

  get refusal(): MQError | null {
    return this.#policy.mayBypass ? null : this.#failure
  }

  /** The log took its last frame: what is in memory is delivered without it. */
  failed(error: MQError): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#appended.clear()
    for (const lane of this.#host.lanes) {
      lane.refuseNew() // The next record asks, and is refused or goes on without the log.
      lane.unlogged?.clear()
      lane.home?.enqueue(lane)
    }
    this.#room.end()
  }

  get isFailed(): boolean {
    return this.#failure !== null
  }

  /** Seconds in which some batch waited for room in the log. */
  get blockedSeconds(): number {
    return this.#room.seconds
  }

  get isBlocked(): boolean {
    return this.#room.isWaiting
  }

  // --- from the lane into the log ----------------------------------------------------------------------------------

  touch(lane: Lane): void {
    this.#intake.touch(lane)
  }

  /** False: the log has no room, or will never take it. */
  append(lane: Lane, batch: Batch): boolean {
    const wal = this.#wal as Wal
    if (!wal.admits(batch.wireBytes + FRAME_OVERHEAD)) {
      this.#room.add(lane)
      return false
    }
    // What is spilled gets its numbers when its turn comes.
    const isFree = !batch.isStamped && this.isEager && !lane.hasUnbound
    const identity = isFree ? this.#host.identityOf(lane) : null
    const before = identity?.nextSequence ?? 0
    identity?.stamp(batch)
    if (!batch.isStamped) lane.hasUnbound = true
    try {
      this.#write(lane, batch)
      return true
    } catch (error) {
      this.#unstamp(batch, identity, before)
      this.#refused(lane, batch, error)
      return false
    }
  }

  /**
   * All parts of a split and the numbers of what stands behind them go in within one turn, and so in one write: the log
   * never shows a part without its siblings, nor a bound entry behind an unbound one. None leaves before all are accepted.
   */
  appendFamily(lane: Lane, family: readonly Batch[]): boolean {
    const identity = this.#host.identityOf(lane)
    if (identity === null) return false // `bindPending` comes again when there are numbers.
    const bytes = family.reduce((sum, part) => sum + part.wireBytes + FRAME_OVERHEAD, 0)
    if (!(this.#wal as Wal).admits(bytes)) {
      this.#room.add(lane)
      return false
    }
    const before = identity.nextSequence
    let gateLsn = 0
    try {
      for (const part of family) {
        if (!part.isRefused) identity.stamp(part)
        ;(this.#frames as FrameWriter).write(lane, part)
        gateLsn = part.lsn
      }
    } catch (error) {
      for (const part of family) this.#unwrite(part, family)
      identity.nextSequence = before
      this.#refused(lane, family[0] as Batch, error)
      return false
    }
    for (const part of family) {
      part.gateLsn = gateLsn
      part.family = null
      if (!part.isRefused) this.#appended.pushBack({ lane, batch: part })
    }
    this.#refuse(family)
    this.#bindFrom(lane)
    return true
  }

  /** Frames of some parts only are void: they will be written again. */
  #unwrite(part: Batch, family: readonly Batch[]): void {
    part.unstamp()
    part.lsn = 0
    part.family = family
  }

  #refused(lane: Lane, batch: Batch, error: unknown): void {
    const known = findMQError(error)
    if (known?.context.reason === 'WAL_FULL') this.#room.add(lane)
    else if (known?.context.reason === 'WAL_FRAME_TOO_LARGE') {
      this.#host.unsendable(lane, batch, known)
      this.touch(lane)
    } else this.#broke(error)
  }

  /** The log failed, or has a defect: either way it takes nothing any more. */
  #broke(error: unknown): void {
    const known = toMQError(error, 'PRODUCE_FAILED', 'the write-ahead log broke', { reason: 'WAL_FAILED' })
    if (this.#failure === null) this.#host.warn(known)
    this.failed(known)
  }

  /** Numbers that no frame holds are numbers that nobody saw. */
  #unstamp(batch: Batch, identity: LaneIdentity | null, nextSequence: number): void {
    if (identity === null) return
    batch.unstamp()
    identity.nextSequence = nextSequence
  }

  #write(lane: Lane, batch: Batch): void {
    ;(this.#frames as FrameWriter).write(lane, batch)
    this.#appended.pushBack({ lane, batch })
  }

  #roomCame(): void {
    for (const lane of this.#room.end()) this.touch(lane)
    if (!this.isEager && this.#host.memory.budget.isSoft) this.spill()
  }

  looked(): void {
    this.#checkDrained()
  }

  // --- accepted ----------------------------------------------------------------------------------------------------

  #accepted(): void {
    const { acceptedLsn } = this.#wal as Wal
    for (let first = this.#appended.peekFront(); first !== undefined; first = this.#appended.peekFront()) {
      const { lane, batch } = first
      if (batch.lsn > acceptedLsn) break
      this.#appended.popFront()
      if (batch.outcome !== null) continue
      batch.tellAccepted(lane.topic, lane.partition)
      this.#paging?.accepted(lane, batch)
      lane.home?.enqueue(lane)
    }
    for (const lane of this.#gated) {
      if (this.acksUnderWay(lane) === 0 && lane.boundLsn <= acceptedLsn) this.#gated.delete(lane)
      lane.home?.enqueue(lane)
    }
    this.#intake.committed()
    this.relieve()
    this.#paging?.feedStarving()
    this.#checkDrained()
  }

  isReleased(batch: Batch): boolean {
    if (batch.isPagedOut || batch.isLoading) return false
    if (this.#failure !== null) return true
    if (batch.lsn === 0) return !this.isEager
    return batch.gateLsn <= (this.#wal as Wal).acceptedLsn
  }

  acksUnderWay({ ackTickets }: Lane): number {
    if (ackTickets === null || this.#wal === null) return 0
    const { acceptedSettlements } = this.#wal
    while ((ackTickets.peekFront() ?? Number.POSITIVE_INFINITY) <= acceptedSettlements) ackTickets.popFront()
    return this.#failure === null ? ackTickets.size : 0
  }

  readAhead(lane: Lane): void {
    this.#paging?.readAhead(lane)
  }

  /** As `relieve`, in a turn of its own: memory becomes short inside an append, which holds the active buffer. */
  relieveSoon(): void {
    if (this.#isReliefDue || this.#isClosed) return
    this.#isReliefDue = true
    this.#host.clock.defer(() => {
      this.#isReliefDue = false
      if (!this.#isClosed) this.relieve()
    })
  }

  /** Memory is short: what the log has need not be in memory too. */
  relieve(): void {
    if (this.#paging === null || !this.#host.memory.budget.isSoft) return
    this.#paging.relieve()
    if (!this.isEager && this.#host.memory.budget.isSoft) this.spill()
    this.#paging.feedStarving()
  }

  // --- identities --------------------------------------------------------------------------------------------------

  /** Numbers for everything of this lane that is logged without any, in order; they go when the log has that too. */
  bindPending(lane: Lane): void {
    if (!this.isEager || this.#failure !== null || this.#wal === null) return
    // Parts of a split stand in front of everything else, and take their numbers first.
    if (lane.unlogged?.peekFront()?.family != null) {
      lane.hasUnbound = true
      this.touch(lane)
    } else this.#bindFrom(lane)
  }

  #bindFrom(lane: Lane): void {
    for (const batch of lane.unsent()) {
      if (batch.lsn === 0 || batch.isStamped) continue
      const identity = this.#host.identityOf(lane)
      if (identity === null) {
        lane.hasUnbound = true
        return
      }
      identity.stamp(batch)
      this.bound(lane, batch)
    }
    lane.hasUnbound = false
  }

  /** A logged batch got numbers: it may go when the log has them. */
  bound(lane: Lane, batch: Batch): void {
    if (this.#failure !== null) return
    const { lsn, producerId, producerEpoch, baseSequence } = batch
    try {
      batch.gateLsn = (this.#wal as Wal).bind(lsn, producerId, producerEpoch, baseSequence)
      lane.boundLsn = batch.gateLsn
    } catch (error) {
      this.#broke(error)
    }
    this.#gated.add(lane)
  }

  /** An identity is used only when the log knows it, on the disk. */
  async defineIdentity(producerId: bigint, epoch: number, clusterId: string): Promise<void> {
    if (this.#failure !== null) return
    try {
      await this.#wal?.defineIdentity(producerId, epoch, clusterId)
    } catch (error) {
      if (!this.#isClosed) this.#broke(error) // What is in memory is delivered all the same.
    }
  }

  // --- settled -----------------------------------------------------------------------------------------------------

  settled(lane: Lane, batch: Batch, outcome: Outcome): void {
    batch.family = null
    this.#note(lane, batch, outcome)
    this.#paging?.settled(batch)
  }

  #note(lane: Lane, batch: Batch, outcome: Outcome): void {
    const { stream, firstPosition, records } = batch
    if (!batch.isInLog || this.#failure !== null || outcome === REPLACED) return
    const { error, baseOffset } = outcome
    if (error !== null && this.#isLeaving) return // It stays in the log, for the next life.
    const last = firstPosition + records - 1
    const wal = this.#wal as Wal
    let ticket = 0
    try {
      ticket = wal.settle(stream, firstPosition, last, logOutcome(outcome), baseOffset)
    } catch (refusal) {
      return this.#broke(refusal)
    }
    if (error !== null) return
    lane.ackTickets?.pushBack(ticket)
    this.#gated.add(lane)
    // The sender waits for it: not for company (C4).
    if (lane.hasSealed && lane.window.inFlight + this.acksUnderWay(lane) >= REMEMBERED_BATCHES) wal.flush()
  }

  /**
   * Parts are frames of their own under new numbers; all present, they stand for the original (wal.md 2.6). What a broker
   * refused of it lies between them, and is settled.
   */
  replaced(lane: Lane, batch: Batch, parts: readonly Batch[]): void {
    const live = parts.filter(({ isRefused }) => !isRefused)
    this.#host.replaced(batch, live.length)
    this.#paging?.replaced(batch, live)
    if (!batch.isInLog || this.#failure !== null) return
    for (const [index, part] of parts.entries()) {
      part.part = index
      part.parts = parts.length
      part.originLsn = batch.lsn > 0 ? batch.lsn : batch.originLsn
      part.stream = batch.stream
      part.isAccepted = batch.isAccepted
    }
    // What is spilled stands in the log as a whole until its parts are settled one by one.
    if (lane.unlogged === null) return this.#refuse(parts)
    for (const part of [...parts].reverse()) {
      part.family = parts
      lane.unlogged.pushFront(part)
    }
    this.touch(lane)
  }

  /** What a broker refused has its outcome, and its memory is free. */
  #refuse(parts: readonly Batch[]): void {
    for (const part of parts) {
      if (!part.isRefused) continue
      const { stream, firstPosition, records } = part
      this.#host.memory.release(part)
      try {
        ;(this.#wal as Wal).settle(stream, firstPosition, firstPosition + records - 1, LogOutcome.rejected, -1)
      } catch (error) {
        return this.#broke(error)
      }
    }
  }

  // --- spilling ----------------------------------------------------------------------------------------------------

  /** `durability: 'spill'`, and memory is short: what will be sent last goes into the log, and its memory is free. */
  spill(): void {
    if (this.isEager || this.#wal === null || this.#failure !== null) return
    for (const lane of this.#host.lanes) {
      if (lane.activeBytes >= this.#host.settings.batchBytes) lane.sealActive()
      let place = 0
      for (const batch of lane.unsent()) {
        if (place++ === 0 || batch.isInLog || batch.isStamped || batch.attempts > 0) continue
        if (lane.isFinishing || !this.#finishSpilled(lane, batch)) break
        if (!this.append(lane, batch)) return
      }
    }
  }

  #finishSpilled(lane: Lane, batch: Batch): boolean {
    if (batch.isFinished) return true
    lane.isFinishing = true
    const isDone = this.#intake.finish(lane, batch)
    if (isDone || !lane.isLogging) lane.isFinishing = false
    return isDone
  }

  spilled(lane: Lane): void {
    lane.isFinishing = false
    lane.runIfQuiet()
    lane.home?.enqueue(lane)
    this.relieve()
  }

  // --- end ---------------------------------------------------------------------------------------------------------

  /** Everything that callers gave so far into the log, sealed or not; at most `timeoutMs`: the disk may hang. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#wal === null || !this.isEager) return
    this.#drained ??= deferred()
    for (const lane of this.#host.lanes) {
      lane.sealActive()
      this.touch(lane)
    }
    this.#wal.flush()
    const timer = this.#host.clock.setTimer(() => this.#drained?.resolve(), timeoutMs)
    this.#checkDrained()
    await this.#drained.promise
    timer.cancel()
  }

  #checkDrained(): void {
    if (this.#drained === null) return
    if (this.#failure === null && this.#appended.size > 0) return
    const isLogged = ({ isLogging, unlogged, activeRecords }: Lane) =>
      !isLogging && (unlogged?.size ?? 0) === 0 && activeRecords === 0
    if (this.#failure !== null || this.#host.lanes.every(isLogged)) this.#drained.resolve()
  }

  /** From now on what fails stays in the log. */
  leave(): void {
    this.#isLeaving = true
  }

  close(): void {
    this.#isClosed = true
    this.#intake.close()
    this.#paging?.close()
  }
}

function logOutcome({ error }: Outcome) {
  if (error === null) return LogOutcome.delivered
  if (error.context.reason === 'WAL_CORRUPT') return LogOutcome.lost
  return error.context.reason === 'DROPPED' ? LogOutcome.dropped : LogOutcome.rejected
}
