import { describe, expect, it } from 'vitest'
import type { WebSocketOptions } from '../../../lib/net/websocket/options.js'
import { webSocketOf, webSocketProtocol } from '../../../lib/net/websocket/websocket-protocol.js'
import { FakeClock } from '../../../lib/util/index.js'
import { FakeConnection, readServer, text } from './support.js'

/** The request of RFC 6455 section 1.2. */
const FIELDS: Readonly<Record<string, string>> = {
  Host: 'server.example.com',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  Origin: 'http://example.com',
  'Sec-WebSocket-Protocol': 'chat, superchat',
  'Sec-WebSocket-Version': '13',
}

interface Asked {
  readonly line?: string
  /** Undefined leaves a field out. */
  readonly fields?: Readonly<Record<string, string | undefined>>
  /** Complete lines behind the fields. */
  readonly more?: readonly string[]
}

function request({ line = 'GET /chat HTTP/1.1', fields = {}, more = [] }: Asked = {}): string {
  const lines = Object.entries({ ...FIELDS, ...fields }).filter(([, value]) => value !== undefined)
  return [line, ...lines.map(([name, value]) => `${name}: ${value}`), ...more, '', ''].join('\r\n')
}

function connect(options: WebSocketOptions = {}): FakeConnection {
  return new FakeConnection(webSocketProtocol(options))
}

function answerTo(bytes: string, options: WebSocketOptions = {}): string {
  const c = connect(options)
  c.receive(Buffer.from(bytes, 'latin1'))
  return Buffer.concat(c.sent).toString()
}

const statusOf = (answer: string) => Number(answer.split(' ')[1])

