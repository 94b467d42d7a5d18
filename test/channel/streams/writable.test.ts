/** `toWritable`: a channel as a Writable of Node. CH-16, CH-17, CH-19. */
import { getEventListeners, once } from 'node:events'
import { PassThrough, Readable, type Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { ByteChannel } from '../../../lib/channel/index.js'
import { FakeClock } from '../../../lib/util/index.js'
import { bytes, items, range, turns } from './support.js'

/** The outcome of each write, in the order in which they were told. */
function writing<T>(writable: Writable, records: readonly T[]): unknown[] {
  const told: unknown[] = []
  for (const record of records) {
    writable.write(record, (error) => void told.push(error ? ((error as { code?: string }).code ?? error) : record))
  }
  return told
}

async function texts(channel: ByteChannel): Promise<string[]> {
  return (await channel.readBatch(Number.POSITIVE_INFINITY)).map((chunk) => Buffer.from(chunk.bytes).toString())
}

describe('CH-16: toWritable', () => {
  it('each write is one record: Buffers, strings in their encoding, empty ones too; the end seals', async () => {
    const channel = bytes()
    const writable = channel.toWritable()
    writable.write('text')
    writable.write('', () => {})
    writable.write('6869', 'hex')
    writable.write(new Uint8Array([33]))
    writable.end('last')
    await finished(writable)
    expect(await texts(channel)).toEqual(['text', '', 'hi', '!', 'last'])
    expect(channel.state).toBe('open')
    await channel.close()
  })

  it('what was corked comes as one batch, in order, without waiting for turns of the event loop', async () => {
    const channel = items<number>()
    const writable = channel.toWritable({ highWaterMark: 1000 })
    writable.cork()
    const told = writing(writable, range(0, 500))
    writable.uncork()
    expect(channel.pendingRecords).toBe(500)
    await turns(1)
    expect(told).toEqual(range(0, 500))
    channel.seal()
    expect(await channel.readBatch(1000)).toEqual(range(0, 500))
    writable.destroy()
    await channel.close()
  })

  it.each(['block', 'reject'] as const)(
    'CH-17: onFull %s: a write waits above the soft limit, refuses nothing',
    async (onFull) => {
      const channel = items<number>({ bufferMaxRecords: 10, onFull })
      const writable = channel.toWritable()
      const told = writing(writable, range(0, 30))
      writable.end()
      await turns()
      // The eighth is in, above 80 of 100, and waits; what is behind it waits in the stream.
      expect([channel.pendingRecords, told]).toEqual([8, range(0, 7)])
      expect(await channel.readBatch(1)).toEqual([0])
      await turns()
      expect(channel.pendingRecords).toBe(7)
      const seen = [0, ...(await channel.readBatch(100))]
      while (seen.length < 30) seen.push(...(await channel.readBatch(100)))
      await turns()
      expect(seen).toEqual(range(0, 30))
      expect(told).toEqual(range(0, 30))
      expect(channel.counters().refusedWrites).toBe(0)
      await channel.close()
    },
  )

  it('CH-17: onFull reject: a record that does not fit below the limits yet waits, it does not fail the stream', async () => {
    const channel = bytes({ bufferMemoryBytes: 1000, onFull: 'reject' })
    const writable = channel.toWritable()
    const told = writing(writable, [Buffer.alloc(700), Buffer.alloc(600)])
    await turns()
    expect(told).toHaveLength(1)
    channel.tryRead()?.release()
    await turns()
    expect(told).toHaveLength(2)
    expect(channel.counters().refusedWrites).toBe(0)
    writable.destroy()
    await channel.close({ drain: false })
  })

  it('CH-17: onFull dropOldest makes room by itself: the stream goes on, and what was dropped is told', async () => {
    const channel = bytes({ bufferMemoryBytes: 1000, maxRecords: 5, onFull: 'dropOldest' })
    let dropped = 0
    channel.on('dropped', ({ records }) => {
      dropped += records
    })
    await pipeline(Readable.from(range(0, 100).map((n) => Buffer.alloc(50, n))), channel.toWritable())
    const kept = await channel.readBatch(100)
    expect(dropped).toBeGreaterThan(0)
    expect(kept.length + dropped).toBe(100)
    expect(kept.at(-1)?.bytes[0]).toBe(99)
    await channel.close()
  })

  it('CH-17: a record above the gap between the limits waits for room, without the deadline of maxBlockMs', async () => {
    const clock = new FakeClock()
    const channel = new ByteChannel({ clock, bufferMemoryBytes: 1000, maxBlockMs: 10 })
    const writable = channel.toWritable()
    const told = writing(writable, [Buffer.alloc(700), Buffer.alloc(600)])
    await turns()
    clock.advance(1_000_000)
    await turns()
    expect(told).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
    channel.tryRead()?.release()
    await turns()
    expect(told).toHaveLength(2)
    writable.destroy()
    await channel.close({ drain: false })
  })

  it('two writables into one channel: each in its order, nothing lost, under back-pressure', async () => {
    const channel = items<string>({ bufferMaxRecords: 10 })
    const names = ['a', 'b']
    const written = names.map((name) =>
      pipeline(Readable.from(range(0, 100).map((n) => `${name}${n}`)), channel.toWritable()),
    )
    const seen: string[] = []
    const reading = (async () => {
      for await (const item of channel) seen.push(item)
    })()
    await Promise.all(written)
    await channel.close()
    await reading
    for (const name of names) {
      expect(seen.filter((item) => item.startsWith(name))).toEqual(range(0, 100).map((n) => `${name}${n}`))
    }
    expect(seen).toHaveLength(200)
  })

  it('MESSAGE_TOO_LARGE and SERIALIZATION_FAILED end the stream with that error; earlier records are in', async () => {
    const channel = bytes({ bufferMemoryBytes: 1000 })
    const writable = channel.toWritable()
    const failed = once(writable, 'error')
    const told = writing(writable, [Buffer.alloc(10)])
    await turns()
    const refused = writing(writable, [Buffer.alloc(2000), Buffer.alloc(10)])
    expect((await failed)[0]).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    expect(told[0]).toHaveLength(10)
    expect(refused).toEqual(['MESSAGE_TOO_LARGE', 'MESSAGE_TOO_LARGE'])
    expect(channel.pendingRecords).toBe(1)

    const other = items<unknown>()
    const failing = other.toWritable()
    const error = once(failing, 'error')
    failing.write(undefined)
    expect((await error)[0]).toMatchObject({ code: 'SERIALIZATION_FAILED' })
    expect(() => other.toWritable().write(null)).toThrow(expect.objectContaining({ code: 'ERR_STREAM_NULL_VALUES' }))
    await Promise.all([channel.close({ drain: false }), other.close()])
  })

  it('INVALID_CONFIG for options that mean nothing', () => {
    for (const options of [{ closesChannel: 1 }, { closesChannel: null }, { highWaterMark: Number.NaN }, 'x']) {
      expect(() => items().toWritable(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
    }
  })

  it('highWaterMark 0 works: every write says false, all arrive', async () => {
    const channel = items<number>()
    await pipeline(Readable.from(range(0, 50)), channel.toWritable({ highWaterMark: 0 }))
    expect(await channel.toReadable({ highWaterMark: 0 }).take(50).toArray()).toEqual(range(0, 50))
    await channel.close()
  })
})

describe('CH-19: the end of a Writable', () => {
  it('closesChannel: finish comes when readers have taken everything', async () => {
    const channel = items<number>()
    const writable = channel.toWritable({ closesChannel: true })
    let isFinished = false
    writable.on('finish', () => {
      isFinished = true
    })
    writing(writable, [1, 2])
    writable.end()
    await turns()
    expect([isFinished, channel.state]).toEqual([false, 'closing'])
    expect(await channel.readBatch(5)).toEqual([1, 2])
    await turns()
    expect([isFinished, channel.state]).toEqual([true, 'closed'])
  })

  it('records that nobody read in time fail the stream, instead of a finish that lies', async () => {
    const clock = new FakeClock()
    const channel = new ByteChannel({ clock })
    const writable = channel.toWritable({ closesChannel: { timeoutMs: 50 } })
    const failed = once(writable, 'error')
    writable.end('unread')
    await turns()
    clock.advance(50)
    expect((await failed)[0]).toMatchObject({ code: 'TIMEOUT', context: { delivered: 0, undelivered: 1 } })
    expect(channel.state).toBe('closed')

    const discarding = bytes()
    await pipeline(Readable.from(['x']), discarding.toWritable({ closesChannel: { drain: false } }))
    expect(discarding.counters().discardedRecords).toBe(1)
  })

  it('the end comes after every write that waits', async () => {
    const channel = items<number>({ bufferMaxRecords: 5 })
    const writable = channel.toWritable({ closesChannel: true })
    writing(writable, range(0, 20))
    writable.end()
    await turns()
    expect(channel.state).toBe('open')
    const seen: number[] = []
    for await (const n of channel) seen.push(n)
    await finished(writable)
    expect(seen).toEqual(range(0, 20))
  })

  it('a channel that is closed under it: PRODUCER_CLOSED at the next write, or to the one that waits', async () => {
    const idle = items<number>()
    const writable = idle.toWritable()
    await idle.close()
    const failed = once(writable, 'error')
    expect(writing(writable, [1])).toEqual([])
    expect((await failed)[0]).toMatchObject({ code: 'PRODUCER_CLOSED', context: { reason: 'CHANNEL_CLOSED' } })

    const full = bytes({ bufferMemoryBytes: 100 })
    const waiting = full.toWritable()
    const error = once(waiting, 'error')
    const told = writing(waiting, [Buffer.alloc(60), Buffer.alloc(60)])
    await turns()
    void full.close({ drain: false })
    expect((await error)[0]).toMatchObject({ code: 'PRODUCER_CLOSED' })
    expect(told).toEqual([Buffer.alloc(60), 'PRODUCER_CLOSED'])
    expect(full.counters()).toMatchObject({ writtenRecords: 1, discardedRecords: 1 })
  })

  it('closed under a write that is in and waits for room only: it succeeds, since readers get it', async () => {
    const channel = items<number>({ bufferMaxRecords: 5 })
    const writable = channel.toWritable()
    const told = writing(writable, range(0, 6))
    await turns()
    expect(channel.pendingRecords).toBe(4)
    const failed = once(writable, 'error')
    void channel.close()
    await failed
    expect(told).toEqual([...range(0, 4), 'PRODUCER_CLOSED', 'PRODUCER_CLOSED'])
    expect(await channel.readBatch(10)).toEqual(range(0, 4))
  })
})

describe('CH-16: a Writable that is destroyed', () => {
  it('while a write waits for room: it is not written and told so; no waiter, listener or room stays', async () => {
    const channel = bytes({ bufferMemoryBytes: 100 })
    const writable = channel.toWritable()
    const told = writing(writable, [Buffer.alloc(60), Buffer.alloc(60)])
    await turns()
    expect(told).toHaveLength(1)
    writable.destroy()
    await turns()
    expect(told[1]).toBe('PRODUCER_CLOSED')
    channel.tryRead()?.release()
    await turns()
    expect([channel.pendingRecords, channel.usedBytes]).toEqual([0, 0])
    expect(channel.write(Buffer.alloc(50))).toBe(true)
    await channel.close({ drain: false })
  })

  it('with an error, or by a signal: that is what the waiting write is told; the channel stays open', async () => {
    const gone = new AbortController()
    const channel = bytes({ bufferMemoryBytes: 100 })
    const writable = channel.toWritable({ signal: gone.signal, closesChannel: true })
    const failed = once(writable, 'error')
    const told = writing(writable, [Buffer.alloc(60), Buffer.alloc(60)])
    await turns()
    gone.abort('enough')
    expect((await failed)[0]).toMatchObject({ name: 'AbortError', cause: 'enough' })
    await turns()
    expect(told[1]).toBe('ABORT_ERR')
    expect(getEventListeners(gone.signal, 'abort')).toHaveLength(0)
    expect(channel.state).toBe('open')
    await channel.close({ drain: false })
  })

  it('a source that fails: its pipeline fails, what came before is in, and the channel stays open', async () => {
    const channel = items<number>()
    const source = Readable.from(
      (function* () {
        yield 1
        yield 2
        throw new Error('the source broke')
      })(),
    )
    await expect(pipeline(source, channel.toWritable({ closesChannel: true }))).rejects.toThrow('the source broke')
    channel.seal()
    expect(channel.state).toBe('open')
    expect(await channel.readBatch(5)).toEqual([1, 2])
    await channel.close()
  })

  it('a write above the soft limit that was taken before the stream was destroyed counts as written', async () => {
    const channel = items<number>({ bufferMaxRecords: 5 })
    const writable = channel.toWritable()
    writing(writable, range(0, 10))
    await turns()
    writable.destroy()
    await turns()
    expect(channel.counters()).toMatchObject({ writtenRecords: 4, refusedWrites: 0 })
    expect(await channel.readBatch(10)).toEqual(range(0, 4))
    await channel.close()
  })
})

describe('CH-16: beside other streams', () => {
  it('a destroyed pipe leaves both ends alone', async () => {
    const channel = items<number>()
    const writable = channel.toWritable()
    const source = new PassThrough({ objectMode: true })
    source.pipe(writable)
    source.write(1)
    await turns()
    source.destroy()
    await turns()
    expect(writable.destroyed).toBe(false)
    channel.seal()
    expect(channel.tryRead()).toBe(1)
    writable.destroy()
    await channel.close()
  })
})
