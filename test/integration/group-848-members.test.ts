/**
 * Members of KIP-848 groups against a real Kafka: they share, leave, die and restart there as on the in-process broker.
 * Why a node of our own: Kafka beats every 5 s and gives a silent member up after 45 s unless it is told otherwise.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { resolveConsumerConfig } from '../../lib/config/index.js'
import { chooseProtocol } from '../../lib/consumer/group/kip848/choose-protocol.js'
import { GroupBench, type PlayOptions } from '../consumer/group/classic-support.js'
import { createTopicNamed, kafkajsClient } from '../support/interop-kafkajs.js'
import { jarFolder, type OwnKafka, startOwnKafka } from '../support/real-kafka.js'

const LIMIT_MS = 60_000
const SETTINGS = {
  'group.consumer.heartbeat.interval.ms': '1000',
  'group.consumer.min.heartbeat.interval.ms': '1000',
  'group.consumer.session.timeout.ms': '6000',
  'group.consumer.min.session.timeout.ms': '6000',
}
/** The session, with room for what follows. */
const SESSION_MS = 30_000
const TEST_MS = 150_000
const PARTITIONS = 6

const whyNot = jarFolder === null ? ' (skipped: no Kafka jars)' : ''

describe.skipIf(jarFolder === null)(`members of KIP-848 groups${whyNot}`, () => {
  let own: OwnKafka
  let bench = new GroupBench()
  beforeAll(() => {
    own = startOwnKafka(SETTINGS)
  })
  afterAll(() => own?.stop())
  afterEach(async () => {
    await bench.end()
    bench = new GroupBench()
  })

  /** Members of a group and topic of their own. */
  async function stage() {
    const topic = `m2-members-${randomUUID().slice(0, 8)}`
    await createTopicNamed(own.brokers, topic, PARTITIONS)
    const groupId = `m2-${randomUUID().slice(0, 8)}`
    bench.useKafka(own.brokers.join(','))
    const play = (name: string, config: PlayOptions['config'] = {}) =>
      bench.play(name, { topics: [topic], config: { groupProtocol: 'consumer', ...config, groupId } })
    return { topic, groupId, play }
  }

  it(
    'C-27, C-30, C-40: three share, one leaves, one comes, the topic grows: never two owners, and epochs agree',
    async () => {
      const { topic, play } = await stage()
      const [a, b, c] = [play('a'), play('b'), play('c')]
      await bench.until('two each', () => [a, b, c].every(({ host }) => host.held.length === 2), LIMIT_MS)
      await bench.shared([a, b, c], PARTITIONS, LIMIT_MS)
      await bench.close(b)
      await bench.shared([a, c], PARTITIONS, LIMIT_MS)
      const d = play('d')
      await bench.until('two each', () => [a, c, d].every(({ host }) => host.held.length === 2), LIMIT_MS)
      const admin = kafkajsClient(own.brokers, 'm2-admin').admin()
      await admin.connect()
      await admin.createPartitions({ topicPartitions: [{ topic, count: PARTITIONS + 3 }] })
      await admin.disconnect()
      await bench.until('three each', () => [a, c, d].every(({ host }) => host.held.length === 3), LIMIT_MS)
      await bench.shared([a, c, d], PARTITIONS + 3, LIMIT_MS)
      await bench.until(
        'one epoch',
        () => new Set([a, c, d].map(({ member }) => member.identity?.generation)).size === 1,
        LIMIT_MS,
      )
      expect(bench.ledger.conflicts).toEqual([])
      expect([a, c, d].map(({ host }) => host.lostBecause)).toEqual([null, null, null])
    },
    TEST_MS,
  )

  it(
    'C-40: a member that dies without a word is out after its session, and the others take over',
    async () => {
      const { play } = await stage()
      const [a, b] = [play('a'), play('b')]
      await bench.until('three each', () => [a, b].every(({ host }) => host.held.length === 3), LIMIT_MS)
      await b.kill()
      await bench.shared([a], PARTITIONS, SESSION_MS)
      expect(bench.ledger.conflicts).toEqual([])
      expect(a.host.lostBecause).toBeNull()
    },
    TEST_MS,
  )

  it(
    'C-28: a revocation slower than the rebalance time costs everything, and it joins again',
    async () => {
      const { play } = await stage()
      const a = play('a', { rebalanceTimeoutMs: 6_000 })
      await bench.shared([a], PARTITIONS, LIMIT_MS)
      a.host.beforeRevoked = () => bench.pass(9_000)
      const b = play('b')
      await bench.until('a has lost all', () => a.host.lostBecause !== null, LIMIT_MS)
      expect(a.member.identity).toBeNull()
      a.host.beforeRevoked = null
      await bench.until('three each', () => [a, b].every(({ host }) => host.held.length === 3), LIMIT_MS)
      expect(bench.ledger.conflicts).toEqual([])
    },
    TEST_MS,
  )

  it(
    'C-25: a static member restarts and finds its partitions; a second one with its id is refused with 111',
    async () => {
      const { play } = await stage()
      const [a, b] = [play('a', { groupInstanceId: 'a' }), play('b', { groupInstanceId: 'b' })]
      await bench.until('three each', () => [a, b].every(({ host }) => host.held.length === 3), LIMIT_MS)
      await bench.shared([a, b], PARTITIONS, LIMIT_MS)
      const { held } = b.host
      const told = a.host.story.length
      await bench.close(b)
      const again = play('b again', { groupInstanceId: 'b' })
      await bench.shared([a, again], PARTITIONS, LIMIT_MS)
      expect([again.host.held, a.host.story.length]).toEqual([held, told])
      const second = play('second b', { groupInstanceId: 'b' })
      await bench.until('refused', () => second.host.error !== null, LIMIT_MS)
      expect(second.host.error?.context.kafkaCode).toBe(111)
    },
    TEST_MS,
  )

  it('CO-10: auto chooses KIP-848 here', async () => {
    const { groupId, play } = await stage()
    const { cluster } = play('a')
    const config = resolveConsumerConfig({ groupId, groupProtocol: 'auto', brokers: own.brokers.join(',') })
    expect(await chooseProtocol(cluster, config)).toBe('consumer')
  })
})
