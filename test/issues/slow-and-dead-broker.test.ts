/**
 * A broker that is silent for a second is passed over, but not given up: its late answer still counts. Otherwise a slow
 * cluster of which one broker is dead could not be asked anything: too slow here, refused there.
 */
import { expect, it } from 'vitest'
import { FindCoordinator } from '../../lib/protocol/index.js'
import { failureOf, passUntil, scene } from '../cluster/support.js'

function slowAndDead(afterMs: number) {
  const s = scene(2, { maxRetries: 0 })
  const { host, port } = s.state.brokers[0] ?? { host: '', port: 0 }
  s.brokers[0]?.on(FindCoordinator, (request) => {
    const found = { nodeId: 1, host, port, errorCode: 0 }
    const coordinators = request.body.coordinatorKeys.map((key) => ({ key, ...found }))
    s.clock.setTimer(() => request.reply({ coordinators }), afterMs)
  })
  return s
}

it('W-29: the late answer of a slow broker counts when the other one dies', async () => {
  const s = slowAndDead(3_000)
  s.brokers[1]?.on(FindCoordinator, () => s.brokers[1]?.hangUp())
  await passUntil(s.clock, s.cluster.connect())
  await passUntil(s.clock, s.cluster.link(1, 'control').whenReady(1_000))
  const fromMs = s.clock.monotonicMs()
  expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(1)
  expect(s.clock.monotonicMs() - fromMs).toBeLessThan(3_200)
  expect(s.brokers[0]?.count(FindCoordinator)).toBe(1)
})

it('W-29: the late answer of a slow broker counts while another one is asked and silent too', async () => {
  const s = slowAndDead(1_500)
  s.brokers[1]?.on(FindCoordinator, () => {})
  await passUntil(s.clock, s.cluster.connect())
  await passUntil(s.clock, s.cluster.link(1, 'control').whenReady(1_000))
  const fromMs = s.clock.monotonicMs()
  expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(1)
  expect(s.clock.monotonicMs() - fromMs).toBeLessThan(1_700)
})

it('W-29: brokers that are all silent end at the deadline', async () => {
  const s = scene(2)
  for (const broker of s.brokers) broker.on(FindCoordinator, () => {})
  const deadlineMs = s.clock.monotonicMs() + 5_000
  const error = await passUntil(s.clock, failureOf(s.cluster.coordinator('g', { deadlineMs })))
  expect(error.code).toBe('TIMEOUT')
  expect(s.clock.monotonicMs()).toBeLessThan(deadlineMs + 100)
})
