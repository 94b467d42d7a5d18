import { describe, expect, it, vi } from 'vitest'
import { ArenaPool, ByteChannel, type ByteChannelOptions, type Chunk } from '../../lib/channel/index.js'
import { FakeClock, randomInt, seededRandom } from '../../lib/util/index.js'
import { bytesPerCall } from '../support/allocation.js'

function make(options: ByteChannelOptions = {}) {
  const clock = new FakeClock()
  const channel = new ByteChannel({ clock, ...options })
  const events: string[] = []
  channel.on('backpressure', ({ usedBytes }) => events.push(`backpressure ${usedBytes}`))
  channel.on('drain', ({ usedBytes }) => events.push(`drain ${usedBytes}`))
  channel.on('dropped', ({ records, bytes, policy }) => events.push(`dropped ${records} ${bytes} ${policy}`))
  return { channel, clock, events }
}

const text = (chunk: Chunk | undefined) => (chunk === undefined ? undefined : Buffer.from(chunk.bytes).toString())
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const FULL = { code: 'POOL_EXHAUSTED', retryable: true, context: expect.objectContaining({ reason: 'BUFFER_FULL' }) }

/** Everything that is sealed, as text, released. */
function readAll(channel: ByteChannel): string[] {
  const all: string[] = []
  for (let chunk = channel.tryRead(); chunk !== undefined; chunk = channel.tryRead()) {
    all.push(text(chunk) as string)
    chunk.release()
  }
  return all
}

