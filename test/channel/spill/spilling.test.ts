/** CH-17: `onFull: 'spill'`, on a log whose disk the test owns. */
import { describe, expect, it } from 'vitest'
import {
  ByteChannel,
  type ByteChannelOptions,
  type Chunk,
  ItemChannel,
  type ItemChannelOptions,
} from '../../../lib/channel/index.js'
import { MQError } from '../../../lib/errors/index.js'
import { FakeClock } from '../../../lib/util/index.js'
import { FakeSpillLog } from './fake-log.js'

const BYTES = 100

/** A byte channel of ten records of 100 B in memory: 9 below hard (95 %), refilled at 6 and below. */
class Stage {
  readonly clock = new FakeClock()
  readonly errors: MQError[] = []
  readonly events: string[] = []
  readonly log: FakeSpillLog
  readonly channel: ByteChannel
  next = 0

  constructor(log = new FakeSpillLog(), options: ByteChannelOptions = {}) {
    this.log = log
    this.channel = new ByteChannel({
      clock: this.clock,
      bufferMemoryBytes: 10 * BYTES,
      windowMs: Number.POSITIVE_INFINITY,
      onFull: 'spill',
      spillLog: log,
      ...options,
    })
    this.channel.on('error', (error) => this.errors.push(error))
    this.channel.on('backpressure', () => this.events.push('backpressure'))
    this.channel.on('drain', () => this.events.push('drain'))
  }

  write(count = 1, bytes = BYTES): boolean[] {
    return Array.from({ length: count }, () => this.channel.write(payloadOf(this.next++, bytes)))
  }

  writeAsync(bytes = BYTES, options = {}): Promise<boolean> {
    return this.channel.writeAsync(payloadOf(this.next++, bytes), options)
  }

  /** Reads and releases what is readable now, at most `most`. */
  read(most = Number.POSITIVE_INFINITY): number[] {
    const found: number[] = []
    while (found.length < most) {
      const chunk = this.channel.tryRead()
      if (chunk === undefined) break
      found.push(numberOf(chunk))
    }
    this.checkConserved()
    return found
  }

  /** Reads until nothing comes any more. */
  async drained(): Promise<number[]> {
    const found: number[] = []
    for (;;) {
      await settle()
      const some = this.read()
      if (some.length === 0) return found
      found.push(...some)
    }
  }

  checkConserved(): void {
    const { writtenRecords, readRecords, droppedRecords, discardedRecords, inLogRecords } = this.channel.counters()
    expect(writtenRecords).toBe(readRecords + droppedRecords + discardedRecords + this.channel.pendingRecords)
    expect(inLogRecords).toBe(this.log.records)
    expect(this.log.violations).toEqual([])
    expect(this.channel.usedBytes).toBeLessThanOrEqual(this.channel.limitBytes)
  }
}

function payloadOf(n: number, bytes = BYTES): Buffer {
  const payload = Buffer.alloc(bytes, n & 0xff)
  payload.writeUInt32BE(n)
  return payload
}

function numberOf(chunk: Chunk): number {
  const n = Buffer.from(chunk.bytes).readUInt32BE(0)
  expect(Buffer.compare(chunk.bytes, payloadOf(n, chunk.length))).toBe(0)
  chunk.release()
  return n
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

function upTo(end: number, first = 0): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index)
}

function thrown(task: () => unknown): MQError {
  try {
    task()
  } catch (error) {
    return error as MQError
  }
  throw new Error('it was not refused')
}

function rejected(promise: Promise<unknown>): Promise<MQError> {
  return promise.then(
    () => {
      throw new Error('it was not rejected')
    },
    (error: MQError) => error,
  )
}

