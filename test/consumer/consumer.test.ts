/** The consumer against the in-process broker: assigning, positions, delivery, errors, closing. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { MQError } from '../../lib/errors/index.js'
import { NOW } from '../broker/batches.js'
import { bench, expected, Seen } from './support.js'

const on = bench()

async function errorOf(promise: Promise<unknown>): Promise<MQError> {
  try {
    await promise
  } catch (error) {
    expect(error).toBeInstanceOf(MQError)
    return error as MQError
  }
  throw new Error('expected a rejection')
}

describe('assign', () => {
  it('CO-3: gives every record of all partitions of a topic once, each partition in order', async () => {
    const broker = await on.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 4 })
    for (let partition = 0; partition < 4; partition++) {
      await on.produceNumbers('t', partition, 0, 30)
      await on.produceNumbers('t', partition, 30, 20)
    }
    const seen = new Seen()
    await on.consumer().assign(['t'], seen.take)
    await seen.count(200)
    for (let partition = 0; partition < 4; partition++)
      expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 50))
    expect(seen.records).toHaveLength(200)
  })
  it('CO-11: earliest and latest decide where partitions without a start begin; `from` overrides', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 5)
    const [early, late, overridden] = [new Seen(), new Seen(), new Seen()]
    await on.consumer({ autoOffsetReset: 'earliest' }).assign(['t'], early.take)
    await on.consumer({ autoOffsetReset: 'latest' }).assign(['t'], late.take)
    await on.consumer({ autoOffsetReset: 'latest' }).assign(['t'], overridden.take, { from: 'earliest' })
    await on.produceNumbers('t', 0, 5, 2)
    await Promise.all([early.count(7), late.count(2), overridden.count(7)])
    expect(late.records).toEqual(expected('t', 0, 5, 2))
    expect(early.records).toEqual(overridden.records)
  })
  it("CO-11: 'none' without a start is refused with INVALID_OFFSET/OFFSET_OUT_OF_RANGE", async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const error = await errorOf(on.consumer({ autoOffsetReset: 'none' }).assign(['t'], () => {}))
    expect([error.code, error.context.reason]).toEqual(['INVALID_OFFSET', 'OFFSET_OUT_OF_RANGE'])
  })
  it('CO-8, C-21: starts at an offset, at a timestamp, and at the end when no record is so late', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 3 })
    for (let partition = 0; partition < 3; partition++) {
      for (let step = 0; step < 4; step++) {
        await on.produce('t', partition, { values: [String(step)], timestamp: NOW + step * 1000 })
      }
    }
    const seen = new Seen()
    const consumer = on.consumer()
    const what = [
      { topic: 't', partition: 0, offset: 2 },
      { topic: 't', partition: 1, timestamp: NOW + 2_500 },
      { topic: 't', partition: 2, timestamp: NOW + 9_000 },
    ]
    await consumer.assign(what, seen.take)
    expect(what.map((tp) => consumer.position(tp))).toEqual([2, 3, 4])
    await seen.count(3)
    expect([...seen.records].sort()).toEqual(['t/0@2=2', 't/0@3=3', 't/1@3=3'])
  })
  it('CO-1: refuses what cannot be assigned, each with its code', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    const consumer = on.consumer()
    const code = async (what: never, options: object = {}) =>
      (await errorOf(consumer.assign(what, () => {}, options))).code
    expect(await code(['no spaces'] as never)).toBe('INVALID_TOPIC')
    expect(await code([] as never)).toBe('INVALID_CONFIG')
    expect(await code([{ topic: 't', partition: 2 }] as never)).toBe('INVALID_PARTITION')
    expect(await code([{ topic: 't', partition: -1 }] as never)).toBe('INVALID_PARTITION')
    expect(await code([{ topic: 't', partition: 0, offset: -1 }] as never)).toBe('INVALID_OFFSET')
    expect(await code([{ topic: 't', partition: 0, offset: 2 ** 53 }] as never)).toBe('INVALID_OFFSET')
    expect(await code(['missing'] as never, { timeoutMs: 500 })).toBe('TOPIC_NOT_FOUND')
    await consumer.assign([{ topic: 't', partition: 0 }], () => {})
    expect(await code(['t'] as never)).toBe('INVALID_PARTITION')
    expect(consumer.assignment).toEqual([{ topic: 't', partition: 0 }])
  })
  it('CO-1: each call adds topics with their own callback', async () => {
    const broker = await on.start()
    broker.createTopic('a')
    broker.createTopic('b')
    await on.produceNumbers('a', 0, 0, 3)
    await on.produceNumbers('b', 0, 0, 3)
    const [first, second] = [new Seen(), new Seen()]
    const consumer = on.consumer()
    await consumer.assign(['a'], first.take)
    await consumer.assign(['b'], second.take)
    await Promise.all([first.count(3), second.count(3)])
    expect([first.records, second.records]).toEqual([expected('a', 0, 0, 3), expected('b', 0, 0, 3)])
  })
  it('C-30: partitions that a topic gains are read from their beginning', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 1 })
    const seen = new Seen()
    await on.consumer({ metadataMaxAgeMs: 1_000, autoOffsetReset: 'latest' }).assign(['t'], seen.take)
    broker.addPartitions('t', 2)
    await on.produceNumbers('t', 1, 0, 4)
    await seen.count(4)
    expect(seen.records).toEqual(expected('t', 1, 0, 4))
  })
  it('CO-6: unassign drops buffered records of those topics, others go on', async () => {
    const broker = await on.start()
    broker.createTopic('a')
    broker.createTopic('b')
    await on.produceNumbers('a', 0, 0, 10)
    await on.produceNumbers('b', 0, 0, 10)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['a', 'b'], (record) => {
      seen.take(record)
      if (record.topic === 'a' && record.offset === 2) consumer.unassign(['a'])
    })
    await seen.until(() => seen.of('b', 0).length === 10)
    await on.produceNumbers('b', 0, 10, 1)
    await seen.until(() => seen.of('b', 0).length === 11)
    expect(seen.of('a', 0)).toEqual(expected('a', 0, 0, 3))
    expect(consumer.assignment).toEqual([{ topic: 'b', partition: 0 }])
    expect(consumer.getMetrics().prefetchBytes).toBeGreaterThanOrEqual(0)
  })
})

describe('delivery', () => {
  it('CO-14: a promise is awaited before the next record of its partition; others run beside it', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 3 })
    for (let partition = 0; partition < 3; partition++) await on.produceNumbers('t', partition, 0, 20)
    let running = 0
    let most = 0
    const busy = new Set<number>()
    const seen = new Seen()
    await on.consumer({ concurrency: 2 }).assign(['t'], async (record) => {
      expect(busy.has(record.partition), 'one callback per partition').toBe(false)
      busy.add(record.partition)
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      busy.delete(record.partition)
      seen.take(record)
    })
    await seen.count(60)
    expect(most).toBe(2)
    for (let partition = 0; partition < 3; partition++)
      expect(seen.of('t', partition)).toEqual(expected('t', partition, 0, 20))
  })
  it('CO-1: false stops cleanly after this record, and run() resolves', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 10)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], (record) => {
      seen.take(record)
      return record.offset < 4
    })
    await consumer.run()
    expect(seen.records).toEqual(expected('t', 0, 0, 5))
    expect([consumer.state, consumer.position({ topic: 't', partition: 0 })]).toEqual(['stopped', 5])
    expect((await errorOf(consumer.assign(['t'], () => {}))).code).toBe('CONSUMER_CLOSED')
  })
  it('CO-4: assignBatch gives up to maxPollRecords of one partition, over wire batches', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    for (let from = 0; from < 50; from += 10) await on.produceNumbers('t', 0, from, 10)
    const sizes: number[] = []
    const seen = new Seen()
    const consumer = on.consumer({ maxPollRecords: 25 })
    await consumer.assignBatch(['t'], async (records, tp) => {
      expect(consumer.position(tp), 'moves when the callback has returned').toBe(records[0]?.offset)
      sizes.push(records.length)
      await Promise.resolve()
      for (const record of records) seen.take(record)
    })
    await seen.count(50)
    expect(seen.records).toEqual(expected('t', 0, 0, 50))
    expect(Math.max(...sizes)).toBe(25)
  })
  it('CO-12: a turn is bounded by maxPollRecords, so partitions alternate', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 40)
    await on.produceNumbers('t', 1, 0, 40)
    const order: number[] = []
    const seen = new Seen()
    const consumer = on.consumer({ maxPollRecords: 10 })
    await consumer.assign(['t'], (record) => {
      order.push(record.partition)
      seen.take(record)
    })
    await seen.count(80)
    const runs = order.join('').match(/0+|1+/g) ?? []
    expect(Math.max(...runs.map((run) => run.length))).toBeLessThanOrEqual(20)
  })
  it('K-14: a partition whose callback hangs does not keep the others of its broker waiting', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 3 })
    for (let partition = 0; partition < 3; partition++) await on.produceNumbers('t', partition, 0, 5)
    const seen = new Seen()
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    await on.consumer({ concurrency: 2 }).assign(['t'], (record) => {
      seen.take(record)
      return record.partition === 0 && record.offset === 0 ? hanging : undefined
    })
    await on.produceNumbers('t', 1, 5, 5)
    await on.produceNumbers('t', 2, 5, 5)
    await seen.until(() => seen.of('t', 1).length === 10 && seen.of('t', 2).length === 10)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 0, 1))
    release()
    await seen.until(() => seen.of('t', 0).length === 5)
  })
})

describe('positions', () => {
  it('CO-7, C-13: pause stops exactly those partitions; resume skips and repeats nothing', async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 30)
    await on.produceNumbers('t', 1, 0, 10)
    const seen = new Seen()
    const consumer = on.consumer()
    const paused = [{ topic: 't', partition: 0 }]
    await consumer.assign(['t'], (record) => {
      seen.take(record)
      if (record.partition === 0 && record.offset === 9) consumer.pause(paused)
    })
    await seen.until(() => seen.of('t', 0).length === 10 && seen.of('t', 1).length === 10)
    await on.produceNumbers('t', 1, 10, 10)
    await on.produceNumbers('t', 0, 30, 10)
    await seen.until(() => seen.of('t', 1).length === 20)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 0, 10))
    expect(consumer.getMetrics().pausedPartitions).toBe(1)
    consumer.resume(paused)
    await seen.until(() => seen.of('t', 0).length === 40)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 0, 40))
  })
  it('K-22: pause and resume 10^4 times stall nothing', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], seen.take)
    const producing = on.produceNumbers('t', 0, 0, 100)
    for (let round = 0; round < 10_000; round++) {
      consumer.pause(['t'])
      consumer.resume(['t'])
      if (round % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await producing
    await seen.count(100)
    expect(seen.records).toEqual(expected('t', 0, 0, 100))
  })
  it('CO-8, C-13: seek inside and outside a callback; the record being processed does not move the position', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 10)
    const seen = new Seen()
    const consumer = on.consumer()
    const tp = { topic: 't', partition: 0 }
    let isFirst = true
    await consumer.assign(['t'], async (record) => {
      seen.take(record)
      await Promise.resolve()
      if (record.offset === 3 && isFirst) {
        isFirst = false
        consumer.seek(tp, 8)
        expect(consumer.position(tp)).toBe(8)
      }
    })
    await seen.count(6)
    expect(seen.records).toEqual([...expected('t', 0, 0, 4), ...expected('t', 0, 8, 2)])
    consumer.seek(tp, 5)
    await seen.count(11)
    expect(seen.records.slice(6)).toEqual(expected('t', 0, 5, 5))
    await new Promise((resolve) => setImmediate(resolve)) // The last callback returns.
    expect(consumer.getCurrentOffset(tp)).toBe(10)
  })
  it('CO-8: seekToBeginning, seekToEnd and seekToTimestamp', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    for (let step = 0; step < 4; step++)
      await on.produce('t', 0, { values: [String(step)], timestamp: NOW + step * 1000 })
    const seen = new Seen()
    const consumer = on.consumer({ autoOffsetReset: 'latest' })
    const tp = { topic: 't', partition: 0 }
    await consumer.assign(['t'], seen.take)
    await consumer.seekToTimestamp(['t'], NOW + 2_000)
    await seen.count(2)
    await consumer.seekToBeginning([tp])
    await seen.count(6)
    await consumer.seekToEnd(['t'])
    expect(consumer.position(tp)).toBe(4)
    await on.produceNumbers('t', 0, 4, 1)
    await seen.count(7)
    expect(seen.records.map((text) => text.split('=')[1])).toEqual(['2', '3', '0', '1', '2', '3', '4'])
    expect((await errorOf(consumer.seekToTimestamp(['t'], -5))).code).toBe('INVALID_OFFSET')
    expect(() => consumer.seek({ topic: 'other', partition: 0 }, 1)).toThrow(/not assigned/)
  })
  it('CO-11, C-18: a position outside the log follows autoOffsetReset, and says so', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 10)
    broker.deleteRecords({ topic: 't', partition: 0 }, 6)
    const seen = new Seen()
    const consumer = on.consumer({ autoOffsetReset: 'earliest' })
    const resets: unknown[] = []
    consumer.on('reset', (event) => resets.push(event))
    await consumer.assign([{ topic: 't', partition: 0, offset: 1 }], seen.take)
    await seen.count(4)
    expect(seen.records).toEqual(expected('t', 0, 6, 4))
    expect(resets).toEqual([{ topic: 't', partition: 0, from: 1, to: 6 }])
  })
  it("CO-11: with 'none' the partition stands still with an error until a seek; others go on", async () => {
    const broker = await on.start()
    broker.createTopic('t', { partitions: 2 })
    await on.produceNumbers('t', 0, 0, 10)
    await on.produceNumbers('t', 1, 0, 3)
    broker.deleteRecords({ topic: 't', partition: 0 }, 6)
    const seen = new Seen()
    const errors: MQError[] = []
    const consumer = on.consumer({ autoOffsetReset: 'none' })
    consumer.on('error', (error) => {
      errors.push(error)
      seen.check()
    })
    const what = [0, 1].map((partition) => ({ topic: 't', partition, offset: 0 }))
    await consumer.assign(what, seen.take)
    await seen.until(() => errors.length > 0 && seen.of('t', 1).length === 3)
    expect(errors.map((error) => [error.code, error.context.reason])).toEqual([
      ['INVALID_OFFSET', 'OFFSET_OUT_OF_RANGE'],
    ])
    expect(consumer.getMetrics().failedPartitions).toEqual(['t-0'])
    consumer.seek({ topic: 't', partition: 0 }, 7)
    await seen.until(() => seen.of('t', 0).length === 3)
    expect(seen.of('t', 0)).toEqual(expected('t', 0, 7, 3))
    expect(consumer.getMetrics().failedPartitions).toEqual([])
  })
  it('CO-13, C-38: lag is high watermark minus position', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 10)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], (record) => {
      seen.take(record)
      if (record.offset === 3) consumer.pause(['t'])
    })
    await seen.count(4)
    expect(consumer.getMetrics()).toMatchObject({ lag: 6, currentOffset: { 't-0': 4 }, totalMessages: 4 })
    consumer.resume(['t'])
    await seen.count(10)
    expect(consumer.getMetrics()).toMatchObject({ lag: 0, currentOffset: { 't-0': 10 }, totalMessages: 10 })
  })
})

describe('onError', () => {
  async function failing(
    config: object,
    failures: number,
  ): Promise<{ seen: Seen; errors: MQError[]; run: Promise<void> }> {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 4)
    const seen = new Seen()
    const errors: MQError[] = []
    const consumer = on.consumer(config)
    consumer.on('error', (error) => {
      errors.push(error)
      seen.check()
    })
    let left = failures
    await consumer.assign(['t'], (record) => {
      if (record.offset === 1 && left-- > 0) throw new TypeError(`bad record ${record.offset}`)
      seen.take(record)
    })
    return { seen, errors, run: consumer.run() }
  }

  it("CO-15: 'retry' calls again with the same record until it succeeds; order is kept", async () => {
    const { seen, errors } = await failing({ onError: 'retry' }, 2)
    await seen.count(4)
    expect(seen.records).toEqual(expected('t', 0, 0, 4))
    expect(
      errors.map(({ code, context }) => [code, context.reason, context.offset, context.attempts, context.action]),
    ).toEqual([
      ['CONSUME_FAILED', 'CALLBACK', 1, 1, 'retry'],
      ['CONSUME_FAILED', 'CALLBACK', 1, 2, 'retry'],
    ])
  })
  it("CO-15, K-20: after errorRetries errorFinal 'stop' ends delivery, with the failure", async () => {
    const { seen, errors, run } = await failing({ onError: 'retry', errorRetries: 2 }, 99)
    const error = await errorOf(run)
    expect(error.cause).toBeInstanceOf(TypeError)
    expect(errors.map(({ context }) => context.action)).toEqual(['retry', 'retry', 'stop'])
    expect(seen.records).toEqual(expected('t', 0, 0, 1))
  })
  it("CO-15: errorFinal 'skip' goes on behind the record", async () => {
    const { seen, errors } = await failing({ onError: 'retry', errorRetries: 1, errorFinal: 'skip' }, 99)
    await seen.count(3)
    expect(seen.records).toEqual([...expected('t', 0, 0, 1), ...expected('t', 0, 2, 2)])
    expect(errors.map(({ context }) => context.action)).toEqual(['retry', 'skip'])
  })
  it("CO-15: 'skip' and 'stop' act at once", async () => {
    const skipping = await failing({ onError: 'skip' }, 99)
    await skipping.seen.count(3)
    expect(skipping.errors).toHaveLength(1)
    await on.close()
    const stopping = await failing({ onError: 'stop' }, 99)
    expect((await errorOf(stopping.run)).context.action).toBe('stop')
    expect(stopping.errors).toHaveLength(1)
  })
  it('CO-15: a rejected promise is treated like a throw; a deserializer that throws too', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produce('t', 0, ['{"a":1}', 'no json', '{"a":3}'])
    const errors: MQError[] = []
    const seen = new Seen()
    const json = { deserialize: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as { a: number } }
    const consumer = on.consumer<{ a: number }>({ valueDeserializer: json, onError: 'skip' })
    consumer.on('error', (error) => errors.push(error))
    await consumer.assign(['t'], async (record) => {
      await Promise.resolve()
      seen.take({ ...record, topic: 't', partition: 0, offset: record.offset, value: record.value?.a })
    })
    await seen.count(2)
    expect(seen.records).toEqual(['t/0@0=1', 't/0@2=3'])
    expect(errors.map(({ code, context }) => [code, context.offset])).toEqual([['DESERIALIZATION_FAILED', 1]])
  })
})

describe('close', () => {
  it('CO-17: waits for running callbacks, ends the fetch session, leaves no connection', async () => {
    const broker = await on.start({ nodes: 2 })
    broker.createTopic('t', { partitions: 4 })
    await on.produceNumbers('t', 0, 0, 1)
    let hasEnded = false
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], async (record) => {
      seen.take(record)
      await new Promise((resolve) => setTimeout(resolve, 30))
      hasEnded = true
    })
    await seen.count(1)
    const others = broker.connections
    expect(others).toBeGreaterThan(1)
    await Promise.all([consumer.close(), consumer.close()])
    expect([hasEnded, consumer.state]).toEqual([true, 'closed'])
    await consumer.run()
    expect((await errorOf(consumer.assign(['t'], () => {}))).code).toBe('CONSUMER_CLOSED')
    const epochs = broker.requests({ api: 'Fetch' }).map(({ body }) => (body as { sessionEpoch: number }).sessionEpoch)
    expect(epochs.at(-1)).toBe(-1)
  })
  it('CO-17: a callback that never ends is not waited for longer than timeoutMs', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 1)
    const seen = new Seen()
    const consumer = on.consumer()
    await consumer.assign(['t'], (record) => {
      seen.take(record)
      return new Promise<void>(() => {})
    })
    await seen.count(1)
    await consumer.close({ timeoutMs: 10 })
    expect(consumer.state).toBe('closed')
  })
  it('CO-17: close during assign rejects it', async () => {
    const broker = await on.start()
    broker.createTopic('t')
    broker.on({ api: 'ListOffsets' }, fault.error(5))
    const consumer = on.consumer()
    const assigning = errorOf(consumer.assign(['t'], () => {}))
    await broker.saw({ api: 'ListOffsets' })
    await consumer.close()
    expect((await assigning).code).toMatch(/CONSUMER_CLOSED|CONNECTION_CLOSED/)
  })
})
