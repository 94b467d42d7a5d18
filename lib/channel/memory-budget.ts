/**
 * One bound for everything that is buffered: active, sealed, in flight, scratch, leased. Hot path, once per arena or write.
 * Invariants: `usedBytes` never exceeds `limitBytes`; what was taken is given back exactly once; each crossing of the
 * soft limit upwards and of the resume limit downwards is told once; while somebody waits for room nobody overtakes
 * them. CH-17, P-4, P-7, PR-17.
 *
 *   0 ------------- resume 60 % --- soft 80 % --- hard 95 % - limit
 *                   onResume <-     -> onSoft     -> tryTake says no; the rest is the reserve
 */
import { MQError } from '../errors/index.js'
import { assert } from '../util/index.js'
import { WaiterQueue, type WaitOptions } from './waiters.js'

export interface BudgetLimits {
  readonly limitBytes: number
  /** Unset = records are not bounded. */
  readonly limitRecords?: number | undefined
  /** Percent of both limits: default 80, 60, 95; resume <= soft <= hard <= 100. */
  readonly softPercent?: number | undefined
  readonly resumePercent?: number | undefined
  readonly hardPercent?: number | undefined
}

interface Room {
  readonly bytes: number
  readonly records: number
}

export class MemoryBudget {
  readonly limitBytes: number
  readonly limitRecords: number
  /** Set by the one owner; called after the crossing, once per crossing. */
  onSoft: (() => void) | null = null
  onResume: (() => void) | null = null
  readonly #softBytes: number
  readonly #softRecords: number
  readonly #resumeBytes: number
  readonly #resumeRecords: number
  readonly #hardBytes: number
  readonly #hardRecords: number
  readonly #rooms = new WaiterQueue<void, Room>(() => this.#serve())
  readonly #resumes = new WaiterQueue<void>()
  #usedBytes = 0
  #usedRecords = 0
  #peakBytes = 0
  #isSoft = false

