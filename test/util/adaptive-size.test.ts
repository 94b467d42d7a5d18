import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AdaptiveSize } from '../../lib/util/index.js'

const make = (start: number) => new AdaptiveSize({ min: 4096, max: 1_048_576, start, targetLatencyMs: 10 })

describe('AdaptiveSize', () => {
  it('PR-10: a tenth less above 1.1 times the target, a tenth more below 0.9 times, nothing between', () => {
    for (const [latencyMs, expected] of [
      [11.1, 9000],
      [11, 10_000],
      [10, 10_000],
      [9, 10_000],
      [8.9, 11_000],
    ] as const) {
      const size = make(10_000)
      expect(size.observe(latencyMs)).toBe(expected !== 10_000)
      expect(size.size, `${latencyMs} ms`).toBe(expected)
    }
  })

  it('PR-10: the latency is smoothed by 0.9 and 0.1', () => {
    const size = make(10_000)
    size.observe(10)
    size.observe(20)
    expect(size.latencyMs).toBeCloseTo(11, 9)
    expect(size.size, '11 is not above 1.1 times 10').toBe(10_000)
    size.observe(20)
    expect(size.latencyMs).toBeCloseTo(11.9, 9)
    expect(size.size).toBe(9000)
  })

  it('PR-10: it starts and restarts inside its bounds', () => {
    expect(make(1).size).toBe(4096)
    const size = make(5_000_000)
    expect(size.size).toBe(1_048_576)
    size.restart(100)
    expect(size.size).toBe(4096)
  })

  it('PR-10: at any latencies it is a whole number within its bounds, and each step is one of three', () => {
    const bounds = fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 0, max: 1_000_000 }))
    const latencies = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { maxLength: 100 })
    fc.assert(
      fc.property(bounds, fc.double({ min: 0.1, max: 100, noNaN: true }), latencies, ([min, more], target, list) => {
        const max = min + more
        const size = new AdaptiveSize({ min, max, start: min + more / 2, targetLatencyMs: target })
        for (const latencyMs of list) {
          const before = size.size
          size.observe(latencyMs)
          expect(Number.isInteger(size.size) && size.size >= min && size.size <= max).toBe(true)
          const step = Math.max(1, Math.round(before * 0.1))
          const share = size.latencyMs / target
          const wish = share > 1.1 ? before - step : share < 0.9 ? before + step : before
          expect(size.size).toBe(Math.min(max, Math.max(min, wish)))
        }
      }),
    )
  })

  it('PR-10: it never sticks: from any size it reaches both bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 0, max: 3000 }), (min, more) => {
        const max = min + more
        const size = new AdaptiveSize({ min, max, start: min, targetLatencyMs: 10 })
        for (let at = 0; at < 400 && size.size < max; at++) size.observe(1)
        expect(size.size).toBe(max)
        for (let at = 0; at < 600 && size.size > min; at++) size.observe(10_000)
        expect(size.size).toBe(min)
      }),
      { numRuns: 50 },
    )
  })
})
