/** wal.md 4.3: progress is told at each change of phase and at least every 500 ms. */
import { describe, expect, it } from 'vitest'
import { Progress } from '../../../lib/wal/open/progress.js'
import { listEvents, listLogger, SimDisk, simParts, type Told } from '../../support/wal-sim/index.js'

const step = (bytes: number, phase: 'scan' | 'done' = 'scan') => ({
  phase,
  segments: 1,
  bytes,
  totalBytes: 9,
  entries: 0,
})

describe('the progress of a recovery', () => {
  it('4.3: the first step, one every 500 ms, and the end are told', () => {
    const told: Told[] = []
    const parts = simParts(new SimDisk(), 1)
    const progress = new Progress(parts, listEvents(told))
    for (let bytes = 0; bytes < 11; bytes++) {
      progress.step(step(bytes))
      parts.clock.advance(100)
    }
    progress.done(2, 11, 3)
    expect(told.map(({ value }) => value)).toEqual([
      step(0),
      step(5),
      step(10),
      { phase: 'done', segments: 2, bytes: 11, totalBytes: 11, entries: 3 },
    ])
  })

  it('4.3: a listener that throws is logged and hinders nothing', () => {
    const lines: string[] = []
    const parts = simParts(new SimDisk(), 1, { logger: listLogger(lines) })
    const events = { ...listEvents([]), progress: () => fail() }
    new Progress(parts, events).step(step(0))
    expect(lines[0]).toContain('a listener of recovery progress threw')
  })
})

function fail(): never {
  throw new Error('of the listener')
}
