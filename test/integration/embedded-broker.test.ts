/**
 * F-3: foreign clients against the in-process broker, the same way as against a real Kafka. They know nothing of our code,
 * so what they accept is Kafka's protocol and not merely our reading of it.
 */
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import { eventually } from '../support/eventually.js'
import { readWithJava } from '../support/interop-java.js'
import { COMPRESSION_OF, kafkajsClient, withAdmin } from '../support/interop-kafkajs.js'
import { hasKcat, produceWithKcat, readWithKcat } from '../support/interop-kcat.js'
import { groupedByName, type ReadRecord, show } from '../support/interop-records.js'
import { jarFolder } from '../support/real-kafka.js'

const TIMESTAMP = 1_700_000_000_000
const MESSAGES = Array.from({ length: 120 }, (_, index) => ({
  key: index % 3 === 0 ? null : `key-${index}`,
  value: index % 7 === 0 ? null : `value ${index} `.repeat(20),
  timestamp: String(TIMESTAMP + index),
  headers: index % 2 === 0 ? { first: `h${index}`, many: ['one', 'two'] } : {},
}))
const EXPECTED = MESSAGES.map(({ key, value, timestamp, headers }) => ({
  key,
  value,
  timestamp: Number(timestamp),
  headers: Object.entries(headers).flatMap(([name, one]) => [one].flat().map((text) => [name, text] as const)),
}))

const seen = (records: readonly ReadRecord[]) =>
  records.map((record) => ({ ...show(record), headers: groupedByName(show(record).headers) }))

describe('foreign clients on the in-process broker', () => {
  let broker: Broker
  let brokers: string[] = []

  beforeAll(async () => {
    broker = await createBroker()
    brokers = broker.bootstrap.split(',')
  })
  afterAll(() => broker.close())

  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it.skipIf(!hasKcat)(`F-3: kafkajs writes with ${codec}, kcat reads it`, async () => {
      const topic = `foreign-${codec}`
      await withAdmin(brokers, (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }))
      const producer = kafkajsClient(brokers).producer({ idempotent: true })
      await producer.connect()
      await producer.send({ topic, acks: -1, compression: COMPRESSION_OF[codec], messages: MESSAGES })
      await producer.disconnect()
      expect(seen(await readWithKcat(brokers, topic))).toEqual(EXPECTED)
    })
  }

  it.skipIf(jarFolder === null)('F-3: the Java consumer reads what kafkajs wrote', async () => {
    const topic = 'foreign-java'
    await withAdmin(brokers, (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }))
    const producer = kafkajsClient(brokers).producer()
    await producer.connect()
    await producer.send({ topic, acks: -1, compression: COMPRESSION_OF.lz4, messages: MESSAGES })
    await producer.disconnect()
    expect(seen(await readWithJava(brokers, jarFolder ?? '', topic))).toEqual(EXPECTED)
  })

  it.skipIf(jarFolder === null)('F-3: the Java consumer reads as a member of a group and leaves it', async () => {
    const topic = 'foreign-group'
    await withAdmin(brokers, (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }))
    const producer = kafkajsClient(brokers).producer()
    await producer.connect()
    await producer.send({ topic, acks: -1, messages: MESSAGES })
    await producer.disconnect()
    const leaves = broker.count({ api: 'LeaveGroup' })
    expect(seen(await readWithJava(brokers, jarFolder ?? '', topic, true))).toEqual(EXPECTED)
    expect(broker.count({ api: 'LeaveGroup' })).toBe(leaves + 1)
    const bodies = broker.requests({ api: 'JoinGroup' }).map(({ body }) => body as { groupId: string })
    const groupId = bodies.at(-1)?.groupId ?? ''
    expect(broker.group(groupId)).toMatchObject({ state: 'Empty', protocolType: 'consumer', generation: 2 })
  })

  it.skipIf(!hasKcat)('F-3: two kcat members share a topic as a group', async () => {
    const topic = `kcat-group-${Date.now()}` // a second attempt needs another one
    broker.createTopic(topic, { partitions: 4 })
    const config = [
      '-X',
      'heartbeat.interval.ms=100',
      '-X',
      'session.timeout.ms=6000',
      '-X',
      'auto.offset.reset=earliest',
    ]
    const args = ['-b', brokers.join(','), '-q', '-u', '-f', '%p:%o\n', ...config, '-G', 'kcat', topic]
    const members = [spawn('kcat', args), spawn('kcat', args)]
    // A chunk may end within a line.
    const texts = members.map(() => '')
    for (const [index, { stdout }] of members.entries()) stdout.on('data', (text) => (texts[index] += String(text)))
    const linesOf = () => texts.flatMap((text) => text.split('\n').filter((line) => line !== ''))
    try {
      await broker.whenGroup('kcat', ({ state, members: in2 }) => {
        return state === 'Stable' && in2.map(({ assignment }) => assignment?.length).join() === '2,2'
      })
      const producer = kafkajsClient(brokers).producer()
      await producer.connect()
      const messages = Array.from({ length: 40 }, (_, index) => ({ partition: index % 4, value: `v${index}` }))
      await producer.send({ topic, messages })
      await producer.disconnect()
      await eventually(
        'all are read',
        () => linesOf().length >= 40,
        10_000,
        () => `${linesOf().length} lines`,
      )
      members[0]?.kill('SIGINT')
      await broker.whenGroup('kcat', (group) => group.state === 'Stable' && group.members.length === 1)
      expect(broker.group('kcat').members[0]?.assignment).toHaveLength(4)
    } finally {
      for (const member of members) member.kill('SIGINT')
    }
    await broker.whenGroup('kcat', ({ state }) => state === 'Empty')
    const expected = Array.from({ length: 40 }, (_, index) => `${index % 4}:${Math.floor(index / 4)}`)
    expect(linesOf().sort()).toEqual(expected.sort())
    expect(broker.group('kcat').offsets.map(({ offset }) => offset)).toEqual([10, 10, 10, 10])
  })

  it.skipIf(!hasKcat)('F-3: kcat writes, idempotent and compressed, over three partitions', async () => {
    const topic = 'from-kcat'
    await withAdmin(brokers, (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 3 }] }))
    const lines = Array.from({ length: 900 }, (_, index) => `line ${index}`)
    await produceWithKcat(brokers, topic, lines, ['enable.idempotence=true', 'compression.codec=lz4', 'acks=all'])
    const records = await readWithKcat(brokers, topic)
    expect(records.map(({ value }) => String(value)).sort()).toEqual([...lines].sort())
  })
})
