/**
 * Classic members against a real Kafka: they share, restart and leave there as on the in-process broker, and a kafkajs
 * member shares a group with them once it offers an assignor under one of Kafka's names.
 */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { afterEach, expect, it } from 'vitest'
import { GroupBench, type PlayOptions } from '../consumer/group/classic-support.js'
import { eventually } from '../support/eventually.js'
import { kafkajsClient } from '../support/interop-kafkajs.js'
import { bootstrap, brokers, createTopic, describeWithKafka } from '../support/real-kafka.js'

const { AssignerProtocol } = kafkajs
const LIMIT_MS = 60_000
const PARTITIONS = 6
const QUICK = { sessionTimeoutMs: 6_000, heartbeatIntervalMs: 500 }

type Assigner = kafkajs.PartitionAssigner
type Numbers = Record<string, number[]>

/**
 * What a kafkajs user gives as `partitionAssigners` to share a group with Java, librdkafka or tandem-mq: a name that all
 * offer, topics as they stand in every version of the subscription, and partitions dealt in turn when it leads.
 */
function standardAssigner(name: string): Assigner {
  return ({ cluster }) => ({
    name,
    version: 0,
    protocol: ({ topics }) => ({
      name,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
    }),
    assign: async ({ members, topics }) => {
      const ids = members.map(({ memberId }) => memberId).sort()
      const given = new Map<string, Numbers>(ids.map((id) => [id, {}]))
      let turn = 0
      for (const topic of topics) {
        for (const { partitionId } of cluster.findTopicPartitionMetadata(topic)) {
          const numbers = given.get(ids[turn++ % ids.length] as string) as Numbers
          numbers[topic] = [...(numbers[topic] ?? []), partitionId]
        }
      }
      return ids.map((memberId) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment: given.get(memberId) as Numbers,
          userData: Buffer.alloc(0),
        }),
      }))
    },
  })
}

describeWithKafka('classic members', () => {
  let bench = new GroupBench()
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
    await bench.end()
    bench = new GroupBench()
  })

  /** Members of a group and topic of their own. */
  async function stage(config: NonNullable<PlayOptions['config']>) {
    const topic = await createTopic('members', { partitions: PARTITIONS })
    const groupId = `members-${randomUUID().slice(0, 8)}`
    bench.useKafka(bootstrap)
    const play = (name: string, more: PlayOptions['config'] = {}) =>
      bench.play(name, { topics: [topic], config: { ...QUICK, ...config, ...more, groupId } })
    return { topic, groupId, play }
  }

  it.each([['range'], ['roundrobin'], ['sticky'], ['cooperative-sticky']] as const)(
    'C-23, C-40: three members under %s share, one leaves, one comes: never two owners',
    async (assignor) => {
      const { play } = await stage({ assignors: [assignor] })
      const [a, b] = [play('a'), play('b')]
      const c = play('c')
      await bench.shared([a, b, c], PARTITIONS, LIMIT_MS)
      expect([a, b, c].map(({ host }) => host.held.length)).toEqual([2, 2, 2])
      await bench.close(b)
      await bench.shared([a, c], PARTITIONS, LIMIT_MS)
      const d = play('d')
      await bench.until('two each', () => [a, c, d].every(({ host }) => host.held.length === 2), LIMIT_MS)
      await bench.shared([a, c, d], PARTITIONS, LIMIT_MS)
      expect(bench.ledger.conflicts).toEqual([])
      expect([a, c, d].map(({ host }) => host.lostBecause)).toEqual([null, null, null])
    },
  )

  it('C-25: a static member restarts and finds its partitions again; nobody else notices', async () => {
    const { play } = await stage({})
    const a = play('a', { groupInstanceId: 'a' })
    const b = play('b', { groupInstanceId: 'b' })
    await bench.shared([a, b], PARTITIONS, LIMIT_MS)
    const rounds = a.host.story.length
    const { held } = b.host
    await bench.close(b)
    const again = play('b again', { groupInstanceId: 'b' })
    await bench.shared([a, again], PARTITIONS, LIMIT_MS)
    expect([again.host.held, a.host.story.length]).toEqual([held, rounds])
    const second = play('a second a', { groupInstanceId: 'a' })
    await bench.until('the first a is fenced', () => a.host.error !== null, LIMIT_MS)
    expect(a.host.error?.context['kafkaCode']).toBe(82)
    await bench.shared([second, again], PARTITIONS, LIMIT_MS)
  })

  it('a killed member is out after its session, and the others share what was its own', async () => {
    const { play } = await stage({ assignors: ['cooperative-sticky'] })
    const [a, b] = [play('a'), play('b')]
    await bench.until('three each', () => [a, b].every(({ host }) => host.held.length === 3), LIMIT_MS)
    await b.kill()
    await bench.until('a has all', () => a.host.held.length === PARTITIONS, LIMIT_MS)
    expect(bench.ledger.conflicts).toEqual([])
  })

  it.each([['range'], ['roundrobin']] as const)(
    'a kafkajs member that offers %s shares the group, whoever leads',
    async (assignor) => {
      const { topic, groupId, play } = await stage({ assignors: [assignor] })
      const consumer = kafkajsClient(brokers, 'a-kafkajs').consumer({
        groupId,
        partitionAssigners: [standardAssigner(assignor)],
        sessionTimeout: QUICK.sessionTimeoutMs,
        heartbeatInterval: QUICK.heartbeatIntervalMs,
        rebalanceTimeout: 20_000,
      })
      closing.push(() => consumer.disconnect())
      let theirs: number[] = []
      let leads = false
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        theirs = payload.memberAssignment[topic] ?? []
        leads = payload.isLeader
      })
      await consumer.connect()
      await consumer.subscribe({ topics: [topic] })
      await consumer.run({ eachMessage: async () => {} })
      await eventually('kafkajs has all', () => theirs.length === PARTITIONS, LIMIT_MS)
      const ours = play('ours')
      const isShared = (count: number) => () => theirs.length === count && ours.host.held.length === PARTITIONS - count
      const all = () => [...theirs.map((partition) => `${topic}/${partition}`), ...ours.host.held].sort()
      const everything = Array.from({ length: PARTITIONS }, (_, partition) => `${topic}/${partition}`)
      await eventually('shared, theirs leads', isShared(3), LIMIT_MS, () => ours.host.story.join(' | '))
      expect([leads, all()]).toEqual([true, everything])
      await consumer.stop() // leaves; ours leads from now on
      theirs = []
      await bench.until('ours has all', () => ours.host.held.length === PARTITIONS, LIMIT_MS)
      await consumer.subscribe({ topics: [topic] })
      await consumer.run({ eachMessage: async () => {} })
      await eventually('shared, ours leads', isShared(3), LIMIT_MS, () => ours.host.story.join(' | '))
      expect([leads, all()]).toEqual([false, everything])
    },
  )
})
