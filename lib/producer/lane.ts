/**
 * The outbound double buffer of one topic-partition. Hot path: `append`.
 * Seal late, grow under pressure: the active buffer may leave from `batchBytes` on, but is sealed only when the
 * sender takes it; while the window is full it keeps filling, up to `maxBatchBytes`.
 * Invariant: batches settle in seal order, each record exactly once; what waits in the heap leaves in seal order.
 *
 *   append -> [active] -- due, window has room: sender seals --> take() -> wire -> settle (in seal order)
 *                 \------- full: sealed into the heap ---------/     ^ putBack(): old number, leaves first
 */
import { type ChannelOwner, type ChannelStats, DoubleBufferChannel, type Sequencer } from '../channel/index.js'
import type { MQError } from '../errors/index.js'
import { BATCH_HEADER_BYTES, type HeadersInput, type RecordBytes, varintBytes } from '../protocol/index.js'
import { type Clock, Deque, type TimerHandle } from '../util/index.js'
import { Batch, type Outcome, type SendCallback, type SettleToken } from './batch.js'
import type { BatchMemory } from './batch-memory.js'
import { circuitOpen } from './circuits.js'
import type { ProducerCounters } from './counters.js'
import type { CompressionHistory, CompressionPlan } from './finish-batch.js'
import type { LaneIdentity } from './identity.js'
import { InFlightWindow, REMEMBERED_BATCHES } from './in-flight-window.js'
import type { Observations } from './observations.js'
import type { RecordTime } from './record-clock.js'
import type { ProducerSettings } from './settings.js'

/** What a lane needs of its producer. */
export interface LaneHost {
  readonly settings: ProducerSettings
  readonly clock: Clock
  readonly memory: BatchMemory
  readonly sequencer: Sequencer
  readonly counters: ProducerCounters
  /** null: `metrics.enabled` is false. */
  readonly observations: Observations | null
  /** Lanes with records, to share memory fairly. */
  readonly busyLanes: number
  /** A lane got its first record, or settled its last. */
  began(): void
  ended(): void
  /** Something that hurts nobody but should be known: a switch strategy that throws. */
  warn(error: MQError): void
  /** A buffer was sealed: keyless records may go elsewhere now. */
  sealed(lane: Lane): void
  /** A batch got its outcome and left the lane. */
  settled(lane: Lane, batch: Batch, outcome: Outcome): void
  /** null: there is no write-ahead log (`wal.durability` 'memory'). */
  readonly log: LaneLog | null
}

/** The write-ahead log as a lane sees it (wal.md 3.2): between the seal and the wire. */
export interface LaneLog {
  /** Every batch goes into the log as soon as it is sealed; false: only what is spilled does. */
  readonly isEager: boolean
  /** Why no new record is taken; null: it is. */
  readonly refusal: MQError | null
  /** Records came, or a batch was sealed: there is something to log at the end of this turn. */
  touch(lane: Lane): void
  /** Log before wire (C1): the frame that holds this batch and its numbers is accepted, and its bytes are in memory. */
  isReleased(batch: Batch): boolean
  /** Acknowledgements of this lane that are not in the log yet (C4). */
  acksUnderWay(lane: Lane): number
  /** The next batches of this lane should be in memory when their turn comes. */
  readAhead(lane: Lane): void
  /** A batch got its outcome. */
  settled(lane: Lane, batch: Batch, outcome: Outcome): void
  /** A batch goes on as `parts`, but for those that are refused. */
  replaced(lane: Lane, batch: Batch, parts: readonly Batch[]): void
}

/** The sender a lane is at home with: that of the broker which leads its partition. */
export interface LaneHome {
  readonly brokerId: number
  /** Produce requests of ours that this broker has not answered. */
  readonly inFlightRequests: number
  /** The first record came into an empty lane: it may leave at the end of this turn. */
  touch(lane: Lane): void
  /** There is something that may leave as soon as window and socket allow. */
  enqueue(lane: Lane): void
  /** Gives up the socket to that broker; what is on it becomes unsure. */
  abort(reason: MQError): void
  /** Worth choosing for records that may go anywhere. */
  readonly isAvailable: boolean
  /** New records are refused: its circuit is open and `failFast` set. */
  readonly isRefusing: boolean
  /** Why there is no connection, when the last attempt or the last socket failed; null otherwise. */
  readonly lostConnection: MQError | null
}

