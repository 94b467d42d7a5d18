/** Handlers that hang, readers that do not come back: the group is left exactly once, and joined again on progress. */
import { describe, expect, it } from 'vitest'
import { ConsumerCounters } from '../../lib/consumer/counters.js'
import type { RecordSink } from '../../lib/consumer/cursor.js'
import { type CallbackResult, HOLD, PartitionCursor } from '../../lib/consumer/cursor.js'
import { CallbackTimes } from '../../lib/consumer/delivery/callback-times.js'
import { Dispatcher } from '../../lib/consumer/delivery/dispatcher.js'
import { ProgressWatch } from '../../lib/consumer/progress.js'
import type { MQError } from '../../lib/errors/index.js'
import { type Deferred, deferred, FakeClock } from '../../lib/util/index.js'
import { numbered } from './batches.js'

const LIMIT_MS = 1_000
const NO_SINK = {} as RecordSink

class Stage {
  readonly clock = new FakeClock()
  readonly cursors: PartitionCursor[] = []
  readonly told: string[] = []
  readonly reasons: MQError[] = []
  readonly calls: Deferred<void>[] = []
  readonly dispatcher = new Dispatcher(
    { concurrency: 2, maxPollRecords: 10 },
    {
      judge: () => ({ action: 'retry', delayMs: 100 }),
      errorRefused: () => {},
      unreadable: () => {},
      stopped: () => {},
    },
    new ConsumerCounters(),
    this.clock,
    new CallbackTimes(this.clock, null),
  )
  readonly watch = new ProgressWatch({
    maxPollIntervalMs: LIMIT_MS,
    clock: this.clock,
    cursors: () => this.cursors,
    exceeded: (reason) => {
      this.told.push(`exceeded@${this.clock.monotonicMs()}`)
      this.reasons.push(reason)
      for (const cursor of this.cursors.splice(0)) lose(cursor)
    },
    progressed: () => void this.told.push(`progressed@${this.clock.monotonicMs()}`),
  })

  /** A partition with so many records, whose callback waits until the test ends the call. */
  add(partition: number, records: number, take: () => CallbackResult = () => this.call()): PartitionCursor {
    return this.#make(partition, records, take)
  }

  /** One that is read by hand. */
  addPulled(partition: number, records: number): PartitionCursor {
    return this.#make(partition, records, null)
  }

  #make(partition: number, records: number, take: (() => CallbackResult) | null): PartitionCursor {
    const sink = take === null ? NO_SINK : this.dispatcher
    const settings = { copies: true, checkCrcs: true, keyDeserializer: undefined, valueDeserializer: undefined }
    const made = new PartitionCursor('t', partition, { perRecord: take, perBatch: null, sink }, settings, {
      freed: () => {},
    })
    made.moveTo(0)
    if (records > 0) this.fill(made, records)
    this.cursors.push(made)
    if (take !== null) this.dispatcher.enqueue(made)
    return made
  }

  fill(cursor: PartitionCursor, records: number): void {
    const bytes = numbered(0, records)
    cursor.reader.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
  }

  call(): Promise<void> {
    const made = deferred<void>()
    this.calls.push(made)
    return made.promise
  }

  async end(call: number): Promise<void> {
    this.calls[call]?.resolve()
    await this.turn()
  }

  async turn(): Promise<void> {
    for (let step = 0; step < 10; step++) await Promise.resolve()
    this.clock.runDeferred()
  }
}

/** As the fetcher does. */
function lose(cursor: PartitionCursor): void {
  cursor.hold(HOLD.revoked)
  cursor.moveTo(cursor.position)
}

/** Handed out by a reader at this moment. */
function take(cursor: PartitionCursor, clock: FakeClock): void {
  cursor.isBusy = true
  cursor.busySinceMs = clock.monotonicMs()
}

