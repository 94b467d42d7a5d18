/**
 * Any number of timers on one timer of the runtime. Hot path. NT-8.
 * Why: ten thousand connections with a deadline each, moved by every read, cost a heap or a list of the runtime more than their
 * bytes do. Here adding and stopping link an object into a circle, and a deadline that moves only notes the time: its timer
 * looks when it is due, and goes on waiting for the rest.
 *
 *   level 0   1,000 slots of 1 ms     fired when the cursor reaches them
 *   level 1   1,000 slots of 1 s      when the cursor reaches one, its timers move down
 *   level 2   of 1,000 s (11.6 days in all)         level 3   of 11.6 days (31.7 years)
 *
 * Invariant: a timer never runs early, and at most one tick late unless the event loop itself is late; those of one tick run in
 * the order in which they were started. The runtime holds one timer, for the next slot that holds any, and none while empty.
 * Rejected: making up for rounds of `runEvery` that a busy loop missed, which loads it most when it is late already.
 * Source: G. Varghese, T. Lauck, Hashed and Hierarchical Timing Wheels, 1987 (scheme 7); the original's 1 ms x 1,000.
 */
import { MQError } from '../errors/index.js'
import { type Clock, systemClock, type TimerHandle } from '../util/index.js'
import { SLOTS, WheelLevel } from './wheel/level.js'
import { EVERY, IDLE, type IdleHandle, ONCE, type TimerKind, type WheelHandle, WheelTimer } from './wheel/timer.js'
import { WheelClock } from './wheel/wheel-clock.js'

const LEVELS = 4
/** A tick is 1 ms, so that ticks are milliseconds of the clock, cut to whole ones. */
const LONGEST_MS = 990 * SLOTS ** (LEVELS - 1)
/** The wheel turns at least this often while it holds timers, so that its cursor is never further behind than ten slots of
 * the highest level, which LONGEST_MS leaves free. What a timer of Node can wait. */
const LONGEST_SLEEP_MS = 0x7fffffff

export interface TimingWheelOptions {
  /** Tells the time and holds the one timer. Default: the system's. */
  readonly clock?: Clock
  /** What a timer's function threw, or its promise was rejected with. Default: thrown in a turn of its own, as by `setTimeout`. */
  readonly onError?: (error: unknown) => void
}

/**
 * Timers in milliseconds, fractions allowed. NT-8.
 *
 * ```ts
 * const wheel = new TimingWheel()
 * const every = wheel.runEvery(1000, () => console.log('tick'))
 * wheel.runAfter(4500, () => every.stop())
 * ```
 */
