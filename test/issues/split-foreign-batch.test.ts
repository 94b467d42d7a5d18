/**
 * A producer without idempotence sent a batch, heard "timed out", sent it again and heard "too large". Before it was
 * split the log was searched for it, by numbers it never had: every batch without a producer id looked like it, so the
 * records of a stranger counted as ours, ours were called acknowledged, and were lost.
 */
import { expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { logOf, newProducer, stage } from '../producer/support.js'

it('a batch without numbers is split although it is doubtful, and no other batch is taken for it', async () => {
  const { clock, broker, producer } = await stage({ acks: 1, idempotence: false }, { partitions: 1 })
  const stranger = newProducer(broker, { acks: 1, idempotence: false }, { clock })
  await stranger.sendSync('orders', 'of a stranger')
  broker.on({ api: 'Produce', nth: 1 }, fault.error(7))
  broker.on({ api: 'Produce', nth: 2 }, fault.error(10))
  const sent = await Promise.all(['a', 'b', 'c'].map((value) => producer.sendSync('orders', value)))
  expect(sent.map(({ offset }) => offset)).toEqual([1, 2, 3])
  expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['of a stranger', 'a', 'b', 'c'])
})
