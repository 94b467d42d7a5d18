/** `toReadable`: a channel as a Readable of Node. CH-11, CH-12, CH-14. */
import { getEventListeners, once } from 'node:events'
import { PassThrough, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it, vi } from 'vitest'
import { ItemChannel } from '../../../lib/channel/index.js'
import { FakeClock } from '../../../lib/util/index.js'
import { bytes, errorsOf, items, numbers, range, turns } from './support.js'

describe('CH-12: toReadable', () => {
  it('gives all records in order and ends when the channel is closed and drained', async () => {
    const channel = numbers(5)
    const readable = channel.toReadable()
    expect(readable.readableObjectMode).toBe(true)
    const seen: number[] = []
    const reading = (async () => {
      for await (const n of readable) seen.push(n)
    })()
    await turns()
    expect(seen).toEqual(range(0, 5))
    channel.write(5)
    const closed = channel.close()
    await reading
    expect(seen).toEqual(range(0, 6))
    expect(await closed).toEqual({ delivered: 1, undelivered: 0 })
    const late = channel.toReadable()
    expect(await late.toArray()).toEqual([])
  })

  it('a stream that nobody reads takes nothing, however long it exists', async () => {
    const channel = numbers(3)
    const readable = channel.toReadable()
    await turns()
    expect(channel.pendingRecords).toBe(3)
    expect(readable.readableLength).toBe(0)
    expect(readable.read()).toBe(0)
    expect(channel.pendingRecords).toBe(2)
    readable.destroy()
    await channel.close({ drain: false })
  })

  it('the first record that comes ends the wait, in a turn of its own, never inside the write', async () => {
    const channel = items<string>()
    const readable = channel.toReadable()
    const seen: string[] = []
    readable.on('data', (item) => seen.push(item))
    await turns()
    channel.write('a')
    channel.write('b')
    channel.seal()
    expect(seen).toEqual([])
    await turns()
    expect(seen).toEqual(['a', 'b'])
    readable.destroy()
    await channel.close()
  })

  it('several streams and reads compete: each record reaches exactly one', async () => {
    const channel = numbers(100)
    const seen: number[] = []
    const streams = [channel.toReadable(), channel.toReadable(), channel.toReadable({ highWaterMark: 7 })]
    const reading = streams.map(async (readable) => {
      for await (const n of readable) seen.push(n)
    })
    seen.push(await channel.read())
    for (let n = 100; n < 200; n++) channel.write(n)
    await Promise.all([channel.close(), ...reading])
    expect(seen.sort((a, b) => a - b)).toEqual(range(0, 200))
  })

  it('one turn of the event loop carries a thousand records at most', async () => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ clock, maxRecords: 10_000 })
    for (let n = 0; n < 2500; n++) channel.write(n)
    channel.seal()
    let seen = 0
    channel.toReadable().on('data', () => seen++)
    const counts: number[] = []
    for (let turn = 0; turn < 3; turn++) {
      await turns()
      counts.push(seen)
      clock.turn()
    }
    expect(counts).toEqual([1000, 2000, 2500])
    await channel.close()
  })

  it('a stream that waits ends when the channel closes with nothing in it', async () => {
    const channel = items<number>()
    const reading = channel.toReadable().toArray()
    await turns()
    await channel.close()
    expect(await reading).toEqual([])
  })

  it('ends also when the last record of a turn was the last of all', async () => {
    const channel = numbers(1000)
    const closed = channel.close()
    const readable = channel.toReadable()
    for (let n = 0; n < 1000; n++) expect(readable.read()).toBe(n)
    await closed
    await turns()
    const ended = once(readable, 'end')
    readable.resume()
    await ended
  })

  it('null cannot travel: the stream fails and names it, instead of ending; the rest stays', async () => {
    const channel = items<number | null>()
    for (const item of [1, null, 2]) channel.write(item)
    channel.seal()
    const seen: unknown[] = []
    const reading = (async () => {
      for await (const item of channel.toReadable()) seen.push(item)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'SERIALIZATION_FAILED', context: { value: null } })
    expect(seen).toEqual([1])
    expect(channel.tryRead()).toBe(2)
    await channel.close()
  })

  it('falsy items are items', async () => {
    const channel = items<unknown>()
    for (const item of [0, '', false, Number.NaN]) channel.write(item)
    void channel.close()
    expect(await channel.toReadable().toArray()).toEqual([0, '', false, Number.NaN])
  })

  it('INVALID_CONFIG for options that mean nothing', () => {
    const bad = [
      { signal: 5 },
      { highWaterMark: -1 },
      { highWaterMark: 1.5 },
      { objectMode: 'yes' },
      { objectMode: false },
      null,
    ]
    for (const options of bad) {
      expect(() => items().toReadable(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
    }
    expect(() => bytes().toReadable({ objectMode: false })).not.toThrow()
  })
})

