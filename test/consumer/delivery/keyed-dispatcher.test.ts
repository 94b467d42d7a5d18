/** Callbacks in parallel by key: order, places, retries, what a seek or a pause does to what is out. */
import { promiseHooks } from 'node:v8'
import { describe, expect, it } from 'vitest'
import type { ConsumerConfig } from '../../../lib/config/index.js'
import { type AnyRecord, type CallbackResult, HOLD, type PartitionCursor } from '../../../lib/consumer/cursor.js'
import { type Deferred, deferred } from '../../../lib/util/index.js'
import { controlBatch, storedBatch } from '../batches.js'
import { ScriptedCluster } from '../scripted-cluster.js'
import { LetterBox, SinkStage, type StageOptions } from '../sink-stage.js'
import { bench, Seen } from '../support.js'

const byKey = (config: ConsumerConfig = {}, more: Omit<StageOptions, 'config'> = {}) =>
  new SinkStage({ config: { concurrencyBy: 'key', concurrency: 10, ...config }, ...more })

/** One batch; each letter is the key of a record, '-' none. */
function keyed(baseOffset: number, keys: string): Buffer {
  const list = [...keys]
  return storedBatch({ baseOffset, values: list, keys: list.map((key) => (key === '-' ? null : key)) })
}

/** Callbacks that the test ends. */
class Hand {
  readonly started: number[] = []
  readonly open = new Map<number, Deferred<boolean | undefined>>()

  readonly take = (record: AnyRecord): CallbackResult => {
    const done = deferred<boolean | undefined>()
    this.started.push(record.offset)
    this.open.set(record.offset, done)
    return done.promise
  }

  end(offset: number, value?: boolean): void {
    this.open.get(offset)?.resolve(value)
    this.open.delete(offset)
  }

  fail(offset: number): void {
    this.open.get(offset)?.reject(new Error('no'))
    this.open.delete(offset)
  }
}

async function started(stage: SinkStage, keys: string, hand = new Hand()): Promise<[Hand, PartitionCursor]> {
  const cursor = stage.perRecord(0, hand.take)
  stage.push(cursor, keyed(0, keys))
  await stage.turn()
  return [hand, cursor]
}

