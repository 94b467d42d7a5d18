import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import type { WebSocketFramesOptions } from '../../../lib/net/websocket/options.js'
import { MAX_PONGS } from '../../../lib/net/websocket/session.js'
import { webSocketFrames, webSocketOf } from '../../../lib/net/websocket/websocket-protocol.js'
import { FakeClock } from '../../../lib/util/index.js'
import { binary, close, FakeConnection, frame, more, ping, pong, readServer, text } from './support.js'

function open(options: WebSocketFramesOptions = {}): FakeConnection {
  return new FakeConnection(webSocketFrames(options))
}

describe('messages', () => {
  it('GW-2: text and binary reach the handler, empty ones too; control frames never do', () => {
    const c = open()
    const bytes = Buffer.concat([text('a'), ping(), text(''), pong('x'), binary('b', false), more('c', true)])
    expect(c.receive(bytes)).toEqual([
      { opcode: 'text', data: 'a' },
      { opcode: 'text', data: '' },
      { opcode: 'binary', data: 'bc' },
    ])
  })

  it('GW-2: strings leave as text, bytes as binary, and what says its opcode as that', () => {
    const c = open()
    c.send('text')
    c.send(Buffer.from('bytes'))
    c.send({ opcode: 'text', data: Buffer.from('\u20ac') })
    c.send({ opcode: 'binary', data: 'as bytes' })
    c.send({ opcode: 'ping', data: Buffer.from('?') })
    expect(readServer(c.sent)).toEqual(['text:text', 'binary:bytes', 'text:\u20ac', 'binary:as bytes', 'ping:?'])
  })

  it.each([
    ['bytes as text that are none', { opcode: 'text', data: Buffer.of(0xff) }, 'SERIALIZATION_FAILED'],
    ['a ping of 126 bytes', { opcode: 'ping', data: Buffer.alloc(126) }, 'MESSAGE_TOO_LARGE'],
    ['a close code that nobody may send', { opcode: 'close', code: 1006 }, 'INVALID_CONFIG'],
    ['a reason of 124 bytes', { opcode: 'close', reason: 'x'.repeat(124) }, 'INVALID_CONFIG'],
  ] as const)('GW-2: refuses to send %s, and stays open', (_what, out, code) => {
    const c = open()
    expect(() => c.send(out)).toThrow(expect.objectContaining({ code }))
    c.send('still open')
    expect(readServer(c.sent)).toEqual(['text:still open'])
  })
})

describe('pings', () => {
  it('trap 21: a ping is answered by one pong with its payload, a pong by nothing', () => {
    const c = open()
    c.receive(Buffer.concat([ping('hello'), pong('hello'), pong(), ping(Buffer.alloc(125, 'x'))]))
    expect(readServer(c.sent)).toEqual(['pong:hello', `pong:${'x'.repeat(125)}`])
  })

  it('trap 21: two endpoints that only answer fall silent', () => {
    const c = open()
    c.receive(ping('once'))
    expect(c.sent).toHaveLength(1)
    c.receive(pong('once'))
    expect(c.sent).toHaveLength(1)
    expect(webSocketOf(c).pongs).toBe(1)
  })

  it('GW-2: a flood of pings fills no write buffer: beyond the bound only the last is answered (section 5.5.3)', () => {
    const c = open()
    for (let sent = 0; sent < 10_000; sent++) c.receive(ping(`${sent}`))
    expect(c.sent).toHaveLength(MAX_PONGS)
    c.taken()
    expect(c.sent).toHaveLength(MAX_PONGS + 1)
    expect(readServer(c.sent).at(-1)).toBe('pong:9999')
    c.taken()
    c.receive(ping('next'))
    expect(readServer(c.sent).at(-1)).toBe('pong:next')
  })

  it('GW-2: nothing is answered after a close frame was sent', () => {
    const c = open()
    for (let sent = 0; sent <= MAX_PONGS; sent++) c.receive(ping('early'))
    c.send({ opcode: 'close' })
    c.taken()
    c.receive(ping('late'))
    expect(readServer(c.sent).at(-1)).toBe('close:1000:')
  })
})

