/** Settings that change while records flow: seen on the wire, not in the configuration. */
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import type { ProducerUpdate } from '../../lib/config/index.js'
import type { Producer } from '../../lib/producer/index.js'
import { logOf, newProducer, stage, startBroker, turns, until } from './support.js'

const VALUE = 'x'.repeat(1000)

/** Codec ids (bits 0-2 of the attributes) of the stored batches. */
const codecsOf = (broker: Broker, partition = 0) =>
  broker.log('orders', partition).batches.map(({ attributes }) => attributes & 7)

const countsOf = (broker: Broker, partition = 0) => broker.log('orders', partition).batches.map(({ count }) => count)

/** Holds every answer to produce requests until it is released. */
function holdAll(broker: Broker) {
  return broker.on({ api: 'Produce' }, fault.hold())
}

describe('updateConfig', () => {
  it('PR-11: the codec changes for lanes that exist and for later ones', async () => {
    const { broker, producer } = await stage({ compression: 'none' }, { partitions: 2 })
    broker.createTopic('others')
    await producer.sendSync('orders', VALUE, { partition: 0 })
    producer.updateConfig({ compression: 'gzip' })
    expect(producer.config.compression).toBe('gzip')
    await producer.sendSync('orders', VALUE.repeat(3), { partition: 0 })
    await producer.sendSync('others', VALUE.repeat(3))
    producer.updateConfig({ compression: 'lz4' })
    await producer.sendSync('orders', VALUE.repeat(3), { partition: 1 })
    expect(codecsOf(broker, 0)).toEqual([0, 1])
    expect(codecsOf(broker, 1)).toEqual([3])
    expect(broker.log('others', 0).batches.map(({ attributes }) => attributes & 7)).toEqual([1])
  })

  it('PR-11: a topic that has a codec of its own keeps it', async () => {
    const { broker, producer } = await stage({ topics: { orders: { compression: 'gzip' } } })
    producer.updateConfig({ compression: 'none' })
    await producer.sendSync('orders', VALUE.repeat(3))
    expect(codecsOf(broker)).toEqual([1])
  })

  it('PR-11: what has its wire form keeps it, byte for byte, on a retry too', async () => {
    const { broker, producer } = await stage({ compression: 'gzip' })
    const cut = broker.on({ api: 'Produce', nth: 1 }, fault.drop('before'))
    const sent = producer.sendSync('orders', VALUE.repeat(3))
    await broker.hit(cut)
    producer.updateConfig({ compression: 'none' })
    await sent
    expect(codecsOf(broker)).toEqual([1])
    expect(broker.count({ api: 'Produce' })).toBe(2)
  })

  it('PR-11, CH-8: batchMaxRecords bounds the batches that leave from then on', async () => {
    const { broker, producer } = await stage({ compression: 'none', maxInFlight: 1 })
    await producer.sendSync('orders', 'opens')
    await sendBehindHeld(broker, producer, 40)
    expect(countsOf(broker).slice(1), 'all that waited for the window left as one').toEqual([1, 40])
    producer.updateConfig({ batchMaxRecords: 10, lingerMs: 0, maxInFlight: 5 })
    const before = countsOf(broker).length
    for (let n = 0; n < 40; n++) {
      producer.sendAsync('orders', VALUE)
      if (n % 10 === 9) await turns(3)
    }
    await producer.flush()
    expect(countsOf(broker).slice(before)).toEqual([10, 10, 10, 10])
  })

  /** One batch on the wire, unanswered; so many records behind it; then it is answered. */
  async function sendBehindHeld(broker: Broker, producer: Producer, records: number): Promise<void> {
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held')
    await broker.hit(held)
    for (let n = 0; n < records; n++) producer.sendAsync('orders', VALUE)
    await turns(5)
    held.release()
    await producer.flush()
  }

  it('PR-11: lingerMs that is lowered ends a wait that has begun, raised it lengthens later ones', async () => {
    const { broker, producer, clock } = await stage({ compression: 'none', lingerMs: 60_000 })
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held')
    await broker.hit(held)
    producer.sendAsync('orders', 'waits for company')
    await turns(200)
    expect(broker.count({ api: 'Produce' }), 'linger is long').toBe(2)
    producer.updateConfig({ lingerMs: 10 })
    await broker.saw({ api: 'Produce', count: 3 })
    producer.updateConfig({ lingerMs: 2000 })
    const startMs = clock.monotonicMs()
    producer.sendAsync('orders', 'waits again')
    await broker.saw({ api: 'Produce', count: 4 })
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(2000)
    held.release()
    await producer.flush()
  })

  it('PR-11: batchBytes that is lowered lets a batch leave that was too small before', async () => {
    const { broker, producer } = await stage({ compression: 'none', lingerMs: 60_000, batchBytes: 100_000 })
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held')
    await broker.hit(held)
    for (let n = 0; n < 20; n++) producer.sendAsync('orders', VALUE)
    await turns(200)
    expect(broker.count({ api: 'Produce' })).toBe(2)
    producer.updateConfig({ batchBytes: 2000 })
    await broker.saw({ api: 'Produce', count: 3 })
    held.release()
    await producer.flush()
  })

  it('PR-11, PR-13: maxInFlight goes up and down while batches are in flight, and order holds', async () => {
    const { broker, producer } = await stage({ compression: 'none', maxInFlight: 5, lingerMs: 0 })
    await producer.sendSync('orders', 'opens')
    const inFlight = () => producer.measures().inFlightBatches
    const held = holdAll(broker)
    const sendOne = async (value: string) => {
      producer.sendAsync('orders', value)
      await turns(20)
    }
    for (let n = 0; n < 4; n++) await sendOne(`v${n}`)
    expect(inFlight()).toBe(4)
    producer.updateConfig({ maxInFlight: 2 })
    await sendOne('v4')
    expect(inFlight(), 'what is in flight stays there, and nothing joins it').toBe(4)
    producer.updateConfig({ maxInFlight: 5 })
    await until(() => inFlight() === 5, 'the fifth leaves')
    held.remove()
    held.release()
    producer.updateConfig({ maxInFlight: 1 })
    for (let n = 5; n < 30; n++) await sendOne(`v${n}`)
    await producer.flush()
    const stored = (await logOf(broker, 'orders')).map(({ value }) => value)
    expect(stored).toEqual(['opens', ...Array.from({ length: 30 }, (_, n) => `v${n}`)])
  })

  it('PR-11: switchStrategy is exchanged at once', async () => {
    const { broker, producer } = await stage({ compression: 'none', lingerMs: 60_000, switchStrategy: 'size' })
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    producer.sendAsync('orders', 'held')
    await broker.hit(held)
    const seen: number[] = []
    producer.updateConfig({
      lingerMs: 20,
      switchStrategy: ({ records }) => {
        seen.push(records)
        return records >= 3
      },
    })
    for (let n = 0; n < 3; n++) producer.sendAsync('orders', `v${n}`)
    await broker.saw({ api: 'Produce', count: 3 })
    expect(seen.length).toBeGreaterThan(0)
    held.release()
    await producer.flush()
  })

  it.each([
    [{ lingerMs: -1 }],
    [{ batchBytes: 0 }],
    [{ maxInFlight: 6 }],
    [{ lingerMs: 20, compression: 'brotli' }],
    [{ lingerMs: 20, acks: 1 }],
    [{ deliveryTimeoutMs: 5 }],
    [{ nonsense: true }],
  ])('PR-11, CF-3: %j is INVALID_CONFIG and changes nothing', async (update) => {
    const broker = await startBroker()
    const producer = newProducer(broker)
    const before = producer.config
    expect(() => producer.updateConfig(update as ProducerUpdate)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
    expect(producer.config).toBe(before)
    expect(producer.measures().errors.get('INVALID_CONFIG')).toBe(1)
  })

  it('PR-11: before the first send it counts as if it had been given at construction; after close it is refused', async () => {
    const { broker, producer } = await stage({ compression: 'none' })
    producer.updateConfig({ compression: 'gzip' })
    await producer.sendSync('orders', VALUE.repeat(3))
    expect(codecsOf(broker)).toEqual([1])
    await producer.close()
    expect(() => producer.updateConfig({ lingerMs: 1 })).toThrow(expect.objectContaining({ code: 'PRODUCER_CLOSED' }))
  })

  it('PR-11, PR-22: records flow and are conserved under a hundred updates', async () => {
    const { broker, producer } = await stage({}, { partitions: 3 })
    const updates: ProducerUpdate[] = [
      { lingerMs: 0 },
      { lingerMs: 50, batchBytes: 500 },
      { compression: 'gzip', maxInFlight: 1 },
      { compression: 'lz4', maxInFlight: 5, batchMaxRecords: 7 },
      { switchStrategy: 'size', batchBytes: 65_536 },
      { switchStrategy: 'default', compression: 'none' },
    ]
    for (let round = 0; round < 100; round++) {
      for (let n = 0; n < 20; n++) producer.sendAsync('orders', `${round}.${n}`, { partition: n % 3 })
      producer.updateConfig(updates[round % updates.length] as ProducerUpdate)
      await turns(round % 4)
    }
    await producer.flush()
    for (let partition = 0; partition < 3; partition++) {
      const expected: string[] = []
      for (let round = 0; round < 100; round++) {
        for (let n = partition; n < 20; n += 3) expected.push(`${round}.${n}`)
      }
      expect((await logOf(broker, 'orders', partition)).map(({ value }) => value)).toEqual(expected)
    }
    const { totalMessages, successMessages, pendingMessages } = producer.getMetrics()
    expect([totalMessages, successMessages, pendingMessages]).toEqual([2000, 2000, 0])
  })
})