describe('order', () => {
  it('CO-14: different keys run together, equal ones one after the other; the position follows without a gap', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'aabacb')
    expect([hand.started, cursor.isBusy, stage.sinks.callbacks.running]).toEqual([[0, 2, 4], true, 3])
    hand.end(2)
    hand.end(4)
    await stage.turn()
    expect([hand.started, cursor.position]).toEqual([[0, 2, 4, 5], 0])
    hand.end(0)
    await stage.turn()
    expect([hand.started, cursor.position]).toEqual([[0, 2, 4, 5, 1], 1])
    hand.end(5)
    hand.end(1)
    await stage.turn()
    expect([hand.started.slice(5), cursor.position]).toEqual([[3], 3])
    hand.end(3)
    await stage.turn()
    expect([cursor.position, cursor.isBusy, stage.counters.records]).toEqual([6, false, 6])
  })
  it('CO-14: records without key keep their order among themselves, and are not the empty key', async () => {
    const stage = byKey()
    const hand = new Hand()
    const cursor = stage.perRecord(0, hand.take)
    stage.push(cursor, storedBatch({ baseOffset: 0, values: ['1', '2', '3'], keys: [null, '', null] }))
    await stage.turn()
    expect(hand.started).toEqual([0, 1])
    hand.end(0)
    await stage.turn()
    expect(hand.started).toEqual([0, 1, 2])
  })
  it('CO-14: a key is bytes of one partition: equal ones of two partitions run together', async () => {
    const stage = byKey()
    const hand = new Hand()
    for (const partition of [0, 1]) stage.push(stage.perRecord(partition, hand.take), keyed(0, 'a'))
    await stage.turn()
    expect(hand.started).toEqual([0, 0])
  })
  it('CO-14: never more than concurrency over all partitions, and a place that gets free goes round', async () => {
    const stage = byKey({ concurrency: 2 })
    const hands = [new Hand(), new Hand(), new Hand()]
    hands.forEach((hand, partition) => {
      stage.push(stage.perRecord(partition, hand.take), keyed(0, 'abcd'))
    })
    await stage.turn()
    expect([hands.map((hand) => hand.started.length), stage.sinks.callbacks.running]).toEqual([[2, 0, 0], 2])
    hands[0]?.end(0)
    await stage.turn()
    hands[0]?.end(1)
    await stage.turn()
    expect([hands.map((hand) => hand.started.length), stage.sinks.callbacks.running]).toEqual([[2, 1, 1], 2])
  })
  it('CH-20: callbacks without a promise cost none, whatever their keys', () => {
    const stage = byKey({ maxPollRecords: 1_000 })
    let taken = 0
    const cursor = stage.perRecord(0, () => {
      taken++
    })
    stage.push(cursor, keyed(0, 'abc-'.repeat(250)))
    let promises = 0
    const stop = promiseHooks.onInit(() => promises++) as unknown as () => void
    stage.sinks.callbacks.pump()
    stop()
    expect([taken, promises, cursor.position, stage.counters.records]).toEqual([1_000, 0, 1_000, 1_000])
  })
  it('CO-14, 5: one stuck key holds back its partition after maxPollRecords, not memory; others go on until then', async () => {
    const stage = byKey({ maxPollRecords: 20 })
    const hand = new Hand()
    const seen: number[] = []
    const cursor = stage.perRecord(0, (record) => {
      if (String(record.key) === 's') return hand.take(record)
      seen.push(record.offset)
      return undefined
    })
    stage.push(cursor, keyed(0, `s${'ab'.repeat(10)}s${'c'.repeat(30)}`))
    await stage.turn()
    expect([hand.started, seen.length, cursor.position, cursor.takenEnd]).toEqual([[0], 19, 0, 20])
    expect(cursor.reader.hasData).toBe(true)
    hand.end(0)
    await stage.turn()
    expect([hand.started, cursor.position, cursor.takenEnd]).toEqual([[0, 21], 21, 41])
  })
  it('C-12, CO-9: what is stepped over behind an open record moves the position with it', async () => {
    const stage = byKey()
    const hand = new Hand()
    const cursor = stage.perRecord(0, hand.take)
    stage.push(cursor, keyed(0, 'ab'))
    stage.push(cursor, controlBatch(2, 'commit', 1n))
    await stage.turn()
    hand.end(0)
    await stage.turn()
    expect(cursor.position).toBe(1)
    hand.end(1)
    await stage.turn()
    expect(cursor.position).toBe(3)
    stage.push(cursor, controlBatch(3, 'commit', 1n))
    await stage.turn()
    expect(cursor.position).toBe(4)
  })
})

describe('failures', () => {
  it('CO-15: a retry holds back its key alone', async () => {
    const stage = byKey({ errorRetries: 3 })
    const [hand, cursor] = await started(stage, 'aba')
    hand.fail(0)
    await stage.turn()
    hand.end(1)
    await stage.turn()
    stage.push(cursor, keyed(3, 'bc'))
    await stage.turn()
    expect([hand.started, cursor.position]).toEqual([[0, 1, 3, 4], 0])
    hand.end(3)
    hand.end(4)
    await stage.turn()
    expect(cursor.isBusy, 'nothing of it is open while it waits').toBe(false)
    await stage.advance(5_000)
    expect(hand.started.slice(4)).toEqual([0])
    hand.end(0)
    await stage.turn()
    hand.end(2)
    await stage.turn()
    expect([hand.started.slice(5), cursor.position, stage.counters.retries]).toEqual([[2], 5, 1])
  })
  it('CO-15: attempts are counted per record, then errorFinal decides', async () => {
    const stage = byKey({ errorRetries: 2, errorFinal: 'skip' })
    const cursor = stage.perRecord(0, () => {
      throw new Error('always')
    })
    stage.push(cursor, keyed(0, 'ab'))
    await stage.turn()
    for (let step = 0; step < 4; step++) await stage.advance(5_000)
    const attempts = (offset: number) =>
      stage.errors.filter(({ context }) => context.offset === offset).map(({ context }) => context.attempts)
    expect([attempts(0), attempts(1), cursor.position, stage.counters.skipped]).toEqual([[1, 2, 3], [1, 2, 3], 2, 2])
  })
  it('CO-15: a dead letter holds back its key and the position, and takes no place', async () => {
    const box = new LetterBox()
    box.isHeld = true
    const stage = byKey({ onError: 'dlq', concurrency: 1 }, { deadLetters: box })
    const seen: number[] = []
    const cursor = stage.perRecord(0, (record) => {
      seen.push(record.offset)
      if (record.offset === 0) throw new Error('no')
    })
    stage.push(cursor, keyed(0, 'aab'))
    await stage.turn()
    expect([seen, cursor.position, cursor.isBusy, cursor.busySinceMs]).toEqual([[0, 2], 0, true, 0])
    box.held[0]?.done.resolve({})
    await stage.turn()
    expect([seen, cursor.position, cursor.isBusy, box.written[0]?.key]).toEqual([[0, 2, 1], 3, false, 'a'])
  })
  it('CO-1: after false nothing starts, what runs may end and counts', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'abab')
    hand.end(0, false)
    await stage.turn()
    expect([stage.stops, hand.started, cursor.position]).toEqual([[null], [0, 1], 1])
    let isIdle = false
    cursor.whenIdle(() => {
      isIdle = true
    })
    hand.end(1)
    await stage.turn()
    expect([hand.started, cursor.position, isIdle]).toEqual([[0, 1], 2, true])
  })
  it("CO-15: 'stop' ends with the failure; no timer of a retry stays", async () => {
    const stage = byKey({ errorRetries: 1 })
    const [hand] = await started(stage, 'ab')
    hand.fail(0)
    hand.fail(1)
    await stage.turn()
    stage.sinks.callbacks.stop()
    expect(stage.clock.pendingTimers).toBe(0)
    const stopping = byKey({ onError: 'stop' })
    const [other] = await started(stopping, 'ab')
    other.fail(0)
    await stopping.turn()
    expect(stopping.stops.map((error) => error?.code)).toEqual(['CONSUME_FAILED'])
  })
  it('CO-14: batch callbacks are refused', () => {
    const refusal = expect.objectContaining({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining("concurrencyBy 'key'"),
    })
    expect(() => byKey().perBatch(0, () => {})).toThrow(refusal)
  })
})

