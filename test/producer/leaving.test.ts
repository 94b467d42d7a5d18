/** When a batch leaves, and how large it has become by then. */
import { describe, expect, it, vi } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { createCompressionCodec } from '../../lib/codec/index.js'
import { randomInt, seededRandom } from '../../lib/util/index.js'
import { errorOf, logOf, newProducer, type Stage, stage, startBroker, turns, until } from './support.js'

/** Produce requests as they arrived: the partitions of each, and the bytes of their batches. */
function requestsOf({ broker }: Stage): { partition: number; bytes: number }[][] {
  return broker.requests({ api: 'Produce' }).map(({ body }) => {
    const { topicData } = body as {
      topicData: { partitionData: { index: number; records: Uint8Array | null }[] }[]
    }
    return topicData.flatMap(({ partitionData }) =>
      partitionData.map(({ index, records }) => ({ partition: index, bytes: records?.length ?? 0 })),
    )
  })
}

/** A stage with an open window, and the next produce request held: the broker is busy until `release`. */
async function busy(config: Parameters<typeof stage>[0] = {}, topic: Parameters<typeof stage>[1] = {}) {
  const made = await stage({ compression: 'none', ...config }, topic)
  const { broker, producer } = made
  const partitions = topic.partitions ?? 1
  for (let partition = 0; partition < partitions; partition++) {
    await producer.sendSync('orders', 'opens the window', { partition })
  }
  const before = broker.count({ api: 'Produce' })
  const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
  producer.sendAsync('orders', 'held', { partition: 0 })
  await broker.hit(held)
  return { ...made, held, before: before + 1 }
}

describe('PR-9: adaptive linger', () => {
  it('PR-9: with nothing in flight a batch leaves at the end of the turn, and records of one turn share it', async () => {
    const made = await stage({ lingerMs: 60_000 })
    const { broker, producer, clock } = made
    await producer.sendSync('orders', 'first')
    const startMs = clock.monotonicMs()
    for (let n = 0; n < 10; n++) producer.sendAsync('orders', `v${n}`)
    await broker.saw({ api: 'Produce', count: 2 })
    expect(clock.monotonicMs() - startMs).toBeLessThan(1000)
    await producer.flush()
    expect(broker.log('orders', 0).batches.map(({ count }) => count)).toEqual([1, 10])
  })

  /** A record, another one 300 ms later; how long after the first one both leave, `lingerMs` being 500. */
  async function lingered(): Promise<number> {
    const { broker, producer, clock, before } = await busy({ lingerMs: 500 })
    const startMs = clock.monotonicMs()
    producer.sendAsync('orders', 'a')
    while (clock.monotonicMs() - startMs < 300) await turns(1)
    producer.sendAsync('orders', 'b')
    await broker.saw({ api: 'Produce', count: before + 1 })
    const passedMs = clock.monotonicMs() - startMs
    await broker.appended('orders', 0, 4)
    expect(broker.log('orders', 0).batches.at(-1)?.count).toBe(2)
    return passedMs
  }

  it('PR-9: while the broker is busy records wait for company, but not for ever', async () => {
    const passedMs = await lingered()
    expect(passedMs).toBeGreaterThanOrEqual(500)
    expect(passedMs).toBeLessThan(1200)
  })

  it('P-9: linger runs from the first record of a buffer and ends after lingerMs', async () => {
    expect(await lingered()).toBeLessThan(600)
  })

  it('P-9, PR-8: a batch that is full does not wait', async () => {
    const { broker, producer, clock, before } = await busy({ lingerMs: 60_000, maxBatchBytes: 200_000 })
    const startMs = clock.monotonicMs()
    for (let n = 0; n < 250; n++) producer.sendAsync('orders', 'x'.repeat(1000))
    await broker.saw({ api: 'Produce', count: before + 1 })
    expect(clock.monotonicMs() - startMs).toBeLessThan(1000)
  })

  it('P-9: a batch that left otherwise leaves no timer behind that would seal the next one early', async () => {
    const { broker, producer, clock, held, before } = await busy({ lingerMs: 500 })
    producer.sendAsync('orders', 'a')
    const flushed = producer.flush()
    await broker.saw({ api: 'Produce', count: before + 1 })
    while (clock.monotonicMs() % 400 !== 0) await turns(1)
    const startMs = clock.monotonicMs()
    producer.sendAsync('orders', 'b')
    await broker.saw({ api: 'Produce', count: before + 2 })
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(500)
    held.release()
    await flushed
  })

  const enders: [string, (made: Stage) => void][] = [
    ['flush', ({ producer }) => void producer.flush()],
    ['close', ({ producer }) => void producer.close()],
    ['a waiting sendSync', ({ producer }) => void producer.sendSync('orders', 'b').catch(() => {})],
    [
      'whoever waits for memory',
      ({ producer }) => {
        while (producer.sendAsync('orders', 'x'.repeat(60_000), () => {}));
        void producer.sendSync('orders', 'x'.repeat(900_000)).catch(() => {})
      },
    ],
  ]
  it.each(enders)('P-8, PR-9: %s ends linger', async (_name, end) => {
    const made = await busy({ lingerMs: 60_000, bufferMemoryBytes: 2_200_000 })
    const { broker, producer, clock, held, before } = made
    producer.sendAsync('orders', 'a')
    await turns(50)
    expect(broker.count({ api: 'Produce' })).toBe(before)
    const startMs = clock.monotonicMs()
    end(made)
    await broker.saw({ api: 'Produce', count: before + 1 })
    expect(clock.monotonicMs() - startMs).toBeLessThan(5000)
    held.release()
  })
})

