/**
 * Groups while the brokers under them go through a day: leaders and coordinators move, a broker is stopped and comes
 * back, a coordinator is killed and comes back, another one falls silent. Two groups of three read the same stream, one
 * of each protocol, and beside them three consumers in the racks of the three brokers; kcat (else kafkajs) says what the
 * log holds. What is claimed: no member leaves, no round is played, every record is processed once; and who is in a rack
 * asks its broker only, except while that one is gone.
 * Why one run for all claims: a cluster takes longer to start than the whole stream takes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cluster } from '../../lib/cluster/index.js'
import { parseBrokers } from '../../lib/config/index.js'
import { Producer } from '../../lib/index.js'
import { Fetch } from '../../lib/protocol/index.js'
import { ConsumerStage, type Heard } from '../support/consumer-stage.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, readWithKafkajs, withAdmin } from '../support/interop-kafkajs.js'
import { hasKcat, readWithKcat } from '../support/interop-kcat.js'
import type { ReadRecord } from '../support/interop-records.js'
import { jarFolder } from '../support/real-kafka.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { type NodeId, ThreeNodes } from '../support/three-nodes.js'

const PROTOCOLS = ['classic', 'consumer'] as const
const MEMBERS = 3
const PARTITIONS = 6
/** One record to each partition so often. */
const EVERY_MS = 10
const SETTINGS = {
  'broker.rack': 'rack-{id}',
  'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
  'group.consumer.heartbeat.interval.ms': '1000',
  'group.consumer.min.heartbeat.interval.ms': '1000',
}
const READ_LIMIT_MS = 30_000
/** Longer than a session of ten seconds: whoever waits for that broker is out. */
const FROZEN_MS = 13_000
const RUN_LIMIT_MS = 240_000

type Protocol = (typeof PROTOCOLS)[number]

/** What one group has to show in the end. */
interface GroupStory {
  readonly members: readonly Heard[]
  /** After all had joined: what must not change any more. */
  readonly before: readonly object[]
  /** The same in the end. */
  after: readonly object[]
}

const whyNot = jarFolder !== null ? '' : ' (skipped: three nodes need Java 17 and the Kafka jars)'

