/** Every pull form against a broker in this process. */
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import type { Consumer } from '../../../lib/consumer/index.js'
import { bench, expected } from '../support.js'

const b = bench()

const start = async (partitions = 2) => (await b.start()).createTopic('orders', { partitions })

const text = (record: { topic: string; partition: number; offset: number; value: unknown }) =>
  `${record.topic}/${record.partition}@${record.offset}=${String(record.value)}`

const of = (records: readonly string[], partition: number) =>
  records.filter((record) => record.startsWith(`orders/${partition}@`))

/** Two partitions with 200 records each, in batches of 50, and a consumer that pulls them. */
async function ready(config: Parameters<typeof b.consumer>[0] = {}): Promise<Consumer> {
  await start()
  for (let from = 0; from < 200; from += 50)
    for (const partition of [0, 1]) await b.produceNumbers('orders', partition, from, 50)
  const consumer = b.consumer(config)
  await consumer.assign(['orders'])
  return consumer
}

function expectAll(records: readonly string[]): void {
  for (const partition of [0, 1]) expect(of(records, partition)).toEqual(expected('orders', partition, 0, 200))
}

const FORMS: Record<string, (consumer: Consumer, take: (record: string) => boolean) => Promise<void>> = {
  async read(consumer, take) {
    for (;;) {
      const record = await consumer.read()
      if (record !== null && take(text(record))) return
    }
  },
  async readBatch(consumer, take) {
    for (;;) {
      const records = await consumer.readBatch(37)
      if (records.map((record) => take(text(record))).some((isLast) => isLast)) return
    }
  },
  async 'for await'(consumer, take) {
    for await (const record of consumer) if (take(text(record))) return
  },
  async stream(consumer, take) {
    for await (const record of consumer.stream()) if (take(text(record))) return
  },
  async nodeStream(consumer, take) {
    const stream = consumer.nodeStream()
    await pipeline(stream, async (records: AsyncIterable<Parameters<typeof text>[0]>) => {
      for await (const record of records) if (take(text(record))) return
    })
  },
}

describe('pulling from a broker', () => {
  it.each(Object.keys(FORMS))('CO-4: %s gives every record once and in order', async (form) => {
    const consumer = await ready()
    const records: string[] = []
    await FORMS[form]?.(consumer, (record) => records.push(record) === 400)
    expectAll(records)
    const positions = [0, 1].map((partition) => consumer.position({ topic: 'orders', partition }))
    const uncounted = 400 - positions.reduce((sum, position) => sum + position, 0)
    expect(uncounted, 'what came last does not count yet').toBeGreaterThan(0)
    expect(uncounted).toBeLessThanOrEqual(form === 'readBatch' ? 37 : 1)
  })
  it('CO-4: records that come later wake who waits', async () => {
    await start()
    const consumer = b.consumer()
    await consumer.assign(['orders'])
    const waiting = consumer.read()
    await b.produceNumbers('orders', 1, 0, 1)
    const record = await waiting
    expect(record === null ? null : text(record)).toBe('orders/1@0=0')
    expect(await consumer.read({ timeoutMs: 30 })).toBe(null)
    expect(consumer.position({ topic: 'orders', partition: 1 })).toBe(1)
  })
  it('CO-7, CO-8: pause, resume and seek inside a loop', async () => {
    const consumer = await ready()
    const records: string[] = []
    let hasSought = false
    for await (const record of consumer) {
      records.push(text(record))
      if (records.length === 10) consumer.pause([{ topic: 'orders', partition: record.partition }])
      if (records.length === 150) consumer.resume(['orders'])
      if (record.partition === 0 && record.offset === 120 && !hasSought) {
        hasSought = true
        consumer.seek({ topic: 'orders', partition: 0 }, 100)
      }
      if (of(records, 0).length === 221 && of(records, 1).length === 200) break
    }
    expect(of(records, 1)).toEqual(expected('orders', 1, 0, 200))
    expect(of(records, 0)).toEqual([...expected('orders', 0, 0, 121), ...expected('orders', 0, 100, 100)])
  })
  it('CO-4: two loops share the work, and every record is in one of them', async () => {
    const consumer = await ready({ maxPollRecords: 20 })
    const records: string[] = []
    const worker = async () => {
      for await (const record of consumer) {
        records.push(text(record))
        await Promise.resolve()
        if (records.length === 400) void consumer.close()
      }
    }
    await Promise.all([worker(), worker()])
    expectAll(records)
    expect(consumer.state).not.toBe('open')
  })
  it('CO-17: close rejects who waits, ends loops after the record in their body, and counts it', async () => {
    const consumer = await ready()
    const idle = b.consumer()
    await idle.assign([{ topic: 'orders', partition: 1, offset: 200 }])
    const waiting = idle.read({ timeoutMs: 60_000 })
    const batch = idle.readBatch(5)
    const settled = Promise.allSettled([waiting, batch])
    await idle.close()
    expect((await settled).map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
      'CONSUMER_CLOSED',
      'CONSUMER_CLOSED',
    ])
    consumer.pause([{ topic: 'orders', partition: 1 }])
    let seen = 0
    let closed: Promise<void> | null = null
    for await (const _record of consumer) if (++seen === 5) closed = consumer.close()
    await closed
    expect([seen, consumer.getMetrics().totalMessages]).toEqual([5, 5])
  })
  it('CO-17: close does not wait for what read gave last', async () => {
    const consumer = await ready()
    await consumer.read()
    const startMs = performance.now()
    await consumer.close()
    expect(performance.now() - startMs).toBeLessThan(2_000)
  })
  it('CO-4: pulling without a subscription says what to do; an undefined callback is no wish to pull', async () => {
    await start()
    const consumer = b.consumer({ groupId: 'g' })
    await expect(consumer.read()).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    await expect(consumer.assign(['orders'], undefined as never)).rejects.toThrow(/callback/)
    await expect(consumer.subscribe('orders', undefined as never)).rejects.toThrow(/callback/)
    await consumer.assign(['orders'], () => true)
    await expect(consumer.readBatch(1)).rejects.toThrow(/without a callback/)
    const loop = consumer[Symbol.asyncIterator]()
    await expect(loop.next()).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  })
  it('CO-16: dedup, which pulling cannot serve, is refused and not ignored', async () => {
    await start()
    const consumer = b.consumer({ dedup: { enabled: true } })
    await expect(consumer.assign(['orders'])).rejects.toThrow(/dedup.enabled works with callbacks/)
  })
  it('CO-4: callbacks and pulling side by side, each with topics of its own', async () => {
    await start(1)
    b.broker.createTopic('refunds')
    await b.produceNumbers('orders', 0, 0, 5)
    await b.produceNumbers('refunds', 0, 0, 5)
    const consumer = b.consumer()
    const called: string[] = []
    await consumer.assign(['refunds'], (record) => void called.push(text(record)))
    await consumer.assign(['orders'])
    const pulled: string[] = []
    for await (const record of consumer) if (pulled.push(text(record)) === 5) break
    expect(pulled).toEqual(expected('orders', 0, 0, 5))
    await expect.poll(() => called.length).toBe(5)
    expect(called).toEqual(expected('refunds', 0, 0, 5))
  })
})

