/**
 * The admin client on a real Kafka: every call, and every error that can be provoked, by its code.
 * Why beside the tests on the in-process broker: whether kafkajs' reads and our own requests are right is for Kafka to say.
 */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { afterAll, afterEach, expect, it } from 'vitest'
import { AdminClient, Consumer, type ConsumerConfig, MQError, Producer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { eventually } from '../support/eventually.js'
import { bootstrap, brokers, describeWithKafka } from '../support/real-kafka.js'

const LIMIT_MS = 30_000

describeWithKafka('admin client', () => {
  const admin = new AdminClient({ brokers: bootstrap, logger: silentLogger })
  const closers: (() => Promise<unknown>)[] = []
  const topics: string[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })
  afterAll(async () => {
    await admin.deleteTopics(topics)
    await admin.close()
  })

  const nameOf = (what: string) => `admin-${what}-${randomUUID().slice(0, 8)}`
  const fresh = (what: string) => {
    const name = nameOf(what)
    topics.push(name)
    return name
  }
  const failure = async (promise: Promise<unknown>): Promise<MQError> => {
    const error = await promise.then(
      (value) => new Error(`expected a rejection, got ${JSON.stringify(value)}`),
      (reason: unknown) => reason,
    )
    if (error instanceof MQError) return error
    throw error
  }
  const consumer = (config: ConsumerConfig) => {
    const made = new Consumer({ brokers: bootstrap, logger: silentLogger, autoOffsetReset: 'earliest', ...config })
    closers.push(() => made.close({ timeoutMs: 5_000 }))
    return made
  }
  async function filled(counts: readonly number[]): Promise<string> {
    const topic = fresh('filled')
    await admin.createTopic({ name: topic, partitions: counts.length })
    const producer = new Producer({ brokers: bootstrap, logger: silentLogger })
    for (const [partition, count] of counts.entries()) {
      for (let n = 0; n < count; n++) {
        await producer.sendSync(topic, `${n}`, { partition, timestamp: 1_790_000_000_000 + n * 1000 })
      }
    }
    await producer.close()
    return topic
  }

  it('AD-1: topics are created once, described, grown and deleted', async () => {
    const topic = fresh('life')
    expect(await admin.topicExists(topic)).toBe(false)
    const configs = { 'retention.ms': 60_000, 'cleanup.policy': 'compact,delete' }
    expect(await admin.createTopic({ name: topic, partitions: 2, configs })).toEqual({ created: true })
    expect(await admin.createTopic({ name: topic })).toEqual({ created: false })
    expect(await admin.topicExists(topic)).toBe(true)
    expect(await admin.listTopics()).toContain(topic)
    const { partitions } = await admin.getTopicMetadata(topic)
    expect(partitions.map(({ partition, leader, replicas, isr }) => [partition, leader, replicas, isr])).toEqual([
      [0, 1, [1], [1]],
      [1, 1, [1], [1]],
    ])
    await admin.createPartitions(topic, 3)
    expect((await admin.getTopicMetadata(topic)).partitions).toHaveLength(3)
    const keys = ['cleanup.policy', 'retention.ms']
    expect((await admin.describeConfigs({ type: 'topic', name: topic, keys })).map(({ value }) => value)).toEqual([
      'compact,delete',
      '60000',
    ])
    await admin.deleteTopic(topic)
    expect(await admin.topicExists(topic)).toBe(false)
    expect(await admin.listTopics()).not.toContain(topic)
  })

  it('AD-1: every refusal has its code and what Kafka says; the others are done', async () => {
    const [old, made] = [fresh('old'), fresh('made')]
    await admin.createTopic({ name: old, partitions: 2 })
    const results = await admin.createTopics([
      { name: old },
      { name: nameOf('wide'), replicationFactor: 9 },
      { name: nameOf('odd'), configs: { 'no.such': '1' } },
      { name: nameOf('value'), configs: { 'retention.ms': 'soon' } },
      { name: made },
    ])
    expect(results.map(({ created, error }) => [created, error?.code, error?.context.kafkaName])).toEqual([
      [false, undefined, undefined],
      [false, 'INVALID_CONFIG', 'INVALID_REPLICATION_FACTOR'],
      [false, 'INVALID_CONFIG', 'INVALID_CONFIG'],
      [false, 'INVALID_CONFIG', 'INVALID_CONFIG'],
      [true, undefined, undefined],
    ])
    expect(results[2]?.error?.message).toContain('no.such')
    expect(results[3]?.error?.message).toContain('soon')
    expect((await failure(admin.createPartitions(old, 2))).code).toBe('INVALID_PARTITION')
    expect((await failure(admin.createPartitions(old, 1))).code).toBe('INVALID_PARTITION')
    const none = nameOf('none')
    const unknown = [
      admin.createPartitions(none, 2),
      admin.getTopicMetadata(none),
      admin.deleteTopic(none),
      admin.getTopicOffsets(none),
      admin.describeConfigs({ type: 'topic', name: none }),
      admin.alterConfigs({ type: 'topic', name: none }, { 'retention.ms': 1 }),
      admin.resetOffsets('g', none, { to: 'latest' }),
      admin.fetchOffsets('g', [none]),
    ]
    expect((await Promise.all(unknown.map(failure))).map(({ code }) => code)).toEqual(
      unknown.map(() => 'TOPIC_NOT_FOUND'),
    )
    expect(await admin.topicExists(none)).toBe(false)
    expect((await failure(admin.createTopic({ name: '__consumer_offsets x' }))).code).toBe('INVALID_TOPIC')
    const deleted = await admin.deleteTopics([none, made])
    expect(deleted.map(({ error }) => error?.code)).toEqual(['TOPIC_NOT_FOUND', undefined])
  })

  it('AD-1: Kafka refuses names that collide, and the client says so by code', async () => {
    const name = fresh('a.b')
    await admin.createTopic({ name })
    const error = await failure(admin.createTopic({ name: name.replace('.', '_') }))
    expect([error.code, error.context.kafkaCode]).toEqual(['INVALID_TOPIC', 17])
  })

  it('AD-2: changing one setting loses no other, where kafkajs loses all of them', async () => {
    const topic = fresh('configs')
    await admin.createTopic({ name: topic, configs: { 'retention.ms': 60_000 } })
    const values = async () => {
      const keys = ['retention.ms', 'segment.ms']
      return (await admin.describeConfigs({ type: 'topic', name: topic, keys })).map(({ value, source }) => [
        value,
        source,
      ])
    }
    await admin.alterConfigs({ type: 'topic', name: topic }, { 'segment.ms': 70_000 })
    expect(await values()).toEqual([
      ['60000', 'topic'],
      ['70000', 'topic'],
    ])
    await admin.alterConfigs({ type: 'topic', name: topic }, { 'segment.ms': null })
    expect(await values()).toEqual([
      ['60000', 'topic'],
      ['604800000', 'default'],
    ])
    const theirs = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await theirs.connect()
    const configEntries = [{ name: 'segment.ms', value: '80000' }]
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }]
    await theirs.alterConfigs({ validateOnly: false, resources })
    await theirs.disconnect()
    expect(await values()).toEqual([
      ['604800000', 'default'],
      ['80000', 'topic'],
    ])
  })

  it('AD-2: settings of a broker; what is no setting or no broker is told by code', async () => {
    const cluster = await admin.describeCluster()
    expect(cluster.clusterId).not.toBe('')
    expect(cluster.brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([...brokers])
    const broker = { type: 'broker', name: String(cluster.brokers[0]?.brokerId) } as const
    const [threads] = await admin.describeConfigs({ ...broker, keys: ['num.io.threads'] })
    expect(threads).toMatchObject({ name: 'num.io.threads', isReadOnly: false, isSensitive: false })
    await admin.alterConfigs(broker, { 'log.cleaner.threads': 1 }, { validateOnly: true })
    expect((await failure(admin.alterConfigs(broker, { 'log.dirs': '/x' }))).context.kafkaName).toMatch(/INVALID/)
    expect((await failure(admin.describeConfigs({ type: 'broker', name: '77' }))).code).toBe('INVALID_CONFIG')
  })

  it.each(['classic', 'consumer'] as const)('AD-2: a living group of the %s protocol', async (groupProtocol) => {
    const topic = await filled([3, 2])
    const groupId = nameOf(groupProtocol)
    const member = consumer({ groupId, groupProtocol, clientId: 'reader', autoCommit: false })
    await member.subscribe(topic, () => {})
    await eventually('both partitions are ours', () => member.assignment.length === 2, LIMIT_MS)
    await eventually(
      'it is stable',
      async () => (await admin.describeGroups([groupId]))[0]?.state === 'Stable',
      LIMIT_MS,
    )
    const [group] = await admin.describeGroups([groupId])
    expect(group).toMatchObject({ groupId, type: groupProtocol, members: [{ clientId: 'reader', instanceId: null }] })
    expect(group?.members[0]?.assignment).toEqual([
      { topic, partition: 0 },
      { topic, partition: 1 },
    ])
    const listed = (await admin.listGroups({ states: ['Stable'] })).find((one) => one.groupId === groupId)
    expect(listed).toEqual({ groupId, protocolType: 'consumer', state: 'Stable', type: groupProtocol })
    expect(
      (await admin.groupLag(groupId)).map(({ committed, lag, memberId }) => [committed, lag, memberId !== '']),
    ).toEqual([
      [-1, 3, true],
      [-1, 2, true],
    ])
    const refused = await failure(admin.resetOffsets(groupId, topic, { to: 'earliest' }))
    expect([refused.code, refused.message]).toEqual(['OFFSET_COMMIT_FAILED', expect.stringContaining('1 member')])
    expect((await admin.deleteGroups([groupId]))[0]?.error?.context.kafkaName).toBe('NON_EMPTY_GROUP')
    await member.close({ timeoutMs: 5_000 })
    await eventually('it is empty', async () => (await admin.describeGroups([groupId]))[0]?.state === 'Empty', LIMIT_MS)
    expect((await admin.resetOffsets(groupId, topic, { to: { offset: 2 } })).map(({ offset }) => offset)).toEqual([
      2, 2,
    ])
    expect(await admin.deleteGroups([groupId])).toEqual([{ groupId }])
  })

  it('AD-2: offsets are moved to the beginning, the end, a time, an offset; a consumer begins there', async () => {
    const topic = await filled([10, 4])
    const groupId = nameOf('moved')
    const to = async (target: Parameters<typeof admin.resetOffsets>[2]['to']) =>
      (await admin.resetOffsets(groupId, topic, { to: target })).map(({ before, offset }) => [before, offset])
    expect(await to('latest')).toEqual([
      [-1, 10],
      [-1, 4],
    ])
    expect(await to('earliest')).toEqual([
      [10, 0],
      [4, 0],
    ])
    expect(await to({ timestamp: 1_790_000_005_500 })).toEqual([
      [0, 6],
      [0, 4],
    ])
    expect((await failure(admin.resetOffsets(groupId, topic, { to: { offset: 5 } }))).code).toBe('INVALID_OFFSET')
    expect(await admin.fetchOffsets(groupId)).toEqual([
      { topic, partition: 0, offset: 6, metadata: '' },
      { topic, partition: 1, offset: 4, metadata: '' },
    ])
    expect((await admin.groupLag(groupId)).map(({ lag }) => lag)).toEqual([4, 0])
    expect((await admin.getTopicOffsets(topic)).map(({ logStart, logEnd }) => [logStart, logEnd])).toEqual([
      [0, 10],
      [0, 4],
    ])
    const member = consumer({ groupId })
    const seen: string[] = []
    await member.subscribe(topic, ({ value }) => void seen.push(String(value)))
    await eventually('the rest is read', () => seen.length === 4, LIMIT_MS)
    expect(seen).toEqual(['6', '7', '8', '9'])
  })

  it('AD-2: groups that do not exist have an error of their own', async () => {
    const groupId = nameOf('none')
    expect((await admin.describeGroups([groupId]))[0]?.error?.context.kafkaCode).toBe(69)
    expect((await admin.deleteGroups([groupId]))[0]?.error?.context.kafkaCode).toBe(69)
    expect(await admin.fetchOffsets(groupId)).toEqual([])
    expect((await failure(admin.groupLag(groupId))).context.kafkaCode).toBe(69)
  })
})