  constructor(limits: BudgetLimits) {
    const { limitBytes, limitRecords, softPercent, resumePercent, hardPercent } = checked(limits)
    this.limitBytes = limitBytes
    this.limitRecords = limitRecords
    this.#softBytes = shareOf(limitBytes, softPercent)
    this.#softRecords = shareOf(limitRecords, softPercent)
    this.#resumeBytes = shareOf(limitBytes, resumePercent)
    this.#resumeRecords = shareOf(limitRecords, resumePercent)
    this.#hardBytes = shareOf(limitBytes, hardPercent)
    this.#hardRecords = shareOf(limitRecords, hardPercent)
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get usedRecords(): number {
    return this.#usedRecords
  }

  /** Highest `usedBytes` so far. */
  get peakBytes(): number {
    return this.#peakBytes
  }

  /** True from the crossing of the soft limit until the use is back at the resume limit. */
  get isSoft(): boolean {
    return this.#isSoft
  }

  /** True when `onFull` applies: the hard limit is reached, or somebody waits already. */
  get isHard(): boolean {
    return this.#usedBytes >= this.#hardBytes || this.#usedRecords >= this.#hardRecords || this.#rooms.size > 0
  }

  /** The use is at or below the resume limit. */
  get isAtResume(): boolean {
    return this.#usedBytes <= this.#resumeBytes && this.#usedRecords <= this.#resumeRecords
  }

  /** Callers parked in `waitForRoom`. */
  get waiters(): number {
    return this.#rooms.size
  }

  /** What `tryTake` would say. */
  hasRoom(bytes: number, records: number): boolean {
    return this.#rooms.size === 0 && this.#hasRoom(bytes, records)
  }

  /** Takes room if the use is below the hard limit, stays within the limit, and nobody waits. */
  tryTake(bytes: number, records: number): boolean {
    const usedBytes = this.#usedBytes + bytes
    const usedRecords = this.#usedRecords + records
    // Who stays below the soft limits is below all others too, and crosses none: three comparisons for nearly every write.
    if (usedBytes < this.#softBytes && usedRecords < this.#softRecords && this.#rooms.size === 0) {
      this.#usedBytes = usedBytes
      this.#usedRecords = usedRecords
      if (usedBytes > this.#peakBytes) this.#peakBytes = usedBytes
      return true
    }
    if (!this.hasRoom(bytes, records)) return false
    this.#take(bytes, records)
    return true
  }

  /** As `tryTake`, but up to the limit and past those who wait: for work that makes room, such as a codec's scratch. */
  tryTakeReserve(bytes: number, records: number): boolean {
    if (!this.#fits(bytes, records)) return false
    this.#take(bytes, records)
    return true
  }

  /** Gives back what was taken, and serves those who wait, in their order. */
  give(bytes: number, records: number): void {
    this.#usedBytes -= bytes
    this.#usedRecords -= records
    assert(this.#usedBytes >= 0 && this.#usedRecords >= 0, 'more was given back to the memory budget than was taken')
    if (this.#rooms.size > 0) this.#serve()
    if (this.#isSoft) this.#checkResume()
  }

  /**
   * Waits until there is room and resolves with that room **already taken**, so that nobody slips in between; give it
   * back with `give`. Rejects `TIMEOUT/BUFFER_FULL` after `timeoutMs`, and at once with `MESSAGE_TOO_LARGE` what could
   * never fit.
   * The caller goes on one microtask later: who must keep an order counts its waiting calls until they went on, and lets
   * nothing pass meanwhile, as `BufferedChannel` does.
   */
  waitForRoom(bytes: number, options: WaitOptions & { readonly records?: number | undefined } = {}): Promise<void> {
    const records = options.records ?? 0
    if (bytes > this.limitBytes || records > this.limitRecords) return Promise.reject(this.#neverFits(bytes, records))
    if (options.signal?.aborted !== true && this.tryTake(bytes, records)) return Promise.resolve()
    return this.#rooms.add({ bytes, records }, options, () => this.#timedOut(bytes, options.timeoutMs)).promise
  }

  /** Resolves at once below the soft limit, else when the use is back at the resume limit. Takes nothing. */
  ready(options: WaitOptions = {}): Promise<void> {
    if (!this.#isSoft && options.signal?.aborted !== true) return Promise.resolve()
    return this.#resumes.add(undefined, options, () => this.#timedOut(0, options.timeoutMs)).promise
  }

  /** Nobody will be served any more: everybody who waits is rejected. */
  rejectWaiters(error: () => MQError): void {
    this.#rooms.rejectAll(error)
    this.#resumes.rejectAll(error)
  }

  #fits(bytes: number, records: number): boolean {
    return this.#usedBytes + bytes <= this.limitBytes && this.#usedRecords + records <= this.limitRecords
  }

  /** Each measure limits those who ask for some of it: whoever has a place for a record may still take its bytes. */
  #hasRoom(bytes: number, records: number): boolean {
    const isBytesFull = bytes > 0 && this.#usedBytes >= this.#hardBytes
    const isRecordsFull = records > 0 && this.#usedRecords >= this.#hardRecords
    return !isBytesFull && !isRecordsFull && this.#fits(bytes, records)
  }

  #take(bytes: number, records: number): void {
    this.#usedBytes += bytes
    this.#usedRecords += records
    if (this.#usedBytes > this.#peakBytes) this.#peakBytes = this.#usedBytes
    if (!this.#isSoft && (this.#usedBytes >= this.#softBytes || this.#usedRecords >= this.#softRecords)) {
      this.#isSoft = true
      this.onSoft?.()
    }
  }

  /** FIFO: a small wish does not pass a large one in front of it. */
  #serve(): void {
    for (let need = this.#rooms.firstNeed; need !== undefined; need = this.#rooms.firstNeed) {
      if (!this.#hasRoom(need.bytes, need.records)) return
      // Out of the queue first: `onSoft` may look at us.
      this.#rooms.wake(1, undefined)
      this.#take(need.bytes, need.records)
    }
  }

  #checkResume(): void {
    if (!this.isAtResume) return
    this.#isSoft = false
    this.#resumes.wake(this.#resumes.size, undefined)
    this.onResume?.()
  }

  #timedOut(bytes: number, timeoutMs: number | undefined): MQError {
    const waitedMs = timeoutMs === undefined ? undefined : Math.round(timeoutMs)
    const used = `${this.#usedBytes} of ${this.limitBytes} B are used`
    const text = `no room in the buffer memory within ${waitedMs} ms (${used}): raise bufferMemoryBytes, or write more slowly`
    return new MQError('TIMEOUT', text, { reason: 'BUFFER_FULL', ...this.#numbers(bytes), timeoutMs: waitedMs })
  }

  #neverFits(bytes: number, records: number): MQError {
    const text = `${bytes} B in ${records} records can never fit into ${this.limitBytes} B: raise bufferMemoryBytes`
    return new MQError('MESSAGE_TOO_LARGE', text, this.#numbers(bytes))
  }

  #numbers(bytes: number): Record<string, number> {
    return { bytes, usedBytes: this.#usedBytes, limitBytes: this.limitBytes, usedRecords: this.#usedRecords }
  }
}

/** 0 % of no limit is no limit: `Infinity * 0` would be no number, and no comparison with it holds. */
function shareOf(limit: number, percent: number): number {
  return limit === Number.POSITIVE_INFINITY ? limit : (limit * percent) / 100
}

function isLimit(limit: unknown): boolean {
  return typeof limit === 'number' && limit >= 1
}

function checked(limits: BudgetLimits) {
  const { limitBytes, limitRecords = Number.POSITIVE_INFINITY } = limits
  const { softPercent = 80, resumePercent = 60, hardPercent = 95 } = limits
  if (!(isLimit(limitBytes) && isLimit(limitRecords))) {
    const field = isLimit(limitBytes) ? 'bufferMaxRecords' : 'bufferMemoryBytes'
    const text = `bufferMemoryBytes ${limitBytes}, bufferMaxRecords ${limitRecords}: expected >= 1`
    throw new MQError('INVALID_CONFIG', text, { field, limitBytes, limitRecords })
  }
  if (!(resumePercent >= 0 && resumePercent <= softPercent && softPercent <= hardPercent && hardPercent <= 100)) {
    throw new MQError(
      'INVALID_CONFIG',
      `resumePercent ${resumePercent}, softPercent ${softPercent}, hardPercent ${hardPercent}: expected 0 <= resume <= soft <= hard <= 100`,
      { field: 'softPercent', resumePercent, softPercent, hardPercent },
    )
  }
  return { limitBytes, limitRecords, softPercent, resumePercent, hardPercent }
}
