/** GW-1: both addresses behind TLS; what is not TLS, or shows a wrong certificate, gets nowhere and hurts nobody. */
import { connect as connectPlain } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { deferred } from '../../lib/util/index.js'
import { makeAuthority } from '../support/certificates.js'
import { prefixed, type Stage, stage } from './support.js'

const UPGRADE = [
  'GET /mq?token=ann HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '',
  '',
].join('\r\n')
const AUTH = prefixed(Buffer.from('{"type":"auth","token":"ann"}'))

const authority = await makeAuthority()
const { cert, key } = await authority.issue({ hosts: ['localhost'] })
const tls = { cert, key, ca: authority.cert }

interface Shown {
  readonly cert?: string
  readonly key?: string
}

/** What the server said until it welcomed, or ended. */
async function said(port: number, hello: string | Uint8Array, shown: Shown = {}): Promise<string> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.cert, ...shown })
  onTestFinished(() => {
    socket.destroy()
  })
  const done = deferred<string>()
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
    if (text.includes('welcome')) done.resolve('welcome')
  })
  socket.on('error', () => {})
  socket.on('close', () => done.resolve('ended'))
  socket.write(hello)
  return done.promise
}

const both = (at: Stage, shown?: Shown) =>
  Promise.all([said(at.httpPort, UPGRADE, shown), said(at.tcpPort, AUTH, shown)])

describe('TLS', () => {
  it('GW-1: serves both transports', async () => {
    const at = await stage({ tls })
    expect(await both(at)).toEqual(['welcome', 'welcome'])
    expect(at.gateway.measures().clients).toEqual({ websocket: 1, tcp: 1 })
  })

  const CERTIFICATES: readonly ['requested' | 'required', 'none' | 'ours' | 'foreign', string][] = [
    ['requested', 'none', 'welcome'],
    ['requested', 'ours', 'welcome'],
    ['requested', 'foreign', 'ended'],
    ['required', 'none', 'ended'],
    ['required', 'ours', 'welcome'],
    ['required', 'foreign', 'ended'],
  ]
  it.each(CERTIFICATES)('GW-4: certificates %s, %s is shown: %s', async (clientCertificate, which, outcome) => {
    const issuer = which === 'foreign' ? await makeAuthority() : authority
    const shown = which === 'none' ? {} : await issuer.issue({ client: true, name: 'ann' })
    const at = await stage({ tls: { ...tls, clientCertificate } })
    expect(await both(at, shown)).toEqual([outcome, outcome])
    expect(at.errors).toEqual([])
  })

  it('GW-4: who speaks no TLS is ended, and nobody else', async () => {
    const at = await stage({ tls })
    for (const port of [at.httpPort, at.tcpPort]) {
      const socket = connectPlain(port, '127.0.0.1')
      socket.on('error', () => {})
      const ended = new Promise((resolve) => socket.on('close', resolve))
      socket.on('data', () => {})
      socket.write(UPGRADE)
      await ended
    }
    expect(await both(at)).toEqual(['welcome', 'welcome'])
    expect(at.errors).toEqual([])
  })

  it('GW-1: stop ends TLS clients, too', async () => {
    const at = await stage({ tls })
    await both(at)
    await at.gateway.stop()
    expect(at.gateway.clients).toBe(0)
  })
})
