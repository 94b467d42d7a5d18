/** A member of a KIP-848 group against a coordinator that the test plays, heartbeat by heartbeat. */
import { beforeEach, describe, expect, it } from 'vitest'
import { resolveConsumerConfig } from '../../../lib/config/index.js'
import { chooseProtocol } from '../../../lib/consumer/group/kip848/choose-protocol.js'
import type { MQError } from '../../../lib/errors/index.js'
import { MQError as Failure } from '../../../lib/errors/index.js'
import { deferred, FakeClock, silentLogger } from '../../../lib/util/index.js'
import { answer, assigned } from './kip848-coordinator.js'
import { type Rig, rigOf, turn } from './kip848-support.js'

const T = 'id-t'
let clock: FakeClock

beforeEach(() => {
  clock = new FakeClock()
})

function rig(config: Parameters<typeof rigOf>[1] = {}): Rig {
  return rigOf(clock, config)
}

async function say(it: Rig, reply: ReturnType<typeof answer>): Promise<void> {
  it.cluster.last.answer(reply)
  await turn(clock)
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  await turn(clock)
}

/** Joined, owning t/0 and t/1 under epoch 1, all acknowledged. */
async function stable(config: Parameters<typeof rigOf>[1] = {}): Promise<Rig> {
  const made = rig(config)
  made.member.start()
  await turn(clock)
  await say(made, assigned(1, { [T]: [0, 1] }))
  await say(made, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
  expect(made.member.state).toBe('stable')
  made.host.log.length = 0
  made.cluster.beats.length = 0
  return made
}

describe('C-27: joining and staying', () => {
  it('joins with epoch 0 and all fields, assigns, acknowledges at once, and is settled when that was answered', async () => {
    const r = rig({ groupInstanceId: 'one', rackId: 'r1', rebalanceTimeoutMs: 7_000 })
    r.host.subscription = ['u', 't']
    r.cluster.learn('u', 1)
    expect(r.member.state).toBe('unsubscribed')
    r.member.start()
    await turn(clock)
    expect(r.member.state).toBe('joining')
    expect(r.member.identity).toBeNull()
    const join = r.cluster.last.body
    expect(join).toEqual({
      groupId: 'g',
      memberId: expect.stringMatching(/^[\w-]{22}$/),
      memberEpoch: 0,
      instanceId: 'one',
      rackId: 'r1',
      rebalanceTimeoutMs: 7_000,
      subscribedTopicNames: ['t', 'u'],
      topicPartitions: [],
    })
    expect(join.serverAssignor ?? null).toBeNull()

    r.host.open.assign = deferred()
    await say(r, assigned(3, { [T]: [1, 0] }))
    expect(r.member.state).toBe('reconciling')
    expect(r.cluster.beats).toHaveLength(1)
    r.host.open.assign.resolve()
    await turn(clock)
    expect(r.host.log).toEqual(['assign t/0,t/1'])
    expect(r.member.state).toBe('acknowledging')
    expect(r.cluster.last.body).toEqual({
      groupId: 'g',
      memberId: join.memberId,
      memberEpoch: 3,
      instanceId: 'one',
      rackId: null,
      rebalanceTimeoutMs: -1,
      subscribedTopicNames: null,
      topicPartitions: [{ topicId: T, partitions: [0, 1] }],
    })
    await say(r, answer(0, { memberEpoch: 3, heartbeatIntervalMs: 5_000 }))
    expect(r.member.state).toBe('stable')
    expect(r.host.log).toEqual(['assign t/0,t/1', 'settled'])
    expect(r.member.identity).toEqual({ memberId: join.memberId, generation: 3, instanceId: 'one' })
  })

  it('is settled with nothing when nothing was assigned', async () => {
    const r = rig()
    r.member.start()
    await turn(clock)
    await say(r, assigned(1, {}))
    expect(r.member.state).toBe('stable')
    expect(r.host.log).toEqual(['settled'])
    expect(r.cluster.beats).toHaveLength(1)
  })

  it('beats in the interval of the answer, with nothing but what changed', async () => {
    const r = await stable()
    await pass(4_999)
    expect(r.cluster.beats).toHaveLength(0)
    await pass(1)
    const { rebalanceTimeoutMs, subscribedTopicNames, topicPartitions, memberEpoch } = r.cluster.last.body
    expect([memberEpoch, rebalanceTimeoutMs, subscribedTopicNames, topicPartitions]).toEqual([1, -1, null, null])
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 800 }))
    await pass(800)
    expect(r.cluster.beats).toHaveLength(2)
    expect(r.host.settlements).toBe(1)
  })

  it('tells new topics at once, and settles again when that was answered', async () => {
    const r = await stable()
    r.host.subscription = ['t', 'u']
    r.cluster.learn('u', 1)
    r.member.topicsChanged()
    await turn(clock)
    expect(r.cluster.inUse.has('u')).toBe(true)
    expect(r.cluster.last.body.subscribedTopicNames).toEqual(['t', 'u'])
    expect(r.host.settlements).toBe(1)
    await say(r, assigned(2, { [T]: [0, 1], 'id-u': [0] }))
    await say(r, answer(0, { memberEpoch: 2, heartbeatIntervalMs: 5_000 }))
    expect(r.host.log).toEqual(['assign u/0', 'settled'])
  })

  it('tells topics that changed while a heartbeat was on its way with the next one, and is not settled before', async () => {
    const r = await stable()
    await pass(5_000)
    r.host.subscription = []
    r.member.topicsChanged()
    await turn(clock)
    expect(r.cluster.beats).toHaveLength(1)
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    expect(r.cluster.beats).toHaveLength(2)
    expect(r.cluster.last.body.subscribedTopicNames).toEqual([])
    expect(r.host.settlements).toBe(1)
  })

  it('assigns again what the host dropped by itself and subscribed to anew before the coordinator heard of it', async () => {
    const r = await stable()
    await pass(5_000) // A heartbeat is on its way: both changes fall into its time.
    r.host.subscription = []
    r.host.giveBack()
    r.member.topicsChanged()
    r.host.subscription = ['t']
    r.member.topicsChanged()
    await turn(clock)
    expect(r.host.log).toEqual(['assign t/0,t/1', 'settled'])
  })
})

