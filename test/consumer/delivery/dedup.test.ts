/** The window of records seen before: what counts as the same, when it is remembered, what it costs. */
import { describe, expect, it } from 'vitest'
import type { ConsumerConfig } from '../../../lib/config/index.js'
import type { AnyRecord } from '../../../lib/consumer/cursor.js'
import { storedBatch } from '../batches.js'
import { LetterBox, SinkStage } from '../sink-stage.js'
import { bench, Seen } from '../support.js'

type Dedup = NonNullable<ConsumerConfig['dedup']>

function stageWith(dedup: Dedup = {}, more: ConsumerConfig = {}): SinkStage {
  return new SinkStage({ config: { dedup: { enabled: true, ...dedup }, ...more }, deadLetters: new LetterBox() })
}

/** `values` as one batch from `baseOffset` on, keys beside them. */
function batch(baseOffset: number, values: (string | null)[], keys?: (string | null)[]): Buffer {
  return storedBatch({ baseOffset, values, ...(keys === undefined ? {} : { keys }) })
}

const offsets = (seen: AnyRecord[]) => seen.map(({ offset }) => offset)

describe('what is the same', () => {
  it("CO-16: by 'content' equal values of one topic, whatever their keys; a null value never", async () => {
    const stage = stageWith()
    const seen: AnyRecord[] = []
    const cursor = stage.perRecord(0, (record) => void seen.push(record))
    stage.push(cursor, batch(0, ['a', 'b', 'a', null, null, '', ''], ['1', '2', '3', '4', '4', '5', '6']))
    const elsewhere = stage.perRecord(0, (record) => void seen.push(record), 'other')
    stage.push(elsewhere, batch(0, ['a']))
    await stage.turn()
    expect(seen.map(({ topic, offset }) => `${topic}${offset}`)).toEqual(['t0', 't1', 't3', 't4', 't5', 'other0'])
    expect([stage.counters.dedupHits, cursor.position, elsewhere.position]).toEqual([2, 7, 1])
  })
  it("CO-16: by 'key' the bytes of the key, over partitions; a null key never", async () => {
    const stage = stageWith({ by: 'key' })
    const seen: string[] = []
    const take = (record: AnyRecord) => void seen.push(`${record.partition}@${record.offset}`)
    const first = stage.perRecord(0, take)
    const second = stage.perRecord(1, take)
    stage.push(first, batch(0, ['a', 'b', 'c'], ['k', 'k', null]))
    await stage.turn()
    stage.push(second, batch(0, ['d', 'e', 'f'], ['k', null, 'ä']))
    await stage.turn()
    expect(seen).toEqual(['0@0', '0@2', '1@1', '1@2'])
    expect([first.position, second.position]).toEqual([3, 3])
  })
  it('CO-16: by a function, which sees the record; without an id it is never a duplicate', async () => {
    const by = (record: never) => ((record as AnyRecord).offset < 2 ? undefined : 'same') as never
    const stage = stageWith({ by })
    const seen: AnyRecord[] = []
    stage.push(
      stage.perRecord(0, (record) => void seen.push(record)),
      5,
    )
    await stage.turn()
    expect(offsets(seen)).toEqual([0, 1, 2])
  })
  it('CO-16, CO-15: a function that throws is a failure of that record and follows onError', async () => {
    const by = (record: never) => {
      if ((record as AnyRecord).offset === 1) throw new Error('no id')
      return String((record as AnyRecord).offset)
    }
    const stage = stageWith({ by }, { onError: 'skip' })
    const seen: AnyRecord[] = []
    const cursor = stage.perRecord(0, (record) => void seen.push(record))
    stage.push(cursor, 3)
    await stage.turn()
    expect([offsets(seen), cursor.position, stage.counters.skipped]).toEqual([[0, 2], 3, 1])
    expect(stage.errors.map(({ context }) => [context.offset, context.action])).toEqual([[1, 'skip']])
  })
})

