/**
 * Sends that wait for memory (`onFull: 'block'`): first come, first served, and nothing overtakes them.
 * Each waits at most `maxBlockMs`; past it, TIMEOUT/BUFFER_FULL (WAL_FULL when memory waits for the log), and nothing of the record was taken. One that is
 * aborted leaves at once. `flush` stands in the same line, so that it counts in who came before it and nobody else.
 * Invariant: one task serves the line, and it never goes round without having waited for room that it did not have.
 */
import type { MemoryBudget } from '../channel/index.js'
import { MQError, toMQError } from '../errors/index.js'
import { type Clock, runInBackground } from '../util/index.js'

export interface BlockedSend {
  /** Bytes the record needs at least; doubled when that was not enough. */
  bytes: number
  /** Places among `bufferMaxRecords`: 1, or 0 where they are not counted or it has one. */
  readonly records: number
  readonly deadlineMs: number // monotonic
  readonly signal: AbortSignal | undefined
  /** Counted as accepted already: it waited for metadata before. */
  readonly isAccepted: boolean
  /** Tries again; false: memory is still full. */
  attempt(): boolean
  fail(error: MQError): void
  /** Its signal took it out of the line: it is not sent. */
  withdrawn(): void
}

/** Something to do as soon as everybody before it has gone. */
interface Mark {
  readonly task: () => void
}

type Place = BlockedSend | Mark

export class BlockedSends {
  readonly #budget: MemoryBudget
  readonly #clock: Clock
  readonly #maxBlockMs: number
  /** Memory is full of what the write-ahead log does not take. */
  readonly #isLogFull: () => boolean
  readonly #line = new Set<Place>() // in order of arrival
  readonly #first = new Set<Place>() // records that were accepted before anybody in the line came
  readonly #leave = new Map<BlockedSend, () => void>() // listeners of abort signals
  #isRunning = false
  /** Sends in the line. */
  size = 0
  /** Of these, sends that were not accepted yet. */
  newSends = 0
  #blockedMs = 0 // until #countedMs
  #countedMs = 0 // monotonic

  constructor(budget: MemoryBudget, clock: Clock, maxBlockMs: number, isLogFull: () => boolean = () => false) {
    this.#budget = budget
    this.#clock = clock
    this.#maxBlockMs = maxBlockMs
    this.#isLogFull = isLogFull
  }

  /** Records that were accepted earlier wait here: what comes behind them must come behind them too. */
  get hasFirst(): boolean {
    return this.#first.size > 0
  }

  /** Time that sends spent here, all of them summed, those that still wait too. Milliseconds. */
  get blockedMs(): number {
    this.#countTime()
    return this.#blockedMs
  }

  /** Before `size` changes: so many have waited since the last time. */
  #countTime(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#blockedMs += this.size * (nowMs - this.#countedMs)
    this.#countedMs = nowMs
  }

  add(send: BlockedSend): void {
    this.#countTime()
    if (send.isAccepted) this.#first.add(send)
    else {
      this.#line.add(send)
      this.newSends++
    }
    this.size++
    if (send.signal !== undefined) {
      const leave = () => {
        this.#remove(send)
        send.withdrawn()
      }
      this.#leave.set(send, leave)
      send.signal.addEventListener('abort', leave, { once: true })
    }
    if (this.#isRunning) return
    this.#isRunning = true
    runInBackground(
      'blocked sends',
      () => this.#run(),
      () => {},
    )
  }

  /** Runs `task` when everybody who waits now has gone; at once when nobody does. */
  afterThese(task: () => void): void {
    if (this.size === 0 && this.#line.size === 0) task()
    else this.#line.add({ task })
  }

  /** The same for those who were accepted before. */
  afterFirst(task: () => void): void {
    if (this.#first.size === 0) task()
    else this.#first.add({ task })
  }

  failAll(error: MQError): void {
    for (const place of [...this.#first, ...this.#line]) {
      this.#remove(place)
      if ('task' in place) place.task()
      else place.fail(error)
    }
    this.#budget.rejectWaiters(() => error)
  }

  async #run(): Promise<void> {
    for (let head = this.#head; head !== undefined; head = this.#head) {
      if ('task' in head) {
        this.#remove(head)
        head.task()
      } else await this.#serve(head)
    }
    this.#isRunning = false
  }

  get #head(): Place | undefined {
    return this.#first.values().next().value ?? this.#line.values().next().value
  }

  async #serve(send: BlockedSend): Promise<void> {
    const error = await this.#room(send)
    if (this.#head !== send) return // While it waited it was aborted, failed with all others, or has one before it.
    if (error !== null) {
      this.#remove(send)
      send.fail(error)
    } else if (send.attempt()) this.#remove(send)
    else if (send.bytes < this.#budget.limitBytes) {
      send.bytes = Math.min(2 * send.bytes, this.#budget.limitBytes) // Its batch wants a larger piece.
    } else {
      this.#remove(send)
      send.fail(this.#noRoom(send.bytes)) // All memory is free, and still it is not taken: waiting would not help.
    }
  }

  /** Waits until there is room for one more arena. We are the only one who waits there, so nobody slips in between. */
  async #room(send: BlockedSend): Promise<MQError | null> {
    const { bytes, records, deadlineMs, signal } = send
    const timeoutMs = deadlineMs - this.#clock.monotonicMs()
    try {
      if (timeoutMs <= 0) return this.#roomNow(bytes, records)
      await this.#budget.waitForRoom(bytes, { records, timeoutMs, signal, clock: this.#clock })
      this.#budget.give(bytes, records)
      return null
    } catch (error) {
      const known = toMQError(error, 'TIMEOUT', 'waiting for buffer memory failed')
      return known.is('TIMEOUT') ? this.#noRoom(bytes) : known // The budget knows only what was left of the time.
    }
  }

  /** Those whose time is over together are told together, without a timer each. */
  #roomNow(bytes: number, records: number): MQError | null {
    if (!this.#budget.tryTake(bytes, records)) return this.#noRoom(bytes)
    this.#budget.give(bytes, records)
    return null
  }

  #noRoom(bytes: number): MQError {
    const { usedBytes, limitBytes } = this.#budget
    const timeoutMs = this.#maxBlockMs
    const isLogFull = this.#isLogFull()
    const advice = isLogFull
      ? 'it waits for the write-ahead log, which is full: raise wal.maxBytes'
      : 'raise bufferMemoryBytes'
    const text =
      `no room for ${bytes} B in the buffer memory (${usedBytes} of ${limitBytes} B are used) within ` +
      `maxBlockMs ${timeoutMs}: ${advice}, or send more slowly`
    const reason = isLogFull ? 'WAL_FULL' : 'BUFFER_FULL'
    return new MQError('TIMEOUT', text, { reason, bytes, usedBytes, limitBytes, timeoutMs })
  }

  #remove(place: Place): void {
    if (!(this.#line.delete(place) || this.#first.delete(place)) || 'task' in place) return
    this.#countTime()
    this.size--
    if (!place.isAccepted) this.newSends--
    const leave = this.#leave.get(place)
    if (leave === undefined) return
    this.#leave.delete(place)
    place.signal?.removeEventListener('abort', leave)
  }
}
