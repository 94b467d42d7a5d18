/**
 * The double buffer: writers fill `active`, a seal numbers it and puts a spare in its place. Hot path.
 * It knows neither bytes nor Kafka; its owner makes the buffers and says what a record in them is.
 * Invariants: an empty buffer is never sealed; seal numbers rise and are given synchronously in `seal()`, so the heap
 * hands out buffers in the order in which they were filled; at most one deadline timer, none while active is empty;
 * no promise, closure, timer or object per write. CH-1, CH-2, CH-4..CH-9, CH-20.
 *
 *   wrote()                  seal()                    take()
 *   [ active ] --- due ---> [ 7 ][ 8 ][ 9 ] heap ---> owner ---> recycle() ---> [ spare ]
 *        ^                          ^------- putBack() -----'                        |
 *        '---------------------------------------------------------------------------'
 */
import { MQError } from '../errors/index.js'
import { assert, type Buckets, type Clock, systemClock, type TimerHandle } from '../util/index.js'
import {
  type ChannelBuffer,
  type ChannelOwner,
  type ChannelState,
  type ChannelStats,
  type CloseOptions,
  type CloseResult,
  CountingSequencer,
  type DoubleBufferOptions,
  type Sequencer,
} from './channel-types.js'
import { Closing } from './closing.js'
import { checkCoreOptions } from './options.js'
import { SealedHeap } from './sealed-heap.js'
import { type ChannelSettings, type ChannelUpdate, channelSettings } from './settings.js'
import { NEVER } from './switch-plan.js'

const DEFAULT_CLOSE_MS = 30_000

export class DoubleBufferChannel<B extends ChannelBuffer> {
  /** The buffer that takes writes now. Read it afresh for each write: any call may have sealed it. */
  active: B
  /** A write that reaches one of these asks whether the buffer is due. */
  #lookRecords = 1
  #lookBytes = NEVER
  #settings: ChannelSettings
  readonly #owner: ChannelOwner<B>
  readonly #clock: Clock
  readonly #sequencer: Sequencer
  readonly #sealsItself: boolean
  readonly #maxSpares: number
  readonly #switchSeconds: Buckets | null
  readonly #heap = new SealedHeap<B>()
  #spares: B[] | null = null // made with the first spent buffer: an idle lane costs little
  /** The active buffer has no first record that we saw: its window has not begun. */
  #isFresh = true
  #isDue = false
  #timer: TimerHandle | null = null
  #timerDueMs = 0 // monotonic
  #onTimer: (() => void) | null = null
  #sequence = 0
  #switches = 0
  #skippedSwitches = 0
  #sealedRecords = 0
  #sealedBytes = 0
  #takenBuffers = 0
  #takenRecords = 0
  #configVersion = 1
  #isConfigEventDue = false
  #state: ChannelState = 'open'
  #closing: Closing | null = null

  /** `settings` come from `channelSettings`; channels with equal tuning share one object. */
  constructor(owner: ChannelOwner<B>, settings: ChannelSettings, options: DoubleBufferOptions = {}) {
    checkCoreOptions(options)
    this.#owner = owner
    this.#settings = settings
    this.#clock = options.clock ?? systemClock
    this.#sequencer = options.sequencer ?? new CountingSequencer()
    this.#sealsItself = options.sealOn !== 'demand'
    this.#maxSpares = options.maxSpares ?? 2
    this.#switchSeconds = options.switchSeconds ?? null
    this.active = owner.createBuffer()
  }

  get settings(): ChannelSettings {
    return this.#settings
  }

  get configVersion(): number {
    return this.#configVersion
  }

  get state(): ChannelState {
    return this.#state
  }

  /** True from the moment the active buffer became due until it is sealed (`sealOn: 'demand'`). */
  get isDue(): boolean {
    return this.#isDue
  }

  get sealedBuffers(): number {
    return this.#heap.size
  }

  /** Seals so far. */
  get switches(): number {
    return this.#switches
  }

  /** Deadline checks that sealed nothing. */
  get skippedSwitches(): number {
    return this.#skippedSwitches
  }

  /** Records in active, sealed and taken buffers, for an owner that recycles what it takes. */
  get pendingRecords(): number {
    return this.active.records + this.#sealedRecords + this.#takenRecords
  }

