import { describe, expect, it } from 'vitest'
import { type ItemBuffer, ItemChannel } from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'

const FULL = expect.objectContaining({
  code: 'POOL_EXHAUSTED',
  context: expect.objectContaining({ reason: 'BUFFER_FULL' }),
})

function take<T>(channel: ItemChannel<T>): ItemBuffer<T> {
  const buffer = channel.take()
  if (buffer === undefined) throw new Error('nothing to take')
  return buffer
}

describe('ItemChannel', () => {
  it('CH-1: items one at a time, in order', async () => {
    const channel = new ItemChannel<string | null>({ maxRecords: 2, clock: new FakeClock() })
    for (const item of ['a', null, 'c', 'd']) channel.write(item)
    expect([channel.tryRead(), channel.tryRead(), await channel.read()]).toEqual(['a', null, 'c'])
    expect([channel.pendingRecords, channel.tryRead(), channel.tryRead()]).toEqual([1, 'd', undefined])
    expect(() => channel.write(undefined as unknown as string)).toThrowError(
      expect.objectContaining({ code: 'SERIALIZATION_FAILED' }),
    )
  })

  it('CH-9: whole batches; one that is put back leaves first, and its room is kept until it is recycled', () => {
    const channel = new ItemChannel<number>({ maxRecords: 2, bufferMaxRecords: 8, clock: new FakeClock() })
    for (let item = 0; item < 6; item++) channel.write(item)
    const [first, second] = [take(channel), take(channel)]
    expect([first.items, second.items]).toEqual([
      [0, 1],
      [2, 3],
    ])
    channel.putBack(second)
    channel.putBack(first)
    expect(channel.pendingRecords).toBe(6)
    for (const expected of [0, 2, 4]) {
      const buffer = take(channel)
      expect(buffer.items[0]).toBe(expected)
      channel.recycle(buffer)
    }
    expect([channel.pendingRecords, channel.counters().readRecords]).toEqual([0, 6])
    for (let item = 0; item < 8; item++) channel.write(item)
    expect(() => channel.write(9)).toThrowError(FULL)
  })

  it('CH-17: sizeOf counts bytes; dropOldest tells which items went', () => {
    const dropped: string[][] = []
    const channel = new ItemChannel<string>({
      maxRecords: 2,
      bufferMemoryBytes: 100,
      onFull: 'dropOldest',
      sizeOf: (item) => item.length,
      onDrop: (items) => dropped.push([...items]),
      clock: new FakeClock(),
    })
    for (const letter of 'abcdef') channel.write(letter.repeat(20))
    expect(dropped.map((items) => items.map((item) => item[0]))).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
    expect(channel.usedBytes).toBe(40)
    channel.seal()
    expect([channel.tryRead()?.[0], channel.tryRead()?.[0], channel.usedBytes]).toEqual(['e', 'f', 0])
  })

  it('CH-19: a batch that is out when time is up is undelivered, and may come back later', async () => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ maxRecords: 2, clock })
    for (let item = 0; item < 5; item++) channel.write(item)
    const [first, second] = [take(channel), take(channel)]
    const closing = channel.close({ timeoutMs: 10 })
    channel.recycle(first)
    clock.advance(10)
    expect(await closing).toEqual({ delivered: 2, undelivered: 3 })
    expect(second.items).toEqual([2, 3])
    channel.recycle(second)
    expect([channel.usedBytes, channel.pendingRecords]).toEqual([0, 0])
  })

  it("'block': writeAsync waits for room in records", async () => {
    const channel = new ItemChannel<number>({ maxRecords: 1, bufferMaxRecords: 2, clock: new FakeClock() })
    channel.write(1)
    channel.write(2)
    const waiting = channel.writeAsync(3)
    expect(channel.tryRead()).toBe(1)
    await waiting
    expect([channel.tryRead(), channel.tryRead()]).toEqual([2, 3])
  })
})
