/** The gateway's way to Kafka, on the broker of this process: our producer, consumers and admin client as they are. */
import { afterEach, describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { MQError } from '../../lib/errors/index.js'
import type { Feed, FeedRecord, FeedSink, GatewayBackend } from '../../lib/gateway/types.js'
import { gatewayBackend } from '../../lib/gateway-backend.js'
import { MQ } from '../../lib/index.js'
import { json } from '../../lib/serializers/index.js'
import { type Clock, FakeClock, silentLogger, systemClock } from '../../lib/util/index.js'
import { bench } from '../consumer/support.js'

const kafka = bench()
const open: { close(): Promise<unknown> }[] = []

afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

class Heard implements FeedSink {
  readonly got: FeedRecord[] = []
  readonly batches: number[] = []
  readonly errors: MQError[] = []
  #look: (() => void) | null = null
  onBatch: (() => void) | null = null

  records(batch: readonly FeedRecord[]): void {
    this.got.push(...batch)
    this.batches.push(batch.length)
    this.onBatch?.()
    this.#look?.()
  }

  failed(error: MQError): void {
    this.errors.push(error)
    this.#look?.()
  }

  get offsets(): number[] {
    return this.got.map(({ offset }) => offset)
  }

  until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#look = () => {
        if (isMet()) resolve()
      }
    })
  }

  count(count: number): Promise<void> {
    return this.until(() => this.got.length >= count)
  }

  failure(): Promise<void> {
    return this.until(() => this.errors.length > 0)
  }
}

interface Stage {
  readonly backend: GatewayBackend
  readonly mq: MQ
  /** Consumers that were made. */
  readonly made: { readonly state: string; readonly assignment: readonly unknown[] }[]
}

function stage(clock: Clock = systemClock): Stage {
  const connection = { retryBackoffMs: 5, retryBackoffMaxMs: 20 }
  const mq = new MQ({ brokers: kafka.broker.bootstrap, logger: silentLogger, connection, consumer: { groupId: 'g' } })
  mq.on('error', () => {})
  const made: Stage['made'] = []
  const backend = gatewayBackend({
    sendSync: (...record) => mq.sendSync(...record),
    admin: mq.admin,
    createConsumer: (config) => {
      const consumer = mq.createConsumer<Buffer, Buffer>(config as never)
      made.push(consumer)
      return consumer
    },
    clock,
  })
  open.push(backend, mq)
  return { backend, mq, made }
}

