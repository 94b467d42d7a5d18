import { describe, expect, it } from 'vitest'
import { Refill } from '../../lib/cluster/pool/refill.js'
import { MQError } from '../../lib/errors/index.js'
import { FakeClock, seededRandom } from '../../lib/util/index.js'

function stage(wanted: number) {
  const clock = new FakeClock()
  const told: MQError[] = []
  const state = { ready: 0, opening: 0, attempts: 0, error: null as MQError | null, hasRoom: true }
  const refill = new Refill({
    clock,
    random: seededRandom(1),
    backoffMs: 100,
    backoffMaxMs: 1_000,
    missing: () => wanted - state.ready - state.opening,
    open: () => {
      if (!state.hasRoom) return null
      state.attempts++
      state.opening++
      const { error } = state
      return Promise.resolve().then(() => {
        state.opening--
        if (error !== null) throw error
        state.ready++
      })
    },
    failed: (error) => told.push(error),
  })
  return { clock, refill, state, told }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

describe('CL-3: connections that are kept ready', () => {
  it('before the pool was used nothing is opened; after that as many as are missing', async () => {
    const { refill, state, clock } = stage(3)
    refill.look()
    expect(state.attempts).toBe(0)
    refill.start()
    refill.look()
    refill.look()
    await turns()
    expect([state.ready, state.attempts, clock.pendingTimers]).toEqual([3, 3, 0])
  })

  it('without room nothing is opened and no timer is set', () => {
    const { refill, state, clock } = stage(3)
    state.hasRoom = false
    refill.start()
    refill.look()
    expect([state.attempts, clock.pendingTimers]).toEqual([0, 0])
  })

  it('failed attempts are repeated after a back-off that grows to its limit, never sooner; one timer for all', async () => {
    const { refill, state, clock, told } = stage(2)
    state.error = new MQError('CONNECTION_FAILED', 'refused')
    refill.start()
    refill.look()
    await turns()
    expect([state.attempts, clock.pendingTimers]).toEqual([2, 1])
    refill.look()
    expect(state.attempts).toBe(2)
    await clock.advanceAsync(20_000, 50)
    const inTwentySeconds = state.attempts
    expect(inTwentySeconds).toBeGreaterThan(2 * 15)
    expect(inTwentySeconds).toBeLessThan(2 * 120)
    expect(told.length).toBe(inTwentySeconds)
    state.error = null
    await clock.advanceAsync(1_001, 50)
    expect([state.ready, clock.pendingTimers]).toEqual([2, 0])
  })

  it('refused credentials end it until the pool is used again', async () => {
    const { refill, state, clock, told } = stage(1)
    state.error = new MQError('AUTHENTICATION_FAILED', 'wrong password')
    refill.start()
    refill.look()
    await turns()
    expect([told.map(({ code }) => code), clock.pendingTimers]).toEqual([['AUTHENTICATION_FAILED'], 0])
    refill.look()
    await clock.advanceAsync(60_000, 1_000)
    expect(state.attempts).toBe(1)
    state.error = null
    refill.start()
    refill.look()
    await turns()
    expect(state.ready).toBe(1)
  })

  it('after stop no timer is left, and an attempt under way tells nobody', async () => {
    const { refill, state, clock, told } = stage(1)
    state.error = new MQError('CONNECTION_FAILED', 'refused')
    refill.start()
    refill.look()
    await turns()
    expect(clock.pendingTimers).toBe(1)
    refill.stop()
    expect(clock.pendingTimers).toBe(0)
    refill.start()
    refill.look()
    refill.stop()
    await turns()
    expect([told.length, clock.pendingTimers]).toEqual([1, 0])
  })
})
