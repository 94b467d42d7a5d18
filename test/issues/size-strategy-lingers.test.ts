/**
 * With switchStrategy 'size' a partly filled buffer had no deadline. While other partitions of the same broker kept it
 * busy the end of a turn never released it, and its records failed with TIMEOUT after deliveryTimeoutMs.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { newProducer, startBroker } from '../producer/support.js'

it("PR-9, CH-7: 'size' decides from which size on, linger still decides how long", async () => {
  const broker = await startBroker()
  broker.createTopic('orders', { partitions: 2 })
  const producer = newProducer(broker, { switchStrategy: 'size', lingerMs: 5 })
  await producer.sendSync('orders', 'warm', { partition: 1 })
  const before = broker.count({ api: 'Produce' })
  broker.on({ api: 'Produce', partition: 0 }, fault.hold())
  producer.sendAsync('orders', 'keeps the broker busy', { partition: 0 })
  await broker.saw({ api: 'Produce', count: before + 1 })
  producer.sendAsync('orders', 'small', { partition: 1 })
  await broker.saw({ api: 'Produce', count: before + 2 })
  expect(broker.count({ api: 'Produce' })).toBe(before + 2)
})
