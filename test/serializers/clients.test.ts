/** Serializers in producer and consumer: what arrives, and who says what is wrong. */
import { afterEach, describe, expect, it } from 'vitest'
import type { MQError } from '../../lib/errors/index.js'
import { Producer } from '../../lib/producer/index.js'
import { bytes, json, protobuf, type ValueSerializer } from '../../lib/serializers/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { bench } from '../consumer/support.js'

const on = bench()
const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

function producerOf<V>(valueSerializer: ValueSerializer<V>): Producer<V> {
  const made = new Producer<V>({ brokers: on.broker.bootstrap, logger: silentLogger, valueSerializer })
  open.push(made)
  return made
}

interface Order {
  readonly id: number
}

describe('CD-3 serializers in clients', () => {
  it('CD-3: values arrive as they were sent; null is a tombstone and no JSON', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const producer = producerOf(json<Order>())
    await producer.sendSync('t', { id: 7 })
    await producer.sendSync('t', null)
    const consumer = on.consumer<Order>({ valueDeserializer: json<Order>() })
    await consumer.assign(['t'])
    expect((await consumer.read())?.value).toEqual({ id: 7 })
    expect((await consumer.read())?.value).toBeNull()
  })

  it('CD-3: a value the format cannot hold fails that record only, told once, with topic and part', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const producer = producerOf(json<unknown>())
    const failed = producer.sendSync('t', { id: 5n })
    await expect(failed).rejects.toMatchObject({
      code: 'SERIALIZATION_FAILED',
      context: { topic: 't', part: 'value' },
      message: expect.stringMatching(/^a value for t cannot be written as JSON: it holds a BigInt/),
    })
    expect(
      ((await failed.catch((error: MQError) => error)) as MQError).cause,
      'what JSON.stringify threw',
    ).toBeInstanceOf(TypeError)
    expect((await producer.sendSync('t', { id: 1 })).offset).toBe(0)
  })

  it('CD-3: bytes that are not of the format are DESERIALIZATION_FAILED with their place, and not wrapped twice', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produce('t', 0, ['{"id":1}', '{'])
    const errors: MQError[] = []
    const consumer = on.consumer<Order>({ valueDeserializer: json<Order>(), onError: 'skip' })
    const told = new Promise<void>((resolve) => {
      consumer.on('error', (error) => {
        errors.push(error)
        resolve()
      })
    })
    const seen: unknown[] = []
    await consumer.assign(['t'], (record) => void seen.push(record.value))
    await told
    expect(seen).toEqual([{ id: 1 }])
    expect(errors[0]).toMatchObject({
      code: 'DESERIALIZATION_FAILED',
      context: { topic: 't', partition: 0, offset: 1, part: 'value', action: 'skip' },
      message: expect.stringContaining('cannot be read as JSON'),
    })
    expect(errors[0]?.cause).toBeInstanceOf(SyntaxError)
  })

  it('CD-3: protobuf and bytes travel through batches and views', async () => {
    const broker = await on.start()
    broker.createTopic('p')
    broker.createTopic('b')
    const type = {
      encode: ({ id }: Order) => Uint8Array.of(0x08, id),
      decode: (data: Uint8Array): Order => ({ id: data[1] as number }),
    }
    await producerOf(protobuf(type)).sendSync('p', { id: 9 })
    await producerOf(bytes()).sendSync('b', Uint8Array.of(1, 2))
    const orders = on.consumer<Order>({ valueDeserializer: protobuf(type) })
    await orders.assign(['p'])
    expect((await orders.read())?.value).toEqual({ id: 9 })
    const raw = on.consumer({ valueDeserializer: bytes() })
    await raw.assign(['b'])
    expect([...((await raw.read())?.value ?? [])]).toEqual([1, 2])
  })
})
