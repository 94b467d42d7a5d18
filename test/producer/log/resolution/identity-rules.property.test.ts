/**
 * Suite I of wal.md 6.2: the resolution against a reference model of the broker. Sequences that wrap, the last epoch,
 * several identities, lost acknowledgements, late requests of the dead process and of sockets that were given up,
 * leaders that move between L and an acknowledgement and take what was not durable with them, clean restarts.
 */
import { describe, expect, it } from 'vitest'
import { History, type Story } from './model/history.js'

const only = process.env.SEED === undefined ? null : Number(process.env.SEED)
const SEEDS = Number(process.env.SEEDS ?? 10_000)

describe('identity rules against a model (suite I)', () => {
  it(`wal.md 4.2: ${only === null ? `${SEEDS} seeds` : `seed ${only}`}: each batch once, in order`, async () => {
    const stories: Story[] = []
    for (let seed = only ?? 1; seed <= (only ?? SEEDS); seed++) stories.push(await new History(seed).run())
    if (only !== null) return
    // The seeds reach what they are for.
    const edges = new Set(stories.flatMap((story) => story.edges))
    expect([...edges].sort()).toEqual(expect.arrayContaining(['E12', 'E2', 'E3', 'E4']))
    for (const mode of ['sound', 'forgotten', 'unreadable'] as const) {
      expect(stories.filter((story) => story.mode === mode && story.entries > 0).length).toBeGreaterThan(SEEDS / 10)
    }
    expect(stories.filter(({ held }) => held).length).toBeLessThan(SEEDS / 10)
  }, 300_000)
})
