import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lastSequence, seqAdd, seqDiff } from '../../lib/producer/sequence.js'

describe('sequence', () => {
  it('R-4: 2147483647 is valid and is followed by 0', () => {
    expect(seqAdd(2147483647, 1)).toBe(0)
    expect(seqAdd(2147483646, 1)).toBe(2147483647)
    expect(lastSequence(2147483645, 5)).toBe(1)
    expect(seqDiff(0, 2147483647)).toBe(1)
    expect(seqDiff(2147483647, 0)).toBe(-1)
  })

  it('R-4: the distance undoes the addition, across the wrap too', () => {
    fc.assert(
      fc.property(fc.nat(2147483647), fc.nat(2 ** 30 - 1), (base, step) => {
        expect(seqDiff(seqAdd(base, step), base)).toBe(step)
        expect(seqDiff(base, seqAdd(base, step)) + step).toBe(0)
      }),
    )
  })
})
