/** Turns, places and slices of the dispatcher, without a network. */
import { promiseHooks } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { ConsumerCounters } from '../../../lib/consumer/counters.js'
import { type CallbackResult, type Delivery, PartitionCursor } from '../../../lib/consumer/cursor.js'
import { CallbackTimes } from '../../../lib/consumer/delivery/callback-times.js'
import { Dispatcher } from '../../../lib/consumer/delivery/dispatcher.js'
import type { Verdict } from '../../../lib/consumer/delivery/verdict.js'
import { FakeClock } from '../../../lib/util/index.js'
import { numbered } from '../batches.js'

type Take = (record: { partition: number; offset: number }) => CallbackResult

interface Setup {
  readonly concurrency?: number
  readonly maxPollRecords?: number
  readonly verdict?: (attempts: number) => Verdict
}

class Stage {
  readonly clock = new FakeClock()
  readonly counters = new ConsumerCounters()
  readonly dispatcher: Dispatcher
  readonly unreadable: unknown[] = []
  readonly refused: unknown[] = []
  freed = 0
  stops = 0

  constructor(setup: Setup = {}) {
    const options = { concurrency: setup.concurrency ?? 1, maxPollRecords: setup.maxPollRecords ?? 10 }
    const hooks = {
      judge: (_cursor: PartitionCursor, _unit: unknown, _error: unknown, attempts: number) =>
        setup.verdict?.(attempts) ?? ({ action: 'stop' } as const),
      errorRefused: (_cursor: PartitionCursor, error: unknown) => void this.refused.push(error),
      unreadable: (_cursor: PartitionCursor, error: unknown) => void this.unreadable.push(error),
      stopped: () => void this.stops++,
    }
    this.dispatcher = new Dispatcher(
      options,
      hooks,
      this.counters,
      this.clock,
      new CallbackTimes(this.clock, this.counters.callbackSeconds),
    )
  }

  cursor(partition: number, records: number, take: Take): PartitionCursor {
    const delivery: Delivery = { perRecord: take as never, perBatch: null, sink: this.dispatcher }
    const settings = { copies: true, checkCrcs: true, keyDeserializer: undefined, valueDeserializer: undefined }
    const owner = {
      freed: (_cursor: PartitionCursor, bytes: number) => {
        this.freed += bytes
      },
    }
    const made = new PartitionCursor('t', partition, delivery, settings, owner)
    made.moveTo(0)
    const bytes = numbered(0, records)
    made.reader.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
    this.dispatcher.enqueue(made)
    return made
  }
}

