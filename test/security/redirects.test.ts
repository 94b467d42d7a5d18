/**
 * CL-6: where a broker says that others are to be found is followed, but never by a weaker way than the user configured:
 * not without TLS, not without authentication, and not to somebody who cannot prove who he is.
 */
import { describe, expect, it } from 'vitest'
import { FindCoordinator, SaslAuthenticate } from '../../lib/protocol/index.js'
import { scramBroker, speakSasl } from '../cluster/sasl/support.js'
import { makeAuthority } from '../support/certificates.js'
import { authority, codesOf, hostileBroker, PASSWORD, RawServer, server, USER, Victim } from './stage.js'

const plain = { mechanism: 'PLAIN', username: USER, password: PASSWORD } as const
const ssl = { ca: authority.cert }
const TLS_HANDSHAKE = 0x16
const agree = () => ({ answer: () => ({}) })

/** A producer that is sent to `port` by a broker it trusts; what became of its record. */
async function sentTo(port: number, host = '127.0.0.1') {
  const trusted = await hostileBroker(server)
  speakSasl(trusted.broker, agree)
  trusted.broker.state.brokers.splice(0, 1, { nodeId: 1, host, port })
  const victim = new Victim(
    { brokers: trusted.address, ssl, sasl: plain },
    { deliveryTimeoutMs: 2000, requestTimeoutMs: 1000 },
  )
  await victim.producer.connect()
  const error = await victim.producer.sendSync('orders', 'x', { partition: 0 }).catch((reason: unknown) => reason)
  return { victim, error, trusted }
}

describe('a broker that leads elsewhere', () => {
  it('CL-6: to a plaintext port: it sees a ClientHello and nothing else', async () => {
    const tempting = await RawServer.start(() => {})
    const { error } = await sentTo(tempting.port)
    expect(codesOf(error).length).toBeGreaterThan(0)
    expect(tempting.accepted).toBeGreaterThan(0)
    expect(tempting.bytes[0]).toBe(TLS_HANDSHAKE)
    for (const secret of [PASSWORD, USER]) expect(tempting.bytes.includes(secret)).toBe(false)
  })

  it('CL-6: to a plaintext Kafka that would be glad to take the record', async () => {
    const glad = await hostileBroker()
    const { error } = await sentTo(glad.listener.port)
    expect(codesOf(error).length).toBeGreaterThan(0)
    expect(glad.broker.requests).toEqual([])
  })

  it('CL-6: to a server of another authority: it is told nothing', async () => {
    const stranger = await makeAuthority()
    const impostor = await hostileBroker(await stranger.issue({ hosts: ['127.0.0.1'] }))
    speakSasl(impostor.broker, agree)
    const { error } = await sentTo(impostor.listener.port)
    expect(codesOf(error)).toContain('AUTHENTICATION_FAILED')
    expect(impostor.broker.requests).toEqual([])
  })

  it('CL-6: to a host of another name', async () => {
    const other = await hostileBroker(await authority.issue({ hosts: ['other.test'] }))
    const { error } = await sentTo(other.listener.port, 'localhost')
    expect(codesOf(error)).toContain('AUTHENTICATION_FAILED')
    expect(other.broker.requests).toEqual([])
  })

  it('CL-6: to one that lets everybody in: it must know the password all the same', async () => {
    const careless = await hostileBroker(server)
    speakSasl(careless.broker, () => ({ answer: (_message, round) => (round === 0 ? { bytes: 'v=' } : {}) }))
    const trusted = await hostileBroker(server)
    speakSasl(trusted.broker, () => scramBroker('sha256', PASSWORD))
    trusted.broker.state.brokers.splice(0, 1, { nodeId: 1, host: '127.0.0.1', port: careless.listener.port })
    const sasl = { ...plain, mechanism: 'SCRAM-SHA-256' } as const
    const limits = { deliveryTimeoutMs: 2000, requestTimeoutMs: 1000 }
    const victim = new Victim({ brokers: trusted.address, ssl, sasl }, limits)
    await victim.producer.connect()
    const error = await victim.producer.sendSync('orders', 'x', { partition: 0 }).catch((reason: unknown) => reason)
    expect(codesOf(error)).toContain('AUTHENTICATION_FAILED')
    const asked = new Set(careless.broker.requests.map(({ api }) => api.name))
    expect([...asked].sort()).toEqual(['ApiVersions', 'SaslAuthenticate', 'SaslHandshake'])
    expect(careless.broker.count(FindCoordinator)).toBe(0)
    expect(careless.broker.of(SaslAuthenticate).every(({ body }) => !Buffer.from(body.authBytes).includes('p='))).toBe(
      true,
    )
  })
})
