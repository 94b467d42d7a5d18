/**
 * Our producer against a real Kafka, judged by readers that are not ours: kafkajs, librdkafka (kcat), the Java consumer
 * and the log on disk.
 */
import { createHash } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import { MQError, Producer } from '../../lib/index.js'
import { readWithKafkajs } from '../support/interop-kafkajs.js'
import { Ledger } from '../support/interop-ledger.js'
import { groupedByName, type ShownRecord, show } from '../support/interop-records.js'
import {
  bootstrap,
  brokers,
  createTopic,
  describeWithKafka,
  dumpAbsent,
  dumpPartition,
  READERS,
  restartNode,
  sharedKafka,
} from '../support/real-kafka.js'

const PARTITIONS = 3
const mayRestart = sharedKafka.stateFolder !== null
const open: Producer[] = []

function producerWith(config: ConstructorParameters<typeof Producer>[0] = {}): Producer {
  const producer = new Producer({ brokers: bootstrap, clientId: 'integration', logLevel: 'silent', ...config })
  open.push(producer)
  return producer
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((producer) => producer.close({ timeoutMs: 5_000 })))
})

interface Sample {
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly headers: readonly (readonly [string, string | null])[]
}

/** Every form a record can take, in characters that all readers can print. */
function samples(count: number): Sample[] {
  return Array.from({ length: count }, (_, index) => ({
    partition: index % PARTITIONS,
    key: index % 5 === 0 ? null : index % 5 === 1 ? '' : `key-${index}`,
    value:
      index % 11 === 0
        ? null
        : index % 11 === 1
          ? ''
          : `{"index":${index},"text":"zwölf\n${'boxes '.repeat(index % 40)}"}`,
    // Not ascending, and before the first of the batch too: deltas are negative now and then.
    timestamp: 1_700_000_000_000 + ((index * 7919) % 1000) - 500,
    headers:
      index % 4 === 0
        ? []
        : [
            ['trace', `t${index}`],
            ['empty', ''],
            ['many', 'one'],
            ['none', null],
            ['many', 'two'],
          ],
  }))
}

const utf8 = (text: string | null): string | null => (text === null ? null : Buffer.from(text).toString('latin1'))

function shown({ key, value, timestamp, headers }: Sample, grouped: boolean): ShownRecord {
  return { key: utf8(key), value: utf8(value), timestamp, headers: grouped ? groupedByName(headers) : headers }
}

