/**
 * Classic groups of the in-process broker: what a real Kafka answered is answered here too (F-1), time is obeyed to the
 * millisecond, and groups break on command.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { ApiVersions, FindCoordinator, Heartbeat, ListGroups } from '../../lib/protocol/index.js'
import recorded from '../fixtures/groups.json' with { type: 'json' }
import { choices, dynamicMembers, staticMembers } from '../support/group-scenario.js'
import { assignment, GroupClient, REBALANCE_MS, SESSION_MS, SIMPLE } from './group-client.js'
import { bench } from './support.js'

const FIRST_JOIN_MS = 300_000
const b = bench()

async function client(instanceId: string | null = null): Promise<GroupClient> {
  return new GroupClient(await b.connect(b.broker.group('g').coordinator), 'g', instanceId)
}

/** A broker with topic `t`, and members that share a stable generation. */
async function stable(count: number, options: Parameters<typeof b.start>[0] = {}): Promise<GroupClient[]> {
  await b.start(options)
  b.broker.createTopic('t', { partitions: 4 })
  const members: GroupClient[] = []
  for (let index = 0; index < count; index++) {
    const member = await client()
    await member.join()
    const joins = [member.join()]
    if (index > 0) await b.broker.whenGroup('g', ({ state }) => state === 'PreparingRebalance')
    joins.push(...members.map((one) => one.join()))
    await Promise.all(joins)
    members.push(member)
    await syncAll(members)
  }
  return members
}

async function syncAll(members: readonly GroupClient[]): Promise<void> {
  const leader = b.broker.group('g').leader
  const parts = Object.fromEntries(members.map(({ memberId }, partition) => [memberId, assignment('t', partition)]))
  await Promise.all(members.map((member) => member.sync(member.memberId === leader ? parts : {})))
}

const arrived = (api: string, count: number) => b.broker.saw({ api, count: b.broker.count({ api }) + count })

describe('F-1: the coordinator answers what Apache Kafka 4.1.1 answered', () => {
  it.each([
    ['dynamic members', dynamicMembers, recorded.dynamicMembers],
    ['static members', staticMembers, recorded.staticMembers],
    ['protocols, limits and offsets', choices, recorded.choices],
  ] as const)('F-1: %s', async (_name, play, answers) => {
    await b.start()
    b.broker.createTopic('t', { partitions: 2 })
    const reached = (groupId: string, state: string) => b.broker.whenGroup(groupId, (group) => group.state === state)
    expect(await play({ connect: () => b.connect(1), reached }, 'g')).toEqual(answers)
  })
})

