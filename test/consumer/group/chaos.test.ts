/**
 * Groups of whole consumers under everything that may happen to them, in virtual time, each life drawn from a seed.
 * By hand: SEEDS=1000 runs that many of each protocol, SEED=42 one (STORY=500: more of its story).
 */
import { describe, expect, it, vi } from 'vitest'
import type { Protocol } from '../../support/group-sim/plan.js'
import { liveOnce } from '../../support/group-sim/run.js'

vi.mock('../../../lib/net/listen.js', async () => {
  const { listen } = await import('../../support/group-sim/network.js')
  return { listen }
})

const FIRST = Number(process.env.FROM ?? 1)
const COUNT = Number(process.env.SEEDS ?? 15)
const SEED = process.env.SEED
const seeds = SEED === undefined ? Array.from({ length: COUNT }, (_, index) => FIRST + index) : [Number(SEED)]
const protocols = (process.env.PROTOCOL ?? 'classic,consumer').split(',') as Protocol[]

describe.each(protocols)('a group of protocol %s under chaos', (protocol) => {
  it.each(seeds)(
    'C-24, C-31, C-39, C-40, CO-9: seed %i: nothing skipped, never two owners, all comes to rest',
    async (seed) => {
      const { problems, story } = await liveOnce(seed, protocol)
      const replay = `SEED=${seed} PROTOCOL=${protocol} STORY=1000 npx vitest run test/consumer/group/chaos.test.ts`
      expect(problems, `replay: ${replay}\n${story}`).toEqual([])
    },
  )
})
