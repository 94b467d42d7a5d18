/** GW-2..GW-4, trap 21, 25: whatever a client sends, or does not send, ends at most its own connection. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { deferred, FakeClock } from '../../lib/util/index.js'
import { frame, text } from '../net/websocket/support.js'
import { prefixed, type Stage, stage, TcpClient, WebSocketClient } from './support.js'

/** Somebody who behaves, and is served all the time. */
async function isServed(at: Stage): Promise<void> {
  const client = new TcpClient(at.tcpPort, 'witness')
  client.send({ type: 'ping', id: 'alive' })
  expect(await client.answer('alive')).toEqual({ type: 'pong', id: 'alive' })
  client.destroy()
}

const whenClosed = (at: Stage) => new Promise<void>((resolve) => at.gateway.on('clientClosed', () => resolve()))

describe('broken frames', () => {
  const WEBSOCKET: readonly [string, Buffer, number][] = [
    ['a frame that is not masked', frame({ opcode: 1, payload: '{}', mask: null }), 1002],
    ['a reserved opcode', frame({ opcode: 3 }), 1002],
    ['text that is no UTF-8', text(Buffer.from([0x7b, 0xff, 0x7d])), 1007],
    ['a message that claims more than maxFrameBytes', frame({ opcode: 1, claim: 1025n }), 1009],
  ]
  it.each(WEBSOCKET)('GW-2: %s ends its own connection with its close code', async (_, bytes, code) => {
    const at = await stage({ maxFrameBytes: 1024 })
    const client = new WebSocketClient(at.httpPort)
    await client.hears(1)
    client.raw(bytes)
    await client.ended()
    expect(client.closeCode).toBe(code)
    expect(at.errors).toEqual([])
    expect(at.warnings).toHaveLength(1)
    await isServed(at)
  })

  const TCP: readonly [string, Buffer | string][] = [
    ['a length above maxFrameBytes', Buffer.from([0, 0, 4, 1])],
    ['something that is no frame at all', 'GET / HTTP/1.1\r\n\r\n'],
  ]
  it.each(TCP)('GW-2: over TCP %s is answered and ends its own connection', async (_, bytes) => {
    const at = await stage({ maxFrameBytes: 1024 })
    const client = new TcpClient(at.tcpPort)
    await client.hears(1)
    client.raw(bytes)
    await client.ended()
    expect(client.said[1]).toMatchObject({ type: 'error', code: 'CONNECTION_FAILED', reason: 'TOO_LARGE' })
    expect(at.errors).toEqual([])
    await isServed(at)
  })

  it('GW-2: a message of exactly maxFrameBytes is taken', async () => {
    const at = await stage({ maxFrameBytes: 1024 })
    const longest = (id: number) => {
      const said = { type: 'publish', id, topic: 'chat-x', value: '' }
      return { ...said, value: 'v'.repeat(1024 - JSON.stringify(said).length) }
    }
    const device = new TcpClient(at.tcpPort)
    device.send(longest(1))
    expect(await device.answer(1)).toMatchObject({ type: 'ack' })
    const browser = new WebSocketClient(at.httpPort)
    browser.send(longest(1))
    expect(await browser.answer(1)).toMatchObject({ type: 'ack' })
  })

  const FIRST: readonly [string, Buffer][] = [
    ['an empty one', Buffer.alloc(0)],
    ['no JSON', Buffer.from('{nonsense')],
    ['no protobuf', Buffer.from([0xff, 0xff])],
    ['no auth', Buffer.from('{"type":"ping"}')],
  ]
  it.each(FIRST)('GW-4: a first TCP frame that is %s gets one error, and the end', async (_, payload) => {
    const at = await stage()
    const client = new TcpClient(at.tcpPort, null)
    client.raw(Buffer.concat([prefixed(payload), prefixed(Buffer.from('{"type":"auth","token":"ann"}'))]))
    await client.ended()
    expect(client.said.length + client.binary.length).toBe(1)
    await isServed(at)
  })

  it('trap 21: an empty frame in between is an error like any other', async () => {
    const at = await stage()
    const client = new TcpClient(at.tcpPort)
    client.sendBytes(Buffer.alloc(0))
    client.send({ type: 'ping', id: 1 })
    expect(await client.answer(1)).toEqual({ type: 'pong', id: 1 })
  })
})

