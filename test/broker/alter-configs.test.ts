/** Settings change as on Kafka: AlterConfigs replaces all of a resource, IncrementalAlterConfigs what it names. */
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, createBroker, fault } from '../../lib/broker/index.js'
import { AlterConfigs, DescribeConfigs, IncrementalAlterConfigs } from '../../lib/protocol/index.js'
import { RawClient } from './raw-client.js'

const TOPIC = 2
const BROKER = 4
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

describe('settings of the in-process broker', () => {
  const closers: (() => unknown)[] = []
  let broker: Broker
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function stage() {
    broker = await createBroker()
    closers.push(() => broker.close())
    broker.createTopic('orders', { configs: { 'retention.ms': 1000, 'segment.ms': 2000 } })
    const client = await RawClient.connect(broker.bootstrap)
    closers.push(() => client.close())
    const change = (name: string, configOperation: number, value: string | null, resource: object = {}) => ({
      resources: [
        { resourceType: TOPIC, resourceName: 'orders', configs: [{ name, configOperation, value }], ...resource },
      ],
      validateOnly: false,
    })
    const alter = async (name: string, operation: number, value: string | null, resource: object = {}) =>
      (await client.request(IncrementalAlterConfigs, 1, change(name, operation, value, resource))).responses[0]
    const config = async (name: string) => {
      const resources = [{ resourceType: TOPIC, resourceName: 'orders', configurationKeys: [name] }]
      const { results } = await client.request(DescribeConfigs, 4, { resources })
      return results[0]?.configs[0]?.value
    }
    return { client, alter, config }
  }

  it('IncrementalAlterConfigs sets, deletes, appends and subtracts, and leaves the rest alone', async () => {
    const { alter, config } = await stage()
    expect(await alter('retention.ms', SET, '5000')).toMatchObject({ errorCode: 0 })
    expect([await config('retention.ms'), await config('segment.ms')]).toEqual(['5000', '2000'])
    await alter('retention.ms', DELETE, null)
    expect(await config('retention.ms')).toBe('604800000')
    await alter('cleanup.policy', APPEND, 'compact')
    expect(await config('cleanup.policy')).toBe('delete,compact')
    await alter('cleanup.policy', SUBTRACT, 'delete')
    expect(await config('cleanup.policy')).toBe('compact')
  })

  it('refuses what it does not know, each by its number', async () => {
    const { alter, config } = await stage()
    expect(await alter('nope', SET, '1')).toMatchObject({
      errorCode: 40,
      errorMessage: 'Unknown topic config name: nope',
    })
    expect(await alter('retention.ms', 9, '1')).toMatchObject({ errorCode: 42 })
    expect(await alter('retention.ms', SET, '1', { resourceName: 'none' })).toMatchObject({ errorCode: 3 })
    expect(await alter('retention.ms', SET, '1', { resourceType: 8 })).toMatchObject({ errorCode: 42 })
    expect(await alter('nope', SET, '1', { resourceType: BROKER, resourceName: '1' })).toMatchObject({ errorCode: 40 })
    expect(await config('retention.ms')).toBe('1000')
  })

  it('a fault refuses without doing it, and validateOnly changes nothing', async () => {
    const { alter, client, config } = await stage()
    broker.on({ api: 'IncrementalAlterConfigs', times: 1 }, fault.error(41))
    expect(await alter('retention.ms', SET, '5000')).toMatchObject({ errorCode: 41 })
    const configs = [{ name: 'retention.ms', configOperation: SET, value: '5000' }]
    const resources = [{ resourceType: TOPIC, resourceName: 'orders', configs }]
    await client.request(IncrementalAlterConfigs, 1, { resources, validateOnly: true })
    expect(await config('retention.ms')).toBe('1000')
  })

  it('a setting of the broker acts at once', async () => {
    const { alter, config } = await stage()
    await alter('log.retention.ms', SET, '777', { resourceType: BROKER, resourceName: '1' })
    await alter('retention.ms', DELETE, null)
    expect(await config('retention.ms')).toBe('777')
  })

  it('AlterConfigs puts what it does not name back to its default', async () => {
    const { client, config } = await stage()
    const configs = [{ name: 'segment.ms', value: '3000' }]
    const resources = [{ resourceType: TOPIC, resourceName: 'orders', configs }]
    const { responses } = await client.request(AlterConfigs, 2, { resources, validateOnly: false })
    expect(responses[0]).toMatchObject({ errorCode: 0 })
    expect([await config('retention.ms'), await config('segment.ms')]).toEqual(['604800000', '3000'])
  })
})
