/**
 * Batches that a broker does not take whole: too large (P-33, PR-6), or with records that are bad (P-35, P-36).
 * The oracle for order and for callers is the broker's log: each record once, in the order it was sent, at the offset
 * its caller was told.
 */
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import type { MQError } from '../../lib/errors/index.js'
import type { Producer, RecordMetadata } from '../../lib/producer/index.js'
import { drivenClock } from '../support/driven-clock.js'
import { errorOf, logOf, newProducer, stage, startBroker, until } from './support.js'

const HOUR_MS = 3_600_000

interface Told {
  readonly value: string
  error: MQError | null
  metadata: RecordMetadata | null
  times: number
}

/** Sends all values in one turn and notes what each caller is told, and in which order. */
function sendAll(producer: Producer, values: readonly string[], timestampOf: (at: number) => number | undefined) {
  const order: number[] = []
  const told = values.map((value): Told => ({ value, error: null, metadata: null, times: 0 }))
  for (const [at, one] of told.entries()) {
    const timestamp = timestampOf(at)
    const options = {
      partition: 0,
      key: `k${at}`,
      headers: { at: `${at}` },
      ...(timestamp === undefined ? {} : { timestamp }),
    }
    producer.sendAsync('orders', one.value, options, (error, metadata) => {
      one.error = error
      one.metadata = metadata
      one.times++
      order.push(at)
    })
  }
  return { told, order }
}

const noTime = () => undefined

async function expectFaithful(broker: Broker, told: readonly Told[], order: readonly number[]): Promise<void> {
  const log = await logOf(broker, 'orders')
  const good = told.filter(({ error }) => error === null)
  expect(log.map(({ value }) => value)).toEqual(good.map(({ value }) => value))
  expect(good.map(({ metadata }) => metadata?.offset)).toEqual(log.map(({ offset }) => offset))
  for (const record of log) {
    const at = told.findIndex(({ value }) => value === record.value)
    expect(record).toMatchObject({ key: `k${at}`, headers: [['at', `${at}`]] })
  }
  expect(order).toEqual(told.map((_, at) => at))
  expect(told.every(({ times }) => times === 1)).toBe(true)
}

const numbered = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, at) => `${at}:`.padEnd(bytes, String.fromCharCode(97 + (at % 26))))

