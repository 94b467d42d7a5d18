import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { newProducer, startBroker } from './support.js'

it('PR-17, CH-17: after a record was refused, ready() waits for room instead of letting the next one be refused too', async () => {
  const broker = await startBroker()
  broker.createTopic('orders')
  // Two batches fill this memory: growth is refused before the soft limit is reached.
  const producer = newProducer(broker, {
    bufferMemoryBytes: 2_200_000,
    softPercent: 94,
    resumePercent: 90,
    hardPercent: 95,
    onFull: 'reject',
  })
  await producer.sendSync('orders', 'warm')
  const held = broker.on({ api: 'Produce' }, fault.hold())
  let refused = 0
  for (let record = 0; record < 100 && refused === 0; record++) {
    producer.sendAsync('orders', Buffer.alloc(100_000), (error) => {
      if (error?.context.reason === 'BUFFER_FULL') refused++
    })
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(refused).toBe(1)
  expect(producer.getMetrics().refusedMessages).toBe(1)
  let isReady = false
  const ready = producer.ready().then(() => {
    isReady = true
  })
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(isReady).toBe(false)
  held.remove()
  await ready
  await expect(producer.sendSync('orders', Buffer.alloc(1000))).resolves.toMatchObject({ partition: 0 })
})

it('PR-22: a sendSync that is refused counts as refused', async () => {
  const broker = await startBroker()
  broker.createTopic('orders')
  const producer = newProducer(broker)
  await producer.sendSync('orders', Buffer.alloc(2_000_000)).catch(() => {})
  expect(producer.getMetrics()).toMatchObject({ refusedMessages: 1, totalMessages: 0 })
})
