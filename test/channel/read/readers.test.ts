/** Reading in every way, and all ways beside each other: CH-12 to CH-15. */
import { describe, expect, it } from 'vitest'
import { ByteChannel, type Chunk, ItemChannel } from '../../../lib/channel/index.js'
import { FakeClock } from '../../../lib/util/index.js'

function numbers(clock: FakeClock, options: { maxRecords?: number; bufferMaxRecords?: number } = {}) {
  return new ItemChannel<number>({ clock, maxRecords: 1000, windowMs: 1000, ...options })
}

function writeAll(channel: ItemChannel<number>, from: number, to: number): void {
  for (let n = from; n < to; n++) channel.write(n)
  channel.seal()
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

/** Lets promises go on; no time passes. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

describe('CH-13: readBatch', () => {
  it('gives 1 to max records in order, over the bounds of sealed buffers, and waits only for the first', async () => {
    const channel = numbers(new FakeClock(), { maxRecords: 3 })
    writeAll(channel, 0, 10)
    expect(await channel.readBatch(4)).toEqual([0, 1, 2, 3])
    expect(await channel.readBatch(100)).toEqual([4, 5, 6, 7, 8, 9])
    const later = channel.readBatch(5)
    channel.write(10)
    channel.seal()
    expect(await later).toEqual([10])
    await channel.close()
  })

  it('two that wait share what comes: each wakes, the first takes the larger run, and both are contiguous', async () => {
    const channel = numbers(new FakeClock())
    const first = channel.readBatch(10)
    const second = channel.readBatch(10)
    writeAll(channel, 0, 8)
    expect(await first).toEqual(range(0, 7))
    expect(await second).toEqual([7])
    await channel.close()
  })

  it('CH-15: a batch in front leaves one record for each call behind it', async () => {
    const channel = numbers(new FakeClock())
    const batch = channel.readBatch(100)
    const one = channel.read()
    const other = channel.read()
    writeAll(channel, 0, 3)
    expect(await Promise.all([batch, one, other])).toEqual([[0], 1, 2])
    await channel.close()
  })

  it('rejects TIMEOUT, signal.reason, CHANNEL_CLOSED, and INVALID_CONFIG for a bad max', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    for (const max of [0, -1, 1.5, Number.NaN, '3' as unknown as number]) {
      await expect(channel.readBatch(max)).rejects.toMatchObject({ code: 'INVALID_CONFIG', context: { field: 'max' } })
    }
    const late = expect(channel.readBatch(2, { timeoutMs: 10 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    clock.advance(10)
    await late
    const gone = new AbortController()
    const aborted = expect(channel.readBatch(2, { signal: gone.signal })).rejects.toBe('enough')
    gone.abort('enough')
    await aborted
    const last = expect(channel.readBatch(2)).rejects.toMatchObject({ code: 'CONSUMER_CLOSED' })
    await channel.close()
    await last
    expect(channel.counters().failedReads).toBe(2)
    expect(channel.stats().waiters).toBe(0)
  })
})

describe('CH-14: onData', () => {
  it('gives every record in order, never inside the write, and what was sealed before it came too', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    writeAll(channel, 0, 3)
    const seen: number[] = []
    channel.onData((n) => void seen.push(n))
    writeAll(channel, 3, 6)
    expect(seen).toEqual([])
    clock.advance(0)
    expect(seen).toEqual(range(0, 6))
    writeAll(channel, 6, 7)
    clock.advance(0)
    expect(seen).toEqual(range(0, 7))
    await channel.close()
  })

  it('awaits the promise of a callback before its next record: back-pressure', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    const resolvers: (() => void)[] = []
    channel.onData(() => new Promise<void>((resolve) => void resolvers.push(resolve)))
    writeAll(channel, 0, 3)
    clock.advance(0)
    await settle()
    for (let done = 1; done <= 3; done++) {
      expect(resolvers).toHaveLength(done)
      expect(channel.pendingRecords).toBe(3 - done)
      resolvers[done - 1]?.()
      await settle()
    }
    await channel.close()
  })

  it('several callbacks take turns, and a busy one is passed over', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    const seen: string[] = []
    let finish = () => {}
    channel.onData((n) => {
      seen.push(`a${n}`)
      return new Promise<void>((resolve) => {
        finish = resolve
      })
    })
    channel.onData((n) => void seen.push(`b${n}`))
    channel.onData((n) => void seen.push(`c${n}`))
    writeAll(channel, 0, 5)
    clock.advance(0)
    expect(seen).toEqual(['a0', 'b1', 'c2', 'b3', 'c4'])
    finish()
    await settle()
    writeAll(channel, 5, 8)
    clock.advance(0)
    expect(seen.slice(5)).toEqual(['a5', 'b6', 'c7'])
    finish()
    await channel.close()
  })

  it('a throw and a rejection raise error with their cause, the chunk is let go, and the next record comes', async () => {
    const clock = new FakeClock()
    const channel = new ByteChannel({ clock, readMode: 'zeroCopy', maxRecords: 1 })
    const errors: unknown[] = []
    channel.on('error', (error) => errors.push(error))
    const seen: string[] = []
    channel.onData((chunk) => {
      const text = chunk.bytes.toString()
      seen.push(text)
      if (text === 'throws') throw new Error('one')
      if (text === 'rejects') return Promise.reject(new Error('two'))
      chunk.release()
      return undefined
    })
    for (const text of ['throws', 'rejects', 'fine']) channel.write(Buffer.from(text))
    clock.advance(0)
    await settle()
    expect(seen).toEqual(['throws', 'rejects', 'fine'])
    expect(errors).toMatchObject([
      { code: 'CONSUME_FAILED', context: { reason: 'CALLBACK' }, cause: { message: 'one' } },
      { code: 'CONSUME_FAILED', context: { reason: 'CALLBACK' }, cause: { message: 'two' } },
    ])
    expect(channel.usedBytes).toBe(0)
    await channel.close()
  })

  it('unsubscribed it gets nothing more, also from inside; twice is harmless; the rest stays for others', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    const seen: number[] = []
    const off = channel.onData((n) => {
      seen.push(n)
      if (n === 1) off()
    })
    writeAll(channel, 0, 4)
    clock.advance(0)
    off()
    expect(seen).toEqual([0, 1])
    expect(channel.tryRead()).toBe(2)
    const others: number[] = []
    channel.onData((n) => void others.push(n))
    clock.advance(0)
    expect(others).toEqual([3])
    await channel.close()
  })

  it('leaving keeps the rotation: whoever follows is next', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    const seen: string[] = []
    const offs = ['a', 'b', 'c'].map((name) => channel.onData((n) => void seen.push(`${name}${n}`)))
    writeAll(channel, 0, 2)
    clock.advance(0)
    offs[0]?.()
    writeAll(channel, 2, 6)
    clock.advance(0)
    expect(seen).toEqual(['a0', 'b1', 'c2', 'b3', 'c4', 'b5'])
    await channel.close()
  })

  it('one turn carries a thousand records at most: then the event loop has its turn', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock, { maxRecords: 10_000 })
    let seen = 0
    channel.onData(() => void seen++)
    writeAll(channel, 0, 2500)
    const turns: number[] = []
    for (let turn = 0; turn < 4 && seen < 2500; turn++) {
      clock.turn()
      turns.push(seen)
    }
    expect(turns).toEqual([1000, 2000, 2500])
    await channel.close()
  })

  it('a callback that writes what it reads goes on for ever without holding up the event loop', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock, { maxRecords: 1 })
    let seen = 0
    channel.onData((n) => {
      seen++
      channel.write(n + 1)
    })
    channel.write(0)
    clock.turn()
    expect(seen).toBe(1000)
    clock.turn()
    expect(seen).toBe(2000)
    await channel.close({ drain: false })
  })

  it('CH-15: calls that wait come first, and each record reaches exactly one reader', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    const seen: number[] = []
    channel.onData((n) => void seen.push(n))
    const waiting = [channel.read(), channel.read()]
    writeAll(channel, 0, 5)
    expect(await Promise.all(waiting)).toEqual([0, 1])
    expect(channel.tryRead()).toBe(2)
    clock.advance(0)
    expect(seen).toEqual([3, 4])
    await channel.close()
  })

  it('takes a function only', () => {
    const channel = numbers(new FakeClock())
    expect(() => channel.onData(5 as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('CH-19: close lets callbacks empty the channel and waits for those that run, no longer than timeoutMs', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock)
    const seen: number[] = []
    let finish = () => {}
    channel.onData((n) => {
      seen.push(n)
      return n < 2 ? undefined : new Promise<void>((resolve) => (finish = resolve))
    })
    writeAll(channel, 0, 3)
    let result: unknown
    void channel.close({ timeoutMs: 100 }).then((closed) => (result = closed))
    clock.advance(1)
    await settle()
    expect([seen, result]).toEqual([range(0, 3), undefined])
    finish()
    await settle()
    expect(result).toEqual({ delivered: 3, undelivered: 0 })

    const hanging = numbers(clock)
    hanging.onData(() => new Promise<void>(() => {}))
    writeAll(hanging, 0, 2)
    let late: unknown
    void hanging.close({ timeoutMs: 100 }).then((closed) => (late = closed))
    clock.advance(99)
    await settle()
    expect(late).toBe(undefined)
    clock.advance(1)
    await settle()
    expect(late).toEqual({ delivered: 1, undelivered: 1 })
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('CH-12: for await', () => {
  it('gives all records in order and ends when the channel is closed and drained', async () => {
    const clock = new FakeClock()
    const channel = numbers(clock, { maxRecords: 4 })
    const seen: number[] = []
    const reading = (async () => {
      for await (const n of channel) seen.push(n)
    })()
    writeAll(channel, 0, 10)
    await settle()
    writeAll(channel, 10, 12)
    const closed = channel.close()
    await reading
    expect(seen).toEqual(range(0, 12))
    expect(await closed).toMatchObject({ undelivered: 0 })
    expect(channel.counters().failedReads).toBe(0)
    expect(await channel.register().next()).toEqual({ done: true, value: undefined })
  })

  it('leaving the loop takes nothing from the others', async () => {
    const channel = numbers(new FakeClock())
    writeAll(channel, 0, 5)
    for await (const n of channel) if (n === 1) break
    expect(channel.stats().waiters).toBe(0)
    expect(await channel.read()).toBe(2)
    await channel.close({ drain: false })
  })

  it('return while next waits: done, the place is free; served before: the record is given', async () => {
    const channel = numbers(new FakeClock())
    const iterator = channel.register()
    const waiting = iterator.next()
    await iterator.return?.()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(channel.stats().waiters).toBe(0)
    const other = channel.register()
    const served = other.next()
    await settle()
    channel.write(7)
    channel.seal()
    await other.return?.()
    expect(await served).toEqual({ done: false, value: 7 })
    await channel.close({ drain: false })
  })

  it('an aborted signal ends it with its reason, waiting or not', async () => {
    const channel = numbers(new FakeClock())
    const gone = new AbortController()
    const iterator = channel.register({ signal: gone.signal })
    const waiting = expect(iterator.next()).rejects.toBe('stop')
    await settle()
    gone.abort('stop')
    await waiting
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
    const never = channel.register({ signal: gone.signal })
    await expect(never.next()).rejects.toBe('stop')
    await channel.close({ drain: false })
  })

  it('several nexts at once are served in their order', async () => {
    const channel = numbers(new FakeClock())
    const iterator = channel.register()
    const nexts = [iterator.next(), iterator.next(), iterator.next()]
    await settle()
    writeAll(channel, 0, 2)
    expect((await Promise.all(nexts.slice(0, 2))).map(({ value }) => value)).toEqual([0, 1])
    await channel.close()
    expect(await nexts[2]).toEqual({ done: true, value: undefined })
  })
})

describe('CH-11: chunks', () => {
  it('using releases a chunk at the end of its block', async () => {
    const channel = new ByteChannel({ clock: new FakeClock(), readMode: 'zeroCopy', maxRecords: 1 })
    channel.write(Buffer.alloc(100))
    const chunk = (await channel.read()) as Chunk
    expect(channel.usedBytes).toBe(100)
    {
      using lent = chunk
      expect(lent.length).toBe(100)
    }
    expect(channel.usedBytes).toBe(0)
    await channel.close()
  })
})

describe('ME-1: metrics', () => {
  it('attached when the channel is made, detached at the end of close with the totals', async () => {
    const clock = new FakeClock()
    const sources: { measures(): { reads: number } }[] = []
    let totals = -1
    const metrics = {
      attachChannel(source: { measures(): { reads: number } }) {
        sources.push(source)
        return () => {
          totals = source.measures().reads
        }
      },
    }
    const channel = new ItemChannel<number>({ clock, metrics })
    expect(sources).toHaveLength(1)
    channel.onData(() => {})
    writeAll(channel, 0, 3)
    const closed = channel.close()
    clock.advance(1)
    await closed
    expect(totals).toBe(3)
  })
})
