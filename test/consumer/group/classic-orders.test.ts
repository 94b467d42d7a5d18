/**
 * Orders of answers that a broker rarely produces: late joins, generations that were missed, nonsense from peers.
 * The coordinator is scripted without sockets; the test holds every question and answers it when it likes.
 */
import { describe, expect, it } from 'vitest'
import { type ConsumerConfig, resolveConsumerConfig } from '../../../lib/config/index.js'
import { classicMember } from '../../../lib/consumer/group/classic/classic-member.js'
import {
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../lib/consumer/group/consumer-protocol.js'
import type { Membership } from '../../../lib/consumer/group/ports.js'
import type { GroupCluster, TopicInfo } from '../../../lib/consumer/ports.js'
import { MQError } from '../../../lib/errors/index.js'
import type { Api, RequestOf } from '../../../lib/protocol/index.js'
import { type Deferred, deferred, FakeClock, seededRandom } from '../../../lib/util/index.js'
import { FakeHost, Ledger } from './classic-support.js'

interface Question {
  readonly api: string
  readonly body: Record<string, unknown>
  readonly purpose: string
  readonly limitMs: number
  readonly done: Deferred<unknown>
  answer(body: object): Promise<void>
  fail(error: MQError): Promise<void>
}

const settle = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
const lost = new MQError('CONNECTION_CLOSED', 'gone', { wasSent: 'possibly' })
const notSent = new MQError('CONNECTION_FAILED', 'down', { wasSent: 'no' })
const parts = (...numbers: number[]) => encodeAssignment(numbers.map((partition) => ({ topic: 't', partition })))

class Stage {
  readonly clock = new FakeClock()
  readonly questions: Question[] = []
  readonly host = new FakeHost('one', ['t'], new Ledger())
  readonly member: Membership
  readonly forgotten: number[] = []
  readonly topics = new Map<string, TopicInfo>()
  readonly listeners = new Set<(topic: TopicInfo) => void>()
  refreshes = 0
  waits = 0

  constructor(config: ConsumerConfig = {}) {
    const base = { groupId: 'g', assignors: ['cooperative-sticky'] as const, clientId: 'one' }
    this.grow('t', 4)
    this.member = classicMember({
      config: resolveConsumerConfig({ ...base, ...config }),
      cluster: this.#cluster(),
      host: this.host,
      clock: this.clock,
      random: seededRandom(1),
    })
  }

  grow(name: string, partitions: number, errorCode = 0): void {
    const list = Array.from({ length: partitions }, (_, partition) => {
      return { partition, errorCode: 0, leaderId: 1, leaderEpoch: 1 }
    })
    const topic = { name, topicId: name, errorCode, partitions: list }
    this.topics.set(name, topic)
    for (const listener of this.listeners) listener(topic)
  }

  /** The oldest question that is not answered. */
  async next(api: string): Promise<Question> {
    await settle()
    const question = this.questions.shift()
    expect(question?.api, this.host.story.join(' | ')).toBe(api)
    return question as Question
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left))
      await settle()
    }
  }

  /** Generation and partitions; another member leads. */
  async enter(generationId: number, ...numbers: number[]): Promise<void> {
    const join = await this.next('JoinGroup')
    await join.answer({
      errorCode: 0,
      memberId: 'm',
      generationId,
      leader: 'other',
      protocolName: 'cooperative-sticky',
      members: [],
    })
    await (await this.next('SyncGroup')).answer({ errorCode: 0, assignment: parts(...numbers) })
  }

  #cluster(): GroupCluster {
    const ask = (_groupId: string, api: Api, body: unknown, options: { purpose?: string; limitMs?: number } = {}) => {
      const made = typeof body === 'function' ? (body as (version: number) => RequestOf<Api>)(9) : body
      const done = deferred<unknown>()
      this.questions.push({
        api: api.name,
        body: made as Record<string, unknown>,
        purpose: options.purpose ?? 'control',
        limitMs: options.limitMs ?? 0,
        done,
        answer: (answer) => {
          done.resolve(answer)
          return settle()
        },
        fail: (error) => {
          done.reject(error)
          return settle()
        },
      })
      return done.promise as never
    }
    const unused = () => Promise.reject(new Error('not asked of a member'))
    return {
      connect: async () => {},
      link: () => {
        throw new Error('not asked of a member')
      },
      request: unused,
      topic: (name) => this.topics.get(name),
      topicById: (id) => this.topics.get(id),
      useTopic: () => {},
      refresh: async () => {
        this.refreshes++
      },
      waitForTopic: () => {
        this.waits++
        return unused()
      },
      applyLeaderHint: () => false,
      onTopic: (listener) => {
        this.listeners.add(listener)
        return () => this.listeners.delete(listener)
      },
      close: async () => {},
      finalizedFeature: () => 0,
      coordinator: async () => 1,
      forgetCoordinator: (_groupId, brokerId) => void this.forgotten.push(brokerId),
      requestGroup: ask,
    }
  }
}

