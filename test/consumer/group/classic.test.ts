/** Members under the classic protocol, against the in-process broker on virtual time. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { MQError } from '../../../lib/errors/index.js'
import { groupBench, type Played } from './classic-support.js'

const bench = groupBench()

const cooperative = { assignors: ['cooperative-sticky'] as const }
const statics = (groupInstanceId: string) => ({ groupInstanceId })

describe('joining and leaving', () => {
  it('C-23: a first member joins in two steps, leads, assigns, and is given everything', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 3 })
    const one = b.play('one')
    expect(one.member.identity).toBeNull()
    await b.shared([one], 3)
    expect(one.host.story).toEqual(['assign t/0 t/1 t/2', 'settled'])
    const [first, second] = broker.requests({ api: 'JoinGroup' }).map(({ body }) => body as { memberId: string })
    expect(first?.memberId).toBe('')
    expect(one.member.identity).toEqual({ memberId: second?.memberId, generation: 1, instanceId: null })
  })

  it('C-23: a leaving member says so, and the others share at once what was its own', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 4 })
    const [one, two] = [b.play('one'), b.play('two')]
    await b.shared([one, two], 4)
    const startMs = b.clock.monotonicMs()
    await b.close(two)
    expect(two.member.state).toBe('unsubscribed')
    expect(two.member.identity).toBeNull()
    await b.shared([one], 4)
    expect(b.clock.monotonicMs() - startMs).toBeLessThan(4_000) // a heartbeat, not a session
    expect(broker.count({ api: 'LeaveGroup' })).toBe(1)
    expect(b.ledger.conflicts).toEqual([])
  })

  it.each([['range'], ['roundrobin'], ['sticky'], ['cooperative-sticky']] as const)(
    'C-23: five members under %s share ten partitions, two each',
    async (assignor) => {
      const b = bench()
      const broker = await b.start()
      broker.createTopic('t', { partitions: 10 })
      const members = ['a', 'b', 'c', 'd', 'e'].map((name) => b.play(name, { config: { assignors: [assignor] } }))
      await b.until('two each', () => members.every(({ host }) => host.held.length === 2))
      await b.shared(members, 10)
      expect(b.ledger.conflicts).toEqual([])
    },
  )

  it('C-23: the list of assignors is offered in order; the group takes what all have', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one', { config: { assignors: ['sticky', 'roundrobin', 'range'] } })
    await b.shared([one], 2)
    expect(broker.group('g').protocol).toBe('sticky')
    const two = b.play('two', { config: { assignors: ['range', 'roundrobin'] } })
    await b.shared([one, two], 2)
    expect(['range', 'roundrobin']).toContain(broker.group('g').protocol)
  })

  it('23: a member without a common assignor fails for good, and disturbs nobody', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    await b.shared([one], 2)
    const two = b.play('two', { config: { assignors: ['sticky'] } })
    await b.until('two has failed', () => two.host.error !== null)
    expect(two.host.error?.code).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect([two.member.state, two.member.identity]).toEqual(['fatal', null])
    expect(broker.group('g').generation).toBe(1)
  })

  it('C-23: in real time: three members share, one is killed, the others take over after its session', async () => {
    const b = bench()
    const broker = await b.start({}, true)
    broker.createTopic('t', { partitions: 6 })
    const config = { ...cooperative, sessionTimeoutMs: 600, heartbeatIntervalMs: 100 }
    const [one, two, three] = [b.play('one', { config }), b.play('two', { config }), b.play('three', { config })]
    await b.until('two each', () => [one, two, three].every(({ host }) => host.held.length === 2), 10_000)
    await three.kill()
    await b.until('three each', () => [one, two].every(({ host }) => host.held.length === 3), 10_000)
    await b.shared([one, two], 6, 10_000)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('K-15: a callback as long as it likes to be: heartbeats go on, and the member stays', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one', { config: { sessionTimeoutMs: 1_000, heartbeatIntervalMs: 300 } })
    one.host.beforeAssigned = () => new Promise(() => {})
    await b.until('assigned', () => one.host.held.length === 2)
    const from = broker.count({ api: 'Heartbeat' })
    await b.pass(10_000)
    const beats = broker.count({ api: 'Heartbeat' }) - from
    expect(beats).toBeGreaterThanOrEqual(30)
    expect(beats).toBeLessThanOrEqual(35)
    expect(broker.group('g').members.length).toBe(1)
    expect(one.host.story).toEqual(['assign t/0 t/1'])
  })
})

describe('eager and cooperative', () => {
  it('eager: everything is given back before each join, and given anew after it', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    await b.shared([one], 2)
    const two = b.play('two')
    await b.shared([one, two], 2)
    expect(one.host.story.slice(0, 3)).toEqual(['assign t/0 t/1', 'settled', 'revoke t/0 t/1'])
    expect(one.host.story[3]).toMatch(/^assign t\/[01]$/)
  })

  it('C-24: cooperative: only what moves is given back, and given away in a second round', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 4 })
    const one = b.play('one', { config: cooperative })
    await b.shared([one], 4)
    const two = b.play('two', { config: cooperative })
    await b.until('two each', () => one.host.held.length === 2 && two.host.held.length === 2)
    await b.shared([one, two], 4)
    const revoked = one.host.story.filter((line) => line.startsWith('revoke'))
    expect(revoked.length).toBe(1)
    expect(revoked[0]?.split(' ').length).toBe(3)
    expect(one.host.story.filter((line) => line.startsWith('assign'))).toEqual(['assign t/0 t/1 t/2 t/3'])
    expect(b.ledger.moves).toBe(6)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('a list with an eager name in it is eager; a group moves over member by member', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 4 })
    const both = { assignors: ['range', 'cooperative-sticky'] as const }
    let [one, two] = [b.play('one'), b.play('two')]
    await b.shared([one, two], 4)
    for (const config of [both, cooperative]) {
      await b.close(one)
      one = b.play('one', { config })
      await b.shared([one, two], 4)
      await b.close(two)
      two = b.play('two', { config })
      await b.shared([one, two], 4)
    }
    await b.until('two each', () => one.host.held.length === 2 && two.host.held.length === 2)
    expect(broker.group('g').protocol).toBe('cooperative-sticky')
    expect(b.ledger.conflicts).toEqual([])
  })

  it('cooperative: a dropped topic is given back before the join, the others are kept', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    broker.createTopic('u', { partitions: 2 })
    const one = b.play('one', { config: cooperative, topics: ['t', 'u'] })
    await b.until('four', () => one.host.held.length === 4 && one.member.state === 'stable')
    one.host.wanted = ['t']
    one.member.topicsChanged()
    await b.until('settled again', () => one.host.settledCount === 2)
    expect(one.host.story.slice(-2)).toEqual(['revoke u/0 u/1', 'settled'])
    expect(one.host.held).toEqual(['t/0', 't/1'])
  })

  it('topicsChanged with the same topics costs no round, and is answered', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    await b.shared([one], 2)
    one.member.topicsChanged()
    await b.until('answered', () => one.host.settledCount === 2)
    expect(broker.count({ api: 'JoinGroup' })).toBe(2)
    expect(one.host.held).toEqual(['t/0', 't/1'])
  })
})

describe('time-outs', () => {
  it('C-28: a revocation slower than the rebalance time-out: fenced, lost, and joined anew', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const config = { rebalanceTimeoutMs: 5_000, maxPollIntervalMs: 60_000 }
    const one = b.play('one', { config })
    await b.shared([one], 2)
    let isFree = false
    let deadlineMs = 0
    one.host.beforeRevoked = (untilMs) => {
      deadlineMs = untilMs
      return new Promise<void>((resolve) => {
        one.host.beforeRevoked = null
        b.clock.setTimer(resolve, 20_000)
      }).then(() => {
        isFree = true
      })
    }
    const former = one.member.identity
    const two = b.play('two', { config })
    await b.until('one has lost', () => one.host.lostBecause !== null)
    expect(isFree).toBe(false)
    expect(b.clock.monotonicMs()).toBeGreaterThanOrEqual(deadlineMs)
    expect(one.member.identity).toBeNull()
    expect(one.host.lostBecause?.code).toBe('REBALANCE_IN_PROGRESS')
    await b.shared([one, two], 2)
    expect(one.member.identity?.memberId === former?.memberId && one.member.identity?.generation === 1).toBe(false)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('heartbeats go on while a revocation waits for a handler', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const config = { sessionTimeoutMs: 1_000, heartbeatIntervalMs: 300 }
    const one = b.play('one', { config })
    await b.shared([one], 2)
    one.host.beforeRevoked = () => new Promise<void>((resolve) => void b.clock.setTimer(resolve, 8_000))
    const two = b.play('two', { config })
    await b.shared([one, two], 2)
    expect(one.host.lostBecause).toBeNull()
  })

  it('no contact within the session time-out: lost although nobody said so, before the group gives them away', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    const two = b.play('two')
    await b.shared([one, two], 2)
    broker.on({ clientId: 'one' }, fault.blackhole())
    await b.until('one has lost', () => one.host.lostBecause !== null)
    expect(one.host.lostBecause?.code).toBe('TIMEOUT')
    expect([one.member.state === 'stable', one.member.identity]).toEqual([false, null])
    await b.until('two has all', () => two.host.held.length === 2)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('a lost connection is no lost membership: the next heartbeat goes over a new one', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    await b.shared([one], 2)
    for (let round = 0; round < 5; round++) {
      broker.disconnect()
      await b.pass(4_000)
    }
    expect(one.host.story).toEqual(['assign t/0 t/1', 'settled'])
    expect(broker.group('g').generation).toBe(1)
  })
})

describe('being fenced', () => {
  it('25: lost, and joined with an empty id', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    await b.shared([one], 2)
    const former = one.member.identity?.memberId as string
    broker.fence('g', former)
    await b.until('lost', () => one.host.lostBecause !== null)
    expect(one.host.lostBecause?.code).toBe('UNKNOWN_MEMBER_ID')
    await b.shared([one], 2)
    expect(one.member.identity?.memberId).not.toBe(former)
    expect(one.host.story).toEqual([
      'assign t/0 t/1',
      'settled',
      'lose t/0 t/1 UNKNOWN_MEMBER_ID',
      'assign t/0 t/1',
      'settled',
    ])
  })

  it('a commit that was refused makes the member ask at once, and act on what is true now', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one', { config: { heartbeatIntervalMs: 60_000, sessionTimeoutMs: 200_000 } })
    await b.shared([one], 2)
    const from = b.clock.monotonicMs()
    one.member.commitRefused(22)
    await b.until('a heartbeat', () => broker.count({ api: 'Heartbeat' }) === 1)
    expect(one.host.lostBecause).toBeNull()
    broker.fence('g', one.member.identity?.memberId as string)
    one.member.commitRefused(25)
    await b.until('lost', () => one.host.lostBecause !== null)
    expect(b.clock.monotonicMs() - from).toBeLessThan(1_000)
    await b.shared([one], 2)
  })

  it('C-26: abandon: left in the background, lost at once; start joins again', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const [one, two] = [b.play('one'), b.play('two')]
    await b.shared([one, two], 2)
    one.member.abandon(new MQError('REBALANCE_IN_PROGRESS', 'too slow', { reason: 'POLL_INTERVAL' }))
    expect([one.member.state, one.member.identity, one.host.held]).toEqual(['unsubscribed', null, []])
    await b.shared([two], 2)
    expect(broker.count({ api: 'LeaveGroup' })).toBe(1)
    one.member.start()
    await b.shared([one, two], 2)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('C-26: abandon while a join is held: the group is rid of it at once', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const [one, two] = [b.play('one'), b.play('two')]
    await b.shared([one, two], 2)
    one.host.beforeRevoked = () => new Promise<void>((resolve) => void b.clock.setTimer(resolve, 5_000))
    broker.rebalance('g')
    await b.until('two waits', () => two.member.state === 'joining')
    two.member.abandon(new MQError('REBALANCE_IN_PROGRESS', 'too slow', { reason: 'POLL_INTERVAL' }))
    two.member.start()
    await b.shared([one, two], 2)
    await b.until('no ghosts', () => broker.group('g').members.length === 2)
    expect(broker.group('g').pendingMembers).toEqual([])
    expect(b.ledger.conflicts).toEqual([])
  })
})

describe('static members', () => {
  it('C-25: a restart within the session causes no rebalance, and gives the same partitions back', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 4 })
    const one = b.play('one', { config: statics('i-1') })
    const two = b.play('two', { config: statics('i-2') })
    await b.shared([one, two], 4)
    for (const stopped of [one, two]) {
      const { generation } = broker.group('g')
      const held = stopped.host.held
      const leader = broker.group('g').leader
      await b.close(stopped)
      const again = b.play(`${stopped.name} again`, { config: statics(stopped === one ? 'i-1' : 'i-2') })
      const other: Played = stopped === one ? two : again
      await b.until('it is back', () => again.host.held.length === 2)
      expect(again.host.held).toEqual(held)
      expect(broker.group('g').generation).toBe(generation)
      expect(leader).not.toBeNull()
      await b.until('rest', () => other.member.state === 'stable')
    }
    expect(broker.count({ api: 'LeaveGroup' })).toBe(0)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('C-25: a second process with the same instance id: the first gets 82 and fails for good', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one', { config: statics('i') })
    await b.shared([one], 2)
    const two = b.play('two', { config: statics('i') })
    await b.until('one has failed', () => one.host.error !== null)
    expect(one.host.error?.code).toBe('UNKNOWN_MEMBER_ID')
    expect(one.host.error?.context).toMatchObject({ kafkaCode: 82, groupId: 'g' })
    expect(one.host.error?.message).toContain('groupInstanceId')
    await b.shared([two], 2)
  })

  it('C-25: a leader that comes back to a broker with skipAssignment watches topics without assigning', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one', { config: statics('i') })
    await b.shared([one], 2)
    await b.close(one)
    const again = b.play('again', { config: statics('i') })
    await b.shared([again], 2)
    expect(broker.group('g').generation).toBe(1)
    broker.addPartitions('t', 3)
    await b.shared([again], 3)
    expect(broker.group('g').generation).toBe(2)
  })

  it('a broker without static members (2.1) is told apart at once', async () => {
    const b = bench()
    const broker = await b.start({ profile: '2.1' })
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one', { config: statics('i') })
    await b.until('failed', () => one.host.error !== null)
    expect(one.host.error?.context.reason).toBe('UNSUPPORTED_VERSION')
    const two = b.play('two') // and without the instance id everything works there
    await b.shared([two], 2)
    await b.close(two)
    expect(broker.group('g').members).toEqual([])
  })
})

describe('topics', () => {
  it('C-30: the leader sees that a topic of any member has grown; everybody gets some', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 1 })
    broker.createTopic('u', { partitions: 1 })
    const one = b.play('one', { topics: ['t'] })
    await b.until('stable', () => one.member.state === 'stable')
    const two = b.play('two', { topics: ['u'] })
    await b.until('both', () => one.host.held.length === 1 && two.host.held.length === 1)
    expect(broker.group('g').leader).toBe(one.member.identity?.memberId)
    broker.addPartitions('u', 3)
    await b.until('u has grown', () => two.host.held.length === 3)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('C-30: a topic that comes later is picked up; until then it counts as empty and a person is told', async () => {
    const b = bench()
    const broker = await b.start({ config: { 'auto.create.topics.enable': false } })
    broker.createTopic('t', { partitions: 1 })
    const one = b.play('one', { topics: ['t', 'later'] })
    await b.shared([one], 1, 10_000)
    expect(one.host.warnings).toEqual(['the group subscribes to topics without partitions: later'])
    broker.createTopic('later', { partitions: 2 })
    await b.shared([one], 3)
    expect(one.host.held).toEqual(['later/0', 'later/1', 't/0'])
  })

  it('C-30: a topic that was deleted is given up, but not because one answer did not know it', async () => {
    const b = bench()
    const broker = await b.start({ config: { 'auto.create.topics.enable': false } })
    broker.createTopic('t', { partitions: 1 })
    broker.createTopic('u', { partitions: 1 })
    const one = b.play('one', { topics: ['t', 'u'] })
    await b.shared([one], 2)
    broker.deleteTopic('u')
    await b.until('given up', () => one.host.held.length === 1)
    expect(broker.group('g').generation).toBe(2)
  })

  it('K-16: leaders of partitions move: no rejoin', async () => {
    const b = bench()
    const broker = await b.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 3, replicationFactor: 3 })
    const one = b.play('one')
    await b.shared([one], 3)
    const joins = broker.count({ api: 'JoinGroup' })
    for (const partition of [0, 1, 2]) {
      broker.moveLeader({ topic: 't', partition }, (broker.log('t', partition).leader % 3) + 1)
    }
    await b.pass(10_000)
    expect(one.cluster.topic('t')?.partitions.map(({ leaderEpoch }) => leaderEpoch > 0)).not.toContain(false)
    expect(broker.count({ api: 'JoinGroup' })).toBe(joins)
  })
})

describe('the coordinator', () => {
  it('C-34: it moves: heartbeats follow, nothing is lost', async () => {
    const b = bench()
    const broker = await b.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 2 })
    const [one, two] = [b.play('one', { config: cooperative }), b.play('two', { config: cooperative })]
    await b.until('one each', () => one.host.held.length === 1 && two.host.held.length === 1)
    await b.shared([one, two], 2)
    for (let round = 0; round < 3; round++) {
      broker.moveCoordinator('g')
      await b.pass(8_000)
    }
    await b.shared([one, two], 2)
    expect([one, two].map(({ host }) => host.lostBecause)).toEqual([null, null])
    expect(broker.group('g').generation).toBeLessThanOrEqual(3)
  })

  it('C-34: it is killed: the next one is found within the session', async () => {
    const b = bench()
    const broker = await b.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 2, replicationFactor: 3 })
    const one = b.play('one')
    await b.shared([one], 2)
    await broker.kill(broker.group('g').coordinator)
    await b.pass(20_000)
    expect(one.host.story).toEqual(['assign t/0 t/1', 'settled'])
  })

  it('it moves while joins are held: everybody joins at the new one', async () => {
    const b = bench()
    const broker = await b.start({ nodes: 3 })
    broker.createTopic('t', { partitions: 4 })
    const [one, two] = [b.play('one'), b.play('two')]
    await b.shared([one, two], 4)
    one.host.beforeRevoked = () => new Promise<void>((resolve) => void b.clock.setTimer(resolve, 5_000))
    broker.rebalance('g')
    await b.until('two waits', () => two.member.state === 'joining')
    broker.moveCoordinator('g')
    one.host.beforeRevoked = null
    await b.shared([one, two], 4)
    expect(b.ledger.conflicts).toEqual([])
  })

  it('K-23: the connection breaks while a join is held: close returns in time', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const [one, two] = [b.play('one'), b.play('two')]
    await b.shared([one, two], 2)
    one.host.beforeRevoked = () => new Promise<void>((resolve) => void b.clock.setTimer(resolve, 30_000))
    broker.rebalance('g')
    await b.until('two waits', () => two.member.state === 'joining')
    broker.disconnect()
    const from = b.clock.monotonicMs()
    await two.member.close(from + 2_000)
    expect(b.clock.monotonicMs() - from).toBeLessThan(2_050)
    expect(two.member.state).toBe('unsubscribed')
  })

  it('K-23: nobody is there any more: close returns at its deadline', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 2 })
    const one = b.play('one')
    await b.shared([one], 2)
    await broker.stop(1)
    const from = b.clock.monotonicMs()
    await one.member.close(from + 3_000)
    expect(b.clock.monotonicMs() - from).toBeLessThan(3_050)
    expect(await one.member.close(0)).toBeUndefined()
  })
})
