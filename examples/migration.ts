/**
 * Moving from kafkajs, step by step: both clients share topics and keys, so services can move one at a time. Here kafkajs
 * writes and tandem-mq reads, then the other way round, and both put the same key into the same partition.
 * docs/migrating-from-kafkajs.md tells each call's counterpart.
 */
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { MQ } from 'tandem-mq'
import { check, exampleBrokers, until } from './example.js'

const { brokers, stop } = await exampleBrokers()
const topic = `migration-${Date.now().toString(36)}`
const kafka = new Kafka({ clientId: 'before', brokers: brokers.split(','), logLevel: logLevel.ERROR })
const mq = new MQ({
  brokers,
  clientId: 'after',
  producer: { compression: 'gzip' }, // kafkajs has no other codec built in
  consumer: { groupId: `${topic}.after.group`, autoOffsetReset: 'earliest' },
})
await mq.admin.createTopic({ name: topic, partitions: 6 })

// before: kafkajs writes
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
await producer.connect()
const before = await producer.send({
  topic,
  messages: [{ key: 'customer-7', value: 'from kafkajs', headers: { type: 'order' } }],
})

// after: tandem-mq reads
const seen: string[] = []
await mq.subscribe(topic, (record) => {
  const type = record.headers.find(([name]) => name === 'type')?.[1]
  seen.push(`${record.key} ${record.value} ${type}`)
})
await until(() => seen.length === 1)
check(seen[0] === 'customer-7 from kafkajs order', 'tandem-mq reads what kafkajs wrote')

// after: tandem-mq writes, before: kafkajs reads
const consumer = kafka.consumer({ groupId: `${topic}.before.group` })
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
const read: string[] = []
await consumer.run({ eachMessage: async ({ message }) => void read.push(`${message.key} ${message.value}`) })
const after = await mq.sendSync(topic, 'from tandem-mq', { key: 'customer-7', headers: { type: 'order' } })
await until(() => read.length === 2)
check(read.includes('customer-7 from tandem-mq'), 'kafkajs reads what tandem-mq wrote')
check(after.partition === before[0]?.partition, `the same key, the same partition: ${after.partition}`)

await producer.disconnect()
await consumer.disconnect()
await mq.close()
await stop()
