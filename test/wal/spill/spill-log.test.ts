/** CH-17, wal.md 1.1: the log behind a channel that spills, on the simulated disk and once on the real one. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { queueFields } from '../../../lib/config/queue-fields.js'
import { walFields } from '../../../lib/config/wal-fields.js'
import type { MQError } from '../../../lib/errors/index.js'
import { randomInt, seededRandom, silentLogger } from '../../../lib/util/index.js'
import { openSpillLog, type SpillLogOptions, type WalOptions } from '../../../lib/wal/index.js'
import { spillWalOptions } from '../../../lib/wal/spill/options.js'
import { WalSpillLog } from '../../../lib/wal/spill/wal-spill-log.js'
import { SimDisk } from '../../support/wal-sim/index.js'
import { World } from '../open/support/world.js'

const SEED = Number(process.env.SEED ?? 20_261_122)

/** A log of 16 segments of 16 KiB; what is in it, and what came out, as numbers. */
class Stage {
  readonly world: World
  log!: WalSpillLog
  rooms = 0

  constructor(world: World) {
    this.world = world
  }

  static async onNewDisk(options: Partial<WalOptions> = {}): Promise<Stage> {
    return new Stage(World.onNewDisk({ durability: 'spill', owner: 'queue', ...options })).opened()
  }

  async opened(): Promise<Stage> {
    this.log = await this.world.pump.until(WalSpillLog.open(this.world.options, this.world.parts), 'open')
    this.log.onRoom = () => this.rooms++
    await this.world.pump.drain() // The files it goes on in are made.
    return this
  }

  /** Pushes these numbers; one that is refused once more when the disk has come to rest. */
  async pushAll(numbers: readonly number[]): Promise<void> {
    for (const n of numbers) {
      for (let wait = 0; !this.push(n); wait++) {
        expect(wait, `push ${n}: ${this.world.pump.waitingFor()}`).toBeLessThan(3)
        await this.world.pump.drain()
      }
    }
  }

  /** Pushes number `n` in so many bytes. */
  push(n: number, bytes = 100): boolean {
    return this.log.push(payloadOf(n, bytes))
  }

  async read(maxBytes = 1_000): Promise<number[]> {
    return (await this.world.pump.until(this.log.read(maxBytes), 'read')).map(numberOf)
  }

  /** Reads and drops until nothing is left. */
  async drained(maxBytes = 1_000): Promise<number[]> {
    const found: number[] = []
    while (this.log.records > 0) {
      const page = await this.read(maxBytes)
      this.log.shift(page.length)
      found.push(...page)
    }
    return found
  }

  async close(): Promise<void> {
    await this.world.pump.until(this.log.close(), 'close')
  }

  /** The next process, after this one was killed with its calls half done, or ended well. */
  async next(): Promise<Stage> {
    return new Stage(this.world.afterKill()).opened()
  }

  /** Pushes from `n` on until the log refuses; gives the first number refused. */
  async fill(n: number, bytes: number): Promise<number> {
    for (let refusals = 0; refusals < 3; ) {
      if (this.push(n, bytes)) {
        n++
        refusals = 0
        continue
      }
      refusals++ // Too much unwritten, perhaps: what stays refused when the disk rests is full.
      await this.world.pump.drain()
    }
    return n
  }
}

function payloadOf(n: number, bytes: number): Uint8Array {
  const payload = Buffer.alloc(bytes, n & 0xff)
  if (bytes >= 4) payload.writeUInt32BE(n)
  return payload
}

function numberOf(payload: Uint8Array): number {
  const n = Buffer.from(payload).readUInt32BE(0)
  expect(Buffer.compare(payload, payloadOf(n, payload.length))).toBe(0)
  return n
}

function from(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index)
}

function refused(task: () => unknown): MQError {
  try {
    task()
  } catch (error) {
    return error as MQError
  }
  throw new Error('it was not refused')
}

async function rejected(promise: Promise<unknown>): Promise<MQError> {
  return promise.then(
    () => {
      throw new Error('it was not rejected')
    },
    (error: MQError) => error,
  )
}

