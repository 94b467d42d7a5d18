/** The table of kafka.md 5.5 for classic members: every error number at every step, from the in-process broker. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { type GroupBench, groupBench, type Played } from './classic-support.js'

const bench = groupBench()

const MENDS = [14, 15, 16, 27, -1, 7]
/** What a person has to change something about: our code for it. */
const FATAL: readonly (readonly [number, string])[] = [
  [23, 'INCONSISTENT_GROUP_PROTOCOL'],
  [24, 'INVALID_CONFIG'],
  [26, 'INVALID_SESSION_TIMEOUT'],
  [30, 'AUTHORIZATION_FAILED'],
  [42, 'CONSUME_FAILED'],
  [81, 'CONSUME_FAILED'],
  [82, 'UNKNOWN_MEMBER_ID'],
  [112, 'INCONSISTENT_GROUP_PROTOCOL'],
  [9999, 'CONSUME_FAILED'],
]
const eager = { heartbeatIntervalMs: 500 }
const cooperative = { ...eager, assignors: ['cooperative-sticky'] as const }

async function one(b: GroupBench, config: object): Promise<Played> {
  const broker = await b.start({ nodes: 2 })
  broker.createTopic('t', { partitions: 2 })
  const played = b.play('one', { config })
  await b.shared([played], 2)
  return played
}

const losses = ({ host }: Played) => host.story.filter((line) => line.startsWith('lose'))

describe('FindCoordinator', () => {
  it.each([14, 15, 16, -1])('%s mends itself', async (code) => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 1 })
    const found = broker.on({ api: 'FindCoordinator', times: 7 }, fault.error(code))
    const played = b.play('one')
    await b.shared([played], 1)
    expect(found.hits).toBe(7)
  })

  it.each([
    [24, 'INVALID_CONFIG'],
    [30, 'AUTHORIZATION_FAILED'],
  ])('%s is fatal: %s', async (code, expected) => {
    const b = bench()
    const broker = await b.start()
    broker.on({ api: 'FindCoordinator' }, fault.error(code))
    const { host, member } = b.play('one')
    await b.until('failed', () => host.error !== null)
    expect([host.error?.code, host.error?.context['resource'], member.state]).toEqual([expected, 'group g', 'fatal'])
  })

  it('repeated failures are told to a person', async () => {
    const b = bench()
    const broker = await b.start()
    broker.createTopic('t', { partitions: 1 })
    broker.on({ api: 'JoinGroup', times: 12 }, fault.error(15))
    const played = b.play('one')
    await b.shared([played], 1)
    expect(played.host.warnings.length).toBe(2)
    expect(played.host.warnings[0]).toMatch(/5 attempts in a row to join group g/)
  })
})

