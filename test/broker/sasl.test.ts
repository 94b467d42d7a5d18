/**
 * SASL of the in-process broker: the course of every conversation is the one recorded with Apache Kafka; sessions end and
 * are renewed by the broker's clock; kafkajs, which knows nothing of our code, gets in by each mechanism.
 */
import { readFileSync } from 'node:fs'
import kafkajs, { type SASLOptions } from 'kafkajs'
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, type BrokerOptions, createBroker, fault, type SaslMechanism } from '../../lib/broker/index.js'
import { MQError } from '../../lib/errors/index.js'
import { ApiVersions, Metadata, SaslAuthenticate, SaslHandshake } from '../../lib/protocol/index.js'
import { FakeClock, seededRandom } from '../../lib/util/index.js'
import { makeAuthority } from '../support/certificates.js'
import { RECORDED, tellSaslStories, unsecuredToken } from '../support/sasl-scenario.js'
import { NOW } from './batches.js'
import { RawClient } from './raw-client.js'

const ALL: readonly SaslMechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']
const PASSWORD = 'pass word, 100% =,ü'
const users = { alice: PASSWORD }
const PLAIN = Buffer.from(`\0alice\0${PASSWORD}`)
const authority = await makeAuthority()
const server = await authority.issue({ hosts: ['127.0.0.1'] })

/** As Kafka does where nothing else is configured: whoever a token without a signature names. */
function ownerOf(token: string) {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
      sub: string
      exp: number
    }
    return { principal: claims.sub, expiresAtMs: claims.exp * 1000 }
  } catch {
    return null
  }
}

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(options: BrokerOptions): Promise<Broker> {
  const broker = await createBroker(options)
  cleanups.push(() => broker.close())
  return broker
}

async function connect(broker: Broker): Promise<RawClient> {
  const client = await RawClient.connect(broker.bootstrap.split(',')[0] as string)
  cleanups.push(() => client.close())
  return client
}

async function logIn(client: RawClient, token: Buffer = PLAIN, mechanism = 'PLAIN') {
  await client.request(SaslHandshake, 1, { mechanism })
  return client.request(SaslAuthenticate, 2, { authBytes: token })
}

const ask = (client: RawClient) => client.request(Metadata, 5, { topics: [] })