describe('PR-8: a batch grows while it cannot leave', () => {
  it('PR-8, P-10: a full window makes batches grow to maxBatchBytes, not requests queue', async () => {
    const made = await busy({ maxInFlight: 1 })
    const { producer, held, before, broker } = made
    for (let n = 0; n < 3000; n++) producer.sendAsync('orders', 'x'.repeat(1000))
    await turns(20)
    expect(broker.count({ api: 'Produce' })).toBe(before)
    held.release()
    await producer.flush()
    const sizes = requestsOf(made)
      .slice(before)
      .map((parts) => parts[0]?.bytes ?? 0)
    expect(sizes).toHaveLength(3)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_048_576)
    expect(Math.min(...sizes.slice(0, 2))).toBeGreaterThan(1_040_000)
  })

  it('P-10: a socket that takes no more makes batches grow too', async () => {
    const made = await stage(
      { compression: 'none', maxInFlight: 1, bufferMemoryBytes: 32 * 1024 * 1024 },
      { partitions: 4 },
    )
    const { producer, broker } = made
    for (let partition = 0; partition < 4; partition++) await producer.sendSync('orders', 'a', { partition })
    broker.pause(1)
    for (let n = 0; n < 12_000; n++) {
      producer.sendAsync('orders', 'x'.repeat(1000), { partition: n % 4 })
      if (n % 100 === 0) await turns(1)
    }
    expect(producer.getMetrics().inFlightRequests).toBeLessThanOrEqual(4)
    broker.resume(1)
    await producer.flush()
    expect(producer.getMetrics().meanBatchBytes).toBeGreaterThan(300_000)
    for (let partition = 0; partition < 4; partition++)
      expect(await logOf(broker, 'orders', partition)).toHaveLength(3001)
  })

  it('P-49: one batch per partition per request, which closes at 4 MiB; a larger batch goes alone', async () => {
    const made = await busy(
      { maxInFlight: 1, maxBatchBytes: 5_000_000, bufferMemoryBytes: 64 * 1024 * 1024 },
      {
        partitions: 6,
        configs: { 'max.message.bytes': 6_000_000 },
      },
    )
    const { producer, held, before } = made
    for (let partition = 0; partition < 5; partition++) {
      for (let n = 0; n < 1500; n++) producer.sendAsync('orders', 'x'.repeat(1000), { partition })
    }
    producer.sendAsync('orders', 'x'.repeat(4_500_000), { partition: 5 })
    held.release()
    await producer.flush()
    const requests = requestsOf(made).slice(before)
    for (const parts of requests) {
      expect(new Set(parts.map(({ partition }) => partition)).size).toBe(parts.length)
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
      expect(parts.length === 1 || bytes <= 4 * 1024 * 1024).toBe(true)
    }
    expect(requests.find((parts) => parts.some(({ partition }) => partition === 5))).toHaveLength(1)
    expect(Math.max(...requests.map((parts) => parts.length))).toBeGreaterThan(1)
  })

  it('P-49: with one hot lane among 100, none starves', async () => {
    const made = await stage({ compression: 'none' }, { partitions: 100 })
    const { broker, producer } = made
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 500; n++) producer.sendAsync('orders', 'x'.repeat(500), { partition: 0 })
      for (let partition = 1; partition < 100; partition++) producer.sendAsync('orders', `r${round}`, { partition })
      await turns(2)
    }
    const seen = await Promise.all([...Array(99)].map((_, index) => broker.appended('orders', index + 1, 1)))
    expect(seen).toHaveLength(99)
    await producer.flush()
    for (let partition = 1; partition < 100; partition++) expect(broker.log('orders', partition).logEnd).toBe(20)
  })

  it('P-11: limits count uncompressed bytes, and what does not shrink leaves raw', async () => {
    const { broker, producer } = await stage({ compression: 'lz4', maxBatchBytes: 100_000, batchBytes: 100_000 })
    await producer.sendSync('orders', 'x'.repeat(99_900))
    const random = seededRandom(1)
    await producer.sendSync('orders', Buffer.from(Array.from({ length: 50_000 }, () => randomInt(random, 256))))
    const error = await errorOf(producer.sendSync('orders', 'x'.repeat(100_000)))
    expect(error.code).toBe('MESSAGE_TOO_LARGE')
    const [packed, raw] = broker.log('orders', 0).batches
    expect([raw && raw.attributes & 7, packed && packed.attributes & 7]).toEqual([0, 3])
    expect(packed?.bytes.length).toBeLessThan(2000)
  })

  it('P-13: nothing is compressed, sealed into a request or written inside the call that appends', async () => {
    const broker = await startBroker()
    broker.createTopic('orders')
    const lz4 = createCompressionCodec('lz4')
    const compress = vi.spyOn(lz4, 'compress')
    try {
      const producer = newProducer(broker, { compression: 'lz4' })
      await producer.sendSync('orders', 'x'.repeat(5000))
      compress.mockClear()
      const before = broker.count({ api: 'Produce' })
      for (let n = 0; n < 5000; n++) producer.sendAsync('orders', 'x'.repeat(1000))
      expect(compress).not.toHaveBeenCalled()
      await until(() => compress.mock.calls.length > 0, 'compressing')
      await producer.flush()
      expect(broker.count({ api: 'Produce' })).toBeGreaterThan(before)
    } finally {
      compress.mockRestore()
    }
  })

  it('P-14: one turn of the event loop finishes a few MiB at most, however much is due', async () => {
    const MIB = 1024 * 1024
    const broker = await startBroker()
    broker.createTopic('orders', { partitions: 24 })
    const lz4 = createCompressionCodec('lz4')
    const original = lz4.compress.bind(lz4)
    let [thisTurn, mostPerTurn, total] = [0, 0, 0]
    let isWatching = true
    const watch = () => {
      mostPerTurn = Math.max(mostPerTurn, thisTurn)
      thisTurn = 0
      if (isWatching) setImmediate(watch)
    }
    const compress = vi.spyOn(lz4, 'compress').mockImplementation((bytes, level) => {
      thisTurn += bytes.length
      total += bytes.length
      return original(bytes, level)
    })
    try {
      const producer = newProducer(broker, { compression: 'lz4' })
      for (let partition = 0; partition < 24; partition++) await producer.sendSync('orders', 'opens', { partition })
      total = 0
      watch()
      for (let n = 0; n < 24_000; n++) producer.sendAsync('orders', 'x'.repeat(1000), { partition: n % 24 })
      await producer.flush()
      expect(total).toBeGreaterThan(22 * MIB)
      expect(mostPerTurn).toBeGreaterThan(0)
      expect(mostPerTurn).toBeLessThanOrEqual(3 * MIB)
    } finally {
      isWatching = false
      compress.mockRestore()
    }
  })
})