function read(backend: GatewayBackend, from: number, partition = 0): { heard: Heard; feed: Feed } {
  const heard = new Heard()
  return { heard, feed: backend.open('t', partition, from, heard) }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

describe('gatewayBackend', () => {
  it('GW-1: publishes bytes with key, headers, partition and timestamp, and tells where they went', async () => {
    const broker = await kafka.start()
    broker.createTopic('t', { partitions: 3 })
    const { backend } = stage()
    const key = Buffer.from([0xff, 0])
    const headers = [
      ['a', Buffer.from('1')],
      ['a', null],
    ] as const
    const sent = await backend.publish('t', Buffer.from([0xfe]), {
      key,
      headers,
      partition: 2,
      timestamp: 1_700_000_000_123,
    })
    expect(sent).toEqual({ partition: 2, offset: 0, timestamp: 1_700_000_000_123 })
    const { heard } = read(backend, 0, 2)
    await heard.count(1)
    expect(heard.got).toEqual([{ offset: 0, timestamp: 1_700_000_000_123, key, value: Buffer.from([0xfe]), headers }])
    await backend.publish('t', null, { key, headers: [], partition: 2 })
    await heard.count(2)
    expect(heard.got[1]?.value).toBeNull()
  })

  it('GW-1: records of one key keep their order', async () => {
    const broker = await kafka.start()
    broker.createTopic('t', { partitions: 4 })
    const { backend } = stage()
    const sends = range(0, 200).map((n) =>
      backend.publish('t', Buffer.from(`${n}`), { key: Buffer.from('k'), headers: [] }),
    )
    const places = await Promise.all(sends)
    expect(new Set(places.map(({ partition }) => partition)).size).toBe(1)
    expect(places.map(({ offset }) => offset)).toEqual(range(0, 200))
  })

  it('GW-1: reads the same partition at several places, each in order, without a group', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    await kafka.produceNumbers('t', 0, 0, 100)
    const { backend, made } = stage()
    const live = read(backend, 90)
    const past = read(backend, 0)
    await Promise.all([live.heard.count(10), past.heard.count(100)])
    expect(live.heard.offsets).toEqual(range(90, 100))
    expect(past.heard.offsets).toEqual(range(0, 100))
    expect(past.heard.got.map(({ value }) => String(value))).toEqual(range(0, 100).map(String))
    expect(made).toHaveLength(2)
    past.feed.close()
    const again = read(backend, 50)
    await again.heard.count(50)
    expect(again.heard.offsets).toEqual(range(50, 100))
    expect(made, 'a consumer that is free is used again').toHaveLength(2)
    await kafka.produceNumbers('t', 0, 100, 5)
    await Promise.all([live.heard.count(15), again.heard.count(55)])
    expect(past.heard.got, 'nothing is told after close').toHaveLength(100)
  })

  it('GW-3: a reader that is paused gets nothing after the batch under way, then goes on without a gap', async () => {
    const broker = await kafka.start()
    broker.createTopic('t', { partitions: 2 })
    const { backend } = stage()
    for (let batch = 0; batch < 30; batch++) await kafka.produceNumbers('t', 0, batch * 100, 100)
    const heard = new Heard()
    const feed = backend.open('t', 0, 0, heard)
    heard.onBatch = () => feed.pause()
    await heard.count(1)
    const before = heard.got.length
    const other = read(backend, 0, 1)
    await kafka.produceNumbers('t', 1, 0, 10)
    await other.heard.count(10)
    expect(heard.got.length, 'another partition of the same consumer went on meanwhile').toBe(before)
    expect(before).toBeLessThanOrEqual(1_000)
    heard.onBatch = null
    feed.resume()
    await heard.count(3_000)
    expect(heard.offsets).toEqual(range(0, 3_000))
  })

  it('GW-3: a reader can be paused before it has its partition', async () => {
    const broker = await kafka.start()
    broker.createTopic('t', { partitions: 2 })
    await kafka.produceNumbers('t', 0, 0, 10)
    const { backend } = stage()
    const { heard, feed } = read(backend, 0)
    feed.pause()
    const other = read(backend, 0, 1)
    await kafka.produceNumbers('t', 1, 0, 10)
    await other.heard.count(10)
    expect(heard.got).toEqual([])
    feed.resume()
    await heard.count(10)
  })

  it('GW-1: a place that was deleted begins at the earliest that exists, one that is deleted later fails', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    await kafka.produceNumbers('t', 0, 0, 100)
    broker.deleteRecords({ topic: 't', partition: 0 }, 40)
    const { backend } = stage()
    const { heard, feed } = read(backend, 10)
    heard.onBatch = () => feed.pause()
    await heard.count(60)
    expect(heard.offsets).toEqual(range(40, 100))
    expect(await backend.positions('t', 0)).toEqual({ earliest: 40, next: 100 })
    for (let batch = 0; batch < 3; batch++) await kafka.produceNumbers('t', 0, 100, 100)
    broker.deleteRecords({ topic: 't', partition: 0 }, 350)
    heard.onBatch = null
    feed.resume()
    await heard.until(() => heard.errors.length > 0 || heard.got.length >= 360)
    const gone = heard.errors[0]
    expect(gone?.code, 'it cannot go on where it stands').toBe('INVALID_OFFSET')
    expect(gone?.context.reason).toBe('OFFSET_OUT_OF_RANGE')
  })

  it('GW-1: a place beyond the end fails', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    await kafka.produceNumbers('t', 0, 0, 10)
    const { backend } = stage()
    const { heard } = read(backend, 11)
    await heard.failure()
    expect(heard.errors[0]?.code).toBe('INVALID_OFFSET')
  })

  it('GW-1: unknown topics are TOPIC_NOT_FOUND and are not created', async () => {
    const broker = await kafka.start({ config: { 'auto.create.topics.enable': true } } as never)
    const { backend, mq } = stage()
    await expect(backend.partitionsOf('none')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    await expect(backend.positions('none', 0)).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    expect(await mq.admin.listTopics()).toEqual([])
    broker.createTopic('t', { partitions: 3 })
    expect(await backend.partitionsOf('t')).toEqual([0, 1, 2])
    await expect(backend.positions('t', 3)).rejects.toMatchObject({ code: 'PARTITION_NOT_FOUND' })
    const beyond = read(backend, 0, 7)
    await beyond.heard.failure()
    expect(beyond.heard.errors[0]?.code).toBe('INVALID_PARTITION')
  })

  it('GW-1: a topic that is deleted ends its readers with TOPIC_NOT_FOUND', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    await kafka.produceNumbers('t', 0, 0, 10)
    const { backend } = stage()
    const { heard } = read(backend, 0)
    await heard.count(10)
    broker.deleteTopic('t')
    await heard.failure()
    expect(heard.errors[0]?.code).toBe('TOPIC_NOT_FOUND')
  })

  it('GW-1: a topic that may not be read ends its readers with AUTHORIZATION_FAILED', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    broker.on({ api: 'Fetch' }, fault.error(29))
    const { heard } = read(stage().backend, 0)
    await heard.failure()
    expect(heard.errors[0]?.code).toBe('AUTHORIZATION_FAILED')
    expect(heard.errors).toHaveLength(1)
  })

  it('GW-1: a connection that breaks is repaired below, without a gap', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    await kafka.produceNumbers('t', 0, 0, 10)
    const { backend } = stage()
    const { heard } = read(backend, 0)
    await heard.count(10)
    broker.disconnect()
    await kafka.produceNumbers('t', 0, 10, 10)
    await heard.count(20)
    expect(heard.offsets).toEqual(range(0, 20))
    expect(heard.errors).toEqual([])
  })

  it('GW-1: bytes are copies of their own that do not keep a fetch in memory', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    const small = Array.from({ length: 300 }, (_, index) => `${index}`.padEnd(100, '.'))
    await kafka.produce('t', 0, small)
    await kafka.produce('t', 0, ['x'.repeat(100_000)])
    const { backend } = stage()
    const { heard } = read(backend, 0)
    await heard.count(301)
    const memories = new Set(heard.got.map(({ value }) => value?.buffer))
    const sizes = [...memories].map((memory) => memory?.byteLength ?? 0)
    expect(Math.max(...sizes)).toBe(100_000)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1.3 * (300 * 100 + 100_000))
    expect(heard.got.slice(0, 300).map(({ value }) => String(value))).toEqual(small)
  })

  it('GW-1: what an instance reads and writes with serializers is bytes here', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    await kafka.produce('t', 0, ['not json'])
    const mq = new MQ({
      brokers: kafka.broker.bootstrap,
      logger: silentLogger,
      consumer: { valueDeserializer: json() },
    })
    const backend = gatewayBackend({
      sendSync: () => Promise.reject(new Error('not asked')),
      admin: mq.admin,
      createConsumer: (config) => mq.createConsumer<Buffer, Buffer>(config as never),
      clock: systemClock,
    })
    open.push(backend, mq)
    const { heard } = read(backend, 0)
    await heard.count(1)
    expect(String(heard.got[0]?.value)).toBe('not json')
  })

  it('GW-1: a consumer that nobody reads with is closed after a while', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    const clock = new FakeClock()
    const { backend, made } = stage(clock)
    await kafka.produceNumbers('t', 0, 0, 1)
    const [first, second] = [read(backend, 0), read(backend, 0)]
    await Promise.all([first.heard.count(1), second.heard.count(1)])
    second.feed.close()
    clock.advance(29_000)
    expect(made.map(({ state }) => state)).toEqual(['open', 'open'])
    const third = read(backend, 0)
    await third.heard.count(1)
    clock.advance(29_000)
    third.feed.close()
    clock.advance(31_000)
    expect(made.map(({ state }) => state)).toEqual(['open', expect.stringMatching(/clos/)])
  })

  it('GW-1: close ends its consumers, and nothing is opened after it', async () => {
    const broker = await kafka.start()
    broker.createTopic('t')
    const { backend, made } = stage()
    read(backend, 0)
    const { feed } = read(backend, 0)
    feed.close()
    await backend.close()
    expect(made.map(({ state }) => state)).toEqual(['closed', 'closed'])
    expect(() => read(backend, 0)).toThrow(MQError)
  })
})
