/** The clock all tests stand on: order of timers, deferred tasks, the two times. */
import { describe, expect, it } from 'vitest'
import { FakeClock, systemClock } from '../../lib/util/index.js'

function recorder() {
  const clock = new FakeClock(1000)
  const seen: string[] = []
  return { clock, seen, note: (name: string) => () => void seen.push(`${name}@${clock.monotonicMs()}`) }
}

describe('FakeClock', () => {
  it('stands still until it is advanced; both times move together', () => {
    const clock = new FakeClock(1000)
    expect([clock.now(), clock.monotonicMs()]).toEqual([1000, 0])
    clock.advance(2.5)
    expect([clock.now(), clock.monotonicMs()]).toEqual([1002.5, 2.5])
  })

  it('P-59: a jump of the wall clock moves no limit', () => {
    const { clock, seen, note } = recorder()
    clock.setTimer(note('a'), 10)
    clock.jumpWallClock(3_600_000)
    expect([clock.now(), clock.monotonicMs(), seen]).toEqual([3_601_000, 0, []])
    clock.jumpWallClock(-7_200_000)
    clock.advance(10)
    expect(seen).toEqual(['a@10'])
  })

  it('fires timers in order of their due time, equal ones in order of creation', () => {
    const { clock, seen, note } = recorder()
    clock.setTimer(note('late'), 20)
    clock.setTimer(note('first'), 10)
    clock.setTimer(note('second'), 10)
    clock.setTimer(note('past'), -5)
    clock.advance(15)
    expect(seen).toEqual(['past@0', 'first@10', 'second@10'])
    clock.advance(5)
    expect(seen.at(-1)).toBe('late@20')
  })

  it('fires a timer that a timer has set, when it is due within the same advance', () => {
    const { clock, seen, note } = recorder()
    clock.setTimer(() => clock.setTimer(note('inner'), 5), 5)
    clock.advance(10)
    expect(seen).toEqual(['inner@10'])
  })

  it('a cancelled timer never fires, and cancelling one that fired is harmless', () => {
    const { clock, seen, note } = recorder()
    const fired = clock.setTimer(note('a'), 1)
    const cancelled = clock.setTimer(note('b'), 1)
    expect(clock.pendingTimers).toBe(2)
    cancelled.cancel()
    expect(clock.pendingTimers).toBe(1)
    clock.advance(1)
    fired.cancel()
    expect([seen, clock.pendingTimers]).toEqual([['a@1'], 0])
  })

  it('runs deferred tasks, and those they defer, before time moves on', () => {
    const { clock, seen, note } = recorder()
    clock.defer(() => {
      note('one')()
      clock.defer(note('two'))
    })
    clock.setTimer(note('timer'), 0)
    clock.advance(1)
    expect(seen).toEqual(['one@0', 'two@0', 'timer@0'])
  })

  it('advanceAsync lets promise callbacks run between its steps', async () => {
    const { clock, seen, note } = recorder()
    clock.setTimer(() => void Promise.resolve().then(() => clock.setTimer(note('after a promise'), 1)), 1)
    await clock.advanceAsync(3)
    expect(seen).toEqual(['after a promise@2'])
  })
})

describe('systemClock', () => {
  it('defers to the end of the turn, behind promise callbacks and before timers that are due later', async () => {
    const seen: string[] = []
    await new Promise<void>((resolve) => {
      systemClock.defer(() => {
        seen.push('deferred')
        resolve()
      })
      void Promise.resolve().then(() => seen.push('promise'))
      seen.push('now')
    })
    expect(seen).toEqual(['now', 'promise', 'deferred'])
  })

  it('cancels timers, and its monotonic time never goes back', async () => {
    const startMs = systemClock.monotonicMs()
    const cancelled = systemClock.setTimer(() => expect.unreachable('it was cancelled'), 1)
    cancelled.cancel()
    await new Promise<void>((resolve) => void systemClock.setTimer(resolve, 5))
    expect(systemClock.monotonicMs()).toBeGreaterThan(startMs)
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000)
  })
})