describe.skipIf(jarFolder === null)(`groups on three nodes of a real Kafka${whyNot}`, () => {
  let nodes: ThreeNodes
  let stage: ConsumerStage
  beforeAll(async () => {
    nodes = await ThreeNodes.start(SETTINGS)
    stage = new ConsumerStage(nodes.brokers)
  }, RUN_LIMIT_MS)
  afterAll(() => nodes?.close())

  describe('under traffic', () => {
    const topic = 'groups'
    const groups = new Map<Protocol, GroupStory>()
    let log: readonly ReadRecord[] = []
    const coordinators: NodeId[] = []
    const near: NearReader[] = []
    const atFirst: boolean[] = []
    const inTheEnd: boolean[] = []
    let ledByKilled = 0

    beforeAll(async () => {
      await createTopicNamed(nodes.brokers, topic, PARTITIONS, { 'min.insync.replicas': '2' })
      for (const protocol of PROTOCOLS) groups.set(protocol, await join(protocol))
      const traffic = new Traffic(nodes.brokers, topic)
      try {
        for (const node of [1, 2, 3]) near.push(await NearReader.start(stage, nodes.brokers, node, topic))
        for (const reader of near) atFirst.push(await reader.asksOnlyItsOwn())
        await troubles(traffic)
      } finally {
        await traffic.stop()
      }
      log = await (hasKcat ? readWithKcat : readWithKafkajs)(nodes.brokers, topic)
      for (const protocol of PROTOCOLS) {
        const story = groups.get(protocol) as GroupStory
        const { members } = story
        const isDone = () => members.reduce((sum, { values }) => sum + values.length, 0) >= log.length
        const stories = () => members.map((member) => member.story()).join('\n')
        await eventually(`the ${protocol} group has read ${log.length} records`, isDone, READ_LIMIT_MS, stories)
        story.after = members.map(membership)
      }
      for (const reader of near) inTheEnd.push(await reader.asksOnlyItsOwn())
      for (const { heard } of near) await heard.until('all is read', () => heard.values.length >= log.length)
    }, RUN_LIMIT_MS)
    afterAll(async () => {
      await stage.close()
      for (const reader of near) await reader.close()
    })

    async function join(groupProtocol: Protocol): Promise<GroupStory> {
      const config = { groupId: `three-${groupProtocol}`, groupProtocol }
      const members = Array.from({ length: MEMBERS }, () => stage.heard(config))
      await Promise.all(members.map(({ consumer, take }) => consumer.subscribe(topic, take)))
      const isShared = () =>
        members.every(({ consumer }) => {
          const { assignedPartitions, groupState } = consumer.getMetrics()
          return assignedPartitions === PARTITIONS / MEMBERS && groupState === 'stable'
        })
      await eventually(`the ${groupProtocol} group has shared`, isShared, READ_LIMIT_MS)
      return { members, before: members.map(membership), after: [] }
    }

    /** Each trouble meets traffic, and the next one waits until records of all partitions have passed it. */
    async function troubles(traffic: Traffic): Promise<void> {
      await traffic.more(100)
      for (let round = 0; round < 2; round++) {
        await nodes.moveLeaders(topic)
        await traffic.more(50)
      }
      for (let round = 0; round < 2; round++) {
        await nodes.moveLeaders('__consumer_offsets') // Another coordinator, without any failure.
        await traffic.more(100)
      }
      const stopped = await nodes.coordinator('three-consumer')
      coordinators.push(stopped)
      await nodes.stop(stopped)
      await traffic.more(200)
      await nodes.start(stopped)
      await nodes.untilInSync(topic)
      await nodes.moveLeaders(topic)
      let killed = await nodes.coordinator('three-classic')
      ledByKilled = await ledBy(killed)
      // Where leaders go is the cluster's choice: until the one that is killed has some.
      for (let round = 0; round < 8 && ledByKilled === 0; round++) {
        await nodes.moveLeaders(topic)
        killed = await nodes.coordinator('three-classic')
        ledByKilled = await ledBy(killed)
      }
      coordinators.push(killed)
      if (ledByKilled === 0) throw new Error('the coordinator leads no partition: kill another one')
      await nodes.kill(killed)
      await traffic.more(300)
      await nodes.start(killed)
      await nodes.untilInSync(topic)
      await nodes.moveLeaders(topic)
      await traffic.more(100)
      const frozen = await nodes.coordinator('three-classic')
      coordinators.push(frozen)
      nodes.freeze(frozen)
      await sleep(FROZEN_MS)
      nodes.thaw(frozen)
      await nodes.untilInSync(topic)
      await traffic.more(100)
    }

    const ledBy = async (node: NodeId) => (await nodes.partitions(topic)).filter(({ leader }) => leader === node).length

    it.each(PROTOCOLS)('C-20, C-34, CO-9: %s: every record once, in order, nothing twice', (protocol) => {
      const { members } = groups.get(protocol) as GroupStory
      expect(log.length).toBeGreaterThan(PARTITIONS * 800)
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const written = log.filter((record) => record.partition === partition).map(({ value }) => String(value))
        const readers = members.filter((member) => member.of(topic, partition).length > 0)
        expect(readers).toHaveLength(1)
        expect(readers[0]?.of(topic, partition)).toEqual(written)
      }
    })

    it.each(PROTOCOLS)('K-16, C-34: %s: nobody joined again, nobody had anything to complain of', (protocol) => {
      const { members, before, after } = groups.get(protocol) as GroupStory
      expect(members.map(({ errors, lost }) => [...errors, ...lost].map(String))).toEqual(members.map(() => []))
      expect(after).toEqual(before)
    })

    it.each(PROTOCOLS)('C-34: %s: the commits have followed the coordinator to the end', async (protocol) => {
      const ends = Array.from({ length: PARTITIONS }, (_, p) => log.filter(({ partition }) => partition === p).length)
      let stored: unknown
      const isAll = async () => {
        const groupId = `three-${protocol}`
        const found = await withAdmin(nodes.brokers, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
        const sorted = [...(found[0]?.partitions ?? [])].sort((a, b) => a.partition - b.partition)
        stored = sorted.map(({ offset }) => Number(offset))
        return JSON.stringify(stored) === JSON.stringify(ends)
      }
      await eventually(`committed is ${ends}`, isAll, READ_LIMIT_MS, () => String(stored))
    })

    it('C-17, C-18, K-19: the replica of our rack is read, the leader while it is gone; nothing is missed or repeated', () => {
      expect([atFirst, inTheEnd]).toEqual([near.map(() => true), near.map(() => true)])
      for (const { heard } of near) {
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const written = log.filter((record) => record.partition === partition).map(({ value }) => String(value))
          expect(heard.of(topic, partition)).toEqual(written)
        }
        expect(heard.errors).toEqual([])
      }
    })

    it('the troubles were real', () => {
      expect(coordinators).toHaveLength(3)
      expect(ledByKilled).toBeGreaterThan(0)
      for (const { members } of groups.values()) {
        expect(members.reduce((sum, { consumer }) => sum + consumer.getMetrics().fetchErrors, 0)).toBeGreaterThan(0)
      }
    })
  })
})

