/** Mechanisms in the opening sequence of a cluster, against a broker that does what the test says. */
import { describe, expect, it } from 'vitest'
import { oauthBearer } from '../../../lib/cluster/sasl/oauth-bearer.js'
import { OwnMechanism } from '../../../lib/cluster/sasl/own-mechanism.js'
import { plain } from '../../../lib/cluster/sasl/plain.js'
import { Scram } from '../../../lib/cluster/sasl/scram.js'
import type { MQError } from '../../../lib/errors/index.js'
import { Metadata, SaslAuthenticate, SaslHandshake } from '../../../lib/protocol/index.js'
import { deferred } from '../../../lib/util/index.js'
import { settle } from '../memory-net.js'
import type { ScriptedBroker } from '../scripted-broker.js'
import { failureOf, pass, passUntil, type Scene } from '../support.js'
import { expectHidden, type Reply, type SaslScript, scramBroker, securedScene } from './support.js'

const PASSWORD = 'hunter2-4711'
const TOKEN = 'eyJhbGciOi.JIUzI1NiJ9.4711-_~+/='

const says =
  (reply: Reply | undefined): (() => SaslScript) =>
  () => ({ answer: () => reply })
const good = says({})

function names(broker: ScriptedBroker | undefined): string[] {
  return broker?.requests.map(({ api, version }) => `${api.name} ${version}`) ?? []
}

function messages({ brokers }: Scene): string[] {
  return brokers[0]?.of(SaslAuthenticate).map(({ body }) => Buffer.from(body.authBytes).toString('latin1')) ?? []
}

describe('PLAIN', () => {
  it('W-16, W-22: handshake and one message stand between ApiVersions and the first request', async () => {
    const made = securedScene(plain('user', PASSWORD), good)
    await made.cluster.connect()
    expect(names(made.brokers[0])).toEqual(['ApiVersions 4', 'SaslHandshake 1', 'SaslAuthenticate 2', 'Metadata 13'])
    expect(messages(made)).toEqual([`\0user\0${PASSWORD}`])
  })

  it('W-22: a broker that knows an older version gets that', async () => {
    const made = securedScene(plain('user', PASSWORD), good)
    made.brokers[0]?.ranges.set(SaslAuthenticate.key, { min: 0, max: 0 })
    await made.cluster.connect()
    expect(names(made.brokers[0])).toContain('SaslAuthenticate 0')
  })

  it('CL-6: refused credentials are AUTHENTICATION_FAILED, tried once, with what the broker says', async () => {
    const refusal = { errorCode: 58, errorMessage: `Invalid username or ${PASSWORD}\r\n\x1b[31m` }
    const { cluster, net } = securedScene(plain('user', PASSWORD), says(refusal), { maxRetries: 3 })
    const error = await failureOf(cluster.connect())
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, retryable: false })
    expect(error.context).toMatchObject({ mechanism: 'PLAIN', kafkaCode: 58, host: 'broker' })
    expect(error.message).toContain('Invalid username or [hidden]')
    expect(error.message).not.toMatch(/\p{C}/u)
    expectHidden(error, PASSWORD)
    expect([net.opened.length, net.openConnections]).toEqual([1, 0])
  })

  it('CL-6: the connection that ends during authentication is trouble of the connection, and may be tried again', async () => {
    const { cluster, clock, net } = securedScene(plain('user', PASSWORD), says(undefined), { maxRetries: 1 })
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect([error.code, error.retryable]).toEqual(['CONNECTION_FAILED', true])
    expect(net.opened.length).toBe(2)
    expectHidden(error, PASSWORD)
  })

  it('CL-6: a broker that is not ready to judge (another error code) is tried again', async () => {
    const { cluster, clock } = securedScene(plain('user', PASSWORD), says({ errorCode: 8 }))
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect([error.code, error.retryable]).toEqual(['CONNECTION_FAILED', true])
  })
})

