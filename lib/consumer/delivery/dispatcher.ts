/**
 * Calls the callback: records of a partition in order, up to `concurrency` partitions at a time. Hot path.
 *
 *   ready queue -> turn of one partition (at most maxPollRecords) -> back of the queue
 *
 * Why turns: a partition with much data must not keep the others waiting (C-14, K-14), and a turn of the event loop
 * must end although data keeps coming, so turns stop after SLICE_MS and go on in the next one.
 * A callback that returns no promise costs none; one that does keeps a place of `concurrency` until it settles.
 * Invariant: a partition is in at most one of these: queued, running, opening a batch, waiting for a retry; its
 * position moves only when a callback has returned, under the generation it was called in. Source: design.md 5.5.
 */
import type { MQError } from '../../errors/index.js'
import { assert, type Clock, Deque } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { AnyRecord, CallbackResult, PartitionCursor, RecordSink } from '../cursor.js'
import type { CallbackTimes } from './callback-times.js'
import { callWithError, isThenable, keepError, takeError } from './error-delivery.js'
import { whenOpened } from './opening.js'
import { isLookDue, LoopSlice } from './slice.js'
import type { DeadLetter, Verdict } from './verdict.js'

export interface DispatcherHooks {
  /** A callback threw or rejected; decides what happens with its record. `attempts` counts from 1. */
  judge(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], error: unknown, attempts: number): Verdict
  /** A callback that was handed an error of its partition failed. */
  errorRefused(cursor: PartitionCursor, error: unknown): void
  /** Buffered bytes cannot be read at `cursor.position`. */
  unreadable(cursor: PartitionCursor, error: unknown): void
  /** A callback returned false, or its failure ended delivery. */
  stopped(): void
  /** Work begins in this turn of the event loop: partitions that are not ours any more may be taken away first. */
  readonly begins?: ((nowMs: number) => void) | undefined
  /** The turn that began then is over. */
  readonly ended?: ((startMs: number) => void) | undefined
}

export interface DispatcherOptions {
  readonly concurrency: number
  readonly maxPollRecords: number
}

export class Dispatcher implements RecordSink {
  readonly #concurrency: number
  readonly #maxPollRecords: number
  readonly #clock: Clock
  readonly #hooks: DispatcherHooks
  readonly #counters: ConsumerCounters
  readonly #ready = new Deque<PartitionCursor>()
  readonly #slice: LoopSlice
  readonly #times: CallbackTimes
  #running = 0 // callbacks whose promise has not settled
  #writing = 0 // dead letters that are not acknowledged; they take no place of `concurrency`
  #isPumping = false
  #isStopped = false
  #onIdle: (() => void) | null = null

  constructor(
    options: DispatcherOptions,
    hooks: DispatcherHooks,
    counters: ConsumerCounters,
    clock: Clock,
    times: CallbackTimes,
  ) {
    this.#times = times
    this.#concurrency = options.concurrency
    this.#maxPollRecords = options.maxPollRecords
    this.#hooks = hooks
    this.#counters = counters
    this.#clock = clock
    this.#slice = new LoopSlice(clock, () => this.pump(), hooks.begins, hooks.ended)
  }

