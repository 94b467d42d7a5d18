import { describe, expect, it } from 'vitest'
import { Histogram, seededRandom } from '../../lib/util/index.js'

describe('Histogram', () => {
  it('is all zero before the first value', () => {
    const { count, sum, min, max, mean } = new Histogram()
    expect([count, sum, min, max, mean, new Histogram().percentile(0.99)]).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('keeps count, sum, minimum, maximum and mean exactly; a value may count many times', () => {
    const histogram = new Histogram()
    histogram.record(4, 3)
    histogram.record(0.5)
    const { count, sum, min, max, mean } = histogram
    expect([count, sum, min, max, mean]).toEqual([4, 12.5, 0.5, 4, 3.125])
  })

  it('percentiles are at most one step of 6.25 % above the true value, never below it', () => {
    const random = seededRandom(3)
    const values = Array.from({ length: 10_000 }, () => 10 ** (random.next() * 6 - 2)).sort((a, b) => a - b)
    const histogram = new Histogram()
    for (const value of values) histogram.record(value)
    for (const share of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = values[Math.ceil(share * values.length) - 1] as number
      expect(histogram.percentile(share)).toBeGreaterThanOrEqual(exact * 0.999_999)
      expect(histogram.percentile(share)).toBeLessThanOrEqual(exact * 1.0626)
    }
  })

  it('values below 1 us and above 36 hours stay inside', () => {
    const histogram = new Histogram()
    histogram.record(0)
    histogram.record(1e12)
    expect(histogram.count).toBe(2)
    expect(histogram.percentile(0.5)).toBeLessThan(0.002)
    expect(histogram.percentile(1)).toBeGreaterThan(36 * 3_600_000)
  })

  it('reset starts anew', () => {
    const histogram = new Histogram()
    histogram.record(5)
    histogram.reset()
    expect([histogram.count, histogram.max, histogram.percentile(0.5)]).toEqual([0, 0, 0])
    histogram.record(2)
    expect(histogram.min).toBe(2)
  })
})