describeWithKafka('producer on a real Kafka', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`PR-5, PR-15, CD-2: ${compression} is read by others with keys, headers, nulls and timestamps as sent`, async () => {
      const topic = await createTopic(`produce-${compression}`, { partitions: PARTITIONS })
      const producer = producerWith({ compression })
      const sent = samples(600)
      const answers = await Promise.all(
        sent.map(({ partition, key, value, timestamp, headers }) =>
          producer.sendSync(topic, value, { partition, key, timestamp, headers }),
        ),
      )
      for (const reader of READERS.filter(({ absent }) => absent === null)) {
        const records = await reader.read(topic)
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const found = records.filter((record) => record.partition === partition)
          const wanted = sent.filter((sample) => sample.partition === partition)
          expect(found.map(show), `${reader.name}, partition ${partition}`).toEqual(
            wanted.map((sample) => shown(sample, !reader.keepsHeaderOrder)),
          )
        }
      }
      expect(answers.map(({ partition }) => partition)).toEqual(sent.map(({ partition }) => partition))
      expect(answers.map(({ offset }) => offset)).toEqual(sent.map((_, index) => Math.floor(index / PARTITIONS)))
      expect(answers.map(({ timestamp }) => timestamp)).toEqual(sent.map(({ timestamp }) => timestamp))
    })

    it.skipIf(dumpAbsent !== null)(
      `P-1, P-20: ${compression} lies on disk in valid batches with unbroken sequences`,
      async () => {
        const topic = await createTopic(`disk-${compression}`)
        const producer = producerWith({ compression })
        for (let round = 0; round < 5; round++) {
          await Promise.all(
            Array.from({ length: 200 }, (_, index) =>
              producer.sendSync(topic, `round ${round} record ${index} `.repeat(4)),
            ),
          )
        }
        const batches = await dumpPartition(topic, 0)
        expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(1_000)
        expect(new Set(batches.map(({ codec, isValid, magic }) => `${codec} ${isValid} ${magic}`))).toEqual(
          new Set([`${compression} true 2`]),
        )
        expect(new Set(batches.map(({ producerId, producerEpoch }) => `${producerId}/${producerEpoch}`)).size).toBe(1)
        let next = 0
        for (const { baseSequence, lastSequence, count } of batches) {
          expect([baseSequence, lastSequence]).toEqual([next, next + count - 1])
          next += count
        }
      },
    )
  }

  it.skipIf(dumpAbsent !== null)('P-11: a batch that its codec cannot make smaller is stored raw', async () => {
    const topic = await createTopic('raw')
    const producer = producerWith({ compression: 'lz4' })
    const blocks = Array.from({ length: 125 }, (_, index) => createHash('sha256').update(`${index}`).digest())
    const noise = Buffer.concat(blocks)
    await producer.sendSync(topic, noise)
    const [batch] = await dumpPartition(topic, 0)
    const [record] = await readWithKafkajs(brokers, topic)
    expect(record?.value?.equals(noise)).toBe(true)
    expect(batch?.codec).toBe('none')
  })

  it('P-64, PR-12: 30,000 concurrent sends over 6 partitions arrive once and in order', async () => {
    const topic = await createTopic('concurrent', { partitions: 6 })
    const producer = producerWith()
    const ledger = new Ledger(producer, topic)
    for (let index = 0; index < 30_000; index++) await ledger.send(index % 6)
    await producer.flush()
    ledger.judge(await readWithKafkajs(brokers, topic))
    expect(ledger.outcomes()).toEqual({ acknowledged: 30_000 })
  })

  it('PR-7: keyed records go where the Java partitioner puts them', async () => {
    const topic = await createTopic('keyed', { partitions: 7 })
    const producer = producerWith()
    const keys = Array.from({ length: 200 }, (_, index) => `customer-${index}`)
    const answers = await Promise.all(keys.map((key) => producer.sendSync(topic, 'v', { key })))
    const java = new Map((await foreignPartitions(keys)).map(({ key, partition }) => [key, partition]))
    expect(answers.map(({ partition }, index) => [keys[index], partition])).toEqual(
      keys.map((key) => [key, java.get(key)]),
    )
  })

  it('PR-6, P-33: batches above max.message.bytes of the topic are split until they fit, in order', async () => {
    const topic = await createTopic('split', { configs: { 'max.message.bytes': '3000' } })
    const producer = producerWith({ compression: 'none' })
    const ledger = new Ledger(producer, topic)
    for (let index = 0; index < 400; index++) await ledger.send(0, 'x'.repeat(300))
    await producer.flush()
    ledger.judge(await readWithKafkajs(brokers, topic))
    expect(ledger.outcomes()).toEqual({ acknowledged: 400 })
  })

  it('P-33: a single record above max.message.bytes fails alone with MESSAGE_TOO_LARGE', async () => {
    const topic = await createTopic('too-large', { configs: { 'max.message.bytes': '3000' } })
    const producer = producerWith({ compression: 'none' })
    await producer.sendSync(topic, 'fits')
    const refused = await producer.sendSync(topic, 'x'.repeat(5_000)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(MQError)
    expect(refused).toMatchObject({ code: 'MESSAGE_TOO_LARGE', context: { persistence: 'not-persisted' } })
    await expect(producer.sendSync(topic, 'fits too')).resolves.toMatchObject({ offset: 1 })
  })

  it('P-36: a timestamp from the future is refused to its caller, neighbours are stored', async () => {
    const topic = await createTopic('future')
    const producer = producerWith()
    const future = Date.now() + 5 * 3_600_000
    const results = await Promise.allSettled([
      producer.sendSync(topic, 'before'),
      producer.sendSync(topic, 'future', { timestamp: future }),
      producer.sendSync(topic, 'after'),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await readWithKafkajs(brokers, topic)).map(({ value }) => String(value))).toEqual(['before', 'after'])
  })

  it('PR-24: a topic that does not exist fails TOPIC_NOT_FOUND and holds up no other', async () => {
    const topic = await createTopic('exists')
    const producer = producerWith({ maxBlockMs: 1_500, allowAutoTopicCreation: false })
    const missing = producer.sendSync(`missing-${topic}`, 'v').catch((error: unknown) => error)
    await expect(producer.sendSync(topic, 'v')).resolves.toMatchObject({ offset: 0 })
    expect(await missing).toMatchObject({ code: 'TOPIC_NOT_FOUND' })
  })

  it('PR-14: acks 1 and acks 0 deliver, the latter without an offset', async () => {
    const topic = await createTopic('acks')
    await expect(producerWith({ acks: 1 }).sendSync(topic, 'one')).resolves.toMatchObject({ offset: 0 })
    const careless = producerWith({ acks: 0 })
    await expect(careless.sendSync(topic, 'zero')).resolves.toMatchObject({ offset: -1 })
    await careless.close()
    expect((await readWithKafkajs(brokers, topic)).map(({ value }) => String(value))).toEqual(['one', 'zero'])
  })

  for (const kind of ['clean', 'kill'] as const) {
    const title = kind === 'clean' ? 'stopped' : 'killed'
    it.runIf(mayRestart)(
      `P-22, P-44: the broker is ${title} and comes back under load: nothing lost, doubled or reordered`,
      async () => {
        const topic = await createTopic(`restart-${kind}`, { partitions: 6 })
        const producer = producerWith({ deliveryTimeoutMs: 80_000, requestTimeoutMs: 5_000 })
        const ledger = new Ledger(producer, topic)
        const load = ledger.keepSending(6)
        try {
          await ledger.untilAcknowledged(2_000)
          await restartNode(sharedKafka, kind)
          await ledger.untilAcknowledged(ledger.acknowledged + 2_000)
        } finally {
          load.stop()
        }
        await load.done
        await producer.flush()
        ledger.judge(await readWithKafkajs(brokers, topic))
        expect(Object.keys(ledger.outcomes())).toEqual(['acknowledged'])
      },
    )
  }
})

/** Where kafkajs' Java-compatible partitioner puts each key of a topic with 7 partitions. */
async function foreignPartitions(keys: readonly string[]): Promise<{ key: string; partition: number }[]> {
  const topic = await createTopic('keyed-foreign', { partitions: 7 })
  const { default: kafkajs } = await import('kafkajs')
  const client = new kafkajs.Kafka({ clientId: 'foreign', brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
  const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  await producer.send({ topic, messages: keys.map((key) => ({ key, value: 'v' })) })
  await producer.disconnect()
  return (await readWithKafkajs(brokers, topic)).map(({ key, partition }) => ({ key: String(key), partition }))
}
