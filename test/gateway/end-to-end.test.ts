/** GW-1, GW-3: from one client through Kafka to another, over the broker of this process; nothing is played. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import type { Gateway, GatewayOptions } from '../../lib/gateway/index.js'
import { MQ, type MQConfig } from '../../lib/index.js'
import { json } from '../../lib/serializers/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { OPEN_DOOR, type Said, TcpClient, WebSocketClient } from './support.js'

interface Stage {
  readonly broker: Broker
  readonly mq: MQ
  readonly gateway: Gateway
  readonly tcpPort: number
  readonly httpPort: number
}

async function setUp(options: Partial<GatewayOptions> = {}, config: MQConfig = {}): Promise<Stage> {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('chat-x', { partitions: 2 })
  const mq = new MQ({ brokers: broker.bootstrap, logger: silentLogger, ...config })
  onTestFinished(async () => void (await mq.close({ timeoutMs: 1000 })))
  const gateway = mq.gateway({ ...OPEN_DOOR, ...options })
  await gateway.start()
  const { websocket, tcp } = gateway.addresses
  return { broker, mq, gateway, httpPort: websocket?.port ?? 0, tcpPort: tcp?.port ?? 0 }
}

const records = (said: readonly Said[]) => said.filter(({ type }) => type === 'record')
const values = (said: readonly Said[]) => records(said).map(({ value }) => value)

/** Offsets of each partition, as they came. */
function offsets(said: readonly Said[]): Record<string, number[]> {
  const found: Record<string, number[]> = {}
  for (const { partition, offset } of records(said)) {
    const name = String(partition)
    found[name] = [...(found[name] ?? []), offset as number]
  }
  return found
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('through Kafka', () => {
  it('GW-1: what one client publishes another reads, byte for byte, over the other transport', async () => {
    const at = await setUp()
    const reader = new WebSocketClient(at.httpPort, { token: 'bob' })
    reader.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    const subscribed = await reader.answer(1)
    expect(subscribed).toMatchObject({ type: 'subscribed', topics: { 'chat-x': { '0': 0, '1': 0 } } })
    const writer = new TcpClient(at.tcpPort)
    const headers = [
      ['h', 'one'],
      ['h', { base64: '//4=' }],
    ]
    writer.send({ type: 'publish', id: 1, topic: 'chat-x', partition: 1, key: 'k', value: 'hello', headers })
    writer.send({ type: 'publish', id: 2, topic: 'chat-x', partition: 1, key64: '/w==', value: null })
    expect(await writer.answer(1)).toMatchObject({ type: 'ack', topic: 'chat-x', partition: 1, offset: 0 })
    expect(await writer.answer(2)).toMatchObject({ type: 'ack', offset: 1 })
    await reader.until(() => records(reader.said).length === 2)
    const [first, second] = records(reader.said)
    expect(first).toMatchObject({ topic: 'chat-x', partition: 1, offset: 0, key: 'k', value: 'hello', headers })
    expect(second).toMatchObject({ offset: 1, key64: '/w==', value: null })
    expect((await at.broker.records('chat-x', 1)).map(({ key }) => key)).toEqual([
      Buffer.from('k'),
      Buffer.from([0xff]),
    ])
  })

  it('GW-1: a push to a user is a record with his key: others do not get it', async () => {
    const at = await setUp({ keyTopics: ['chat-x'] })
    const [ann, bob] = ['ann', 'bob'].map((token) => new WebSocketClient(at.httpPort, { token })) as [
      WebSocketClient,
      WebSocketClient,
    ]
    for (const [client, key] of [
      [ann, 'ann'],
      [bob, 'bob'],
    ] as const) {
      client.send({ type: 'subscribe', id: 1, key })
      expect(await client.answer(1)).toMatchObject({ type: 'subscribed' })
    }
    const writer = new TcpClient(at.tcpPort)
    for (const [id, key] of ['ann', 'bob', 'ann'].entries()) {
      writer.send({ type: 'publish', id, topic: 'chat-x', key, value: `${id} for ${key}` })
    }
    await Promise.all([
      ann.until(() => records(ann.said).length === 2),
      bob.until(() => records(bob.said).length === 1),
    ])
    expect(values(ann.said)).toEqual(['0 for ann', '2 for ann'])
    expect(values(bob.said)).toEqual(['1 for bob'])
  })

  it('GW-1, GW-3: who comes back with its offsets reads on without loss or double, while others go on publishing', async () => {
    const RECORDS = 600
    const at = await setUp({ cacheBytes: 4096 })
    const writer = new TcpClient(at.tcpPort)
    const publish = (from: number, to: number) => {
      for (let id = from; id < to; id++) {
        writer.send({ type: 'publish', id, topic: 'chat-x', partition: id % 2, value: String(id) })
      }
    }
    publish(0, 200)
    const said: Said[] = []
    let from: unknown = 'earliest'
    for (const part of [1, 2, 3]) {
      const reader = part === 2 ? new TcpClient(at.tcpPort, 'bob') : new WebSocketClient(at.httpPort, { token: 'bob' })
      reader.send({ type: 'subscribe', id: 1, topics: ['chat-x'], from })
      publish(part * 200, Math.min(RECORDS, (part + 1) * 200))
      const goal = part === 3 ? RECORDS - records(said).length : 150
      const subscribed = await reader.answer(1)
      await reader.until(() => records(reader.said).length >= goal)
      // The answer comes before what it is about.
      expect(reader.said.slice(0, 3).map(({ type }) => type)).toEqual(['welcome', 'subscribed', 'record'])
      // What had come, and was not worked off before the connection broke, comes again.
      said.push(...records(reader.said).slice(0, goal))
      reader.destroy()
      // Where it began, for partitions of which nothing has come yet.
      const next = new Map(
        Object.entries((subscribed as { topics: Record<string, Record<string, number>> }).topics['chat-x'] ?? {}),
      )
      for (const [partition, seen] of Object.entries(offsets(said))) next.set(partition, (seen.at(-1) as number) + 1)
      from = { 'chat-x': Object.fromEntries(next) }
    }
    expect(offsets(said)).toEqual({ '0': upTo(RECORDS / 2), '1': upTo(RECORDS / 2) })
    await writer.hears(1 + RECORDS)
    expect(new Set(writer.said.map(({ type }) => type))).toEqual(new Set(['welcome', 'ack']))
  })

  it('GW-3: one that does not read delays nobody, and gets everything when it reads again', async () => {
    const RECORDS = 400
    const at = await setUp({ writeBufferBytes: 16 * 1024, cacheBytes: 64 * 1024 })
    const slow = new TcpClient(at.tcpPort, 'bob')
    const fast = new WebSocketClient(at.httpPort, { token: 'eve' })
    for (const reader of [slow, fast]) {
      reader.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
      await reader.answer(1)
    }
    slow.pause()
    const writer = new TcpClient(at.tcpPort)
    const value = 'v'.repeat(20_000)
    for (let id = 0; id < RECORDS; id++) {
      writer.send({ type: 'publish', id, topic: 'chat-x', partition: 0, value: `${id}:${value}` })
    }
    await fast.until(() => records(fast.said).length === RECORDS)
    expect(offsets(fast.said)).toEqual({ '0': upTo(RECORDS) })
    slow.resume()
    await slow.until(() => records(slow.said).length === RECORDS)
    expect(offsets(slow.said)).toEqual({ '0': upTo(RECORDS) })
    expect(at.gateway.measures().dropped).toBe(0)
  })

  it('GW-1: a topic that does not exist is an error with the id, for both', async () => {
    const at = await setUp({}, { producer: { maxBlockMs: 200 } })
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-none'] })
    expect(await client.answer(1)).toMatchObject({ type: 'error', code: 'TOPIC_NOT_FOUND' })
    client.send({ type: 'publish', id: 2, topic: 'chat-x', partition: 7, value: 'v' })
    expect(await client.answer(2)).toMatchObject({ type: 'error', code: expect.stringMatching(/PARTITION/) })
  })

  it('GW-1: bytes are bytes, whatever serializers the instance has', async () => {
    const at = await setUp({}, { producer: { valueSerializer: json<unknown>() } as never })
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'publish', id: 1, topic: 'chat-x', partition: 0, value: 'plain' })
    expect(await client.answer(1)).toMatchObject({ type: 'ack' })
    expect((await at.broker.records('chat-x', 0)).map((record) => String(record.value))).toEqual(['plain'])
  })
})

