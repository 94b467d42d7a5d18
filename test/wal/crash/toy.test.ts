/** The enumeration, tried on a log small enough to be right at sight, and on the same log with one step left out. */
import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../support/wal-sim/index.js'
import { judge } from './judge.js'
import { runHistory } from './life.js'
import type { Subject } from './recovery.js'
import { type Omission, openToy, surveyToy } from './toy-log.js'

function toy(omission: Omission): Subject {
  return {
    canBind: false,
    open: (options, parts) => openToy(options, parts, omission),
    async recover(state, model) {
      const disk = SimDisk.fromImage(state.image, { isAutomatic: true, keepsTrace: false })
      try {
        return judge(model, state.crash, await surveyToy(disk, omission), state.image)
      } catch (error) {
        return model.isOpened ? String(error) : null
      }
    },
  }
}

async function run(omission: Omission, seeds: number, states: number) {
  let distinct = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const result = await runHistory({
      seed,
      durability: 'immediate',
      isQueue: false,
      lives: 3,
      actions: 40,
      allUpTo: 4096,
      sampleOf: 128,
      deepOneIn: 50,
      mostStates: states,
      hasDirectory: true,
      subject: toy(omission),
    })
    distinct += result.distinct
    if (result.story !== null) return { distinct, story: result.story.join('\n') }
  }
  return { distinct, story: '' }
}

describe('the enumeration of crash states (wal.md 6.2, suite A), tried on a toy', () => {
  it('finds nothing in a log that does every step', async () => {
    const { distinct, story } = await run('none', 8, 2000)
    expect(story).toBe('')
    expect(distinct).toBeGreaterThan(4000)
  }, 60_000)

  it.each([
    ['sync', /lost/],
    ['checksum', /bytes are not|never appended|settled|identity|records/],
    ['sectors', /lost/],
    ['directory', /lost|ENOENT/],
    ['acks', /come back/],
    ['tail', /never appended|lost|settled|appended/],
  ] as const)(
    'finds a log without its step: %s',
    async (omission, story) => {
      expect((await run(omission, 30, 4000)).story).toMatch(story)
    },
    60_000,
  )
})
