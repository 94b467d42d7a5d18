import { describe, expect, it } from 'vitest'
import { PrefetchCredit } from '../../lib/consumer/credit.js'

describe('PrefetchCredit', () => {
  it('C-15: grants what is free, nothing below the least, never more than the limit', () => {
    const credit = new PrefetchCredit(100)
    expect(credit.reserve(10, 70, () => {})).toBe(70)
    expect(credit.reserve(10, 70, () => {})).toBe(30)
    expect(credit.reserve(1, 1, () => {})).toBe(0)
    expect(credit.usedBytes).toBe(100)
  })
  it('C-15: a reservation turns into what came, also when that is more', () => {
    const credit = new PrefetchCredit(100)
    credit.settle(
      credit.reserve(10, 50, () => {}),
      20,
    )
    expect(credit.usedBytes).toBe(20)
    credit.settle(
      credit.reserve(10, 50, () => {}),
      130,
    )
    expect(credit.usedBytes).toBe(150)
    expect(credit.reserve(1, 1, () => {})).toBe(0)
    credit.giveBack(150)
    expect(credit.usedBytes).toBe(0)
  })
  it('C-14: who found too little is told once, in the order of asking', () => {
    const credit = new PrefetchCredit(10)
    credit.reserve(1, 10, () => {})
    const told: string[] = []
    const [a, b, c] = ['a', 'b', 'c'].map((name) => () => void told.push(name))
    credit.reserve(5, 5, a as () => void)
    credit.reserve(5, 5, b as () => void)
    credit.reserve(5, 5, c as () => void)
    credit.reserve(5, 5, a as () => void)
    credit.forget(c as () => void)
    credit.giveBack(6)
    credit.giveBack(1)
    expect(told).toEqual(['a', 'b'])
  })
  it('C-15: giving back twice is a defect', () => {
    expect(() => new PrefetchCredit(10).giveBack(1)).toThrow(/given back once/)
  })
})
