/**
 * After a crash, at a real broker: batches of a dead incarnation are in the log, and the broker has met what brokers
 * meet meanwhile. Each ends as wal.md 1.3 says, is counted exactly, and the partition holds each record once, in order.
 * The leader that moves needs three nodes; it is tested at the in-process broker (test/producer/log/resolution).
 */
import { expect, it, onTestFinished } from 'vitest'
import { Cluster } from '../../lib/cluster/index.js'
import type { WalSettings } from '../../lib/config/index.js'
import { Resolution } from '../../lib/producer/log/resolution/resolution.js'
import { DeleteRecords, InitProducerId, Produce } from '../../lib/protocol/index.js'
import { Pauses, systemClock, systemRandom } from '../../lib/util/index.js'
import type { WriteAheadLog } from '../../lib/wal/index.js'
import { RawClient } from '../broker/raw-client.js'
import { batchesOf, crashedLog, type LoggedBatch } from '../producer/log/resolution/support/real-log.js'
import { Told, walSettings } from '../producer/log/resolution/support/stage.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, readWithKafkajs, withAdmin } from '../support/interop-kafkajs.js'
import { brokers, createTopic, describeWithKafka, restartNode, sharedKafka } from '../support/real-kafka.js'

const DAY_MS = 86_400_000
const mayRestart = sharedKafka.stateFolder !== null

/** A crash: what our log holds, and a topic that has some of it. */
class Crash {
  readonly topic: string
  readonly batches: readonly LoggedBatch[]
  readonly wal: WriteAheadLog
  readonly told = new Told()
  readonly resolution: Resolution

  private constructor(
    topic: string,
    batches: readonly LoggedBatch[],
    wal: WriteAheadLog,
    cluster: Cluster,
    settings: WalSettings,
  ) {
    this.topic = topic
    this.batches = batches
    this.wal = wal
    const pauses = new Pauses(systemClock)
    const common = { wal, cluster, settings, pauses, clock: systemClock, random: systemRandom }
    this.resolution = new Resolution({ ...common, requestTimeoutMs: 10_000, events: this.told })
    onTestFinished(async () => {
      this.resolution.stop()
      pauses.stop()
      await cluster.close()
    })
  }

  /** Batches of three records, named by letters; the first `written` of them reached the broker. */
  static async after(
    names: string,
    written: number,
    options: { readonly ageMs?: number; readonly acknowledged?: number; readonly settings?: Partial<WalSettings> } = {},
  ): Promise<Crash> {
    const topic = await createTopic('wal-resolution')
    const cluster = newCluster()
    const { topicId } = await cluster.waitForTopic(topic, { timeoutMs: 10_000 })
    const producerId = await freshProducerId(cluster)
    const batches = batchesOf(names, { producerId, timestamp: Date.now() - (options.ageMs ?? 0) })
    await write(topic, batches.slice(0, written))
    const settings = walSettings({ zombieWaitMs: 100, ...options.settings })
    const before = { clusterId: cluster.clusterId ?? '', topic, topicId, batches }
    const acknowledged = { batches: options.acknowledged ?? 0, baseOffset: 0 }
    const wal = await crashedLog({ ...before, acknowledged }, settings)
    return new Crash(topic, batches, wal, cluster, settings)
  }

  async resolve(): Promise<void> {
    this.resolution.start()
    await this.resolution.done
  }

  /** Records of the partition, one after the other. */
  async logged(): Promise<string> {
    return (await readWithKafkajs(brokers, this.topic)).map(({ value }) => String(value)).join(' ')
  }

  /** Where the partition's log begins and ends. */
  async ends(): Promise<{ low: string; high: string }> {
    const [only] = await withAdmin(brokers, (admin) => admin.fetchTopicOffsets(this.topic))
    return { low: only?.low ?? '', high: only?.high ?? '' }
  }

  get verdicts(): Record<string, number> {
    return Object.fromEntries([...this.resolution.verdicts].filter(([, count]) => count !== 0))
  }

  get edges(): Record<string, number> {
    return Object.fromEntries([...this.resolution.edges].map(([edge, topics]) => [edge, topics.get(this.topic) ?? 0]))
  }

  expectOpened(): void {
    expect(this.told.fatals).toEqual([])
    expect(this.told.holds).toEqual([])
    expect(this.told.openings).toEqual([{ stream: 0, leftovers: [] }])
    expect(this.wal.measures().unsettledRecords).toBe(0)
  }