describe('P-33, PR-6: too large for the broker', () => {
  it.each([
    [4000, 'none'],
    [1100, 'none'],
    [300, 'none'],
    [300, 'lz4'],
    [200, 'gzip'],
  ] as const)('split until %i B fit, compression %s: callers stay attached, in order', async (limit, compression) => {
    const { broker, producer } = await stage({
      compression,
      batchBytes: 65_536,
      performance: { optimizeForSmallMessages: false },
    })
    await producer.sendSync('orders', 'warm', { partition: 0, key: 'k-1', headers: { at: '-1' } })
    broker.setTopicConfig('orders', 'max.message.bytes', limit)
    // Every codec meets the limit only after several halvings: the values hardly compress.
    const values = Array.from(
      { length: 200 },
      (_, at) => `${at}:${Buffer.from(`${at * 7919}`.repeat(9)).toString('base64')}`,
    )
    const { told, order } = sendAll(producer, values, noTime)
    await producer.flush()
    expect(told.filter(({ error }) => error !== null)).toEqual([])
    const log = await logOf(broker, 'orders')
    expect(log.slice(1).map(({ value }) => value)).toEqual(values)
    expect(told.map(({ metadata }) => metadata?.offset)).toEqual(values.map((_, at) => at + 1))
    expect(order).toEqual(values.map((_, at) => at))
    expect(broker.log('orders', 0).batches.every((batch) => batch.bytes.length <= limit)).toBe(true)
    expect(broker.log('orders', 0).batches.length).toBeGreaterThan(4)
    // Not counted as a retry, and the lane has learnt: the next records fit at once.
    expect(producer.getMetrics()).toMatchObject({ retries: 0, failedMessages: 0, pendingMessages: 0 })
    expect(producer.getMetrics().bufferUsedBytes).toBe(0)
  })

  it('a record that is too large alone fails with MESSAGE_TOO_LARGE; its neighbours are delivered around it', async () => {
    const { broker, producer } = await stage({ compression: 'none', batchBytes: 65_536 })
    await producer.sendSync('orders', 'x', { partition: 0, key: 'k0', headers: { at: '0' } })
    broker.deleteRecords({ topic: 'orders', partition: 0 }, 1)
    broker.setTopicConfig('orders', 'max.message.bytes', 500)
    const values = [...numbered(5, 100), 'huge'.padEnd(2000, '!'), ...numbered(12, 90).slice(6)]
    const { told, order } = sendAll(producer, values, noTime)
    await producer.flush()
    const bad = told.filter(({ error }) => error !== null)
    expect(bad.map(({ value }) => value.slice(0, 4))).toEqual(['huge'])
    expect(bad[0]?.error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retryable: false })
    expect(bad[0]?.error?.context).toMatchObject({ kafkaCode: 10, persistence: 'not-persisted', records: 1 })
    await expectFaithful(broker, told, order)
  })

  it('several batches in flight behind a refused one: those wait, and follow under new numbers', async () => {
    const { broker, producer } = await stage({ compression: 'none', batchBytes: 1024, maxBatchBytes: 2048 })
    await producer.sendSync('orders', 'x', { partition: 0, key: 'k0', headers: { at: '0' } })
    broker.deleteRecords({ topic: 'orders', partition: 0 }, 1)
    broker.setTopicConfig('orders', 'max.message.bytes', 700)
    const { told, order } = sendAll(producer, numbered(60, 150), noTime)
    await producer.flush()
    await expectFaithful(broker, told, order)
    expect(told.filter(({ error }) => error !== null)).toEqual([])
  })

  it('in doubt and too large: the broker is asked first, and what was written is not sent again in parts', async () => {
    const { broker, producer } = await stage({ compression: 'none', batchBytes: 65_536 })
    const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop('after'))
    const { told, order } = sendAll(producer, numbered(20, 100), noTime)
    const flushed = producer.flush()
    await broker.hit(lost)
    broker.setTopicConfig('orders', 'max.message.bytes', 500)
    await flushed
    expect(told.filter(({ error }) => error !== null)).toEqual([])
    await expectFaithful(broker, told, order)
  })

  it('in doubt, too large, and not written: split', async () => {
    const { broker, producer } = await stage({ compression: 'none', batchBytes: 65_536 })
    const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop('before'))
    const { told, order } = sendAll(producer, numbered(20, 100), noTime)
    const flushed = producer.flush()
    await broker.hit(lost)
    broker.setTopicConfig('orders', 'max.message.bytes', 500)
    await flushed
    expect(told.filter(({ error }) => error !== null)).toEqual([])
    await expectFaithful(broker, told, order)
  })

  it('without idempotence a split keeps order and callers too', async () => {
    const { broker, producer } = await stage({
      compression: 'none',
      batchBytes: 65_536,
      idempotence: false,
      maxInFlight: 1,
    })
    broker.setTopicConfig('orders', 'max.message.bytes', 500)
    const { told, order } = sendAll(producer, numbered(30, 100), noTime)
    await producer.flush()
    await expectFaithful(broker, told, order)
    expect(told.filter(({ error }) => error !== null)).toEqual([])
  })

  it('P-33: without memory for the parts a split waits for it', async () => {
    const { broker, producer } = await stage(
      {
        compression: 'none',
        batchBytes: 16_384,
        maxBatchBytes: 16_384,
        bufferMemoryBytes: 65_536,
        hardPercent: 100,
        softPercent: 100,
      },
      { partitions: 3 },
    )
    for (const partition of [0, 1, 2]) await producer.sendSync('orders', 'x', { partition })
    broker.setTopicConfig('orders', 'max.message.bytes', 9000)
    const held = broker.on({ api: 'Produce' }, fault.hold())
    let told = 0
    const count = () => void told++
    for (let record = 0; record < 15; record++) {
      for (const partition of [0, 1, 2]) producer.sendAsync('orders', 'y'.repeat(1000), { partition }, count)
    }
    await broker.hit(held)
    held.release()
    await producer.flush()
    expect(told).toBe(45)
    expect(producer.getMetrics()).toMatchObject({ failedMessages: 0, refusedMessages: 0, bufferUsedBytes: 0 })
    for (const partition of [0, 1, 2]) expect(await logOf(broker, 'orders', partition)).toHaveLength(16)
  })
})

