/**
 * Groups of KIP-848 in the in-process broker: what a real Kafka answered is answered here too (F-1), time is obeyed to the
 * millisecond, and groups break on command.
 */
import { describe, expect, it } from 'vitest'
import { type BrokerOptions, fault } from '../../lib/broker/index.js'
import { ApiVersions, FindCoordinator } from '../../lib/protocol/index.js'
import recorded from '../fixtures/groups-848.json' with { type: 'json' }
import { ConsumerGroupClient, REBALANCE_TIMEOUT_MS } from './consumer-group-client.js'
import { dynamicConsumers, refusals, staticConsumers, subscribers } from './consumer-group-scenario.js'
import { GroupClient } from './group-client.js'
import { bench, turn } from './support.js'

const SESSION_MS = 45_000
const b = bench()
let topicIds = new Map<string, string>()

async function start(options: BrokerOptions = {}, partitions = 4): Promise<void> {
  await b.start(options)
  topicIds = new Map([['t', b.broker.createTopic('t', { partitions })]])
}

async function member(memberId: string, instanceId: string | null = null): Promise<ConsumerGroupClient> {
  const raw = await b.connect(b.broker.group('g').coordinator)
  return new ConsumerGroupClient(raw, { groupId: 'g', memberId, topicIds, instanceId })
}

/** Everybody beats and acknowledges until nothing moves any more. */
async function settle(members: readonly ConsumerGroupClient[]): Promise<void> {
  for (let round = 0; round < 6; round++) for (const one of members) await one.own()
  expect(b.broker.group('g').state).toBe('Stable')
}

/** Members that share `t` in a stable group. */
async function stable(ids: readonly string[], options: BrokerOptions = {}): Promise<ConsumerGroupClient[]> {
  await start(options)
  const members: ConsumerGroupClient[] = []
  for (const id of ids) {
    const one = await member(id)
    await one.join()
    members.push(one)
  }
  await settle(members)
  return members
}

const codeOf = (answer: { readonly errorCode: number }) => answer.errorCode

describe('F-1: the coordinator answers what Apache Kafka 4.1.1 answered', () => {
  it.each([
    ['refusals', refusals, recorded.refusals],
    ['dynamic members', dynamicConsumers, recorded.dynamicConsumers],
    ['static members', staticConsumers, recorded.staticConsumers],
    ['subscriptions', subscribers, recorded.subscribers],
  ] as const)('F-1: groups of KIP-848, %s', async (_name, play, answers) => {
    const raw = await b.start()
    const pause = async () => void (await turn())
    expect(await play({ raw, pause }, 'scenario')).toEqual(answers)
  })
})

