/**
 * PR-5, CO-3: what callers with types may write. The compiler is the test: `npx tsc` fails where one of these does not
 * hold; at run time only that the constructors take the serializers.
 */
import protobufjs from 'protobufjs'
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  type ConsumerConfig,
  type Deserializer,
  resolveConsumerConfig,
  type Serializer,
} from '../../lib/config/index.js'
import { Consumer, type RecordView } from '../../lib/consumer/index.js'
import { Producer } from '../../lib/producer/index.js'
import { bytes, json, MessageUtils, protobuf, string } from '../../lib/serializers/index.js'
import { silentLogger } from '../../lib/util/index.js'

interface Order {
  readonly id: number
}
interface Payment {
  readonly amount: number
}
const quiet = { brokers: 'localhost:1', logger: silentLogger } as const

describe('CD-3 types of serializers', () => {
  it('each is a Serializer and a Deserializer of its value', () => {
    expectTypeOf(json<Order>()).toExtend<Serializer<Order>>()
    expectTypeOf(json<Order>()).toExtend<Deserializer<Order>>()
    expectTypeOf(string()).toExtend<Serializer<string>>()
    expectTypeOf(bytes()).toExtend<Serializer<Uint8Array>>()
    expectTypeOf(bytes()).toExtend<Deserializer<Buffer>>()
    expectTypeOf(json<Order>()).not.toExtend<Serializer<Payment>>()
    expectTypeOf(json<Order>().deserialize).returns.toEqualTypeOf<Order>()
    expectTypeOf(json<Order>().serialize).parameter(0).toEqualTypeOf<Order>()
  })

  it('protobuf takes its type from a typed pair, and from the caller where reflection has none', () => {
    const typed = { encode: (_order: Order) => new Uint8Array(), decode: (_data: Uint8Array): Order => ({ id: 1 }) }
    expectTypeOf(protobuf(typed)).toExtend<Serializer<Order>>()
    const reflected = new protobufjs.Type('Order')
    expectTypeOf(protobuf<Order>(reflected)).toExtend<Serializer<Order>>()
    expectTypeOf(protobuf(reflected).deserialize).returns.not.toBeAny()
  })

  it('MessageUtils takes it from the serializer', async () => {
    const utils = new MessageUtils(json<Order>(), 'lz4')
    expectTypeOf(utils).toEqualTypeOf<MessageUtils<Order>>()
    const order = await utils.decompressAndDeserialize(await utils.serializeAndCompress({ id: 7 }))
    expectTypeOf(order).toEqualTypeOf<Order>()
    expect(order).toEqual({ id: 7 })
  })
})

describe('PR-5 types of Producer', () => {
  it('takes values and keys of its types, without a cast', async () => {
    const producer = new Producer<Order, string>({
      ...quiet,
      valueSerializer: json<Order>(),
      keySerializer: string(),
      topics: { raw: { valueSerializer: bytes() } },
    })
    expectTypeOf(producer.sendSync).parameter(1).toEqualTypeOf<Order | null>()
    // @ts-expect-error: a payment is no order
    const wrong = () => producer.sendSync('orders', { amount: 7 })
    // @ts-expect-error: keys are texts
    const wrongKey = () => producer.sendSync('orders', { id: 1 }, { key: 7 })
    expect([typeof wrong, typeof wrongKey]).toEqual(['function', 'function'])
    await producer.close()
  })
})

describe('CO-3 types of Consumer', () => {
  it('the type of values and keys follows from the deserializers', async () => {
    const consumers = [
      new Consumer({ ...quiet, valueDeserializer: json<Order>(), keyDeserializer: string() }),
      new Consumer({ ...quiet, valueDeserializer: json<Order>() }),
      new Consumer({ ...quiet, keyDeserializer: string() }),
      new Consumer(quiet),
    ] as const
    expectTypeOf(consumers[0]).toEqualTypeOf<Consumer<Order, string>>()
    expectTypeOf(consumers[1]).toEqualTypeOf<Consumer<Order, Buffer>>()
    expectTypeOf(consumers[2]).toEqualTypeOf<Consumer<Buffer, string>>()
    expectTypeOf(consumers[3]).toEqualTypeOf<Consumer<Buffer, Buffer>>()
    expectTypeOf(consumers[0].read).returns.resolves.toEqualTypeOf<RecordView<Order, string> | null>()
    for (const consumer of consumers) await consumer.close()
  })

  it('named types need no cast, nor does a configuration that came from elsewhere', async () => {
    const config: ConsumerConfig = quiet
    const consumers = [
      new Consumer<Order>({ ...quiet, valueDeserializer: json<Order>() }),
      new Consumer<Order, string>(config),
      new Consumer<Order>(resolveConsumerConfig(quiet)),
      new Consumer(),
    ] as const
    expectTypeOf(consumers[0]).toEqualTypeOf<Consumer<Order, Buffer>>()
    expectTypeOf(consumers[1]).toEqualTypeOf<Consumer<Order, string>>()
    expectTypeOf(consumers[3]).toEqualTypeOf<Consumer<Buffer, Buffer>>()
    const callback = (record: RecordView<Payment>) => void record
    // @ts-expect-error: its records are orders
    const wrong = () => consumers[0].assign(['orders'], callback)
    expect(typeof wrong).toBe('function')
    for (const consumer of consumers) await consumer.close()
  })
})