describe('SASL of the in-process broker', () => {
  it('F-1: every conversation goes as recorded with Apache Kafka', async () => {
    const sasl = { mechanisms: ALL, users, tokens: ownerOf }
    const broker = await start({ tls: server, sasl })
    const short = await start({ tls: server, sasl: { ...sasl, sessionLifetimeMs: 3000 } })
    const told = await tellSaslStories({
      address: broker.bootstrap,
      shortAddress: short.bootstrap,
      tls: { ca: authority.cert },
      user: 'alice',
      password: PASSWORD,
      token: unsecuredToken,
    })
    expect(told).toEqual(JSON.parse(readFileSync(RECORDED, 'utf8')))
    expect(broker.connections + short.connections).toBe(0)
  })

  const logins: Readonly<Record<SaslMechanism, SASLOptions>> = {
    PLAIN: { mechanism: 'plain', username: 'alice', password: PASSWORD },
    'SCRAM-SHA-256': { mechanism: 'scram-sha-256', username: 'alice', password: PASSWORD },
    'SCRAM-SHA-512': { mechanism: 'scram-sha-512', username: 'alice', password: PASSWORD },
    OAUTHBEARER: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: unsecuredToken('alice') }) },
  }
  for (const mechanism of ALL) {
    it(`F-3: kafkajs gets in by ${mechanism} over TLS, and is known by name`, async () => {
      const broker = await start({ nodes: 2, tls: server, sasl: { mechanisms: [mechanism], users, tokens: ownerOf } })
      broker.createTopic('t', { partitions: 2 })
      const client = new kafkajs.Kafka({
        brokers: broker.bootstrap.split(','),
        ssl: { ca: [authority.cert] },
        sasl: logins[mechanism],
        logLevel: kafkajs.logLevel.NOTHING,
      })
      const producer = client.producer()
      cleanups.push(() => producer.disconnect())
      await producer.connect()
      await producer.send({
        topic: 't',
        messages: [
          { partition: 0, value: 'a' },
          { partition: 1, value: 'b' },
        ],
      })
      const values = [...(await broker.records('t', 0)), ...(await broker.records('t', 1))]
      expect(values.map(({ value }) => value?.toString())).toEqual(['a', 'b'])
      expect(new Set(broker.requests({ api: 'Produce' }).map(({ principal }) => principal))).toEqual(new Set(['alice']))
      expect(broker.requests({ api: 'ApiVersions' })[0]?.principal).toBe(null)
    })
  }

  it('CL-6: a session past its end is closed at its next request, a renewed one lives on', async () => {
    const clock = new FakeClock(NOW)
    const broker = await start({ clock, sasl: { mechanisms: ['PLAIN'], users, sessionLifetimeMs: 5000 } })
    const renewing = await connect(broker)
    const idle = await connect(broker)
    for (const client of [renewing, idle])
      expect(await logIn(client)).toMatchObject({ errorCode: 0, sessionLifetimeMs: 5000 })
    clock.advance(4999)
    await Promise.all([ask(renewing), ask(idle)])
    expect(await logIn(renewing)).toMatchObject({ errorCode: 0, sessionLifetimeMs: 5000 })
    clock.advance(1)
    await ask(renewing)
    await expect(ask(idle)).rejects.toThrow()
    clock.advance(4999)
    // Late, but nothing else was asked in between: Kafka takes that too.
    expect(await logIn(renewing)).toMatchObject({ errorCode: 0 })
    await ask(renewing)
  })

  it('CL-6: a session ends with its token when that is shorter; an old one ends at once', async () => {
    const clock = new FakeClock(NOW)
    const tokens = (token: string) => ({ principal: 'alice', expiresAtMs: Number(token) })
    const broker = await start({ clock, sasl: { mechanisms: ['OAUTHBEARER'], tokens, sessionLifetimeMs: 60_000 } })
    const bearer = (expiresAtMs: number) => Buffer.from(`n,,\x01auth=Bearer ${expiresAtMs}\x01\x01`)
    const client = await connect(broker)
    expect((await logIn(client, bearer(NOW + 7000), 'OAUTHBEARER')).sessionLifetimeMs).toBe(7000)
    clock.advance(6000)
    expect((await logIn(client, bearer(NOW + 600_000), 'OAUTHBEARER')).sessionLifetimeMs).toBe(60_000)
    const late = await connect(broker)
    expect(await logIn(late, bearer(NOW - 1), 'OAUTHBEARER')).toMatchObject({ errorCode: 0, sessionLifetimeMs: 0 })
    await expect(ask(late)).rejects.toThrow()
  })

  it('a password that changed is asked for at the next login; sessions live on until then', async () => {
    const broker = await start({ sasl: { mechanisms: ['PLAIN', 'SCRAM-SHA-256'], users } })
    const client = await connect(broker)
    await logIn(client)
    broker.setUser('alice', 'another')
    await ask(client)
    expect((await logIn(await connect(broker))).errorCode).toBe(58)
    expect((await logIn(await connect(broker), Buffer.from('\0alice\0another'))).errorCode).toBe(0)
    broker.setUser('alice', null)
    expect((await logIn(await connect(broker), Buffer.from('\0alice\0another'))).errorCode).toBe(58)
  })

  it('BR-2: faults act on a login: a code ends it, behind a held answer the rest comes in order', async () => {
    const broker = await start({ sasl: { mechanisms: ['PLAIN'], users } })
    const handle = broker.on({ api: 'SaslAuthenticate', times: 1 }, fault.error(58, { message: 'on command' }))
    const refused = await connect(broker)
    expect(await logIn(refused)).toMatchObject({ errorCode: 58, errorMessage: 'on command' })
    await refused.closed
    expect(handle.hits).toBe(1)

    const held = broker.on({ api: 'SaslAuthenticate' }, fault.hold())
    const client = await connect(broker)
    await client.request(SaslHandshake, 1, { mechanism: 'PLAIN' })
    client.send(SaslAuthenticate, 2, { authBytes: PLAIN })
    client.send(Metadata, 5, { topics: [] })
    client.send(Metadata, 5, { topics: [] })
    await broker.hit(held)
    held.release()
    expect((await client.receive(SaslAuthenticate, 2)).errorCode).toBe(0)
    for (let index = 0; index < 2; index++) expect((await client.receive(Metadata, 5)).brokers).toHaveLength(1)
  })

  it('what is pipelined behind a failed login is not served', async () => {
    const broker = await start({ sasl: { mechanisms: ['PLAIN'], users } })
    const client = await connect(broker)
    client.send(SaslHandshake, 1, { mechanism: 'PLAIN' })
    client.send(SaslAuthenticate, 2, { authBytes: Buffer.from('\0alice\0wrong') })
    client.send(Metadata, 5, { topics: [] })
    await client.receive(SaslHandshake, 1)
    expect((await client.receive(SaslAuthenticate, 2)).errorCode).toBe(58)
    await client.closed
    expect(broker.count({ api: 'Metadata' })).toBe(0)
  })

  it('requests behind a renewal wait for it, those before it are answered first', async () => {
    const broker = await start({ sasl: { mechanisms: ['PLAIN'], users, sessionLifetimeMs: 60_000 } })
    const client = await connect(broker)
    await logIn(client)
    client.send(Metadata, 5, { topics: [] })
    client.send(SaslHandshake, 1, { mechanism: 'PLAIN' })
    client.send(SaslAuthenticate, 2, { authBytes: PLAIN })
    client.send(ApiVersions, 0, {})
    expect((await client.receive(Metadata, 5)).brokers).toHaveLength(1)
    expect((await client.receive(SaslHandshake, 1)).errorCode).toBe(0)
    expect((await client.receive(SaslAuthenticate, 2)).errorCode).toBe(0)
    expect((await client.receive(ApiVersions, 0)).errorCode).toBe(0)
  })

  it('a stranger with a frame above half a megabyte is not read', async () => {
    const broker = await start({ sasl: { mechanisms: ['PLAIN'], users } })
    const client = await connect(broker)
    await client.request(SaslHandshake, 1, { mechanism: 'PLAIN' })
    client.send(SaslAuthenticate, 2, { authBytes: Buffer.alloc(600_000) })
    await client.closed
  })

  it('F-4: a paused broker shakes hands under TLS, and answers nothing until it goes on', async () => {
    const broker = await start({ tls: server, sasl: { mechanisms: ['PLAIN'], users } })
    broker.pause(1)
    const client = await RawClient.connect(broker.bootstrap, { ca: authority.cert })
    cleanups.push(() => client.close())
    client.send(ApiVersions, 0, {})
    client.send(SaslHandshake, 1, { mechanism: 'PLAIN' })
    client.send(SaslAuthenticate, 2, { authBytes: PLAIN })
    await RawClient.connect(broker.bootstrap, { ca: authority.cert }).then((other) => other.close())
    expect(broker.count({})).toBe(0)
    broker.resume(1)
    expect((await client.receive(ApiVersions, 0)).errorCode).toBe(0)
    expect((await client.receive(SaslHandshake, 1)).errorCode).toBe(0)
    expect((await client.receive(SaslAuthenticate, 2)).errorCode).toBe(0)
  })

  it('a seeded broker says the same salt and nonce again', async () => {
    const say = async () => {
      const broker = await start({ random: seededRandom(3), sasl: { mechanisms: ['SCRAM-SHA-256'], users } })
      const client = await connect(broker)
      const { authBytes } = await logIn(client, Buffer.from('n,,n=alice,r=abc'), 'SCRAM-SHA-256')
      return Buffer.from(authBytes).toString()
    }
    const first = await say()
    expect(first).toMatch(/^r=abc[\w-]{32},s=[\w+/=]{24},i=4096$/)
    expect(await say()).toBe(first)
  })

  it('a listener without SASL says so: 34, and lives on', async () => {
    const broker = await start({})
    const client = await connect(broker)
    expect(await client.request(SaslHandshake, 1, { mechanism: 'PLAIN' })).toEqual({ errorCode: 34, mechanisms: [] })
    expect((await client.request(SaslAuthenticate, 1, { authBytes: PLAIN })).errorCode).toBe(34)
    await ask(client)
    expect(() => broker.setUser('alice', 'x')).toThrow(MQError)
  })

  it.each([
    ['no mechanism', { mechanisms: [], users }, 'INVALID_CONFIG'],
    ['an unknown mechanism', { mechanisms: ['GSSAPI' as SaslMechanism], users }, 'INVALID_CONFIG'],
    ['a negative lifetime', { mechanisms: ['PLAIN'], users, sessionLifetimeMs: -1 }, 'INVALID_CONFIG'],
    ['PLAIN without users', { mechanisms: ['PLAIN'] }, 'MISSING_CONFIG'],
    ['OAUTHBEARER without tokens', { mechanisms: ['OAUTHBEARER'], users }, 'MISSING_CONFIG'],
  ] as const)('%s is refused at the start', async (_what, sasl, code) => {
    await expect(createBroker({ sasl })).rejects.toMatchObject({ code })
  })
})
