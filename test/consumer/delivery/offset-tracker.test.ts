/** The position follows what is processed without a gap. */
import { describe, expect, it } from 'vitest'
import { OffsetTracker } from '../../../lib/consumer/delivery/offset-tracker.js'
import { randomInt, seededRandom } from '../../../lib/util/index.js'

describe('OffsetTracker', () => {
  it('CO-9: waits for the first that is open, then goes past all that were done meanwhile', () => {
    const tracker = new OffsetTracker()
    const slots = [10, 11, 15, 16].map((end, index) => tracker.take(end, index))
    expect([tracker.done(slots[1] as number), tracker.done(slots[2] as number), tracker.position]).toEqual([
      false,
      false,
      -1,
    ])
    expect([tracker.done(slots[0] as number), tracker.position, tracker.epoch, tracker.size]).toEqual([true, 15, 2, 1])
    tracker.extend(20)
    expect([tracker.done(slots[3] as number), tracker.position, tracker.epoch, tracker.size]).toEqual([true, 20, 3, 0])
  })
  it('CO-9: a record that ends twice is our mistake', () => {
    const tracker = new OffsetTracker()
    const slot = tracker.take(1, 0)
    tracker.done(slot)
    expect(() => tracker.done(slot)).toThrow('a record ends once')
    expect(() => tracker.extend(2)).toThrow('no open record')
  })
  it('CO-9: any order of ends, growing and wrapping, agrees with a plain list', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = seededRandom(seed)
      const tracker = new OffsetTracker()
      const list: { readonly slot: number; readonly end: number; isDone: boolean }[] = []
      let end = 0
      for (let step = 0; step < 300; step++) {
        const open = list.filter(({ isDone }) => !isDone)
        if (open.length === 0 || (open.length < 60 && random.next() < 0.55)) {
          end += 1 + randomInt(random, 3)
          list.push({ slot: tracker.take(end, 7), end, isDone: false })
        } else {
          const item = open[randomInt(random, open.length)] as (typeof list)[number]
          item.isDone = true
          tracker.done(item.slot)
        }
        const gap = list.findIndex(({ isDone }) => !isDone)
        const before = gap < 0 ? list.at(-1) : list[gap - 1]
        expect(tracker.position, `seed ${seed} step ${step}`).toBe(before?.end ?? -1)
        expect(tracker.size).toBe(gap < 0 ? 0 : list.length - gap)
      }
    }
  })
})