  /** Call after each write into `active`. A few comparisons unless the buffer may be due. */
  wrote(): void {
    const buffer = this.active
    if (buffer.records >= this.#lookRecords || buffer.bytes >= this.#lookBytes) this.#look(buffer)
  }

  /**
   * Numbers the active buffer, lays it into the heap and puts a spare in its place; null when there is nothing to seal.
   * Constant time at any fill. The buffer that is returned waits in the heap: only `take()` makes it yours.
   */
  seal(): B | null {
    const sealed = this.active
    if (sealed.records === 0) return null
    const decidedMs = this.#switchSeconds === null ? 0 : this.#clock.monotonicMs()
    // First, because it may throw; until then nothing has changed.
    const next = this.#spares?.pop() ?? this.#owner.createBuffer()
    const sequence = this.#sequencer.next()
    assert(sequence > this.#sequence, 'seal numbers rise')
    if (this.#isFresh) sealed.firstAtMs = this.#clock.monotonicMs()
    sealed.sequence = sequence
    this.#sequence = sequence
    this.#switches++
    this.active = next
    this.#switchSeconds?.observe((this.#clock.monotonicMs() - decidedMs) / 1000)
    this.#beginGeneration()
    this.#shelve(sealed)
    return sealed
  }

  /** The sealed buffer with the lowest number, yours until `putBack` or `recycle`. */
  take(): B | undefined {
    const buffer = this.#heap.pop()
    if (buffer === undefined) return undefined
    this.#sealedRecords -= buffer.records
    this.#sealedBytes -= buffer.bytes
    this.#takenBuffers++
    this.#takenRecords += buffer.records
    return buffer
  }

  /** The buffer that `take` would give, left where it is. */
  peek(): B | undefined {
    return this.#heap.peek()
  }

  /** A taken buffer comes back under its old number and leaves first again. */
  putBack(buffer: B): void {
    assert(buffer.sequence >= 0, 'only a sealed buffer can be put back')
    this.#untake(buffer)
    this.#shelve(buffer)
  }

  /** A sealed buffer that this channel did not hand out: the parts of a split one, or one recovered from a log. */
  adopt(buffer: B): void {
    assert(buffer.sequence >= 0 && buffer.records > 0, 'only a numbered buffer with records can be adopted')
    this.#shelve(buffer)
  }

  /** A taken buffer is spent: cleared and kept as a spare, or discarded. A second time throws. */
  recycle(buffer: B): void {
    assert(buffer.sequence >= 0, 'a buffer was recycled twice, or was never sealed')
    this.#untake(buffer)
    this.#reuse(buffer)
    this.#closing?.check()
  }

  /**
   * Changes settings while running: used at the next switch decision, and the deadline is armed anew.
   * Throws INVALID_CONFIG and changes nothing when a value is wrong or a field unknown. Returns the new version.
   */
  updateConfig(update: ChannelUpdate): number {
    return this.useSettings(channelSettings(update, this.#settings))
  }

  /** As `updateConfig`, with what `channelSettings` gave: many channels share one object. */
  useSettings(settings: ChannelSettings): number {
    this.#settings = settings
    this.#configVersion++
    if (this.active.records > 0 && !this.#isDue) this.#rearm()
    if (this.#owner.onConfig !== undefined) this.#announceConfig()
    return this.#configVersion
  }

  stats(): ChannelStats {
    return {
      activeRecords: this.active.records,
      activeBytes: this.active.bytes,
      sealedBuffers: this.#heap.size,
      sealedBytes: this.#sealedBytes,
      pooledBuffers: this.#spares?.length ?? 0,
      sequence: this.#sequence,
      switches: this.#switches,
      skippedSwitches: this.#skippedSwitches,
      waiters: this.#owner.waiting?.() ?? 0,
    }
  }

  /**
   * Seals the rest and waits until every buffer was taken and recycled, at most `timeoutMs`; then discards what is left.
   * The owner refuses writes from now on. A second call gets the answer of the first.
   */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    if (this.#closing !== null) return this.#closing.promise
    this.#state = 'closing'
    const closing = new Closing(this.pendingRecords, () => this.#takenBuffers === 0 && this.#heap.size === 0)
    this.#closing = closing
    const sealed = this.#sealLast()
    if (sealed !== null) this.#owner.onSealed?.(sealed)
    closing.start(this.#clock, options.drain === false ? 0 : (options.timeoutMs ?? DEFAULT_CLOSE_MS), () =>
      this.#finishClosing(),
    )
    return closing.promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => {})
  }

  /** What the owner cannot seal leaves the channel open: the next `close` tries again. */
  #sealLast(): B | null {
    try {
      return this.seal()
    } catch (error) {
      this.#state = 'open'
      this.#closing = null
      throw error
    }
  }

  // --- the switch decision -----------------------------------------------------------------------------------------

  #look(buffer: B): void {
    if (this.#isDue) return // Only bytes without a limit get here.
    const isFirst = this.#isFresh
    if (isFirst) {
      this.#isFresh = false
      buffer.firstAtMs = this.#clock.monotonicMs()
    }
    if (this.#isDueNow(buffer)) {
      if (this.active === buffer) this.#becomeDue()
      return
    }
    if (this.active !== buffer || this.#isDue) return // A strategy function wrote: it sealed it, or made it due.
    this.#setNextLook(buffer)
    if (isFirst) this.#arm(buffer, buffer.firstAtMs)
    else if (this.#timer !== null) this.#advanceDeadline(buffer)
  }

  #isDueNow(buffer: B): boolean {
    const { plan } = this.#settings
    if (buffer.records >= plan.fullRecords || buffer.bytes >= plan.fullBytes) return true
    return this.#ask(buffer, plan.needsClock ? this.#clock.monotonicMs() - buffer.firstAtMs : 0)
  }

  #ask(buffer: B, elapsedMs: number): boolean {
    const { plan } = this.#settings
    const stats = plan.stats
    stats.records = buffer.records
    stats.bytes = buffer.bytes
    stats.elapsedMs = elapsedMs
    return plan.isUserFunction ? this.#askUser() : plan.strategy(stats)
  }

  /** A throwing function counts as false and raises `error` (CH-7). */
  #askUser(): boolean {
    const { plan } = this.#settings
    try {
      return plan.strategy(plan.stats) === true
    } catch (cause) {
      const text = 'switchStrategy threw and counts as false: return a boolean'
      this.#owner.onError?.(new MQError('PRODUCE_FAILED', text, { reason: 'CALLBACK' }, { cause }))
      return false
    }
  }

  #becomeDue(): void {
    if (!this.#sealsItself) {
      this.#isDue = true
      this.#lookRecords = NEVER
      this.#lookBytes = NEVER
      this.#cancelTimer()
      this.#owner.onDue?.()
      return
    }
    const sealed = this.seal()
    if (sealed !== null) this.#owner.onSealed?.(sealed)
  }

  #beginGeneration(): void {
    this.#isFresh = true
    this.#isDue = false
    this.#lookRecords = 1
    this.#lookBytes = NEVER
    this.#cancelTimer()
  }

  #setNextLook(buffer: B): void {
    const { plan } = this.#settings
    this.#lookRecords = Math.min(plan.fullRecords, Math.max(plan.fromRecords, buffer.records + plan.stepRecords))
    this.#lookBytes = Math.min(plan.fullBytes, Math.max(plan.fromBytes, buffer.bytes + plan.stepBytes))
  }

  // --- the deadline ------------------------------------------------------------------------------------------------

  /** Sets the timer for the next moment at which time can make the buffer due. */
  #arm(buffer: B, nowMs: number): void {
    const { plan } = this.#settings
    // Moments are compared and not elapsed times: a rounding error must not set a timer that has fired once more.
    const earliestMs = buffer.firstAtMs + plan.earliestMs
    const dueMs = nowMs < earliestMs ? earliestMs : buffer.firstAtMs + plan.dueAfterMs(buffer.records, buffer.bytes)
    if (dueMs !== Number.POSITIVE_INFINITY) this.#setTimer(dueMs)
  }

  #setTimer(dueMs: number): void {
    this.#onTimer ??= () => this.#deadline()
    this.#timerDueMs = dueMs
    this.#timer = this.#clock.setTimer(this.#onTimer, Math.max(0, dueMs - this.#clock.monotonicMs()))
  }

