/**
 * Calls the callback: records of a key in order, up to `concurrency` keys at a time, over all partitions (CO-14). Hot path.
 *
 *   ready queue -> turn of one partition: keys that have become free, then records from its reader -> back of the queue
 *
 * Why its own class: by partition one record at most is out and the position follows it; here many are, and it follows
 * the first gap. Slices, verdicts and what a callback may answer are the same as in `Dispatcher`.
 * A callback that returns no promise keeps nothing: no key is read, no job made, unless others of the partition are out.
 * Invariant: at most `#ahead` records of a partition are taken beyond its position, so one stuck key holds back its
 * partition, not our memory; what was taken is not read again (`takenEnd`). Source: features.md CO-9, CO-14.
 */
import type { MQError } from '../../errors/index.js'
import { type Clock, Deque } from '../../util/index.js'
import type { ConsumerCounters } from '../counters.js'
import type { AnyRecord, CallbackResult, PartitionCursor, RecordSink } from '../cursor.js'
import type { CallbackTimes } from './callback-times.js'
import type { DispatcherHooks, DispatcherOptions } from './dispatcher.js'
import { callWithError, isThenable, keepError, takeError } from './error-delivery.js'
import { type Chain, type Job, KeyedPartition, keyOf, type Open } from './keyed-partition.js'
import { whenOpened } from './opening.js'
import { isLookDue, LoopSlice } from './slice.js'

