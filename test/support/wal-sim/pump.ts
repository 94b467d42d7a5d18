/**
 * Moves a log on a simulated disk: lets promises run, ends calls, lets time pass; which comes next, a seed says.
 * Why one place: between two steps nothing moves, so whoever looks then (the enumeration of crashes) sees every state
 * the disk and the caller can be in together.
 */
import { type FakeClock, type RandomSource, randomInt } from '../../../lib/util/index.js'
import type { SimDisk } from './disk.js'

/** One turn of the real event loop: every promise callback that is ready has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** Steps without a call, after which time passes faster. */
const LONG_IDLE = 40
const LONG_STEP_MS = 25

export class Pump {
  readonly disk: SimDisk
  readonly clock: FakeClock
  readonly random: RandomSource
  #idle = 0
  /** Called between two steps, when nothing moves. */
  onStill: (() => Promise<void> | void) | null = null

  constructor(disk: SimDisk, clock: FakeClock, random: RandomSource) {
    this.disk = disk
    this.clock = clock
    this.random = random
  }

  /** Runs promises and deferred tasks until none is left; no call ends, no time passes. */
  async settle(): Promise<void> {
    await turn()
    this.clock.runDeferred()
    await turn()
    if (this.onStill !== null) await this.onStill()
  }

  /**
   * Ends one call, any of those on their way; without one, a millisecond passes, and more when nothing has happened
   * for long: whoever waits then waits for a time-out. False: nothing was on its way.
   */
  async step(): Promise<boolean> {
    const ready = this.disk.flights.flatMap((flight, at) => (flight.isHung ? [] : [at]))
    this.#idle = ready.length === 0 ? this.#idle + 1 : 0
    if (ready.length === 0) this.clock.advance(this.#idle > LONG_IDLE ? LONG_STEP_MS : 1)
    else this.disk.complete(ready[randomInt(this.random, ready.length)] as number)
    await this.settle()
    return ready.length > 0
  }

  /** Goes on until `promise` is settled; throws when that takes more than `maxSteps`. */
  async until<T>(promise: Promise<T>, what: string, maxSteps = 20_000): Promise<T> {
    let isSettled = false
    const note = () => {
      isSettled = true
    }
    promise.then(note, note)
    await this.settle()
    for (let step = 0; !isSettled; step++) {
      if (step === maxSteps) throw new Error(`${what} did not settle in ${maxSteps} steps: ${this.waitingFor()}`)
      await this.step()
    }
    return promise
  }

  /** Goes on until no call is on its way and `idleMs` passed without a new one. */
  async drain(idleMs = 20): Promise<void> {
    for (let idle = 0, step = 0; idle < idleMs; step++) {
      if (step === 20_000) throw new Error(`the disk never came to rest: ${this.waitingFor()}`)
      idle = (await this.step()) ? 0 : idle + 1
    }
  }

  waitingFor(): string {
    const flights = this.disk.flights.map((flight) => `${flight.call.kind} ${flight.call.path}`)
    return `${flights.join(', ') || 'no call on its way'}; timers ${this.clock.pendingTimers}`
  }
}
