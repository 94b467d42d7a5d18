import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Broker, fault } from '../../../lib/broker/index.js'
import type { Producer } from '../../../lib/producer/index.js'
import { errorOf, newProducer, startBroker, until } from '../support.js'
import { crashed, loggedProducer, newDirectory, numbers, valuesOf } from './support.js'

afterEach(() => {
  vi.restoreAllMocks()
})

async function sendAll(producer: Producer, values: readonly string[], partition = 0): Promise<number[]> {
  const receipts = await Promise.all(values.map((value) => producer.sendDurable('orders', value, { partition })))
  return receipts.map(({ position }) => position)
}

/** A broker that has been met once, and is gone: its data survives. */
async function metAndGone(dir: string): Promise<Broker> {
  const broker = await startBroker()
  broker.createTopic('orders', { partitions: 3 })
  const first = loggedProducer(broker, dir)
  await first.sendSync('orders', 'first', { partition: 0 })
  await first.close()
  for (const id of broker.brokerIds) await broker.stop(id)
  return broker
}

async function backAgain(broker: Broker): Promise<void> {
  for (const id of broker.brokerIds) await broker.start(id)
}

describe('WA-1: accepted and delivered are separate moments', () => {
  it.each(['os', 'periodic', 'immediate'] as const)(
    '%s: a receipt names the record, Kafka has it later',
    async (durability) => {
      const broker = await startBroker()
      broker.createTopic('orders')
      const producer = loggedProducer(broker, newDirectory(), { wal: { durability } })
      const receipt = await producer.sendDurable('orders', 'a')
      expect(receipt).toMatchObject({ topic: 'orders', partition: 0, position: 0 })
      expect(receipt.incarnationId).toMatch(/^[0-9a-f]{16}$/)
      expect(await sendAll(producer, ['b', 'c'])).toEqual([1, 2])
      await producer.flush()
      expect(await valuesOf(broker, 'orders')).toEqual([['a', 'b', 'c']])
      expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
      expect(producer.getMetrics()).toMatchObject({ totalMessages: 3, successMessages: 3, pendingMessages: 0 })
    },
  )

  it("sendSync resolves with Kafka's offset all the same", async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = loggedProducer(broker, newDirectory())
    await expect(producer.sendSync('orders', 'a')).resolves.toMatchObject({ offset: 0 })
    await expect(producer.sendSync('orders', 'b')).resolves.toMatchObject({ offset: 1 })
  })

  it('without a durable log it is refused by name', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const plain = newProducer(broker)
    const spilling = loggedProducer(broker, newDirectory(), { wal: { durability: 'spill' } })
    for (const producer of [plain, spilling]) {
      const error = await errorOf(producer.sendDurable('orders', 'a'))
      expect(error).toMatchObject({ code: 'INVALID_CONFIG', context: { field: 'wal.durability' } })
    }
    expect(plain.guarantee).toEqual({ level: 'best-effort', survives: 'nothing', reasons: ['C1'] })
  })

  it('wal.md 1.2 C5: a topic with one replica is said to hold less', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = loggedProducer(broker, newDirectory(), { wal: { durability: 'os' } })
    await producer.sendSync('orders', 'a')
    expect(producer.guarantee).toEqual({ level: 'at-least-once', survives: 'process', reasons: ['C5'] })
  })
})

describe('WA-2: log before wire', () => {
  it('C1: nothing touches a socket that the log has not accepted', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const dir = newDirectory()
    const producer = loggedProducer(broker, dir)
    await producer.connect()
    const held = broker.on({ api: 'Produce' }, fault.hold())
    void producer.sendSync('orders', 'a').catch(() => {})
    await broker.hit(held)
    // The request is on its way, and what is in it is in the log: a copy of the directory resends it.
    const next = loggedProducer(broker, crashed(dir))
    held.remove()
    held.release()
    await next.walRecovered()
    expect(await valuesOf(broker, 'orders')).toEqual([['a']])
  })

  it('the answer was lost with the process: the same identity goes again, and the broker knows it', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const dir = newDirectory()
    const producer = loggedProducer(broker, dir)
    await producer.connect()
    const cut = broker.on({ api: 'Produce' }, fault.hold())
    void producer.sendSync('orders', 'a').catch(() => {})
    await broker.hit(cut)
    const image = crashed(dir)
    cut.remove()
    await producer.close({ timeoutMs: 0 })
    const next = loggedProducer(broker, image)
    await next.walRecovered()
    await next.sendSync('orders', 'b')
    expect(await valuesOf(broker, 'orders')).toEqual([['a', 'b']])
    const [first, second] = broker.log('orders', 0).batches
    expect(second?.producerId).not.toBe(first?.producerId)
    expect(await next.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })
})