describe('clients that do not read', () => {
  it('GW-3: who never reads its answers is not read any more: a flood of broken frames fills no memory', async () => {
    const FRAMES = 40_000
    const at = await stage({ writeBufferBytes: 1024 })
    const client = new TcpClient(at.tcpPort)
    await client.hears(1)
    client.pause()
    const bad = prefixed(Buffer.from(JSON.stringify({ type: 'nonsense', id: 'x'.repeat(60) })))
    client.raw(Buffer.concat(new Array(FRAMES).fill(bad)))
    // Until nothing of it is read any more, while somebody else is served.
    for (let before = -1, same = 0; same < 5; ) {
      await isServed(at)
      const { messagesIn } = at.gateway.measures()
      same = messagesIn === before + 2 ? same + 1 : 0
      before = messagesIn
    }
    // What the system's buffers hold of the answers, and no more.
    expect(at.gateway.measures().messagesIn).toBeLessThan(FRAMES * 0.9)
    client.resume()
    await client.hears(1 + FRAMES)
    expect(client.said).toHaveLength(1 + FRAMES)
    expect(new Set(client.said.slice(1).map(({ code }) => code))).toEqual(new Set(['DESERIALIZATION_FAILED']))
  }, 60_000)

  it("GW-3: slowClient 'disconnect' ends with 1013, and says slow", async () => {
    const at = await stage()
    const client = new WebSocketClient(at.httpPort)
    client.send({ type: 'subscribe', id: 1, topics: ['chat-x'] })
    await client.answer(1)
    at.feeds.clients[0]?.tooSlow()
    await client.ended()
    expect([client.closeCode, client.closeReason]).toEqual([1013, 'slow'])
  })

  it('GW-3: a client that resets in the middle of its answers hurts nobody', async () => {
    const at = await stage()
    at.backend.isHeld = true
    const client = new TcpClient(at.tcpPort)
    for (let id = 0; id < 50; id++) client.send({ type: 'publish', id, topic: 'chat-x', value: 'v' })
    await at.backend.saw(50)
    const closed = whenClosed(at)
    client.destroy()
    await closed
    for (let index = 0; index < 50; index++) at.backend.acknowledge(index)
    await new Promise(setImmediate)
    expect(at.gateway.measures().unacknowledged).toBe(0)
    expect(at.errors).toEqual([])
    await isServed(at)
  })

  it('GW-1: a record that fails when its client is gone is told to the operator', async () => {
    const at = await stage()
    at.backend.isHeld = true
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    await at.backend.saw(1)
    const closed = whenClosed(at)
    client.destroy()
    await closed
    at.backend.published[0]?.answer.reject(new MQError('TOPIC_NOT_FOUND', 'topic chat-x was deleted'))
    await new Promise(setImmediate)
    expect(at.warnings.map(({ message }) => message)).toEqual(['topic chat-x was deleted'])
  })
})

describe('clients that ask too much', () => {
  it('GW-1: above maxInFlight nothing more is read; an answer makes room', async () => {
    const at = await stage({ maxInFlight: 3 })
    at.backend.isHeld = true
    const client = new TcpClient(at.tcpPort)
    for (let id = 0; id < 10; id++) client.send({ type: 'publish', id, topic: 'chat-x', value: String(id) })
    await at.backend.saw(3)
    await isServed(at)
    expect(at.backend.published).toHaveLength(3)
    at.backend.acknowledge(0)
    await at.backend.saw(4)
    await isServed(at)
    expect(at.backend.published.map(({ value }) => value)).toEqual(['0', '1', '2', '3'])
    at.backend.isHeld = false
    for (const index of [1, 2, 3]) at.backend.acknowledge(index)
    await client.answer(9)
    expect(at.backend.published).toHaveLength(10)
  })

  it.each([
    ['publishPerSecond', { publishPerSecond: 2 }],
    ['bytesPerSecond', { bytesPerSecond: 240 }],
  ])('GW-1: above %s reading pauses, nothing is refused', async (_, limit) => {
    const clock = new FakeClock()
    const at = await stage({ ...limit, idleMs: 1000 }, { clock })
    const client = new TcpClient(at.tcpPort)
    const said = (id: number) => ({ type: 'publish', id, topic: 'chat-x', value: 'v'.repeat(45) })
    expect(JSON.stringify(said(1))).toHaveLength(98)
    for (let id = 1; id <= 9; id++) client.send(said(id))
    // A second's worth at once, and one that is owed.
    await at.backend.saw(3)
    await isServed(at)
    expect(at.backend.published).toHaveLength(3)
    for (let more = 4; more <= 9; more++) {
      for (let step = 0; step < 11; step++) clock.advance(50)
      await at.backend.saw(more)
    }
    expect(await client.answer(9)).toMatchObject({ type: 'ack' })
    expect(client.said.map(({ type }) => type)).toEqual(['welcome', ...new Array(9).fill('ack')])
  })

  it('GW-1: being too fast delays one client only', async () => {
    const clock = new FakeClock()
    const at = await stage({ publishPerSecond: 1 }, { clock })
    const hasty = new TcpClient(at.tcpPort)
    for (let id = 1; id <= 5; id++) hasty.send({ type: 'publish', id, topic: 'chat-x', value: 'v' })
    await at.backend.saw(2)
    await isServed(at)
    expect(at.backend.published).toHaveLength(2)
  })
})

