/** wal.md 4.1, 4.3: opening, on the simulated disk: what it finds, what it changes, and dying anywhere in it. */
import { describe, expect, it } from 'vitest'
import type { MQError } from '../../../lib/errors/index.js'
import { QUARANTINE_NAME } from '../../../lib/wal/format/manifest.js'
import { type WalOptions, WriteAheadLog } from '../../../lib/wal/index.js'
import { type Image, listEvents, SimDisk } from '../../support/wal-sim/index.js'
import { ITEM_BYTES, upTo, World } from './support/world.js'

/** A killed log of several segments, a part of it settled. */
async function killedLog(records = 60, options: Partial<WalOptions> = {}): Promise<World> {
  const world = World.onNewDisk(options)
  const log = await world.open()
  await world.append(log, records)
  return world
}

function errorOf(promise: Promise<unknown>): Promise<MQError> {
  return promise.then(
    () => {
      throw new Error('it was opened')
    },
    (error: MQError) => error,
  )
}

/** Opens, dies before each call in turn, and shows what the next process finds. Gives the number of deaths. */
async function dieAtEachCall(
  image: Image,
  options: Partial<WalOptions>,
  visit: (next: World, story: string) => Promise<void>,
): Promise<number> {
  for (let call = 0; ; call++) {
    const dying = new World(SimDisk.fromImage(image), options)
    let hasDied = false
    let hasEnded = false
    dying.disk.inject = ({ index }) => {
      if (index === call) hasDied = true
      return index >= call ? { isHung: true } : null
    }
    const note = () => {
      hasEnded = true
    }
    WriteAheadLog.open(dying.options, dying.parts, listEvents([])).then(note, note)
    while (!hasEnded && !hasDied) await dying.pump.step()
    if (!hasDied) return call
    await visit(dying.afterKill(), `killed before call ${call}`)
  }
}

/** Everything but LOCK, whose text names who tried. */
function content(disk: SimDisk): Map<string, string> {
  const found = new Map<string, string>()
  for (const [path, file] of disk.names.cached) {
    if (path.endsWith('/LOCK')) continue
    const bytes = new Uint8Array(file.cachedBytes)
    if (file.kind === 'file') file.read(bytes, 0)
    found.set(path, `${file.kind} ${Buffer.from(bytes).toString('base64')}`)
  }
  return found
}