describe('generations', () => {
  it('C-24: a generation that was missed: what is held was free for others, and is lost before the sync', async () => {
    const s = new Stage()
    s.member.start()
    await s.enter(5, 0, 1)
    expect(s.host.held).toEqual(['t/0', 't/1'])
    s.member.topicsChanged()
    s.host.wanted = ['t', 'u']
    s.member.topicsChanged()
    const join = await s.next('JoinGroup')
    await join.answer({
      errorCode: 0,
      memberId: 'm',
      generationId: 8,
      leader: 'other',
      protocolName: 'cooperative-sticky',
      members: [],
    })
    expect(s.host.story.at(-1)).toBe('lose t/0 t/1 ILLEGAL_GENERATION')
    await (await s.next('SyncGroup')).answer({ errorCode: 0, assignment: parts(1) })
    expect(s.host.held).toEqual(['t/1'])
    expect(s.member.identity).toEqual({ memberId: 'm', generation: 8, instanceId: null })
  })

  it('KIP-792: what a member claims is of the generation in which it claimed it last, also when that one was never synced', async () => {
    const s = new Stage()
    s.member.start()
    await s.enter(5, 0, 1)
    s.host.wanted = ['t', 'u']
    s.member.topicsChanged()
    const claims: unknown[] = []
    for (const generationId of [6, 7]) {
      const join = await s.next('JoinGroup')
      const [{ metadata }] = join.body['protocols'] as [{ metadata: Uint8Array }]
      const { owned, generation } = decodeSubscription(metadata)
      claims.push([owned.length, generation])
      await join.answer({
        errorCode: 0,
        memberId: 'm',
        generationId,
        leader: 'other',
        protocolName: 'cooperative-sticky',
        members: [],
      })
      await (await s.next('SyncGroup')).answer({ errorCode: 27, assignment: parts() })
    }
    expect(claims).toEqual([
      [2, 5],
      [2, 6],
    ])
    expect(s.host.held).toEqual(['t/0', 't/1'])
  })

  it('a heartbeat that was under way when the join left says nothing about the new generation', async () => {
    const s = new Stage()
    s.member.start()
    await s.enter(1, 0)
    await s.pass(3_000)
    const beat = await s.next('Heartbeat')
    s.host.wanted = ['t', 'u']
    s.member.topicsChanged()
    await s.enter(2, 0)
    await beat.answer({ errorCode: 25 })
    expect([s.member.state, s.host.lostBecause]).toEqual(['stable', null])
  })

  it('W-10: joins and syncs may be held for the rebalance time-out, on the connection of their own; leaving is not', async () => {
    const s = new Stage({ rebalanceTimeoutMs: 30_000 })
    s.member.start()
    const join = await s.next('JoinGroup')
    expect([join.purpose, join.limitMs]).toEqual(['group', 35_000])
    await join.answer({
      errorCode: 0,
      memberId: 'm',
      generationId: 1,
      leader: 'other',
      protocolName: 'cooperative-sticky',
      members: [],
    })
    const sync = await s.next('SyncGroup')
    expect([sync.purpose, sync.limitMs]).toEqual(['group', 35_000])
    void s.member.close(s.clock.monotonicMs() + 1_000)
    expect((await s.next('LeaveGroup')).purpose).toBe('control')
  })
})

