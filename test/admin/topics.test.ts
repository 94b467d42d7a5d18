/** Topics through the admin client: results per item, errors by code, names checked before anybody is asked. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { adminStage, failure } from './stage.js'

describe('topics of the admin client', () => {
  const stage = adminStage()

  it('AD-1: createTopic creates once, with defaults, and says created: false for what exists', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker)
    expect(await admin.createTopic({ name: 'orders' })).toEqual({ created: true })
    expect(await admin.createTopic({ name: 'orders', partitions: 9 })).toEqual({ created: false })
    expect(await admin.createTopic({ name: 'events', partitions: 3, configs: { 'retention.ms': 5000 } })).toEqual({
      created: true,
    })
    expect((await admin.getTopicMetadata('orders')).partitions).toHaveLength(1)
    expect((await admin.getTopicMetadata('events')).partitions.map(({ partition }) => partition)).toEqual([0, 1, 2])
    const [retention] = await admin.describeConfigs({ type: 'topic', name: 'events', keys: ['retention.ms'] })
    expect(retention).toMatchObject({ value: '5000', source: 'topic', isDefault: false })
  })

  it('AD-1: createTopics answers for each topic in the order of the input; a refused one harms no other', async () => {
    const broker = await stage.broker()
    broker.createTopic('old')
    const results = await stage
      .admin(broker)
      .createTopics([
        { name: 'new-1' },
        { name: 'old' },
        { name: 'wide', replicationFactor: 3 },
        { name: 'odd', configs: { 'no.such': 1 } },
        { name: 'new-2', partitions: 2 },
      ])
    expect(results.map(({ topic, created }) => [topic, created])).toEqual([
      ['new-1', true],
      ['old', false],
      ['wide', false],
      ['odd', false],
      ['new-2', true],
    ])
    expect(results.map(({ error }) => error?.code)).toEqual([
      undefined,
      undefined,
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      undefined,
    ])
    expect(results[2]?.error?.context).toMatchObject({ topic: 'wide', kafkaCode: 38 })
    expect(results[3]?.error?.message).toContain('no.such')
  })

  it('AD-1: validateOnly creates nothing', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker)
    expect(await admin.createTopic({ name: 'orders' }, { validateOnly: true })).toEqual({ created: true })
    expect(await admin.topicExists('orders')).toBe(false)
  })

  it('AD-1: deleteTopics tells per topic; deleteTopic of an unknown one rejects with TOPIC_NOT_FOUND', async () => {
    const broker = await stage.broker()
    broker.createTopic('a')
    broker.createTopic('b')
    const admin = stage.admin(broker)
    const results = await admin.deleteTopics(['a', 'none', 'b'])
    expect(results.map(({ topic, error }) => [topic, error?.code])).toEqual([
      ['a', undefined],
      ['none', 'TOPIC_NOT_FOUND'],
      ['b', undefined],
    ])
    expect(await admin.listTopics()).toEqual([])
    expect((await failure(admin.deleteTopic('a'))).code).toBe('TOPIC_NOT_FOUND')
    // kafkajs would poison its client here (seen on 4.1.1): this one goes on.
    expect(await admin.createTopic({ name: 'a' })).toEqual({ created: true })
    await admin.deleteTopic('a')
    expect(await admin.topicExists('a')).toBe(false)
  })

  it('AD-1: listTopics is sorted and leaves internal topics out unless asked', async () => {
    const broker = await stage.broker()
    for (const name of ['b', 'a', '__consumer_offsets']) broker.createTopic(name)
    const admin = stage.admin(broker)
    expect(await admin.listTopics()).toEqual(['a', 'b'])
    expect(await admin.listTopics({ includeInternal: true })).toEqual(['__consumer_offsets', 'a', 'b'])
  })

  it('AD-1: topicExists asks for one topic and never creates it, also where brokers create topics', async () => {
    const broker = await stage.broker({ config: { 'auto.create.topics.enable': true } })
    broker.createTopic('orders')
    const admin = stage.admin(broker)
    expect([await admin.topicExists('orders'), await admin.topicExists('none')]).toEqual([true, false])
    expect((await failure(admin.getTopicMetadata('none'))).code).toBe('TOPIC_NOT_FOUND')
    expect(await admin.listTopics()).toEqual(['orders'])
  })

  it('AD-1: getTopicMetadata answers per topic for a list', async () => {
    const broker = await stage.broker({ nodes: 3 })
    broker.createTopic('orders', { partitions: 2, replicationFactor: 3 })
    const [found, none] = await stage.admin(broker).getTopicMetadata(['orders', 'none'])
    expect(found?.partitions[1]).toMatchObject({ partition: 1, offlineReplicas: [] })
    expect([...(found?.partitions[1]?.replicas ?? [])].sort()).toEqual([1, 2, 3])
    expect(none).toMatchObject({ topic: 'none', partitions: [], error: { code: 'TOPIC_NOT_FOUND' } })
  })

  it('AD-1: createPartitions grows to a total and never shrinks', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 2 })
    const admin = stage.admin(broker)
    await admin.createPartitions('orders', 5)
    expect((await admin.getTopicMetadata('orders')).partitions).toHaveLength(5)
    expect((await failure(admin.createPartitions('orders', 5))).code).toBe('INVALID_PARTITION')
    expect((await failure(admin.createPartitions('none', 5))).code).toBe('TOPIC_NOT_FOUND')
    const results = await admin.createPartitions([
      { topic: 'none', count: 2 },
      { topic: 'orders', count: 6 },
    ])
    expect(results.map(({ topic, error }) => [topic, error?.code])).toEqual([
      ['none', 'TOPIC_NOT_FOUND'],
      ['orders', undefined],
    ])
  })

  it('AD-1: what can be seen to be wrong is refused before any broker is asked', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker)
    const codes = async (...calls: Promise<unknown>[]) =>
      (await Promise.all(calls.map(failure))).map(({ code }) => code)
    const names = ['', '.', '..', 'a b', 'x'.repeat(250), 'ä', 7 as unknown as string]
    expect(await codes(...names.map((name) => admin.createTopic({ name })))).toEqual(names.map(() => 'INVALID_TOPIC'))
    expect(await codes(...names.map((name) => admin.topicExists(name)))).toEqual(names.map(() => 'INVALID_TOPIC'))
    expect(await codes(...names.map((name) => admin.deleteTopics(['good', name])))).toEqual(
      names.map(() => 'INVALID_TOPIC'),
    )
    expect(
      await codes(
        admin.createTopic({ name: 'a', partitions: 0 }),
        admin.createTopic({ name: 'a', partitions: 1.5 }),
        admin.createPartitions('a', 0),
        admin.createTopic({ name: 'a', replicationFactor: 0 }),
        admin.createTopic({ name: 'a', configs: { x: null as unknown as string } }),
        admin.createTopics([{ name: 'a' }, { name: 'a' }]),
        admin.createTopics('a' as unknown as []),
        admin.listTopics({ timeoutMs: 0 }),
      ),
    ).toEqual([
      'INVALID_PARTITION',
      'INVALID_PARTITION',
      'INVALID_PARTITION',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
      'INVALID_CONFIG',
    ])
    expect(broker.requests()).toEqual([])
  })

  it('AD-1: asks again what passes by itself, only the topics it concerns, and ends with RETRY_EXHAUSTED', async () => {
    const broker = await stage.broker()
    const admin = stage.admin(broker)
    broker.on({ api: 'CreateTopics', topic: 'a', times: 2 }, fault.error(41))
    const results = await admin.createTopics([{ name: 'a' }, { name: 'b' }])
    expect(results).toEqual([
      { topic: 'a', created: true },
      { topic: 'b', created: true },
    ])
    expect(broker.count({ api: 'CreateTopics' })).toBe(3)
    broker.on({ api: 'DeleteTopics', topic: 'a' }, fault.error(41))
    const error = await failure(admin.deleteTopic('a'))
    expect(error.code).toBe('RETRY_EXHAUSTED')
    expect(error.context).toMatchObject({ attempts: 4, topic: 'a', kafkaName: 'NOT_CONTROLLER' })
    expect(broker.count({ api: 'DeleteTopics' })).toBe(4)
  })

  it.each([
    [29, 'AUTHORIZATION_FAILED'],
    [44, 'INVALID_CONFIG'],
    [7, 'TIMEOUT'],
    [-1, 'RETRY_EXHAUSTED'],
    [999, 'INVALID_CONFIG'],
  ] as const)('ER-3: Kafka %i at createTopic is %s, decided by number', async (number, code) => {
    const broker = await stage.broker()
    broker.on({ api: 'CreateTopics' }, fault.error(number, { message: 'whatever the broker says' }))
    const error = await failure(stage.admin(broker).createTopic({ name: 'a' }))
    expect([error.code, error.context.kafkaCode]).toEqual([code, number])
    expect(error.message).toContain('whatever the broker says')
  })

  it('AD-1: speaks to every imitated Kafka version', async () => {
    for (const version of ['2.8', '3.9', '4.1', '4.5'] as const) {
      const broker = await stage.broker({ profile: version })
      const admin = stage.admin(broker)
      expect(await admin.createTopic({ name: 'a', partitions: 2 })).toEqual({ created: true })
      await admin.createPartitions('a', 3)
      await admin.alterConfigs({ type: 'topic', name: 'a' }, { 'retention.ms': 1 })
      expect((await admin.getTopicMetadata('a')).partitions).toHaveLength(3)
      expect(await admin.resetOffsets('g', 'a', { to: 'latest' })).toHaveLength(3)
      expect(await admin.listGroups()).toHaveLength(1)
      expect((await admin.describeGroups(['g']))[0]).toMatchObject({ state: 'Empty' })
      expect(await admin.deleteGroups(['g'])).toEqual([{ groupId: 'g' }])
      await admin.deleteTopic('a')
      expect(await admin.listTopics()).toEqual([])
    }
  })
})
