/** How long callbacks take: each is counted once, their sum is exact, and the clock is hardly looked at for it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ConsumerConfig } from '../../../lib/config/index.js'
import type { CallbackResult } from '../../../lib/consumer/cursor.js'
import { CallbackTimes } from '../../../lib/consumer/delivery/callback-times.js'
import { Buckets, deferred, FakeClock, LATENCY_SECONDS } from '../../../lib/util/index.js'
import { storedBatch } from '../batches.js'
import { LetterBox, SinkStage } from '../sink-stage.js'

function secondsOf(stage: SinkStage): Buckets {
  return stage.counters.callbackSeconds as Buckets
}

/** `0.001: 5` per bucket that holds something. */
function filled(buckets: Buckets): Record<string, number> {
  const names = [...buckets.bounds.map(String), '+Inf']
  return Object.fromEntries([...buckets.counts].flatMap((count, at) => (count > 0 ? [[names[at], count]] : [])))
}

const WAYS: [string, ConsumerConfig][] = [
  ['by partition', {}],
  ['by key', { concurrencyBy: 'key' }],
]

describe.each(WAYS)('consumer_callback_seconds %s', (_way, config) => {
  it('ME-1: callbacks without a promise are counted each, and their sum is exact', async () => {
    const stage = new SinkStage({ config })
    const cursor = stage.perRecord(0, () => stage.work(0.5))
    stage.push(cursor, 1_000)
    await stage.turn()
    expect(secondsOf(stage).count).toBe(1_000)
    expect(secondsOf(stage).sum).toBeCloseTo(0.5, 9)
    expect(filled(secondsOf(stage)), 'each lasts 0.5 ms').toEqual({ '0.0005': 1_000 })
  })

  it('ME-1: a slow one moves only the few that share a look at the clock with it', async () => {
    const stage = new SinkStage({ config })
    const cursor = stage.perRecord(0, (record) => stage.work(record.offset === 100 ? 160 : 0))
    stage.push(cursor, 1_000)
    await stage.turn()
    expect(secondsOf(stage).sum).toBeCloseTo(0.16, 9)
    expect(filled(secondsOf(stage))).toEqual({ '0.0001': 984, '0.01': 16 })
  })

  it('ME-1: one that returns a promise is timed by itself, its part before the promise too', async () => {
    const stage = new SinkStage({ config: { ...config, concurrency: 2 } })
    const calls = [deferred<void>(), deferred<void>()]
    const take = (partition: number) => (): CallbackResult => {
      stage.work(2)
      return calls[partition]?.promise
    }
    stage.push(stage.perRecord(0, take(0)), 1)
    stage.push(stage.perRecord(1, take(1)), 1)
    await stage.turn()
    await stage.advance(6)
    calls[0]?.resolve()
    await stage.turn()
    await stage.advance(90)
    calls[1]?.reject(new Error('late'))
    await stage.turn()
    // The first began at 0, the second 2 ms later; both were open for 6 ms more, the second for 90 ms again.
    expect(secondsOf(stage).count).toBe(2)
    expect(secondsOf(stage).sum).toBeCloseTo(0.01 + 0.098, 9)
    expect(filled(secondsOf(stage))).toEqual({ '0.01': 1, '0.1': 1 })
  })

  it('ME-1: one that throws counts, and each attempt does', async () => {
    const stage = new SinkStage({ config: { ...config, onError: 'retry', errorRetries: 2, errorFinal: 'skip' } })
    const cursor = stage.perRecord(0, () => {
      stage.work(4)
      throw new Error('no')
    })
    stage.push(cursor, 1)
    await stage.turn()
    await stage.advance(10_000)
    await stage.advance(10_000)
    expect(secondsOf(stage).count).toBe(3)
    expect(secondsOf(stage).sum).toBeCloseTo(0.012, 9)
    expect(stage.counters.errorActions).toEqual({ retry: 2, skip: 1, dlq: 0, stop: 0 })
  })

  it('ME-1: what is skipped as a duplicate was no call, and writing a dead letter is none', async () => {
    const deadLetters = new LetterBox()
    deadLetters.isHeld = true
    const stage = new SinkStage({ config: { ...config, dedup: { enabled: true }, onError: 'dlq' }, deadLetters })
    const cursor = stage.perRecord(0, (record) => {
      stage.work(1)
      if (record.offset === 3) throw new Error('no')
    })
    stage.push(cursor, storedBatch({ baseOffset: 0, values: ['a', 'a', 'a', 'b'] }))
    await stage.turn()
    await stage.advance(5_000)
    deadLetters.held[0]?.done.resolve(null)
    await stage.turn()
    expect(cursor.position).toBe(4)
    expect(secondsOf(stage).count).toBe(2)
    expect(secondsOf(stage).sum).toBeCloseTo(0.002, 9)
  })

  it('ME-1: an error of the partition that a callback is handed is a call too', async () => {
    const config2: ConsumerConfig = { ...config, deliverErrors: true, onError: 'skip' }
    const deserializer = {
      deserialize: () => {
        throw new Error('no')
      },
    }
    const stage = new SinkStage({ config: config2, settings: { valueDeserializer: deserializer } })
    const calls: unknown[] = []
    const cursor = stage.perRecord(0, (record, _tp, error) => {
      calls.push(error?.code ?? null)
      stage.work(1)
      if (error === null) return void record.value
      return Promise.resolve()
    })
    stage.push(cursor, 1)
    await stage.turn()
    expect(calls).toEqual([null, 'DESERIALIZATION_FAILED'])
    expect(secondsOf(stage).count).toBe(2)
    expect(secondsOf(stage).sum).toBeCloseTo(0.002, 9)
  })

  it('ME-1: metrics.enabled false counts nothing; true looks at the clock once more per promise at most', async () => {
    const looks: number[] = []
    for (const enabled of [true, false]) {
      const stage = new SinkStage({ config: { ...config, metrics: { enabled } } })
      const cursor = stage.perRecord(0, (record) => (record.offset % 3 === 0 ? Promise.resolve() : undefined))
      stage.push(cursor, 300)
      for (let round = 0; round < 100; round++) await stage.turn()
      expect(cursor.position).toBe(300)
      expect(stage.counters.callbackSeconds?.count ?? null).toBe(enabled ? 300 : null)
      looks.push(stage.looks)
    }
    expect((looks[0] as number) - (looks[1] as number)).toBeLessThanOrEqual(100)
  })

  it('ME-1: per record the clock is not looked at once more than without metrics', async () => {
    const looks: number[] = []
    for (const enabled of [true, false]) {
      const stage = new SinkStage({ config: { ...config, metrics: { enabled }, maxPollRecords: 100_000 } })
      stage.push(
        stage.perRecord(0, () => {}),
        10_000,
      )
      await stage.turn()
      expect(stage.counters.records).toBe(10_000)
      looks.push(stage.looks)
    }
    expect((looks[0] as number) - (looks[1] as number), 'once, at the end of the turn').toBeLessThanOrEqual(1)
  })
})

