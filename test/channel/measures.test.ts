/** What metrics read of a channel, and settings that are exchanged as a whole. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteChannel, type Chunk, channelSettings, DoubleBufferChannel, ItemChannel } from '../../lib/channel/index.js'
import { OverdueLeases } from '../../lib/channel/overdue-leases.js'
import { Buckets, type Clock, FakeClock } from '../../lib/util/index.js'

describe('measures', () => {
  it('ME-1, CH-2: a byte channel counts writes, reads, failures, seals, allocations and what is active', async () => {
    const clock = new FakeClock()
    const channel = new ByteChannel({ clock, maxRecords: 2, windowMs: 100, bufferMemoryBytes: 100, onFull: 'reject' })
    for (const text of ['aa', 'bbb', 'c']) channel.write(Buffer.from(text))
    expect(() => channel.write(Buffer.alloc(101))).toThrow()
    expect(channel.measures()).toMatchObject({
      writes: 3,
      writeFailures: 1,
      writtenBytes: 6,
      reads: 0,
      readFailures: 0,
      switches: 1,
      activeRecords: 1,
      activeBytes: 1,
      overdueLeases: 0,
    })
    expect(channel.measures().allocations).toBeGreaterThan(0)
    clock.advance(100)
    expect(channel.measures()).toMatchObject({ switches: 2, activeRecords: 0, activeBytes: 0 })
    for (let chunk = channel.tryRead(); chunk !== undefined; chunk = channel.tryRead()) chunk.release()
    const waiting = expect(channel.read({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    clock.advance(5)
    await waiting
    const { reads, readBytes, readFailures, switchSeconds, switches } = channel.measures()
    expect([reads, readBytes, readFailures]).toEqual([3, 6, 1])
    expect(switchSeconds.count).toBe(switches)
    await channel.close({ drain: false })
  })

  it('ME-1: an item channel counts its buffers as allocations: a spare that is used again is none', () => {
    const channel = new ItemChannel<number>({ clock: new FakeClock(), maxRecords: 1 })
    for (let n = 0; n < 20; n++) {
      channel.write(n)
      expect(channel.tryRead()).toBe(n)
    }
    expect(channel.measures()).toMatchObject({ writes: 20, reads: 20, switches: 20, activeRecords: 0 })
    expect(channel.measures().allocations).toBeLessThanOrEqual(3)
  })

  it('ME-1: the time of a switch runs from the decision until the next buffer is active, by the clock that is given', () => {
    let nowMs = 0
    const clock: Clock = { ...new FakeClock(), now: () => 0, monotonicMs: () => nowMs, setTimer, defer: () => {} }
    function setTimer() {
      return { cancel() {} }
    }
    const switchSeconds = new Buckets([0.001, 0.005, 0.01])
    const owner = {
      createBuffer() {
        nowMs += 4 // An owner that takes its time.
        return { records: 0, bytes: 0, sequence: -1, firstAtMs: -1 }
      },
    }
    const channel = new DoubleBufferChannel(owner, channelSettings(), { clock, switchSeconds, maxSpares: 0 })
    expect(channel.seal()).toBeNull()
    channel.active.records = 1
    channel.wrote()
    channel.seal()
    expect([...switchSeconds.counts]).toEqual([0, 1, 0, 0])
    expect(switchSeconds.sum).toBeCloseTo(0.004, 9)
  })

  it('CH-8: useSettings exchanges what channelSettings made, and the deadline is armed anew', () => {
    const clock = new FakeClock()
    const due: number[] = []
    const owner = {
      createBuffer: () => ({ records: 0, bytes: 0, sequence: -1, firstAtMs: -1 }),
      onDue: () => due.push(clock.monotonicMs()),
    }
    const channel = new DoubleBufferChannel(owner, channelSettings({ windowMs: 1000 }), { clock, sealOn: 'demand' })
    channel.active.records = 1
    channel.wrote()
    clock.advance(100)
    const settings = channelSettings({ windowMs: 200 })
    expect(channel.useSettings(settings)).toBe(2)
    expect(channel.settings).toBe(settings)
    clock.advance(99)
    expect(due).toEqual([])
    clock.advance(1)
    expect(due).toEqual([200])
  })
})

describe('CH-11: overdue leases', () => {
  const make = () => {
    const clock = new FakeClock()
    return { clock, channel: new ByteChannel({ clock, readMode: 'zeroCopy', maxRecords: 1 }) }
  }
  const lease = (channel: ByteChannel): Chunk => {
    channel.write(Buffer.from('v'))
    return channel.tryRead() as Chunk
  }

  it('CH-11: a lease that is held longer than 120 s counts once, also when it is released later', () => {
    const { clock, channel } = make()
    const kept = lease(channel)
    const quick = lease(channel)
    quick.release()
    clock.advance(119_000)
    expect(channel.measures().overdueLeases).toBe(0)
    clock.advance(2000)
    expect(channel.measures().overdueLeases).toBe(1)
    kept.release()
    kept.release()
    clock.advance(500_000)
    expect(channel.measures().overdueLeases).toBe(1)
  })

  it('CH-11: copies of safe reading are no leases', () => {
    const clock = new FakeClock()
    const channel = new ByteChannel({ clock, maxRecords: 1 })
    lease(channel)
    clock.advance(200_000)
    expect(channel.measures().overdueLeases).toBe(0)
  })

  it('CH-11: at any times and in any order each lease counts exactly once, when its 120 s are over', () => {
    const steps = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 90_000 }), release: fc.option(fc.nat(5)) }), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 1e9 }), (list, startMs) => {
        const leases = new OverdueLeases()
        let nowMs = startMs
        leases.tick(nowMs)
        let held: { begun: number; atMs: number; isCounted: boolean }[] = []
        let expected = 0
        for (const { waitMs, release } of list) {
          nowMs += waitMs
          const total = leases.total(nowMs)
          for (const one of held) {
            const age = Math.floor(nowMs / 1000) - Math.floor(one.atMs / 1000)
            if (one.isCounted || age < 121) continue
            one.isCounted = true
            expected++
          }
          expect(total).toBe(expected)
          if (release === null) held.push({ begun: leases.begin(), atMs: nowMs, isCounted: false })
          else {
            const one = held[release]
            if (one === undefined) continue
            leases.end(one.begun)
            held = held.filter((other) => other !== one)
          }
        }
      }),
    )
  })
})
