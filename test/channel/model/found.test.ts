/** What the model has found once, each as a story of a few lines. */
import { describe, expect, it } from 'vitest'
import { ByteChannel, type ItemBuffer, ItemChannel } from '../../../lib/channel/index.js'
import { FakeClock } from '../../../lib/util/index.js'

/** Lets every promise go on. */
const settle = () => new Promise<void>((resolve) => process.nextTick(resolve))

/** Waits so many turns of the microtask queue; its own end is one. */
async function ticks(count: number): Promise<void> {
  for (let tick = 1; tick < count; tick++) await null
}

function readAll(channel: ItemChannel<number>): number[] {
  const all: number[] = []
  channel.seal()
  for (let item = channel.tryRead(); item !== undefined; item = channel.tryRead()) all.push(item)
  return all
}

describe('found by the model', () => {
  it.each([1, 2, 3, 4])('CH-17: a writer that has its room is not overtaken, %i microtasks later', async (count) => {
    const channel = new ItemChannel<number>({
      clock: new FakeClock(),
      maxRecords: 1,
      bufferMaxRecords: 3,
      hardPercent: 100,
    })
    for (const item of [1, 2, 3]) channel.write(item)
    const waiting = channel.writeAsync(4)
    expect([channel.tryRead(), channel.tryRead()]).toEqual([1, 2])
    await ticks(count)
    let isRefused = false
    try {
      channel.write(5)
    } catch {
      isRefused = true
    }
    await waiting
    expect(readAll(channel)).toEqual(isRefused ? [3, 4] : [3, 4, 5])
    await channel.close()
  })

  it.each([1, 2, 3, 4])('CH-19: close %i microtasks after a writer got its room loses nothing', async (count) => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ clock, bufferMaxRecords: 1, windowMs: 10 })
    channel.write(1)
    const waiting = channel.writeAsync(2).then(
      () => 'written',
      ({ code }) => code,
    )
    expect(channel.tryRead()).toBe(1)
    await ticks(count)
    const closing = channel.close({ timeoutMs: 100 })
    const read = readAll(channel)
    await settle()
    const outcome = await waiting
    expect(read).toEqual(outcome === 'written' ? [2] : [])
    expect(await closing).toEqual({ delivered: read.length, undelivered: 0 })
    expect([channel.stats().activeRecords, channel.pendingRecords, clock.pendingTimers]).toEqual([0, 0, 0])
  })

  it('CH-16: under dropOldest writeAsync takes its record at once, so that the order of the calls is kept', async () => {
    const channel = new ItemChannel<number>({
      clock: new FakeClock(),
      maxRecords: 1,
      bufferMemoryBytes: 100,
      sizeOf: () => 50,
      onFull: 'dropOldest',
    })
    channel.write(1)
    channel.write(2)
    const later = channel.writeAsync(3)
    channel.write(4)
    await later
    expect(readAll(channel)).toEqual([3, 4])
    await channel.close()
  })

  it('CH-17: a write at the limit is not refused when the reader that waits makes room', async () => {
    const channel = new ByteChannel({ clock: new FakeClock(), bufferMemoryBytes: 100, onFull: 'reject' })
    channel.write(Buffer.alloc(96))
    const waiting = channel.read()
    channel.write(Buffer.alloc(90))
    expect((await waiting).length).toBe(96)
    expect(channel.counters()).toMatchObject({ writtenRecords: 2, refusedWrites: 0 })
    await channel.close({ drain: false })
  })

  it('CH-10: a buffer that is recycled twice throws, and counts once', () => {
    const channel = new ItemChannel<number>({ clock: new FakeClock(), maxRecords: 1, maxSpares: 0 })
    channel.write(1)
    const buffer = channel.take() as ItemBuffer<number>
    channel.recycle(buffer)
    expect(() => channel.recycle(buffer)).toThrow(/twice/)
    expect([channel.counters().readRecords, channel.pendingRecords]).toEqual([1, 0])
  })

  it('CH-17: a write that is refused after dropping tells that there is room again', () => {
    const channel = new ByteChannel({
      clock: new FakeClock(),
      bufferMemoryBytes: 100,
      maxBytes: 1,
      onFull: 'dropOldest',
    })
    const events: string[] = []
    for (const name of ['backpressure', 'dropped', 'drain'] as const) channel.on(name, () => events.push(name))
    for (const size of [17, 60, 17]) channel.write(Buffer.alloc(size))
    expect(() => channel.write(Buffer.alloc(100))).toThrow(/no room/)
    expect([events, channel.usedBytes]).toEqual([['backpressure', 'dropped', 'drain'], 17])
  })

  it('CH-7: writes past the window ask a strategy function once each, and no timer besides', () => {
    const clock = new FakeClock()
    const askedAtMs: number[] = []
    const switchStrategy = () => {
      askedAtMs.push(clock.monotonicMs())
      return false
    }
    const channel = new ByteChannel({ clock, windowMs: 10, switchStrategy })
    channel.write(Buffer.alloc(1))
    clock.advance(12)
    channel.write(Buffer.alloc(1))
    clock.advance(9)
    expect(askedAtMs).toEqual([0, 10, 12, 20])
  })

  it('CH-5: a rounding error sets no timer that has just fired, so that time goes on', () => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ clock, windowMs: 1 })
    for (let round = 0; round < 1000; round++) {
      clock.advance(0.001 + round / 7919)
      channel.write(round)
      clock.advance(1.001)
      expect(channel.stats().activeRecords).toBe(0)
    }
    expect(channel.stats().skippedSwitches).toBeLessThanOrEqual(1000)
  })

  it('CH-17: resumePercent 0 without a bound of records is reached by an empty channel', () => {
    const channel = new ByteChannel({ clock: new FakeClock(), maxRecords: 1, bufferMemoryBytes: 100, resumePercent: 0 })
    const events: string[] = []
    for (const name of ['backpressure', 'drain'] as const) channel.on(name, () => events.push(name))
    channel.write(Buffer.alloc(90))
    channel.tryRead()
    expect(events).toEqual(['backpressure', 'drain'])
  })

  it('CH-18, trap 25: an onDrop that throws raises error; its records are dropped, counted and given back', async () => {
    const channel = new ItemChannel<number>({
      clock: new FakeClock(),
      maxRecords: 1,
      bufferMemoryBytes: 100,
      sizeOf: () => 50,
      onFull: 'dropOldest',
      onDrop: () => {
        throw new Error('mine')
      },
    })
    const errors: unknown[] = []
    channel.on('error', (error) => errors.push(error))
    for (const item of [1, 2, 3]) channel.write(item)
    expect(errors).toMatchObject([{ context: { reason: 'CALLBACK' }, cause: { message: 'mine' } }])
    expect([channel.counters().droppedRecords, channel.pendingRecords, channel.usedBytes]).toEqual([1, 2, 100])
    expect(readAll(channel)).toEqual([2, 3])
    expect(await channel.close()).toEqual({ delivered: 0, undelivered: 0 })
  })
})
