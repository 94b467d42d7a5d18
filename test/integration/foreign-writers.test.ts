/**
 * What others write, read by our consumer: every codec of the Java client, of librdkafka (kcat) and of kafkajs (C-7).
 * Invariant: keys, values, headers and timestamps are compared as text, per partition and in order.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { Consumer } from '../../lib/consumer/index.js'
import { produceWithJava } from '../support/interop-java.js'
import { COMPRESSION_OF, kafkajsClient } from '../support/interop-kafkajs.js'
import { hasKcat, produceWithKcat } from '../support/interop-kcat.js'
import { bootstrap, brokers, createTopic, describeWithKafka, jarFolder } from '../support/real-kafka.js'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const COUNT = 400
/** Repetition that every codec finds, over more than one block of each. */
const VALUES = Array.from({ length: COUNT }, (_, n) => `value ${n} ${'abcdefghij'.repeat(n % 60)}`)
const KEYS = Array.from({ length: COUNT }, (_, n) => `key-${n}`)
const TIMESTAMP = 1_700_000_000_000

const open: Consumer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((consumer) => consumer.close({ timeoutMs: 1_000 })))
})

interface Read {
  readonly offset: number
  readonly key: string
  readonly value: string
  readonly headers: string[]
  readonly timestamp: number
}

async function readAll(topic: string, count: number): Promise<Read[]> {
  const config = { brokers: bootstrap, logLevel: 'silent' as const, fetchMaxWaitMs: 100 }
  const consumer = new Consumer({ ...config, autoOffsetReset: 'earliest' })
  open.push(consumer)
  const read: Read[] = []
  await new Promise<void>((resolve, reject) => {
    consumer.on('error', reject)
    consumer
      .assign([topic], ({ offset, key, value, headers, timestamp }) => {
        const texts = headers.map(([name, content]) => `${name}=${content}`)
        read.push({ offset, key: String(key), value: String(value), headers: texts, timestamp })
        if (read.length === count) resolve()
      })
      .catch(reject)
  })
  await sleep(50) // One too many would come now.
  return read
}

describeWithKafka('what others write', () => {
  it.each(CODECS)('C-7: kafkajs, %s', async (codec) => {
    const topic = await createTopic(`kafkajs-${codec}`)
    const producer = kafkajsClient(brokers).producer({ idempotent: true })
    await producer.connect()
    const messages = VALUES.map((value, n) => {
      const headers = n % 2 === 0 ? { first: `h${n}`, many: ['one', 'two'] } : {}
      return { key: KEYS[n] as string, value, headers, timestamp: String(TIMESTAMP + n) }
    })
    for (let at = 0; at < COUNT; at += 100) {
      const some = messages.slice(at, at + 100)
      await producer.send({ topic, acks: -1, compression: COMPRESSION_OF[codec], messages: some })
    }
    await producer.disconnect()
    expect(await readAll(topic, COUNT)).toEqual(
      VALUES.map((value, n) => ({
        offset: n,
        key: KEYS[n],
        value,
        headers: n % 2 === 0 ? [`first=h${n}`, 'many=one', 'many=two'] : [],
        timestamp: TIMESTAMP + n,
      })),
    )
  })

  it.skipIf(!hasKcat).each(CODECS)('C-7: librdkafka, %s', async (codec) => {
    const topic = await createTopic(`kcat-${codec}`)
    await produceWithKcat(brokers, topic, VALUES, [`compression.codec=${codec}`, 'linger.ms=50', 'acks=all'])
    const read = await readAll(topic, COUNT)
    expect(read.map(({ offset, value }) => [offset, value])).toEqual(VALUES.map((value, n) => [n, value]))
  })

  it.skipIf(jarFolder === null).each(CODECS)('C-7: Java, %s', async (codec) => {
    const topic = await createTopic(`java-${codec}`)
    const records = VALUES.map((value, n) => [KEYS[n] as string, value] as const)
    await produceWithJava(brokers, jarFolder ?? '', topic, records, codec)
    const read = await readAll(topic, COUNT)
    expect(read.map(({ offset, key, value }) => [offset, key, value])).toEqual(
      VALUES.map((value, n) => [n, KEYS[n], value]),
    )
  })
})
