/** What only a real server and a real socket show: floods, slow readers, ends. */
import { afterEach, describe, expect, it } from 'vitest'
import {
  Server,
  type ServerOptions,
  type WebSocketConnection,
  type WebSocketContext,
  type WebSocketOptions,
  type WebSocketOut,
  webSocketProtocol,
} from '../../../lib/net/index.js'
import { deferred } from '../../../lib/util/index.js'
import { Peer } from './peer.js'
import { binary, close, frame, more, ping, text } from './support.js'

type Options = Partial<ServerOptions<WebSocketContext, Buffer, WebSocketOut>>

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function serve(options: WebSocketOptions = {}, more: Options = {}) {
  const opened = deferred<WebSocketConnection>()
  const closed = deferred<Error | null>()
  const errors: Error[] = []
  const server = new Server<WebSocketContext, Buffer, WebSocketOut>(
    {
      onMessage: (_c, { opcode }, data) => ({ opcode, data }),
      onClose: (_c, error) => closed.resolve(error),
    },
    { address: '127.0.0.1:0', protocol: webSocketProtocol({ ...options, onOpen: (c) => opened.resolve(c) }), ...more },
  )
  server.on('error', (error) => errors.push(error))
  await server.start()
  cleanups.push(() => server.stop())
  const peer = new Peer(server.address?.port as number)
  cleanups.push(() => peer.destroy())
  return { server, peer, errors, closed: closed.promise, c: await opened.promise }
}

describe('WebSocket on a server', () => {
  it('GW-2: a flood of pings that nobody reads the pongs of fills no memory, and its last one is answered', async () => {
    const { peer, c, errors } = await serve()
    peer.pause()
    let most = 0
    const flood = Buffer.concat(Array.from({ length: 2000 }, () => ping(Buffer.alloc(125, 'x'))))
    for (let round = 0; round < 40; round++) {
      await peer.write(flood)
      most = Math.max(most, c.writeBufferLength)
    }
    await peer.write(ping('the last'))
    peer.resume()
    while (!peer.told.includes('pong:the last')) await peer.hears(peer.told.length + 1)
    expect(most).toBeLessThanOrEqual(128 * 1024)
    expect(errors).toEqual([])
  })

  it('GW-2: the close code arrives even while the peer goes on sending', async () => {
    const { peer, errors } = await serve({ maxPayloadBytes: 1000 })
    const rest = Buffer.alloc(4 * 1024 * 1024)
    await peer.write(Buffer.concat([frame({ opcode: 2, claim: 5_000_000n }), rest.subarray(0, 1024 * 1024)]))
    await peer.write(rest)
    const told = await peer.hears(1)
    peer.end()
    expect(told).toEqual([expect.stringMatching(/^close:1009:/)])
    expect((await peer.ended.promise).inOrder).toBe(true)
    expect(errors).toEqual([expect.objectContaining({ context: expect.objectContaining({ reason: 'TOO_LARGE' }) })])
  })

  it('GW-2: memory follows what came: a message announced and not sent holds nothing', async () => {
    const { peer, c } = await serve()
    await peer.write(Buffer.concat([text('echo'), frame({ opcode: 2, claim: 1_000_000n })]))
    await peer.hears(1)
    expect(c.readBufferLength).toBe(0)
  })

  it('GW-2: our close waits for the answer, and the handler hears of an end in order', async () => {
    const { peer, c, closed } = await serve()
    c.send({ opcode: 'close', code: 4000, reason: 'enough' })
    expect(await peer.hears(1)).toEqual(['close:4000:enough'])
    await peer.write(close(4000))
    expect(await closed).toBeNull()
    expect(await peer.ended.promise).toEqual({ told: ['close:4000:enough'], inOrder: true })
  })

  it('GW-2: a peer that never answers our close frame is cut off', async () => {
    const { peer, c, closed } = await serve({ closeTimeoutMs: 20 })
    c.send({ opcode: 'close' })
    expect(await closed).toMatchObject({ code: 'CONNECTION_TIMEOUT' })
    expect((await peer.ended.promise).told).toEqual(['close:1000:'])
  })

  it('GW-2: a server that stops says 1000 to everybody', async () => {
    const { peer, server } = await serve()
    const stopped = server.stop()
    expect(await peer.hears(1)).toEqual([expect.stringMatching(/^close:100[01]:$/)])
    peer.end()
    await stopped
  })

  it('GW-2: an idle connection is closed with 1001', async () => {
    const { peer, closed } = await serve({}, { idleMs: 30 })
    expect(await peer.hears(1)).toEqual(['close:1001:'])
    expect(await closed).toMatchObject({ code: 'CONNECTION_CLOSED' })
  })

  it('GW-2: the end of a TCP connection without a close frame is 1006 to the handler, and hurts nobody else', async () => {
    const { peer, server, closed } = await serve()
    await peer.write(Buffer.concat([binary('x', false), more('y')]))
    peer.destroy()
    await closed
    const other = new Peer(server.address?.port as number)
    await other.write(Buffer.concat([text('still there'), close()]))
    expect((await other.ended.promise).told).toEqual(['text:still there', 'close:1005:'])
  })

  it('GW-2: plain HTTP is told what is spoken here', async () => {
    const { server } = await serve()
    const response = await fetch(`http://127.0.0.1:${server.address?.port}/`)
    expect([response.status, response.headers.get('sec-websocket-version')]).toEqual([426, '13'])
    expect(await response.text()).toMatch(/Upgrade: websocket/)
  })
})
