import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom, systemRandom } from '../../lib/util/index.js'

describe('seededRandom', () => {
  it('gives the same numbers for the same seed and others for another', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed)
      return Array.from({ length: 5 }, () => random.next())
    }
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
  })

  it('is uniform in [0, 1): 100,000 draws fill 100 bins within 5 sigma', () => {
    const random = seededRandom(91734)
    const bins = new Array<number>(100).fill(0)
    for (let draw = 0; draw < 100_000; draw++) {
      const bin = Math.floor(random.next() * 100)
      bins[bin] = (bins[bin] ?? Number.NaN) + 1
    }
    expect(bins).toHaveLength(100)
    for (const count of bins) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000))
  })
})

describe('randomInt', () => {
  it('gives integers of [0, bound), both ends included', () => {
    expect(randomInt({ next: () => 0 }, 6)).toBe(0)
    expect(randomInt({ next: () => 1 - 2 ** -53 }, 6)).toBe(5)
    for (let draw = 0; draw < 1000; draw++) expect([0, 1, 2]).toContain(randomInt(systemRandom, 3))
  })
})
