/**
 * One partition without a leader kept a group member from reading all others that the group had no offset of: their
 * positions were used only when every one was known, and asked for again together. Found by the group simulation.
 * C-18, C-41.
 */
import { expect, it } from 'vitest'
import { bench, expected, Seen } from '../consumer/support.js'

const on = bench()

it('C-41: a partition without a leader does not keep those with one from being read', async () => {
  const broker = await on.start({ nodes: 2 })
  broker.createTopic('t', { assignments: [[1], [2]] })
  await on.produceNumbers('t', 0, 0, 3)
  await on.produceNumbers('t', 1, 0, 3)
  await broker.kill(2)
  const seen = new Seen()
  const consumer = on.consumer({ groupId: 'g' })
  const subscribed = consumer.subscribe('t', seen.take)
  subscribed.catch(() => {}) // It waits for the other one's position.
  await seen.count(3)
  expect(seen.records).toEqual(expected('t', 0, 0, 3))
  await broker.start(2)
  await seen.count(6)
  await subscribed
  expect(seen.of('t', 1)).toEqual(expected('t', 1, 0, 3))
})