describe('clients that say nothing', () => {
  it('GW-4: a silent WebSocket is pinged at half of idleMs; a pong keeps it', async () => {
    const clock = new FakeClock()
    const at = await stage({ idleMs: 1000 }, { clock })
    const client = new WebSocketClient(at.httpPort)
    await client.hears(1)
    for (let round = 1; round <= 6; round++) {
      clock.advance(500)
      await client.until(() => client.pings === round)
      // Its pong has been read when a later ping of its own is answered.
      client.raw(frame({ opcode: 9, payload: 'mine' }))
      await client.until(() => client.pongs === round)
    }
    expect(client.isEnded).toBe(false)
    expect(at.gateway.clients).toBe(1)
  })

  it('GW-4: one that answers no ping is ended with 1001', async () => {
    const clock = new FakeClock()
    const at = await stage({ idleMs: 1000 }, { clock })
    const client = new WebSocketClient(at.httpPort)
    await client.hears(1)
    client.mute()
    clock.advance(500)
    await client.until(() => client.pings === 1)
    expect(client.isEnded).toBe(false)
    clock.advance(500)
    await client.until(() => client.closeCode !== 0)
    expect([client.closeCode, client.closeReason]).toEqual([1001, 'idle'])
  })

  it('GW-4: one that waits for its record is not idle', async () => {
    const clock = new FakeClock()
    const at = await stage({ idleMs: 1000 }, { clock })
    at.backend.isHeld = true
    const browser = new WebSocketClient(at.httpPort)
    const device = new TcpClient(at.tcpPort)
    browser.mute()
    for (const client of [browser, device]) client.send({ type: 'publish', id: 1, topic: 'chat-x', value: 'v' })
    await at.backend.saw(2)
    for (let step = 0; step < 50; step++) clock.advance(100)
    for (const index of [0, 1]) at.backend.acknowledge(index)
    expect(await browser.answer(1)).toMatchObject({ type: 'ack' })
    expect(await device.answer(1)).toMatchObject({ type: 'ack' })
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a frame', Buffer.from([0, 0, 0, 9, 1])],
  ])('GW-4: a TCP client that sends %s is ended after idleMs', async (_, bytes) => {
    const clock = new FakeClock()
    const at = await stage({ idleMs: 1000 }, { clock })
    const client = new TcpClient(at.tcpPort)
    await client.hears(1)
    client.raw(bytes)
    while (at.gateway.netReadings().net_bytes_total[0]?.[1] !== 33 + bytes.length) await new Promise(setImmediate)
    for (let step = 0; step < 11; step++) clock.advance(100)
    await client.ended()
    expect(client.said[1]).toMatchObject({ type: 'error', code: 'CONNECTION_CLOSED' })
  })

  it('GW-4: half a head of HTTP is answered 408 and ended, in authTimeoutMs', async () => {
    const at = await stage({ authTimeoutMs: 40 })
    const client = new WebSocketClient(at.httpPort, { headers: {}, path: '/mq' })
    await client.hears(1)
    const slow = new TcpClient(at.httpPort, null)
    const head: Buffer[] = []
    const got = deferred<string>()
    slow.onRaw((bytes) => head.push(bytes))
    slow.raw('GET /mq HTTP/1.1\r\nHost: localhost\r\nX-Slow')
    void slow.ended().then(() => got.resolve(Buffer.concat(head).toString('latin1')))
    expect(await got.promise).toContain('408')
    expect(client.isEnded).toBe(false)
  })

  it('GW-4: a head above maxHeaderBytes is 431', async () => {
    const at = await stage({ maxHeaderBytes: 1024 })
    const client = new WebSocketClient(at.httpPort, { headers: { 'X-Large': 'x'.repeat(2000) } })
    await client.until(() => client.status !== 0)
    expect(client.status).toBe(431)
  })
})
