/**
 * An `error` listener that seeks past the record that failed, the obvious thing to do, was overruled: the failed
 * record was kept for its retry, came again after the seek, and set the position back behind itself. The generation
 * was compared before the listeners ran, not after. CO-8, CO-15.
 */
import { expect, it } from 'vitest'
import type { CallbackResult } from '../../lib/consumer/index.js'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

async function readPast(fail: () => CallbackResult): Promise<string[]> {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 10)
  const seen = new Seen()
  const consumer = on.consumer({ errorRetries: 1 })
  consumer.on('error', () => consumer.seek({ topic: 't', partition: 0 }, 8))
  await consumer.assign(['t'], (record) => {
    seen.take(record)
    return record.offset === 3 ? fail() : undefined
  })
  await seen.until(() => seen.records.includes('t/0@9=9'))
  expect(consumer.getMetrics().callbackErrors).toBe(1)
  await consumer.close()
  return seen.records
}

const WANTED = [0, 1, 2, 3, 8, 9].map((n) => `t/0@${n}=${n}`)

it('CO-8: a listener that seeks when a callback throws decides what comes next', async () => {
  const throwing = () => {
    throw new Error('poison')
  }
  expect(await readPast(throwing)).toEqual(WANTED)
})
it('CO-8: a listener that seeks when a callback rejects decides what comes next', async () => {
  expect(await readPast(() => Promise.reject(new Error('poison')))).toEqual(WANTED)
})
