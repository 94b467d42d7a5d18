/**
 * Plays with a channel and its model in lockstep: each call goes to both, and after it both must tell the same.
 * Why the channel first: where the rules leave room (a look every 1/64 of the capacity, a writer that goes on some microtask
 * later) what was seen decides, and the model says whether it was allowed.
 */
import type { ArenaPool, BufferedChannel, ChannelStats, Chunk, ItemBuffer } from '../../../lib/channel/index.js'
import { MQError } from '../../../lib/errors/index.js'
import { FakeClock, type RandomSource, seededRandom } from '../../../lib/util/index.js'
import { ChannelModel } from './channel-model.js'
import { type AnyChannel, type MakeChannel, optionsFor } from './makers.js'
import {
  type Call,
  check,
  EPSILON_MS,
  type IteratorModel,
  ModelError,
  type Rec,
  type SealedModel,
} from './model-types.js'
import { checkBytes } from './payloads.js'
import type { Tuning } from './rules.js'
import type { Setup } from './setup.js'
import { Subscriptions } from './subscriptions.js'

export interface Held {
  readonly chunk: Chunk
  readonly record: Rec
  /** `release` was called already. */
  isReleased: boolean
}

export interface TakenPair {
  readonly buffer: ItemBuffer<Rec>
  readonly model: SealedModel
}

export interface OpenIterator {
  readonly iterator: AsyncIterator<unknown>
  readonly model: IteratorModel
  readonly controller: AbortController | null
}

/** Times of ours lie beside every deadline: whole milliseconds and a share that no deadline has. */
const SHARE = 1 / 4099

export class Player {
  readonly setup: Setup
  readonly clock = new FakeClock()
  readonly channel: AnyChannel
  readonly model: ChannelModel
  readonly random: RandomSource
  readonly subscriptions: Subscriptions
  readonly held: Held[] = []
  readonly taken: TakenPair[] = []
  readonly iterators: OpenIterator[] = []
  /** Calls whose promise is open. */
  calls: Call[] = []
  closing: Promise<unknown> | null = null
  /** Within a call that must not run callbacks. */
  isInCall = false
  failure: unknown = null
  records = 0
  /** What was done, for whoever reads a failing story; null: nobody does. */
  readonly story: string[] | null
  readonly #arenas: ArenaPool
  readonly #events = { crossings: [] as string[], configs: [] as number[], dropped: 0, droppedRecords: 0, errors: 0 }
  #expectedConfigs: number[] = []
  #isConfigDue = false
  #attached = 0
  #ids = 0
  #times = 0
  #sequence = 0

