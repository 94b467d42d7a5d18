import { createServer as createPlain, type Socket } from 'node:net'
import { createServer, type TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { deferred, FakeClock } from '../../lib/util/index.js'
import { atEnd, framed, nextFrame, open, rawServer, whenClosed } from './support.js'
import { TEST_CERTIFICATE, TEST_KEY } from './tls-identity.js'

const lookup = async () => [{ address: '127.0.0.1', family: 4 }]
const trusted = { host: 'broker.test', lookup, tls: { ca: TEST_CERTIFICATE } }

async function tlsServer(onSocket: (socket: TLSSocket) => void, options: TlsOptions = {}): Promise<number> {
  const sockets = new Set<TLSSocket>()
  const server: TlsServer = createServer({ cert: TEST_CERTIFICATE, key: TEST_KEY, ...options }, (socket) => {
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

/** Some turns of the event loop, until the fact is there. */
async function until(fact: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !fact(); turn++) await new Promise((resolve) => setImmediate(resolve))
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

  it('CL-6: a certificate of another name, or of nobody we trust, is refused for good, and the error says what to do', async () => {
    const port = await tlsServer(() => {})
    const other = await open(port, { ...trusted, host: 'other.test' }).catch((error: unknown) => error)
    expect(other).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, context: { host: 'other.test', port } })
    expect((other as MQError).context['tlsCode']).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    expect((other as MQError).message).toMatch(/is for broker\.test, not for other\.test: .*ssl\.servername/)
    const nobody = await open(port, { ...trusted, tls: {} }).catch((error: unknown) => error)
    expect(nobody).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect((nobody as MQError).message).toContain('ssl.caFile')
  })

  it('CL-6: an address is no SNI, and is checked against the addresses of the certificate', async () => {
    const names: unknown[] = []
    const port = await tlsServer((socket) => names.push(socket.servername))
    const tls = { ca: TEST_CERTIFICATE }
    const refused = await open(port, { host: '127.0.0.1', tls }).catch((error: unknown) => error)
    expect((refused as MQError).message).toContain('not for 127.0.0.1')
    await open(port, { host: '127.0.0.1', tls: { ...tls, servername: 'broker.test' } })
    await open(port, { host: '127.0.0.1', tls: { ...tls, rejectUnauthorized: false } })
    // Whether the refused one counts as a connection at the other side is a matter of microseconds.
    await until(() => names.includes('broker.test') && names.at(-1) !== 'broker.test')
    expect(names.slice(-2).map((name) => name || null)).toEqual(['broker.test', null])
  })

  it('CL-6: one good address of a name is enough, whatever certificate the others show', async () => {
    const port = await tlsServer(() => {})
    const lookup = async () => [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]
    // 127.0.0.2 refuses TCP; the verdict is that of the certificate, which will not mend by itself.
    await open(port, { ...trusted, lookup })
    const error = await open(port, { ...trusted, lookup, tls: {} }).catch((refusal: unknown) => refusal)
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', context: { attempts: { length: 2 } } })
  })

  it.each<[string, (socket: Socket) => void]>([
    ['closes', (socket) => socket.end()],
    ['resets', (socket) => socket.resetAndDestroy()],
    ['answers in plain', (socket) => void socket.write(framed(Buffer.from('what is this?')))],
  ])('CL-6: a plaintext port that %s is told as such, at once, and may be tried again', async (_how, answer) => {
    const server = createPlain((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => answer(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atEnd(() => void server.close())
    const { port } = server.address() as { port: number }
    const error = await open(port, trusted).catch((failure: unknown) => failure)
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', retryable: true })
    expect((error as MQError).message).toMatch(/plaintext listener|does not speak TLS/)
  })

  it('CL-6: TLS below 1.2 is not spoken', async () => {
    const options = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const
    const port = await tlsServer(() => {}, options)
    const error = await open(port, trusted).catch((failure: unknown) => failure)
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', retryable: true })
    expect((error as MQError).message).toContain('begin with 1.2')
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'CL-6: a broker that wants a certificate and gets none: fatal with %s where it says so',
    async (version) => {
      const wanting = { requestCert: true, rejectUnauthorized: true, ca: TEST_CERTIFICATE, maxVersion: version }
      const port = await tlsServer(() => {}, wanting)
      const outcome = await open(port, trusted).then(
        (client) => whenClosed(client),
        (error: unknown) => error,
      )
      // TLS 1.2 has one alert for this and for a missing cipher: it names both.
      if (version === 'TLSv1.3') expect(outcome).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
      else expect(outcome).toMatchObject({ code: 'CONNECTION_FAILED', retryable: true })
      expect((outcome as MQError).message).toContain('ssl.certFile')
    },
  )

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