describe('the upgrade', () => {
  it('GW-2: RFC 6455 section 1.3: the example is answered with its accept key', () => {
    const lines = answerTo(request(), { subprotocols: ['chat'] }).split('\r\n')
    expect(lines).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: chat',
      '',
      '',
    ])
  })

  it('GW-2: a request that comes byte by byte, with a frame behind it, is upgraded and its message told', () => {
    const c = connect()
    const messages = [...Buffer.concat([Buffer.from(request()), text('first')])].flatMap((byte) =>
      c.receive(Uint8Array.of(byte)),
    )
    expect(c.sent.map(String)).toEqual([expect.stringMatching(/^HTTP\/1.1 101 /)])
    expect(messages).toEqual([{ opcode: 'text', data: 'first' }])
  })

  it('GW-2: a frame in the same chunk as the request is a message', () => {
    expect(connect().receive(Buffer.concat([Buffer.from(request()), text('first'), text('second')]))).toHaveLength(2)
  })

  const ACCEPTED: readonly (readonly [string, Asked])[] = [
    ['names and tokens in other cases', { fields: { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' } }],
    ['Connection over two lines', { fields: { Connection: 'keep-alive' }, more: ['connection: Upgrade'] }],
    ['no origin', { fields: { Origin: undefined } }],
    ['no subprotocol', { fields: { 'Sec-WebSocket-Protocol': undefined } }],
    ['an absolute target', { line: 'GET http://server.example.com/chat HTTP/1.1' }],
    ['an empty body', { fields: { 'Content-Length': '0' } }],
    [
      'an offer of compression, which is not taken up',
      { fields: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } },
    ],
  ]
  it.each(ACCEPTED)('GW-2: accepts %s', (_what, asked) => {
    const answer = answerTo(request(asked))
    expect(statusOf(answer)).toBe(101)
    expect(answer).not.toMatch(/extensions/i)
  })

  const REFUSED: readonly (readonly [status: number, what: string, asked: Asked])[] = [
    [400, 'no request line', { line: 'hello' }],
    [400, 'a method that is no token', { line: 'G(T / HTTP/1.1' }],
    [400, 'two spaces in the request line', { line: 'GET  / HTTP/1.1' }],
    [400, 'HTTP/1.0', { line: 'GET / HTTP/1.0' }],
    [400, 'HTTP/2.0', { line: 'GET / HTTP/2.0' }],
    [400, 'a target that is no path', { line: 'GET chat HTTP/1.1' }],
    [405, 'POST', { line: 'POST /chat HTTP/1.1' }],
    [405, 'get in lower case', { line: 'get /chat HTTP/1.1' }],
    [400, 'no Host', { fields: { Host: undefined } }],
    [400, 'two Hosts', { more: ['host: other'] }],
    [426, 'no Upgrade', { fields: { Upgrade: undefined } }],
    [426, 'another Upgrade', { fields: { Upgrade: 'h2c' } }],
    [400, 'no Connection', { fields: { Connection: undefined } }],
    [400, 'another Connection', { fields: { Connection: 'keep-alive' } }],
    [426, 'no version', { fields: { 'Sec-WebSocket-Version': undefined } }],
    [426, 'version 8', { fields: { 'Sec-WebSocket-Version': '8' } }],
    [400, 'two versions', { more: ['Sec-WebSocket-Version: 13'] }],
    [400, 'no key', { fields: { 'Sec-WebSocket-Key': undefined } }],
    [400, 'two keys', { more: ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] }],
    [400, 'a key of 15 bytes', { fields: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j' } }],
    [400, 'a key that is not base64', { fields: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub2*jZQ==' } }],
    [400, 'two origins', { more: ['Origin: http://example.com'] }],
    [400, 'a subprotocol that is no token', { fields: { 'Sec-WebSocket-Protocol': 'chat, a b' } }],
    [400, 'a subprotocol twice', { fields: { 'Sec-WebSocket-Protocol': 'chat, chat' } }],
    [400, 'a body', { fields: { 'Content-Length': '5' } }],
    [400, 'a chunked body', { fields: { 'Transfer-Encoding': 'chunked' } }],
    [400, 'a folded line', { more: [' folded'] }],
    [400, 'a blank before the colon', { more: ['Name : value'] }],
    [400, 'a line without a colon', { more: ['nothing'] }],
    [400, 'an empty name', { more: [': value'] }],
    [400, 'a control character in a value', { more: ['X: a\0b'] }],
    [400, 'a bare carriage return', { more: ['X: a\rb'] }],
    [400, 'a bare line feed', { more: ['X: a\nY: b'] }],
    [431, '101 fields', { more: Array.from({ length: 95 }, (_, at) => `X-${at}: 1`) }],
  ]
  it.each(REFUSED)('GW-2: answers %i to %s, and ends', (status, _what, asked) => {
    const c = connect()
    c.receive(Buffer.from(request(asked), 'latin1'))
    const answer = Buffer.concat(c.sent).toString()
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(statusOf(answer)).toBe(status)
    expect(head).toMatch(/^Connection: close/m)
    expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
    expect(c.state).toBe('closing')
    expect(c.endedWith).toMatchObject({ name: 'MQError', retryable: false, context: { httpStatus: status } })
  })

  it('GW-2: RFC 6455 section 4.4: 426 names the version that is spoken, 405 the method', () => {
    expect(answerTo(request({ fields: { 'Sec-WebSocket-Version': '25' } }))).toMatch(/^Sec-WebSocket-Version: 13\r$/m)
    expect(answerTo(request({ line: 'PUT / HTTP/1.1' }))).toMatch(/^Allow: GET\r$/m)
  })

  it('GW-2: a head above maxHeaderBytes is answered with 431, complete or not', () => {
    const long = request({ more: [`X: ${'x'.repeat(500)}`] })
    expect(statusOf(answerTo(long, { maxHeaderBytes: 512 }))).toBe(431)
    expect(statusOf(answerTo(long.slice(0, 513), { maxHeaderBytes: 512 }))).toBe(431)
    expect(statusOf(answerTo(long, { maxHeaderBytes: long.length }))).toBe(101)
    expect(answerTo(long.slice(0, -1), { maxHeaderBytes: long.length })).toBe('')
  })

  it('GW-2: a request that does not come within handshakeTimeoutMs is answered with 408', () => {
    const clock = new FakeClock()
    const c = connect({ clock, handshakeTimeoutMs: 1000 })
    c.receive(Buffer.from(request().slice(0, 30)))
    clock.advance(999)
    expect(c.state).toBe('open')
    clock.advance(1)
    expect(statusOf(String(c.sent[0]))).toBe(408)
    expect(c.endedWith).toMatchObject({ code: 'CONNECTION_TIMEOUT' })
  })

  it.each([
    ['the upgrade', (c: FakeConnection) => void c.receive(Buffer.from(request()))],
    ['a refusal', (c: FakeConnection) => void c.receive(Buffer.from('x\r\n\r\n'))],
    ['the end of the connection', (c: FakeConnection) => c.destroy()],
  ])('GW-2: no limit of the request is left after %s', (_what, happen) => {
    const clock = new FakeClock()
    const c = connect({ clock })
    happen(c)
    const { state, sent } = c
    const before = sent.length
    clock.advance(100_000)
    expect([c.state, c.sent.length]).toEqual([state, before])
  })

  it('GW-2: RFC 6455 section 1.9: the first of the client that the server speaks is agreed', () => {
    const c = connect({ subprotocols: ['superchat', 'chat'] })
    c.receive(Buffer.from(request()))
    expect(webSocketOf(c).subprotocol).toBe('chat')
    expect(answerTo(request(), { subprotocols: ['other'] })).not.toMatch(/protocol:/i)
  })

  it('GW-4: pages of other origins get 403, programs without an origin pass', () => {
    const origins = ['https://Example.org']
    expect(statusOf(answerTo(request(), { origins }))).toBe(403)
    expect(statusOf(answerTo(request({ fields: { Origin: 'null' } }), { origins }))).toBe(403)
    expect(statusOf(answerTo(request({ fields: { Origin: 'https://example.org' } }), { origins }))).toBe(101)
    expect(statusOf(answerTo(request({ fields: { Origin: undefined } }), { origins }))).toBe(101)
  })

  it('GW-4: onUpgrade sees the request and refuses it with its own answer', () => {
    const onUpgrade: WebSocketOptions['onUpgrade'] = ({ headers, target }) =>
      headers.one('authorization') === 'Bearer right' || target === '/open'
        ? undefined
        : { status: 401, text: 'who are you?', headers: { 'WWW-Authenticate': 'Bearer' } }
    const refused = answerTo(request(), { onUpgrade })
    expect(statusOf(refused)).toBe(401)
    expect(refused).toMatch(/WWW-Authenticate: Bearer\r\n[\s\S]*\r\n\r\nwho are you\?\n$/)
    expect(statusOf(answerTo(request({ more: ['Authorization: Bearer right'] }), { onUpgrade }))).toBe(101)
    expect(statusOf(answerTo(request({ line: 'GET /open HTTP/1.1' }), { onUpgrade }))).toBe(101)
  })

  it('GW-2: onOpen greets behind the 101, and sending before it is an error that says so', () => {
    const c = connect({ onOpen: (open) => void open.send('welcome') })
    expect(() => c.send('too early')).toThrow(/onOpen/)
    c.receive(Buffer.from(request()))
    expect(String(c.sent[0])).toMatch(/ 101 /)
    expect(readServer(c.sent.slice(1))).toEqual(['text:welcome'])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('the directory of users is down')
      },
    ],
    ['gives a status that refuses nothing', () => ({ status: 200 })],
    [
      'gives a header that would break the response',
      () => ({ status: 401, headers: { 'X-Name': 'a\r\nSet-Cookie: b' } }),
    ],
  ])('GW-4: an onUpgrade that %s is answered with 500 and nothing of the inside', (_what, onUpgrade) => {
    const answer = answerTo(request(), { onUpgrade })
    expect(statusOf(answer)).toBe(500)
    expect(answer).not.toMatch(/directory|Cookie/)
  })

  it('a server that stops during a request answers 503', () => {
    const c = connect()
    c.close()
    expect(statusOf(String(c.sent[0]))).toBe(503)
  })

  it.each([
    ['maxPayloadBytes', { maxPayloadBytes: 0 }],
    ['maxHeaderBytes', { maxHeaderBytes: 255 }],
    ['handshakeTimeoutMs', { handshakeTimeoutMs: Number.NaN }],
    ['closeTimeoutMs', { closeTimeoutMs: -1 }],
    ['subprotocols', { subprotocols: ['a b'] }],
  ])('%s out of bounds is INVALID_CONFIG', (name, options) => {
    expect(() => webSocketProtocol(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(name) }),
    )
  })
})
