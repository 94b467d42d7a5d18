/** Records in batches, for a database that likes many rows at once: one callback, one commit, in order per partition. */
import { MQ } from 'tandem-mq'
import { check, exampleBrokers, until } from './example.js'

const { brokers, stop } = await exampleBrokers()
const topic = `rows-${Date.now().toString(36)}`
const mq = new MQ({
  brokers,
  consumer: { groupId: `${topic}.group`, autoOffsetReset: 'earliest', maxPollRecords: 500, concurrency: 4 },
})
await mq.admin.createTopic({ name: topic, partitions: 4 })
for (let n = 0; n < 10_000; n++) mq.sendAsync(topic, String(n), { key: `user-${n % 50}` })
await mq.producer.flush()

const rows: number[] = []
let inserts = 0
await mq.consumer.subscribeBatch(topic, async (records, { partition }) => {
  await insert(records.map(({ value }) => ({ partition, n: Number(value) })))
})
await until(() => rows.length === 10_000)
check(new Set(rows).size === 10_000, `10000 rows in ${inserts} inserts`)
check(inserts < 1_000, 'many rows each')
await mq.close()
await stop()

async function insert(some: readonly { partition: number; n: number }[]): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve)) // a database would take longer
  for (const { n } of some) rows.push(n)
  inserts++
}
