/**
 * A partition that was added a moment ago was refused by `assign` until the metadata was five minutes old: the consumer
 * knew the topic, and did not ask again.
 */
import { expect, it } from 'vitest'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

it('CO-3, P-18: assign takes a partition that came after the topic was known, and refuses one that is not there', async () => {
  const broker = await on.start({ nodes: 1 })
  broker.createTopic('t', { partitions: 1 })
  const seen = new Seen()
  const consumer = on.consumer()
  await consumer.assign([{ topic: 't', partition: 0, offset: 0 }], seen.take)
  broker.addPartitions('t', 2)
  await consumer.assign([{ topic: 't', partition: 1, offset: 0 }], seen.take)
  await on.produceNumbers('t', 1, 0, 3)
  await seen.until(() => seen.of('t', 1).length === 3)
  const beyond = consumer.assign([{ topic: 't', partition: 7, offset: 0 }], seen.take)
  await expect(beyond).rejects.toMatchObject({ code: 'INVALID_PARTITION', context: { partitions: 2 } })
})
