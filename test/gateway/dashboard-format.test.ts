/** Numbers and curves of the dashboard. */
import { describe, expect, it } from 'vitest'
import { bytes, count, duration, line, Series } from '../../lib/gateway/browser/dashboard-format.js'

describe('GW-1: the numbers of the dashboard', () => {
  it.each([
    [0, '0'],
    [7, '7'],
    [56.88, '56.9'],
    [999, '999'],
    [999.4, '999'],
    [999.9, '1.00 k'],
    [1_234, '1.23 k'],
    [12_345, '12.3 k'],
    [999_900, '1.00 M'],
    [4_560_000, '4.56 M'],
    [7e15, '7000 T'],
  ])('GW-1: %d is written %s', (value, text) => {
    expect(count(value)).toBe(text)
  })

  it('GW-1: bytes are counted in 1024, milliseconds with as many digits as they deserve', () => {
    expect([0, 1_023, 1_024, 64 * 1_048_576].map((value) => bytes(value).join(' '))).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '64.0 MiB',
    ])
    expect([0.034, 2.3, 45.06, 172.4].map(duration)).toEqual(['0.03', '2.30', '45.1', '172'])
  })

  it('GW-1: a curve keeps the last values, ends at the right edge, and stays inside its box', () => {
    const series = new Series(3)
    for (const value of [9, 1, 2, 4]) series.push(value)
    expect(series.values).toEqual([1, 2, 4])
    expect(line(series.values, { size: 10, height: 32, top: 4 })).toBe('M8 23.50L9 16.00L10 1.00')
    expect(line([0, 0], { size: 10, height: 32, top: 0 })).toBe('M9 31.00L10 31.00')
    expect(line([1], { size: 10, height: 32, top: 1 })).toBe('')
  })
})