describe('the closing handshake', () => {
  it('GW-2: RFC 6455 section 5.5.1: their close is answered with its code, then the connection ends', () => {
    const c = open()
    expect(c.receive(Buffer.concat([close(3001, 'bye'), text('ignored')]))).toEqual([])
    expect(readServer(c.sent)).toEqual(['close:3001:'])
    expect([c.state, c.endedWith]).toEqual(['closing', null])
    expect(webSocketOf(c)).toMatchObject({ closeCode: 3001, closeReason: 'bye' })
  })

  it('GW-2: section 7.1.5: 1005 without a code, 1006 without a close frame', () => {
    const c = open()
    expect(webSocketOf(c).closeCode).toBe(1006)
    c.receive(close())
    expect(webSocketOf(c).closeCode).toBe(1005)
    expect(readServer(c.sent)).toEqual(['close:1005:'])
  })

  it('GW-2: our close waits for theirs; what they sent before is still read, ours is never sent twice', () => {
    const c = open()
    c.send({ opcode: 'close', code: 4000, reason: 'done' })
    expect(() => c.send('late')).toThrow(expect.objectContaining({ code: 'CONNECTION_CLOSED' }))
    expect(c.receive(text('was on its way'))).toHaveLength(1)
    expect(c.state).toBe('open')
    c.receive(close(4000))
    expect(readServer(c.sent)).toEqual(['close:4000:done'])
    expect(c.state).toBe('closing')
  })

  it('GW-2: a peer that does not answer our close within closeTimeoutMs is cut off', () => {
    const clock = new FakeClock()
    const c = open({ clock, closeTimeoutMs: 1000 })
    c.send({ opcode: 'close' })
    clock.advance(999)
    expect(c.state).toBe('open')
    clock.advance(1)
    expect(c.state).toBe('closed')
    expect(c.endedWith).toMatchObject({ code: 'CONNECTION_TIMEOUT', context: { closeTimeoutMs: 1000 } })
  })

  it.each([
    ['their answer', (c: FakeConnection) => void c.receive(close(1000))],
    ['the end of the connection', (c: FakeConnection) => c.destroy()],
  ])('GW-2: the limit of the closing handshake ends with %s', (_what, happen) => {
    const clock = new FakeClock()
    const c = open({ clock })
    c.send({ opcode: 'close' })
    happen(c)
    const { state } = c
    clock.advance(100_000)
    expect([c.state, c.endedWith]).toEqual([state, null])
  })

  it.each([
    ['no mask', frame({ opcode: 1, payload: 'a', mask: null }), 1002],
    ['text that is none', text(Buffer.of(0xff)), 1007],
    ['a message that is too large', binary('x'.repeat(101)), 1009],
  ])('GW-2: %s is told with its code, and ends the connection', (_what, bytes, code) => {
    const c = open({ maxPayloadBytes: 100 })
    c.receive(bytes)
    expect(readServer(c.sent)).toEqual([expect.stringMatching(new RegExp(`^close:${code}:.+`))])
    expect(c.endedWith).toMatchObject({ code: 'CONNECTION_FAILED', retryable: false, context: { closeCode: code } })
  })

  it('GW-2: messages before the fault are told, nothing behind it is', () => {
    const c = open()
    expect(c.receive(Buffer.concat([text('a'), frame({ opcode: 3 }), text('b')]))).toEqual([
      { opcode: 'text', data: 'a' },
    ])
  })

  it.each([
    ['by us', undefined, 'close:1000:'],
    ['idle', new MQError('TIMEOUT', 'idle for 30 s'), 'close:1001:'],
    ['a handler that threw', new Error('secret of the inside'), 'close:1011:'],
    [
      'a code of our own',
      new MQError('CONSUME_FAILED', 'x', { closeCode: 4321, closeReason: 'slow' }),
      'close:4321:slow',
    ],
    [
      'a code of the handler inside our error',
      new MQError(
        'CONSUME_FAILED',
        'ours',
        {},
        { cause: new MQError('INVALID_TOPIC', 'no such topic', { closeCode: 4404 }) },
      ),
      'close:4404:no such topic',
    ],
    ['a limit of the server', new MQError('MESSAGE_TOO_LARGE', 'x'), 'close:1009:'],
    ['a code that nobody may send', new MQError('TIMEOUT', 'x', { closeCode: 1006 }), 'close:1001:'],
    [
      'a long reason',
      new MQError('CONSUME_FAILED', `a${'\u20ac'.repeat(50)}`, { closeCode: 4000 }),
      `close:4000:a${'\u20ac'.repeat(40)}`,
    ],
  ])('GW-2: a connection that ends (%s) says why in its farewell', (_what, error, told) => {
    const c = open()
    c.close(error)
    expect(readServer(c.sent)).toEqual([told])
  })

  it('webSocketOf names the mistake when the connection speaks something else', () => {
    const c = open()
    c.protocolState = undefined
    expect(() => webSocketOf(c)).toThrow(/webSocketProtocol/)
  })
})
