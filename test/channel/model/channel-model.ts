/**
 * What a channel is, as lists: records in one order, some sealed, some held; and who waits for what.
 * It is told what was called and what can be seen from outside (which write ended in a seal, when), says what must follow, and
 * fails when the published rules do not allow what was seen. Source: features.md CH-2, CH-4..CH-9, CH-11..CH-19.
 */
import { BudgetModel } from './budget.js'
import { type Due, dueAfter, isFulfilled, isFull, type Tuning } from './rules.js'
import type { Setup } from './setup.js'

export interface Rec {
  readonly n: number
  readonly bytes: number
  readonly charge: number
}

/** A call that gave a promise: what must become of it, and what became of it. */
export interface Call {
  readonly id: number
  readonly what: 'writeAsync' | 'read' | 'batch' | 'next' | 'ready' | 'close'
  expected: string | null
  actual: string | null
  /** Records it must give. */
  records: readonly Rec[]
  items: readonly unknown[]
  controller: AbortController | null
  iterator: IteratorModel | null
}

export interface IteratorModel {
  isDone: boolean
}

interface Waiting {
  readonly call: Call
  /** Most records (readers). */
  readonly max: number
  /** What it wants to write. */
  readonly record: Rec | null
  readonly untilMs: number
}

/** A writer whose wait is over, but whose promise has not gone on. */
interface Continuation {
  readonly call: Call
  readonly record: Rec
  /** Null: it has its room. */
  readonly error: string | null
}

export interface SealedModel {
  readonly sequence: number
  readonly records: readonly Rec[]
  readonly bytes: number
  read: number
}

/** A seal or a question to the strategy function, seen from outside. */
export interface SeenSeal {
  readonly written: number
  readonly atMs: number
}
export interface SeenAsk {
  readonly records: number
  readonly atMs: number
  readonly answer: boolean
}

/** What happens at a known time, the deadline apart. */
export interface Alarm {
  readonly atMs: number
  fire(): void
}

export interface CallbackModel {
  readonly id: number
  isRunning: boolean
}

/** Below this two times are the same; timers of ours are never so close to each other. */
export const EPSILON_MS = 1e-9

export class ModelError extends Error {}

export function check(isRight: boolean, text: () => string): void {
  if (!isRight) throw new ModelError(text())
}

export class ChannelModel {
  readonly budget: BudgetModel
  readonly seals: SeenSeal[] = []
  readonly asks: SeenAsk[] = []
  tuning: Tuning
  active: Rec[] = []
  activeBytes = 0
  sealed: SealedModel[] = []
  sealedBytes = 0
  reading: SealedModel | null = null
  readonly taken: SealedModel[] = []
  sequence = 0
  configVersion = 1
  isOpen = true
  state: 'open' | 'closing' | 'closed' = 'open'
  written = 0
  writtenBytes = 0
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
  #firstAtMs = 0
  #updatedAtMs = -1
  #askAtMs = 0
  #close: { call: Call; pending: number; untilMs: number; isOver: boolean } | null = null
  readonly #setup: Setup
  readonly #now: () => number

