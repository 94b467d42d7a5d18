/** Commits over real sockets to the in-process broker: moves, lost answers, generations, groups with members. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Broker, createBroker, fault } from '../../../lib/broker/index.js'
import { Cluster } from '../../../lib/cluster/index.js'
import { type ConsumerConfig, parseBrokers, resolveConsumerConfig } from '../../../lib/config/index.js'
import { Committer } from '../../../lib/consumer/group/offsets/committer.js'
import { seededRandom, silentLogger, systemClock } from '../../../lib/util/index.js'
import { GroupClient } from '../../broker/group-client.js'
import { RawClient } from '../../broker/raw-client.js'
import { at, ScriptedMember } from './scripted-coordinator.js'

const LIMIT_MS = 10_000
const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function stage(config: ConsumerConfig = {}, nodes = 1): Promise<Stage> {
  const broker = await createBroker({ nodes, random: seededRandom(1) })
  await broker.createTopic('t', { partitions: 3 })
  closers.push(() => broker.close())
  const cluster = new Cluster({
    brokers: parseBrokers(broker.bootstrap) ?? [],
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
  })
  closers.push(() => cluster.close())
  return new Stage(broker, cluster, config)
}

class Stage {
  readonly broker: Broker
  member: ScriptedMember | null = null
  readonly committer: Committer

  constructor(broker: Broker, cluster: Cluster, config: ConsumerConfig) {
    this.broker = broker
    const connection = { retryBackoffMs: 5, retryBackoffMaxMs: 20 }
    const base = { brokers: broker.bootstrap, logger: silentLogger, groupId: 'g', connection }
    this.committer = new Committer({
      config: resolveConsumerConfig({ ...base, ...config }),
      cluster,
      clock: systemClock,
      random: seededRandom(2),
      member: () => this.member,
      isOwned: () => true,
    })
    closers.push(() => this.committer.close())
  }

  commit(...offsets: ReturnType<typeof at>[]): Promise<void> {
    return this.committer.commit(offsets, systemClock.monotonicMs() + LIMIT_MS)
  }

  committed(...partitions: number[]) {
    const asked = partitions.map((partition) => ({ topic: 't', partition }))
    return this.committer.committed(asked, systemClock.monotonicMs() + LIMIT_MS)
  }

  /** A classic member of the same group, alone in it; the committer speaks in its name. */
  async join(): Promise<GroupClient> {
    const coordinator = this.broker.bootstrap.split(',')[0] as string
    const raw = await RawClient.connect(coordinator)
    closers.push(() => raw.close())
    const client = new GroupClient(raw)
    await client.enter()
    await client.sync({ [client.memberId]: Buffer.alloc(0) })
    this.member = new ScriptedMember()
    this.member.identity = { memberId: client.memberId, generation: client.generation, instanceId: null }
    return client
  }
}

describe('Committer and the in-process broker', () => {
  it('C-33: what is committed comes back equal: offset, leader epoch, metadata; null where there is nothing', async () => {
    const { commit, committed } = bound(await stage())
    await commit(at(0, 5, { leaderEpoch: 3, metadata: 'where I was' }), at(2, 0))
    expect(await committed(2, 1, 0)).toEqual([
      { offset: 0, leaderEpoch: -1, metadata: '' },
      null,
      { offset: 5, leaderEpoch: 3, metadata: 'where I was' },
    ])
  })

  it('CO-9: too large metadata fails its partition alone', async () => {
    const { commit, committed } = bound(await stage())
    await expect(commit(at(0, 5), at(1, 6, { metadata: 'x'.repeat(5_000) }))).rejects.toMatchObject({
      code: 'OFFSET_COMMIT_FAILED',
      message: expect.stringMatching(/t\/1.*5000 B, more than offset\.metadata\.max\.bytes/),
      context: { partitions: [{ topic: 't', partition: 1, offset: 6, kafkaCode: 12 }] },
    })
    expect(await committed(0, 1)).toMatchObject([{ offset: 5 }, null])
  })

  it('CO-9: an unknown topic fails alone', async () => {
    const { commit, committed } = bound(await stage())
    const gone = { topic: 'gone', partition: 0, offset: 1 }
    await expect(commit(gone, at(0, 5))).rejects.toMatchObject({ cause: { code: 'TOPIC_NOT_FOUND' } })
    expect(await committed(0)).toMatchObject([{ offset: 5 }])
  })

  it('C-31: an answer that is lost is asked for again, and newer values follow in order', async () => {
    const one = await stage()
    const { commit, committed } = bound(one)
    one.broker.on({ api: 'OffsetCommit', nth: 1 }, fault.drop('after'))
    await Promise.all([commit(at(0, 1)), commit(at(0, 2)), commit(at(0, 3), at(1, 4))])
    expect(await committed(0, 1)).toMatchObject([{ offset: 3 }, { offset: 4 }])
  })

  it('C-34: the coordinator moves: the commit follows', async () => {
    const one = await stage({}, 3)
    const { commit, committed } = bound(one)
    await commit(at(0, 1))
    one.broker.moveCoordinator('g')
    await Promise.all([commit(at(0, 2)), committed(0)])
    one.broker.moveCoordinator('g')
    expect(await committed(0)).toMatchObject([{ offset: 2 }])
  })

  it('C-34: a coordinator that is loading is asked again', async () => {
    const one = await stage()
    const { commit, committed } = bound(one)
    one.broker.on({ api: 'OffsetCommit', nth: 1, times: 3 }, fault.error(14))
    one.broker.on({ api: 'OffsetFetch', nth: 1, times: 2 }, fault.error(14))
    await commit(at(0, 7))
    expect(await committed(0)).toMatchObject([{ offset: 7 }])
  })

  it('CO-9: a member commits under its generation; another generation is refused and the member told', async () => {
    const one = await stage()
    const { commit, committed } = bound(one)
    await one.join()
    await commit(at(0, 1))
    const member = one.member as ScriptedMember
    member.generation((member.identity?.generation ?? 0) + 5)
    const outdated = commit(at(0, 2)) // 22: the next generation may be on its way
    await vi.waitFor(() => expect(member.refusals).toContain(22))
    member.generation((member.identity?.generation ?? 0) - 5)
    await outdated
    member.identity = { memberId: 'somebody', generation: 1, instanceId: null }
    await expect(commit(at(0, 2))).rejects.toMatchObject({ cause: { code: 'UNKNOWN_MEMBER_ID' } })
    expect(new Set(member.refusals)).toEqual(new Set([22, 25]))
    expect(await committed(0)).toMatchObject([{ offset: 2 }])
  })

  it('CO-9: without membership a group with members is not written to', async () => {
    const one = await stage()
    const { commit } = bound(one)
    await one.join()
    one.member = null
    await expect(commit(at(0, 2))).rejects.toThrow(/group g has members, and only they may commit/)
  })
})

function bound(one: Stage) {
  return { commit: one.commit.bind(one), committed: one.committed.bind(one) }
}
