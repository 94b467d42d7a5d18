/**
 * What the byte and the item channel have in common: a double buffer under a memory budget, with readers and an end.
 * Invariants: written = read + dropped + discarded + pending at every moment; each record is charged to the budget once and given
 * back once (on reading, release, eviction or close); nobody overtakes a writer that waits. CH-16, CH-17, CH-19.
 */
import { type MQError, toMQError } from '../errors/index.js'
import { Buckets, deferred, Emitter, systemClock } from '../util/index.js'
import type {
  BufferedChannelEvents,
  BufferedChannelOptions,
  ChannelCounters,
  ChannelMetrics,
  ReadableBuffer,
} from './buffered-types.js'
import {
  bufferFull,
  checkOnFull,
  isListenerReport,
  listenerThrew,
  metricsFailed,
  type OnFull,
  optionsOf,
  policyThrew,
  recordTooLarge,
  spillFull,
  writerClosed,
} from './channel-errors.js'
import type { ChannelState, ChannelStats, CloseOptions, CloseResult } from './channel-types.js'
import { DoubleBufferChannel } from './double-buffer-channel.js'
import type { EvictStats } from './evict-policy.js'
import { type EvictHost, Evicting } from './evicting.js'
import { type ChannelMeasures, SWITCH_SECONDS } from './measures.js'
import { MemoryBudget } from './memory-budget.js'
import { callable, checkCloseOptions, checkOption, checkWait, oneOf } from './options.js'
import { OverdueLeases } from './overdue-leases.js'
import { ReadChannel } from './read-channel.js'
import { type ChannelSettings, type ChannelUpdate, channelSettings, tuningOf } from './settings.js'
import { type SpillHost, Spilling } from './spill/spilling.js'
import type { WaitOptions } from './waiters.js'

export const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024
const DEFAULT_BLOCK_MS = 60_000
const DEFAULT_CLOSE_MS = 30_000
/** The least a record is charged: its slot in our lists costs memory too, also when the payload is empty. */
export const SLOT_BYTES = 16

const EVENT = oneOf('backpressure', 'drain', 'config', 'dropped', 'error')

/** What a record of this many payload bytes is charged. */
export function chargeOf(bytes: number): number {
  return Math.max(bytes, SLOT_BYTES)
}

/** `Input` is what is written, `Streamed` what streams carry of a record. */
export abstract class BufferedChannel<
  B extends ReadableBuffer,
  Item,
  Input = Item,
  Streamed = Item,
