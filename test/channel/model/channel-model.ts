/**
 * What a channel is, as lists: records in one order, who waits for what, what is held; and the end.
 * It is told what was called and what was seen from outside, and says what must follow.
 * Source: features.md CH-11..CH-19.
 */
import { BudgetModel } from './budget.js'
import {
  type Alarm,
  type Call,
  type CallbackModel,
  type Continuation,
  check,
  type IteratorModel,
  type Rec,
  type SealedModel,
  type Waiting,
} from './model-types.js'
import { evictCount } from './rules.js'
import type { Setup } from './setup.js'
import { SwitchModel } from './switch-model.js'

export class ChannelModel extends SwitchModel {
  readonly budget: BudgetModel
  reading: SealedModel | null = null
  readonly taken: SealedModel[] = []
  isOpen = true
  state: 'open' | 'closing' | 'closed' = 'open'
  refused = 0
  readRecords = 0
  readBytes = 0
  failedReads = 0
  dropped = 0
  discarded = 0
  dropEvents = 0
  errorEvents = 0
  readonly readers: Waiting[] = []
  readonly writers: Waiting[] = []
  readonly readyWaiters: Waiting[] = []
  continuations: Continuation[] = []
  callbacks: CallbackModel[] = []
  /** Callbacks whose promise is open, the unsubscribed ones too. */
  running = 0
  /** The end was reached in this operation: let promises go on before anything else is called. */
  hasJustClosed = false
  #next = 0
  #close: { call: Call; pending: number; untilMs: number; isOver: boolean } | null = null
  readonly #setup: Setup

  constructor(setup: Setup, now: () => number) {
    super(setup.tuning, now)
    this.#setup = setup
    const resumed = () => this.#settleAll(this.readyWaiters, 'ok')
    this.budget = new BudgetModel(setup.limits, () => this.#letWritersIn(), resumed)
  }

  get pending(): number {
    return this.written - this.readRecords - this.dropped - this.discarded
  }

  get readable(): number {
    const inReading = this.reading === null ? 0 : this.reading.records.length - this.reading.read
    return this.sealed.reduce((sum, { records }) => sum + records.length, inReading)
  }

  get isBlocked(): boolean {
    return this.writers.length + this.continuations.length > 0
  }

  chargeOf(bytes: number): number {
    return this.#setup.kind === 'bytes' ? Math.max(16, bytes) : bytes
  }

  isLeased({ bytes }: Rec): boolean {
    return this.#setup.kind === 'bytes' && (this.#setup.readMode === 'zeroCopy' || (bytes >= 1024 && bytes <= 32_768))
  }

  // --- writing -----------------------------------------------------------------------------------------------------

  write(record: Rec): string {
    if (!this.isOpen) return this.#refuse('PRODUCER_CLOSED')
    if (!this.isBlocked && this.budget.tryTake(record.charge)) return this.append(record)
    if (record.charge > this.#setup.limits.bytes) return this.#refuse('MESSAGE_TOO_LARGE')
    this.seal('a write at the limit ends the window')
    if (!this.isBlocked && this.budget.tryTake(record.charge)) return this.append(record)
    if (this.#setup.onFull === 'dropOldest' && this.#makeRoom(record.charge)) return this.append(record)
    return this.#refuse('POOL_EXHAUSTED')
  }

  writeAsync(call: Call, record: Rec, timeoutMs: number, isAborted: boolean): void {
    if (this.isOpen && !this.isBlocked && this.budget.tryTake(record.charge)) {
      call.expected = this.append(record)
      return
    }
    if (!this.isOpen || this.#setup.onFull !== 'block') {
      call.expected = this.write(record)
      return
    }
    this.seal('a writer that waits ends the window')
    let error: string | null = null
    if (record.charge > this.#setup.limits.bytes) error = 'MESSAGE_TOO_LARGE'
    else if (isAborted) error = 'aborted'
    else if (this.writers.length > 0 || !this.budget.tryTake(record.charge)) {
      this.writers.push({ call, record, max: 0, untilMs: this.now() + timeoutMs })
      if (timeoutMs === 0) this.giveUp(call, 'TIMEOUT')
      return
    }
    this.continuations.push({ call, record, error })
  }

  /** A record that has its room. */
  append(record: Rec): string {
    this.put(record)
    return `ok:${!this.budget.isSoft}`
  }

  #makeRoom(charge: number): boolean {
    while (!this.budget.tryTake(charge)) {
      const count = evictCount(this.#setup.policy, this.budget.fill, this.pending)
      if (this.sealed.length === 0 || count === 0) return false
      let gone = 0
      for (let oldest = this.sealed[0]; gone < count && oldest !== undefined; oldest = this.sealed[0]) {
        this.sealed.shift()
        this.sealedBytes -= oldest.bytes
        gone += oldest.records.length
        this.#giveAll(oldest)
      }
      this.dropped += gone
      this.dropEvents++
    }
    return true
  }

  #refuse(code: string): string {
    this.refused++
    return code
  }

  #letWritersIn(): void {
    for (let first = this.writers[0]; first !== undefined; first = this.writers[0]) {
      const { call, record } = first as Waiting & { record: Rec }
      if (!this.budget.tryTake(record.charge)) return
      this.writers.shift()
      this.continuations.push({ call, record, error: null })
    }
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  tryRead(): Rec | undefined {
    const buffer = this.reading ?? this.#takeFirst()
    if (buffer === undefined) return undefined
    this.reading = buffer
    const record = buffer.records[buffer.read++] as Rec
    this.readRecords++
    this.readBytes += record.bytes
    if (buffer.read === buffer.records.length) {
      this.reading = null
      this.#checkDrained()
    }
    if (!this.isLeased(record)) this.budget.give(record.charge, 1)
    return record
  }

  #takeFirst(): SealedModel | undefined {
    const buffer = this.sealed.shift()
    if (buffer !== undefined) this.sealedBytes -= buffer.bytes
    return buffer
  }

  #takeUpTo(max: number): Rec[] {
    return Array.from({ length: Math.min(max, this.readable) }, () => this.tryRead() as Rec)
  }

  /** `read`, `readBatch` and `next` of an iterator. */
  read(call: Call, max: number, timeoutMs: number, isAborted: boolean): void {
    if (call.iterator?.isDone === true) {
      call.expected = 'done'
      return
    }
    if (isAborted) {
      if (call.iterator !== null) call.iterator.isDone = true
      call.expected = 'aborted'
      return
    }
    const isEnded = this.state === 'closed'
    const records = this.#takeUpTo(max)
    if (records.length > 0) this.#got(call, records)
    else if (isEnded) this.#endReader(call)
    else this.readers.push({ call, max, record: null, untilMs: this.now() + timeoutMs })
    if (timeoutMs === 0) this.giveUp(call, 'TIMEOUT')
  }

  #got(call: Call, records: readonly Rec[]): void {
    call.records = records
    call.expected = 'got'
  }