/** A consumer in the rack of one broker, and whom it asks for records. */
class NearReader {
  readonly heard: Heard
  readonly #fetches = new Map<number, number>() // by port
  readonly #ownPort: number
  readonly #proxy = new TcpProxy()
  readonly #cluster: Cluster

  private constructor(stage: ConsumerStage, brokers: readonly string[], node: number) {
    this.#ownPort = Number(brokers[node - 1]?.split(':')[1])
    this.#proxy.plan = ({ apiKey, port }) => {
      if (apiKey === Fetch.key) this.#fetches.set(port, (this.#fetches.get(port) ?? 0) + 1)
      return null
    }
    this.#cluster = new Cluster({ brokers: parseBrokers(brokers.join(',')) ?? [] }, { dial: this.#proxy.dial })
    this.heard = stage.heard({ groupId: `near-${node}`, rackId: `rack-${node}` }, { cluster: this.#cluster })
  }

  static async start(stage: ConsumerStage, brokers: readonly string[], node: number, topic: string) {
    const reader = new NearReader(stage, brokers, node)
    await reader.heard.consumer.subscribe(topic, reader.heard.take)
    return reader
  }

  /** For half a second at last nobody else was asked. */
  async asksOnlyItsOwn(): Promise<true> {
    const counts = () => {
      const own = this.#fetches.get(this.#ownPort) ?? 0
      return { own, others: [...this.#fetches.values()].reduce((sum, count) => sum + count, 0) - own }
    }
    await this.heard.until(`only ${this.#ownPort} is asked`, async () => {
      const before = counts()
      await sleep(500)
      return counts().others === before.others && counts().own > before.own
    })
    return true
  }

  async close(): Promise<void> {
    await this.#cluster.close()
    await this.#proxy.close()
  }
}

/** What a round, a loss or a new membership would change. */
function membership({ consumer }: Heard): object {
  const { memberId, generation, rebalances } = consumer.getMetrics()
  return { memberId, generation, rebalances, assignment: consumer.assignment }
}

/** A steady stream, acknowledged by all replicas; one record to each partition in turn. */
class Traffic {
  readonly #producer: Producer
  readonly #partitions: number
  readonly #topic: string
  readonly #done: Promise<void>
  readonly #acknowledged: number[]
  #isStopped = false

  constructor(brokers: readonly string[], topic: string, partitions = PARTITIONS) {
    this.#producer = new Producer({ brokers: brokers.join(','), logLevel: 'silent' })
    this.#topic = topic
    this.#partitions = partitions
    this.#acknowledged = Array.from({ length: partitions }, () => 0)
    this.#done = this.#run()
  }

  /** Until each partition has so many more. */
  async more(records: number): Promise<void> {
    const goal = this.#acknowledged.map((count) => count + records)
    const isThere = () => goal.every((count, partition) => (this.#acknowledged[partition] ?? 0) >= count)
    await eventually(`${records} more records`, isThere, 60_000, () => String(this.#acknowledged))
  }

  /** What was accepted is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
    await this.#producer.close()
  }

  async #run(): Promise<void> {
    for (let n = 0; !this.#isStopped; n++) {
      for (let partition = 0; partition < this.#partitions; partition++) {
        this.#producer.sendAsync(this.#topic, `${partition}: ${n}`, { partition }, (error) => {
          if (error === null) this.#acknowledged[partition] = (this.#acknowledged[partition] ?? 0) + 1
        })
      }
      await sleep(EVERY_MS)
    }
  }
}
