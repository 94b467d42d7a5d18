import { describe, expect, it } from 'vitest'
import { PrefetchCredit } from '../../../lib/consumer/fetch/credit.js'

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
  it('C-14: first come, first served: who asks again does not overtake who waits', () => {
    const credit = new PrefetchCredit(10)
    const told: string[] = []
    const a = () => void told.push('a')
    const b = () => void told.push('b')
    expect(credit.reserve(6, 6, a)).toBe(6)
    expect(credit.reserve(6, 6, b)).toBe(0)
    credit.settle(6, 0)
    expect(told).toEqual(['b'])
    expect(credit.reserve(6, 6, a), 'b waits').toBe(0)
    expect(credit.reserve(6, 6, b)).toBe(6)
    credit.settle(6, 0)
    expect(credit.reserve(6, 6, a)).toBe(6)
    expect(told).toEqual(['b', 'b', 'a', 'a'])
  })
  it('C-15: one that waits no more lets the next one ask', () => {
    const credit = new PrefetchCredit(10)
    const told: string[] = []
    const a = () => void told.push('a')
    const b = () => void told.push('b')
    credit.reserve(8, 8, () => {})
    credit.reserve(5, 5, a)
    credit.reserve(1, 1, b)
    credit.forget(a)
    expect(told).toEqual(['a', 'b'])
    expect(credit.reserve(1, 1, b)).toBe(1)
  })
  it('C-15: giving back twice is a defect', () => {
    expect(() => new PrefetchCredit(10).giveBack(1)).toThrow(/given back once/)
  })
})
