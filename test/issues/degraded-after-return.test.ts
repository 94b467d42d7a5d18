/**
 * All brokers went and came back: records flowed again, and for up to five seconds (the longest back-off between questions
 * for metadata) health went on saying that no broker tells about the cluster.
 */
import { expect, it } from 'vitest'
import { pass, passUntil, scene } from '../cluster/support.js'

it('CL-4, PR-19: the cluster is asked as soon as a connection is there again, not when the back-off ends', async () => {
  const { cluster, clock, net, state, brokers } = scene(1)
  await cluster.connect()
  cluster.useTopic('orders')
  await passUntil(clock, cluster.refresh('test'))
  const port = state.brokers[0]?.port as number
  net.refuse(port)
  brokers[0]?.hangUp()
  for (let seen = 0; seen < 20; seen++) {
    cluster.refresh('test').catch(() => {})
    await pass(clock, 500, 50)
  }
  expect(cluster.metadataError?.code).toBe('CONNECTION_FAILED')
  net.listenAt(port, brokers[0]!.accept)
  await passUntil(clock, cluster.link(1, 'produce').whenReady(10_000))
  await pass(clock, 110)
  expect(cluster.metadataError).toBeNull()
})
