/**
 * Records whose own time is days ago: a broker forgets their producer as soon as it restarts, and would take a copy for
 * a new batch, or the second of two batches although it refused the first (kafka.md 3.2, B-8, B-11).
 */
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import { logOf, stage, turns, until } from './support.js'

const PARTITION = { topic: 'orders', partition: 0 }
const DAY_MS = 86_400_000

const values = async (broker: Broker) => (await logOf(broker, 'orders')).map(({ value }) => value)

describe('records of the day before yesterday', () => {
  it.each(['before', 'after'] as const)(
    'B-11, P-28: in doubt (answer lost %s the append) and forgotten by the broker: stored once',
    async (when) => {
      const { clock, broker, producer } = await stage()
      const options = { timestamp: clock.now() - 2 * DAY_MS }
      await producer.sendSync('orders', 'first', options)
      const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop(when))
      const sent = producer.sendSync('orders', 'doubted', options)
      await broker.hit(lost)
      broker.expireProducers(PARTITION)
      await expect(sent).resolves.toMatchObject({ offset: 1 })
      await expect(producer.sendSync('orders', 'next', options)).resolves.toMatchObject({ offset: 2 })
      expect(await values(broker)).toEqual(['first', 'doubted', 'next'])
      expect(broker.count({ api: 'DescribeProducers' })).toBe(1)
    },
  )

  it('B-11, P-28: lost twice, it is looked for twice', async () => {
    const { clock, broker, producer } = await stage()
    const options = { timestamp: clock.now() - 2 * DAY_MS }
    await producer.sendSync('orders', 'first', options)
    broker.on({ api: 'Produce', nth: 1 }, fault.drop('before'))
    const lost = broker.on({ api: 'Produce', nth: 2 }, fault.drop('after'))
    const sent = producer.sendSync('orders', 'doubted', options)
    await broker.hit(lost)
    broker.expireProducers(PARTITION)
    await expect(sent).resolves.toMatchObject({ offset: 1 })
    expect(await values(broker)).toEqual(['first', 'doubted'])
    expect(broker.count({ api: 'DescribeProducers' })).toBe(2)
  })

  it('P-28: where the broker tells nothing it goes again, as every batch in doubt', async () => {
    const { clock, broker, producer } = await stage()
    const options = { timestamp: clock.now() - 2 * DAY_MS }
    broker.on({ api: 'DescribeProducers' }, fault.error(29))
    await producer.sendSync('orders', 'first', options)
    broker.on({ api: 'Produce', nth: 1 }, fault.drop('after'))
    await expect(producer.sendSync('orders', 'doubted', options)).resolves.toMatchObject({ offset: 1 })
    expect(await values(broker)).toEqual(['first', 'doubted'])
  })

  it.each([
    ['old', 1, 2 * DAY_MS],
    ['new', 3, 0],
  ])('3.2, P-21: of three %s batches %s may be in flight', async (_, most, ageMs) => {
    const { clock, broker, producer } = await stage({ lingerMs: 0 })
    const send = (value: string) => producer.sendSync('orders', value, { timestamp: clock.now() - ageMs })
    await send('first')
    const before = broker.count({ api: 'Produce' })
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    const sent: Promise<unknown>[] = []
    for (let batch = 0; batch < 3; batch++) {
      sent.push(send(`batch ${batch}`))
      await turns(50)
    }
    await until(() => broker.count({ api: 'Produce' }) === before + most, `${most} in flight`)
    await turns(100)
    expect(broker.count({ api: 'Produce' }) - before).toBe(most)
    held.release()
    await Promise.all(sent)
    expect(await values(broker)).toEqual(['first', 'batch 0', 'batch 1', 'batch 2'])
  })

  it('3.2, B-8: a refused batch is not overtaken by the one behind it, although the broker forgot both', async () => {
    const { clock, broker, producer } = await stage({ lingerMs: 0 })
    const options = { timestamp: clock.now() - 2 * DAY_MS }
    await producer.sendSync('orders', 'first', options)
    broker.expireProducers(PARTITION)
    broker.on({ api: 'Produce', nth: 1 }, fault.error(19))
    const sent: Promise<unknown>[] = []
    for (let batch = 0; batch < 4; batch++) {
      sent.push(producer.sendSync('orders', `batch ${batch}`, options))
      await turns(20)
    }
    await Promise.all(sent)
    expect(await values(broker)).toEqual(['first', 'batch 0', 'batch 1', 'batch 2', 'batch 3'])
  })
})
