import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { codeOf, logOf, newProducer, startBroker } from './support.js'

describe('sending', () => {
  it('PR-1: sendSync resolves with where the record is, and it is there', async () => {
    const broker = await startBroker()
    broker.createTopic('orders', { partitions: 3 })
    const producer = newProducer(broker)
    const first = await producer.sendSync('orders', 'one', { partition: 2, timestamp: 1_700_000_000_000 })
    expect(first).toEqual({ topic: 'orders', partition: 2, offset: 0, timestamp: 1_700_000_000_000 })
    const second = await producer.sendSync('orders', Buffer.from('two'), {
      partition: 2,
      key: 'k',
      headers: { h: 'v' },
    })
    expect(second).toMatchObject({ partition: 2, offset: 1 })
    expect(await logOf(broker, 'orders', 2)).toMatchObject([
      { value: 'one', key: null, headers: [] },
      { value: 'two', key: 'k', headers: [['h', 'v']] },
    ])
  })

  it('PR-1: until accepted resolves before any broker is asked', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    const held = broker.on({ api: 'Produce' }, { kind: 'hold' })
    await expect(producer.sendSync('orders', 'x', { until: 'accepted' })).resolves.toMatchObject({ offset: -1 })
    held.remove()
    await producer.flush()
    expect(await logOf(broker, 'orders')).toHaveLength(1)
  })

  it('PR-2, P-52: callbacks come once each, in partition order, never in the turn of the call', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    const told: (number | undefined)[] = []
    for (let record = 0; record < 50; record++) {
      expect(producer.sendAsync('orders', `v${record}`, (_, metadata) => told.push(metadata?.offset))).toBe(true)
    }
    expect(told).toEqual([])
    await producer.flush()
    expect(told).toEqual([...Array(50).keys()])
  })

  it('PR-2, P-53: a callback that throws raises an error event and hurts no other', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    const errors: MQError[] = []
    producer.on('error', (error) => errors.push(error))
    let told = 0
    producer.sendAsync('orders', 'a', () => {
      throw new TypeError('mine')
    })
    producer.sendAsync('orders', 'b', () => told++)
    await producer.flush()
    expect(told).toBe(1)
    expect(errors.map((error) => error.context.reason)).toEqual(['CALLBACK'])
  })

  it('PR-3: key and header forms', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    await producer.sendSyncWithKey('orders', 'k1', 'a')
    await producer.sendSyncWithHeaders('orders', null, 'b', { x: ['1', Buffer.from('2')] })
    producer.sendAsyncWithKey('orders', 'k2', 'c')
    producer.sendAsyncWithHeaders('orders', 'k3', 'd', [
      ['x', '1'],
      ['x', null],
      ['x', '1'],
    ])
    await producer.flush()
    expect((await logOf(broker, 'orders')).map(({ key, value, headers }) => ({ key, value, headers }))).toEqual([
      { key: 'k1', value: 'a', headers: [] },
      {
        key: null,
        value: 'b',
        headers: [
          ['x', '1'],
          ['x', '2'],
        ],
      },
      { key: 'k2', value: 'c', headers: [] },
      {
        key: 'k3',
        value: 'd',
        headers: [
          ['x', '1'],
          ['x', null],
          ['x', '1'],
        ],
      },
    ])
  })

  it('PR-4: sendBatchSync answers in input order over partitions that answer in reverse; a bad message fails alone', async () => {
    const broker = await startBroker({ nodes: 3 })
    broker.createTopic('orders', { partitions: 3, assignments: [[1], [2], [3]] })
    const producer = newProducer(broker)
    broker.on({ api: 'Produce', node: 1 }, { kind: 'delay', ms: 40 })
    broker.on({ api: 'Produce', node: 2 }, { kind: 'delay', ms: 20 })
    const messages = [0, 1, 2, 0, 1, 2].map((partition, index) => ({ partition, value: `v${index}` }))
    const results = await producer.sendBatchSync({
      topic: 'orders',
      messages: [...messages, { partition: 9, value: 'bad' }],
    })
    expect(results.slice(0, 6).map(({ partition, offset, error }) => [partition, offset, error])).toEqual([
      [0, 0, undefined],
      [1, 0, undefined],
      [2, 0, undefined],
      [0, 1, undefined],
      [1, 1, undefined],
      [2, 1, undefined],
    ])
    expect(results[6]?.error?.code).toBe('INVALID_PARTITION')
    expect(results.every(({ latencyMs }) => latencyMs >= 0)).toBe(true)
  })

  it('PR-4: the limits of a batch are honoured, malformed ones are named', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    await producer.sendSync('orders', 'warm')
    const messages = Array.from({ length: 10 }, (_, index) => ({ value: `v${index}` }))
    await producer.sendBatchSync({ topic: 'orders', messages, maxBatchRecords: 3 })
    expect(broker.log('orders', 0).batches.map((batch) => batch.count)).toEqual([1, 3, 3, 3, 1])
    await expect(codeOf(producer.sendBatchSync({ messages }))).resolves.toBe('INVALID_CONFIG')
    await expect(codeOf(producer.sendBatchSync({ topic: 't', messages, maxBatchRecords: 0 }))).resolves.toBe(
      'INVALID_CONFIG',
    )
    await expect(producer.sendBatchSync({ topic: 'orders', messages: [] })).resolves.toEqual([])
  })

  it('PR-5: bytes may be reused as soon as the call returns, also before metadata is known', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    const value = Buffer.from('aaaa')
    const key = Buffer.from('kkkk')
    producer.sendAsync('orders', value, { key })
    value.fill('z')
    key.fill('z')
    await producer.flush()
    producer.sendAsync('orders', value, { key })
    value.fill('y')
    await producer.flush()
    expect((await logOf(broker, 'orders')).map((record) => [record.key, record.value])).toEqual([
      ['kkkk', 'aaaa'],
      ['zzzz', 'zzzz'],
    ])
  })

  it('PR-5: null and empty keys and values stay different; other types need a serializer', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    await producer.sendSync('orders', null, { key: '' })
    await producer.sendSync('orders', '', { key: null })
    expect((await logOf(broker, 'orders')).map((record) => [record.key, record.value])).toEqual([
      ['', null],
      [null, ''],
    ])
    await expect(codeOf(producer.sendSync('orders', 5 as never))).resolves.toBe('SERIALIZATION_FAILED')
  })

  it('PR-6, P-2, P-3: a record is refused at one byte more than maxBatchBytes and passes at the byte itself', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker, {
      maxBatchBytes: 2048,
      batchBytes: 512,
      compression: 'none',
      bufferMemoryBytes: 1 << 20,
    })
    // 61 header + 2 length + 6 fields + 2 value length + value = 2048
    const exact = 2048 - 61 - 2 - 5 - 2
    await producer.sendSync('orders', Buffer.alloc(exact, 'x'))
    const error = await producer
      .sendSync('orders', Buffer.alloc(exact + 1, 'x'))
      .catch((caught: unknown) => caught as MQError)
    expect(error).toBeInstanceOf(MQError)
    expect((error as MQError).context).toMatchObject({ bytes: 2049, maxBatchBytes: 2048, persistence: 'not-persisted' })
    expect(broker.log('orders', 0).batches[0]?.bytes.length).toBe(2048)
    expect(producer.getMetrics()).toMatchObject({ totalMessages: 1, successMessages: 1 })
  })

  it('PR-7, P-19: explicit, keyed, function and bad partitions; an error fails that record only', async () => {
    const broker = await startBroker()
    broker.createTopic('orders', { partitions: 4 })
    const producer = newProducer(broker, {
      partitioner: (_topic, key) => {
        if (key === null) throw new Error('no key')
        return Number(Buffer.from(key).toString())
      },
    })
    await expect(producer.sendSync('orders', 'a', { key: '3' })).resolves.toMatchObject({ partition: 3 })
    await expect(codeOf(producer.sendSync('orders', 'b'))).resolves.toBe('PRODUCE_FAILED')
    await expect(codeOf(producer.sendSync('orders', 'c', { key: '17' }))).resolves.toBe('INVALID_PARTITION')
    await expect(codeOf(producer.sendSync('orders', 'd', { partition: 4 }))).resolves.toBe('INVALID_PARTITION')
    await expect(codeOf(producer.sendSync('orders', 'e', { partition: -2 }))).resolves.toBe('INVALID_PARTITION')
    await expect(producer.sendSync('orders', 'f', { partition: 0 })).resolves.toMatchObject({ partition: 0, offset: 0 })
    const roundRobin = newProducer(broker, { partitioner: 'roundRobin' })
    const partitions = []
    for (let record = 0; record < 8; record++) partitions.push((await roundRobin.sendSync('orders', 'x')).partition)
    expect([...partitions].sort()).toEqual([0, 0, 1, 1, 2, 2, 3, 3])
  })

  it('PR-14, P-37: acks 1 and 0 deliver; with 0 the offset is -1', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const one = newProducer(broker, { acks: 1 })
    await expect(one.sendSync('orders', 'a')).resolves.toMatchObject({ offset: 0 })
    const none = newProducer(broker, { acks: 0 })
    await expect(none.sendSync('orders', 'b')).resolves.toMatchObject({ offset: -1 })
    await broker.appended('orders', 0, 2)
    expect(broker.log('orders', 0).batches.map((batch) => batch.producerId)).toEqual([-1n, -1n])
  })

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'PR-15, CD-1: %s batches come back as they were',
    async (compression) => {
      const broker = await startBroker()
      broker.createTopic('orders')
      const producer = newProducer(broker, { compression })
      for (let record = 0; record < 5000; record++)
        producer.sendAsync('orders', `{"order":${record},"city":"Oslo"}`, { key: `k${record}` })
      await producer.flush()
      const log = await logOf(broker, 'orders')
      expect(log.map((record) => record.value)).toEqual(
        [...Array(5000).keys()].map((record) => `{"order":${record},"city":"Oslo"}`),
      )
      const { compressionRatio } = producer.getMetrics()
      if (compression === 'none') expect(compressionRatio).toBe(1)
      else expect(compressionRatio).toBeLessThan(0.6)
    },
  )

  it('PR-24, P-39: an unknown topic is waited for, then TOPIC_NOT_FOUND; others are not held up', async () => {
    const broker = await startBroker()
    broker.createTopic('known')
    const producer = newProducer(broker, { maxBlockMs: 300 })
    const missing = producer.sendSync('missing', 'x')
    await expect(producer.sendSync('known', 'y')).resolves.toMatchObject({ offset: 0 })
    await expect(codeOf(missing)).resolves.toBe('TOPIC_NOT_FOUND')
    const late = producer.sendSync('late', 'z')
    broker.createTopic('late')
    await expect(late).resolves.toMatchObject({ topic: 'late', offset: 0 })
    for (const topic of ['', '.', '..', 'a b', 'x'.repeat(250)]) {
      await expect(codeOf(producer.sendSync(topic, 'x')), topic).resolves.toBe('INVALID_TOPIC')
    }
  })

  it('P-64, PR-13: concurrent sends to one lane get distinct offsets, each record once', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const producer = newProducer(broker)
    const sends = Array.from({ length: 10 }, (_, client) =>
      (async () => {
        const offsets: number[] = []
        for (let record = 0; record < 100; record++)
          offsets.push((await producer.sendSync('orders', `${client}/${record}`)).offset)
        return offsets
      })(),
    )
    const offsets = (await Promise.all(sends)).flat()
    expect(new Set(offsets).size).toBe(1000)
    expect(new Set((await logOf(broker, 'orders')).map((record) => record.value)).size).toBe(1000)
  })
})

describe('keyless records', () => {
  it('P-16, PR-7: stay together until their lane seals, then go to another partition', async () => {
    const broker = await startBroker()
    broker.createTopic('orders', { partitions: 6 })
    const producer = newProducer(broker)
    const groups: number[] = []
    for (let group = 0; group < 12; group++) {
      const sends = Array.from({ length: 20 }, () => producer.sendSync('orders', 'x'))
      const partitions = new Set((await Promise.all(sends)).map(({ partition }) => partition))
      expect(partitions.size, 'partitions of one tick').toBe(1)
      groups.push([...partitions][0] as number)
    }
    // Rounds are shuffled: each partition once before any comes again.
    expect(new Set(groups.slice(0, 6)).size).toBe(6)
    expect(new Set(groups.slice(6)).size).toBe(6)
  })
})
