/**
 * Our consumer on three real nodes in three racks: it reads from the replica of its rack, leaders move under a group,
 * and an unclean election takes back what it had read (C-17, C-19, C-20, K-16, K-19).
 * Why a proxy in between: only what goes over the wire shows whom we ask; and why one cluster for all: it takes longer
 * to start than the tests take.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Cluster } from '../../lib/cluster/index.js'
import { type ConsumerConfig, parseBrokers } from '../../lib/config/index.js'
import { Consumer, Producer } from '../../lib/index.js'
import { ConsumerGroupHeartbeat, Fetch, Heartbeat, JoinGroup } from '../../lib/protocol/index.js'
import { eventually } from '../support/eventually.js'
import { withAdmin } from '../support/interop-kafkajs.js'
import { jarFolder } from '../support/real-kafka.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { type NodeId, ThreeNodes } from '../support/three-nodes.js'

const LIMIT_MS = 60_000
const START_LIMIT_MS = 180_000
/** Each node is a rack, and leaders recommend the replica in the rack of the consumer. */
const SETTINGS = {
  'broker.rack': 'rack-{id}',
  'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
}
const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
const hasJava = spawnSync(java, ['-version']).status === 0
const whyNot = jarFolder !== null && hasJava ? null : 'three nodes need Java 17 and the Kafka jars (mvn)'
const title = `a consumer on three nodes${whyNot === null ? '' : ` (skipped: ${whyNot})`}`
const texts = (from: number, count: number) => Array.from({ length: count }, (_, index) => String(from + index))