describe('P-35, P-36: bad records', () => {
  it('a timestamp too far in the future reaches its caller; the other records go on, in order', async () => {
    const { clock, broker, producer } = await stage({ batchBytes: 65_536 })
    const isBad = (at: number) => at === 3 || at === 7 || at === 8
    const { told, order } = sendAll(producer, numbered(10, 20), (at) =>
      isBad(at) ? clock.now() + 2 * HOUR_MS : undefined,
    )
    await producer.flush()
    for (const [at, { error }] of told.entries()) {
      if (!isBad(at)) expect(error).toBeNull()
      else {
        expect(error).toMatchObject({ code: 'PRODUCE_FAILED', retryable: false })
        expect(error?.context).toMatchObject({
          kafkaCode: 32,
          persistence: 'not-persisted',
          topic: 'orders',
          partition: 0,
        })
      }
    }
    await expectFaithful(broker, told, order)
    expect(producer.getMetrics()).toMatchObject({ successMessages: 7, failedMessages: 3, pendingMessages: 0 })
  })

  it('records without a key on a compacted topic (87): they alone fail', async () => {
    const { broker, producer } = await stage({ batchBytes: 65_536 }, { configs: { 'cleanup.policy': 'compact' } })
    const messages = Array.from({ length: 8 }, (_, at) => ({
      value: `v${at}`,
      key: at % 4 === 1 ? null : `k${at}`,
      partition: 0,
    }))
    const results = await producer.sendBatchSync({ topic: 'orders', messages })
    expect(results.map(({ error }) => error?.context.kafkaCode)).toEqual(
      messages.map(({ key }) => (key === null ? 87 : undefined)),
    )
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['v0', 'v2', 'v3', 'v4', 'v6', 'v7'])
    const offsets = results.filter(({ error }) => error === undefined).map(({ offset }) => offset)
    expect(offsets).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('all records bad: all fail, nothing is sent again', async () => {
    const { clock, broker, producer } = await stage({ batchBytes: 65_536 })
    const { told } = sendAll(producer, numbered(4, 20), () => clock.now() + 2 * HOUR_MS)
    await producer.flush()
    expect(told.map(({ error }) => error?.context.kafkaCode)).toEqual([32, 32, 32, 32])
    expect(broker.count({ api: 'Produce' })).toBe(1)
    await expect(producer.sendSync('orders', 'good')).resolves.toMatchObject({ offset: 0 })
  })

  it('flush waits for the good records of a batch with bad ones', async () => {
    const { clock, broker, producer } = await stage({ batchBytes: 65_536 })
    sendAll(producer, numbered(10, 20), (at) => (at === 5 ? clock.now() + 2 * HOUR_MS : undefined))
    broker.on({ api: 'Produce', nth: 2 }, fault.delay(200))
    await producer.flush()
    expect(await logOf(broker, 'orders')).toHaveLength(9)
    expect(producer.getMetrics().pendingMessages).toBe(0)
  })

  it('batches behind one with bad records are not lost, not doubled, not reordered', async () => {
    const { clock, broker, producer } = await stage({ compression: 'none', batchBytes: 1024, maxBatchBytes: 1024 })
    await producer.sendSync('orders', 'x', { partition: 0 })
    broker.deleteRecords({ topic: 'orders', partition: 0 }, 1)
    const { told, order } = sendAll(producer, numbered(60, 100), (at) =>
      at % 17 === 5 ? clock.now() + 2 * HOUR_MS : undefined,
    )
    await producer.flush()
    await expectFaithful(broker, told, order)
    expect(told.filter(({ error }) => error !== null)).toHaveLength(4)
  })

  it('P-35: in doubt with bad records: the broker is asked, and what is not there fails as a whole', async () => {
    const { broker, producer } = await stage({ batchBytes: 65_536 })
    const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop('before'))
    broker.on({ api: 'Produce', nth: 2 }, fault.error(87))
    const { told } = sendAll(producer, numbered(5, 20), noTime)
    await broker.hit(lost)
    await producer.flush()
    expect(told.map(({ error }) => error?.context.persistence)).toEqual(Array(5).fill('not-persisted'))
    expect(await logOf(broker, 'orders')).toEqual([])
    expect(broker.count({ api: 'DescribeProducers' })).toBe(1)
  })
})

describe('P-2: exact at the limit', () => {
  it('PR-6: a batch of exactly max.message.bytes passes, one more byte is split', async () => {
    const clock = drivenClock()
    const broker = await startBroker({ clock })
    for (const extra of [0, 1]) {
      const topic = `limit${extra}`
      broker.createTopic(topic)
      const producer = newProducer(broker, { compression: 'none', batchBytes: 65_536 }, { clock })
      const messages = [{ value: 'a'.repeat(400) }, { value: 'b'.repeat(400) }]
      await producer.sendBatchSync({ topic, messages })
      const whole = broker.log(topic, 0).batches[0]?.bytes.length as number
      broker.setTopicConfig(topic, 'max.message.bytes', whole - extra)
      const results = await producer.sendBatchSync({ topic, messages })
      expect(results.map(({ offset }) => offset)).toEqual([2, 3])
      expect(broker.log(topic, 0).batches.map((batch) => batch.count)).toEqual(extra === 0 ? [2, 2] : [2, 1, 1])
      await producer.close()
    }
  })

  it('the error of a refused record can be awaited', async () => {
    const { broker, producer } = await stage({ compression: 'none' })
    broker.setTopicConfig('orders', 'max.message.bytes', 200)
    expect(await errorOf(producer.sendSync('orders', 'z'.repeat(400)))).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    await until(() => producer.getMetrics().pendingMessages === 0)
  })
})
