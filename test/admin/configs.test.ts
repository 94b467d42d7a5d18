/** Settings: one change leaves the others alone, results per resource. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { adminStage, failure } from './stage.js'

describe('settings of the admin client', () => {
  const stage = adminStage()
  const topic = (name: string) => ({ type: 'topic', name }) as const

  it('AD-2: alterConfigs changes what it names and loses nothing else; null returns to the default', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { configs: { 'retention.ms': 1000, 'max.message.bytes': 2000 } })
    const admin = stage.admin(broker)
    const values = async () => {
      const keys = ['max.message.bytes', 'retention.ms', 'segment.ms']
      return (await admin.describeConfigs({ ...topic('orders'), keys })).map(({ value }) => value)
    }
    await admin.alterConfigs(topic('orders'), { 'segment.ms': 3000 })
    expect(await values()).toEqual(['2000', '1000', '3000'])
    await admin.alterConfigs(topic('orders'), { 'segment.ms': null, 'retention.ms': '4000' })
    expect(await values()).toEqual(['2000', '4000', '604800000'])
    await admin.alterConfigs(topic('orders'), { 'retention.ms': 1 }, { validateOnly: true })
    expect(await values()).toEqual(['2000', '4000', '604800000'])
  })

  it('AD-2: describeConfigs says where a value comes from, for topics and brokers, sorted by name', async () => {
    const broker = await stage.broker({ config: { 'message.max.bytes': 5000 } })
    broker.createTopic('orders', { configs: { 'retention.ms': 1000 } })
    const admin = stage.admin(broker)
    const all = await admin.describeConfigs(topic('orders'))
    expect(all.map(({ name }) => name)).toEqual(all.map(({ name }) => name).sort())
    expect(all.find(({ name }) => name === 'retention.ms')).toEqual({
      name: 'retention.ms',
      value: '1000',
      source: 'topic',
      isDefault: false,
      isReadOnly: false,
      isSensitive: false,
    })
    const [bytes] = await admin.describeConfigs({ type: 'broker', name: '1', keys: ['message.max.bytes'] })
    expect(bytes).toMatchObject({ value: '5000', source: 'static' })
  })

  it('AD-2: results per resource; what is unknown is told by code', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const admin = stage.admin(broker)
    const described = await admin.describeConfigs([topic('none'), topic('orders'), { type: 'broker', name: '9' }])
    expect(described.map(({ error }) => error?.code)).toEqual(['TOPIC_NOT_FOUND', undefined, 'INVALID_CONFIG'])
    const altered = await admin.alterConfigs([
      { ...topic('none'), configs: { 'retention.ms': 1 } },
      { ...topic('orders'), configs: { 'retention.ms': 1 } },
      { type: 'broker', name: '1', configs: { 'message.max.bytes': 6000 } },
    ])
    expect(altered.map(({ name, error }) => [name, error?.code])).toEqual([
      ['none', 'TOPIC_NOT_FOUND'],
      ['orders', undefined],
      ['1', undefined],
    ])
    const error = await failure(admin.alterConfigs(topic('orders'), { 'no.such': 1 }))
    expect([error.code, error.message.includes('no.such')]).toEqual(['INVALID_CONFIG', true])
    expect((await failure(admin.describeConfigs(topic('none')))).code).toBe('TOPIC_NOT_FOUND')
  })

  it('AD-2: what can be seen to be wrong is refused before any broker is asked', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker)
    const calls = [
      admin.alterConfigs(topic('a b'), {}),
      admin.alterConfigs({ type: 'broker', name: 'x' }, {}),
      admin.describeConfigs({ type: 'shelf' as 'topic', name: 'x' }),
      admin.alterConfigs(topic('a'), { x: Number.NaN }),
      admin.alterConfigs([
        { ...topic('a'), configs: {} },
        { ...topic('a'), configs: {} },
      ]),
    ]
    expect((await Promise.all(calls.map(failure))).map(({ code }) => code)).toEqual([
      'INVALID_TOPIC',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
    ])
    expect(broker.requests()).toEqual([])
  })

  it('AD-2: an answer that passes by itself is asked for again', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    broker.on({ api: 'IncrementalAlterConfigs', times: 2 }, fault.error(41))
    await stage.admin(broker).alterConfigs(topic('orders'), { 'retention.ms': 9 })
    expect(broker.count({ api: 'IncrementalAlterConfigs' })).toBe(3)
  })
})
