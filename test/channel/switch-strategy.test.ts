import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { channelSettings, makeStrategy, type SwitchStats } from '../../lib/channel/index.js'
import { NEVER } from '../../lib/channel/switch-plan.js'

function stats(records: number, maxRecords: number, elapsedMs: number, windowMs: number): SwitchStats {
  return { records, bytes: 0, maxRecords, maxBytes: Number.POSITIVE_INFINITY, elapsedMs, windowMs }
}

describe('CH-6: the composite strategy, size 100, window 10', () => {
  const strategy = makeStrategy()
  it.each([
    [100, 0],
    [101, 0],
    [100, 1],
    [50, 10],
    [50, 11],
    [0, 11],
    [0, 10],
    [85, 10],
    [84, 10],
    [70, 10],
    [99, 7],
    [90, 8],
    [82, 9],
  ])('switches at count %i after %i ms', (count, elapsedMs) => {
    expect(strategy(stats(count, 100, elapsedMs, 10))).toBe(true)
  })

  it.each([
    [0, 0],
    [50, 5],
    [70, 1],
    [84, 0],
    [80, 9],
    [99, 6],
    [75, 9],
  ])('does not switch at count %i after %i ms', (count, elapsedMs) => {
    expect(strategy(stats(count, 100, elapsedMs, 10))).toBe(false)
  })

  it.each([
    [50, 100, 0, 0, true],
    [50, 100, 0, -1, true],
    [50, -100, 0, 10, true],
    [-1, 100, 0, 10, false],
    [50, 100, -1, 10, false],
  ])('CH-6: count %i, size %i, elapsed %i, window %i: %s', (count, size, elapsedMs, windowMs, expected) => {
    expect(strategy(stats(count, size, elapsedMs, windowMs))).toBe(expected)
  })

  it('CH-6: fill is the larger of records and bytes', () => {
    const half = { records: 50, maxRecords: 100, maxBytes: 1000, elapsedMs: 0, windowMs: 10 }
    expect(strategy({ ...half, bytes: 999 })).toBe(false)
    expect(strategy({ ...half, bytes: 1000 })).toBe(true)
    expect(strategy({ ...half, bytes: 820, elapsedMs: 9 })).toBe(true)
  })

  it('CH-6: weights and threshold are settable', () => {
    const patient = makeStrategy({ timeWeight: 0.2, sizeWeight: 0.8, threshold: 0.5 })
    expect(patient(stats(50, 100, 4, 10))).toBe(false) // 0.08 + 0.4
    expect(patient(stats(50, 100, 6, 10))).toBe(true) // 0.12 + 0.4
  })
})

describe('CH-7: size and time', () => {
  const [size, time] = [makeStrategy({ switchStrategy: 'size' }), makeStrategy({ switchStrategy: 'time' })]

  it.each([
    [100, true],
    [101, true],
    [99, false],
    [50, false],
    [0, false],
    [-1, false],
  ])("'size' of 100, count %i: %s, whatever the time", (count, expected) => {
    for (const elapsedMs of [-1, 0, 9, 10, 1000]) expect(size(stats(count, 100, elapsedMs, 10))).toBe(expected)
  })

  it.each([
    [10, 10, true],
    [11, 10, true],
    [9, 10, false],
    [5, 10, false],
    [0, 10, false],
    [-1, 10, false],
    [0, 0, true],
  ])("'time', elapsed %i of %i: %s, whatever the count", (elapsedMs, windowMs, expected) => {
    for (const count of [-1, 0, 50, 100, 1000]) expect(time(stats(count, 100, elapsedMs, windowMs))).toBe(expected)
  })

  it('CH-7: fillPercent is exact at every percent', () => {
    for (let percent = 1; percent <= 100; percent++) {
      const strategy = makeStrategy({ switchStrategy: 'size', fillPercent: percent })
      expect([strategy(stats(percent - 1, 100, 0, 10)), strategy(stats(percent, 100, 0, 10))]).toEqual([false, true])
    }
  })

  it('CH-7: a function is taken as it is', () => {
    const own = (given: SwitchStats) => given.records === 3
    expect(makeStrategy({ switchStrategy: own })).toBe(own)
  })
})

describe('the plan says the same as the strategy', () => {
  const percent = fc.integer({ min: 0, max: 100 }).map((n) => n / 100)
  const config = fc
    .record({
      switchStrategy: fc.constantFrom('default' as const, 'time' as const, 'size' as const),
      timeWeight: percent,
      sizeWeight: percent,
      share: fc.integer({ min: 1, max: 100 }),
      fillPercent: fc.integer({ min: 1, max: 100 }),
      maxRecords: fc.integer({ min: 1, max: 100_000 }),
      maxBytes: fc.constantFrom(1, 1000, 16_384, Number.POSITIVE_INFINITY),
      windowMs: fc.integer({ min: 1, max: 60_000 }),
    })
    .filter(({ timeWeight, sizeWeight }) => timeWeight + sizeWeight > 0)
    .map(({ share, ...rest }) => ({ ...rest, threshold: ((rest.timeWeight + rest.sizeWeight) * share) / 100 }))

  it('CH-6: below the first look the strategy says no at every time before the plan looks by timer', () => {
    fc.assert(
      fc.property(config, percent, percent, percent, (one, a, b, c) => {
        const { plan } = channelSettings(one)
        const records = Math.floor(a * Math.min(plan.fromRecords, NEVER) * 0.999)
        const bytes = Math.floor(b * plan.fromBytes * 0.999)
        const elapsedMs = c * 0.999 * Math.min(plan.earliestMs, one.windowMs)
        const given = { records, bytes, maxRecords: one.maxRecords, maxBytes: one.maxBytes, windowMs: one.windowMs }
        if (records >= plan.fromRecords || bytes >= plan.fromBytes) return
        expect(plan.strategy({ ...given, elapsedMs })).toBe(false)
      }),
      { numRuns: 2000, seed: 7 },
    )
  })

  it('CH-6: dueAfterMs is the moment from which the strategy says yes', () => {
    fc.assert(
      fc.property(config, percent, (one, a) => {
        const { plan } = channelSettings(one)
        const records = Math.floor(a * (one.maxRecords - 1))
        const dueMs = plan.dueAfterMs(records, 0)
        if (one.switchStrategy === 'size') {
          expect(dueMs).toBe(Number.POSITIVE_INFINITY)
          return
        }
        const given = { records, bytes: 0, maxRecords: one.maxRecords, maxBytes: one.maxBytes, windowMs: one.windowMs }
        expect(plan.strategy({ ...given, elapsedMs: dueMs + 1e-6 })).toBe(true)
        if (dueMs > 0) expect(plan.strategy({ ...given, elapsedMs: dueMs * (1 - 1e-6) - 1e-9 })).toBe(false)
      }),
      { numRuns: 2000, seed: 8 },
    )
  })

  it('design 1: channels with equal settings share one plan', () => {
    expect(channelSettings({ maxRecords: 5 })).toBe(channelSettings({ maxRecords: 5 }))
    expect(channelSettings({ maxRecords: 5 })).not.toBe(channelSettings({ maxRecords: 6 }))
  })
})