describe('C-27: reconciling', () => {
  it('notices behind a step what the host dropped by itself during it', async () => {
    const r = await stable()
    r.host.open.assign = deferred()
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0, 1, 2] }))
    r.host.subscription = []
    r.host.giveBack()
    r.member.topicsChanged()
    r.host.subscription = ['t']
    r.member.topicsChanged()
    r.host.open.assign.resolve()
    await turn(clock)
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    expect(r.host.held).toEqual(new Set(['t/0', 't/1', 't/2']))
  })

  it('revokes, drops, assigns, and only then acknowledges, within the rebalance time of the answer', async () => {
    const r = await stable({ rebalanceTimeoutMs: 9_000 })
    r.host.open.revoke = deferred()
    await pass(5_000)
    const sentMs = clock.monotonicMs()
    await pass(20)
    await say(r, assigned(1, { [T]: [0, 2] }))
    expect(r.host.log).toEqual(['revoke t/1'])
    expect(r.host.deadlines).toEqual([sentMs + 9_000])
    expect(r.member.state).toBe('reconciling')
    expect(r.member.identity).not.toBeNull()
    expect(r.cluster.beats).toHaveLength(1)
    r.host.open.revoke.resolve()
    await turn(clock)
    expect(r.host.log).toEqual(['revoke t/1', 'revoked t/1', 'assign t/2'])
    expect(r.cluster.beats).toHaveLength(2)
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 2] }])
  })

  it('goes on beating while a revocation runs, and says nothing of it', async () => {
    const r = await stable()
    r.host.open.revoke = deferred()
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0] }))
    for (let round = 0; round < 3; round++) {
      await pass(5_000)
      expect(r.cluster.last.body.topicPartitions).toBeNull()
      await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    }
    expect(r.cluster.beats).toHaveLength(4)
    r.host.open.revoke.resolve()
    await turn(clock)
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0] }])
  })

  it('lists a partition as owned until its revocation has ended, also when everything has to be said again', async () => {
    const r = await stable()
    r.host.open.revoke = deferred()
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0] }))
    await pass(5_000)
    r.cluster.last.cut()
    await turn(clock)
    await pass(200)
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 1] }])
    expect(r.cluster.last.body.rebalanceTimeoutMs).toBe(60_000)
  })

  it('finishes the present step when the assignment changes under it, then follows the newest', async () => {
    const r = await stable()
    r.host.open.revoke = deferred()
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0] }))
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0, 1, 3] }))
    expect(r.host.log).toEqual(['revoke t/1'])
    r.host.open.revoke.resolve()
    await turn(clock)
    expect(r.host.log).toEqual(['revoke t/1', 'revoked t/1', 'assign t/1,t/3'])
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 1, 3] }])
  })

  it('assigns nothing while a heartbeat that lists partitions is unanswered: the coordinator may take what is not listed', async () => {
    const r = rig()
    r.host.subscription = ['t', 'u']
    r.member.start()
    await turn(clock)
    await say(r, assigned(1, { [T]: [0, 1], 'id-u': [0] }))
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 1] }])
    r.cluster.learn('u', 1) // u/0 could be read now, but the heartbeat on its way says that it is not.
    await turn(clock)
    expect(r.host.held).toEqual(new Set(['t/0', 't/1']))
    r.cluster.last.cut()
    await turn(clock)
    await pass(1_000)
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 1] }])
    expect(r.host.held).toEqual(new Set(['t/0', 't/1']))
    await say(r, assigned(3, { [T]: [0, 1] })) // Indeed: it went elsewhere. It may wait for a list without it.
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 1] }])
    await say(r, answer(0, { memberEpoch: 3, heartbeatIntervalMs: 5_000 }))
    expect(r.host.log).toEqual(['assign t/0,t/1', 'settled'])
    await pass(5_000)
    await say(r, assigned(3, { [T]: [0, 1], 'id-u': [0] }))
    expect(r.host.held).toEqual(new Set(['t/0', 't/1', 'u/0']))
  })

  it('C-30: waits for metadata of a topic id it does not know, and handles the rest meanwhile', async () => {
    const r = rig()
    r.host.subscription = ['t', 'u']
    r.member.start()
    await turn(clock)
    await say(r, assigned(1, { [T]: [0], 'id-u': [0, 1] }))
    expect(r.host.log).toEqual(['assign t/0'])
    expect(r.cluster.refreshes).toBe(1)
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0] }])
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    expect(r.member.state).toBe('reconciling')
    expect(r.host.settlements).toBe(0)
    for (let ms = 0; ms < 3_000; ms += 50) await pass(50)
    expect(r.cluster.refreshes).toBeGreaterThan(3)
    r.cluster.learn('u', 1) // Only one partition is known yet.
    await turn(clock)
    expect(r.host.log).toEqual(['assign t/0', 'assign u/0'])
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    r.cluster.learn('u', 2)
    await turn(clock)
    expect(r.host.log).toEqual(['assign t/0', 'assign u/0', 'assign u/1'])
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    expect(r.host.settlements).toBe(1)
    const { refreshes } = r.cluster
    await pass(4_000)
    expect(r.cluster.refreshes).toBe(refreshes)
  })

  it('reads a topic that was made anew under its other id: the old partition is revoked first', async () => {
    const r = await stable()
    r.cluster.learn('t', 2, 'id-new')
    await pass(5_000)
    await say(r, assigned(2, { 'id-new': [0] }))
    expect(r.host.log).toEqual(['revoke t/0,t/1', 'revoked t/0,t/1', 'assign t/0'])
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: 'id-new', partitions: [0] }])
  })
})

