/**
 * A day of a log, the same each time: made, filled over several segments, settled, closed, opened again, used, closed.
 * A fault may hit any call of it. Whatever it hits, the day comes to its end: each promise settles, each error is an
 * `MQError`, and what was promised is on the disk after the process dies or the power goes.
 * Source: wal.md 3.7, 3.8, 6.2 (suite B).
 */
import { MQError } from '../../../lib/errors/index.js'
import { FakeClock, seededRandom } from '../../../lib/util/index.js'
import type { LogDurability, Wal, WalMeasures, WalState } from '../../../lib/wal/index.js'
import { WriteAheadLog } from '../../../lib/wal/write-ahead-log.js'
import {
  type Inject,
  listEvents,
  listLogger,
  Pump,
  SimDisk,
  simOptions,
  simParts,
  type Told,
  WAL_DIR,
} from '../../support/wal-sim/index.js'
import { Explorer } from '../crash/explorer.js'
import { judge } from '../crash/judge.js'
import { LogModel } from '../crash/model.js'
import { LogOwner } from '../crash/owner.js'
import { judgeSurvey, opened, text } from '../crash/recovery.js'

const RECORDS = 26
const MOST_STEPS = 3000

export interface Day {
  readonly disk: SimDisk
  readonly told: Told[]
  readonly lines: string[]
  /** Errors that reached the caller, in order. */
  readonly errors: unknown[]
  /** What broke a rule; empty: the day was fine. */
  readonly faults: string[]
  /** Of each log that was open, when it was closed. */
  readonly measures: WalMeasures[]
  readonly states: WalState[]
  accepted: number
}

export interface DayOptions {
  readonly durability: LogDurability
  readonly inject: Inject | null
  readonly isQueue?: boolean
  /** A hung call keeps `open` waiting as long as the disk does: then the day ends. */
  readonly mayHang?: boolean
}

/** Ends the oldest call first: the day is the same each time. */
const oldestFirst = { next: () => 0 }

export async function runDay(options: DayOptions): Promise<Day> {
  const disk = new SimDisk()
  disk.seed(WAL_DIR)
  disk.inject = options.inject
  const day: Day = {
    disk,
    told: [],
    lines: [],
    errors: [],
    faults: [],
    measures: [],
    states: [],
    accepted: 0,
  }
  const clock = new FakeClock()
  const pump = new Pump(disk, clock, oldestFirst)
  let model = new LogModel(options.durability)
  for (let opening = 1; opening <= 2; opening++) {
    const wal = await open(day, options, pump, opening)
    if (wal === 'hung') break
    if (wal === null) continue
    const lost = judge(model, 'kill', opened(wal), null)
    if (lost !== null) day.faults.push(`opening ${opening}: ${lost}`)
    model = model.adopted(wal, options.durability === 'immediate')
    const owner = new LogOwner(wal, model, seededRandom(opening), options.isQueue ?? false, BigInt(opening))
    await use(day, options, pump, owner)
    model.accepted(wal.acceptedLsn, wal.acceptedSettlements)
    await explore(day, disk, model)
    day.accepted += owner.resolved - owner.rejections.length
  }
  for (const line of disk.violations) day.faults.push(line)
  return day
}

async function open(day: Day, options: DayOptions, pump: Pump, opening: number): Promise<Wal | null | 'hung'> {
  const parts = simParts(day.disk, opening, { clock: pump.clock, logger: listLogger(day.lines) })
  const walOptions = simOptions({
    durability: options.durability,
    owner: options.isQueue === true ? 'queue' : 'producer',
    maxBytes: 12 * 16_384,
  })
  const ending = settled(WriteAheadLog.open(walOptions, parts, listEvents(day.told)))
  const end = await waitFor(pump, ending, options)
  if (end === null) {
    if (options.mayHang !== true) day.faults.push(`open ${opening} never ended: ${pump.waitingFor()}`)
    return 'hung'
  }
  if (end.error === null) return end.value!
  typed(day, end.error, `open ${opening}`)
  return null
}