describe('opening a log', () => {
  it('4.1: a new directory, then a clean one, then a killed one: incarnations count, nothing is lost', async () => {
    const first = World.onNewDisk()
    const made = await first.open()
    expect(made.recovered).toMatchObject({ isNew: true, previous: null, entries: 0, records: 0, holes: [] })
    expect(made.incarnation).toBe(1)
    expect(made.incarnationId).toMatch(/^[0-9a-f]{16}$/)
    await first.append(made, 10)
    await first.close(made)
    expect(first.disk.open_.size).toBe(0)
    expect(first.disk.locks.size).toBe(0)

    const second = new World(SimDisk.fromImage(first.disk.image()))
    const clean = await second.open()
    expect(clean.recovered).toMatchObject({ isNew: false, isClean: true, records: 10, tornBytes: 0 })
    expect(clean.recovered.previous).toMatchObject({
      incarnation: 1,
      incarnationId: made.incarnationId,
      durability: 'immediate',
      host: 'simulated',
      pid: 100,
      mayHaveLostPower: false,
      isOtherHost: false,
    })
    expect(clean.walId).toBe(made.walId)
    await second.append(clean, 5)
    const third = second.afterKill()
    const killed = await third.open()
    expect(killed.incarnation).toBe(3)
    expect(killed.recovered).toMatchObject({ isClean: false, records: 15 })
    expect(await third.items(killed)).toEqual(upTo(15))
    expect(third.disk.violations).toEqual([])
  })

  it('4.1: another boot or another host is told, an unknown boot counts as another', async () => {
    const killed = await killedLog(3)
    killed.disk.die()
    const image = killed.disk.image()
    const facts = async (host: object) => {
      const world = new World(SimDisk.fromImage(image))
      Object.assign(world.parts.host, host)
      return (await world.open()).recovered.previous
    }
    expect(await facts({})).toMatchObject({ mayHaveLostPower: false, isOtherHost: false })
    expect(await facts({ bootId: 'boot-2' })).toMatchObject({ mayHaveLostPower: true, isOtherHost: false })
    expect(await facts({ bootId: '' })).toMatchObject({ mayHaveLostPower: true })
    expect(await facts({ host: 'elsewhere' })).toMatchObject({ mayHaveLostPower: false, isOtherHost: true })
  })

  it('1.3, E10: which opening may have lost records with the power is known for each, through kills and rotations', async () => {
    const first = World.onNewDisk({ durability: 'os' })
    const one = await first.open()
    await first.append(one, 3)
    first.disk.die()
    const reopened = (image: Image, bootId: string, options: Partial<WalOptions> = {}) =>
      new World(SimDisk.fromImage(image), { ...first.options, ...options }, bootId)
    const second = reopened(first.disk.image(), 'boot-2')
    const two = await second.open()
    expect([1, 2, 99].map((n) => two.mayHaveLostPower(n))).toEqual([true, false, true])
    // Over several segments: the OPEN frames are recycled or behind a CHECKPOINT.
    await second.append(two, 60)
    expect(second.segments().length).toBeGreaterThan(1)
    second.disk.die()
    const third = reopened(second.disk.image(), 'boot-2', { durability: 'immediate' })
    const three = await third.open()
    expect([1, 2, 3].map((n) => three.mayHaveLostPower(n))).toEqual([true, false, false])
    expect(three.recovered.previous).toMatchObject({ incarnation: 2, mayHaveLostPower: false })
    third.disk.die()
    const fourth = reopened(third.disk.image(), 'boot-3')
    const four = await fourth.open()
    expect([1, 2, 3, 4].map((n) => four.mayHaveLostPower(n))).toEqual([true, false, false, false])
  })

  it('4.3: killed before any call of opening, the next opening finds the same, in the same files', async () => {
    const killed = await killedLog()
    killed.disk.die()
    const image = killed.disk.image()
    const deaths = await dieAtEachCall(image, {}, async (next, story) => {
      const log = await next.open()
      expect(await next.items(log), story).toEqual(upTo(60))
      expect(next.segments(), story).toEqual(killed.segments())
      expect(next.files('.tmp')).toEqual([])
    })
    expect(deaths).toBeGreaterThan(20)
  })

  it('4.3: killed ten times in a row right after OPEN: no further segment, the same records', async () => {
    // Room for ten OPEN frames before the next segment is made ready.
    let world = await killedLog(50, { segmentBytes: 32_768, maxBytes: 16 * 32_768 })
    const segments = world.segments()
    for (let crash = 0; crash < 10; crash++) {
      world = world.afterKill()
      const log = await world.open()
      expect(log.incarnation).toBe(crash + 2)
      expect(await world.items(log)).toEqual(upTo(50))
    }
    expect(world.segments()).toEqual(segments)
  })

  it('6.1: each call of opening fails once: it opens all the same or says why, and holds nothing', async () => {
    const killed = await killedLog(20)
    killed.disk.die()
    const image = killed.disk.image()
    let refusals = 0
    for (const code of ['EIO', 'ENOSPC', 'EMFILE', 'EACCES']) {
      for (let call = 0; ; call++) {
        const world = new World(SimDisk.fromImage(image))
        let hasFailed = false
        world.disk.inject = ({ index }) => {
          if (index !== call) return null
          hasFailed = true
          return { code }
        }
        const story = () => {
          const { kind, path } = world.disk.trace[call] ?? {}
          return `${code} at call ${call}: ${kind} ${path}`
        }
        try {
          const log = await world.open()
          if (!hasFailed) break
          await world.close(log)
        } catch (error) {
          refusals++
          expect((error as MQError).name, `${story()}: ${error}`).toBe('MQError')
          expect((error as MQError).message.length, story()).toBeGreaterThan(20)
        }
        await world.pump.drain()
        // A close that fails on this disk leaves the descriptor open; a real system has given it up.
        if (world.disk.trace[call]?.kind !== 'close') expect(world.disk.open_.size, `${story()}: descriptors`).toBe(0)
        expect(world.disk.locks.size, `${story()}: lock`).toBe(0)
        const again = new World(SimDisk.fromImage(world.disk.image()))
        const log = await again.open()
        expect(await again.items(log), story()).toEqual(upTo(20))
      }
    }
    expect(refusals).toBeGreaterThan(40)
  })

  it("2.8: damage of what was promised: 'stop' lists it and changes nothing, 'quarantine' sets it aside for good", async () => {
    const killed = await killedLog(20)
    const log = await killed.afterKill().open()
    const victim = log.entriesOf(0)[5]!
    killed.disk.die()
    const image = () => {
      const disk = SimDisk.fromImage(killed.disk.image())
      const file = disk.names.get('/wal/0000000000000001.wal')!
      file.write(Uint8Array.of(0xff, 0x00, 0xff), victim.at + 32 + 56 + ITEM_BYTES / 2)
      return disk.image()
    }
    const stopped = new World(SimDisk.fromImage(image()))
    const before = content(stopped.disk)
    const error = await errorOf(stopped.open())
    expect(error.code).toBe('DECOMPRESSION_FAILED')
    expect(error.context.reason).toBe('WAL_CORRUPT')
    expect(error.message).toContain(`LSN ${victim.lsn}`)
    expect(error.message).toContain('positions 5..5')
    expect(error.context.damages).toMatchObject([
      { segment: 1, fromLsn: victim.lsn, toLsn: victim.lsn, ranges: [{ stream: 0, from: 5, to: 5 }] },
    ])
    expect(content(stopped.disk)).toEqual(before)
    expect(stopped.disk.locks.size).toBe(0)

    const world = new World(SimDisk.fromImage(image()), { onCorruption: 'quarantine' })
    const going = await world.open()
    expect(going.recovered.holes).toMatchObject([
      { verdict: 'corrupt', fromLsn: victim.lsn, ranges: [{ from: 5, to: 5 }] },
    ])
    expect(going.measures().holeRecords).toBe(1)
    const rest = upTo(20).filter((position) => position !== 5)
    expect(await world.items(going)).toEqual(rest)
    const aside = world.disk.names.children(`/wal/${QUARANTINE_NAME}`)
    expect(aside.filter((name) => name.endsWith('.json'))).toHaveLength(1)
    expect(aside.filter((name) => name.endsWith('.bin'))).toHaveLength(1)
    expect(world.lines.filter((line) => line.startsWith('error'))).toHaveLength(1)

    const deaths = await dieAtEachCall(image(), { onCorruption: 'quarantine' }, async (again, story) => {
      const log = await again.open()
      expect(await again.items(log), story).toEqual(rest)
      expect(again.disk.names.children(`/wal/${QUARANTINE_NAME}`).sort(), story).toEqual(aside.sort())
    })
    expect(deaths).toBeGreaterThan(30)

    const next = world.afterKill({ onCorruption: 'stop' })
    const after = await next.open()
    expect(after.recovered.holes).toEqual([])
    expect(await next.items(after)).toEqual(rest)
  })

  it('2.1: a log of another owner, lost segments and a damaged MANIFEST each have their error', async () => {
    const killed = await killedLog(5)
    killed.disk.die()
    const opened = (change: (disk: SimDisk) => void, options = {}) => {
      const disk = SimDisk.fromImage(killed.disk.image())
      change(disk)
      return errorOf(new World(disk, options).open())
    }
    expect((await opened(() => {}, { owner: 'producer' })).message).toContain('is the log of a queue')
    const lost = await opened((disk) => {
      for (const name of killed.segments()) disk.names.unlink(`/wal/${name}`)
    })
    expect(lost.context.reason).toBe('WAL_SEGMENT_MISSING')
    expect(lost.fatal).toBe(true)
    const damaged = await opened((disk) => disk.names.get('/wal/MANIFEST')?.write(Uint8Array.of(0x21), 5))
    expect(damaged.context.reason).toBe('WAL_CORRUPT')
    const missing = await opened((disk) => disk.names.unlink('/wal/MANIFEST'))
    expect(missing.context.reason).toBe('WAL_MANIFEST_MISSING')
  })

  it('2.1: temporary files go, when it is certain that the log opens', async () => {
    const world = (await killedLog(5)).afterKill()
    world.disk.seed('/wal/spare-7.seg.tmp', 'file')
    const log = await world.open()
    expect(world.files('.tmp')).not.toContain('spare-7.seg.tmp')
    await world.close(log)
  })

  it('3.8: on a full disk a log opens for draining', async () => {
    const killed = await killedLog(20)
    const world = killed.afterKill()
    for (const name of world.files('.seg')) world.disk.names.unlink(`/wal/${name}`)
    world.disk.capacityBytes = world.disk.usedBytes
    const log = await world.open()
    expect(await world.items(log)).toEqual(upTo(20))
    log.settle(0, 0, 19, 0, -1)
    log.flush()
    await world.pump.until(log.sync(), 'sync')
    expect(log.measures().unsettledRecords).toBe(0)
    await world.close(log)
  })

  it('4.3: progress is told, the end of the local phase always', async () => {
    const world = (await killedLog(20)).afterKill()
    await world.open()
    const steps = world.told.filter(({ event }) => event === 'progress').map(({ value }) => value as { phase: string })
    expect(steps.at(-1)).toMatchObject({ phase: 'done', entries: expect.any(Number) })
    expect(new Set(steps.map(({ phase }) => phase))).toContain('scan')
  })

  it('3.1: closing twice is one closing; afterwards the directory is free and nothing is open', async () => {
    const world = await killedLog(0)
    const next = world.afterKill()
    const log = await next.open()
    await next.append(log, 3)
    const closing = log.close()
    expect(log.close()).toBe(closing)
    await next.pump.until(closing, 'close')
    expect(log.close({ timeoutMs: 1 })).toBe(closing)
    expect(next.disk.open_.size).toBe(0)
    expect(next.disk.locks.size).toBe(0)
    const again = await next.open()
    expect(again.recovered.isClean).toBe(true)
  })

  it('2.2, 3.9: closing on a hanging disk is bounded, and the lock stays until the last call has come back', async () => {
    const world = await killedLog(3)
    const next = world.afterKill()
    const log = await next.open()
    next.disk.inject = ({ kind }) => (kind === 'fdatasync' ? { isHung: true } : null)
    log.appendItem(0, new Uint8Array(10), 10)
    log.flush()
    const accepted = log.accepted(log.lastLsn)
    accepted.catch(() => {})
    const closing = log.close({ timeoutMs: 100 })
    await next.pump.until(
      closing.catch(() => {}),
      'close',
    )
    expect(next.disk.locks.size).toBe(1)
    next.disk.inject = null
    while (next.disk.flights.length > 0) {
      next.disk.complete()
      await next.pump.settle()
    }
    expect(next.disk.locks.size).toBe(0)
  })
})
