/**
 * The way through the log, for records that memory has no room for: `onFull: 'spill'`. CH-17.
 *
 *   write ─> memory full ─> push ─> log ─> read (a page) ─> charged, appended to active, sealed ─> shift
 *
 * Invariants: once one record is in the log every later one goes there too, until the log is empty and its last page is in
 * memory, so the order of writing is the order of reading; one read is on its way at a time; a record is in the log until it
 * is in memory; what cannot be brought back lets nothing behind it pass, is told once and tried again; nobody overtakes a
 * writer that waits. What `stop` leaves in the log stays there for the next channel.
 */
import { type MQError, toMQError } from '../../errors/index.js'
import { assert, type Clock, runInBackground, type TimerHandle } from '../../util/index.js'
import { spillWaitTimedOut, writerClosed } from '../channel-errors.js'
import { WaiterQueue, type WaitOptions } from '../waiters.js'
import type { SpillLog } from './spill-log.js'

/** Bytes of one read from the log, at most; less when the budget is small, so that one page fits above the resume limit. */
const PAGE_BYTES = 1024 * 1024
const PAGE_SHARE = 1 / 4
/** Until what failed is tried again. Milliseconds. */
const RETRY_MS = 1000

/** What it needs of its channel. */
export interface SpillHost {
  readonly clock: Clock
  /** Of the memory budget. */
  readonly limitBytes: number
  /** The memory in use is at or below the resume limit. */
  readonly hasRoom: boolean
  /** Puts one payload of the log into memory and gives the bytes it counts for; -1: it does not fit now. Throws: it cannot be decoded. */
  bringIn(payload: Uint8Array): number
  /** Makes what was brought in readable. */
  seal(): void
  /** From here on (or no longer) everything that is written goes through the log. May be said again. */
  divert(isDiverted: boolean): void
  raise(error: MQError): void
}

/** A write that waits for the log, or for memory when the log is empty. */
export interface SpillWrite {
  readonly payload: Uint8Array
  readonly bytes: number
  /** Takes room in memory; false: there is none. */
  admit(): boolean
  /** Puts it there, and gives what `write` gives. */
  append(): boolean
}

interface Placed {
  result: boolean
  error: MQError | null
}

export class Spilling {
  readonly #log: SpillLog
  readonly #host: SpillHost
  readonly #pageBytes: number
  readonly #waiters = new WaiterQueue<Placed, SpillWrite>(() => this.freed())
  readonly #drainers = new WaiterQueue<void>()
  #page: readonly Uint8Array[] = []
  #next = 0 // of the page
  #unshifted = 0 // in memory already, and not dropped from the log
  #recovered: number // of an earlier life, and still in the log
  #bytes = 0 // of what is in the log of this life
  #spilled = 0
  #leftRecords = 0 // in the log when it stopped
  #isReading = false
  #isStopped = false
  #hasFailed = false // since something was brought in the last time
  #isLookDue = false
  readonly #look = () => {
    this.#isLookDue = false
    if (this.#isStopped) return
    this.#serve()
    this.#refill()
  }
  #retry: TimerHandle | null = null

  constructor(log: SpillLog, host: SpillHost) {
    this.#log = log
    this.#host = host
    this.#pageBytes = Math.max(1, Math.min(PAGE_BYTES, Math.floor(host.limitBytes * PAGE_SHARE)))
    this.#recovered = log.records
  }

  /** Begins with what an earlier life left. */
  start(): void {
    this.#log.onRoom = () => this.freed()
    this.#tellDiverted()
    this.freed()
  }

  /** Records that are in the log and not in memory. */
  get records(): number {
    return this.#isStopped ? this.#leftRecords : this.#log.records - this.#unshifted
  }

  /** Their bytes, as `write` counts them; those of an earlier life count when they are brought in. */
  get bytes(): number {
    return this.#bytes
  }

  /** Records written to the log so far. */
  get spilled(): number {
    return this.#spilled
  }

  /** Into the log; false: it has no room, or somebody waits for it. Throws what the log throws. */
  push(payload: Uint8Array, bytes: number): boolean {
    return this.#waiters.size === 0 && this.#take(payload, bytes)
  }

  /** Waits, in the order of calls, for room in the log, or in memory once the log is empty. Gives what `write` gives. */
  async wait(write: SpillWrite, options: WaitOptions): Promise<boolean> {
    const late = () => spillWaitTimedOut(write.bytes, options.timeoutMs, this.records)
    const { promise } = this.#waiters.add(write, options, late)
    this.#tellDiverted()
    this.freed()
    const { result, error } = await promise
    if (error !== null) throw error
    return result
  }

