/** read and readBatch: what counts when, who is served first, how a wait ends. */
import { describe, expect, it } from 'vitest'
import { createCompressionCodec } from '../../../lib/codec/index.js'
import { HOLD } from '../../../lib/consumer/cursor.js'
import { MQError } from '../../../lib/errors/index.js'
import { FakeClock } from '../../../lib/util/index.js'
import { withCrc } from '../../support/batch-bytes.js'
import { controlBatch, numbered } from '../batches.js'
import { PullStage, place, stateOf, turns } from './stage.js'

const read = async (stage: PullStage) => place(await stage.puller.read({ timeoutMs: 1_000 }))

describe('read', () => {
  it('CO-4, CO-9: a record counts when the next one is asked for, not before', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    expect(await read(stage)).toBe('0:0')
    expect([cursor.position, cursor.isBusy, stage.sink.running, stage.counters.records]).toEqual([0, true, 1, 0])
    expect(await read(stage)).toBe('0:1')
    expect([cursor.position, stage.counters.records]).toEqual([1, 1])
  })
  it('CO-9: asking counts, also when nothing comes', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 1)
    expect(await read(stage)).toBe('0:0')
    const pending = stage.puller.read({ timeoutMs: 50 })
    expect([cursor.position, cursor.isBusy, cursor.busySinceMs]).toEqual([1, false, -1])
    stage.clock.advance(50)
    expect(await pending).toBe(null)
    expect(stage.clock.pendingTimers).toBe(0)
  })
  it('CO-4: waits for the first record, and a time-out leaves nothing behind', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0)
    const waiting = stage.puller.read({ timeoutMs: 100 })
    expect(await stateOf(waiting)).toBe('open')
    stage.feed(cursor, 0, 1)
    expect(place(await waiting)).toBe('0:0')
    expect([stage.clock.pendingTimers, stage.sink.waiting]).toEqual([0, 0])
  })
  it('CO-4: timeoutMs 0 looks once, and lets the event loop turn even when nothing is there', async () => {
    const stage = new PullStage()
    stage.cursor(0, 1)
    expect(place(await stage.puller.read({ timeoutMs: 0 }))).toBe('0:0')
    const look = stage.puller.read({ timeoutMs: 0 })
    expect(await stateOf(look)).toBe('open')
    stage.clock.runDeferred()
    expect(await look).toBe(null)
  })
  it('CO-4: calls that wait are served in the order they came', async () => {
    const stage = new PullStage()
    const cursors = [stage.cursor(0), stage.cursor(1)] as const
    const first = stage.puller.read()
    const second = stage.puller.read()
    stage.feed(cursors[1], 0, 1)
    stage.feed(cursors[0], 0, 1)
    expect([place(await first), place(await second)]).toEqual(['1:0', '0:0'])
  })
  it('CO-9: calls side by side get records of one partition, and none of them counts before somebody asks again', async () => {
    const stage = new PullStage(2)
    const cursor = stage.cursor(0, 6)
    const four = await Promise.all([1, 2, 3, 4].map(() => stage.puller.read()))
    expect(four.map(place)).toEqual(['0:0', '0:1', '0:2', '0:3'])
    expect([cursor.position, stage.counters.records]).toEqual([0, 0])
    expect(await read(stage)).toBe('0:4')
    expect([cursor.position, stage.counters.records]).toEqual([4, 4])
  })
  it('CO-9: calls side by side also share what comes later', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 1)
    const three = Promise.all([1, 2, 3].map(() => stage.puller.read()))
    expect(await stateOf(three)).toBe('open')
    stage.feed(cursor, 1, 1)
    stage.feed(cursor, 2, 1)
    expect((await three).map(place)).toEqual(['0:0', '0:1', '0:2'])
    expect(cursor.position).toBe(0)
  })
  it('C-14: turns of maxPollRecords alternate between partitions', async () => {
    const stage = new PullStage(3)
    stage.cursor(0, 5)
    stage.cursor(1, 4)
    const order: (string | null)[] = []
    for (let count = 0; count < 9; count++) order.push(await read(stage))
    expect(order).toEqual(['0:0', '0:1', '0:2', '1:0', '1:1', '1:2', '0:3', '0:4', '1:3'])
  })
  it('5: work of one turn of the event loop is bounded by time, and the rest goes on in the next', async () => {
    let workedMs = 0
    class WorkingClock extends FakeClock {
      override monotonicMs(): number {
        return super.monotonicMs() + workedMs
      }
    }
    const clock = new WorkingClock()
    const stage = new PullStage(100, clock)
    stage.cursor(0, 20)
    let taken = 0
    const loop = async () => {
      for (; taken < 20; taken++) {
        await stage.puller.read()
        workedMs += 3
      }
    }
    const done = loop()
    await turns(200)
    expect(taken, 'three records of 3 ms are more than a slice').toBe(3)
    clock.runDeferred()
    await turns(200)
    expect(taken).toBeLessThan(10)
    while (taken < 20) {
      clock.runDeferred()
      await turns()
    }
    await done
  })
  it('CO-8: a seek while a record is open: its end moves nothing, and the new place is read', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 5)
    expect(await read(stage)).toBe('0:0')
    cursor.moveTo(3)
    const next = read(stage)
    expect([cursor.position, cursor.isBusy]).toEqual([3, false])
    stage.feed(cursor, 3, 2)
    expect(await next).toBe('0:3')
    expect(cursor.position).toBe(3)
  })
  it('CO-4: a call that waits since before a seek comes before the one that settles what was open', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0)
    const [first, second] = [stage.puller.read(), stage.puller.read()]
    stage.feed(cursor, 0, 1)
    expect(place(await first)).toBe('0:0')
    cursor.moveTo(1)
    stage.feed(cursor, 1, 2)
    expect(await stateOf(second), 'its partition is open under the old place').toBe('open')
    const third = stage.puller.read()
    expect([place(await second), place(await third)]).toEqual(['0:1', '0:2'])
  })
  it('CO-7: a paused partition hands out nothing that is buffered, and nothing is lost', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    stage.cursor(1, 2)
    expect(await read(stage)).toBe('0:0')
    cursor.hold(HOLD.paused)
    expect([await read(stage), await read(stage)]).toEqual(['1:0', '1:1'])
    const next = read(stage)
    expect([await stateOf(next), cursor.position]).toEqual(['open', 1])
    cursor.release(HOLD.paused)
    stage.sink.enqueue(cursor)
    stage.sink.pumpSoon()
    stage.clock.runDeferred()
    expect(await next).toBe('0:1')
  })
  it('CO-10: a leaving partition rests when its open record has ended, and gives nothing more', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    expect(await read(stage)).toBe('0:0')
    cursor.hold(HOLD.leaving)
    const rested: number[] = []
    cursor.whenIdle(() => rested.push(cursor.position))
    expect(rested).toEqual([])
    const next = read(stage)
    expect([rested, await stateOf(next)]).toEqual([[1], 'open'])
    stage.sink.stop()
    await expect(next).rejects.toMatchObject({ code: 'CONSUMER_CLOSED' })
  })
  it('CO-10: a revoked partition while its record is open: nothing moves any more', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    expect(await read(stage)).toBe('0:0')
    cursor.hold(HOLD.revoked)
    cursor.moveTo(cursor.position)
    const next = stage.puller.read()
    expect([cursor.position, cursor.isBusy, await stateOf(next)]).toEqual([0, false, 'open'])
    stage.sink.stop()
    await expect(next).rejects.toBeInstanceOf(MQError)
  })
  it('CO-17: stop rejects those who wait, leaves no timer, and what read gave last does not count', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 1)
    await read(stage)
    const idle: string[] = []
    stage.sink.stop()
    stage.sink.whenIdle(() => idle.push('idle'))
    cursor.whenIdle(() => idle.push('rests'))
    await expect(stage.puller.read({ timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'CONSUMER_CLOSED' })
    await expect(stage.puller.readBatch(5)).rejects.toMatchObject({ code: 'CONSUMER_CLOSED' })
    expect([idle, cursor.position, stage.sink.running]).toEqual([['idle', 'rests'], 0, 0])

    const other = new PullStage()
    const controller = new AbortController()
    const all = [other.puller.read(), other.puller.readBatch(3, { timeoutMs: 9_999, signal: controller.signal })]
    const settled = Promise.allSettled(all)
    other.sink.stop()
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect([other.clock.pendingTimers, other.sink.waiting]).toEqual([0, 0])
  })
  it('CO-17: a failure that ended delivery is what the waiting calls get', async () => {
    const stage = new PullStage()
    const waiting = stage.puller.read()
    stage.failure = new MQError('CONSUME_FAILED', 'the group is lost', {})
    stage.sink.stop()
    await expect(waiting).rejects.toBe(stage.failure)
  })
  it('CO-4: an abort ends the wait with its reason and hands nothing out', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0)
    const controller = new AbortController()
    const { signal } = controller
    const waiting = stage.puller.read({ signal, timeoutMs: 500 })
    const behind = stage.puller.read()
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(stage.clock.pendingTimers).toBe(0)
    stage.feed(cursor, 0, 1)
    expect(place(await behind)).toBe('0:0')
    await expect(stage.puller.read({ signal })).rejects.toThrow('enough')
    expect(cursor.position, 'a call that was refused has asked for nothing').toBe(0)
  })
  it('CO-4: a signal that outlives many calls keeps no listener', async () => {
    const stage = new PullStage()
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<AbortSignal['addEventListener']>) => {
      listeners++
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<AbortSignal['removeEventListener']>) => {
      listeners--
      removeEventListener.apply(signal, args)
    }
    for (let count = 0; count < 3; count++) {
      const look = stage.puller.read({ signal, timeoutMs: 5 })
      expect(listeners).toBe(1)
      stage.clock.advance(5)
      await look
    }
    expect(listeners).toBe(0)
  })
  it('CO-4: says what to do when nothing is there to pull, and refuses what is no limit', async () => {
    const stage = new PullStage()
    stage.isFed = false
    await expect(stage.puller.read()).rejects.toThrow(/without a callback/)
    for (const timeoutMs of [-1, 1.5, Number.NaN])
      await expect(stage.puller.read({ timeoutMs })).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    for (const max of [0, -1, 1.5, Number.NaN])
      await expect(stage.puller.readBatch(max)).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  })
  it('C-8: a batch that cannot be read is told once, after those before it have counted', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 2)
    const broken = numbered(2, 1)
    broken[65] = 0xff
    stage.push(cursor, broken)
    const records = await stage.puller.readBatch(10)
    expect([records.length, stage.unreadable.length]).toEqual([2, 0])
    const next = stage.puller.read()
    expect([cursor.position, stage.unreadable.length, await stateOf(next)]).toEqual([2, 1, 'open'])
  })
  it('C-10: a control batch behind the last record is counted with it or with the next look', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 2)
    stage.push(cursor, controlBatch(2, 'commit', 7n))
    await stage.puller.readBatch(10)
    const look = stage.puller.read({ timeoutMs: 1 })
    expect(cursor.position).toBe(3)
    stage.clock.advance(1)
    expect(await look).toBe(null)
  })
  it('C-7, C-8: a codec that works in the background: the wait goes on, and what fails is told in its turn', async () => {
    const stage = new PullStage(100_000)
    const cursor = stage.cursor(0, 5)
    const waiting = stage.puller.readBatch(30_000)
    const packed = await packedBatch(5, 20_000)
    stage.push(cursor, packed)
    expect(await waiting).toHaveLength(5)
    expect(await stage.puller.readBatch(30_000)).toHaveLength(20_000)
    packed.writeInt32BE(1, packed.length - 4)
    packed.writeBigInt64BE(20_005n, 0)
    stage.push(cursor, withCrc(packed))
    const next = stage.puller.read()
    await expect.poll(() => stage.unreadable.length).toBe(1)
    expect([cursor.position, await stateOf(next)]).toEqual([20_005, 'open'])
  })
  it('C-26: busySinceMs is set while something is open', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 2)
    stage.clock.advance(40)
    await read(stage)
    expect(cursor.busySinceMs).toBe(40)
    stage.clock.advance(5)
    await read(stage)
    expect(cursor.busySinceMs).toBe(45)
  })
})