describe('the handshake', () => {
  it('CL-6: a mechanism that is not offered is refused with what is, and nothing weaker is tried', async () => {
    const script = () => ({ mechanisms: ['SCRAM-SHA-512', 'PLAIN', 'bad\x07name'], answer: () => ({}) })
    const made = securedScene(new Scram('sha256', 'user', PASSWORD), script, { maxRetries: 3 })
    const error = await failureOf(made.cluster.connect())
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect(error.context).toMatchObject({ offered: ['SCRAM-SHA-512', 'PLAIN', 'bad name'], kafkaCode: 33 })
    expect(error.message).toContain('it offers SCRAM-SHA-512, PLAIN')
    expect(names(made.brokers[0])).toEqual(['ApiVersions 4', 'SaslHandshake 1'])
    expect(made.net.opened.length).toBe(1)
  })

  it('CL-6: a listener without authentication is told as such', async () => {
    const made = securedScene(plain('user', PASSWORD), good)
    made.brokers[0]?.on(SaslHandshake, (request) => request.reply({ errorCode: 34, mechanisms: [] }))
    const error = await failureOf(made.cluster.connect())
    expect([error.code, error.fatal, error.context.kafkaCode]).toEqual(['AUTHENTICATION_FAILED', true, 34])
    expect(error.message).toContain('asks for no authentication')
  })

  it('CL-6: without SaslHandshake 1 and SaslAuthenticate nothing is sent in another form', async () => {
    const made = securedScene(plain('user', PASSWORD), good)
    made.brokers[0]?.ranges.set(SaslHandshake.key, { min: 0, max: 0 })
    const error = await failureOf(made.cluster.connect())
    expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
    expect(names(made.brokers[0])).toEqual(['ApiVersions 4'])
  })
})

describe('SCRAM', () => {
  it.each(['sha256', 'sha512'] as const)('W-22: %s opens a connection in two rounds', async (hash) => {
    const made = securedScene(new Scram(hash, 'user', PASSWORD), () => scramBroker(hash, PASSWORD))
    await made.cluster.connect()
    expect(made.brokers[0]?.count(SaslAuthenticate)).toBe(2)
    expect(messages(made).join()).not.toContain(PASSWORD)
  })

  it('CL-6: a wrong password is AUTHENTICATION_FAILED', async () => {
    const { cluster } = securedScene(new Scram('sha256', 'user', PASSWORD), () => scramBroker('sha256', 'other'))
    const error = await failureOf(cluster.connect())
    expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
    expectHidden(error, PASSWORD)
  })

  it('CL-6: a broker that ends with error code 0 but without its signature gets no request', async () => {
    const spoilt = () => scramBroker('sha256', PASSWORD, { final: () => '' })
    const made = securedScene(new Scram('sha256', 'user', PASSWORD), spoilt)
    expect((await failureOf(made.cluster.connect())).code).toBe('AUTHENTICATION_FAILED')
    expect(made.brokers[0]?.count(Metadata)).toBe(0)
    expect(made.net.openConnections).toBe(0)
  })
})

