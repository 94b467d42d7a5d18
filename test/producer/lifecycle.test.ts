/** Beginning and end under adverse conditions: what is left behind, clocks that jump, topics that go, calls from inside. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import type { MQError } from '../../lib/errors/index.js'
import type { Producer } from '../../lib/producer/index.js'
import { drivenClock } from '../support/driven-clock.js'
import { codeOf, errorOf, logOf, newProducer, stage, startBroker, turns, until } from './support.js'

const HOUR_MS = 3_600_000
const run = promisify(execFile)
const child = fileURLToPath(new URL('exit-child.ts', import.meta.url))

describe('P-51: nothing is left behind', () => {
  it.each([
    ['delivered', 0],
    ['unknown topic', 1],
    ['no identity', 1],
    ['resolving', 1],
    ['on the wire', 1],
  ])(
    'PR-21, P-51: a process that closes its producer ends by itself: %s',
    async (scene, unsent) => {
      const { stdout } = await run(process.execPath, ['--import', 'tsx', child, scene], { timeout: 20_000 })
      const { unsentRecords, lingeredMs } = JSON.parse(stdout) as { unsentRecords: number; lingeredMs: number }
      expect(unsentRecords).toBe(unsent)
      expect(lingeredMs).toBeLessThan(1000)
    },
    30_000,
  )

  const moments: [string, (broker: Broker, producer: Producer) => Promise<unknown> | undefined][] = [
    ['before anything was sent', () => undefined],
    ['while it connects', (_, producer) => void producer.sendSync('orders', 'x').catch(() => {})],
    [
      'while a topic is unknown',
      async (_, producer) => {
        producer.sendSync('missing', 'x', { timeoutMs: 5000 }).catch(() => {})
        await turns(50)
      },
    ],
    [
      'while a batch backs off',
      async (broker, producer) => {
        const handle = broker.on({ api: 'Produce' }, fault.error(19))
        producer.sendSync('orders', 'x').catch(() => {})
        await broker.hit(handle, 2)
      },
    ],
    [
      'while records linger',
      async (broker, producer) => {
        await producer.sendSync('orders', 'opens')
        const handle = broker.on({ api: 'Produce' }, fault.hold())
        producer.sendAsync('orders', 'held')
        await broker.hit(handle)
        producer.sendAsync('orders', 'lingers')
        void producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'x' }], lingerMs: 60_000 })
        producer.flush({ timeoutMs: 60_000 }).catch(() => {})
        await turns(5)
      },
    ],
    [
      'while its broker is gone',
      async (broker, producer) => {
        await producer.sendSync('orders', 'opens')
        await broker.kill(1)
        producer.sendSync('orders', 'x').catch(() => {})
        await turns(200)
      },
    ],
    [
      'while a batch is split',
      async (broker, producer) => {
        broker.on({ api: 'Produce' }, fault.error(10))
        const messages = Array.from({ length: 50 }, () => ({ value: 'x'.repeat(100) }))
        void producer.sendBatchSync({ topic: 'orders', messages })
        await broker.saw({ api: 'Produce', count: 2 })
      },
    ],
  ]
  it.each(moments)(
    'K-23, PR-21, P-51: closed %s: no timer, no socket, no memory, everybody told',
    async (_name, prepare) => {
      const clock = drivenClock() // The producer's alone: every timer on it is the producer's.
      const broker = await startBroker()
      broker.createTopic('orders')
      const producer = newProducer(
        broker,
        { lingerMs: 60_000, retryBackoffMs: 100, retryBackoffMaxMs: 5000 },
        { clock },
      )
      await prepare(broker, producer)
      await producer.close({ timeoutMs: 0 })
      await turns(3)
      expect(clock.pendingTimers).toBe(0)
      expect(producer.getMetrics()).toMatchObject({ pendingMessages: 0, bufferUsedBytes: 0, inFlightRequests: 0 })
      await until(() => broker.connections === 0, 'every socket closed')
    },
  )
})

describe('PR-20, PR-21: calls from inside', () => {
  it('flush, close and send in callbacks and listeners: nothing waits for itself', async () => {
    const { broker, producer } = await stage()
    const told: string[] = []
    let closing: Promise<unknown> | undefined
    producer.sendAsync('orders', 'a', () => {
      told.push('a')
      void producer.flush().then(() => told.push('flushed'))
      producer.sendAsync('orders', 'b', () => {
        told.push('b')
        closing = producer.close()
        producer.sendAsync('orders', 'c', (error) => told.push(error?.code ?? 'c'))
        void producer.flush().then(() => told.push('flushed too'))
      })
    })
    await until(() => told.length === 5)
    await closing
    expect([...told].sort()).toEqual(['PRODUCER_CLOSED', 'a', 'b', 'flushed', 'flushed too'])
    expect(await logOf(broker, 'orders')).toHaveLength(2)
  })

  it('a listener of errors may close the producer that raised one', async () => {
    const { broker, producer } = await stage({}, { partitions: 3 })
    let closing: Promise<unknown> | undefined
    producer.on('error', () => {
      closing ??= producer.close({ timeoutMs: 0 })
    })
    broker.on({ api: 'Produce', partition: 1 }, fault.error(87))
    const codes = await Promise.all([0, 1, 2].map((at) => codeOf(producer.sendSync('orders', 'x', { partition: at }))))
    expect(codes[1]).toBe('PRODUCE_FAILED')
    await closing
    expect(producer.getMetrics()).toMatchObject({ pendingMessages: 0, bufferUsedBytes: 0, totalMessages: 3 })
  })

  it('two closes and a flush at the same time: one end, one answer', async () => {
    const { producer } = await stage()
    const sent = producer.sendSync('orders', 'x')
    const [first, second] = [producer.close(), producer.close({ timeoutMs: 0 })]
    expect(second).toBe(first)
    await producer.flush()
    await expect(sent).resolves.toMatchObject({ offset: 0 })
    expect(await first).toEqual({ unsentRecords: 0, inWalRecords: 0 })
  })

  it('PR-21: after the end every way to send says PRODUCER_CLOSED', async () => {
    const { producer } = await stage()
    await producer.close()
    const asynchronous = new Promise((resolve) => producer.sendAsync('orders', 'x', (error) => resolve(error?.code)))
    expect(await asynchronous).toBe('PRODUCER_CLOSED')
    expect(await codeOf(producer.sendSync('orders', 'x'))).toBe('PRODUCER_CLOSED')
    expect(await codeOf(producer.sendBatchSync({ topic: 'orders', messages: [{ value: 'x' }] }))).toBe(
      'PRODUCER_CLOSED',
    )
    expect(() => producer.sendBatchAsync({ topic: 'orders', messages: [] }, () => {})).toThrow('closed')
    expect(await codeOf(producer.connect())).toBe('PRODUCER_CLOSED')
    await producer.flush()
  })
})

describe('P-59: clocks', () => {
  it.each([HOUR_MS, -HOUR_MS])('a wall clock that jumps by %i ms expires nothing', async (jumpMs) => {
    const config = { deliveryTimeoutMs: 5000, requestTimeoutMs: 2000, lingerMs: 100 }
    const { clock, broker, producer } = await stage(config)
    await producer.sendSync('orders', 'opens')
    const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    const flying = producer.sendSync('orders', 'flying')
    await broker.hit(held)
    const waiting = producer.sendSync('orders', 'waiting')
    clock.jumpWallClock(jumpMs)
    await turns(50)
    const jumped = producer.sendSync('orders', 'jumped')
    held.release()
    await expect(Promise.all([flying, waiting, jumped])).resolves.toHaveLength(3)
    const log = await logOf(broker, 'orders')
    expect(log.map(({ value }) => value)).toEqual(['opens', 'flying', 'waiting', 'jumped'])
    const [, , before, after] = log.map(({ timestamp }) => timestamp) as number[]
    expect((after as number) - (before as number)).toBeGreaterThan(jumpMs - 1000)
    expect(producer.getMetrics()).toMatchObject({ retries: 0, failedMessages: 0 })
  })
})

describe('topics that go', () => {
  it('K-9, P-62: a topic that is deleted while it is written to fails alone and delays nobody', async () => {
    const { clock, broker, producer } = await stage({ retryBackoffMaxMs: 1000 })
    broker.createTopic('other')
    await Promise.all([producer.sendSync('orders', 'a'), producer.sendSync('other', 'a')])
    broker.deleteTopic('orders')
    const doomed = errorOf(producer.sendSync('orders', 'b'))
    const fromMs = clock.monotonicMs()
    for (let record = 0; record < 20; record++) await producer.sendSync('other', `b${record}`)
    expect(clock.monotonicMs() - fromMs).toBeLessThan(2000)
    expect(await doomed).toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    expect(clock.monotonicMs() - fromMs).toBeLessThan(30_000)
    broker.createTopic('orders')
    // The first record may still be one for the old topic: it fails, and is never written to the new one.
    expect(['fulfilled', 'TOPIC_NOT_FOUND']).toContain(await codeOf(producer.sendSync('orders', 'c')))
    await producer.sendSync('orders', 'c')
    expect(new Set((await logOf(broker, 'orders')).map(({ value }) => value))).toEqual(new Set(['c']))
  })

  it('P-41: recreated under load with fewer partitions: the old records fail, the new ones have a new identity', async () => {
    const { broker, producer } = await stage({ metadataMaxAgeMs: 1000 }, { partitions: 4 })
    const outcomes = new Map<string, string>()
    const send = (name: string, partition: number) =>
      producer.sendAsync('orders', name, { partition }, (error) => void outcomes.set(name, error?.code ?? 'ok'))
    for (let partition = 0; partition < 4; partition++) send(`warm${partition}`, partition)
    await producer.flush()
    const held = broker.on({ api: 'Produce' }, fault.error(7))
    for (let partition = 0; partition < 4; partition++) send(`old${partition}`, partition)
    await broker.hit(held)
    broker.recreateTopic('orders', { partitions: 2 })
    held.remove()
    await producer.flush()
    for (let partition = 0; partition < 4; partition++) {
      expect(outcomes.get(`old${partition}`), `old${partition}`).toBe('TOPIC_NOT_FOUND')
      send(`new${partition}`, partition)
    }
    await producer.flush()
    await turns(3)
    // Sorted: nothing is promised about the order between partitions.
    expect([...outcomes].filter(([name]) => name.startsWith('new')).sort()).toEqual([
      ['new0', 'ok'],
      ['new1', 'ok'],
      ['new2', 'INVALID_PARTITION'],
      ['new3', 'INVALID_PARTITION'],
    ])
    for (const partition of [0, 1]) {
      expect((await logOf(broker, 'orders', partition)).map(({ value }) => value)).toEqual([`new${partition}`])
      expect(broker.log('orders', partition).batches[0]).toMatchObject({ baseSequence: 0 })
    }
  })
})

describe('K-2: a failure, and what comes after it', () => {
  it('retries used up after the write: the next record is neither taken for a duplicate nor stuck', async () => {
    const { broker, producer } = await stage({ maxRetries: 2 })
    await producer.sendSync('orders', 'a')
    broker.on({ api: 'Produce', nth: 1, times: 3 }, fault.error(7, { when: 'after' }))
    const error = await errorOf(producer.sendSync('orders', 'b'))
    expect(error).toMatchObject({ code: 'RETRY_EXHAUSTED', context: { persistence: 'possibly-persisted' } })
    await expect(producer.sendSync('orders', 'c')).resolves.toMatchObject({ offset: 2 })
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
  })

  it('P-29: expired before it was ever sent, while others wait behind it: these go on', async () => {
    const config = { deliveryTimeoutMs: 2000, requestTimeoutMs: 500, lingerMs: 0 }
    const { broker, producer } = await stage(config)
    await producer.sendSync('orders', 'a')
    await broker.kill(1)
    const expired = errorOf(producer.sendSync('orders', 'b'))
    await turns(1500)
    const behind = producer.sendSync('orders', 'c')
    const error: MQError = await expired
    expect(error).toMatchObject({ code: 'TIMEOUT', context: { persistence: 'not-persisted' } })
    await broker.start(1)
    await expect(behind).resolves.toMatchObject({ offset: 1 })
    expect((await logOf(broker, 'orders')).map(({ value }) => value)).toEqual(['a', 'c'])
  })
})