  /** Callbacks whose promise has not settled. */
  get running(): number {
    return this.#running
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** The cursor may have work: data, or a record to try again. Calls nothing; `pump` does. */
  enqueue(cursor: PartitionCursor): void {
    if (this.#isStopped || cursor.isQueued || cursor.isBusy || cursor.isOpening || cursor.retryTimer !== null) return
    if (cursor.isHeldBack || !hasWork(cursor)) return
    cursor.isQueued = true
    this.#ready.pushBack(cursor)
  }

  /** Gives turns until nothing is ready, every place is taken, or the slice is over. */
  pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (!this.#isStopped && this.#ready.size > 0 && this.#running < this.#concurrency) {
      if (this.#slice.isOver()) {
        this.#slice.continueLater()
        break
      }
      this.#times.mark(this.#slice.nowMs)
      const cursor = this.#ready.popFront() as PartitionCursor
      cursor.isQueued = false
      if (!cursor.isHeldBack) this.#turn(cursor)
    }
    this.#isPumping = false
    this.#times.rest()
  }

  /** `pump` in a later turn of the loop: for callers that must not run callbacks themselves. */
  pumpSoon(): void {
    this.#slice.continueLater()
  }

  deliverError(cursor: PartitionCursor, error: MQError): void {
    keepError(cursor, error)
    this.enqueue(cursor)
    this.pumpSoon()
  }

  /** No further callback starts; those that run may end. */
  stop(): void {
    this.#isStopped = true
    this.#ready.clear()
    if (this.#isIdle) this.#onIdle?.()
  }

  /** Calls once when no callback runs any more. */
  whenIdle(task: () => void): void {
    if (this.#isIdle) task()
    else this.#onIdle = task
  }

  get #isIdle(): boolean {
    return this.#running + this.#writing === 0
  }

  /** A turn of many slow callbacks must not keep the loop either, whatever `maxPollRecords` allows. */
  #isTurnSpent(cursor: PartitionCursor): boolean {
    if (!isLookDue(this.#maxPollRecords - cursor.left)) return false
    const isSpent = this.#slice.isTimeUp()
    this.#times.mark(this.#slice.nowMs)
    return isSpent
  }

  #turn(cursor: PartitionCursor): void {
    cursor.left = this.#maxPollRecords
    this.#run(cursor)
  }

  #run(cursor: PartitionCursor): void {
    cursor.isInterrupted = false
    if (cursor.pending !== null && !this.#again(cursor, cursor.pending)) return
    if (cursor.errors !== null && !this.#tell(cursor)) return
    if (cursor.delivery.perBatch === null) this.#runRecords(cursor)
    else this.#runBatches(cursor)
  }

  #runRecords(cursor: PartitionCursor): void {
    while (cursor.left > 0) {
      const record = this.#next(cursor)
      if (record === null || !this.#call(cursor, record, record.offset + 1)) return
      if (this.#isTurnSpent(cursor)) break
    }
    this.enqueue(cursor)
  }

  #runBatches(cursor: PartitionCursor): void {
    while (cursor.left > 0) {
      const first = this.#next(cursor)
      if (first === null) return
      const records = [first]
      const end = this.#collect(cursor, records)
      if (!this.#call(cursor, records, end)) return
    }
    this.enqueue(cursor)
  }

  /** The next record to hand out, or null: nothing left, a batch is being opened, or it cannot be read. */
  #next(cursor: PartitionCursor): AnyRecord | null {
    const { reader } = cursor
    try {
      for (;;) {
        const record = reader.next()
        if (record !== null) return record
        const opened = cursor.opening ?? reader.openNext()
        // What was handed out before has been processed, so the position may follow what is stepped over.
        if (reader.position > cursor.position) cursor.position = reader.position
        if (reader.leaderEpoch >= 0) cursor.positionEpoch = reader.leaderEpoch
        if (opened === 'end') return null
        if (opened !== 'records') {
          this.#waitFor(cursor, opened)
          return null
        }
      }
    } catch (error) {
      this.#hooks.unreadable(cursor, error)
      return null
    }
  }

  /** Adds what follows without waiting; gives the position once all of it is processed. */
  #collect(cursor: PartitionCursor, records: AnyRecord[]): number {
    const { reader } = cursor
    try {
      while (records.length < cursor.left) {
        const record = reader.next()
        if (record !== null) {
          records.push(record)
          continue
        }
        const opened = reader.openNext()
        if (opened instanceof Promise) {
          cursor.opening = opened
          opened.catch(() => {}) // Told when its turn has come, which may be after it has failed, or never (seek).
        }
        if (opened !== 'records') return reader.position
      }
    } catch {
      // Reading throws again at the same place when its turn has come; first those before it are delivered.
    }
    return (records[records.length - 1] as AnyRecord).offset + 1
  }

  #waitFor(cursor: PartitionCursor, opening: Promise<void>): void {
    const go = () => {
      this.enqueue(cursor)
      this.pump()
    }
    whenOpened(cursor, opening, go, (error) => this.#hooks.unreadable(cursor, error))
  }

  /** Calls the callback; true when it is done and the turn may go on. */
  #call(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], end: number): boolean {
    const { generation, delivery } = cursor
    let result: CallbackResult
    try {
      result =
        delivery.perRecord !== null
          ? delivery.perRecord(unit as AnyRecord, cursor.tp, null)
          : delivery.perBatch !== null
            ? delivery.perBatch(unit as AnyRecord[], cursor.tp, null)
            : undefined
    } catch (error) {
      this.#times.calls++
      this.#fail(cursor, unit, end, generation, error)
      return false
    }
    // The short way: one record, no promise, nothing happened meanwhile.
    const isPlain = (result === undefined || result === true) && delivery.perBatch === null
    if (isPlain && !cursor.isInterrupted && !this.#isStopped && cursor.pending === null) {
      cursor.left--
      cursor.position = end
      this.#counters.records++
      this.#times.calls++
      return true
    }
    if (!isThenable(result)) {
      this.#times.calls++
      return this.#finish(cursor, unit, end, generation, result)
    }
    this.#await(cursor, unit, end, generation, result)
    return false
  }

  #await(
    cursor: PartitionCursor,
    unit: AnyRecord | AnyRecord[],
    end: number,
    generation: number,
    result: Promise<unknown>,
  ): void {
    this.#open(cursor, unit, end, generation)
    this.#running++
    if (cursor.onResolved === null) this.#adopt(cursor)
    result.then(cursor.onResolved as (value: unknown) => void, cursor.onRejected as (error: unknown) => void)
  }

