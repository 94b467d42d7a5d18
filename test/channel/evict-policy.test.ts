import { describe, expect, it } from 'vitest'
import {
  ByteChannel,
  type EvictPolicy,
  type EvictStats,
  ItemChannel,
  WaterMarkPolicy,
} from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'

function stats(more: Partial<EvictStats>): EvictStats {
  return {
    records: 0,
    bytes: 0,
    usedBytes: 0,
    limitBytes: 1000,
    usedRecords: 0,
    limitRecords: Infinity,
    idleMs: 0,
    ...more,
  }
}

describe('WaterMarkPolicy', () => {
  it('CH-18: evicts from 80 % of maxRecords down to 50 %', () => {
    const policy = new WaterMarkPolicy({ maxRecords: 100 })
    expect(policy.shouldEvict(stats({ records: 79 }))).toBe(false)
    expect(policy.shouldEvict(stats({ records: 80 }))).toBe(true)
    expect(policy.evict(stats({ records: 80 }))).toBe(30)
    expect(policy.metrics()).toEqual({ asked: 2, refused: 1, evictedRecords: 30 })
  })

  it('CH-18: without maxRecords the bytes of the budget count', () => {
    const policy = new WaterMarkPolicy()
    expect(policy.shouldEvict(stats({ records: 10, usedBytes: 799 }))).toBe(false)
    expect(policy.evict(stats({ records: 10, usedBytes: 1000 }))).toBe(5)
  })

  it('CH-18: where records are bounded, the fuller of the two bounds counts', () => {
    const policy = new WaterMarkPolicy()
    const of = (usedBytes: number, usedRecords: number) =>
      stats({ records: 10, usedBytes, usedRecords, limitRecords: 100 })
    expect(policy.shouldEvict(of(0, 79))).toBe(false)
    expect(policy.shouldEvict(of(0, 80))).toBe(true)
    expect(policy.shouldEvict(of(800, 1))).toBe(true)
    expect(policy.evict(of(0, 100))).toBe(5)
  })

  it("CH-17, CH-18: items without a size: 'dropOldest' drops at bufferMaxRecords, and a refusal names it", () => {
    const dropping = new ItemChannel<number>({ bufferMaxRecords: 100, maxRecords: 10, onFull: 'dropOldest' })
    for (let n = 0; n < 200; n++) dropping.write(n)
    expect(dropping.counters().droppedRecords).toBeGreaterThan(100)
    expect(dropping.pendingRecords).toBeLessThanOrEqual(95)
    const refusing = new ItemChannel<number>({ bufferMaxRecords: 100, onFull: 'reject' })
    for (let n = 0; n < 95; n++) refusing.write(n)
    expect(() => refusing.write(95)).toThrow(/95 of 100 records are used.*raise bufferMaxRecords/)
  })

  it('CH-18: one eviction is bounded below and above, and by what is there', () => {
    const policy = new WaterMarkPolicy({ maxRecords: 100, minEvictRecords: 5, maxEvictRecords: 20 })
    expect(policy.evict(stats({ records: 90 }))).toBe(20)
    expect(policy.evict(stats({ records: 51 }))).toBe(5)
    expect(policy.evict(stats({ records: 3 }))).toBe(3)
  })

  it('CH-18: below the mark it evicts when nobody has read for idleTimeoutMs', () => {
    const policy = new WaterMarkPolicy({ maxRecords: 100, idleTimeoutMs: 1000 })
    expect(policy.shouldEvict(stats({ records: 10, idleMs: 999 }))).toBe(false)
    expect(policy.shouldEvict(stats({ records: 10, idleMs: 1000 }))).toBe(true)
    expect(policy.shouldEvict(stats({ records: 0, idleMs: 5000 }))).toBe(false)
  })

  it.each([
    [{ lowWaterPercent: 90 }],
    [{ highWaterPercent: 101 }],
    [{ minEvictRecords: 0 }],
    [{ minEvictRecords: 5, maxEvictRecords: 4 }],
    [{ idleTimeoutMs: -1 }],
  ])('CH-18: %j is INVALID_CONFIG', (options) => {
    expect(() => new WaterMarkPolicy(options)).toThrowError(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('CH-18: a policy that says no means the write is refused, and nothing is pushed anyway', () => {
    const asked: EvictStats[] = []
    const never: EvictPolicy = {
      name: 'never',
      shouldEvict(given) {
        asked.push(given)
        return false
      },
      evict: () => 1,
      metrics: () => ({ asked: 0, refused: 0, evictedRecords: 0 }),
    }
    const clock = new FakeClock()
    const channel = new ByteChannel({ bufferMemoryBytes: 1000, onFull: 'dropOldest', evictPolicy: never, clock })
    for (let index = 0; index < 10; index++) channel.write(Buffer.alloc(95))
    clock.advance(7)
    expect(() => channel.write(Buffer.alloc(95))).toThrowError(expect.objectContaining({ code: 'POOL_EXHAUSTED' }))
    expect(channel.pendingRecords).toBe(10)
    expect(asked).toEqual([
      {
        records: 10,
        bytes: 950,
        usedBytes: 950,
        limitBytes: 1000,
        usedRecords: 10,
        limitRecords: Number.POSITIVE_INFINITY,
        idleMs: 7,
      },
    ])
  })
})
