import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SealedHeap } from '../../lib/channel/index.js'

function popAll(heap: SealedHeap<{ sequence: number }>): number[] {
  const popped: number[] = []
  for (let one = heap.pop(); one !== undefined; one = heap.pop()) popped.push(one.sequence)
  return popped
}

describe('SealedHeap', () => {
  it('CH-9: push 5, 3, 9, 3, 1 gives 1, 3, 3, 5, 9', () => {
    const heap = new SealedHeap<{ sequence: number }>()
    for (const sequence of [5, 3, 9, 3, 1]) heap.push({ sequence })
    expect([heap.size, heap.peek()?.sequence]).toEqual([5, 1])
    expect(popAll(heap)).toEqual([1, 3, 3, 5, 9])
    expect([heap.size, heap.peek(), heap.pop()]).toEqual([0, undefined, undefined])
  })

  it('CH-9: pops ascending whatever was pushed, duplicates included', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (sequences) => {
        const heap = new SealedHeap<{ sequence: number }>()
        for (const sequence of sequences) heap.push({ sequence })
        expect(popAll(heap)).toEqual([...sequences].sort((a, b) => a - b))
      }),
      { seed: 11 },
    )
  })
})
