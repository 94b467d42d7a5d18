/** The enumeration can fail: a reader that does not look at the CRC of bodies is caught. Source: wal.md 2.4, 6.2. */
import { expect, it, vi } from 'vitest'
import { runCampaign } from './campaign.js'

vi.mock('../../../lib/wal/format/frame.js', async (original) => ({
  ...(await original<typeof import('../../../lib/wal/format/frame.js')>()),
  isBodyGood: () => true,
}))

it('wal.md 6.2, suite A: a reader that skips the CRC of bodies is caught', async () => {
  const { stories } = await runCampaign({ states: 60_000, seed: 31_000, more: { deepOneIn: 0, isQueue: false } })
  expect(stories.flat().join('\n')).toMatch(/never appended|bytes are not|asked for|appended as|lost|malformed/)
}, 120_000)
