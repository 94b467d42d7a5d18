/**
 * A life with everything at the wrong moment: closes during appends, rotations, full disks, failed states and
 * openings, closes twice, clocks that jump, directories that vanish, disks that fail or never answer.
 * What happens follows from the seed. Claims: each promise settles, exactly once, in bounded time; a rejection is an
 * `MQError`; nothing promised is missing when the directory is read again, as long as it is there.
 * Source: wal.md 6.2 (suite K), 4.3.
 */
import { MQError } from '../../../lib/errors/index.js'
import { AssertionError, FakeClock, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import type { LogDurability, Wal } from '../../../lib/wal/index.js'
import { WriteAheadLog } from '../../../lib/wal/write-ahead-log.js'
import {
  failNth,
  listEvents,
  Pump,
  SimDisk,
  simOptions,
  simParts,
  type Told,
  WAL_DIR,
} from '../../support/wal-sim/index.js'
import { judge } from '../crash/judge.js'
import { LogModel } from '../crash/model.js'
import { LogOwner } from '../crash/owner.js'
import { judgeSurvey, opened, text } from '../crash/recovery.js'

const DAY_MS = 86_400_000
const CLOSE_MS = 2000
const MOST_STEPS = 6000
const DURABILITIES: readonly LogDurability[] = ['immediate', 'os', 'periodic', 'spill']

export interface Told_ {
  readonly what: string
  settlements: number
  error: unknown
}

/** What happened; `faults` empty: all claims held. */
export interface Outcome_ {
  readonly log: string[]
  readonly faults: string[]
}

export async function runSchedule(seed: number): Promise<Outcome_> {
  const schedule = new Schedule(seed)
  try {
    await schedule.run()
  } catch (error) {
    schedule.faults.push(text(error))
  }
  return schedule
}

class Schedule implements Outcome_ {
  readonly log: string[] = []
  readonly faults: string[] = []
  readonly #random: RandomSource
  readonly #seed: number
  readonly #durability: LogDurability
  readonly #isQueue: boolean
  readonly #disk = new SimDisk()
  readonly #clock = new FakeClock()
  readonly #pump: Pump
  readonly #promises: Told_[] = []
  #model: LogModel
  #openings = 0
  #isBroken = false
  #isDeleted = false

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#durability = DURABILITIES[randomInt(this.#random, DURABILITIES.length)]!
    this.#isQueue = this.#random.next() < 0.3
    this.#disk.seed(WAL_DIR)
    this.#pump = new Pump(this.#disk, this.#clock, this.#random)
    this.#model = new LogModel(this.#durability)
  }

  async run(): Promise<void> {
    this.#note(`seed ${this.#seed}, ${this.#durability}, ${this.#isQueue ? 'queue' : 'producer'}`)
    for (let life = 0; life < 2 && !this.#isBroken; life++) {
      const wal = await this.#open()
      if (wal === null) break
      const owner = new LogOwner(wal, this.#model, this.#random, this.#isQueue, BigInt(life + 1))
      await this.#use(owner)
      await this.#close(owner)
      owner.note()
    }
    this.#check()
    if (!this.#isDeleted) await this.#readAgain()
    this.faults.push(...this.#disk.violations)
  }

  #begin(): Promise<Wal> {
    const options = simOptions({
      durability: this.#durability,
      owner: this.#isQueue ? 'queue' : 'producer',
      maxBytes: (3 + randomInt(seededRandom(this.#seed), 6)) * 16_384,
      spareSegments: randomInt(seededRandom(this.#seed + 1), 3),
    })
    const told: Told[] = []
    const parts = simParts(this.#disk, this.#seed * 10 + ++this.#openings, { clock: this.#clock })
    return WriteAheadLog.open(options, parts, listEvents(told))
  }

  /** Opens it; sometimes twice at once, which only one of them may win. */
  async #open(): Promise<Wal | null> {
    const first = this.#watch('open', this.#begin())
    const isDouble = this.#random.next() < 0.15
    const second = isDouble ? this.#watch('second open', this.#begin()) : null
    if (this.#random.next() < 0.1) this.#jump()
    if (this.#random.next() < 0.05) this.#breakDisk()
    await this.#wait([first, ...(second === null ? [] : [second])])
    const wals = [first.value, second?.value ?? null].filter((wal) => wal !== null && wal !== undefined)
    if (wals.length > 1) this.faults.push('two openings of one directory both succeeded')
    const [wal] = wals
    if (wal === undefined) {
      this.#note(`open failed: ${text(first.error)}`)
      if (!this.#isBroken && !this.#isDeleted) this.faults.push(`open failed: ${text(first.error)}`)
      return null
    }
    const lost = judge(this.#model, 'kill', opened(wal), null)
    if (lost !== null) this.faults.push(`opening ${this.#openings}: ${lost}`)
    this.#model = this.#model.adopted(wal, this.#durability === 'immediate')
    return wal
  }

  async #use(owner: LogOwner): Promise<void> {
    const { wal } = owner
    const stream = wal.streamOf(this.#isQueue ? '' : 'topic', '', 0)
    if (!this.#isQueue) this.#watch('defineIdentity', wal.defineIdentity(owner.producerId, 0, 'cluster'))
    const actions = randomInt(this.#random, 40)
    for (let action = 0; action < actions; action++) {
      const isOk = this.#try(() => this.#act(owner, stream))
      if (!isOk) return
      for (let steps = randomInt(this.#random, 5); steps > 0; steps--) await this.#pump.step()
    }
  }

  #act(owner: LogOwner, stream: number): void {
    const { wal } = owner
    const dice = this.#random.next()
    if (dice < 0.5) {
      const unit = owner.append(stream, randomInt(this.#random, this.#random.next() < 0.3 ? 3000 : 200))
      if (unit !== null && this.#random.next() < 0.7) this.#watch(`accepted(${unit.lsn})`, wal.accepted(unit.lsn))
    } else if (dice < 0.7) owner.settleSome()
    else if (dice < 0.78) owner.bind()
    else if (dice < 0.84) wal.flush()
    else if (dice < 0.9) this.#watch('sync', wal.sync())
    else if (dice < 0.93) this.#jump()
    else if (dice < 0.95) this.#breakDisk()
    else if (dice < 0.96) this.#deleteDirectory()
    else if (dice < 0.97) {
      this.#note('the disk is full')
      this.#disk.capacityBytes = this.#disk.usedBytes
    } else this.#readSome(owner)
  }

  /** Closes, often while appends go on, often twice, sometimes with hardly any time. */
  async #close(owner: LogOwner): Promise<void> {
    const { wal } = owner
    const stream = wal.streamOf(this.#isQueue ? '' : 'topic', '', 0)
    const timeoutMs = this.#random.next() < 0.2 ? randomInt(this.#random, 4) : CLOSE_MS
    this.#note(`close within ${timeoutMs} ms`)
    const first = wal.close({ timeoutMs })
    const closings = [this.#watch('close', first)]
    for (let more = randomInt(this.#random, 4); more > 0; more--) {
      const dice = this.#random.next()
      if (dice < 0.4) {
        const again = wal.close()
        if (this.#random.next() < 0.5 && again !== first && this.#isCalm()) this.#note('a second promise for close')
        closings.push(this.#watch('close again', again))
      } else if (dice < 0.8) this.#try(() => void owner.append(stream, 100))
      else if (dice < 0.9)
        this.#watch(
          'sync during close',
          this.#caught(() => wal.sync()),
        )
      else this.#jump()
      for (let steps = randomInt(this.#random, 3); steps > 0; steps--) await this.#pump.step()
    }
    await this.#wait(closings)
    // A call that hangs in the kernel may still write one day: until then nobody else may own the directory.
    const isHung = this.#disk.flights.some((flight) => flight.isHung)
    if (this.#disk.locks.size > 0 && !isHung) this.faults.push('the lock is held after close')
    if (this.#isCalm() && timeoutMs === CLOSE_MS && this.#disk.open_.size > 0) await this.#leftOpen()
    for (let step = 0; step < 20; step++) await this.#pump.step()
    if (this.#isCalm() && timeoutMs === CLOSE_MS && this.#clock.pendingTimers > 0)
      this.faults.push(`${this.#clock.pendingTimers} timers are left after close`)
    const late = this.#watch(
      'sync after close',
      this.#caught(() => wal.sync()),
    )
    const lateAccepted = this.#watch(
      'accepted after close',
      this.#caught(() => wal.accepted(wal.lastLsn)),
    )
    const third = this.#watch(
      'close after close',
      this.#caught(() => wal.close()),
    )
    await this.#wait([late, lateAccepted, third])
  }

  async #leftOpen(): Promise<void> {
    for (let step = 0; step < 50; step++) await this.#pump.step()
    const left = [...this.#disk.open_.values()].map((it) => it.path)
    if (left.length > 0) this.faults.push(`descriptors are open after close: ${left.join(', ')}`)
  }

  /** A promise of a method that may throw instead. */
  #caught(call: () => Promise<void>): Promise<void> {
    try {
      return call()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  #readSome(owner: LogOwner): void {
    const units = owner.unsettled()
    if (units.length === 0) return
    const unit = units[randomInt(this.#random, units.length)]!
    const entry = owner.wal.entry(unit.lsn)
    if (entry === undefined || entry.segment < 0) return
    const reading = this.#watch(`read(${unit.lsn})`, owner.wal.read(unit.lsn))
    void reading
  }

  #jump(): void {
    const ms = this.#random.next() < 0.5 ? DAY_MS : -DAY_MS
    this.#note(`the wall clock jumps by ${ms} ms`)
    this.#clock.jumpWallClock(ms)
  }

  #breakDisk(): void {
    const kinds = ['write', 'fdatasync', 'rename', 'fsyncDir', 'open'] as const
    const kind = kinds[randomInt(this.#random, kinds.length)]!
    const dice = this.#random.next()
    const answer = dice < 0.3 ? { isHung: true } : dice < 0.6 ? { code: 'ENOSPC' } : { code: 'EIO', dropsPages: true }
    const isForEver = this.#random.next() < 0.4
    this.#note(`from now: ${kind} ${JSON.stringify(answer)} ${isForEver ? 'for ever' : 'once'}`)
    this.#disk.inject = failNth(kind, 1 + randomInt(this.#random, 3), answer, isForEver)
    this.#isBroken = true
  }

  #deleteDirectory(): void {
    this.#note('the directory is deleted')
    for (const path of [...this.#disk.names.cached.keys()]) if (path.startsWith(WAL_DIR)) this.#disk.names.unlink(path)
    this.#isDeleted = true
    this.#isBroken = true
  }

  /** False: the log refused, in its own words. */
  #try(action: () => void): boolean {
    try {
      action()
      return true
    } catch (error) {
      this.#note(`refused: ${text(error)}`)
      if (!(error instanceof MQError)) this.faults.push(`thrown: ${text(error)}`)
      if (error instanceof AssertionError) this.faults.push(`assertion: ${text(error)}`)
      return false
    }
  }

  #watch<T>(what: string, promise: Promise<T>): Told_ & { value: T | null } {
    const told: Told_ & { value: T | null } = { what, settlements: 0, error: null, value: null }
    this.#promises.push(told)
    promise.then(
      (value) => {
        told.settlements++
        told.value = value
      },
      (error: unknown) => {
        told.settlements++
        told.error = error
      },
    )
    return told
  }

  async #wait(promises: readonly Told_[]): Promise<void> {
    await this.#pump.settle()
    for (let step = 0; step < MOST_STEPS && promises.some((it) => it.settlements === 0); step++) await this.#pump.step()
  }

  #isCalm(): boolean {
    return !this.#isBroken && !this.#isDeleted
  }

  #check(): void {
    for (const { what, settlements, error } of this.#promises) {
      const mayHang = this.#isBroken && (what.includes('open') || what.startsWith('read'))
      if (settlements !== 1 && !mayHang) this.faults.push(`${what} settled ${settlements} times`)
      if (error !== null && !(error instanceof MQError)) this.faults.push(`${what} rejected with ${text(error)}`)
    }
  }

  /** The next process finds what was promised. */
  async #readAgain(): Promise<void> {
    this.#disk.inject = null
    const image = this.#disk.image()
    const state = {
      crash: 'kill' as const,
      image,
      states: null,
      picks: new Uint16Array(0),
      torn: null,
      describe: () => [],
    }
    const fault = await judgeSurvey(state, this.#model, 'boot-1')
    if (fault !== null) this.faults.push(`read again: ${fault}`)
  }

  #note(line: string): void {
    this.log.push(line)
  }
}
