import { describe, expect, it } from 'vitest'
import { FakeClock, RateWindow } from '../../lib/util/index.js'

describe('RateWindow', () => {
  it('is 0 before any time has passed', () => {
    const window = new RateWindow(new FakeClock())
    window.add(5)
    expect(window.perSecond()).toBe(0)
  })

  it('divides by the time since the start while that is shorter than the window', () => {
    const clock = new FakeClock()
    const window = new RateWindow(clock)
    window.add(100)
    clock.advance(500)
    expect(window.perSecond()).toBe(200)
    clock.advance(1500)
    expect(window.perSecond()).toBe(50)
  })

  it('shows a steady rate exactly, for as long as it lasts', () => {
    const clock = new FakeClock()
    const window = new RateWindow(clock)
    for (let tenth = 0; tenth < 300; tenth++) {
      window.add(7)
      clock.advance(100)
    }
    expect(window.perSecond()).toBeCloseTo(70, 5)
  })

  it('forgets what is older than ten seconds', () => {
    const clock = new FakeClock()
    const window = new RateWindow(clock)
    window.add(1000)
    clock.advance(9_000)
    expect(window.perSecond()).toBeGreaterThan(0)
    clock.advance(2_000)
    expect(window.perSecond()).toBe(0)
    window.add(30)
    expect(window.perSecond()).toBeCloseTo(3, 5)
  })

  it('counts for the second in which it happened, and nothing that is older than the window', () => {
    const clock = new FakeClock()
    const window = new RateWindow(clock)
    clock.advance(20_000)
    window.add(50)
    window.add(100, 15_000)
    window.add(7_000, 9_000) // The same slot as 20 s, eleven seconds before.
    expect(window.perSecond()).toBeCloseTo(15, 5)
    clock.advance(5_000)
    expect(window.perSecond(), 'those of second 15 are about to leave').toBeCloseTo(15, 5)
    clock.advance(1_000)
    expect(window.perSecond()).toBeCloseTo(5, 5)
  })
})
