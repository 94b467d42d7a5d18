/**
 * Hands records to whoever asks: `read`, `readBatch`, iterators, streams. Hot path.
 *
 *   ready queue -> turn of one partition (at most maxPollRecords) -> back of the queue
 *   reader asks -> what it got before counts -> a record at once, or a place among the waiting
 *
 * What is handed out is open until its reader asks for more; only then `cursor.position` moves over it (CO-9). A reader
 * that ends without asking gives it back, and the next reader gets the same record again.
 * Invariant: a partition is in at most one of these: queued, open with one reader, opening a batch. So its records come
 * in order, whoever asks, and the position moves under the generation they were handed out in.
 * Why slices: buffered records are there at once, and a loop over them would keep sockets and timers waiting.
 */
import { MQError } from '../../errors/index.js'
import { assert, type Clock, Deque } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { AnyRecord, Delivery, PartitionCursor, RecordSink } from '../cursor.js'
import { whenOpened } from '../delivery/opening.js'
import { LoopSlice } from '../delivery/slice.js'
import { PullReader, type ReaderKind } from './pull-reader.js'
import { type Pulled, type PullOptions, type Waiter, WaitingReaders } from './waiting.js'

export interface PullHooks {
  /** Buffered bytes cannot be read at `cursor.position`. */
  unreadable(cursor: PartitionCursor, error: unknown): void
  /** What is buffered was dropped: it is fetched again from where the cursor stands. */
  rewound(cursor: PartitionCursor): void
  /** What ended delivery; null: it was closed, or stopped cleanly. */
  failure(): MQError | null
  /** True while something is subscribed or assigned. */
  isFed(): boolean
  /** A call is about to fail with it. */
  readonly told?: ((error: unknown) => void) | undefined
  /** As for callbacks: work begins in this turn of the event loop. */
  readonly begins?: ((nowMs: number) => void) | undefined
  /** The turn that began then is over. */
  readonly ended?: ((startMs: number) => void) | undefined
}

export interface PullSinkOptions {
  readonly maxPollRecords: number
  readonly dedup: { readonly enabled: boolean }
}

export class PullSink implements RecordSink {
  readonly #maxPollRecords: number
  readonly #hasDedup: boolean
  readonly #hooks: PullHooks
  readonly #counters: ConsumerCounters
  readonly #clock: Clock
  readonly #slice: LoopSlice
  readonly #ready = new Deque<PartitionCursor>()
  readonly #waiting: WaitingReaders
  /** Those that the end does not wait for. */
  readonly #unawaited = new Set<PullReader>()
  #open = 0 // partitions with something open
  #nowMs = 0 // of the present hand-out
  #isUsed = false // somebody has subscribed or assigned without a callback
  #isPumping = false
  #isStopped = false
  #onIdle: (() => void) | null = null

  constructor(options: PullSinkOptions, hooks: PullHooks, counters: ConsumerCounters, clock: Clock) {
    this.#maxPollRecords = options.maxPollRecords
    this.#hasDedup = options.dedup.enabled
    this.#hooks = hooks
    this.#counters = counters
    this.#clock = clock
    this.#slice = new LoopSlice(clock, () => this.pump(), hooks.begins, hooks.ended)
    this.#waiting = new WaitingReaders(clock)
  }