  /**
   * Memory came free, or room in the log: those who wait are let in and what fits is brought back, once for all calls of
   * this turn. Never at once: it is called from within reading and writing, and gives readers records itself.
   */
  freed(): void {
    if (this.#isLookDue) return
    this.#isLookDue = true
    queueMicrotask(this.#look)
  }

  /** Resolves with true when nothing is in the log any more, with false after `timeoutMs`. */
  async emptied(timeoutMs: number): Promise<boolean> {
    if (this.#log.records === 0) return true
    const late = () => spillWaitTimedOut(0, timeoutMs, this.records)
    const { promise } = this.#drainers.add(undefined, { timeoutMs, clock: this.#host.clock }, late)
    return promise.then(
      () => true,
      () => false, // What is left is reported as undelivered.
    )
  }

  /** Nobody waits any more: the channel closes. What is in the log is still brought back. */
  refuse(): void {
    this.#waiters.rejectAll(writerClosed)
  }

  /** The end: what is still in the log stays there. */
  stop(): void {
    this.#leftRecords = this.records
    this.#isStopped = true
    this.#page = []
    this.#retry?.cancel()
    this.#retry = null
    this.#log.onRoom = null
    this.#host.divert(false)
  }

  #take(payload: Uint8Array, bytes: number): boolean {
    if (!this.#log.push(payload)) return false
    this.#spilled++
    this.#bytes += bytes
    this.#tellDiverted()
    this.freed()
    return true
  }

  // --- those who wait ---

  #serve(): void {
    for (let write = this.#waiters.firstNeed; write !== undefined; write = this.#waiters.firstNeed) {
      if (!this.#place(write)) break
    }
    this.#tellDiverted()
    if (this.#log.records === 0) this.#drainers.wake(this.#drainers.size, undefined)
  }

  #tellDiverted(): void {
    this.#host.divert(this.#log.records > 0 || this.#waiters.size > 0)
  }

  /** False: there is no room for the first who waits. It leaves the queue before anybody can be told of its record. */
  #place(write: SpillWrite): boolean {
    const placed: Placed = { result: false, error: null }
    if (this.#log.records === 0 && write.admit()) {
      this.#waiters.wake(1, placed)
      try {
        placed.result = write.append()
      } catch (cause) {
        placed.error = toMQError(cause, 'PRODUCE_FAILED', 'the record was not taken')
      }
      return true
    }
    try {
      if (!this.#take(write.payload, write.bytes)) return false
    } catch (cause) {
      placed.error = toMQError(cause, 'PRODUCE_FAILED', 'the spill log took no record')
    }
    this.#waiters.wake(1, placed)
    return true
  }

  // --- back into memory ---

  #refill(): void {
    if (this.#isReading || this.#retry !== null || this.#log.records === 0 || !this.#host.hasRoom) return
    this.#isReading = true
    runInBackground(
      'bringing records back from the spill log',
      () => this.#read(),
      (_name, error) => this.#failed(error),
    )
  }

  async #read(): Promise<void> {
    try {
      this.#shift()
      while (!this.#isStopped && this.#log.records > 0 && this.#host.hasRoom) {
        if (this.#next === this.#page.length) await this.#turnPage()
        if (this.#isStopped) return
        if (!this.#bringIn()) break // Goes on when some is given back; readers that were served have done so already.
      }
    } finally {
      this.#isReading = false
    }
    if (!this.#isStopped) this.#serve()
  }

  async #turnPage(): Promise<void> {
    this.#page = await this.#log.read(this.#pageBytes)
    this.#next = 0
    assert(this.#page.length > 0 || this.#isStopped, 'a spill log that holds records gives at least one')
  }

  /** Of the page, what fits; false: not all. */
  #bringIn(): boolean {
    try {
      for (; this.#next < this.#page.length; this.#next++) {
        if (!this.#bringInOne(this.#page[this.#next] as Uint8Array)) return false
      }
      return true
    } finally {
      this.#host.seal()
      this.#shift()
    }
  }

  #bringInOne(payload: Uint8Array): boolean {
    // First: whoever is told of the record sees it counted once.
    this.#unshifted++
    let bytes = -1
    try {
      bytes = this.#host.bringIn(payload)
    } finally {
      if (bytes < 0) this.#unshifted--
    }
    if (bytes < 0) return false
    this.#hasFailed = false
    if (this.#recovered > 0) this.#recovered--
    else this.#bytes -= bytes
    return true
  }

  /** Drops from the log what is in memory. Throws what the log throws; then it is tried again before anything is read. */
  #shift(): void {
    if (this.#unshifted === 0) return
    this.#log.shift(this.#unshifted)
    this.#unshifted = 0
  }

  #failed(cause: unknown): void {
    if (this.#isStopped) return
    this.#retry = this.#host.clock.setTimer(() => {
      this.#retry = null
      this.freed()
    }, RETRY_MS)
    if (this.#hasFailed) return
    this.#hasFailed = true
    const text = 'records could not be brought back from the spill log: they stay in it, and it is tried again'
    this.#host.raise(toMQError(cause, 'DECOMPRESSION_FAILED', text))
  }
}
