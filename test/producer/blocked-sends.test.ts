/** The line of sends that wait for memory: order, patience, leaving early, and never going round for nothing. */
import { describe, expect, it } from 'vitest'
import { MemoryBudget } from '../../lib/channel/index.js'
import { MQError } from '../../lib/errors/index.js'
import { BlockedSends } from '../../lib/producer/blocked-sends.js'
import { FakeClock } from '../../lib/util/index.js'
import { turns } from './support.js'

const LIMIT = 100_000

interface Send {
  readonly name: string
  readonly needs: number
  readonly isAccepted?: boolean
  readonly signal?: AbortSignal
  readonly maxBlockMs?: number
}

function setUp() {
  const clock = new FakeClock()
  const budget = new MemoryBudget({ limitBytes: LIMIT, softPercent: 100, resumePercent: 100, hardPercent: 100 })
  const line = new BlockedSends(budget, clock, 60_000)
  const told: string[] = []
  const withdrawn: string[] = []
  let attempts = 0
  const add = ({ name, needs, isAccepted = false, signal, maxBlockMs = 1000 }: Send, guess = needs) =>
    line.add({
      bytes: guess,
      records: 0,
      deadlineMs: clock.monotonicMs() + maxBlockMs,
      signal,
      isAccepted,
      attempt: () => {
        attempts++
        if (!budget.tryTake(needs, 0)) return false
        told.push(name)
        return true
      },
      fail: (error) => told.push(`${name} ${error.code}/${error.context.reason ?? ''}`),
      withdrawn: () => withdrawn.push(name),
    })
  return { clock, budget, line, told, withdrawn, add, attempts: () => attempts }
}

describe('blocked sends', () => {
  it('P-7, PR-17: first come, first served, although a later one would fit', async () => {
    const { budget, told, add } = setUp()
    budget.tryTake(90_000, 0)
    add({ name: 'large', needs: 50_000 })
    add({ name: 'small', needs: 1000 })
    await turns(5)
    expect(told).toEqual([])
    budget.give(90_000, 0)
    await turns(5)
    expect(told).toEqual(['large', 'small'])
  })

  it('P-7: one that needs more than it was guessed to need waits for more, without going round', async () => {
    const { budget, line, told, add, attempts } = setUp()
    budget.tryTake(60_000, 0)
    add({ name: 'underestimated', needs: 50_000 }, 1000)
    await turns(50)
    expect(told).toEqual([])
    expect(attempts()).toBeLessThan(10)
    budget.give(60_000, 0)
    await turns(5)
    expect(told).toEqual(['underestimated'])
    expect(line.size).toBe(0)
  })

  it('P-7, P-54: an aborted one leaves at once, from the front and from the middle, and is never tried', async () => {
    const { budget, line, told, withdrawn, add } = setUp()
    const aborts = [new AbortController(), new AbortController()]
    budget.tryTake(LIMIT, 0)
    add({ name: 'front', needs: 10, signal: aborts[0]?.signal as AbortSignal })
    add({ name: 'middle', needs: 10, signal: aborts[1]?.signal as AbortSignal })
    add({ name: 'last', needs: 10 })
    await turns(2)
    for (const abort of aborts) abort.abort()
    expect(line.size).toBe(1)
    expect(withdrawn).toEqual(['front', 'middle'])
    budget.give(LIMIT, 0)
    await turns(5)
    expect(told).toEqual(['last'])
  })

  it('P-7: those whose time is over are told together', async () => {
    const { clock, budget, told, add } = setUp()
    budget.tryTake(LIMIT, 0)
    for (let at = 0; at < 100; at++) add({ name: `${at}`, needs: 10, maxBlockMs: 50 })
    add({ name: 'patient', needs: 10, maxBlockMs: 500 })
    await turns(2)
    clock.advance(50)
    await turns(3)
    expect(told).toEqual(Array.from({ length: 100 }, (_, at) => `${at} TIMEOUT/BUFFER_FULL`))
    budget.give(LIMIT, 0)
    await turns(3)
    expect(told.at(-1)).toBe('patient')
    expect(clock.pendingTimers).toBe(0)
  })

  it('ME-1: the time that sends wait is summed up over all of them, those that still wait too', async () => {
    const { clock, budget, line, add } = setUp()
    budget.tryTake(LIMIT, 0)
    add({ name: 'first', needs: 10 })
    clock.advance(100)
    add({ name: 'second', needs: 10 })
    clock.advance(50)
    await turns(2)
    expect(line.blockedMs).toBe(200)
    budget.give(LIMIT, 0)
    await turns(5)
    clock.advance(1000)
    expect(line.blockedMs).toBe(200)
  })

  it('PR-20: a mark is reached when those before it have gone, however many come after it', async () => {
    const { budget, line, told, add } = setUp()
    budget.tryTake(LIMIT, 0)
    line.afterThese(() => told.push('nobody waits'))
    add({ name: 'a', needs: 60_000 })
    line.afterThese(() => told.push('mark'))
    add({ name: 'b', needs: 60_000 })
    await turns(2)
    budget.give(LIMIT, 0)
    await turns(5)
    expect(told).toEqual(['nobody waits', 'a', 'mark'])
    expect(line.size).toBe(1)
  })

  it('PR-17: what was accepted before goes in front, also of one that has waited for room', async () => {
    const { budget, line, told, add } = setUp()
    budget.tryTake(LIMIT, 0)
    add({ name: 'later', needs: 10 })
    await turns(2)
    add({ name: 'first', needs: 10, isAccepted: true })
    add({ name: 'second', needs: 10, isAccepted: true })
    line.afterFirst(() => told.push('all accepted ones'))
    expect([line.size, line.newSends, line.hasFirst]).toEqual([3, 1, true])
    budget.give(LIMIT, 0)
    await turns(5)
    expect(told).toEqual(['first', 'second', 'all accepted ones', 'later'])
    expect(line.hasFirst).toBe(false)
  })

  it('PR-21: the end tells everybody once and reaches every mark', async () => {
    const { clock, budget, line, told, add } = setUp()
    budget.tryTake(LIMIT, 0)
    add({ name: 'a', needs: 10 })
    line.afterThese(() => told.push('mark'))
    add({ name: 'b', needs: 10, isAccepted: true })
    await turns(2)
    line.failAll(new MQError('PRODUCER_CLOSED', 'the end'))
    await turns(2)
    expect(told).toEqual(['b PRODUCER_CLOSED/', 'a PRODUCER_CLOSED/', 'mark'])
    expect([line.size, line.newSends, clock.pendingTimers]).toEqual([0, 0, 0])
    budget.give(LIMIT, 0)
    add({ name: 'c', needs: 10 })
    await turns(2)
    expect(told.at(-1)).toBe('c')
  })
})
