/** GW-1: publish, subscribe, answers; both transports, one session. The backend and the feeds are played by the test. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { Gateway } from '../../lib/gateway/index.js'
import { deferred } from '../../lib/util/index.js'
import { recordFrame } from './records.js'
import { FakeBackend, FakeFeeds, OPEN_DOOR, stage, TcpClient, WebSocketClient } from './support.js'

const TRANSPORTS = [
  ['websocket', (at: { httpPort: number }) => new WebSocketClient(at.httpPort)],
  ['tcp', (at: { tcpPort: number }) => new TcpClient(at.tcpPort)],
] as const

describe.each(TRANSPORTS)('a client over %s', (transport, connect) => {
  it('GW-1: is welcomed by name, with the limits', async () => {
    const at = await stage()
    const seen: unknown[] = []
    at.gateway.on('client', (client) => seen.push(client))
    const client = connect(at)
    const [welcome] = await client.hears(1)
    const limits = { maxFrameBytes: 1_048_576, maxInFlight: 100, maxSubscriptions: 100, idleMs: 60_000 }
    expect(welcome).toEqual({ type: 'welcome', name: 'ann', version: 1, limits })
    expect(seen).toEqual([{ id: 1, name: 'ann', transport, peer: expect.stringContaining('127.0.0.1:') }])
    expect(at.gateway.clients).toBe(1)
    expect(at.gateway.measures().clients[transport]).toBe(1)
  })

  it('GW-1: publishes a record and is told where it lies', async () => {
    const at = await stage()
    const client = connect(at)
    client.send({
      type: 'publish',
      id: 'a',
      topic: 'chat-x',
      key: 'bob',
      value: 'hello',
      headers: [['h', 'v']],
      partition: 2,
      timestamp: 5,
    })
    expect(await client.answer('a')).toEqual({
      type: 'ack',
      id: 'a',
      topic: 'chat-x',
      partition: 2,
      offset: 0,
      timestamp: 5,
    })
    const [asked] = at.backend.published
    expect(asked).toMatchObject({ topic: 'chat-x', key: 'bob', value: 'hello' })
    expect(asked?.options).toMatchObject({ partition: 2, timestamp: 5 })
    expect(asked?.options.headers.map(([name, value]) => [name, String(value)])).toEqual([['h', 'v']])
  })

  it('GW-1: subscribes, gets records as they are, unsubscribes', async () => {
    const at = await stage()
    const client = connect(at)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-x', 'chat-x'], from: 'earliest' })
    expect(await client.answer(1)).toEqual({ type: 'subscribed', id: 1, topics: { 'chat-x': { '0': 7 } } })
    expect(at.feeds.asked).toEqual([{ topics: ['chat-x'], key: undefined, from: 'earliest' }])
    const [reader] = at.feeds.clients
    reader?.sendFrames(recordFrame(reader.wire, 'chat-x', 0, 7, 'seven'), 1)
    reader?.gap('chat-x', 0, 8, 9, 'dropped')
    const said = await client.hears(4)
    expect(said[2]).toMatchObject({ type: 'record', topic: 'chat-x', offset: 7, value: 'seven' })
    expect(said[3]).toEqual({ type: 'gap', topic: 'chat-x', partition: 0, from: 8, to: 9, reason: 'dropped' })
    client.send({ type: 'unsubscribe', id: 2 })
    expect(await client.answer(2)).toEqual({ type: 'unsubscribed', id: 2 })
    expect(at.feeds.left).toEqual([[]])
  })

  it('GW-1: an unsubscribe right behind its subscribe does not overtake it', async () => {
    const at = await stage()
    let open = () => {}
    at.feeds.gate = new Promise((resolve) => {
      open = resolve
    })
    const client = connect(at)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    client.send({ type: 'unsubscribe', id: 2, topics: ['chat-x'] })
    client.send({ type: 'ping', id: 3 })
    await client.answer(3)
    expect(at.feeds.left).toEqual([])
    open()
    await client.answer(2)
    expect(client.said.slice(2).map(({ id }) => id)).toEqual([1, 2])
  })

  it('GW-1: a frame that is none is answered with its id, and the connection goes on', async () => {
    const at = await stage()
    const client = connect(at)
    await client.hears(1)
    client.send({ type: 'publish', id: 4, topic: 'chat-x', valeu: 'typo' })
    expect(await client.answer(4)).toMatchObject({
      type: 'error',
      code: 'DESERIALIZATION_FAILED',
      reason: 'MALFORMED_FRAME',
      message: expect.stringContaining('valeu'),
    })
    client.send({ type: 'ping', id: 5 })
    expect(await client.answer(5)).toEqual({ type: 'pong', id: 5 })
    expect(at.backend.published).toEqual([])
  })

  it('GW-1: what Kafka refuses is an error with the id; its insides are for the operator only', async () => {
    const at = await stage()
    const client = connect(at)
    at.backend.fails = new MQError('CONNECTION_FAILED', 'no route to broker 10.0.0.7:9092', {})
    client.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    const answer = await client.answer(1)
    expect(answer).toMatchObject({
      type: 'error',
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('later'),
    })
    expect(JSON.stringify(answer)).not.toContain('10.0.0.7')
    expect(at.warnings.map(({ message }) => message)).toEqual(['no route to broker 10.0.0.7:9092'])
    at.backend.fails = new MQError('TOPIC_NOT_FOUND', 'topic chat-x does not exist')
    client.send({ type: 'publish', id: 2, topic: 'chat-x', value: 'v' })
    expect(await client.answer(2)).toMatchObject({ code: 'TOPIC_NOT_FOUND', message: 'topic chat-x does not exist' })
    expect(at.warnings).toHaveLength(1)
  })

  it('GW-1: answers come as they complete, not as they were asked', async () => {
    const at = await stage()
    const client = connect(at)
    at.backend.isHeld = true
    for (const id of [1, 2, 3]) client.send({ type: 'publish', id, topic: 'chat-x', value: 'v' })
    await at.backend.saw(3)
    at.backend.acknowledge(1)
    await client.answer(2)
    at.backend.acknowledge(0)
    at.backend.acknowledge(2)
    await client.answer(3)
    expect(client.said.slice(1).map(({ id, type }) => [type, id])).toEqual([
      ['ack', 2],
      ['ack', 1],
      ['ack', 3],
    ])
  })

  it('GW-1: a subscription that ends by itself is told, and may be made again', async () => {
    const at = await stage({ maxSubscriptions: 1 })
    const client = connect(at)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    await client.answer(1)
    at.feeds.clients[0]?.failed('chat-x', new MQError('TOPIC_NOT_FOUND', 'topic chat-x was deleted'))
    const said = await client.hears(3)
    expect(said[2]).toMatchObject({ type: 'error', code: 'TOPIC_NOT_FOUND', message: 'topic chat-x was deleted' })
    client.send({ type: 'subscribe', id: 2, topics: ['chat-y'] })
    expect(await client.answer(2)).toMatchObject({ type: 'subscribed' })
  })

  it('GW-1: its reader is closed with it, and a new one is told to drain', async () => {
    const at = await stage({ writeBufferBytes: 1 })
    const client = connect(at)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    await client.answer(1)
    const [reader] = at.feeds.clients
    at.feeds.drained = deferred()
    for (let offset = 0; reader?.isWritable; offset++) {
      reader.sendFrames(recordFrame(reader.wire, 'chat-x', 0, offset, 'v'.repeat(1000)), 1)
    }
    await at.feeds.drained.promise
    expect(reader?.isWritable).toBe(true)
    const gone = new Promise((resolve) => at.gateway.on('clientClosed', resolve))
    client.destroy()
    await gone
    expect(at.feeds.closedReaders).toBe(1)
    expect(at.gateway.clients).toBe(0)
  })

  it('part 5: gateway_* count clients by transport, messages by direction, drops', async () => {
    const at = await stage()
    const client = connect(at)
    client.send({ type: 'ping', id: 1 })
    await client.answer(1)
    at.feeds.droppedRecords = 3
    expect(at.gateway.readings()).toEqual({
      gateway_clients: [
        [['websocket'], transport === 'websocket' ? 1 : 0],
        [['tcp'], transport === 'tcp' ? 1 : 0],
      ],
      gateway_messages_total: [
        [['in'], transport === 'websocket' ? 1 : 2],
        [['out'], 2],
      ],
      gateway_dropped_total: 3,
    })
    expect(at.gateway.netReadings().net_connections).toBe(1)
  })
})

/** Long enough for what does not wait to be over. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
}

describe('the life of a gateway', () => {
  it('GW-1: starts once, stops once, and is not started again', async () => {
    const at = await stage()
    expect(at.gateway.state).toBe('running')
    await at.gateway.start()
    await Promise.all([at.gateway.stop(), at.gateway.stop()])
    expect(at.gateway.state).toBe('stopped')
    expect(at.gateway.addresses).toEqual({ websocket: null, tcp: null })
    expect(at.backend.isClosed).toBe(true)
    expect(at.feeds.isClosed).toBe(true)
    await expect(at.gateway.start()).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
  })

  it('GW-1: a port in use is told, and nothing stays open', async () => {
    const at = await stage()
    const second = new Gateway(
      new FakeBackend(),
      { ...OPEN_DOOR, websocket: `127.0.0.1:${at.httpPort}` },
      { feeds: new FakeFeeds() },
    )
    await expect(second.start()).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('EADDRINUSE'),
    })
    expect(second.state).toBe('stopped')
  })

  it('GW-1: stop waits for records that are not acknowledged, tells, and says goodbye with 1001', async () => {
    const at = await stage()
    const browser = new WebSocketClient(at.httpPort)
    const device = new TcpClient(at.tcpPort)
    at.backend.isHeld = true
    browser.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    device.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    await at.backend.saw(2)
    const stopping = at.gateway.stop({ timeoutMs: 10_000 })
    await turns()
    expect(at.gateway.clients).toBe(2)
    browser.send({ type: 'publish', id: 2, topic: 'chat-x', value: 'too late' })
    await turns()
    at.backend.acknowledge(0)
    at.backend.acknowledge(1)
    await stopping
    await Promise.all([browser.ended(), device.ended()])
    expect(browser.said.map(({ type }) => type)).toEqual(['welcome', 'ack'])
    expect([browser.closeCode, browser.closeReason]).toEqual([1001, 'the gateway stops'])
    expect(device.said.map(({ type }) => type)).toEqual(['welcome', 'ack', 'error'])
    expect(device.said[2]).toMatchObject({ code: 'CONNECTION_CLOSED', message: expect.stringContaining('stops') })
    expect(at.backend.published).toHaveLength(2)
  })

  it('GW-4: stop does not wait for those who are still being asked who they are', async () => {
    const asked = deferred<void>()
    let count = 0
    const authenticate = () => {
      if (++count === 2) asked.resolve()
      return new Promise<null>(() => {})
    }
    const at = await stage({ authenticate })
    const clients = [new WebSocketClient(at.httpPort), new TcpClient(at.tcpPort)]
    await asked.promise
    await at.gateway.stop({ timeoutMs: 600_000 })
    for (const client of clients) await client.ended()
  })

  it('GW-1: stop waits for records of clients that are gone, before Kafka is let go', async () => {
    const at = await stage()
    at.backend.isHeld = true
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    await at.backend.saw(1)
    const gone = new Promise((resolve) => at.gateway.on('clientClosed', resolve))
    client.destroy()
    await gone
    const stopping = at.gateway.stop({ timeoutMs: 600_000 })
    await turns()
    expect(at.backend.isClosed).toBe(false)
    at.backend.acknowledge(0)
    await stopping
    expect(at.backend.isClosed).toBe(true)
  })

  it('GW-1: who ends its side after its last record is still answered', async () => {
    const at = await stage()
    at.backend.isHeld = true
    const client = new TcpClient(at.tcpPort)
    for (const id of [1, 2]) client.send({ type: 'publish', id, topic: 'chat-x', value: 'v' })
    client.end()
    await at.backend.saw(2)
    at.backend.acknowledge(1)
    at.backend.acknowledge(0)
    await client.ended()
    expect(client.said.slice(1).map(({ type, id }) => [type, id])).toEqual([
      ['ack', 2],
      ['ack', 1],
    ])
    expect(at.closed).toEqual([null])
  })

  it('GW-1: who leaves while it subscribes is no trouble', async () => {
    const at = await stage()
    const gate = deferred<void>()
    at.feeds.gate = gate.promise
    at.feeds.fails = new MQError('CONNECTION_CLOSED', 'the client is gone: nothing is subscribed')
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    while (at.feeds.asked.length === 0) await new Promise(setImmediate)
    const gone = new Promise((resolve) => at.gateway.on('clientClosed', resolve))
    client.destroy()
    await gone
    gate.resolve()
    await new Promise(setImmediate)
    expect([at.errors, at.warnings]).toEqual([[], []])
  })

  it('GW-1: stop does not wait longer than it may', async () => {
    const at = await stage()
    const client = new TcpClient(at.tcpPort)
    at.backend.isHeld = true
    client.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    await at.backend.saw(1)
    await at.gateway.stop({ timeoutMs: 20 })
    await client.ended()
    expect(at.gateway.state).toBe('stopped')
    expect(at.gateway.measures().unacknowledged).toBe(1)
  })
})
