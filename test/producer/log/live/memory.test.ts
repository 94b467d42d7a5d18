/** Little memory in front of a log: what goes out comes back, in order, for every lane. */
import { describe, expect, it } from 'vitest'
import type { Broker } from '../../../../lib/broker/index.js'
import type { Producer } from '../../../../lib/producer/index.js'
import { startBroker, turns, until } from '../../support.js'
import { loggedProducer, newDirectory, numbers, valuesOf } from '../support.js'
import { conserves, liveStage } from './support.js'

const filler = 'x'.repeat(1000)
const values = (from: number, to: number) => numbers(from, to).map((n) => `${n} ${filler}`)
const inOrder = (count: number) => numbers(0, count).map(Number)

async function away(broker: Broker): Promise<void> {
  for (const id of broker.brokerIds) await broker.stop(id)
}
async function back(broker: Broker): Promise<void> {
  for (const id of broker.brokerIds) await broker.start(id)
}

/** Everything but what was sent first, as numbers. */
async function seen(broker: Broker, partitions: number): Promise<number[][]> {
  const all = await valuesOf(broker, 'orders', partitions)
  return all.map((one) => one.filter((value) => value !== 'first').map((value) => Number(value.split(' ')[0])))
}

async function durable(producer: Producer, count: number, partitions: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        producer.sendDurable('orders', `${n} ${filler}`, { partition }),
      ),
    )
  }
}

describe('WA-5: paging', () => {
  it.each([2, 12, 40])(
    '%i lanes share a small memory: all of them drain, none out of order',
    async (partitions) => {
      const { broker, wal, producer } = await liveStage({
        topic: { partitions },
        bufferMemoryBytes: 512 * 1024,
        maxBatchBytes: 32_768,
        batchBytes: 4096,
      })
      await producer.connect()
      await producer.sendSync('orders', 'first', { partition: 0 })
      await away(broker)
      let isOver = false
      const sending = durable(producer, 60, partitions).then(() => {
        isOver = true
      })
      for (let turn = 0; turn < 3000 && !isOver; turn++) await turns(1)
      expect(producer.getMetrics().bufferUsedBytes).toBeLessThanOrEqual(512 * 1024)
      await back(broker)
      await sending
      await producer.flush({ timeoutMs: 20_000 })
      expect(await seen(broker, partitions)).toEqual(Array.from({ length: partitions }, () => inOrder(60)))
      expect(wal.unsettled).toEqual([])
      conserves(producer)
    },
    40_000,
  )

  it('PR-22: recovered batches count once, with bufferMaxRecords too', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const dir = newDirectory()
    const config = { bufferMaxRecords: 100, lingerMs: 0 }
    const before = loggedProducer(broker, dir, config)
    await before.sendSync('orders', 'first')
    await away(broker)
    await Promise.all(values(0, 40).map((value) => before.sendDurable('orders', value)))
    expect(await before.close({ timeoutMs: 0 })).toEqual({ unsentRecords: 40, inWalRecords: 40 })
    const after = loggedProducer(broker, dir, config)
    const more = after.sendDurable('orders', `40 ${filler}`)
    await back(broker)
    await more
    await after.walRecovered()
    await after.flush()
    conserves(after)
    expect(await seen(broker, 1)).toEqual([inOrder(41)])
    for (let n = 0; n < 150; n++) await after.sendSync('orders', 'more', { timeoutMs: 5000 })
    expect(await after.close()).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })
})

describe("PR-18: 'spill'", () => {
  it.each(['none', 'zstd'] as const)(
    'codec %s: brokers go and come back while memory is full',
    async (compression) => {
      const { broker, wal, producer } = await liveStage({
        wal: { durability: 'spill' },
        bufferMemoryBytes: 512 * 1024,
        maxBatchBytes: 32_768,
        batchBytes: 4096,
        compression,
      })
      wal.isEager = false
      await producer.connect()
      await producer.sendSync('orders', 'first')
      const sent: Promise<unknown>[] = []
      for (let round = 0; round < 3; round++) {
        await away(broker)
        sent.push(...values(round * 700, round * 700 + 700).map((value) => producer.sendSync('orders', value)))
        await until(() => wal.appends > round * 10, 'spilled')
        await back(broker)
        if (round % 2 === 0) await turns(30)
        else await Promise.all(sent)
      }
      await Promise.all(sent)
      expect(await seen(broker, 1)).toEqual([inOrder(2100)])
      await producer.flush()
      expect(wal.unsettled).toEqual([])
      conserves(producer)
    },
    40_000,
  )

  it('wal.md 2.6: a spilled batch that is too large goes on in parts, and leaves the log when all are settled', async () => {
    const { broker, wal, producer } = await liveStage({
      topic: { configs: { 'max.message.bytes': 3000 } },
      wal: { durability: 'spill' },
      bufferMemoryBytes: 256 * 1024,
      maxBatchBytes: 32_768,
      batchBytes: 16_384,
    })
    wal.isEager = false
    await producer.connect()
    await producer.sendSync('orders', 'first')
    await away(broker)
    const sent = values(0, 400).map((value) => producer.sendSync('orders', value))
    await until(() => wal.appends > 3, 'spilled')
    wal.capacity = wal.unsettledBytes // No room for anything more.
    await back(broker)
    await Promise.all(sent)
    expect(await seen(broker, 1)).toEqual([inOrder(400)])
    expect(wal.unsettled).toEqual([])
    conserves(producer)
  }, 40_000)
})

describe('WA-4: a full memory in front of a full log', () => {
  it('a lane whose broker is away does not keep the others from draining', async () => {
    const { broker, wal, producer } = await liveStage({
      broker: { nodes: 2 },
      topic: { partitions: 2 },
      bufferMemoryBytes: 256 * 1024,
      maxBatchBytes: 32_768,
      batchBytes: 4096,
      maxBlockMs: 600_000,
    })
    await producer.connect()
    const [one, two] = broker.brokerIds as [number, number]
    broker.moveLeader({ topic: 'orders', partition: 0 }, one)
    broker.moveLeader({ topic: 'orders', partition: 1 }, two)
    await producer.sendSync('orders', 'first', { partition: 0 })
    await producer.sendSync('orders', 'first', { partition: 1 })
    await away(broker)
    await durable(producer, 300, 2)
    wal.capacity = wal.unsettledBytes
    const rest = numbers(300, 500).flatMap((n) =>
      [0, 1].map((partition) => producer.sendSync('orders', `${n} ${filler}`, { partition })),
    )
    await turns(500)
    await broker.start(two)
    await until(() => broker.log('orders', 1).logEnd >= 301, 'the other lane drains')
    await broker.start(one)
    await Promise.all(rest)
    await producer.flush()
    expect(await seen(broker, 2)).toEqual([inOrder(500), inOrder(500)])
    conserves(producer)
  }, 40_000)
})
