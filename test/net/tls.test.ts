import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { deferred, FakeClock } from '../../lib/util/index.js'
import { atEnd, framed, nextFrame, open, rawServer, whenClosed } from './support.js'
import { TEST_CERTIFICATE, TEST_KEY } from './tls-identity.js'

const lookup = async () => [{ address: '127.0.0.1', family: 4 }]
const trusted = { host: 'broker.test', lookup, tls: { ca: TEST_CERTIFICATE } }

async function tlsServer(onSocket: (socket: TLSSocket) => void): Promise<number> {
  const sockets = new Set<TLSSocket>()
  const server: TlsServer = createServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as { port: number }).port
}

describe('TLS', () => {
  it('CL-6: frames travel over a connection whose certificate was checked against the name', async () => {
    const names: unknown[] = []
    const port = await tlsServer((socket) => {
      names.push(socket.servername)
      socket.on('data', (chunk) => socket.write(chunk))
    })
    const client = await open(port, trusted)
    const echoed = nextFrame(client)
    client.write([Buffer.from([0, 0, 0, 6]), Buffer.from('abc'), Buffer.from('def')])
    expect(Buffer.from(await echoed).toString()).toBe('abcdef')
    expect(names).toEqual(['broker.test'])
  })

  it('a frame of megabytes arrives whole, also behind a pause', async () => {
    const body = Buffer.alloc(3_000_000, 'records ')
    const port = await tlsServer((socket) => socket.on('data', () => socket.write(framed(body))))
    const client = await open(port, trusted)
    const frame = nextFrame(client)
    client.write([framed(Buffer.from('send'))])
    client.pause()
    setImmediate(() => client.resume())
    expect(Buffer.compare(await frame, body)).toBe(0)
  })

  it('CL-6: a certificate of another name, or of nobody we trust, is refused', async () => {
    const port = await tlsServer(() => {})
    await expect(open(port, { ...trusted, host: 'other.test' })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
    await expect(open(port, { ...trusted, tls: {} })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
  })

  it('K-26: a handshake that takes its time succeeds within the limit and times out beyond it', async () => {
    const clock = new FakeClock()
    const { port } = await rawServer(() => {}) // Accepts TCP, never shakes hands.
    const dialling = open(port, { ...trusted, clock, timeoutMs: 3000 })
    const rejected = expect(dialling).rejects.toMatchObject({ code: 'CONNECTION_TIMEOUT' })
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(2999)
    expect(clock.pendingTimers).toBe(1)
    clock.advance(1)
    await rejected
    expect(clock.pendingTimers).toBe(0)
  })

  it('W-13: onClosed comes after every write callback here too', async () => {
    const port = await tlsServer((socket) => socket.pause())
    const client = await open(port, trusted)
    let flushed = 0
    for (let write = 0; write < 20; write++) client.write([framed(Buffer.alloc(1024 * 1024))], () => flushed++)
    const closed = whenClosed(client)
    const before = flushed
    const reason = new MQError('CONNECTION_CLOSED', 'enough')
    client.destroy(reason)
    expect(await closed).toBe(reason)
    expect(flushed).toBe(before)
  })

  it('an end by the peer is told once', async () => {
    const ended = deferred<void>()
    const port = await tlsServer((socket) => {
      socket.on('data', () => socket.end())
      socket.on('close', () => ended.resolve())
    })
    const client = await open(port, trusted)
    const closed = whenClosed(client)
    client.write([framed(Buffer.from('bye!'))])
    expect((await closed).code).toBe('CONNECTION_CLOSED')
    await ended.promise
  })
})
