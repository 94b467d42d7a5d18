/**
 * One log from its making through several crashes and openings, with every crash state on the way judged.
 * What a life does (how many streams, when it syncs, settles, rotates, ends) follows from the seed alone.
 */

import { FakeClock, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import type { LogDurability, Wal } from '../../../lib/wal/index.js'
import {
  type CrashKind,
  CrashStates,
  type Inject,
  listEvents,
  Pump,
  SimDisk,
  simOptions,
  simParts,
  type Told,
  WAL_DIR,
} from '../../support/wal-sim/index.js'
import { type CrashState, Explorer, type Failure } from './explorer.js'
import { judge } from './judge.js'
import { LogModel } from './model.js'
import { LogOwner } from './owner.js'
import { opened, type Subject, text } from './recovery.js'

export interface HistoryOptions {
  readonly seed: number
  readonly durability: LogDurability
  readonly isQueue: boolean
  readonly lives: number
  /** Actions of each life. */
  readonly actions: number
  /** Picks of one moment that are all enumerated; beyond, this many are sampled. */
  readonly allUpTo: number
  readonly sampleOf: number
  /** One in so many states is opened, with crashes during that opening. 0: none. */
  readonly deepOneIn: number
  /** Ends when so many distinct states were judged. */
  readonly mostStates: number
  readonly subject: Subject
  /** Lies of the disk, as a writer tells them that leaves a step out. */
  readonly inject?: Inject
  /** The sectors of the disk; the log believes in 512 B. */
  readonly diskSectorBytes?: number
  /** The directory is there from the start; else now and then. */
  readonly hasDirectory?: boolean
  /** The owner takes every append for accepted at once. */
  readonly acceptsEarly?: boolean
}

export interface HistoryResult {
  readonly distinct: number
  readonly picks: number
  readonly judged: number
  readonly moments: number
  readonly deepOpenings: number
  readonly story: string[] | null
}

class Failed extends Error {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(failure.text)
    this.failure = failure
  }
}

export async function runHistory(options: HistoryOptions): Promise<HistoryResult> {
  return new History(options).run()
}

class History {
  readonly #options: HistoryOptions
  readonly #random: RandomSource
  readonly #explorer: Explorer
  readonly #log: string[] = []
  #disk: SimDisk
  #model: LogModel
  #clock = new FakeClock()
  #boot = 1
  #moments = 0
  #deepOpenings = 0
  #deepStates = 0
  #opening = 0
  /** So many states may have been judged by the end of this life; the rest of it goes by unwatched. */
  #quota = 0

  constructor(options: HistoryOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#explorer = new Explorer(
      (state, model) => this.#judge(state, model, 0),
      options,
      seededRandom(options.seed + 1),
    )
    this.#disk = new SimDisk({ sectorBytes: options.diskSectorBytes ?? 512, keepsTrace: false })
    if (options.hasDirectory === true || this.#random.next() < 0.7) this.#disk.seed(WAL_DIR)
    this.#model = new LogModel(options.durability)
  }

  async run(): Promise<HistoryResult> {
    let story: string[] | null = null
    try {
      for (let life = 1; life <= this.#options.lives; life++) {
        this.#quota = (this.#options.mostStates * life) / this.#options.lives
        await this.#life(life)
      }
    } catch (error) {
      story = this.#story(error)
    }
    return {
      distinct: this.#explorer.distinct + this.#deepStates,
      picks: this.#explorer.picks,
      judged: this.#explorer.judged,
      moments: this.#moments,
      deepOpenings: this.#deepOpenings,
      story,
    }
  }

