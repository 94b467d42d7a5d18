/** `producer.close({ timeoutMs: NaN })` gave up at once: everything that was accepted was lost, and the answer was no error. */
import { expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { Consumer, Producer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

it('PR-21, CO-17: a limit that is no number of milliseconds closes nothing; null is no limit of one’s own', async () => {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  const config = { brokers: broker.bootstrap, logger: silentLogger }
  const producer = new Producer(config)
  const consumer = new Consumer(config)
  for (let n = 0; n < 100; n++) producer.sendAsync('orders', 'x')
  for (const timeoutMs of [Number.NaN, -1, '5' as never, {} as never]) {
    await expect(producer.close({ timeoutMs })).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    await expect(consumer.close({ timeoutMs })).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  }
  expect([producer.state, consumer.state]).toEqual(['open', 'open'])
  await consumer.close(null as never)
  expect(await producer.close(null as never)).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  expect(await broker.records('orders', 0)).toHaveLength(100)
})
