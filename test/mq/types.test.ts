/**
 * FA-1, FA-3, CD-3: what users with types may write. The compiler is the test: `npx tsc` fails where one of these does
 * not hold.
 */
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  Consumer,
  createConsumer,
  createMQ,
  createProducer,
  json,
  MQ,
  type MQConfig,
  Producer,
  type ProducerConfig,
  string,
} from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

interface Order {
  readonly id: number
}
const quiet = { brokers: 'localhost:1', logger: silentLogger, monitoring: { intervalMs: 0 } } as const
const orders = json<Order>()
type Bytes = Uint8Array | string | null

async function closed(...parts: { close(): Promise<unknown> }[]): Promise<void> {
  for (const part of parts) await part.close()
  expect(parts.length).toBeGreaterThan(0)
}

describe('types follow from serializers', () => {
  it('PR-5: of a producer, made by itself, by a factory or by an instance', async () => {
    const mq = new MQ(quiet)
    const both = { ...quiet, valueSerializer: orders, keySerializer: string() }
    const one = { ...quiet, valueSerializer: orders }
    const made = [new Producer(both), createProducer(both), mq.createProducer(both), MQ.producer(both)] as const
    expectTypeOf(made).toEqualTypeOf<
      readonly [Producer<Order, string>, Producer<Order, string>, Producer<Order, string>, Producer<Order, string>]
    >()
    const values = [new Producer(one), createProducer(one), mq.createProducer(one), MQ.producer(one)] as const
    expectTypeOf(values[0].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    expectTypeOf(values[1].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    expectTypeOf(values[2].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    expectTypeOf(values[3].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    // @ts-expect-error: a text is no order
    const wrong = () => values[2].sendSync('orders', 'text')
    expect(typeof wrong).toBe('function')
    await closed(mq, ...made, ...values)
  })

  it('CO-3: of a consumer, made by a factory or by an instance', async () => {
    const mq = new MQ(quiet)
    const both = { ...quiet, valueDeserializer: orders, keyDeserializer: string() }
    const made = [createConsumer(both), mq.createConsumer(both), MQ.consumer(both)] as const
    expectTypeOf(made).toEqualTypeOf<
      readonly [Consumer<Order, string>, Consumer<Order, string>, Consumer<Order, string>]
    >()
    const values = [createConsumer({ ...quiet, valueDeserializer: orders }), mq.createConsumer()] as const
    expectTypeOf(values).toEqualTypeOf<readonly [Consumer<Order, Buffer>, Consumer<Buffer, Buffer>]>()
    await closed(mq, ...made, ...values)
  })

  it('FA-1: of an instance, from its producer, or from its consumer', async () => {
    const producer = { valueSerializer: orders }
    const consumer = { valueDeserializer: orders }
    const keys = { ...consumer, keyDeserializer: string() }
    const all = [
      new MQ({ ...quiet, producer, consumer }),
      new MQ({ ...quiet, consumer }),
      new MQ({ ...quiet, producer, consumer: keys }),
      new MQ({ ...quiet, consumer: keys }),
      createMQ({ ...quiet, producer, consumer: keys }),
      new MQ({ ...quiet, producer: { ...producer, keySerializer: string() } }),
    ] as const
    expectTypeOf(all[0].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    expectTypeOf(all[0].consumer).toEqualTypeOf<Consumer<Order, Buffer>>()
    expectTypeOf(all[1].consumer).toEqualTypeOf<Consumer<Order, Buffer>>()
    for (const mq of [all[2], all[3], all[4], all[5]]) {
      expectTypeOf(mq).toEqualTypeOf<MQ<Order, string>>()
      expectTypeOf(mq.consumer).toEqualTypeOf<Consumer<Order, string>>()
    }
    await closed(...all)
  })

  it('named types, or none, and a configuration that came from elsewhere need no cast', async () => {
    const config: MQConfig = quiet
    const forProducer: ProducerConfig = quiet
    const all = [new MQ(config), new MQ(), new MQ<Order, string>(config), createMQ<Order>(config)] as const
    expectTypeOf(all[0].sendSync).parameter(1).toEqualTypeOf<Bytes>()
    expectTypeOf(all[1].consumer).toEqualTypeOf<Consumer<Buffer, Buffer>>()
    expectTypeOf(all[2]).toEqualTypeOf<MQ<Order, string>>()
    expectTypeOf(all[3].consumer).toEqualTypeOf<Consumer<Order, Buffer>>()
    const others = [new Producer<Order>(forProducer), new Producer(forProducer), MQ.producer<Order>(quiet)] as const
    expectTypeOf(others[0].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    expectTypeOf(others[1].sendSync).parameter(1).toEqualTypeOf<Bytes>()
    expectTypeOf(others[2].sendSync).parameter(1).toEqualTypeOf<Order | null>()
    expectTypeOf(new Consumer(quiet)).toEqualTypeOf<Consumer<Buffer, Buffer>>()
    await closed(...all, ...others)
  })
})
