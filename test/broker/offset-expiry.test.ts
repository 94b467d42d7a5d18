/**
 * Committed offsets and groups that nobody uses any more go, at the check after their time, and never while they are read.
 * The moments are those that Apache Kafka 4.1.1 showed with a retention of one minute.
 */
import { describe, expect, it } from 'vitest'
import { ListGroups, OffsetCommit } from '../../lib/protocol/index.js'
import { ConsumerGroupClient } from './consumer-group-client.js'
import { assignment, GroupClient } from './group-client.js'
import type { RawClient } from './raw-client.js'
import { bench } from './support.js'

const MINUTE_MS = 60_000
const CHECK_MS = 1000
const LONG_SESSION_MS = 30 * MINUTE_MS
const config = {
  'offsets.retention.minutes': 1,
  'offsets.retention.check.interval.ms': CHECK_MS,
  'group.consumer.session.timeout.ms': LONG_SESSION_MS,
}

describe('offset expiry', () => {
  const b = bench()

  async function start(): Promise<RawClient> {
    const raw = await b.start({ config })
    for (const topic of ['t', 'u']) b.broker.createTopic(topic)
    return raw
  }

  async function commit(raw: RawClient, groupId: string, member: { memberId: string; epoch: number }, version = 9) {
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
    const topics = ['t', 'u'].map((name) => ({ name, partitions }))
    const answer = await raw.request(OffsetCommit, version, {
      groupId,
      memberId: member.memberId,
      generationIdOrMemberEpoch: member.epoch,
      topics,
      ...(version <= 4 ? { retentionTimeMs: 20_000 } : {}),
    })
    expect(answer.topics.map((topic) => topic.partitions[0]?.errorCode)).toEqual([0, 0])
  }

  const outside = { memberId: '', epoch: -1 }
  const topicsOf = (groupId: string) => b.broker.group(groupId).offsets.map(({ topic }) => topic)

  async function consumer(raw: RawClient, groupId: string): Promise<ConsumerGroupClient> {
    const member = new ConsumerGroupClient(raw, { groupId, memberId: 'm', topicIds: new Map() })
    await member.join()
    return member
  }

  async function classic(raw: RawClient, groupId: string): Promise<GroupClient> {
    const member = new GroupClient(raw, groupId)
    await member.enter({ sessionTimeoutMs: LONG_SESSION_MS })
    await member.sync({ [member.memberId]: assignment('t', 0) })
    return member
  }

  it('F-1: a group without members ever: counted from the commit; then the group is gone, too', async () => {
    const raw = await start()
    await commit(raw, 'g', outside)
    b.clock.advance(MINUTE_MS - 1)
    expect(topicsOf('g')).toEqual(['t', 'u'])
    await commit(raw, 'g', outside)
    b.clock.advance(MINUTE_MS - CHECK_MS)
    expect(topicsOf('g')).toEqual(['t', 'u'])
    b.clock.advance(2 * CHECK_MS)
    expect(topicsOf('g')).toEqual([])
    expect(b.broker.group('g').state).toBe('Dead')
    expect((await raw.request(ListGroups, 5, { statesFilter: [], typesFilter: [] })).groups).toEqual([])
  })

  it('a time that an old client gives with its commit counts by itself', async () => {
    const raw = await start()
    await commit(raw, 'g', outside, 4)
    b.clock.advance(20_000 - 1)
    expect(topicsOf('g')).toEqual(['t', 'u'])
    b.clock.advance(CHECK_MS)
    expect(topicsOf('g')).toEqual([])
  })

  it('F-1: a classic group: counted from the moment it became empty; while stable, what nobody reads goes', async () => {
    const raw = await start()
    const member = await classic(raw, 'g')
    await commit(raw, 'g', { memberId: member.memberId, epoch: member.generation })
    b.clock.advance(MINUTE_MS + CHECK_MS)
    expect(topicsOf('g')).toEqual(['t'])
    await member.leave()
    b.clock.advance(MINUTE_MS - CHECK_MS)
    expect(topicsOf('g')).toEqual(['t'])
    b.clock.advance(2 * CHECK_MS)
    expect(b.broker.group('g')).toMatchObject({ state: 'Dead', offsets: [] })
  })

  it('a classic group that rebalances keeps everything', async () => {
    const raw = await start()
    const member = await classic(raw, 'g')
    await commit(raw, 'g', { memberId: member.memberId, epoch: member.generation })
    b.broker.rebalance('g')
    b.clock.advance(10_000) // less than its rebalance time
    b.broker.setConfig('offsets.retention.minutes', 0)
    b.clock.advance(CHECK_MS)
    expect(b.broker.group('g')).toMatchObject({ state: 'PreparingRebalance' })
    expect(topicsOf('g')).toEqual(['t', 'u'])
  })

  it('F-1: a group of KIP-848: counted from the commit, what a member reads stays', async () => {
    const raw = await start()
    const [stays, leaves] = [await consumer(raw, 'stays'), await consumer(raw, 'leaves')]
    await commit(raw, 'stays', stays)
    await commit(raw, 'leaves', leaves)
    b.clock.advance(MINUTE_MS / 2)
    await leaves.leave()
    b.clock.advance(MINUTE_MS / 2 + CHECK_MS)
    expect(topicsOf('stays')).toEqual(['t'])
    expect(b.broker.group('leaves').state).toBe('Dead')
    b.clock.advance(5 * MINUTE_MS)
    expect(topicsOf('stays')).toEqual(['t'])
  })

  it('F-1: an empty group without offsets is gone at the next check', async () => {
    const raw = await start()
    const member = await consumer(raw, 'g')
    await member.leave()
    expect(b.broker.group('g').state).toBe('Empty')
    b.clock.advance(CHECK_MS)
    expect(b.broker.group('g').state).toBe('Dead')
  })

  it('a deleted topic takes its offsets with it at once, a recreated one begins without', async () => {
    const raw = await start()
    await commit(raw, 'g', outside)
    b.broker.recreateTopic('t')
    expect(topicsOf('g')).toEqual(['u'])
    b.broker.deleteTopic('u')
    expect(topicsOf('g')).toEqual([])
  })

  it('the interval of the check may change at any time', async () => {
    const raw = await start()
    await commit(raw, 'g', outside)
    b.broker.setConfig('offsets.retention.check.interval.ms', 10 * MINUTE_MS)
    b.clock.advance(10 * MINUTE_MS - 1)
    expect(topicsOf('g')).toEqual(['t', 'u'])
    b.clock.advance(1)
    expect(topicsOf('g')).toEqual([])
  })
})