  #open(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[] | null, end: number, generation: number): void {
    cursor.isBusy = true
    cursor.busySinceMs = this.#times.opened()
    cursor.pending = unit
    cursor.pendingEnd = end
    cursor.pendingGeneration = generation
  }

  /** The two functions that promises of this partition's callbacks call: made once, not per record. */
  #adopt(cursor: PartitionCursor): void {
    cursor.onResolved = (value) => {
      const { pending, pendingEnd, pendingGeneration } = this.#settled(cursor)
      this.#resume(cursor, this.#finish(cursor, pending as AnyRecord, pendingEnd, pendingGeneration, value))
    }
    cursor.onRejected = (error) => {
      const { pending, pendingEnd, pendingGeneration } = this.#settled(cursor)
      this.#fail(cursor, pending as AnyRecord, pendingEnd, pendingGeneration, error)
      this.#resume(cursor, false)
    }
  }

  #settled(cursor: PartitionCursor): PartitionCursor {
    this.#times.settled(cursor.busySinceMs)
    this.#ended(cursor)
    this.#running--
    return cursor
  }

  #ended(cursor: PartitionCursor): void {
    assert(cursor.isBusy, 'a callback settles once')
    cursor.isBusy = false
    cursor.busySinceMs = -1
  }

  /** After a promise: goes on with the partition's turn, then with whoever else is ready. */
  #resume(cursor: PartitionCursor, goesOn: boolean): void {
    if (goesOn && cursor.left > 0 && !this.#isPumping && !this.#isTurnSpent(cursor)) {
      this.#isPumping = true
      this.#run(cursor)
      this.#isPumping = false
    } else if (goesOn) this.enqueue(cursor)
    this.pump()
    cursor.rests()
    if (this.#isStopped && this.#isIdle) this.#onIdle?.()
  }

  /** The callback has returned; true when the turn may go on. */
  #finish(
    cursor: PartitionCursor,
    unit: AnyRecord | AnyRecord[],
    end: number,
    generation: number,
    result: unknown,
  ): boolean {
    const count = Array.isArray(unit) ? unit.length : 1
    cursor.pending = null
    cursor.attempts = 0
    cursor.left -= count
    this.#counters.records += count
    if (generation === cursor.generation) {
      cursor.position = end
      const { leaderEpoch } = cursor.reader // Of the batch it stands in: several may have been handed out at once.
      if (leaderEpoch >= 0) cursor.positionEpoch = leaderEpoch
    }
    if (result === false) this.#end()
    if (!this.#isStopped && !cursor.isInterrupted) return true
    this.enqueue(cursor)
    return false
  }

  #fail(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], end: number, generation: number, error: unknown): void {
    cursor.pending = null
    if (generation === cursor.generation) cursor.attempts++
    const verdict = this.#hooks.judge(cursor, unit, error, cursor.attempts)
    // Its partition has moved elsewhere meanwhile, perhaps just now by a listener that was told: nothing to try again.
    const isOver = generation !== cursor.generation || this.#isStopped
    if (isOver && verdict.action !== 'stop') this.enqueue(cursor)
    else if (verdict.action === 'retry') this.#retryLater(cursor, unit, end, verdict.delayMs)
    else if (verdict.action === 'dlq') this.#bury(cursor, unit, end, verdict.letter)
    else if (verdict.action === 'skip') {
      this.#finish(cursor, unit, end, generation, undefined)
      this.enqueue(cursor)
    } else this.#end()
  }

  #retryLater(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], end: number, delayMs: number): void {
    cursor.pending = unit
    cursor.pendingEnd = end
    cursor.retryTimer = this.#clock.setTimer(() => {
      cursor.retryTimer = null
      this.enqueue(cursor)
      this.pump()
    }, delayMs)
  }

  /** What had to wait: the callback once more, or the dead letter. True when it is done and the turn may go on. */
  #again(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[]): boolean {
    const { letter, pendingEnd } = cursor
    if (letter === null) return this.#call(cursor, unit, pendingEnd)
    this.#bury(cursor, unit, pendingEnd, letter)
    return false
  }

  /** The position moves when the letter is acknowledged; until then the partition waits, as for a callback. */
  #bury(cursor: PartitionCursor, unit: AnyRecord | AnyRecord[], end: number, letter: DeadLetter): void {
    const { generation } = cursor
    this.#times.rest()
    this.#open(cursor, unit, end, generation)
    cursor.letter = null
    this.#writing++
    void letter.write().then((delayMs) => {
      const isOver = cursor.pendingGeneration !== cursor.generation || this.#isStopped
      this.#ended(cursor)
      this.#writing--
      if (delayMs < 0) {
        return this.#resume(cursor, this.#finish(cursor, unit, end, cursor.pendingGeneration, undefined))
      }
      cursor.pending = null
      if (isOver) this.enqueue(cursor)
      else {
        cursor.letter = letter
        this.#retryLater(cursor, unit, end, delayMs)
      }
      this.#resume(cursor, false)
    })
  }

  /** Errors of the partition, before its next record; true when the turn may go on. */
  #tell(cursor: PartitionCursor): boolean {
    for (let error = takeError(cursor); error !== null; error = takeError(cursor)) {
      try {
        const result = callWithError(cursor, error)
        if (isThenable(result)) {
          this.#awaitTold(cursor, result)
          return false
        }
        this.#times.calls++
        if (result === false) this.#end()
      } catch (thrown) {
        this.#times.calls++
        this.#hooks.errorRefused(cursor, thrown)
      }
      if (this.#isStopped || cursor.isHeldBack) return false
    }
    return true
  }

  /** No position belongs to it: whatever rewinds meanwhile goes back to where processing stands. */
  #awaitTold(cursor: PartitionCursor, result: Promise<unknown>): void {
    this.#open(cursor, null, -1, -1)
    this.#running++
    const settle = (value: unknown) => {
      this.#settled(cursor)
      if (value === false) this.#end()
      const goesOn = !this.#isStopped && !cursor.isInterrupted
      if (!goesOn) this.enqueue(cursor)
      this.#resume(cursor, goesOn)
    }
    result.then(settle, (thrown: unknown) => {
      this.#hooks.errorRefused(cursor, thrown)
      settle(undefined)
    })
  }

  #end(): void {
    this.stop()
    this.#hooks.stopped()
  }
}

function hasWork(cursor: PartitionCursor): boolean {
  return cursor.pending !== null || cursor.errors !== null || cursor.reader.hasData
}
