/**
 * The published vectors on whole channels: features.md part 7, rows "Channel" and "Config update".
 * Its other rows about channels are tables beside what they test: the strategies in switch-strategy.test.ts, waiters in
 * waiters.test.ts, heap and queue in sealed-heap.test.ts and buffer-queue.test.ts, the double buffer of each kind in suite.ts.
 */
import { describe, expect, it } from 'vitest'
import {
  ByteChannel,
  type ByteChannelOptions,
  type ChannelUpdate,
  type Chunk,
  ItemChannel,
} from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'

function make(options: ByteChannelOptions) {
  const clock = new FakeClock()
  return { clock, channel: new ByteChannel({ clock, readMode: 'safe', ...options }) }
}

function numbered(n: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}

function numberOf(chunk: Chunk): number {
  using read = chunk
  return Buffer.from(read.bytes).readUInt32BE()
}

/** Every way to read a channel to its end, as numbers. */
const READERS: Readonly<Record<string, (channel: ByteChannel, clock: FakeClock) => Promise<number[]>>> = {
  async read(channel) {
    const numbers: number[] = []
    while (numbers.length < 20_000) numbers.push(numberOf(await channel.read()))
    return numbers
  },
  async readBatch(channel) {
    const numbers: number[] = []
    while (numbers.length < 20_000) numbers.push(...(await channel.readBatch(333)).map(numberOf))
    return numbers
  },
  async 'for await'(channel) {
    const numbers: number[] = []
    for await (const chunk of channel) {
      numbers.push(numberOf(chunk))
      if (numbers.length === 20_000) break
    }
    return numbers
  },
  async onData(channel, clock) {
    const numbers: number[] = []
    channel.onData((chunk) => void numbers.push(numberOf(chunk)))
    while (numbers.length < 20_000) {
      await null
      clock.turn()
    }
    return numbers
  },
}

describe('vector Channel', () => {
  it.each(Object.keys(READERS))(
    'CH-2, CH-11: capacity 1,000, 20,000 writes, a safe reader beside them by %s: 20,000 in order',
    async (name) => {
      const { channel, clock } = make({ maxRecords: 1000 })
      const reading = (READERS[name] as (typeof READERS)[string])(channel, clock)
      let isBelow = true
      for (let n = 0; n < 20_000; n++) {
        isBelow &&= channel.write(numbered(n))
        if (n % 700 === 0) await null
      }
      expect(isBelow).toBe(true)
      const numbers = await reading
      expect(numbers).toHaveLength(20_000)
      expect(numbers.every((n, at) => n === at)).toBe(true)
      expect(channel.stats()).toMatchObject({ switches: 20, sealedBuffers: 0, activeRecords: 0 })
      expect([channel.usedBytes, clock.pendingTimers]).toEqual([0, 0])
      expect(await channel.close()).toEqual({ delivered: 0, undelivered: 0 })
    },
  )

  it('CH-4: capacity 20, 50 one-byte writes: no error, two sealed buffers, ten records active', () => {
    const { channel } = make({ maxRecords: 20 })
    const errors: unknown[] = []
    channel.on('error', (error) => errors.push(error))
    for (let n = 0; n < 50; n++) expect(channel.write(Buffer.from([n]))).toBe(true)
    expect(channel.stats()).toMatchObject({ sealedBuffers: 2, sealedBytes: 40, activeRecords: 10 })
    channel.seal()
    for (let n = 0; n < 50; n++) expect(channel.tryRead()?.bytes[0]).toBe(n)
    expect(errors).toEqual([])
  })

  it.each([
    [1, 10_000, 100],
    [10, 20, 70],
  ])('CH-5: window 60 ms, %i of %i records: one sealed buffer within %i ms', (count, maxRecords, withinMs) => {
    const { channel, clock } = make({ maxRecords, windowMs: 60 })
    for (let n = 0; n < count; n++) channel.write(Buffer.from([n]))
    expect([channel.stats().sealedBuffers, clock.pendingTimers]).toEqual([0, 1])
    clock.advance(59)
    expect(channel.stats().sealedBuffers).toBe(0)
    clock.advance(withinMs - 59)
    expect(channel.stats()).toMatchObject({ sealedBuffers: 1, switches: 1, activeRecords: 0 })
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('vector Config update', () => {
  const channels = {
    bytes: (clock: FakeClock) => new ByteChannel({ clock, windowMs: 60 }),
    items: (clock: FakeClock) => new ItemChannel<Uint8Array>({ clock, windowMs: 60 }),
  }
  const kinds = Object.keys(channels) as (keyof typeof channels)[]
  const bad: readonly ChannelUpdate[] = [{ fillPercent: 0 }, { fillPercent: 101 }, { windowMs: -1 }]
  const cases = kinds.flatMap((kind) => bad.map((update) => [kind, update] as const))

  it.each(cases)('CH-8: %s, %j is INVALID_CONFIG; settings, version and deadline stay, no event', (kind, update) => {
    const clock = new FakeClock()
    const channel = channels[kind](clock)
    let events = 0
    channel.on('config', () => events++)
    channel.write(Buffer.from('a'))
    const before = channel.settings
    expect(() => channel.updateConfig({ maxRecords: 1, ...update })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
    clock.advance(59)
    expect([channel.settings === before, channel.configVersion, events]).toEqual([true, 1, 0])
    expect(channel.stats().sealedBuffers).toBe(0)
    clock.advance(1)
    expect(channel.stats().sealedBuffers).toBe(1)
  })

  it.each(kinds)('CH-8: %s, two updates in a tick: version + 2, one event', (kind) => {
    const clock = new FakeClock()
    const channel = channels[kind](clock)
    const versions: number[] = []
    channel.on('config', ({ configVersion }) => versions.push(configVersion))
    expect([channel.updateConfig({ fillPercent: 50 }), channel.updateConfig({ windowMs: 10 })]).toEqual([2, 3])
    expect(versions).toEqual([])
    clock.turn()
    clock.turn()
    expect([channel.configVersion, versions]).toEqual([3, [3]])
  })
})
