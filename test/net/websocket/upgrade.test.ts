/** WebSockets beside other routes of node:http: its server parses the request, ours takes the socket over. */
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type Handler,
  type HandshakeOptions,
  Server,
  type Upgraded,
  upgrade,
  type WebSocketContext,
  type WebSocketOut,
  webSocketFrames,
  webSocketOf,
} from '../../../lib/net/index.js'
import { deferred } from '../../../lib/util/index.js'
import { Peer } from './peer.js'
import { close, text } from './support.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Served {
  readonly port: number
  readonly outcomes: (Upgraded | null | Error)[]
  readonly agreed: (string | undefined)[]
  /** Close code of the first connection that ended. */
  readonly closed: Promise<number>
}

async function serve(options: HandshakeOptions = {}): Promise<Served> {
  const outcomes: Served['outcomes'] = []
  const closed = deferred<number>()
  const agreed: (string | undefined)[] = []
  const handler: Handler<WebSocketContext, Buffer, WebSocketOut> = {
    onConnect: (c) => void agreed.push(webSocketOf(c).subprotocol),
    onMessage: (_c, { opcode }, data) => ({ opcode, data }),
    onClose: (c) => closed.resolve(webSocketOf(c).closeCode),
  }
  const server = new Server(handler, { address: '127.0.0.1:0', protocol: webSocketFrames() })
  const adopt = (socket: Socket, head: Buffer, upgraded: Upgraded) =>
    server.adopt(socket, head, { protocol: webSocketFrames({ upgraded }), handler })
  const http = createServer((_request, response) => void response.end('a page'))
  http.on('upgrade', (request, socket, head) => {
    try {
      const upgraded = upgrade(request, socket, options)
      outcomes.push(upgraded)
      if (upgraded !== null) adopt(socket as Socket, head, upgraded)
    } catch (error) {
      outcomes.push(error as Error)
    }
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => http.close(resolve)))
  cleanups.push(() => server.stop())
  return { port: (http.address() as AddressInfo).port, outcomes, agreed, closed: closed.promise }
}

const HEAD = 'Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

describe('upgrade()', () => {
  it('GW-2: a request of node:http becomes a connection, with the frames behind it, and the other routes stay', async () => {
    const { port, outcomes, agreed, closed } = await serve({ subprotocols: ['chat'] })
    const peer = new Peer(port, `GET / HTTP/1.1\r\n${HEAD}${KEY}Sec-WebSocket-Protocol: other, chat\r\n\r\n`)
    await peer.write(Buffer.concat([text('at once'), close(3000)]))
    expect(await peer.ended.promise).toEqual({ told: ['text:at once', 'close:3000:'], inOrder: true })
    expect(outcomes).toEqual([expect.objectContaining({ subprotocol: 'chat' })])
    expect(agreed).toEqual(['chat'])
    expect(await closed).toBe(3000)
    const status = await new Promise((resolve, reject) => {
      const asked = httpRequest({ port, host: '127.0.0.1', agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode))
      })
      asked.on('error', reject).end()
    })
    expect(status).toBe(200)
  })

  it.each([
    [400, 'no key', `GET / HTTP/1.1\r\n${HEAD}\r\n`],
    [400, 'two keys', `GET / HTTP/1.1\r\n${HEAD}${KEY}${KEY}\r\n`],
    [405, 'POST', `POST / HTTP/1.1\r\n${HEAD}${KEY}\r\n`],
    [403, 'another origin', `GET / HTTP/1.1\r\n${HEAD}${KEY}Origin: https://evil.example\r\n\r\n`],
  ])('GW-2: %i for %s, and the socket is ended', async (status, _what, request) => {
    const { port, outcomes } = await serve({ origins: ['https://example.org'] })
    const peer = new Peer(port, request)
    expect((await peer.ended.promise).inOrder).toBe(true)
    expect(peer.head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(outcomes).toEqual([null])
  })

  it('GW-4: what onUpgrade throws is thrown, and no socket is left open', async () => {
    const failing = () => {
      throw new Error('the directory of users is down')
    }
    const { port, outcomes } = await serve({ onUpgrade: failing })
    const peer = new Peer(port)
    await peer.ended.promise
    expect([peer.head, outcomes]).toEqual([
      '',
      [expect.objectContaining({ message: 'the directory of users is down' })],
    ])
  })
})
