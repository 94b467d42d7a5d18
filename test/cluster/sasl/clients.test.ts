/** Producers and consumers over real sockets to the in-process broker, which asks for authentication. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../../lib/broker/index.js'
import { Cluster, clusterOptionsOf } from '../../../lib/cluster/index.js'
import { type ClientConfig, resolveClientConfig } from '../../../lib/config/index.js'
import { Consumer } from '../../../lib/consumer/index.js'
import { MQError } from '../../../lib/errors/index.js'
import { Producer } from '../../../lib/producer/index.js'
import { makeAuthority } from '../../support/certificates.js'
import { eventually } from '../../support/eventually.js'
import { atEnd, failureOf } from '../support.js'
import { expectHidden } from './support.js'

const PASSWORD = 'hunter2-4711'
const TOKEN = 'a-token-of-4711'
/** What must fail fails long before `deliveryTimeoutMs`. */
const SOON_MS = 3_000
const silent = { logLevel: 'silent' } as const

type BrokerSasl = NonNullable<NonNullable<Parameters<typeof createBroker>[0]>['sasl']>

async function secured(sasl: Partial<BrokerSasl> = {}, more: object = {}): Promise<Broker> {
  const mechanisms: BrokerSasl['mechanisms'] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']
  const tokens: BrokerSasl['tokens'] = (token) =>
    token.startsWith(TOKEN) ? { principal: 'user', expiresAtMs: Date.now() + 60_000 } : null
  const broker = await createBroker({ sasl: { mechanisms, users: { user: PASSWORD }, tokens, ...sasl }, ...more })
  atEnd(() => broker.close())
  broker.createTopic('orders', { partitions: 2 })
  return broker
}

function producerAt(config: ClientConfig): Producer {
  const producer = new Producer({ ...silent, ...config })
  atEnd(() => producer.close({ timeoutMs: 0 }).then(() => {}))
  return producer
}

const credentials = { username: 'user', password: PASSWORD }
const MECHANISMS: NonNullable<ClientConfig['sasl']>[] = [
  { mechanism: 'PLAIN', ...credentials },
  { mechanism: 'SCRAM-SHA-256', ...credentials },
  { mechanism: 'SCRAM-SHA-512', ...credentials },
  { mechanism: 'OAUTHBEARER', token: async () => `${TOKEN}.x` },
]