  expectHeld(edge: string, records: number): void {
    expect(this.told.holds).toEqual([{ stream: 0, edge, records }])
    expect(this.told.openings).toEqual([])
    expect(this.edges[edge]).toBe(records)
    expect(this.wal.measures().unsettledRecords).toBe(records)
  }
}

function newCluster(): Cluster {
  const endpoints = brokers.map((address) => {
    const [host = '', port = ''] = address.split(':')
    return { host, port: Number(port) }
  })
  return new Cluster({ brokers: endpoints })
}

/** A broker that has just started has no ids to give for a moment. */
async function freshProducerId(cluster: Cluster): Promise<bigint> {
  let producerId = -1n
  await eventually(
    'a producer id',
    async () => {
      const wish = { transactionalId: null, transactionTimeoutMs: 60_000 }
      producerId = (await cluster.request(InitProducerId, wish)).producerId
      return producerId >= 0n
    },
    30_000,
  )
  return producerId
}

async function write(topic: string, batches: readonly LoggedBatch[]): Promise<void> {
  const client = await RawClient.connect(brokers[0] as string)
  for (const { bytes } of batches) {
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: bytes }] }]
    const answer = await client.request(Produce, 9, { transactionalId: null, acks: -1, timeoutMs: 10_000, topicData })
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  }
  client.close()
}

const recordsOf = (names: string) =>
  [...names].flatMap((name) => [0, 1, 2].map((index) => `${name}.${index}`)).join(' ')