describe('what comes too late', () => {
  it('a join that is answered after abandon: the member it made leaves', async () => {
    const s = new Stage()
    s.member.start()
    const join = await s.next('JoinGroup')
    s.member.abandon(new MQError('REBALANCE_IN_PROGRESS', 'slow'))
    await join.answer({
      errorCode: 79,
      memberId: 'ghost',
      generationId: -1,
      leader: '',
      protocolName: null,
      members: [],
    })
    const leave = await s.next('LeaveGroup')
    expect(leave.body['members']).toMatchObject([{ memberId: 'ghost' }])
    await leave.answer({ errorCode: 0, members: [] })
    expect(s.member.state).toBe('unsubscribed')
  })

  it('close during the first join waits for the id to leave with, a second at most', async () => {
    const s = new Stage()
    s.member.start()
    const join = await s.next('JoinGroup')
    let isClosed = false
    const closed = s.member.close(s.clock.monotonicMs() + 10_000).then(() => {
      isClosed = true
    })
    await join.answer({
      errorCode: 79,
      memberId: 'ghost',
      generationId: -1,
      leader: '',
      protocolName: null,
      members: [],
    })
    expect(isClosed).toBe(false)
    await (await s.next('LeaveGroup')).answer({ errorCode: 0, members: [] })
    await closed
    expect([s.member.state, s.clock.pendingTimers]).toEqual(['unsubscribed', 0])

    const silent = new Stage()
    silent.member.start()
    await silent.next('JoinGroup')
    const gone = silent.member.close(silent.clock.monotonicMs() + 10_000)
    await silent.pass(1_000)
    await gone
  })

  it('answers after close change nothing, and no timer is left', async () => {
    const s = new Stage()
    s.member.start()
    await s.enter(1, 0)
    await s.pass(3_000)
    const beat = await s.next('Heartbeat')
    const closed = s.member.close(s.clock.monotonicMs() + 1_000)
    await (await s.next('LeaveGroup')).answer({ errorCode: 0, members: [] })
    await closed
    await beat.answer({ errorCode: 27 })
    s.member.topicsChanged()
    s.member.commitRefused(22)
    s.member.start()
    await s.pass(60_000)
    expect([s.questions, s.clock.pendingTimers, s.member.state]).toEqual([[], 0, 'unsubscribed'])
  })

  it('an assignment that ends after the membership did: the round that waited for it is over', async () => {
    const s = new Stage()
    const assigned = deferred<void>()
    s.host.beforeAssigned = () => assigned.promise
    s.member.start()
    await s.enter(1, 0)
    await s.pass(3_000)
    await (await s.next('Heartbeat')).answer({ errorCode: 25 })
    expect(s.host.story.at(-1)).toBe('lose t/0 UNKNOWN_MEMBER_ID')
    const join = await s.next('JoinGroup')
    assigned.resolve()
    await settle()
    expect([join.body['memberId'], s.host.settledCount]).toEqual(['', 0])
  })
})

describe('the session', () => {
  it('counts from when the last answered heartbeat was sent, not from its answer', async () => {
    const s = new Stage({ sessionTimeoutMs: 5_000, heartbeatIntervalMs: 1_000 })
    s.member.start()
    await s.enter(1, 0)
    await s.pass(1_000)
    const beat = await s.next('Heartbeat')
    await s.pass(2_000)
    await beat.answer({ errorCode: 0 })
    await s.pass(2_950)
    expect(s.host.held).toEqual(['t/0'])
    await s.pass(100)
    expect(s.host.story.at(-1)).toBe('lose t/0 TIMEOUT')
  })

  it('what a cooperative member holds is lost when no join succeeds within the session', async () => {
    const s = new Stage({ sessionTimeoutMs: 5_000, heartbeatIntervalMs: 1_000 })
    s.member.start()
    await s.enter(1, 0, 1)
    s.host.wanted = ['t', 'u']
    s.member.topicsChanged()
    for (let ms = 0; ms < 4_900; ms += 50) {
      await s.pass(50)
      for (const question of s.questions.splice(0)) await question.fail(notSent)
    }
    expect(s.host.held).toEqual(['t/0', 't/1'])
    for (let ms = 0; ms < 200; ms += 50) {
      await s.pass(50)
      for (const question of s.questions.splice(0)) await question.fail(notSent)
    }
    expect(s.host.story.at(-1)).toBe('lose t/0 t/1 TIMEOUT')
    expect(s.member.identity).toBeNull()
  })

  it('C-24: a join that may have counted: given back before the next, while one that was never sent changes nothing', async () => {
    const s = new Stage()
    s.member.start()
    await s.enter(1, 0, 1)
    s.host.wanted = ['t', 'u']
    s.member.topicsChanged()
    await (await s.next('JoinGroup')).fail(notSent)
    await s.pass(200)
    expect(s.host.held).toEqual(['t/0', 't/1'])
    await (await s.next('JoinGroup')).fail(lost)
    await s.pass(400)
    expect(s.host.story.at(-1)).toBe('revoke t/0 t/1')
    const [{ metadata }] = (await s.next('JoinGroup')).body['protocols'] as [{ metadata: Uint8Array }]
    expect(decodeSubscription(metadata).owned).toEqual([])
  })
})

