/** The pool over real sockets against the in-process broker, beside a producer and a consumer. */
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { ConnectionPool } from '../../lib/cluster/index.js'
import { type ClientConfig, resolveClientConfig } from '../../lib/config/index.js'
import { Consumer } from '../../lib/consumer/index.js'
import { Producer } from '../../lib/producer/index.js'
import { deferred, silentLogger } from '../../lib/util/index.js'
import { failureOf } from './support.js'

async function brokerWithPool(config: ClientConfig = {}) {
  const broker = await createBroker()
  broker.createTopic('orders', { partitions: 2 })
  const given: ClientConfig = { brokers: broker.bootstrap, logger: silentLogger, ...config }
  const pool = new ConnectionPool(resolveClientConfig(given))
  onTestFinished(async () => {
    await pool.close()
    await broker.close()
  })
  return { broker, pool, given }
}

describe('ConnectionPool at a broker', () => {
  it('CL-2: lends connections that ask real questions, five at once', async () => {
    const { pool } = await brokerWithPool()
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => {
        await using connection = await pool.getConnection()
        const [metadata, versions] = await Promise.all([
          connection.request('Metadata', { topics: [{ name: 'orders' }] }),
          connection.request('ApiVersions', { clientSoftwareName: 'pool', clientSoftwareVersion: '1' }),
        ])
        return [metadata.topics[0]?.partitions.length, versions.errorCode]
      }),
    )
    expect(answers).toEqual(Array.from({ length: 5 }, () => [2, 0]))
    expect(pool.getStats()).toMatchObject({ lentConnections: 0, maxConnections: 10, connectionErrors: 0 })
  })

  it('CL-3: counts the sockets of producer and consumer too', async () => {
    const { pool, given } = await brokerWithPool()
    const producer = new Producer(given)
    const consumer = new Consumer(given)
    pool.include(producer)
    pool.include(consumer)
    await producer.sendSync('orders', 'one', { partition: 0 })
    const read = deferred<void>()
    await consumer.assign([{ topic: 'orders', partition: 0 }], () => read.resolve(), { from: 'earliest' })
    await read.promise
    const open = pool.getStats()
    expect(open.totalConnections).toBe(
      producer.connectionStats().totalConnections + consumer.connectionStats().totalConnections,
    )
    expect(open.totalConnections).toBeGreaterThanOrEqual(3)
    await Promise.all([producer.close(), consumer.close()])
    const closed = pool.getStats()
    expect([closed.totalConnections, closed.connectionsCreated - closed.connectionsClosed]).toEqual([0, 0])
  })

  it('CL-5, K-26: ping answers while the broker lives and fails once it is gone', async () => {
    const { broker, pool } = await brokerWithPool({ connection: { maxRetries: 1, retryBackoffMs: 1 } })
    const { rttMs, nodeId } = await pool.ping()
    expect(rttMs).toBeGreaterThan(0)
    expect(Number.isInteger(nodeId)).toBe(true)
    await broker.close()
    expect((await failureOf(pool.ping({ timeoutMs: 2_000 }))).code).toBe('CONNECTION_FAILED')
    expect(pool.measures().pingSeconds.count).toBe(1)
  })

  it('CL-5: nobody listens there: CONNECTION_FAILED', async () => {
    const pool = new ConnectionPool(
      resolveClientConfig({ brokers: '127.0.0.1:1', logger: silentLogger, connection: { maxRetries: 0 } }),
    )
    expect((await failureOf(pool.ping({ timeoutMs: 2_000 }))).code).toBe('CONNECTION_FAILED')
    await pool.close()
  })

  it('CL-5, CL-6: credentials that are refused: AUTHENTICATION_FAILED, at once, for ping and lease, without the password', async () => {
    const broker = await createBroker({ sasl: { mechanisms: ['SCRAM-SHA-256'], users: { app: 'right-4711' } } })
    onTestFinished(() => broker.close())
    const poolFor = (password: string) => {
      const sasl = { mechanism: 'SCRAM-SHA-256', username: 'app', password } as const
      const pool = new ConnectionPool(resolveClientConfig({ brokers: broker.bootstrap, logger: silentLogger, sasl }))
      onTestFinished(() => pool.close())
      return pool
    }
    const wrong = poolFor('wrong-0815')
    for (const call of [() => wrong.ping(), () => wrong.getConnection()]) {
      const error = await failureOf(call())
      expect([error.code, error.fatal]).toEqual(['AUTHENTICATION_FAILED', true])
      expect(inspect(error, { depth: 10 })).not.toContain('0815')
    }
    // Refused for good: nothing is opened to be kept ready, accounts get locked by that.
    expect(wrong.getStats()).toMatchObject({ openingConnections: 0, totalConnections: 0 })
    const { connectionErrors } = wrong.getStats()
    await failureOf(wrong.getConnection())
    expect(wrong.getStats().connectionErrors - connectionErrors).toBeLessThanOrEqual(1)
    expect(() => wrong.checkHealth()).toThrow(expect.objectContaining({ code: 'AUTHENTICATION_FAILED' }))
    const right = poolFor('right-4711')
    expect((await right.ping()).rttMs).toBeGreaterThan(0)
    await using connection = await right.getConnection()
    expect((await connection.request('Metadata', { topics: [] })).brokers.length).toBe(1)
  })
})
