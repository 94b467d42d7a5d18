import { describe, expect, it } from 'vitest'
import { TimingWheel } from '../../lib/net/timing-wheel.js'
import type { WheelHandle } from '../../lib/net/wheel/timer.js'
import { FakeClock, MinHeap, type RandomSource, randomInt, seededRandom } from '../../lib/util/index.js'

/** What a timer must do next. */
interface Expected {
  readonly id: number
  readonly startMs: number
  readonly everyMs: number // 0: once
  readonly handle: WheelHandle
  place: number // in the list of those that wait
  dueMs: number
  round: number
}

const SEEDS = [1, 7, 42, 91_734, 2_026, 31_337]
const STEPS = 8_000
const MOST_EVERY = 5
/** Spread over the levels, with the borders between them. */
const DELAYS = [0, 1, 2, 10, 998, 999, 1000, 1001, 5000, 60_000, 999_999, 1_000_000, 1_000_001, 3_600_000, 86_400_000]
const ADVANCES = [0, 0.25, 1, 1, 2, 10, 100, 999, 1000, 1001, 20_000]

class Simulation {
  readonly clock = new FakeClock()
  readonly wheel = new TimingWheel({ clock: this.clock })
  readonly #random: RandomSource
  /** Due times in order; an entry is stale when its timer stopped, ran or waits for another time. */
  readonly #due = new MinHeap<{ timer: Expected; dueMs: number }>((a, b) => a.dueMs - b.dueMs)
  readonly #waiting: Expected[] = []
  #ids = 0
  #everyTimers = 0
  ran = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  step(): void {
    const dice = this.#random.next()
    if (dice < 0.5) this.#add()
    else if (dice < 0.7) this.#stop()
    else this.clock.advance(this.#pick(ADVANCES) * (this.#random.next() < 0.5 ? 1 : this.#random.next()))
    this.#checkNoneOverdue(1)
    expect(this.wheel.size).toBe(this.#waiting.length)
  }

  #pick(numbers: readonly number[]): number {
    return numbers[randomInt(this.#random, numbers.length)] as number
  }

  #add(): void {
    const startMs = this.clock.monotonicMs()
    const isEvery = this.#everyTimers < MOST_EVERY && this.#random.next() < 0.05
    const ms = this.#pick(DELAYS) * (this.#random.next() < 0.5 ? 1 : this.#random.next()) + (isEvery ? 500 : 0)
    const task = (): void => this.#happened(timer)
    const handle = isEvery ? this.wheel.runEvery(ms, task) : this.wheel.runAfter(ms, task)
    const place = this.#waiting.length
    const timer = { id: this.#ids++, startMs, everyMs: isEvery ? ms : 0, handle, place, dueMs: startMs + ms, round: 1 }
    if (isEvery) this.#everyTimers++
    this.#waiting.push(timer)
    this.#due.push({ timer, dueMs: timer.dueMs })
  }

  #stop(): void {
    const timer = this.#waiting[randomInt(this.#random, this.#waiting.length)]
    if (timer === undefined) return
    expect(timer.handle.isArmed).toBe(true)
    timer.handle.stop()
    timer.handle.stop()
    expect(timer.handle.isArmed).toBe(false)
    this.#forget(timer)
  }

  #forget(timer: Expected): void {
    const last = this.#waiting.pop() as Expected
    if (last !== timer) this.#waiting[timer.place] = last
    last.place = timer.place
    timer.place = -1
    if (timer.everyMs > 0) this.#everyTimers--
  }

  #happened(timer: Expected): void {
    const nowMs = this.clock.monotonicMs()
    this.ran++
    const lateMs = nowMs - timer.dueMs
    if (timer.place < 0) throw new Error(`timer ${timer.id} was stopped, or had run`)
    if (!(lateMs >= 0 && lateMs <= 1)) throw new Error(`timer ${timer.id} runs ${lateMs} ms after it was due`)
    if (timer.everyMs === 0) this.#forget(timer)
    else {
      timer.dueMs = timer.startMs + ++timer.round * timer.everyMs
      this.#due.push({ timer, dueMs: timer.dueMs })
    }
    this.#checkNoneOverdue(1)
  }

  #checkNoneOverdue(ticks: number): void {
    for (let next = this.#due.peek(); next !== undefined; next = this.#due.peek()) {
      if (next.timer.place >= 0 && next.timer.dueMs === next.dueMs) {
        const lateMs = this.clock.monotonicMs() - next.dueMs
        if (lateMs > ticks) throw new Error(`timer ${next.timer.id} is ${lateMs} ms overdue`)
        return
      }
      this.#due.pop()
    }
  }

  /** Lets what runs once run, and nothing be left. */
  end(): void {
    for (const timer of this.#waiting.filter(({ everyMs }) => everyMs > 0)) {
      timer.handle.stop()
      this.#forget(timer)
    }
    this.clock.advance(100_000_000)
    this.#checkNoneOverdue(0)
    expect(this.wheel.size).toBe(0)
    expect(this.clock.pendingTimers).toBe(0)
  }
}

describe('TimingWheel against a heap', () => {
  it.each(SEEDS)(`NT-8: ${STEPS} steps run each timer never early and at most a tick late (seed %d)`, (seed) => {
    const simulation = new Simulation(seed)
    for (let step = 0; step < STEPS; step++) {
      try {
        simulation.step()
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}`, { cause: error })
      }
    }
    simulation.end()
    expect(simulation.ran).toBeGreaterThan(2000)
  })

  it.each(SEEDS)('NT-8: one-shot timers run exactly in the order of tick and start (seed %d)', (seed) => {
    const random = seededRandom(seed)
    const clock = new FakeClock()
    const wheel = new TimingWheel({ clock })
    const ran: { tick: number; id: number }[] = []
    let id = 0
    let stopped = 0
    for (let step = 0; step < 10_000; step++) {
      const ms = (DELAYS[randomInt(random, DELAYS.length)] as number) * random.next()
      const mine = { tick: Math.ceil(clock.monotonicMs() + ms), id: id++ }
      const started = clock.monotonicMs()
      const handle = wheel.runAfter(ms, () => {
        if (mine.tick <= started) mine.tick = Math.floor(started) + 1
        expect(clock.monotonicMs(), `seed ${seed}, timer ${mine.id}`).toBe(mine.tick)
        ran.push(mine)
      })
      if (random.next() < 0.3) {
        handle.stop()
        stopped++
      }
      if (random.next() < 0.2) clock.advance(random.next() * 300)
    }
    clock.advance(200_000_000)
    expect(ran.length).toBe(id - stopped)
    for (let at = 1; at < ran.length; at++) {
      const [before, after] = [ran[at - 1], ran[at]] as [{ tick: number; id: number }, { tick: number; id: number }]
      expect(
        before.tick < after.tick || (before.tick === after.tick && before.id < after.id),
        `seed ${seed} at ${at}`,
      ).toBe(true)
    }
  })
})