  constructor(setup: Setup, make: MakeChannel, arenas: ArenaPool, story: string[] | null) {
    this.setup = setup
    this.story = story
    this.random = seededRandom(setup.seed + 77)
    this.#arenas = arenas
    this.model = new ChannelModel(setup, () => this.clock.monotonicMs())
    this.subscriptions = new Subscriptions(this)
    this.channel = make(setup, {
      ...optionsFor(setup, arenas),
      ...this.tuningFor(setup.tuning),
      clock: this.clock,
      maxBlockMs: this.blockMs,
      sequencer: { next: () => this.#sealed() },
      metrics: {
        attachChannel: () => {
          this.#attached++
          return () => this.#attached--
        },
      },
    })
    this.#listen()
  }

  /** What a writer waits that gives no time-out of its own. */
  get blockMs(): number {
    return this.setup.maxBlockMs + SHARE / 2
  }

  tell(text: () => string): void {
    this.story?.push(text())
  }

  /** A time-out or delay that no other timer has. */
  uniqueMs(wholeMs: number): number {
    return wholeMs + ++this.#times * SHARE
  }

  tuningFor(tuning: Partial<Tuning>): Record<string, unknown> {
    return tuning.switchStrategy === 'own' ? { ...tuning, switchStrategy: this.#own } : { ...tuning }
  }

  newRecord(bytes: number): Rec {
    return { n: ++this.records, bytes, charge: this.model.chargeOf(bytes) }
  }

  /** Calls the channel; gives what `call` gives, or the code of what it throws. */
  attempt(call: () => unknown): unknown {
    const wasInCall = this.isInCall
    this.isInCall = true
    try {
      return call()
    } catch (error) {
      return outcomeOf(error)
    } finally {
      this.isInCall = wasInCall
    }
  }

  /** Notes a call that gives a promise. */
  begin(what: Call['what'], controller: AbortController | null, iterator: IteratorModel | null = null): Call {
    const id = ++this.#ids
    const call: Call = { id, what, expected: null, actual: null, records: [], items: [], controller, iterator }
    this.calls.push(call)
    return call
  }

  watch(call: Call, promise: Promise<unknown>, items: (value: never) => readonly unknown[] | string): void {
    promise.then(
      (value) => {
        const told = items(value as never)
        call.actual = typeof told === 'string' ? told : 'got'
        if (typeof told !== 'string') call.items = told
      },
      (error: unknown) => {
        call.actual = outcomeOf(error)
      },
    )
  }

  /** A record has reached a reader. */
  received(item: unknown, record: Rec): Held | null {
    if (this.setup.kind !== 'bytes') {
      check(item === record, () => `record ${record.n} was due, got ${JSON.stringify(item)}`)
      return null
    }
    const chunk = item as Chunk
    checkBytes(chunk.bytes, record, 'read')
    check(chunk.length === record.bytes, () => `a chunk of ${record.bytes} B says ${chunk.length}`)
    const held = { chunk, record, isReleased: false }
    this.held.push(held)
    return held
  }

  release(held: Held): void {
    if (!held.isReleased) checkBytes(held.chunk.bytes, held.record, 'held')
    this.attempt(() => held.chunk.release())
    this.released(held)
  }

  /** The model's side of a release. */
  released(held: Held): void {
    if (held.isReleased) return
    held.isReleased = true
    if (this.model.isLeased(held.record)) this.model.budget.give(held.record.charge, 1)
  }

  updated(tuning: Tuning): void {
    this.model.update(tuning)
    this.#isConfigDue = true
  }

  // --- time --------------------------------------------------------------------------------------------------------

  turn(): void {
    this.#noteConfig()
    this.clock.turn()
    this.observe()
  }

  /** Moves both clocks, one event after the other. */
  advance(ms: number): void {
    const untilMs = this.clock.monotonicMs() + ms
    this.#deferred()
    for (let pieces = 0; ; pieces++) {
      check(pieces < 20_000, () => 'time does not go on')
      const alarm = this.model.nextAlarm()
      const isAlarm = alarm !== null && alarm.atMs <= untilMs
      const goalMs = isAlarm ? alarm.atMs - EPSILON_MS : untilMs
      const due = this.model.due()
      const { switches } = this.channel.stats()
      if (due !== null && due.mustMs + EPSILON_MS <= goalMs) {
        this.#moveTo(due.mustMs + EPSILON_MS)
        const after = this.model.due()
        const hasLooked = this.channel.stats().switches > switches || (after?.mustMs ?? 0) > this.clock.monotonicMs()
        check(hasLooked, () => `not sealed, though due since ${due.mustMs} ms`)
        continue
      }
      this.#moveTo(goalMs)
      if (this.channel.stats().switches > switches) continue
      if (!isAlarm) break
      this.#moveTo(alarm.atMs + EPSILON_MS)
    }
    this.#deferred()
  }

  #moveTo(atMs: number): void {
    this.clock.advance(Math.max(0, atMs - this.clock.monotonicMs()))
    this.observe()
    this.#deferred()
  }

  #deferred(): void {
    this.#noteConfig()
    this.clock.runDeferred()
    this.observe()
  }

  #noteConfig(): void {
    if (!this.#isConfigDue) return
    this.#isConfigDue = false
    this.#expectedConfigs.push(this.model.configVersion)
  }

  // --- looking -----------------------------------------------------------------------------------------------------

  /** Tells the model what has happened by itself: alarms, writers that went on, seals by time. */
  observe(isSettled = false): void {
    this.#throwFailure()
    const { model } = this
    model.goOn(this.channel.counters().writtenRecords, isSettled)
    model.deadline()
    const nowMs = this.clock.monotonicMs()
    for (let alarm = model.nextAlarm(); alarm !== null && alarm.atMs <= nowMs; alarm = model.nextAlarm()) alarm.fire()
  }

