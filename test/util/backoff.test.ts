import { describe, expect, it } from 'vitest'
import { backoffMs, type RandomSource, seededRandom } from '../../lib/util/index.js'

const always = (value: number): RandomSource => ({ next: () => value })

describe('backoffMs', () => {
  it('P-31: the ceiling doubles from the base to the maximum', () => {
    const ceilings = Array.from({ length: 8 }, (_, attempt) => backoffMs(attempt, 100, 5000, always(1)))
    expect(ceilings).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })

  it('P-31: full jitter: times spread evenly from 1 ms to the ceiling', () => {
    const random = seededRandom(7)
    const drawn = Array.from({ length: 20_000 }, () => backoffMs(2, 100, 5000, random))
    expect(Math.min(...drawn)).toBe(1)
    expect(Math.max(...drawn)).toBe(400)
    const mean = drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length
    expect(mean).toBeGreaterThan(195)
    expect(mean).toBeLessThan(205)
  })

  it('never gives 0 and never overflows, however many attempts there were', () => {
    expect(backoffMs(0, 1, 1, always(0))).toBe(1)
    expect(backoffMs(1_000_000, 100, 5000, always(1))).toBe(5000)
  })
})