describe('readBatch', () => {
  it('CO-4: gives what is there, at most max, of several partitions, each in order', async () => {
    const stage = new PullStage(3)
    const cursors = [stage.cursor(0, 4), stage.cursor(1, 2)]
    const first = await stage.puller.readBatch(5)
    expect(first.map(place)).toEqual(['0:0', '0:1', '0:2', '1:0', '1:1'])
    expect(cursors.map((cursor) => cursor.position)).toEqual([0, 0])
    const second = await stage.puller.readBatch(5)
    expect(second.map(place)).toEqual(['0:3'])
    expect(cursors.map((cursor) => cursor.position)).toEqual([3, 2])
    expect(stage.counters.records).toBe(5)
  })
  it('CO-4: max beyond maxPollRecords takes several turns of the same partition', async () => {
    const stage = new PullStage(3)
    const cursor = stage.cursor(0, 20)
    expect(await stage.puller.readBatch(11)).toHaveLength(11)
    expect(await stage.puller.readBatch(20)).toHaveLength(9)
    expect(cursor.position).toBe(11)
  })
  it('CO-4: waits for the first record, and gives an empty list at the time-out', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0)
    const empty = stage.puller.readBatch(5, { timeoutMs: 10 })
    stage.clock.advance(10)
    expect(await empty).toEqual([])
    const waiting = stage.puller.readBatch(5)
    stage.feed(cursor, 0, 3)
    expect((await waiting).map(place)).toEqual(['0:0', '0:1', '0:2'])
  })
  it('CO-8: a seek while a batch is open moves nothing', async () => {
    const stage = new PullStage()
    const cursors = [stage.cursor(0, 4), stage.cursor(1, 4)] as const
    await stage.puller.readBatch(100)
    cursors[0].moveTo(1)
    const next = stage.puller.readBatch(5)
    expect([cursors[0].position, cursors[1].position]).toEqual([1, 4])
    stage.feed(cursors[0], 1, 2)
    expect((await next).map(place)).toEqual(['0:1', '0:2'])
  })
})

/** One zstd batch, large enough to be opened in the background. */
async function packedBatch(from: number, count: number): Promise<Buffer> {
  const plain = numbered(from, count)
  const packed = await createCompressionCodec('zstd').compress(plain.subarray(61))
  const batch = Buffer.concat([plain.subarray(0, 61), packed])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(4, 21)
  return withCrc(batch)
}