describe('time', () => {
  it('C-29: a member that is silent for its session time is out (25), the others get its part', async () => {
    const [a, silent] = (await stable(['a', 'silent'])) as [ConsumerGroupClient, ConsumerGroupClient]
    b.clock.advance(SESSION_MS - 1)
    expect(await a.beat()).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: null })
    expect(b.broker.group('g').members).toHaveLength(2)
    b.clock.advance(1)
    expect(b.broker.group('g')).toMatchObject({ state: 'Assigning', generation: 3, members: [{ memberId: 'a' }] })
    expect(codeOf(await silent.beat())).toBe(25)
    expect(await silent.commit(1)).toBe(25)
    expect(await a.beat()).toMatchObject({
      memberEpoch: 3,
      assignment: { topicPartitions: [{ partitions: [0, 1, 2, 3] }] },
    })
    expect(await silent.join()).toMatchObject({ errorCode: 0, memberEpoch: 4 })
  })

  it('C-29: neither a refused heartbeat nor a commit is a sign of life', async () => {
    const [a] = (await stable(['a'])) as [ConsumerGroupClient]
    b.clock.advance(SESSION_MS - 1)
    expect(codeOf(await a.beat({ memberEpoch: 9 }))).toBe(110)
    expect(await a.commit(1)).toBe(0)
    b.clock.advance(1)
    expect(b.broker.group('g')).toMatchObject({ state: 'Empty', generation: 2, protocol: null })
  })

  it('C-28: who does not let go within its rebalance time is out, and who waits gets the partitions', async () => {
    const [slow] = (await stable(['slow'])) as [ConsumerGroupClient]
    const next = await member('next')
    await next.join()
    await slow.beat()
    expect(slow.assigned).toEqual({ t: [0, 1] })
    b.clock.advance(REBALANCE_TIMEOUT_MS - 1)
    expect(codeOf(await slow.beat())).toBe(0)
    expect(await next.beat()).toMatchObject({ memberEpoch: 2, assignment: null })
    b.clock.advance(1)
    expect(b.broker.group('g').members.map(({ memberId }) => memberId)).toEqual(['next'])
    expect(codeOf(await slow.own())).toBe(25)
    expect(await slow.commit(5)).toBe(25)
    await next.beat()
    expect(next.assigned).toEqual({ t: [0, 1, 2, 3] })
  })

  it('C-28: letting go in time ends the rebalance timer', async () => {
    const [a] = (await stable(['a'])) as [ConsumerGroupClient]
    const next = await member('next')
    await next.join()
    await a.beat()
    b.clock.advance(REBALANCE_TIMEOUT_MS - 1)
    expect(await a.own()).toMatchObject({ errorCode: 0, memberEpoch: 2 })
    await next.beat()
    b.clock.advance(REBALANCE_TIMEOUT_MS)
    expect(b.broker.group('g').members).toHaveLength(2)
  })

  it('C-25: a static member that is away keeps its part for its session, counted from its last heartbeat', async () => {
    await start()
    const [away, other] = [await member('1', 'one'), await member('2')]
    await away.join()
    b.clock.advance(10_000)
    expect(await away.leave(-2)).toMatchObject({ errorCode: 0, memberEpoch: -2 })
    await other.join()
    expect(other.assigned).toEqual({})
    b.clock.advance(SESSION_MS - 10_001)
    await other.beat()
    expect(b.broker.group('g').members.map(({ epoch }) => epoch)).toEqual([-2, 2])
    b.clock.advance(1)
    await other.beat()
    expect(other.assigned).toEqual({ t: [0, 1, 2, 3] })
  })

  it('C-25: a static member that comes back as another process goes on at once, no epoch rises', async () => {
    await start()
    const [first, second] = [await member('1', 'one'), await member('2', 'one')]
    await first.join()
    await first.leave(-2)
    expect(await second.join()).toMatchObject({ errorCode: 0, memberEpoch: 1 })
    expect(second.assigned).toEqual({ t: [0, 1, 2, 3] })
    expect(codeOf(await first.beat({ memberEpoch: 1 }))).toBe(82)
    b.clock.advance(SESSION_MS - 1)
    await second.beat()
    b.clock.advance(SESSION_MS - 1)
    expect(b.broker.group('g').members).toMatchObject([{ memberId: '2', epoch: 1 }])
  })

  it('heartbeat interval and session time are settings, obeyed from the next heartbeat on', async () => {
    const times = { 'group.consumer.heartbeat.interval.ms': 20, 'group.consumer.session.timeout.ms': 100 }
    const [a] = (await stable(['a'], { config: times })) as [ConsumerGroupClient]
    expect(await a.beat()).toMatchObject({ heartbeatIntervalMs: 20 })
    b.clock.advance(99)
    b.broker.setConfig('group.consumer.session.timeout.ms', 500)
    await a.beat()
    b.clock.advance(499)
    expect(b.broker.group('g')).toMatchObject({ state: 'Stable', members: [{ sessionTimeoutMs: 500 }] })
    b.clock.advance(1)
    expect(b.broker.group('g').state).toBe('Empty')
  })
})

