/**
 * Defects that other clients have or had, as scenarios (kafka.md 5.6): K-1, K-3, K-4, K-6, K-8..K-11, K-13.
 * Why apart from the rules: each is a whole story that a user has lived through, told by what stands in the log.
 * Invariant: values are compared as strings, per partition and in order, with the offsets that were acknowledged; "at
 * least n records" or a set of buffers proves nothing.
 */
import { describe, expect, it } from 'vitest'
import { type Broker, type Fault, fault } from '../../lib/broker/index.js'
import type { Producer } from '../../lib/producer/index.js'
import { codeOf, errorOf, logOf, newProducer, stage, startBroker, turns, until } from './support.js'

const texts = (count: number, from = 0) => Array.from({ length: count }, (_, index) => String(from + index))

/** `partition@offset=value` of everything that is stored, partitions one after the other. */
async function stored(broker: Broker, topic: string, partitions: number): Promise<string[]> {
  const all: string[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (const { offset, value } of await logOf(broker, topic, partition)) all.push(`${partition}@${offset}=${value}`)
  }
  return all
}

/** The sends of one turn share a batch; these do not. */
async function oneRequestEach(producer: Producer, values: readonly string[], partitions = 1) {
  const sends: Promise<Placed>[] = []
  for (const [index, value] of values.entries()) {
    sends.push(producer.sendSync('orders', value, { partition: index % partitions }))
    if (index % partitions === partitions - 1) await turns(3)
  }
  return sends
}

const valuesOf = async (broker: Broker, topic: string, partition = 0) =>
  (await logOf(broker, topic, partition)).map(({ value }) => value)

interface Placed {
  readonly partition: number
  readonly offset: number
}

const placed = (metadata: readonly Placed[], values: readonly string[]) =>
  metadata.map(({ partition, offset }, index) => `${partition}@${offset}=${values[index]}`)

/** The batch that each Produce request carried for a partition, behind what the broker writes into it. */
function batchesSent(broker: Broker): { readonly node: number; readonly partition: number; readonly bytes: string }[] {
  return broker.requests({ api: 'Produce' }).flatMap(({ node, body }) => {
    const { topicData } = body as {
      topicData: { partitionData: { index: number; records: Uint8Array | null }[] }[]
    }
    return topicData.flatMap(({ partitionData }) =>
      partitionData.map(({ index, records }) => {
        return { node, partition: index, bytes: Buffer.from(records ?? []).toString('hex', 16) }
      }),
    )
  })
}