  #endReader(call: Call): void {
    if (call.iterator === null) {
      this.failedReads++
      call.expected = 'CONSUMER_CLOSED'
      return
    }
    call.iterator.isDone = true
    call.expected = 'done'
  }

  /** n records wake min(n, waiters), oldest first; a batch leaves one for each behind it. */
  protected serve(): void {
    for (let first = this.readers[0]; first !== undefined && this.readable > 0; first = this.readers[0]) {
      this.readers.shift()
      const left = this.readable - this.readers.length
      this.#got(first.call, this.#takeUpTo(Math.min(first.max, Math.max(1, left))))
    }
  }

  leaveIterator(iterator: IteratorModel): void {
    iterator.isDone = true
    for (const waiting of this.readers.filter(({ call }) => call.iterator === iterator)) {
      this.readers.splice(this.readers.indexOf(waiting), 1)
      waiting.call.expected = 'done'
    }
  }

  /** A callback was called: it must have been its turn. Gives the record that it must have got. */
  callbackTook(callback: CallbackModel): Rec {
    check(this.readers.length === 0, () => 'a callback got a record while a call waited for one')
    const count = this.callbacks.length
    let at = -1
    for (let step = 0; step < count && at < 0; step++) {
      const candidate = (this.#next + step) % count
      if (!(this.callbacks[candidate] as CallbackModel).isRunning) at = candidate
    }
    check(this.callbacks[at] === callback, () => `callback ${callback.id} was called out of turn`)
    this.#next = at + 1
    const record = this.tryRead()
    check(record !== undefined, () => `callback ${callback.id} got a record that is not there`)
    return record as Rec
  }

  removeCallback(callback: CallbackModel): void {
    const at = this.callbacks.indexOf(callback)
    if (at < 0) return
    this.callbacks.splice(at, 1)
    if (at < this.#next) this.#next--
  }

  callbackDone(callback: CallbackModel): void {
    callback.isRunning = false
    this.running--
    this.checkIdle()
  }

  take(): SealedModel | undefined {
    const buffer = this.#takeFirst()
    if (buffer !== undefined) this.taken.push(buffer)
    return buffer
  }

  putBack(buffer: SealedModel): void {
    if (this.state === 'closed') return this.recycle(buffer) // Its records are counted as discarded.
    this.taken.splice(this.taken.indexOf(buffer), 1)
    this.sealed.push(buffer)
    this.sealed.sort((a, b) => a.sequence - b.sequence)
    this.sealedBytes += buffer.bytes
    this.serve()
  }

  recycle(buffer: SealedModel): void {
    this.taken.splice(this.taken.indexOf(buffer), 1)
    if (this.state !== 'closed') {
      this.readRecords += buffer.records.length
      this.readBytes += buffer.bytes
    }
    this.#giveAll(buffer)
    this.#checkDrained()
  }

  #giveAll({ records, read }: SealedModel): void {
    const rest = records.slice(read)
    if (rest.length > 0)
      this.budget.give(
        rest.reduce((sum, { charge }) => sum + charge, 0),
        rest.length,
      )
  }

  // --- waiting -----------------------------------------------------------------------------------------------------

  ready(call: Call, timeoutMs: number, isAborted: boolean): void {
    if (this.isOpen && !isAborted && this.budget.isSoft) this.seal('who waits for room ends the window')
    if (!this.isOpen) call.expected = 'PRODUCER_CLOSED'
    else if (isAborted) call.expected = 'aborted'
    else if (!this.budget.isSoft) call.expected = 'ok'
    else this.readyWaiters.push({ call, max: 0, record: null, untilMs: this.now() + timeoutMs })
    if (timeoutMs === 0) this.giveUp(call, 'TIMEOUT')
  }

  /** The caller of a waiting call gave up, or its time is over. */
  giveUp(call: Call, outcome: 'aborted' | 'TIMEOUT'): void {
    for (const queue of [this.readers, this.readyWaiters, this.writers]) {
      const at = queue.findIndex((waiting) => waiting.call === call)
      if (at < 0) continue
      const [waiting] = queue.splice(at, 1) as [Waiting]
      if (queue === this.writers) {
        this.continuations.push({ call, record: waiting.record as Rec, error: outcome })
        this.#letWritersIn()
        return
      }
      call.expected = outcome
      if (call.iterator !== null) call.iterator.isDone = true
      if (queue === this.readers && outcome === 'TIMEOUT') this.failedReads++
    }
  }

  #settleAll(queue: Waiting[], outcome: string): void {
    for (const { call } of queue.splice(0)) call.expected = outcome
  }

  /** Waiting writers go on, in their order: as many as were seen to write, or all (`isSettled`). */
  goOn(written: number, isSettled: boolean): void {
    while (this.continuations.length > 0 && (isSettled || this.written < written)) {
      const { call, record, error } = this.continuations.shift() as Continuation
      if (error !== null) call.expected = this.#refuse(error)
      else if (this.isOpen) call.expected = this.append(record)
      else {
        this.budget.give(record.charge, 1)
        call.expected = this.#refuse('PRODUCER_CLOSED')
      }
    }
  }

  /** The next thing that happens at a known time. */
  nextAlarm(): Alarm | null {
    let next: Alarm | null = null
    for (const queue of [this.readers, this.writers, this.readyWaiters]) {
      for (const { call, untilMs } of queue) {
        if (untilMs < (next?.atMs ?? Number.POSITIVE_INFINITY)) {
          next = { atMs: untilMs, fire: () => this.giveUp(call, 'TIMEOUT') }
        }
      }
    }
    const closing = this.#close
    if (closing === null || closing.isOver || closing.untilMs >= (next?.atMs ?? Number.POSITIVE_INFINITY)) return next
    return { atMs: closing.untilMs, fire: () => (this.state === 'closing' ? this.#end() : this.#finishClose()) }
  }

  /** Timers that must be there, the deadline apart. */
  get timers(): number {
    const timed = [...this.readers, ...this.writers, ...this.readyWaiters].filter(({ untilMs }) => untilMs < Infinity)
    return timed.length + (this.#close === null || this.#close.isOver ? 0 : 1)
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  close(call: Call, timeoutMs: number, isDraining: boolean): void {
    if (this.#close !== null) {
      call.expected = this.#close.call.expected ?? 'as the first'
      return
    }
    this.isOpen = false
    const untilMs = this.now() + (isDraining ? timeoutMs : 0)
    this.#close = { call, pending: this.pending, untilMs, isOver: false }
    for (const { call: writer, record } of this.writers.splice(0)) {
      this.continuations.push({ call: writer, record: record as Rec, error: 'PRODUCER_CLOSED' })
    }
    this.#settleAll(this.readyWaiters, 'PRODUCER_CLOSED')
    this.state = 'closing'
    this.seal('close seals the rest')
    if (timeoutMs <= 0 || !isDraining) this.#end()
    else this.#checkDrained()
  }

  #checkDrained(): void {
    if (this.state === 'closing' && this.sealed.length + this.taken.length === 0 && this.reading === null) this.#end()
  }

  /** Drained or out of time: what is left is discarded, whoever waits for it is told. */
  #end(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.hasJustClosed = true
    for (const buffer of this.sealed.splice(0)) this.#giveAll(buffer)
    if (this.reading !== null) this.#giveAll(this.reading)
    this.reading = null
    this.sealedBytes = 0
    this.discarded = this.pending
    for (const { call } of this.readers.splice(0)) this.#endReader(call)
    this.callbacks = []
  }

  /** `close` waits for callbacks that still run. */
  checkIdle(): void {
    if (this.state !== 'closed' || this.#close === null || this.#close.isOver) return
    if (this.running === 0 || this.#close.untilMs <= this.now()) this.#finishClose()
  }

  #finishClose(): void {
    const close = this.#close
    if (close === null) return
    close.isOver = true
    close.call.expected = `delivered ${close.pending - this.discarded}, undelivered ${this.discarded}`
  }
}