describe("onFull: 'spill'", () => {
  it('CH-17: what memory has no room for goes into the log, and everything comes out in the order of writing', async () => {
    const stage = new Stage()
    // Soft from the eighth, hard from the tenth; false: in the log, too.
    expect(stage.write(30)).toEqual([...Array(7).fill(true), ...Array(23).fill(false)])
    expect(stage.log.records).toBe(20)
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 30, spilledRecords: 20, inLogRecords: 20 })
    expect(stage.channel.counters().writtenBytes).toBe(30 * BYTES)
    expect(stage.channel.pendingRecords).toBe(30)
    stage.checkConserved()
    expect(await stage.drained()).toEqual(upTo(30))
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 30, readRecords: 30, inLogRecords: 0 })
    expect(stage.channel.counters().writtenBytes).toBe(30 * BYTES)
    expect(stage.channel.usedBytes).toBe(0)
    // Back in memory: nothing goes to the log any more.
    stage.write(5)
    expect(stage.channel.counters().spilledRecords).toBe(20)
  })

  it('CH-17: while one record is in the log, memory with room takes none that is younger', async () => {
    const stage = new Stage(new FakeSpillLog({ isPrompt: false }))
    stage.write(12)
    expect(stage.read(10)).toEqual(upTo(10))
    expect(stage.channel.usedBytes).toBe(0)
    expect(stage.write(1)).toEqual([false])
    expect(stage.log.records).toBe(3)
    await settle()
    expect(stage.log.isReading).toBe(true)
    expect(stage.write(1)).toEqual([false])
    stage.log.answer()
    await settle()
    // The page holds the first two of four (250 B): the log is not empty, so the next one goes there as well.
    expect(stage.write(1)).toEqual([false])
    stage.log.answer()
    await settle()
    stage.log.answer()
    await settle()
    expect(stage.log.records).toBe(0)
    expect(stage.write(1)).toEqual([true])
    stage.channel.seal()
    expect(stage.read()).toEqual(upTo(16, 10))
  })

  it('CH-17: brings back at the resume limit and below, one page of a quarter of the budget and one read at a time', async () => {
    const stage = new Stage(new FakeSpillLog({ isPrompt: false }))
    stage.write(40)
    expect(stage.log.isReading).toBe(false)
    stage.read(3) // 700 B are used: above 60 %.
    await settle()
    expect(stage.log.isReading).toBe(false)
    stage.read(1)
    await settle()
    expect(stage.log.isReading).toBe(true)
    stage.read(6)
    await settle()
    expect(stage.log.reads).toBe(1)
    stage.log.isPrompt = true
    stage.log.answer()
    expect(await stage.drained()).toEqual(upTo(40, 10))
    expect(Math.max(...stage.log.pages)).toBeLessThanOrEqual(250)
    stage.checkConserved()
  })

  it('CH-17: one record goes to the log for its size; the small ones behind it wait for it', async () => {
    const stage = new Stage()
    stage.write(7)
    expect(stage.write(1, 900)).toEqual([false])
    stage.write(2, 20)
    await settle()
    expect(stage.log.records).toBe(3)
    expect(stage.read(2)).toEqual([0, 1])
    await settle() // 500 B are used: a page was read, and its first record does not fit.
    expect(stage.log.records).toBe(3)
    expect(stage.log.reads).toBe(1)
    expect(await stage.drained()).toEqual(upTo(10, 2))
    expect(stage.channel.usedBytes).toBe(0)
  })

  it('CH-17: a full log: write throws WAL_FULL, and nothing was taken', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 2 }))
    stage.write(12)
    const error = thrown(() => stage.write())
    expect(error).toMatchObject({ code: 'POOL_EXHAUSTED', retryable: true })
    expect(error.context).toMatchObject({ reason: 'WAL_FULL', bytes: 100, inLogRecords: 2 })
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 12, refusedWrites: 1 })
    expect(await stage.drained()).toEqual(upTo(12))
  })

  it('CH-17: writeAsync waits for room in the log, first come first served, and nobody overtakes', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 2, isPrompt: false }))
    stage.write(12)
    const done: number[] = []
    const waiting = upTo(3).map((index) => stage.writeAsync().then(() => done.push(index)))
    await settle()
    expect(done).toEqual([])
    expect(thrown(() => stage.channel.write(payloadOf(99)))).toMatchObject({ context: { reason: 'WAL_FULL' } })
    expect(stage.read(10)).toEqual(upTo(10))
    await settle()
    stage.log.answer()
    await settle()
    stage.log.tellRoom()
    await Promise.all(waiting)
    expect(done).toEqual([0, 1, 2])
    stage.log.isPrompt = true
    stage.log.answer()
    stage.channel.seal() // Those who came when the log was empty are in memory.
    expect(await stage.drained()).toEqual(upTo(15, 10))
  })

  it('CH-17: a log that takes nothing although it is empty: who waits goes into memory when there is room', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 0 }))
    stage.write(10)
    const waiting = [stage.writeAsync(), stage.writeAsync()]
    await settle()
    expect(thrown(() => stage.channel.write(payloadOf(99)))).toMatchObject({ context: { reason: 'WAL_FULL' } })
    expect(stage.read(2)).toEqual([0, 1])
    expect(await Promise.all(waiting)).toEqual([false, false])
    stage.channel.seal()
    expect(await stage.drained()).toEqual(upTo(12, 2))
    expect(stage.write(1)).toEqual([true])
  })

  it('CH-17: a wait ends after maxBlockMs with TIMEOUT, or with the reason of its signal; the next one moves up', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 1 }), { maxBlockMs: 500 })
    stage.write(11)
    const late = rejected(stage.writeAsync())
    const aborting = new AbortController()
    const aborted = rejected(stage.writeAsync(BYTES, { signal: aborting.signal, timeoutMs: 10_000 }))
    const last = stage.writeAsync(BYTES, { timeoutMs: 10_000 })
    await settle()
    stage.clock.advance(500)
    expect(await late).toMatchObject({ code: 'TIMEOUT', context: { reason: 'BUFFER_FULL', timeoutMs: 500 } })
    aborting.abort(new Error('enough'))
    expect((await aborted).message).toBe('enough')
    expect(stage.channel.counters().refusedWrites).toBe(2)
    stage.log.maxRecords = 2
    stage.log.tellRoom()
    expect(await last).toBe(false)
    expect(await stage.drained()).toEqual([...upTo(11), 13])
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('CH-17: a large record that gives up lets a small one behind it in at once', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 0 }))
    stage.write(9)
    const large = rejected(stage.writeAsync(500, { timeoutMs: 100 }))
    const small = stage.writeAsync(50)
    await settle()
    expect(stage.channel.usedBytes).toBe(900)
    stage.clock.advance(100)
    expect(await large).toMatchObject({ code: 'TIMEOUT' })
    expect(await small).toBe(false)
    expect(stage.channel.usedBytes).toBe(950)
  })

  it('CH-16 CH-17: what comes back is copied also with copyOnWrite false: a record does not keep its page', async () => {
    const stage = new Stage(new FakeSpillLog(), { copyOnWrite: false, readMode: 'zeroCopy' })
    stage.write(11)
    const inLog = stage.log.inside[0] as Uint8Array
    stage.read(10)
    await settle()
    const chunk = stage.channel.tryRead() as Chunk
    expect(Buffer.compare(chunk.bytes, inLog)).toBe(0)
    expect(chunk.bytes.buffer).not.toBe(inLog.buffer)
    chunk.release()
  })

  it('CH-17: what a waiting caller does to his bytes changes nothing; with copyOnWrite false they are kept as they are', async () => {
    for (const copyOnWrite of [true, false]) {
      const stage = new Stage(new FakeSpillLog({ maxRecords: 0 }), { copyOnWrite })
      stage.write(10)
      const bytes = payloadOf(10)
      const waiting = stage.channel.writeAsync(bytes)
      bytes.fill(1, 50)
      stage.read()
      await waiting
      stage.channel.seal()
      const chunk = stage.channel.tryRead() as Chunk
      expect(chunk.bytes[60]).toBe(copyOnWrite ? 10 : 1)
    }
  })

  it('CH-17: a record larger than the budget can never fit, whatever the log holds', async () => {
    const stage = new Stage()
    expect(thrown(() => stage.write(1, 1_001))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(await rejected(stage.writeAsync(1_001))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    stage.write(15)
    expect(await rejected(stage.writeAsync(1_001))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 15, refusedWrites: 3 })
  })

  it('CH-17: what the log throws reaches the writer unchanged, and what waits as well', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 1 }))
    stage.log.maxPayloadBytes = 300
    stage.write(11)
    expect(thrown(() => stage.write(1, 301))).toMatchObject({ context: { reason: 'WAL_FRAME_TOO_LARGE' } })
    const waiting = [rejected(stage.writeAsync()), rejected(stage.writeAsync())]
    await settle()
    stage.log.failure = new MQError('PRODUCE_FAILED', 'the disk is gone', { reason: 'WAL_FAILED' })
    stage.log.maxRecords = 9
    stage.log.tellRoom()
    for (const error of await Promise.all(waiting)) expect(error).toBe(stage.log.failure)
    expect(thrown(() => stage.write())).toBe(stage.log.failure)
    expect(await stage.drained()).toEqual(upTo(11))
    expect(stage.channel.counters().refusedWrites).toBe(4)
  })

  it('CH-17: what an earlier life left is read first and counts as written; new records queue behind it', async () => {
    const log = new FakeSpillLog()
    for (const n of upTo(5)) log.push(payloadOf(n))
    const stage = new Stage(log)
    stage.next = 5
    expect(stage.channel.pendingRecords).toBe(5)
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 5, spilledRecords: 0, inLogRecords: 5 })
    expect(stage.write(2)).toEqual([false, false])
    expect(await stage.drained()).toEqual(upTo(7))
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 7, writtenBytes: 700, readBytes: 700 })
  })

  it('CH-17: a read that fails is told once and tried again after a second; nothing behind it passes', async () => {
    const stage = new Stage(new FakeSpillLog({ isPrompt: false }))
    stage.write(12)
    expect(stage.read(10)).toEqual(upTo(10))
    for (let time = 0; time < 3; time++) {
      await settle()
      stage.log.refuse()
      await settle()
      expect(stage.write(1)).toEqual([false])
      expect(stage.read()).toEqual([])
      stage.clock.advance(999)
      await settle()
      expect(stage.log.isReading).toBe(false)
      stage.clock.advance(1)
    }
    expect(stage.errors).toHaveLength(1)
    expect(stage.errors[0]).toMatchObject({ code: 'DECOMPRESSION_FAILED', context: { reason: 'WAL_CORRUPT' } })
    stage.log.isPrompt = true
    await settle()
    stage.log.answer()
    expect(await stage.drained()).toEqual(upTo(15, 10))
    // Told anew after it went well once.
    stage.write(12)
    stage.log.isPrompt = false
    stage.read()
    await settle()
    stage.log.refuse(new Error('gone'))
    await settle()
    expect(stage.errors).toHaveLength(2)
    expect(stage.errors[1]).toMatchObject({ code: 'DECOMPRESSION_FAILED' })
  })

  it('CH-17: what is in memory and could not be dropped from the log is not brought back twice', async () => {
    const stage = new Stage()
    stage.write(14)
    stage.log.failShifts = 2
    stage.read(10)
    await settle()
    expect(stage.errors).toHaveLength(1)
    expect(stage.errors[0]).toMatchObject({ context: { reason: 'WAL_FAILED' } })
    const { writtenRecords, inLogRecords } = stage.channel.counters()
    expect({ writtenRecords, inLogRecords }).toEqual({ writtenRecords: 14, inLogRecords: 12 - 10 })
    expect(stage.channel.pendingRecords).toBe(4)
    stage.clock.advance(1000)
    await settle()
    stage.clock.advance(1000)
    expect(await stage.drained()).toEqual(upTo(14, 10))
    expect(stage.channel.counters()).toMatchObject({ writtenRecords: 14, readRecords: 14, inLogRecords: 0 })
  })

  it('CH-17: a record from a time of a larger budget stays in the log, and is told once', async () => {
    const log = new FakeSpillLog()
    log.push(payloadOf(0))
    log.push(payloadOf(1, 2_000))
    log.push(payloadOf(2))
    const stage = new Stage(log)
    expect(await stage.drained()).toEqual([0])
    stage.clock.advance(1000)
    expect(await stage.drained()).toEqual([])
    expect(stage.errors.map(({ code }) => code)).toEqual(['MESSAGE_TOO_LARGE'])
    expect(log.records).toBe(2)
    await stage.channel.close({ timeoutMs: 0 })
    const larger = new Stage(log, { bufferMemoryBytes: 4_000 })
    expect(await larger.drained()).toEqual([1, 2])
  })

  it('CH-13 CH-14 CH-17: who waits is served from the log in order: read, batches, callbacks', async () => {
    const stage = new Stage()
    stage.write(25)
    stage.read(10)
    const first = await stage.channel.read()
    expect(numberOf(first)).toBe(10)
    const batch = await stage.channel.readBatch(3)
    expect(batch.map(numberOf)).toEqual([11]) // A page held two.
    const called: number[] = []
    stage.channel.onData((chunk) => called.push(numberOf(chunk)))
    for (let turn = 0; turn < 20 && called.length < 13; turn++) {
      await settle()
      stage.clock.runDeferred()
    }
    expect(called).toEqual(upTo(25, 12))
    stage.checkConserved()
  })

  it('CH-13 CH-15 CH-17: a page of two is shared by two who wait, whatever the log still holds', async () => {
    const stage = new Stage(new FakeSpillLog({ isPrompt: false }))
    stage.write(30)
    stage.read(10)
    const batch = stage.channel.readBatch(10)
    const single = stage.channel.read()
    await settle()
    stage.log.answer()
    expect((await batch).map(numberOf)).toEqual([10])
    expect(numberOf(await single)).toBe(11)
  })

  it('CH-11 CH-17: chunks that are held count against the budget, and what is in the log comes as they are released', async () => {
    const stage = new Stage(new FakeSpillLog(), { readMode: 'zeroCopy' })
    stage.write(15)
    const held = Array.from({ length: 10 }, () => stage.channel.tryRead() as Chunk)
    await settle()
    expect(stage.channel.tryRead()).toBeUndefined()
    expect(stage.channel.usedBytes).toBe(1_000)
    for (const chunk of held) chunk.release()
    expect(await stage.drained()).toEqual(upTo(15, 10))
  })
})