describe('CH-11: bytes in a Readable', () => {
  it.each(['safe', 'zeroCopy'] as const)(
    '%s: chunks are own memory, and every lease is given back',
    async (readMode) => {
      const channel = bytes({ readMode })
      const sizes = [1, 1000, 1024, 5000, 32_768, 32_769, 100_000]
      for (const size of sizes) channel.write(Buffer.alloc(size, size % 251))
      channel.seal()
      const readable = channel.toReadable({ objectMode: true })
      const chunks: Buffer[] = []
      readable.on('data', (chunk) => chunks.push(chunk))
      await turns()
      expect(channel.usedBytes).toBe(0)
      // Other bytes go through the same arenas now.
      for (let round = 0; round < 5; round++) {
        for (const size of sizes) channel.write(Buffer.alloc(size, 255))
        channel.seal()
        await turns()
      }
      const first = chunks.slice(0, sizes.length)
      expect(first.map((chunk) => chunk.length)).toEqual(sizes)
      expect(
        first.every((chunk) => Buffer.isBuffer(chunk) && chunk.equals(Buffer.alloc(chunk.length, chunk.length % 251))),
      ).toBe(true)
      readable.destroy()
      await channel.close()
    },
  )

  it('a payload above 32 KiB that the channel has copied is passed on, not copied again', async () => {
    const channel = bytes()
    channel.write(Buffer.alloc(40_000, 1))
    channel.seal()
    const copies = vi.spyOn(Buffer, 'from')
    const chunk = channel.toReadable().read() as Buffer
    expect(chunk.length).toBe(40_000)
    expect(copies).not.toHaveBeenCalled()
    copies.mockRestore()
    await channel.close()
  })

  it('copyOnWrite: false: the writer may change his bytes once they were read, the chunk does not', async () => {
    for (const readMode of ['safe', 'zeroCopy'] as const) {
      const channel = bytes({ copyOnWrite: false, readMode })
      const mine = Buffer.alloc(40_000, 1)
      channel.write(mine)
      channel.seal()
      const chunk = channel.toReadable().read() as Buffer
      mine.fill(2)
      expect(chunk.equals(Buffer.alloc(40_000, 1))).toBe(true)
      expect(channel.usedBytes).toBe(0)
      await channel.close()
    }
  })

  it('a stream of bytes keeps no bounds and skips empty payloads, also when nothing else is there yet', async () => {
    const channel = bytes()
    const readable = channel.toReadable()
    expect(readable.readableObjectMode).toBe(false)
    readable.setEncoding('utf8')
    let text = ''
    readable.on('data', (part) => (text += part))
    for (let n = 0; n < 3; n++) channel.write(Buffer.alloc(0))
    channel.seal()
    await turns()
    for (const part of ['ab', '', 'c', '']) channel.write(Buffer.from(part))
    const ended = once(readable, 'end')
    await channel.close()
    await ended
    expect(text).toBe('abc')
  })

  it('with objectMode each record is one Buffer, empty ones too', async () => {
    const channel = bytes()
    for (const part of ['ab', '', 'c', '']) channel.write(Buffer.from(part))
    void channel.close()
    const parts = await channel.toReadable({ objectMode: true }).toArray()
    expect(parts.map(String)).toEqual(['ab', '', 'c', ''])
  })

  it('read(n) cuts and joins records', async () => {
    const channel = bytes()
    for (const part of ['abc', 'de', 'fgh']) channel.write(Buffer.from(part))
    void channel.close()
    const readable = channel.toReadable()
    const parts: string[] = []
    readable.on('readable', () => {
      for (let part = readable.read(4); part !== null; part = readable.read(4)) parts.push(String(part))
    })
    await once(readable, 'end')
    expect(parts).toEqual(['abcd', 'efgh'])
  })
})

