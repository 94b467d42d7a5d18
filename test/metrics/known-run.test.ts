/**
 * Real clients on the in-process broker, with counted work: what each series shows is compared with what the broker
 * holds and saw, never with what the client says of itself. Time is virtual, so that times can be told too.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, fault, type StoredBatch } from '../../lib/broker/index.js'
import { ConnectionPool } from '../../lib/cluster/index.js'
import { type ConsumerConfig, type ProducerConfig, resolveClientConfig } from '../../lib/config/index.js'
import { Consumer } from '../../lib/consumer/index.js'
import type { Metrics } from '../../lib/metrics/index.js'
import { seededRandom, silentLogger } from '../../lib/util/index.js'
import { newProducer, startBroker, until } from '../producer/support.js'
import { drivenClock } from '../support/driven-clock.js'
import { keyOf, parseExposition } from './exposition.js'
import { metricsOf } from './fakes.js'

const P = 'tandem_mq_'

/** Values by series and labels, read now. */
async function seen(metrics: Metrics) {
  const families = parseExposition(await metrics.text(), 'text')
  const samples = [...families.values()].flatMap((family) => family.samples)
  const values = new Map(samples.map(({ name, labels, value }) => [keyOf(name, labels), value]))
  const of = (name: string, labels: Record<string, string> = {}) => values.get(keyOf(P + name, labels))
  /** The smallest bound that has all observations. */
  const reached = (name: string, labels: Record<string, string> = {}) => {
    const count = of(`${name}_count`, labels)
    const family = families.get(P + name)?.samples.filter(({ name: line }) => line === `${P + name}_bucket`) ?? []
    return family.find(({ value }) => value === count)?.labels.le
  }
  return { of, reached }
}

async function stage(config: ProducerConfig = {}) {
  const clock = drivenClock()
  const broker = await startBroker({ clock, random: seededRandom(7) })
  broker.createTopic('orders', { partitions: 1 })
  const metrics = metricsOf({}, { clock, targetThroughputPerSec: 100 })
  const producer = newProducer(broker, { compression: 'none', ...config }, { clock, random: seededRandom(8) })
  const detach = metrics.attachProducer(producer)
  onTestFinished(() => metrics.close())
  return { clock, broker, metrics, producer, detach }
}

function consumerOf(broker: Broker, clock: ReturnType<typeof drivenClock>, config: ConsumerConfig = {}): Consumer {
  const base = { brokers: broker.bootstrap, logger: silentLogger, groupId: 'billing', fetchMaxWaitMs: 20 }
  const consumer = new Consumer({ autoOffsetReset: 'earliest', ...base, ...config }, { clock, random: seededRandom(9) })
  onTestFinished(() => consumer.close())
  return consumer
}

const batchesOf = (broker: Broker, topic = 'orders'): readonly StoredBatch[] => broker.log(topic, 0).batches
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
const failure = (outcome: Promise<unknown>) =>
  outcome.then(
    () => 'none',
    (error: { code: string }) => error.code,
  )

