/** What the channel's benchmark says about its numbers: medians, goals, ratios, failures. Part 8. */
import { describe, expect, it } from 'vitest'
import type { ChannelRound } from '../../bench/harness/channel-job.js'
import { CHANNEL_ROWS, type ChannelRow, COMPARISONS } from '../../bench/harness/channel-rows.js'
import {
  type ChannelResult,
  channelTable,
  compare,
  comparisonVerdict,
  figuresOf,
  verdictOf,
} from '../../bench/harness/channel-table.js'

const ROW = CHANNEL_ROWS[0] as ChannelRow

function resultOf(perCallNs: readonly number[], change: Partial<ChannelRow> = {}, cpuNs = perCallNs): ChannelResult {
  const rounds = perCallNs.map(
    (ns, index): ChannelRound => ({
      calls: 1000,
      wallNs: ns * 1000,
      cpuNs: (cpuNs[index] as number) * 1000,
      verified: 10,
    }),
  )
  return { row: { ...ROW, ...change }, readiness: { count: 1000, heapBytesPerCall: 0 }, rounds, failure: null }
}

describe('features 8, the table of the channel', () => {
  it('takes the median of all runs and adds up what was verified', () => {
    expect(figuresOf(resultOf([30, 10, 20]))).toMatchObject({ runs: [30, 10, 20], median: 20, verified: 30 })
  })

  it.each([
    [[100], [100], 200, 'met, 50 % below'],
    [[200], [200], 200, 'met, 0 % below'],
    [[250], [250], 200, 'missed by 25 %'],
    [[250], [150], 200, 'missed by 25 % (met by CPU time)'],
  ])('judges %j ns, CPU %j ns, by the goal %i: %s', (wall, cpu, goal, text) => {
    expect(verdictOf(resultOf(wall, { goal }, cpu))?.text).toBe(text)
  })

  it('says FAILED and shows no number of a row that failed', () => {
    const failed = { ...resultOf([123.4]), failure: 'record 7 is not the one written' }
    expect(verdictOf(failed)).toEqual({ isMet: false, text: 'FAILED' })
    expect(channelTable([failed])).not.toContain('123.4')
  })

  it('compares round by round, so that a slow minute of the machine falls out', () => {
    const off = resultOf([100, 1000, 100], { name: 'off' })
    const on = resultOf([104, 1040, 104], { name: 'on' })
    const compared = compare({ name: 'on over off', of: 'on', to: 'off', goalPercent: 5 }, [on, off])
    expect(compared?.cpuPercent.median).toBeCloseTo(4)
    expect(compared === null ? null : comparisonVerdict(compared)).toEqual({ isMet: true, text: 'met, 1 points below' })
    expect(compare({ name: '', of: 'on', to: 'gone', goalPercent: 5 }, [on, off])).toBeNull()
  })

  it('has every floor of the channel, under names of their own, and compares rows that exist', () => {
    const goals = CHANNEL_ROWS.flatMap(({ goal, figure }) => (goal === null || figure === 'heap' ? [] : [goal]))
    expect(goals).toEqual([139, 161, 167, 179, 285, 335, 129.5, 124.2])
    const names = CHANNEL_ROWS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { of, to } of COMPARISONS) {
      const rows = [of, to].map((name) => CHANNEL_ROWS.find((row) => row.name === name))
      expect(rows[0]?.group).toBeDefined()
      expect(rows[0]?.group).toBe(rows[1]?.group)
    }
  })
})