describe('JoinGroup', () => {
  it.each(MENDS)('%s mends itself: joined in the end, a cooperative member loses nothing', async (code) => {
    const b = bench()
    const played = await one(b, cooperative)
    const former = played.member.identity?.memberId
    const join = b.broker.on({ api: 'JoinGroup', times: 3 }, fault.error(code))
    b.broker.rebalance('g')
    await b.until('joined', () => played.host.settledCount === 2)
    expect(join.hits).toBe(3)
    expect([losses(played), played.member.identity?.memberId]).toEqual([[], former])
  })

  it.each([22, 25])('%s: lost, and joined again', async (code) => {
    const b = bench()
    const played = await one(b, cooperative)
    const former = played.member.identity?.memberId
    b.broker.on({ api: 'JoinGroup', times: 1, nth: 1 }, fault.error(code))
    b.broker.rebalance('g')
    await b.until('joined', () => played.host.settledCount === 2, 400_000)
    expect(losses(played).length).toBe(1)
    expect(played.member.identity?.memberId === former).toBe(code === 22)
  })

  it.each(FATAL)('%s is fatal: %s', async (code, expected) => {
    const b = bench()
    const played = await one(b, eager)
    b.broker.on({ api: 'JoinGroup' }, fault.error(code))
    b.broker.rebalance('g')
    await b.until('failed', () => played.host.error !== null)
    expect([played.host.error?.code, played.host.error?.context['kafkaCode']]).toEqual([expected, code])
    expect(played.host.error?.message).toContain('group g')
    expect([played.member.state, played.member.identity, played.host.held]).toEqual(['fatal', null, []])
    const asked = () => b.broker.count({ api: 'JoinGroup' }) + b.broker.count({ api: 'Heartbeat' })
    const before = asked()
    await b.pass(5_000)
    expect(asked()).toBe(before)
  })

  it('79 for ever makes no hot loop', async () => {
    const b = bench()
    const broker = await b.start()
    broker.on({ api: 'JoinGroup' }, fault.error(79))
    b.play('one')
    await b.pass(5_000)
    expect(broker.count({ api: 'JoinGroup' })).toBeLessThan(150)
  })

  it.each([['drop'], ['blackhole']] as const)(
    'C-24: a join whose answer never came (%s) may have counted: everything is given back before the next',
    async (kind) => {
      const b = bench()
      const played = await one(b, { ...cooperative, rebalanceTimeoutMs: 3_000, sessionTimeoutMs: 60_000 })
      b.broker.on({ api: 'JoinGroup', times: 1 }, kind === 'drop' ? fault.drop('after') : fault.blackhole())
      b.broker.rebalance('g')
      await b.until('joined', () => played.host.settledCount === 2)
      expect(played.host.story.slice(2)).toEqual(['revoke t/0 t/1', 'assign t/0 t/1', 'settled'])
    },
  )
})

describe('SyncGroup', () => {
  it.each(MENDS)('%s mends itself: joined again, a cooperative member loses nothing', async (code) => {
    const b = bench()
    const played = await one(b, cooperative)
    const sync = b.broker.on({ api: 'SyncGroup', times: 3 }, fault.error(code))
    b.broker.rebalance('g')
    await b.until('joined', () => played.host.settledCount === 2)
    expect(sync.hits).toBe(3)
    expect(losses(played)).toEqual([])
  })

  it.each([22, 25])('%s: lost, and joined again', async (code) => {
    const b = bench()
    const played = await one(b, cooperative)
    b.broker.on({ api: 'SyncGroup', times: 1 }, fault.error(code))
    b.broker.rebalance('g')
    await b.until('joined', () => played.host.settledCount === 2, 400_000)
    expect(losses(played).length).toBe(1)
  })

  it.each(FATAL)('%s is fatal: %s', async (code, expected) => {
    const b = bench()
    const played = await one(b, cooperative)
    b.broker.on({ api: 'SyncGroup' }, fault.error(code))
    b.broker.rebalance('g')
    await b.until('failed', () => played.host.error !== null)
    expect([played.host.error?.code, played.member.state, losses(played).length]).toEqual([expected, 'fatal', 1])
  })

  it('a sync whose answer never came: the join counted, so what is held is kept', async () => {
    const b = bench()
    const played = await one(b, cooperative)
    b.broker.on({ api: 'SyncGroup', times: 1 }, fault.drop('after'))
    b.broker.rebalance('g')
    await b.until('joined', () => played.host.settledCount === 2)
    expect(played.host.story.slice(2)).toEqual(['settled'])
  })
})

