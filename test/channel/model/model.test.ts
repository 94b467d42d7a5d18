/**
 * Random stories that a channel and its model must tell alike: a small sample of what `main.ts` plays by the hundred thousand;
 * and mutants, by which the model shows that it can fail.
 */
import { describe, expect, it } from 'vitest'
import { makeChannel } from './makers.js'
import { MUTANTS } from './mutants.js'
import { campaign, noTotals, shrink, tell } from './run.js'

const SEED = Number(process.env.SEED ?? 1)
const RUNS = Number(process.env.TANDEM_RUNS ?? 1500)
/** The rarest mutant shows after some hundred runs. */
const MUTANT_RUNS = 5000

describe('a channel and its model', () => {
  it(`CH-2, CH-4..CH-9, CH-11..CH-19: ${RUNS} random stories from seed ${SEED}`, { timeout: 120_000 }, async () => {
    const totals = noTotals()
    const failure = await campaign(RUNS, SEED, makeChannel, totals)
    if (failure !== null) throw new Error(await tell(await shrink(failure, makeChannel), makeChannel))
    expect(totals.runs).toBe(RUNS)
    expect(totals.records).toBeGreaterThan(RUNS * 5)
    expect(Object.keys(totals.operations)).toHaveLength(26)
    expect(Object.keys(totals.kinds)).toHaveLength(9)
  })

  it.each(Object.keys(MUTANTS))('CH-2: the model finds out that %s', { timeout: 120_000 }, async (name) => {
    const make = MUTANTS[name] as typeof makeChannel
    const failure = await campaign(MUTANT_RUNS, SEED, make, noTotals())
    expect(failure, `not found in ${MUTANT_RUNS} runs`).not.toBeNull()
    if (failure === null) return
    const shortest = await shrink(failure, make)
    expect(shortest.steps.length).toBeLessThanOrEqual(15)
  })
})
