/**
 * The first send of a process took a tenth of a second: the producer asks for an identity, which finds the cluster, and the
 * question for the topic came while that one was under way, so it waited out the gap between two questions for metadata.
 */
import { expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { FakeClock, Producer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

it('PR-9, PR-24: the first record of a producer waits for answers only, not for a timer', async () => {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  const clock = new FakeClock()
  const producer = new Producer({ brokers: broker.bootstrap, logger: silentLogger }, { clock })
  onTestFinished(async () => void (await producer.close()))
  const sent = producer.sendSync('orders', 'first')
  let isDone = false
  void sent.then(() => {
    isDone = true
  })
  // Ends of turns come, time does not pass.
  while (!isDone) {
    clock.runDeferred()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await sent).toMatchObject({ offset: 0 })
})
