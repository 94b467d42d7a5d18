/** Listeners, policies and callbacks that write, close, throw or reject in the middle of something: every count stays right. */
import { describe, expect, it } from 'vitest'
import { ArenaPool, ByteChannel, type CloseResult, type EvictPolicy, ItemChannel } from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { FakeSpillLog } from './spill/fake-log.js'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const NEVER = Number.POSITIVE_INFINITY

function codeOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return (error as { code?: string }).code ?? error
  }
  return 'ok'
}

const THEN = 'then'
const thenable = (then: (done: () => void, fail: (reason: string) => void) => void) => ({ [THEN]: then })

function broken(): never {
  throw new Error('broken')
}

/** written = read + dropped + discarded + pending, and nothing is left after the end. */
function expectEnded(channel: ItemChannel<number> | ByteChannel): void {
  const { writtenRecords, readRecords, droppedRecords, discardedRecords } = channel.counters()
  expect([channel.state, channel.pendingRecords, channel.usedBytes]).toEqual(['closed', 0, 0])
  expect(readRecords + droppedRecords + discardedRecords).toBe(writtenRecords)
}

describe('listeners that close', () => {
  it.each([true, false])('CH-19 CH-18: dropped, with drain %s: the record is in and accounted for', async (drain) => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ clock, bufferMaxRecords: 10, maxRecords: 2, onFull: 'dropOldest' })
    let closing: Promise<CloseResult> | undefined
    channel.on('dropped', () => {
      closing ??= channel.close({ drain, timeoutMs: 0 })
    })
    const codes = Array.from({ length: 12 }, (_, n) => codeOf(() => channel.write(n)))
    const result = (await closing) as CloseResult
    expect(codes.indexOf('PRODUCER_CLOSED')).toBe(11)
    expect(result.delivered).toBe(0)
    expect(result.undelivered).toBe(channel.counters().discardedRecords)
    expectEnded(channel)
  })

  it('CH-4 CH-19: drain, told while an item above maxBytes gets a buffer of its own: it is not left in a closed channel', async () => {
    const options = { bufferMemoryBytes: 1000, softPercent: 60, resumePercent: 40, maxBytes: 300, windowMs: NEVER }
    const channel = new ByteChannel({ ...options, clock: new FakeClock(), switchStrategy: 'size' })
    let closing: Promise<CloseResult> | undefined
    channel.on('drain', () => {
      closing ??= channel.close({ drain: false })
    })
    const reading = channel.readBatch(10)
    channel.write(Buffer.alloc(290))
    channel.write(Buffer.alloc(350)) // Above the soft limit until the reader has the first.
    await reading
    expect(await closing).toEqual({ delivered: 0, undelivered: 1 })
    expectEnded(channel)
  })

  it('CH-19 CH-17: drain, told by the close itself: both get one answer, and the counts are those of one end', async () => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ clock, bufferMaxRecords: 10, windowMs: NEVER, maxRecords: 100 })
    let inner: Promise<CloseResult> | undefined
    channel.on('drain', () => {
      inner = channel.close()
    })
    const reading = channel.readBatch(5)
    for (let n = 0; n < 9; n++) channel.write(n)
    const outer = channel.close({ drain: false })
    expect(await reading).toHaveLength(5)
    expect(await outer).toEqual({ delivered: 5, undelivered: 4 })
    expect(await inner).toEqual(await outer)
    expectEnded(channel)
  })

  it('CH-17 CH-19: drain, told while writeAsync seals: it is refused and does not wait in a closed channel', async () => {
    const clock = new FakeClock()
    const options = {
      clock,
      bufferMaxRecords: 10,
      resumePercent: 90,
      softPercent: 90,
      hardPercent: 100,
      windowMs: NEVER,
    }
    const channel = new ItemChannel<number>({ ...options, maxRecords: 100 })
    for (let n = 0; n < 10; n++) channel.write(n)
    channel.on('drain', () => void channel.close({ drain: false }))
    const reading = channel.read()
    await expect(channel.writeAsync(10)).rejects.toMatchObject({ code: 'PRODUCER_CLOSED' })
    expect(await reading).toBe(0)
    await channel.close()
    expectEnded(channel)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('listeners that write', () => {
  it('CH-18: dropped that writes into its own channel ends', () => {
    const one: EvictPolicy = {
      name: 'one',
      shouldEvict: () => true,
      evict: () => 1,
      metrics: () => ({ asked: 0, refused: 0, evictedRecords: 0 }),
    }
    const limits = { bufferMaxRecords: 3, hardPercent: 100, maxRecords: 1 }
    const channel = new ItemChannel<string>({ ...limits, onFull: 'dropOldest', evictPolicy: one })
    let told = 0
    channel.on('dropped', ({ records }) => {
      if (told++ < 100) channel.write(`${records} gone`)
      else throw new Error('for ever')
    })
    let writes = 0
    channel.on('error', () => writes++)
    for (const item of ['a', 'b', 'c']) channel.write(item)
    channel.write('d')
    expect(channel.counters().writtenRecords).toBe(4 + 100)
  })
})

describe('policies', () => {
  const policy = (evil: (what: string) => void): EvictPolicy => ({
    name: 'evil',
    shouldEvict: () => {
      evil('shouldEvict')
      return true
    },
    evict: () => {
      evil('evict')
      return 1
    },
    metrics: () => ({ asked: 0, refused: 0, evictedRecords: 0 }),
  })

  it.each(['shouldEvict', 'evict'])('CH-18 trap 25: %s that throws refuses that record only', (name) => {
    const cause = new Error('no idea')
    const evil = (what: string) => {
      if (what === name) throw cause
    }
    const channel = new ItemChannel<number>({ bufferMaxRecords: 1, onFull: 'dropOldest', evictPolicy: policy(evil) })
    channel.write(1)
    expect(() => channel.write(2)).toThrow(expect.objectContaining({ code: 'PRODUCE_FAILED', cause }))
    expect([channel.counters().refusedWrites, channel.pendingRecords]).toEqual([1, 1])
    expect(channel.tryRead()).toBe(1)
    expect(channel.write(3)).toBe(false)
  })

  it('CH-18 CH-19: one that closes: nothing enters a closed channel', async () => {
    const channel: ItemChannel<number> = new ItemChannel<number>({
      bufferMaxRecords: 4,
      onFull: 'dropOldest',
      evictPolicy: policy(() => void channel.close({ drain: false })),
    })
    for (let n = 0; n < 4; n++) channel.write(n)
    expect(codeOf(() => channel.write(4))).toBe('PRODUCER_CLOSED')
    expect(await channel.close()).toEqual({ delivered: 0, undelivered: 4 })
    expectEnded(channel)
  })
})

describe('codecs', () => {
  it('CH-17 CH-19: one that closes the channel: nothing goes into the log of a closed channel', async () => {
    const clock = new FakeClock()
    const spillLog = new FakeSpillLog()
    const channel: ItemChannel<number> = new ItemChannel<number>({
      clock,
      bufferMaxRecords: 4,
      onFull: 'spill',
      spillLog,
      codec: {
        encode: (item) => {
          void channel.close({ drain: false })
          return Buffer.of(item)
        },
        decode: (bytes) => bytes[0] as number,
      },
    })
    for (let n = 0; n < 4; n++) channel.write(n)
    expect(codeOf(() => channel.write(4))).toBe('PRODUCER_CLOSED')
    expect(await channel.close()).toEqual({ delivered: 0, undelivered: 4 })
    expect(spillLog.records).toBe(0)
    expectEnded(channel)
  })
})

describe('what fails later', () => {
  it('trap 25: an error listener that rejects is told of itself once and not for ever', async () => {
    const channel = new ItemChannel<number>({ maxRecords: 1 })
    let calls = 0
    for (let listener = 0; listener < 2; listener++) {
      channel.on('error', async () => {
        if (++calls > 1000) return
        throw new Error('the log is gone')
      })
    }
    channel.onData(() => {
      throw new Error('bad record')
    })
    channel.write(1)
    for (let turn = 0; turn < 5; turn++) await settle()
    expect(calls).toBe(6) // The record, and both failures: two listeners each.
    await channel.close()
  })

  it.each([
    ['throws in then', thenable(() => broken())],
    ['throws when asked for then', Object.defineProperty({}, THEN, { get: broken })],
    [
      'rejects twice',
      thenable((_done, fail) => {
        fail('a')
        fail('b')
      }),
    ],
  ])('CH-14 trap 25: a callback whose promise %s: error, and the next record comes', async (_name, promise) => {
    const channel = new ItemChannel<number>({ maxRecords: 1 })
    const errors: string[] = []
    const got: number[] = []
    channel.on('error', ({ code }) => errors.push(code))
    channel.onData((item) => {
      got.push(item)
      return promise
    })
    channel.write(1)
    channel.write(2)
    for (let turn = 0; turn < 5; turn++) await settle()
    expect([got, errors]).toEqual([
      [1, 2],
      ['CONSUME_FAILED', 'CONSUME_FAILED'],
    ])
    expect(await channel.close({ timeoutMs: 60_000 })).toEqual({ delivered: 0, undelivered: 0 })
  })

  it.each(['detach', 'flush'])('CH-19: metrics whose %s fails: close answers, error tells', async (name) => {
    const fail = (what: string) => {
      if (what === name) throw new Error('no metrics')
    }
    const metrics = { attachChannel: () => () => fail('detach'), flush: async () => fail('flush') }
    const channel = new ItemChannel<number>({ metrics })
    const errors: unknown[] = []
    channel.on('error', ({ cause }) => errors.push(String(cause)))
    expect(await channel.close()).toEqual({ delivered: 0, undelivered: 0 })
    expect(errors).toEqual(['Error: no metrics'])
  })
})

describe('whole buffers', () => {
  const two = () => {
    const channel = new ItemChannel<number>({ clock: new FakeClock(), maxRecords: 2 })
    channel.write(1)
    channel.write(2)
    const batch = channel.take()
    if (batch === undefined) throw new Error('nothing was sealed')
    return { channel, batch }
  }

  it('CH-9 CH-15: putBack serves a reader that waits', async () => {
    const { channel, batch } = two()
    const reading = channel.readBatch(5)
    channel.putBack(batch)
    expect(await reading).toEqual([1, 2])
    expect(await channel.close()).toEqual({ delivered: 0, undelivered: 0 })
  })

  it('CH-19: putBack after the end: discarded stays discarded, memory comes back', async () => {
    const { channel, batch } = two()
    expect(await channel.close({ timeoutMs: 0 })).toEqual({ delivered: 0, undelivered: 2 })
    channel.putBack(batch)
    expect(channel.tryRead()).toBeUndefined()
    expectEnded(channel)
  })

  it('CH-9: a buffer that comes back twice is refused and changes no count', async () => {
    const { channel, batch } = two()
    channel.putBack(batch)
    expect(() => channel.putBack(batch)).toThrow(/nobody had taken/)
    expect(await channel.readBatch(5)).toEqual([1, 2])
    expect(await channel.close({ timeoutMs: 1000 })).toEqual({ delivered: 0, undelivered: 0 })
  })
})

describe('memory that is not there', () => {
  it('CH-10 CH-17: a copy that cannot be made refuses that record, and its room comes back', async () => {
    const arenas = new ArenaPool()
    let isEmpty = true
    const take = arenas.take.bind(arenas)
    arenas.take = (minBytes) => {
      if (isEmpty) throw new RangeError('Array buffer allocation failed')
      return take(minBytes)
    }
    const channel = new ByteChannel({ arenas })
    expect(codeOf(() => channel.write(Buffer.alloc(100)))).toBe('POOL_EXHAUSTED')
    await expect(channel.writeAsync(Buffer.alloc(100))).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' })
    expect([channel.usedBytes, channel.pendingRecords, channel.counters().refusedWrites]).toEqual([0, 0, 2])
    isEmpty = false
    channel.write(Buffer.from('a'))
    channel.seal()
    expect(String(channel.tryRead()?.bytes)).toBe('a')
    await channel.close()
  })
})

describe('waiting for room', () => {
  it("CH-17: ready() ends the window: a reader that waits gets what fills the memory, also with strategy 'size'", async () => {
    const limits = { bufferMaxRecords: 10, maxRecords: 1000 }
    const channel = new ItemChannel<number>({ clock: new FakeClock(), ...limits, switchStrategy: 'size' })
    const reading = channel.readBatch(100)
    let isBelow = true
    for (let n = 0; isBelow; n++) isBelow = channel.write(n)
    await channel.ready()
    expect(await reading).toHaveLength(8)
  })

  it('CH-12 CH-15: a timeoutMs of 0 rejects at once, whatever the clock, and takes no place', async () => {
    const clock = new FakeClock()
    const channel = new ItemChannel<number>({ clock, bufferMaxRecords: 1, maxRecords: 10, hardPercent: 100 })
    const late = { code: 'TIMEOUT' }
    await expect(channel.read({ timeoutMs: 0 })).rejects.toMatchObject(late)
    await expect(channel.readBatch(2, { timeoutMs: 0 })).rejects.toMatchObject(late)
    channel.write(1)
    await expect(channel.writeAsync(2, { timeoutMs: 0 })).rejects.toMatchObject(late)
    await expect(channel.ready({ timeoutMs: 0 })).rejects.toMatchObject(late)
    expect([channel.stats().waiters, clock.pendingTimers, channel.tryRead()]).toEqual([0, 0, 1])
    expect(channel.write(3)).toBe(false)
  })

  it('CH-17: ready() that is aborted already seals nothing', async () => {
    const channel = new ItemChannel<number>({ clock: new FakeClock(), bufferMaxRecords: 10 })
    for (let n = 0; n < 8; n++) channel.write(n)
    await expect(channel.ready({ signal: AbortSignal.abort('no') })).rejects.toBe('no')
    expect(channel.stats().sealedBuffers).toBe(0)
  })
})
