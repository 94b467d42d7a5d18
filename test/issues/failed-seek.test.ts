/**
 * `seekToBeginning` held its partitions while it asked for their positions, and when nobody told them it rejected and
 * left them held: no record came any more, and nothing said so. And `pause('orders')`, a text where a list is wanted,
 * threw a TypeError; `assign(['t'])` without callback failed record by record; a time-out of `Infinity` or NaN was over
 * at once, since timers take 31 bits. CO-8, CO-1.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { MQError } from '../../lib/errors/index.js'
import { bench, expected, Seen } from '../consumer/support.js'
import { drivenClock } from '../support/driven-clock.js'

const on = bench()

it('CO-8: after a seek that failed, reading goes on where it stood, and the running callback counts', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 5)
  const seen = new Seen()
  const consumer = on.consumer()
  let seeking: Promise<unknown> | null = null
  await consumer.assign(['t'], async (record) => {
    seen.take(record)
    if (record.offset !== 2) return
    await null // Its promise is out: the callback is one that runs.
    broker.on({ api: 'ListOffsets', clientId: 'reader', times: 1 }, fault.error(29))
    seeking = consumer.seekToBeginning(['t']).catch((error: unknown) => error)
    await seeking
  })
  await seen.count(5)
  expect(await seeking).toBeInstanceOf(MQError)
  await on.produceNumbers('t', 0, 5, 1)
  await seen.count(6)
  expect(seen.records).toEqual(expected('t', 0, 0, 6))
})
it('CO-1: lists and callbacks are checked before anything is asked of a broker', async () => {
  await on.start()
  const consumer = on.consumer()
  const refused = { name: 'MQError', code: 'INVALID_CONFIG' }
  await expect(consumer.assign(['t'], undefined as never)).rejects.toMatchObject(refused)
  await expect(consumer.assign([null] as never, () => {})).rejects.toMatchObject(refused)
  expect(() => consumer.pause('t' as never)).toThrow(MQError)
  expect(() => consumer.unassign('t' as never)).toThrow(MQError)
  for (const timeoutMs of [Number.POSITIVE_INFINITY, Number.NaN, -1, 1e12, '5' as never]) {
    await expect(consumer.assign(['t'], () => {}, { timeoutMs })).rejects.toMatchObject(refused)
    await expect(consumer.close({ timeoutMs })).rejects.toMatchObject(refused)
  }
})

it('CO-8, CO-10: when the seek of an `assigned` listener fails, the partition begins where the group stands', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 3)
  const refused = broker.on({ api: 'ListOffsets', nth: 1 }, fault.error(29))
  const consumer = on.consumer({ groupId: 'g' })
  const seen = new Seen()
  consumer.on('assigned', ({ partitions }) => consumer.seekToBeginning(partitions))
  await consumer.subscribe('t', seen.take)
  expect(refused.hits).toBe(1)
  await seen.count(3)
  expect(seen.records).toEqual(expected('t', 0, 0, 3))
})

it('CO-8: a search for a position ends when nobody wants it any more', async () => {
  const clock = drivenClock()
  clock.stepMs = 50
  const broker = await on.start({ clock })
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 3)
  const consumer = on.consumer({})
  await consumer.assign([{ topic: 't', partition: 0, offset: 99 }], () => {}) // Out of range: it is looked up.
  broker.on({ api: 'ListOffsets' }, fault.error(5))
  await broker.saw({ api: 'ListOffsets', count: 2 })
  consumer.unassign()
  const untilMs = clock.monotonicMs() + 40_000 // More than one search may take.
  while (clock.monotonicMs() < untilMs) await new Promise((resolve) => setImmediate(resolve))
  broker.forgetRequests()
  const laterMs = clock.monotonicMs() + 10_000
  while (clock.monotonicMs() < laterMs) await new Promise((resolve) => setImmediate(resolve))
  expect(broker.count({ api: 'ListOffsets' })).toBe(0)
})