describe('pulling in a group', () => {
  it.each(['classic', 'consumer'] as const)(
    'CO-4, CO-9: what was asked past is committed at close, what came last comes again (%s)',
    async (groupProtocol) => {
      await start(1)
      await b.produceNumbers('orders', 0, 0, 20)
      const config = { groupId: `pull-${groupProtocol}`, groupProtocol }
      const first = b.consumer(config)
      await first.subscribe('orders')
      for await (const record of first) if (record.offset === 9) break
      await first.close()
      const second = b.consumer(config)
      await second.subscribe('orders')
      expect((await second.read({ timeoutMs: 10_000 }))?.offset).toBe(9)
      const rest = await second.readBatch(100, { timeoutMs: 10_000 })
      expect(rest.at(-1)?.offset).toBe(19)
      await second.commitOffset(rest.at(-1) as never)
      expect(await second.getCommittedOffset({ topic: 'orders', partition: 0 })).toBe(20)
    },
  )
  it.each(['classic', 'consumer'] as const)(
    'CO-10: a joining member takes partitions over, no record is repeated (%s)',
    async (groupProtocol) => {
      await start(4)
      for (let partition = 0; partition < 4; partition++) await b.produceNumbers('orders', partition, 0, 300)
      const config = { groupId: 'shared', groupProtocol, maxPollRecords: 10 } as const
      const seen = new Map<string, number>()
      const workers: Promise<void>[] = []
      const members: Consumer[] = []
      const open = new Set<string>()
      const join = async () => {
        const consumer = b.consumer(config)
        members.push(consumer)
        await consumer.subscribe('orders')
        workers.push(
          (async () => {
            for await (const record of consumer) {
              const place = `${record.partition}`
              expect(open.has(place), 'a partition is in one loop at a time').toBe(false)
              open.add(place)
              await new Promise((resolve) => setImmediate(resolve))
              seen.set(text(record), (seen.get(text(record)) ?? 0) + 1)
              open.delete(place)
            }
          })(),
        )
      }
      await join()
      await expect.poll(() => seen.size, { timeout: 10_000 }).toBeGreaterThan(50)
      await join()
      await expect.poll(() => seen.size, { timeout: 20_000 }).toBe(1_200)
      await Promise.all(members.map((member) => member.close()))
      await Promise.all(workers)
      const repeated = [...seen.values()].filter((times) => times > 1).length
      expect(repeated, 'a revocation waits for the open record and commits it').toBe(0)
    },
    40_000,
  )
})
