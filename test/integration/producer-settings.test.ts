/**
 * Settings that change while records flow, and traces, against a real Kafka: judged by readers that are not ours and by
 * the batches on disk.
 */
import { afterEach, expect, it } from 'vitest'
import { Producer } from '../../lib/index.js'
import { withTraceId } from '../../lib/util/index.js'
import { readWithKafkajs } from '../support/interop-kafkajs.js'
import { bootstrap, brokers, createTopic, describeWithKafka, dumpAbsent, dumpPartition } from '../support/real-kafka.js'

const open: Producer[] = []

function producerWith(config: ConstructorParameters<typeof Producer>[0] = {}): Producer {
  const producer = new Producer({ brokers: bootstrap, clientId: 'integration', logLevel: 'silent', ...config })
  open.push(producer)
  return producer
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((producer) => producer.close({ timeoutMs: 5_000 })))
})

describeWithKafka('settings of a producer on a real Kafka', () => {
  it('PR-11, PR-13: codec, window, linger and batch size change every hundred records: nothing lost, doubled or reordered', async () => {
    const topic = await createTopic('update', { partitions: 2 })
    const producer = producerWith({ lingerMs: 1 })
    const updates = [
      { compression: 'gzip', maxInFlight: 1 },
      { compression: 'lz4', maxInFlight: 5, batchBytes: 2_000 },
      { compression: 'none', lingerMs: 20, batchMaxRecords: 50 },
      { compression: 'zstd', batchBytes: 100_000 },
      { compression: 'snappy', lingerMs: 0 },
    ] as const
    const values = Array.from({ length: 5_000 }, (_, n) => `record ${n} `.repeat(10))
    const pending: Promise<unknown>[] = []
    for (const [n, value] of values.entries()) {
      pending.push(producer.sendSync(topic, value, { partition: n % 2 }))
      if (n % 100 !== 99) continue
      producer.updateConfig(updates[Math.floor(n / 100) % updates.length] ?? {})
      // Some of them are stored under each setting, others are on their way when it changes.
      await pending[n - 50]
    }
    await Promise.all(pending)
    const records = await readWithKafkajs(brokers, topic)
    for (const partition of [0, 1]) {
      const found = records.filter((record) => record.partition === partition).map(({ value }) => value?.toString())
      expect(found).toEqual(values.filter((_, n) => n % 2 === partition))
    }
    const { accepted, acknowledged, pending: left, compressionRatios } = producer.measures()
    expect([accepted, acknowledged, left]).toEqual([5_000, 5_000, 0])
    expect(compressionRatios.size, 'codecs that batches have really been sent with').toBeGreaterThanOrEqual(4)
  })

  it.skipIf(dumpAbsent !== null)('PR-11: the codec shows on disk from the update on', async () => {
    const topic = await createTopic('update-disk')
    const producer = producerWith({ compression: 'none' })
    const burst = () =>
      Promise.all(Array.from({ length: 200 }, (_, n) => producer.sendSync(topic, `record ${n} `.repeat(4))))
    await burst()
    producer.updateConfig({ compression: 'gzip' })
    await burst()
    const batches = await dumpPartition(topic, 0)
    expect(batches[0]?.codec).toBe('none')
    expect(batches.at(-1)?.codec).toBe('gzip')
    const codecs = batches.map(({ codec }) => codec)
    expect(codecs, 'one change, not back and forth').toEqual(
      [...codecs].sort((a, b) => (a === b ? 0 : a === 'none' ? -1 : 1)),
    )
  })

  it('PR-23: trace id and time stand behind the headers of the caller, for any reader', async () => {
    const topic = await createTopic('trace')
    const producer = producerWith({ trace: { enabled: true, timestampHeader: 'X-Timestamp' } })
    const timestamp = 1_700_000_000_000
    await withTraceId('trace-7', () => producer.sendSync(topic, 'a', { timestamp, headers: { own: '1' } }))
    await producer.sendSync(topic, 'b', { timestamp, headers: { 'X-Trace-ID': 'mine' } })
    const headers = (await readWithKafkajs(brokers, topic)).map((record) =>
      record.headers.map(([name, value]) => `${name}: ${value}`).toSorted(),
    )
    expect(headers).toEqual([
      ['X-Timestamp: 2023-11-14T22:13:20.000Z', 'X-Trace-ID: trace-7', 'own: 1'],
      ['X-Timestamp: 2023-11-14T22:13:20.000Z', 'X-Trace-ID: mine'],
    ])
  })

  it('PR-10, PR-19: adaptive batches and a circuit breaker do no harm to a healthy cluster', async () => {
    const topic = await createTopic('adaptive', { partitions: 3 })
    const producer = producerWith({
      adaptiveBatch: { enabled: true, targetLatencyMs: 2 },
      circuitBreaker: { enabled: true },
    })
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 500; n++) producer.sendAsync(topic, `round ${round} record ${n} `.repeat(5))
      await producer.flush()
    }
    expect(await readWithKafkajs(brokers, topic)).toHaveLength(10_000)
    expect(producer.getMetrics()).toMatchObject({ successMessages: 10_000, circuitState: 'closed', backoffMs: 0 })
    expect(producer.isDegraded).toBe(false)
  })
})
