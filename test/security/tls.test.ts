/**
 * CL-6: whoever cannot prove by a certificate to be the broker that was asked for gets not one byte of ours beyond the
 * handshake, least of all a password; and no server can hold a client longer than `dialTimeoutMs`.
 */
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { fingerprintOf, makeAuthority } from '../support/certificates.js'
import {
  atEnd,
  authority,
  codesOf,
  DIAL_MS,
  hostileBroker,
  PASSWORD,
  RawServer,
  server,
  USER,
  Victim,
} from './stage.js'

const stranger = await makeAuthority()
const sasl = { mechanism: 'PLAIN', username: USER, password: PASSWORD } as const
const ssl = { ca: authority.cert }
const TLS_HANDSHAKE = 0x16

/** A TLS server that counts the bytes of ours that it could read. */
async function tlsServer(options: object): Promise<{ address: string; read: () => number; names: unknown[] }> {
  let read = 0
  const names: unknown[] = []
  const sockets = new Set<TLSSocket>()
  const made = createTlsServer({ ...server, ...options }, (socket) => {
    sockets.add(socket)
    names.push(socket.servername)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      read += chunk.length
    })
  })
  made.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>((resolve) => made.close(() => resolve()))
  })
  return { address: `127.0.0.1:${(made.address() as { port: number }).port}`, read: () => read, names }
}

describe('a server that cannot prove to be the broker', () => {
  it.each<[string, () => Promise<object> | object, RegExp]>([
    [
      'signed by an authority nobody trusts',
      () => stranger.issue({ hosts: ['127.0.0.1'] }),
      /authority|ssl\.ca|issuer/i,
    ],
    ['of another host', () => authority.issue({ hosts: ['other.test', '127.0.0.2'] }), /other\.test|127\.0\.0\.1/],
    ['without any name', () => authority.issue({}), /127\.0\.0\.1/],
    ['that has expired', () => authority.issue({ hosts: ['127.0.0.1'], expired: true }), /expired/i],
    ['that was made for clients', () => authority.issue({ hosts: ['127.0.0.1'], client: true }), /purpose|client/i],
  ])('CL-6: a certificate %s', async (_what, issue, words) => {
    const impostor = await tlsServer(await issue())
    const victim = new Victim({ brokers: impostor.address, ssl, sasl })
    const error = await victim.refusal()
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, retryable: false })
    expect(error.message).toMatch(words)
    expect(impostor.read()).toBe(0)
  })

  it('CL-6: a certificate that signs itself', async () => {
    const self = await makeAuthority('127.0.0.1')
    // Its key stays inside; a leaf of its own, shown without being trusted, is the same to a client.
    const impostor = await tlsServer(await self.issue({ hosts: ['127.0.0.1'] }))
    const victim = new Victim({ brokers: impostor.address, ssl: { enabled: true }, sasl })
    expect(await victim.refusal()).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect(impostor.read()).toBe(0)
  })

  it('CL-6: a server that knows nothing newer than TLS 1.1', async () => {
    const old = await tlsServer({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
    const victim = new Victim({ brokers: old.address, ssl, sasl })
    expect((await victim.refusal()).code).toMatch(/AUTHENTICATION_FAILED|CONNECTION_FAILED/)
    expect(old.read()).toBe(0)
  })

  it('CL-6: a name is asked for by SNI, and it is the name that was configured', async () => {
    const named = await tlsServer({})
    const port = named.address.split(':')[1]
    const victim = new Victim({ brokers: `localhost:${port}`, ssl, sasl })
    // It holds its tongue behind the handshake: only that one is of interest.
    expect(codesOf(await victim.refusal())).toContain('CONNECTION_TIMEOUT')
    const chosen = new Victim({ brokers: named.address, ssl: { ...ssl, servername: 'localhost' }, sasl })
    await chosen.refusal()
    expect(named.names.filter((name) => name !== 'localhost')).toEqual([])
    expect(named.names.length).toBeGreaterThanOrEqual(2)
  })

  it('two authorities are two: a fingerprint tells', () => {
    expect(fingerprintOf(authority.cert)).not.toBe(fingerprintOf(stranger.cert))
  })
})

describe('a server that plays for time, or breaks off', () => {
  it.each([1, 300])('CL-6: TLS cut after %i bytes of the handshake', async (bytes) => {
    const cutting = await RawServer.start((socket) => {
      socket.once('data', () => socket.end(Buffer.alloc(bytes, TLS_HANDSHAKE)))
    })
    const victim = new Victim({ brokers: cutting.address, ssl, sasl })
    expect((await victim.refusal()).code).toMatch(/CONNECTION_FAILED|CONNECTION_CLOSED/)
    expect(cutting.bytes.includes(PASSWORD)).toBe(false)
  })

  it('CL-6: reset as soon as it was accepted', async () => {
    const resetting = await RawServer.start((socket) => void socket.resetAndDestroy())
    const victim = new Victim({ brokers: resetting.address, ssl, sasl })
    expect((await victim.refusal()).code).toMatch(/CONNECTION_FAILED|CONNECTION_CLOSED/)
  })

  it.each([
    ['with TLS', { ssl }],
    ['with SASL', { sasl: { mechanism: 'SCRAM-SHA-256', username: USER, password: PASSWORD } }],
    ['with neither', {}],
  ] as const)('W-14: silent behind the TCP accept, %s: dialTimeoutMs bounds it', async (_what, security) => {
    const silent = await RawServer.start(() => {})
    const startedMs = performance.now()
    const victim = new Victim({ brokers: silent.address, ...security } as never)
    expect(codesOf(await victim.refusal())).toContain('CONNECTION_TIMEOUT')
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(DIAL_MS - 5)
    expect(silent.accepted).toBeLessThanOrEqual(3)
    expect(silent.bytes.includes(PASSWORD)).toBe(false)
  })

  it('CL-6: one byte now and then does not buy time', async () => {
    const dripping = await RawServer.start((socket) => {
      const timer = setInterval(() => socket.write(Buffer.of(TLS_HANDSHAKE)), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const victim = new Victim({ brokers: dripping.address, ssl, sasl })
    expect((await victim.refusal()).code).toMatch(/CONNECTION_TIMEOUT|CONNECTION_FAILED/)
  })

  it('CL-6: plaintext Kafka where TLS was configured: nothing but a ClientHello leaves', async () => {
    const { listener, address } = await hostileBroker()
    const watching = await RawServer.start((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    for (const brokers of [address, watching.address]) {
      const error = await new Victim({ brokers, ssl, sasl }).refusal()
      expect(error.code).toMatch(/CONNECTION_FAILED|CONNECTION_CLOSED|CONNECTION_TIMEOUT/)
    }
    expect(watching.bytes[0]).toBe(TLS_HANDSHAKE)
    expect(watching.bytes.includes(PASSWORD)).toBe(false)
    expect(listener.connections).toBe(0)
  })

  it('CL-6: TLS where plaintext was configured: told with the way out', async () => {
    const { address, broker } = await hostileBroker(server)
    const error = await new Victim({ brokers: address }).refusal()
    expect(error.code).toBe('CONNECTION_FAILED')
    expect(error.message).toMatch(/security protocol|ssl/i)
    expect(broker.requests).toEqual([])
  })
})