describe('WA-3: recovery', () => {
  it('brokers away at the start: accepted, kept over two lives, delivered once in order', async () => {
    const dir = newDirectory()
    const broker = await metAndGone(dir)
    const second = loggedProducer(broker, dir)
    expect(await sendAll(second, numbers(0, 50))).toEqual(numbers(1, 51).map(Number))
    expect(await second.close({ timeoutMs: 0 })).toMatchObject({ inWalRecords: 50 })
    await backAgain(broker)
    const third = loggedProducer(broker, dir)
    await sendAll(third, numbers(50, 60))
    await third.walRecovered()
    await third.flush()
    expect((await valuesOf(broker, 'orders'))[0]).toEqual(['first', ...numbers(0, 60)])
    expect(await third.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })
})

describe('WA-4, WA-5: memory and the log', () => {
  it('PR-19: brokers away, memory for a fraction: the rest waits in the log and leaves in order', async () => {
    const dir = newDirectory()
    const broker = await metAndGone(dir)
    const producer = loggedProducer(broker, dir, { bufferMemoryBytes: 1024 * 1024, compression: 'none' })
    const filler = 'x'.repeat(1000)
    for (let round = 0; round < 80; round++) {
      await sendAll(
        producer,
        numbers(round * 100, round * 100 + 100).map((n) => `${n} ${filler}`),
        round % 3,
      )
    }
    expect(producer.getMetrics().bufferUsedBytes).toBeLessThanOrEqual(1024 * 1024)
    await backAgain(broker)
    await producer.flush()
    const all = await valuesOf(broker, 'orders', 3)
    const seen = all.map((values) =>
      values.filter((value) => value !== 'first').map((value) => Number(value.split(' ')[0])),
    )
    expect(seen.flat()).toHaveLength(8000)
    for (const one of seen) expect(one).toEqual([...one].sort((a, b) => a - b))
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })

  it('PR-18: spill, memory full: bytes wait in the log, order is kept, nothing is written without need', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const dir = newDirectory()
    const spilling = { wal: { durability: 'spill' }, bufferMemoryBytes: 1024 * 1024, compression: 'none' } as const
    const producer = loggedProducer(broker, dir, spilling)
    await producer.sendSync('orders', 'small')
    expect(producer.walMeasures()?.log.appendedRecords).toBe(0)
    for (const id of broker.brokerIds) await broker.stop(id)
    const filler = 'x'.repeat(1000)
    const sent = numbers(0, 4000).map((n) => producer.sendSync('orders', `${n} ${filler}`))
    await until(() => (producer.walMeasures()?.log.appendedRecords ?? 0) > 1000, 'spilled records')
    await backAgain(broker)
    await Promise.all(sent)
    const [values] = await valuesOf(broker, 'orders')
    expect(values?.slice(1).map((value) => Number(value.split(' ')[0]))).toEqual(numbers(0, 4000).map(Number))
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })
})

describe('PR-16 with a log', () => {
  it('a deadline ends the wait of the caller, not the record', async () => {
    const dir = newDirectory()
    const broker = await metAndGone(dir)
    const producer = loggedProducer(broker, dir, { deliveryTimeoutMs: 1000, requestTimeoutMs: 500, lingerMs: 0 })
    const error = await errorOf(producer.sendSync('orders', 'late', { partition: 0 }))
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { persistence: 'possibly-persisted', isInLog: true } })
    expect(producer.getMetrics().pendingMessages).toBe(1)
    await backAgain(broker)
    await producer.flush()
    expect((await valuesOf(broker, 'orders'))[0]).toEqual(['first', 'late'])
    expect(producer.getMetrics()).toMatchObject({ successMessages: 1, failedMessages: 0 })
  })

  it('close leaves in the log what could not be sent, and says how much', async () => {
    const dir = newDirectory()
    const broker = await metAndGone(dir)
    const producer = loggedProducer(broker, dir)
    const waiting = errorOf(producer.sendSync('orders', 'a', { partition: 0 }))
    await producer.sendDurable('orders', 'b', { partition: 0 })
    expect(await producer.close({ timeoutMs: 0 })).toEqual({ unsentRecords: 2, inWalRecords: 2 })
    expect(await waiting).toMatchObject({ code: 'PRODUCER_CLOSED', context: { persistence: 'possibly-persisted' } })
  })
})

describe('wal.md 2.6 and policies', () => {
  it('a logged batch that a broker finds too large goes on in parts, once each', async () => {
    const broker = await startBroker()
    broker.createTopic('orders', { configs: { 'max.message.bytes': 2000 } })
    const dir = newDirectory()
    const producer = loggedProducer(broker, dir, { compression: 'none' })
    await producer.connect()
    const values = numbers(0, 40).map((n) => `${n} ${'x'.repeat(100)}`)
    await sendAll(producer, values)
    await producer.flush()
    expect((await valuesOf(broker, 'orders'))[0]).toEqual(values)
    expect(await producer.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })

  it('E6: a topic made anew holds what was for the old one until somebody decides', async () => {
    const dir = newDirectory()
    const broker = await metAndGone(dir)
    const producer = loggedProducer(broker, dir)
    const held: unknown[] = []
    producer.on('walHeld', (one) => held.push(one))
    await sendAll(producer, ['old'])
    broker.recreateTopic('orders', { partitions: 3 })
    await backAgain(broker)
    await until(() => held.length > 0, 'held')
    expect(producer.heldStreams).toEqual([{ topic: 'orders', partition: 0, case: 'E6', records: 1 }])
    await producer.resolveHeld('orders', 0, 'resend')
    await producer.flush()
    expect((await valuesOf(broker, 'orders'))[0]).toEqual(['old'])
    expect(producer.heldStreams).toEqual([])
    await expect(producer.resolveHeld('orders', 0, 'drop')).rejects.toMatchObject({ code: 'INVALID_PARTITION' })
  })
})
