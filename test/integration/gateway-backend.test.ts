/** Feeds of the gateway over a real Kafka: clients at several places of a topic, each with exactly its records. */
import { afterEach, expect, it } from 'vitest'
import { Feeds } from '../../lib/gateway/feed/feeds.js'
import type { FeedSource } from '../../lib/gateway/feed/types.js'
import type { GatewayBackend, StartAt } from '../../lib/gateway/types.js'
import { gatewayBackend } from '../../lib/gateway-backend.js'
import { MQ } from '../../lib/index.js'
import { systemClock } from '../../lib/util/index.js'
import { FakeClient } from '../gateway/feed/fake-client.js'
import { eventually } from '../support/eventually.js'
import { bootstrap, createTopic, describeWithKafka } from '../support/real-kafka.js'

const LIMIT_MS = 30_000
const open: { close(): Promise<unknown> }[] = []

afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

interface Stage {
  readonly mq: MQ
  readonly backend: GatewayBackend
  readonly feeds: FeedSource
}

function stage(cacheBytes = 64 * 1024 * 1024): Stage {
  const mq = new MQ({ brokers: bootstrap, logLevel: 'silent' })
  mq.on('error', () => {})
  const backend = gatewayBackend({
    sendSync: (...record) => mq.sendSync(...record),
    admin: mq.admin,
    createConsumer: (config) => mq.createConsumer<Buffer, Buffer>(config as never),
    clock: systemClock,
  })
  const feeds = new Feeds(backend, { cacheBytes, maxCatchUps: 4, slowClient: 'pause' }, systemClock)
  open.push(feeds, backend, mq)
  return { mq, backend, feeds }
}

async function join(feeds: FeedSource, topic: string, from: StartAt, key?: string): Promise<FakeClient> {
  const client = new FakeClient()
  client.reader = feeds.reader(client)
  await client.reader.subscribe([topic], key === undefined ? undefined : Buffer.from(key), from)
  return client
}

/** `count` records whose value is their number, from one place on; keys k0 .. k9, so all partitions are used. */
async function publish(backend: GatewayBackend, topic: string, from: number, count: number): Promise<void> {
  const sends = Array.from({ length: count }, (_, index) => {
    const n = from + index
    return backend.publish(topic, Buffer.from(`${n}`), { key: Buffer.from(`k${n % 10}`), headers: [] })
  })
  await Promise.all(sends)
}

function numbersOf(client: FakeClient): number[] {
  return client.records.map(({ value }) => Number(value)).sort((a, b) => a - b)
}

function expectInOrder(client: FakeClient): void {
  const last = new Map<number, number>()
  for (const { partition, offset } of client.records) {
    expect(offset).toBeGreaterThan(last.get(partition) ?? -1)
    last.set(partition, offset)
  }
  expect(client.gaps).toEqual([])
  expect(client.failures).toEqual([])
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

describeWithKafka('the gateway on a real Kafka', () => {
  it.each([
    ['a cache', 64 * 1024 * 1024],
    ['no cache to speak of', 1_000],
  ])(
    'GW-1: clients that are live, come back, begin early or follow a key get exactly their records, with %s',
    async (_, cacheBytes) => {
      const topic = await createTopic('gateway', { partitions: 3 })
      const { backend, feeds } = stage(cacheBytes)
      await publish(backend, topic, 0, 2_000)
      const early = await join(feeds, topic, 'earliest')
      const live = await Promise.all(Array.from({ length: 20 }, () => join(feeds, topic, 'latest')))
      const keyed = await join(feeds, topic, 'latest', 'k3')
      await publish(backend, topic, 2_000, 2_000)
      await eventually(
        'the live clients are there',
        () => live.every((client) => client.records.length === 2_000),
        LIMIT_MS,
      )
      const offsets = new Map(early.records.map(({ partition, offset }) => [partition, offset + 1]))
      await eventually('the early one is there', () => early.records.length === 4_000, LIMIT_MS)
      const back = await join(feeds, topic, new Map([[topic, offsets]]))
      await publish(backend, topic, 4_000, 500)
      await eventually(
        'all have the last',
        () => [early, ...live].every((client) => numbersOf(client).at(-1) === 4_499 && client.records.length >= 2_500),
        LIMIT_MS,
      )
      await eventually(
        'nothing is missing',
        () => early.records.length === 4_500 && keyed.records.length === 250,
        LIMIT_MS,
      )
      expect(numbersOf(early)).toEqual(range(0, 4_500))
      for (const client of live) expect(numbersOf(client)).toEqual(range(2_000, 4_500))
      expect(numbersOf(keyed)).toEqual(range(2_000, 4_500).filter((n) => n % 10 === 3))
      const known = early.records.filter(({ partition, offset }) => offset >= (offsets.get(partition) ?? 4_500))
      await eventually('who came back has the rest', () => back.records.length >= known.length, LIMIT_MS)
      for (const client of [early, back, keyed, ...live]) expectInOrder(client)
    },
  )

  it('GW-1: a topic that is not there is not made, and one that is deleted ends its subscriptions', async () => {
    const topic = await createTopic('gateway')
    const { mq, backend, feeds } = stage()
    await expect(join(feeds, `${topic}-none`, 'latest')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    expect(await mq.admin.topicExists(`${topic}-none`)).toBe(false)
    const client = await join(feeds, topic, 'earliest')
    await publish(backend, topic, 0, 10)
    await eventually('it reads', () => client.records.length === 10, LIMIT_MS)
    await mq.admin.deleteTopic(topic)
    await eventually('it is told', () => client.failures.length === 1, LIMIT_MS)
    expect(client.failures[0]?.error.code).toBe('TOPIC_NOT_FOUND')
    expect(client.reader.topics).toBe(0)
  })
})
