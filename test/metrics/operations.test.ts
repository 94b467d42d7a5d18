import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { Operations } from '../../lib/metrics/operations.js'
import { FakeClock } from '../../lib/util/index.js'

function operations() {
  const clock = new FakeClock(50_000)
  return { clock, operations: new Operations({ clock }) }
}

describe('ME-4: the user’s own operations', () => {
  it('latency: count, avgMs, minMs, maxMs, p99Ms, lastUpdated', () => {
    const { clock, operations: ours } = operations()
    for (let ms = 1; ms <= 100; ms++) ours.recordLatency('charge', ms)
    clock.advance(7)
    ours.recordLatency('refund', 0)
    const { latency } = ours.snapshot()
    expect(latency['charge']).toMatchObject({ count: 100, avgMs: 50.5, minMs: 1, maxMs: 100, lastUpdated: 50_000 })
    // 16 steps per power of two: the 99th of 1..100 lies in the step up to 100.
    expect(latency['charge']?.p99Ms).toBeGreaterThanOrEqual(99)
    expect(latency['charge']?.p99Ms).toBeLessThanOrEqual(99 * 1.0625)
    expect(latency['refund']).toMatchObject({ count: 1, avgMs: 0, minMs: 0, maxMs: 0, lastUpdated: 50_007 })
  })

  it('throughput: totals, and rates of the last ten seconds', () => {
    const { clock, operations: ours } = operations()
    for (let second = 0; second < 5; second++) {
      ours.recordThroughput('import', 20, 2_000)
      clock.advance(1_000)
    }
    const { count, bytes, countPerSecond, bytesPerSecond } = ours.snapshot().throughput['import'] ?? fail()
    expect([count, bytes]).toEqual([100, 10_000])
    expect([countPerSecond, bytesPerSecond]).toEqual([20, 2_000])
    clock.advance(20_000)
    expect(ours.snapshot().throughput['import']).toEqual({
      count: 100,
      bytes: 10_000,
      countPerSecond: 0,
      bytesPerSecond: 0,
    })
  })

  it('bytes may be left out', () => {
    const { operations: ours } = operations()
    ours.recordThroughput('import', 3)
    expect(ours.snapshot().throughput['import']).toMatchObject({ count: 3, bytes: 0 })
  })

  it('errors by operation:type, with the last text', () => {
    const { operations: ours } = operations()
    ours.recordError('charge', 'declined', new Error('no funds'))
    ours.recordError('charge', 'declined', new MQError('TIMEOUT', 'too late'))
    ours.recordError('charge', 'network', 'down')
    expect(ours.snapshot().errors).toEqual({
      'charge:declined': { count: 2, lastError: 'too late' },
      'charge:network': { count: 1, lastError: 'down' },
    })
  })

  it('trap 14: names are bounded, and nothing is lost of what comes under too many', () => {
    const { operations: ours } = operations()
    for (let id = 0; id < 2_000; id++) {
      ours.recordLatency(`order-${id}`, 1)
      ours.recordThroughput(`order-${id}`, 1)
      ours.recordError(`order-${id}`, 'x', 'y'.repeat(5_000))
    }
    ours.recordLatency('order-0', 1)
    const { latency, throughput, errors } = ours.snapshot()
    for (const kind of [latency, throughput, errors]) expect(Object.keys(kind).length).toBe(500)
    expect(Object.values(latency).reduce((sum, { count }) => sum + count, 0)).toBe(2_001)
    expect([latency['order-0']?.count, latency['(other)']?.count]).toEqual([2, 1_501])
    expect(errors['(other)']?.lastError.length).toBe(1_000)
  })

  it('what is no number of at least 0 is refused and counts nowhere', () => {
    const { operations: ours } = operations()
    const wrong = [
      () => ours.recordLatency('a', -1),
      () => ours.recordLatency('a', Number.NaN),
      () => ours.recordLatency('a', '5' as never),
      () => ours.recordThroughput('a', -1),
      () => ours.recordThroughput('a', 1, Number.POSITIVE_INFINITY),
    ]
    for (const call of wrong) expect(call).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
    expect(ours.snapshot()).toEqual({ latency: {}, throughput: {}, errors: {} })
  })

  it('reset forgets everything; before it a snapshot stays what it was', () => {
    const { operations: ours } = operations()
    ours.recordLatency('a', 1)
    const before = ours.snapshot()
    ours.recordLatency('a', 1)
    ours.recordThroughput('a', 1)
    ours.recordError('a', 'b', 'c')
    ours.reset()
    expect(ours.snapshot()).toEqual({ latency: {}, throughput: {}, errors: {} })
    expect(before.latency['a']?.count).toBe(1)
  })
})

function fail(): never {
  throw new Error('there is no such operation')
}
