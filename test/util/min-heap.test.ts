import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MinHeap } from '../../lib/util/index.js'

const numbers = () => new MinHeap<number>((a, b) => a - b)

describe('MinHeap', () => {
  it('gives nothing while empty', () => {
    const heap = numbers()
    expect([heap.size, heap.peek(), heap.pop()]).toEqual([0, undefined, undefined])
  })

  it('CH-9: 5, 3, 9, 3, 1 come out as 1, 3, 3, 5, 9', () => {
    const heap = numbers()
    for (const item of [5, 3, 9, 3, 1]) heap.push(item)
    expect(Array.from({ length: 5 }, () => heap.pop())).toEqual([1, 3, 3, 5, 9])
  })

  it('gives the smallest at every moment, whatever is pushed and popped in between', () => {
    const steps = fc.array(fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constant(null)), { maxLength: 300 })
    fc.assert(
      fc.property(steps, (items) => {
        const heap = numbers()
        const model: number[] = []
        for (const item of items) {
          if (item === null) expect(heap.pop()).toBe(model.shift())
          else {
            heap.push(item)
            model.push(item)
            model.sort((a, b) => a - b)
          }
          expect([heap.size, heap.peek()]).toEqual([model.length, model[0]])
        }
      }),
    )
  })

  it('toArray is a copy, clear empties', () => {
    const heap = numbers()
    for (const item of [2, 1]) heap.push(item)
    heap.toArray().length = 0
    expect(heap.size).toBe(2)
    heap.clear()
    expect([heap.size, heap.pop()]).toEqual([0, undefined])
  })
})