describe('a known run of a producer', () => {
  it('ME-1, PR-22: shows exactly what was sent, acknowledged, repeated, refused and failed', async () => {
    const { broker, metrics, producer } = await stage()
    for (let index = 0; index < 3; index++) await producer.sendSync('orders', `single ${index}`)
    const messages = Array.from({ length: 20 }, (_, index) => ({ value: `of a batch ${index}` }))
    await producer.sendBatchSync({ topic: 'orders', messages })
    broker.on({ api: 'Produce', times: 2 }, fault.error(6))
    await producer.sendSync('orders', 'asked three times')
    broker.on({ api: 'Produce', times: 1 }, fault.error(29))
    expect(await failure(producer.sendSync('orders', 'not allowed'))).toBe('AUTHORIZATION_FAILED')
    expect(await failure(producer.sendSync('orders', Buffer.alloc(2_000_000)))).toBe('MESSAGE_TOO_LARGE')

    const batches = batchesOf(broker)
    const requests = broker.requests({ api: 'Produce' }).length
    expect([batches.map(({ count }) => count), requests]).toEqual([[1, 1, 1, 20, 1], 8])
    const { of } = await seen(metrics)
    expect(
      ['accepted', 'acknowledged', 'failed', 'dropped'].map((state) => of('producer_records_total', { state })),
    ).toEqual([25, 24, 1, 0])
    expect(of('producer_pending_records')).toBe(0)
    expect(of('producer_batches_total')).toBe(5)
    expect(of('producer_retries_total', { reason: 'NOT_LEADER_OR_FOLLOWER' })).toBe(2)
    expect(of('produce_latency_seconds_count')).toBe(24)
    expect(of('produce_request_seconds_count')).toBe(requests)
    expect(of('batch_records_count')).toBe(5)
    expect(of('batch_records_sum')).toBe(24)
    expect([
      of('batch_records_bucket', { le: '1' }),
      of('batch_records_bucket', { le: '10' }),
      of('batch_records_bucket', { le: '100' }),
    ]).toEqual([4, 4, 5])
    expect(of('batch_bytes_sum')).toBe(sum(batches.map(({ bytes }) => bytes.length)))
    expect(of('errors_total', { component: 'producer', code: 'AUTHORIZATION_FAILED' })).toBe(1)
    expect(of('errors_total', { component: 'producer', code: 'MESSAGE_TOO_LARGE' })).toBe(1)
    expect(of('throughput_target_ratio')).toBeGreaterThan(0)
    // Lanes as a channel: a batch that failed was written and read as well.
    expect(of('write_counts_total', { result: 'success' })).toBe(25)
    expect(of('write_counts_total', { result: 'failure' })).toBe(1)
    expect(of('write_errors_total')).toBe(1)
    expect(of('read_counts_total', { result: 'success' })).toBe(25)
    expect(of('read_counts_total', { result: 'failure' })).toBe(0)
    expect(of('switch_counts_total')).toBe(6)
    expect(of('switch_latency_count')).toBe(6)
    expect(of('pool_alloc_total')).toBeGreaterThan(0)
    for (const level of [
      'async_workers',
      'in_flight_batches',
      'active_channel_data_counts',
      'active_channel_data_sizes',
      'buffer_used_bytes',
    ]) {
      expect([level, of(level)]).toEqual([level, 0])
    }
    expect(of('buffer_limit_bytes')).toBe(67_108_864)
  })

  it('ME-1: bytes are those of keys, values and headers, encoded', async () => {
    const { broker, metrics, producer } = await stage()
    for (const size of [0, 10, 1_000]) await producer.sendSync('orders', Buffer.alloc(size, 1), { key: 'k' })
    await producer.sendSync('orders', 'né', { headers: { a: 'bc' } })
    // Header lists as on the wire: their number, then per header length, name, length, value.
    const bytes = 1_010 + 3 * ('k'.length + 1) + 3 + (1 + 1 + 1 + 1 + 2)
    const { of } = await seen(metrics)
    expect(of('producer_bytes_total')).toBe(bytes)
    expect(of('write_sizes_total')).toBe(bytes)
    // The sender takes whole batches, with their headers and lengths.
    expect(of('read_sizes_total')).toBe(sum(batchesOf(broker).map((batch) => batch.bytes.length)))
  })

  it('ME-1: compression is shown per codec, compressed to original', async () => {
    const { broker, metrics, producer } = await stage({
      compression: 'gzip',
      performance: { optimizeForSmallMessages: false },
    } as ProducerConfig)
    const messages = Array.from({ length: 50 }, () => ({ value: 'the same words again and again' }))
    await producer.sendBatchSync({ topic: 'orders', messages })
    const [batch] = batchesOf(broker)
    const { of } = await seen(metrics)
    expect(of('compression_ratio_count', { codec: 'gzip' })).toBe(1)
    const plain = of('read_sizes_total') ?? 0
    expect(plain).toBeGreaterThan(50 * 'the same words again and again'.length)
    expect(of('compression_ratio_sum', { codec: 'gzip' })).toBe((batch?.bytes.length ?? 0) / plain)
    expect(of('compression_ratio_bucket', { codec: 'gzip', le: '0.2' })).toBe(1)
    expect(of('batch_bytes_sum')).toBe(batch?.bytes.length)
  })

  it('ME-1: levels while a request is under way, and times of the broker that takes 200 ms', async () => {
    const { broker, metrics, producer } = await stage({ maxInFlight: 1 })
    await producer.sendSync('orders', 'the lane is known')
    const before = await seen(metrics)
    const slow = broker.on({ api: 'Produce', times: 1 }, fault.delay(200))
    const first = producer.sendSync('orders', 'under way')
    await broker.hit(slow)
    const second = producer.sendSync('orders', 'waits in the active buffer')
    const during = await seen(metrics)
    expect(during.of('in_flight_batches')).toBe(1)
    expect(during.of('async_workers')).toBe(1)
    expect(during.of('producer_pending_records')).toBe(2)
    expect(during.of('active_channel_data_counts')).toBe(1)
    expect(during.of('active_channel_data_sizes')).toBeGreaterThan(26)
    expect(during.of('buffer_used_bytes')).toBeGreaterThan(0)
    await Promise.all([first, second])
    const after = await seen(metrics)
    expect(after.of('producer_pending_records')).toBe(0)
    expect(after.of('active_channel_data_counts')).toBe(0)
    const took = (name: string) => (after.of(`${name}_sum`) ?? 0) - (before.of(`${name}_sum`) ?? 0)
    expect(took('produce_request_seconds')).toBeGreaterThanOrEqual(0.2)
    expect(took('produce_request_seconds')).toBeLessThan(0.4) // The second one has no delay.
    expect(after.reached('produce_request_seconds')).toBe('0.25')
  })

  it('ME-1, PR-18: crossings of the limits, records dropped, and the time that sends waited', async () => {
    const { broker, metrics, producer } = await stage({
      bufferMemoryBytes: 4_096,
      maxBatchBytes: 2_048,
      batchBytes: 1_024,
      maxInFlight: 1,
    })
    await producer.sendSync('orders', 'the lane is known')
    const slow = broker.on({ api: 'Produce', times: 1 }, fault.delay(500))
    const sends = Array.from({ length: 8 }, () => producer.sendSync('orders', Buffer.alloc(900, 1)))
    await broker.hit(slow)
    await Promise.all(sends)
    const { of } = await seen(metrics)
    expect(of('backpressure_total', { level: 'soft' })).toBeGreaterThanOrEqual(1)
    expect(of('backpressure_total', { level: 'hard' })).toBeGreaterThanOrEqual(1)
    expect(of('blocked_seconds_total')).toBeGreaterThan(0.4)
    expect(of('producer_records_total', { state: 'acknowledged' })).toBe(9)
  })

  it('ME-1: dropped records are told apart from failed ones', async () => {
    const { broker, metrics, producer } = await stage({
      bufferMemoryBytes: 4_096,
      maxBatchBytes: 2_048,
      batchBytes: 1_024,
      maxInFlight: 1,
      onFull: 'dropOldest',
    })
    await producer.sendSync('orders', 'the lane is known')
    const held = broker.on({ api: 'Produce', times: 1 }, fault.hold())
    const outcomes = Array.from({ length: 8 }, () => failure(producer.sendSync('orders', Buffer.alloc(900, 1))))
    await broker.hit(held)
    held.release()
    const dropped = (await Promise.all(outcomes)).filter((code) => code === 'PRODUCE_FAILED').length
    expect(dropped).toBeGreaterThan(0)
    const { of } = await seen(metrics)
    expect(of('producer_records_total', { state: 'dropped' })).toBe(dropped)
    expect(of('producer_records_total', { state: 'failed' })).toBe(0)
    expect(of('producer_records_total', { state: 'acknowledged' })).toBe(9 - dropped)
    expect(of('producer_records_total', { state: 'accepted' })).toBe(9)
    expect(batchesOf(broker).reduce((total, { count }) => total + count, 0)).toBe(9 - dropped)
  })

  it('PR-19: the circuit of a broker is shown while the breaker is on', async () => {
    const { broker, metrics, producer } = await stage({
      circuitBreaker: { enabled: true, failures: 2, timeoutMs: 100_000 },
      deliveryTimeoutMs: 60_000,
    } as ProducerConfig)
    await producer.sendSync('orders', 'well')
    const state = async () => (await seen(metrics)).of('circuit_state', { broker: '1' })
    expect(await state()).toBe(0)
    broker.on({ api: 'Produce' }, fault.drop('before'))
    const lost = failure(producer.sendSync('orders', 'nobody answers'))
    const open = new Promise((resolve) => producer.on('circuit', resolve))
    await open
    expect(await state()).toBe(2)
    await producer.close({ timeoutMs: 0 })
    await lost
  })

  it('ME-1: a producer that was closed and detached leaves its totals', async () => {
    const { metrics, producer, detach } = await stage()
    for (let index = 0; index < 4; index++) await producer.sendSync('orders', 'x')
    await producer.close()
    detach()
    const { of } = await seen(metrics)
    expect(of('producer_records_total', { state: 'acknowledged' })).toBe(4)
    expect(of('buffer_limit_bytes')).toBe(0)
  })
})

