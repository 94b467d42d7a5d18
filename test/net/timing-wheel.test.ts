import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { TimingWheel } from '../../lib/net/timing-wheel.js'
import { type Clock, FakeClock, type TimerHandle } from '../../lib/util/index.js'

/** How often the wheel asked the runtime for a timer, and how many it holds now. */
class CountingClock extends FakeClock {
  armed = 0
  held = 0
  override setTimer(task: () => void, delayMs: number): TimerHandle {
    this.armed++
    this.held++
    let isHeld = true
    const done = (): void => {
      if (isHeld) this.held--
      isHeld = false
    }
    const timer = super.setTimer(() => {
      done()
      task()
    }, delayMs)
    return {
      cancel() {
        done()
        timer.cancel()
      },
    }
  }
}

function wheelOn(clock: Clock = new FakeClock()): { wheel: TimingWheel; errors: unknown[] } {
  const errors: unknown[] = []
  return { wheel: new TimingWheel({ clock, onError: (error) => errors.push(error) }), errors }
}

describe('TimingWheel', () => {
  it('NT-8: runEvery 1 s runs 4 times in 4.5 s, and never after stop; runAfter 1 s once in 2.5 s', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    const ticks: number[] = []
    const once: number[] = []
    const every = wheel.runEvery(1000, () => ticks.push(clock.monotonicMs()))
    wheel.runAfter(1000, () => once.push(clock.monotonicMs()))
    clock.advance(2500)
    expect(once).toEqual([1000])
    clock.advance(2000)
    expect(ticks).toEqual([1000, 2000, 3000, 4000])
    every.stop()
    clock.advance(10_000)
    expect(ticks.length).toBe(4)
    expect(wheel.size).toBe(0)
  })

  it.each([1, 999, 1000, 1001, 999_999, 1_000_000, 1_000_001, 86_400_000 * 12, 86_400_000 * 400])(
    'NT-8: %d ms pass on whatever level they begin, from any time',
    (ms) => {
      for (const startMs of [0, 1, 999, 1000, 123_456.25, 999_999]) {
        const clock = new FakeClock()
        clock.advance(startMs)
        const { wheel } = wheelOn(clock)
        let ranAt = -1
        wheel.runAfter(ms, () => {
          ranAt = clock.monotonicMs()
        })
        clock.advance(ms + 1)
        expect(ranAt, `from ${startMs}`).toBe(
          Math.ceil(startMs + ms) === startMs ? startMs + 1 : Math.ceil(startMs + ms),
        )
      }
    },
  )

  it('NT-8: one timer of the clock for the next slot, none while empty', () => {
    const clock = new CountingClock()
    const { wheel } = wheelOn(clock)
    expect(clock.held).toBe(0)
    const timers = Array.from({ length: 1000 }, (_, index) => wheel.runAfter(500 + index, () => {}))
    expect(clock.held).toBe(1)
    expect(clock.armed).toBe(1)
    wheel.runAfter(100, () => {}).stop()
    expect(clock.held).toBe(1)
    for (const timer of timers) timer.stop()
    expect(clock.held).toBe(0)
    wheel.runAfter(5, () => {})
    clock.advance(5)
    expect([wheel.size, clock.held]).toEqual([0, 0])
  })

  it('NT-8: an empty wheel that stood still for long begins where time is, and sleeps no longer than a timer can', () => {
    const clock = new CountingClock()
    const { wheel } = wheelOn(clock)
    clock.advance(1_000_000)
    wheel.runAfter(5, () => {})
    clock.advance(10)
    expect([clock.armed, wheel.size]).toEqual([1, 0])
    const late = new LateClock()
    const { wheel: sleeper } = wheelOn(late)
    sleeper.runAfter(sleeper.longestMs, () => {})
    expect(late.delayMs).toBe(0x7fffffff)
  })

  it('NT-8: stopping one leaves the order of the others of its tick', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    const ran: number[] = []
    const timers = Array.from({ length: 6 }, (_, index) => wheel.runAfter(10, () => ran.push(index)))
    for (const index of [0, 5, 2]) timers[index]?.stop()
    clock.advance(10)
    expect(ran).toEqual([1, 3, 4])
  })

  it('NT-8: a deadline that is touched asks nothing of the clock, and falls due its time after the last touch', () => {
    const clock = new CountingClock()
    const { wheel } = wheelOn(clock)
    let expiredAt = -1
    const idle = wheel.runIdle(3000, () => {
      expiredAt = clock.monotonicMs()
    })
    for (let touches = 0; touches < 10_000; touches++) {
      clock.advance(1)
      idle.touch()
    }
    expect(clock.armed).toBeLessThan(20)
    clock.advance(2999)
    expect(expiredAt).toBe(-1)
    clock.advance(1)
    expect(expiredAt).toBe(13_000)
    expect(idle.isArmed).toBe(false)
    idle.touch()
    clock.advance(10_000)
    expect([expiredAt, wheel.size]).toEqual([13_000, 0])
  })

  it('NT-7 NT-8: 100 deadlines of 3 s expire between 3 and 4 s', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    const expired: number[] = []
    for (let index = 0; index < 100; index++) {
      clock.advance(0.3)
      const since = clock.monotonicMs()
      wheel.runIdle(3000, () => expired.push(clock.monotonicMs() - since))
    }
    clock.advance(4000)
    expect(expired.length).toBe(100)
    expect(Math.min(...expired)).toBeGreaterThanOrEqual(3000)
    expect(Math.max(...expired)).toBeLessThan(3001)
  })

  it('NT-8: those of one tick run in the order in which they were started, from whatever level they come', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    const ran: string[] = []
    const at = (dueMs: number, name: string): void => {
      wheel.runAfter(dueMs - clock.monotonicMs(), () => ran.push(name))
    }
    at(2_000_005, 'level 2')
    at(2_000_000, 'level 2 at its boundary')
    clock.advance(1_500_000)
    at(2_000_005, 'level 1')
    at(2_000_000, 'level 1 at its boundary')
    clock.advance(499_500)
    at(2_000_005, 'level 0')
    at(2_000_005, 'level 0 again')
    at(2_000_000, 'level 0 at its boundary')
    clock.advance(1000)
    expect(ran).toEqual([
      'level 2 at its boundary',
      'level 1 at its boundary',
      'level 0 at its boundary',
      'level 2',
      'level 1',
      'level 0',
      'level 0 again',
    ])
  })

  it('NT-8: a function that throws, or rejects, reaches onError and hurts no other (trap 25)', async () => {
    const clock = new FakeClock()
    const { wheel, errors } = wheelOn(clock)
    const ran: number[] = []
    wheel.runAfter(1, () => {
      throw new Error('first')
    })
    wheel.runAfter(1, () => ran.push(1))
    wheel.runAfter(1, async () => {
      await Promise.resolve()
      throw new Error('second')
    })
    const every = wheel.runEvery(1, () => {
      throw new Error('every')
    })
    clock.advance(2)
    every.stop()
    await new Promise(setImmediate)
    expect(ran).toEqual([1])
    expect(errors.map((error) => (error as Error).message)).toEqual(['first', 'every', 'every', 'second'])
  })

  it('NT-8: without onError, and when onError throws, the error is thrown in a turn of its own', () => {
    const clock = new FakeClock()
    const silent = new TimingWheel({ clock })
    const bad = new TimingWheel({
      clock,
      onError: () => {
        throw new Error('onError broke')
      },
    })
    let ran = 0
    const wrong = (): void => {
      throw new Error('wrong')
    }
    silent.runAfter(1, wrong)
    silent.runAfter(1, () => ran++)
    expect(() => clock.advance(1)).toThrow('wrong')
    bad.runAfter(1, wrong)
    bad.runAfter(1, () => ran++)
    expect(() => clock.advance(1)).toThrow('onError broke')
    expect(ran).toBe(2)
  })

  it('NT-8: functions may stop, start and restart timers, themselves too', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    const ran: string[] = []
    const victim = wheel.runAfter(11, () => ran.push('victim'))
    wheel.runAfter(10, () => victim.stop())
    const neighbour = wheel.runAfter(10, () => ran.push('neighbour'))
    neighbour.stop()
    let left = 3
    const again = wheel.runAfter(5, () => {
      ran.push(`again ${clock.monotonicMs()}`)
      if (--left > 0) again.restart()
    })
    const every = wheel.runEvery(4, () => {
      ran.push(`every ${clock.monotonicMs()}`)
      if (clock.monotonicMs() === 8) every.stop()
    })
    wheel.runAfter(0, () => wheel.runAfter(0, () => ran.push('nested')))
    clock.advance(100)
    expect(ran).toEqual(['nested', 'every 4', 'again 5', 'every 8', 'again 10', 'again 15'])
    every.restart()
    clock.advance(4)
    expect(ran.at(-1)).toBe('every 104')
    expect(wheel.size).toBe(1)
    wheel.clear()
    expect(wheel.size).toBe(0)
  })

  it('NT-8: a fixed rate keeps its grid with fractions, and leaves out rounds that passed while the loop was busy', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    const ran: number[] = []
    const every = wheel.runEvery(33.3, () => ran.push(clock.monotonicMs()))
    clock.advance(20_000)
    expect(ran.length).toBe(Math.floor(20_000 / 33.3))
    for (const [index, at] of ran.entries()) expect(at).toBe(Math.ceil((index + 1) * 33.3))
    every.stop()
    const late = new LateClock()
    const { wheel: lateWheel } = wheelOn(late)
    const runs: number[] = []
    lateWheel.runEvery(10, () => runs.push(late.monotonicMs()))
    late.ringAt(35)
    late.ringAt(40)
    late.ringAt(52)
    expect(runs).toEqual([35, 40, 52])
    expect(late.delayMs).toBe(8)
  })

  it('NT-8: a clock that rings early makes nothing early', () => {
    const late = new LateClock()
    const { wheel } = wheelOn(late)
    let ranAt = -1
    wheel.runAfter(10.5, () => {
      ranAt = late.monotonicMs()
    })
    late.ringAt(9.7)
    late.ringAt(10.9)
    expect(ranAt).toBe(-1)
    late.ringAt(11)
    expect(ranAt).toBe(11)
  })

  it('NT-8: asClock drives what takes a Clock, its time is that of the clock below, and for ever is a long time', () => {
    const clock = new CountingClock()
    const { wheel } = wheelOn(clock)
    const onWheel = wheel.asClock()
    expect(wheel.asClock()).toBe(onWheel)
    const ran: string[] = []
    onWheel.setTimer(() => ran.push('10'), 10)
    onWheel.setTimer(() => ran.push('late'), -5)
    const never = onWheel.setTimer(() => ran.push('never'), Number.POSITIVE_INFINITY)
    onWheel.setTimer(() => ran.push('cancelled'), 3).cancel()
    onWheel.defer(() => ran.push('deferred'))
    expect(clock.held).toBe(1)
    clock.advance(10)
    expect(ran).toEqual(['deferred', 'late', '10'])
    expect([onWheel.monotonicMs(), onWheel.now()]).toEqual([clock.monotonicMs(), clock.now()])
    never.cancel()
    expect([wheel.size, clock.held]).toEqual([0, 0])
  })

  it.each([
    [-1, 'once'],
    [Number.NaN, 'once'],
    [1e13, 'once'],
    [0, 'every'],
    [Number.POSITIVE_INFINITY, 'every'],
    [0, 'idle'],
  ])('NT-8: refuses to wait %d ms (%s), naming the number', (ms, kind) => {
    const { wheel } = wheelOn()
    const start = (): unknown =>
      kind === 'once'
        ? wheel.runAfter(ms, () => {})
        : kind === 'every'
          ? wheel.runEvery(ms, () => {})
          : wheel.runIdle(ms, () => {})
    expect(start).toThrow(MQError)
    expect(start).toThrow(new RegExp(`got ${ms}`))
    expect(wheel.size).toBe(0)
  })

  it('NT-8: years of waiting keep the wheel turning', () => {
    const clock = new FakeClock()
    const { wheel } = wheelOn(clock)
    let ranAt = -1
    wheel.runAfter(wheel.longestMs, () => {
      ranAt = clock.monotonicMs()
    })
    const yearMs = 365 * 86_400_000
    for (let year = 0; year < 31; year++) {
      clock.advance(yearMs)
      wheel.runAfter(wheel.longestMs, () => {}).stop()
    }
    expect(ranAt).toBe(-1)
    clock.advance(yearMs)
    expect(ranAt).toBe(wheel.longestMs)
  })
})

/** Rings when the test says, at a time that the test says. */
class LateClock extends FakeClock {
  delayMs = -1
  #task: (() => void) | null = null
  #nowMs = 0
  override monotonicMs(): number {
    return this.#nowMs
  }
  override setTimer(task: () => void, delayMs: number): TimerHandle {
    this.#task = task
    this.delayMs = delayMs
    return {
      cancel: () => {
        this.#task = null
      },
    }
  }
  ringAt(ms: number): void {
    this.#nowMs = ms
    const task = this.#task
    this.#task = null
    task?.()
  }
}