/** Outcome of a batch whose records went into others: nothing of it is acknowledged or failed by itself. */
export const REPLACED: Outcome = { error: null, baseOffset: -1, logAppendTimeMs: -1 }

/** How much larger a batch must be for each request in flight, see `worthwhileBytes`. */
const GROWTH = 4

export const APPENDED = 0
export const MEMORY_FULL = 1
export type AppendResult = typeof APPENDED | typeof MEMORY_FULL

export class Lane implements ChannelOwner<Batch> {
  readonly topic: string
  readonly partition: number
  readonly window: InFlightWindow
  readonly #host: LaneHost
  readonly #channel: DoubleBufferChannel<Batch>
  readonly #unsettled = new Deque<Batch>()
  /** Of these, batches that have an outcome and wait for one in front of them. */
  #settledBehind = 0

  compression: CompressionPlan
  readonly compressionHistory: CompressionHistory = { skip: 0 }
  topicId: string
  leaderId = -1
  leaderEpoch = -1
  /** The sender of the partition's leader; null while no leader is known. */
  home: LaneHome | null = null
  identity: LaneIdentity | null = null
  /** Largest batch this lane builds; lowered when a broker finds one too large. Bytes. */
  maxBatchBytes: number
  #expectedBytes = BATCH_HEADER_BYTES

  // What the log keeps here.
  /** Sealed and not in the log yet, in seal order; null: nothing is logged as it is sealed. */
  readonly unlogged: Deque<Batch> | null
  /** Running numbers of acknowledgements that the log has not accepted yet. */
  readonly ackTickets: Deque<number> | null
  /** Number of its stream there; -1: it has none yet. */
  logStream = -1
  /** LSN of the last frame that gave numbers to one of its batches. */
  boundLsn = 0
  /** Some of its logged batches have no numbers yet. */
  hasUnbound = false
  /** A codec is at work on the next batch for the log. */
  isLogging = false
  isTouched = false
  /** Batches of an earlier life are not resolved yet (C8): nothing of this one leaves. */
  isAwaitingRecovery = false
  /** Nobody can decide about a batch: nothing leaves until somebody does (`wal.onAmbiguous`). */
  isParked = false

  // What the sender keeps here, so that it needs no lookup.
  isQueued = false
  isLingering = false
  /** Waits in its sender for size or for the end of linger. */
  isWatched = false
  queueKey = 0
  /** Number of its sender's request this lane went into last: never twice into one. */
  lastRequest = -1

  /** The active buffer leaves without waiting for size or linger. */
  #isUrgent = false
  /** A codec is at work on the next batch. */
  isFinishing = false
  /** Only the head goes out until it succeeded (P-22). */
  isRetrying = false
  /** Set: nothing leaves; runs as soon as nothing of this lane is in flight. */
  readonly #whenQuiet: (() => void)[] = []
  #isHeld = false
  #pauseMs = 0 // after the next repair
  #isBusy = false
  #backoff: TimerHandle | null = null
  #lastSentMs = 0
  /** Answers "unknown topic" in a row, and when they began (P-39). */
  unknownTopicAnswers = 0
  unknownTopicSinceMs = 0

