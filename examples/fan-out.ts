/**
 * Fan-out: every group gets every record, and the members of one group share them. Here three workers share the work, and
 * an audit that reads on its own sees all of it.
 */
import { Consumer, MQ } from 'tandem-mq'
import { check, exampleBrokers, until } from './example.js'

const { brokers, stop } = await exampleBrokers()
const topic = `tasks-${Date.now().toString(36)}`
const mq = new MQ({ brokers })
await mq.admin.createTopic({ name: topic, partitions: 6 })

const done = [0, 0, 0]
const workers = done.map(() => new Consumer({ brokers, groupId: `${topic}.worker.group`, autoOffsetReset: 'earliest' }))
await Promise.all(workers.map((worker, index) => worker.subscribe(topic, () => void done[index]!++)))
// Until each has its share: members that come one after another take partitions over.
await until(() => workers.every((worker) => worker.assignment.length === 2))

let seen = 0
const audit = new Consumer({ brokers, groupId: `${topic}.audit.group`, autoOffsetReset: 'earliest' })
await audit.subscribe(topic, () => void seen++)

for (let n = 0; n < 3_000; n++) mq.sendAsync(topic, `task ${n}`, { key: `customer-${n}` })
await mq.producer.flush()
await until(() => seen === 3_000 && done.reduce((a, b) => a + b) === 3_000)
check(
  done.every((count) => count > 0),
  `the workers shared 3000 tasks: ${done.join(' + ')}`,
)
check(seen === 3_000, 'the audit saw all of them')
await Promise.all([...workers, audit].map((consumer) => consumer.close()))
await mq.close()
await stop()