describe('members', () => {
  it('group.consumer.max.size: one more is refused (81), a member joins again', async () => {
    const config = { 'group.consumer.max.size': 1 }
    const [a] = (await stable(['a'], { config })) as [ConsumerGroupClient]
    expect(codeOf(await (await member('more')).join())).toBe(81)
    expect(codeOf(await a.join())).toBe(0)
  })

  it('a classic member is refused while there are members (23), and welcome when they are gone', async () => {
    const [a] = (await stable(['a'])) as [ConsumerGroupClient]
    await a.commit(7)
    const classic = new GroupClient(a.raw, 'g')
    expect(codeOf(await classic.join())).toBe(23)
    expect(b.broker.group('g')).toMatchObject({ kind: 'consumer', members: [{ memberId: 'a' }] })
    await a.leave()
    expect(codeOf(await classic.enter())).toBe(0)
    expect(await classic.committed()).toBe(7)
    expect(b.broker.group('g')).toMatchObject({ kind: 'classic', state: 'CompletingRebalance' })
    expect(codeOf(await a.join())).toBe(69)
  })

  it('C-30: a pattern is matched again as soon as a topic comes or goes', async () => {
    await start()
    const a = await member('a')
    await a.join(null, { subscribedTopicRegex: 'metrics\\..+' })
    expect(await a.beat()).toMatchObject({ assignment: null })
    topicIds.set('metrics.cpu', b.broker.createTopic('metrics.cpu', { partitions: 2 }))
    await a.beat()
    expect(a.assigned).toEqual({ 'metrics.cpu': [0, 1] })
    b.broker.deleteTopic('metrics.cpu')
    await a.beat()
    expect(a.assigned).toEqual({})
    expect(b.broker.group('g').members).toMatchObject([{ topics: [], assignment: [] }])
  })

  it('C-3: a recreated topic is another topic: its partitions are given anew under the new id', async () => {
    const [a] = (await stable(['a'])) as [ConsumerGroupClient]
    const topicId = b.broker.recreateTopic('t')
    expect(await a.beat()).toMatchObject({ memberEpoch: 1, assignment: { topicPartitions: [] } })
    expect(await a.own({})).toMatchObject({
      memberEpoch: 2,
      assignment: { topicPartitions: [{ topicId, partitions: [0, 1, 2, 3] }] },
    })
  })
})