  constructor(setup: Setup, now: () => number) {
    this.#setup = setup
    this.#now = now
    this.tuning = setup.tuning
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
      this.writers.push({ call, record, max: 0, untilMs: this.#now() + timeoutMs })
      return
    }
    this.continuations.push({ call, record, error })
  }

  /** A record that has its room, by the rules of the switch. */
  append(record: Rec): string {
    const { tuning } = this
    if (record.bytes > tuning.maxBytes) this.seal('an item above maxBytes gets a buffer of its own')
    const isFirst = this.active.length === 0
    const nowMs = this.#now()
    if (isFirst) {
      this.#firstAtMs = nowMs
      this.#askAtMs = nowMs + tuning.windowMs
      this.#updatedAtMs = -1
    }
    const elapsedMs = nowMs - this.#firstAtMs
    const wasDue = !isFirst && tuning.switchStrategy !== 'own' && isFulfilled(tuning, this.#fill, elapsedMs)
    this.active.push(record)
    this.activeBytes += record.bytes
    this.written++
    this.writtenBytes += record.bytes
    const isSealed = this.seals[0]?.written === this.written
    if (this.#isDueAtWrite(isFirst, wasDue, elapsedMs, isSealed)) this.seal(`record ${record.n} makes the buffer due`)
    return `ok:${!this.budget.isSoft}`
  }

  /** Whether this write must end in a seal; where the rules leave room, what was seen decides. */
  #isDueAtWrite(isFirst: boolean, wasDue: boolean, elapsedMs: number, isSealed: boolean): boolean {
    const { tuning } = this
    if (isFull(tuning, this.#fill)) return true
    if (tuning.switchStrategy === 'own') {
      const ask = this.asks.shift()
      check(ask?.records === this.active.length, () => 'the strategy function is asked at each write')
      return ask?.answer === true
    }
    const may = isFulfilled(tuning, this.#fill, elapsedMs)
    if (!isSealed) return may && (isFirst || !wasDue) && isFulfilled(tuning, this.#fill, elapsedMs, true)
    return may // If not, the seal belongs to what follows, or to nothing: `deadline` will tell.
  }

  get #fill(): { records: number; bytes: number } {
    return { records: this.active.length, bytes: this.activeBytes }
  }

  #tellActive(): string {
    const elapsedMs = this.#now() - this.#firstAtMs
    return `${this.active.length} records, ${this.activeBytes} B after ${elapsedMs} ms under ${JSON.stringify(this.tuning)}`
  }

  #makeRoom(charge: number): boolean {
    while (!this.budget.tryTake(charge)) {
      const count = this.#evictCount()
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

  /** 0: the policy says no. */
  #evictCount(): number {
    const { policy, limits } = this.#setup
    if (policy === 'no') return 0
    if (policy === 'two') return 2
    const percent = (this.budget.usedBytes * 100) / limits.bytes
    if (this.pending === 0 || percent < 80) return 0
    return Math.min(this.pending, Math.max(1, Math.ceil((1 - 50 / percent) * this.pending)))
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

  // --- sealing -----------------------------------------------------------------------------------------------------

  /** Something seals now: that must have been seen, at this number of written records. */
  seal(why: string): boolean {
    if (this.active.length === 0) return false
    const seen = this.seals.shift()
    check(seen?.written === this.written, () => `not sealed, though ${why}: ${this.#tellActive()}`)
    this.sequence++
    this.sealed.push({ sequence: this.sequence, records: this.active, bytes: this.activeBytes, read: 0 })
    this.sealedBytes += this.activeBytes
    this.active = []
    this.activeBytes = 0
    this.#serve()
    return true
  }

  /** When time alone seals what is active: null = never. */
  due(): Due | null {
    if (this.active.length === 0) return null
    const nowMs = this.#now()
    if (this.tuning.switchStrategy === 'own') {
      const atMs = isFull(this.tuning, this.#fill) ? this.#updatedAtMs : this.#askAtMs
      return atMs === Number.POSITIVE_INFINITY ? null : { mayMs: atMs, mustMs: Math.max(nowMs, atMs) }
    }
    const { mayMs, mustMs } = dueAfter(this.tuning, this.#fill)
    if (mayMs === Number.POSITIVE_INFINITY) return null
    return { mayMs: this.#firstAtMs + mayMs, mustMs: Math.max(nowMs, this.#firstAtMs + mustMs) }
  }

  /** Time has gone on: seals and questions that were seen must be due. */
  deadline(): void {
    for (let ask = this.asks[0]; ask !== undefined; ask = this.asks[0]) {
      this.asks.shift()
      const { atMs, answer, records } = ask
      const isRight = atMs >= this.#askAtMs - EPSILON_MS && records === this.active.length
      check(isRight, () => `asked at ${atMs} ms about ${records} records, due at ${this.#askAtMs} ms`)
      this.#askAtMs = atMs + Math.max(1, this.tuning.windowMs)
      if (answer) this.seal('the strategy function said yes')
    }
    for (let seen = this.seals[0]; seen !== undefined; seen = this.seals[0]) {
      const due = this.due()
      const { atMs } = seen
      check(due !== null && atMs >= due.mayMs - EPSILON_MS, () => `sealed too early: ${this.#tellActive()}`)
      this.seal('its time has come')
    }
  }

  update(tuning: Tuning): void {
    this.tuning = tuning
    this.configVersion++
    this.#updatedAtMs = this.#now()
    if (this.active.length > 0) this.#askAtMs = Math.max(this.#now(), this.#firstAtMs + tuning.windowMs)
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
    const records: Rec[] = []
    while (records.length < max) {
      const record = this.tryRead()
      if (record === undefined) break
      records.push(record)
    }
    return records
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
    else this.readers.push({ call, max, record: null, untilMs: this.#now() + timeoutMs })
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
  #serve(): void {
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
    this.taken.splice(this.taken.indexOf(buffer), 1)
    this.sealed.push(buffer)
    this.sealed.sort((a, b) => a.sequence - b.sequence)
    this.sealedBytes += buffer.bytes
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
    if (!this.isOpen) call.expected = 'PRODUCER_CLOSED'
    else if (isAborted) call.expected = 'aborted'
    else if (!this.budget.isSoft) call.expected = 'ok'
    else this.readyWaiters.push({ call, max: 0, record: null, untilMs: this.#now() + timeoutMs })
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
    const isTimed = ({ untilMs }: Waiting) => untilMs !== Number.POSITIVE_INFINITY
    const waiting = [this.readers, this.writers, this.readyWaiters].map((queue) => queue.filter(isTimed).length)
    return waiting.reduce((sum, count) => sum + count, this.#close === null || this.#close.isOver ? 0 : 1)
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  close(call: Call, timeoutMs: number, isDraining: boolean): void {
    if (this.#close !== null) {
      call.expected = this.#close.call.expected ?? 'as the first'
      return
    }
    this.isOpen = false
    const untilMs = this.#now() + (isDraining ? timeoutMs : 0)
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
    if (this.running === 0 || this.#close.untilMs <= this.#now()) this.#finishClose()
  }

  #finishClose(): void {
    const close = this.#close
    if (close === null) return
    close.isOver = true
    close.call.expected = `delivered ${close.pending - this.discarded}, undelivered ${this.discarded}`
  }
}