describe('what was written but answered otherwise', () => {
  const lies: [string, Fault][] = [
    ['7 after the write', fault.error(7, { when: 'after' })],
    ['20 after the write', fault.error(20, { when: 'after' })],
    ['a connection that ends', fault.drop('after')],
  ]
  it.each(lies)(
    'K-1: four requests in flight, the first one answered with %s: each once, in order',
    async (_name, lie) => {
      const { broker, producer } = await stage({ lingerMs: 0 })
      await producer.sendSync('orders', 'opens') // From here on several batches may fly.
      const held = broker.on({ api: 'Produce', nth: 1 }, fault.hold())
      const handle = broker.on({ api: 'Produce', nth: 1 }, lie)
      const sends = await oneRequestEach(producer, texts(4))
      if (lie.kind === 'error') expect(producer.getMetrics().inFlightRequests).toBe(4)
      held.release()
      expect((await Promise.all(sends)).map(({ offset }) => offset)).toEqual([1, 2, 3, 4])
      expect(handle.hits).toBe(1)
      expect(await valuesOf(broker, 'orders')).toEqual(['opens', '0', '1', '2', '3'])
    },
  )

  it('K-1: the same with the very first records of a producer', async () => {
    const { broker, producer } = await stage({ lingerMs: 0 })
    broker.on({ api: 'Produce', nth: 1 }, fault.error(7, { when: 'after' }))
    const metadata = await Promise.all(await oneRequestEach(producer, texts(4)))
    expect(metadata.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
    expect(await valuesOf(broker, 'orders')).toEqual(texts(4))
  })
})

describe('several leaders', () => {
  /** Partition 0 is led by broker 1, partition 1 by broker 2. */
  async function twoLeaders() {
    const { broker, producer, clock } = await stage({ lingerMs: 0 }, { assignments: [[1], [2]] }, { nodes: 2 })
    for (const partition of [0, 1]) await producer.sendSync('orders', 'opens', { partition })
    broker.forgetRequests()
    return { broker, producer, clock }
  }

  it('K-3: one fails while the request of the other is in flight: nothing is sent twice', async () => {
    const { broker, producer } = await twoLeaders()
    const held = broker.on({ api: 'Produce', node: 2, nth: 1 }, fault.hold())
    const failing = broker.on({ api: 'Produce', node: 1, nth: 1, times: 3 }, fault.error(19))
    const slow = producer.sendSync('orders', 'slow', { partition: 1 })
    await broker.hit(held)
    expect(await producer.sendSync('orders', 'retried', { partition: 0 })).toMatchObject({ partition: 0, offset: 1 })
    held.release()
    expect(await slow).toMatchObject({ partition: 1, offset: 1 })
    expect(failing.hits).toBe(3)
    expect([1, 2].map((node) => broker.requests({ api: 'Produce', node }).length)).toEqual([4, 1])
    expect(await stored(broker, 'orders', 2)).toEqual(['0@0=opens', '0@1=retried', '1@0=opens', '1@1=slow'])
  })

  it('K-11: hundreds of sends at once over three brokers: several requests in flight at each, all in order, once', async () => {
    const partitions = 12
    const topic = { partitions, replicationFactor: 1 }
    const { broker, producer } = await stage({ lingerMs: 0 }, topic, { nodes: 3 })
    for (let partition = 0; partition < partitions; partition++)
      await producer.sendSync('orders', 'opens', { partition })
    const holds = [1, 2, 3].map((node) => broker.on({ api: 'Produce', node, nth: 1 }, fault.hold()))
    const values = texts(600)
    const sends = await oneRequestEach(producer, values, partitions)
    for (const hold of holds) await broker.hit(hold)
    expect(producer.getMetrics().inFlightRequests, 'at three brokers').toBe(15)
    for (const hold of holds) hold.release()
    const metadata = await Promise.all(sends)
    const opens = Array.from({ length: partitions }, (_, partition) => `${partition}@0=opens`)
    expect([...placed(metadata, values), ...opens].sort()).toEqual((await stored(broker, 'orders', partitions)).sort())
    for (let partition = 0; partition < partitions; partition++) {
      const order = values.filter((_, index) => index % partitions === partition)
      expect(await valuesOf(broker, 'orders', partition)).toEqual(['opens', ...order])
    }
  })
})

describe('leaders that change', () => {
  it('K-6: what a leader took that was deposed before it could acknowledge is written at its successor', async () => {
    const tp = { topic: 'orders', partition: 0 }
    const topic = { assignments: [[1, 2]] }
    const { broker, producer } = await stage({ lingerMs: 0, requestTimeoutMs: 5_000 }, topic, { nodes: 2 })
    await producer.sendSync('orders', 'opens')
    const goOn = broker.holdReplication(tp)
    const deposed = producer.sendSync('orders', 'only at the old leader')
    await until(() => broker.log('orders', 0, 1).logEnd === 2, 'the old leader has it')
    broker.uncleanElection(tp, 2)
    goOn()
    expect(await deposed).toMatchObject({ offset: 1 })
    expect(await producer.sendSync('orders', 'next')).toMatchObject({ offset: 2 })
    expect(broker.log('orders', 0).leader).toBe(2)
    expect(await valuesOf(broker, 'orders')).toEqual(['opens', 'only at the old leader', 'next'])
  })

  it('K-6: the leaders of two partitions of one request move apart: each is sent again to its own leader', async () => {
    const topic = { assignments: [[1, 2, 3].slice(), [1, 3, 2]] }
    const { broker, producer } = await stage({}, topic, { nodes: 3 })
    for (const partition of [0, 1]) await producer.sendSync('orders', 'opens', { partition })
    broker.forgetRequests()
    broker.moveLeader({ topic: 'orders', partition: 0 }, 2)
    broker.moveLeader({ topic: 'orders', partition: 1 }, 3)
    const sends = [0, 1].map((partition) => producer.sendSync('orders', `for ${partition}`, { partition }))
    expect((await Promise.all(sends)).map(({ offset }) => offset)).toEqual([1, 1])
    const sent = batchesSent(broker)
    for (const [partition, leader] of [2, 3].entries()) {
      const own = sent.filter((one) => one.partition === partition)
      expect(own.at(-1)?.node, `the leader of ${partition}`).toBe(leader)
      expect(own.filter(({ node }) => node === leader)).toHaveLength(1)
      expect(own.every(({ node }) => node === 1 || node === leader)).toBe(true)
    }
    expect(await stored(broker, 'orders', 2)).toEqual(['0@0=opens', '0@1=for 0', '1@0=opens', '1@1=for 1'])
  })

  it('K-4: a batch without keys that is sent again stays in its partition, however often', async () => {
    const { broker, producer } = await stage({ lingerMs: 1 }, { partitions: 6 })
    broker.on({ api: 'Produce', nth: 1, times: 7 }, fault.error(19))
    broker.on({ api: 'Produce', nth: 9, times: 3 }, fault.error(7, { when: 'after' }))
    const values = texts(200)
    const metadata = await Promise.all(values.map((value) => producer.sendSync('orders', value)))
    expect(placed(metadata, values).sort()).toEqual((await stored(broker, 'orders', 6)).sort())
    const homes = new Map<string, Set<number>>()
    for (const { bytes, partition } of batchesSent(broker))
      homes.set(bytes, (homes.get(bytes) ?? new Set()).add(partition))
    expect([...homes.values()].map(({ size }) => size)).toEqual([...homes.values()].map(() => 1))
    expect(producer.getMetrics().retries).toBeGreaterThanOrEqual(7)
  })
})

describe('one trouble does not spread', () => {
  it('K-8: a half-open connection is given up, another one goes on, everything once and in order', async () => {
    const limits = { requestTimeoutMs: 300, connection: { readTimeoutMs: 100 } }
    const { broker, producer } = await stage({ ...limits, lingerMs: 0 })
    await producer.sendSync('orders', 'opens')
    const handle = broker.on({ api: 'Produce', nth: 2 }, fault.blackhole())
    const metadata = await Promise.all(await oneRequestEach(producer, texts(10)))
    expect(handle.hits).toBeGreaterThan(0)
    expect(metadata.map(({ offset }) => offset)).toEqual(texts(10, 1).map(Number))
    expect(await valuesOf(broker, 'orders')).toEqual(['opens', ...texts(10)])
    expect(await codeOf(producer.sendSync('orders', 'after'))).toBe('fulfilled')
  })

  it('K-9: invalid and missing topics fail alone, and the next send to a good one is as quick as ever', async () => {
    const { broker, producer, clock } = await stage({ lingerMs: 0 })
    await producer.sendSync('orders', 'opens')
    const bad = ['no spaces', '..', 'x'.repeat(250)].map((topic) => errorOf(producer.sendSync(topic, 'lost')))
    const missing = errorOf(producer.sendSync('missing', 'lost'))
    const fromMs = clock.monotonicMs()
    for (const value of texts(20)) await producer.sendSync('orders', value)
    expect(clock.monotonicMs() - fromMs, 'no waiting for the others').toBeLessThan(1_000)
    expect((await Promise.all(bad)).map(({ code }) => code)).toEqual([
      'INVALID_TOPIC',
      'INVALID_TOPIC',
      'INVALID_TOPIC',
    ])
    expect((await missing).code).toBe('TOPIC_NOT_FOUND')
    expect(await valuesOf(broker, 'orders')).toEqual(['opens', ...texts(20)])
  })
})

describe('large calls', () => {
  it('K-10: 40,000 records in one call: all stored, once, in order, each with its own offset', async () => {
    const broker = await startBroker()
    broker.createTopic('orders', { partitions: 2 })
    const producer = newProducer(broker)
    const messages = texts(40_000).map((value, index) => ({ value, partition: index % 2 }))
    const metadata = await producer.sendBatchSync({ topic: 'orders', messages })
    expect(metadata.filter(({ error }) => error !== undefined)).toEqual([])
    const values = messages.map(({ value }) => value)
    const seen = await stored(broker, 'orders', 2)
    expect(seen).toHaveLength(40_000)
    const byPartition = [0, 1].flatMap((partition) => placed(metadata, values).filter((_, at) => at % 2 === partition))
    expect(seen).toEqual(byPartition)
  }, 30_000)

  it('K-10: 200,000 records in one batch: no stack overflow, and a record costs no more than in a small one', async () => {
    const broker = await startBroker({ config: { 'message.max.bytes': 33_554_432 } })
    broker.createTopic('orders')
    const large = { maxBatchBytes: 16_777_216, batchBytes: 16_777_216, batchMaxRecords: 200_000, lingerMs: 60_000 }
    const producer = newProducer(broker, { ...large, bufferMemoryBytes: 67_108_864, compression: 'none' })
    await producer.connect()
    const send = async (count: number): Promise<number> => {
      const startMs = performance.now()
      let left = count
      const done = new Promise<void>((resolve, reject) => {
        for (let n = 0; n < count; n++) {
          producer.sendAsync('orders', 'v', (error) => {
            if (error !== null) reject(error)
            else if (--left === 0) resolve()
          })
        }
      })
      await producer.flush()
      await done
      return (performance.now() - startMs) / count
    }
    await send(20_000) // Code is compiled by now.
    const small = await send(20_000)
    const big = await send(200_000)
    const { batches, logEnd } = broker.log('orders', 0)
    expect([logEnd, batches.at(-1)?.count]).toEqual([240_000, 200_000])
    expect(big / small, 'cost per record, 10 times as many').toBeLessThan(5)
  }, 30_000)
})

describe('before the first connection', () => {
  it('K-13: what is sent while no broker is there is delivered once it comes, in order, and told with its place', async () => {
    const { broker, producer } = await stage({ lingerMs: 0 })
    await broker.kill(1)
    const told: string[] = []
    const values = texts(50)
    const sends = values.map(async (value) => {
      const { offset } = await producer.sendSync('orders', value)
      told.push(`${offset}=${value}`)
    })
    await turns(3_000)
    expect(told, 'nobody is told of success').toEqual([])
    await broker.start(1)
    await Promise.all(sends)
    expect(told).toEqual(values.map((value) => `${value}=${value}`))
    expect(await valuesOf(broker, 'orders')).toEqual(values)
  })

  it('K-13: when none comes each one fails, as not persisted, and nothing of them is stored later', async () => {
    const { broker, producer } = await stage({ deliveryTimeoutMs: 3_000, requestTimeoutMs: 1_000, lingerMs: 0 })
    await broker.kill(1)
    const errors = await Promise.all(texts(20).map((value) => errorOf(producer.sendSync('orders', value))))
    expect(errors.map(({ code, context }) => [code, context.persistence])).toEqual(
      errors.map(() => ['TIMEOUT', 'not-persisted']),
    )
    await broker.start(1)
    expect(await producer.sendSync('orders', 'later')).toMatchObject({ offset: 0 })
    expect(await valuesOf(broker, 'orders')).toEqual(['later'])
  })
})