describe('consumer_callback_seconds of batches', () => {
  it('ME-1: one observation per call, whatever it holds', async () => {
    const stage = new SinkStage({ config: { maxPollRecords: 10 } })
    const cursor = stage.perBatch(0, () => stage.work(3))
    stage.push(cursor, 35)
    await stage.turn()
    expect(filled(secondsOf(stage))).toEqual({ '0.005': 4 })
    expect(secondsOf(stage).sum).toBeCloseTo(0.012, 9)
  })

  it('ME-1: nothing is observed for a batch of duplicates', async () => {
    const stage = new SinkStage({ config: { maxPollRecords: 2, dedup: { enabled: true } } })
    const cursor = stage.perBatch(0, () => stage.work(3))
    stage.push(cursor, storedBatch({ baseOffset: 0, values: ['a', 'b', 'a', 'b', 'a', 'b'] }))
    await stage.turn()
    expect([cursor.position, secondsOf(stage).count]).toEqual([6, 1])
  })
})

describe('CallbackTimes', () => {
  it('ME-1: whatever the order of marks, calls and promises, each call counts once and the sum is the time passed', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('call' as const), ms: fc.integer({ min: 0, max: 40 }) }),
      fc.record({ kind: fc.constant('mark' as const), ms: fc.constant(0) }),
      fc.record({ kind: fc.constant('rest' as const), ms: fc.constant(0) }),
      fc.record({ kind: fc.constant('promise' as const), ms: fc.integer({ min: 0, max: 40 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const clock = new FakeClock()
        const seconds = new Buckets(LATENCY_SECONDS)
        const times = new CallbackTimes(clock, seconds)
        let calls = 0
        let passedMs = 0
        times.mark(clock.monotonicMs())
        for (const { kind, ms } of steps) {
          clock.advance(ms)
          passedMs += ms
          if (kind === 'mark') times.mark(clock.monotonicMs())
          else if (kind === 'rest') times.rest()
          else {
            calls++
            if (kind === 'call') times.calls++
            else times.settled(times.opened()) // Its promise settles at once; it is no other's time.
          }
        }
        times.rest()
        expect(seconds.count).toBe(calls)
        expect(seconds.sum * 1_000).toBeCloseTo(passedMs, 6)
      }),
    )
  })
})
