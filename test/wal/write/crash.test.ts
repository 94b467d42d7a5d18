/** The process dies, or the machine loses power, at a random moment: what was promised is found again. */
import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../../lib/util/index.js'
import type { LogDurability } from '../../../lib/wal/index.js'
import { CrashStates, failNth, SimDisk } from '../../support/wal-sim/index.js'
import { Driver } from './support/driver.js'

async function life(seed: number, durability: LogDurability, isFaulty: boolean): Promise<Driver> {
  const driver = new Driver(seed, { durability, maxBytes: 8 * 16_384, groupMaxBytes: 2048 })
  const random = seededRandom(seed * 31 + 5)
  await driver.open()
  const streams = [driver.log.streamOf('a', '', 0), driver.log.streamOf('a', '', 1)]
  if (isFaulty) {
    const kind = random.next() < 0.5 ? 'write' : 'fdatasync'
    driver.disk.inject = failNth(kind, 1 + randomInt(random, 40), { code: 'EIO', dropsPages: true })
  }
  const steps = 20 + randomInt(random, 300)
  for (let step = 0; step < steps && driver.log.failure === null; step++) {
    if (random.next() < 0.6)
      driver.append(streams[randomInt(random, 2)]!, 1 + randomInt(random, 5), randomInt(random, 900))
    else {
      const { owed } = driver
      const chosen = owed[random.next() < 0.9 ? 0 : randomInt(random, owed.length)]
      if (chosen !== undefined) driver.settle(chosen)
    }
    if (random.next() < 0.7) await driver.pump.step()
  }
  return driver
}

async function reopened(seed: number, before: Driver, disk: SimDisk, bootId: string): Promise<void> {
  const after = new Driver(seed + 1, before.options, disk)
  after.book.push(...before.book)
  await after.killAndReopen(bootId)
  await after.check()
  for (const stream of after.log.streams) {
    let next = 0
    for (const { firstPosition, count } of after.log.entriesOf(stream.id)) {
      expect(firstPosition, 'no position twice').toBeGreaterThanOrEqual(next)
      next = firstPosition + count
    }
  }
  const stream = after.log.streamOf('a', '', 0)
  const more = after.append(stream, 1, 20)
  await after.pump.until(after.log.sync(), 'sync')
  if (more !== null) expect(more.isAccepted).toBe(true)
  await after.pump.until(after.log.close(), 'close')
}

const first = Number(process.env.SEED ?? 1)
const count = Number(process.env.SEEDS ?? 15)

async function each(run: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    try {
      await run(seed)
    } catch (error) {
      throw new Error(`SEED=${seed} SEEDS=1`, { cause: error })
    }
  }
}

describe('wal.md 1.1: what a crash leaves', () => {
  for (const isFaulty of [false, true]) {
    for (const durability of ['os', 'periodic', 'immediate'] as const) {
      it(
        `kill -9 in ${durability}${isFaulty ? ' with a segment given up' : ''}: nothing accepted is lost`,
        () =>
          each(async (seed) => {
            const driver = await life(seed, durability, isFaulty)
            if (driver.log.failure !== null) return
            await reopened(seed, driver, SimDisk.afterKill(driver.disk, seededRandom(seed)), 'boot-1')
          }),
        120_000,
      )
    }

    it(
      `power loss in immediate${isFaulty ? ' with a segment given up' : ''}: nothing accepted is lost`,
      () =>
        each(async (seed) => {
          const driver = await life(seed, 'immediate', isFaulty)
          if (driver.log.failure !== null) return
          const images: ReturnType<SimDisk['image']>[] = []
          const states = new CrashStates(driver.disk, 'power')
          states.forEach(12, seededRandom(seed), () => {
            if (!Number.isNaN(states.hash()) && states.torn === null) images.push(states.image())
          })
          expect(images.length).toBeGreaterThan(0)
          for (const image of images) await reopened(seed, driver, SimDisk.fromImage(image), 'boot-2')
        }),
      120_000,
    )
  }

  // The sync of the old segment failed when the new one had data: the new one was given up as a whole, and a record
  // that waited at that moment made it the oldest needed one after the old one was freed.
  it('seed 1122: a segment that is given up as a whole never becomes the first one', async () => {
    const driver = await life(1122, 'periodic', true)
    await reopened(1122, driver, SimDisk.afterKill(driver.disk, seededRandom(1122)), 'boot-1')
  })
})
