/** What means nothing is refused where it is given, and named: constructors, calls that wait, `close`, policies and pools. */
import { describe, expect, it } from 'vitest'
import {
  ArenaPool,
  ByteChannel,
  channelSettings,
  DoubleBufferChannel,
  ItemChannel,
  MemoryBudget,
  WaterMarkPolicy,
} from '../../lib/channel/index.js'
import { FakeClock } from '../../lib/util/index.js'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const wrong = (field: string) =>
  expect.objectContaining({ code: 'INVALID_CONFIG', context: expect.objectContaining({ field }) })

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return 'nothing was thrown'
}

const COMMON: readonly (readonly [field: string, ...values: unknown[]])[] = [
  ['bufferMemoryBytes', Number.NaN, -1, 0, 'x', '100', null],
  ['bufferMaxRecords', Number.NaN, 0, 'x', null],
  ['softPercent', Number.NaN, -1, 101, '80'],
  ['resumePercent', 'x', null],
  ['hardPercent', 101, {}],
  ['maxBlockMs', Number.NaN, -1, 'x', null],
  ['maxSpares', Number.NaN, -1, 1.5, 'x'],
  ['windowMs', '5', null],
  ['clock', {}, null, 5],
  ['sequencer', {}, null],
  ['metrics', {}, null],
  ['evictPolicy', {}, () => true],
  ['spillLog', {}, null],
  ['maxRecord', 5],
]
const cases = (rows: typeof COMMON) => rows.flatMap(([field, ...values]) => values.map((value) => ({ field, value })))

describe('options of a channel that mean nothing', () => {
  it.each(cases(COMMON))('trap 2, trap 14: $field $value: INVALID_CONFIG names it', ({ field, value }) => {
    const onFull = field === 'spillLog' ? 'spill' : 'dropOldest'
    const options = { onFull, [field]: value } as object
    const codec = { encode: () => new Uint8Array(), decode: () => 1 }
    expect(thrownBy(() => new ByteChannel(options))).toEqual(wrong(field))
    expect(thrownBy(() => new ItemChannel({ ...options, codec }))).toEqual(wrong(field))
  })

  it.each(
    cases([
      ['copyOnWrite', 'no', 0, null],
      ['readMode', 'zerocopy', '', null],
      ['arenas', {}, null],
      ['sizeOf', (): number => 1],
    ]),
  )('CH-11 CH-16: a ByteChannel with $field $value', ({ field, value }) => {
    expect(thrownBy(() => new ByteChannel({ [field]: value } as object))).toEqual(wrong(field))
  })

  it.each(
    cases([
      ['sizeOf', 5, null],
      ['onDrop', 'x', {}],
      ['codec', {}, null],
      ['readMode', 'safe'],
    ]),
  )('CH-17 CH-18: an ItemChannel with $field $value', ({ field, value }) => {
    expect(thrownBy(() => new ItemChannel({ [field]: value } as object))).toEqual(wrong(field))
  })

  it('a misspelt name is told with the nearest', () => {
    expect(() => new ByteChannel({ bufferMemorybyte: 5 } as object)).toThrow(/no option .*nearest is bufferMemoryBytes/)
  })

  it.each(
    cases([
      ['maxRecords', 'x', Number.NaN, -1],
      ['highWaterPercent', '80', 101],
      ['minEvictRecords', Number.NaN],
      ['idleTimeoutMs', Number.NaN, -1],
      ['highWater', 80],
    ]),
  )('CH-18: WaterMarkPolicy with $field $value', ({ field, value }) => {
    expect(thrownBy(() => new WaterMarkPolicy({ [field]: value }))).toEqual(wrong(field))
  })

  it.each(
    cases([
      ['minBytes', 1000, 'x', 2 ** 21],
      ['maxBytes', 0, Number.NaN],
      ['maxRetainedBytes', Number.NaN, -1],
      ['maxKeptPerClass', 'x'],
      ['poison', 1],
      ['max', 1],
    ]),
  )('CH-10: ArenaPool with $field $value', ({ field, value }) => {
    expect(thrownBy(() => new ArenaPool({ [field]: value }))).toEqual(wrong(field))
  })

  it('CH-17: a MemoryBudget names the limit', () => {
    expect(thrownBy(() => new MemoryBudget({ limitBytes: '5' as never }))).toEqual(wrong('bufferMemoryBytes'))
    expect(thrownBy(() => new MemoryBudget({ limitBytes: 5, limitRecords: Number.NaN }))).toEqual(
      wrong('bufferMaxRecords'),
    )
  })

  it.each(
    cases([
      ['maxSpares', Number.NaN, -1],
      ['sealOn', 'demanded'],
      ['sequencer', {}],
      ['clock', {}],
    ]),
  )('CH-2 CH-10: DoubleBufferChannel with $field $value', ({ field, value }) => {
    const owner = { createBuffer: () => ({ records: 0, bytes: 0, sequence: -1, firstAtMs: -1 }) }
    const make = () => new DoubleBufferChannel(owner, channelSettings(), { [field]: value } as object)
    expect(thrownBy(make)).toEqual(wrong(field))
  })

  it('on() takes known events and functions', () => {
    const channel = new ItemChannel<number>()
    expect(thrownBy(() => channel.on('eror' as 'error', () => {}))).toEqual(wrong('event'))
    expect(thrownBy(() => channel.on('error', 5 as never))).toEqual(wrong('listener'))
  })
})

