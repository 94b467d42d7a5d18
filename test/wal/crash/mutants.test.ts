/**
 * The enumeration can fail: each of these logs leaves out one thing that the specification asks for, and is caught.
 * Source: wal.md 2.4 (PAD), 2.7 (fsyncDir), 3.3 (acceptance), 6.2.
 */
import { describe, expect, it } from 'vitest'
import { lie } from '../../support/wal-sim/index.js'
import { runCampaign } from './campaign.js'
import type { HistoryOptions } from './life.js'

const MS = 120_000
/** Calls that the making and opening of a log needs, and some more. */
const AFTER_OPENING = 80

async function storyOf(more: Partial<HistoryOptions>): Promise<string> {
  const { stories } = await runCampaign({
    states: 40_000,
    seed: 21_000,
    durabilities: ['immediate'],
    more: { deepOneIn: 0, isQueue: false, ...more },
  })
  return stories.flat().join('\n')
}

describe('a log that leaves something out is caught (wal.md 6.2, suite A)', () => {
  it(
    'accepts before its fdatasync',
    async () => {
      expect(await storyOf({ inject: lie('fdatasync', AFTER_OPENING) })).toMatch(/lost|corrupt/)
    },
    MS,
  )

  it(
    'accepts at the append',
    async () => {
      expect(await storyOf({ acceptsEarly: true })).toMatch(/lost/)
    },
    MS,
  )

  it(
    'does not sync its directory',
    async () => {
      expect(await storyOf({ inject: lie('fsyncDir') })).toMatch(/lost|refused|corrupt/)
    },
    MS,
  )

  it(
    'writes sectors again that hold durable frames (no PAD up to the size of the sectors of its disk)',
    async () => {
      expect(await storyOf({ diskSectorBytes: 4096 })).toMatch(/lost|corrupt|refused/)
    },
    MS,
  )
})
