/** Offsets of a group on a real Kafka: what we commit comes back equal, to us and to others, and what it refuses is told. */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { Cluster } from '../../lib/cluster/index.js'
import { type ConsumerConfig, parseBrokers, resolveConsumerConfig } from '../../lib/config/index.js'
import { Committer } from '../../lib/consumer/group/offsets/committer.js'
import { FindCoordinator } from '../../lib/protocol/index.js'
import { silentLogger, systemClock, systemRandom } from '../../lib/util/index.js'
import { GroupClient, subscription } from '../broker/group-client.js'
import { RawClient } from '../broker/raw-client.js'
import { ScriptedMember } from '../consumer/group/scripted-coordinator.js'
import { bootstrap, brokers, createTopic, describeWithKafka } from '../support/real-kafka.js'

const LIMIT_MS = 30_000
const UNKNOWN = { leaderEpoch: -1, metadata: '' }
const TRUNCATED = /5000 B, more than offset\.metadata\.max\.bytes/

describeWithKafka('offsets', () => {
  const closers: (() => unknown)[] = []
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  let topic = ''

  beforeAll(async () => {
    topic = await createTopic('offsets', { partitions: 3 })
    await admin.connect()
  })
  afterAll(() => admin.disconnect())
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  function stage(config: ConsumerConfig = {}) {
    const groupId = `offsets-${randomUUID().slice(0, 8)}`
    const cluster = new Cluster({ brokers: parseBrokers(bootstrap) ?? [] })
    const member: { now: ScriptedMember | null } = { now: null }
    const committer = new Committer({
      config: resolveConsumerConfig({ brokers: bootstrap, logger: silentLogger, groupId, ...config }),
      cluster,
      clock: systemClock,
      random: systemRandom,
      member: () => member.now,
      isOwned: () => true,
    })
    closers.push(
      () => cluster.close(),
      () => committer.close(),
    )
    const untilMs = () => systemClock.monotonicMs() + LIMIT_MS
    const at = (partition: number, offset: number, more: object = {}) => ({ topic, partition, offset, ...more })
    const commit = (...offsets: ReturnType<typeof at>[]) => committer.commit(offsets, untilMs())
    const commitWithin = (ms: number, ...offsets: ReturnType<typeof at>[]) =>
      committer.commit(offsets, systemClock.monotonicMs() + ms)
    const committed = (...partitions: number[]) => {
      const asked = partitions.map((partition) => ({ topic, partition }))
      return committer.committed(asked, untilMs())
    }
    return { groupId, at, commit, commitWithin, committed, member }
  }

  /** A classic member, alone in the group, played by hand. */
  async function join(groupId: string): Promise<GroupClient> {
    const any = await RawClient.connect(brokers[0] as string)
    closers.push(() => any.close())
    const found = await any.request(FindCoordinator, 4, { keyType: 0, coordinatorKeys: [groupId] })
    const { host, port } = found.coordinators[0] as { host: string; port: number }
    const raw = await RawClient.connect(`${host}:${port}`)
    closers.push(() => raw.close())
    const client = new GroupClient(raw, groupId)
    await client.enter({ protocols: [{ name: 'range', metadata: subscription(topic) }] })
    await client.sync({ [client.memberId]: Buffer.alloc(0) })
    return client
  }

  it.each(['read_uncommitted', 'read_committed'] as const)(
    'C-33, C-35: a standalone commit comes back equal, %s',
    async (isolationLevel) => {
      const { at, commit, committed } = stage({ isolationLevel })
      await commit(at(0, 5, { leaderEpoch: 0, metadata: 'where I was: é€𝄞' }), at(2, 0))
      expect(await committed(2, 1, 0)).toEqual([
        { offset: 0, ...UNKNOWN },
        null,
        { offset: 5, leaderEpoch: 0, metadata: 'where I was: é€𝄞' },
      ])
    },
  )

  it('C-31: the newest of many commits at once is what stays', async () => {
    const { at, commit, committed } = stage()
    await Promise.all(Array.from({ length: 50 }, (_, offset) => commit(at(offset % 3, offset))))
    expect(await committed(0, 1, 2)).toMatchObject([{ offset: 48 }, { offset: 49 }, { offset: 47 }])
  })

  it('CO-9: too large metadata is refused for its partition alone', async () => {
    const { at, commit, committed } = stage()
    const refused = commit(at(0, 5), at(1, 6, { metadata: 'x'.repeat(5_000) }))
    await expect(refused).rejects.toMatchObject({
      code: 'OFFSET_COMMIT_FAILED',
      message: expect.stringMatching(TRUNCATED),
      context: { partitions: [{ partition: 1, kafkaCode: 12 }] },
    })
    expect(await committed(0, 1)).toEqual([{ offset: 5, ...UNKNOWN }, null])
  })

  it('CO-9: a topic that does not exist fails alone', async () => {
    const { at, commit, committed } = stage()
    const gone = { topic: `gone-${randomUUID()}`, partition: 0, offset: 1 }
    await expect(commit(gone, at(0, 5))).rejects.toMatchObject({
      cause: { code: 'TOPIC_NOT_FOUND' },
      context: { partitions: [{ topic: gone.topic }] },
    })
    expect(await committed(0)).toMatchObject([{ offset: 5 }])
  })

  it('CO-9: a member commits under its generation; a foreign one gets 22, a stranger 25, and one without membership 25', async () => {
    const { groupId, at, commit, commitWithin, committed, member } = stage()
    const client = await join(groupId)
    const now = new ScriptedMember()
    member.now = now
    now.identity = { memberId: client.memberId, generation: client.generation, instanceId: null }
    await commit(at(0, 1, { leaderEpoch: 0, metadata: 'mine' }))
    now.generation(client.generation + 5)
    // A round may have overtaken it: repeated until the member knows more, and this one never does.
    await expect(commitWithin(1_000, at(0, 2))).rejects.toMatchObject({
      cause: { code: 'TIMEOUT', cause: { code: 'ILLEGAL_GENERATION' } },
    })
    now.identity = { memberId: 'somebody', generation: client.generation, instanceId: null }
    await expect(commit(at(0, 2))).rejects.toMatchObject({ cause: { code: 'UNKNOWN_MEMBER_ID' } })
    expect([...new Set(now.refusals)]).toEqual([22, 25])
    member.now = null
    await expect(commit(at(0, 2))).rejects.toThrow(/has members, and only they may commit/)
    expect(await committed(0)).toEqual([{ offset: 1, leaderEpoch: 0, metadata: 'mine' }])
    await client.leave()
  })

  it('CO-9: a member of a group that the broker does not know is told so', async () => {
    const { at, commit, member } = stage()
    const now = new ScriptedMember()
    member.now = now
    await expect(commit(at(0, 2))).rejects.toMatchObject({ code: 'OFFSET_COMMIT_FAILED' })
    expect(now.refusals).toEqual([25])
  })

  it('C-33: kafkajs reads the same offsets, and we read those that kafkajs commits', async () => {
    const { groupId, at, commit, committed } = stage()
    await commit(at(0, 42, { metadata: 'ours' }), at(1, 0))
    const [theirs] = await admin.fetchOffsets({ groupId, topics: [topic] })
    expect(theirs?.partitions.sort((a, b) => a.partition - b.partition)).toEqual([
      { partition: 0, offset: '42', metadata: 'ours' },
      { partition: 1, offset: '0', metadata: null },
      { partition: 2, offset: '-1', metadata: null },
    ])
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 2, offset: '17' }] })
    expect(await committed(0, 1, 2)).toMatchObject([{ offset: 42 }, { offset: 0 }, { offset: 17 }])
  })
})