describe('a known run of a consumer', () => {
  it('ME-1: shows exactly what was read, skipped, committed, and where it stands', async () => {
    const { clock, broker, metrics, producer } = await stage()
    const messages = Array.from({ length: 10 }, (_, index) => ({ value: String(index) }))
    await producer.sendBatchSync({ topic: 'orders', messages })
    const consumer = consumerOf(broker, clock, { onError: 'skip', autoCommit: false })
    metrics.attachConsumer(consumer)
    let calls = 0
    await consumer.subscribe('orders', () => {
      calls++
      if (calls === 3) throw new Error('the third is bad')
    })
    await until(() => calls === 10, '10 callbacks')
    await consumer.commitOffset({ topic: 'orders', partition: 0 }, 7)
    await until(() => (consumer.getMetrics().currentOffset['orders-0'] ?? 0) === 10, 'position 10')
    const at = { topic: 'orders', partition: '0' }
    const { of } = await seen(metrics)
    expect(of('consumer_records_total')).toBe(10)
    expect(of('consumer_bytes_total')).toBe(sum(batchesOf(broker).map(({ bytes }) => bytes.length)))
    expect(['retry', 'skip', 'dlq', 'stop'].map((action) => of('consumer_errors_total', { action }))).toEqual([
      0, 1, 0, 0,
    ])
    expect(of('consumer_callback_seconds_count')).toBe(10)
    expect(of('fetch_request_seconds_count')).toBeGreaterThan(0)
    expect(of('consumer_lag_records', at)).toBe(0)
    expect(of('consumer_position_offset', at)).toBe(10)
    expect(of('consumer_committed_offset', at)).toBe(7)
    expect(of('commits_total', { result: 'success' })).toBe(1)
    expect(of('commits_total', { result: 'failure' })).toBe(0)
    expect(of('rebalances_total', { type: 'assigned' })).toBe(1)
    expect(of('async_workers')).toBe(0)
    await consumer.close()
    const after = await seen(metrics)
    expect(after.of('consumer_lag_records', at)).toBeUndefined()
    expect(after.of('consumer_position_offset', at)).toBeUndefined()
    expect(after.of('consumer_records_total')).toBe(10)
  })

  it('CO-13: lag is the distance to the end while the consumer is paused', async () => {
    const { clock, broker, metrics, producer } = await stage()
    await producer.sendSync('orders', 'first')
    const consumer = consumerOf(broker, clock)
    metrics.attachConsumer(consumer)
    let calls = 0
    await consumer.subscribe('orders', () => void calls++)
    await until(() => calls === 1, 'the first record')
    consumer.pause(['orders'])
    for (let index = 0; index < 5; index++) await producer.sendSync('orders', 'more')
    await until(() => consumer.getMetrics().lag === 5, 'a lag of 5')
    const { of } = await seen(metrics)
    expect(of('consumer_lag_records', { topic: 'orders', partition: '0' })).toBe(5)
  })

  it('CO-15: retries and the record that goes to the dead letters are told by action', async () => {
    const { clock, broker, metrics, producer } = await stage()
    broker.createTopic('orders.dlq', { partitions: 1 })
    await producer.sendSync('orders', 'bad')
    const base = { brokers: broker.bootstrap, logger: silentLogger, groupId: 'billing', fetchMaxWaitMs: 20 }
    const consumer = new Consumer(
      { ...base, autoOffsetReset: 'earliest', onError: 'dlq', dlqTopic: 'orders.dlq' },
      { clock, random: seededRandom(9), deadLetters: producer },
    )
    onTestFinished(() => consumer.close())
    metrics.attachConsumer(consumer)
    await consumer.subscribe('orders', () => {
      throw new Error('always')
    })
    await until(() => consumer.getMetrics().deadLetters === 1, 'a dead letter')
    const { of } = await seen(metrics)
    expect(of('consumer_errors_total', { action: 'dlq' })).toBe(1)
    expect(of('producer_records_total', { state: 'acknowledged' })).toBe(2)
  })

  it('CO-16: records that were read before are counted', async () => {
    const { clock, broker, metrics, producer } = await stage()
    for (const value of ['a', 'b', 'a', 'a']) await producer.sendSync('orders', value)
    const consumer = consumerOf(broker, clock, { dedup: { enabled: true } })
    metrics.attachConsumer(consumer)
    const values: string[] = []
    await consumer.subscribe('orders', ({ value }) => void values.push(String(value)))
    await until(() => (consumer.getMetrics().currentOffset['orders-0'] ?? 0) === 4, 'position 4')
    expect(values).toEqual(['a', 'b'])
    expect((await seen(metrics)).of('consumer_dedup_hits_total')).toBe(2)
  })
})

describe('a known run of connections', () => {
  it('CL-3, CL-5: sockets by state, and round trips', async () => {
    const { clock, broker, metrics, producer } = await stage()
    const config = resolveClientConfig({ brokers: broker.bootstrap, logger: silentLogger })
    const pool = new ConnectionPool(config, { clock, random: seededRandom(4) })
    onTestFinished(() => pool.close())
    metrics.attachConnections(pool)
    pool.include(producer)
    await producer.sendSync('orders', 'x')
    await pool.ping()
    await pool.ping()
    const { of } = await seen(metrics)
    expect(of('connections', { state: 'total' })).toBe(broker.connections)
    expect(of('connections_created_total')).toBe(broker.connections + (of('connections_closed_total') ?? 0))
    expect(of('connection_errors_total')).toBe(0)
    expect(of('connections', { state: 'max' })).toBe(10)
    expect(of('ping_seconds_count')).toBe(2)
  })
})