describe('the gateway of an instance', () => {
  it('FA-4: closing the instance stops it first, so that what was published is acknowledged', async () => {
    const at = await setUp()
    const client = new WebSocketClient(at.httpPort)
    client.send({ type: 'publish', id: 1, topic: 'chat-x', partition: 0, value: 'v' })
    await client.answer(1)
    await at.mq.close()
    await client.ended()
    expect(client.closeCode).toBe(1001)
    expect(at.gateway.state).toBe('stopped')
    await expect(at.mq.gateway(OPEN_DOOR).start()).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
  })

  it('part 5: its series are in the metrics of the instance', async () => {
    const at = await setUp()
    const client = new WebSocketClient(at.httpPort)
    client.send({ type: 'ping', id: 1 })
    await client.answer(1)
    const text = await at.mq.metrics.text()
    expect(text).toMatch(/gateway_clients\{[^}]*transport="websocket"[^}]*\} 1/)
    expect(text).toMatch(/gateway_messages_total\{[^}]*direction="in"[^}]*\} 1/)
    expect(text).toMatch(/gateway_messages_total\{[^}]*direction="out"[^}]*\} 2/)
    expect(text).toMatch(/gateway_dropped_total(\{[^}]*\})? 0/)
    expect(text).toMatch(/net_connections(\{[^}]*\})? 1/)
  })

  it('part 5, trap 25: its errors are those of the instance, and counted', async () => {
    const authenticate = () => {
      throw new Error('the directory is down')
    }
    const at = await setUp({ authenticate })
    const errors: string[] = []
    at.mq.on('error', ({ message }) => errors.push(message))
    const client = new WebSocketClient(at.httpPort)
    await client.until(() => client.status !== 0)
    expect(client.status).toBe(403)
    expect(errors).toEqual([expect.stringContaining('the directory is down')])
    expect(await at.mq.metrics.text()).toMatch(
      /errors_total\{[^}]*component="gateway",code="AUTHENTICATION_FAILED"[^}]*\} 1/,
    )
  })

  it('GW-1: stats show the instance to whom may see them', async () => {
    const at = await setUp({ authenticate: () => ({ name: 'ops', stats: true, publish: ['*'] }) })
    const client = new WebSocketClient(at.httpPort)
    client.send({ type: 'stats', id: 's' })
    const told = await client.answer('s')
    expect(told).toMatchObject({
      type: 'stats',
      stats: { gateway: { clients: { websocket: 1, tcp: 0 } }, producer: { totalMessages: 0 }, channel: {} },
    })
    client.send({ type: 'stats', id: 'off', on: false })
    expect(await client.answer('off')).toEqual({ type: 'unsubscribed', id: 'off' })
  })

  it('GW-1: wrong options are told by their names, and nothing is opened', async () => {
    const mq = new MQ({ brokers: 'localhost:1', logger: silentLogger })
    onTestFinished(async () => void (await mq.close({ timeoutMs: 0 })))
    expect(() => mq.gateway({ websocket: 'nowhere', maxClient: 1 } as never)).toThrow(
      /websocket: expected an address.*maxClient.*nearest is maxClients/s,
    )
  })
})

it('GW-4, ME-8: what authenticate throws is in the log of the instance when nobody listens', async () => {
  const told: string[] = []
  const logger = { ...silentLogger, warn: (text: string) => void told.push(text) }
  const authenticate = () => {
    throw new Error('the directory is down')
  }
  const { httpPort } = await setUp({ dashboard: true, authenticate }, { logger })
  const answer = await fetch(`http://127.0.0.1:${httpPort}/dashboard?token=ann`)
  expect(answer.status).toBe(403)
  expect(told.filter((text) => text.includes('the directory is down'))).toHaveLength(1)
})
