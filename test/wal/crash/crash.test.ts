/**
 * Suite A, the small one; `main.ts` is the whole. A seed that ever failed stays here by its number.
 * Source: wal.md 1.1, 2.8, 4.1, 4.3, 6.2.
 */
import { describe, expect, it } from 'vitest'
import { runCampaign } from './campaign.js'

const MS = 120_000

describe('crash states (wal.md 6.2, suite A)', () => {
  it(
    'immediate: no crash loses an accepted record, brings a settled one back, or invents one',
    async () => {
      const { stories, distinct } = await runCampaign({ states: 8000, seed: 11_000, durabilities: ['immediate'] })
      expect(stories).toEqual([])
      expect(distinct).toBeGreaterThanOrEqual(8000)
    },
    MS,
  )

  it(
    'os and periodic: a killed process loses nothing, a power cut only what was not synced, and that is told',
    async () => {
      const { stories, distinct } = await runCampaign({ states: 8000, seed: 12_000, durabilities: ['os', 'periodic'] })
      expect(stories).toEqual([])
      expect(distinct).toBeGreaterThanOrEqual(8000)
    },
    MS,
  )

  it(
    'wal.md 4.3: openings that crash, and crash again, come to the same end',
    async () => {
      const { stories, deepOpenings } = await runCampaign({
        states: 4000,
        seed: 13_000,
        more: { deepOneIn: 20, sampleOf: 32, allUpTo: 64 },
      })
      expect(stories).toEqual([])
      expect(deepOpenings).toBeGreaterThan(50)
    },
    MS,
  )

  it.each([
    [2, 'CLOSE was written together with the records it vouches for'],
    [8, 'a CHECKPOINT named the new opening before its HOLE was there'],
    [11, 'a STREAM frame was lost, frames behind it were not'],
    [13, 'OPEN survived the HOLE of its group, and vouched for what was lost'],
  ])(
    'seed %i: %s',
    async (seed) => {
      const { stories } = await runCampaign({ states: 2000, seed, statesPerHistory: 2000 })
      expect(stories).toEqual([])
    },
    MS,
  )

  it(
    'seed 18: a CHECKPOINT freed a segment whose last live record had been copied, but not durably',
    async () => {
      const { stories } = await runCampaign({ states: 8000, seed: 18, statesPerHistory: 20_000 })
      expect(stories).toEqual([])
    },
    MS,
  )

  it(
    'seed 4: a rotation of the opening was synced, and a CHECKPOINT attested what the HOLE behind it calls lost',
    async () => {
      const { stories } = await runCampaign({ states: 20_000, seed: 4, statesPerHistory: 20_000 })
      expect(stories).toEqual([])
    },
    MS,
  )
})