describe('ProgressWatch', () => {
  it('C-26, CO-10: a callback that hangs is told exactly after maxPollIntervalMs, once, and its end brings us back', async () => {
    const stage = new Stage()
    stage.watch.start()
    stage.add(0, 3)
    stage.watch.start()
    stage.clock.advance(250)
    stage.dispatcher.pump()
    stage.clock.advance(LIMIT_MS - 1)
    expect(stage.told).toEqual([])
    stage.clock.advance(10 * LIMIT_MS)
    expect(stage.told).toEqual(['exceeded@1250'])
    expect(stage.reasons[0]).toMatchObject({
      code: 'REBALANCE_IN_PROGRESS',
      context: {
        reason: 'POLL_INTERVAL',
        topic: 't',
        partition: 0,
        offset: 0,
        openMs: 1_000,
        maxPollIntervalMs: LIMIT_MS,
      },
    })
    expect(stage.clock.pendingTimers).toBe(0)
    await stage.end(0)
    expect(stage.told).toEqual(['exceeded@1250', 'progressed@11249'])
  })

  it('C-26: it can be exceeded again after it was joined again', async () => {
    const stage = new Stage()
    for (const round of [0, 1, 2]) {
      const cursor = stage.add(round, 1)
      stage.watch.start()
      stage.dispatcher.pump()
      stage.clock.advance(LIMIT_MS)
      stage.watch.start() // nothing is watched before there was progress
      expect([stage.told.length, stage.clock.pendingTimers]).toEqual([2 * round + 1, 0])
      await stage.end(round)
      expect([stage.told.length, cursor.isBusy]).toEqual([2 * round + 2, false])
    }
  })

  it('C-26: many calls that are long, but not too long, are progress', async () => {
    const stage = new Stage()
    stage.add(0, 20)
    stage.watch.start()
    stage.dispatcher.pump()
    for (let call = 0; call < 20; call++) {
      stage.clock.advance(LIMIT_MS - 1)
      await stage.end(call)
      stage.dispatcher.pump()
    }
    expect(stage.told).toEqual([])
  })

  it('C-26: a callback that is called again after a failure has begun anew', async () => {
    const stage = new Stage()
    stage.add(0, 1)
    stage.watch.start()
    stage.dispatcher.pump()
    for (let call = 0; call < 5; call++) {
      stage.clock.advance(LIMIT_MS - 200)
      stage.calls[call]?.reject(new Error('again'))
      await stage.turn()
      stage.clock.advance(100)
    }
    expect(stage.told).toEqual([])
    stage.clock.advance(LIMIT_MS)
    expect(stage.told).toHaveLength(1)
  })

  it('C-26: of several that hang, all have to end before we join again', async () => {
    const stage = new Stage()
    stage.add(0, 1)
    stage.add(1, 1)
    stage.watch.start()
    stage.dispatcher.pump()
    stage.clock.advance(LIMIT_MS)
    expect(stage.reasons[0]?.context).toMatchObject({ partitions: [{ partition: 0 }, { partition: 1 }] })
    await stage.end(1)
    expect(stage.told).toHaveLength(1)
    await stage.end(0)
    expect(stage.told).toHaveLength(2)
  })

  it('C-26: a callback that is too slow counts while its partition is paused, too', () => {
    const stage = new Stage()
    const cursor = stage.add(0, 2)
    stage.watch.start()
    stage.dispatcher.pump()
    cursor.hold(HOLD.paused)
    stage.clock.advance(LIMIT_MS)
    expect(stage.told).toHaveLength(1)
  })

  it('C-26: a pulled record counts only while others wait behind it', () => {
    const stage = new Stage()
    const cursor = stage.addPulled(0, 0)
    stage.watch.start()
    take(cursor, stage.clock)
    stage.clock.advance(5 * LIMIT_MS)
    expect(stage.told).toEqual([])
    stage.fill(cursor, 5)
    stage.clock.advance(2 * LIMIT_MS)
    expect(stage.told).toHaveLength(1)
    expect(stage.reasons[0]?.message).toMatch(/was read, and nothing since/)
  })

  it('C-26: a reader that comes back in time is progress', () => {
    const stage = new Stage()
    const cursor = stage.addPulled(0, 5)
    stage.watch.start()
    for (let read = 0; read < 10; read++) {
      take(cursor, stage.clock)
      stage.clock.advance(LIMIT_MS - 1)
    }
    expect(stage.told).toEqual([])
  })

  it('C-26: paused data keeps nobody waiting', () => {
    const stage = new Stage()
    const cursor = stage.addPulled(0, 5)
    cursor.hold(HOLD.paused)
    stage.watch.start()
    take(cursor, stage.clock)
    stage.clock.advance(5 * LIMIT_MS)
    expect(stage.told).toEqual([])
  })

  it('K-23: no timer without partitions, and none after stop; what ends later is nobody’s business', async () => {
    const stage = new Stage()
    stage.watch.start()
    expect(stage.clock.pendingTimers).toBe(0)
    stage.add(0, 1)
    stage.watch.start()
    stage.dispatcher.pump()
    stage.clock.advance(LIMIT_MS)
    stage.watch.stop()
    await stage.end(0)
    expect(stage.told).toHaveLength(1)
    stage.add(1, 1)
    stage.watch.start()
    expect(stage.clock.pendingTimers).toBe(1)
    stage.watch.stop()
    expect(stage.clock.pendingTimers).toBe(0)
  })
})
