/** Our consumer against a real Kafka: what our producer wrote comes back, over every codec, restart and position. */
import { afterEach, expect, it } from 'vitest'
import { Consumer } from '../../lib/consumer/index.js'
import { Producer } from '../../lib/index.js'
import { bootstrap, createTopic, describeWithKafka, restartNode, sharedKafka } from '../support/real-kafka.js'

const PARTITIONS = 3
const mayRestart = sharedKafka.stateFolder !== null
const open: { close(options: { timeoutMs: number }): Promise<unknown> }[] = []

function producerWith(config: ConstructorParameters<typeof Producer>[0] = {}): Producer {
  const made = new Producer({ brokers: bootstrap, clientId: 'integration', logLevel: 'silent', ...config })
  open.push(made)
  return made
}

function consumerWith(config: ConstructorParameters<typeof Consumer>[0] = {}): Consumer {
  const base = { brokers: bootstrap, clientId: 'integration', logLevel: 'silent' as const, fetchMaxWaitMs: 100 }
  const made = new Consumer({ ...base, autoOffsetReset: 'earliest', ...config })
  open.push(made)
  return made
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close({ timeoutMs: 5_000 })))
})

async function send(producer: Producer, topic: string, from: number, count: number): Promise<void> {
  const sends = Array.from({ length: count }, (_, index) => {
    const n = from + index
    return producer.sendSync(topic, `value ${n}`, {
      partition: n % PARTITIONS,
      key: `key ${n}`,
      headers: { n: String(n) },
    })
  })
  await Promise.all(sends)
}

/** Reads until `count` records have come; by partition, as texts. */
function collect(consumer: Consumer, topic: string, count: number): Promise<Map<number, string[]>> {
  const read = new Map<number, string[]>()
  let left = count
  return new Promise((resolve, reject) => {
    // What is told and retried (75 while a broker that came back learns its epochs) is no failure.
    consumer.on('error', (error) => void (error.retryable || reject(error)))
    const take = (record: { partition: number; value: Buffer | null }) => {
      read.set(record.partition, [...(read.get(record.partition) ?? []), String(record.value)])
      if (--left === 0) resolve(read)
    }
    consumer.assign([topic], take).catch(reject)
  })
}

function expectedValues(count: number): Map<number, string[]> {
  const values = Array.from({ length: count }, (_, n) => n)
  return new Map(
    Array.from({ length: PARTITIONS }, (_, partition) => [
      partition,
      values.filter((n) => n % PARTITIONS === partition).map((n) => `value ${n}`),
    ]),
  )
}

describeWithKafka('Consumer on a real Kafka', () => {
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'C-7, CO-3: reads %s batches of our producer',
    async (compression) => {
      const topic = await createTopic('consume', { partitions: PARTITIONS })
      await send(producerWith({ compression }), topic, 0, 300)
      const read = await collect(consumerWith(), topic, 300)
      expect(new Map([...read].sort(([a], [b]) => a - b))).toEqual(expectedValues(300))
    },
  )
  it('C-1: goes on within its session while records keep coming', async () => {
    const topic = await createTopic('session', { partitions: PARTITIONS })
    const consumer = consumerWith()
    const reading = collect(consumer, topic, 300)
    const producer = producerWith()
    for (let round = 0; round < 10; round++) await send(producer, topic, round * 30, 30)
    expect(new Map([...(await reading)].sort(([a], [b]) => a - b))).toEqual(expectedValues(300))
    const { fullSessions, fetches, fetchErrors, lag } = consumer.getMetrics()
    expect([fetchErrors, lag]).toEqual([0, 0])
    expect(fetches).toBeGreaterThan(fullSessions)
  })
  it('CO-8, C-21: starts at an offset and at a timestamp, seeks back to the beginning', async () => {
    const topic = await createTopic('position')
    const producer = producerWith()
    for (let n = 0; n < 10; n++)
      await producer.sendSync(topic, `value ${n}`, { timestamp: 1_700_000_000_000 + n * 1_000 })
    const consumer = consumerWith()
    const values: string[] = []
    let seen: () => void = () => {}
    const until = (count: number) =>
      new Promise<void>((resolve) => {
        seen = () => values.length >= count && resolve()
        seen()
      })
    await consumer.assign([{ topic, partition: 0, timestamp: 1_700_000_006_500 }], (record) => {
      values.push(String(record.value))
      seen()
    })
    await until(3)
    await consumer.seekToBeginning([topic])
    await until(13)
    expect(values).toEqual([7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `value ${n}`))
    expect(consumer.position({ topic, partition: 0 })).toBe(10)
  })
  it.skipIf(!mayRestart)(
    'C-2, C-20: a broker killed and started again costs neither a record nor a repetition',
    async () => {
      const topic = await createTopic('restart', { partitions: PARTITIONS })
      const producer = producerWith()
      const reading = collect(consumerWith(), topic, 600)
      await send(producer, topic, 0, 300)
      await restartNode(sharedKafka, 'kill')
      await send(producer, topic, 300, 300)
      expect(new Map([...(await reading)].sort(([a], [b]) => a - b))).toEqual(expectedValues(600))
    },
  )
})