export class TimingWheel {
  /** The longest time it waits: 31.4 years. */
  readonly longestMs = LONGEST_MS
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  readonly #levels: WheelLevel[] = []
  readonly #owner = {
    nowMs: () => this.#clock.monotonicMs(),
    start: (timer: WheelTimer) => this.#start(timer),
    stop: (timer: WheelTimer) => this.#stop(timer),
  }
  #asClock: WheelClock | null = null
  #size = 0
  #cursor = 0 // the tick that was fired last
  #isTurning = false
  #wakeTick = Number.POSITIVE_INFINITY
  #wake: TimerHandle | null = null

  constructor(options: TimingWheelOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#onError = options.onError ?? ((error) => throwLater(this.#clock, error))
    for (let index = 0; index < LEVELS; index++) this.#levels.push(new WheelLevel(index))
  }

  /** Timers that wait. */
  get size(): number {
    return this.#size
  }

  /** Calls `task` once, after `ms` (0 or more). Throws INVALID_CONFIG for a time that is none, or above `longestMs`. */
  runAfter(ms: number, task: () => unknown): WheelHandle {
    return this.#add(ONCE, ms, task)
  }

  /**
   * Calls `task` after `ms` (above 0), 2 `ms`, 3 `ms` ... from now, at a fixed rate: a late run does not move the next ones.
   * Rounds that passed entirely while the event loop was busy are left out. Throws as `runAfter`.
   */
  runEvery(ms: number, task: () => unknown): WheelHandle {
    return this.#add(EVERY, ms, task)
  }

  /** Calls `task` once, when `ms` (above 0) have passed since the last `touch()`, or since now. Throws as `runAfter`. */
  runIdle(ms: number, task: () => unknown): IdleHandle {
    return this.#add(IDLE, ms, task)
  }

  /** This wheel for anything that takes a `Clock`. Always the same object. */
  asClock(): Clock {
    this.#asClock ??= new WheelClock(this, this.#clock)
    return this.#asClock
  }

  /** Stops every timer. The wheel can be used on. */
  clear(): void {
    for (const level of this.#levels) {
      for (let next = level.nextAfter(0); Number.isFinite(next); next = level.nextAfter(0)) {
        const slot = level.slotOf(next)
        for (let timer = level.firstOf(slot); timer !== null; timer = level.firstOf(slot)) this.#stop(timer)
      }
    }
  }

  #add(kind: TimerKind, ms: number, task: () => unknown): WheelTimer {
    if (!(ms >= 0 && ms <= LONGEST_MS) || (ms === 0 && kind !== ONCE)) {
      const text = `a timer waits ${kind === ONCE ? 'from 0' : 'above 0'} to ${LONGEST_MS} ms, got ${ms}`
      throw new MQError('INVALID_CONFIG', text, { ms, longestMs: LONGEST_MS })
    }
    const timer = new WheelTimer(kind, ms, task, this.#owner)
    this.#start(timer)
    return timer
  }

  #start(timer: WheelTimer): void {
    const nowMs = this.#clock.monotonicMs()
    // An empty wheel was not turned: it stands where time is now, one tick back so that this tick can still be fired.
    if (this.#size === 0 && !this.#isTurning) this.#cursor = Math.max(this.#cursor, Math.ceil(nowMs) - 1)
    timer.sinceMs = nowMs
    timer.round = 1
    this.#arm(timer, nowMs + timer.ms)
  }

  #arm(timer: WheelTimer, dueMs: number): void {
    timer.dueMs = dueMs
    timer.dueTick = Math.max(Math.ceil(dueMs), this.#cursor + 1)
    this.#size++
    const level = this.#levelFor(timer)
    level.add(timer, true)
    if (this.#isTurning) return
    const tick = level.index === 0 ? timer.dueTick : Math.floor(timer.dueTick / level.slotTicks) * level.slotTicks
    if (tick < this.#wakeTick) this.#wakeAt(tick)
  }

  #levelFor(timer: WheelTimer): WheelLevel {
    const ticks = timer.dueTick - this.#cursor
    let index = 0
    while (index < LEVELS - 1 && ticks >= (this.#levels[index + 1] as WheelLevel).slotTicks) index++
    return this.#levels[index] as WheelLevel
  }

  #stop(timer: WheelTimer): void {
    if (timer.level < 0) return
    this.#unlink(timer)
    if (this.#size === 0 && !this.#isTurning) this.#wakeAt(Number.POSITIVE_INFINITY)
  }

  #unlink(timer: WheelTimer): void {
    ;(this.#levels[timer.level] as WheelLevel).remove(timer)
    this.#size--
  }

  #wakeAt(tick: number): void {
    this.#wake?.cancel()
    this.#wake = null
    this.#wakeTick = tick
    if (tick === Number.POSITIVE_INFINITY) return
    const sleepMs = Math.max(0, tick - this.#clock.monotonicMs())
    this.#wake = this.#clock.setTimer(this.#turn, Math.min(sleepMs, LONGEST_SLEEP_MS))
  }

  /** Fires what is due. One that rings early (Node counts whole milliseconds) fires nothing and waits for the rest. */
  readonly #turn = (): void => {
    const nowMs = this.#clock.monotonicMs()
    this.#isTurning = true
    for (let tick = this.#nextTick(); tick <= nowMs; tick = this.#nextTick()) {
      this.#cursor = tick
      this.#moveDown()
      this.#fire(nowMs)
    }
    this.#isTurning = false
    this.#cursor = Math.max(this.#cursor, Math.floor(nowMs))
    this.#wakeAt(this.#nextTick())
  }

  #nextTick(): number {
    let next = Number.POSITIVE_INFINITY
    if (this.#size > 0) for (const level of this.#levels) next = Math.min(next, level.nextAfter(this.#cursor))
    return next
  }

  /**
   * The timers of slots that begin now find their place further down. From the bottom up, each in front of what is there and
   * from the last to the first: of the timers of one tick, those of a higher level were started earlier.
   */
  #moveDown(): void {
    for (let index = 1; index < LEVELS; index++) {
      const level = this.#levels[index] as WheelLevel
      if (this.#cursor % level.slotTicks !== 0) return
      const slot = level.slotOf(this.#cursor)
      for (let timer = level.firstOf(slot)?.prev; timer !== undefined; timer = level.firstOf(slot)?.prev) {
        level.remove(timer)
        this.#levelFor(timer).add(timer, false)
      }
    }
  }

  #fire(nowMs: number): void {
    const level = this.#levels[0] as WheelLevel
    const slot = level.slotOf(this.#cursor)
    for (let timer = level.firstOf(slot); timer !== null; timer = level.firstOf(slot)) {
      this.#unlink(timer)
      if (!this.#waitsOn(timer)) this.#run(timer, nowMs)
    }
  }

  /** Was touched since it was armed: waits for the rest. */
  #waitsOn(timer: WheelTimer): boolean {
    const dueMs = timer.sinceMs + timer.ms
    if (timer.kind !== IDLE || dueMs <= timer.dueMs) return false
    this.#arm(timer, dueMs)
    return true
  }

  #run(timer: WheelTimer, nowMs: number): void {
    if (timer.kind === EVERY) {
      timer.round = Math.max(timer.round, Math.floor((nowMs - timer.sinceMs) / timer.ms)) + 1
      this.#arm(timer, timer.sinceMs + timer.round * timer.ms)
    }
    try {
      const result = timer.task()
      if (result instanceof Promise) result.catch((error: unknown) => this.#raise(error))
    } catch (error) {
      this.#raise(error)
    }
  }

  /** An `onError` that throws itself must not stop the other timers. */
  #raise(error: unknown): void {
    try {
      this.#onError(error)
    } catch (thrown) {
      throwLater(this.#clock, thrown)
    }
  }
}

function throwLater(clock: Clock, error: unknown): void {
  clock.defer(() => {
    throw error
  })
}
