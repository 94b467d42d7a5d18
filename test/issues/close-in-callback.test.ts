/**
 * A callback without promise called `consumer.close()` (or a listener did) and the turn went on: up to
 * `maxPollRecords` further callbacks ran although the consumer was closing. `stop` ended turns only at the next
 * promise, and callbacks that return nothing never came to one. CO-17.
 */
import { expect, it } from 'vitest'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

it('CO-17: no callback starts after close() was called in one', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 50)
  const seen = new Seen()
  const consumer = on.consumer()
  await consumer.assign(['t'], (record) => {
    seen.take(record)
    if (record.offset === 4) void consumer.close()
  })
  await consumer.run()
  await consumer.close()
  expect(seen.records).toHaveLength(5)
  expect(consumer.position({ topic: 't', partition: 0 })).toBe(5)
})
