/**
 * The readers themselves: what a foreign producer wrote must come back the same through each of them, or a difference
 * found later would prove nothing about our producer.
 */
import { expect, it } from 'vitest'
import { COMPRESSION_OF, kafkajsClient } from '../support/interop-kafkajs.js'
import { groupedByName, show } from '../support/interop-records.js'
import { brokers, createTopic, describeWithKafka, dumpAbsent, dumpPartition, READERS } from '../support/real-kafka.js'

const TIMESTAMP = 1_700_000_000_000
const MESSAGES = Array.from({ length: 200 }, (_, index) => ({
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

describeWithKafka('readers of the integration tests', () => {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`all read what kafkajs wrote with codec ${codec}`, async () => {
      const topic = await createTopic(`readers-${codec}`)
      const producer = kafkajsClient(brokers).producer({ idempotent: true })
      await producer.connect()
      await producer.send({ topic, acks: -1, compression: COMPRESSION_OF[codec], messages: MESSAGES })
      await producer.disconnect()
      for (const reader of READERS.filter(({ absent }) => absent === null)) {
        const records = await reader.read(topic)
        expect(
          records.map((record) => ({ ...show(record), headers: groupedByName(show(record).headers) })),
          reader.name,
        ).toEqual(EXPECTED)
        expect(records.map(({ offset }) => offset)).toEqual(MESSAGES.map((_, index) => index))
      }
      if (dumpAbsent !== null) return
      const batches = await dumpPartition(topic, 0)
      expect(batches.map(({ count, codec: stored, isValid }) => ({ count, stored, isValid }))).toEqual([
        { count: MESSAGES.length, stored: codec, isValid: true },
      ])
    })
  }
})