describe("close with onFull: 'spill'", () => {
  it('CH-19: drains the log too, then the log is its owner’s again', async () => {
    const stage = new Stage()
    stage.write(30)
    const closing = stage.channel.close()
    expect(stage.channel.state).toBe('closing')
    expect(thrown(() => stage.write())).toMatchObject({ code: 'PRODUCER_CLOSED' })
    expect(await stage.drained()).toEqual(upTo(30))
    expect(await closing).toEqual({ delivered: 30, undelivered: 0 })
    expect(stage.channel.state).toBe('closed')
    expect(stage.log).toMatchObject({ isClosed: false, onRoom: null, records: 0 })
    expect(stage.clock.pendingTimers).toBe(0)
    stage.checkConserved()
  })

  it('CH-19: what is not read within timeoutMs is undelivered; that of the log stays in it for the next channel', async () => {
    const stage = new Stage()
    stage.write(30)
    expect(stage.read(4)).toEqual(upTo(4))
    await settle()
    const inLog = stage.log.records
    const closing = stage.channel.close({ timeoutMs: 100 })
    await settle()
    stage.clock.advance(100)
    expect(await closing).toEqual({ delivered: 0, undelivered: 26 })
    stage.checkConserved()
    expect(stage.channel.pendingRecords).toBe(0)
    expect(stage.log.records).toBe(inLog)
    expect(stage.channel.counters()).toMatchObject({ discardedRecords: 26, inLogRecords: inLog })
    expect(stage.clock.pendingTimers).toBe(0)

    const next = new Stage(stage.log)
    expect(await next.drained()).toEqual(upTo(30, 30 - inLog))
    // The first channel counts what it left, not what became of it.
    expect(stage.channel.counters().inLogRecords).toBe(inLog)
  })

  it('CH-19: drain false discards what is in memory at once and leaves the log alone, a read on its way too', async () => {
    const stage = new Stage(new FakeSpillLog({ isPrompt: false }))
    stage.write(14)
    stage.read(10)
    await settle()
    expect(stage.log.isReading).toBe(true)
    expect(await stage.channel.close({ drain: false })).toEqual({ delivered: 0, undelivered: 4 })
    stage.log.answer()
    await settle()
    expect(stage.log.records).toBe(4)
    expect(stage.errors).toEqual([])
    stage.checkConserved()
  })

  it('CH-19: a read that fails after the end is nobody’s any more', async () => {
    const stage = new Stage(new FakeSpillLog({ isPrompt: false }))
    stage.write(14)
    stage.read(10)
    await settle()
    await stage.channel.close({ timeoutMs: 0 })
    stage.log.refuse()
    await settle()
    expect(stage.errors).toEqual([])
    expect(stage.clock.pendingTimers).toBe(0)
  })

  it('CH-19: writers that wait are refused, a retry that is due is forgotten', async () => {
    const stage = new Stage(new FakeSpillLog({ maxRecords: 1, isPrompt: false }))
    stage.write(11)
    const waiting = rejected(stage.writeAsync())
    stage.read()
    await settle()
    stage.log.refuse()
    await settle()
    expect(stage.clock.pendingTimers).toBeGreaterThan(0)
    await stage.channel.close({ timeoutMs: 0 })
    expect(await waiting).toMatchObject({ code: 'PRODUCER_CLOSED' })
    expect(stage.clock.pendingTimers).toBe(0)
    stage.clock.advance(5_000)
    await settle()
    expect(stage.log.reads).toBe(1)
  })
})