describe('C-28, C-29: being fenced', () => {
  it.each([110, 25, 69])(
    'C-29: %i loses all and joins with epoch 0, all fields and the same member id',
    async (code) => {
      const r = await stable()
      await pass(5_000)
      const { memberId } = r.cluster.last.body
      await say(r, answer(code))
      expect(r.host.log).toEqual([
        'lose ' +
          (code === 110 ? 'ILLEGAL_GENERATION' : code === 25 ? 'UNKNOWN_MEMBER_ID' : 'CONSUME_FAILED') +
          ' t/0,t/1',
      ])
      expect(r.member.identity).toBeNull()
      expect(r.member.state).toBe('joining')
      const { body } = r.cluster.last
      expect(body).toMatchObject({ memberId, memberEpoch: 0, subscribedTopicNames: ['t'], topicPartitions: [] })
      await say(r, assigned(9, { [T]: [3] }))
      expect(r.host.held).toEqual(new Set(['t/3']))
      expect(r.member.identity?.generation).toBe(9)
    },
  )

  it('C-29: leaves first when the coordinator fences the join as well, because it has us under another epoch', async () => {
    const r = await stable()
    await pass(5_000)
    await say(r, answer(110))
    await say(r, answer(110))
    await pass(5_000)
    expect(r.cluster.last.body.memberEpoch).toBe(-1)
    await say(r, answer(0, { memberEpoch: -1 }))
    expect(r.cluster.last.body.memberEpoch).toBe(0)
    await say(r, assigned(4, { [T]: [0] }))
    expect(r.host.held).toEqual(new Set(['t/0']))
  })

  it('C-28: a revocation that the coordinator has not heard of within the rebalance time costs everything, without a commit', async () => {
    const r = await stable({ rebalanceTimeoutMs: 8_000 })
    r.host.open.revoke = deferred()
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0] }))
    await pass(5_000)
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    await pass(2_999)
    expect(r.host.log).toEqual(['revoke t/1'])
    await pass(1)
    expect(r.host.log.slice(0, 2)).toEqual(['revoke t/1', 'lose TIMEOUT t/0,t/1'])
    expect(r.member.identity).toBeNull() // Nothing is committed any more.
    expect(r.cluster.last.body).toMatchObject({ memberEpoch: 1, topicPartitions: [] })
    await say(r, answer(25))
    expect(r.cluster.last.body.memberEpoch).toBe(0)
    await say(r, assigned(4, { [T]: [1] }))
    expect(r.host.held).toEqual(new Set(['t/1']))
  })

  it('C-28: the rebalance time counts from the first heartbeat that the coordinator may have read', async () => {
    const r = await stable({ rebalanceTimeoutMs: 8_000 })
    r.host.open.revoke = deferred()
    await pass(5_000)
    const sentMs = clock.monotonicMs()
    r.cluster.last.cut() // It was read: the coordinator waits for us, but we have not been told.
    await turn(clock)
    for (const { length } = r.cluster.beats; r.cluster.beats.length === length; ) await pass(10)
    expect(clock.monotonicMs()).toBeGreaterThan(sentMs)
    await say(r, assigned(1, { [T]: [0] }))
    expect(r.host.deadlines).toEqual([sentMs + 8_000])
  })

  it('C-28: the acknowledgement in time ends the wait, also of what was never read', async () => {
    const r = rig({ rebalanceTimeoutMs: 8_000 })
    r.host.subscription = ['t', 'u']
    r.member.start()
    await turn(clock)
    await say(r, assigned(1, { [T]: [0], 'id-u': [0] }))
    await say(r, answer(0, { memberEpoch: 1, heartbeatIntervalMs: 5_000 }))
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0] }))
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0] }])
    await say(r, answer(0, { memberEpoch: 2, heartbeatIntervalMs: 5_000 }))
    expect(r.member.state).toBe('stable')
    await pass(5_000)
    await say(r, answer(0, { memberEpoch: 2, heartbeatIntervalMs: 5_000 }))
    await pass(5_000)
    expect(r.host.log).toEqual(['assign t/0', 'settled'])
  })

  it('C-28: a revocation slower than the rebalance time is overtaken by the fence; the next assignment waits for its end', async () => {
    const r = await stable({ rebalanceTimeoutMs: 8_000 })
    r.host.open.revoke = deferred()
    await pass(5_000)
    await say(r, assigned(1, { [T]: [0] }))
    await pass(5_000)
    await say(r, answer(25)) // Its clock was ahead of ours.
    expect(r.host.log).toEqual(['revoke t/1', 'lose UNKNOWN_MEMBER_ID t/0,t/1'])
    expect(r.member.identity).toBeNull() // Nothing is committed any more.
    await say(r, assigned(5, { [T]: [1] }))
    expect(r.host.log).toHaveLength(2) // The callback of t/1 still runs.
    await pass(3_000)
    expect(r.host.log).toEqual(['revoke t/1', 'lose UNKNOWN_MEMBER_ID t/0,t/1', 'revoked t/1', 'assign t/1'])
  })

  it('loses everything when no heartbeat is answered for the session time, and owns nothing before all was said again', async () => {
    const r = await stable()
    const lastSentMs = clock.monotonicMs()
    r.cluster.onBeat = (_body, held) => held.cut()
    for (let ms = 0; ms < 14_900; ms += 100) await pass(100)
    expect(r.host.log).toEqual([])
    for (let ms = 0; ms < 200; ms += 50) await pass(50)
    expect(r.host.log).toEqual(['lose TIMEOUT t/0,t/1'])
    expect(clock.monotonicMs() - lastSentMs).toBeLessThan(15_200)
    expect(r.member.state).toBe('fenced')
    expect(r.member.identity).toBeNull()
    r.cluster.onBeat = null
    for (const { length } = r.cluster.beats; r.cluster.beats.length === length; ) await pass(100)
    expect(r.cluster.last.body).toMatchObject({ memberEpoch: 1, topicPartitions: [], subscribedTopicNames: ['t'] })
    await say(r, assigned(1, { [T]: [0, 1] })) // It has not missed us.
    expect(r.host.log).toEqual(['lose TIMEOUT t/0,t/1', 'assign t/0,t/1'])
  })

  it('does not trust an answer to a heartbeat that left before everything was lost', async () => {
    const r = await stable()
    for (let ms = 0; ms < 15_000; ms += 100) await pass(100)
    expect(r.member.state).toBe('fenced')
    await say(r, assigned(2, { [T]: [0, 1] }))
    expect(r.host.log).toEqual(['lose TIMEOUT t/0,t/1'])
    expect(r.member.identity).toBeNull()
    expect(r.cluster.last.body).toMatchObject({ memberEpoch: 2, topicPartitions: [] })
    await say(r, assigned(2, { [T]: [1] }))
    expect(r.host.held).toEqual(new Set(['t/1']))
  })
})

