/** Suite K: lifecycle schedules. Source: wal.md 6.2. `SCHEDULES=1000000` for a soak, `SEED=n` to replay one. */
import { describe, expect, it } from 'vitest'
import { runSchedule } from './schedule.js'

const SCHEDULES = Number(process.env.SCHEDULES ?? 10_000)
const BLOCK = 1000
const only = process.env.SEED

describe('closes, jumps, failures and deletions at any moment (wal.md 6.2, suite K)', () => {
  for (let from = 1; from <= (only === undefined ? SCHEDULES : 1); from += BLOCK) {
    const first = only === undefined ? from : Number(only)
    const last = only === undefined ? Math.min(from + BLOCK - 1, SCHEDULES) : first
    it(`each promise settles exactly once, nothing promised is lost: seeds ${first} to ${last}`, async () => {
      const stories: string[] = []
      for (let seed = first; seed <= last && stories.length < 5; seed++) {
        const { log, faults } = await runSchedule(seed)
        if (faults.length > 0) stories.push([`SEED=${seed}`, ...log, ...faults].join('\n'))
      }
      expect(stories).toEqual([])
    }, 600_000)
  }
})