  constructor(topic: string, topicId: string, partition: number, compression: CompressionPlan, host: LaneHost) {
    const { settings } = host
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
    this.compression = compression
    this.#host = host
    this.maxBatchBytes = settings.maxBatchBytes
    this.window = new InFlightWindow(settings.maxInFlight, settings.isIdempotent)
    const { clock, sequencer, log } = host
    this.unlogged = log?.isEager === true ? new Deque() : null
    this.ackTickets = log === null ? null : new Deque()
    // No spares: a settled batch may still be looked at by whoever sent it, so its object is never used again. The
    // memory behind it is what is worth keeping, and that comes from the arena pool.
    this.#channel = new DoubleBufferChannel<Batch>(this, settings.channel, {
      clock,
      sequencer,
      sealOn: 'demand',
      maxSpares: 0,
      switchSeconds: host.observations?.switchSeconds ?? null,
    })
  }

  createBuffer(): Batch {
    return new Batch()
  }

  clearBuffer(): void {}

  /** The strategy or the deadline says that the active buffer may leave. */
  onDue(): void {
    if (this.unlogged !== null) this.#host.log?.touch(this)
    else this.home?.enqueue(this)
  }

  onError(error: MQError): void {
    this.#host.warn(error)
  }

  /** Appends a record, or says that memory is full; nothing has changed then. */
  append(
    time: RecordTime,
    key: RecordBytes,
    keyLength: number,
    value: RecordBytes,
    valueLength: number,
    headers: HeadersInput | null,
    headerBytes: number,
    callback: SendCallback | null,
  ): AppendResult {
    let batch = this.#channel.active
    let bodyBytes = batch.bodyBytesOf(time, keyLength, valueLength, headerBytes)
    if (!batch.hasRoomFor(bodyBytes)) {
      if (!this.#makeRoom(bodyBytes)) return MEMORY_FULL
      batch = this.#channel.active
      bodyBytes = batch.bodyBytesOf(time, keyLength, valueLength, headerBytes)
    }
    if (callback !== null) batch.addWaiter(batch.records, time.ms, callback)
    batch.append(bodyBytes, time, key, keyLength, value, valueLength, headers)
    if (batch.records === 1) this.#began()
    this.#channel.wrote()
    return APPENDED
  }

  /** A larger arena, or the next buffer when this one is as large as it may be. False: memory is full. */
  #makeRoom(bodyBytes: number): boolean {
    // Only new records are refused, and only here: `refuseNew` has seen to it that each of them comes this way.
    if (this.home?.isRefusing === true && !this.#host.memory.usesReserve) throw circuitOpen(this.home.brokerId, this)
    const refusal = this.#host.log?.refusal ?? null
    if (refusal !== null && !this.#host.memory.usesReserve) throw refusal
    const batch = this.#channel.active
    const needed = bodyBytes + 5
    const used = Math.max(batch.bytes, BATCH_HEADER_BYTES)
    if (batch.records === 0) return this.#grow(batch, used + needed, this.#wishBytes())
    if (used + needed <= this.maxBatchBytes && this.#grow(batch, used + needed, 2 * batch.bytes)) return true
    // Full, or no memory to grow: this buffer leaves as it is, and the next one must find room for itself.
    this.sealFull()
    return this.#grow(this.#channel.active, BATCH_HEADER_BYTES + needed, this.#wishBytes())
  }

  #grow(batch: Batch, minBytes: number, wishBytes: number): boolean {
    const wish = Math.min(wishBytes, this.maxBatchBytes)
    if (!this.#host.memory.grow(batch, minBytes, wish)) return false
    batch.limitTo(Math.max(this.maxBatchBytes, minBytes))
    return true
  }

  /** About the size of the batch before, but never more than a fair share of the memory. */
  #wishBytes(): number {
    const share = this.#host.memory.budget.limitBytes / (8 * Math.max(1, this.#host.busyLanes))
    return Math.min(this.#expectedBytes, share)
  }

  #began(): void {
    this.#adoptSettings() // An adapted batch size begins with a new buffer.
    if (!this.#isBusy) {
      this.#isBusy = true
      this.#host.began()
    }
    if (this.unlogged !== null) this.#host.log?.touch(this)
    else this.home?.touch(this)
  }

  /** What is in the active buffer may leave now: linger is over, somebody waits, or memory is short. */
  leaveSoon(): void {
    if (this.#channel.active.records === 0 && !this.hasSealed) return
    this.#isUrgent = true
    if (this.unlogged !== null) this.#host.log?.touch(this)
    else this.home?.enqueue(this)
  }

  /** Somebody waits for what is in the active buffer. */
  get isUrgent(): boolean {
    return this.#isUrgent
  }

  /** How long the oldest record of the active buffer is there. Milliseconds. */
  get activeAgeMs(): number {
    return this.#host.clock.monotonicMs() - this.#channel.active.firstAtMs
  }

  /** Growing is over: what was due leaves as it is. */
  leaveIfDue(): void {
    if (this.#channel.isDue) this.leaveSoon()
  }

  get hasSealed(): boolean {
    return this.#channel.sealedBuffers > 0
  }

  /** Records and bytes in the active buffer. */
  get activeBytes(): number {
    return this.#channel.active.bytes
  }

  /** Bytes of the active buffer if it took this record too. */
  bytesWith(time: RecordTime, keyLength: number, valueLength: number, headerBytes: number): number {
    const batch = this.#channel.active
    const bodyBytes = batch.bodyBytesOf(time, keyLength, valueLength, headerBytes)
    return Math.max(batch.bytes, BATCH_HEADER_BYTES) + varintBytes(bodyBytes) + bodyBytes
  }

  get activeRecords(): number {
    return this.#channel.active.records
  }

  /** The double buffer as it stands. */
  stats(): ChannelStats {
    return this.#channel.stats()
  }

  /** Deadline checks that sealed nothing. */
  get skippedSwitches(): number {
    return this.#channel.skippedSwitches
  }

  /** Batches waiting or in flight, for the sticky partitioner. */
  get queuedBatches(): number {
    return this.#unsettled.size
  }

  /** Nothing accepted is left here. */
  get isIdle(): boolean {
    return this.#unsettled.size === 0 && this.#channel.active.records === 0
  }

  get isAvailable(): boolean {
    return this.home?.isAvailable === true
  }

  /** True when `take` would give a batch, apart from the socket. */
  canSend(): boolean {
    if (this.#isHeld || this.#whenQuiet.length > 0 || this.isFinishing || this.#backoff !== null) return false
    if (this.isRetrying ? this.window.inFlight > 0 : !this.window.hasRoom()) return false
    return this.#host.log === null ? this.hasSealed || this.#mayLeave() : this.#canSendLogged(this.#host.log)
  }

  /** Nothing has to be written into a log before this batch goes on the wire. */
  isReleased(batch: Batch): boolean {
    return this.#host.log === null || this.#host.log.isReleased(batch)
  }

  /** As `canSend`, behind a log: the next batch must be accepted there, and so must the acknowledgement five before it. */
  #canSendLogged(log: LaneLog): boolean {
    if (this.isAwaitingRecovery || this.isParked) return false
    const next = this.#channel.peek()
    if (next === undefined) return !log.isEager && this.#mayLeave()
    if (!log.isReleased(next) || (this.isLogging && !next.isFinished)) return false
    return next.lsn === 0 || this.window.inFlight + log.acksUnderWay(this) < REMEMBERED_BATCHES
  }

  #mayLeave(): boolean {
    const { active } = this.#channel
    if (active.records === 0) return false
    if (this.#isUrgent) return true
    return this.#channel.isDue && (active.bytes >= this.#worthwhileBytes() || this.lingerLeftMs() <= 0)
  }

  /** Until linger is over for the active buffer, counted from its first record. Milliseconds. */
  lingerLeftMs(): number {
    const { settings, clock } = this.#host
    return this.#channel.active.firstAtMs + settings.lingerMs - clock.monotonicMs()
  }

  /**
   * While its broker is busy a batch should be worth a request: k requests in flight there ask for
   * `batchBytes` * GROWTH^k. So a fast producer makes a few large batches instead of many small ones, and a slow one
   * notices nothing. Linger bounds what this costs: the sender lets a lane that waits here go after `lingerMs`.
   */
  #worthwhileBytes(): number {
    const requests = this.home?.inFlightRequests ?? 0
    return requests === 0 ? 0 : Math.min(this.maxBatchBytes / 2, this.#host.settings.batchBytes * GROWTH ** requests)
  }

  /** True when only its size keeps the active buffer here. */
  get isGrowing(): boolean {
    if (this.unlogged !== null || this.isAwaitingRecovery || this.isParked) return false
    if (this.#isHeld || this.#whenQuiet.length > 0 || this.isFinishing || this.#backoff !== null) return false
    return this.window.hasRoom() && !this.isRetrying && !this.hasSealed && this.#channel.isDue && !this.#mayLeave()
  }

  /** Order among the lanes of one sender: seal sequence of what would leave next. */
  nextKey(): number {
    const next = this.#channel.peek()
    // Not sealed yet: it takes its number when it is taken, so it stands behind everything sealed so far.
    return next === undefined ? this.#host.sequencer.next() : next.sequence
  }

  /** The next batch in seal order; seals the active buffer when nothing sealed waits. */
  take(): Batch | null {
    if (!this.hasSealed) this.#seal()
    const batch = this.#channel.take() ?? null
    this.#host.log?.readAhead(this)
    return batch
  }

  #seal(): void {
    const batch = this.#channel.seal()
    if (batch === null) return
    this.#isUrgent = false
    this.#host.counters.seals++
    this.#expectedBytes = batch.bytes
    this.#unsettled.pushBack(batch)
    this.unlogged?.pushBack(batch)
    this.#host.sealed(this)
  }

  /** Batches of an earlier life, in their order: they leave before everything of this one. */
  adoptRecovered(batches: readonly Batch[]): void {
    const all = [...this.#unsettled]
    this.#unsettled.clear()
    for (const batch of batches) {
      this.#unsettled.pushBack(batch)
      this.#channel.adopt(batch)
    }
    for (const batch of all) this.#unsettled.pushBack(batch)
    if (!this.#isBusy && batches.length > 0) {
      this.#isBusy = true
      this.#host.began()
    }
  }

  /** Without an outcome and not on the wire, in order. */
  *unsent(): Iterable<Batch> {
    for (const batch of this.#unsettled) if (batch.outcome === null && !batch.isInFlight) yield batch
  }

  /** Back under its old number: it leaves before everything sealed later. */
  putBack(batch: Batch): void {
    this.#channel.putBack(batch)
  }

  /** Bookkeeping of an attempt that begins. */
  sending(batch: Batch): void {
    this.window.take()
    batch.isInFlight = true
    batch.isLookedFor = false
    // The parts of a split batch were handed over once before, as one.
    if (batch.attempts++ === 0 && batch.sequenceSpan === 1) this.#handed(batch)
    this.#lastSentMs = batch.sentAtMs = this.#host.clock.monotonicMs()
  }

  #handed(batch: Batch): void {
    const { counters } = this.#host
    counters.handedRecords += batch.records
    counters.handedBytes += batch.plainBytes
  }

  /** Bookkeeping of an attempt that ended. */
  ended(batch: Batch): void {
    this.window.release()
    batch.isInFlight = false
  }

  /** The first batch without an outcome: lowest unacknowledged. */
  get head(): Batch | undefined {
    for (const batch of this.#unsettled) if (batch.outcome === null) return batch
    return undefined
  }

  /** Sealed batches without an outcome, in seal order. */
  get pendingBatches(): Batch[] {
    return [...this.#unsettled].filter((batch) => batch.outcome === null)
  }

  /** Gives a batch its outcome; callers are told in seal order, memory comes back at once. */
  settle(batch: Batch, outcome: Outcome): void {
    if (batch.outcome !== null) return
    batch.outcome = outcome
    this.#countBehind(batch)
    this.#host.memory.release(batch)
    this.#host.log?.settled(this, batch, outcome)
    this.#deliverHead()
  }

  #deliverHead(): void {
    for (let head = this.#unsettled.peekFront(); head !== undefined; head = this.#unsettled.peekFront()) {
      if (head.outcome === null) break
      this.#unsettled.popFront()
      this.#deliver(head, head.outcome)
    }
    if (this.#settledBehind > 0 && this.#unsettled.peekFront()?.isTold === true) this.#deliverBehindTold()
  }

  /** Nobody waits for what the log keeps after its time: those behind it are told without it. */
  #deliverBehindTold(): void {
    const all = [...this.#unsettled]
    this.#unsettled.clear()
    const settled: Batch[] = []
    let isTold = true
    for (const batch of all) {
      if (batch.outcome === null) isTold &&= batch.isTold
      if (isTold && batch.outcome !== null) settled.push(batch)
      else this.#unsettled.pushBack(batch)
    }
    for (const batch of settled) this.#deliver(batch, batch.outcome as Outcome)
  }

  #countBehind(batch: Batch): void {
    if (this.#unsettled.peekFront() === batch) return
    batch.isBehind = true
    this.#settledBehind++
  }

  #deliver(batch: Batch, outcome: Outcome): void {
    if (batch.isBehind) this.#settledBehind--
    this.#host.settled(this, batch, outcome)
    this.#channel.recycle(batch)
    if (this.isIdle && this.#isBusy) {
      this.#isBusy = false
      this.#host.ended()
    }
  }

  /**
   * Puts its parts in the place of `batch`, which a broker found too large or partly invalid. Its records went over to
   * them, or nowhere; its callers too, but for those that stand in front of every part.
   */
  replace(batch: Batch, all: readonly Batch[]): void {
    const parts = all.filter((part) => !part.isRefused)
    this.#putInPlaceOf(batch, parts)
    for (const part of parts) this.#channel.adopt(part)
    batch.outcome = REPLACED
    this.#countBehind(batch)
    this.#host.log?.replaced(this, batch, all)
    this.#host.memory.release(batch)
    this.#deliverHead()
  }

  #putInPlaceOf(batch: Batch, parts: readonly Batch[]): void {
    const all = [...this.#unsettled]
    this.#unsettled.clear()
    for (const one of all) {
      this.#unsettled.pushBack(one)
      if (one === batch) for (const part of parts) this.#unsettled.pushBack(part)
    }
  }

  /** Takes one sealed batch out of the heap, wherever it stands. */
  withdraw(batch: Batch): void {
    const others: Batch[] = []
    for (let next = this.#channel.take(); next !== undefined && next !== batch; next = this.#channel.take()) {
      others.push(next)
    }
    for (const other of others) this.#channel.putBack(other)
  }

  /** Takes every sealed batch that is not in flight out of the heap (to fail or drop them); order is seal order. */
  takeAllSealed(): Batch[] {
    const batches: Batch[] = []
    for (let batch = this.#channel.take(); batch !== undefined; batch = this.#channel.take()) batches.push(batch)
    return batches
  }

  /** Seals what is active, so that it can be taken, failed or counted. */
  sealActive(): void {
    this.#seal()
  }

  /** As `sealActive`, for a buffer that is full by other measures than its own: it leaves at once. */
  sealFull(): void {
    this.#seal()
    if (this.unlogged !== null) this.#host.log?.touch(this)
    else this.home?.enqueue(this)
  }

  /**
   * Its home refuses new records from now on. The active buffer leaves its place, so that the next record finds no room
   * and asks: no other record pays for the question.
   */
  refuseNew(): void {
    this.#seal()
  }

  /** The producer's settings changed. Sealed batches stay as they are. */
  settingsChanged(): void {
    const { settings } = this.#host
    this.window.resize(settings.maxInFlight)
    this.#adoptSettings()
    this.#offer()
  }

  #adoptSettings(): void {
    const { channel } = this.#host.settings
    if (this.#channel.settings !== channel) this.#channel.useSettings(channel)
  }

  /** Registers a token with everything accepted so far. */
  addToken(token: SettleToken): void {
    for (const batch of this.#unsettled) batch.addToken(token)
    if (this.#channel.active.records > 0) this.#channel.active.addToken(token)
  }

  /** Nothing leaves from now on; `task` runs when nothing is in flight and nobody holds the lane, perhaps at once. */
  whenQuiet(task: () => void): void {
    this.#whenQuiet.push(task)
    this.runIfQuiet()
  }

  /** One task at a time: it may hold the lane, and then the next one waits for `resume`. */
  runIfQuiet(): void {
    if (this.#whenQuiet.length === 0) return
    while (this.#whenQuiet.length > 0 && this.window.inFlight === 0 && !this.isFinishing && !this.#isHeld) {
      const [task] = this.#whenQuiet.splice(0, 1)
      task?.()
    }
    // Nothing could leave while they waited, and a task that had nothing to do wakes nobody.
    this.#offer()
  }

  /** Holds the lane while its state at the broker is being found out. */
  hold(): void {
    this.#isHeld = true
  }

  resume(): void {
    this.#isHeld = false
    this.runIfQuiet()
    const pauseMs = this.#pauseMs
    this.#pauseMs = 0
    if (pauseMs > 0) this.backOff(pauseMs)
    else this.wake()
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /** What the repair that is about to begin finds out leaves so much later. */
  pauseAfterRepair(ms: number): void {
    this.#pauseMs = ms
  }

  /** Nothing leaves for `ms`; a new leader ends it early through `wake`. */
  backOff(ms: number): void {
    this.#backoff?.cancel()
    this.#backoff = this.#host.clock.setTimer(() => this.wake(), ms)
  }

  /** Ends a back-off and offers the lane to its sender. */
  wake(): void {
    this.#backoff?.cancel()
    this.#backoff = null
    this.#offer()
  }

  #offer(): void {
    if (this.canSend() || this.isGrowing) this.home?.enqueue(this)
  }

  /** Another broker leads the partition now; nothing of the lane is in flight. */
  moveTo(home: LaneHome | null): void {
    this.home = home
    this.isQueued = false
    this.isLingering = false
    this.isWatched = false
    this.lastRequest = -1 // Every sender counts its own requests.
    if (home?.isRefusing === true) this.refuseNew()
    if (this.#channel.active.records > 0 && this.unlogged === null) home?.touch(this)
  }

  /** A silence longer than `ms` may have cost the broker its memory of our producer id: one batch at a time again. */
  closeGateAfterSilence(ms: number): void {
    if (this.#lastSentMs > 0 && this.#host.clock.monotonicMs() - this.#lastSentMs > ms) this.window.close()
  }

  isActiveOlderThan(ms: number): boolean {
    const { active } = this.#channel
    return active.records > 0 && this.#host.clock.monotonicMs() - active.firstAtMs >= ms
  }

  /** When the first record came of the oldest batch that never touched a socket; Infinity: there is none to be had. */
  get oldestUnsentMs(): number {
    if (this.isFinishing || this.#isHeld) return Number.POSITIVE_INFINITY
    const { active } = this.#channel
    return this.#oldestUnsent()?.firstAtMs ?? (active.records > 0 ? active.firstAtMs : Number.POSITIVE_INFINITY)
  }

  /** Takes that batch out; the active buffer is sealed for it when nothing older waits. */
  takeOldestUnsent(): Batch | undefined {
    if (this.#oldestUnsent() === undefined) this.#seal()
    const batch = this.#oldestUnsent()
    if (batch !== undefined) this.withdraw(batch)
    return batch
  }

  #oldestUnsent(): Batch | undefined {
    for (const batch of this.#unsettled)
      if (batch.outcome === null && batch.attempts === 0 && !batch.isStamped && !batch.isInLog) return batch
    return undefined
  }

  /** Ends timers; the lane is not used any more. */
  dispose(): void {
    this.#backoff?.cancel()
    this.#backoff = null
    void this.#channel.close({ drain: false })
  }

  /** As `failAll`, but for what a log keeps. */
  failUnkept(errorOf: (batch: Batch) => MQError): void {
    this.sealActive()
    const kept = this.takeAllSealed().filter((batch) => batch.isAccepted)
    for (const batch of kept) this.putBack(batch)
    for (const batch of this.pendingBatches) {
      if (!batch.isInFlight && !batch.isAccepted) {
        this.settle(batch, { error: errorOf(batch), baseOffset: -1, logAppendTimeMs: -1 })
      }
    }
  }

  /** Outcome of everything pending here, in order. */
  failAll(errorOf: (batch: Batch) => MQError): void {
    this.sealActive()
    this.takeAllSealed()
    for (const batch of this.pendingBatches) {
      if (!batch.isInFlight) this.settle(batch, { error: errorOf(batch), baseOffset: -1, logAppendTimeMs: -1 })
    }
  }
}