describe('OAUTHBEARER', () => {
  it('W-22: the token travels in one message, and is fetched anew for each connection', async () => {
    let tokens = 0
    const made = securedScene(
      oauthBearer(async () => `${TOKEN}${++tokens}`),
      good,
    )
    await made.cluster.connect()
    await made.cluster.link(1, 'produce').whenReady(1000)
    expect(messages(made)).toEqual([1, 2].map((count) => `n,,\x01auth=Bearer ${TOKEN}${count}\x01\x01`))
  })

  it('W-22: a refusal in a challenge is answered by one byte, and told without the token', async () => {
    const challenge = `{"status":"invalid_token","token":"${TOKEN}"}`
    const script = () => ({
      answer: (_message: Buffer, round: number) =>
        round === 0 ? { bytes: challenge } : { errorCode: 58, errorMessage: '{"status":"invalid_token"}' },
    })
    const made = securedScene(
      oauthBearer(async () => TOKEN),
      script,
    )
    const error = await failureOf(made.cluster.connect())
    expect(messages(made)[1]).toBe('\x01')
    expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
    expect(error.message).toContain('invalid_token')
    expectHidden(error, TOKEN)
  })

  it.each<[string, (round: number) => Reply | undefined]>([
    ['hangs up', () => undefined],
    ['accepts after all', () => ({})],
    ['goes on', () => ({ bytes: 'more' })],
  ])('W-22: after a refusal in a challenge the broker %s: it stays a refusal', async (_what, then) => {
    const script = () => ({
      answer: (_message: Buffer, round: number) => (round === 0 ? { bytes: '{"status":"401"}' } : then(round)),
    })
    const made = securedScene(
      oauthBearer(async () => TOKEN),
      script,
    )
    const error = await failureOf(made.cluster.connect())
    expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
    expect(error.message).toContain('401')
    expect(made.brokers[0]?.count(Metadata)).toBe(0)
  })

  it('CL-6: a token function that throws is not fatal: its words are told, its request is not carried along', async () => {
    const thrown = Object.assign(new Error('the issuer is down'), { config: { clientSecret: 'client-secret-4711' } })
    const { cluster, clock } = securedScene(
      oauthBearer(() => Promise.reject(thrown)),
      good,
    )
    const error = await failureOf(passUntil(clock, cluster.connect()))
    expect(`${error} ${error.cause}`).toContain('the issuer is down')
    expect([error.retryable, error.fatal]).toEqual([true, false])
    expectHidden(error, 'client-secret-4711')
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an empty text', ''],
    ['a blank in it', `${TOKEN} x`],
    ['a separator in it', `${TOKEN}\x01auth=Bearer other`],
    ['a line end', `${TOKEN}\n`],
    ['an object', { token: TOKEN }],
  ])('CL-6: a token function that gives %s is told so, without showing it', async (_what, token) => {
    const made = securedScene(
      oauthBearer(async () => token as string),
      good,
    )
    const error = await failureOf(made.cluster.connect())
    expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
    expect(error.message).toContain('sasl.token')
    expectHidden(error, TOKEN)
    expect(made.brokers[0]?.count(SaslHandshake)).toBe(0)
  })

  it('W-14: a token function that never answers ends with dialTimeoutMs, and leaves no socket', async () => {
    const { cluster, clock, net } = securedScene(
      oauthBearer(() => new Promise(() => {})),
      good,
      { dialTimeoutMs: 2000 },
    )
    const failed = failureOf(cluster.connect())
    await pass(clock, 1990)
    expect(net.openConnections).toBe(1)
    await pass(clock, 20)
    expect((await failed).cause).toMatchObject({ code: 'CONNECTION_TIMEOUT', retryable: true })
    expect(net.openConnections).toBe(0)
  })

  it('close() does not wait for a token function', async () => {
    const { cluster, clock } = securedScene(
      oauthBearer(() => new Promise(() => {})),
      good,
    )
    const failed = failureOf(cluster.connect())
    await settle()
    await cluster.close()
    expect((await failed).code).toBe('CONNECTION_CLOSED')
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('sasl.authenticator', () => {
  it('CL-6: speaks its own mechanism: an empty challenge first, undefined at the end', async () => {
    const heard: unknown[] = []
    const own = {
      mechanism: 'GSSAPI',
      next: async (challenge: Uint8Array, round?: unknown) => {
        heard.push([Buffer.from(challenge).toString(), round])
        return heard.length < 4 ? Buffer.from(`token ${heard.length}`) : undefined
      },
    }
    const script = () => ({ answer: (_message: Buffer, round: number) => ({ bytes: `challenge ${round}` }) })
    const made = securedScene(new OwnMechanism(own), script)
    await made.cluster.connect()
    const { port } = made.state.brokers[0] ?? { port: 0 }
    expect(heard).toEqual(
      ['', 'challenge 0', 'challenge 1', 'challenge 2'].map((text, round) => [text, { host: 'broker', port, round }]),
    )
    expect(made.brokers[0]?.of(SaslHandshake)[0]?.body.mechanism).toBe('GSSAPI')
    expect(messages(made)).toEqual(['token 1', 'token 2', 'token 3'])
  })

  it('CL-6: connections that open at the same time go through it one after the other', async () => {
    const rounds: number[] = []
    const gate = deferred<void>()
    const own = {
      mechanism: 'X',
      next: async (_challenge: Uint8Array, at?: { round: number }) => {
        rounds.push(at?.round ?? -1)
        if (rounds.length > 2) await gate.promise
        return at?.round === 0 ? Buffer.from('hello') : undefined
      },
    }
    const { cluster } = securedScene(new OwnMechanism(own), good)
    await cluster.connect()
    const ready = (['produce', 'fetch', 'group'] as const).map((purpose) => cluster.link(1, purpose).whenReady(5000))
    await settle()
    expect(rounds).toEqual([0, 1, 0])
    gate.resolve()
    await Promise.all(ready)
    expect(rounds).toEqual([0, 1, 0, 1, 0, 1, 0, 1])
  })

  it('CL-6: one that hangs holds up nobody for longer than dialTimeoutMs', async () => {
    let isHanging = true
    const own = {
      mechanism: 'X',
      next: (challenge: Uint8Array, at?: { round: number }) => {
        if (isHanging) return new Promise<Uint8Array>(() => {})
        return at?.round === 0 ? Buffer.from(challenge.length === 0 ? 'hello' : '?') : undefined
      },
    }
    const { cluster, clock } = securedScene(new OwnMechanism(own), good, { dialTimeoutMs: 1000 })
    expect((await failureOf(passUntil(clock, cluster.connect()))).cause).toMatchObject({ code: 'CONNECTION_TIMEOUT' })
    isHanging = false
    await passUntil(clock, cluster.connect())
  })

  it.each<[string, () => unknown, RegExp]>([
    ['gives a text', () => 'hello', /gave a string/],
    ['gives null', () => null, /gave null/],
    ['ends before a word was said', () => undefined, /before a word was said/],
    [
      'throws',
      () => {
        throw new Error('no ticket')
      },
      /no ticket/,
    ],
    ['never ends', () => Buffer.from('more'), /no end after 32 rounds/],
  ])('CL-6: one that %s is AUTHENTICATION_FAILED', async (_what, next, text) => {
    const own = { mechanism: 'X', next: next as () => Uint8Array }
    const { cluster, clock } = securedScene(new OwnMechanism(own), good)
    const error = await failureOf(passUntil(clock, cluster.connect()))
    const refusal = error.code === 'AUTHENTICATION_FAILED' ? error : (error.cause as MQError)
    expect([refusal.code, text.test(refusal.message)]).toEqual(['AUTHENTICATION_FAILED', true])
  })
})

describe('after AUTHENTICATION_FAILED', () => {
  it('CL-6: who asks is told at once, and a later call tries again with credentials that are good by now', async () => {
    let isKnown = false
    const script = () => ({ answer: () => (isKnown ? {} : { errorCode: 58, errorMessage: 'who?' }) })
    const { cluster, clock } = securedScene(plain('user', PASSWORD), script)
    const asks: (() => Promise<unknown>)[] = [
      () => cluster.connect(),
      () => cluster.ping(),
      () => cluster.waitForTopic('orders', { timeoutMs: 30_000 }),
    ]
    for (const ask of asks) {
      const atMs = clock.monotonicMs()
      expect((await failureOf(passUntil(clock, ask()))).code).toBe('AUTHENTICATION_FAILED')
      expect(clock.monotonicMs() - atMs).toBeLessThan(1000)
    }
    isKnown = true
    await passUntil(clock, cluster.connect())
    expect((await passUntil(clock, cluster.ping())).brokerId).toBe(1)
  })

  it('CL-6: a link whose broker refuses tells its owner, rests, and tries again when it is wanted', async () => {
    let isKnown = true
    const script = () => ({ answer: () => (isKnown ? {} : { errorCode: 58, errorMessage: 'who?' }) })
    const { cluster, clock, brokers, net } = securedScene(plain('user', PASSWORD), script)
    await cluster.connect()
    const link = cluster.link(1, 'produce')
    await link.whenReady(1000)
    isKnown = false
    brokers[0]?.hangUp()
    await settle()
    const failures: MQError[] = []
    link.onFailed = (error) => failures.push(error)
    expect((await failureOf(passUntil(clock, link.whenReady(30_000)))).code).toBe('AUTHENTICATION_FAILED')
    expect(failures.map(({ code }) => code)).toEqual(['AUTHENTICATION_FAILED'])
    expect((await failureOf(link.tryConnect())).code).toBe('AUTHENTICATION_FAILED')
    const dialled = net.dialled.length
    await pass(clock, 5000)
    expect(net.dialled.length).toBe(dialled)
    isKnown = true
    await passUntil(clock, link.whenReady(30_000))
    expect(link.isReady).toBe(true)
  })
})