describe('time', () => {
  it('a member that is silent for its session time is out (25), the others rebalance (27)', async () => {
    const [a, silent] = (await stable(2)) as [GroupClient, GroupClient]
    b.clock.advance(SESSION_MS - 1)
    expect(await a.heartbeat()).toBe(0)
    expect(b.broker.group('g').members).toHaveLength(2)
    b.clock.advance(1)
    expect(b.broker.group('g')).toMatchObject({ state: 'PreparingRebalance', members: [{ memberId: a.memberId }] })
    expect(await silent.heartbeat()).toBe(25)
    expect(await a.heartbeat()).toBe(27)
    expect(await a.join()).toMatchObject({ errorCode: 0, generationId: 3, members: [{ memberId: a.memberId }] })
  })

  it('a commit is a sign of life, a refused heartbeat is not', async () => {
    const [a] = (await stable(1)) as [GroupClient]
    b.clock.advance(SESSION_MS - 1)
    expect(await a.commit(1)).toBe(0)
    b.clock.advance(SESSION_MS - 1)
    expect(await a.heartbeat({ generationId: 9 })).toBe(22)
    expect(b.broker.group('g').state).toBe('Stable')
    b.clock.advance(1)
    expect(b.broker.group('g')).toMatchObject({ state: 'Empty', generation: 2, leader: null })
  })

  it('who does not join again within the rebalance time is out; who waits for that stays', async () => {
    const [a, lazy] = (await stable(2)) as [GroupClient, GroupClient]
    b.broker.rebalance('g')
    const joined = a.join()
    await arrived('JoinGroup', 1)
    for (let passed = 0; passed < REBALANCE_MS; passed += SESSION_MS / 2) {
      expect(b.broker.group('g')).toMatchObject({ state: 'PreparingRebalance', generation: 2 })
      expect(await lazy.heartbeat()).toBe(27)
      b.clock.advance(SESSION_MS / 2)
    }
    expect(await joined).toMatchObject({ errorCode: 0, generationId: 3, members: [{ memberId: a.memberId }] })
    expect(await lazy.heartbeat()).toBe(25)
  })

  it('who joined and does not ask for its part within the rebalance time is out', async () => {
    const [a, late] = (await stable(2)) as [GroupClient, GroupClient]
    b.broker.rebalance('g')
    await Promise.all([a.join(), late.join()])
    const synced = a.sync({ [a.memberId]: assignment('t', 0) })
    await synced
    expect(b.broker.group('g').state).toBe('Stable')
    for (let passed = 0; passed < REBALANCE_MS; passed += SESSION_MS / 2) {
      expect([await a.heartbeat(), await late.heartbeat()]).toEqual([0, 0])
      b.clock.advance(SESSION_MS / 2)
    }
    expect([await a.heartbeat(), await late.heartbeat()]).toEqual([27, 25])
  })

  it('an id that was given out and never used holds a rebalance up for one session only', async () => {
    const [a] = (await stable(1)) as [GroupClient]
    const ghost = await client()
    expect((await ghost.join()).errorCode).toBe(79)
    expect(b.broker.group('g').pendingMembers).toEqual([ghost.memberId])
    b.broker.rebalance('g')
    const joined = a.join()
    await arrived('JoinGroup', 1)
    b.clock.advance(SESSION_MS - 1)
    expect(b.broker.group('g').state).toBe('PreparingRebalance')
    b.clock.advance(1)
    expect(await joined).toMatchObject({ errorCode: 0, members: [{ memberId: a.memberId }] })
    expect((await ghost.join()).errorCode).toBe(25)
  })

  it('the first rebalance waits for company, again after each newcomer, at most for the rebalance time', async () => {
    await b.start({ config: { 'group.initial.rebalance.delay.ms': 3000 } })
    const members: GroupClient[] = []
    const joins: Promise<{ generationId: number }>[] = []
    for (let index = 0; index < 3; index++) {
      const member = await client()
      await member.join()
      joins.push(member.join())
      await b.broker.whenGroup('g', (group) => group.members.length === index + 1)
      members.push(member)
      if (index < 2) b.clock.advance(2000)
    }
    b.clock.advance(4999)
    expect(b.broker.group('g').state).toBe('PreparingRebalance')
    b.clock.advance(1)
    expect((await Promise.all(joins)).map(({ generationId }) => generationId)).toEqual([1, 1, 1])
  })

  it('a newcomer may wait five minutes for its first generation, whatever its session', async () => {
    const [a] = (await stable(1)) as [GroupClient]
    const member = await client()
    await member.join({ rebalanceTimeoutMs: 2 * FIRST_JOIN_MS })
    const joined = member.join({ rebalanceTimeoutMs: 2 * FIRST_JOIN_MS })
    await b.broker.whenGroup('g', ({ members }) => members.length === 2)
    for (let passed = 0; passed < FIRST_JOIN_MS; passed += SESSION_MS / 2) {
      expect(b.broker.group('g').members).toHaveLength(2)
      expect(await a.heartbeat()).toBe(27)
      b.clock.advance(SESSION_MS / 2)
    }
    expect((await joined).errorCode).toBe(25)
    expect(b.broker.group('g').members).toMatchObject([{ memberId: a.memberId }])
  })

  it('a static member keeps its place through a rebalance it misses, and loses it with its session', async () => {
    await b.start()
    const [a, still] = [await client('a'), await client('still')]
    await a.join()
    await a.sync({})
    const joined = still.join()
    await b.broker.whenGroup('g', ({ state }) => state === 'PreparingRebalance')
    await a.join()
    await joined
    await syncAll([a, still])
    b.broker.rebalance('g')
    const again = a.join()
    await arrived('JoinGroup', 1)
    for (let passed = 0; passed < REBALANCE_MS; passed += SESSION_MS / 2) {
      await still.heartbeat()
      b.clock.advance(SESSION_MS / 2)
    }
    expect((await again).members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(['a', 'still'])
    expect(await still.heartbeat()).toBe(22)
    await a.sync({})
    b.clock.advance(SESSION_MS / 2)
    await a.heartbeat()
    b.clock.advance(SESSION_MS / 2)
    expect(b.broker.group('g').members.map(({ instanceId }) => instanceId)).toEqual(['a'])
  })
})

describe('members', () => {
  it('when the leader leaves, the next member leads', async () => {
    const [a, second] = (await stable(2)) as [GroupClient, GroupClient]
    expect(await a.leave()).toEqual([0, 0])
    expect(await second.heartbeat()).toBe(27)
    expect(await second.join()).toMatchObject({ leader: second.memberId, members: [{ memberId: second.memberId }] })
  })

  it('a leader that joins again rebalances, a follower does not', async () => {
    const [a, follower] = (await stable(2)) as [GroupClient, GroupClient]
    expect(await follower.join()).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(b.broker.group('g').state).toBe('Stable')
    const joined = a.join()
    await b.broker.whenGroup('g', ({ state }) => state === 'PreparingRebalance')
    expect(await follower.heartbeat()).toBe(27)
    expect(await follower.join()).toMatchObject({ generationId: 3 })
    expect(await joined).toMatchObject({ leader: a.memberId, generationId: 3 })
  })

  it('a rebalance while the leader assigns sends the waiting syncs away (27)', async () => {
    const [a, follower] = (await stable(2)) as [GroupClient, GroupClient]
    b.broker.rebalance('g')
    await Promise.all([a.join(), follower.join()])
    const synced = follower.sync()
    await arrived('SyncGroup', 1)
    b.broker.rebalance('g')
    expect((await synced).errorCode).toBe(27)
    expect((await a.sync()).errorCode).toBe(27)
  })

  it('group.max.size: one more is refused (81), before and after its id was given out', async () => {
    const [a] = (await stable(1, { config: { 'group.max.size': 1 } })) as [GroupClient]
    const more = await client()
    expect((await more.join()).errorCode).toBe(81)
    expect(await a.heartbeat()).toBe(0)
    await a.leave()
    const [quick, slow] = [await client(), await client()]
    expect([(await quick.join()).errorCode, (await slow.join()).errorCode]).toEqual([79, 79])
    expect([(await quick.join()).errorCode, (await slow.join()).errorCode]).toEqual([0, 81])
  })

  it('a member whose connection is gone stays until its session ends, and rejoins over another', async () => {
    const [a] = (await stable(1)) as [GroupClient]
    a.raw.close()
    const again = await client()
    again.memberId = a.memberId
    again.generation = a.generation
    expect(await again.heartbeat()).toBe(0)
  })
})

describe('control', () => {
  it('group() shows state, members, assignment and offsets; an unknown one is Dead', async () => {
    const [a, other] = (await stable(2)) as [GroupClient, GroupClient]
    await a.commit(5)
    expect(b.broker.group('g')).toMatchObject({
      state: 'Stable',
      coordinator: 1,
      generation: 2,
      protocolType: 'consumer',
      protocol: 'range',
      leader: a.memberId,
      members: [
        {
          memberId: a.memberId,
          clientId: 'raw',
          clientHost: '/127.0.0.1',
          sessionTimeoutMs: SESSION_MS,
          topics: ['t'],
        },
        { memberId: other.memberId, protocols: ['range'], assignment: [{ topic: 't', partition: 1 }] },
      ],
      offsets: [{ topic: 't', partition: 0, offset: 5, metadata: '' }],
    })
    expect(b.broker.group('none')).toMatchObject({ state: 'Dead', members: [], offsets: [], leader: null })
  })

  it('rebalance() and fence() act on members; what does not exist is named', async () => {
    const [a, other] = (await stable(2)) as [GroupClient, GroupClient]
    b.broker.fence('g', other.memberId)
    expect(await other.heartbeat()).toBe(25)
    expect(await other.commit(1)).toBe(25)
    expect(await a.join()).toMatchObject({ generationId: 3 })
    await syncAll([a])
    b.broker.rebalance('g')
    expect(await a.heartbeat()).toBe(27)
    expect(await a.commit(1)).toBe(0)
    const invalid = expect.objectContaining({ code: 'INVALID_CONFIG' })
    expect(() => b.broker.fence('g', 'nobody')).toThrow(invalid)
    expect(() => b.broker.rebalance('none')).toThrow(invalid)
    await a.leave()
    b.broker.rebalance('g')
    expect(b.broker.group('g').state).toBe('Empty')
  })

  it('moveCoordinator(): the old one answers 16, also to a waiting join; the new one knows the stable generation', async () => {
    const [a, other] = (await stable(2, { nodes: 2 })) as [GroupClient, GroupClient]
    await a.commit(3)
    const former = b.broker.group('g').coordinator
    b.broker.rebalance('g')
    const waiting = a.join()
    await arrived('JoinGroup', 1)
    const next = b.broker.moveCoordinator('g')
    expect(next).not.toBe(former)
    expect((await waiting).errorCode).toBe(16)
    expect([await a.heartbeat(), await a.commit(4), (await a.sync()).errorCode]).toEqual([16, 16, 16])
    expect(await a.leave()).toEqual([16])
    const found = await a.raw.request(FindCoordinator, 6, { keyType: 0, coordinatorKeys: ['g'] })
    expect(found.coordinators[0]?.nodeId).toBe(next)
    expect((await a.raw.request(ListGroups, 5, { statesFilter: [], typesFilter: [] })).groups).toEqual([])
    for (const member of [a, other]) {
      const moved = await client()
      Object.assign(moved, { memberId: member.memberId, generation: member.generation })
      expect(await moved.heartbeat()).toBe(0)
      expect(await moved.committed()).toBe(3)
    }
    b.clock.advance(SESSION_MS)
    expect(b.broker.group('g')).toMatchObject({ state: 'Empty', coordinator: next, offsets: [{ offset: 3 }] })
  })

  it('a group that was never stable is unknown after its coordinator moved', async () => {
    await b.start({ nodes: 2 })
    const member = await client()
    await member.enter()
    b.broker.moveCoordinator('g')
    expect(b.broker.group('g').state).toBe('Dead')
    const moved = await client()
    Object.assign(moved, { memberId: member.memberId, generation: member.generation })
    expect(await moved.heartbeat()).toBe(25)
  })

  it('when its coordinator dies another broker takes the group over, and gives it back', async () => {
    const [a] = (await stable(1, { nodes: 2 })) as [GroupClient]
    const home = b.broker.group('g').coordinator
    await b.broker.kill(home)
    expect(b.broker.group('g')).toMatchObject({ state: 'Stable', coordinator: 3 - home })
    const there = await client()
    Object.assign(there, { memberId: a.memberId, generation: a.generation })
    expect(await there.commit(9)).toBe(0)
    await b.broker.start(home)
    expect(await there.heartbeat()).toBe(16)
    const back = await client()
    Object.assign(back, { memberId: a.memberId, generation: a.generation })
    expect(await back.heartbeat()).toBe(0)
    expect(await back.committed()).toBe(9)
  })

  it('while no broker is alive no session ends', async () => {
    const [a] = (await stable(1)) as [GroupClient]
    await b.broker.stop(1)
    b.clock.advance(10 * SESSION_MS)
    await b.broker.start(1)
    const back = await client()
    Object.assign(back, { memberId: a.memberId, generation: a.generation })
    expect(await back.heartbeat()).toBe(0)
    expect(() => b.broker.moveCoordinator('g')).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })

  it('faults: an error before the work leaves the group alone, one after it lies', async () => {
    const [a] = (await stable(1)) as [GroupClient]
    b.broker.on({ api: 'Heartbeat', nth: 1 }, fault.error(27))
    expect(await a.heartbeat()).toBe(27)
    expect(await a.heartbeat()).toBe(0)
    b.broker.on({ api: 'LeaveGroup', nth: 1 }, fault.error(15, { when: 'after' }))
    expect((await a.leave())[0]).toBe(15)
    expect(b.broker.group('g').state).toBe('Empty')
    b.broker.on({ api: 'JoinGroup', nth: 1 }, fault.error(15))
    expect((await a.join({ memberId: '' })).errorCode).toBe(15)
    b.broker.on({ api: 'OffsetCommit', nth: 1 }, fault.error(14))
    expect([await a.commit(1, SIMPLE), await a.commit(1, SIMPLE)]).toEqual([14, 0])
    b.broker.on({ api: 'Heartbeat', nth: 1 }, fault.drop('before'))
    a.raw.send(Heartbeat, 4, { groupId: 'g', generationId: 1, memberId: 'x' })
    await a.raw.closed
  })

  it('no timer is left when the broker is closed', async () => {
    await stable(2)
    const waiting = await client()
    await waiting.join()
    await b.broker.close()
    b.clock.advance(0)
    expect(b.clock.pendingTimers).toBe(0)
  })
})

describe('versions', () => {
  it.each([
    ['2.1', { 11: 3, 12: 2, 13: 2, 14: 2, 15: 2, 16: 2, 42: 1, 47: undefined }],
    ['2.4', { 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 3, 42: 2, 47: 0 }],
    ['2.8', { 11: 7, 12: 4, 13: 4, 14: 5, 15: 5, 16: 4, 42: 2, 47: 0 }],
    ['3.9', { 11: 9, 12: 4, 13: 5, 14: 5, 15: 5, 16: 5, 42: 2, 47: 0 }],
    ['4.1', { 11: 9, 12: 4, 13: 5, 14: 5, 15: 6, 16: 5, 42: 2, 47: 0 }],
  ] as const)('profile %s offers the group apis of its time', async (profile, highest) => {
    const raw = await b.start({ profile })
    const { apiKeys } = await raw.request(ApiVersions, 2, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    const offered = (key: number) => apiKeys.find(({ apiKey }) => apiKey === key)?.maxVersion
    expect(Object.fromEntries(Object.keys(highest).map((key) => [key, offered(Number(key))]))).toEqual(highest)
  })
})
