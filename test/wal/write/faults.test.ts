/** The n-th call fails, whichever it is: nothing that was accepted is lost, no promise stays open, no bound is broken. */
import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../../lib/util/index.js'
import type { LogDurability } from '../../../lib/wal/index.js'
import { ERRNOS, failCall } from '../../support/wal-sim/index.js'
import { Driver } from './support/driver.js'

const MODES: readonly LogDurability[] = ['os', 'periodic', 'immediate']

let lastFault = ''
let unclosed = 0

async function run(seed: number, durability: LogDurability, isForEver: boolean): Promise<string> {
  const driver = new Driver(seed, { durability, maxBytes: 10 * 16_384, groupMaxBytes: 2048 })
  const random = seededRandom(seed * 7 + 1)
  await driver.open()
  const code = ERRNOS[randomInt(random, ERRNOS.length)] as string
  const at = driver.disk.calls + randomInt(random, 160)
  const dropsPages = random.next() < 0.5
  const fault = failCall(at, { code, dropsPages, ...(random.next() < 0.3 ? { written: 700 } : {}) }, isForEver)
  lastFault = 'no call failed'
  unclosed = 0
  driver.disk.inject = (call, disk) => {
    const answer = fault(call, disk)
    if (answer !== null && call.kind === 'close') unclosed++
    if (answer !== null)
      lastFault = `${call.index} ${call.kind} ${call.path} ${call.position} ${JSON.stringify(answer)}`
    return answer
  }
  const streams = [driver.log.streamOf('a', '', 0), driver.log.streamOf('a', '', 1)]
  for (let step = 0; step < 260 && driver.log.failure === null; step++) {
    const dice = random.next()
    if (dice < 0.55)
      driver.append(streams[randomInt(random, 2)] as number, 1 + randomInt(random, 5), randomInt(random, 900))
    else if (dice < 0.75) {
      const owed = driver.owed
      const oldest = owed[random.next() < 0.8 ? 0 : randomInt(random, owed.length)]
      if (oldest !== undefined) driver.settle(oldest)
    } else if (dice < 0.77 && durability !== 'immediate') {
      const synced = driver.log.sync()
      synced.catch(() => {})
    }
    if (random.next() < 0.6) await driver.pump.step()
  }
  driver.disk.inject = null
  driver.parts.clock.advance(1100)
  await driver.pump.drain(30)
  driver.parts.clock.advance(1100)
  await driver.pump.drain(30)
  const { failure } = driver.log
  if (failure === null) {
    await driver.check()
    for (const { isAccepted, lsn } of driver.book) expect(isAccepted, `LSN ${lsn} is accepted in the end`).toBe(true)
  } else for (const { isAccepted, isRefused } of driver.book) expect(isAccepted || isRefused).toBe(true)
  const closed = await driver.pump.until(
    driver.log.close({ timeoutMs: 2000 }).then(
      () => null,
      (error) => error,
    ),
    'close',
  )
  if (failure === null) expect(closed).toBeNull()
  else expect(closed).toBe(failure)
  expect(driver.parts.clock.pendingTimers, 'timers after close').toBe(0)
  await driver.pump.drain(5)
  // Where closing failed the simulated descriptor stays; a real one is gone, and is never closed again.
  expect(driver.disk.open_.size, 'descriptors after close').toBe(unclosed)
  await driver.killAndReopen()
  await driver.check()
  await driver.pump.until(driver.log.close(), 'second close')
  return failure === null ? driver.log.state : 'failed'
}

describe('wal.md 3.7, 3.8, 6.2 B: an error of the disk at any call', () => {
  for (const durability of MODES) {
    for (const isForEver of [false, true]) {
      it(`WA-6: ${durability}, ${isForEver ? 'for ever' : 'once'}: nothing accepted is lost, every promise settles`, async () => {
        const first = Number(process.env.SEED ?? 1)
        const count = Number(process.env.SEEDS ?? 10)
        for (let seed = first; seed < first + count; seed++) {
          try {
            await run(seed, durability, isForEver)
          } catch (error) {
            throw new Error(
              `seed ${seed}, ${durability}, ${isForEver ? 'for ever' : 'once'}: SEED=${seed} SEEDS=1 ${lastFault}`,
              { cause: error },
            )
          }
        }
      }, 120_000)
    }
  }
})