  async #life(life: number): Promise<void> {
    const pump = new Pump(this.#disk, this.#clock, this.#random)
    this.#disk.inject = this.#options.inject ?? null
    pump.onStill = () => this.#explore()
    this.#log.push(`life ${life}: opens, boot ${this.#boot}`)
    const wal = await pump.until(this.#open(this.#disk, this.#clock, this.#boot), 'open')
    this.#adopt(wal)
    const owner = new LogOwner(wal, this.#model, this.#random, this.#options.isQueue, BigInt(1000 + life))
    await this.#act(pump, owner)
    await this.#end(pump, owner)
  }

  #open(disk: SimDisk, clock: FakeClock, boot: number): Promise<Wal> {
    const { durability, isQueue, seed } = this.#options
    const told: Told[] = []
    const shape = seededRandom(seed)
    const options = simOptions({
      durability,
      owner: isQueue ? 'queue' : 'producer',
      maxBytes: (4 + randomInt(shape, 8)) * 16_384,
      spareSegments: randomInt(shape, 3),
      unsyncedMaxBytes: 8192 << randomInt(shape, 3),
      scrub: shape.next() < 0.2,
    })
    const parts = simParts(disk, seed * 1000 + ++this.#opening, { bootId: `boot-${boot}`, clock })
    return this.#options.subject.open(options, parts, listEvents(told))
  }

  #adopt(wal: Wal): void {
    const fault = judge(this.#model, 'kill', opened(wal), null)
    if (fault !== null) throw new Error(`opened: ${fault}`)
    this.#model = this.#model.adopted(wal, this.#options.durability === 'immediate')
  }

  async #act(pump: Pump, owner: LogOwner): Promise<void> {
    const { wal } = owner
    const streams = this.#options.isQueue ? [0] : [0, 1].map((at) => wal.streamOf(`topic-${at}`, '', at))
    if (this.#options.isQueue) wal.streamOf('', '', 0)
    else await pump.until(wal.defineIdentity(owner.producerId, 0, 'cluster'), 'defineIdentity')
    const pending: Promise<void>[] = []
    const pushy = this.#random.next()
    for (let action = 0; action < this.#options.actions; action++) {
      const dice = this.#random.next()
      if (dice < 0.45) this.#append(owner, streams)
      else if (dice < 0.55 && this.#options.subject.canBind) owner.bind()
      else if (dice < 0.8) owner.settleSome()
      else if (dice < 0.83) pending.push(owner.sync())
      else if (dice < 0.9) wal.flush()
      if (this.#options.acceptsEarly === true) this.#model.accepted(wal.lastLsn, 0)
      const steps = this.#random.next() < pushy ? 0 : randomInt(this.#random, 6)
      for (let step = 0; step < steps; step++) await pump.step()
      await pump.settle()
    }
    await pump.until(Promise.all(pending), 'sync')
  }

  #append(owner: LogOwner, streams: readonly number[]): void {
    const stream = streams[randomInt(this.#random, streams.length)] as number
    const bytes = this.#random.next() < 0.1 ? 1000 + randomInt(this.#random, 2000) : randomInt(this.#random, 300)
    const unit = owner.append(stream, bytes)
    if (unit === null) for (let more = 0; more < 4; more++) owner.settleSome()
  }

  /** How a life ends: goodbye, process killed, or power cut. */
  async #end(pump: Pump, owner: LogOwner): Promise<void> {
    const dice = this.#random.next()
    if (dice < 0.15) {
      await pump.until(owner.wal.close(), 'close')
      owner.note()
      this.#log.push('closed')
      this.#disk.die()
      this.#disk = SimDisk.afterKill(this.#disk, this.#random)
      return
    }
    const crash: CrashKind = dice < 0.55 ? 'kill' : 'power'
    this.#model = this.#model.after(crash)
    owner.wal.onAccepted = null
    if (crash === 'kill') {
      this.#disk = SimDisk.afterKill(this.#disk, this.#random)
      this.#log.push('killed')
      return
    }
    this.#boot++
    const states = new CrashStates(this.#disk, 'power')
    const image = randomImage(states, this.#random)
    this.#log.push('power cut', ...states.describe())
    this.#disk.die()
    this.#disk = SimDisk.fromImage(image, { keepsTrace: false })
  }

  async #explore(): Promise<void> {
    if (this.#isEnough()) return
    this.#moments++
    const left = this.#quota - this.#explorer.distinct - this.#deepStates
    const failure = await this.#explorer.explore(this.#disk, this.#model, left)
    if (failure !== null) throw new Failed(failure)
  }

  async #judge(state: CrashState, model: LogModel, depth: number, boot = this.#boot): Promise<string | null> {
    const next = state.crash === 'kill' ? boot : boot + 1
    const fault = await this.#options.subject.recover(state, model, `boot-${next}`)
    if (fault !== null) return fault
    const { deepOneIn } = this.#options
    if (deepOneIn === 0 || depth === 2 || randomInt(this.#random, deepOneIn) !== 0) return null
    return this.#openDeep(state, model.after(state.crash), depth, next)
  }

  /** Opens a crash state, crashes during that opening included, and asks again. */
  async #openDeep(state: CrashState, model: LogModel, depth: number, boot: number): Promise<string | null> {
    this.#deepOpenings++
    const random = seededRandom(this.#options.seed * 7919 + this.#deepOpenings)
    const disk = SimDisk.fromImage(state.image, { keepsTrace: false })
    const clock = new FakeClock()
    const pump = new Pump(disk, clock, random)
    const inner = new Explorer(
      (again, known) => this.#judge(again, known, depth + 1, boot),
      { allUpTo: 16, sampleOf: 8 },
      random,
    )
    pump.onStill = async () => {
      const failure = await inner.explore(disk, model, 6)
      if (failure !== null) throw new Failed(failure)
    }
    try {
      const wal = await pump.until(this.#open(disk, clock, boot), 'open')
      const fault = judge(model, state.crash, opened(wal), null)
      if (fault !== null) return `opened after the crash: ${fault}`
      return await this.#useDeep(pump, wal, model.adopted(wal, true), boot)
    } catch (error) {
      if (!(error instanceof Failed)) return `opening after the crash: ${text(error)}`
      const lines = error.failure.state.describe().map((line) => `    ${line}`)
      return `crash during the opening after the crash: ${error.failure.text}\n${lines.join('\n')}`
    } finally {
      this.#deepStates += inner.distinct
      disk.die()
    }
  }

  /** A recovered log takes one record, settles all, closes, and is empty and clean when it is read again. */
  async #useDeep(pump: Pump, wal: Wal, model: LogModel, boot: number): Promise<string | null> {
    pump.onStill = null
    const owner = new LogOwner(wal, model, pump.random, this.#options.isQueue, 9999n)
    const stream = wal.streamOf(this.#options.isQueue ? '' : 'topic-0', '', 0)
    for (let step = 0; step < 300 && !wal.admits(500); step++) await pump.step()
    const unit = owner.append(stream, 50)
    if (unit === null && wal.measures().unsettledRecords === 0) return 'an opened, empty log does not admit a record'
    if (unit !== null) await pump.until(wal.accepted(unit.lsn), 'accepted')
    for (const each of owner.unsettled()) if (pump.random.next() < 0.5) owner.settle(each)
    await pump.until(wal.close(), 'close')
    owner.note()
    const state: CrashState = { ...EMPTY_STATE, crash: 'kill', image: pump.disk.image() }
    const fault = await this.#options.subject.recover(state, model, `boot-${boot}`)
    return fault === null ? null : `used and closed after the crash: ${fault}`
  }

  #isEnough(): boolean {
    return this.#explorer.distinct + this.#deepStates >= this.#quota
  }

  #story(error: unknown): string[] {
    const { seed, durability, isQueue } = this.#options
    const head = `seed ${seed}, ${durability}, ${isQueue ? 'queue' : 'producer'}, moment ${this.#moments}`
    const what = error instanceof Failed ? [error.message, ...error.failure.state.describe()] : [text(error)]
    return [head, ...this.#log, ...what]
  }
}

const EMPTY_STATE = { states: null, picks: new Uint16Array(0), torn: null, describe: () => ['after a goodbye'] }

function randomImage(states: CrashStates, random: RandomSource) {
  for (let turn = 0; ; turn++) {
    const bias = random.next()
    for (let at = 0; at < states.picks.length; at++) {
      const { options } = states.choices[at]!
      states.picks[at] = turn === 100 || random.next() < bias ? options - 1 : randomInt(random, options)
    }
    if (!Number.isNaN(states.hash())) return states.image()
  }
}
