/** Groups of both protocols, their lag, and moving their offsets. */
import { describe, expect, it } from 'vitest'
import { type Broker, fault } from '../../lib/broker/index.js'
import { Producer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { adminStage, failure } from './stage.js'

describe('groups of the admin client', () => {
  const stage = adminStage()

  async function filled(broker: Broker, topic: string, counts: readonly number[]): Promise<void> {
    const producer = new Producer({ brokers: broker.bootstrap, logger: silentLogger })
    for (const [partition, count] of counts.entries()) {
      for (let n = 0; n < count; n++) {
        await producer.sendSync(topic, `${n}`, { partition, timestamp: 1_700_000_000_000 + n * 1000 })
      }
    }
    await producer.close()
  }

  const joined = (broker: Broker, groupId: string) =>
    broker.whenGroup(groupId, ({ state, members }) => state === 'Stable' && members.length > 0)

  it.each(['classic', 'consumer'] as const)(
    'AD-2: a group of the %s protocol is listed and described',
    async (protocol) => {
      const broker = await stage.broker()
      broker.createTopic('orders', { partitions: 2 })
      const consumer = stage.consumer(broker, { groupId: 'billing', groupProtocol: protocol, clientId: 'reader' })
      await consumer.subscribe('orders', () => {})
      await joined(broker, 'billing')
      const admin = stage.admin(broker)
      expect(await admin.listGroups()).toEqual([
        { groupId: 'billing', protocolType: 'consumer', state: 'Stable', type: protocol },
      ])
      const [group, none] = await admin.describeGroups(['billing', 'none'])
      expect(group).toMatchObject({ groupId: 'billing', state: 'Stable', type: protocol, coordinator: 1 })
      expect(group?.assignor).not.toBe('')
      expect(group?.members).toMatchObject([
        {
          clientId: 'reader',
          instanceId: null,
          assignment: [
            { topic: 'orders', partition: 0 },
            { topic: 'orders', partition: 1 },
          ],
        },
      ])
      expect(none).toMatchObject({ state: 'Dead', error: { code: 'CONSUME_FAILED', context: { kafkaCode: 69 } } })
    },
  )

  it('AD-2: listGroups filters by state and type, and asks every broker', async () => {
    const broker = await stage.broker({ nodes: 3 })
    broker.createTopic('orders')
    const admin = stage.admin(broker)
    for (const groupId of ['a', 'b', 'c', 'd']) await admin.resetOffsets(groupId, 'orders', { to: 'latest' })
    const consumer = stage.consumer(broker, { groupId: 'live' })
    await consumer.subscribe('orders', () => {})
    await joined(broker, 'live')
    expect((await admin.listGroups()).map(({ groupId }) => groupId)).toEqual(['a', 'b', 'c', 'd', 'live'])
    expect((await admin.listGroups({ states: ['Stable'] })).map(({ groupId }) => groupId)).toEqual(['live'])
    expect(await admin.listGroups({ types: ['consumer'] })).toEqual([])
  })

  it('AD-2: fetchOffsets gives every partition of the topics asked for, or all that were committed', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 3 })
    const admin = stage.admin(broker)
    await admin.resetOffsets('g', 'orders', { to: 'earliest', partitions: [1] })
    expect(await admin.fetchOffsets('g', ['orders'])).toEqual([
      { topic: 'orders', partition: 0, offset: -1, metadata: '' },
      { topic: 'orders', partition: 1, offset: 0, metadata: '' },
      { topic: 'orders', partition: 2, offset: -1, metadata: '' },
    ])
    expect(await admin.fetchOffsets('g')).toEqual([{ topic: 'orders', partition: 1, offset: 0, metadata: '' }])
    expect(await admin.fetchOffsets('none')).toEqual([])
    expect((await failure(admin.fetchOffsets('g', ['none']))).code).toBe('TOPIC_NOT_FOUND')
  })

  it('AD-2: resetOffsets goes to the beginning, the end, a time, an offset; dryRun only tells', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 2 })
    await filled(broker, 'orders', [10, 4])
    const admin = stage.admin(broker)
    const moved = async (options: Parameters<typeof admin.resetOffsets>[2]) =>
      (await admin.resetOffsets('g', 'orders', options)).map(({ before, offset }) => [before, offset])
    expect(await moved({ to: 'latest', dryRun: true })).toEqual([
      [-1, 10],
      [-1, 4],
    ])
    expect(await moved({ to: 'latest' })).toEqual([
      [-1, 10],
      [-1, 4],
    ])
    expect(await moved({ to: 'earliest' })).toEqual([
      [10, 0],
      [4, 0],
    ])
    // The sixth second: partition 1 has nothing so late, so it goes to its end.
    expect(await moved({ to: { timestamp: 1_700_000_005_500 } })).toEqual([
      [0, 6],
      [0, 4],
    ])
    expect(await moved({ to: { offset: 3 }, partitions: [1] })).toEqual([[4, 3]])
    expect((await admin.fetchOffsets('g')).map(({ offset }) => offset)).toEqual([6, 3])
    const both = { offset: 0, timestamp: 1 } as unknown as { offset: number }
    await expect(moved({ to: both })).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    expect((await admin.fetchOffsets('g')).map(({ offset }) => offset)).toEqual([6, 3])
  })

  it('AD-2: resetOffsets refuses active groups of either protocol, and offsets a partition does not hold', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    await filled(broker, 'orders', [2])
    const admin = stage.admin(broker)
    for (const groupProtocol of ['classic', 'consumer'] as const) {
      const consumer = stage.consumer(broker, { groupId: groupProtocol, groupProtocol })
      await consumer.subscribe('orders', () => {})
      await joined(broker, groupProtocol)
      const error = await failure(admin.resetOffsets(groupProtocol, 'orders', { to: 'earliest' }))
      expect(error.code).toBe('OFFSET_COMMIT_FAILED')
      expect(error.message).toContain('it has 1 member just now: stop its consumers first')
      await consumer.close()
      expect(await admin.resetOffsets(groupProtocol, 'orders', { to: 'earliest' })).toHaveLength(1)
    }
    const beyond = await failure(admin.resetOffsets('g', 'orders', { to: { offset: 3 } }))
    expect([beyond.code, beyond.context.reason]).toEqual(['INVALID_OFFSET', 'OFFSET_OUT_OF_RANGE'])
    expect(beyond.message).toContain('0..2')
    const wrong = [
      admin.resetOffsets('g', 'none', { to: 'latest' }),
      admin.resetOffsets('g', 'orders', { to: 'latest', partitions: [7] }),
      admin.resetOffsets('g', 'orders', { to: 'yesterday' as 'latest' }),
      admin.resetOffsets('g', 'orders', { to: { offset: -1 } }),
      admin.resetOffsets('', 'orders', { to: 'latest' }),
    ]
    expect((await Promise.all(wrong.map(failure))).map(({ code }) => code)).toEqual([
      'TOPIC_NOT_FOUND',
      'PARTITION_NOT_FOUND',
      'INVALID_CONFIG',
      'INVALID_OFFSET',
      'INVALID_CONFIG',
    ])
  })

  it('AD-2: a member that joins between question and commit is told by the coordinator, with the same text', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    broker.on({ api: 'OffsetCommit' }, fault.error(25))
    const error = await failure(stage.admin(broker).resetOffsets('g', 'orders', { to: 'latest' }))
    expect([error.code, error.context.kafkaCode]).toEqual(['OFFSET_COMMIT_FAILED', 25])
    expect(error.message).toContain('a member has joined it meanwhile')
  })

  it('AD-2: the lag of a group, with who reads what, also for partitions without a commit', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders', { partitions: 2 })
    await filled(broker, 'orders', [10, 4])
    const admin = stage.admin(broker)
    await admin.resetOffsets('g', 'orders', { to: { offset: 3 }, partitions: [0] })
    expect(await admin.groupLag('g')).toEqual([
      { topic: 'orders', partition: 0, committed: 3, logStart: 0, logEnd: 10, lag: 7, memberId: '' },
    ])
    const consumer = stage.consumer(broker, { groupId: 'g', autoCommit: false })
    await consumer.subscribe('orders', () => {})
    await joined(broker, 'g')
    const lag = await admin.groupLag('g')
    expect(lag.map(({ partition, committed, lag: behind }) => [partition, committed, behind])).toEqual([
      [0, 3, 7],
      [1, -1, 4],
    ])
    expect(lag.every(({ memberId }) => memberId !== '')).toBe(true)
    expect((await failure(admin.groupLag('none'))).context.kafkaCode).toBe(69)
  })

  it('AD-2: deleteGroups tells per group; one with members stays', async () => {
    const broker = await stage.broker()
    broker.createTopic('orders')
    const admin = stage.admin(broker)
    await admin.resetOffsets('idle', 'orders', { to: 'latest' })
    const consumer = stage.consumer(broker, { groupId: 'live' })
    await consumer.subscribe('orders', () => {})
    await joined(broker, 'live')
    const results = await admin.deleteGroups(['idle', 'live', 'none'])
    expect(results.map(({ groupId, error }) => [groupId, error?.context.kafkaName])).toEqual([
      ['idle', undefined],
      ['live', 'NON_EMPTY_GROUP'],
      ['none', 'GROUP_ID_NOT_FOUND'],
    ])
    expect(results[1]?.error?.message).toContain('stop its consumers first')
    expect((await admin.listGroups()).map(({ groupId }) => groupId)).toEqual(['live'])
  })

  it('AD-2: a coordinator that moves or loads is looked up and asked again', async () => {
    const broker = await stage.broker({ nodes: 3 })
    broker.createTopic('orders')
    const admin = stage.admin(broker)
    await admin.resetOffsets('g', 'orders', { to: 'latest' })
    broker.moveCoordinator('g')
    expect(await admin.fetchOffsets('g')).toHaveLength(1)
    for (const api of ['OffsetFetch', 'OffsetCommit', 'DescribeGroups', 'DeleteGroups', 'ListGroups']) {
      broker.on({ api, times: 1 }, fault.error(14))
    }
    expect(await admin.fetchOffsets('g')).toHaveLength(1)
    expect(await admin.resetOffsets('g', 'orders', { to: 'earliest' })).toHaveLength(1)
    expect(await admin.listGroups()).toHaveLength(1)
    expect((await admin.describeGroups(['g']))[0]).toMatchObject({ state: 'Empty' })
    expect(await admin.deleteGroups(['g'])).toEqual([{ groupId: 'g' }])
  })

  it('AD-2: ends of logs are found through leaders that move', async () => {
    const broker = await stage.broker({ nodes: 3 })
    broker.createTopic('orders', { partitions: 3, replicationFactor: 3 })
    await filled(broker, 'orders', [1, 2, 3])
    const admin = stage.admin(broker)
    broker.on({ api: 'ListOffsets', times: 2 }, fault.error(6))
    expect((await admin.getTopicOffsets('orders')).map(({ logStart, logEnd }) => [logStart, logEnd])).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
    ])
    broker.on({ api: 'ListOffsets' }, fault.error(6))
    expect((await failure(admin.getTopicOffsets('orders'))).code).toBe('RETRY_EXHAUSTED')
  })
})
