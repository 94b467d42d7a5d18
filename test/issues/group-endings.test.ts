/**
 * What was lost in a race: a seek while a commit was on its way (the next commit did not know of it), the failure of a
 * consumer whose `error` listener called `close()` (`run()` resolved), and the consumer itself when `groupProtocol`
 * 'auto' found no coordinator for a while (it stopped for good). CO-1, CO-8, CO-9, CO-10.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { bench, Seen } from '../consumer/support.js'

const on = bench()
const tp = { topic: 't', partition: 0 }

it('CO-8, CO-9: a seek back while a commit is on its way is committed by the next one', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 5)
  const consumer = on.consumer({ groupId: 'g', autoCommit: false })
  const seen = new Seen()
  await consumer.subscribe('t', seen.take)
  await seen.count(5)
  const held = broker.on({ api: 'OffsetCommit', nth: 1 }, fault.hold())
  const first = consumer.commit()
  await broker.hit(held)
  consumer.pause(['t'])
  consumer.seek(tp, 2)
  held.release()
  await first
  expect(await consumer.getCommittedOffset(tp)).toBe(5)
  await consumer.commit()
  expect(await consumer.getCommittedOffset(tp)).toBe(2)
})

it('CO-1: run() rejects with the failure that ended delivery, also when a listener of it closes the consumer', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 1)
  const consumer = on.consumer({ groupId: 'g', onError: 'stop' })
  consumer.on('error', () => void consumer.close())
  await consumer.subscribe('t', () => {
    throw new Error('poison')
  })
  await expect(consumer.run()).rejects.toMatchObject({ code: 'CONSUME_FAILED', context: { action: 'stop' } })
})

it('CO-1, CO-10: where no coordinator can be found subscribe fails, and succeeds later', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  const none = broker.on({ api: 'FindCoordinator' }, fault.error(15))
  const consumer = on.consumer({ groupId: 'g', groupProtocol: 'auto' })
  await expect(consumer.subscribe('t', () => {}, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(consumer.state).toBe('open')
  none.remove()
  await consumer.subscribe('t', () => {})
  expect(consumer.assignment).toEqual([tp])
})

it('CO-1: a listener that returns a promise which rejects ends nothing', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 1)
  const consumer = on.consumer({ groupId: 'g', onError: 'skip' })
  const told = new Promise<void>((resolve) => {
    consumer.on('error', async () => {
      resolve()
      throw new Error('a listener of the test fails') // An unhandled rejection would fail this run.
    })
  })
  await consumer.subscribe('t', () => Promise.reject(new Error('poison')))
  await told
})
