import { describe, expect, it } from 'vitest'
import { MemoryBudget } from '../../lib/channel/index.js'
import { MQError } from '../../lib/errors/index.js'
import { FakeClock, randomInt, seededRandom } from '../../lib/util/index.js'

/** A budget that notes each crossing. */
function watched(limitBytes: number, more: object = {}) {
  const budget = new MemoryBudget({ limitBytes, ...more })
  const events: string[] = []
  budget.onSoft = () => events.push(`soft ${budget.usedBytes}`)
  budget.onResume = () => events.push(`resume ${budget.usedBytes}`)
  return { budget, events, clock: new FakeClock() }
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('MemoryBudget', () => {
  it('CH-17: soft at 80, resume at 60, each crossing told once', () => {
    const { budget, events } = watched(100)
    for (let taken = 10; taken <= 90; taken += 10) expect(budget.tryTake(10, 1)).toBe(true)
    expect(events).toEqual(['soft 80'])
    budget.give(10, 1)
    budget.give(10, 1)
    expect([events.length, budget.isSoft]).toEqual([1, true])
    budget.tryTake(10, 1)
    budget.give(20, 2)
    expect([events, budget.isSoft]).toEqual([['soft 80', 'resume 60'], false])
    budget.tryTake(20, 2)
    expect(events).toEqual(['soft 80', 'resume 60', 'soft 80'])
  })

  it('CH-17: from 95 % the answer is no; the reserve reaches to the limit', () => {
    const { budget } = watched(100)
    expect(budget.tryTake(94, 1)).toBe(true)
    expect(budget.isHard).toBe(false)
    expect(budget.tryTake(7, 1)).toBe(false) // 101
    expect(budget.tryTake(2, 1)).toBe(true)
    expect([budget.isHard, budget.tryTake(1, 1)]).toEqual([true, false])
    expect([budget.tryTakeReserve(4, 0), budget.tryTakeReserve(1, 0)]).toEqual([true, false])
    expect([budget.usedBytes, budget.peakBytes]).toEqual([100, 100])
  })

  it('QU-3: limit 4, soft 50 %, hard 75 %: backpressure at item 2, item 4 refused', () => {
    const { budget, events } = watched(1e9, { limitRecords: 4, softPercent: 50, resumePercent: 25, hardPercent: 75 })
    const taken = [1, 2, 3, 4].map(() => [budget.tryTake(1, 1), events.length])
    expect(taken).toEqual([
      [true, 0],
      [true, 1],
      [true, 1],
      [false, 1],
    ])
  })

  it('CH-17: giving back more than was taken is our own mistake', () => {
    const { budget } = watched(100)
    budget.tryTake(10, 1)
    expect(() => budget.give(11, 1)).toThrow(/more was given back/)
  })

  it.each([
    [{ limitBytes: 0 }],
    [{ limitBytes: Number.NaN }],
    [{ limitBytes: 10, limitRecords: 0 }],
    [{ limitBytes: 10, softPercent: 50 }],
    [{ limitBytes: 10, hardPercent: 101 }],
    [{ limitBytes: 10, resumePercent: -1 }],
    [{ limitBytes: 10, softPercent: 96 }],
  ])('CH-17: %j is INVALID_CONFIG', (limits) => {
    expect(() => new MemoryBudget(limits)).toThrowError(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  describe('waiting for room', () => {
    it('P-7: FIFO; a small wish overtakes neither a large one in front nor those who wait', async () => {
      const { budget } = watched(100)
      const order: string[] = []
      expect(budget.tryTake(96, 0)).toBe(true)
      const large = budget.waitForRoom(40).then(() => order.push('large'))
      const small = budget.waitForRoom(1).then(() => order.push('small'))
      expect([budget.waiters, budget.isHard]).toEqual([2, true])
      budget.give(30, 0)
      expect(budget.tryTake(1, 0)).toBe(false)
      await settle()
      expect(order).toEqual([])
      budget.give(12, 0)
      await Promise.all([large, small])
      expect(order).toEqual(['large', 'small'])
      expect(budget.usedBytes).toBe(96 - 42 + 41)
    })

    it('P-7: the room is already taken when the wait ends', async () => {
      const { budget } = watched(100)
      budget.tryTake(95, 0)
      const waiting = budget.waitForRoom(90, { records: 3 })
      budget.give(95, 0)
      expect([budget.usedBytes, budget.usedRecords]).toEqual([90, 3])
      await waiting
      await budget.waitForRoom(5)
      expect(budget.usedBytes).toBe(95)
    })

    it('P-7: past the limit of time TIMEOUT/BUFFER_FULL, and the next one is looked at', async () => {
      const { budget, clock } = watched(100)
      budget.tryTake(94, 0)
      budget.tryTake(1, 0)
      budget.give(1, 0)
      const large = budget.waitForRoom(50, { timeoutMs: 10, clock })
      const small = budget.waitForRoom(2, { timeoutMs: 1000, clock })
      clock.advance(10)
      await expect(large).rejects.toMatchObject({
        code: 'TIMEOUT',
        retryable: true,
        context: { reason: 'BUFFER_FULL' },
      })
      await small
      expect(budget.usedBytes).toBe(96)
      expect(clock.pendingTimers).toBe(0)
    })

    it('P-7: an aborted waiter leaves the queue, with its own reason', async () => {
      const { budget } = watched(100)
      budget.tryTake(96, 0)
      const controller = new AbortController()
      const waiting = budget.waitForRoom(10, { signal: controller.signal })
      controller.abort('enough')
      await expect(waiting).rejects.toBe('enough')
      expect(budget.waiters).toBe(0)
      await expect(budget.waitForRoom(1, { signal: controller.signal })).rejects.toBe('enough')
      expect(budget.usedBytes).toBe(96)
    })

    it('PR-6: what can never fit is refused at once', async () => {
      const { budget } = watched(100)
      await expect(budget.waitForRoom(101)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    })

    it('CH-17: ready() waits for the resume limit and takes nothing', async () => {
      const { budget, clock } = watched(100)
      await budget.ready()
      budget.tryTake(80, 0)
      let isReady = false
      const waiting = budget.ready().then(() => {
        isReady = true
      })
      const late = budget.ready({ timeoutMs: 5, clock })
      clock.advance(5)
      await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
      budget.give(19, 0)
      await settle()
      expect(isReady).toBe(false)
      budget.give(1, 0)
      await waiting
      expect(budget.usedBytes).toBe(60)
    })

    it('CH-15: at the end everybody is turned away', async () => {
      const { budget } = watched(100)
      budget.tryTake(96, 0)
      const all = [budget.waitForRoom(10), budget.waitForRoom(10), budget.ready()]
      budget.rejectWaiters(() => new MQError('PRODUCER_CLOSED', 'closed'))
      for (const one of all) await expect(one).rejects.toMatchObject({ code: 'PRODUCER_CLOSED' })
    })
  })

  it('P-4: under random use nothing is lost, the limit holds at every moment, and edges alternate', async () => {
    const seed = Number(process.env.SEED ?? 17)
    const random = seededRandom(seed)
    const { budget, events, clock } = watched(1000, { limitRecords: 60 })
    const held: number[] = []
    let served = 0
    let failed = 0
    for (let step = 0; step < 20_000; step++) {
      const bytes = 1 + randomInt(random, 200)
      const roll = randomInt(random, 100)
      if (roll < 40) {
        if (budget.tryTake(bytes, 1)) held.push(bytes)
      } else if (roll < 50) {
        budget.waitForRoom(bytes, { records: 1, timeoutMs: 1 + randomInt(random, 3), clock }).then(
          () => {
            served++
            held.push(bytes)
          },
          () => failed++,
        )
      } else if (roll < 95) {
        const given = held.splice(randomInt(random, held.length || 1), 1)[0]
        if (given !== undefined) budget.give(given, 1)
      } else clock.advance(1)
      if (step % 7 === 0) await settle()
      if (budget.usedBytes > 1000 || budget.usedRecords > 60)
        throw new Error(`SEED=${seed}, step ${step}: over the limit`)
    }
    clock.advance(1000)
    while (held.length > 0 || budget.waiters > 0) {
      const given = held.pop()
      if (given !== undefined) budget.give(given, 1)
      await settle()
    }
    expect([budget.usedBytes, budget.usedRecords, budget.isSoft]).toEqual([0, 0, false])
    expect(events.length).toBeGreaterThan(100)
    expect(served).toBeGreaterThan(100)
    expect(failed).toBeGreaterThan(10)
    const kinds = events.map((event) => event.split(' ')[0])
    expect(kinds.every((kind, index) => kind === (index % 2 === 0 ? 'soft' : 'resume'))).toBe(true)
  })
})
