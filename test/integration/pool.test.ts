/** Lent connections at a real Kafka: what is asked is answered, counted, probed and pinged. */
import { afterEach, expect, it } from 'vitest'
import { ConnectionPool } from '../../lib/cluster/index.js'
import { type ClientConfig, resolveClientConfig } from '../../lib/config/index.js'
import { MQError } from '../../lib/errors/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { eventually } from '../support/eventually.js'
import { bootstrap, createTopic, describeWithKafka } from '../support/real-kafka.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function makePool(config: ClientConfig = {}): ConnectionPool {
  const pool = new ConnectionPool(resolveClientConfig({ brokers: bootstrap, logger: silentLogger, ...config }))
  ends.push(() => pool.close())
  return pool
}

describeWithKafka('the connection pool', () => {
  it('CL-2: lends a connection that asks what Kafka answers, by name', async () => {
    const topic = await createTopic('pool', { partitions: 3 })
    const pool = makePool()
    const connection = await pool.getConnection()
    const { topics, clusterId } = await connection.request('Metadata', { topics: [{ name: topic }] })
    expect(topics[0]?.partitions.map(({ partitionIndex }) => partitionIndex).sort()).toEqual([0, 1, 2])
    const cluster = await connection.request('DescribeCluster', { includeClusterAuthorizedOperations: false })
    expect([cluster.errorCode, cluster.clusterId]).toEqual([0, clusterId])
    expect(cluster.brokers.map(({ brokerId }) => brokerId)).toContain(connection.nodeId)
    const configs = await connection.request('DescribeConfigs', {
      resources: [{ resourceType: 2, resourceName: topic, configurationKeys: ['retention.ms'] }],
    })
    expect(configs.results[0]?.configs.map(({ name }) => name)).toEqual(['retention.ms'])
    pool.releaseConnection(connection)
    expect(pool.getStats()).toMatchObject({ lentConnections: 0, connectionErrors: 0 })
  })

  it('CL-2: the same socket serves one caller after the other, and five callers at once', async () => {
    const pool = makePool({ pool: { maxConnections: 8, maxIdle: 5 } })
    for (let time = 0; time < 10; time++) {
      await using connection = await pool.getConnection()
      await connection.request('ListGroups', {})
    }
    await eventually('connections are ready', () => pool.getStats().openingConnections === 0, 5_000)
    const created = pool.getStats().connectionsCreated
    expect(created).toBeLessThanOrEqual(4) // One that was lent, two that were kept ready, one of control.
    const lent = await Promise.all(Array.from({ length: 5 }, () => pool.getConnection()))
    const answers = await Promise.all(lent.map((connection) => connection.request('ListGroups', {})))
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0, 0, 0])
    const error = await pool.getConnection({ timeoutMs: 0 }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(MQError)
    expect([(error as MQError).code, (error as MQError).context.reason]).toEqual(['POOL_EXHAUSTED', 'NO_CONNECTION'])
    for (const connection of lent) connection.release()
  })

  it('CL-3: probes keep idle connections alive and measured, and Kafka has nothing against them', async () => {
    const pool = makePool({ pool: { healthCheckIntervalMs: 50, healthCheckTimeoutMs: 50 } })
    ;(await pool.getConnection()).release()
    const { connectionsClosed } = pool.getStats() // That which found the cluster has done its work.
    await eventually('a few probes', () => pool.measures().pingSeconds.count >= 6, 10_000)
    expect(pool.getStats()).toMatchObject({ connectionErrors: 0, connectionsClosed })
  })

  it('CL-5, K-26: ping goes to Kafka and back, and fails when the way there is cut', async () => {
    const proxy = new TcpProxy()
    ends.push(() => proxy.close())
    const resolved = resolveClientConfig({ brokers: bootstrap, logger: silentLogger, connection: { maxRetries: 0 } })
    const pool = new ConnectionPool(resolved, { dial: proxy.dial })
    ends.push(() => pool.close())
    const { rttMs, nodeId } = await pool.ping()
    expect(rttMs).toBeGreaterThan(0)
    expect(nodeId).toBeGreaterThanOrEqual(0)
    proxy.plan = () => ({ kind: 'silence' })
    const late = (await pool.ping({ timeoutMs: 200 }).catch((reason: unknown) => reason)) as MQError
    expect(late.code).toBe('CONNECTION_TIMEOUT')
    await proxy.close()
    const error = (await pool.ping({ timeoutMs: 3_000 }).catch((reason: unknown) => reason)) as MQError
    expect(error.code).toBe('CONNECTION_FAILED')
  })
})
