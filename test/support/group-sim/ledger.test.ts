/** The judge of simulated groups finds what it is there to find: a check that cannot fail is no check. */
import { describe, expect, it } from 'vitest'
import { type Known, Ledger } from './ledger.js'
import { World } from './world.js'

function member(name: string, excused = false, isByKey = false): Known {
  return { name, isExcused: () => excused, isByKey, hasToldFailure: () => false, commitsAll: true }
}

function scene() {
  const world = new World()
  const ledger = new Ledger(world)
  ledger.wrote('t/0', 10)
  const [a, b] = [member('a'), member('b')]
  const process = (who: Known, ...offsets: number[]) => {
    for (const offset of offsets) {
      ledger.began(who, 't/0', offset, '')
      ledger.ended(who, 't/0', offset)
    }
  }
  return { world, ledger, a, b, process }
}

describe('the judge', () => {
  it.each<[string, RegExp | null, (s: ReturnType<typeof scene>) => void]>([
    ['two owners', /while a has it/, ({ ledger, a, b }) => [a, b].forEach((who) => void ledger.assigned(who, ['t/0']))],
    [
      'an owner that cannot know',
      null,
      ({ ledger, b }) => [member('c', true), b].forEach((who) => void ledger.assigned(who, ['t/0'])),
    ],
    ['a record of nobody', /does not own/, ({ process, a }) => process(a, 0)],
    [
      'a gap',
      /expected 1/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 0, 2)
      },
    ],
    [
      'a repetition',
      /expected 1/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 0, 0)
      },
    ],
    [
      'a wrong beginning',
      /begins at 3/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 3)
      },
    ],
    [
      'a commit ahead',
      /without gap is only 1/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 0)
        ledger.stored('t/0', 2)
      },
    ],
    [
      'a commit back',
      /goes back from 2 to 1/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 0, 1)
        ledger.stored('t/0', 2)
        ledger.stored('t/0', 1)
      },
    ],
    [
      'a forgotten commit',
      /gave t\/0 back, processed up to 1/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 0)
        ledger.revoked(a, ['t/0'])
      },
    ],
    [
      'lost twice',
      /which it had not/,
      ({ ledger, a }) => {
        ledger.assigned(a, ['t/0'])
        ledger.lost(a, ['t/0'])
        ledger.lost(a, ['t/0'])
      },
    ],
    [
      'a paused partition',
      /is paused/,
      ({ ledger, process, a }) => {
        ledger.assigned(a, ['t/0'])
        ledger.paused(a, 't/0', true)
        process(a, 0)
      },
    ],
    [
      'a good life',
      null,
      ({ ledger, process, a, b }) => {
        ledger.assigned(a, ['t/0'])
        process(a, 0, 1)
        ledger.stored('t/0', 2)
        ledger.revoked(a, ['t/0'])
        ledger.assigned(b, ['t/0'])
        process(b, 2, 3)
        ledger.sought(b, 't/0', 1)
        process(b, 1, 2)
        ledger.stored('t/0', 3)
      },
    ],
  ])('finds %s', (_name, expected, play) => {
    const made = scene()
    play(made)
    if (expected === null) expect(made.world.problems).toEqual([])
    else expect(made.world.problems.join()).toMatch(expected)
  })
})
