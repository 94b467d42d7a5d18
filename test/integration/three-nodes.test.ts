/**
 * One stream of records through all that a cluster of three goes through in a day: leaders move, a node is stopped and
 * comes back, the controller is killed and comes back. Our producer writes, our consumer reads along, kcat (else
 * kafkajs) says afterwards what the log holds.
 * Why one run for all claims: a cluster takes longer to start than the whole stream takes.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Consumer, Producer, type ProducerMetrics } from '../../lib/index.js'
import { Metadata, Produce } from '../../lib/protocol/index.js'
import { randomInt, seededRandom } from '../../lib/util/index.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, readWithKafkajs } from '../support/interop-kafkajs.js'
import { hasKcat, readWithKcat } from '../support/interop-kcat.js'
import { Ledger } from '../support/interop-ledger.js'
import type { ReadRecord } from '../support/interop-records.js'
import { jarFolder } from '../support/real-kafka.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { type NodeId, ThreeNodes } from '../support/three-nodes.js'

const TOPIC = 'three-nodes'
const PARTITIONS = 6
const RECORDS = 50_000
const MAX_PADDING = 600
const SEED = Number(process.env.SEED ?? 20_111)
const READ_LIMIT_MS = 20_000
/** About 50 s with two cores of its own; three JVMs on a busy machine take twice that. */
const STREAM_LIMIT_MS = 240_000
/** A killed node is noticed after its session of 3 s; a request must not wait out its own limit of 30 s. */
const RECOVERY_LIMIT_MS = 20_000

const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
const hasJava = spawnSync(java, ['-version']).status === 0
const whyNot = jarFolder !== null && hasJava ? null : 'three nodes need Java 17 and the Kafka jars (mvn)'
const title = `three nodes of a real Kafka${whyNot === null ? '' : ` (skipped: ${whyNot})`}`

interface Seen {
  readonly offset: number
  readonly text: string
}

/** What is left to judge when the stream has ended. */
interface Story {
  readonly ledger: Ledger
  readonly log: readonly ReadRecord[]
  /** By partition, in the order of the callbacks. */
  readonly seen: readonly (readonly Seen[])[]
  readonly metrics: ProducerMetrics
  readonly consumerErrors: readonly string[]
  readonly resets: readonly string[]
  readonly leaderMoves: number
}

describe.skipIf(whyNot !== null)(title, () => {
  let nodes: ThreeNodes | undefined
  let story: Story

  beforeAll(async () => {
    nodes = await ThreeNodes.start()
    story = await stream(nodes)
  }, STREAM_LIMIT_MS)
  afterAll(() => nodes?.close())

  it('P-22, P-23, P-44: nothing is lost, doubled, reordered or altered, and nothing reported not-persisted is there', () => {
    story.ledger.judge(story.log, { seed: SEED })
    expect(story.log.length).toBeGreaterThanOrEqual(RECORDS)
  })

  it('PR-12, PR-14: every record is acknowledged, none fails while two of three nodes are there', () => {
    expect(story.ledger.outcomes()).toEqual({ acknowledged: story.log.length })
    const { length } = story.log
    expect(story.metrics).toMatchObject({
      totalMessages: length,
      successMessages: length,
      failedMessages: 0,
      droppedMessages: 0,
      pendingMessages: 0,
    })
    expect(story.metrics.maxLatencyMs).toBeLessThan(RECOVERY_LIMIT_MS)
  })

  it('C-20: the consumer that reads along sees every record once, in order, without a gap', () => {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const log = story.log.filter((record) => record.partition === partition)
      const seen = story.seen[partition] ?? []
      const differs = log.findIndex(({ offset, value }, at) => {
        return seen[at]?.offset !== offset || seen[at]?.text !== String(value)
      })
      const first = { partition, read: seen.length, differs, seen: seen[differs], log: log[differs]?.offset }
      expect(first).toEqual({ partition, read: log.length, differs: -1, seen: undefined, log: undefined })
    }
    expect([story.consumerErrors, story.resets]).toEqual([[], []])
  })

  it('P-40, CL-7: a new leader is found by the hint of the old one, without a metadata request', async () => {
    const cluster = nodes as ThreeNodes
    await createTopicNamed(cluster.brokers, 'hints', 1)
    const proxy = new TcpProxy()
    const producer = new Producer({ brokers: cluster.brokers.join(','), logLevel: 'silent' }, { dial: proxy.dial })
    try {
      await producer.sendSync('hints', 'first')
      const before = proxy.seen(Metadata.key)
      for (let round = 1; round <= 3; round++) {
        const produced = proxy.seen(Produce.key)
        await cluster.moveLeaders('hints')
        expect(await producer.sendSync('hints', `round ${round}`)).toMatchObject({ offset: round })
        expect(proxy.seen(Produce.key) - produced).toBe(2) // refused by the old leader, taken by the new one
      }
      expect(proxy.seen(Metadata.key)).toBe(before)
    } finally {
      await producer.close({ timeoutMs: 2_000 })
      await proxy.close()
    }
  })

  it('the troubles were real: leaders moved under traffic and batches were sent again', () => {
    expect(story.leaderMoves).toBeGreaterThan(4 * PARTITIONS)
    expect(story.metrics.retries).toBeGreaterThan(0)
  })
})

