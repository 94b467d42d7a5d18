/**
 * Producers that are killed by SIGKILL under load, on the in-process broker: a few kills for every run of the tests.
 * The hundreds and thousands are those of `main.ts`. Source: wal.md 1.1, 6.2 E.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InProcessCluster } from '../support/in-process-cluster.js'
import { faultsOf } from '../support/ledger.js'
import { type Durability, parseKillOptions } from './options.js'
import { runSeries } from './series.js'

const LIMIT_MS = 180_000
const SEED = 20_261

let cluster: InProcessCluster
beforeAll(async () => {
  cluster = await InProcessCluster.start()
})
afterAll(() => cluster.close())

async function killed(durability: Durability, cycles: number) {
  const options = parseKillOptions(['--durability', durability, '--cycles', String(cycles), '--seed', String(SEED)])
  if (options === null) throw new Error('no options')
  const told: string[] = []
  const report = await runSeries(options, cluster, (line) => told.push(line))
  return { ...report, story: told.join('\n') }
}

describe('kill -9 under load', () => {
  it('WA-1, wal.md 1.1: with durability memory records are lost, and the check sees it', {
    timeout: LIMIT_MS,
  }, async () => {
    const { kills, tally, failed } = await killed('memory', 10)
    expect(kills).toBe(10)
    expect(tally.lost).toBeGreaterThan(0)
    expect(failed.length).toBeGreaterThan(0)
    expect(tally).toMatchObject({ duplicated: 0, reordered: 0, altered: 0, foreign: 0 })
  })

  it.each(['os', 'periodic', 'immediate'] as const)(
    'WA-1, WA-2, WA-3, wal.md 1.1: %s loses nothing, repeats nothing and keeps the order',
    { timeout: LIMIT_MS },
    async (durability) => {
      const { kills, tally, failed, story } = await killed(durability, 8)
      expect(story).toBe('')
      expect(failed).toEqual([])
      expect(kills).toBe(8)
      expect(tally.accepted).toBeGreaterThan(0)
      expect(faultsOf(tally)).toBe(0)
    },
  )
})