describe('the options of a channel that spills', () => {
  const log = () => new FakeSpillLog()

  it.each<[string, string, ByteChannelOptions]>([
    ['spillLog', 'no log', { onFull: 'spill' }],
    ['onFull', 'a log without spill', { spillLog: log() }],
    ['onFull', 'a log with block', { onFull: 'block', spillLog: log() }],
    ['onFull', 'an unknown word', { onFull: 'spil' as 'spill' }],
  ])('CH-17: %s is named: %s', (field, _what, options) => {
    expect(thrown(() => new ByteChannel(options))).toMatchObject({ code: 'INVALID_CONFIG', context: { field } })
  })

  it('CH-17: one log has one channel', async () => {
    const stage = new Stage()
    const again = () => new ByteChannel({ onFull: 'spill', spillLog: stage.log })
    expect(thrown(again)).toMatchObject({ code: 'INVALID_CONFIG', context: { field: 'spillLog' } })
    await stage.channel.close()
    expect(again).not.toThrow()
  })

  it('CH-17: an item channel needs a codec', () => {
    const make = () => new ItemChannel<number>({ onFull: 'spill', spillLog: log() })
    expect(thrown(make)).toMatchObject({ code: 'INVALID_CONFIG', context: { field: 'codec' } })
  })
})

describe('an item channel that spills', () => {
  interface Order {
    readonly id: number
    readonly isPoison?: boolean
  }
  const codec = {
    encode: (order: Order) => Buffer.from(JSON.stringify(order)),
    decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as Order,
  }

  function make(options: Partial<ItemChannelOptions<Order>> = {}) {
    const spillLog = new FakeSpillLog()
    const clock = new FakeClock()
    const errors: MQError[] = []
    const channel = new ItemChannel<Order>({
      ...{ clock, codec, spillLog, onFull: 'spill', bufferMaxRecords: 10, windowMs: Number.POSITIVE_INFINITY },
      ...options,
    })
    channel.on('error', (error) => errors.push(error))
    return { channel, spillLog, clock, errors }
  }

  async function drained(channel: ItemChannel<Order>): Promise<number[]> {
    const ids: number[] = []
    for (;;) {
      await settle()
      const item = channel.tryRead()
      if (item === undefined) return ids
      ids.push(item.id)
    }
  }

  it('CH-17: items go through their codec and come back in order, bounded by their number', async () => {
    const { channel, spillLog } = make()
    for (const id of upTo(50)) channel.write({ id })
    expect(spillLog.records).toBe(40)
    expect(await drained(channel)).toEqual(upTo(50))
    expect(channel.counters()).toMatchObject({ writtenRecords: 50, readRecords: 50, spilledRecords: 40 })
  })

  it('CH-17: whole batches that are taken make room when they are recycled; one put back leaves first', async () => {
    const { channel } = make()
    for (const id of upTo(20)) channel.write({ id })
    const ids: number[] = []
    let wasPutBack = false
    for (;;) {
      await settle()
      const batch = channel.take()
      if (batch === undefined) break
      if (!wasPutBack) {
        wasPutBack = true
        channel.putBack(batch)
        continue
      }
      ids.push(...batch.items.map(({ id }) => id))
      channel.recycle(batch)
    }
    expect(ids).toEqual(upTo(20))
    expect(channel.pendingRecords).toBe(0)
  })

  it('CH-17: with a size per item the sizes count, before and after the log', async () => {
    const { channel } = make({ sizeOf: () => 50, bufferMemoryBytes: 500 })
    for (const id of upTo(20)) channel.write({ id })
    expect(channel.counters()).toMatchObject({ writtenBytes: 1_000 })
    expect(await drained(channel)).toEqual(upTo(20))
    expect(channel.counters()).toMatchObject({ writtenBytes: 1_000, readBytes: 1_000 })
  })

  it('CH-17: what the codec cannot represent is refused; what it cannot read stays, told once, and nothing passes', async () => {
    let isBroken = true
    const { channel, spillLog, clock, errors } = make({
      codec: {
        encode: (order) => {
          if (order.isPoison === true) throw new TypeError('poison')
          return codec.encode(order)
        },
        decode: (bytes) => {
          const order = codec.decode(bytes)
          if (isBroken && order.id === 12) throw new TypeError('of a newer version')
          return order
        },
      },
    })
    for (const id of upTo(15)) channel.write({ id })
    expect(thrown(() => channel.write({ id: 99, isPoison: true }))).toMatchObject({ code: 'SERIALIZATION_FAILED' })
    expect(await rejected(channel.writeAsync({ id: 99, isPoison: true }))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
    })
    expect(await drained(channel)).toEqual(upTo(12))
    clock.advance(1000)
    expect(await drained(channel)).toEqual([])
    expect(errors.map(({ code }) => code)).toEqual(['DESERIALIZATION_FAILED'])
    expect(spillLog.records).toBe(3)
    isBroken = false
    clock.advance(1000)
    expect(await drained(channel)).toEqual([12, 13, 14])
  })

  it('CH-17: an encode that gives no bytes and a decode that gives undefined are told as such', async () => {
    const { channel, errors } = make({ codec: { encode: () => 'text' as never, decode: codec.decode } })
    for (const id of upTo(10)) channel.write({ id })
    expect(thrown(() => channel.write({ id: 10 }))).toMatchObject({ code: 'SERIALIZATION_FAILED' })
    expect(errors).toEqual([])
    const other = make({ codec: { encode: codec.encode, decode: () => undefined as never } })
    for (const id of upTo(11)) other.channel.write({ id })
    expect(await drained(other.channel)).toEqual(upTo(10))
    expect(other.errors.map(({ code }) => code)).toEqual(['DESERIALIZATION_FAILED'])
  })
})