> extends ReadChannel<Item, Input, Streamed> {
  protected readonly core: DoubleBufferChannel<B>
  protected readonly budget: MemoryBudget
  readonly #events: Emitter<BufferedChannelEvents>
  readonly #onFull: OnFull
  readonly #evicting: Evicting | null
  readonly #maxBlockMs: number
  protected maxBytes: number
  protected readonly overdue = new OverdueLeases()
  readonly #switchSeconds = new Buckets(SWITCH_SECONDS)
  #buffersMade = 0
  /** Writers that wait, including those that have their room but did not run yet. */
  #blockedWriters = 0
  #isOpen = true
  readonly #spilling: Spilling | null
  /** What is written goes through the log, or behind somebody who waits for it. */
  #isDiverted = false
  /** Open and not diverted: what is written goes into memory. */
  #isStraight = true
  /** Records are on their way to readers that wait: nobody is told anything meanwhile. */
  #isServing = false
  /** What listeners are told as soon as our own change of state is finished: crossings of the limits, and what was dropped. */
  #news: (() => void)[] = []
  #reading: B | null = null
  #lastReadMs: number
  /** Written into memory: at once, or through the log. */
  #enteredRecords = 0
  #enteredBytes = 0
  #refusedWrites = 0
  #readRecords = 0
  #readBytes = 0
  #droppedRecords = 0
  #discardedRecords = 0
  #closing: Promise<CloseResult> | null = null
  readonly #metrics: ChannelMetrics | undefined
  readonly #detachMetrics: () => void

  protected constructor(options: BufferedChannelOptions, defaults: ChannelUpdate, makeBuffer: () => B) {
    const {
      clock = systemClock,
      sequencer,
      maxSpares,
      onFull = 'block',
      maxBlockMs = DEFAULT_BLOCK_MS,
    } = optionsOf(options)
    super(clock)
    checkOnFull(onFull, options.spillLog)
    const settings = channelSettings({ ...defaults, ...tuningOf(options) })
    this.maxBytes = settings.maxBytes
    this.#onFull = onFull
    this.#maxBlockMs = maxBlockMs
    this.#evicting = onFull === 'dropOldest' ? new Evicting(this.#evictHost(), options.evictPolicy) : null
    this.#lastReadMs = clock.monotonicMs()
    this.#events = new Emitter<BufferedChannelEvents>((error, event) => this.#listenerThrew(error, event))
    this.budget = new MemoryBudget({
      ...options,
      limitBytes: options.bufferMemoryBytes ?? DEFAULT_MEMORY_BYTES,
      limitRecords: options.bufferMaxRecords,
    })
    const tellSoft = () => this.#events.emit('backpressure', this.#use())
    const tellResume = () => this.#events.emit('drain', this.#use())
    this.budget.onSoft = () => this.#news.push(tellSoft)
    this.budget.onResume = () => this.#news.push(tellResume)
    this.core = new DoubleBufferChannel<B>(
      {
        createBuffer: () => {
          this.#buffersMade++
          return makeBuffer()
        },
        clearBuffer: (buffer) => this.#clear(buffer),
        onSealed: () => this.#serve(),
        onConfig: (configVersion) => this.#events.emit('config', { configVersion, settings: this.settings }),
        onError: (error) => this.raise(error),
        waiting: () => this.readers.waiting,
      },
      settings,
      {
        clock,
        switchSeconds: this.#switchSeconds,
        ...(sequencer === undefined ? {} : { sequencer }),
        ...(maxSpares === undefined ? {} : { maxSpares }),
      },
    )
    this.#spilling = options.spillLog === undefined ? null : new Spilling(options.spillLog, this.#spillHost())
    this.#metrics = options.metrics
    this.#detachMetrics = options.metrics?.attachChannel(this) ?? (() => {})
    this.#spilling?.start()
  }

  override get state(): ChannelState {
    return this.core.state === 'open' && !this.#isOpen ? 'closing' : this.core.state
  }

  get settings(): ChannelSettings {
    return this.core.settings
  }

  get configVersion(): number {
    return this.core.configVersion
  }

  /** Records written and neither read, dropped nor discarded: in memory, and in the spill log. */
  get pendingRecords(): number {
    return this.#inMemoryRecords + (this.#spilling?.records ?? 0)
  }

  get #inMemoryRecords(): number {
    return this.#enteredRecords - this.#readRecords - this.#droppedRecords - this.#discardedRecords
  }

  /** A record is either in the log or was entered. */
  get #writtenRecords(): number {
    return this.#enteredRecords + (this.#spilling?.records ?? 0)
  }

  get #writtenBytes(): number {
    return this.#enteredBytes + (this.#spilling?.bytes ?? 0)
  }

  /** Bytes of the budget in use, and their bound. */
  get usedBytes(): number {
    return this.budget.usedBytes
  }

  get limitBytes(): number {
    return this.budget.limitBytes
  }

  /** Returns the function that ends the subscription. A listener that throws hurts nobody else. */
  on<K extends keyof BufferedChannelEvents>(name: K, listener: (event: BufferedChannelEvents[K]) => void): () => void {
    checkOption('event', name, EVENT)
    checkOption('listener', listener, callable)
    return this.#events.on(name, listener)
  }

  /** Resolves below the soft limit: at once, or with the next `drain`. */
  override async ready(options: WaitOptions = {}): Promise<void> {
    checkWait(options)
    if (!this.#isOpen) throw writerClosed()
    // As a writer that waits: what is not sealed could never be read and make room.
    if (this.budget.isSoft && options.signal?.aborted !== true) this.seal()
    if (!this.#isOpen) throw writerClosed() // By a listener that was told of room.
    await this.budget.ready({ ...options, clock: options.clock ?? this.clock })
  }

  /** Makes what was written readable now; false when there is nothing. */
  override seal(): boolean {
    const sealed = this.core.seal()
    if (sealed !== null) this.#serve()
    return sealed !== null
  }

  /** Throws INVALID_CONFIG, and changes nothing then. Returns the new version. */
  updateConfig(update: ChannelUpdate): number {
    const version = this.core.updateConfig(update)
    this.maxBytes = this.core.settings.maxBytes
    return version
  }

  stats(): ChannelStats {
    return this.core.stats()
  }

  counters(): ChannelCounters {
    return {
      writtenRecords: this.#writtenRecords,
      writtenBytes: this.#writtenBytes,
      refusedWrites: this.#refusedWrites,
      readRecords: this.#readRecords,
      readBytes: this.#readBytes,
      failedReads: this.readers.failures,
      droppedRecords: this.#droppedRecords,
      discardedRecords: this.#discardedRecords,
      spilledRecords: this.#spilling?.spilled ?? 0,
      inLogRecords: this.#spilling?.records ?? 0,
    }
  }

  /** Buffers really allocated, not taken from a pool. */
  get allocations(): number {
    return this.#buffersMade
  }

  /** Everything metrics want to know, read at once; a few numbers and one small object. */
  measures(): ChannelMeasures {
    const { activeRecords, activeBytes, switches, skippedSwitches } = this.core.stats()
    return {
      writes: this.#writtenRecords,
      writeFailures: this.#refusedWrites,
      writtenBytes: this.#writtenBytes,
      reads: this.#readRecords,
      readFailures: this.readers.failures,
      readBytes: this.#readBytes,
      switches,
      skippedSwitches,
      switchSeconds: this.#switchSeconds,
      allocations: this.allocations,
      activeRecords,
      activeBytes,
      overdueLeases: this.overdue.total(this.clock.monotonicMs()),
    }
  }

  /** The oldest record that is sealed, or undefined. Readers that wait come first. */
  override tryRead(): Item | undefined {
    const buffer = this.#reading ?? this.#takeNext()
    return buffer === null ? undefined : this.#readFrom(buffer)
  }

  /**
   * Refuses writes, seals the rest and waits until readers have taken it, that of the spill log too, at most `timeoutMs`
   * (30,000); with `drain: false` it discards at once. What is in the log then stays there, counted as undelivered; the log is
   * its owner's to close. Both numbers count the records that were pending. Idempotent.
   */
  override close(options: CloseOptions = {}): Promise<CloseResult> {
    if (this.#closing !== null) return this.#closing
    const settled = deferred<CloseResult>()
    try {
      checkCloseOptions(options)
    } catch (error) {
      settled.reject(error) // Nothing was closed: the next call may say it better.
      return settled.promise
    }
    this.#closing = settled.promise // First: a listener that is told of the end may close, too.
    this.#close(options).then(settled.resolve, settled.reject)
    return settled.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // --- for the kinds -----------------------------------------------------------------------------------------------

  /** An item above `maxBytes` gets a buffer of its own. Listeners hear of it when the item is in: they may close, or write. */
  protected sealBefore(): void {
    if (this.core.seal() === null) return
    const wasServing = this.#isServing
    this.#isServing = true
    try {
      this.readers.serve()
    } finally {
      this.#isServing = wasServing
    }
  }

  /** Lets one record in if that needs neither waiting nor dropping. Hot path: two comparisons and the budget. */
  protected tryAdmit(chargeBytes: number): boolean {
    return this.#isStraight && this.#blockedWriters === 0 && this.budget.tryTake(chargeBytes, 1)
  }

  /** Lets one record in, or throws. */
  protected admit(chargeBytes: number): void {
    if (!this.tryAdmit(chargeBytes)) this.#admitAtLimit(chargeBytes)
  }

  /**
   * As `admit`, but waits where `onFull` is 'block', and for a stream, which can only wait or fail, where it is 'reject'. `append` puts the record in, in the same turn in which it has its room:
   * between the two nobody writes and nobody closes.
   */
  protected async admitLater(
    chargeBytes: number,
    options: WaitOptions,
    isStream: boolean,
    append: () => boolean,
  ): Promise<boolean> {
    const waits = this.#onFull === 'block' || (isStream && this.#onFull === 'reject')
    if (!waits || !this.#isOpen) {
      this.admit(chargeBytes)
      return append()
    }
    this.seal() // A waiting writer ends the window: what is not sealed could never be read and make room.
    if (!this.#isOpen) throw this.#refused(writerClosed()) // By a listener that was told of room.
    const { signal, timeoutMs = this.#maxBlockMs, clock = this.clock } = options
    this.#blockedWriters++
    try {
      await this.budget.waitForRoom(chargeBytes, { records: 1, signal, timeoutMs, clock })
    } catch (error) {
      this.#blockedWriters--
      this.#refusedWrites++
      throw error
    }
    this.#blockedWriters--
    if (this.#isOpen) return append()
    this.giveBack(chargeBytes)
    throw this.#refused(writerClosed())
  }

  /** True: a record that `tryAdmit` has no room for goes into the log, by `spillNow` or `spillLater`. */
  protected spills(chargeBytes: number): boolean {
    if (this.#spilling === null || !this.#isOpen || chargeBytes > this.budget.limitBytes) return false
    if (this.#isDiverted) return true
    this.seal()
    // A reader that waited may have made room; or what it is told of has written, or closed.
    if (!this.#isOpen) return false
    return this.#isDiverted || !this.budget.hasRoom(chargeBytes, 1)
  }

  /** Into the log; false: it has no room now. Throws what the log throws. */
  protected spillNow(payload: Uint8Array, bytes: number): boolean {
    if (!this.#isOpen) throw this.#refused(writerClosed()) // By the codec.
    try {
      return (this.#spilling as Spilling).push(payload, bytes)
    } catch (cause) {
      throw this.#refused(toMQError(cause, 'PRODUCE_FAILED', 'the spill log took no record'))
    }
  }

  /** Waits for the room that `spillNow` did not find: in the log, or in memory, where `append` puts the record. */
  protected async spillLater(
    payload: Uint8Array,
    bytes: number,
    chargeBytes: number,
    append: () => boolean,
    options: WaitOptions,
  ): Promise<boolean> {
    const { signal, timeoutMs = this.#maxBlockMs, clock = this.clock } = options
    const admit = () => this.budget.tryTake(chargeBytes, 1)
    try {
      return await (this.#spilling as Spilling).wait({ payload, bytes, admit, append }, { signal, timeoutMs, clock })
    } catch (error) {
      this.#refusedWrites++
      throw error
    }
  }

  /** A payload of the log back into memory: the bytes it counts for, -1 if it does not fit now. Throws what it cannot be. */
  protected abstract restore(payload: Uint8Array): number

  /** Room for one that comes back; false: not now. Throws MESSAGE_TOO_LARGE: never, it is from a time of a larger limit. */
  protected readmit(chargeBytes: number): boolean {
    if (chargeBytes > this.budget.limitBytes) throw recordTooLarge(chargeBytes, this.limitBytes)
    return this.budget.tryTake(chargeBytes, 1)
  }

  /** A record that was let in, and could not be put into its buffer. */
  protected notAppended(chargeBytes: number, error: MQError): MQError {
    this.giveBack(chargeBytes)
    return this.#refused(error)
  }

  /** Accounts for a record that the kind has put into `buffer`, and lets the strategy decide. */
  protected wrote(buffer: B, bytes: number, chargeBytes: number): boolean {
    buffer.records++
    buffer.bytes += bytes
    buffer.heldBytes += chargeBytes
    this.#enteredRecords++
    this.#enteredBytes += bytes
    this.core.wrote()
    if (this.#news.length > 0) this.#tellNews()
    return !this.budget.isSoft
  }

  /** Whole buffers instead of records, for a kind that offers it. Their records count as read when recycled. */
  protected takeBuffer(): B | undefined {
    this.#lastReadMs = this.clock.monotonicMs()
    return this.core.take()
  }

  /** After the end its records count as discarded, and nobody could read them. */
  protected putBackBuffer(buffer: B): void {
    if (this.state === 'closed') return this.recycleBuffer(buffer)
    this.core.putBack(buffer)
    this.#serve()
  }

  protected recycleBuffer(buffer: B): void {
    const { records, bytes } = buffer
    const isCounted = this.state !== 'closed'
    this.core.recycle(buffer) // Throws for a buffer that is not out: nothing may be counted then.
    if (isCounted) {
      this.#readRecords += records
      this.#readBytes += bytes
    }
    if (this.#news.length > 0) this.#tellNews()
    if (this.#isDiverted) this.#spilling?.freed()
  }

  /** Takes the record at `index` out of `buffer`. */
  protected abstract extract(buffer: B, index: number): Item

  /** True when the record at `index` stays charged after reading: its lease calls `giveBack`. */
  protected abstract isLeased(buffer: B, index: number): boolean

  /** One record's charge returns to the budget. */
  protected giveBack(chargeBytes: number): void {
    this.budget.give(chargeBytes, 1)
    if (this.#news.length > 0) this.#tellNews()
    if (this.#isDiverted) this.#spilling?.freed()
  }

  /** Payload bytes and charge of the record at `index`. */
  protected abstract bytesAt(buffer: B, index: number): number
  protected abstract chargeAt(buffer: B, index: number): number

  /** Empties the kind's own fields. */
  protected abstract wipe(buffer: B): void

  protected override get readableRecords(): number {
    return this.#inMemoryRecords - this.core.active.records
  }

  protected override get makesRoom(): boolean {
    return this.#onFull !== 'block' && this.#onFull !== 'reject'
  }

  protected override raise(error: MQError): void {
    this.#events.emit('error', error)
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  /**
   * To those who wait. A listener that is told of room in the middle of it may write, which serves them too, or end a wait:
   * then a record that is already taken would reach nobody. So listeners hear of it afterwards.
   */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      this.readers.serve()
    } finally {
      this.#isServing = false
    }
    if (this.#news.length > 0) this.#tellNews()
  }

  #takeNext(): B | null {
    this.#reading = this.core.take() ?? null
    if (this.#reading !== null) this.overdue.tick(this.clock.monotonicMs())
    return this.#reading
  }

  #readFrom(buffer: B): Item {
    const index = buffer.readRecords++
    const charge = this.chargeAt(buffer, index)
    const isLeased = this.isLeased(buffer, index)
    this.#readRecords++
    this.#readBytes += this.bytesAt(buffer, index)
    buffer.heldBytes -= charge
    const item = this.extract(buffer, index)
    if (buffer.readRecords === buffer.records) {
      this.#lastReadMs = this.clock.monotonicMs()
      this.#reading = null
      this.core.recycle(buffer)
    }
    if (!isLeased) this.giveBack(charge)
    return item
  }

  /** Unread records of a buffer that is emptied (dropped, or discarded by close) give their charge back. */
  #clear(buffer: B): void {
    const unread = buffer.records - buffer.readRecords
    const held = buffer.heldBytes
    this.wipe(buffer)
    buffer.heldBytes = 0
    buffer.readRecords = 0
    if (unread > 0) this.budget.give(held, unread)
  }

  // --- at the limit ------------------------------------------------------------------------------------------------

  #admitAtLimit(chargeBytes: number): void {
    if (!this.#isOpen) throw this.#refused(writerClosed())
    if (chargeBytes > this.budget.limitBytes) throw this.#refused(recordTooLarge(chargeBytes, this.limitBytes))
    this.seal()
    if (this.tryAdmit(chargeBytes)) return // A reader that waited has made room.
    if (!this.#isOpen) throw this.#refused(writerClosed()) // By a listener that was told of it.
    if (this.#spilling !== null) throw this.#refused(spillFull(chargeBytes, this.#spilling.records))
    if (this.#evicting !== null && this.#evict(this.#evicting, chargeBytes)) return
    if (this.#news.length > 0) this.#tellNews() // What was dropped may have been enough for others.
    throw this.#refused(bufferFull(chargeBytes, this.budget))
  }

  /** True: the room is taken. What is dropped is told when the record is in, or refused: who is told may write, or close. */
  #evict(evicting: Evicting, chargeBytes: number): boolean {
    try {
      if (evicting.makeRoom(chargeBytes)) return true
    } catch (cause) {
      this.#tellNews()
      throw this.#refused(policyThrew(cause))
    }
    if (this.#isOpen) return false
    throw this.#refused(writerClosed()) // By the policy.
  }

  /** What is to be told of a buffer that is thrown away. */
  protected dropping(_buffer: B): (() => void) | null {
    return null
  }

  #evictHost(): EvictHost {
    let newsBefore = 0
    return {
      tryTake: (chargeBytes) => this.#isOpen && this.budget.tryTake(chargeBytes, 1),
      stats: () => {
        newsBefore = this.#news.length
        return this.#evictStats()
      },
      drop: () => this.#dropOldest(),
      dropped: (records, bytes, policy) => {
        this.#droppedRecords += records
        const tell = () => this.#events.emit('dropped', { records, bytes, policy })
        this.#news.splice(newsBefore, 0, tell) // Before the room that it made.
      },
    }
  }

  /** The oldest sealed buffer, thrown away whole. */
  #dropOldest(): { readonly records: number; readonly bytes: number } | null {
    const buffer = this.#isOpen ? this.core.take() : undefined
    if (buffer === undefined) return null
    const { records, bytes } = buffer
    const tell = this.dropping(buffer)
    if (tell !== null) this.#news.push(() => this.#tellDropped(tell))
    this.core.recycle(buffer)
    return { records, bytes }
  }

  #tellDropped(tell: () => void): void {
    try {
      tell()
    } catch (cause) {
      this.#listenerThrew(cause, null)
    }
  }

  #evictStats(): EvictStats {
    const { activeBytes, sealedBytes } = this.core.stats()
    return {
      records: this.pendingRecords,
      bytes: activeBytes + sealedBytes,
      usedBytes: this.budget.usedBytes,
      limitBytes: this.budget.limitBytes,
      usedRecords: this.budget.usedRecords,
      limitRecords: this.budget.limitRecords,
      idleMs: this.clock.monotonicMs() - this.#lastReadMs,
    }
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  async #close(options: CloseOptions): Promise<CloseResult> {
    const { timeoutMs = DEFAULT_CLOSE_MS, drain: isDraining = true } = options
    const untilMs = this.clock.monotonicMs() + timeoutMs
    this.#isOpen = false
    this.#isStraight = false
    const pending = this.pendingRecords
    this.budget.rejectWaiters(() => writerClosed())
    if (this.#spilling !== null) await this.#endSpilling(this.#spilling, isDraining ? timeoutMs : 0)
    const restMs = Math.max(0, untilMs - this.clock.monotonicMs())
    await this.core.close({ timeoutMs: restMs, drain: isDraining })
    const undelivered = this.pendingRecords
    this.#discardedRecords = undelivered
    const reading = this.#reading
    this.#reading = null
    if (reading !== null) this.core.recycle(reading)
    this.readers.end()
    this.#tellNews()
    await this.readers.settled(isDraining ? untilMs - this.clock.monotonicMs() : 0)
    await this.#endMetrics()
    return { delivered: pending - undelivered, undelivered }
  }

  /** Metrics of somebody else that fail do not take the answer from whoever closes. */
  async #endMetrics(): Promise<void> {
    try {
      this.#detachMetrics()
      await this.#metrics?.flush?.()
    } catch (cause) {
      this.raise(metricsFailed(cause))
    }
  }

  async #endSpilling(spilling: Spilling, timeoutMs: number): Promise<void> {
    spilling.refuse()
    this.seal()
    if (timeoutMs > 0) await spilling.emptied(timeoutMs)
    spilling.stop()
  }

  #spillHost(): SpillHost {
    const channel = this
    return {
      clock: this.clock,
      limitBytes: this.limitBytes,
      get hasRoom() {
        return channel.budget.isAtResume
      },
      bringIn: (payload) => this.restore(payload),
      seal: () => void this.seal(),
      divert: (isDiverted) => this.#divert(isDiverted),
      raise: (error) => this.raise(error),
    }
  }

  #divert(isDiverted: boolean): void {
    this.#isDiverted = isDiverted
    this.#isStraight = this.#isOpen && !isDiverted
  }

  #tellNews(): void {
    if (this.#isServing) return
    const news = this.#news
    this.#news = []
    for (const tell of news) tell()
  }

  #use(): BufferedChannelEvents['drain'] {
    return { usedBytes: this.budget.usedBytes, limitBytes: this.budget.limitBytes }
  }

  #listenerThrew(cause: unknown, event: unknown): void {
    // An error listener that fails must not be told of its own error for ever, neither at once nor by a promise.
    if (!isListenerReport(event)) this.#events.emit('error', listenerThrew(cause))
  }

  #refused(error: MQError): MQError {
    this.#refusedWrites++
    return error
  }
}