describeWithKafka('resolution after a crash of the client', () => {
  it('4.2: nothing was written, in part, everything', async () => {
    for (const [written, verdicts] of [
      [0, { delivered: 5 }],
      [3, { duplicate: 3, delivered: 2 }],
      [5, { duplicate: 5 }],
    ] as const) {
      const crash = await Crash.after('abcde', written)
      await crash.resolve()
      crash.expectOpened()
      expect(await crash.logged()).toBe(recordsOf('abcde'))
      expect(crash.verdicts).toEqual(verdicts)
      expect(crash.edges).toEqual({})
    }
  })

  it('E2: nine in doubt, the broker remembers five', async () => {
    const crash = await Crash.after('abcdefghij', 9)
    await crash.resolve()
    crash.expectOpened()
    expect(await crash.logged()).toBe(recordsOf('abcdefghij'))
    expect(crash.verdicts).toEqual({ proven: 4, duplicate: 5, delivered: 1 })
    expect(crash.edges).toEqual({ E2: 12 })
  })

  it('E2: the tail of our log is lost: the header scan finds what is left of it', async () => {
    const crash = await Crash.after('ab', 2)
    const { producerId, timestamp } = crash.batches[0] as LoggedBatch
    await write(crash.topic, batchesOf('cdefg', { producerId, from: 6, timestamp }))
    await crash.resolve()
    crash.expectOpened()
    expect(await crash.logged()).toBe(recordsOf('abcdefg'))
    expect(crash.verdicts).toEqual({ found: 2 })
    expect(crash.edges).toEqual({ E2: 6 })
  })

  it.skipIf(!mayRestart).each(['clean', 'kill'] as const)('E3: %s restart of the broker meanwhile', async (kind) => {
    const crash = await Crash.after('abcdef', 5)
    await restartNode(sharedKafka, kind)
    await crash.resolve()
    crash.expectOpened()
    expect(await crash.logged()).toBe(recordsOf('abcdef'))
    expect(crash.verdicts).toEqual({ proven: 4, duplicate: 1, delivered: 1 })
    expect(crash.edges).toEqual({ E3: 12 })
  })

  it.skipIf(!mayRestart)(
    'E1: old CreateTime: the broker has forgotten; found, or sent under the same identity',
    async () => {
      const crash = await Crash.after('abcd', 2, { ageMs: 2 * DAY_MS })
      await restartNode(sharedKafka, 'clean')
      await crash.resolve()
      crash.expectOpened()
      expect(await crash.logged()).toBe(recordsOf('abcd'))
      expect(crash.verdicts).toEqual({ found: 2, delivered: 2 })
      expect(crash.edges).toEqual({ E1: 12 })
    },
  )

  it('E1: old CreateTime, the broker still knows: what it has is not sent', async () => {
    const crash = await Crash.after('abcd', 2, { ageMs: 2 * DAY_MS })
    await crash.resolve()
    crash.expectOpened()
    expect(await crash.logged()).toBe(recordsOf('abcd'))
    expect(crash.verdicts).toEqual({ proven: 2, delivered: 2 })
    expect(crash.edges).toEqual({ E1: 12 })
  })

  it.skipIf(!mayRestart)(
    'E4: the broker forgets sooner than we were told, and acknowledgements are logged',
    async () => {
      const settings = { producerIdExpirationMs: 10 * DAY_MS }
      const crash = await Crash.after('abcd', 3, { acknowledged: 1, ageMs: 2 * DAY_MS, settings })
      await restartNode(sharedKafka, 'clean')
      await crash.resolve()
      crash.expectOpened()
      expect(await crash.logged()).toBe(recordsOf('abcd'))
      expect(crash.verdicts).toEqual({ found: 2, delivered: 1 })
      expect(crash.edges).toEqual({ E4: 9 })
    },
  )

  it('DeleteRecords: the leader remembers: duplicates, and nothing comes back', async () => {
    const crash = await Crash.after('abc', 3)
    await deleteRecords(crash.topic, 9)
    await crash.resolve()
    crash.expectOpened()
    expect(await crash.ends()).toEqual({ low: '9', high: '9' })
    expect(crash.verdicts).toEqual({ duplicate: 3 })
    expect(crash.edges).toEqual({})
  })

  it.skipIf(!mayRestart)('E1: DeleteRecords, and the state is gone too: held, nothing is sent', async () => {
    const crash = await Crash.after('abc', 3, { ageMs: 2 * DAY_MS })
    await deleteRecords(crash.topic, 9)
    await restartNode(sharedKafka, 'clean')
    await crash.resolve()
    crash.expectHeld('E1', 9)
    expect(await crash.ends()).toEqual({ low: '9', high: '9' })
    await crash.resolution.resolve(crash.topic, 0, 'drop')
    expect(crash.wal.measures()).toMatchObject({ unsettledRecords: 0, settledRecords: { dropped: 9 } })
  })

  it('E6: the topic was deleted and made anew: held, and the new one stays empty', async () => {
    const crash = await Crash.after('abc', 1)
    await withAdmin(brokers, async (admin) => {
      await admin.deleteTopics({ topics: [crash.topic] })
      const isGone = async () => !(await admin.listTopics()).includes(crash.topic)
      await eventually('the topic is gone', isGone, 10_000)
    })
    await createTopicNamed(brokers, crash.topic, 1)
    await crash.resolve()
    crash.expectHeld('E6', 9)
    expect(await crash.logged()).toBe('')
  })

  it('2.6: a limit that was lowered: proved not to be written, left for the lane', async () => {
    const crash = await Crash.after('abc', 1)
    await setTopicConfig(crash.topic, 'max.message.bytes', '80')
    await crash.resolve()
    expect(crash.verdicts).toEqual({ found: 1, requeued: 2 })
    expect(crash.told.openings).toHaveLength(1)
    expect(crash.told.openings[0]?.leftovers.map(({ baseSequence }) => baseSequence)).toEqual([3, 6])
    expect(await crash.logged()).toBe(recordsOf('a'))
  })

  it('E11: another writer raised the epoch: what is there is delivered, the rest held', async () => {
    const crash = await Crash.after('abc', 2)
    const { producerId, timestamp } = crash.batches[0] as LoggedBatch
    await write(crash.topic, batchesOf('x', { producerId, epoch: 1, timestamp }))
    await crash.resolve()
    expect(crash.told.holds).toEqual([{ stream: 0, edge: 'E11', records: 3 }])
    expect(crash.verdicts).toEqual({ found: 2, held: 1 })
    expect(crash.edges).toEqual({ E11: 9 })
  })
})

const TOPIC = 2

async function setTopicConfig(topic: string, name: string, value: string): Promise<void> {
  await withAdmin(brokers, (admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: TOPIC, name: topic, configEntries: [{ name, value }] }],
    }),
  )
}

async function deleteRecords(topic: string, offset: number): Promise<void> {
  const cluster = newCluster()
  const { partitions } = await cluster.waitForTopic(topic, { timeoutMs: 10_000 })
  const wish = { topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }], timeoutMs: 10_000 }
  const answer = await cluster.request(DeleteRecords, wish, { brokerId: partitions[0]?.leaderId })
  expect(answer.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: offset })
  await cluster.close()
}
