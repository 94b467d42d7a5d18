/** Who gets the next connection. NT-2. */
import { describe, expect, it } from 'vitest'
import { type LoadBalance, leastConnection, roundRobin } from '../../../lib/net/index.js'

function share(balance: LoadBalance, connections: number, loops: number): number[] {
  const counts = new Array<number>(loops).fill(0)
  for (let index = 0; index < connections; index++) {
    const chosen = balance(counts.map((count, loop) => ({ index: loop, connections: count })))
    counts[chosen] = (counts[chosen] as number) + 1
  }
  return counts
}

describe('balancing', () => {
  it('NT-2: round robin: 9 over 4 = 3, 2, 2, 2 in loop order; least connection: 200 over 4 = 50 each (part 7)', () => {
    expect(share(roundRobin(), 9, 4)).toEqual([3, 2, 2, 2])
    expect(share(leastConnection(), 200, 4)).toEqual([50, 50, 50, 50])
  })

  it('NT-2: round robin passes over a loop that is gone, and comes back to it', () => {
    const balance = roundRobin()
    const of = (...indexes: number[]) => balance(indexes.map((index) => ({ index, connections: 0 })))
    expect([of(0, 1, 2), of(0, 2), of(0, 2), of(0, 1, 2), of(0, 1, 2)]).toEqual([0, 2, 0, 1, 2])
  })

  it('NT-2: least connection fills up what lost connections', () => {
    const balance = leastConnection()
    const facts = [5, 2, 4, 2].map((connections, index) => ({ index, connections }))
    expect(balance(facts)).toBe(1)
  })
})
