/** An async callback of a send that failed was an unhandled rejection, which ends a process. */
import { expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { type MQError, Producer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

it('PR-2: what an async callback rejects with is an error event, for accepted, refused, traced and batched records', async () => {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  const unhandled: unknown[] = []
  const listen = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', listen)
  onTestFinished(() => void process.off('unhandledRejection', listen))
  for (const hooks of [null, { send: () => ({ headers: [], end() {} }) }]) {
    const producer = new Producer({ brokers: broker.bootstrap, logger: silentLogger }, { hooks })
    const events: MQError[] = []
    producer.on('error', (error) => void events.push(error))
    const failing = (name: string) => async () => {
      throw new Error(name)
    }
    producer.sendAsync('orders', 'x', null, failing('accepted'))
    producer.sendAsync('orders', 5 as never, null, failing('refused'))
    producer.sendBatchAsync({ topic: 'orders', messages: [{ value: 'y' }] }, failing('batch'))
    await producer.flush()
    await new Promise((resolve) => setImmediate(resolve))
    await producer.close()
    const told = events
      .filter(({ context }) => context.reason === 'CALLBACK')
      .map(({ message }) => message.split(': ')[1])
    expect(told.sort()).toEqual(['accepted', 'batch', 'refused'])
  }
  expect(unhandled).toEqual([])
})