describe('moves', () => {
  it('CO-8: a seek forgets what was finished beyond the position; what runs moves nothing and its key waits', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'abcab')
    hand.end(1)
    await stage.turn()
    cursor.moveTo(0)
    stage.push(cursor, keyed(0, 'abcab'))
    await stage.turn()
    expect(hand.started, 'three callbacks still run').toEqual([0, 1, 2, 4])
    for (const offset of [0, 2, 4]) hand.end(offset)
    await stage.turn()
    expect([hand.started.slice(4), cursor.position, cursor.isBusy]).toEqual([[0, 1, 2], 0, true])
  })
  it('CO-8: a seek by the callback itself, with or without a promise', async () => {
    for (const isAsync of [false, true]) {
      const stage = byKey()
      const log: number[] = []
      let open = 0
      const cursor = stage.perRecord(0, (record) => {
        expect(open).toBe(0)
        log.push(record.offset)
        if (log.length > 1) return undefined
        cursor.moveTo(2)
        stage.push(cursor, keyed(2, 'aa'))
        if (!isAsync) return undefined
        open++
        return Promise.resolve().then(() => void open--)
      })
      stage.push(cursor, keyed(0, 'aa'))
      await stage.turn()
      expect([log, cursor.position, cursor.isBusy]).toEqual([[0, 2, 3], 4, false])
    }
  })
  it('C-8, CO-9: a rewind repeats nothing: neither what is out nor what was finished beyond the position', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'abca')
    hand.end(1)
    await stage.turn()
    cursor.rewind()
    expect([cursor.fetchOffset, cursor.position]).toEqual([4, 0])
    stage.push(cursor, keyed(4, 'b'))
    await stage.turn()
    expect(hand.started).toEqual([0, 1, 2, 4])
    for (const offset of [0, 2, 4]) hand.end(offset)
    await stage.turn()
    hand.end(3)
    await stage.turn()
    expect([hand.started.slice(4), cursor.position]).toEqual([[3], 5])
  })
  it('CO-7: paused, what runs may end and nothing starts; resumed, it goes on where it was', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'aabb')
    cursor.hold(HOLD.paused)
    hand.end(0)
    hand.end(2)
    await stage.turn()
    expect([hand.started, cursor.position, cursor.isBusy]).toEqual([[0, 2], 1, false])
    cursor.release(HOLD.paused)
    cursor.delivery.sink.enqueue(cursor)
    await stage.turn()
    expect(hand.started).toEqual([0, 2, 1, 3])
  })
  it('C-24: a partition that leaves is at rest when what runs has ended; then nothing of it starts or stays', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'aab')
    cursor.hold(HOLD.leaving)
    let isAtRest = false
    cursor.whenIdle(() => {
      isAtRest = true
    })
    hand.fail(2)
    await stage.turn()
    expect(isAtRest).toBe(false)
    hand.end(0)
    await stage.turn()
    expect([isAtRest, cursor.position, hand.started]).toEqual([true, 1, [0, 2]])
    cursor.hold(HOLD.revoked)
    cursor.moveTo(cursor.position)
    expect(stage.clock.pendingTimers, 'its retry is given up').toBe(0)
  })
  it('C-26: busySinceMs is that of the oldest that runs', async () => {
    const stage = byKey()
    const [hand, cursor] = await started(stage, 'a')
    await stage.advance(100)
    stage.push(cursor, keyed(1, 'b'))
    await stage.turn()
    expect(cursor.busySinceMs).toBe(0)
    hand.end(0)
    await stage.turn()
    expect(cursor.busySinceMs).toBe(100)
    hand.end(1)
    await stage.turn()
    expect(cursor.busySinceMs).toBe(-1)
  })
  it('C-8: a batch that cannot be read is told behind what is out, which still counts', async () => {
    const stage = byKey()
    const hand = new Hand()
    const cursor = stage.perRecord(0, hand.take)
    const broken = keyed(2, 'c')
    broken[65] = 0xff
    stage.push(cursor, keyed(0, 'ab'))
    stage.push(cursor, broken)
    await stage.turn()
    expect([hand.started, stage.unreadable.length, cursor.nextOffset]).toEqual([[0, 1], 1, 2])
    hand.end(1)
    hand.end(0)
    await stage.turn()
    expect(cursor.position).toBe(2)
  })
})