async function stream(nodes: ThreeNodes): Promise<Story> {
  await createTopicNamed(nodes.brokers, TOPIC, PARTITIONS, { 'min.insync.replicas': '2' })
  const common = { brokers: nodes.brokers.join(','), logLevel: 'silent' as const }
  const producer = new Producer(common)
  const consumer = new Consumer({ ...common, autoOffsetReset: 'earliest' })
  try {
    return await runTraffic(nodes, producer, consumer)
  } finally {
    await Promise.all([producer.close({ timeoutMs: 5_000 }), consumer.close({ timeoutMs: 5_000 })])
  }
}

async function runTraffic(nodes: ThreeNodes, producer: Producer, consumer: Consumer): Promise<Story> {
  const seen: Seen[][] = Array.from({ length: PARTITIONS }, () => [])
  const consumerErrors: string[] = []
  const resets: string[] = []
  consumer.on('error', (error) => consumerErrors.push(String(error)))
  consumer.on('reset', (event) => resets.push(JSON.stringify(event)))
  await consumer.assign([TOPIC], ({ partition, offset, value }) => {
    seen[partition]?.push({ offset, text: String(value) })
  })
  const ledger = new Ledger(producer, TOPIC)
  const random = seededRandom(SEED)
  const load = ledger.keepSending(PARTITIONS, () => 'x'.repeat(randomInt(random, MAX_PADDING)))
  try {
    await troubles(nodes, ledger)
    await ledger.untilAcknowledged(RECORDS)
  } finally {
    load.stop()
  }
  await load.done
  await producer.flush()
  const log = await (hasKcat ? readWithKcat : readWithKafkajs)(nodes.brokers, TOPIC)
  const count = () => seen.reduce((sum, { length }) => sum + length, 0)
  await eventually(
    'the consumer is at the end',
    () => count() >= log.length,
    READ_LIMIT_MS,
    () => {
      return `${count()} of ${log.length} records: ${JSON.stringify(consumer.getMetrics())} ${consumerErrors[0] ?? ''}`
    },
  )
  const leaderMoves = (await nodes.partitions(TOPIC)).reduce((sum, { leaderEpoch }) => sum + leaderEpoch, 0)
  return { ledger, log, seen, metrics: producer.getMetrics(), consumerErrors, resets, leaderMoves }
}

/** Each trouble meets traffic, and the next one waits until records are acknowledged again. */
async function troubles(nodes: ThreeNodes, ledger: Ledger): Promise<void> {
  await ledger.untilAcknowledged(2_000)
  for (let round = 0; round < 4; round++) {
    await nodes.moveLeaders(TOPIC)
    await more(ledger, 500)
  }
  const controller = await nodes.controller()
  const stopped = (controller === 1 ? 2 : 1) satisfies NodeId
  await nodes.stop(stopped)
  await more(ledger, 2_000)
  await nodes.start(stopped)
  await nodes.untilInSync(TOPIC)
  await nodes.moveLeaders(TOPIC)
  const killed = await nodes.controller()
  await nodes.kill(killed)
  await more(ledger, 2_000)
  await nodes.start(killed)
  await nodes.untilInSync(TOPIC)
  await nodes.moveLeaders(TOPIC)
  await more(ledger, 2_000)
}

const more = (ledger: Ledger, records: number) => ledger.untilAcknowledged(ledger.acknowledged + records)