  /** For a subscription or an assignment without a callback. Throws INVALID_CONFIG. */
  delivery(): Delivery {
    // A record is remembered when its callback succeeded, and nobody tells that of a pulled one.
    if (this.#hasDedup)
      throw new MQError('INVALID_CONFIG', 'dedup.enabled works with callbacks: give one, or turn it off')
    this.#isUsed = true
    return { perRecord: null, perBatch: null, sink: this }
  }

  /** Partitions of which a reader holds records that do not count yet. */
  get running(): number {
    return this.#open
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Calls that wait for records. */
  get waiting(): number {
    return this.#waiting.size
  }

  enqueue(cursor: PartitionCursor): void {
    if (this.#isStopped || cursor.isQueued || cursor.isBusy || cursor.isOpening || cursor.isHeldBack) return
    if (cursor.pending === null && !cursor.reader.hasData) return
    cursor.isQueued = true
    this.#ready.pushBack(cursor)
  }

  /** Serves those who wait, in the order they came. */
  pump(): void {
    if (this.#isPumping || this.#waiting.size === 0) return
    this.#isPumping = true
    for (const waiter of this.#waiting.all()) this.#serve(waiter)
    this.#isPumping = false
  }

  pumpSoon(): void {
    this.#slice.continueLater()
  }

  /**
   * No further record leaves. Loops may end with what they hold; what `read` gave last does not count, since nobody
   * will tell whether it was processed.
   */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#ready.clear()
    for (const waiter of this.#waiting.all()) this.#endWaiter(waiter)
    for (const reader of this.#unawaited) this.#giveBack(reader)
    this.#tellIdle()
  }

  whenIdle(task: () => void): void {
    if (this.#open === 0) task()
    else this.#onIdle = task
  }

  /** One more who pulls; ends with `release`. */
  reader(kind: ReaderKind): PullReader {
    const reader = new PullReader(kind)
    if (kind !== 'loop') this.#unawaited.add(reader)
    return reader
  }

  /** What the reader got before counts; gives the next record, or null when there is none now. */
  ask(reader: PullReader): AnyRecord | null {
    this.settle(reader)
    if (this.#waiting.size > 0) this.pump() // What has just been settled may be what earlier calls wait for.
    return this.#take(reader)
  }

  /** The same for up to `max` records, those there are. */
  askMany(reader: PullReader, max: number): AnyRecord[] {
    this.settle(reader)
    if (this.#waiting.size > 0) this.pump()
    return this.#takeMany(reader, max)
  }

  /** For a reader that has asked and got nothing. `max` 0: one record, not a list. At the end loops and streams get null. */
  wait(reader: PullReader, max: number, options: PullOptions = {}): Promise<Pulled> {
    if (!this.#isStopped && this.#isUsed && this.#hooks.isFed()) return this.#waiting.add(reader, max, options)
    const reason = this.#isStopped ? this.#endOf(reader) : notFed()
    return reason === null ? Promise.resolve(null) : this.refuse(reason)
  }

  /** Tells of the error that a call fails with. */
  refuse(reason: unknown): Promise<never> {
    this.#hooks.told?.(reason)
    return Promise.reject(reason)
  }

  /** What the reader got counts as processed, unless its caller cannot have seen it yet. */
  settle(reader: PullReader): void {
    if (reader.isIdle || reader.isFresh) return
    this.#counters.records += reader.records
    const only = reader.takeOnly()
    const cursors = only === null ? reader.takeAll() : null
    reader.records = 0
    if (only !== null) this.#count(only)
    for (const cursor of cursors ?? []) this.#count(cursor)
    // Only behind our own change: what waits for a partition to rest may do anything.
    if (only !== null) this.#rest(only, reader)
    for (const cursor of cursors ?? []) this.#rest(cursor, reader)
    this.#tellIdle()
  }

  /** The reader ends: what it holds does not count, and goes to whoever asks next. */
  release(reader: PullReader): void {
    for (const waiter of this.#waiting.all()) if (waiter.reader === reader) this.#waiting.settle(waiter, null)
    this.#giveBack(reader)
    this.#unawaited.delete(reader)
    this.#tellIdle()
    if (!this.#isStopped) this.pumpSoon()
  }

  #giveBack(reader: PullReader): void {
    const cursors = reader.takeAll()
    reader.turn = null
    reader.records = 0
    for (const cursor of cursors) this.#reopen(cursor)
    for (const cursor of cursors) this.#rest(cursor, reader)
  }

  /** The open record is the next one again; several: they are fetched again. */
  #reopen(cursor: PartitionCursor): void {
    this.#close(cursor)
    if (cursor.pendingGeneration !== cursor.generation) cursor.pending = null
    else if (cursor.pending === null && !this.#isStopped) {
      cursor.rewind()
      this.#hooks.rewound(cursor)
    }
  }

  #count(cursor: PartitionCursor): void {
    this.#close(cursor)
    cursor.pending = null
    if (cursor.pendingGeneration !== cursor.generation) return
    cursor.position = cursor.pendingEnd
    if (cursor.reader.leaderEpoch >= 0) cursor.positionEpoch = cursor.reader.leaderEpoch
  }

  #close(cursor: PartitionCursor): void {
    assert(cursor.isBusy, 'what is handed out ends once')
    cursor.isBusy = false
    cursor.busySinceMs = -1
    this.#open--
  }

  #rest(cursor: PartitionCursor, reader: PullReader): void {
    cursor.rests()
    if (cursor !== reader.turn) this.enqueue(cursor)
  }

  #tellIdle(): void {
    if (this.#open > 0 || this.#onIdle === null) return
    const task = this.#onIdle
    this.#onIdle = null
    task()
  }

  #serve(waiter: Waiter): void {
    const { reader, max } = waiter
    if (max === 0) {
      const record = this.#take(reader)
      if (record !== null) this.#waiting.settle(waiter, record)
      return
    }
    const records = this.#takeMany(reader, max)
    if (records.length > 0) this.#waiting.settle(waiter, records)
  }

  #endWaiter(waiter: Waiter): void {
    const reason = this.#endOf(waiter.reader)
    if (reason === null) this.#waiting.settle(waiter, null)
    else {
      this.#hooks.told?.(reason)
      this.#waiting.fail(waiter, reason)
    }
  }

  /** What the reader is told now that delivery has ended; null: simply that. */
  #endOf(reader: PullReader): MQError | null {
    const failure = this.#hooks.failure()
    if (failure !== null || reader.kind !== 'calls') return failure
    return new MQError('CONSUMER_CLOSED', 'the consumer is closed or stopped: make another one', {})
  }

  #take(reader: PullReader): AnyRecord | null {
    if (!this.#hasTime()) return null
    const record = this.#next(reader)
    if (record !== null) reader.handedOut()
    return record
  }

  #takeMany(reader: PullReader, max: number): AnyRecord[] {
    const records: AnyRecord[] = []
    if (!this.#hasTime()) return records
    while (records.length < max) {
      const record = this.#next(reader)
      if (record === null) break
      records.push(record)
      this.#drain(reader, records, max)
    }
    if (records.length > 0) reader.handedOut()
    return records
  }

  /** One look at the clock per hand-out serves both: the slice, and since when the partition is open. */
  #hasTime(): boolean {
    if (this.#isStopped) return false
    this.#nowMs = this.#clock.monotonicMs()
    if (!this.#slice.isTimeUp(this.#nowMs)) return true
    this.#slice.continueLater()
    return false
  }

  #next(reader: PullReader): AnyRecord | null {
    const { turn } = reader
    if (turn !== null) {
      const record = turn.left > 0 ? this.#read(turn) : null
      if (record !== null) return this.#handOut(reader, turn, record)
      this.#endTurn(reader, turn)
    }
    for (let cursor = this.#ready.popFront(); cursor !== undefined; cursor = this.#ready.popFront()) {
      cursor.isQueued = false
      cursor.left = this.#maxPollRecords
      const record = this.#read(cursor)
      if (record !== null) return this.#handOut(reader, cursor, record)
    }
    return reader.isIdle ? null : this.#nextOfOpen(reader)
  }

  #endTurn(reader: PullReader, turn: PartitionCursor): void {
    reader.turn = null
    this.enqueue(turn)
    if (this.#waiting.size > 0) this.pump() // They came before.
  }

  /** Nothing else is ready, so what the reader holds may grow: several of its calls can be waiting at a time. */
  #nextOfOpen(reader: PullReader): AnyRecord | null {
    for (const cursor of reader.open()) {
      cursor.left = this.#maxPollRecords
      const record = this.#read(cursor)
      if (record !== null) return this.#handOut(reader, cursor, record)
    }
    return null
  }

  #handOut(reader: PullReader, cursor: PartitionCursor, record: AnyRecord): AnyRecord {
    reader.turn = cursor
    reader.records++
    cursor.left--
    cursor.pendingEnd = record.offset + 1
    if (cursor.isBusy) {
      cursor.pending = null
      return record
    }
    cursor.isBusy = true
    cursor.pending = record
    cursor.pendingGeneration = cursor.generation
    cursor.busySinceMs = this.#nowMs
    reader.add(cursor)
    this.#open++
    return record
  }

  /** Adds what follows in the open batch of the partition whose turn it is. */
  #drain(reader: PullReader, records: AnyRecord[], max: number): void {
    const cursor = reader.turn as PartitionCursor
    const source = cursor.reader
    const before = records.length
    const until = Math.min(max, before + cursor.left)
    try {
      while (records.length < until) {
        const record = source.next()
        if (record === null) break
        records.push(record)
      }
    } catch {
      // Reading throws again at the same place when its turn has come; first those before it are handed out.
    }
    const count = records.length - before
    if (count === 0) return
    cursor.left -= count
    reader.records += count
    cursor.pending = null
    cursor.pendingEnd = (records[records.length - 1] as AnyRecord).offset + 1
  }

  /** The next record of the partition, or null: nothing left or allowed, a batch is being opened, or unreadable. */
  #read(cursor: PartitionCursor): AnyRecord | null {
    if (cursor.isHeldBack || cursor.isOpening) return null
    if (!cursor.isBusy && cursor.pending !== null) return cursor.pending as AnyRecord
    // What is open was handed out before a seek: its end must not be mixed with what comes after.
    if (cursor.isBusy && cursor.pendingGeneration !== cursor.generation) return null
    const { reader } = cursor
    try {
      for (;;) {
        const record = reader.next()
        if (record !== null) return record
        const opened = reader.openNext()
        this.#stepOver(cursor)
        if (opened === 'records') continue
        if (opened !== 'end') this.#waitFor(cursor, opened)
        return null
      }
    } catch (error) {
      // While records before it are open it is not told: reading throws again when they have ended.
      if (!cursor.isBusy) this.#hooks.unreadable(cursor, error)
      return null
    }
  }

  /** Control, aborted and emptied batches: the position follows, or what is open reaches over them. */
  #stepOver(cursor: PartitionCursor): void {
    const { position, leaderEpoch } = cursor.reader
    if (cursor.isBusy) {
      if (position > cursor.pendingEnd) cursor.pendingEnd = position
      return
    }
    if (position > cursor.position) cursor.position = position
    if (leaderEpoch >= 0) cursor.positionEpoch = leaderEpoch
  }

  #waitFor(cursor: PartitionCursor, opening: Promise<void>): void {
    const go = () => {
      this.enqueue(cursor)
      this.pump()
    }
    whenOpened(cursor, opening, go, (error) => {
      if (cursor.isBusy) go()
      else this.#hooks.unreadable(cursor, error)
    })
  }
}

function notFed(): MQError {
  const text = 'nothing to pull: first await subscribe(topics) or assign(what) without a callback'
  return new MQError('INVALID_CONFIG', text, {})
}