describe('when it is remembered', () => {
  it('CO-16: only when the callback has succeeded, so a retry is no duplicate', async () => {
    const stage = stageWith()
    let failures = 2
    const seen: AnyRecord[] = []
    const cursor = stage.perRecord(0, async (record) => {
      await Promise.resolve()
      if (failures-- > 0) throw new Error('not yet')
      seen.push(record)
    })
    stage.push(cursor, batch(0, ['a', 'a']))
    await stage.turn()
    for (let step = 0; step < 3; step++) await stage.advance(5_000)
    expect([offsets(seen), cursor.position, stage.counters.dedupHits]).toEqual([[0], 2, 1])
  })
  it('CO-16: a record that was skipped or buried is not remembered', async () => {
    for (const onError of ['skip', 'dlq'] as const) {
      const stage = stageWith({}, { onError })
      let calls = 0
      const cursor = stage.perRecord(0, () => {
        if (++calls === 1) throw new Error('no')
      })
      stage.push(cursor, batch(0, ['a', 'a', 'a']))
      await stage.turn()
      expect([calls, cursor.position, stage.counters.dedupHits], onError).toEqual([2, 3, 1])
    }
  })
  it('CO-16, CO-1: false stops as ever, and its record is remembered', async () => {
    const stage = stageWith()
    const cursor = stage.perRecord(0, () => false)
    stage.push(cursor, batch(0, ['a', 'b']))
    await stage.turn()
    expect([cursor.position, stage.stops]).toEqual([1, [null]])
  })
  it('CO-16: ttlMs and maxEntries end it; the timer sweeps, rests when nothing is left, and ends with close', async () => {
    const stage = stageWith({ ttlMs: 1_000, maxEntries: 3, cleanupIntervalMs: 400 })
    const seen: AnyRecord[] = []
    const cursor = stage.perRecord(0, (record) => void seen.push(record))
    stage.push(cursor, batch(0, ['a', 'b', 'c', 'd', 'a', 'd']))
    await stage.turn()
    expect(offsets(seen), 'a had left when d came').toEqual([0, 1, 2, 3, 4])
    expect(stage.clock.pendingTimers).toBe(1)
    await stage.advance(999)
    stage.push(cursor, batch(6, ['d']))
    await stage.turn()
    expect(seen).toHaveLength(5)
    await stage.advance(1)
    stage.push(cursor, batch(7, ['d']))
    await stage.turn()
    expect(offsets(seen).slice(5)).toEqual([7])
    await stage.advance(10_000)
    expect(stage.clock.pendingTimers).toBe(0)
    stage.push(cursor, batch(8, ['e']))
    await stage.turn()
    expect(stage.clock.pendingTimers).toBe(1)
    stage.sinks.close()
    expect(stage.clock.pendingTimers).toBe(0)
  })
})

describe('batches', () => {
  it('CO-16: of equal records in one batch the first is kept; a batch of nothing new makes no call', async () => {
    const stage = stageWith({}, { maxPollRecords: 4 })
    const calls: number[][] = []
    const cursor = stage.perBatch(0, (records) => void calls.push(offsets(records)))
    stage.push(cursor, batch(0, ['a', 'b', 'a', 'c', 'a', 'b', 'c', 'a', 'd']))
    await stage.turn()
    expect([calls, cursor.position, stage.counters.dedupHits]).toEqual([[[0, 1, 3], [8]], 9, 5])
  })
  it('CO-16: a batch that failed comes again whole, its duplicates counted once', async () => {
    const stage = stageWith()
    const calls: number[][] = []
    const cursor = stage.perBatch(0, async (records) => {
      calls.push(offsets(records))
      if (calls.length < 3) throw new Error('not yet')
    })
    stage.push(cursor, batch(0, ['a', 'a', 'b']))
    await stage.turn()
    for (let step = 0; step < 2; step++) await stage.advance(5_000)
    expect([calls, cursor.position, stage.counters.dedupHits]).toEqual([
      [
        [0, 2],
        [0, 2],
        [0, 2],
      ],
      3,
      1,
    ])
  })
})

describe('in a consumer', () => {
  const on = bench()

  it('CO-16: what was produced twice is processed once; metrics tell, nothing of it stays after close', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produce('t', 0, ['a', 'b', 'c'])
    await on.produce('t', 0, ['b', 'c', 'd'])
    const seen = new Seen()
    const consumer = on.consumer({ dedup: { enabled: true } })
    await consumer.assign(['t'], seen.take)
    await seen.count(4)
    expect(seen.records).toEqual(['t/0@0=a', 't/0@1=b', 't/0@2=c', 't/0@5=d'])
    expect([consumer.getMetrics().dedupHits, consumer.position({ topic: 't', partition: 0 })]).toEqual([2, 6])
  })
})