  /** Lets every promise go on, then compares everything. */
  async settle(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      await new Promise<void>((resolve) => process.nextTick(resolve))
      this.observe(true)
      this.model.checkIdle()
    }
    this.model.hasJustClosed = false
    this.#checkCalls()
    this.compare()
    this.#checkEvents()
    this.#checkTimers()
  }

  /** What must be the same at every moment, also between two microtasks. */
  compare(): void {
    const { model, channel } = this
    const stats = channel.stats()
    same('activeRecords', stats.activeRecords, model.active.length)
    same('activeBytes', stats.activeBytes, model.activeBytes)
    same('sealedBuffers', stats.sealedBuffers, model.sealed.length)
    same('sealedBytes', stats.sealedBytes, model.sealedBytes)
    same('sequence', stats.sequence, model.sequence)
    same('switches', stats.switches, model.sequence)
    same('waiters', stats.waiters, model.readers.length)
    same('configVersion', channel.configVersion, model.configVersion)
    if (model.hasJustClosed) return
    const counters = channel.counters()
    same('state', channel.state, model.state)
    same('writtenRecords', counters.writtenRecords, model.written)
    same('writtenBytes', counters.writtenBytes, model.writtenBytes)
    same('readRecords', counters.readRecords, model.readRecords)
    same('readBytes', counters.readBytes, model.readBytes)
    same('droppedRecords', counters.droppedRecords, model.dropped)
    same('discardedRecords', counters.discardedRecords, model.discarded)
    const { writtenRecords, readRecords, droppedRecords, discardedRecords } = counters
    const { pendingRecords } = channel
    same('pending', writtenRecords - readRecords - droppedRecords - discardedRecords, pendingRecords)
    same('pendingRecords', pendingRecords, model.pending)
    if (model.continuations.length > 0) return
    same('usedBytes', channel.usedBytes, model.budget.usedBytes)
    same('refusedWrites', counters.refusedWrites, model.refused)
  }

  #checkCalls(): void {
    const settled = this.calls.filter(({ expected, actual }) => expected !== null || actual !== null)
    if (settled.length === 0) return
    for (const call of settled) {
      check(call.actual === call.expected, () => `${call.what} #${call.id}: ${call.actual}, not ${call.expected}`)
      const { items, records } = call
      const numbers = () => `${call.what} #${call.id} got ${items.length} records, not ${records.map(({ n }) => n)}`
      check(items.length === records.length, numbers)
      for (const [at, item] of items.entries()) this.received(item, records[at] as Rec)
    }
    this.calls = this.calls.filter((call) => !settled.includes(call))
  }

  #checkEvents(): void {
    const { model } = this
    const { crossings, configs, dropped, droppedRecords, errors } = this.#events
    if (crossings.length + model.budget.crossings.length > 0) {
      same('events', crossings.join(), model.budget.crossings.join())
      crossings.length = 0
      model.budget.crossings.length = 0
    }
    same('config events', configs.join(), this.#expectedConfigs.join())
    same('dropped events', dropped, model.dropEvents)
    same('records that dropped told', droppedRecords, model.dropped)
    same('error events', errors, model.errorEvents)
    same('failedReads', this.channel.counters().failedReads, model.failedReads)
    const isEnded = model.state === 'closed' && !this.calls.some(({ what }) => what === 'close')
    same('metrics that are attached', this.#attached, isEnded ? 0 : 1)
  }

  #checkTimers(): void {
    const expected = this.model.timers + (this.model.due() === null ? 0 : 1)
    const { pendingTimers } = this.clock
    check(pendingTimers === expected, () => `${pendingTimers} timers, not ${expected}`)
  }

  /** After the end: nothing of the channel is left. */
  checkGone(): void {
    const { takenArenas, takenBytes } = this.#arenas.stats()
    const left = [this.clock.pendingTimers, this.channel.usedBytes, this.calls.length, takenArenas, takenBytes]
    check(
      left.every((count) => count === 0),
      () => `timers, used bytes, open calls, arenas, their bytes left: ${left}`,
    )
  }

  #throwFailure(): void {
    if (this.failure !== null) throw this.failure
  }

  // --- what the channel tells --------------------------------------------------------------------------------------

  #listen(): void {
    const events = this.#events
    const channel = this.channel as unknown as BufferedChannel<never, unknown>
    channel.on('backpressure', () => events.crossings.push('backpressure'))
    channel.on('drain', () => events.crossings.push('drain'))
    channel.on('config', ({ configVersion }) => events.configs.push(configVersion))
    channel.on('dropped', ({ records }) => {
      events.dropped++
      events.droppedRecords += records
    })
    channel.on('error', () => events.errors++)
  }

  #sealed(): number {
    const written = this.channel.counters().writtenRecords
    this.model.seals.push({ written, atMs: this.clock.monotonicMs() })
    return ++this.#sequence
  }

  /** The strategy function: answers by chance, and sometimes throws. */
  readonly #own = ({ records }: { readonly records: number } & Partial<ChannelStats>): boolean => {
    const roll = this.random.next()
    this.model.asks.push({ records, atMs: this.clock.monotonicMs(), answer: roll < 0.3 })
    if (roll < 0.85) return roll < 0.3
    this.model.errorEvents++
    throw new Error('a strategy that throws')
  }
}

function same(name: string, is: unknown, must: unknown): void {
  if (is !== must) throw new ModelError(`${name}: ${is}, not ${must}`)
}

/** The code of an error; what is not ours ends the run. */
export function outcomeOf(error: unknown): string {
  if (error instanceof ModelError) throw error
  if (error === 'mine') return 'aborted'
  return error instanceof MQError ? error.code : `unexpected ${error instanceof Error ? error.stack : String(error)}`
}