describe.skipIf(whyNot !== null)(title, () => {
  let nodes: ThreeNodes
  let producer: Producer
  const closers: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    nodes = await ThreeNodes.start(SETTINGS)
    producer = new Producer({ brokers: nodes.brokers.join(','), logLevel: 'silent' })
  }, START_LIMIT_MS)
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })
  afterAll(async () => {
    await producer?.close({ timeoutMs: 2_000 })
    await nodes?.close()
  }, START_LIMIT_MS)

  /** One partition on these replicas, the first one leads. */
  async function createTopic(name: string, replicas: NodeId[], configs: Record<string, string> = {}): Promise<void> {
    const configEntries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
    const replicaAssignment = [{ partition: 0, replicas }]
    await withAdmin(nodes.brokers, async (admin) => {
      await admin.createTopics({ waitForLeaders: false, topics: [{ topic: name, replicaAssignment, configEntries }] })
    })
    await eventually(`${name} is led`, async () => (await leader(name)) === replicas[0], LIMIT_MS)
  }

  async function leader(topic: string): Promise<number> {
    return (await nodes.partitions(topic))[0]?.leader ?? -1
  }

  /** Fetches that went to each node, while they are counted. */
  function reader(config: ConsumerConfig) {
    const proxy = new TcpProxy()
    const fetches = new Map<number, number>()
    proxy.plan = ({ apiKey, port }) => {
      const node = nodes.brokers.findIndex((address) => address.endsWith(`:${port}`)) + 1
      if (apiKey === Fetch.key) fetches.set(node, (fetches.get(node) ?? 0) + 1)
      return null
    }
    const settings = { brokers: nodes.brokers.join(','), logLevel: 'silent' as const, fetchMaxWaitMs: 100 }
    const cluster = new Cluster({ brokers: parseBrokers(settings.brokers) ?? [] }, { dial: proxy.dial })
    const consumer = new Consumer({ ...settings, autoOffsetReset: 'earliest', ...config }, { cluster })
    const told: string[] = []
    for (const event of ['error', 'reset', 'truncation', 'assigned', 'revoked', 'lost'] as const)
      consumer.on(
        event,
        (what) => void told.push(`${event} ${what instanceof Error ? what.message : JSON.stringify(what)}`),
      )
    const seen: string[] = []
    const take = ({ offset, value }: { offset: number; value: unknown }) => void seen.push(`${offset}=${value}`)
    closers.push(async () => {
      await consumer.close({ timeoutMs: 2_000 })
      await cluster.close()
      await proxy.close()
    })
    return { consumer, seen, take, told, fetches, proxy }
  }

  const seenOf = (from: number, count: number) => texts(from, count).map((text) => `${text}=${text}`)

  async function produce(topic: string, from: number, count: number): Promise<void> {
    const sent = await Promise.all(texts(from, count).map((value) => producer.sendSync(topic, value, { partition: 0 })))
    expect(sent.map(({ offset }) => offset)).toEqual(texts(from, count).map(Number))
  }

  it(
    'C-17, K-19: reads from the replica of its rack; that node stops: from the leader; it is back: from it again',
    async () => {
      await createTopic('racks', [1, 2, 3])
      const { consumer, seen, take, told, fetches } = reader({ rackId: 'rack-2', metadataMaxAgeMs: 5_000 })
      await produce('racks', 0, 10)
      await consumer.assign(['racks'], take)
      for (let from = 10; from < 50; from += 10) {
        await produce('racks', from, 10)
        await eventually('read', () => seen.length >= from + 10, LIMIT_MS)
      }
      expect(fetches.get(2) ?? 0, 'from the follower').toBeGreaterThan(4)
      const atLeader = fetches.get(1) ?? 0
      expect(atLeader).toBeLessThanOrEqual(fetches.get(2) ?? 0)
      await nodes.stop(2)
      await produce('racks', 50, 50)
      await eventually('read from the leader', () => seen.length >= 100, LIMIT_MS)
      expect(fetches.get(1) ?? 0).toBeGreaterThan(atLeader)
      await nodes.start(2)
      await nodes.untilInSync('racks')
      const atFollower = fetches.get(2) ?? 0
      await eventually('the follower serves again', () => (fetches.get(2) ?? 0) > atFollower + 3, LIMIT_MS)
      await produce('racks', 100, 20)
      await eventually('read', () => seen.length >= 120, LIMIT_MS)
      expect(seen).toEqual(seenOf(0, 120))
      expect(told).toEqual([])
    },
    START_LIMIT_MS,
  )

  it.each(['classic', 'consumer'] as const)(
    'C-20, K-16: leaders move under a group (%s): no round, no gap, no repetition',
    async (groupProtocol) => {
      const topic = `moves-${groupProtocol}`
      await createTopic(topic, [1, 2, 3])
      const { consumer, seen, take, told, proxy } = reader({ groupId: `${topic}-group`, groupProtocol })
      await consumer.subscribe(topic, take)
      await produce(topic, 0, 20)
      await eventually('read', () => seen.length >= 20, LIMIT_MS)
      const before = [proxy.seen(JoinGroup.key), consumer.getMetrics().generation]
      for (let round = 1; round <= 5; round++) {
        await nodes.moveLeaders(topic)
        await produce(topic, round * 20, 20)
        await eventually('read', () => seen.length >= round * 20 + 20, LIMIT_MS)
      }
      const heartbeat = groupProtocol === 'classic' ? Heartbeat.key : ConsumerGroupHeartbeat.key
      const beats = proxy.seen(heartbeat)
      await eventually('two more heartbeats', () => proxy.seen(heartbeat) >= beats + 2, LIMIT_MS)
      expect(seen).toEqual(seenOf(0, 120))
      expect([proxy.seen(JoinGroup.key), consumer.getMetrics().generation]).toEqual(before)
      expect(told).toEqual([`assigned ${JSON.stringify({ partitions: [{ topic, partition: 0 }] })}`])
    },
    START_LIMIT_MS,
  )

  it(
    'C-19: an unclean election takes back what was read: told with both places, and read on from where the logs part',
    async () => {
      await createTopic('unclean', [1, 2], {
        'min.insync.replicas': '1',
        'unclean.leader.election.enable': 'true',
      })
      const { consumer, seen, take, told } = reader({ metadataMaxAgeMs: 5_000 })
      await produce('unclean', 0, 10)
      await consumer.assign(['unclean'], take)
      await eventually('read', () => seen.length >= 10, LIMIT_MS)
      await nodes.stop(2)
      await produce('unclean', 10, 5) // Node 1 alone has these.
      await eventually('read', () => seen.length >= 15, LIMIT_MS)
      await Promise.all([nodes.kill(1), nodes.start(2)])
      await eventually('node 2 leads', async () => (await leader('unclean')) === 2, LIMIT_MS)
      await eventually('told', () => told.some((line) => line.startsWith('truncation')), LIMIT_MS)
      const sent = await producer.sendSync('unclean', 'new', { partition: 0 })
      expect(sent.offset).toBe(10)
      await eventually('read on', () => seen.includes('10=new'), LIMIT_MS)
      const divergence = { topic: 'unclean', partition: 0, position: 15, divergence: 10 }
      expect(told).toEqual([`truncation ${JSON.stringify(divergence)}`])
      expect(seen).toEqual([...seenOf(0, 15), '10=new'])
      await nodes.start(1)
    },
    START_LIMIT_MS,
  )
})
