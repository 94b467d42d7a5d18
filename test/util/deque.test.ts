import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Deque } from '../../lib/util/index.js'

type Step = readonly ['pushBack' | 'pushFront', number] | readonly ['popFront' | 'popBack' | 'clear']

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: fc.tuple(fc.constantFrom('pushBack' as const, 'pushFront' as const), fc.nat(999)) },
  { weight: 30, arbitrary: fc.tuple(fc.constantFrom('popFront' as const, 'popBack' as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const)) },
)

function run(deque: Deque<number>, model: number[], [name, item]: Step): void {
  if (name === 'pushBack') {
    deque.pushBack(item as number)
    model.push(item as number)
  } else if (name === 'pushFront') {
    deque.pushFront(item as number)
    model.unshift(item as number)
  } else if (name === 'popFront') expect(deque.popFront()).toBe(model.shift())
  else if (name === 'popBack') expect(deque.popBack()).toBe(model.pop())
  else {
    deque.clear()
    model.length = 0
  }
}

describe('Deque', () => {
  it('behaves as a list at both ends, over wrap and growth', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const deque = new Deque<number>()
        const model: number[] = []
        for (const one of steps) {
          run(deque, model, one)
          expect([deque.size, deque.peekFront(), deque.peekBack()]).toEqual([model.length, model[0], model.at(-1)])
          expect([...deque]).toEqual(model)
        }
      }),
    )
  })

  it('at counts from the front and is undefined outside', () => {
    const deque = new Deque<string>()
    for (const item of ['b', 'c']) deque.pushBack(item)
    deque.pushFront('a')
    expect([-1, 0, 1, 2, 3].map((index) => deque.at(index))).toEqual([undefined, 'a', 'b', 'c', undefined])
  })

  it('keeps its order when it grows while it is wrapped around', () => {
    const deque = new Deque<number>()
    for (let item = 0; item < 6; item++) deque.pushBack(item)
    for (let item = 0; item < 5; item++) deque.popFront()
    for (let item = 6; item < 20; item++) deque.pushBack(item)
    expect([...deque]).toEqual(Array.from({ length: 15 }, (_, index) => index + 5))
  })
})
