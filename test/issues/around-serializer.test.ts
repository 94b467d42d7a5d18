/**
 * A producer with serializers took strings and bytes as they were, since these need none on the wire: json<string>()
 * wrote abc without quotes, and a serializer that encrypts bytes was skipped in silence.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { bytes, json, MQ, Producer, type ValueSerializer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

async function aBroker(...topics: string[]) {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  for (const topic of topics) broker.createTopic(topic, { partitions: 1 })
  const stored = async (topic: string) =>
    (await broker.records(topic, 0)).map(({ key, value }) => [key && String(key), value && String(value)])
  return { broker, stored, config: { brokers: broker.bootstrap, logger: silentLogger } }
}

const reversed: ValueSerializer<Uint8Array> = {
  ...bytes(),
  serialize: (data: Uint8Array) => Buffer.from(data).reverse(),
}

describe('a configured serializer', () => {
  it('CD-3, PR-5: gets strings and bytes too; null is a tombstone and passes', async () => {
    const { stored, config } = await aBroker('orders')
    const producer = new Producer<string, Uint8Array>({
      ...config,
      valueSerializer: json<string>(),
      keySerializer: reversed,
    })
    onTestFinished(() => producer.close().then(() => {}))
    await producer.sendSync('orders', 'abc', { key: Buffer.from('key') })
    producer.sendAsync('orders', 'def')
    await producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'ghi' }, { value: null, key: null }] })
    expect(await stored('orders')).toEqual([
      ['yek', '"abc"'],
      [null, '"def"'],
      [null, '"ghi"'],
      [null, null],
    ])
  })

  it('CD-3: is called once for a send that waits for memory, or for its topic', async () => {
    const { broker, stored, config } = await aBroker('orders', 'late')
    const producer = new Producer<string>({ ...config, valueSerializer: json<string>(), bufferMaxRecords: 1 })
    onTestFinished(() => producer.close().then(() => {}))
    await Promise.all(['a', 'b', 'c'].map((value) => producer.sendSync('orders', value)))
    expect(await stored('orders')).toEqual([
      [null, '"a"'],
      [null, '"b"'],
      [null, '"c"'],
    ])
    expect(broker.bootstrap).toBeDefined()
  })

  it('CD-3: of one topic does not touch the others', async () => {
    const { stored, config } = await aBroker('orders', 'plain')
    const producer = new Producer({ ...config, topics: { orders: { valueSerializer: json<unknown>() } } })
    onTestFinished(() => producer.close().then(() => {}))
    await producer.sendSync('orders', 'x')
    await producer.sendSync('plain', 'x')
    expect([await stored('orders'), await stored('plain')]).toEqual([[[null, '"x"']], [[null, 'x']]])
  })

  it('CO-15: does not touch dead letters, which are what was read', async () => {
    const { broker, stored, config } = await aBroker('orders', 'orders.dlq')
    const mq = new MQ<object>({
      ...config,
      producer: { valueSerializer: json<object>() },
      consumer: { groupId: 'g', autoOffsetReset: 'earliest', onError: 'dlq' },
    })
    onTestFinished(() => mq.close().then(() => {}))
    await mq.sendSync('orders', { id: 7 }, { key: 'k' })
    await mq.subscribe('orders', () => {
      throw new Error('no')
    })
    await broker.appended('orders.dlq', 0, 1)
    expect(await stored('orders.dlq')).toEqual([['k', '{"id":7}']])
  })
})