describe('CH-12: a Readable that is destroyed', () => {
  it('while it waits: nothing is taken, the next reader gets it, no listener stays', async () => {
    const channel = items<number>()
    const gone = new AbortController()
    const readable = channel.toReadable({ signal: gone.signal })
    readable.on('data', () => expect.unreachable('it was destroyed'))
    await turns()
    readable.destroy()
    channel.write(1)
    channel.seal()
    await turns()
    expect(channel.tryRead()).toBe(1)
    expect(channel.stats().waiters).toBe(0)
    expect(getEventListeners(gone.signal, 'abort')).toHaveLength(0)
    await channel.close()
  })

  it('a hundred that waited and were destroyed leave nobody behind who would be asked', async () => {
    const channel = items<number>()
    const { signal } = new AbortController()
    for (let n = 0; n < 100; n++) {
      const readable = channel.toReadable({ signal })
      readable.resume()
      await turns(1)
      readable.destroy()
    }
    await turns(1)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    const survivor: number[] = []
    const left = channel.toReadable()
    left.on('data', (n) => survivor.push(n))
    const ended = once(left, 'end')
    for (let n = 0; n < 300; n++) channel.write(n)
    await channel.close()
    await ended
    expect(survivor).toEqual(range(0, 300))
  })

  it('in the same turn as the write that would have ended its wait', async () => {
    const channel = items<number>()
    const readable = channel.toReadable()
    readable.on('data', () => expect.unreachable('it was destroyed'))
    await turns()
    channel.write(1)
    channel.seal()
    readable.destroy()
    await turns()
    expect(channel.tryRead()).toBe(1)
    await channel.close()
  })

  it('AbortSignal: an AbortError with the reason as its cause, waiting or aborted before', async () => {
    const channel = numbers(2)
    const gone = new AbortController()
    const waiting = items().toReadable({ signal: gone.signal })
    const error = once(waiting, 'error')
    waiting.resume()
    await turns()
    gone.abort('enough')
    expect((await error)[0]).toMatchObject({ name: 'AbortError', cause: 'enough' })
    const never = channel.toReadable({ signal: gone.signal })
    await expect(never.toArray()).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(channel.pendingRecords).toBe(2)
    expect(getEventListeners(gone.signal, 'abort')).toHaveLength(0)
    await channel.close({ drain: false })
  })

  it('a signal that outlives a stream which ended keeps no listener', async () => {
    const channel = numbers(3)
    const { signal } = new AbortController()
    void channel.close()
    expect(await channel.toReadable({ signal }).toArray()).toEqual([0, 1, 2])
    await turns()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('leaving for await: what was seen, told and left is everything', async () => {
    for (let leaveAfter = 1; leaveAfter <= 5; leaveAfter++) {
      const channel = numbers(10)
      const errors = errorsOf(channel)
      const seen: number[] = []
      for await (const n of channel.toReadable()) {
        seen.push(n)
        await turns(1)
        if (seen.length === leaveAfter) break
      }
      await turns()
      const told = errors.reduce((sum, { context }) => sum + (context.records as number), 0)
      expect(told).toBeLessThanOrEqual(1)
      expect(seen).toEqual(range(0, leaveAfter))
      expect(await channel.readBatch(100)).toEqual(range(leaveAfter + told, 10))
      await channel.close()
    }
  })

  it('what it had read ahead is told by the error event: records, or bytes', async () => {
    const ahead = numbers(10)
    const errors = errorsOf(ahead)
    const readable = ahead.toReadable({ highWaterMark: 4 })
    expect(readable.read()).toBe(0)
    await turns()
    expect(ahead.pendingRecords).toBe(10 - 1 - readable.readableLength)
    const held = readable.readableLength
    expect(held).toBeGreaterThanOrEqual(3)
    readable.destroy()
    expect(errors).toMatchObject([{ code: 'CONSUME_FAILED', context: { reason: 'DROPPED', records: held } }])

    const channel = bytes()
    const told = errorsOf(channel)
    for (let n = 0; n < 10; n++) channel.write(Buffer.alloc(100))
    channel.seal()
    const stream = channel.toReadable({ highWaterMark: 250 })
    stream.read(50)
    await turns()
    const bytesHeld = stream.readableLength
    expect(bytesHeld).toBeGreaterThan(0)
    stream.destroy()
    expect(told).toMatchObject([{ context: { reason: 'DROPPED', bytes: bytesHeld } }])
    await Promise.all([ahead.close({ drain: false }), channel.close({ drain: false })])
  })

  it('a pipeline that fails in the middle: what has not entered it stays in the channel', async () => {
    const channel = numbers(1000)
    const errors = errorsOf(channel)
    const entered: number[] = []
    const failing = new Transform({
      objectMode: true,
      transform(n, _encoding, done) {
        entered.push(n)
        done(n === 20 ? new Error('the middle broke') : null, n)
      },
    })
    const readable = channel.toReadable()
    const broken = pipeline(readable, failing, new PassThrough({ objectMode: true }).resume())
    await expect(broken).rejects.toThrow('the middle broke')
    expect(readable.destroyed).toBe(true)
    const [next] = await channel.readBatch(1)
    // What stands between is in the buffer of the Transform, at most its highWaterMark; the stream itself held nothing.
    expect(next as number).toBeLessThanOrEqual(entered.length + failing.writableHighWaterMark + 1)
    expect(errors).toEqual([])
    await channel.close({ drain: false })
  })

  it('a slow consumer holds it: the channel keeps what its buffers have no place for', async () => {
    const channel = numbers(1000)
    const stuck = new Writable({ objectMode: true, highWaterMark: 4, write() {} })
    const readable = channel.toReadable()
    readable.pipe(stuck)
    await turns()
    expect(channel.pendingRecords).toBe(996)
    readable.destroy()
    stuck.destroy()
    await channel.close({ drain: false })
  })

  it('a data listener that throws is an uncaught exception, as everywhere in Node, not an error of the channel', async () => {
    const channel = items<number>()
    const errors = errorsOf(channel)
    const listeners = process.rawListeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    try {
      const caught = once(process, 'uncaughtException')
      const readable = channel.toReadable()
      readable.on('data', () => {
        throw new Error('of the listener')
      })
      await turns()
      channel.write(1)
      channel.seal()
      expect(await caught).toMatchObject([{ message: 'of the listener' }, expect.anything()])
      readable.destroy()
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener as () => void)
    }
    expect(errors).toEqual([])
    await channel.close()
  })
})