describe('the table of answers', () => {
  it('14 keeps the coordinator and tries again with all fields; 15 and 16 look it up again', async () => {
    const r = await stable()
    await pass(5_000)
    await say(r, answer(14))
    expect(r.cluster.forgotten).toEqual([])
    await pass(100)
    expect(r.cluster.last.body).toMatchObject({ rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'] })
    expect(r.cluster.last.body.topicPartitions).toEqual([{ topicId: T, partitions: [0, 1] }])
    await say(r, answer(16))
    expect(r.cluster.forgotten).toEqual([1])
    r.cluster.coordinatorId = 2
    await pass(1_000)
    await say(r, answer(15))
    expect(r.cluster.forgotten).toEqual([1, 2])
    expect(r.host.log).toEqual([])
    expect(r.host.warnings).toHaveLength(1)
  })

  it.each([
    [82, 'UNKNOWN_MEMBER_ID'],
    [111, 'CONSUME_FAILED'],
    [112, 'INCONSISTENT_GROUP_PROTOCOL'],
    [128, 'CONSUME_FAILED'],
    [42, 'CONSUME_FAILED'],
    [24, 'INVALID_CONFIG'],
    [30, 'AUTHORIZATION_FAILED'],
    [35, 'CONNECTION_FAILED'],
    [9999, 'CONSUME_FAILED'],
  ])('%i is fatal: everything is lost and the host is told %s', async (code, expected) => {
    const r = await stable()
    await pass(5_000)
    await say(r, answer(code, { errorMessage: 'no' }))
    expect(r.host.log).toEqual([`lose ${expected} t/0,t/1`, `failed ${expected}`])
    expect(r.host.failures[0]?.context).toMatchObject({ kafkaCode: code, groupId: 'g' })
    expect(r.member.state).toBe('fatal')
    expect(r.member.identity).toBeNull()
    await pass(60_000)
    expect(r.cluster.beats).toHaveLength(1)
    r.member.start()
    r.member.topicsChanged()
    expect(r.cluster.beats).toHaveLength(1)
  })

  it('a cluster without group.version, or without heartbeat 1, is refused and no other protocol is spoken', async () => {
    const without = rig()
    without.cluster.groupVersion = 0
    without.member.start()
    await turn(clock)
    expect(without.host.failures[0]).toMatchObject({ code: 'CONNECTION_FAILED', retryable: false })
    expect(without.host.failures[0]?.context.reason).toBe('UNSUPPORTED_VERSION')
    expect(without.cluster.beats).toHaveLength(0)
    const old = rig()
    old.cluster.sendError = new Failure(
      'CONNECTION_FAILED',
      'v0 only',
      { reason: 'UNSUPPORTED_VERSION' },
      { retryable: false },
    )
    old.member.start()
    await turn(clock)
    expect(old.member.state).toBe('fatal')
    expect(old.host.failures[0]?.context.reason).toBe('UNSUPPORTED_VERSION')
  })

  it('goes on trying to join while the coordinator cannot be found, and says so after a while', async () => {
    const r = rig()
    r.cluster.lookUpError = new Failure('GROUP_COORDINATOR_NOT_FOUND', 'not yet', {}, { retryable: true })
    r.member.start()
    for (let ms = 0; ms < 20_000; ms += 100) await pass(100)
    expect(r.member.state).toBe('joining')
    expect(r.host.warnings).toHaveLength(1)
    r.cluster.lookUpError = null
    for (let ms = 0; ms < 5_000; ms += 100) await pass(100)
    expect(r.cluster.last.body.memberEpoch).toBe(0)
  })

  it('a static member whose join was answered into nowhere releases it, instead of being shut out by itself (111)', async () => {
    const r = rig({ groupInstanceId: 'one' })
    r.member.start()
    await turn(clock)
    r.cluster.last.cut()
    await turn(clock)
    await pass(100)
    await say(r, answer(111))
    await pass(1_000)
    expect(r.cluster.last.body).toMatchObject({ memberEpoch: -2, instanceId: 'one' })
    await say(r, answer(0, { memberEpoch: -2 }))
    expect(r.cluster.last.body.memberEpoch).toBe(0)
    await say(r, answer(111)) // Not ours: somebody else has it.
    expect(r.host.failures[0]?.context.kafkaCode).toBe(111)
  })

  it('a static member whose instance belongs to another process is told 82 when it releases', async () => {
    const r = rig({ groupInstanceId: 'one' })
    r.member.start()
    await turn(clock)
    r.cluster.last.cut()
    await turn(clock)
    await pass(100)
    await say(r, answer(111))
    await pass(1_000)
    await say(r, answer(82))
    expect(r.host.failures[0]?.context.kafkaCode).toBe(82)
  })
})

describe('commits', () => {
  it('113: refreshIdentity sends a heartbeat at once and resolves with the epoch it brings', async () => {
    const r = await stable()
    let isDone = false
    const refreshed = r.member.refreshIdentity(clock.monotonicMs() + 1_000).then(() => {
      isDone = true
    })
    await turn(clock)
    expect(r.cluster.beats).toHaveLength(1)
    expect(isDone).toBe(false)
    await say(r, answer(0, { memberEpoch: 6, heartbeatIntervalMs: 5_000 }))
    await refreshed
    expect(r.member.identity?.generation).toBe(6)
  })

  it('113: refreshIdentity rejects at its deadline, and when the member is not one any more', async () => {
    const r = await stable()
    const late = r.member.refreshIdentity(clock.monotonicMs() + 1_000).catch((error: MQError) => error.code)
    await turn(clock)
    await pass(1_000)
    expect(await late).toBe('TIMEOUT')
    const gone = r.member.refreshIdentity(clock.monotonicMs() + 9_000).catch((error: MQError) => error.code)
    r.member.abandon(new Failure('REBALANCE_IN_PROGRESS', 'stuck', { reason: 'POLL_INTERVAL' }))
    expect(await gone).toBe('REBALANCE_IN_PROGRESS')
    expect(await r.member.refreshIdentity(1e9).catch((error: MQError) => error.code)).toBe('UNKNOWN_MEMBER_ID')
  })

  it.each([22, 25, 82, 110])('a commit refused with %i makes a heartbeat ask how things stand', async (code) => {
    const r = await stable()
    r.member.commitRefused(code)
    await turn(clock)
    expect(r.cluster.beats).toHaveLength(1)
    expect(r.host.log).toEqual([])
    await say(r, answer(25))
    expect(r.host.log).toEqual(['lose UNKNOWN_MEMBER_ID t/0,t/1'])
  })

  it('a commit refused for other reasons is not the member’s business', async () => {
    const r = await stable()
    for (const code of [12, 14, 16, 27, 28]) r.member.commitRefused(code)
    await turn(clock)
    expect(r.cluster.beats).toHaveLength(0)
  })
})

describe('leaving', () => {
  it.each([
    [{}, -1],
    [{ groupInstanceId: 'one' }, -2],
  ])('CO-17: close with %o leaves with epoch %i and leaves no timer', async (config, epoch) => {
    const r = await stable(config)
    r.host.giveBack()
    const closed = r.member.close(clock.monotonicMs() + 5_000)
    expect(r.member.state).toBe('leaving')
    expect(r.member.identity).toBeNull()
    expect(r.member.close(1)).toBe(closed)
    await turn(clock)
    expect(r.cluster.last.body.memberEpoch).toBe(epoch)
    await say(r, answer(0, { memberEpoch: epoch }))
    await closed
    expect(r.member.state).toBe('unsubscribed')
    expect(r.host.log).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  it('CO-17: close is bounded by its deadline when nobody answers', async () => {
    const r = await stable()
    r.host.giveBack()
    const closed = r.member.close(clock.monotonicMs() + 3_000)
    for (let ms = 0; ms < 3_000; ms += 100) await pass(100)
    await closed
    await pass(1_000)
    expect(r.member.state).toBe('unsubscribed')
    expect(r.host.warnings).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('CO-17: close tries again when the connection breaks, or another broker coordinates', async () => {
    const r = await stable()
    const closed = r.member.close(clock.monotonicMs() + 9_000)
    await turn(clock)
    r.cluster.last.cut()
    await turn(clock)
    await pass(100)
    await say(r, answer(16))
    expect(r.cluster.forgotten).toEqual([1])
    await pass(200)
    await say(r, answer(25))
    await closed
    expect(r.cluster.beats.map(({ body }) => body.memberEpoch)).toEqual([-1, -1, -1])
  })

  it('CO-17: close before the join was sent leaves nothing, and the join is not sent later', async () => {
    const r = rig()
    r.member.start()
    const closed = r.member.close(clock.monotonicMs() + 3_000)
    await closed
    await turn(clock)
    expect(r.cluster.beats).toHaveLength(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('CO-17: close while a connection for the join is being opened: the join is not sent over it', async () => {
    const r = rig()
    r.cluster.opening = deferred()
    r.member.start()
    await turn(clock)
    await r.member.close(clock.monotonicMs() + 3_000)
    r.cluster.opening.resolve()
    await turn(clock)
    expect(r.cluster.beats).toHaveLength(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('CO-17: close while the join is on its way leaves, and ignores the assignment that comes', async () => {
    const r = rig()
    r.member.start()
    await turn(clock)
    const join = r.cluster.last
    const closed = r.member.close(clock.monotonicMs() + 3_000)
    await turn(clock)
    expect(r.cluster.last.body.memberEpoch).toBe(-1)
    join.answer(assigned(1, { [T]: [0] }))
    await say(r, answer(0, { memberEpoch: -1 }))
    await closed
    expect(r.host.log).toEqual([])
  })

  it('CO-17: close while a revocation runs, while fenced and after a fatal answer', async () => {
    const revoking = await stable()
    revoking.host.open.revoke = deferred()
    await pass(5_000)
    await say(revoking, assigned(1, { [T]: [0] }))
    const first = revoking.member.close(clock.monotonicMs() + 1_000)
    await turn(clock)
    await say(revoking, answer(0, { memberEpoch: -1 }))
    await first
    revoking.host.open.revoke.resolve()
    await turn(clock)
    expect(revoking.cluster.last.body.memberEpoch).toBe(-1)

    const fatal = await stable()
    await pass(5_000)
    await say(fatal, answer(42))
    const second = fatal.member.close(clock.monotonicMs() + 1_000)
    await turn(clock)
    expect(fatal.cluster.last.body.memberEpoch).toBe(-1)
    await say(fatal, answer(0, { memberEpoch: -1 }))
    await second
    expect(fatal.member.state).toBe('fatal')

    const unused = rig()
    await unused.member.close(clock.monotonicMs())
    unused.member.start()
    await turn(clock)
    expect(unused.cluster.beats).toHaveLength(0)
  })

  it('C-26: abandon loses the partitions with its reason, leaves, and start joins again behind it', async () => {
    const r = await stable()
    r.member.abandon(new Failure('REBALANCE_IN_PROGRESS', 'stuck', { reason: 'POLL_INTERVAL' }))
    expect(r.host.log).toEqual(['lose REBALANCE_IN_PROGRESS t/0,t/1'])
    expect(r.member.state).toBe('leaving')
    r.member.start()
    await turn(clock)
    expect(r.cluster.beats.map(({ body }) => body.memberEpoch)).toEqual([-1])
    await say(r, answer(0, { memberEpoch: -1 }))
    expect(r.cluster.beats.map(({ body }) => body.memberEpoch)).toEqual([-1, 0])
    await say(r, assigned(7, { [T]: [2] }))
    expect(r.host.held).toEqual(new Set(['t/2']))
  })
})

describe('chooseProtocol', () => {
  const config = (groupProtocol: 'auto' | 'classic' | 'consumer') =>
    resolveConsumerConfig({ groupId: 'g', groupProtocol, logger: silentLogger })

  it.each([
    ['heartbeat 1 and group.version 1', 1, 1, 'consumer'],
    ['heartbeat 0 alone (Kafka 3.7 to 3.9)', 0, 1, 'classic'],
    ['no group.version', 1, 0, 'classic'],
  ] as const)('CO-10: auto with %s', async (_what, maxVersion, level, expected) => {
    const { cluster } = rig()
    cluster.apiKeys = [{ apiKey: 68, minVersion: 0, maxVersion }]
    cluster.groupVersion = level
    expect(await chooseProtocol(cluster, config('auto'))).toBe(expected)
    cluster.apiKeys = []
    expect(await chooseProtocol(cluster, config('auto'))).toBe('classic')
  })

  it('CO-10: what is asked for by name is not asked about, and a coordinator that is not found is an error', async () => {
    const { cluster } = rig()
    cluster.lookUpError = new Failure('GROUP_COORDINATOR_NOT_FOUND', 'not yet')
    expect(await chooseProtocol(cluster, config('classic'))).toBe('classic')
    expect(await chooseProtocol(cluster, config('consumer'))).toBe('consumer')
    await expect(chooseProtocol(cluster, config('auto'))).rejects.toThrow('not yet')
  })
})