  #cancelTimer(): void {
    if (this.#timer === null) return
    this.#timer.cancel()
    this.#timer = null
  }

  /** More fill can bring the composite deadline nearer; a difference below the timers' resolution is not worth one. */
  #advanceDeadline(buffer: B): void {
    const { plan } = this.#settings
    if (plan.isUserFunction) return // It has just been asked; fill moves no deadline of it.
    const dueMs = buffer.firstAtMs + Math.max(plan.earliestMs, plan.dueAfterMs(buffer.records, buffer.bytes))
    if (dueMs > this.#timerDueMs - 1) return
    this.#cancelTimer()
    this.#setTimer(dueMs)
  }

  #deadline(): void {
    this.#timer = null
    const buffer = this.active
    assert(buffer.records > 0 && !this.#isDue, 'a deadline belongs to a buffer that is not due yet')
    // A timer may fire a fraction of a millisecond early; its own due time counts then.
    const nowMs = Math.max(this.#clock.monotonicMs(), this.#timerDueMs)
    if (this.#isDueAt(buffer, nowMs)) {
      if (this.active === buffer) this.#becomeDue()
      return
    }
    this.#skippedSwitches++
    if (this.active !== buffer || this.#isDue) return // A strategy function wrote: it sealed it, or made it due.
    if (this.#settings.plan.isUserFunction) this.#setTimer(nowMs + Math.max(1, this.#settings.windowMs))
    else this.#arm(buffer, nowMs)
  }

  #isDueAt(buffer: B, nowMs: number): boolean {
    const { plan, windowMs } = this.#settings
    if (buffer.records >= plan.fullRecords || buffer.bytes >= plan.fullBytes) return true
    if (plan.isUserFunction) return this.#ask(buffer, Math.max(windowMs, nowMs - buffer.firstAtMs))
    // The sum is the one that armed the timer, so no rounding error can make us miss by a hair and come again.
    const dueMs = buffer.firstAtMs + plan.dueAfterMs(buffer.records, buffer.bytes)
    return nowMs >= dueMs || this.#ask(buffer, nowMs - buffer.firstAtMs)
  }

  /** After an update: what is due under the new settings becomes due by timer, never inside `updateConfig`. */
  #rearm(): void {
    const buffer = this.active
    this.#cancelTimer()
    if (this.#isFresh) return // Filled, but `wrote()` was not called yet: it will look then.
    this.#setNextLook(buffer)
    const { plan } = this.#settings
    const nowMs = this.#clock.monotonicMs()
    const isFull = buffer.records >= plan.fullRecords || buffer.bytes >= plan.fullBytes
    const isFilled = !plan.isUserFunction && this.#ask(buffer, nowMs - buffer.firstAtMs)
    if (isFull || isFilled) this.#setTimer(nowMs)
    else this.#arm(buffer, nowMs)
  }

  #announceConfig(): void {
    if (this.#isConfigEventDue) return
    this.#isConfigEventDue = true
    this.#clock.defer(() => {
      this.#isConfigEventDue = false
      this.#owner.onConfig?.(this.#configVersion)
    })
  }

