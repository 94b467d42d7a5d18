/** Topics and groups by program: the three topics of a chat, their settings, more partitions, a group's lag and its reset. */
import { MQ } from 'tandem-mq'
import { check, exampleBrokers } from './example.js'

const { brokers, stop } = await exampleBrokers()
const run = Date.now().toString(36)
const mq = new MQ({ brokers, consumer: { groupId: `admin-${run}`, autoOffsetReset: 'earliest' } })
const { admin } = mq
const names = [`test-connection-${run}`, `chat-messages-${run}`, `user-events-${run}`] as const

const made = await admin.createTopics([
  { name: names[0] },
  { name: names[1], partitions: 3, configs: { 'retention.ms': '604800000' } },
  { name: names[2], partitions: 2 },
])
check(
  made.every(({ created }) => created),
  `created ${names.join(', ')}`,
)
check(!(await admin.createTopic({ name: names[0] })).created, 'what exists is not created again')
check(!(await admin.topicExists(`never-${run}`)), 'asking for a topic does not create it')

const { partitions } = await admin.getTopicMetadata(names[1])
check(partitions.length === 3, 'three partitions, each with a leader')
await admin.createPartitions(names[2], 4)
check((await admin.getTopicMetadata(names[2])).partitions.length === 4, 'four partitions after createPartitions')

await mq.sendBatchSync({ topic: names[0], messages: ['a', 'b', 'c'].map((value) => ({ value })) })
await mq.subscribe(names[0])
for (let n = 0; n < 3; n++) await mq.consumer.read({ timeoutMs: 10_000 })
await mq.consumer.commitOffset({ topic: names[0], partition: 0 }, 3)
await mq.consumer.close()
const groupId = `admin-${run}`
const stored = await admin.fetchOffsets(groupId, [names[0]])
check(stored[0]?.offset === 3, 'the group has read three records')
await admin.resetOffsets(groupId, names[0], { to: 'earliest' })
check((await admin.fetchOffsets(groupId, [names[0]]))[0]?.offset === 0, 'and starts anew after resetOffsets')

await admin.deleteGroups([groupId])
const gone = await admin.deleteTopics([...names])
check(
  gone.every(({ error }) => error === undefined),
  'deleted',
)
await mq.close()
await stop()
