/** Both ways of the admin client, kafkajs' and our own, over TLS and every SASL mechanism; refusals by code. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { AdminClient } from '../../lib/admin/index.js'
import type { BrokerOptions } from '../../lib/broker/index.js'
import type { ClientConfig } from '../../lib/config/index.js'
import { makeAuthority } from '../support/certificates.js'
import { adminStage, failure } from './stage.js'

const PASSWORD = 'hunter2-4711'
const TOKEN = 'a-token-of-4711'
const credentials = { username: 'user', password: PASSWORD }
const sasl: NonNullable<BrokerOptions['sasl']> = {
  mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'],
  users: { user: PASSWORD },
  tokens: (token) => (token === TOKEN ? { principal: 'user', expiresAtMs: Date.now() + 60_000 } : null),
}

describe('security of the admin client', () => {
  const stage = adminStage()

  /** A change, and a read. */
  async function works(admin: AdminClient): Promise<void> {
    expect(await admin.createTopic({ name: 'a' })).toEqual({ created: true })
    expect(await admin.listTopics()).toEqual(['a'])
  }

  const plainNext = () => {
    const rounds: number[] = []
    const next = (_challenge: Uint8Array, { round }: { round: number }) => {
      rounds.push(round)
      return round === 0 ? Buffer.from(`\0user\0${PASSWORD}`) : undefined
    }
    return { rounds, authenticator: { mechanism: 'PLAIN', next } }
  }

  it.each<[string, NonNullable<ClientConfig['sasl']>]>([
    ['PLAIN', { mechanism: 'PLAIN', ...credentials }],
    ['SCRAM-SHA-256', { mechanism: 'SCRAM-SHA-256', ...credentials }],
    ['SCRAM-SHA-512', { mechanism: 'SCRAM-SHA-512', ...credentials }],
    ['OAUTHBEARER', { mechanism: 'OAUTHBEARER', token: async () => TOKEN }],
    ['a mechanism of ones own', { authenticator: plainNext().authenticator }],
  ])('CL-6: %s, for changes and for reads', async (_name, given) => {
    const broker = await stage.broker({ sasl })
    await works(stage.admin(broker, { sasl: given }))
  })

  it('CL-6: exchanges of an authenticator take turns', async () => {
    const broker = await stage.broker({ sasl, nodes: 3 })
    broker.createTopic('a')
    const { rounds, authenticator } = plainNext()
    const admin = stage.admin(broker, { sasl: { authenticator } })
    await Promise.all([
      admin.listTopics(),
      ...[1, 2, 3].map((id) => admin.describeConfigs({ type: 'broker', name: `${id}` })),
    ])
    expect(rounds.length).toBeGreaterThanOrEqual(4)
    expect(rounds).toEqual(rounds.map((_round, at) => at % 2))
  })

  it('CL-6: TLS with an authority of its own, a client certificate, and SASL above it', async () => {
    const authority = await makeAuthority()
    const tls = { ...(await authority.issue({ hosts: ['127.0.0.1'] })), ca: authority.cert, requireClientCert: true }
    const broker = await stage.broker({ tls, sasl })
    const { cert, key } = await authority.issue({ hosts: ['client'], client: true })
    const ssl = { ca: authority.cert, cert, key }
    await works(stage.admin(broker, { ssl, sasl: { mechanism: 'SCRAM-SHA-256', ...credentials } }))
  })

  it('CL-6: a certificate nobody vouches for ends both ways, and nothing is sent', async () => {
    const [authority, other] = [await makeAuthority(), await makeAuthority()]
    const broker = await stage.broker({ tls: await authority.issue({ hosts: ['127.0.0.1'] }) })
    const admin = stage.admin(broker, { ssl: { ca: other.cert }, connection: { maxRetries: 0 } })
    const errors = [await failure(admin.listTopics()), await failure(admin.createTopic({ name: 'a' }))]
    for (const { code } of errors) expect(['CONNECTION_FAILED', 'AUTHENTICATION_FAILED']).toContain(code)
    expect(broker.requests()).toEqual([])
  })

  it.each(['PLAIN', 'SCRAM-SHA-512'] as const)(
    'CL-6: wrong credentials for %s are AUTHENTICATION_FAILED both ways, and never shown',
    async (mechanism) => {
      const broker = await stage.broker({ sasl })
      const secret = 'wrong-and-secret'
      const admin = stage.admin(broker, { sasl: { mechanism, username: 'user', password: secret } })
      const errors = [await failure(admin.listTopics()), await failure(admin.createTopic({ name: 'a' }))]
      for (const error of errors) {
        expect([error.code, error.fatal, error.retryable]).toEqual(['AUTHENTICATION_FAILED', true, false])
        expect(inspect(error, { depth: 10 }) + JSON.stringify(error)).not.toContain(secret)
      }
    },
  )

  it('CL-6: a token function that fails is told, and asked again by the next call', async () => {
    const broker = await stage.broker({ sasl })
    let calls = 0
    const token = async () => {
      calls++
      if (calls === 1) throw new Error('the issuer is away')
      return TOKEN
    }
    const admin = stage.admin(broker, { sasl: { mechanism: 'OAUTHBEARER', token }, connection: { maxRetries: 0 } })
    const error = await failure(admin.listTopics())
    expect(error.message).toContain('the issuer is away')
    expect(await admin.listTopics()).toEqual([])
  })
})