describe('the log of a channel that spills', () => {
  it('CH-17: first in, first out; what was read stays until it is shifted', async () => {
    const stage = await Stage.onNewDisk()
    await stage.pushAll(from(0, 25))
    expect(stage.log.records).toBe(25)
    expect(stage.log.bytes).toBe(25 * 101)

    expect(await stage.read(1_000)).toEqual(from(0, 10))
    expect(await stage.read(1_000)).toEqual(from(0, 10))
    stage.log.shift(4)
    expect(stage.log.records).toBe(21)
    expect(stage.log.bytes).toBe(21 * 101)
    expect(await stage.read(1_000)).toEqual(from(4, 14))
    stage.log.shift(2) // Dropped in parts.
    stage.log.shift(3)
    expect(await stage.read(1)).toEqual([9])
    expect(stage.push(25)).toBe(true)
    expect(await stage.drained()).toEqual(from(9, 26))
    expect(stage.log.bytes).toBe(0)
    expect(await stage.read()).toEqual([])
    await stage.close()
    expect(stage.world.disk.violations).toEqual([])
  })

  it('CH-17: a payload of no bytes and one above the page come out as they went in', async () => {
    const stage = await Stage.onNewDisk()
    stage.log.push(new Uint8Array(0))
    stage.push(7, 3_000)
    const read = async () => (await stage.world.pump.until(stage.log.read(10), 'read')).map(({ length }) => length)
    expect(await read()).toEqual([0])
    stage.log.shift(1)
    expect(await read()).toEqual([3_000])
  })

  it('CH-17: what is pushed is copied at once', async () => {
    const stage = await Stage.onNewDisk()
    const payload = payloadOf(1, 50)
    stage.log.push(payload)
    payload.fill(0)
    expect(await stage.read()).toEqual([1])
  })

  it('CH-17: after a close and a restart the rest is read first, then what came later', async () => {
    const first = await Stage.onNewDisk()
    await first.pushAll(from(0, 60))
    first.log.shift((await first.read(1_700)).length)
    await first.close()

    const second = await first.next()
    expect(second.log.records).toBe(43)
    expect(Math.abs(second.log.bytes - 43 * 101)).toBeLessThan(101)
    expect(second.push(60)).toBe(true)
    expect(await second.drained()).toEqual(from(17, 61))
    expect(second.log.bytes).toBe(0)
    await second.close()
    expect((await second.next()).log.records).toBe(0)
  })

  it('wal.md 1.1: a killed process loses nothing that was written; the torn tail is cut off', async () => {
    console.info(`seed ${SEED}`)
    const random = seededRandom(SEED)
    for (let round = 0; round < 40; round++) {
      const first = await Stage.onNewDisk()
      let end = 0
      let written = 0
      let shifted = 0
      for (let step = 0; step < 1 + randomInt(random, 60); step++) {
        const roll = randomInt(random, 10)
        if (roll < 6) {
          if (first.push(end, 4 + randomInt(random, 900))) end++
        } else if (roll < 8) await first.world.pump.step()
        else if (roll < 9) {
          await first.world.pump.drain()
          written = end
        } else {
          const page = await first.read(2_000)
          first.log.shift(page.length)
          shifted += page.length
        }
      }
      const next = new World(SimDisk.afterKill(first.world.disk, random), { durability: 'spill', owner: 'queue' })
      const second = await new Stage(next).opened()
      const found = await second.drained()
      const story = `seed ${SEED}, round ${round}: pushed ${end}, written ${written}, shifted ${shifted}, found ${found[0]}..${found.at(-1)}`
      // In order, without a gap, beginning no later than what was shifted and ending no sooner than what was written.
      const [begin = end] = found
      expect(found, story).toEqual(from(begin, begin + found.length))
      if (found.length > 0) expect(begin, story).toBeLessThanOrEqual(shifted)
      expect(Math.max(shifted, begin + found.length), story).toBeGreaterThanOrEqual(written)
      expect(next.disk.violations, story).toEqual([])
    }
  })

  it('CH-17: a full log refuses, takes all it said yes to, and tells when there is room again', async () => {
    const stage = await Stage.onNewDisk()
    const end = await stage.fill(0, 1_000)
    expect(end).toBeGreaterThan(100)
    const bytes = () => stage.world.files().reduce((sum, name) => sum + fileBytes(stage.world.disk, name), 0)
    expect(bytes()).toBeLessThanOrEqual(stage.world.options.maxBytes + 4_096) // MANIFEST and LOCK are no segments.
    stage.rooms = 0 // Those told while unwritten bytes made way.

    const found: number[] = []
    while (stage.rooms === 0) {
      const page = await stage.read(4_000)
      expect(page.length, 'emptied, and no room was told').toBeGreaterThan(0)
      stage.log.shift(page.length)
      found.push(...page)
      await stage.world.pump.drain()
    }
    expect(stage.push(end, 1_000)).toBe(true)
    found.push(...(await stage.drained()))
    expect(found).toEqual(from(0, end + 1))
    expect(bytes()).toBeLessThanOrEqual(stage.world.options.maxBytes + 4_096)
  })

  it('CH-17: a frame that is damaged rejects, again and again, and loses nothing; whole again it is read', async () => {
    const before = await Stage.onNewDisk()
    await before.pushAll(from(0, 5))
    await before.world.pump.drain()
    await before.pushAll(from(5, 10))
    await before.close()
    const first = await before.next() // What it did not write itself is not in its memory.

    const path = `/wal/${first.world.segments()[0]}`
    const file = first.world.disk.names.get(path)
    if (file === undefined) throw new Error(`no ${path}`)
    const all = new Uint8Array(file.cachedBytes)
    file.read(all, 0)
    const at = Buffer.from(all).indexOf(payloadOf(6, 100)) + 50
    const good = all.slice(at, at + 1)
    file.write(Uint8Array.of((good[0] as number) ^ 1), at)

    // What stands before the damage is given first.
    expect(await first.read(10_000)).toEqual(from(0, 5))
    first.log.shift(5)
    for (let time = 0; time < 2; time++) {
      const error = await rejected(first.world.pump.until(first.log.read(10_000), 'read'))
      expect(error).toMatchObject({ code: 'DECOMPRESSION_FAILED', context: { reason: 'WAL_CORRUPT' } })
      expect(first.log.records).toBe(5)
      expect(() => first.log.shift(1)).toThrow('only what was read')
    }
    file.write(good, at)
    expect(await first.drained()).toEqual(from(5, 10))
  })

  it('CH-17: a read that a closed channel left on its way is answered first, and does not disturb the next one', async () => {
    const stage = await Stage.onNewDisk()
    await stage.pushAll(from(0, 9))
    await stage.close()
    const next = await stage.next()
    const left = next.log.read(100)
    expect(() => next.log.shift(1)).toThrow('only what was read')
    const second = next.log.read(250)
    expect((await next.world.pump.until(left, 'the read left over')).map(numberOf)).toEqual([0])
    expect((await next.world.pump.until(second, 'the next read')).map(numberOf)).toEqual([0, 1])
    next.log.shift(2)
    expect(await next.drained()).toEqual(from(2, 9))
  })

  it('CH-17: what can never fit is refused by its size, and the log goes on', async () => {
    const stage = await Stage.onNewDisk()
    const error = refused(() => stage.push(0, 5_000))
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', context: { reason: 'WAL_FRAME_TOO_LARGE', bytes: 5_000 } })
    const { maxBytes } = error.context as { maxBytes: number }
    expect(stage.push(1, maxBytes)).toBe(true)
    expect(refused(() => stage.push(1, maxBytes + 1)).code).toBe('MESSAGE_TOO_LARGE')
    expect(await stage.drained()).toEqual([1])
  })

  it('CH-17: a disk that fails: push throws, who waits for room is woken, what is in memory can still be read', async () => {
    const stage = await Stage.onNewDisk()
    await stage.pushAll([0])
    await stage.world.pump.drain()
    stage.world.disk.inject = ({ kind }) =>
      kind === 'write' || kind === 'fdatasync' || kind === 'open' ? { code: 'EIO' } : null
    await stage.pushAll([1])
    await stage.world.pump.drain()
    await stage.world.pump.drain()
    const error = refused(() => stage.push(2))
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', context: { reason: 'WAL_FAILED' } })
    expect(stage.rooms).toBeGreaterThan(0)
    expect(stage.world.lines.join('\n')).toContain('the spill log has failed')
    stage.world.disk.inject = null
    expect(await stage.drained()).toEqual([0, 1])
  })

  it('CH-17: close is idempotent; afterwards every call says that the log is closed', async () => {
    const stage = await Stage.onNewDisk()
    await stage.pushAll([0])
    const closing = stage.log.close()
    expect(stage.log.close()).toBe(closing)
    await stage.world.pump.until(closing, 'close')
    expect(stage.world.disk.open_.size).toBe(0)
    expect(stage.world.disk.locks.size).toBe(0)
    expect(stage.world.parts.clock.pendingTimers).toBe(0)
    const closed = { code: 'PRODUCE_FAILED', context: { reason: 'WAL_FAILED' } }
    expect(refused(() => stage.push(1))).toMatchObject(closed)
    expect(refused(() => stage.log.shift(0))).toMatchObject(closed)
    expect(await rejected(stage.log.read(10))).toMatchObject(closed)
  })

  it("CH-17: a queue's directory is refused, and its lock is free again", async () => {
    const world = World.onNewDisk({ owner: 'queue', durability: 'os' })
    const wal = await world.open()
    wal.streamOf('queue', '', 0)
    await world.close(wal)
    const next = world.afterKill()
    const error = await rejected(next.pump.until(WalSpillLog.open(next.options, next.parts), 'open'))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', context: { field: 'dir' } })
    expect(next.disk.locks.size).toBe(0)
    await next.close(await next.open())
  })

  it('CH-17: on the real file system: written, closed, opened by the next one, read in order, within maxBytes', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tandem-spill-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const maxBytes = 8 * 1024 * 1024
    const options = { dir, maxBytes, minFreeBytes: 0, logger: silentLogger }
    const first = await openSpillLog(options)
    expect(await rejected(openSpillLog(options))).toMatchObject({ context: { reason: 'WAL_LOCKED' } })
    let end = 0
    const room = () => new Promise<void>((resolve) => (first.onRoom = resolve))
    while (first.bytes < maxBytes / 4) {
      if (first.push(payloadOf(end, 1_000))) end++
      else await room()
    }
    const page = await first.read(500_000)
    expect(page.map(numberOf)).toEqual(from(0, 500))
    first.shift(500)
    await first.close()
    const used = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)
    expect(used).toBeLessThanOrEqual(maxBytes + 4_096)

    const second = await openSpillLog(options)
    expect(second.records).toBe(end - 500)
    const found: number[] = []
    while (second.records > 0) {
      const numbers = (await second.read(300_000)).map(numberOf)
      second.shift(numbers.length)
      found.push(...numbers)
    }
    expect(found).toEqual(from(500, end))
    await second.close()
  })
})