describe('truncation', () => {
  it('C-19, CO-9: the log parts between what is out: nothing that may still fail is passed', async () => {
    const cluster = new ScriptedCluster([1])
    const hand = new Hand()
    const consumer = await cluster.consumer(hand.take as never, { concurrencyBy: 'key', concurrency: 5 })
    cluster.last.answer({ 0: { records: keyed(0, 'abc') } })
    await cluster.turn()
    hand.end(2)
    await cluster.turn()
    expect([hand.started, cluster.last.asked]).toEqual([[0, 1, 2], ['0@3']])
    cluster.last.answer({ 0: { divergingEpoch: { epoch: 0, endOffset: 2 } } })
    await cluster.turn()
    expect([consumer.position({ topic: 't', partition: 0 }), cluster.last.asked]).toEqual([0, ['0@0']])
    hand.end(0)
    hand.end(1)
    cluster.last.answer({ 0: { records: keyed(0, 'abd') } })
    await cluster.turn()
    expect(hand.started, 'the record that replaced offset 2 is not taken for the old one').toEqual([0, 1, 2, 0, 1, 2])
  })
})

describe('in a consumer', () => {
  const on = bench()

  it('CO-14: slow keys of one partition run beside each other, each in order, everything once', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    const keys = Array.from({ length: 60 }, (_, index) => `k${index % 7}`)
    for (const partition of [0, 1]) {
      await on.produce('t', partition, { values: keys.map((_, index) => String(index)), keys })
    }
    const seen = new Seen()
    const last = new Map<string, number>()
    let most = 0
    let running = 0
    const consumer = on.consumer({ concurrencyBy: 'key', concurrency: 6, maxPollRecords: 25 })
    await consumer.assign(['t'], async (record) => {
      const key = `${record.partition} ${record.key}`
      expect(last.get(key) ?? -1).toBeLessThan(record.offset)
      last.set(key, record.offset)
      most = Math.max(most, ++running)
      for (let step = record.offset % 3; step >= 0; step--) await new Promise((resolve) => setImmediate(resolve))
      running--
      seen.take(record)
    })
    await seen.count(120)
    await new Promise((resolve) => setImmediate(resolve))
    expect([new Set(seen.records).size, most]).toEqual([120, 6])
    expect([0, 1].map((partition) => consumer.position({ topic: 't', partition }))).toEqual([60, 60])
  })
  it('CO-14: assignBatch is refused with INVALID_CONFIG', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const consumer = on.consumer({ concurrencyBy: 'key' })
    await expect(consumer.assignBatch(['t'], () => {})).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  })
})