describe('Dispatcher', () => {
  it('CH-20, CO-14: a callback that returns no promise costs none', () => {
    const stage = new Stage({ maxPollRecords: 1_000 })
    let taken = 0
    stage.cursor(0, 1_000, () => {
      taken++
    })
    let promises = 0
    const stop = promiseHooks.onInit(() => promises++) as unknown as () => void
    stage.dispatcher.pump()
    stop()
    expect([taken, promises, stage.counters.records]).toEqual([1_000, 0, 1_000])
  })
  it('C-14: turns of maxPollRecords alternate between partitions', () => {
    const stage = new Stage({ maxPollRecords: 3 })
    const order: string[] = []
    const take: Take = (record) => void order.push(`${record.partition}:${record.offset}`)
    stage.cursor(0, 5, take)
    stage.cursor(1, 4, take)
    stage.dispatcher.pump()
    expect(order).toEqual(['0:0', '0:1', '0:2', '1:0', '1:1', '1:2', '0:3', '0:4', '1:3'])
  })
  it('CO-14: never more than concurrency callbacks at a time, never two of one partition', async () => {
    const stage = new Stage({ concurrency: 2 })
    const open: (() => void)[] = []
    const running: number[] = []
    const take: Take = (record) => {
      running.push(record.partition)
      return new Promise<void>((resolve) => open.push(resolve))
    }
    for (let partition = 0; partition < 4; partition++) stage.cursor(partition, 2, take)
    stage.dispatcher.pump()
    expect([running, stage.dispatcher.running]).toEqual([[0, 1], 2])
    open.shift()?.()
    await Promise.resolve()
    expect(stage.dispatcher.running).toBe(2)
    expect(running).toEqual([0, 1, 0])
  })
  it('5: work of one turn of the event loop is bounded, and the rest goes on in the next', () => {
    const stage = new Stage({ maxPollRecords: 1 })
    let taken = 0
    stage.cursor(0, 500, () => {
      taken++
    })
    stage.dispatcher.pump()
    expect(taken).toBeGreaterThan(10)
    expect(taken).toBeLessThan(100)
    stage.clock.runDeferred()
    expect(taken).toBe(500)
  })
  it('5: slow callbacks end the slice by time', () => {
    const stage = new Stage({ maxPollRecords: 2 })
    let taken = 0
    let workedMs = 0
    const { clock } = stage
    const monotonicMs = clock.monotonicMs.bind(clock)
    clock.monotonicMs = () => monotonicMs() + workedMs
    stage.cursor(0, 20, () => {
      taken++
      workedMs += 5
    })
    stage.dispatcher.pump()
    expect(taken, 'one turn of 10 ms is more than a slice').toBe(2)
    clock.runDeferred()
    expect(taken).toBe(20)
  })
  it('CO-15: a retry waits its time, other partitions do not wait with it, and nothing overtakes the record', () => {
    let isBroken = true
    const stage = new Stage({ verdict: () => ({ action: 'retry', delayMs: 50 }) })
    const order: string[] = []
    const take: Take = (record) => {
      order.push(`${record.partition}:${record.offset}`)
      if (record.partition === 0 && record.offset === 1 && isBroken) throw new Error('not now')
    }
    stage.cursor(0, 3, take)
    stage.cursor(1, 2, take)
    stage.dispatcher.pump()
    expect(order).toEqual(['0:0', '0:1', '1:0', '1:1'])
    stage.clock.advance(49)
    expect(order).toHaveLength(4)
    isBroken = false
    stage.clock.advance(1)
    expect(order.slice(4)).toEqual(['0:1', '0:2'])
  })
  it('CO-8: a seek during the wait for a retry gives the retry up', () => {
    const stage = new Stage({ verdict: () => ({ action: 'retry', delayMs: 50 }) })
    const order: number[] = []
    const cursor = stage.cursor(0, 3, (record) => {
      order.push(record.offset)
      if (record.offset === 0) throw new Error('always')
    })
    stage.dispatcher.pump()
    cursor.moveTo(2)
    stage.clock.advance(100)
    expect([order, stage.clock.pendingTimers, cursor.position]).toEqual([[0], 0, 2])
  })
  it('CO-15: attempts count from 1 and start anew with the next record', () => {
    const attempts: number[] = []
    const verdict = (count: number): Verdict => {
      attempts.push(count)
      return count < 3 ? { action: 'retry', delayMs: 1 } : { action: 'skip' }
    }
    const stage = new Stage({ verdict })
    const cursor = stage.cursor(0, 2, () => {
      throw new Error('always')
    })
    stage.dispatcher.pump()
    stage.clock.advance(10)
    expect([attempts, cursor.position]).toEqual([[1, 2, 3, 1, 2, 3], 2])
  })
  it('CO-1: after false nothing more is delivered, also not of other partitions', () => {
    const stage = new Stage()
    const order: string[] = []
    const take: Take = (record) => {
      order.push(`${record.partition}:${record.offset}`)
      return record.offset < 1
    }
    const first = stage.cursor(0, 3, take)
    stage.cursor(1, 3, take)
    stage.dispatcher.pump()
    expect([order, first.position, stage.stops]).toEqual([['0:0', '0:1'], 2, 1])
  })
  it('CO-17: whenIdle comes when the last running callback has ended', async () => {
    const stage = new Stage()
    let end = () => {}
    stage.cursor(
      0,
      2,
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    stage.dispatcher.pump()
    let isIdle = false
    stage.dispatcher.stop()
    stage.dispatcher.whenIdle(() => {
      isIdle = true
    })
    expect(isIdle).toBe(false)
    end()
    await Promise.resolve()
    expect([isIdle, stage.counters.records]).toEqual([true, 1])
  })
  it('25: a thenable that settles at once, or inside its own then, is followed like a promise', async () => {
    const stage = new Stage({ maxPollRecords: 100 })
    const order: number[] = []
    const immediate = {
      // biome-ignore lint/suspicious/noThenProperty: the test is about foreign thenables.
      then(resolve: (value: undefined) => void) {
        resolve(undefined)
      },
    }
    stage.cursor(0, 5, (record) => {
      order.push(record.offset)
      return immediate as Promise<undefined>
    })
    stage.dispatcher.pump()
    await Promise.resolve()
    stage.clock.runDeferred()
    expect(order).toEqual([0, 1, 2, 3, 4])
  })
  it('C-8: a record that cannot be read is told once, after those before it', () => {
    const stage = new Stage()
    const order: number[] = []
    const cursor = stage.cursor(0, 2, (record) => void order.push(record.offset))
    const broken = numbered(2, 1)
    broken[65] = 0xff
    cursor.reader.push({ bytes: broken, length: broken.length, arrivedMs: 0, aborted: null })
    stage.dispatcher.pump()
    expect([order, cursor.position, stage.unreadable.length]).toEqual([[0, 1], 2, 1])
  })
  it('C-26: busySinceMs tells since when a callback has been running, -1 at rest', async () => {
    const stage = new Stage()
    let end = () => {}
    const cursor = stage.cursor(
      0,
      2,
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    stage.clock.advance(40)
    stage.dispatcher.pump()
    expect(cursor.busySinceMs).toBe(40)
    stage.clock.advance(10)
    end()
    await Promise.resolve()
    expect(cursor.busySinceMs, 'the next one').toBe(50)
    end()
    await Promise.resolve()
    expect([cursor.busySinceMs, cursor.isBusy, cursor.position]).toEqual([-1, false, 2])
  })
  it('CO-14, C-14: a write that is open lets other partitions have the place, and counts for whenIdle', async () => {
    let isWritten = (_delayMs: number) => {}
    const letter = {
      write: () =>
        new Promise<number>((resolve) => {
          isWritten = resolve
        }),
    }
    const stage = new Stage({ verdict: () => ({ action: 'dlq', letter }) })
    const order: string[] = []
    const take: Take = (record) => {
      order.push(`${record.partition}:${record.offset}`)
      if (record.partition === 0 && record.offset === 0) throw new Error('no')
    }
    const cursor = stage.cursor(0, 2, take)
    stage.cursor(1, 1, take)
    stage.dispatcher.pump()
    let isIdle = false
    stage.dispatcher.whenIdle(() => {
      isIdle = true
    })
    expect([order, isIdle, stage.dispatcher.running, cursor.nextOffset]).toEqual([['0:0', '1:0'], false, 0, 1])
    cursor.rewind()
    isWritten(-1)
    await Promise.resolve()
    expect([cursor.position, cursor.fetchOffset, cursor.isBusy]).toEqual([1, 1, false])
  })
})