export class KeyedDispatcher implements RecordSink {
  readonly #concurrency: number
  readonly #maxPollRecords: number
  readonly #ahead: number
  readonly #hooks: DispatcherHooks
  readonly #counters: ConsumerCounters
  readonly #clock: Clock
  readonly #slice: LoopSlice
  readonly #times: CallbackTimes
  readonly #ready = new Deque<PartitionCursor>()
  readonly #partitions = new WeakMap<PartitionCursor, KeyedPartition>()
  readonly #waiting = new Set<Chain>() // for a retry
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
    this.#ahead = Math.max(options.maxPollRecords, options.concurrency)
    this.#hooks = hooks
    this.#counters = counters
    this.#clock = clock
    this.#slice = new LoopSlice(clock, () => this.pump(), hooks.begins, hooks.ended)
  }

  get running(): number {
    return this.#running
  }

  enqueue(cursor: PartitionCursor): void {
    if (this.#isStopped || cursor.isQueued || cursor.isHeldBack) return
    if (!this.#partitionOf(cursor).hasWork(this.#ahead)) return
    cursor.isQueued = true
    this.#ready.pushBack(cursor)
  }

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
      this.#turn(this.#partitionOf(cursor))
    }
    this.#isPumping = false
    this.#times.rest()
  }

  pumpSoon(): void {
    this.#slice.continueLater()
  }

  deliverError(cursor: PartitionCursor, error: MQError): void {
    keepError(cursor, error)
    this.enqueue(cursor)
    this.pumpSoon()
  }

  stop(): void {
    this.#isStopped = true
    this.#ready.clear()
    for (const chain of this.#waiting) chain.timer?.cancel()
    this.#waiting.clear()
    if (this.#isIdle) this.#onIdle?.()
  }

  whenIdle(task: () => void): void {
    if (this.#isIdle) task()
    else this.#onIdle = task
  }

  get #isIdle(): boolean {
    return this.#running + this.#writing === 0
  }

  #partitionOf(cursor: PartitionCursor): KeyedPartition {
    const known = this.#partitions.get(cursor)
    if (known !== undefined) return known
    const made = new KeyedPartition(cursor, this.#waiting)
    this.#partitions.set(cursor, made)
    return made
  }

  #turn(partition: KeyedPartition): void {
    const { cursor } = partition
    cursor.left = this.#maxPollRecords
    cursor.isInterrupted = false
    while (cursor.left > 0 && this.#mayStart(partition)) {
      if (cursor.errors !== null) this.#tell(partition)
      else if (!this.#step(partition)) return
      if (this.#isTurnSpent(cursor)) break
    }
    this.enqueue(cursor)
  }

  #isTurnSpent(cursor: PartitionCursor): boolean {
    if (!isLookDue(this.#maxPollRecords - cursor.left)) return false
    const isSpent = this.#slice.isTimeUp()
    this.#times.mark(this.#slice.nowMs)
    return isSpent
  }

  #mayStart(partition: KeyedPartition): boolean {
    if (this.#isStopped || partition.cursor.isHeldBack || this.#running >= this.#concurrency) return false
    return partition.hasWork(this.#ahead)
  }

  /** One record: of a key that has become free, else from the reader. False when there is none to be had now. */
  #step(partition: KeyedPartition): boolean {
    const chain = partition.lineage.ready.popFront()
    if (chain !== undefined) {
      this.#again(partition, chain.jobs.peekFront() as Job)
      return true
    }
    const record = this.#next(partition)
    if (record !== null) this.#take(partition, record)
    return record !== null
  }

  /** As in `Dispatcher`: the next record, or null when a batch is being opened, cannot be read, or there is none. */
  #next(partition: KeyedPartition): AnyRecord | null {
    const { cursor } = partition
    const { reader } = cursor
    try {
      for (;;) {
        const record = reader.next()
        if (record !== null) return record
        const opened = reader.openNext()
        partition.passed(reader.position, reader.leaderEpoch)
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

  #waitFor(cursor: PartitionCursor, opening: Promise<void>): void {
    const go = () => {
      this.enqueue(cursor)
      this.pump()
    }
    whenOpened(cursor, opening, go, (error) => {
      this.#hooks.unreadable(cursor, error)
      go()
    })
  }

  /** Called at once when nothing of its key is out, else it waits in its chain. */
  #take(partition: KeyedPartition, record: AnyRecord): void {
    const { cursor, lineage } = partition
    const end = record.offset + 1
    cursor.takenEnd = end
    if (lineage.chains.size > 0 && lineage.chains.has(keyOf(record))) {
      lineage.add(record, end)
      return
    }
    cursor.left--
    let result: CallbackResult
    try {
      result = cursor.delivery.perRecord?.(record, cursor.tp, null)
    } catch (error) {
      this.#times.calls++
      this.#fail(partition, lineage.add(record, end), error)
      return
    }
    if (isThenable(result)) return this.#await(partition, lineage.add(record, end), result)
    this.#times.calls++
    this.#counters.records++
    if (!lineage.isOver) {
      if (lineage.tracker.size > 0) lineage.tracker.done(lineage.tracker.take(end, record.leaderEpoch))
      else {
        cursor.position = end
        cursor.positionEpoch = record.leaderEpoch
      }
    }
    if (result === false) this.#end()
  }

  /** What had to wait: for its key, for its retry, or to be written elsewhere. */
  #again(partition: KeyedPartition, job: Job): void {
    const { cursor } = partition
    if (job.letter !== null) return this.#bury(partition, job, job.letter)
    cursor.left--
    let result: CallbackResult
    try {
      result = cursor.delivery.perRecord?.(job.record, cursor.tp, null)
    } catch (error) {
      this.#times.calls++
      return this.#fail(partition, job, error)
    }
    if (isThenable(result)) return this.#await(partition, job, result)
    this.#times.calls++
    this.#finish(partition, job, result)
  }

  #await(partition: KeyedPartition, job: Job, result: Promise<unknown>): void {
    this.#opened(partition, job)
    result.then(
      (value) => {
        this.#closed(partition, job)
        this.#finish(partition, job, value)
        this.#goOn(partition)
      },
      (error: unknown) => {
        this.#closed(partition, job)
        this.#fail(partition, job, error)
        this.#goOn(partition)
      },
    )
  }

  #opened(partition: KeyedPartition, open: Open): void {
    this.#running++
    partition.opened(open, this.#times.opened())
  }

  #closed(partition: KeyedPartition, open: Open): void {
    this.#running--
    this.#times.settled(open.sinceMs)
    partition.closed(open)
  }

  /** Behind a promise: with this partition and whoever else is ready. */
  #goOn(partition: KeyedPartition): void {
    this.enqueue(partition.cursor)
    this.pump()
    partition.cursor.rests()
    if (this.#isStopped && this.#isIdle) this.#onIdle?.()
  }

  /** The record is processed: its key may go on, and the position if nothing before it is open. */
  #finish(partition: KeyedPartition, job: Job, result: unknown): void {
    this.#counters.records++
    if (!job.lineage.isOver) {
      partition.processed(job)
      job.lineage.end(job)
    }
    if (result === false) this.#end()
  }

  #fail(partition: KeyedPartition, job: Job, error: unknown): void {
    const verdict = this.#hooks.judge(partition.cursor, job.record, error, ++job.attempts)
    // The partition has moved meanwhile, perhaps just now by a listener that was told: nothing to try again.
    const isOver = job.lineage.isOver || this.#isStopped
    if (verdict.action === 'stop') this.#end()
    else if (isOver) return
    else if (verdict.action === 'retry') this.#retryLater(partition, job, verdict.delayMs)
    else if (verdict.action === 'dlq') this.#bury(partition, job, verdict.letter)
    else this.#finish(partition, job, undefined)
  }

  #retryLater(partition: KeyedPartition, job: Job, delayMs: number): void {
    const { chain, lineage } = job
    this.#waiting.add(chain)
    chain.timer = this.#clock.setTimer(() => {
      chain.timer = null
      this.#waiting.delete(chain)
      lineage.ready.pushBack(chain)
      this.enqueue(partition.cursor)
      this.pump()
    }, delayMs)
  }

  /** The record counts as processed when its letter is acknowledged; until then its key waits. */
  #bury(partition: KeyedPartition, job: Job, letter: NonNullable<Job['letter']>): void {
    job.letter = letter
    this.#writing++
    partition.opened(job, this.#clock.monotonicMs())
    void letter.write().then((delayMs) => {
      this.#writing--
      partition.closed(job)
      if (delayMs < 0) this.#finish(partition, job, undefined)
      else if (!job.lineage.isOver && !this.#isStopped) this.#retryLater(partition, job, delayMs)
      this.#goOn(partition)
    })
  }

  /** One error of the partition; nothing of it is out. */
  #tell(partition: KeyedPartition): void {
    const { cursor } = partition
    try {
      const result = callWithError(cursor, takeError(cursor) as MQError)
      if (isThenable(result)) return this.#awaitTold(partition, result)
      this.#times.calls++
      if (result === false) this.#end()
    } catch (thrown) {
      this.#times.calls++
      this.#hooks.errorRefused(cursor, thrown)
    }
  }

  #awaitTold(partition: KeyedPartition, result: Promise<unknown>): void {
    const open: Open = { sinceMs: -1 }
    partition.isTelling = true
    this.#opened(partition, open)
    const settle = (value: unknown) => {
      partition.isTelling = false
      this.#closed(partition, open)
      if (value === false) this.#end()
      this.#goOn(partition)
    }
    result.then(settle, (thrown: unknown) => {
      this.#hooks.errorRefused(partition.cursor, thrown)
      settle(undefined)
    })
  }

  #end(): void {
    this.stop()
    this.#hooks.stopped()
  }
}
