/**
 * `close()` ends its fetch sessions and waited for the answers of brokers that had gone silent: the limit of one
 * second was given as the broker's own waiting time, which the connection adds to its read time-out. CO-17, K-7.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

it('CO-17: close() does not wait for a broker that answers nothing', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 3)
  const seen = new Seen()
  const consumer = on.consumer()
  await consumer.assign(['t'], seen.take)
  await seen.count(3)
  broker.on({ api: 'Fetch', clientId: 'reader' }, fault.blackhole())
  await broker.saw({ api: 'Fetch', clientId: 'reader', count: broker.count({ api: 'Fetch', clientId: 'reader' }) + 1 })
  const startMs = performance.now()
  await consumer.close()
  expect(performance.now() - startMs).toBeLessThan(5_000)
}, 20_000)
