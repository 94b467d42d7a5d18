/** A `subscribe` or `assign` that was under way when the consumer was closed rejected with CONNECTION_CLOSED of its cluster. */
import { expect, it, onTestFinished } from 'vitest'
import { createBroker, fault } from '../../lib/broker/index.js'
import { Consumer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

it('CO-17: calls that are under way when the consumer closes reject with CONSUMER_CLOSED, whatever they wait for', async () => {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  const calls = {
    subscribe: (consumer: Consumer) => consumer.subscribe('orders', () => {}),
    subscribePattern: (consumer: Consumer) => consumer.subscribePattern(/^ord/, () => {}),
    assign: (consumer: Consumer) => consumer.assign(['orders'], () => {}),
  }
  for (const [name, call] of Object.entries(calls)) {
    for (const api of ['ApiVersions', 'Metadata', 'FindCoordinator'] as const) {
      const consumer = new Consumer({ brokers: broker.bootstrap, groupId: 'g', logger: silentLogger })
      const handle = broker.on({ api }, fault.hold())
      const code = call(consumer).then(
        () => 'resolved',
        (error: { code: string }) => error.code,
      )
      const isHeld = broker.hit(handle).then(() => 'held')
      // Not every call asks everything.
      const outcome = await Promise.race([isHeld, code])
      await consumer.close({ timeoutMs: 0 })
      if (outcome === 'held') expect([name, api, await code]).toEqual([name, api, 'CONSUMER_CLOSED'])
      handle.remove()
    }
  }
}, 60_000)
