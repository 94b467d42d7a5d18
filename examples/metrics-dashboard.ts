/**
 * Metrics as Prometheus sees them: an instance under load serves /metrics and /healthz. `--stay` keeps it running for
 * `docker compose -f docker/compose.three.yml up`, whose Grafana shows the dashboard of docker/grafana.
 */
import { parseArgs } from 'node:util'
import { closeOnSignals, MQ } from 'tandem-mq'
import { check, exampleBrokers, sleep, until } from './example.js'

const { values: args } = parseArgs({
  options: {
    brokers: { type: 'string' },
    address: { type: 'string', default: '127.0.0.1:0' },
    stay: { type: 'boolean' },
  },
})
const { brokers, stop } = await exampleBrokers(args.brokers ?? process.env['KAFKA_BROKERS'])
const topic = `dashboard-${Date.now().toString(36)}`
const mq = new MQ({
  brokers,
  clientId: 'dashboard',
  metrics: { address: args.address, labels: { service: 'dashboard-example' } },
  consumer: { groupId: `${topic}.group`, autoOffsetReset: 'earliest' },
})
mq.on('alert', (alert) => console.log('alert', alert))
const { port } = await mq.metrics.listen()
await mq.admin.createTopic({ name: topic, partitions: 3 })
let read = 0
await mq.subscribe(topic, () => void read++)

for (let n = 0; n < 5_000; n++) {
  if (!mq.sendAsync(topic, `event ${n}`, { key: `user-${n % 100}` })) await mq.producer.ready()
}
await mq.producer.flush()
await until(() => read === 5_000)

const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
const shown = text
  .split('\n')
  .filter((line) => /^tandem_mq_(producer_records_total|consumer_lag|batch_records_)/.test(line))
console.log(shown.join('\n'))
check(/^tandem_mq_producer_records_total\{.*state="acknowledged".*\} 5000$/m.test(text), '5000 records acknowledged')
check(/^tandem_mq_consumer_records_total\{.*\} 5000$/m.test(text), '5000 records read')
const health = await fetch(`http://127.0.0.1:${port}/healthz`)
check(health.status === 200, `healthy: ${await health.text()}`)

const end = async () => {
  await mq.close()
  await stop()
}
if (args.stay === true) {
  closeOnSignals({ close: end })
  for (let n = 0; ; n++) {
    mq.sendAsync(topic, `event ${n}`, { key: `user-${n % 100}` })
    await sleep(1)
  }
}
await end()