  // --- sealed, taken, spent ----------------------------------------------------------------------------------------

  #shelve(buffer: B): void {
    this.#sealedRecords += buffer.records
    this.#sealedBytes += buffer.bytes
    this.#heap.push(buffer)
  }

  #untake(buffer: B): void {
    assert(this.#takenBuffers > 0, 'a buffer came back that nobody had taken') // First: a mistake changes no count.
    this.#takenBuffers--
    this.#takenRecords -= buffer.records
  }

  #reuse(buffer: B): void {
    this.#owner.clearBuffer?.(buffer)
    buffer.sequence = -1 // A second `recycle` is told by this.
    if (this.#state === 'closed' || (this.#spares?.length ?? 0) >= this.#maxSpares) {
      this.#owner.discardBuffer?.(buffer) // Its counts stay for whoever still looks at it.
      return
    }
    buffer.records = 0
    buffer.bytes = 0
    buffer.firstAtMs = -1
    if (this.#spares === null) this.#spares = [buffer]
    else this.#spares.push(buffer)
  }

  /** Drained or out of time: what still waits is discarded; taken buffers return to nobody. Gives the undelivered count. */
  #finishClosing(): number {
    const undelivered = this.#sealedRecords + this.#takenRecords
    this.#state = 'closed'
    this.#cancelTimer()
    for (let buffer = this.take(); buffer !== undefined; buffer = this.take()) {
      this.#untake(buffer)
      this.#reuse(buffer)
    }
    for (const spare of this.#spares?.splice(0) ?? []) this.#owner.discardBuffer?.(spare)
    return undelivered
  }
}