describe('control', () => {
  it('group() shows epochs, what members have and shall have, and offsets', async () => {
    const [a] = (await stable(['a'])) as [ConsumerGroupClient]
    await a.commit(5)
    const other = await member('other')
    await other.join(['t'], { serverAssignor: 'range' })
    await a.beat()
    expect(b.broker.group('g')).toMatchObject({
      kind: 'consumer',
      state: 'Reconciling',
      coordinator: 1,
      generation: 2,
      protocolType: 'consumer',
      protocol: 'range',
      leader: null,
      members: [
        {
          memberId: 'a',
          clientId: 'raw',
          clientHost: '/127.0.0.1',
          epoch: 1,
          sessionTimeoutMs: SESSION_MS,
          rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
          topics: ['t'],
          assignment: [0, 1].map((partition) => ({ topic: 't', partition })),
        },
        { memberId: 'other', epoch: 2, assignment: [], target: [2, 3].map((partition) => ({ topic: 't', partition })) },
      ],
      offsets: [{ topic: 't', partition: 0, offset: 5, metadata: '' }],
    })
  })

  it('whenGroup() settles on what a heartbeat did', async () => {
    await start()
    const [a, other] = [await member('a'), await member('other')]
    const isShared = b.broker.whenGroup('g', ({ state, members }) => state === 'Stable' && members.length === 2)
    await a.join()
    await other.join()
    await settle([a, other])
    await isShared
  })

  it('rebalance() moves every partition to another member, without two owners in between', async () => {
    const members = await stable(['a', 'b'])
    const before = members.map(({ assigned }) => assigned)
    expect(before).toEqual([{ t: [0, 1] }, { t: [2, 3] }])
    b.broker.rebalance('g')
    expect(b.broker.group('g')).toMatchObject({ state: 'Reconciling', generation: 3 })
    await members[0]?.beat()
    expect(members[0]?.assigned).toEqual({})
    await settle(members)
    expect(members.map(({ assigned }) => assigned)).toEqual([...before].reverse())
    expect(members.map(({ epoch }) => epoch)).toEqual([3, 3])
  })

  it('fence() puts a member out (25); what does not exist is named', async () => {
    const [a, other] = (await stable(['a', 'other'])) as [ConsumerGroupClient, ConsumerGroupClient]
    b.broker.fence('g', 'other')
    expect(codeOf(await other.beat())).toBe(25)
    await a.beat()
    expect(a.assigned).toEqual({ t: [0, 1, 2, 3] })
    const invalid = expect.objectContaining({ code: 'INVALID_CONFIG' })
    expect(() => b.broker.fence('g', 'nobody')).toThrow(invalid)
    await a.leave()
    b.broker.rebalance('g')
    expect(b.broker.group('g')).toMatchObject({ state: 'Empty', generation: 4 })
  })

  it('C-34: moveCoordinator(): the old one answers 16, the new one knows epochs and assignments', async () => {
    const [a, other] = (await stable(['a', 'other'], { nodes: 2 })) as [ConsumerGroupClient, ConsumerGroupClient]
    await a.commit(3)
    b.clock.advance(SESSION_MS - 1)
    const next = b.broker.moveCoordinator('g')
    expect([codeOf(await a.beat()), await a.commit(4), codeOf(await a.describe())]).toEqual([16, 16, 16])
    const found = await a.raw.request(FindCoordinator, 6, { keyType: 0, coordinatorKeys: ['g'] })
    expect(found.coordinators[0]?.nodeId).toBe(next)
    const moved = await member('a')
    moved.epoch = a.epoch
    b.clock.advance(SESSION_MS - 1) // the new coordinator gives everybody a whole session
    expect(await moved.beat()).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: null })
    expect(await moved.committed()).toEqual([0, 3])
    b.clock.advance(1)
    expect(b.broker.group('g').members.map(({ memberId }) => memberId)).toEqual(['a'])
    expect(other.epoch).toBe(2)
  })

  it('C-34: when its coordinator dies another broker takes the group over, and gives it back', async () => {
    const [a] = (await stable(['a'], { nodes: 2 })) as [ConsumerGroupClient]
    const home = b.broker.group('g').coordinator
    await b.broker.kill(home)
    expect(b.broker.group('g')).toMatchObject({ state: 'Stable', coordinator: 3 - home })
    const there = await member('a')
    there.epoch = a.epoch
    expect(await there.commit(9)).toBe(0)
    await b.broker.start(home)
    expect(codeOf(await there.beat())).toBe(16)
  })

  it('faults: an ordered code changes nothing, an answer that was lost may be asked for again', async () => {
    const [a] = (await stable(['a'])) as [ConsumerGroupClient]
    b.broker.on({ api: 'ConsumerGroupHeartbeat', nth: 1 }, fault.error(110))
    expect(codeOf(await a.beat())).toBe(110)
    expect(b.broker.group('g').state).toBe('Stable')
    const other = await member('other')
    await other.join()
    await a.beat()
    b.broker.on({ api: 'ConsumerGroupHeartbeat', nth: 1 }, fault.error(15, { when: 'after' }))
    expect(codeOf(await a.own())).toBe(15)
    expect(await a.own(a.assigned)).toMatchObject({ errorCode: 0, memberEpoch: 2 }) // in epoch 1, with nothing it lost
  })
})

describe('versions', () => {
  it.each([
    ['2.8', undefined],
    ['3.9', undefined],
    ['4.1', 1],
    ['4.5', 1],
  ] as const)('F-2: profile %s offers the apis of KIP-848 up to %s, with the feature', async (profile, highest) => {
    const raw = await b.start({ profile })
    const body = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
    const { apiKeys, finalizedFeatures } = await raw.request(ApiVersions, 3, body)
    const offered = (key: number) => apiKeys.find(({ apiKey }) => apiKey === key)?.maxVersion
    expect([offered(68), offered(69)]).toEqual([highest, highest])
    const feature = finalizedFeatures.find(({ name }) => name === 'group.version')
    expect(feature?.maxVersionLevel).toBe(highest)
  })
})