const WAITS = cases([
  ['timeoutMs', Number.NaN, -1, '5', null],
  ['signal', {}, null, 'x'],
  ['clock', {}, null],
])

describe('options of calls', () => {
  it.each(WAITS)('CH-12 CH-15: read, readBatch, ready, writeAsync with $field $value take no place', async (one) => {
    const channel = new ItemChannel<number>({ clock: new FakeClock(), maxRecords: 1 })
    const options = { [one.field]: one.value } as object
    await expect(channel.read(options)).rejects.toEqual(wrong(one.field))
    await expect(channel.readBatch(2, options)).rejects.toEqual(wrong(one.field))
    await expect(channel.ready(options)).rejects.toEqual(wrong(one.field))
    await expect(channel.writeAsync(1, options)).rejects.toEqual(wrong(one.field))
    if (one.field === 'signal') expect(thrownBy(() => channel.register(options))).toEqual(wrong('signal'))
    expect(channel.stats().waiters).toBe(0)
    channel.write(7)
    // It went to a waiter whose call had failed already, and so to nobody.
    expect(channel.tryRead()).toBe(7)
  })

  it.each(
    cases([
      ['timeoutMs', Number.NaN, -1, '1000', null],
      ['drain', 0, null, 'no'],
      ['timeout', 5],
    ]),
  )('CH-19: close with $field $value closes nothing, and the next close does', async ({ field, value }) => {
    const channel = new ItemChannel<number>({ clock: new FakeClock() })
    channel.write(1)
    await expect(channel.close({ [field]: value } as object)).rejects.toEqual(wrong(field))
    await expect(channel.close(null as never)).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    expect([channel.state, channel.pendingRecords]).toEqual(['open', 1])
    const closing = channel.close()
    expect(await channel.read()).toBe(1)
    expect(await closing).toEqual({ delivered: 1, undelivered: 0 })
    const stream = () => channel.toWritable({ closesChannel: { [field]: value } as object })
    expect(thrownBy(stream)).toEqual(wrong(field))
  })
})

describe('sizeOf', () => {
  it.each([Number.NaN, -5, '7', null, undefined, 5n])(
    'CH-17: %s is no size: refused, nothing is charged',
    async (size) => {
      const channel = new ItemChannel<number>({ sizeOf: () => size as number })
      const refused = { code: 'SERIALIZATION_FAILED', context: { field: 'sizeOf' } }
      expect(thrownBy(() => channel.write(1))).toMatchObject(refused)
      await expect(channel.writeAsync(1)).rejects.toMatchObject(refused)
      expect([channel.usedBytes, channel.pendingRecords]).toEqual([0, 0])
    },
  )

  it('CH-17: fractions are rounded up: what was taken comes back to nothing', () => {
    const channel = new ItemChannel<number>({ sizeOf: (size) => size, maxRecords: 3 })
    for (const size of [0.1, 0.2, 0.3]) channel.write(size)
    expect(channel.usedBytes).toBe(3)
    expect([channel.tryRead(), channel.tryRead(), channel.tryRead(), channel.usedBytes]).toEqual([0.1, 0.2, 0.3, 0])
  })

  it('trap 25: one that throws is an MQError with its cause', () => {
    const cause = new Error('no bytes')
    const sizeOf = () => {
      throw cause
    }
    expect(thrownBy(() => new ItemChannel({ sizeOf }).write(1))).toMatchObject({ code: 'SERIALIZATION_FAILED', cause })
  })

  it('trap 14: items whose size is 0 are bounded too', () => {
    const channel = new ItemChannel<string>({
      sizeOf: (text) => text.length,
      bufferMemoryBytes: 1000,
      onFull: 'reject',
    })
    const fill = () => {
      for (let n = 0; n <= 1_000_000; n++) channel.write('')
    }
    expect(fill).toThrow(/bufferMaxRecords/)
  })
})

describe('what is kept alive', () => {
  it('CH-17: an item that was read is not held by its buffer', async () => {
    const channel = new ItemChannel<object>({ maxRecords: 2 })
    channel.write({ n: 1 })
    channel.write({ n: 2 })
    const batch = channel.take()
    if (batch === undefined) throw new Error('nothing was sealed')
    channel.putBack(batch)
    expect(channel.tryRead()).toEqual({ n: 1 })
    await settle()
    expect(batch.items).toEqual([undefined, { n: 2 }])
  })
})
