/** Run by allocation.test.ts in a process of its own: a test runner's module wrapper keeps the engine from optimising. */
import { createBroker, fault } from '../../lib/broker/index.js'
import { Producer } from '../../lib/producer/index.js'
import { bytesPerCall } from '../support/allocation.js'

const CALLS = 100_000

async function heldProducer(): Promise<Producer> {
  const broker = await createBroker()
  broker.createTopic('orders', { partitions: 6 })
  const producer = new Producer({
    brokers: broker.bootstrap,
    bufferMemoryBytes: 512 * 1024 * 1024,
    deliveryTimeoutMs: 600_000,
  })
  await producer.sendSync('orders', 'warm')
  // The window stays full: what is measured is the append, not the sending of batches.
  broker.on({ api: 'Produce' }, fault.hold())
  return producer
}

const value = Buffer.alloc(100, 'v')
const options = {
  key: Buffer.from('customer-17'),
  headers: { type: 'order', source: 'shop' },
  partition: 3,
  timestamp: 1_700_000_000_000,
}
const text = '{"order":12345,"city":"Oslo"}'

const plain = await heldProducer()
const plainBytes = bytesPerCall(() => plain.sendAsync('orders', value), CALLS)
const full = await heldProducer()
const fullBytes = bytesPerCall(() => full.sendAsync('orders', text, options), CALLS)
process.stdout.write(JSON.stringify({ plainBytes, fullBytes, pending: plain.getMetrics().pendingMessages }), () =>
  process.exit(0),
)
