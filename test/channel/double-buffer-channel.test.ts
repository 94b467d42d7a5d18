/** The one suite over the two kinds of this room; the record batch joins it in test/producer. */
import { describe, expect, it } from 'vitest'
import { ByteBuffer } from '../../lib/channel/byte-buffer.js'
import {
  ArenaPool,
  type ChannelBuffer,
  channelSettings,
  DoubleBufferChannel,
  ItemBuffer,
} from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { bytesPerCall } from '../support/allocation.js'
import { channelSuite } from './suite.js'

const pool = new ArenaPool({ poison: true })

function payload(n: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(n)
  return bytes
}

channelSuite<ByteBuffer>({
  name: 'bytes, copied into arenas',
  bytesPerRecord: 8,
  createBuffer: () => new ByteBuffer(),
  clearBuffer: (buffer) => buffer.wipe(pool),
  append(buffer, n) {
    buffer.copy(payload(n), pool)
    buffer.records++
    buffer.bytes += 8
  },
  read: (buffer) =>
    Array.from({ length: buffer.records }, (_, index) => {
      const arena = buffer.holders[index] as { bytes: Buffer }
      return arena.bytes.readDoubleBE(buffer.starts[index] as number)
    }),
})

channelSuite<ByteBuffer>({
  name: 'bytes, by reference',
  bytesPerRecord: 8,
  createBuffer: () => new ByteBuffer(),
  clearBuffer: (buffer) => buffer.wipe(pool),
  append(buffer, n) {
    buffer.keep(payload(n))
    buffer.records++
    buffer.bytes += 8
  },
  read: (buffer) =>
    Array.from({ length: buffer.records }, (_, index) => (buffer.holders[index] as Buffer).readDoubleBE(0)),
})

channelSuite<ItemBuffer<number>>({
  name: 'items',
  bytesPerRecord: 8,
  createBuffer: () => new ItemBuffer<number>(),
  clearBuffer(buffer) {
    buffer.items.length = 0
  },
  append(buffer, n) {
    buffer.items.push(n)
    buffer.records++
    buffer.bytes += 8
  },
  read: (buffer) => [...buffer.items],
})

describe('CH-19: an owner that cannot make a buffer', () => {
  it('close throws, nothing is closed, and the next close does it', async () => {
    let isEmpty = false
    const createBuffer = () => {
      if (isEmpty) throw new Error('no memory')
      return { records: 0, bytes: 0, sequence: -1, firstAtMs: -1 }
    }
    const channel = new DoubleBufferChannel<ChannelBuffer>({ createBuffer }, channelSettings(), {
      clock: new FakeClock(),
    })
    channel.active.records = 1
    channel.wrote()
    isEmpty = true
    expect(() => channel.close()).toThrow('no memory')
    expect([channel.state, channel.pendingRecords]).toEqual(['open', 1])
    isEmpty = false
    const closing = channel.close()
    channel.recycle(channel.take() as ChannelBuffer)
    expect(await closing).toEqual({ delivered: 1, undelivered: 0 })
  })
})

describe('CH-20: no cost per write', () => {
  class Counter implements ChannelBuffer {
    records = 0
    bytes = 0
    sequence = -1
    firstAtMs = -1
  }

  it.each(['default', 'time', 'size'] as const)('%s: wrote() creates nothing, switches included', (switchStrategy) => {
    const owner = {
      createBuffer: () => new Counter(),
      clearBuffer: () => {},
      onSealed: () => channel.recycle(channel.take() as Counter),
    }
    const settings = channelSettings({ maxRecords: 1000, windowMs: 5000, switchStrategy })
    const channel = new DoubleBufferChannel<Counter>(owner, settings, { clock: new FakeClock() })
    const write = () => {
      const { active } = channel
      active.records++
      active.bytes += 100
      channel.wrote()
    }
    // A switch costs a timer: 1/1000 of it per write. One object per write would show as 16 B or more.
    expect(bytesPerCall(write, 200_000)).toBeLessThan(2)
  })
})
