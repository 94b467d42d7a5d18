/**
 * A topic was assigned as a whole and one of its partitions unassigned. The next news of the topic, an elected leader
 * say, found that partition missing, took it for a new one and read it again from its beginning. New are only
 * partitions beyond those the topic had. And a topic that grew while `assign` looked up positions never got its new
 * partitions. CO-6, C-30.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { bench, expected, Seen } from '../consumer/support.js'

const on = bench()

it('CO-6: an unassigned partition of a whole topic does not come back when its leader moves', async () => {
  const broker = await on.start({ nodes: 3 })
  broker.createTopic('t', { partitions: 2, replicationFactor: 3 })
  await on.produceNumbers('t', 0, 0, 3)
  await on.produceNumbers('t', 1, 0, 3)
  const seen = new Seen()
  const consumer = on.consumer({ metadataMaxAgeMs: 1_000 })
  await consumer.assign(['t'], seen.take)
  await seen.count(6)
  consumer.unassign([{ topic: 't', partition: 1 }])
  for (const partition of [0, 1]) {
    const { leader } = broker.log('t', partition)
    broker.moveLeader({ topic: 't', partition }, (leader % 3) + 1)
  }
  await on.produceNumbers('t', 0, 3, 3)
  broker.addPartitions('t', 3)
  await on.produceNumbers('t', 2, 0, 2)
  await seen.until(() => seen.of('t', 2).length === 2 && seen.of('t', 0).length === 6)
  expect(seen.of('t', 1)).toEqual(expected('t', 1, 0, 3))
  expect(consumer.assignment.map(({ partition }) => partition)).toEqual([0, 2])
})

it('C-30: partitions that a topic gets while it is being assigned are read', async () => {
  const broker = await on.start()
  broker.createTopic('t', { partitions: 1 })
  const refused = broker.on({ api: 'ListOffsets', clientId: 'reader', times: 5 }, fault.error(6))
  const seen = new Seen()
  const consumer = on.consumer()
  const assigned = consumer.assign(['t'], seen.take)
  await broker.hit(refused)
  broker.addPartitions('t', 2)
  await assigned
  await on.produceNumbers('t', 1, 0, 2)
  await seen.count(2)
  expect(seen.records).toEqual(expected('t', 1, 0, 2))
})
