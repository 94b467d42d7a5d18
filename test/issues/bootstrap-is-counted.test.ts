/** `connections_created_total` left out the connections that find the cluster: it differed from what brokers saw. */
import { expect, it, onTestFinished } from 'vitest'
import { createBroker, fault } from '../../lib/broker/index.js'
import { MQ } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

it('CL-3: counts every connection that a broker saw, the first one of each client too', async () => {
  const broker = await createBroker({ nodes: 2 })
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 4 })
  const mq = new MQ({ brokers: broker.bootstrap, logger: silentLogger })
  onTestFinished(async () => void (await mq.close()))
  // The first question of the producer breaks, so that it asks again.
  broker.on({ api: 'Metadata', times: 1 }, fault.disconnect({ afterBytes: 3 }))
  await mq.producer.connect()
  await Promise.all([0, 1, 2, 3].map((partition) => mq.sendSync('orders', 'x', { partition })))
  const partitions = [0, 1, 2, 3].map((partition) => ({ topic: 'orders', partition, offset: 0 }))
  await new Promise<void>((resolve) => {
    let left = partitions.length
    void mq.consumer.assign(partitions, () => {
      if (--left === 0) resolve()
    })
  })
  // Each connection begins with one question for versions.
  const seen = broker.requests({ api: 'ApiVersions' }).length
  const { connectionsCreated, connectionsClosed, connectionErrors, totalConnections } = mq.pool.getStats()
  expect(connectionsCreated).toBe(seen)
  expect(connectionsClosed).toBe(connectionsCreated - totalConnections)
  expect(connectionErrors).toBe(1)
})