describe('Heartbeat', () => {
  it.each([14, 15, 16, -1, 7])('%s mends itself: nothing is lost, nobody joins', async (code) => {
    const b = bench()
    const played = await one(b, eager)
    const joins = b.broker.count({ api: 'JoinGroup' })
    const beat = b.broker.on({ api: 'Heartbeat', times: 7 }, fault.error(code))
    await b.until('over', () => beat.hits === 7)
    await b.pass(2_000)
    expect([played.host.story, b.broker.count({ api: 'JoinGroup' })]).toEqual([['assign t/0 t/1', 'settled'], joins])
    expect(played.host.warnings.length).toBe(1)
  })

  it.each([14, 16])('%s for longer than the session: lost', async (code) => {
    const b = bench()
    const played = await one(b, { ...eager, sessionTimeoutMs: 3_000 })
    const beat = b.broker.on({ api: 'Heartbeat' }, fault.error(code))
    await b.until('lost', () => losses(played).length === 1)
    expect(played.host.lostBecause?.code).toBe('TIMEOUT')
    beat.remove()
    await b.shared([played], 2)
  })

  it('27: given back (eager) and joined again', async () => {
    const b = bench()
    const played = await one(b, eager)
    b.broker.on({ api: 'Heartbeat', times: 1 }, fault.error(27))
    await b.until('joined', () => played.host.settledCount === 2)
    expect(played.host.story.slice(2)).toEqual(['revoke t/0 t/1', 'assign t/0 t/1', 'settled'])
  })

  it.each([22, 25])('%s: lost, and joined again; 22 keeps the member id', async (code) => {
    const b = bench()
    const played = await one(b, eager)
    const former = played.member.identity?.memberId
    b.broker.on({ api: 'Heartbeat', times: 1 }, fault.error(code))
    await b.until('joined', () => played.host.settledCount === 2, 400_000)
    expect(played.host.lostBecause?.context['kafkaCode']).toBe(code)
    expect(played.member.identity?.memberId === former).toBe(code === 22)
  })

  it.each(FATAL)('%s is fatal: %s', async (code, expected) => {
    const b = bench()
    const played = await one(b, eager)
    b.broker.on({ api: 'Heartbeat' }, fault.error(code))
    await b.until('failed', () => played.host.error !== null)
    expect([played.host.error?.code, played.member.state, losses(played).length]).toEqual([expected, 'fatal', 1])
    played.member.start()
    expect(played.member.state).toBe('fatal')
  })

  it.each([
    ['drop', fault.drop('after')],
    ['cut answer', fault.disconnect({ afterBytes: 6 })],
    ['wrong correlation', fault.wrongCorrelation()],
    ['garbage', fault.garbage(Buffer.from([0, 0, 0, 2, 1, 1]))],
  ] as const)('W-15: a damaged answer (%s) costs a socket, not the membership', async (_name, damage) => {
    const b = bench()
    const played = await one(b, eager)
    const hit = b.broker.on({ api: 'Heartbeat', times: 3 }, damage)
    await b.until('over', () => hit.hits === 3)
    await b.pass(3_000)
    expect(played.host.story).toEqual(['assign t/0 t/1', 'settled'])
  })
})

describe('LeaveGroup', () => {
  it.each([14, 15, 16])('%s: repeated, and left', async (code) => {
    const b = bench()
    const played = await one(b, eager)
    b.broker.on({ api: 'LeaveGroup', times: 2 }, fault.error(code))
    await b.close(played)
    expect(b.broker.count({ api: 'LeaveGroup' })).toBe(3)
    expect(b.broker.group('g').members).toEqual([])
  })

  it.each([22, 25, 30, 82, 9999])('%s: we are gone anyway; close ends at once', async (code) => {
    const b = bench()
    const played = await one(b, eager)
    b.broker.on({ api: 'LeaveGroup' }, fault.error(code))
    const from = b.clock.monotonicMs()
    await b.close(played)
    expect(b.broker.count({ api: 'LeaveGroup' })).toBe(1)
    expect(b.clock.monotonicMs() - from).toBeLessThan(1_000)
  })

  it('no answer: close ends at its deadline, and a person is told that the group was not', async () => {
    const b = bench()
    const played = await one(b, eager)
    b.broker.on({ api: 'LeaveGroup' }, fault.blackhole())
    const from = b.clock.monotonicMs()
    await played.member.close(from + 1_500)
    expect(b.clock.monotonicMs() - from).toBeLessThan(1_550)
    await b.until('told', () => played.host.warnings.length === 1)
  })
})