describe('ByteChannel', () => {
  it('CH-4: the defaults are 10,000 records, 100 MiB, 5 s', () => {
    expect(make().channel.settings).toMatchObject({ maxRecords: 10_000, maxBytes: 104_857_600, windowMs: 5000 })
  })

  it('CH-16: what was written comes out in order, an empty payload too', () => {
    const { channel } = make({ maxRecords: 3 })
    for (const one of ['a', '', 'ccc']) expect(channel.write(Buffer.from(one))).toBe(true)
    expect(readAll(channel)).toEqual(['a', '', 'ccc'])
    expect(channel.usedBytes).toBe(0)
    expect(channel.tryRead()).toBeUndefined()
  })

  it('CH-16: copies by default, so the caller may reuse his bytes', () => {
    const { channel } = make()
    for (const size of [10, 1024, 32_768, 40_000, 70_000]) {
      const bytes = Buffer.alloc(size, 1)
      channel.write(bytes)
      bytes.fill(2)
    }
    channel.seal()
    const chunks = Array.from({ length: 5 }, () => channel.tryRead() as Chunk)
    expect(chunks.map(({ length }) => length)).toEqual([10, 1024, 32_768, 40_000, 70_000])
    for (const { bytes } of chunks) expect(bytes.every((byte) => byte === 1)).toBe(true)
  })

  it('CH-16: copyOnWrite false keeps a reference', () => {
    const { channel } = make({ copyOnWrite: false, readMode: 'zeroCopy' })
    const bytes = Buffer.alloc(5)
    channel.write(bytes)
    channel.seal()
    expect(channel.tryRead()?.bytes).toBe(bytes)
  })

  it('CH-16: a closed channel says PRODUCER_CLOSED/CHANNEL_CLOSED, and nothing but bytes is taken', async () => {
    const { channel } = make()
    expect(() => channel.write('text' as unknown as Uint8Array)).toThrowError(
      expect.objectContaining({ code: 'SERIALIZATION_FAILED' }),
    )
    await channel.close()
    const closed = expect.objectContaining({ code: 'PRODUCER_CLOSED', context: { reason: 'CHANNEL_CLOSED' } })
    expect(() => channel.write(Buffer.alloc(1))).toThrowError(closed)
    await expect(channel.writeAsync(Buffer.alloc(1))).rejects.toEqual(closed)
    await expect(channel.ready()).rejects.toEqual(closed)
    expect(channel.counters()).toMatchObject({ refusedWrites: 2, writtenRecords: 0 })
  })

  it('CH-4: an item above maxBytes gets a buffer of its own', () => {
    const { channel } = make({ maxBytes: 100 })
    channel.write(Buffer.alloc(10))
    channel.write(Buffer.alloc(500))
    channel.write(Buffer.alloc(20))
    expect(channel.stats()).toMatchObject({ sealedBuffers: 2, sealedBytes: 510, activeBytes: 20 })
    channel.updateConfig({ maxBytes: 10 })
    channel.write(Buffer.alloc(30))
    expect(channel.stats()).toMatchObject({ sealedBuffers: 4, sealedBytes: 560, activeBytes: 0 })
  })

  describe('CH-17: limits', () => {
    it('false above the soft limit, one backpressure, one drain, ready() waits for it', async () => {
      const { channel, events } = make({ bufferMemoryBytes: 1000, readMode: 'zeroCopy', maxRecords: 1 })
      const written = Array.from({ length: 9 }, () => channel.write(Buffer.alloc(100)))
      expect(written).toEqual([true, true, true, true, true, true, true, false, false])
      expect(events).toEqual(['backpressure 800'])
      let isReady = false
      const ready = channel.ready().then(() => {
        isReady = true
      })
      const chunks = Array.from({ length: 3 }, () => channel.tryRead() as Chunk)
      expect(channel.usedBytes).toBe(900) // leased
      chunks[0]?.release()
      chunks[1]?.release()
      await settle()
      expect([events.length, isReady]).toEqual([1, false])
      chunks[2]?.release()
      chunks[2]?.release()
      await ready
      expect([events, channel.usedBytes]).toEqual([['backpressure 800', 'drain 600'], 600])
    })

    it('a listener may write and read: our own step is finished when it is called', () => {
      const { channel } = make({ bufferMemoryBytes: 1000, maxRecords: 1, onFull: 'reject' })
      let seen = 0
      channel.on('backpressure', () => {
        seen += channel.pendingRecords
        channel.tryRead()?.release()
        channel.write(Buffer.from('from the listener'))
      })
      channel.on('drain', () => expect(channel.pendingRecords).toBe(channel.stats().sealedBuffers))
      for (let index = 0; index < 8; index++) channel.write(Buffer.alloc(100, index))
      expect(seen).toBe(8)
      expect(readAll(channel)).toHaveLength(8)
      expect(channel.pendingRecords).toBe(0)
    })

    it("'reject' and a synchronous write under 'block' say POOL_EXHAUSTED/BUFFER_FULL, and the window ends", () => {
      for (const onFull of ['reject', 'block'] as const) {
        const { channel } = make({ bufferMemoryBytes: 1000, onFull })
        for (let index = 0; index < 10; index++) channel.write(Buffer.alloc(95))
        expect(() => channel.write(Buffer.alloc(95))).toThrowError(expect.objectContaining(FULL))
        expect(channel.counters()).toMatchObject({ writtenRecords: 10, refusedWrites: 1 })
        expect(readAll(channel)).toHaveLength(10) // sealed by the refusal
        expect(channel.write(Buffer.alloc(95))).toBe(true)
      }
    })

    it('a payload above the budget is MESSAGE_TOO_LARGE at once', async () => {
      const { channel } = make({ bufferMemoryBytes: 1000 })
      const error = expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' })
      expect(() => channel.write(Buffer.alloc(1001))).toThrowError(error)
      await expect(channel.writeAsync(Buffer.alloc(1001))).rejects.toEqual(error)
    })

    it("'block': writers wait in order, nobody overtakes them, and the caller's bytes are his again", async () => {
      const { channel } = make({ bufferMemoryBytes: 100, maxRecords: 1 })
      channel.write(Buffer.alloc(96, '0'))
      const bytes = Buffer.from('1'.repeat(40))
      const order: string[] = []
      const first = channel.writeAsync(bytes).then(() => order.push('first'))
      bytes.fill('x')
      const second = channel.writeAsync(Buffer.from('2'.repeat(16))).then(() => order.push('second'))
      expect(channel.tryRead()?.length).toBe(96)
      // Both have their room now, but did not run yet: a synchronous write must not slip in.
      expect(() => channel.write(Buffer.alloc(1))).toThrowError(expect.objectContaining(FULL))
      await Promise.all([first, second])
      expect(order).toEqual(['first', 'second'])
      expect(channel.write(Buffer.from('3'))).toBe(true)
      expect(readAll(channel)).toEqual(['1'.repeat(40), '2'.repeat(16), '3'])
    })

    it("'block': past maxBlockMs TIMEOUT/BUFFER_FULL; aborted with its reason; closed PRODUCER_CLOSED", async () => {
      const { channel, clock } = make({ bufferMemoryBytes: 100, maxBlockMs: 50 })
      channel.write(Buffer.alloc(96))
      const controller = new AbortController()
      const late = channel.writeAsync(Buffer.alloc(20))
      const aborted = channel.writeAsync(Buffer.alloc(20), { signal: controller.signal, timeoutMs: 1000 })
      const closed = channel.writeAsync(Buffer.alloc(20), { timeoutMs: 1000 })
      controller.abort('mine')
      clock.advance(50)
      await expect(late).rejects.toMatchObject({ code: 'TIMEOUT', context: { reason: 'BUFFER_FULL' } })
      await expect(aborted).rejects.toBe('mine')
      const closing = channel.close({ drain: false })
      await expect(closed).rejects.toMatchObject({ code: 'PRODUCER_CLOSED' })
      expect(await closing).toEqual({ delivered: 0, undelivered: 1 })
      expect(channel.counters()).toMatchObject({ refusedWrites: 3, writtenRecords: 1, discardedRecords: 1 })
      expect([channel.usedBytes, clock.pendingTimers]).toEqual([0, 0])
    })

    it("'dropOldest': the oldest sealed buffers go, whole and counted", () => {
      const { channel, events } = make({ bufferMemoryBytes: 1000, onFull: 'dropOldest', maxRecords: 2 })
      for (let index = 0; index < 12; index++) channel.write(Buffer.alloc(100, `${index % 10}`))
      // The events come when the write is finished, hence 500 and not 400.
      // Ten records fill the budget; from 100 % down to 50 % are five, in whole buffers six.
      expect(events).toEqual(['backpressure 800', 'dropped 6 600 water-mark', 'drain 500'])
      expect(channel.counters()).toMatchObject({ writtenRecords: 12, droppedRecords: 6 })
      expect(readAll(channel).map((one) => one[0])).toEqual(['6', '7', '8', '9', '0', '1'])
    })

    it("'dropOldest': what a reader has begun to read is not dropped", () => {
      const { channel } = make({ bufferMemoryBytes: 1000, onFull: 'dropOldest', maxRecords: 5, readMode: 'zeroCopy' })
      for (let index = 0; index < 10; index++) channel.write(Buffer.alloc(95, `${index}`))
      expect(text(channel.tryRead())?.[0]).toBe('0')
      channel.write(Buffer.alloc(95, 'n'))
      channel.seal()
      expect(readAll(channel).map((one) => one[0])).toEqual(['1', '2', '3', '4', 'n'])
    })

    it('trap 14: without a reader the use stays bounded, also with empty payloads', () => {
      const { channel } = make({ bufferMemoryBytes: 16_000, onFull: 'dropOldest', maxRecords: 10 })
      for (let index = 0; index < 50_000; index++) channel.write(Buffer.alloc(index % 3))
      expect(channel.usedBytes).toBeLessThanOrEqual(16_000)
      expect(channel.pendingRecords).toBeLessThanOrEqual(1000)
      const { writtenRecords, droppedRecords } = channel.counters()
      expect(writtenRecords - droppedRecords).toBe(channel.pendingRecords)
    })
  })

  describe('reading', () => {
    it('CH-11: safe mode copies below 1,024 B, leases to 32,768 B, and then gives a view that owns its memory', () => {
      const arenas = new ArenaPool({ poison: true })
      const { channel } = make({ arenas, maxRecords: 1 })
      const used = [1023, 1024, 32_768, 32_769].map((size) => {
        channel.write(Buffer.alloc(size, 7))
        const chunk = channel.tryRead() as Chunk
        const usedBytes = channel.usedBytes
        const taken = arenas.stats().takenArenas
        expect(chunk.bytes.every((byte) => byte === 7)).toBe(true)
        chunk.release()
        chunk.release()
        return [usedBytes, taken]
      })
      expect(used).toEqual([
        [0, 0],
        [1024, 1],
        [32_768, 1],
        [0, 0],
      ])
      expect([channel.usedBytes, arenas.stats().takenArenas]).toEqual([0, 0])
    })

    it('CH-11: a lease outlives its buffer; the arena comes back with the last release', () => {
      const arenas = new ArenaPool({ poison: true })
      const { channel } = make({ arenas, readMode: 'zeroCopy', maxRecords: 2 })
      channel.write(Buffer.from('first'))
      channel.write(Buffer.from('second'))
      const [first, second] = [channel.tryRead() as Chunk, channel.tryRead() as Chunk]
      for (let index = 0; index < 20; index++) channel.write(Buffer.alloc(60_000, index))
      readAll(channel)
      expect([text(first), text(second)]).toEqual(['first', 'second'])
      first.release()
      expect(text(second)).toBe('second')
      second.release()
      expect(second.bytes[0]).toBe(0xdb)
      expect(arenas.stats().takenArenas).toBe(0)
    })

    it('CH-12: read() gets what is sealed later; time-out; abort', async () => {
      const { channel, clock } = make({ windowMs: 60 })
      const waiting = channel.read()
      const late = channel.read({ timeoutMs: 10 })
      const controller = new AbortController()
      const aborted = channel.read({ signal: controller.signal })
      await settle()
      expect(channel.stats().waiters).toBe(3)
      controller.abort('mine')
      clock.advance(10)
      await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
      await expect(aborted).rejects.toBe('mine')
      channel.write(Buffer.from('late'))
      clock.advance(60)
      expect(text(await waiting)).toBe('late')
      expect([channel.stats().waiters, clock.pendingTimers]).toEqual([0, 0])
    })

    it('CH-15: n records wake exactly min(n, waiters), in order', async () => {
      const { channel } = make({ maxRecords: 3 })
      const got: (string | undefined)[] = []
      for (let index = 0; index < 5; index++) {
        void channel.read().then(
          (chunk) => got.push(`${index}:${text(chunk)}`),
          () => got.push(`${index}:closed`),
        )
      }
      await settle()
      for (const one of ['a', 'b', 'c']) channel.write(Buffer.from(one))
      await settle()
      expect([got, channel.stats().waiters]).toEqual([['0:a', '1:b', '2:c'], 2])
      await channel.close()
      await settle()
      expect(got.slice(3)).toEqual(['3:closed', '4:closed'])
    })
  })

  describe('CH-19: close', () => {
    it('seals the rest, lets readers empty it, then says CHANNEL_CLOSED to them', async () => {
      const { channel, clock } = make()
      for (let index = 0; index < 5; index++) channel.write(Buffer.from(`${index}`))
      const closing = channel.close()
      expect(channel.close()).toBe(closing)
      expect(channel.state).toBe('closing')
      expect(readAll(channel)).toEqual(['0', '1', '2', '3', '4'])
      expect(await closing).toEqual({ delivered: 5, undelivered: 0 })
      await expect(channel.read()).rejects.toMatchObject({
        code: 'CONSUMER_CLOSED',
        context: { reason: 'CHANNEL_CLOSED' },
      })
      expect([channel.state, clock.pendingTimers]).toEqual(['closed', 0])
    })

    it('counts record by record what was not read in time', async () => {
      const { channel, clock } = make({ maxRecords: 4 })
      for (let index = 0; index < 10; index++) channel.write(Buffer.alloc(50))
      const closing = channel.close({ timeoutMs: 20 })
      for (let index = 0; index < 6; index++) channel.tryRead()?.release()
      clock.advance(20)
      expect(await closing).toEqual({ delivered: 6, undelivered: 4 })
      expect([channel.usedBytes, channel.pendingRecords, channel.tryRead()]).toEqual([0, 0, undefined])
      expect(channel.counters()).toMatchObject({ readRecords: 6, discardedRecords: 4 })
    })
  })

  it('CH-8: updates of one turn are one config event with the settings', () => {
    const { channel, clock } = make()
    const events: unknown[] = []
    channel.on('config', ({ configVersion, settings }) => events.push([configVersion, settings.maxRecords]))
    channel.updateConfig({ maxRecords: 5 })
    channel.updateConfig({ maxRecords: 6 })
    expect(() => channel.updateConfig({ maxRecords: 0 })).toThrowError()
    clock.runDeferred()
    expect(events).toEqual([[3, 6]])
  })

  it.each([
    [{ onFull: 'spill' }],
    [{ maxRecords: 0 }],
    [{ bufferMemoryBytes: 0 }],
    [{ softPercent: 50, resumePercent: 60 }],
  ])('CH-8: %j is INVALID_CONFIG', (options) => {
    expect(() => new ByteChannel(options as ByteChannelOptions)).toThrowError(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
  })

  it('trap 25: a listener that throws raises error and hurts nobody; one of error itself ends there', () => {
    const { channel, clock } = make()
    const errors = vi.fn(() => {
      throw new Error('again')
    })
    channel.on('error', errors)
    channel.on('config', () => {
      throw new Error('listener')
    })
    channel.updateConfig({ maxRecords: 5 })
    clock.runDeferred()
    expect(errors).toHaveBeenCalledTimes(1)
  })

  it('CH-17: written = read + dropped + pending, and the budget is exact, under random use', async () => {
    const seed = Number(process.env.SEED ?? 23)
    const random = seededRandom(seed)
    const arenas = new ArenaPool({ poison: true })
    const { channel, clock } = make({ arenas, bufferMemoryBytes: 300_000, onFull: 'dropOldest', maxRecords: 20 })
    const held: { chunk: Chunk; mark: number }[] = []
    for (let step = 0; step < 20_000; step++) {
      const where = `SEED=${seed}, step ${step}`
      const roll = randomInt(random, 100)
      if (roll < 50) channel.write(Buffer.alloc(2 + randomInt(random, roll < 3 ? 50_000 : 3000), step & 127))
      else if (roll < 70) {
        const chunk = channel.tryRead()
        if (chunk !== undefined) held.push({ chunk, mark: chunk.bytes[0] as number })
      } else if (roll < 95) {
        const one = held.splice(randomInt(random, held.length || 1), 1)[0]
        if (one !== undefined && !one.chunk.bytes.every((byte) => byte === one.mark))
          throw new Error(`${where}: altered`)
        one?.chunk.release()
        if (roll < 75) one?.chunk.release()
      } else clock.advance(randomInt(random, 100))
      const { writtenRecords, readRecords, droppedRecords } = channel.counters()
      const pending = channel.pendingRecords
      if (writtenRecords !== readRecords + droppedRecords + pending) throw new Error(`${where}: count not conserved`)
      if (channel.usedBytes > 300_000) throw new Error(`${where}: ${channel.usedBytes} B used`)
    }
    for (const { chunk } of held) chunk.release()
    await channel.close({ drain: false })
    expect([channel.usedBytes, arenas.stats().takenArenas, arenas.stats().takenBytes]).toEqual([0, 0, 0])
    expect(channel.counters().droppedRecords).toBeGreaterThan(100)
  })

  it('CH-20: a write creates nothing, by reference nor by copy', () => {
    for (const copyOnWrite of [false, true]) {
      const limits = { bufferMemoryBytes: 8_000_000, maxRecords: 5000, maxSpares: 8 }
      const { channel } = make({ copyOnWrite, onFull: 'dropOldest', ...limits })
      const bytes = Buffer.alloc(128)
      // Seals, timers and evictions included: per buffer of 5,000 records a few hundred bytes.
      expect(bytesPerCall(() => channel.write(bytes), 50_000)).toBeLessThan(4)
    }
  })
})