describe('leading', () => {
  const member = (memberId: string, topics: string[]) => {
    const metadata = encodeSubscription({ topics, owned: [], generation: -1, rackId: null })
    return { memberId, groupInstanceId: null, metadata }
  }

  async function lead(s: Stage, members: object[], more: object = {}): Promise<Question> {
    s.member.start()
    const join = await s.next('JoinGroup')
    const mine = { errorCode: 0, memberId: 'm', generationId: 1, leader: 'm', protocolName: 'cooperative-sticky' }
    await join.answer({ ...mine, skipAssignment: false, members, ...more })
    return s.next('SyncGroup')
  }

  const given = (sync: Question) =>
    (sync.body['assignments'] as { memberId: string; assignment: Uint8Array }[]).map(({ memberId }) => memberId)

  it('a member that writes nonsense gets nothing, is told about, and stops nobody', async () => {
    const s = new Stage()
    const nonsense = { memberId: 'x', groupInstanceId: null, metadata: Buffer.from([0, 1, 0x7f, 0xff, 0xff, 0xff]) }
    const sync = await lead(s, [member('m', ['t']), nonsense])
    expect(given(sync)).toEqual(['m', 'x'])
    expect(s.host.warnings.length).toBe(1)
    expect(s.host.warnings[0]).toContain('member x gets no partitions')
  })

  it('an assignment that cannot be read ends the membership, and says why', async () => {
    const s = new Stage()
    const sync = await lead(s, [member('m', ['t'])])
    await sync.answer({ errorCode: 0, assignment: Buffer.from([0, 0, 0, 0, 0, 9, 1]) })
    expect([s.host.error?.code, s.member.state]).toEqual(['INCONSISTENT_GROUP_PROTOCOL', 'fatal'])
  })

  it('an assignor that nobody here offered ends it too', async () => {
    const s = new Stage()
    s.member.start()
    const join = await s.next('JoinGroup')
    await join.answer({ errorCode: 0, memberId: 'm', generationId: 1, leader: 'm', protocolName: 'mine', members: [] })
    expect(s.host.error?.code).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(s.host.error?.message).toContain('mine')
  })

  it('C-30: a topic that one answer does not know is looked at again; it rejoins only when it stays away', async () => {
    const s = new Stage({ sessionTimeoutMs: 200_000, heartbeatIntervalMs: 100_000 })
    const sync = await lead(s, [member('m', ['t'])])
    await sync.answer({ errorCode: 0, assignment: parts(0, 1, 2, 3) })
    s.grow('t', 4, 3)
    await s.pass(4_000)
    s.grow('t', 4)
    await s.pass(2_000)
    expect([s.refreshes, s.questions]).toEqual([1, []])
    s.grow('t', 4, 3)
    await s.pass(4_900)
    expect(s.questions).toEqual([])
    await s.pass(200)
    expect((await s.next('JoinGroup')).body['reason']).toBe('topic t is gone')
    expect(s.listeners.size).toBe(0)
  })

  it('a topic that nobody knows is waited for once, and not in every round', async () => {
    const s = new Stage()
    await (await lead(s, [member('m', ['t', 'later'])])).answer({ errorCode: 0, assignment: parts(0) })
    s.host.wanted = ['t', 'later', 'u']
    s.member.topicsChanged()
    await lead(s, [member('m', ['t', 'later'])])
    expect([s.waits, s.host.warnings.length]).toEqual([1, 1])
  })

  it('a follower watches nothing', async () => {
    const s = new Stage()
    s.member.start()
    await s.enter(1, 0)
    expect(s.listeners.size).toBe(0)
    s.grow('t', 8)
    await settle()
    expect(s.questions).toEqual([])
  })

  it('rebalances without rest are told to a person', async () => {
    const s = new Stage()
    s.member.start()
    for (let round = 1; round <= 20; round++) {
      await s.enter(round, 0)
      s.host.wanted = ['t', `u${round}`]
      s.member.topicsChanged()
    }
    expect(s.host.warnings.length).toBe(2)
    expect(s.host.warnings[0]).toContain('10 rounds without rest')
  })
})
