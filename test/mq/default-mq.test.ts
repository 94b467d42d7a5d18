/** The functions of the default instance. They share one module state, so the order of these tests is part of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import * as mq from '../../lib/index.js'
import { MQError } from '../../lib/index.js'

const warnings: string[] = []
const logger = { debug() {}, info() {}, error() {}, warn: (text: string) => void warnings.push(text) }
let broker: Broker
beforeAll(async () => {
  broker = await createBroker()
  broker.createTopic('orders', { partitions: 1 })
})
afterAll(async () => {
  await mq.close()
  await broker.close()
})

describe('the default instance', () => {
  it('FA-2: refuses a wrong configuration where it is written', () => {
    expect(() => mq.configureDefault({ producer: { lingerMs: -1 } })).toThrow(/lingerMs/)
  })

  it('FA-2: works with what configureDefault said, in the group tandem-mq-default, with one warning', async () => {
    mq.configureDefault({ brokers: broker.bootstrap, logger, consumer: { autoOffsetReset: 'earliest' } })
    expect(await mq.sendSync('orders', 'one')).toMatchObject({ offset: 0 })
    expect(mq.sendAsync('orders', 'two')).toBe(true)
    expect(await mq.sendBatchSync({ topic: 'orders', messages: [{ value: 'three' }] })).toHaveLength(1)
    await new Promise<void>((resolve) =>
      mq.sendBatchAsync({ topic: 'orders', messages: [{ value: 'four' }] }, () => resolve()),
    )
    const seen: string[] = []
    await new Promise<void>((resolve) => {
      void mq.subscribe('orders', ({ value }) => {
        if (seen.push(String(value)) === 4) resolve()
      })
    })
    expect(seen).toEqual(['one', 'two', 'three', 'four'])
    await mq.commitOffset({ topic: 'orders', partition: 0 }, 4)
    await mq.unsubscribe('orders')
    expect(mq.defaultMQ().config.consumer.groupId).toBe('tandem-mq-default')
    expect(broker.group('tandem-mq-default')).toBeDefined()
    expect(warnings.filter((text) => text.includes('tandem-mq-default'))).toHaveLength(1)
  })

  it('FA-2: lends connections, pings, tells health and figures', async () => {
    const connection = await mq.getConnection()
    expect(connection.nodeId).toBeGreaterThanOrEqual(0)
    mq.releaseConnection(connection)
    mq.releaseConnection(connection)
    expect((await mq.ping()).rttMs).toBeGreaterThan(0)
    expect((await mq.health()).overall).toBe(true)
    expect(mq.getMetrics().producer.successMessages).toBe(4)
  })

  it('FA-2: is not configured while it is in use', () => {
    expect(() => mq.configureDefault({})).toThrow(MQError)
  })

  it('FA-2: after close its functions reject, and it may be configured anew', async () => {
    await mq.close()
    await expect(mq.sendSync('orders', 'x')).rejects.toMatchObject({ code: 'PRODUCER_CLOSED' })
    mq.configureDefault({ brokers: broker.bootstrap, logger, consumer: { groupID: 'named' } })
    expect(await mq.sendSync('orders', 'five')).toMatchObject({ offset: 4 })
    expect(mq.defaultMQ().config.consumer.groupId).toBe('named')
  })
})
