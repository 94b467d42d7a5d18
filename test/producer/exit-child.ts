/**
 * A process that sends and closes, and has to end by itself: run by lifecycle.test.ts. Whatever keeps it alive (a timer,
 * a socket, a thread) keeps it from ending, and the test sees it.
 */
import { createBroker, fault } from '../../lib/broker/index.js'
import { Producer } from '../../lib/producer/index.js'
import { silentLogger } from '../../lib/util/index.js'

const scene = process.argv[2]
const broker = await createBroker()
broker.createTopic('orders')
const producer = new Producer({
  brokers: broker.bootstrap,
  logger: silentLogger,
  lingerMs: 60_000,
  maxBlockMs: 60_000,
  compression: 'zstd',
})
const ignore = () => {}

switch (scene) {
  case 'delivered': {
    await producer.sendSync('orders', 'a'.repeat(5000), { timeoutMs: 60_000, signal: new AbortController().signal })
    producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'b' }], lingerMs: 60_000 }).catch(ignore)
    await producer.flush({ timeoutMs: 60_000 })
    break
  }
  case 'unknown topic':
    producer.sendSync('missing', 'a', { timeoutMs: 60_000 }).catch(ignore)
    break
  case 'no identity':
    broker.on({ api: 'InitProducerId' }, fault.error(15))
    producer.sendSync('orders', 'a').catch(ignore)
    await broker.saw({ api: 'InitProducerId', count: 3 })
    break
  case 'resolving':
    await producer.sendSync('orders', 'a')
    broker.on({ api: 'Produce', nth: 1 }, fault.drop('after'))
    broker.on({ api: 'Produce', nth: 2 }, fault.error(45))
    broker.on({ api: 'DescribeProducers' }, fault.error(5))
    producer.sendSync('orders', 'b').catch(ignore)
    await broker.saw({ api: 'DescribeProducers', count: 2 })
    break
  case 'on the wire':
    broker.on({ api: 'Produce' }, fault.blackhole())
    producer.sendSync('orders', 'a').catch(ignore)
    await broker.saw({ api: 'Produce' })
    break
  default:
    throw new Error(`no scene ${scene}`)
}
const { unsentRecords } = await producer.close({ timeoutMs: scene === 'delivered' ? 5000 : 0 })
await broker.close()
const closedMs = performance.now()
process.on('exit', () => {
  process.stdout.write(JSON.stringify({ unsentRecords, lingeredMs: performance.now() - closedMs }))
})