async function use(day: Day, options: DayOptions, pump: Pump, owner: LogOwner): Promise<void> {
  const { wal } = owner
  const asked: { readonly what: string; readonly end: Ending<unknown> }[] = []
  const ask = (what: string, call: () => Promise<unknown>) => {
    try {
      asked.push({ what, end: settled(call()) })
    } catch (error) {
      typed(day, error, what)
    }
  }
  try {
    const stream = wal.streamOf(options.isQueue === true ? '' : 'topic', '', 0)
    if (options.isQueue !== true) ask('defineIdentity', () => wal.defineIdentity(owner.producerId, 0, 'cluster'))
    for (let record = 0; record < RECORDS; record++) {
      await waitForRoom(pump, wal)
      const unit = owner.append(stream, record % 7 === 0 ? 2500 : 300)
      if (unit !== null) owner.watch(unit.lsn)
      if (record % 3 === 0) owner.bind()
      if (record > 6) owner.settleSome()
      if (record === 15) ask('sync', () => owner.sync())
      if (record % 2 === 0) for (let step = 0; step < 6; step++) await pump.step()
    }
    await pump.drain(30)
    ask('sync', () => owner.sync())
  } catch (error) {
    typed(day, error, 'a call of the log')
  }
  await close(day, options, pump, owner, asked)
}

async function close(
  day: Day,
  options: DayOptions,
  pump: Pump,
  owner: LogOwner,
  asked: readonly { readonly what: string; readonly end: Ending<unknown> }[],
): Promise<void> {
  const closing = settled(owner.wal.close({ timeoutMs: 1000 }))
  const end = await waitFor(pump, closing, options)
  if (end === null) day.faults.push(`close never ended: ${pump.waitingFor()}`)
  else if (end.error !== null) typed(day, end.error, 'close')
  await pump.drain(5)
  owner.note()
  for (const { what, end: each } of asked) {
    if (!each.isSettled) day.faults.push(`${what} is still pending after close`)
    else if (each.error !== null) typed(day, each.error, what)
  }
  if (owner.resolved !== owner.promised)
    day.faults.push(`${owner.promised - owner.resolved} of ${owner.promised} accepted() are pending after close`)
  for (const error of owner.rejections) typed(day, error, 'accepted')
  if (day.disk.open_.size > 0 && options.inject === null)
    day.faults.push(`descriptors are open after close: ${[...day.disk.open_.values()].map((it) => it.path).join(', ')}`)
  // What hangs in the kernel may still write one day: until then nobody else may own the directory.
  const isHung = day.disk.flights.some((flight) => flight.isHung)
  if (day.disk.locks.size > 0 && !isHung) day.faults.push('the lock is held after close')
  day.measures.push(owner.wal.measures())
  day.states.push(owner.wal.state)
}

/** What a crash now leaves keeps every promise. */
async function explore(day: Day, disk: SimDisk, model: LogModel): Promise<void> {
  const explorer = new Explorer(
    (state, known) => judgeSurvey(state, known, state.crash === 'kill' ? 'boot-1' : 'boot-2'),
    { allUpTo: 64, sampleOf: 24 },
    seededRandom(5),
  )
  const failure = await explorer.explore(disk, model, 40)
  if (failure !== null) day.faults.push([failure.text, ...failure.state.describe()].join('\n  '))
}

/** Blocked as a sender would be: until there is room, or it is clear that there will be none. */
async function waitForRoom(pump: Pump, wal: Wal): Promise<void> {
  for (let step = 0; step < 60 && !wal.admits(3000) && wal.state !== 'failed'; step++) await pump.step()
}

interface Ending<T> {
  isSettled: boolean
  value: T | null
  error: unknown
}

function settled<T>(promise: Promise<T>): Ending<T> {
  const end: Ending<T> = { isSettled: false, value: null, error: null }
  promise.then(
    (value) => {
      if (end.isSettled) end.error = new Error('settled twice')
      end.isSettled = true
      end.value = value
    },
    (error: unknown) => {
      end.isSettled = true
      end.error = error
    },
  )
  return end
}

async function waitFor<T>(pump: Pump, end: Ending<T>, options: DayOptions): Promise<Ending<T> | null> {
  const most = options.mayHang === true ? MOST_STEPS : MOST_STEPS * 2
  await pump.settle()
  for (let step = 0; step < most && !end.isSettled; step++) await pump.step()
  return end.isSettled ? end : null
}

/** Every error the caller meets is one of ours, with its reason and the system's own as cause. */
function typed(day: Day, error: unknown, what: string): void {
  day.errors.push(error)
  if (!(error instanceof MQError)) day.faults.push(`${what}: not an MQError: ${text(error)}`)
  else if (error.context.reason === undefined) day.faults.push(`${what}: no reason in its context: ${text(error)}`)
}