describe('the options of a spill log', () => {
  it('CH-17: defaults are those of the configuration', () => {
    const options = spillWalOptions({ dir: 'x' })
    expect(options.maxBytes).toBe(queueFields.walMaxBytes?.default)
    expect(options.segmentBytes).toBe(8 * 1024 * 1024)
    for (const [name, value] of Object.entries(options)) {
      if (['dir', 'owner', 'durability', 'maxBytes', 'segmentBytes'].includes(name)) continue
      expect(value, name).toBe(walFields[`wal.${name as 'scrub'}`].default)
    }
  })

  it.each<[string, Record<string, unknown>]>([
    ['dir', { dir: '' }],
    ['dir', { dir: undefined }],
    ['maxBytes', { maxBytes: 1024 }],
    ['maxBytes', { maxBytes: Number.NaN }],
    ['segmentBytes', { segmentBytes: 3_000_000 }],
    ['segmentBytes', { maxBytes: 8 * 1024 * 1024, segmentBytes: 2 * 1024 * 1024 }],
    ['minFreeBytes', { minFreeBytes: -1 }],
    ['onCorruption', { onCorruption: 'ignore' }],
    ['allowUnsafeDir', { allowUnsafeDir: 1 }],
  ])('CH-17: a wrong %s is named: %j', async (field, wrong) => {
    const error = await rejected(openSpillLog({ dir: 'x', ...wrong } as SpillLogOptions))
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', context: { field } })
    expect(error.message).toContain(`${field} is `)
  })

  it('CH-17: no options at all are told as such', async () => {
    expect(await rejected(openSpillLog(null as unknown as SpillLogOptions))).toMatchObject({ code: 'INVALID_CONFIG' })
  })
})

function fileBytes(disk: SimDisk, name: string): number {
  return disk.names.get(`/wal/${name}`)?.cachedBytes ?? 0
}