describe('clients of a broker that asks for authentication', () => {
  it.each(MECHANISMS)('CL-6: $mechanism writes and reads', async (sasl) => {
    const { bootstrap: brokers } = await secured()
    const producer = producerAt({ brokers, sasl })
    expect((await producer.sendSync('orders', 'hello', { partition: 0 })).partition).toBe(0)
    const consumer = new Consumer({ ...silent, brokers, sasl, autoOffsetReset: 'earliest', groupId: 'g' })
    atEnd(() => consumer.close())
    const values: string[] = []
    await consumer.subscribe('orders', ({ value }) => void values.push(Buffer.from(value ?? []).toString()))
    await eventually('the record is read', () => values.length === 1, 10_000)
    expect(values).toEqual(['hello'])
  })

  it('CL-6: TLS and SASL together, with an authority of our own', async () => {
    const authority = await makeAuthority()
    const tls = await authority.issue({ hosts: ['127.0.0.1'] })
    const { bootstrap: brokers } = await secured({}, { tls })
    const producer = producerAt({ brokers, ssl: { ca: authority.cert }, sasl: MECHANISMS[1] ?? {} })
    await producer.sendSync('orders', 'hello')
    const distrusting = producerAt({ brokers, ssl: { enabled: true }, sasl: MECHANISMS[1] ?? {} })
    expect((await failureOf(soon(distrusting.sendSync('orders', 'x')))).code).toBe('AUTHENTICATION_FAILED')
  })

  it('CL-6: client certificates: a good one is enough, none and a stranger are refused', async () => {
    const authority = await makeAuthority()
    const tls = { ...(await authority.issue({ hosts: ['127.0.0.1'] })), ca: authority.cert, requireClientCert: true }
    const broker = await createBroker({ tls })
    atEnd(() => broker.close())
    broker.createTopic('orders')
    const ssl = { ca: authority.cert }
    const ours = await authority.issue({ client: true, name: 'us' })
    await producerAt({ brokers: broker.bootstrap, ssl: { ...ssl, ...ours } }).sendSync('orders', 'hello')
    const none = new Cluster({
      ...clusterOptionsOf(resolveClientConfig({ brokers: broker.bootstrap, ssl })),
      maxRetries: 0,
    })
    atEnd(() => none.close())
    const error = await failureOf(soon(none.connect()))
    expect(`${error} ${error.cause}`).toContain('ssl.certFile')
  })

  it.each([
    ['a wrong password', { mechanism: 'SCRAM-SHA-256', username: 'user', password: 'wrong-4711' }],
    ['an unknown user', { mechanism: 'PLAIN', username: 'who', password: 'wrong-4711' }],
    ['a token that is refused', { mechanism: 'OAUTHBEARER', token: async () => 'wrong-4711' }],
  ] as const)(
    'CL-6: %s: sends, subscriptions and pings fail at once with AUTHENTICATION_FAILED',
    async (_what, sasl) => {
      const { bootstrap: brokers } = await secured()
      const config = { ...silent, brokers, sasl }
      const producer = producerAt(config)
      const consumer = new Consumer({ ...config, groupId: 'g' })
      atEnd(() => consumer.close())
      const cluster = new Cluster(clusterOptionsOf(resolveClientConfig(config)))
      atEnd(() => cluster.close())
      const failures = await Promise.all([
        failureOf(soon(producer.sendSync('orders', 'x'))),
        failureOf(soon(producer.connect())),
        failureOf(soon(consumer.subscribe('orders', () => {}))),
        failureOf(soon(cluster.ping())),
      ])
      for (const error of failures) {
        expect([error.code, error.fatal, error.retryable]).toEqual(['AUTHENTICATION_FAILED', true, false])
        expectHidden(error, 'wrong-4711')
      }
    },
  )

  it('CL-6: credentials that end while a producer lives: its sends fail at once, and go again when they are good', async () => {
    const broker = await secured()
    const producer = producerAt({ brokers: broker.bootstrap, sasl: MECHANISMS[1] ?? {} })
    await producer.sendSync('orders', 'one', { partition: 0 })
    broker.setUser('user', 'another password')
    await broker.stop(1)
    await broker.start(1)
    const failed = await Promise.all(
      [1, 2, 3].map(() => failureOf(soon(producer.sendSync('orders', 'x', { partition: 0 })))),
    )
    expect(failed.map(({ code }) => code)).toEqual(Array(3).fill('AUTHENTICATION_FAILED'))
    broker.setUser('user', PASSWORD)
    expect((await soon(producer.sendSync('orders', 'two', { partition: 0 }))).offset).toBe(1)
  })

  it('P-47: sessions end again and again while batches fly: nothing is lost, doubled or reordered', async () => {
    let fetched = 0
    const broker = await secured({ sessionLifetimeMs: 2_000 })
    const token = async () => `${TOKEN}.${++fetched}`
    const producer = producerAt({ brokers: broker.bootstrap, sasl: { mechanism: 'OAUTHBEARER', token } })
    const untilMs = performance.now() + 5_000
    const sends: Promise<unknown>[] = []
    for (let count = 0; performance.now() < untilMs; count++) {
      sends.push(producer.sendSync('orders', String(count), { partition: 0 }))
      if (count % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await Promise.all(sends)
    const handshakes = broker.requests({ api: 'SaslHandshake' }).length
    expect(fetched).toBe(handshakes)
    // One connection found the cluster. A machine that stands still past the end of a session costs a connection; not all.
    expect(handshakes).toBeGreaterThan(producer.connectionStats().connectionsCreated + 1)
    const consumer = new Consumer({ ...silent, brokers: broker.bootstrap, sasl: { mechanism: 'OAUTHBEARER', token } })
    atEnd(() => consumer.close())
    const values: number[] = []
    await consumer.assign([{ topic: 'orders', partition: 0, offset: 0 }], ({ value }) => {
      values.push(Number(Buffer.from(value ?? []).toString()))
    })
    await eventually('everything is read', () => values.length >= sends.length, 10_000)
    expect(values).toEqual(sends.map((_, index) => index))
    expect(broker.log('orders', 0).logEnd).toBe(sends.length)
  }, 20_000)

  it('CL-6: nothing that can be printed of a client shows a secret', async () => {
    const { bootstrap: brokers } = await secured()
    const producer = producerAt({ brokers, sasl: MECHANISMS[0] ?? {} })
    await producer.sendSync('orders', 'x')
    const text = inspect(producer, { depth: 20, showHidden: true })
    expect(text).not.toContain(PASSWORD)
    const error = await failureOf(
      soon(
        producerAt({
          brokers: brokers.replace(/:\d+/, ':1'),
          sasl: MECHANISMS[0] ?? {},
          connection: { maxRetries: 0 },
        }).connect(),
      ),
    )
    expectHidden(error, PASSWORD)
  })
})

describe('a client and a port that do not belong together', () => {
  const once = { maxRetries: 0, dialTimeoutMs: 5_000 }
  const connect = (config: ClientConfig) => {
    const cluster = new Cluster(clusterOptionsOf(resolveClientConfig({ ...config, connection: once })))
    atEnd(() => cluster.close())
    return failureOf(soon(cluster.connect()))
  }

  it('CL-6: a plaintext client at a TLS port is told to switch TLS on', async () => {
    const authority = await makeAuthority()
    const broker = await createBroker({ tls: await authority.issue({ hosts: ['127.0.0.1'] }) })
    atEnd(() => broker.close())
    const error = await connect({ brokers: broker.bootstrap })
    expect([error.code, error.retryable]).toEqual(['CONNECTION_FAILED', true])
    expect(`${error} ${error.cause}`).toContain('ssl.enabled')
  })

  it('CL-6: a TLS client at a plaintext port is told that it is one', async () => {
    const broker = await createBroker()
    atEnd(() => broker.close())
    const error = await connect({ brokers: broker.bootstrap, ssl: { enabled: true } })
    expect([error.code, error.retryable]).toEqual(['CONNECTION_FAILED', true])
    expect(`${error} ${error.cause}`).toMatch(/plaintext listener|does not speak TLS/)
  })

  it('CL-6: a client without credentials at a SASL port is told to bring some', async () => {
    const error = await connect({ brokers: (await secured()).bootstrap })
    expect(`${error} ${error.cause}`).toContain('sasl')
  })

  it('CL-6: credentials at a port that asks for none are told as such', async () => {
    const broker = await createBroker()
    atEnd(() => broker.close())
    const error = await connect({ brokers: broker.bootstrap, sasl: MECHANISMS[0] ?? {} })
    expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
  })

  it('CL-6: a mechanism that is not offered names those that are', async () => {
    const { bootstrap: brokers } = await secured({ mechanisms: ['SCRAM-SHA-512'] })
    const error = await connect({ brokers, sasl: MECHANISMS[0] ?? {} })
    expect([error.code, error.context['offered']]).toEqual(['AUTHENTICATION_FAILED', ['SCRAM-SHA-512']])
  })
})

/** Fails when it takes as long as a retry until the deadline would. */
function soon<T>(task: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new MQError('TIMEOUT', `expected an outcome within ${SOON_MS} ms`))
    const timer = setTimeout(late, SOON_MS)
    task.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
