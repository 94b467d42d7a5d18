/** Appending, group commit, durabilities, rotation, reclaim, bounds: seen from the owner and from the disk. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import type { LogDurability } from '../../../lib/wal/index.js'
import { failNth, SimDisk } from '../../support/wal-sim/index.js'
import { Driver } from './support/driver.js'

const MODES: readonly LogDurability[] = ['spill', 'os', 'periodic', 'immediate']

async function opened(options: ConstructorParameters<typeof Driver>[1] = {}, disk?: SimDisk) {
  const driver = new Driver(1, options, disk)
  await driver.open()
  const stream = driver.log.streamOf('t', '', 0)
  await driver.pump.until(driver.log.sync(), 'sync')
  await driver.pump.drain(30)
  const calls = (kind: string, from = 0) => driver.disk.trace.slice(from).filter((call) => call.kind === kind)
  return { driver, log: driver.log, pump: driver.pump, disk: driver.disk, stream, calls }
}

const reasonOf = (task: () => unknown) => {
  try {
    task()
  } catch (error) {
    return error instanceof MQError ? error.context.reason : error
  }
  return null
}

describe('wal.md 3.3, 3.4: group commit', () => {
  it('WA-2: all appends of one turn are one write, one promise, accepted in call order', async () => {
    const { driver, log, pump, disk, stream, calls } = await opened({ durability: 'immediate' })
    const from = disk.trace.length
    const promised = [1, 2, 3].map((count) => driver.append(stream, count, 50)!)
    expect(promised.map(({ firstPosition }) => firstPosition)).toEqual([0, 1, 3])
    expect(promised[1]!.lsn).toBe(promised[0]!.lsn + 1)
    expect(log.accepted(promised[0]!.lsn)).toBe(log.accepted(promised[2]!.lsn))
    expect(disk.trace.length, 'nothing is written inside append').toBe(from)
    let told = 0
    log.onAccepted = () => {
      told++
      expect(log.acceptedLsn).toBe(promised[2]!.lsn)
    }
    await pump.until(log.accepted(promised[2]!.lsn), 'accept')
    expect(calls('write', from).length).toBe(1)
    expect(calls('fdatasync', from).length).toBe(1)
    expect(told).toBe(1)
  })

  it('wal.md 3.3: what comes while a group is written waits in the next one', async () => {
    const { driver, pump, disk, stream, calls } = await opened({ durability: 'os' })
    const from = disk.trace.length
    const first = driver.append(stream, 1, 10)!
    await pump.settle()
    expect(disk.flights.map(({ call }) => call.kind)).toEqual(['write'])
    const later = [driver.append(stream, 1, 10)!, driver.append(stream, 1, 10)!]
    await pump.settle()
    expect(disk.flights.length, 'one write at a time').toBe(1)
    expect(first.isAccepted).toBe(false)
    disk.complete()
    await pump.settle()
    expect(first.isAccepted).toBe(true)
    expect(later.map(({ isAccepted }) => isAccepted)).toEqual([false, false])
    await pump.drain(10)
    expect(later.map(({ isAccepted }) => isAccepted)).toEqual([true, true])
    expect(calls('write', from).length).toBe(2)
  })

  it('wal.md 2.5: items of one group share a frame and get their positions at once', async () => {
    const { driver, log, pump, stream } = await opened({ durability: 'os', owner: 'queue' })
    const item = Buffer.from('0123456789')
    const positions = [10, 3, 0, 7].map((length) => log.appendItem(stream, item, length))
    expect(positions).toEqual([0, 1, 2, 3])
    await pump.until(log.accepted(log.lastLsn), 'accept')
    const [entry, ...others] = log.entriesOf(stream)
    expect(others).toEqual([])
    expect(entry).toMatchObject({ firstPosition: 0, count: 4, unsettled: 4 })
    const body = Buffer.from(await pump.until(log.read(entry!.lsn), 'read'))
    expect(body.toString('latin1')).toBe('\x0a0123456789\x03012\x00\x070123456')
    await pump.until(log.close(), 'close')
    await driver.killAndReopen()
    expect(driver.log.recovered.records).toBe(4)
    await pump.until(driver.log.close(), 'close')
  })

  it('wal.md 3.4: acknowledgements ride on the next group, alone they wait ackFlushMs, flush() does not wait', async () => {
    const { driver, log, pump, disk, stream, calls } = await opened({ durability: 'os', ackFlushMs: 5 })
    const promised = [driver.append(stream, 1, 9)!, driver.append(stream, 1, 9)!, driver.append(stream, 1, 9)!]
    await pump.drain(10)
    const first = driver.settle(promised[0]!)
    const from = disk.trace.length
    driver.append(stream, 1, 9)
    await pump.drain(3)
    expect(calls('write', from).length).toBe(1)
    expect(log.acceptedSettlements).toBe(first)
    const second = driver.settle(promised[1]!)
    await pump.settle()
    expect(disk.flights.length).toBe(0)
    driver.parts.clock.advance(5)
    await pump.drain(3)
    expect(log.acceptedSettlements).toBe(second)
    const third = driver.settle(promised[2]!)
    log.flush()
    await pump.settle()
    expect(disk.flights.map(({ call }) => call.kind)).toEqual(['write'])
    await pump.drain(3)
    expect(log.acceptedSettlements).toBe(third)
  })
})

describe('wal.md 1.1, 2.4: what each durability syncs', () => {
  it('immediate: no promise before its own fdatasync; every sync begins at a sector boundary', async () => {
    const { driver, pump, disk, stream } = await opened({ durability: 'immediate' })
    const promised = driver.append(stream, 1, 100)!
    await pump.settle()
    disk.complete()
    await pump.settle()
    expect(promised.isAccepted).toBe(false)
    expect(disk.flights.map(({ call }) => call.kind)).toEqual(['fdatasync'])
    const write = disk.trace.filter(({ kind }) => kind === 'write').at(-1)!
    expect((write.position + write.bytes) % 512).toBe(0)
    disk.complete()
    await pump.settle()
    expect(promised.isAccepted).toBe(true)
  })

  it('periodic: one sync per interval while records come, none when nothing is dirty', async () => {
    const { driver, pump, stream, disk, calls } = await opened({ durability: 'periodic', syncIntervalMs: 10 })
    const from = disk.trace.length
    driver.parts.clock.advance(100)
    await pump.drain(5)
    expect(calls('fdatasync', from).length).toBe(0)
    driver.append(stream, 1, 10)
    await pump.settle()
    disk.complete()
    await pump.settle()
    driver.parts.clock.advance(9)
    await pump.settle()
    expect(disk.flights.length).toBe(0)
    driver.parts.clock.advance(1)
    await pump.drain(30)
    expect(calls('fdatasync', from).length).toBe(1)
  })

  it('os: synced by itself at half of unsyncedMaxBytes, never before', async () => {
    const { driver, pump, stream, disk, calls } = await opened({
      durability: 'os',
      segmentBytes: 2 ** 20,
      maxBytes: 2 ** 23,
      unsyncedMaxBytes: 65_536,
    })
    const from = disk.trace.length
    let bytes = 0
    while (bytes < 40_000) {
      bytes += driver.append(stream, 1, 1000)!.bytes
      await pump.drain(8)
      if (bytes < 29_000) expect(calls('fdatasync', from).length).toBe(0)
    }
    expect(calls('fdatasync', from).length).toBe(1)
  })

  it('wal.md 2.4: no sector that a sync covered is written again', async () => {
    for (const durability of MODES) {
      const { driver, pump, stream, disk } = await opened({ durability })
      const durable = new Map<number, number>()
      const written = new Map<number, number>()
      let checked = 0
      const { open, write, fdatasync } = disk
      disk.open = (path, mode, done) =>
        open.call(disk, path, mode, (error, fd) => {
          durable.delete(fd ?? -1)
          written.delete(fd ?? -1)
          done(error, fd)
        })
      disk.write = (fd, bytes, position, done) => {
        const isPast = position >= (durable.get(fd) ?? 0)
        if (position > 0) expect(isPast, `a write at ${position} behind a sync up to ${durable.get(fd)}`).toBe(true)
        if (position > 0) checked++
        write.call(disk, fd, bytes, position, (error, count) => {
          written.set(fd, position + bytes.length)
          done(error, count)
        })
      }
      disk.fdatasync = (fd, done) => {
        // A sync covers the writes that ended before it, to the end of their sector.
        durable.set(fd, Math.ceil((written.get(fd) ?? 0) / 512) * 512)
        fdatasync.call(disk, fd, done)
      }
      for (let n = 0; n < 200; n++) {
        const owed = driver.owed
        if (owed.length > 6) driver.settle(owed[0]!)
        driver.append(stream, 1, (n * 37) % 700)
        if (n % 5 === 0) driver.log.sync().catch(() => {})
        await pump.step()
      }
      expect(checked).toBeGreaterThan(20)
    }
  })

  it('wal.md 2.4: after 5 ms idle one empty PAD attests the last sync, unsynced, once', async () => {
    const { driver, pump, disk, stream } = await opened({ durability: 'immediate' })
    const promised = driver.append(stream, 1, 10)!
    await pump.until(driver.log.accepted(promised.lsn), 'accept')
    const from = disk.trace.length
    await pump.drain(50)
    expect(disk.trace.slice(from).map(({ kind, bytes }) => [kind, bytes])).toEqual([['write', 32]])
  })
})

describe('wal.md 2.7, 3.6, 3.8, 5: segments', () => {
  it('rotation, recycling and reclaim keep all files within maxBytes and everything owed readable', async () => {
    for (const durability of MODES) {
      const { driver, log, pump, stream } = await opened({
        durability,
        maxBytes: 6 * 16_384,
        scrub: durability === 'os',
      })
      for (let n = 0; n < 250; n++) {
        while (driver.append(stream, 1, 400) === null) await pump.step()
        await pump.step()
        const owed = driver.owed
        if (owed.length > 5) driver.settle(owed[0]!)
      }
      await pump.drain(30)
      await driver.check()
      expect(log.measures().segments.live).toBeLessThanOrEqual(4)
      expect(log.entry(driver.owed[0]!.lsn)!.segment).toBeGreaterThan(6)
      await pump.until(log.close(), 'close')
      await driver.killAndReopen()
      expect(driver.log.recovered.isClean).toBe(true)
      await driver.check()
      await pump.until(driver.log.close(), 'close')
    }
  })

  it('wal.md 3.8: a full log refuses data with WAL_FULL, says so once, drains itself and takes data again', async () => {
    for (const durability of MODES) {
      const { driver, log, pump, stream } = await opened({ durability, maxBytes: 5 * 16_384 })
      let idle = 0
      while (idle < 30) {
        if (driver.append(stream, 1, 300) === null) idle++
        else idle = 0
        await pump.step()
      }
      expect(log.state).toBe('draining')
      const entry = {
        stream,
        count: 1,
        maxTimestampMs: 0,
        producerId: 7n,
        epoch: 0,
        baseSequence: 0,
        part: 0,
        parts: 0,
        originLsn: 0,
        lsn: 0,
        firstPosition: 0,
      }
      expect(reasonOf(() => log.append(entry, new Uint8Array(4), new Uint8Array(300)))).toBe('WAL_FULL')
      expect(driver.told.filter(({ event }) => event === 'full').length).toBe(1)
      let rooms = 0
      log.onRoom = () => {
        rooms++
      }
      // Each entry by itself, out of order but for the oldest: as many acknowledgements as there can be.
      const owed = driver.owed
      expect(owed.length).toBeGreaterThan(60)
      for (const promised of [...owed.slice(1).reverse(), owed[0]!]) {
        const settlement = driver.settle(promised)
        await pump.drain(8)
        if (promised !== owed[0]) expect(log.acceptedSettlements).toBeLessThanOrEqual(settlement)
      }
      await pump.drain(40)
      expect(log.acceptedSettlements).toBe(owed.length)
      expect(rooms).toBeGreaterThan(0)
      expect(log.state).toBe('open')
      expect(driver.append(stream, 1, 300)).not.toBeNull()
      await pump.drain(10)
      await driver.check()
      await pump.until(log.close(), 'close')
      await driver.killAndReopen()
      expect(driver.log.recovered.records).toBe(1)
      await pump.until(driver.log.close(), 'close')
    }
  })

  it('wal.md 3.8: records that come one by one leave the last file to control frames: identities find a place', async () => {
    for (const durability of MODES) {
      const { driver, log, pump, stream } = await opened({ durability, maxBytes: 4 * 16_384 })
      // Each alone in its group: what was known of the room for one open group says nothing about the next one.
      for (let refused = 0; refused < 30; ) {
        if (driver.append(stream, 1, 300) === null) refused++
        else await pump.until(log.sync(), 'sync')
        await pump.step()
      }
      expect(log.state).toBe('draining')
      expect(driver.owed.filter(({ lsn }) => log.entry(lsn)!.segment > 3)).toEqual([])
      for (let epoch = 0; epoch < 8; epoch++) {
        await pump.until(log.defineIdentity(11n, epoch, 'cluster'), `epoch ${epoch}`)
      }
      for (const promised of driver.owed) driver.settle(promised)
      await pump.drain(40)
      expect(log.state).toBe('open')
      expect(driver.append(stream, 1, 300)).not.toBeNull()
      await pump.until(log.close(), 'close')
    }
  })

  it('wal.md 3.8: a log that finds no place for control frames says so, and goes on when the oldest are settled', async () => {
    const { driver, log, pump, stream } = await opened({ durability: 'immediate', maxBytes: 4 * 16_384 })
    for (let n = 0; n < 30; n++) {
      expect(driver.append(stream, 1, 300)).not.toBeNull()
      await pump.drain(10)
    }
    expect(log.state).toBe('open')
    let defined = 0
    let epoch = 0
    for (; defined === epoch && epoch < 100; epoch++) {
      void log.defineIdentity(11n, epoch, 'cluster').then(() => defined++)
      await pump.drain(10)
    }
    expect(epoch, 'identities, each in a sector of its own').toBeGreaterThan(20)
    expect(epoch).toBeLessThan(100)
    expect(log.state, 'nothing was refused, and yet something waits').toBe('draining')
    expect(driver.told.filter(({ event }) => event === 'full').length).toBe(1)
    expect(log.admits(10)).toBe(false)
    for (const promised of driver.owed) driver.settle(promised)
    await pump.until(log.sync(), 'sync')
    expect(defined, 'the one that waited, too').toBe(epoch)
    await pump.drain(40)
    expect(log.state).toBe('open')
    expect(log.measures().unsettledRecords).toBe(0)
    await pump.until(log.close(), 'close')
  })

  it('wal.md 5: few live records in the oldest segment are copied forward, and their segment is freed', async () => {
    const { driver, log, pump, stream } = await opened({ durability: 'immediate', maxBytes: 8 * 16_384 })
    const held = driver.append(stream, 3, 200)!
    await pump.until(log.accepted(held.lsn), 'accept')
    expect(log.entry(held.lsn)!.segment).toBe(1)
    log.settle(stream, held.firstPosition + 1, held.firstPosition + 1, 0, 5)
    for (let n = 0; n < 250; n++) {
      while (driver.append(stream, 1, 400) === null) await pump.step()
      await pump.step()
      const owed = driver.owed
      if (owed.length > 5) driver.settle(owed.find((other) => other !== held)!)
    }
    await pump.drain(60)
    expect(log.measures().relocatedBytes).toBeGreaterThan(0)
    expect(log.entry(held.lsn)!.segment).toBeGreaterThan(1)
    await driver.check()
    await pump.until(log.close(), 'close')
    await driver.killAndReopen()
    await driver.check()
    expect(driver.log.entry(held.lsn)!.unsettled, 'what was settled of it stays settled').toBe(2)
    await pump.until(driver.log.close(), 'close')
  })

  it('wal.md 3.8: too little free space makes no spare; at start-up it opens for draining only', async () => {
    const { driver, log, pump, disk, stream } = await opened({ durability: 'os' })
    for (let n = 0; n < 5; n++) driver.append(stream, 1, 200)
    await pump.until(log.sync(), 'sync')
    await pump.until(log.close(), 'close')
    for (const path of [...disk.names.cached.keys()]) if (path.endsWith('.seg')) disk.unlink(path, () => {})
    await pump.drain(5)
    const again = new Driver(2, { durability: 'os', minFreeBytes: 2 ** 30 }, disk)
    again.book.push(...driver.book)
    await again.killAndReopen()
    expect(again.append(stream, 1, 10)).toBeNull()
    await again.pump.drain(10)
    expect(again.log.state).toBe('draining')
    await again.check()
    for (const promised of again.owed) again.settle(promised)
    await again.pump.drain(20)
    expect(again.log.acceptedSettlements).toBe(5)
    expect(again.log.measures().unsettledRecords).toBe(0)
    await again.pump.until(again.log.close(), 'close')
  })

  it('wal.md 2.2: a replaced LOCK is seen at the next rotation and ends writing', async () => {
    const { driver, log, pump, disk, stream } = await opened({ durability: 'os' })
    disk.unlink('/wal/LOCK', () => {})
    await pump.drain(5)
    for (let n = 0; n < 100 && log.failure === null; n++) {
      driver.append(stream, 1, 500)
      await pump.step()
    }
    expect(log.state).toBe('failed')
    expect(log.failure?.message).toContain('/wal/LOCK')
    expect(reasonOf(() => log.streamOf('x', '', 1))).toBe('WAL_FAILED')
    await pump.drain(5)
    expect(driver.told.filter(({ event }) => event === 'failed').length).toBe(1)
    await expect(pump.until(log.close(), 'close')).rejects.toBe(log.failure)
  })
})

describe('wal.md 3.7: a failed sync', () => {
  it('fsyncgate: pages are lost, the next sync would succeed; the descriptor is not used again, nothing is lost', async () => {
    for (const durability of MODES) {
      const { driver, log, pump, disk, stream } = await opened({ durability })
      const promised = [1, 2, 3].map((count) => driver.append(stream, count, 300)!)
      disk.inject = failNth('fdatasync', 1, { code: 'EIO', dropsPages: true })
      const before = disk.trace.length
      await pump.until(log.sync(), 'sync')
      const poisoned = '/wal/0000000000000001.wal'
      const failedAt = disk.trace.findIndex(({ index, kind }) => index >= before && kind === 'fdatasync')
      const used = disk.trace.slice(failedAt + 1).filter((call) => call.path === poisoned && call.kind !== 'close')
      expect(used.map(({ kind }) => kind).filter((kind) => kind !== 'open' && kind !== 'read')).toEqual([])
      expect(log.state).toBe('degraded')
      await pump.drain(10)
      expect(driver.told.filter(({ event }) => event === 'degraded').length).toBe(1)
      expect(promised.every(({ isAccepted }) => isAccepted)).toBe(true)
      expect(log.measures()).toMatchObject({ poisoned: 1, unsyncedBytes: 0 })
      expect([...log.measures().errors]).toEqual([['EIO', 1]])
      await driver.check()
      driver.append(stream, 1, 100)
      await pump.until(log.sync(), 'sync')
      await pump.until(log.close(), 'close')
      // The machine loses power: only what was synced is there.
      const machine = SimDisk.fromImage(disk.image())
      const again = new Driver(2, { durability }, machine)
      again.book.push(...driver.book)
      await again.killAndReopen('boot-2')
      await again.check()
      await again.pump.until(again.log.close(), 'close')
    }
  })

  it('a short write is a failed write', async () => {
    const { driver, log, pump, disk, stream } = await opened({ durability: 'os' })
    const promised = driver.append(stream, 1, 600)!
    disk.inject = failNth('write', 1, { written: 100 })
    await pump.until(log.accepted(promised.lsn), 'accept')
    expect(log.state).toBe('degraded')
    expect([...log.measures().errors]).toEqual([['ENOSPC', 1]])
    await driver.check()
    await pump.until(log.close(), 'close')
  })

  it('wal.md 3.9: a sync that hangs is told after a second, the loop lives, close() is bounded', async () => {
    const { driver, log, pump, disk, stream } = await opened({ durability: 'immediate' })
    disk.inject = failNth('fdatasync', 1, { code: 'EIO', isHung: true })
    const promised = driver.append(stream, 1, 10)!
    await pump.settle()
    disk.complete()
    await pump.settle()
    driver.parts.clock.advance(1000)
    await pump.settle()
    expect(driver.told.filter(({ event }) => event === 'slowSync').length).toBe(1)
    const closed = log.close({ timeoutMs: 500 }).catch((error: unknown) => error)
    const startMs = driver.parts.clock.monotonicMs()
    expect(await pump.until(closed, 'close')).toBeInstanceOf(MQError)
    expect(driver.parts.clock.monotonicMs() - startMs).toBeLessThan(700)
    await pump.settle()
    expect(promised.isRefused).toBe(true)
    expect(log.close()).toBe(log.close())
  })
})

describe('wal.md 2.3, 3.1: limits of single calls', () => {
  it('WAL_FRAME_TOO_LARGE above maxBodyBytes, and exactly that much is taken', async () => {
    const { driver, log, pump, stream } = await opened({ durability: 'os' })
    const entry = {
      stream,
      count: 1,
      maxTimestampMs: 0,
      producerId: 7n,
      epoch: 0,
      baseSequence: 0,
      part: 0,
      parts: 0,
      originLsn: 0,
      lsn: 0,
      firstPosition: 0,
    }
    expect(log.maxBodyBytes).toBe(16_384 / 4 - 32 - 56)
    expect(reasonOf(() => log.append(entry, new Uint8Array(1), new Uint8Array(log.maxBodyBytes)))).toBe(
      'WAL_FRAME_TOO_LARGE',
    )
    const promised = driver.append(stream, 1, log.maxBodyBytes - 4)!
    await pump.until(log.accepted(promised.lsn), 'accept')
    await driver.check()
    await pump.until(log.close(), 'close')
    expect(reasonOf(() => log.append(entry, new Uint8Array(1), new Uint8Array(1)))).toBe('WAL_FAILED')
  })

  it('wal.md 2.5: an identity is durable in every mode before its promise resolves', async () => {
    for (const durability of MODES) {
      const { driver, log, pump, disk } = await opened({ durability })
      await pump.until(log.defineIdentity(42n, 3, 'cluster'), 'identity')
      const again = new Driver(2, { durability }, SimDisk.fromImage(disk.image()))
      await again.killAndReopen('boot-2')
      expect(again.log.identities).toContainEqual({ producerId: 42n, epoch: 3, clusterId: 'cluster' })
      await again.pump.until(again.log.close(), 'close')
      await driver.pump.until(log.close(), 'close')
    }
  })

  it('wal.md 6.2 I: a position nobody was given is not settled', async () => {
    const { driver, log, stream } = await opened()
    driver.append(stream, 2, 10)
    expect(() => log.settle(stream, 0, 2, 0, -1)).toThrow('only known positions are settled')
  })
})
