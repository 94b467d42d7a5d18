/**
 * What to run when a service cannot reach Kafka: connect, ping, look at the topic, send one record, and say in words what
 * is wrong. `npx tsx examples/debug.ts --brokers host:9092 --topic orders`
 */
import { parseArgs } from 'node:util'
import { isRetryableError, MQ, MQError } from 'tandem-mq'
import { check, exampleBrokers } from './example.js'

const { values: args } = parseArgs({
  options: { brokers: { type: 'string' }, topic: { type: 'string', default: 'never-created' } },
})
const { brokers, stop } = await exampleBrokers(args.brokers ?? process.env['KAFKA_BROKERS'])
const mq = new MQ({
  brokers,
  connection: { maxRetries: 0 },
  producer: { allowAutoTopicCreation: false, maxBlockMs: 3_000 },
})

await step('ping', async () => {
  const { rttMs, nodeId } = await mq.ping({ timeoutMs: 10_000 })
  return `broker ${nodeId} answered in ${rttMs.toFixed(1)} ms`
})
await step('cluster', async () => {
  const { brokers: members, clusterId } = await mq.admin.describeCluster()
  return `${members.length} broker(s) of cluster ${clusterId}`
})
const wasSent = await step(`send to ${args.topic}`, async () => {
  const { partition, offset } = await mq.sendSync(args.topic, 'a debug record', { timeoutMs: 10_000 })
  return `stored in partition ${partition} at offset ${offset}`
})
if (args.topic === 'never-created') check(!wasSent, 'a topic that does not exist is explained')
await mq.close()
await stop()

async function step(name: string, task: () => Promise<string>): Promise<boolean> {
  try {
    console.log(`${name}: ${await task()}`)
    return true
  } catch (error) {
    console.log(`${name}: ${String(error)}`)
    console.log(`  ${adviceFor(error)}${isRetryableError(error) ? ' Trying again later may help.' : ''}`)
    return false
  }
}

function adviceFor(error: unknown): string {
  if (!(error instanceof MQError)) return 'This should not happen.'
  const advice: Partial<Record<typeof error.code, string>> = {
    CONNECTION_FAILED: 'Nobody listens there: check brokers, firewalls, and the advertised listeners of the cluster.',
    CONNECTION_TIMEOUT: 'Something accepts the connection and says nothing: is TLS set on one side only?',
    TOPIC_NOT_FOUND: 'Create it (mq.admin.createTopic), or let brokers do it with allowAutoTopicCreation.',
    AUTHENTICATION_FAILED: 'Check sasl.username and sasl.password, or the certificates.',
    AUTHORIZATION_FAILED: 'The user lacks a right: see context for resource and operation.',
  }
  return advice[error.code] ?? `See ${error.code} in API.md.`
}
